//! The version report: a text table that a person can read and a program reads back exactly.
//!
//! ```text
//! Software Version    1.0.00-1
//! ROM Version         1.5.08
//! Modules
//! abcd.exe            1.0.00    2002/01/01
//! ```
//!
//! Source: JP 2003-435644 [0069-0073], Fig. 13.

use crate::ids::{IdError, ModuleName};
use crate::limits::Limits;
use crate::version::{ModuleVersion, SoftwareVersion, VersionError};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

const NAME_WIDTH: usize = 20;
const VERSION_WIDTH: usize = 10;

/// Which version of everything an appliance runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionReport {
    /// The version of the whole: one exact set of module versions.
    pub software: SoftwareVersion,
    /// The version of the box's own firmware or base image.
    pub rom: ModuleVersion,
    /// Every module, in the order of the release; names are unique.
    pub modules: Vec<ModuleLine>,
}

/// One module in a version report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleLine {
    /// Its name.
    pub name: ModuleName,
    /// Its version.
    pub version: ModuleVersion,
    /// The day it was made.
    pub date: Date,
}

/// Why a text is not a version report; lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionReportError {
    /// Larger than the limit.
    #[error("the version report has {found} octets, more than the {limit} allowed")]
    TooLong {
        /// Octets allowed.
        limit: usize,
        /// Octets found.
        found: usize,
    },
    /// A line that should start otherwise.
    #[error("line {line} should be {expected:?}")]
    Expected {
        /// Line number.
        line: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// A module line without name, version and date.
    #[error("line {line} should be a module's name, version and date (such as `abcd.exe 1.0.00 2002/01/01`)")]
    ModuleLine {
        /// Line number.
        line: usize,
    },
    /// A wrong version.
    #[error("line {line}")]
    Version {
        /// Line number.
        line: usize,
        /// What is wrong with it.
        source: VersionError,
    },
    /// A wrong module name.
    #[error("line {line}")]
    Name {
        /// Line number.
        line: usize,
        /// What is wrong with it.
        source: IdError,
    },
    /// A module that is named twice.
    #[error("line {line}: module {name} is named twice")]
    Twice {
        /// Line number.
        line: usize,
        /// The module.
        name: ModuleName,
    },
    /// More modules than allowed.
    #[error("more than {limit} modules")]
    TooMany {
        /// Modules allowed.
        limit: usize,
    },
}

impl VersionReport {
    /// Writes the table: ASCII, lines ended by LF.
    #[must_use]
    pub fn write(&self) -> String {
        let mut text = format!(
            "{:NAME_WIDTH$}{}\n{:NAME_WIDTH$}{}\nModules\n",
            "Software Version", self.software, "ROM Version", self.rom
        );
        for module in &self.modules {
            let (name, version) = (module.name.as_str(), module.version.as_str());
            // A name or version as wide as its column still needs a gap behind it.
            text.push_str(&format!("{name:<0$}", NAME_WIDTH.max(name.len().saturating_add(2))));
            text.push_str(&format!("{version:<0$}", VERSION_WIDTH.max(version.len().saturating_add(2))));
            text.push_str(&module.date.strftime("%Y/%m/%d\n").to_string());
        }
        text
    }

    /// Reads a table back. Tolerant of CRLF and of the width of the gaps; nothing else.
    ///
    /// # Errors
    /// [`VersionReportError`] names the line.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, VersionReportError> {
        if text.len() > limits.version_report_octets {
            return Err(VersionReportError::TooLong {
                limit: limits.version_report_octets,
                found: text.len(),
            });
        }
        let mut lines = text.lines().enumerate().map(|(index, line)| (index.saturating_add(1), line));
        let mut field = |expected: &'static str, line: usize| {
            lines
                .next()
                .and_then(|(_, text)| text.strip_prefix(expected))
                .ok_or(VersionReportError::Expected { line, expected })
        };
        let software = SoftwareVersion::new(field("Software Version", 1)?.trim())
            .map_err(|source| VersionReportError::Version { line: 1, source })?;
        let rom = ModuleVersion::new(field("ROM Version", 2)?.trim())
            .map_err(|source| VersionReportError::Version { line: 2, source })?;
        if !field("Modules", 3)?.trim().is_empty() {
            return Err(VersionReportError::Expected { line: 3, expected: "Modules" });
        }
        let mut modules = Vec::new();
        let mut names = BTreeSet::new();
        for (line, text) in lines {
            let mut words = text.split_ascii_whitespace();
            let (Some(name), Some(version), Some(date), None) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                return Err(VersionReportError::ModuleLine { line });
            };
            let name = ModuleName::new(name).map_err(|source| VersionReportError::Name { line, source })?;
            let version =
                ModuleVersion::new(version).map_err(|source| VersionReportError::Version { line, source })?;
            let date = parse_date(date).ok_or(VersionReportError::ModuleLine { line })?;
            if !names.insert(name.clone()) {
                return Err(VersionReportError::Twice { line, name });
            }
            if modules.len() >= limits.modules {
                return Err(VersionReportError::TooMany { limit: limits.modules });
            }
            modules.push(ModuleLine { name, version, date });
        }
        Ok(Self { software, rom, modules })
    }
}

fn parse_date(text: &str) -> Option<Date> {
    let mut parts = text.split('/');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let digits =
        |part: &str, width: usize| part.len() == width && part.bytes().all(|octet| octet.is_ascii_digit());
    if parts.next().is_some() || !digits(year, 4) || !digits(month, 2) || !digits(day, 2) {
        return None;
    }
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

impl From<VersionReport> for String {
    fn from(report: VersionReport) -> Self {
        report.write()
    }
}

impl TryFrom<String> for VersionReport {
    type Error = VersionReportError;
    fn try_from(text: String) -> Result<Self, VersionReportError> {
        Self::parse(&text, &Limits::default())
    }
}
