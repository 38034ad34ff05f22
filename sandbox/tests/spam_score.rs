//! What a real rspamd says of each kind of our mails, with its default rules: no score above 2.
//!
//! Runs where `RSPAMD_ROOT` names one that `scripts/rspamd start` started, and says that it skips elsewhere.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what went wrong")]

use jiff::{SignedDuration, Timestamp};
use mailfmt::envelope::Header;
use mailfmt::mail::{Form, Letter, compose_as};
use mailfmt::message::Family;
use mailfmt::{AgentId, CenterId, MessageId};
use std::path::Path;
use std::process::Command;

const CENTER: &str = "center@center.example";
const SITE: &str = "agent0001@site.example";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/rspamd");
/// Above this a mail begins to look suspicious; rspamd's own first action (greylisting) is at 4.
const SCORE_MAX: f64 = 2.0;

struct Kind {
    name: &'static str,
    family: Family,
    to: Option<&'static str>,
    attachment_octets: usize,
    form: Form,
    /// Null for receipts.
    return_path: &'static str,
}

fn kinds() -> Vec<Kind> {
    let kind = |name, family, to, attachment_octets, form| Kind {
        name,
        family,
        to,
        attachment_octets,
        form,
        return_path: match family {
            Family::Receipt => "",
            Family::Report => SITE,
            Family::Command | Family::Enrolment => CENTER,
        },
    };
    vec![
        kind("command", Family::Command, Some(SITE), 900, Form::Opaque),
        kind("command-to-many", Family::Command, None, 4_000, Form::Opaque),
        kind("report", Family::Report, Some(CENTER), 2_500, Form::Opaque),
        kind("receipt", Family::Receipt, Some(SITE), 900, Form::Opaque),
        kind("enrolment", Family::Enrolment, Some(SITE), 1_200, Form::Opaque),
        kind("package-order", Family::Command, Some(SITE), 1_500_000, Form::Opaque),
        kind("part", Family::Command, None, 300_000, Form::Opaque),
        kind("armoured-command", Family::Command, Some(SITE), 900, Form::Armoured),
        kind("armoured-report", Family::Report, Some(CENTER), 2_500, Form::Armoured),
        kind("armoured-receipt", Family::Receipt, Some(SITE), 900, Form::Armoured),
    ]
}

/// As it lies before the filter: written by us, with the line of the server that took it in.
fn mail(kind: &Kind, now: Timestamp) -> Vec<u8> {
    let (sender, from) = match kind.family {
        Family::Report => (AgentId::new("AGENT0000001").unwrap().into(), SITE),
        Family::Command | Family::Receipt | Family::Enrolment => {
            (CenterId::new("CENTER").unwrap().into(), CENTER)
        }
    };
    let mut random = sandbox::random();
    let header = Header {
        family: kind.family,
        sender,
        message: MessageId::generate(&mut random),
        in_reply_to: None,
        created: now,
        expires: now + SignedDuration::from_hours(24),
    };
    let mut attachment = vec![0; kind.attachment_octets];
    mailfmt::crypto::Random::fill(&mut random, &mut attachment);
    let letter = Letter { from, to: kind.to, header: &header, date: now, sending: 1 };
    let domain = from.split_once('@').unwrap().1;
    let received = format!(
        "Received: from {domain} ({domain} [192.0.2.7])\r\n\tby mail.{domain} (Postfix) with ESMTPSA id 4Xabc12345z;\r\n\t{}\r\n",
        now.strftime("%a, %d %b %Y %H:%M:%S +0000")
    );
    [received.into_bytes(), compose_as(kind.form, &letter, &attachment)].concat()
}

#[expect(clippy::disallowed_methods, reason = "the filter looks at dates by its own clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

#[test]
fn no_kind_of_our_mails_is_held_for_spam() {
    let Ok(root) = std::env::var("RSPAMD_ROOT") else {
        eprintln!(
            "SKIPPED: no_kind_of_our_mails_is_held_for_spam (RSPAMD_ROOT is not set; scripts/rspamd starts one)"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut too_high = Vec::new();
    for kind in kinds() {
        let path = folder.path().join(kind.name);
        std::fs::write(&path, mail(&kind, now())).unwrap();
        let told = score(Path::new(&root), &kind, &path);
        println!("{told}");
        let points: f64 = told.split(' ').next().unwrap().parse().unwrap();
        if points > SCORE_MAX {
            too_high.push(told);
        }
    }
    assert!(too_high.is_empty(), "{too_high:#?}");
}

fn score(root: &Path, kind: &Kind, path: &Path) -> String {
    let mut command = Command::new(SCRIPT);
    command.arg("score").arg("--root").arg(root).args(["--from", kind.return_path]);
    for recipient in kind.to.map_or(vec![SITE, "agent0002@site.example"], |to| vec![to]) {
        command.args(["--rcpt", recipient]);
    }
    let output = command.arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
