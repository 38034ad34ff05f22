//! `monitor-appliance setup`: takes flags, asks for what is missing when somebody sits at the terminal.

use super::Output;
use super::account::AccountArguments;
use super::device::parse_entry;
use super::programs::ProgramArguments;
use super::questions::Questions;
use super::snmp_user::SnmpUserArguments;
use anyhow::Context as _;
use mailfmt::Introduction;
use monitor_appliance::settings::{DeviceEntry, SnmpAccess};
use monitor_appliance::setup::{Answers, Done, Existing, set_up};
use monitor_appliance::snmp::Secret;
use monitor_appliance::{Layout, Settings};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Most octets read of an introduction file.
const INTRODUCTION_OCTETS_MAX: u64 = 16 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file that the center wrote for this appliance. It holds a secret: delete it afterwards.
    #[arg(long, value_name = "FILE")]
    introduction: Option<PathBuf>,
    #[command(flatten)]
    account: AccountArguments,
    /// A device to watch; may be given several times. With --snmp-user, those with the community `public` or none are read by
    /// that user. SNMPv1 is written into appliance.toml.
    #[arg(long = "device", value_name = "ADDRESS[,COMMUNITY]", value_parser = parse_entry)]
    devices: Vec<DeviceEntry>,
    #[command(flatten)]
    user: SnmpUserArguments,
    #[command(flatten)]
    programs: ProgramArguments,
    /// Replace what is there: the credential, the identity, the running release.
    #[arg(long)]
    replace: bool,
    /// Never ask; fail where something is missing.
    #[arg(long)]
    no_questions: bool,
}

/// What was set up.
#[derive(Debug, serde::Serialize)]
pub(super) struct SetUp {
    root: PathBuf,
    #[serde(flatten)]
    done: Done,
}

pub(super) fn run(root: &Path, arguments: &Arguments) -> anyhow::Result<SetUp> {
    let layout = Layout::new(root);
    let first_time = !layout.settings_file().exists();
    let questions = Questions::new(!arguments.no_questions);
    let existing = if arguments.replace { Existing::Replace } else { Existing::Keep };
    let before = Settings::load(&layout.settings_file())
        .ok()
        .and_then(|settings| settings.accounts.into_iter().next())
        .map(|entry| entry.account);
    let answers = Answers {
        introduction: introduction(arguments, first_time, &questions)?,
        account: arguments.account.account(before.as_ref(), None, first_time, &questions)?,
        password: arguments.account.password(first_time, &questions)?,
        devices: devices(arguments, arguments.user.access(&layout)?, first_time, &questions)?,
        release: arguments.programs.first_release()?,
        ..Answers::default()
    };
    let done = set_up(&layout, &answers, existing)?;
    Ok(SetUp { root: root.to_owned(), done })
}

fn introduction(
    arguments: &Arguments,
    first_time: bool,
    questions: &Questions,
) -> anyhow::Result<Option<Introduction>> {
    let path = match &arguments.introduction {
        Some(path) => path.clone(),
        None if first_time && questions.possible() => {
            PathBuf::from(questions.ask("Introduction, the file from the center", |text| {
                match Path::new(text).is_file() {
                    true => Ok(()),
                    false => Err("there is no such file".to_owned()),
                }
            })?)
        }
        None => return Ok(None),
    };
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(&path)
        .and_then(|file| file.take(INTRODUCTION_OCTETS_MAX).read_to_string(&mut text))
        .with_context(|| format!("cannot read the introduction {}", path.display()))?;
    // The parser's own message would quote the line, and with it the secret.
    toml::from_str(&text).map(Some).map_err(|error| {
        let message = error.message().to_owned();
        anyhow::anyhow!("{} is not an introduction written by the center: {message}", path.display())
    })
}

fn devices(
    arguments: &Arguments,
    user: Option<SnmpAccess>,
    first_time: bool,
    questions: &Questions,
) -> anyhow::Result<Vec<DeviceEntry>> {
    let mut devices = arguments.devices.clone();
    let public = SnmpAccess::V2c { community: Secret::new("public") };
    if let Some(user) = user {
        for device in devices.iter_mut().filter(|device| device.access == public) {
            device.access = user.clone();
        }
    }
    if !devices.is_empty() || !first_time || !questions.possible() {
        return Ok(devices);
    }
    let prompt = "A device to watch, ADDRESS or ADDRESS,COMMUNITY; empty when done";
    while let Some(text) = questions.ask_more(prompt, |text| parse_entry(text).map(|_| ()))? {
        devices.extend(parse_entry(&text).ok());
    }
    Ok(devices)
}

impl Output for SetUp {
    fn text(&self) -> String {
        let mut text = String::new();
        for path in &self.done.written {
            text += &format!("written  {}\n", path.display());
        }
        for path in &self.done.kept {
            text += &format!("kept     {}\n", path.display());
        }
        text += &format!(
            "\nNext: `monitor-appliance --root {root} doctor` says whether everything works;\n\
             {root}/current/supervisor --root {root} runs the appliance.\n",
            root = self.root.display()
        );
        text
    }
}
