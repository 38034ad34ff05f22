//! `rollout-table`: how long the operator waits for the version comparison report, from opening the fleet database to the
//! finished table, for fleets of 100 to 100,000.
//!
//! The fleet's state comes from the center's own functions: a rollout to all, its mails accepted or bounced, version
//! reports filed from nine in ten, one in a hundred undone, the rest silent past their deadline.

use super::{Figure, version_report};
use anyhow::{Context as _, ensure};
use center_manager::db::Db;
use center_manager::db::appliances::NewAppliance;
use center_manager::db::filed::Rules;
use center_manager::db::outbox::Try;
use center_manager::db::packages::StoredPackage;
use center_manager::enrolment::AdmissionTerms;
use center_manager::intake::{Arrived, KeyStanding, Verdict};
use center_manager::report::{Comparison, table};
use center_manager::rollout::retrying::Policy;
use center_manager::rollout::{Course, Draft, Release, RolloutId, Timing, enclose, start, tick};
use center_manager::system::SystemRandom;
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::Credential;
use mailfmt::message::report::{Report, UpdateOutcome, UpdateResultReport, VersionReportMessage};
use mailfmt::package::{ModuleFile, ModuleKind, PackageDraft, build, inspect};
use mailfmt::{AgentId, CenterId, Limits, Message, MessageId, ModuleName, SoftwareVersion};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

const FLEETS: [u32; 4] = [100, 1_000, 10_000, 100_000];
const SETTLE: SignedDuration = SignedDuration::from_mins(10);
/// Reports of one transaction; as many as the daemon files at once.
const BATCH: usize = 500;

/// Measures.
///
/// # Errors
/// When a fleet cannot be made, or its table lacks rows.
pub(super) fn run(now: Timestamp) -> anyhow::Result<Vec<Figure>> {
    let mut seconds = Vec::new();
    for fleet in FLEETS {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("fleet.db");
        let begun = Instant::now();
        let made = make(&path, fleet, now)?;
        eprintln!("  {fleet} appliances: state made in {:.1} s", begun.elapsed().as_secs_f64());
        let mut times = Vec::new();
        for _ in 0..5 {
            let begun = Instant::now();
            let text = shown(&path, made)?;
            times.push(begun.elapsed().as_secs_f64());
            let rows = text.matches("AGENT").count();
            ensure!(rows >= fleet as usize, "the table of {fleet} has {rows} rows");
        }
        times.sort_by(f64::total_cmp);
        let median = times.get(times.len() / 2).copied().context("five runs have a median")?;
        eprintln!(
            "  {fleet} appliances: table in {median:.3} s, {:.1} us each",
            median * 1e6 / f64::from(fleet)
        );
        seconds.push((fleet, median));
    }
    let of =
        |wanted: u32| seconds.iter().find(|(fleet, _)| *fleet == wanted).map_or(f64::NAN, |(_, time)| *time);
    let each = |fleet: u32| of(fleet) / f64::from(fleet);
    let figure = |figure, value, unit, against: &str| Figure {
        bench: "rollout-table",
        figure,
        value,
        unit,
        against: against.to_owned(),
    };
    Ok(vec![
        figure("rows_10k_s", of(10_000), "s, database to finished table", "limit: 0.2"),
        figure("rows_100k_s", of(100_000), "s, database to finished table", "limit: 1"),
        figure("growth_ratio", each(100_000) / each(1_000), "cost each at 100,000 / at 1,000", "limit: 1.2"),
    ])
}

/// What `rollout report` does.
fn shown(path: &Path, id: RolloutId) -> anyhow::Result<String> {
    let db = Db::open(path)?;
    let rollout = db.rollout(id)?;
    let made = rollout.started + SignedDuration::from_hours(2);
    Ok(table(&Comparison::of(&rollout, &db.rollout_targets(id)?, &db.known_targets(id)?, made)))
}

fn agent(number: u32) -> anyhow::Result<AgentId> {
    Ok(AgentId::new(&format!("AGENT{number:07}"))?)
}

fn make(path: &Path, fleet: u32, now: Timestamp) -> anyhow::Result<RolloutId> {
    let mut random = SystemRandom;
    let mut db = Db::create(path)?;
    let new = |number| {
        Ok(NewAppliance {
            agent: agent(number)?,
            address: format!("agent{number:07}@site.example"),
            customer: format!("Customer {} & Co.", number % 977),
            tags: Vec::new(),
            credential: Credential::from_bytes([7; 32]),
        })
    };
    db.add_appliances(&(1..=fleet).map(new).collect::<anyhow::Result<Vec<_>>>()?, now)?;
    let Message::Report(Report::Version(good)) = version_report(&mut random)? else {
        anyhow::bail!("a version report is a report")
    };
    let agents = (1..=fleet).map(agent).collect::<anyhow::Result<_>>()?;
    let contents = Contents { settle: SETTLE, file: &mut |name| name.as_str().as_bytes().to_vec() };
    let (id, _) = begin(&mut db, agents, &good, contents, now)?;
    tick(&mut db, now, &mut random)?;
    accept_all(&mut db, now)?;
    let mut now = now + SETTLE;
    tick(&mut db, now, &mut random)?;
    accept_all(&mut db, now)?;
    now += SignedDuration::from_mins(1);
    let targets = db.rollout_targets(id)?;
    let mut arrived = Vec::new();
    for (number, (agent, target)) in (0_u64..).zip(&targets) {
        let (order, ask) = target.mails();
        let (order, ask) = order.zip(ask).context("all were asked")?;
        let (answers, report) = match number % 100 {
            0..=89 => (
                ask.message,
                Report::Version(VersionReportMessage { nonce: Some(ask.nonce), ..good.clone() }),
            ),
            90 => (
                order.message,
                Report::UpdateResult(UpdateResultReport {
                    package: order_package(&db, id)?,
                    target: SoftwareVersion::new("1.0.02-0")?,
                    running: SoftwareVersion::new("1.0.01-0")?,
                    outcome: UpdateOutcome::Undone {
                        reason: "device-watch did not come up in its trial".to_owned(),
                    },
                    output: String::new(),
                }),
            ),
            _ => continue,
        };
        let message = Message::Report(report.clone());
        arrived.push(Verdict::Report(Box::new(Arrived {
            agent: agent.clone(),
            message: MessageId::generate(&mut random),
            in_reply_to: Some(answers),
            sequence: (1 << 32) + 1,
            follows: Some(0),
            begins: Some((1 << 32) + 1),
            key: KeyStanding::Only,
            created: now,
            form: mailfmt::mail::Form::Opaque,
            report,
            payload: String::from_utf8(message.write())?,
        })));
    }
    let rules = Rules {
        receipt_expiry: SignedDuration::from_hours(168),
        on_clone: Default::default(),
        admission: AdmissionTerms {
            center: CenterId::new("CENTER")?,
            addresses: vec!["center@center.example".to_owned()],
            roots: Vec::new(),
            settings: Default::default(),
        },
    };
    for batch in arrived.chunks(BATCH) {
        db.file(batch, now, &rules, &mut random)?;
    }
    tick(&mut db, now, &mut random)?;
    tick(&mut db, now + Timing::ANSWER_TIMEOUT, &mut random)?;
    let (counts, _) = db.rollout_counts(id)?;
    ensure!(
        counts.total == fleet && counts.updated == fleet / 10 * 9,
        "the fleet is not as planned: {counts:?}"
    );
    Ok(id)
}

fn order_package(db: &Db, id: RolloutId) -> anyhow::Result<mailfmt::package::PackageId> {
    Ok(db.rollout(id)?.order.package)
}

/// What is in the package of a rollout, and how long it settles.
pub(super) struct Contents<'a> {
    /// From the handing in to the question.
    pub(super) settle: SignedDuration,
    /// The file of a module.
    pub(super) file: &'a mut dyn FnMut(&ModuleName) -> Vec<u8>,
}

/// Begins a rollout to all of these, of a package after which they say that they run `good`; answers with the package's file.
///
/// # Errors
/// When the package cannot be made, or the database fails.
pub(super) fn begin(
    db: &mut Db,
    agents: BTreeSet<AgentId>,
    good: &VersionReportMessage,
    contents: Contents<'_>,
    now: Timestamp,
) -> anyhow::Result<(RolloutId, Vec<u8>)> {
    let Contents { settle, file } = contents;
    let module = |(name, line): (&ModuleName, &mailfmt::version_report::ModuleLine)| ModuleFile {
        name: name.clone(),
        version: line.version.clone(),
        date: line.date,
        kind: ModuleKind::Resident,
        file: file(name),
        carried: true,
    };
    let draft = PackageDraft {
        target: good.table.software.clone(),
        rom: None,
        release_counter: 2,
        created: now,
        expires: now + SignedDuration::from_hours(1_000),
        modules: good.hashes.keys().zip(&good.table.modules).map(module).collect(),
        script: b"exit 0\n".to_vec(),
        script_time_limit_secs: 60,
        applies: Default::default(),
        rules: Default::default(),
    };
    let limits = Limits::default();
    let file = build(&draft, &limits)?;
    let inspection = inspect(&file, &limits)?;
    db.put_package(&StoredPackage {
        id: inspection.id,
        manifest: inspection.manifest.clone(),
        octets: u64::try_from(file.len())?,
        path: "nowhere".into(),
        signers: String::new(),
        added: now,
    })?;
    let target = inspection.manifest.target.clone();
    let draft = Draft {
        // What the appliances will say that they run.
        release: Release { version: target.clone(), modules: good.hashes.clone() },
        order: enclose(&file, inspection.id, target, &mut SystemRandom),
        whole: None,
        timing: Timing {
            settle,
            answer_timeout: Timing::ANSWER_TIMEOUT,
            delivery_limit: Timing::DELIVERY_LIMIT,
            command_life: SignedDuration::from_hours(168),
        },
        openings: Default::default(),
        retrying: Policy::NOTHING,
        course: Course::at_once(),
        joining: None,
        approvals: 0,
        package_expires: inspection.manifest.expires,
        agents,
    };
    Ok((start(db, &draft, "bench", now)?, file))
}

/// The mail server takes everything that waits.
fn accept_all(db: &mut Db, now: Timestamp) -> anyhow::Result<()> {
    loop {
        let due = db.due(now, 10_000)?;
        if due.is_empty() {
            return Ok(());
        }
        let tries: Vec<_> = due.into_iter().map(|due| (due.outbox, due.agent, Try::Accepted)).collect();
        db.record_tries(&tries, now)?;
    }
}
