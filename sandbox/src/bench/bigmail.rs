//! `bigmail`: what mails of 35 MB, and 100,000 mails that wait, cost the memory of the programs that read them.
//!
//! The large mails: an order to update with a package of 25 MB, as the center sends it, and three of strangers: a file in
//! base64, text without end, and what looks like the order but is damaged. The programs are real processes and read them from the
//! sandbox's post office, which lives in this process; their peaks are the kernel's count (VmHWM).

use super::footprint::process;
use super::{Figure, octets_f64};
use anyhow::{Context as _, ensure};
use sandbox::world::{FIRST_VERSION, Fetch, Part, ReleaseFolder, Stage, eventually};
use serde_json::Value;
use std::path::Path;
use std::process::{Command as Program, Stdio};
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(900);
const LIMIT_MB: u32 = 64;
/// The mail, in octets; `BIGMAIL_MB` names another size, in MB.
const MAIL_MB: usize = 35;
/// Mails that wait; `BIGMAIL_WAITING` names another number.
const WAITING: usize = 100_000;

/// Measures by IMAP and by POP3.
///
/// # Errors
/// When the programs are missing, or do not get through their mail.
pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let megabytes = named("BIGMAIL_MB", MAIL_MB)?;
    let waiting = named("BIGMAIL_WAITING", WAITING)?;
    let (mut large, mut full) = (Vec::new(), Vec::new());
    let mut peer = None;
    for fetch in [Fetch::Imap, Fetch::Pop3] {
        let run = large_mails(fetch, megabytes)?;
        peer = run.peer_mb.or(peer);
        large.push(run);
        full.push(full_mailboxes(fetch, waiting)?);
    }
    let most = |values: &dyn Fn(&Peaks) -> f64, of: &[&Peaks]| {
        of.iter().map(|peaks| values(peaks)).fold(0.0, f64::max)
    };
    let large_peaks: Vec<&Peaks> = large.iter().map(|run| &run.peaks).collect();
    let full_peaks: Vec<&Peaks> = full.iter().collect();
    let mail_mb = large.iter().map(|run| octets_f64(run.mail_octets) / 1e6).fold(0.0, f64::max);
    let peer = peer.map_or_else(
        || "python3 is not installed".to_owned(),
        |peer| format!("python's email package reading the same mail: {peer:.1} MB"),
    );
    let figure = |figure, value, against| Figure { bench: "bigmail", figure, value, unit: "MB", against };
    Ok(vec![
        figure(
            "rss_mb_35mb_mail",
            most(&|peaks| peaks.agent_mb, &large_peaks),
            format!(
                "limit: {LIMIT_MB}; the most that mail-agent held for an order of {mail_mb:.1} MB that it carried out, and for three large \
                 mails of strangers; before: {:.1} MB; {peer}",
                most(&|peaks| peaks.agent_before_mb, &large_peaks)
            ),
        ),
        figure(
            "rss_mb_35mb_mail_center",
            most(&|peaks| peaks.center_mb, &large_peaks),
            format!(
                "limit: {LIMIT_MB}; the same mails in the center's mailbox; before: {:.1} MB",
                most(&|peaks| peaks.center_before_mb, &large_peaks)
            ),
        ),
        figure(
            "rss_mb_100k_waiting",
            most(&|peaks| peaks.agent_mb.max(peaks.center_mb), &full_peaks),
            format!(
                "limit: {LIMIT_MB}; {waiting} mails in each mailbox; the worst of mail-agent ({:.1} MB) and the center ({:.1} MB), by IMAP and by POP3",
                most(&|peaks| peaks.agent_mb, &full_peaks),
                most(&|peaks| peaks.center_mb, &full_peaks)
            ),
        ),
    ])
}

fn named(variable: &str, default: usize) -> anyhow::Result<usize> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable} is no number: {text:?}")),
        Err(_) => Ok(default),
    }
}

/// The most that the two programs held, in MB.
#[derive(Debug, Default)]
struct Peaks {
    agent_mb: f64,
    agent_before_mb: f64,
    center_mb: f64,
    center_before_mb: f64,
}

struct Run {
    peaks: Peaks,
    mail_octets: usize,
    peer_mb: Option<f64>,
}

/// Letters that hardly shrink: six bits of each octet are noise.
fn noise(octets: usize, seed: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = seed | 1;
    let mut text = String::with_capacity(octets);
    while text.len() < octets {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let place = usize::try_from(state >> 58).unwrap_or(0);
        text.push(char::from(LETTERS[place]));
    }
    text
}

fn stage(fetch: Fetch) -> anyhow::Result<Stage> {
    let stage = Stage::set(&[Part { fetch, ..Part::plain(1) }], None)?;
    let settings = stage.center.home().join("center.toml");
    let text = std::fs::read_to_string(&settings)?;
    let text = match fetch {
        Fetch::Imap => text,
        // The stage's center fetches by IMAP unless it is told otherwise.
        Fetch::Pop3 => text.replace("\"imap\"", "\"pop3\"").replace(
            &format!("port = {}", stage.mail.imap.port),
            &format!("port = {}", stage.mail.pop3.port),
        ),
    };
    let limits = "mail_out_max_octets = 50000000\nmail_max_octets = 50000000\n";
    std::fs::write(&settings, format!("{limits}{text}"))?;
    Ok(stage)
}

fn large_mails(fetch: Fetch, megabytes: usize) -> anyhow::Result<Run> {
    let mut stage = stage(fetch)?;
    let first = ReleaseFolder::of_scripts(&stage.programs, stage.folder(), FIRST_VERSION, 1, 0)?;
    stage.site(1)?.reinstall(&first)?;
    stage.start()?;
    stage.hear_from_all()?;
    stage.site(1)?.stop();

    // Deflated, three quarters of the letters are left; as base64 they are four thirds of that: the mail is as large as they.
    let new = ReleaseFolder::of_scripts(&stage.programs, stage.folder(), "1.0.02-0", 2, 2)?;
    new.add_data("maps.txt", &noise(megabytes * 1_000_000 - 700_000, 7), 2)?;
    let folder = new.path.to_string_lossy();
    let built = stage.center.json(&["package", "build", "--release", &folder, "--sign"])?;
    let package = built.get("id").and_then(Value::as_str).context("`package build` names no id")?.to_owned();
    let address = stage.mail.agent_address(1);
    take(&stage, &address)?;
    stage.center.roll_out(&package, &["--all"])?;
    let mut order = None;
    eventually("the order in the mailbox", PATIENCE, || {
        let office = stage.post_office.as_ref().context("the post office runs")?;
        order = office.mails(&address).into_iter().find(|mail| mail.len() > 1_000_000);
        Ok(order.is_some().then_some(()))
    })?;
    let order: Arc<[u8]> = order.context("the order")?;
    stage.center.stop();

    let peer_mb = python(&stage, &order)?;
    let mails = strangers(&order);
    let center = stage.mail.center_address();
    // The same for both; the order itself is no report, but has to be read to know it.
    lay(&stage, &center, &[&mails[..], &[order.to_vec()]].concat())?;
    lay(&stage, &address, &mails)?;

    let mut peaks = Peaks::default();
    stage.site(1)?.start()?;
    let placed = stage.site(1)?.root.join("packages").join(format!("{package}.mfp"));
    eventually("the large mails read and the package stored", PATIENCE, || {
        look_at_agent(&stage, &mut peaks)?;
        let office = stage.post_office.as_ref().context("the post office runs")?;
        let large = office.mails(&address).iter().filter(|mail| mail.len() > 1_000_000).count();
        Ok((large == 0 && placed.is_file()).then_some(()))
    })
    .with_context(|| stage.logs())?;
    look_at_agent(&stage, &mut peaks)?;
    stage.site(1)?.stop();

    stage.center.start()?;
    eventually("the center's large mails read", PATIENCE, || {
        look_at_center(&stage, &mut peaks)?;
        let office = stage.post_office.as_ref().context("the post office runs")?;
        let large = office.mails(&center).iter().filter(|mail| mail.len() > 1_000_000).count();
        Ok((large == 0).then_some(()))
    })
    .with_context(|| stage.logs())?;
    look_at_center(&stage, &mut peaks)?;
    told(fetch, "large mails", &peaks);
    Ok(Run { peaks, mail_octets: order.len(), peer_mb })
}

/// Three mails of about the same size that are none for us.
fn strangers(order: &[u8]) -> Vec<Vec<u8>> {
    let octets = order.len();
    let head = "From: <sender@stranger.example>\r\nTo: <you@site.example>\r\nSubject: plans\r\nMIME-Version: 1.0\r\n";
    let letters = noise(octets - octets / 40, 99);
    let mut file =
        format!("{head}Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n")
            .into_bytes();
    for line in letters.as_bytes().chunks(76) {
        file.extend_from_slice(line);
        file.extend_from_slice(b"\r\n");
    }
    let mut text = format!("{head}Content-Type: text/plain\r\n\r\n").into_bytes();
    while text.len() < octets {
        text.extend_from_slice(
            b"It was a dark and stormy night; the rain fell in torrents, except at occasional intervals.\r\n",
        );
    }
    // One letter near the beginning of the attachment, where the envelope is.
    let mut damaged = order.to_vec();
    let begins = damaged.windows(5).position(|window| window == b"TUZFM").unwrap_or(2_000);
    if let Some(letter) = damaged.get_mut(begins + 200).filter(|letter| letter.is_ascii_alphanumeric()) {
        *letter = if *letter == b'A' { b'B' } else { b'A' };
    }
    vec![file, text, damaged]
}

fn full_mailboxes(fetch: Fetch, waiting: usize) -> anyhow::Result<Peaks> {
    let mut stage = stage(fetch)?;
    let (address, center) = (stage.mail.agent_address(1), stage.mail.center_address());
    let kinds: Vec<Vec<u8>> = (0..100)
        .map(|number| {
            let text =
                format!("You have won prize number {number}. Answer at once to get it.\r\n").repeat(24);
            format!("From: <winner{number}@lottery.example>\r\nSubject: Prize {number}\r\n\r\n{text}")
                .into_bytes()
        })
        .collect();
    let mails: Vec<Vec<u8>> = kinds.iter().cycle().take(waiting).cloned().collect();
    lay(&stage, &address, &mails)?;
    lay(&stage, &center, &mails)?;
    drop(mails);
    let mut peaks = Peaks::default();
    // Two sessions' worth and more of each: what comes after is the same again.
    let until = waiting - waiting / 4;
    stage.start()?;
    eventually("a quarter of both mailboxes read", PATIENCE, || {
        look_at_agent(&stage, &mut peaks)?;
        look_at_center(&stage, &mut peaks)?;
        let office = stage.post_office.as_ref().context("the post office runs")?;
        Ok((office.mailbox_len(&address) <= until && office.mailbox_len(&center) <= until).then_some(()))
    })
    .with_context(|| stage.logs())?;
    look_at_agent(&stage, &mut peaks)?;
    look_at_center(&stage, &mut peaks)?;
    told(fetch, "full mailboxes", &peaks);
    Ok(peaks)
}

fn told(fetch: Fetch, what: &str, peaks: &Peaks) {
    let protocol = if fetch == Fetch::Imap { "IMAP" } else { "POP3" };
    eprintln!(
        "  {what} by {protocol}: mail-agent {:.1} MB (before {:.1}), center {:.1} MB (before {:.1})",
        peaks.agent_mb, peaks.agent_before_mb, peaks.center_mb, peaks.center_before_mb
    );
}

fn lay(stage: &Stage, address: &str, mails: &[Vec<u8>]) -> anyhow::Result<()> {
    let office = stage.post_office.as_ref().context("the stage has a post office of its own")?;
    ensure!(
        stage.block_on(async { mails.iter().all(|mail| office.inject(address, mail)) }),
        "no mailbox {address}"
    );
    Ok(())
}

fn take(stage: &Stage, address: &str) -> anyhow::Result<()> {
    stage.post_office.as_ref().context("the stage has a post office of its own")?.take_mails(address);
    Ok(())
}

fn look_at_agent(stage: &Stage, peaks: &mut Peaks) -> anyhow::Result<()> {
    let site = stage.sites.first().context("the stage has a site")?;
    // It may not run yet.
    if let Ok(pid) = process(site, "mail-agent")
        && let Some(peak) = peak_mb(&pid.as_raw_nonzero().to_string())
    {
        if peaks.agent_before_mb == 0.0 {
            peaks.agent_before_mb = peak;
        }
        peaks.agent_mb = peaks.agent_mb.max(peak);
    }
    Ok(())
}

fn look_at_center(stage: &Stage, peaks: &mut Peaks) -> anyhow::Result<()> {
    if let Some(peak) = stage.center.daemon_id().and_then(|pid| peak_mb(&pid.to_string())) {
        if peaks.center_before_mb == 0.0 {
            peaks.center_before_mb = peak;
        }
        peaks.center_mb = peaks.center_mb.max(peak);
    }
    Ok(())
}

/// The most that a process has held, as the kernel counts it; `None` when it is gone.
pub(super) fn peak_mb(pid: &str) -> Option<f64> {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: usize = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(octets_f64(kib * 1024) / 1e6)
}

/// The peak of python reading the same mail and decoding its attachments, in MB.
fn python(stage: &Stage, mail: &[u8]) -> anyhow::Result<Option<f64>> {
    const SCRIPT: &str = "import email, email.policy, sys\n\
        with open(sys.argv[1], 'rb') as file:\n    mail = email.message_from_binary_file(file, policy=email.policy.default)\n\
        assert max(len(part.get_payload(decode=True) or b'') for part in mail.walk()) > 1000000\n\
        print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])\n";
    let file = stage.folder().join("order.eml");
    std::fs::write(&file, mail)?;
    let output = Program::new("python3").args(["-c", SCRIPT]).arg(&file).stdin(Stdio::null()).output();
    std::fs::remove_file(&file)?;
    let Ok(output) = output else { return Ok(None) };
    ensure!(output.status.success(), "python3: {}", String::from_utf8_lossy(&output.stderr));
    let kib: usize = String::from_utf8(output.stdout)?.trim().parse()?;
    Ok(Some(octets_f64(kib * 1024) / 1e6))
}
