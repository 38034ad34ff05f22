//! What hostile people, and mishaps, would do to a center and its appliances: one attack for every threat, against the real code.
//!
//! Each attack has a field of its own (`field`): a real center with its home, two appliances with their roots and stores, and
//! a post office between them. Mails are forged (`forge`) under those keys only that the adversary of the attack would have.
//! What came of it is read where an operator reads it: in the reasons that center and appliance recorded. Every script of an
//! attacker leaves a mark when it runs, and whatever is found of these marks afterwards is counted.

mod box_lost;
mod center_stolen;
mod field;
mod findings;
mod forge;
mod key_stolen;
mod mishaps;
mod paper;
mod processes;
mod provider;
mod reader;
mod returned;
mod unapproved;
mod writer;

pub use returned::answered;

use field::Field;
use findings::Findings;
use std::fmt;

/// Who attacks, by what is in his hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adversary {
    /// Reads the mailboxes.
    Reader,
    /// Writes into the mailboxes, in anyone's name.
    Writer,
    /// Carries the mail.
    Provider,
    /// Has an appliance, with its credential and mail password.
    Appliance,
    /// Has the center: database, command key and mail passwords; root and release keys lie elsewhere.
    Center,
    /// Has a release key, and the center.
    ReleaseKey,
    /// Has a provisional code, or saw the mails of an enrolment.
    Paper,
    /// Nobody: our own mistakes, and what breaks by itself.
    Mishap,
}

impl fmt::Display for Adversary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reader => "reads the mailbox",
            Self::Writer => "writes to the mailbox",
            Self::Provider => "is the mail provider",
            Self::Appliance => "stole an appliance",
            Self::Center => "stole the center",
            Self::ReleaseKey => "stole a release key too",
            Self::Paper => "found the paper",
            Self::Mishap => "nobody: a mishap",
        })
    }
}

/// How an attack is carried out.
#[derive(Clone, Copy)]
enum Means {
    /// On a field, in which center and appliances take their turns.
    Field(fn(&mut Field, &mut Findings) -> anyhow::Result<()>),
    /// With all programs running as processes; takes longer.
    Processes(fn(&mut Findings) -> anyhow::Result<()>),
}

/// One threat, and how it is tried.
#[derive(Clone, Copy)]
pub struct Attack {
    /// The threat, as the document of the security model calls it.
    pub threat: &'static str,
    /// Who.
    pub adversary: Adversary,
    /// What is tried.
    pub tried: &'static str,
    means: Means,
}

impl Attack {
    /// Whether it takes seconds and all programs as processes.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        matches!(self.means, Means::Processes(_))
    }
}

/// What came of one attack.
#[derive(Debug, Clone)]
pub struct Line {
    /// The threat.
    pub threat: &'static str,
    /// Who.
    pub adversary: Adversary,
    /// What was tried.
    pub tried: &'static str,
    /// What happened, with the reasons that were recorded.
    pub happened: String,
    /// What should not have happened; empty when the defence held.
    pub broken: Vec<String>,
    /// Octets of the attacker's scripts that ran.
    pub code_octets_run: u64,
    /// Mails that left center or appliances because of mails that are not authentic.
    pub answers_to_unauthenticated: u64,
    /// Refusals that were recorded for another reason than the real one.
    pub wrong_reasons: u64,
}

impl Line {
    /// Whether the defence held.
    #[must_use]
    pub fn held(&self) -> bool {
        self.broken.is_empty()
            && self.code_octets_run == 0
            && self.answers_to_unauthenticated == 0
            && self.wrong_reasons == 0
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = if self.held() { "held" } else { "NOT HELD" };
        write!(f, "{} | {} | {} | {} | {held}", self.threat, self.adversary, self.tried, self.happened)?;
        if !self.broken.is_empty() {
            write!(f, ": {}", self.broken.join("; "))?;
        }
        Ok(())
    }
}

/// All attacks.
#[must_use]
pub fn all() -> Vec<Attack> {
    [
        reader::ATTACKS,
        writer::ATTACKS,
        provider::ATTACKS,
        box_lost::ATTACKS,
        center_stolen::ATTACKS,
        key_stolen::ATTACKS,
        paper::ATTACKS,
        mishaps::ATTACKS,
        unapproved::ATTACKS,
        processes::ATTACKS,
    ]
    .concat()
}

/// Carries out one attack. What goes wrong on the way counts as not held.
#[must_use]
pub fn carry_out(attack: &Attack) -> Line {
    let mut findings = Findings::default();
    let done = match attack.means {
        Means::Processes(go) => go(&mut findings),
        Means::Field(go) => on_a_field(go, &mut findings),
    };
    if let Err(error) = done {
        findings.must(false, format!("the attack could not be carried out: {error:#}"));
    }
    findings.line(attack)
}

fn on_a_field(
    go: fn(&mut Field, &mut Findings) -> anyhow::Result<()>,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let mut field = Field::new()?;
    let gone = go(&mut field, findings);
    findings.code_octets_run += field.code_octets_run();
    gone
}

/// Whether the marks by which code of an attacker is counted are found when such code runs: a package with his script is
/// signed by the real release key.
///
/// # Errors
/// When they are not: then nothing that was counted says anything.
pub fn prove_the_measure() -> anyhow::Result<u64> {
    let mut field = Field::new()?;
    let draft = field.evil_draft(2)?;
    let package = field.signed(&draft)?;
    let end = field.order(1, &field.center_of(1)?, &package)?;
    let found = field.code_octets_run();
    anyhow::ensure!(found > 0, "a script that ran left no mark; its update ended so: {end}");
    Ok(found)
}
