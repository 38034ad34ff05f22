//! `flood`: one command amid 100,000 junk mails, and what they cost the appliance that has to find it.
//!
//! Half of the junk is ordinary, half looks like a message of ours down to the last octet but is sealed for somebody
//! else, which is as far as junk gets without a key. The command lies in the middle, the last place that is reached by a
//! reader who begins at both ends. The post office runs beside it on the same processor.

use super::footprint::process;
use super::{Figure, octets_f64};
use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::{Credential, Direction};
use mailfmt::envelope::{Addressee, Header, seal};
use mailfmt::mail::{Letter, compose};
use mailfmt::message::command::PingRequest;
use mailfmt::{AgentId, CenterId, Command, Message, MessageId};
use sandbox::post_office::PostOffice;
use sandbox::world::{Fetch, Part, Site, Stage, entries, eventually};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::{Command as Program, Stdio};
use std::time::{Duration, Instant};

const JUNK: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(1800);

const SECONDS_MAX: u32 = 300;
const RSS_MB_MAX: u32 = 40;
const DISK_MB_MAX: u32 = 20;

/// Measures by IMAP and by POP3, real processes against the sandbox's own post office.
///
/// # Errors
/// When the programs are missing, when the command is not carried out, or when junk is left.
pub(super) fn run(now: Timestamp) -> anyhow::Result<Vec<Figure>> {
    let junk = junk(now)?;
    let imap = flood(Fetch::Imap, &junk)?;
    let pop3 = flood(Fetch::Pop3, &junk)?;
    let beside = |run: &Flood| {
        let fetchmail = run.fetchmail.map_or_else(
            || "fetchmail is not installed".to_owned(),
            |time| {
                format!(
                    "fetchmail fetching {PEER_SHARE} of them into a file, times {}: {:.1} s",
                    JUNK / PEER_SHARE,
                    time * octets_f64(JUNK / PEER_SHARE)
                )
            },
        );
        format!(
            "limit: {SECONDS_MAX}; command done after {:.1} s; a bare reader that only counts the same octets: {:.1} s; {fetchmail}",
            run.command, run.bare
        )
    };
    let figure = |figure, value, unit, against| Figure { bench: "flood", figure, value, unit, against };
    Ok(vec![
        figure(
            "seconds",
            imap.seconds,
            "s until 100,000 junk mails are gone and the command amid them is done",
            beside(&imap),
        ),
        figure("pop3_seconds", pop3.seconds, "s, the same by POP3", beside(&pop3)),
        figure(
            "rss_mb",
            imap.rss_mb.max(pop3.rss_mb),
            "MB, the most that mail-agent ever held",
            format!("limit: {RSS_MB_MAX}; before the flood: {:.1} MB", imap.rss_before_mb),
        ),
        figure(
            "disk_mb",
            imap.disk_mb.max(pop3.disk_mb),
            "MB that store and log grew by at most",
            format!(
                "limit: {DISK_MB_MAX}; octets of junk: {:.0} MB",
                octets_f64(junk.iter().map(Vec::len).sum()) / 1e6
            ),
        ),
        figure("command_done", f64::from(imap.done.min(pop3.done)), "1: yes", "limit: 1".to_owned()),
    ])
}

/// Mails that fetchmail is given: all of them would take it too long.
const PEER_SHARE: usize = 10_000;

/// A few hundred different mails are enough: nothing on the way compares them.
fn junk(now: Timestamp) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut random = sandbox::random();
    let (agent, center) = (AgentId::new("AGENT0000001")?, CenterId::new("CENTER")?);
    let message = Message::Command(Command::Ping(PingRequest::default()));
    let mut mails = Vec::with_capacity(JUNK);
    let mut kinds = Vec::new();
    for number in 0..256u32 {
        // Right in everything but the key.
        let key = Credential::generate(&mut random).channel(Direction::ToAppliance, &agent, &center);
        let id = MessageId::generate(&mut random);
        let header =
            Header::new(&message, center.clone().into(), id, now, now + SignedDuration::from_hours(24));
        let sealed =
            seal(&header, &message, &[Addressee { key: &key, sequence: u64::from(number) }], &mut random)?;
        let letter = Letter {
            from: "center@center.example",
            to: Some("agent0001@site.example"),
            header: &header,
            date: header.created,
            sending: 1,
        };
        kinds.push(compose(&letter, &sealed));
        let text = format!("You have won prize number {number}. Answer at once to get it.\r\n").repeat(24);
        kinds.push(
            format!(
                "From: <winner{number}@lottery.example>\r\nTo: <agent0001@site.example>\r\nSubject: Prize {number}\r\n\
                 Message-ID: <{number}@lottery.example>\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n\r\n{text}"
            )
            .into_bytes(),
        );
    }
    mails.extend(kinds.iter().cycle().take(JUNK).cloned());
    Ok(mails)
}

/// What one flood cost.
struct Flood {
    seconds: f64,
    command: f64,
    bare: f64,
    fetchmail: Option<f64>,
    rss_mb: f64,
    rss_before_mb: f64,
    disk_mb: f64,
    done: u8,
}

fn flood(fetch: Fetch, junk: &[Vec<u8>]) -> anyhow::Result<Flood> {
    let mut stage = Stage::set(&[Part { fetch, ..Part::plain(1) }], None)?;
    let address = stage.mail.agent_address(1);
    let office = stage.post_office.as_ref().context("the stage has a post office of its own")?;
    let (bare, fetchmail) = peers(&stage, office, fetch, junk)?;

    let (front, behind) = junk.split_at(JUNK / 2);
    let lay =
        |mails: &[Vec<u8>]| stage.block_on(async { mails.iter().all(|mail| office.inject(&address, mail)) });
    ensure!(lay(front), "no mailbox {address}");
    stage.center.start()?;
    stage.center.run(&["ping", "--all"])?;
    eventually("the command in the appliance's mailbox", PATIENCE, || {
        let office = stage.post_office.as_ref().context("the post office runs")?;
        Ok((office.mailbox_len(&address) > front.len()).then_some(()))
    })?;
    let office = stage.post_office.as_ref().context("the stage has a post office of its own")?;
    let lay =
        |mails: &[Vec<u8>]| stage.block_on(async { mails.iter().all(|mail| office.inject(&address, mail)) });
    ensure!(lay(behind), "no mailbox {address}");

    let site = stage.site(1)?;
    let root = site.root.clone();
    let disk_before = disk(&root)?;
    let start = Instant::now();
    site.start()?;
    let site = stage.sites.first().context("the stage has a site")?;
    let mut cost = Cost::default();
    let mut command = None;
    eventually("the end of the flood", PATIENCE, || {
        cost.look(site, disk_before)?;
        if command.is_none() && answered(&stage)? {
            command = Some(start.elapsed());
        }
        let office = stage.post_office.as_ref().context("the post office runs")?;
        let left = office.mailbox_len(&address);
        Ok((command.is_some() && left == 0).then_some(()))
    })
    .with_context(|| stage.logs())?;
    let seconds = start.elapsed().as_secs_f64();
    cost.look(site, disk_before)?;
    let protocol = if fetch == Fetch::Imap { "IMAP" } else { "POP3" };
    eprintln!(
        "  {protocol}: {seconds:.1} s, {:.1} MB of memory, {:.1} MB of disk",
        cost.rss_mb, cost.disk_mb
    );
    Ok(Flood {
        seconds,
        command: command.unwrap_or_default().as_secs_f64(),
        bare,
        fetchmail,
        rss_mb: cost.rss_mb,
        rss_before_mb: cost.rss_before_mb.unwrap_or_default(),
        disk_mb: cost.disk_mb,
        done: u8::from(command.is_some()),
    })
}

/// Whether the center has the answer to its command.
fn answered(stage: &Stage) -> anyhow::Result<bool> {
    let reports = stage.center.json(&["reports", "--kind", "health"])?;
    Ok(entries(&reports).any(|report| report.get("in_reply_to").is_some_and(Value::is_string)))
}

#[derive(Default)]
struct Cost {
    rss_mb: f64,
    rss_before_mb: Option<f64>,
    disk_mb: f64,
}

impl Cost {
    fn look(&mut self, site: &Site, disk_before: u64) -> anyhow::Result<()> {
        let grown = disk(&site.root)?.saturating_sub(disk_before);
        self.disk_mb = self.disk_mb.max(megabytes(grown)?);
        // It may not run yet.
        if let Ok(pid) = process(site, "mail-agent") {
            let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib: u64 = line.map_or("0", |line| line.trim().trim_end_matches(" kB")).parse()?;
            let peak = megabytes(kib * 1024)?;
            self.rss_before_mb.get_or_insert(peak);
            self.rss_mb = self.rss_mb.max(peak);
        }
        Ok(())
    }
}

fn megabytes(octets: u64) -> anyhow::Result<f64> {
    Ok(octets_f64(usize::try_from(octets)?) / 1e6)
}

/// Octets on the disk below a folder. A file that goes meanwhile takes none.
fn disk(folder: &Path) -> anyhow::Result<u64> {
    let mut octets = 0;
    for entry in std::fs::read_dir(folder)?.flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        octets += if metadata.is_dir() { disk(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(octets)
}

/// How long a bare reader takes for all of it, and fetchmail for its share, from a mailbox of their own.
fn peers(
    stage: &Stage,
    office: &PostOffice,
    fetch: Fetch,
    junk: &[Vec<u8>],
) -> anyhow::Result<(f64, Option<f64>)> {
    let mail = &stage.mail;
    let bare_user = "bare@site.example";
    office.add_mailbox(bare_user, "secret");
    let lay = |user, mails: &[Vec<u8>]| {
        stage.block_on(async { mails.iter().all(|mail| office.inject(user, mail)) })
    };
    ensure!(lay(bare_user, junk), "no mailbox {bare_user}");
    let ports = office.ports();
    let start = Instant::now();
    match fetch {
        Fetch::Imap => bare_imap(ports.imap, bare_user)?,
        Fetch::Pop3 => bare_pop3(ports.pop3, bare_user)?,
    }
    let bare = start.elapsed().as_secs_f64();
    let peer_user = "peer@site.example";
    office.add_mailbox(peer_user, "secret");
    let share = junk.get(..PEER_SHARE).unwrap_or(junk);
    ensure!(lay(peer_user, share), "no mailbox {peer_user}");
    let (protocol, port) = match fetch {
        Fetch::Imap => ("imap", ports.imap),
        Fetch::Pop3 => ("pop3", ports.pop3),
    };
    let settings = format!(
        "poll {host} service {port} protocol {protocol} auth password\n  username \"{peer_user}\" password \"secret\" \
         is \"agent\" here\n  fetchall nokeep norewrite sslproto '' expunge 500 bsmtp \"{folder}/stored\"\n",
        host = mail.host,
        folder = stage.folder().display(),
    );
    let fetchmail = fetchmail(stage.folder(), &settings)?;
    if fetchmail.is_some() {
        let left = office.mailbox_len(peer_user);
        ensure!(left == 0, "fetchmail left {left} mails");
    }
    Ok((bare, fetchmail))
}

fn fetchmail(folder: &Path, settings: &str) -> anyhow::Result<Option<f64>> {
    let file = folder.join("fetchmailrc");
    let mut options = std::fs::OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&file)?
        .write_all(settings.as_bytes())?;
    let start = Instant::now();
    let output = Program::new("fetchmail")
        .args(["--nosyslog", "--silent", "--fetchmailrc"])
        .arg(&file)
        .env("FETCHMAILHOME", folder)
        .env("HOME", folder)
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else { return Ok(None) };
    ensure!(output.status.success(), "fetchmail: {}", String::from_utf8_lossy(&output.stderr));
    Ok(Some(start.elapsed().as_secs_f64()))
}

fn dial(port: u16) -> anyhow::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(BufReader::with_capacity(256 << 10, stream))
}

fn line(stream: &mut BufReader<TcpStream>) -> anyhow::Result<Vec<u8>> {
    let mut line = Vec::new();
    ensure!(stream.read_until(b'\n', &mut line)? > 0, "the post office hung up");
    Ok(line)
}

/// All mails by one FETCH, only counted.
fn bare_imap(port: u16, user: &str) -> anyhow::Result<()> {
    let mut stream = dial(port)?;
    line(&mut stream)?;
    for command in [&format!("a LOGIN {user} secret\r\n"), "a SELECT INBOX\r\n"] {
        stream.get_mut().write_all(command.as_bytes())?;
        while !line(&mut stream)?.starts_with(b"a ") {}
    }
    stream.get_mut().write_all(b"f UID FETCH 1:* (UID BODY.PEEK[])\r\n")?;
    let mut counted = 0;
    loop {
        let head = line(&mut stream)?;
        if head.starts_with(b"f ") {
            ensure!(counted == JUNK, "{counted} mails came");
            return Ok(());
        }
        let head = head.trim_ascii_end();
        if let Some(size) =
            head.strip_suffix(b"}").and_then(|head| head.rsplit(|octet| *octet == b'{').next())
        {
            let size: u64 = std::str::from_utf8(size)?.parse()?;
            std::io::copy(&mut stream.by_ref().take(size), &mut std::io::sink())?;
            counted += 1;
        }
    }
}

/// All mails by pipelined RETR, only counted.
fn bare_pop3(port: u16, user: &str) -> anyhow::Result<()> {
    const WINDOW: usize = 128;
    let mut stream = dial(port)?;
    line(&mut stream)?;
    for command in [format!("USER {user}\r\n"), "PASS secret\r\n".to_owned()] {
        stream.get_mut().write_all(command.as_bytes())?;
        line(&mut stream)?;
    }
    for first in (1..=JUNK).step_by(WINDOW) {
        let until = JUNK.min(first + WINDOW - 1);
        let commands: String = (first..=until).map(|number| format!("RETR {number}\r\n")).collect();
        stream.get_mut().write_all(commands.as_bytes())?;
        for _ in first..=until {
            ensure!(line(&mut stream)?.starts_with(b"+OK"), "a mail is missing");
            while line(&mut stream)? != b".\r\n" {}
        }
    }
    Ok(())
}
