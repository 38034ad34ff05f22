//! One center: its home and its daemon.

use super::mail_site::{Door, MailSite};
use super::programs::{Programs, run};
use super::site::{Fetch, end};
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A center with a home of its own; its daemon ends with it.
#[derive(Debug)]
pub struct Center {
    program: PathBuf,
    home: PathBuf,
    log: PathBuf,
    daemon: Option<Child>,
}

impl Center {
    /// Makes its home in `folder` with `center-manager init`.
    ///
    /// # Errors
    /// As `init`.
    pub fn init(programs: &Programs, folder: &Path, mail: &MailSite, fetch: Fetch) -> anyhow::Result<Self> {
        Self::init_home(programs, folder, &folder.join("center"), mail, fetch)
    }

    /// The same with its home at a place of its own; its password file and its log go into `folder`.
    ///
    /// # Errors
    /// As `init`.
    pub fn init_home(
        programs: &Programs,
        folder: &Path,
        home: &Path,
        mail: &MailSite,
        fetch: Fetch,
    ) -> anyhow::Result<Self> {
        let password = folder.join("password.txt");
        super::site::write_secret(&password, &mail.password)?;
        let (flag, door): (_, Door) = match fetch {
            Fetch::Pop3 => ("--pop3", mail.pop3),
            Fetch::Imap => ("--imap", mail.imap),
        };
        let center = Self {
            program: programs.path("center-manager"),
            home: home.to_owned(),
            log: folder.join("center.log"),
            daemon: None,
        };
        let (smtp, server) = (mail.server(mail.smtp), mail.server(door));
        let address = mail.center_address();
        let password = password.to_string_lossy();
        let mut arguments = vec![
            "init",
            "--address",
            &address,
            "--password-file",
            &password,
            "--smtp",
            &smtp,
            "--smtp-security",
            mail.smtp.protection.as_str(),
            flag,
            &server,
            "--security",
            door.protection.as_str(),
            "--poll-secs",
            "1",
        ];
        let ca_file = mail.ca_file.as_ref().map(|path| path.to_string_lossy().into_owned());
        if let Some(ca_file) = &ca_file {
            arguments.extend(["--ca-file", ca_file]);
        }
        center.run(&arguments)?;
        Ok(center)
    }

    /// Its home.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Runs one of its commands and gives its standard output.
    ///
    /// # Errors
    /// [`super::RunError`] inside when it ends with another code than 0.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let home = self.home.to_string_lossy();
        run(&self.program, &[&["--home", &home, "--log", "warn"], arguments].concat())
    }

    /// Runs one of its commands with `--format json` and reads what it prints.
    ///
    /// # Errors
    /// As [`Self::run`], and when it prints no JSON.
    pub fn json(&self, arguments: &[&str]) -> anyhow::Result<serde_json::Value> {
        let text = self.run(&[arguments, &["--format", "json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("{arguments:?} printed no JSON: {text}"))
    }

    /// Builds and signs a package of the release in folder `to`, with only what differs from the one in `from` if there is
    /// one; its id.
    ///
    /// # Errors
    /// As `package build`.
    pub fn build_package(&self, to: &Path, from: Option<&Path>, further: &[&str]) -> anyhow::Result<String> {
        let (to, from) = (to.to_string_lossy(), from.map(Path::to_string_lossy));
        let mut arguments = vec!["package", "build", "--sign", "--release", &to];
        arguments.extend(from.iter().flat_map(|from| ["--from-release", from.as_ref()]));
        let built = self.json(&[&arguments, further].concat())?;
        let id = built.get("id").and_then(serde_json::Value::as_str);
        Ok(id.context("`package build` names no id")?.to_owned())
    }

    /// Starts a rollout of a package, with the arguments that say to whom and how; what is printed.
    ///
    /// # Errors
    /// As `rollout start`.
    pub fn roll_out(&self, package: &str, whom_and_how: &[&str]) -> anyhow::Result<String> {
        self.run(&[&["rollout", "start", "--yes", "--package", package], whom_and_how].concat())
    }

    /// Starts the daemon; its log goes into a file beside the home.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(&self.log)?;
        let daemon = Command::new(&self.program)
            .args(["--home", &self.home.to_string_lossy(), "--log", "info", "serve"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start the center's daemon")?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// The daemon's process, while it runs.
    #[must_use]
    pub fn daemon_id(&self) -> Option<u32> {
        self.daemon.as_ref().map(Child::id)
    }

    /// Ends the daemon as a service manager would.
    pub fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            end(&mut daemon);
        }
    }

    /// Kills the daemon as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }

    /// What the daemon logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Center {
    fn drop(&mut self) {
        self.stop();
    }
}
