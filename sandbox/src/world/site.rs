//! One customer's site: an appliance with its root and its processes.

use super::mail_site::MailSite;
use super::programs::{Programs, run};
use super::release::ReleaseFolder;
use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// By which protocol mail is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// POP3.
    Pop3,
    /// IMAP.
    Imap,
}

/// How an appliance is set up.
#[derive(Debug, Clone)]
pub struct SiteSettings {
    /// Its number, counted from 1: the mailbox follows from it.
    pub number: u32,
    /// The introduction file that the center wrote.
    pub introduction: PathBuf,
    /// By which protocol it fetches.
    pub fetch: Fetch,
    /// Its devices, each `HOST:PORT`.
    pub devices: Vec<String>,
    /// Its timers, in seconds.
    pub pace: Pace,
}

/// The timers that a demo or a test shortens, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Time between two looks for faults.
    pub fault_poll: u32,
    /// Time between two collections of counters.
    pub counter_collect: u32,
    /// Time between two looks for mail, also while waiting for a receipt.
    pub mail_poll: u32,
    /// How long an answer is waited for before a report is sent again.
    pub answer_wait: u32,
    /// Longest pause between two sendings of a report.
    pub resend_max: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { fault_poll: 1, counter_collect: 5, mail_poll: 1, answer_wait: 10, resend_max: 30 }
    }
}

/// Many boxes share one machine, and stories have their jams as often as they like.
const QUIET: &str = "\n[traps]\nreceive = false\n\n[faults]\nrecurring_calls_at = 0\nlasting_minutes = 0\nflapping_minutes = 0\n";

/// One appliance; its processes end with it.
#[derive(Debug)]
pub struct Site {
    programs: Programs,
    /// Its number, counted from 1.
    pub number: u32,
    /// Its root directory.
    pub root: PathBuf,
    supervisor: Option<Child>,
}

impl Site {
    /// A box on which nothing is set up yet; its root will be below `folder`.
    #[must_use]
    pub fn bare(programs: &Programs, folder: &Path, number: u32) -> Self {
        let root = folder.join(format!("site{number:02}"));
        Self { programs: programs.clone(), number, root, supervisor: None }
    }

    /// Sets an appliance up below `folder` with `monitor-appliance setup`.
    ///
    /// # Errors
    /// As `setup`.
    pub fn setup(
        programs: &Programs,
        folder: &Path,
        mail: &MailSite,
        release: &ReleaseFolder,
        settings: &SiteSettings,
    ) -> anyhow::Result<Self> {
        let site = Self::bare(programs, folder, settings.number);
        let password = folder.join(format!("password{:02}.txt", settings.number));
        write_secret(&password, &mail.password)?;
        let address = mail.agent_address(settings.number);
        let (flag, door) = match settings.fetch {
            Fetch::Pop3 => ("--pop3", mail.pop3),
            Fetch::Imap => ("--imap", mail.imap),
        };
        anyhow::ensure!(
            door.protection == mail.smtp.protection,
            "the sandbox sets appliances up with one protection for both servers"
        );
        let (smtp, server) = (mail.server(mail.smtp), mail.server(door));
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let (introduction, password, release) =
            (text(&settings.introduction), text(&password), text(&release.path));
        let mut arguments = vec![
            "setup",
            "--introduction",
            &introduction,
            "--smtp",
            &smtp,
            flag,
            &server,
            "--security",
            door.protection.as_str(),
            "--address",
            &address,
            "--user",
            &address,
            "--password-file",
            &password,
            "--from-release",
            &release,
        ];
        let ca_file = mail.ca_file.as_deref().map(text);
        if let Some(ca_file) = &ca_file {
            arguments.extend(["--ca-file", ca_file]);
        }
        for device in &settings.devices {
            arguments.extend(["--device", device]);
        }
        site.run(&arguments)?;
        site.set_pace(settings.pace)?;
        Ok(site)
    }

    /// Sets the timers of a box that was just set up.
    ///
    /// # Errors
    /// When its settings cannot be changed.
    pub fn set_pace(&self, pace: Pace) -> anyhow::Result<()> {
        let path = self.root.join("appliance.toml");
        let mut settings = std::fs::read_to_string(&path)?;
        anyhow::ensure!(!settings.contains("[timers]"), "setup wrote timers of its own");
        let Pace { fault_poll, counter_collect, mail_poll, answer_wait, resend_max } = pace;
        settings.push_str(&format!(
            "\n[timers]\nfault_poll_secs = {fault_poll}\ncounter_collect_secs = {counter_collect}\nmail_poll_secs = {mail_poll}\n\
             answer_poll_secs = {mail_poll}\nanswer_wait_secs = {answer_wait}\nresend_pause_max_secs = {resend_max}\nbackoff_first_secs = 1\nbackoff_max_secs = 2\n\
             heartbeat_secs = 1\nheartbeat_limit_secs = 20\n{QUIET}"
        ));
        Ok(std::fs::write(&path, settings)?)
    }

    /// Judges faults as an appliance does by default, and waits for traps at any free port of this machine. Before it is started.
    ///
    /// # Errors
    /// When its settings cannot be changed.
    pub fn hear_traps(&self) -> anyhow::Result<()> {
        let path = self.root.join("appliance.toml");
        let settings = std::fs::read_to_string(&path)?;
        anyhow::ensure!(settings.contains(QUIET), "the box is not set up as the sandbox does it");
        let heard = settings.replace(QUIET, "\n[traps]\naddress = \"127.0.0.1\"\nport = 0\n");
        Ok(std::fs::write(&path, heard)?)
    }

    /// Where it waits for traps, once it does.
    ///
    /// # Errors
    /// As `status`.
    pub fn trap_address(&self) -> anyhow::Result<Option<SocketAddr>> {
        let status = self.json(&["status"])?;
        let port = status.pointer("/traps/port").and_then(serde_json::Value::as_u64);
        let port = port.map(u16::try_from).transpose()?;
        Ok(port.map(|port| SocketAddr::from(([127, 0, 0, 1], port))))
    }

    /// The appliance's id as the center gave it.
    #[must_use]
    pub fn agent(&self) -> String {
        format!("AGENT{:07}", self.number)
    }

    /// Runs `monitor-appliance` on this root and gives its standard output.
    ///
    /// # Errors
    /// [`super::RunError`] inside when it ends with another code than 0.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let root = self.root.to_string_lossy();
        run(&self.programs.path("monitor-appliance"), &[&["--root", &root], arguments].concat())
    }

    /// The same with `--format json`.
    ///
    /// # Errors
    /// As [`Self::run`], and when no JSON is printed.
    pub fn json(&self, arguments: &[&str]) -> anyhow::Result<serde_json::Value> {
        let text = self.run(&[arguments, &["--format", "json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("{arguments:?} printed no JSON: {text}"))
    }

    /// Puts another release on the box, as a service person would with the programs on a stick. The appliance must not run.
    ///
    /// # Errors
    /// As `setup`.
    pub fn reinstall(&self, release: &ReleaseFolder) -> anyhow::Result<()> {
        self.run(&["setup", "--replace", "--from-release", &release.path.to_string_lossy()]).map(|_| ())
    }

    /// Starts the supervisor of the current release, which starts all else.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(self.root.join("log.txt"))?;
        let supervisor = Command::new(self.root.join("current/supervisor"))
            .args(["--root", &self.root.to_string_lossy()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start the supervisor of {}", self.root.display()))?;
        self.supervisor = Some(supervisor);
        Ok(())
    }

    /// Ends the appliance as a shutdown would.
    pub fn stop(&mut self) {
        if let Some(mut supervisor) = self.supervisor.take() {
            end(&mut supervisor);
        }
    }

    /// Kills the supervisor and every process that runs a program of this root, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut supervisor) = self.supervisor.take() {
            let _ = supervisor.kill();
            let _ = supervisor.wait();
        }
        for pid in self.processes() {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// The processes that were started with this root on their command line.
    #[must_use]
    pub fn processes(&self) -> Vec<Pid> {
        let root = self.root.as_os_str().as_encoded_bytes();
        let own = std::process::id();
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| u32::try_from(*pid).is_ok_and(|pid| pid != own))
            .filter(|pid| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                line.split(|octet| *octet == 0).any(|argument| argument == root)
            })
            .filter_map(Pid::from_raw)
            .collect()
    }

    /// What all its processes logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.root.join("log.txt")).unwrap_or_default()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop();
        self.kill();
    }
}

/// Asks a process to end, and kills it when it does not within ten seconds.
pub(super) fn end(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        if let Ok(Some(_)) = child.try_wait() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Writes a file that only its owner can read.
pub(super) fn write_secret(path: &Path, secret: &str) -> anyhow::Result<()> {
    let mut file = std::fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all(secret.as_bytes())?)
}
