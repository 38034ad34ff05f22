//! Rollouts in the database: what a kill leaves, and what words from outside do there.

use super::*;
use crate::db::appliances::NewAppliance;
use crate::db::packages::StoredPackage;
use crate::db::{Db, DbError};
use mailfmt::crypto::Credential;
use mailfmt::message::report::{UpdateOutcome, UpdateResultReport, VersionReportMessage};
use mailfmt::package::{Inspection, ModuleFile, ModuleKind, PackageDraft, Rules, build, inspect};
use mailfmt::version_report::ModuleLine;
use mailfmt::{
    AgentId, Digest, Limits, MessageId, ModuleName, ModuleVersion, Nonce, SoftwareVersion, VersionReport,
};
use std::path::Path;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn agent(number: usize) -> AgentId {
    AgentId::new(&format!("AGENT{number:07}")).unwrap()
}

type Numbers = Box<dyn FnMut(&mut [u8])>;

/// Numbers that only look random; another `first` gives others.
fn counting(first: u64) -> impl FnMut(&mut [u8]) {
    let mut next = first;
    move |buffer: &mut [u8]| {
        for chunk in buffer.chunks_mut(8) {
            next += 1;
            chunk.copy_from_slice(&next.to_be_bytes()[8 - chunk.len()..]);
        }
    }
}

fn package() -> (Vec<u8>, Inspection) {
    let started = time("2002-11-04T09:00:00Z");
    let draft = PackageDraft {
        target: SoftwareVersion::new("1.0.02-0").unwrap(),
        rom: None,
        release_counter: 3,
        created: started,
        expires: started + SignedDuration::from_hours(1000),
        modules: vec![ModuleFile {
            name: ModuleName::new("device-watch").unwrap(),
            version: ModuleVersion::new("1.0.02").unwrap(),
            date: "2002-11-01".parse().unwrap(),
            kind: ModuleKind::Resident,
            file: b"device-watch 1.0.02".to_vec(),
            carried: true,
        }],
        script: b"exit 0\n".to_vec(),
        script_time_limit_secs: 60,
        applies: Default::default(),
        rules: Rules::default(),
    };
    let file = build(&draft, &Limits::default()).unwrap();
    let inspection = inspect(&file, &Limits::default()).unwrap();
    (file, inspection)
}

/// A center with a rollout to so many appliances, and what the package makes of them.
struct Center {
    db: Db,
    now: Timestamp,
    id: RolloutId,
    inspection: Inspection,
    random: Numbers,
}

impl Center {
    fn new(db: Db, appliances: usize) -> Self {
        Self::on_course(db, appliances, Course::at_once())
    }

    fn on_course(mut db: Db, appliances: usize, course: Course) -> Self {
        let mut random = counting(0);
        let now = time("2002-11-04T09:00:00Z");
        let (file, inspection) = package();
        let new = |number| NewAppliance {
            agent: agent(number),
            address: format!("agent{number}@example.com"),
            customer: "aaa Trading".to_owned(),
            tags: Vec::new(),
            credential: Credential::from_bytes([7; 32]),
        };
        db.add_appliances(&(1..=appliances).map(new).collect::<Vec<_>>(), now).unwrap();
        let stored = StoredPackage {
            id: inspection.id,
            manifest: inspection.manifest.clone(),
            octets: 1,
            path: "nowhere".into(),
            signers: String::new(),
            added: now,
        };
        db.put_package(&stored).unwrap();
        let target = inspection.manifest.target.clone();
        let draft = Draft {
            release: Release::of(&inspection.manifest),
            order: enclose(&file, inspection.id, target, &mut random),
            whole: None,
            timing: Timing {
                settle: SignedDuration::from_mins(10),
                answer_timeout: Timing::ANSWER_TIMEOUT,
                delivery_limit: Timing::DELIVERY_LIMIT,
                command_life: SignedDuration::from_hours(168),
            },
            openings: Openings::default(),
            retries: 0,
            course,
            joining: None,
            package_expires: inspection.manifest.expires,
            agents: (1..=appliances).map(agent).collect(),
        };
        let id = start(&mut db, &draft, "anna", now).unwrap();
        Self { db, now, id, inspection, random: Box::new(random) }
    }

    fn in_memory(appliances: usize) -> Self {
        Self::new(Db::in_memory().unwrap(), appliances)
    }

    fn tick(&mut self) -> Result<usize, DbError> {
        tick(&mut self.db, self.now, &mut self.random)
    }

    fn later(&mut self, minutes: i64) {
        self.now += SignedDuration::from_mins(minutes);
        self.tick().unwrap();
    }

    fn targets(&self) -> Targets {
        self.db.rollout_targets(self.id).unwrap()
    }

    fn messages(&self) -> (Option<MessageId>, Option<MessageId>) {
        let target = &self.targets()[&agent(1)];
        (target.mails().0.map(|order| order.message), target.mails().1.map(|ask| ask.message))
    }

    fn transport(&mut self, message: MessageId, number: usize, outcome: &TransportOutcome) {
        let now = self.now;
        self.db.write(|tx| on_transport(tx, message, &agent(number), outcome, now)).unwrap();
    }

    fn origin(&self, number: usize, in_reply_to: Option<MessageId>) -> Origin {
        Origin { agent: agent(number), in_reply_to, created: self.now, received: self.now }
    }

    fn nonce(&self, number: usize) -> Nonce {
        self.targets()[&agent(number)].mails().1.unwrap().nonce
    }

    fn answer(&mut self, number: usize, nonce: Nonce, software: &str, file: &[u8]) {
        let module = &self.inspection.manifest.modules[0];
        let line =
            ModuleLine { name: module.name.clone(), version: module.version.clone(), date: module.date };
        let report = VersionReportMessage {
            nonce: Some(nonce),
            table: VersionReport {
                software: SoftwareVersion::new(software).unwrap(),
                rom: ModuleVersion::new("1.5.08").unwrap(),
                modules: vec![line],
            },
            hashes: [(module.name.clone(), Digest::of(file))].into(),
            boot_id: "boot".to_owned(),
        };
        let origin = self.origin(number, None);
        self.db.write(|tx| on_version_report(tx, &origin, &report)).unwrap();
    }

    fn good_answer(&mut self, number: usize, nonce: Nonce) {
        self.answer(number, nonce, "1.0.02-0", b"device-watch 1.0.02");
    }

    /// Up to the moment when all were asked and the mail server took the questions.
    fn until_asked(&mut self, appliances: usize) {
        self.tick().unwrap();
        let order = self.messages().0.unwrap();
        (1..=appliances).for_each(|number| self.transport(order, number, &TransportOutcome::Accepted));
        self.later(10);
        let ask = self.messages().1.unwrap();
        (1..=appliances).for_each(|number| self.transport(ask, number, &TransportOutcome::Accepted));
    }

    fn recipients(&self) -> Vec<(String, u32)> {
        let mut statement = self
            .db
            .read()
            .prepare("SELECT kind, count(agent) FROM outbox JOIN outbox_recipient ON outbox = id GROUP BY id ORDER BY id")
            .unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    fn history(&self, number: usize) -> Vec<String> {
        let lines = self.db.rollout_history(self.id, &agent(number)).unwrap();
        lines.into_iter().map(|line| format!("{} {}", line.what, line.detail).trim().to_owned()).collect()
    }

    /// Everything that the rollout wrote, as text; but for the numbers of messages, in which every process begins an epoch.
    fn dump(&self) -> String {
        let mut dump = String::new();
        for (table, columns) in [
            ("rollout", "*"),
            ("rollout_target", "*"),
            ("rollout_mail", "*"),
            ("rollout_event", "*"),
            ("outbox", "*"),
            ("outbox_recipient", "outbox, agent, state, attempts, next_try, changed, detail"),
        ] {
            let mut statement = self.db.read().prepare(&format!("SELECT {columns} FROM {table}")).unwrap();
            let columns = statement.column_count();
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let values = (0..columns).map(|column| format!("{:?}", row.get_ref(column).unwrap()));
                dump.push_str(&format!("{table}: {}\n", values.collect::<Vec<_>>().join(" ")));
            }
        }
        dump
    }

    /// From now on the write after `writes` more ones fails, as if the power went there. The count begins anew with
    /// every transaction that fails.
    fn cut_after(&self, writes: usize) {
        let mut sql = format!(
            "CREATE TEMP TABLE IF NOT EXISTS power (writes_left INTEGER); DELETE FROM power; INSERT INTO power VALUES ({writes});"
        );
        for table in
            ["rollout", "rollout_target", "rollout_mail", "rollout_event", "outbox", "outbox_recipient"]
        {
            for write in ["INSERT", "UPDATE"] {
                sql.push_str(&format!(
                    "CREATE TEMP TRIGGER IF NOT EXISTS {table}_{write} BEFORE {write} ON main.{table} BEGIN
                       UPDATE power SET writes_left = writes_left - 1;
                       SELECT RAISE(ABORT, 'power cut') FROM power WHERE writes_left < 0;
                     END;"
                ));
            }
        }
        self.db.read().execute_batch(&sql).unwrap();
    }
}

#[test]
fn a_rollout_is_read_back_as_it_was_written() {
    let center = Center::in_memory(3);
    let rollout = center.db.rollout(center.id).unwrap();
    assert_eq!(rollout.release, Release::of(&center.inspection.manifest));
    assert_eq!(rollout.timing.settle, SignedDuration::from_mins(10));
    assert_eq!((rollout.started, rollout.finished), (center.now, None));
    assert_eq!(
        rollout.order.enclosure_octets,
        u64::try_from(mailfmt::package::enclose(&package().0, &rollout.order.content_key).len()).unwrap()
    );
    assert!(
        !format!("{rollout:?}").contains(&rollout.order.content_key.expose_hex()),
        "a key is never shown"
    );
    let targets = center.targets();
    assert_eq!(
        targets.into_values().collect::<Vec<_>>(),
        (1..=3).map(agent).map(|agent| Target::new(agent, 0)).collect::<Vec<_>>()
    );
}

#[test]
fn one_mail_goes_to_all_and_a_second_tick_does_nothing() {
    let mut center = Center::in_memory(17);
    assert_eq!(center.tick().unwrap(), 1);
    assert_eq!(center.recipients(), [("update".to_owned(), 17)]);
    assert_eq!(center.tick().unwrap(), 0);
    center.until_asked(17);
    assert_eq!(center.recipients(), [("update".to_owned(), 17), ("version-request".to_owned(), 17)]);
}

#[test]
fn a_kill_at_any_write_leaves_the_rollout_before_or_after_its_steps() {
    let folder = tempfile::tempdir().unwrap();
    let mut cuts = 0;
    for writes in 0.. {
        let path = folder.path().join(format!("{writes}.db"));
        let (whole, cut) = live(&path, Some(writes));
        let (expected, _) = live(&folder.path().join(format!("{writes}-whole.db")), None);
        assert_eq!(whole, expected, "cut after {writes} writes");
        cuts += cut;
        if cut == 0 {
            break;
        }
    }
    assert!(cuts >= 20, "only {cuts} cuts were tried");
}

/// A whole rollout; every tick is cut after so many writes, the center begins again and goes on. Returns everything
/// written and how many ticks were cut.
fn live(path: &Path, writes: Option<usize>) -> (String, usize) {
    let mut center = Center::new(Db::create(path).unwrap(), 3);
    let mut cuts = 0;
    let mut tick_in_spite_of_a_cut = |center: &mut Center, first_number| {
        if let Some(writes) = writes {
            let before = center.dump();
            center.cut_after(writes);
            let cut = tick(&mut center.db, center.now, &mut counting(first_number)).is_err();
            center.db = Db::open(path).unwrap();
            if !cut {
                return;
            }
            cuts += 1;
            assert_eq!(center.dump(), before, "half a step was left");
        }
        tick(&mut center.db, center.now, &mut counting(first_number)).unwrap();
    };
    tick_in_spite_of_a_cut(&mut center, 1000);
    let order = center.messages().0.unwrap();
    (1..=3).for_each(|number| center.transport(order, number, &TransportOutcome::Accepted));
    center.now += SignedDuration::from_mins(10);
    tick_in_spite_of_a_cut(&mut center, 2000);
    let ask = center.messages().1.unwrap();
    (1..=3).for_each(|number| center.transport(ask, number, &TransportOutcome::Accepted));
    for number in 1..=2 {
        let nonce = center.nonce(number);
        center.good_answer(number, nonce);
    }
    center.now += SignedDuration::from_mins(30);
    tick_in_spite_of_a_cut(&mut center, 3000);
    assert!(center.db.rollout(center.id).unwrap().finished.is_some());
    (center.dump(), cuts)
}

#[test]
fn a_retry_touches_only_the_failed() {
    let mut center = Center::in_memory(5);
    center.until_asked(5);
    for number in [1, 2, 4] {
        let nonce = center.nonce(number);
        center.good_answer(number, nonce);
    }
    let nonce = center.nonce(3);
    center.answer(3, nonce, "1.0.01-1", b"device-watch 1.0.01");
    center.later(30);
    let before = center.targets();
    let agents = retry(&mut center.db, center.id, &[], "anna", center.now, &mut center.random).unwrap();
    assert_eq!(agents, [agent(3), agent(5)]);
    center.tick().unwrap();
    assert_eq!(center.recipients().last(), Some(&("update".to_owned(), 2)));
    let after = center.targets();
    for number in [1, 2, 4] {
        assert_eq!(after[&agent(number)], before[&agent(number)]);
    }
    let (counts, finished) = center.db.rollout_counts(center.id).unwrap();
    assert_eq!((counts.updated, counts.failed, counts.pending, finished), (3, 0, 2, None));
    let foreign = retry(&mut center.db, center.id, &[agent(9)], "anna", center.now, &mut center.random);
    assert!(matches!(foreign, Err(StartError::NoTarget { .. })));
}

#[test]
fn a_late_answer_corrects_a_finished_rollout_and_stands_in_the_history() {
    let mut center = Center::in_memory(1);
    center.until_asked(1);
    let nonce = center.nonce(1);
    center.later(30);
    assert_eq!(center.db.rollout_counts(center.id).unwrap().0.failed, 1);
    center.later(3 * 24 * 60);
    center.good_answer(1, nonce);
    center.tick().unwrap();
    let (counts, finished) = center.db.rollout_counts(center.id).unwrap();
    assert_eq!((counts.updated, counts.failed), (1, 0));
    assert!(finished.is_some());
    let history = center.history(1);
    assert_eq!(
        history,
        [
            "ordered",
            "accepted order",
            "asked",
            "accepted version request",
            "failed silent",
            "version-report asked for",
            "updated corrected; before: silent"
        ]
    );
}

#[test]
fn an_old_version_and_the_installers_word_in_one_batch_of_mail_make_the_center_ask_again() {
    let mut center = Center::in_memory(1);
    center.until_asked(1);
    let (nonce, order) = (center.nonce(1), center.messages().0);
    // Asked before it had installed; both mails are filed in the same moment.
    center.answer(1, nonce, "1.0.01-1", b"device-watch 1.0.01");
    let report = UpdateResultReport {
        package: center.inspection.id,
        target: center.inspection.manifest.target.clone(),
        running: center.inspection.manifest.target.clone(),
        outcome: UpdateOutcome::Installed,
        output: String::new(),
    };
    let said = center.now + SignedDuration::from_secs(2);
    let origin = Origin { created: said, ..center.origin(1, order) };
    center.db.write(|tx| on_update_result(tx, &origin, &report)).unwrap();
    center.later(1);
    assert_eq!(center.recipients().last(), Some(&("version-request".to_owned(), 1)));
    assert_eq!(center.recipients().len(), 3, "a second question");
    center.later(60);
    let nonce = center.nonce(1);
    center.answer(1, nonce, "1.0.01-1", b"device-watch 1.0.01");
    center.later(1);
    assert_eq!(center.recipients().len(), 3, "but no third: it was made after the installer spoke");
}

#[test]
fn the_right_version_line_over_other_modules_is_a_failure() {
    let mut center = Center::in_memory(1);
    center.until_asked(1);
    let nonce = center.nonce(1);
    center.answer(1, nonce, "1.0.02-0", b"device-watch, but another one");
    center.tick().unwrap();
    assert!(matches!(
        center.targets()[&agent(1)].verdict(),
        Some(Verdict::Failed { failure: Failure::MixedModules { .. } })
    ));
}

#[test]
fn a_result_finds_its_target_by_the_order_or_by_the_package() {
    let mut center = Center::in_memory(2);
    center.until_asked(2);
    let (order, _) = center.messages();
    for (number, answers, reason) in [(1, order, "no\u{1b}[2Jspace"), (2, None, "busy")] {
        let report = UpdateResultReport {
            package: center.inspection.id,
            target: center.inspection.manifest.target.clone(),
            running: SoftwareVersion::new("1.0.00-1").unwrap(),
            outcome: UpdateOutcome::Refused { reason: reason.to_owned() },
            output: String::new(),
        };
        let origin = center.origin(number, answers);
        center.db.write(|tx| on_update_result(tx, &origin, &report)).unwrap();
    }
    center.later(30);
    let failure = |number| match center.targets()[&agent(number)].verdict() {
        Some(Verdict::Failed { failure: Failure::Refused { reason } }) => reason.clone(),
        verdict => panic!("{verdict:?}"),
    };
    assert_eq!(failure(1), "no [2Jspace", "without control characters");
    assert_eq!(failure(2), "busy");
}

#[test]
fn a_removed_appliance_does_not_hold_the_others_up() {
    let mut center = Center::in_memory(3);
    center.db.remove_appliance(&agent(2), center.now).unwrap();
    center.tick().unwrap();
    assert_eq!(center.recipients(), [("update".to_owned(), 2)]);
    assert!(matches!(
        center.targets()[&agent(2)].verdict(),
        Some(Verdict::Failed { failure: Failure::Undeliverable { .. } })
    ));
}

#[test]
fn a_suspended_appliance_is_left_out_of_a_running_rollout_and_shown_as_suspended() {
    let mut center = Center::in_memory(3);
    center.db.suspend_appliance(&agent(2), "stolen", center.now).unwrap();
    center.tick().unwrap();
    assert_eq!(center.recipients(), [("update".to_owned(), 2)]);
    let targets = center.targets();
    let verdict = targets[&agent(2)].verdict();
    assert_eq!(verdict, Some(&Verdict::Failed { failure: Failure::Suspended }));
    assert_eq!(Failure::Suspended.to_string(), "suspended");
}

#[test]
fn an_appliance_that_is_suspended_in_the_middle_is_judged_at_once_and_goes_on_when_it_is_readmitted() {
    let mut center = Center::in_memory(2);
    center.db.read().execute("UPDATE rollout SET retries = 1", []).unwrap();
    center.until_asked(2);
    center.db.suspend_appliance(&agent(1), "stolen", center.now).unwrap();
    center.tick().unwrap();
    let suspended = Verdict::Failed { failure: Failure::Suspended };
    assert_eq!(center.targets()[&agent(1)].verdict(), Some(&suspended), "without waiting for its answer");
    center.db.readmit_appliance(&agent(1), center.now).unwrap();
    let nonce = center.nonce(2);
    center.answer(2, nonce, "1.0.01-1", b"device-watch 1.0.01");
    center.later(30);
    assert_eq!(center.recipients().last(), Some(&("update".to_owned(), 2)), "both begin again");
}

#[test]
fn an_appliance_that_is_removed_after_it_failed_is_not_retried_and_keeps_its_verdict() {
    let mut center = Center::in_memory(2);
    center.db.read().execute("UPDATE rollout SET retries = 1", []).unwrap();
    center.until_asked(2);
    let nonce = center.nonce(1);
    center.answer(1, nonce, "1.0.01-1", b"device-watch 1.0.01");
    center.tick().unwrap();
    center.db.remove_appliance(&agent(1), center.now).unwrap();
    center.later(30);
    assert_eq!(center.recipients().last(), Some(&("update".to_owned(), 1)), "the other one begins again");
    let targets = center.targets();
    let verdict = targets[&agent(1)].verdict();
    assert!(matches!(verdict, Some(Verdict::Failed { failure: Failure::OtherVersion { .. } })));
}

#[test]
fn a_rollout_of_an_expired_package_or_to_nobody_does_not_begin() {
    let mut center = Center::in_memory(1);
    let (file, inspection) = package();
    let mut draft = Draft {
        release: Release::of(&inspection.manifest),
        order: enclose(&file, inspection.id, inspection.manifest.target.clone(), &mut center.random),
        whole: None,
        timing: center.db.rollout(center.id).unwrap().timing,
        openings: Openings::default(),
        retries: 0,
        course: Course::at_once(),
        joining: None,
        package_expires: center.now,
        agents: [agent(1)].into(),
    };
    assert!(matches!(
        start(&mut center.db, &draft, "anna", center.now),
        Err(StartError::PackageExpired { .. })
    ));
    draft.agents.clear();
    assert!(matches!(start(&mut center.db, &draft, "anna", center.now), Err(StartError::NoTargets)));
    assert_eq!(center.db.rollouts().unwrap().len(), 1);
}

mod membership;
mod parts;
mod waves;
