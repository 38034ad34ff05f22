//! Programs that run and software that is installed on a computer (RFC 2790).

use super::oid::Value;
use super::text::decode;
use super::walk::Walk;
use std::collections::BTreeSet;

/// `hrSWRunName`.
pub const HR_SW_RUN_NAME: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 4, 2, 1, 2];
/// `hrSWRunPath`.
pub const HR_SW_RUN_PATH: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 4, 2, 1, 4];
/// `hrSWRunStatus`.
pub const HR_SW_RUN_STATUS: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 4, 2, 1, 7];
/// `hrSWInstalledName`.
pub const HR_SW_INSTALLED_NAME: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 6, 3, 1, 2];

/// Most programs, and most pieces of software, taken of one computer.
pub const SOFTWARE_MAX: usize = 4096;

/// `hrSWRunStatus`: the program is loaded and does not run any more.
const INVALID: i64 = 4;

/// A program that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// The file that it was started from, where the computer tells it.
    pub path: Option<String>,
}

/// What runs, and what is installed; `None` where the computer does not tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Software {
    /// Programs that run, in order of their numbers.
    pub running: Option<Vec<Program>>,
    /// Names of what is installed, each once.
    pub installed: Option<BTreeSet<String>>,
}

/// The software in what a computer answered. Total: any walk gives something.
#[must_use]
pub fn software(walk: &Walk) -> Software {
    let text = |value: &Value| value.as_octets().and_then(|octets| decode(octets, None));
    let runs = |index: &[u32]| {
        walk.cell(HR_SW_RUN_STATUS, index).and_then(Value::as_i64).is_none_or(|status| status != INVALID)
    };
    let running: Vec<Program> = walk
        .column(HR_SW_RUN_NAME)
        .take(SOFTWARE_MAX)
        .filter(|(index, _)| runs(index))
        .filter_map(|(index, name)| {
            Some(Program { name: text(name)?, path: walk.cell(HR_SW_RUN_PATH, index).and_then(text) })
        })
        .collect();
    let installed: BTreeSet<String> =
        walk.column(HR_SW_INSTALLED_NAME).take(SOFTWARE_MAX).filter_map(|(_, name)| text(name)).collect();
    Software {
        running: (!running.is_empty()).then_some(running),
        installed: (!installed.is_empty()).then_some(installed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Oid;

    #[test]
    fn programs_run_unless_they_are_only_left_in_the_table() {
        let text = |text: &str| Value::Octets(text.as_bytes().to_vec());
        let rows = [
            ("1.3.6.1.2.1.25.4.2.1.2.1", text("init")),
            ("1.3.6.1.2.1.25.4.2.1.2.77", text("till")),
            ("1.3.6.1.2.1.25.4.2.1.4.77", text("/opt/till/bin/till")),
            ("1.3.6.1.2.1.25.4.2.1.7.77", Value::Integer(2)),
            ("1.3.6.1.2.1.25.4.2.1.2.78", text("ghost")),
            ("1.3.6.1.2.1.25.4.2.1.7.78", Value::Integer(4)),
            ("1.3.6.1.2.1.25.6.3.1.2.1", text("till-2.1")),
        ];
        let walk: Walk = rows.into_iter().map(|(oid, value)| (oid.parse::<Oid>().unwrap(), value)).collect();
        let software = software(&walk);
        let names: Vec<_> = software.running.iter().flatten().map(|program| program.name.as_str()).collect();
        assert_eq!(names, ["init", "till"]);
        assert_eq!(software.running.unwrap()[1].path.as_deref(), Some("/opt/till/bin/till"));
        assert_eq!(software.installed.unwrap().len(), 1);
        assert_eq!(super::software(&Walk::default()), Software::default());
    }
}
