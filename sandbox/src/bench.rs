//! Measurements, each beside a named peer or limit in the same run. `scripts/bench` runs them.
//!
//! Every figure is counted or timed here, never written down beforehand; [`Figure`] prints it as one JSON line.

mod accuracy;
mod attacks;
mod bigmail;
mod bounces;
mod chaos;
mod delta;
mod discovery;
mod envelope;
mod faults;
mod flood;
mod footprint;
mod forecast;
mod ingest;
mod latency;
mod ledger;
mod mangles;
mod package;
mod powercut;
mod rollout_blast;
mod rollout_limits;
mod rollout_mail;
mod rollout_sim;
mod rollout_table;
mod scrape;
mod send;
mod stranger;

pub(crate) use stranger::inside as stranger_inside;

use clap::ValueEnum;
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The benches by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// Sealing and opening a package of 20 MB; what one more recipient costs.
    Package,
    /// A change of one line in one program: octets that travel, and making the program from them.
    Delta,
    /// Sealing and opening a version report.
    Envelope,
    /// Fetching, opening and filing version reports from a real mail server.
    Ingest,
    /// Disk and memory that an appliance takes.
    Footprint,
    /// One command amid 100,000 junk mails.
    Flood,
    /// Memory that mails of 35 MB take, and 100,000 mails that wait; `BIGMAIL_MB` and `BIGMAIL_WAITING` name others.
    Bigmail,
    /// When a supply will be empty, foretold for simulated printers whose truth is known.
    Forecast,
    /// Counter series with all that happens to counters: what is billed of them, beside a plain sum of differences. Prints its
    /// seed; `LEDGER_SEED` names another. `silently_wrong`: series whose count is wrong where nobody is asked. `flagged_percent`:
    /// of the steps in which something happened that a plain difference cannot know, those that carry a finding.
    Ledger,
    /// A million deliveries by a bad post office in virtual time, with crashes of both sides and disks that are put back;
    /// `--deliveries` names another number, `CHAOS_SEED` a seed. Takes some minutes.
    Chaos,
    /// From an emergency to its receipt, from a command to its answer: by IMAP IDLE and by POP3; `LATENCY_ROUNDS` names another number
    /// of rounds than 100. `idle_*`: the slower of both ways at that percentile. `logins_per_hour`: the account with most.
    Latency,
    /// Every kind of our mails through everything that gateways do to mails.
    Mangles,
    /// How fast, how gently and how cheaply a thousand printers are read.
    Scrape,
    /// An attack for every threat, a line each.
    Attacks,
    /// Power cuts at every durable change of an update and of a rollout.
    Powercut,
    /// Handing receipts in to a real Postfix, beside smtp-source; `SEND_MAILS` names another number of them.
    Send,
    /// From a code on paper to an appliance with twenty registered devices, by somebody who types.
    Stranger,
    /// How right recorded devices are read; paths behind it name folders of recordings.
    Accuracy,
    /// From a jam to the operator's table, with a trap and without; what a flood of jams makes of tickets.
    Faults,
    /// How many appliances a bad package touches before its rollout stops itself.
    RolloutBlast,
    /// A week of rollouts to 10,000 appliances at Exchange Online: how long they take, and whether a limit is ever exceeded.
    RolloutLimits,
    /// A package for 10,000 mailboxes into a real Postfix, beside smtp-source, and their version reports out of a real Dovecot, beside a
    /// bare fetch; `ROLLOUT_MAIL_SITES` names another number.
    RolloutMail,
    /// A rollout to ten thousand appliances over a post office that loses a fifth of all mails, in virtual time; `ROLLOUT_SIM_SITES`
    /// names another number, `ROLLOUT_SIM_SEED` a seed. Takes some minutes.
    RolloutSim,
    /// How long the operator waits for the version comparison report of up to 100,000 appliances.
    RolloutTable,
    /// Shapes of returned mail: how many are told right, and how many are answered.
    Bounces,
    /// Looking for printers: forty of them, none, and such that take none of the first credentials.
    Discovery,
}

/// What may stand behind `bench`: names, and for one of them paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operand {
    /// A bench.
    Name(Name),
    /// A folder of recordings for `accuracy`.
    Path(PathBuf),
}

impl Operand {
    fn name(&self) -> Option<Name> {
        match self {
            Self::Name(name) => Some(*name),
            Self::Path(_) => None,
        }
    }

    fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Name(_) => None,
            Self::Path(path) => Some(path.clone()),
        }
    }
}

impl std::str::FromStr for Operand {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(name) = Name::from_str(text, false) {
            return Ok(Self::Name(name));
        }
        if text.contains('/') || std::path::Path::new(text).is_dir() {
            return Ok(Self::Path(PathBuf::from(text)));
        }
        let known = Name::value_variants().iter().filter_map(Name::to_possible_value);
        let known: Vec<String> = known.map(|value| value.get_name().to_owned()).collect();
        Err(format!("neither a bench nor a folder; the benches are {}", known.join(", ")))
    }
}

/// Runs the named benches, all without a name, and prints their figures last. One that cannot run here does not keep
/// the others from running.
///
/// # Errors
/// When one of them failed; what the others measured is printed all the same.
pub(crate) fn run(
    operands: &[Operand],
    points: Option<u64>,
    deliveries: Option<u64>,
    runtime: &tokio::runtime::Runtime,
) -> anyhow::Result<()> {
    let now = now();
    let names: Vec<Name> = operands.iter().filter_map(Operand::name).collect();
    let paths: Vec<PathBuf> = operands.iter().filter_map(Operand::path).collect();
    anyhow::ensure!(
        paths.is_empty() || names.contains(&Name::Accuracy),
        "only the bench `accuracy` takes paths: {}",
        paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    );
    let mut figures = Vec::new();
    let mut failed = Vec::new();
    for name in Name::value_variants() {
        if !names.is_empty() && !names.contains(name) {
            continue;
        }
        eprintln!("{name:?}: {} ...", name.what());
        let measured = match name {
            Name::Package => package::run(now),
            Name::Delta => delta::run(now),
            Name::Envelope => envelope::run(now),
            Name::Ingest => ingest::run(now, runtime),
            Name::Footprint => footprint::run(),
            Name::Flood => flood::run(now),
            Name::Bigmail => bigmail::run(),
            Name::Forecast => forecast::run(now),
            Name::Latency => latency::run(runtime),
            Name::Ledger => ledger::run(),
            Name::Mangles => mangles::run(now),
            Name::Attacks => attacks::run(),
            Name::Bounces => bounces::run(),
            Name::Powercut => powercut::run(points),
            Name::Chaos => chaos::run(deliveries),
            Name::Stranger => stranger::run(),
            Name::Faults => faults::run(),
            Name::Scrape => scrape::run(runtime),
            Name::Send => send::run(now, runtime),
            Name::Discovery => discovery::run(now, runtime),
            Name::RolloutBlast => rollout_blast::run(now),
            Name::RolloutLimits => rollout_limits::run(now),
            Name::RolloutMail => rollout_mail::run(runtime),
            Name::RolloutSim => rollout_sim::run(),
            Name::RolloutTable => rollout_table::run(now),
            Name::Accuracy => accuracy::run(&paths),
        };
        match measured {
            Ok(measured) => figures.extend(measured),
            Err(error) => {
                eprintln!("{name:?}: {error:#}");
                failed.push(format!("{name:?}"));
            }
        }
    }
    Figure::print_all(&figures);
    anyhow::ensure!(failed.is_empty(), "no figures of {}; the reasons stand above", failed.join(" and "));
    Ok(())
}

impl Name {
    /// What it does, for whoever waits for it.
    fn what(self) -> &'static str {
        match self {
            Self::Package => "sealing and opening 20 MB of this machine's programs",
            Self::Delta => "one changed line of one program",
            Self::Envelope => "sealing and opening version reports",
            Self::Ingest => "10,000 version reports from a real mail server into the fleet database",
            Self::Footprint => "an appliance with twenty printers",
            Self::Ledger => {
                "3,000 counter series with wobbles, wraps, resets, exchanges, flips and clocks that are set"
            }
            Self::Mangles => "every kind of mail through everything that gateways do to mails",
            Self::Bounces => "bounces, warnings and automatic answers of some hundred systems",
            Self::Attacks => "an attack for every threat, against the real code",
            Self::Forecast => "1,600 simulated printers with levels in steps of 1, 10, 20 and 25 %",
            Self::Latency => {
                "emergencies and commands over a real Postfix and Dovecot, by IMAP IDLE and by POP3"
            }
            Self::Flood => "one command amid 100,000 junk mails, by IMAP and by POP3",
            Self::Bigmail => "mails of 35 MB and full mailboxes, by IMAP and by POP3",
            Self::Chaos => "mail that is lost, doubled, late and damaged, and processes that end anywhere",
            Self::Powercut => "the power goes in the middle of updates and of rollouts",
            Self::RolloutBlast => "a thousand rollouts of a bad package, in virtual time",
            Self::RolloutLimits => {
                "a week of rollouts through one mailbox at Exchange Online, in virtual time"
            }
            Self::RolloutMail => "a package for 10,000 mailboxes of a real mail server, and their answers",
            Self::RolloutSim => "ten thousand appliances behind the worst mail, in virtual time",
            Self::RolloutTable => "the operator's table of 100 to 100,000 appliances",
            Self::Accuracy => "recorded devices, each value beside what others read",
            Self::Faults => {
                "a jam on its way to the operator, with a trap and without; two hundred jams in a row"
            }
            Self::Scrape => "a thousand recorded printers, read in full and looked at, beside two peers",
            Self::Discovery => "254 addresses with forty printers, with none, and with twelve that are shy",
            Self::Send => "10,000 receipts into a real mail server, beside smtp-source",
            Self::Stranger => "a new box, a code on paper, a real mail server, and somebody who types",
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge of the bench: one reading for all messages made")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// The seed in this variable, else one of today; printed, so that it can be played again.
pub(crate) fn seed(variable: &str) -> u64 {
    let given = std::env::var(variable).ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let mut octets = [0; 8];
        mailfmt::crypto::Random::fill(&mut sandbox::random(), &mut octets);
        u64::from_ne_bytes(octets)
    });
    eprintln!("  {variable}={seed}");
    seed
}

/// A folder in memory where there is such a place: the disk of this machine is not what is measured.
pub(crate) fn in_memory() -> PathBuf {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// One measured figure, printed as one line of JSON.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    /// Which bench.
    pub(crate) bench: &'static str,
    /// Which figure of it.
    pub(crate) figure: &'static str,
    /// What was measured.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// The peer or limit measured or given beside it.
    pub(crate) against: String,
}

impl Figure {
    /// Prints the figures, last of all a bench's output.
    pub(crate) fn print_all(figures: &[Self]) {
        for figure in figures {
            let rounded = Self { value: (figure.value * 1000.0).round() / 1000.0, ..figure.clone() };
            println!("{}", serde_json::to_string(&rounded).unwrap_or_default());
        }
    }
}

/// Runs `work` `runs` times after one warm-up and returns the median duration.
pub(crate) fn median<T>(runs: usize, mut work: impl FnMut() -> T) -> Duration {
    drop(work());
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            drop(work());
            start.elapsed()
        })
        .collect();
    times.sort();
    times.get(runs / 2).copied().unwrap_or_default()
}

/// CPU time that this process has used so far, all threads.
pub(crate) fn cpu_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(spent.tv_sec).unwrap_or(0), u32::try_from(spent.tv_nsec).unwrap_or(0))
}

/// Megabytes (10^6 octets) per second.
pub(crate) fn mb_per_s(octets: usize, time: Duration) -> f64 {
    octets_f64(octets) / 1e6 / time.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
pub(crate) fn octets_f64(octets: usize) -> f64 {
    octets as f64
}

/// A version report of about 2 kB of JSON: sixteen modules with their hashes.
pub(crate) fn version_report(random: &mut impl mailfmt::crypto::Random) -> anyhow::Result<mailfmt::Message> {
    use mailfmt::message::report::{Report, VersionReportMessage};
    use mailfmt::version_report::{ModuleLine, VersionReport};
    use mailfmt::{Digest, ModuleName, ModuleVersion, Nonce, SoftwareVersion};

    let mut modules = Vec::new();
    let mut hashes = std::collections::BTreeMap::new();
    for number in 0..16u32 {
        let name = ModuleName::new(&format!("module_{number:02}"))?;
        let mut file = [0; 32];
        random.fill(&mut file);
        hashes.insert(name.clone(), Digest::from(file));
        modules.push(ModuleLine {
            name,
            version: ModuleVersion::new(&format!("1.{}.{:02}", number % 4, number))?,
            date: jiff::civil::date(2026, 1, 1),
        });
    }
    let table = VersionReport {
        software: SoftwareVersion::new("1.0.02-0")?,
        rom: ModuleVersion::new("1.5.08")?,
        modules,
    };
    let nonce = Some(Nonce::generate(random));
    let boot_id = "7c1c4a3e-0000-4000-8000-000000000001".to_owned();
    Ok(mailfmt::Message::Report(Report::Version(VersionReportMessage { nonce, table, hashes, boot_id })))
}
