//! `mangles`: every kind of our mails through everything that gateways do to mails.

use super::Figure;
use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sandbox::gateway::trial::{Outcome, Trial};
use sandbox::gateway::{Transform, transforms};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Counts the transforms; beside them, those after which Python's email package still gives out every attachment.
///
/// # Errors
/// When a mail cannot be sealed.
pub(super) fn run(now: Timestamp) -> anyhow::Result<Vec<Figure>> {
    let (trial, all) = (Trial::new(now)?, transforms());
    let (mut survived, mut armoured, mut refused, mut half) = (0u32, 0u32, 0u32, 0u32);
    let mut reasons = BTreeMap::<String, u32>::new();
    for transform in &all {
        let outcomes = trial.pass(transform);
        let is = |wanted: fn(&Outcome) -> bool| outcomes.iter().any(|(_, outcome)| wanted(outcome));
        if let Some((kind, outcome)) =
            outcomes.iter().find(|(_, outcome)| matches!(outcome, Outcome::HalfAccepted(_)))
        {
            half += 1;
            eprintln!("  {}: {kind}: {outcome:?}", transform.name);
        } else if is(|outcome| matches!(outcome, Outcome::Refused(_))) {
            refused += 1;
            for (_, outcome) in &outcomes {
                if let Outcome::Refused(reason) = outcome {
                    *reasons.entry(format!("{}: {reason}", transform.name)).or_default() += 1;
                }
            }
        } else {
            survived += 1;
            armoured += u32::from(is(|outcome| *outcome == Outcome::Survived(mailfmt::mail::Form::Armoured)));
        }
    }
    for (reason, mails) in reasons {
        eprintln!("  refused: {reason} ({mails} of {} kinds)", trial.kinds().count());
    }
    eprintln!("  {armoured} of {survived} survived only as armoured text, tried by itself");
    let peer = match python(&trial, &all) {
        Ok(found) => format!("Python's email package: all attachments after {found} of {}", all.len()),
        Err(error) => {
            eprintln!("  no peer: {error:#}");
            "no peer: python3 cannot run here".to_owned()
        }
    };
    let kinds = trial.kinds().collect::<Vec<_>>().join(", ");
    let figure = |figure, value: u32, against: String| Figure {
        bench: "mangles",
        figure,
        value: value.into(),
        unit: "transforms",
        against,
    };
    Ok(vec![
        figure("survived", survived, peer),
        figure("refused_cleanly", refused, "each with its reason, which is counted and shown".to_owned()),
        figure("half_accepted", half, "limit: 0".to_owned()),
        figure("tried", u32::try_from(all.len())?, format!("at least 50, each for {kinds}")),
    ])
}

/// Reads lines of two words in base64: a mail, and what is to be found in it; prints 1 or 0 for each.
const READER: &str = r#"
import sys, base64, email, email.policy
for line in sys.stdin.buffer:
    raw, wanted = (base64.b64decode(word) for word in line.split())
    try:
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        found = any(part.get_payload(decode=True) == wanted for part in mail.walk() if not part.is_multipart())
    except Exception:
        found = False
    print(1 if found else 0)
"#;

/// After how many transforms every attachment is found.
fn python(trial: &Trial, all: &[Transform]) -> anyhow::Result<usize> {
    let mut child = Command::new("python3")
        .args(["-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start python3")?;
    let mut input = child.stdin.take().context("python3 has an input")?;
    let lines: String = all
        .iter()
        .flat_map(|transform| trial.arriving(transform))
        .map(|(raw, wanted)| format!("{} {}\n", STANDARD.encode(raw), STANDARD.encode(wanted)))
        .collect();
    // Its answers fit the pipe: two octets each.
    input.write_all(lines.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "python3 ended with {}", output.status);
    let answers: Vec<bool> =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| line == "1").collect();
    let kinds = trial.kinds().count();
    ensure!(answers.len() == all.len() * kinds, "python3 answered {} times", answers.len());
    Ok(answers.chunks(kinds).filter(|answers| answers.iter().all(|found| *found)).count())
}
