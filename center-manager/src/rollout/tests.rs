//! Rollouts in the database.

use super::retrying::Policy;
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

    fn on_course(db: Db, appliances: usize, course: Course) -> Self {
        Self::with(db, appliances, course, 0)
    }

    fn with(mut db: Db, appliances: usize, course: Course, approvals: u32) -> Self {
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
            retrying: Policy::NOTHING,
            course,
            joining: None,
            approvals,
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
        self.messages_of(1)
    }

    fn messages_of(&self, number: usize) -> (Option<MessageId>, Option<MessageId>) {
        let target = &self.targets()[&agent(number)];
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

    fn does(&mut self, act: Act, reason: &str) -> Result<(), ConductError> {
        conduct(&mut self.db, self.id, &Deed { act, who: "anna", reason }, self.now)
    }

    /// From now on so many rounds follow by themselves, each without a pause.
    fn retries(&self, rounds: u32) {
        let sql = "UPDATE rollout SET retries = ?1, retry_pause_secs = 0, mails_per_target = 1000";
        self.db.read().execute(sql, [rounds]).unwrap();
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

mod approval;
mod durable;
mod membership;
mod parts;
mod rounds;
mod shut_out;
mod waves;
mod words;
