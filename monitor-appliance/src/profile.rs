//! What is particular about the devices of one maker, as data: profiles, one readable file per maker.
//!
//! The language stands in `profiles/README.md`. A profile is read and checked as a whole ([`Profiles::parse`]): a mistake is
//! told with file and line. Which profiles apply to a device follows from what it says of itself ([`Profiles::choose`]);
//! [`crate::device::interpret`] applies them. Everything here is pure but [`edge`].

mod choose;
mod counters;
mod file;
mod object;
mod parse;
mod pattern;
mod records;
mod supplies;
mod tables;
mod texts;
mod wanted;
mod wishes;

pub mod edge;

pub use choose::Chosen;
pub(crate) use choose::Clues;
pub(crate) use counters::Counted;
pub(crate) use object::Standard as StandardText;
pub use parse::ProfileError;
pub use pattern::{BadPattern, Pattern};
pub(crate) use texts::Field;
pub use wanted::{Care, Wanted};
pub use wishes::ProfileWishes;

use crate::device::Oid;
use file::File;
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, LazyLock};

/// The profiles that came with this program, as one bundle.
const BUILT_IN: &str = include_str!(concat!(env!("OUT_DIR"), "/profiles.bundle"));

/// One maker's profile, checked.
#[derive(Debug, Clone)]
pub struct Profile {
    name: String,
    text: String,
    file: File,
    rules: Vec<Rule>,
    wanted: Wanted,
}

/// A place in the file where counters come from; tried in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Counter(usize),
    Table(usize),
    Records(usize),
}

impl Profile {
    /// The file's name without its ending, such as `hp`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The maker; `None` for a file of brands alone.
    #[must_use]
    pub fn vendor(&self) -> Option<&str> {
        self.file.vendor.as_deref()
    }

    /// Where its facts come from.
    #[must_use]
    pub fn sources(&self) -> &[String] {
        &self.file.sources
    }

    /// The file as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What has to be read of a device, beside the standard tables, for the profile to be applied.
    #[must_use]
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// How many rules for counters there are.
    #[must_use]
    pub fn counter_rules(&self) -> usize {
        self.rules
            .iter()
            .map(|rule| match rule {
                Rule::Counter(_) => 1,
                Rule::Table(at) => self.file.table.get(*at).map_or(0, |table| {
                    table.get_ref().counter.len() + usize::from(table.get_ref().each.is_some())
                }),
                Rule::Records(at) => {
                    self.file.records.get(*at).map_or(0, |records| records.get_ref().counter.len())
                }
            })
            .sum()
    }
}

/// All profiles in use. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Profiles {
    profiles: Arc<Vec<Profile>>,
    probes: Arc<Vec<Oid>>,
    edition: u64,
}

impl Profiles {
    /// No profiles: only the standard tables are read.
    #[must_use]
    pub fn none() -> Self {
        Self::of(Vec::new())
    }

    /// The profiles that came with this program. They are checked by its tests; one with a mistake would be left out.
    #[must_use]
    pub fn built_in() -> Self {
        static BUILT: LazyLock<Profiles> = LazyLock::new(|| {
            let files = parse::split(BUILT_IN, "built-in").unwrap_or_default();
            Profiles::of(files.iter().filter_map(|file| file.parse().ok()).collect())
        });
        BUILT.clone()
    }

    /// The bundle that came with this program.
    #[must_use]
    pub fn built_in_bundle() -> &'static str {
        BUILT_IN
    }

    /// Reads a bundle: files one behind the other, each begun by a line `#= NAME.toml`.
    ///
    /// # Errors
    /// [`ProfileError`] of the first mistake, with file and line.
    pub fn parse(bundle: &str) -> Result<Self, ProfileError> {
        let files = parse::split(bundle, "profiles")?;
        Ok(Self::of(files.iter().map(parse::Piece::parse).collect::<Result<_, _>>()?))
    }

    /// Reads one file of profiles, without the line that begins it in a bundle.
    ///
    /// # Errors
    /// [`ProfileError`] of the first mistake, with the line.
    pub fn parse_file(name: &str, text: &str) -> Result<Profile, ProfileError> {
        parse::Piece { file: name, text }.parse()
    }

    pub(crate) fn of(mut profiles: Vec<Profile>) -> Self {
        profiles.sort_by(|one, other| one.name.cmp(&other.name));
        let mut probes: Vec<Oid> = profiles
            .iter()
            .flat_map(|profile| profile.file.matches.answers.iter().map(|object| object.oid.clone()))
            .collect();
        probes.sort();
        probes.dedup();
        let mut hasher = Sha256::new();
        for profile in &profiles {
            hasher.update(profile.name.as_bytes());
            hasher.update(profile.text.as_bytes());
        }
        let edition = hasher.finalize().first_chunk().map_or(0, |octets| u64::from_be_bytes(*octets));
        Self { profiles: Arc::new(profiles), probes: Arc::new(probes), edition }
    }

    /// All profiles, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.iter()
    }

    /// Objects (with their instances, or columns) whose mere answer tells that a profile applies. Worth asking of a device
    /// that is seen for the first time.
    #[must_use]
    pub fn probes(&self) -> &[Oid] {
        &self.probes
    }
}

#[cfg(test)]
mod tests;
