//! Every kind of our mails through one transform and then through the real judges of both sides: what arrives, in which form,
//! and with which reason it is refused where it does not.
//!
//! The sender goes by the same decision as the programs ([`Way::next`]): twice with an attachment, then as armoured text.

use super::Transform;
use crate::random;
use center_manager::db::enrolment::OpenCode;
use center_manager::intake::{self, Discard};
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::{ChannelKey, ContentKey, Credential, Direction, Random};
use mailfmt::enrolment::ProvisionalCode;
use mailfmt::envelope::{Addressee, Header, Sender, seal};
use mailfmt::exchange::EphemeralSecret;
use mailfmt::mail::{Form, Letter, Tried, Way, compose_as};
use mailfmt::message::enrolment::Hello;
use mailfmt::message::report::RefusedReport;
use mailfmt::message::{Enrolment, PackagePart, UpdateOrder, VersionRequest};
use mailfmt::package::PackageId;
use mailfmt::{
    AgentId, CenterId, Command, Digest, Limits, Message, MessageId, Nonce, Receipt, Report, SoftwareVersion,
};
use monitor_appliance::clock::ClockState;
use monitor_appliance::judge::{self, JunkReason, Keys, Verdict};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// Sendings until a mail counts as not getting through: two in each form.
const SENDINGS: usize = 4;
/// Octets of the package, and of the part.
const PACKAGE_OCTETS: usize = 30_000;

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived as it was written, in this form.
    Survived(Form),
    /// Nothing of it was taken; the reason that is counted and shown.
    Refused(String),
    /// Anything else: something was taken that nobody wrote, or the mail was lost without a reason.
    HalfAccepted(String),
}

/// What came of one mail.
enum Arrival {
    Whole,
    Refused(String),
    Odd(String),
}

/// One of our mails, ready to be written in either form.
#[derive(Debug)]
struct Post {
    kind: &'static str,
    message: Message,
    header: Header,
    octets: Vec<u8>,
}

/// Both sides, and one mail of each kind.
#[derive(Debug)]
pub struct Trial {
    now: Timestamp,
    center: CenterId,
    to_appliance: ChannelKey,
    keyring: intake::Keyring,
    posts: Vec<Post>,
}

impl Trial {
    /// Sets both sides up and seals one message of each kind.
    ///
    /// # Errors
    /// When one cannot be sealed.
    pub fn new(now: Timestamp) -> anyhow::Result<Self> {
        let mut random = random();
        let (agent, center) = (AgentId::new("AGENT0000001")?, CenterId::new("CENTER")?);
        let credential = Credential::generate(&mut random);
        let to_appliance = credential.channel(Direction::ToAppliance, &agent, &center);
        let to_center = credential.channel(Direction::ToCenter, &agent, &center);
        let code = ProvisionalCode::generate(&mut random);
        let mut keyring = intake::Keyring::new(&center, &[(agent.clone(), credential)]);
        let hello_key = code.channel(Direction::ToCenter);
        let id = code.id();
        keyring.set_codes(&BTreeMap::from([(id, OpenCode { code, exchanges: Vec::new() })]));
        let mut package = vec![0; PACKAGE_OCTETS];
        random.fill(&mut package);
        let order = UpdateOrder {
            package: PackageId::from(Digest::of(b"a manifest")),
            target: SoftwareVersion::new("1.0.02-0")?,
            enclosure: Digest::of(&package),
            enclosure_octets: u64::try_from(package.len())?,
            content_key: ContentKey::generate(&mut random),
            permit: None,
            parts: None,
            approval: None,
        };
        let part = PackagePart {
            enclosure: Digest::of(b"the whole"),
            number: 1,
            of: 3,
            sha256: Digest::of(&package),
        };
        let receipt = Receipt {
            report: MessageId::generate(&mut random),
            number: 17,
            received: now,
            content: "counters".to_owned(),
            description: "counters of 12 devices".to_owned(),
            latest: None,
        };
        let hello = Hello {
            appliance_key: EphemeralSecret::generate(&mut random).public(),
            reply_to: "agent@site.example".to_owned(),
        };
        let report = RefusedReport { kind: "dance".to_owned(), reason: "no legs ".repeat(200) };
        let from_center = || Sender::from(center.clone());
        let nothing: &[u8] = &[];
        let messages = [
            (
                "command",
                from_center(),
                &to_appliance,
                Message::Command(Command::Version(VersionRequest { nonce: Nonce::generate(&mut random) })),
                nothing,
            ),
            ("receipt", from_center(), &to_appliance, Message::Receipt(receipt), nothing),
            ("package", from_center(), &to_appliance, Message::Command(Command::Update(order)), &package),
            ("part", from_center(), &to_appliance, Message::Command(Command::Part(part)), &package),
            ("report", agent.into(), &to_center, Message::Report(Report::Refused(report)), nothing),
            ("enrolment", id.into(), &hello_key, Message::Enrolment(Enrolment::Hello(hello)), nothing),
        ];
        let mut posts = Vec::new();
        for (kind, sender, key, message, behind) in messages {
            let expires = now + SignedDuration::from_hours(24);
            let header = Header::new(&message, sender, MessageId::generate(&mut random), now, expires);
            let mut octets = seal(&header, &message, &[Addressee { key, sequence: 5 }], &mut random)?;
            octets.extend(behind);
            posts.push(Post { kind, message, header, octets });
        }
        Ok(Self { now, center, to_appliance, keyring, posts })
    }

    /// The kinds of mails, by their names.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.posts.iter().map(|post| post.kind)
    }

    /// All kinds through one transform.
    #[must_use]
    pub fn pass(&self, transform: &Transform) -> Vec<(&'static str, Outcome)> {
        self.posts.iter().map(|post| (post.kind, self.pass_one(post, transform))).collect()
    }

    /// The mails of all kinds with an attachment as they arrive, and the octets that are to be found in each; for a peer.
    #[must_use]
    pub fn arriving(&self, transform: &Transform) -> Vec<(Vec<u8>, &[u8])> {
        let arriving = |post: &Post| (transform.apply)(&self.written(post, Form::Opaque, 1));
        self.posts.iter().map(|post| (arriving(post), post.octets.as_slice())).collect()
    }

    fn written(&self, post: &Post, form: Form, sending: u32) -> Vec<u8> {
        let (from, to) = match post.kind {
            "report" | "enrolment" => ("agent@site.example", "center@center.example"),
            _ => ("center@center.example", "agent@site.example"),
        };
        let letter = Letter { from, to: Some(to), header: &post.header, date: self.now, sending };
        compose_as(form, &letter, &post.octets)
    }

    fn pass_one(&self, post: &Post, transform: &Transform) -> Outcome {
        let (way, mut tried) = (Way::default(), Tried::default());
        let mut reason = String::new();
        for sending in (1..).take(SENDINGS) {
            let form = way.next(tried, self.now);
            tried = tried.and(form);
            let raw = (transform.apply)(&self.written(post, form, sending));
            let arrival = match post.message {
                Message::Report(_) | Message::Enrolment(_) => self.at_center(post, &raw),
                Message::Command(_) | Message::Receipt(_) => self.at_appliance(post, &raw),
            };
            match arrival {
                Arrival::Whole => return Outcome::Survived(form),
                Arrival::Refused(why) => reason = why,
                Arrival::Odd(what) => return Outcome::HalfAccepted(format!("{form}: {what}")),
            }
        }
        Outcome::Refused(reason)
    }

    fn at_appliance(&self, post: &Post, raw: &[u8]) -> Arrival {
        let keys = Keys { center: &self.center, to_appliance: &[&self.to_appliance], trusted: None };
        let clock = ClockState::certain(self.now);
        let judged =
            judge::judge(raw, keys, |_| Ok::<_, Infallible>(Default::default()), &Limits::default(), &clock);
        let Ok(verdict) = judged;
        match (verdict, &post.message) {
            (Verdict::Receipt { receipt, .. }, Message::Receipt(written)) if receipt == *written => {
                Arrival::Whole
            }
            (Verdict::Accepted { command, enclosure, .. }, Message::Command(written))
                if command == *written =>
            {
                // What is filed only with the hash that the authentic command names.
                let named = match written {
                    Command::Update(order) => Some(order.enclosure),
                    Command::Part(part) => Some(part.sha256),
                    _ => None,
                };
                match named.is_none_or(|named| named == Digest::of(&enclosure)) {
                    true => Arrival::Whole,
                    false => {
                        Arrival::Refused("the package that came is not the one that was ordered".to_owned())
                    }
                }
            }
            (Verdict::Mangled(mangled), _) => Arrival::Refused(mangled.how.to_string()),
            (
                Verdict::Junk(reason @ (JunkReason::Damaged | JunkReason::Forged | JunkReason::NotForUs)),
                _,
            ) => Arrival::Refused(reason.to_string()),
            (Verdict::Returned(returned), _) if returned.cause.is_some() => {
                Arrival::Refused(returned.words())
            }
            (other, _) => Arrival::Odd(format!("{other:?}")),
        }
    }

    fn at_center(&self, post: &Post, raw: &[u8]) -> Arrival {
        match (intake::judge(raw, &self.keyring, &Limits::default(), self.now), &post.message) {
            (intake::Verdict::Report(arrived), Message::Report(written))
                if arrived.report == *written && arrived.message == post.header.message =>
            {
                Arrival::Whole
            }
            (intake::Verdict::Contact(contact), Message::Enrolment(written)) if contact.word == *written => {
                Arrival::Whole
            }
            (intake::Verdict::Mangled(mangled), _) => Arrival::Refused(mangled.how.to_string()),
            (intake::Verdict::Knock { reason, .. } | intake::Verdict::Discarded(reason), _)
                if matches!(
                    reason,
                    Discard::Damaged
                        | Discard::Forged
                        | Discard::WrongKey
                        | Discard::UnknownSender
                        | Discard::UnknownCode
                ) =>
            {
                Arrival::Refused(reason.to_string())
            }
            (intake::Verdict::Returned(returned), _) if returned.cause.is_some() => {
                Arrival::Refused(returned.words())
            }
            (other, _) => Arrival::Odd(format!("{other:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::transforms;

    fn now() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    #[test]
    fn every_kind_of_mail_comes_through_every_gateway_or_is_refused_with_a_reason() {
        let trial = Trial::new(now()).unwrap();
        let (mut survived, mut refused) = (0, 0);
        for transform in transforms() {
            let outcomes = trial.pass(&transform);
            for (kind, outcome) in &outcomes {
                assert!(
                    !matches!(outcome, Outcome::HalfAccepted(_)),
                    "{kind}, {}: {outcome:?}",
                    transform.name
                );
            }
            match outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Survived(_))) {
                true => survived += 1,
                false => refused += 1,
            }
        }
        assert!(survived >= 100 && refused <= 12, "{survived} survived, {refused} refused");
    }

    #[test]
    fn what_leaves_a_mail_alone_brings_the_attachment_and_what_takes_attachments_away_brings_the_armour() {
        let trial = Trial::new(now()).unwrap();
        let form = |name: &str| {
            let transform = transforms().into_iter().find(|transform| transform.name == name).unwrap();
            trial.pass(&transform).into_iter().map(|(_, outcome)| outcome).collect::<Vec<_>>()
        };
        let all = |form| vec![Outcome::Survived(form); trial.kinds().count()];
        assert_eq!(form("subject tagged [EXTERN]"), all(Form::Opaque));
        assert_eq!(form("winmail.dat"), all(Form::Opaque));
        assert_eq!(form("attachment replaced by a note"), all(Form::Armoured));
        let portal = Outcome::Refused("encrypted by a gateway".to_owned());
        assert_eq!(form("mail left at a portal"), vec![portal; trial.kinds().count()]);
    }
}
