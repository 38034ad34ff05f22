//! The customer's house, and the center's: a LAN, printers, mail servers, a new box.

use super::super::ingest::site::MailSite;
use super::keyboard::{Answer, Keyboard};
use super::{DEVICES, Measured};
use anyhow::{Context as _, ensure};
use rustix::process::Signal;
use sandbox::printers::{Printer, PrinterSettings, Recording};
use sandbox::world::{Center, FIRST_VERSION, Fetch, PATIENCE, Programs, ReleaseFolder, entries, eventually};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Runtime;

/// The box's own address on its LAN; the printers have those from [`FIRST_PRINTER`] on.
const BOX: u8 = 2;
const FIRST_PRINTER: u8 = 101;

fn address(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 77, host)
}

/// Plays in the namespaces that it was started in, and prints what was measured.
///
/// # Errors
/// When something cannot be had on this machine, or the box is not enrolled.
pub(crate) fn inside(folder: &Path, runtime: &Runtime) -> anyhow::Result<()> {
    // The servers end with whoever wants the figures.
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    let lan = lan()?;
    let site = MailSite::start(&folder.join("mail"), 1, &["--usual-ports"], runtime)?;
    let mail = site.as_world()?;
    names(folder, &mail.site_domain)?;
    let programs = Programs::find()?.pinned(folder)?;
    let mut center = Center::init(&programs, folder, &mail, Fetch::Imap)?;
    as_installed(&center)?;
    center.start()?;
    let printers = runtime.block_on(printers(&lan))?;
    let image = ReleaseFolder::make(&programs, folder, FIRST_VERSION, 1, 0)?;
    let ca_file = mail.ca_file.clone().context("a mail site with an authority of its own")?;

    let paper = center.json(&["enrol", "issue", "--customer", "aaa Trading"])?;
    let written =
        |name: &str| paper.get(name).and_then(Value::as_str).map(ToOwned::to_owned).context("the sheet");
    let answers = [
        ("Code: ", Answer::Type(written("code")?)),
        ("Mail address of the center: ", Answer::Type(written("center_address")?)),
        ("Mail address of this appliance: ", Answer::Type(mail.agent_address(1))),
        ("Password of the mailbox: ", Answer::Type(mail.password.clone())),
        ("Look for devices in 192.168.77.0/24? ", Answer::Confirm),
        ("Register these devices? ", Answer::Confirm),
    ];
    let start = Instant::now();
    let mut person = Keyboard::open(&at_the_box(folder, &image, &ca_file)?)?;
    let screen = person.run("monitor-appliance enrol", &answers)?;
    eprintln!("{}", indented(&screen));
    ensure!(
        screen.contains("enrolled as AGENT"),
        "the box was not enrolled; the center's log:\n{}",
        center.log()
    );
    let devices = eventually("all devices at the center", PATIENCE, || {
        let devices = center.json(&["devices"])?;
        Ok((entries(&devices).count() >= DEVICES).then_some(devices))
    })?;
    let took = start.elapsed();

    ensure!(printers.len() == DEVICES, "{} printers", printers.len());
    let counted = person.counted();
    let measured = Measured {
        took,
        at_the_keyboard: counted.time,
        things: counted.things,
        confirmed: counted.confirmed,
        characters: counted.characters,
        devices: entries(&devices).count(),
        by_hand: entries(&devices).map(characters).sum(),
    };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

/// Characters of what tells a device from others, and where it is.
fn characters(device: &Value) -> usize {
    ["address", "vendor", "model", "serial"]
        .iter()
        .filter_map(|name| device.get(name).and_then(Value::as_str))
        .map(|text| text.chars().count())
        .sum()
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("ip").args(arguments).status().context("cannot run ip")?;
    ensure!(status.success(), "`ip {}` ended with {status}", arguments.join(" "));
    Ok(())
}

/// A LAN with nobody at the other end of its cable; gives the addresses of its printers.
fn lan() -> anyhow::Result<Vec<Ipv4Addr>> {
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "add", "lan0", "type", "veth", "peer", "name", "cable0"])?;
    let printers = (FIRST_PRINTER..).take(DEVICES).map(address).collect::<Vec<_>>();
    for address in [address(BOX)].iter().chain(&printers) {
        ip(&["address", "add", &format!("{address}/24"), "dev", "lan0"])?;
    }
    ip(&["link", "set", "cable0", "up"])?;
    ip(&["link", "set", "lan0", "up"])?;
    Ok(printers)
}

/// The mail servers have the usual names there.
fn names(folder: &Path, domain: &str) -> anyhow::Result<()> {
    let file = folder.join("hosts");
    std::fs::write(&file, format!("127.0.0.1 localhost smtp.{domain} imap.{domain}\n"))?;
    let status = Command::new("mount").arg("--bind").arg(&file).arg("/etc/hosts").status()?;
    ensure!(status.success(), "the names of the mail servers cannot be told: mount ended with {status}");
    Ok(())
}

/// The sandbox's centers look for mail every second; this one as often as any other.
fn as_installed(center: &Center) -> anyhow::Result<()> {
    let path = center.home().join("center.toml");
    let text = std::fs::read_to_string(&path)?;
    let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("poll_secs")).collect();
    Ok(std::fs::write(&path, kept.join("\n") + "\n")?)
}

async fn printers(lan: &[Ipv4Addr]) -> anyhow::Result<Vec<Printer>> {
    let recordings = Recording::all_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/printers"))?;
    let whole: Vec<_> = recordings.iter().filter(|recording| recording.objects().len() > 500).collect();
    let mut printers = Vec::new();
    for ((number, address), recording) in (1..).zip(lan).zip(whole.into_iter().cycle()) {
        let bind = SocketAddr::from((*address, 161));
        let printer =
            Printer::start(Arc::clone(recording), PrinterSettings { bind, ..PrinterSettings::default() })
                .await?;
        printer.set_serial(&format!("X3B{:07}", 104_729 * number));
        printers.push(printer);
    }
    Ok(printers)
}

/// The box as the dealer's image made it: the programs are found, nothing is set up, and the system knows the mail
/// servers' authority.
fn at_the_box(
    folder: &Path,
    image: &ReleaseFolder,
    ca_file: &Path,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let root = folder.join("box");
    std::fs::create_dir(&root)?;
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let path = std::env::var("PATH").unwrap_or_default();
    Ok(vec![
        ("PATH", format!("{}:{path}", image.path.display())),
        (monitor_appliance::layout::ROOT_VARIABLE, text(root)),
        ("SSL_CERT_FILE", text(ca_file.to_owned())),
    ])
}

/// What stood on the screen, each line once as it was left.
fn indented(screen: &str) -> String {
    let lines =
        screen.lines().map(|line| line.rsplit('\r').find(|part| !part.is_empty()).unwrap_or_default());
    lines.map(|line| format!("  | {}\n", line.trim_end())).collect()
}
