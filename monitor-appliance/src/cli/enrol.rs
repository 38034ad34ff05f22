//! `monitor-appliance enrol`: from the code on paper to an appliance that its center knows.

mod device_list;
mod mail_account;
mod order_file;
mod outcome;
mod waiting;

pub(super) use outcome::Enrolled;

use super::Code;
use super::account::{AccountArguments, check_mail_address};
use super::doctor::is_alive;
use super::programs::ProgramArguments;
use super::questions::Questions;
use anyhow::{Context as _, bail};
use device_list::{DeviceArguments, DeviceList};
use mailbox::Account;
use mailfmt::enrolment::ProvisionalCode;
use mailfmt::message::enrolment::Hardware;
use mailfmt::trust::RootFingerprint;
use monitor_appliance::context::{system_clock, system_random};
use monitor_appliance::enrolment::{
    Attempt, Ended, Order, Pace, Site, Stage, StateFile, Stored, exchange, finish, machine_id,
};
use monitor_appliance::release::Releases;
use monitor_appliance::setup::FirstRelease;
use monitor_appliance::{Context, Layout, Settings};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Octets read of a file with a code.
const CODE_OCTETS_MAX: u64 = 1000;

const AFTER_HELP: &str = "\
Exit codes: 0 enrolled, 1 failed, 2 wrong use, 3 asked and not answered yet (go on with --resume).

With a terminal, whatever is missing is asked for. Without one, or with --no-questions, give --code-file, --center-address,
--address, --password-file, --smtp, and --pop3 or --imap; or put all of it into one file for --unattended:

    code = \"XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX\"
    center_address = \"center@center.example\"
    address = \"agent1@site.example\"
    password = \"...\"                  # or password_file
    smtp = \"smtp.site.example:465\"
    imap = \"imap.site.example:993\"    # or pop3
    # root_fingerprint = \"...\", user, security, smtp_security = \"tls\", \"starttls\" or \"plain\", smtp_login = false, ca_file,
    # scan = false, ranges = [], excludes = [], communities = [], devices = [\"ADDRESS,COMMUNITY\"]
    # snmp_user, snmp_auth = \"sha256\", snmp_auth_password_file, snmp_privacy = \"aes128\", snmp_privacy_password_file";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// File with the code; `-` reads standard input. It never stands on the command line, where others could see it.
    #[arg(long, value_name = "FILE")]
    code_file: Option<PathBuf>,
    /// The center's mail address, as it stands on the sheet with the code.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_mail_address)]
    center_address: Option<String>,
    /// The roots on the sheet: an answer that brings others is not taken. Without it, compare what is shown in the end.
    #[arg(long, value_name = "FINGERPRINT", conflicts_with = "unattended")]
    root_fingerprint: Option<RootFingerprint>,
    #[command(flatten)]
    account: AccountArguments,
    #[command(flatten)]
    devices: DeviceArguments,
    #[command(flatten)]
    programs: ProgramArguments,
    /// How long to wait for the center's answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait: u64,
    /// Go on with the enrolment that was begun here.
    #[arg(long, conflicts_with_all = ["restart", "unattended"])]
    resume: bool,
    /// Give up the enrolment that was begun here, and begin anew.
    #[arg(long)]
    restart: bool,
    /// Enrol a box anew that is set up already: another center, another site, or a lost credential. What is stored here stays.
    #[arg(long)]
    replace: bool,
    /// Take everything from a file, ask nothing, wait for ever; wipe the file when enrolled.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["code_file", "center_address", "address", "password_file"])]
    unattended: Option<PathBuf>,
    /// Never ask; fail where something is missing.
    #[arg(long)]
    no_questions: bool,
    /// What stands for the box's own hardware.
    #[arg(long, hide = true, value_name = "HEX")]
    machine: Option<String>,
    /// Shortens the pauses between looks for mail, in milliseconds.
    #[arg(long, hide = true, value_name = "MILLISECONDS")]
    look_every: Option<u64>,
}

fn parse_mail_address(text: &str) -> Result<String, String> {
    check_mail_address(text).map(|()| text.to_owned())
}

pub(super) async fn run(root: &Path, mut arguments: Arguments) -> anyhow::Result<(Enrolled, Code)> {
    let begun = Instant::now();
    let layout = Layout::new(root);
    let given = match arguments.unattended.clone() {
        Some(path) => order_file::take_over(&path, &mut arguments)?,
        None => order_file::Secrets::default(),
    };
    let questions = Questions::new(!arguments.no_questions && arguments.unattended.is_none());
    let file = StateFile::hold(&layout)?;
    let pending = pending(&file, &arguments, &questions)?;
    if pending.is_none() && layout.settings_file().exists() {
        if arguments.unattended.is_some() && !arguments.replace {
            return Ok((Enrolled::already(&Settings::load(&layout.settings_file())?), Code::Done));
        }
        may_replace(&layout, &arguments, &questions)?;
    }
    refuse_while_running(&layout)?;
    let release = first_release(&layout, &arguments.programs)?;
    let mut stored = match pending {
        Some(stored) => stored,
        None => begin(&layout, &arguments, given, release.as_ref(), &questions).await?,
    };
    let devices = stored.attempt.order().devices.len();
    let waiting = mail_account::opened(&layout, stored.site.account.clone())?;
    let ended = wait(&mut stored, &file, &waiting, &arguments).await?;
    let outcome = match ended {
        Ended::Admitted => {
            let installed = finish(&layout, &file, &stored, release, &system_clock())?;
            if let Some(path) = &arguments.unattended {
                order_file::wipe(path);
            }
            Enrolled::admitted(root, installed)
        }
        Ended::NoAnswer => Enrolled::unanswered(&stored.attempt, arguments.wait),
    };
    let code = if ended == Ended::Admitted { Code::Done } else { Code::Partly };
    let typed = if arguments.unattended.is_some() { 0 } else { questions.typed() };
    Ok((outcome.with(devices, typed, begun.elapsed()), code))
}

/// The enrolment that was begun here, if it is to go on.
fn pending(file: &StateFile, arguments: &Arguments, questions: &Questions) -> anyhow::Result<Option<Stored>> {
    if arguments.restart {
        file.wipe()?;
        return Ok(None);
    }
    let stored = file.load()?;
    let Some(stored) = stored else {
        if arguments.resume {
            bail!("no enrolment was begun here");
        }
        return Ok(None);
    };
    let admitted = matches!(stored.attempt.stage(), Stage::Admitted { .. });
    if admitted || arguments.resume || arguments.unattended.is_some() {
        return Ok(Some(stored));
    }
    if !questions.possible() {
        bail!("an enrolment was begun here: go on with --resume, or give it up with --restart");
    }
    let prompt =
        format!("An enrolment with {} was begun here. Go on with it?", stored.attempt.order().center_address);
    if questions.confirm(&prompt, true)? {
        return Ok(Some(stored));
    }
    file.wipe()?;
    Ok(None)
}

fn may_replace(layout: &Layout, arguments: &Arguments, questions: &Questions) -> anyhow::Result<()> {
    if arguments.replace {
        return Ok(());
    }
    let settings = Settings::load(&layout.settings_file())?;
    let here = format!("this box is {} of center {}", settings.agent, settings.center);
    if questions.possible() && questions.confirm(&format!("{here}. Enrol it anew?"), false)? {
        return Ok(());
    }
    bail!("{here} already; to enrol it anew, repeat with --replace")
}

/// A running mail agent would take the center's answers for junk.
fn refuse_while_running(layout: &Layout) -> anyhow::Result<()> {
    let Ok(context) = Context::load(layout.root()) else { return Ok(()) };
    let signs = context.open_store().and_then(|store| store.heartbeats()).unwrap_or_default();
    if signs.iter().any(|sign| is_alive(&context, sign)) {
        bail!("the appliance runs; stop it first (for example `systemctl stop monitor-appliance`)");
    }
    Ok(())
}

/// The programs to put in place: none where some run already, unless others are named.
fn first_release(layout: &Layout, programs: &ProgramArguments) -> anyhow::Result<Option<FirstRelease>> {
    if Releases::below(layout.root()).current().is_ok() && !programs.is_given() {
        return Ok(None);
    }
    programs.first_release()
}

/// Asks, tests, looks around; nothing goes to the center yet.
async fn begin(
    layout: &Layout,
    arguments: &Arguments,
    given: order_file::Secrets,
    release: Option<&FirstRelease>,
    questions: &Questions,
) -> anyhow::Result<Stored> {
    let software = match (release, Releases::below(layout.root()).current()) {
        (Some(release), _) => release.software()?,
        (None, Ok((_, release))) => release.software,
        (None, Err(error)) => return Err(error).context("no programs are in place"),
    };
    let code = code(arguments, given.code, questions)?;
    let center_address = match &arguments.center_address {
        Some(address) => {
            questions.note_typed();
            address.clone()
        }
        None if questions.possible() => questions.ask("Mail address of the center", check_mail_address)?,
        None => bail!("--center-address is missing"),
    };
    let keep_trying = arguments.unattended.is_some();
    let account =
        mail_account::account(layout, &arguments.account, given.password, keep_trying, questions).await?;
    let DeviceList { devices, entries, ranges } =
        device_list::look_around(layout, &arguments.devices, questions).await?;
    let hardware = Hardware {
        machine: arguments.machine.clone().unwrap_or_else(machine_id),
        class: std::env::consts::ARCH.to_owned(),
    };
    let order = Order {
        code,
        center_address,
        address: account.address.clone(),
        hardware,
        software,
        devices,
        root_fingerprint: arguments.root_fingerprint,
    };
    let attempt = Attempt::begin(order, system_clock().wall, &mut system_random);
    Ok(Stored {
        attempt,
        site: Site { account, machine: arguments.machine.clone(), devices: entries, ranges },
    })
}

fn code(
    arguments: &Arguments,
    given: Option<Zeroizing<String>>,
    questions: &Questions,
) -> anyhow::Result<ProvisionalCode> {
    let text = match (&arguments.code_file, given) {
        (_, Some(text)) => text,
        (Some(path), None) => {
            questions.note_typed();
            read_code(path, arguments)?
        }
        (None, None) if questions.possible() => {
            let check =
                |text: &str| ProvisionalCode::parse(text).map(drop).map_err(|error| error.to_string());
            Zeroizing::new(questions.ask_tidied("Code", in_groups, check)?)
        }
        (None, None) => bail!("--code-file is missing"),
    };
    Ok(ProvisionalCode::parse(&text)?)
}

fn read_code(path: &Path, arguments: &Arguments) -> anyhow::Result<Zeroizing<String>> {
    let is_stdin = |path: &Path| path.as_os_str() == "-";
    let mut text = Zeroizing::new(String::new());
    let read = if is_stdin(path) {
        if arguments.account.password_file.as_deref().is_some_and(is_stdin) {
            bail!("standard input can hold the code or the password, not both");
        }
        std::io::stdin().take(CODE_OCTETS_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(CODE_OCTETS_MAX).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read the code from {}", path.display()))?;
    Ok(text)
}

/// A code in groups of four, as on paper.
fn in_groups(text: &str) -> String {
    let letters: Vec<char> = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join("-").to_ascii_uppercase()
}

async fn wait(
    stored: &mut Stored,
    file: &StateFile,
    account: &Account,
    arguments: &Arguments,
) -> anyhow::Result<Ended> {
    let mut pace = Pace {
        patience: arguments.unattended.is_none().then(|| Duration::from_secs(arguments.wait)),
        ..Pace::default()
    };
    if let Some(millis) = arguments.look_every {
        pace.look = Duration::from_millis(millis);
        pace.resend_first = pace.look.saturating_mul(20);
    }
    let mut line = waiting::Line::new(stored.attempt.order().devices.len());
    let limits = mailbox::Limits::default();
    let clock = || system_clock().wall;
    let ended =
        exchange(stored, file, account, &limits, &pace, &clock, &mut |progress| line.show(progress)).await;
    line.end();
    Ok(ended?)
}
