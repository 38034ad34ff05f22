//! Attacks of somebody who reads the mailboxes.

use super::field::{Field, holds};
use super::findings::Findings;
use super::{Adversary, Attack, Means};
use crate::post_office::{Fault, Rule};
use jiff::SignedDuration;
use mailfmt::mail::{Classified, classify};
use mailfmt::message::report::FaultReport;
use mailfmt::message::{DeviceId, FaultClass};
use mailfmt::{Limits, Report};
use std::collections::BTreeSet;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        threat: "eavesdropping and traffic analysis",
        adversary: Adversary::Reader,
        tried: "every mail read for device, fault, version and customer; sizes compared",
        means: Means::Field(eavesdropping),
    },
    Attack {
        threat: "a mail to many tells who else gets it",
        adversary: Adversary::Reader,
        tried: "a command to all, read in each mailbox for ids and addresses",
        means: Means::Field(shared_mail),
    },
    Attack {
        threat: "a stolen mailbox",
        adversary: Adversary::Reader,
        tried: "with the password: reports deleted before the center reads them",
        means: Means::Field(stolen_mailbox),
    },
];

/// A fault whose words nobody may find in a mail.
pub(super) fn fault(episode: &str, description: &str) -> Report {
    Report::Fault(FaultReport {
        device: DeviceId {
            vendor: "Kyocera".to_owned(),
            model: "ECOSYS-77".to_owned(),
            serial: "SERIAL0815".to_owned(),
        },
        episode: episode.to_owned(),
        class: FaultClass::UserClearable,
        code: "jam".to_owned(),
        group: "media-path".to_owned(),
        severity: "critical".to_owned(),
        description: description.to_owned(),
        since: super::forge::now(),
    })
}

/// An appliance has something to report.
pub(super) fn has_to_report(field: &Field, number: u32, report: Report) -> anyhow::Result<()> {
    let context = field.context(number, SignedDuration::ZERO)?;
    let outgoing = context.outgoing(report, None);
    Ok(context.open_store()?.change(|change| change.enqueue(&outgoing).map(drop))?)
}

/// A mail with what is attached to it, as somebody sees it who decodes everything.
fn seen(raw: &[u8]) -> Vec<u8> {
    let mut octets = raw.to_vec();
    if let Classified::Ours { attachment } = classify(raw, &Limits::default()) {
        octets.extend(attachment);
    }
    octets
}

fn eavesdropping(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let (center, site) = (field.stage.mail.center_address(), field.stage.mail.agent_address(1));
    let mut mails = Vec::new();
    let mut sizes = BTreeSet::new();
    for (episode, description) in [("one", "Jam."), ("two", "A jam in tray 2, behind the left cover.")] {
        has_to_report(field, 1, fault(episode, description))?;
        field.appliance_turn(1)?;
        let heard = field.office()?.mails(&center);
        sizes.extend(heard.iter().filter_map(|mail| match classify(mail, &Limits::default()) {
            Classified::Ours { attachment } => Some(attachment.len()),
            _ => None,
        }));
        mails.extend(heard);
        field.center_turn()?;
        mails.extend(field.office()?.mails(&site));
        field.appliance_turn(1)?;
    }
    findings.must(mails.len() >= 4, format!("only {} mails were seen", mails.len()));
    for word in ["Kyocera", "ECOSYS", "SERIAL0815", "jam", "1.0.00-1", "customer 1", "fault"] {
        let told = mails.iter().filter(|mail| holds(&seen(mail), word.as_bytes())).count();
        findings.must(told == 0, format!("{word:?} stands in {told} mails"));
    }
    findings.must(sizes.len() == 1, format!("two faults have the sizes {sizes:?}"));
    findings.note(format!("{} mails, none of the words in them, faults of one size", mails.len()));
    Ok(())
}

fn shared_mail(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    field.stage.center.run(&["ping", "--all"])?;
    field.center_turn()?;
    for (number, other) in [(1, 2), (2, 1)] {
        let mails = field.office()?.mails(&field.stage.mail.agent_address(number));
        findings.must(mails.len() == 1, format!("{} mails came", mails.len()));
        for mail in mails {
            let seen = seen(&mail);
            let address = field.stage.mail.agent_address(other);
            for word in [address.as_str(), "AGENT"] {
                findings.must(!holds(&seen, word.as_bytes()), format!("{word:?} stands in the mail"));
            }
        }
    }
    findings.note("neither the other's address nor any id");
    field.settle()
}

fn stolen_mailbox(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let center = field.stage.mail.center_address();
    has_to_report(field, 1, fault("deleted", "Jam."))?;
    let rule = Rule::always(Fault::Lose).to(&center);
    field.stage.block_on(async { field.office().map(|office| office.set_faults(vec![rule])) })?;
    field.appliance_turn(1)?;
    findings.must(field.office()?.mailbox_len(&center) == 0, "the report was not deleted");
    field.stage.block_on(async { field.office().map(|office| office.set_faults(Vec::new())) })?;
    // Half an hour without a receipt.
    field.turn_of(&field.context(1, SignedDuration::from_mins(31))?)?;
    field.center_turn()?;
    let faults = field.stage.center.json(&["faults", "--all"])?;
    let count = crate::world::entries(&faults).count();
    findings.must(count == 1, format!("the center knows {count} faults"));
    findings.note("sent again until there was a receipt, filed once");
    Ok(())
}
