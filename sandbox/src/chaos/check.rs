//! What must be true in the end, by the book and by the tables, which are read past the code that wrote them.

use super::book::{Entry, What};
use super::{BEGIN, CALM_ENOUGH, Findings, Stage};
use anyhow::Context as _;
use jiff::Timestamp;
use mailfmt::{AgentId, MessageId};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Stories that are told at most.
const STORIES_MAX: usize = 5;

/// A report as it stands in the center's journal.
struct Row {
    serial: Option<u32>,
    place: usize,
    in_reply_to: Option<MessageId>,
    kind: String,
    body: Value,
}

/// What counts as one effect: two reports that stand for the same one are one too many.
fn effect(row: &Row) -> Option<String> {
    let episode =
        || row.body.pointer("/body/episode").or(row.body.pointer("/episode")).and_then(Value::as_str);
    match row.kind.as_str() {
        "fault" | "fault-cleared" => Some(format!("{} {}", row.kind, episode()?)),
        _ => row.in_reply_to.map(|command| format!("answer of {} to {command}", row.place)),
    }
}

impl Stage {
    /// What was found.
    pub(super) fn findings(&mut self, calm_since: Timestamp) -> anyhow::Result<Findings> {
        let rows = self.journal()?;
        let mut findings = Findings {
            deliveries: self.clock.deliveries(),
            messages: u64::try_from(self.book.entries().count())?,
            crashes: self.center.crashes + self.sites.iter().map(|site| site.crashes).sum::<u64>(),
            restores: self.restores,
            naive: self.book.naive(),
            took: self.clock.now().duration_since(BEGIN),
            ..Findings::default()
        };
        let mut wrong: Vec<(u32, &str)> = Vec::new();
        self.doubled_reports(&rows, &mut findings, &mut wrong);
        self.doubled_rows(&mut findings)?;
        self.lost_reports(&rows, &mut findings, &mut wrong)?;
        self.commands(calm_since, &mut findings, &mut wrong);
        findings.stories = wrong
            .iter()
            .take(STORIES_MAX)
            .map(|(serial, what)| format!("{what}: {}", self.book.story(*serial)))
            .collect();
        Ok(findings)
    }

    fn journal(&mut self) -> anyhow::Result<Vec<Row>> {
        let places = self.center.places().clone();
        let mut statement =
            self.center.watch()?.prepare("SELECT message, agent, in_reply_to, kind, body FROM report")?;
        let mut rows = statement.query(())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let agent = AgentId::new(&row.get::<_, String>(1)?)?;
            let place = *places.get(&agent).context("an appliance of the fleet")?;
            let body: String = row.get(4)?;
            found.push(Row {
                serial: self.book.serial(MessageId::from_bytes(row.get(0)?), place),
                place,
                in_reply_to: row.get::<_, Option<[u8; 16]>>(2)?.map(MessageId::from_bytes),
                kind: row.get(3)?,
                body: serde_json::from_str(&body).context("what is filed is JSON")?,
            });
        }
        Ok(found)
    }

    /// Reports that stand twice, that stand for the same effect, or that nobody made.
    fn doubled_reports(&self, rows: &[Row], findings: &mut Findings, wrong: &mut Vec<(u32, &'static str)>) {
        let mut filed = HashSet::new();
        let mut effects: HashMap<String, u32> = HashMap::new();
        for row in rows {
            let Some(serial) = row.serial else {
                findings.double_effects += 1;
                findings.stories.push(format!("a report of appliance {} that it never made", row.place + 1));
                continue;
            };
            if !filed.insert(serial) {
                findings.double_effects += 1;
                wrong.push((serial, "filed twice"));
            }
            // What a restored disk forgot was done by a box that is no more.
            let forgotten = self.book.entry(serial).is_some_and(|entry| entry.forgotten_by_site);
            if let Some(effect) = effect(row).filter(|_| !forgotten)
                && effects.insert(effect, serial).is_some()
            {
                findings.double_effects += 1;
                wrong.push((serial, "stands for what another report has told"));
            }
        }
    }

    /// Rows that a report may have left twice.
    fn doubled_rows(&mut self, findings: &mut Findings) -> anyhow::Result<()> {
        for text in [
            "SELECT ifnull(sum(times - 1), 0) FROM (SELECT count(*) AS times FROM ledger_finding GROUP BY agent, ledger, sequence, name)",
            "SELECT ifnull(sum(times - 1), 0) FROM (SELECT count(*) AS times FROM ledger_entry GROUP BY agent, ledger, sequence)",
            "SELECT ifnull(sum(times - 1), 0) FROM (SELECT count(*) AS times FROM fault GROUP BY agent, episode)",
        ] {
            let surplus: i64 = self.center.watch()?.query_row(text, (), |row| row.get(0))?;
            findings.double_effects += u64::try_from(surplus)?;
        }
        Ok(())
    }

    /// Reports that were durable and are neither filed nor given up.
    fn lost_reports(
        &mut self,
        rows: &[Row],
        findings: &mut Findings,
        wrong: &mut Vec<(u32, &'static str)>,
    ) -> anyhow::Result<()> {
        let filed: HashSet<u32> = rows.iter().filter_map(|row| row.serial).collect();
        let opened: HashSet<(usize, String)> = self.episodes("since IS NOT NULL")?;
        let cleared: HashSet<(usize, String)> = self.episodes("cleared IS NOT NULL")?;
        for (serial, entry) in self.book.entries().filter(|(_, entry)| entry.what == What::Report) {
            findings.given_up += u64::from(entry.given_up);
            if filed.contains(&serial) || entry.given_up {
                continue;
            }
            if entry.forgotten_by_site || entry.forgotten_by_center {
                findings.forgotten += 1;
            } else {
                findings.lost += 1;
                wrong.push((serial, "lost"));
            }
        }
        // A report that is filed must also have had its effect.
        for row in rows {
            let (Some(serial), Some(episode)) =
                (row.serial, row.body.pointer("/body/episode").and_then(Value::as_str))
            else {
                continue;
            };
            let standing = if row.kind == "fault" { &opened } else { &cleared };
            if !standing.contains(&(row.place, episode.to_owned())) {
                findings.lost += 1;
                wrong.push((serial, "filed without its effect"));
            }
        }
        Ok(())
    }

    fn episodes(&mut self, which: &str) -> anyhow::Result<HashSet<(usize, String)>> {
        let places = self.center.places().clone();
        let mut statement =
            self.center.watch()?.prepare(&format!("SELECT agent, episode FROM fault WHERE {which}"))?;
        let mut rows = statement.query(())?;
        let mut found = HashSet::new();
        while let Some(row) = rows.next()? {
            let agent = AgentId::new(&row.get::<_, String>(0)?)?;
            found.insert((*places.get(&agent).context("an appliance of the fleet")?, row.get(1)?));
        }
        Ok(found)
    }

    /// Commands that were carried out twice, or not at all.
    fn commands(&self, calm_since: Timestamp, findings: &mut Findings, wrong: &mut Vec<(u32, &'static str)>) {
        let installed = |entry: &Entry| {
            let site = self.sites.get(entry.site);
            site.and_then(|site| site.installed.get(&entry.message)).copied().unwrap_or(0)
        };
        for (serial, entry) in self.book.entries().filter(|(_, entry)| entry.what == What::Command) {
            let times = entry.answers.max(installed(entry));
            if times > 1 {
                findings.double_effects += u64::from(times - 1);
                wrong.push((serial, "carried out twice"));
            }
            if times == 1 && entry.answers_forgotten > 0 {
                findings.done_again_after_restore += 1;
            }
            if times == 0 && entry.answers_forgotten == 0 && !entry.forgotten_by_center {
                if entry.expires.duration_since(calm_since) > CALM_ENOUGH {
                    findings.lost += 1;
                    wrong.push((serial, "never answered"));
                } else {
                    findings.expired += 1;
                }
            }
        }
    }
}
