//! Attacks of somebody who found a provisional code, or who sees the mails of an enrolment.

use super::field::{ATTACKER, Field};
use super::findings::Findings;
use super::forge::Forger;
use super::{Adversary, Attack, Means};
use crate::random;
use crate::world::{Paper, entries};
use anyhow::Context as _;
use mailfmt::crypto::{ChannelKey, Direction};
use mailfmt::enrolment::{ProvisionalCode, Session, session};
use mailfmt::envelope;
use mailfmt::exchange::{EphemeralSecret, Halves};
use mailfmt::mail::{Classified, Parcel, classify};
use mailfmt::message::Enrolment;
use mailfmt::message::enrolment::{Hardware, Hello, Registration};
use mailfmt::{Limits, Message};

pub(super) const ATTACKS: &[Attack] = &[Attack {
    threat: "an enrolment code that was stolen or replayed",
    adversary: Adversary::Paper,
    tried: "codes of his own, every mail played back, two boxes at once under one code, used-up and revoked codes",
    means: Means::Field(code),
}];

/// A box that speaks the first contact with its own mailbox.
struct NewBox {
    code: ProvisionalCode,
    half: EphemeralSecret,
    address: String,
    center: String,
}

impl NewBox {
    fn new(field: &Field, code: &ProvisionalCode, address: &str) -> anyhow::Result<Self> {
        field.office()?.add_mailbox(address, "secret");
        Ok(Self {
            code: code.clone(),
            half: EphemeralSecret::generate(&mut random()),
            address: address.to_owned(),
            center: field.stage.mail.center_address(),
        })
    }

    fn says(&self, word: Enrolment, key: ChannelKey) -> anyhow::Result<Vec<u8>> {
        Forger::new(self.code.id().into(), key, &self.address, &self.center).mail(&Message::Enrolment(word))
    }

    fn hello(&self) -> anyhow::Result<Vec<u8>> {
        let hello = Hello { appliance_key: self.half.public(), reply_to: self.address.clone() };
        self.says(Enrolment::Hello(hello), self.code.channel(Direction::ToCenter))
    }

    /// The words that came for it under `key`.
    fn heard(&self, field: &Field, key: &ChannelKey) -> anyhow::Result<Vec<Enrolment>> {
        let mut words = Vec::new();
        for raw in field.office()?.mails(&self.address) {
            let Classified::Ours { attachment } = classify(&raw, &Limits::default()) else { continue };
            let Ok(parcel) = Parcel::split(&attachment, &Limits::default()) else { continue };
            let opened = envelope::open(parcel.envelope, key, &Limits::default(), super::forge::now());
            if let Ok(Ok(Message::Enrolment(word))) = opened.map(|opened| opened.message()) {
                words.push(word);
            }
        }
        Ok(words)
    }

    fn session(&self, field: &Field) -> anyhow::Result<Session> {
        let words = self.heard(field, &self.code.channel(Direction::ToAppliance))?;
        let offer = words.into_iter().find_map(|word| match word {
            Enrolment::Offer(offer) => Some(offer.center_key),
            _ => None,
        });
        let center = offer.context("an offer")?;
        Ok(session(&self.code, &self.half, &center, Halves { appliance: self.half.public(), center })?)
    }

    fn registration(&self, field: &Field, machine: &str) -> anyhow::Result<Vec<u8>> {
        let registration = Registration {
            appliance_key: self.half.public(),
            address: self.address.clone(),
            hardware: Hardware { machine: machine.to_owned(), class: "x86_64".to_owned() },
            software: crate::world::FIRST_VERSION.parse()?,
            devices: Vec::new(),
            clock: super::forge::now(),
        };
        self.says(Enrolment::Registration(registration), self.session(field)?.channel(Direction::ToCenter))
    }

    fn is_admitted(&self, field: &Field) -> anyhow::Result<bool> {
        let key = self.session(field)?.channel(Direction::ToAppliance);
        Ok(self.heard(field, &key)?.iter().any(|word| matches!(word, Enrolment::Admission(_))))
    }
}

fn appliances(field: &Field) -> anyhow::Result<usize> {
    Ok(entries(&field.stage.center.json(&["appliance", "list"])?).count())
}

fn code(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let before = appliances(field)?;
    // A code that nobody issued.
    let own = ProvisionalCode::generate(&mut random());
    let stranger = NewBox::new(field, &own, ATTACKER)?;
    let (recorded, sent) = field.lay_before_center(&[stranger.hello()?])?;
    findings.reason(&format!("{recorded:?}"), "unknown code");
    findings.answers(sent);
    // The number of a real code, which stands on its mails, without the code.
    let Paper { code, .. } = field.stage.issue(&[])?;
    let code: ProvisionalCode = code.parse()?;
    let hello = Hello { appliance_key: stranger.half.public(), reply_to: ATTACKER.to_owned() };
    let forged = Forger::new(
        code.id().into(),
        own.channel(Direction::ToCenter),
        ATTACKER,
        &field.stage.mail.center_address(),
    );
    let (recorded, sent) =
        field.lay_before_center(&[forged.mail(&Message::Enrolment(Enrolment::Hello(hello)))?])?;
    findings.reason(&format!("{recorded:?}"), "wrong key");
    findings.answers(sent);
    // The real box and one with a copy of the paper, both at once, each word ten times.
    let boxes =
        [NewBox::new(field, &code, "real@new.example")?, NewBox::new(field, &code, "thief@new.example")?];
    for new in &boxes {
        field.lay_before_center(&vec![new.hello()?; 10])?;
    }
    for (new, machine) in boxes.iter().zip(["11", "22"]) {
        let registration = new.registration(field, &machine.repeat(32))?;
        field.lay_before_center(&vec![registration; 10])?;
    }
    let admitted = boxes.iter().map(|new| new.is_admitted(field)).collect::<Result<Vec<_>, _>>()?;
    findings.must(admitted == [true, false], format!("admitted: {admitted:?}"));
    findings.must(appliances(field)? == before + 1, "not one appliance more");
    let alarms = field.alarms()?;
    findings.must(alarms.iter().any(|kind| kind == "enrolment-attempt"), format!("alarms: {alarms:?}"));
    findings.note("one of two boxes got in, the other attempt is an alarm");
    // A revoked one.
    let Paper { code, id, .. } = field.stage.issue(&[])?;
    let code: ProvisionalCode = code.parse()?;
    let late = NewBox::new(field, &code, "late@new.example")?;
    field.stage.center.run(&["enrol", "revoke", &id])?;
    let (recorded, sent) = field.lay_before_center(&[late.hello()?])?;
    findings.reason(&format!("{recorded:?}"), "unknown code");
    findings.answers(sent);
    findings.must(appliances(field)? == before + 1, "a revoked code let somebody in");
    Ok(())
}
