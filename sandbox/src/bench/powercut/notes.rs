//! What was done of a whole run, in files beside the programs: an interrupted one goes on from there. They belong to one
//! build; what another one left is removed.

use anyhow::Context as _;
use sandbox::powercut::{Cut, Outcome, Tally};
use sandbox::world::Programs;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::PathBuf;

/// Begin of the names of the folders.
const FOLDER: &str = "powercut-";

/// What came of one subject, or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Done {
    /// The cuts counted.
    pub(super) tally: Tally,
    /// Different disks that they left.
    pub(super) images: u32,
    /// Cuts that were made by killing the programs.
    pub(super) in_earnest: u32,
}

impl Done {
    pub(super) fn add(&mut self, other: &Self) {
        self.tally.add(&other.tally);
        self.images += other.images;
        self.in_earnest += other.in_earnest;
    }
}

/// A folder with one file for each subject that is done, and one with the center's cuts.
#[derive(Debug)]
pub(super) struct Notes {
    /// `None`: nothing is kept.
    folder: Option<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
struct CenterCut {
    cut: Cut,
    outcome: Outcome,
}

impl Notes {
    /// Those of the programs beside this one; where nothing shall be kept, empty ones that stay so.
    pub(super) fn open(keep: bool) -> anyhow::Result<Self> {
        if !keep {
            return Ok(Self { folder: None });
        }
        let this = std::env::current_exe().context("cannot tell which program runs")?;
        let beside = this.parent().context("a program lies in a folder")?;
        let name = format!("{FOLDER}{}", Programs::find()?.digest(&this)?);
        for entry in std::fs::read_dir(beside)? {
            let entry = entry?;
            let other = entry.file_name().to_string_lossy().starts_with(FOLDER) && entry.file_name() != *name;
            if other && entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        let folder = beside.join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder: Some(folder) })
    }

    /// What came of a subject.
    pub(super) fn done(&self, subject: &str) -> anyhow::Result<Option<Done>> {
        self.read(&format!("{subject}.json"))
    }

    /// Notes that a subject is done; not if anything went wrong, so that it is looked at again.
    pub(super) fn note(&self, subject: &str, done: &Done) -> anyhow::Result<()> {
        let Tally { broken, lost, doubled, .. } = done.tally;
        if (broken, lost, doubled) == (0, 0, 0) {
            self.write(&format!("{subject}.json"), done)
        } else {
            Ok(())
        }
    }

    /// How many changes the center's rollout was found to take.
    pub(super) fn center_changes(&self) -> anyhow::Result<Option<u64>> {
        self.read("center-changes.json")
    }

    pub(super) fn note_center_changes(&self, changes: u64) -> anyhow::Result<()> {
        self.write("center-changes.json", &changes)
    }

    /// The cuts of the center that were made.
    pub(super) fn center_cuts(&self) -> anyhow::Result<Vec<(Cut, Outcome)>> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let Ok(text) = std::fs::read_to_string(folder.join("center.jsonl")) else { return Ok(Vec::new()) };
        // The last line may be half a line.
        let cuts = text.lines().filter_map(|line| serde_json::from_str::<CenterCut>(line).ok());
        Ok(cuts.map(|made| (made.cut, made.outcome)).collect())
    }

    pub(super) fn note_center_cut(&self, cut: Cut, outcome: &Outcome) -> anyhow::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        if !outcome.is_good() {
            return Ok(());
        }
        let line = format!("{}\n", serde_json::to_string(&CenterCut { cut, outcome: outcome.clone() })?);
        let mut file =
            std::fs::File::options().create(true).append(true).open(folder.join("center.jsonl"))?;
        Ok(file.write_all(line.as_bytes())?)
    }

    /// All is done: the next whole run begins anew.
    pub(super) fn remove(&self) -> anyhow::Result<()> {
        self.folder.as_ref().map_or(Ok(()), |folder| Ok(std::fs::remove_dir_all(folder)?))
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        let Some(folder) = &self.folder else { return Ok(None) };
        match std::fs::read(folder.join(name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            octets => Ok(Some(serde_json::from_slice(&octets?)?)),
        }
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) -> anyhow::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let new = folder.join(format!("{name}.new"));
        std::fs::write(&new, serde_json::to_vec(value)?)?;
        Ok(std::fs::rename(new, folder.join(name))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbox::powercut::{End, Way};
    use std::time::Duration;

    fn notes() -> (tempfile::TempDir, Notes) {
        let folder = tempfile::tempdir().unwrap();
        let notes = Notes { folder: Some(folder.path().to_owned()) };
        (folder, notes)
    }

    #[test]
    fn what_was_done_well_is_not_done_again_and_what_was_not_is() {
        let (_folder, notes) = notes();
        let good = Done { tally: Tally { points: 7, new: 7, ..Tally::default() }, images: 3, in_earnest: 2 };
        let bad = Done { tally: Tally { points: 7, new: 6, broken: 1, ..Tally::default() }, ..good.clone() };
        assert_eq!(notes.done("good").unwrap(), None);
        notes.note("good", &good).unwrap();
        notes.note("bad", &bad).unwrap();
        assert_eq!(notes.done("good").unwrap(), Some(good));
        assert_eq!(notes.done("bad").unwrap(), None);
    }

    #[test]
    fn cuts_of_the_center_are_read_back_up_to_half_a_line() {
        let (folder, notes) = notes();
        let outcome = Outcome {
            end: End::New,
            found: End::Old,
            reason: String::new(),
            lost: 0,
            doubled: 0,
            recovered: Duration::from_millis(1500),
        };
        let made = [1, 2].map(|point| (Cut { point, way: Way::Lost }, outcome.clone()));
        made.iter().for_each(|(cut, outcome)| notes.note_center_cut(*cut, outcome).unwrap());
        let lost = Outcome { lost: 1, ..outcome };
        notes.note_center_cut(Cut { point: 3, way: Way::Kept }, &lost).unwrap();
        let path = folder.path().join("center.jsonl");
        let half = std::fs::read_to_string(&path).unwrap() + "{\"cut\":{\"poi";
        std::fs::write(&path, half).unwrap();
        assert_eq!(notes.center_cuts().unwrap(), made);
        notes.note_center_changes(17).unwrap();
        assert_eq!(notes.center_changes().unwrap(), Some(17));
    }

    #[test]
    fn without_a_folder_nothing_is_kept() {
        let notes = Notes { folder: None };
        notes.note_center_changes(17).unwrap();
        assert_eq!(notes.center_changes().unwrap(), None);
        notes.remove().unwrap();
    }
}
