//! The verdict on a new release: it must run, and it must show that it does what an appliance is for.

use super::plan::{Patience, Resident, Run};
use crate::store::Proof;
use crate::update::{Expected, Proving};
use mailfmt::ModuleName;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a release on trial has shown so far, since its modules were started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Of fetching mail.
    pub fetch: Proof,
    /// Of handing mail in.
    pub send: Proof,
    /// Of reading devices.
    pub device: Proof,
}

/// How a trial stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialVerdict {
    /// Too early to say.
    StillRunning,
    /// Every module ran through, those that give signs of life gave one, and all was shown that had to be.
    Passed,
    /// A module ended or gave no sign of life, or something no longer works.
    Failed {
        /// What and how, for a person.
        reason: String,
    },
}

/// Judges a new release whose modules were started `ran` ago and must run well for `trial`.
///
/// What it has to show, and how soon, was decided before the swap: what worked then must work again within
/// [`Patience::proof_wait`] after the trial; mail that did not work then is given [`Patience::mail_return_wait`].
#[must_use]
pub fn judge_trial(
    residents: &BTreeMap<ModuleName, Resident>,
    expected: Expected,
    evidence: &Evidence,
    trial: Duration,
    ran: Duration,
    patience: &Patience,
) -> TrialVerdict {
    let mut silent = None;
    for (name, resident) in residents {
        match &resident.run {
            Run::Down { how, .. } => {
                return TrialVerdict::Failed { reason: format!("module {name} {how} during its trial") };
            }
            Run::New => {
                return TrialVerdict::Failed { reason: format!("module {name} could not be started") };
            }
            Run::Up { beat: None, .. } if resident.beats => silent = silent.or(Some(name)),
            Run::Up { .. } => {}
        }
    }
    if ran < trial {
        return TrialVerdict::StillRunning;
    }
    let mut verdict = TrialVerdict::Passed;
    for (what, proving, proof) in [
        ("no mail could be fetched", expected.fetch, &evidence.fetch),
        ("no mail could be handed in", expected.send, &evidence.send),
        ("no device could be read", expected.device, &evidence.device),
    ] {
        let wait = match proving {
            Proving::Nothing => continue,
            _ if proof.worked.is_some() => continue,
            Proving::Soon => patience.proof_wait,
            Proving::InTime => patience.mail_return_wait,
        };
        if ran > trial.saturating_add(wait) {
            let why = proof.failing.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            let reason = format!("{what} by the new release within {} s{why}", ran.as_secs());
            return TrialVerdict::Failed { reason };
        }
        verdict = TrialVerdict::StillRunning;
    }
    match silent {
        // The time between two signs of life may be longer than the trial.
        Some(_) if ran <= patience.hung_after => TrialVerdict::StillRunning,
        Some(name) => {
            let reason = format!("module {name} gave no sign of life for {} s", ran.as_secs());
            TrialVerdict::Failed { reason }
        }
        None => verdict,
    }
}

/// What has to be shown, from what worked under the release before. `mail` and `devices` say whether the new release
/// has the module for it at all, `answering` whether a device answered lately.
#[must_use]
pub fn expected(before: &Evidence, mail: bool, devices: bool, answering: bool) -> Expected {
    // A server or line that is down shows first in what is tried more often; it is down for both directions. Where
    // nothing was noted, the order itself came by mail.
    let down = before.fetch.failing.is_some() || before.send.failing.is_some();
    let of_mail = match (mail, down) {
        (false, _) => Proving::Nothing,
        (true, false) => Proving::Soon,
        (true, true) => Proving::InTime,
    };
    let device = if devices && answering { Proving::Soon } else { Proving::Nothing };
    Expected { fetch: of_mail, send: of_mail, device }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn worked() -> Proof {
        Proof { worked: Some(Timestamp::UNIX_EPOCH), failing: None }
    }

    fn fails(why: &str) -> Proof {
        Proof { worked: None, failing: Some(why.to_owned()) }
    }

    fn all_soon() -> Expected {
        Expected { fetch: Proving::Soon, send: Proving::Soon, device: Proving::Soon }
    }

    fn judged(expected: Expected, evidence: &Evidence, ran: u64) -> TrialVerdict {
        let secs = Duration::from_secs;
        let patience =
            Patience { proof_wait: secs(100), mail_return_wait: secs(1000), ..Patience::default() };
        judge_trial(&BTreeMap::new(), expected, evidence, secs(30), secs(ran), &patience)
    }

    #[test]
    fn a_release_that_has_shown_everything_passes_after_its_time_and_not_before() {
        let evidence = Evidence { fetch: worked(), send: worked(), device: worked() };
        assert_eq!(judged(all_soon(), &evidence, 29), TrialVerdict::StillRunning);
        assert_eq!(judged(all_soon(), &evidence, 30), TrialVerdict::Passed);
    }

    #[test]
    fn each_missing_proof_is_waited_for_and_then_named_with_the_last_error() {
        let cases = [
            (
                Evidence { fetch: fails("no such host"), send: worked(), device: worked() },
                "no mail could be fetched",
            ),
            (
                Evidence { fetch: worked(), send: fails("no such host"), device: worked() },
                "no mail could be handed in",
            ),
            (
                Evidence { fetch: worked(), send: worked(), device: fails("no such host") },
                "no device could be read",
            ),
        ];
        for (evidence, what) in cases {
            assert_eq!(judged(all_soon(), &evidence, 130), TrialVerdict::StillRunning);
            let reason = format!("{what} by the new release within 131 s: no such host");
            assert_eq!(judged(all_soon(), &evidence, 131), TrialVerdict::Failed { reason });
        }
    }

    #[test]
    fn mail_that_was_down_before_is_given_more_time_but_not_for_ever() {
        let expected = Expected { fetch: Proving::InTime, ..all_soon() };
        let evidence = Evidence { fetch: fails("refused"), send: worked(), device: worked() };
        assert_eq!(judged(expected, &evidence, 1030), TrialVerdict::StillRunning);
        assert!(matches!(judged(expected, &evidence, 1031), TrialVerdict::Failed { .. }));
        let back = Evidence { fetch: worked(), ..evidence };
        assert_eq!(judged(expected, &back, 900), TrialVerdict::Passed);
    }

    #[test]
    fn what_worked_once_in_the_trial_counts_even_if_the_server_goes_down_afterwards() {
        let once = Proof { failing: Some("refused".to_owned()), ..worked() };
        let evidence = Evidence { fetch: once, send: worked(), device: worked() };
        assert_eq!(judged(all_soon(), &evidence, 30), TrialVerdict::Passed);
    }

    #[test]
    fn only_what_worked_before_is_asked_for_soon() {
        let down = Evidence { fetch: fails("refused"), send: worked(), device: Proof::default() };
        let in_time = Expected { fetch: Proving::InTime, send: Proving::InTime, device: Proving::Soon };
        assert_eq!(expected(&down, true, true, true), in_time);
        assert_eq!(expected(&down, false, true, false), Expected::default());
        let unknown = expected(&Evidence::default(), true, false, true);
        assert_eq!(unknown, Expected { fetch: Proving::Soon, send: Proving::Soon, device: Proving::Nothing });
    }

    #[test]
    fn a_silent_module_does_not_hide_what_no_longer_works() {
        let name = ModuleName::new("mail-agent").unwrap();
        let run = Run::Up { pid: 7, since: Duration::ZERO, beat: None };
        let residents = BTreeMap::from([(name, Resident { run, ..Resident::new(true) })]);
        let (expected, secs) = (all_soon(), Duration::from_secs);
        let patience = Patience { proof_wait: secs(10), ..Patience::default() };
        let judged =
            |ran| judge_trial(&residents, expected, &Evidence::default(), secs(30), secs(ran), &patience);
        assert_eq!(judged(40), TrialVerdict::StillRunning);
        assert!(matches!(judged(41), TrialVerdict::Failed { reason } if reason.starts_with("no mail")));
    }
}
