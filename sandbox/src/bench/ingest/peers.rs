//! What stands beside our figures: bare readers that count mails as fast as the protocol allows, and fetchmail, which
//! stores them.

use super::site::{MailSite, Mailbox};
use anyhow::{Context as _, bail, ensure};
use mailbox::{Protocol, Security};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Commands on their way at one time.
const WINDOW: usize = 128;

/// Longer than any step of a bench takes; a server that hangs must not hang the bench.
const SILENCE: Duration = Duration::from_secs(60);

/// fetchmail's name and version.
///
/// # Errors
/// When it is not installed.
pub(super) fn fetchmail_version() -> anyhow::Result<String> {
    let missing = "fetchmail is the peer of this bench; install it: apt-get install fetchmail";
    let output = Command::new("fetchmail").arg("--version").stdin(Stdio::null()).output().context(missing)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_ascii_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let version = version.context(missing)?;
    Ok(format!("fetchmail {}", version.split('+').next().unwrap_or(version)))
}

struct Line {
    stream: BufReader<TcpStream>,
    line: Vec<u8>,
}

impl Line {
    fn dial(site: &MailSite, fetch: Protocol) -> anyhow::Result<Self> {
        let stream = TcpStream::connect((site.host()?, site.port(fetch, Security::Plain)?))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        let mut this = Self { stream: BufReader::with_capacity(256 << 10, stream), line: Vec::new() };
        this.read()?;
        Ok(this)
    }

    fn send(&mut self, commands: &str) -> anyhow::Result<()> {
        Ok(self.stream.get_mut().write_all(commands.as_bytes())?)
    }

    /// The next line with its end.
    fn read(&mut self) -> anyhow::Result<&[u8]> {
        self.line.clear();
        ensure!(self.stream.read_until(b'\n', &mut self.line)? > 0, "the mail server hung up");
        Ok(&self.line)
    }

    fn pop3(site: &MailSite, mailbox: &Mailbox) -> anyhow::Result<Self> {
        let mut line = Self::dial(site, Protocol::Pop3)?;
        line.ask_pop3(&format!("USER {}\r\n", mailbox.user))?;
        line.ask_pop3(&format!("PASS {}\r\n", site.password))?;
        Ok(line)
    }

    fn ask_pop3(&mut self, command: &str) -> anyhow::Result<String> {
        self.send(command)?;
        let reply = String::from_utf8_lossy(self.read()?).into_owned();
        ensure!(reply.starts_with("+OK"), "POP3 server: {reply}");
        Ok(reply)
    }

    fn imap(site: &MailSite, mailbox: &Mailbox) -> anyhow::Result<Self> {
        let mut line = Self::dial(site, Protocol::Imap)?;
        line.ask_imap(&format!("LOGIN {} {}", mailbox.user, site.password))?;
        line.ask_imap("SELECT INBOX")?;
        Ok(line)
    }

    fn ask_imap(&mut self, command: &str) -> anyhow::Result<()> {
        self.send(&format!("t {command}\r\n"))?;
        while !self.read()?.starts_with(b"t ") {}
        ensure!(self.line.starts_with(b"t OK"), "IMAP server: {}", String::from_utf8_lossy(&self.line));
        Ok(())
    }
}

/// Mails in the mailbox, by POP3.
pub(in super::super) fn waiting(site: &MailSite, mailbox: &Mailbox) -> anyhow::Result<usize> {
    let mut line = Line::pop3(site, mailbox)?;
    let reply = line.ask_pop3("STAT\r\n")?;
    line.ask_pop3("QUIT\r\n")?;
    let count = reply.split_ascii_whitespace().nth(1).context("STAT tells no number")?;
    Ok(count.parse()?)
}

/// Lets Dovecot take up what lies in a mailbox, by both protocols.
pub(in super::super) fn warm(site: &MailSite, mailbox: &Mailbox) -> anyhow::Result<()> {
    waiting(site, mailbox)?;
    let mut line = Line::imap(site, mailbox)?;
    line.ask_imap("UID FETCH 1:* (UID RFC822.SIZE)")?;
    line.ask_imap("LOGOUT")
}

/// Reads all mails by pipelined RETR and only counts their final dots; from the login to the last dot.
pub(super) fn bare_pop3(site: &MailSite, mailbox: &Mailbox, mails: usize) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let mut line = Line::pop3(site, mailbox)?;
    let mut asked = 0;
    for done in 0..mails {
        if asked - done <= WINDOW / 2 && asked < mails {
            let until = mails.min(done + WINDOW);
            let mut commands = String::new();
            for number in asked + 1..=until {
                write!(commands, "RETR {number}\r\n")?;
            }
            line.send(&commands)?;
            asked = until;
        }
        ensure!(line.read()?.starts_with(b"+OK"), "no mail {} in the mailbox", done + 1);
        while line.read()? != b".\r\n" {}
    }
    // No QUIT: it would mark the mails as seen, and the next run would find another mailbox.
    Ok(start.elapsed())
}

/// Reads all mails by one FETCH and only counts them; from the login to the end of the reply.
pub(in super::super) fn bare_imap(
    site: &MailSite,
    mailbox: &Mailbox,
    mails: usize,
) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let mut line = Line::imap(site, mailbox)?;
    line.send("f UID FETCH 1:* (UID BODY.PEEK[])\r\n")?;
    let mut counted = 0;
    let mut mail = Vec::new();
    loop {
        let head = line.read()?;
        if head.starts_with(b"f ") {
            ensure!(head.starts_with(b"f OK") && counted == mails, "{counted} of {mails} mails came");
            return Ok(start.elapsed());
        }
        let head = head.trim_ascii_end();
        if let Some(literal) =
            head.strip_suffix(b"}").and_then(|head| head.rsplit(|octet| *octet == b'{').next())
        {
            mail.resize(std::str::from_utf8(literal)?.parse()?, 0);
            line.stream.read_exact(&mut mail)?;
            counted += 1;
        }
    }
}

/// Lets fetchmail fetch all mails into one file (it does not sync it) and delete them.
pub(super) fn fetchmail(
    site: &MailSite,
    mailbox: &Mailbox,
    folder: &Path,
    fetch: Protocol,
    mails: usize,
) -> anyhow::Result<Duration> {
    let folder = tempfile::Builder::new().prefix("fetchmail.").tempdir_in(folder)?;
    let (settings, stored) = (folder.path().join("fetchmailrc"), folder.path().join("stored"));
    let protocol = match fetch {
        Protocol::Pop3 => "pop3",
        Protocol::Imap => "imap",
    };
    // Without `sslproto ''` it would go over to TLS by itself; without `expunge` it would expunge after every mail.
    let text = format!(
        "poll {host} service {port} protocol {protocol} auth password\n  \
         username \"{user}\" password \"{password}\" is \"center\" here\n  \
         fetchall nokeep norewrite sslproto '' expunge 500 bsmtp \"{stored}\"\n",
        host = site.host()?,
        port = site.port(fetch, Security::Plain)?,
        user = mailbox.user,
        password = site.password,
        stored = stored.display(),
    );
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(&settings)?.write_all(text.as_bytes())?;
    let start = Instant::now();
    let output = Command::new("fetchmail")
        .args(["--nosyslog", "--silent", "--fetchmailrc"])
        .arg(&settings)
        .env("FETCHMAILHOME", folder.path())
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .output()?;
    let time = start.elapsed();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("fetchmail failed: {} {}", output.status, said.chars().take(2000).collect::<String>());
    }
    let stored = std::fs::read(&stored)?;
    let count = stored.split(|octet| *octet == b'\n').filter(|line| line.starts_with(b"MAIL FROM:")).count();
    ensure!(count == mails, "fetchmail stored {count} of {mails} mails");
    let left = waiting(site, mailbox)?;
    ensure!(left == 0, "fetchmail left {left} mails in the mailbox");
    Ok(time)
}
