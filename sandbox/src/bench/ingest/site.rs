//! The real mail site of `scripts/mailserver`, stopped again on every way out.

use anyhow::{Context as _, bail};
use mailbox::{Protocol, Security};
use sandbox::world::{self, Door, Protection};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tokio::signal::unix::{SignalKind, signal};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/mailserver");
/// The script's word for "cannot run on this machine".
const CANNOT_RUN: i32 = 3;

/// A running Postfix and Dovecot.
pub(in super::super) struct MailSite {
    root: PathBuf,
    values: BTreeMap<String, String>,
    /// The password of every mailbox.
    pub(in super::super) password: String,
}

/// A mailbox of the site.
pub(in super::super) struct Mailbox {
    /// Login name, which is its address.
    pub(in super::super) user: String,
    /// Its Maildir on the disk.
    pub(in super::super) maildir: PathBuf,
}

impl MailSite {
    /// Starts a site with so many mailboxes below `root`; installs Debian's packages where they are missing. `further` are
    /// flags of the script.
    ///
    /// # Errors
    /// When it cannot run here, or does not start; the script's own words are on standard error.
    pub(in super::super) fn start(
        root: &Path,
        mailboxes: usize,
        further: &[&str],
        runtime: &tokio::runtime::Runtime,
    ) -> anyhow::Result<Self> {
        // From here on there is something to stop, also when the person at the keyboard has had enough.
        let mut site = Self { root: root.into(), values: BTreeMap::new(), password: String::new() };
        stop_at_signals(root, runtime)?;
        let status = Command::new(SCRIPT)
            .args(["start", "--install", "--users", &mailboxes.to_string(), "--root"])
            .arg(root)
            .args(further)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .with_context(|| format!("cannot run {SCRIPT}"))?;
        match status.code() {
            Some(0) => {}
            Some(CANNOT_RUN) => bail!("skipped: a real mail site cannot run on this machine (reason above)"),
            _ => bail!("the mail site did not start: {status}"),
        }
        let text =
            std::fs::read_to_string(root.join("env")).context("the mail site tells nothing of itself")?;
        site.values = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        site.password = site.value("PASSWORD")?.to_owned();
        Ok(site)
    }

    fn value(&self, key: &str) -> anyhow::Result<&str> {
        let key = format!("MAILSERVER_{key}");
        self.values.get(&key).map(String::as_str).with_context(|| format!("the mail site tells no {key}"))
    }

    /// The address of its servers.
    pub(in super::super) fn host(&self) -> anyhow::Result<&str> {
        self.value("HOST")
    }

    /// The port of one of its servers.
    pub(in super::super) fn port(&self, fetch: Protocol, security: Security) -> anyhow::Result<u16> {
        let key = match (fetch, security) {
            (Protocol::Pop3, Security::Tls) => "POP3S_PORT",
            (Protocol::Pop3, _) => "POP3_PORT",
            (Protocol::Imap, Security::Tls) => "IMAPS_PORT",
            (Protocol::Imap, _) => "IMAP_PORT",
        };
        Ok(self.value(key)?.parse()?)
    }

    /// The port of its submission server.
    pub(in super::super) fn smtp_port(&self) -> anyhow::Result<u16> {
        Ok(self.value("SMTP_PORT")?.parse()?)
    }

    /// The port of its submission server with TLS from the first octet.
    pub(in super::super) fn smtps_port(&self) -> anyhow::Result<u16> {
        Ok(self.value("SMTPS_PORT")?.parse()?)
    }

    /// As the programs of the sandbox's world are set up with it.
    pub(in super::super) fn as_world(&self) -> anyhow::Result<world::MailSite> {
        let door = |key| -> anyhow::Result<Door> {
            Ok(Door { port: self.value(key)?.parse()?, protection: Protection::Tls })
        };
        Ok(world::MailSite {
            host: self.host()?.to_owned(),
            smtp: door("SMTPS_PORT")?,
            pop3: door("POP3S_PORT")?,
            imap: door("IMAPS_PORT")?,
            ca_file: Some(self.ca_file()?),
            site_domain: self.value("SITE_DOMAIN")?.to_owned(),
            center_domain: self.value("CENTER_DOMAIN")?.to_owned(),
            password: self.password.clone(),
        })
    }

    /// The certificate of its authority, PEM.
    pub(in super::super) fn ca_file(&self) -> anyhow::Result<PathBuf> {
        Ok(self.value("CA")?.into())
    }

    /// All mailboxes of the site's domain.
    pub(in super::super) fn mailboxes(&self) -> anyhow::Result<Vec<Mailbox>> {
        let domain = self.value("SITE_DOMAIN")?;
        let folder = Path::new(self.value("MAILDIRS")?).join(domain);
        let mailbox = |number| {
            let name = format!("agent{number:04}");
            Mailbox { user: format!("{name}@{domain}"), maildir: folder.join(name).join("Maildir") }
        };
        Ok((1..=self.value("USERS")?.parse::<u32>()?).map(mailbox).collect())
    }
}

impl Drop for MailSite {
    fn drop(&mut self) {
        stop(&self.root);
    }
}

fn stop(root: &Path) {
    if !root.join(".mailsite").exists() {
        return;
    }
    let stopped = Command::new(SCRIPT).args(["stop", "--root"]).arg(root).stdin(Stdio::null()).status();
    if !stopped.as_ref().is_ok_and(std::process::ExitStatus::success) {
        eprintln!("the mail site below {} could not be stopped: {stopped:?}", root.display());
    }
}

/// Other temporary files of the bench may stay behind then; servers may not.
fn stop_at_signals(root: &Path, runtime: &tokio::runtime::Runtime) -> anyhow::Result<()> {
    let _entered = runtime.enter();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let root = root.to_owned();
    runtime.spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        stop(&root);
        std::process::exit(130);
    });
    Ok(())
}
