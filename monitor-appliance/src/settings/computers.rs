//! `[computers]`: how computers are watched, and the list of applications that have to run, or must not, or are licensed.

use super::SettingsError;
use super::file::{bad, in_range};
use crate::discovery::{AddressRange, socket_address};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Most applications of the list.
const APPLICATIONS_MAX: usize = 200;

const DAY: u64 = 24 * 3600;

/// How computers are watched. Keys in `[computers]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Computers {
    /// Time between two readings of a computer; 1 min to 1 day, default 5 min; key `read_secs`.
    pub read: Duration,
    /// Time between two reports of how a computer fares, besides faults and restarts, which are reported at once; 1 min to 30
    /// days, default 1 day; key `report_secs`.
    pub report: Duration,
    /// A disk that is fuller than this is a fault; 50 to 100, default 95; key `disk_full_percent`. At 100 it never is.
    pub disk_full: u8,
    /// The list; at most 200; `[[computers.applications]]`.
    pub applications: Vec<Application>,
}

impl Default for Computers {
    fn default() -> Self {
        Self {
            read: Duration::from_secs(300),
            report: Duration::from_secs(DAY),
            disk_full: 95,
            applications: Vec::new(),
        }
    }
}

/// One application of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// The name of the program that runs, or of the file that it was started from, or of what is installed; whatever the
    /// case; `*` at either end stands for anything.
    pub name: String,
    /// What holds for it.
    pub rule: Rule,
    /// The computers that it holds for; all where there are none.
    pub computers: Vec<AddressRange>,
}

/// What holds for an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It has to run.
    Required,
    /// It must neither run nor be installed.
    Forbidden,
    /// It may run, or be installed, on so many computers of the site.
    Licensed {
        /// How many licences there are.
        licences: u32,
    },
}

impl Rule {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Forbidden => "forbidden",
            Self::Licensed { .. } => "licensed",
        }
    }
}

impl Application {
    /// Whether it holds for the computer at `address`.
    #[must_use]
    pub fn holds_for(&self, address: &str) -> bool {
        self.computers.is_empty()
            || socket_address(address)
                .is_some_and(|address| self.computers.iter().any(|range| range.contains(address)))
    }

    /// Whether a name is meant.
    #[must_use]
    pub fn means(&self, name: &str) -> bool {
        let (name, wanted) = (name.to_lowercase(), self.name.to_lowercase());
        match (wanted.strip_prefix('*'), wanted.strip_suffix('*')) {
            (Some(rest), Some(_)) => name.contains(rest.trim_end_matches('*')),
            (Some(end), None) => name.ends_with(end),
            (None, Some(start)) => name.starts_with(start),
            (None, None) => name == wanted,
        }
    }
}

#[derive(Deserialize, Serialize, Default, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct FileComputers {
    #[serde(skip_serializing_if = "Option::is_none")]
    read_secs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report_secs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_full_percent: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    applications: Vec<FileApplication>,
}

#[derive(Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct FileApplication {
    name: String,
    rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    licences: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    computers: Vec<String>,
}

impl FileComputers {
    pub(super) fn check(self) -> Result<Computers, SettingsError> {
        let default = Computers::default();
        let read = in_range("computers.read_secs", self.read_secs, "seconds", 60..=DAY)?;
        let report = in_range("computers.report_secs", self.report_secs, "seconds", 60..=30 * DAY)?;
        let full = in_range("computers.disk_full_percent", self.disk_full_percent, "percent", 50..=100)?;
        if self.applications.len() > APPLICATIONS_MAX {
            let allowed = format_args!("at most {APPLICATIONS_MAX}");
            return Err(bad("computers.applications", self.applications.len(), allowed));
        }
        let applications =
            (1..).zip(self.applications).map(|(number, application)| application.check(number));
        Ok(Computers {
            read: read.map_or(default.read, Duration::from_secs),
            report: report.map_or(default.report, Duration::from_secs),
            disk_full: full.and_then(|percent| u8::try_from(percent).ok()).unwrap_or(default.disk_full),
            applications: applications.collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn of(computers: &Computers) -> Self {
        let default = Computers::default();
        let secs = |value: Duration, default: Duration| (value != default).then_some(value.as_secs());
        Self {
            read_secs: secs(computers.read, default.read),
            report_secs: secs(computers.report, default.report),
            disk_full_percent: (computers.disk_full != default.disk_full)
                .then_some(computers.disk_full.into()),
            applications: computers.applications.iter().map(FileApplication::of).collect(),
        }
    }
}

impl FileApplication {
    fn check(self, number: usize) -> Result<Application, SettingsError> {
        let key = |name: &str| format!("computers.applications[{number}].{name}");
        if self.name.trim_matches('*').is_empty() || self.name.len() > 128 {
            return Err(bad(key("name"), format_args!("`{}`", self.name), "1 to 128 octets, not only *"));
        }
        let rule = match (self.rule.as_str(), self.licences) {
            ("required", None) => Rule::Required,
            ("forbidden", None) => Rule::Forbidden,
            ("licensed", Some(licences)) => Rule::Licensed {
                licences: u32::try_from(licences)
                    .ok()
                    .filter(|licences| *licences <= 100_000)
                    .ok_or_else(|| bad(key("licences"), licences, "0 to 100000 computers"))?,
            },
            ("licensed", None) => {
                return Err(bad(key("licences"), "missing", "how many computers may have it"));
            }
            ("required" | "forbidden", Some(_)) => {
                return Err(bad(key("licences"), "set", "only where rule is \"licensed\""));
            }
            (other, _) => return Err(bad(key("rule"), other, "\"required\", \"forbidden\" or \"licensed\"")),
        };
        let computers = self.computers.iter().map(|text| {
            text.parse::<AddressRange>()
                .map_err(|error| bad(key("computers"), format_args!("`{text}`"), error))
        });
        Ok(Application { rule, computers: computers.collect::<Result<_, _>>()?, name: self.name })
    }

    fn of(application: &Application) -> Self {
        Self {
            name: application.name.clone(),
            rule: application.rule.as_str().to_owned(),
            licences: match application.rule {
                Rule::Licensed { licences } => Some(licences.into()),
                Rule::Required | Rule::Forbidden => None,
            },
            computers: application.computers.iter().map(ToString::to_string).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Computers, SettingsError> {
        toml::from_str::<FileComputers>(text).unwrap().check()
    }

    #[test]
    fn the_list_reads_back_as_it_is_written() {
        let text = "read_secs = 60\n[[applications]]\nname = \"till*\"\nrule = \"required\"\ncomputers = [\"10.0.0.0/24\"]\n\
            [[applications]]\nname = \"office\"\nrule = \"licensed\"\nlicences = 5\n";
        let computers = check(text).unwrap();
        assert_eq!(computers.applications[1].rule, Rule::Licensed { licences: 5 });
        let written = toml::to_string(&FileComputers::of(&computers)).unwrap();
        assert_eq!(check(&written).unwrap(), computers);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, place) in [
            ("read_secs = 5", "computers.read_secs"),
            ("[[applications]]\nname='*'\nrule='required'", "computers.applications[1].name"),
            ("[[applications]]\nname='a'\nrule='nice'", "computers.applications[1].rule"),
            ("[[applications]]\nname='a'\nrule='licensed'", "computers.applications[1].licences"),
            ("[[applications]]\nname='a'\nrule='required'\nlicences=1", "computers.applications[1].licences"),
            (
                "[[applications]]\nname='a'\nrule='required'\ncomputers=['till']",
                "computers.applications[1].computers",
            ),
        ] {
            let error = check(text).unwrap_err().to_string();
            assert!(error.contains(place), "{error}");
        }
    }

    #[test]
    fn a_star_stands_for_anything_at_its_end() {
        let application =
            |name: &str| Application { name: name.to_owned(), rule: Rule::Required, computers: Vec::new() };
        assert!(application("till*").means("TILL-2.1") && !application("till*").means("untill"));
        assert!(application("*.exe").means("Till.EXE") && application("*il*").means("till"));
        assert!(application("till").means("Till") && !application("till").means("till2"));
    }
}
