//! Reports in words, for receipts and tables.

use mailfmt::Report;
use mailfmt::message::report::{
    DeviceCounters, DeviceState, FaultReport, InventoryDevice, StoredReading, UpdateOutcome,
};

/// Longest description, in characters.
const LONGEST: usize = 300;

/// What the center understood of a report: `jam in media path of Kyocera ECOSYS P2040dw VD21457943`.
///
/// `opened` is what is known of the fault that a clearing report ends, from [`fault`]; `None` when its opening
/// report has not come yet.
#[must_use]
pub fn describe(report: &Report, opened: Option<&str>) -> String {
    let words = match report {
        Report::Fault(report) => {
            format!("{} of {}", fault(&report.code, &report.group), report.device)
        }
        Report::FaultCleared(report) => {
            format!("{} of {} is over", opened.unwrap_or("fault"), report.device)
        }
        Report::Counters(report) => counters(&report.devices),
        Report::Version(report) => {
            let modules = report.table.modules.len();
            format!("runs version {}, {modules} {}", report.table.software, plural(modules, "module"))
        }
        Report::UpdateResult(report) => match &report.outcome {
            UpdateOutcome::Installed => format!("update to {} installed", report.target),
            UpdateOutcome::Refused { reason } => format!("update to {} refused: {reason}", report.target),
            UpdateOutcome::Undone { reason } => format!("update to {} undone: {reason}", report.target),
            UpdateOutcome::Waiting { reason } => {
                format!("update to {} is not done yet: {reason}", report.target)
            }
        },
        Report::PartsMissing(report) => {
            let missing = report.missing.len();
            format!(
                "{} of {} parts of a package are here; asks for {missing} {}: {}",
                report.here,
                report.of,
                plural(missing, "part"),
                numbers(&report.missing)
            )
        }
        Report::Health(report) => format!(
            "runs version {}, {} of {} {} answering",
            report.software,
            report.devices_answering,
            report.devices,
            plural(usize::try_from(report.devices).unwrap_or(usize::MAX), "device"),
        ),
        Report::Refused(report) => format!("command {} refused: {}", report.kind, report.reason),
        Report::Inventory(report) => {
            let gone = |device: &&InventoryDevice| matches!(device.state, DeviceState::Vanished { .. });
            let (all, gone) = (report.devices.len(), report.devices.iter().filter(gone).count());
            format!("{all} {}, {gone} of them vanished", plural(all, "device"))
        }
        Report::Census(report) => {
            let (events, computers) = (report.events.len(), report.computers.len());
            format!(
                "{events} {} of devices, {computers} {}",
                plural(events, "event"),
                plural(computers, "computer")
            )
        }
        Report::CredentialRotated(_) => "agrees on a new credential".to_owned(),
        Report::Alarm(report) if report.over => format!("alarm over: {}", report.description),
        Report::Alarm(report) => format!("alarm: {}", report.description),
        Report::Unknown { kind, .. } => {
            format!("report of a kind that this center does not know ({kind}), kept")
        }
    };
    plain(&words)
}

/// Numbers with commas; the first ten of many.
#[must_use]
pub fn numbers(numbers: &[u32]) -> String {
    let shown: Vec<String> = numbers.iter().take(10).map(ToString::to_string).collect();
    format!("{}{}", shown.join(", "), if numbers.len() > shown.len() { " ..." } else { "" })
}

/// A fault by its code and place: `jam in media path`.
#[must_use]
pub fn fault(code: &str, group: &str) -> String {
    let code = if code.is_empty() { "fault".to_owned() } else { code.replace('-', " ") };
    match group {
        "" | "other" | "unknown" => code,
        group => format!("{code} in {}", group.replace('-', " ")),
    }
}

/// A fault report in one line, with the device's own text.
#[must_use]
pub fn fault_line(report: &FaultReport) -> String {
    let words = fault(&report.code, &report.group);
    plain(&if report.description.is_empty() { words } else { format!("{words}: {}", report.description) })
}

fn counters(devices: &[DeviceCounters]) -> String {
    let waiting = devices.iter().filter(|device| device.reading == StoredReading::NotCollectedYet).count();
    let collected = devices.len().saturating_sub(waiting);
    let of = format!("counters of {collected} {}", plural(collected, "device"));
    match (devices.len(), waiting) {
        (0, _) => "no devices known yet".to_owned(),
        (_, 0) => of,
        (_, waiting) => format!("{of}, {waiting} not collected yet"),
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// One line without control characters, so that a device's text cannot steer a terminal or break a table.
#[must_use]
pub fn plain(text: &str) -> String {
    // Nearly every text is plain already.
    if text.len() <= LONGEST && text.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
        return text.trim().to_owned();
    }
    let line: String = text
        .chars()
        .map(|character| if character.is_control() || is_direction_mark(character) { ' ' } else { character })
        .take(LONGEST)
        .collect();
    line.trim().to_owned()
}

/// Marks that turn the direction of the text around them (Unicode UAX 9).
fn is_direction_mark(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests;
