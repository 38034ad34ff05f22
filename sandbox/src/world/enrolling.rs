//! Enrolling boxes with codes, as a dealer and a service person would.

use super::mail_site::MailSite;
use super::site::{Fetch, Pace, Site, write_secret};
use super::stage::Stage;
use anyhow::Context as _;
use serde_json::Value;

/// What stands on the sheet that the dealer prints.
#[derive(Debug, Clone)]
pub struct Paper {
    /// The number of the code, as the center lists it.
    pub id: String,
    /// The code.
    pub code: String,
    /// The center's mail address.
    pub center_address: String,
}

/// A box that is to be enrolled.
#[derive(Debug, Clone)]
pub struct NewBox {
    /// Its number, counted from 1: the mailbox follows from it.
    pub number: u32,
    /// What tells it from other boxes.
    pub machine: String,
    /// By which protocol it fetches mail.
    pub fetch: Fetch,
    /// Where it looks for devices; nowhere if empty.
    pub ranges: Vec<String>,
    /// How long its person waits for the center, in seconds.
    pub wait: u32,
    /// Further flags, such as `--replace`.
    pub further: Vec<String>,
}

impl NewBox {
    /// A box with its own hardware and no devices, that fetches by IMAP, whose person has patience.
    #[must_use]
    pub fn plain(number: u32) -> Self {
        Self {
            number,
            machine: format!("{number:02}").repeat(32),
            fetch: Fetch::Imap,
            ranges: Vec::new(),
            wait: 120,
            further: Vec::new(),
        }
    }
}

impl Stage {
    /// Issues a code; `further` are flags of `center-manager enrol issue`.
    ///
    /// # Errors
    /// As the command.
    pub fn issue(&self, further: &[&str]) -> anyhow::Result<Paper> {
        let customer: &[&str] =
            if further.contains(&"--customer") { &[] } else { &["--customer", "a customer"] };
        let issued = self.center.json(&[&["enrol", "issue"], customer, further].concat())?;
        let text = |name: &str| {
            let value = issued.get(name).and_then(Value::as_str);
            Ok::<_, anyhow::Error>(
                value.with_context(|| format!("`enrol issue` names no {name}"))?.to_owned(),
            )
        };
        Ok(Paper { id: text("id")?, code: text("code")?, center_address: text("center_address")? })
    }

    /// A box on which nothing is set up yet.
    #[must_use]
    pub fn new_box(&self, number: u32) -> Site {
        Site::bare(&self.programs, self.folder(), number)
    }

    /// Runs `monitor-appliance enrol` on a box; gives what it prints. Sets the timers of a box that is enrolled.
    ///
    /// # Errors
    /// [`super::RunError`] inside when it ends with another code than 0.
    pub fn enrol(&self, site: &Site, new: &NewBox, paper: &Paper) -> anyhow::Result<Value> {
        let folder = self.folder();
        let (code, password) = (
            folder.join(format!("code{:02}.txt", new.number)),
            folder.join(format!("password{:02}.txt", new.number)),
        );
        write_secret(&code, &paper.code)?;
        write_secret(&password, &self.mail.password)?;
        let release = self.first_release.path.to_string_lossy().into_owned();
        let mut arguments: Vec<String> =
            ["enrol", "--no-questions", "--look-every", "200", "--from-release"].map(str::to_owned).to_vec();
        arguments.extend([release, "--machine".to_owned(), new.machine.clone()]);
        arguments.extend(["--code-file".to_owned(), code.to_string_lossy().into_owned()]);
        arguments.extend(["--password-file".to_owned(), password.to_string_lossy().into_owned()]);
        arguments.extend(["--center-address".to_owned(), paper.center_address.clone()]);
        arguments.extend(["--wait".to_owned(), new.wait.to_string()]);
        arguments.extend(account_flags(&self.mail, new.number, new.fetch));
        for range in &new.ranges {
            arguments.extend(["--range".to_owned(), range.clone()]);
        }
        if new.ranges.is_empty() {
            arguments.push("--no-scan".to_owned());
        }
        arguments.extend(new.further.iter().cloned());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let first_time = !site.root.join("appliance.toml").exists();
        let enrolled = site.json(&arguments)?;
        if first_time {
            site.set_pace(Pace::default())?;
        }
        Ok(enrolled)
    }
}

/// The flags that name the mailbox of one site.
fn account_flags(mail: &MailSite, number: u32, fetch: Fetch) -> Vec<String> {
    let (flag, door) = match fetch {
        Fetch::Pop3 => ("--pop3", mail.pop3),
        Fetch::Imap => ("--imap", mail.imap),
    };
    let address = mail.agent_address(number);
    let mut flags: Vec<String> = [
        "--address",
        &address,
        "--user",
        &address,
        "--smtp",
        &mail.server(mail.smtp),
        flag,
        &mail.server(door),
    ]
    .map(str::to_owned)
    .to_vec();
    flags.extend(["--security".to_owned(), door.protection.as_str().to_owned()]);
    if let Some(ca_file) = &mail.ca_file {
        flags.extend(["--ca-file".to_owned(), ca_file.to_string_lossy().into_owned()]);
    }
    flags
}
