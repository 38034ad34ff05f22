//! The class table: whose matter each registered condition is. It is data, `monitor-appliance/faults/classes.csv`: built
//! in, and replaced by what a release carries.
//!
//! Reading it is pure but for [`FaultClasses::load`]. What follows from a line for a row of a device stands in
//! [`super::classes`].

use crate::device::ErrorBit;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// The file's name as a module of a release.
pub const CLASSES_MODULE: &str = "fault-classes.csv";

/// Octets of a table read at most; the built-in one has about 45 kB.
const FILE_OCTETS_MAX: u64 = 1 << 20;
/// Longest name, in octets: registered keywords have up to 60.
const NAME_LEN_MAX: usize = 100;
/// How much of a wrong line is shown.
const SHOWN_CHARS_MAX: usize = 80;

/// A table that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClassTableError {
    /// The file cannot be read.
    #[error("cannot read the fault classes {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is larger than any table.
    #[error("{} has more than {FILE_OCTETS_MAX} octets; a table of fault classes has about 45,000", path.display())]
    Large {
        /// The file.
        path: PathBuf,
    },
    /// A line cannot be understood.
    #[error("{file}, line {line}: {problem}")]
    Line {
        /// The file, as named by the caller.
        file: String,
        /// Its number, counted from 1.
        line: usize,
        /// What is wrong with it, and what is allowed.
        problem: String,
    },
    /// It classifies less than the built-in table.
    #[error("{file} leaves out {missing}; a table must classify all that the built-in one does")]
    Missing {
        /// The file, as named by the caller.
        file: String,
        /// The first condition that is missing, as kind and name.
        missing: String,
    },
}

/// What a line says of a condition, before group, training and severity are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whoever stands at the device clears it.
    User,
    /// Like [`Kind::User`], until it comes again and again, or lasts.
    Recurring,
    /// Something runs empty or full: what it is depends on the group.
    ByGroup,
    /// A consumable is low or used up.
    Consumable,
    /// A part is worn.
    Part,
    /// A technician is needed.
    Service,
    /// Something happened; nothing is wrong.
    NotAFault,
    /// It says nothing: training and severity decide.
    ByTraining,
}

impl Kind {
    const WORDS: [(&str, Self); 8] = [
        ("user-clearable", Self::User),
        ("consumable", Self::Consumable),
        ("part-replacement", Self::Part),
        ("service-required", Self::Service),
        ("not-a-fault", Self::NotAFault),
        ("recurring", Self::Recurring),
        ("by-group", Self::ByGroup),
        ("by-training", Self::ByTraining),
    ];

    pub(super) fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }

    fn parse(word: &str) -> Result<Self, String> {
        let found = Self::WORDS.iter().find(|(known, _)| *known == word);
        found.map(|(_, kind)| *kind).ok_or_else(|| {
            let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| *word).collect();
            format!("no class is called {}; there are {}", shown(word), words.join(", "))
        })
    }
}

/// A line about one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The training level makes it no technician's matter.
    pub(super) stays: bool,
    pub(super) critical: bool,
    /// It counts only after it has lasted.
    pub(super) doubtful: bool,
}

/// Which conditions there are and whose matter each is; see the head of `monitor-appliance/faults/classes.csv`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FaultClasses {
    pub(super) alerts: BTreeMap<i32, Entry>,
    /// Finishing subunits; the kind says what they run empty of.
    pub(super) finishers: BTreeMap<i32, Entry>,
    pub(super) supply_groups: BTreeSet<i32>,
    pub(super) bits: BTreeMap<ErrorBit, Entry>,
    /// By keyword in lower case.
    pub(super) reasons: BTreeMap<String, Entry>,
    pub(super) pjl_codes: BTreeMap<u32, Entry>,
    /// By the first two of five digits.
    pub(super) pjl_categories: BTreeMap<u32, Entry>,
}

static BUILT_IN: LazyLock<Arc<FaultClasses>> = LazyLock::new(|| {
    let text = include_str!("../../faults/classes.csv");
    Arc::new(FaultClasses::parse(text, "classes.csv").expect("the built-in table is read by a test"))
});

impl FaultClasses {
    /// The table that is part of the program.
    #[must_use]
    pub fn built_in() -> Arc<Self> {
        Arc::clone(&BUILT_IN)
    }

    /// The table of the release in `folder` if it carries one, else the built-in one.
    ///
    /// # Errors
    /// [`ClassTableError`] when it carries one that cannot be used. The caller then goes by [`FaultClasses::built_in`]:
    /// a fault that is classified as before is better than none.
    pub fn of_release(folder: &Path) -> Result<Arc<Self>, ClassTableError> {
        let path = folder.join(CLASSES_MODULE);
        match Self::load(&path) {
            Ok(table) => Ok(Arc::new(table)),
            Err(ClassTableError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self::built_in())
            }
            Err(error) => Err(error),
        }
    }

    /// Reads a file that is to take the place of the built-in table.
    ///
    /// # Errors
    /// [`ClassTableError`].
    pub fn load(path: &Path) -> Result<Self, ClassTableError> {
        let unreadable = |source| ClassTableError::Read { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut text = String::new();
        file.take(FILE_OCTETS_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_OCTETS_MAX {
            return Err(ClassTableError::Large { path: path.to_owned() });
        }
        let table = Self::parse(&text, &path.display().to_string())?;
        match table.missing(&Self::built_in()) {
            Some(missing) => Err(ClassTableError::Missing { file: path.display().to_string(), missing }),
            None => Ok(table),
        }
    }

    /// Reads the text of a table; `file` is only named in errors.
    ///
    /// # Errors
    /// [`ClassTableError::Line`] with the first line that cannot be understood or says a thing twice.
    pub fn parse(text: &str, file: &str) -> Result<Self, ClassTableError> {
        let mut table = Self::default();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') || text == HEADING {
                continue;
            }
            table.take(text).map_err(|problem| ClassTableError::Line {
                file: file.to_owned(),
                line,
                problem,
            })?;
        }
        Ok(table)
    }

    fn take(&mut self, line: &str) -> Result<(), String> {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let (kind, number, name, class, notes) = match *fields.as_slice() {
            [kind, number, name, class] => (kind, number, name, class, ""),
            [kind, number, name, class, notes] => (kind, number, name, class, notes),
            _ => {
                let found = fields.len();
                return Err(format!(
                    "{found} fields; a line has {HEADING}, the note only where there is one"
                ));
            }
        };
        check_name(name)?;
        let entry = entry(name, class, notes)?;
        let fresh = match kind {
            "alert" => self.alerts.insert(code(number)?, entry).is_none(),
            "finisher" => {
                if !matches!(entry.kind, Kind::Consumable | Kind::User) {
                    return Err("a finisher is consumable or user-clearable".to_owned());
                }
                self.finishers.insert(code(number)?, entry).is_none()
            }
            "group" => {
                if entry.kind != Kind::Consumable {
                    return Err("only groups that are consumable are listed".to_owned());
                }
                self.supply_groups.insert(code(number)?)
            }
            "bit" => {
                let bit = usize::try_from(code(number)?).ok().and_then(|bit| ErrorBit::ALL.get(bit));
                let bit =
                    bit.ok_or_else(|| format!("there is no error bit {}; there are 0 to 14", shown(number)))?;
                if bit.name() != name {
                    return Err(format!("error bit {number} is called {}, not {}", bit.name(), shown(name)));
                }
                self.bits.insert(*bit, entry).is_none()
            }
            "reason" if !number.is_empty() => {
                return Err(format!("a keyword has no number, this one has {}", shown(number)));
            }
            "reason" => self.reasons.insert(name.to_ascii_lowercase(), entry).is_none(),
            "pjl" => match number.strip_suffix("xxx") {
                Some(category) => self.pjl_categories.insert(pjl_number(category, 2)?, entry).is_none(),
                None => self.pjl_codes.insert(pjl_number(number, 5)?, entry).is_none(),
            },
            other => {
                let kinds = "alert, finisher, group, bit, reason and pjl";
                return Err(format!("no kind is called {}; there are {kinds}", shown(other)));
            }
        };
        if fresh { Ok(()) } else { Err(format!("{kind} {} stands here a second time", shown(name))) }
    }

    /// The first condition that `other` classifies and this table does not.
    fn missing(&self, other: &Self) -> Option<String> {
        fn first<K: Ord>(what: &str, own: &BTreeMap<K, Entry>, other: &BTreeMap<K, Entry>) -> Option<String> {
            let missing = other.iter().find(|(key, _)| !own.contains_key(key));
            missing.map(|(_, entry)| format!("{what} {}", entry.name))
        }
        let group = other.supply_groups.difference(&self.supply_groups).next();
        first("alert", &self.alerts, &other.alerts)
            .or_else(|| first("finisher", &self.finishers, &other.finishers))
            .or_else(|| group.map(|group| format!("group {group}")))
            .or_else(|| first("bit", &self.bits, &other.bits))
            .or_else(|| first("reason", &self.reasons, &other.reasons))
            .or_else(|| first("pjl", &self.pjl_codes, &other.pjl_codes))
            .or_else(|| first("pjl category", &self.pjl_categories, &other.pjl_categories))
    }

    /// What this table says otherwise than `other`, a line each such as `alert jam: service-required, not recurring`.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        fn compare<K: Ord>(
            what: &str,
            own: &BTreeMap<K, Entry>,
            other: &BTreeMap<K, Entry>,
            found: &mut Vec<String>,
        ) {
            for (key, entry) in own {
                let word = entry.kind.word();
                match other.get(key) {
                    None => found.push(format!("{what} {}: {word}, new", entry.name)),
                    Some(before) if before.kind != entry.kind => {
                        found.push(format!("{what} {}: {word}, not {}", entry.name, before.kind.word()));
                    }
                    Some(before) if before != entry => {
                        found.push(format!("{what} {}: another note or name", entry.name));
                    }
                    Some(_) => {}
                }
            }
        }
        let mut found = Vec::new();
        compare("alert", &self.alerts, &other.alerts, &mut found);
        compare("finisher", &self.finishers, &other.finishers, &mut found);
        let groups = self.supply_groups.difference(&other.supply_groups);
        found.extend(groups.map(|group| format!("group {group}: consumable, new")));
        compare("bit", &self.bits, &other.bits, &mut found);
        compare("reason", &self.reasons, &other.reasons, &mut found);
        compare("pjl", &self.pjl_codes, &other.pjl_codes, &mut found);
        compare("pjl category", &self.pjl_categories, &other.pjl_categories, &mut found);
        found
    }

    /// How many conditions are classified: lines, and for each finisher its generic codes.
    #[must_use]
    pub fn count(&self) -> usize {
        self.alerts.len()
            + self.finishers.len() * self.alerts.range(super::classes::GENERIC).count()
            + self.bits.len()
            + self.reasons.len()
            + self.pjl_codes.len()
            + self.pjl_categories.len()
    }
}

/// The line that names the fields.
const HEADING: &str = "kind,number,name,class,note";

fn entry(name: &str, class: &str, notes: &str) -> Result<Entry, String> {
    let mut entry = Entry {
        name: name.to_owned(),
        kind: Kind::parse(class)?,
        stays: false,
        critical: false,
        doubtful: false,
    };
    for note in notes.split_ascii_whitespace() {
        match note {
            "stays" => entry.stays = true,
            "critical" => entry.critical = true,
            "warning" => entry.critical = false,
            "doubtful" => entry.doubtful = true,
            other => {
                let notes = "stays, critical, warning and doubtful";
                return Err(format!("no note is called {}; there are {notes}", shown(other)));
            }
        }
    }
    Ok(entry)
}

fn check_name(name: &str) -> Result<(), String> {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    if (1..=NAME_LEN_MAX).contains(&name.len()) && name.bytes().all(plain) {
        Ok(())
    } else {
        Err(format!("{} is no name; names are of letters, digits and hyphens", shown(name)))
    }
}

fn code(number: &str) -> Result<i32, String> {
    let plain = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
    number
        .parse()
        .ok()
        .filter(|_| plain)
        .ok_or_else(|| format!("{} is no number that a condition can have", shown(number)))
}

fn pjl_number(number: &str, digits: usize) -> Result<u32, String> {
    let plain = number.len() == digits && number.bytes().all(|octet| octet.is_ascii_digit());
    number
        .parse()
        .ok()
        .filter(|_| plain)
        .ok_or_else(|| format!("{} is no PJL status code: five digits, or two and xxx", shown(number)))
}

fn shown(text: &str) -> String {
    let short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests;
