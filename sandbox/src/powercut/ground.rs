//! Where the power is cut: a stage whose center and sites were set up and have spoken with each other, and a folder with
//! room for many copies of them.

use super::{PowerError, Shim};
use crate::post_office::{self, PostOffice};
use crate::world::{Door, MailSite, Pace, Part, Protection, Stage};
use anyhow::Context as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Folder in memory, where syncing costs nothing: what is lost with the power is the library's to say.
const MEMORY: &str = "/dev/shm";

/// Octets that must be free there: half a dozen appliances with three releases each, and their packages.
const ROOM: u64 = 6 << 30;

/// Octets of a mail at most: a package of all programs, built without care for its size.
const MAIL_OCTETS_MAX: usize = 64 << 20;

/// The password of every mailbox.
const PASSWORD: &str = "a password of the bench";

/// A stage, a post office without TLS (a handshake per visit would take half of the time), and room.
pub(super) struct Ground {
    pub(super) stage: Stage,
    pub(super) shim: Shim,
    pub(super) office: PostOffice,
    pub(super) folder: PathBuf,
    _room: TempDir,
    _runtime: Runtime,
}

impl Ground {
    /// Sets `sites` sites up, each with one printer, and waits until the center has heard from all and all reports have
    /// their receipts. In the end neither center nor sites run.
    pub(super) fn prepare(sites: u32) -> anyhow::Result<Self> {
        let room = room()?;
        let runtime = Runtime::new().context("cannot start the async runtime")?;
        let office = runtime.block_on(open_office())?;
        let mail = mail_site(&office, sites);
        let cast: Vec<Part> = (1..=sites).map(part).collect();
        let mut stage = Stage::set(&cast, Some(mail))?;
        let settings = stage.center.home().join("center.toml");
        let text = std::fs::read_to_string(&settings)?;
        std::fs::write(&settings, format!("retry_pause_secs = 1\nretry_pause_max_secs = 2\n{text}"))?;
        stage.start()?;
        let heard = stage.hear_from_all().and_then(|()| {
            (1..=sites).try_for_each(|number| {
                crate::world::eventually("receipts for all reports", crate::world::PATIENCE, || {
                    Ok((stage.unreceipted(number)? == 0).then_some(()))
                })
            })
        });
        heard.with_context(|| stage.logs())?;
        stage.sites.iter_mut().for_each(crate::world::Site::stop);
        stage.center.stop();
        let shim = Shim::compile(room.path())?;
        let folder = room.path().canonicalize()?;
        Ok(Self { stage, shim, office, folder, _room: room, _runtime: runtime })
    }

    /// Keeps the folder, for somebody who looks for what went wrong.
    pub(super) fn keep(&mut self) {
        self._room.disable_cleanup(true);
    }
}

/// A site that is quick in all it does.
fn part(number: u32) -> Part {
    let pace = Pace { fault_poll: 3, answer_wait: 3, resend_max: 4, counter_collect: 60, ..Pace::default() };
    Part { pace, fetch: crate::world::Fetch::Pop3, ..Part::plain(number) }
}

/// A post office with room for large mails. Must be called within a tokio runtime.
pub(super) async fn open_office() -> anyhow::Result<PostOffice> {
    let settings = post_office::Settings { size_limit: MAIL_OCTETS_MAX, ..post_office::Settings::default() };
    Ok(PostOffice::start(settings).await?)
}

/// The post office as a mail server for a center and `sites` sites, with their mailboxes.
pub(super) fn mail_site(office: &PostOffice, sites: u32) -> MailSite {
    let ports = office.ports();
    let door = |port| Door { port, protection: Protection::Plain };
    let site = MailSite {
        host: "127.0.0.1".to_owned(),
        smtp: door(ports.smtp),
        pop3: door(ports.pop3),
        imap: door(ports.imap),
        ca_file: None,
        site_domain: "site.example".to_owned(),
        center_domain: "center.example".to_owned(),
        password: PASSWORD.to_owned(),
    };
    office.add_mailbox(&site.center_address(), PASSWORD);
    (1..=sites).for_each(|number| office.add_mailbox(&site.agent_address(number), PASSWORD));
    site
}

/// A temporary folder in memory where there is room and programs may be run from it, else wherever temporary files go.
pub(super) fn room() -> anyhow::Result<TempDir> {
    let make = |builder: &mut tempfile::Builder<'_, '_>, folder: Option<&Path>| match folder {
        Some(folder) => builder.tempdir_in(folder),
        None => builder.tempdir(),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix("power-cuts.");
    let roomy =
        rustix::fs::statvfs(MEMORY).is_ok_and(|about| about.f_bavail.saturating_mul(about.f_frsize) >= ROOM);
    if roomy
        && let Ok(folder) = make(&mut builder, Some(Path::new(MEMORY)))
        && runs_programs(folder.path())
    {
        return Ok(folder);
    }
    make(&mut builder, None).context("cannot make a temporary folder")
}

/// A file system may be mounted so that no program on it can be run.
fn runs_programs(folder: &Path) -> bool {
    let program = folder.join("program");
    let run = || -> std::io::Result<bool> {
        std::fs::write(&program, "#!/bin/sh\nexit 0\n")?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
        Ok(std::process::Command::new(&program).status()?.success())
    };
    run().unwrap_or(false)
}

/// Copies a tree. Entries of `from` named in `shared`, and all that is below them, become further names of the same files:
/// nothing writes into them in place.
pub(super) fn copy_tree(from: &Path, to: &Path, shared: &[&str]) -> Result<(), PowerError> {
    copy(from, to, shared, false)
}

fn copy(from: &Path, to: &Path, shared: &[&str], all: bool) -> Result<(), PowerError> {
    let io = |source| PowerError::Io { path: from.to_owned(), source };
    std::fs::create_dir_all(to).map_err(io)?;
    std::fs::set_permissions(to, from.metadata().map_err(io)?.permissions()).map_err(io)?;
    for entry in std::fs::read_dir(from).map_err(io)? {
        let entry = entry.map_err(io)?;
        let (old, new) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(io)?;
        let link = all || shared.iter().any(|shared| entry.file_name() == *shared);
        if kind.is_dir() {
            copy(&old, &new, &[], link)?;
        } else if kind.is_symlink() {
            let target = std::fs::read_link(&old).map_err(io)?;
            std::os::unix::fs::symlink(target, &new).map_err(io)?;
        } else if kind.is_file() && (!link || std::fs::hard_link(&old, &new).is_err()) {
            std::fs::copy(&old, &new).map_err(io)?;
        }
    }
    Ok(())
}
