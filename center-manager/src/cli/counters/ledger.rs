//! `center-manager counters list`, `show DEVICE`, `month`: what the ledgers say.

use crate::cli::print::{self, TableFormat};
use crate::cli::{Context, Exit, WrongUse};
use crate::db::ledger::{LedgerFilter, Listed};
use crate::ledger::{End, Finding, Line, Month, Placed};
use crate::report::minute;
use clap::Args;
use mailfmt::AgentId;
use mailfmt::message::DeviceId;
use serde::Serialize;
use std::io::Write;

/// Of which devices.
#[derive(Debug, Clone, Args)]
pub(super) struct Of {
    /// Of this appliance only.
    #[arg(long)]
    pub agent: Option<AgentId>,
    /// Of this customer only.
    #[arg(long, value_name = "NAME")]
    pub customer: Option<String>,
}

impl Of {
    pub(super) fn filter(&self) -> LedgerFilter {
        LedgerFilter { agent: self.agent.clone(), customer: self.customer.clone(), serial: None }
    }
}

/// What to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    of: Of,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

/// Which month.
#[derive(Debug, Args)]
#[command(
    after_help = "The pages of a line are the difference of two positions that stand in stored readings, and what was said \
    about the findings between them (`counters review`). A line that somebody has to review first names who."
)]
pub struct MonthArgs {
    /// The month, such as 2026-11.
    #[arg(value_name = "YYYY-MM")]
    pub month: Month,
    #[command(flatten)]
    of: Of,
    /// Only counters of this name, such as `total`; may be given several times.
    #[arg(long = "counter", value_name = "NAME")]
    pub counters: Vec<String>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

pub(super) fn list(args: &ListArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let devices = context.db()?.ledger_devices(&args.of.filter())?;
    let names =
        ["agent id", "customer", "device", "entries", "first", "last", "closed", "to review", "ledger"];
    let rows = devices.iter().map(|device: &Listed| {
        vec![
            device.agent.to_string(),
            device.customer.clone(),
            device.device.to_string(),
            device.entries.to_string(),
            minute(device.first),
            minute(device.last),
            print::maybe(device.closed.as_ref()),
            device.open.to_string(),
            if device.sound { "whole".to_owned() } else { "CHANGED".to_owned() },
        ]
    });
    match args.format {
        TableFormat::Text if devices.is_empty() => {
            writeln!(out, "No entries yet; appliances send them once a day, and when a month ends.")?;
        }
        TableFormat::Text => print::table(out, &names, rows)?,
        TableFormat::Csv => print::csv(out, &names, rows)?,
        TableFormat::Json => print::json(out, &devices)?,
    }
    Ok(Exit::Done)
}

/// One entry in the history of a device.
#[derive(Debug, Serialize)]
struct Shown {
    agent: AgentId,
    device: DeviceId,
    #[serde(flatten)]
    placed: Placed,
}

/// The history of the devices of one serial number, and what was found in it.
pub(super) fn show(
    serial: &str,
    agent: Option<&AgentId>,
    format: TableFormat,
    context: &Context,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let filter = LedgerFilter { agent: agent.cloned(), customer: None, serial: Some(serial.to_owned()) };
    let db = context.db()?;
    let history = db.ledger_history(&filter)?;
    if history.is_empty() {
        let message = format!(
            "no ledger has a device with serial number {serial:?}; `center-manager counters list` shows what there is"
        );
        return Err(WrongUse(message).into());
    }
    let findings = db.ledger_findings(&filter, true)?;
    let names = [
        "agent id", "device", "entry", "read", "why", "closes", "counter", "count", "counted", "unit",
        "source",
    ];
    let rows = history.iter().flat_map(|(agent, device, placed)| {
        let entry = &placed.entry;
        entry.meters.iter().map(move |meter| {
            vec![
                agent.to_string(),
                device.to_string(),
                placed.sequence.to_string(),
                minute(entry.at),
                if placed.fits { entry.mode.clone() } else { format!("{}, CHANGED", entry.mode) },
                print::maybe(entry.closes.as_ref()),
                meter.name.clone(),
                meter.value.to_string(),
                if meter.leads { meter.sure.to_string() } else { "beside".to_owned() },
                meter.unit.clone(),
                meter.source.clone(),
            ]
        })
    });
    match format {
        TableFormat::Text => {
            print::table(out, &names, rows)?;
            if !findings.is_empty() {
                writeln!(out)?;
                super::review::table(out, &findings)?;
            }
        }
        TableFormat::Csv => print::csv(out, &names, rows)?,
        TableFormat::Json => {
            let entries = history
                .iter()
                .map(|(agent, device, placed)| Shown {
                    agent: agent.clone(),
                    device: device.clone(),
                    placed: placed.clone(),
                })
                .collect::<Vec<_>>();
            print::json(out, &serde_json::json!({ "entries": entries, "findings": findings }))?;
        }
    }
    Ok(Exit::Done)
}

pub(super) fn month(args: &MonthArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut lines: Vec<Line> = context
        .db()?
        .ledger_month(&args.month, &args.of.filter())?
        .iter()
        .flat_map(crate::ledger::DeviceMonth::lines)
        .collect();
    lines.retain(|line| args.counters.is_empty() || args.counters.contains(&line.name));
    match args.format {
        TableFormat::Text if lines.is_empty() => {
            writeln!(out, "No reading of {} has come.", args.month)?;
        }
        TableFormat::Text => {
            let names = [
                "customer",
                "agent id",
                "device",
                "counter",
                "from",
                "to",
                "pages",
                "unit",
                "flags",
                "review by",
            ];
            print::table(out, &names, lines.iter().map(row))?;
            let open = lines.iter().filter(|line| !line.review_by.is_empty()).count();
            if open > 0 {
                writeln!(
                    out,
                    "\nTo be reviewed before they are billed: {open}. `center-manager counters review` shows what was found."
                )?;
            }
        }
        TableFormat::Csv => print::csv(out, &CSV_NAMES, lines.iter().map(csv_row))?,
        TableFormat::Json => print::json(out, &lines)?,
    }
    Ok(Exit::Done)
}

fn row(line: &Line) -> Vec<String> {
    let end = |end: &Option<End>| {
        end.as_ref().map_or_else(
            || "-".to_owned(),
            |end| {
                let about = if end.between.is_some() { "about " } else { "" };
                format!("{about}{} on {} (#{})", end.value, minute(end.at), end.entry)
            },
        )
    };
    vec![
        line.customer.clone(),
        line.agent.to_string(),
        line.device.to_string(),
        line.name.clone(),
        end(&line.from),
        end(&line.to),
        print::maybe(line.pages),
        line.unit.clone(),
        flags(line),
        if line.review_by.is_empty() { "-".to_owned() } else { line.review_by.join(", ") },
    ]
}

/// All that is out of the ordinary, in a few words.
fn flags(line: &Line) -> String {
    let mut flags = Vec::new();
    if line.estimated {
        flags.push("estimated".to_owned());
    }
    flags.extend(line.flags.iter().cloned());
    flags
        .extend(line.findings.iter().map(|finding| format!("{} {}", finding.found.class, standing(finding))));
    if flags.is_empty() { "-".to_owned() } else { flags.join("; ") }
}

/// How far a finding is decided.
pub(super) fn standing(finding: &Finding) -> String {
    match (&finding.review, finding.found.review) {
        (Some(review), _) => format!("#{} ({} by {})", finding.id, review.verdict, review.operator),
        (None, true) if finding.settled => format!("#{} (settled)", finding.id),
        (None, true) => format!("#{} (open)", finding.id),
        (None, false) => format!("#{} (noted)", finding.id),
    }
}

const CSV_NAMES: [&str; 23] = [
    "customer",
    "agent",
    "vendor",
    "model",
    "serial",
    "counter",
    "unit",
    "from_entry",
    "from_at",
    "from_value",
    "from_source",
    "from_between",
    "to_entry",
    "to_at",
    "to_value",
    "to_source",
    "to_between",
    "pages",
    "corrected",
    "estimated",
    "flags",
    "findings",
    "review_by",
];

fn csv_row(line: &Line) -> Vec<String> {
    let end = |end: &Option<End>| match end {
        None => vec![String::new(); 5],
        Some(end) => vec![
            end.entry.to_string(),
            end.at.to_string(),
            end.value.to_string(),
            end.source.clone(),
            end.between.map(|(from, to)| format!("{from} {to}")).unwrap_or_default(),
        ],
    };
    let mut row = vec![
        line.customer.clone(),
        line.agent.to_string(),
        line.device.vendor.clone(),
        line.device.model.clone(),
        line.device.serial.clone(),
        line.name.clone(),
        line.unit.clone(),
    ];
    row.extend(end(&line.from));
    row.extend(end(&line.to));
    let findings: Vec<String> = line
        .findings
        .iter()
        .map(|finding| format!("{} {}", finding.found.class, standing(finding)))
        .collect();
    row.extend([
        line.pages.map(|pages| pages.to_string()).unwrap_or_default(),
        line.corrected.to_string(),
        line.estimated.to_string(),
        line.flags.join("; "),
        findings.join("; "),
        line.review_by.join(" "),
    ]);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        let end = |entry, value, between| End {
            entry,
            at: "2026-11-30T19:00:00Z".parse().unwrap(),
            value,
            source: "1.3.6.1".to_owned(),
            between,
        };
        Line {
            agent: "AGENT0000001".parse().unwrap(),
            customer: "Customer".to_owned(),
            device: DeviceId { vendor: "Maker".into(), model: "One".into(), serial: "A1".into() },
            name: "total".to_owned(),
            unit: "impressions".to_owned(),
            from: Some(end(4, 1_000, None)),
            to: Some(end(9, 1_400, Some((8, 10)))),
            pages: Some(400),
            corrected: -3,
            estimated: true,
            flags: vec!["since its first reading".to_owned()],
            findings: Vec::new(),
            review_by: vec!["billing", "service"],
        }
    }

    #[test]
    fn a_line_names_both_readings_and_says_what_is_estimated() {
        let row = row(&line());
        assert_eq!(row[4], "1000 on 2026-11-30 19:00 (#4)");
        assert_eq!(row[5], "about 1400 on 2026-11-30 19:00 (#9)");
        assert_eq!((row[6].as_str(), row[8].as_str()), ("400", "estimated; since its first reading"));
        assert_eq!(row[9], "billing, service");
    }

    #[test]
    fn csv_has_a_cell_for_every_name_also_where_an_end_is_missing() {
        let without = Line { from: None, to: None, pages: None, ..line() };
        for line in [line(), without] {
            assert_eq!(csv_row(&line).len(), CSV_NAMES.len());
        }
        assert_eq!(csv_row(&line())[16], "8 10");
    }
}
