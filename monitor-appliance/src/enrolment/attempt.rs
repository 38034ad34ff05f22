//! One enrolment as a state machine. Pure: mails, time and random numbers are passed in, what to do comes out.
//!
//! ```text
//! Greeting -- offer --> Registering -- admission --> Admitted
//!    |  ^                  |  ^
//!    +--+ hello, again     +--+ registration, again
//! ```
//!
//! Lost, doubled and reordered mails do no harm: what is not answered is sent again under the same id, what comes
//! again changes nothing. The box's clock plays no part in what is believed: a mail is bound to this attempt by our half
//! of the exchange, and a clock may be years off before the first contact.

use super::exchange::Pace;
use crate::outbox::{CLOCK_FLOOR, after};
use crate::settings::is_mail_address;
use jiff::{SignedDuration, Timestamp};
use mailbox::address::in_header;
use mailfmt::crypto::{ChannelKey, Direction, Random};
use mailfmt::enrolment::{ProvisionalCode, Session, session};
use mailfmt::envelope::{Addressee, Header, open, seal};
use mailfmt::exchange::{EphemeralPublic, EphemeralSecret, Halves};
use mailfmt::mail::{Classified, Letter, Parcel, classify, compose};
use mailfmt::message::enrolment::{Admission, Enrolment, Hardware, Hello, Offer, Registration};
use mailfmt::message::report::InventoryDevice;
use mailfmt::message::{Family, Message};
use mailfmt::trust::RootFingerprint;
use mailfmt::{Limits, MessageId, SoftwareVersion};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Octets of an admission's payload: a chain of a thousand roots.
const PAYLOAD_OCTETS_MAX: usize = 4 << 20;

/// What we send never expires before its code does, however far the box's clock is behind.
const LIFE: SignedDuration = SignedDuration::from_hours(20 * 366 * 24);

/// What the person brings, and what was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The code from paper.
    #[serde(with = "code_text")]
    pub code: ProvisionalCode,
    /// Where the center's mail is.
    pub center_address: String,
    /// This appliance's mail address.
    pub address: String,
    /// This box.
    pub hardware: Hardware,
    /// The software version that runs, or will.
    pub software: SoftwareVersion,
    /// The devices found.
    pub devices: Vec<InventoryDevice>,
    /// The roots that the center must bring, where a person typed them from the sheet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_fingerprint: Option<RootFingerprint>,
}

/// Where an enrolment stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Stage {
    /// The center has not answered yet.
    Greeting,
    /// The center knows the code; it has not admitted us yet.
    Registering {
        /// Its half of the exchange.
        center_key: EphemeralPublic,
        /// Message id of the offer; the registration names it, so that the center need not try all that it made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offer: Option<MessageId>,
    },
    /// Admitted; to be installed.
    Admitted {
        /// By this.
        admission: Box<Admission>,
        /// When the center made it, by the center's clock.
        created: Timestamp,
    },
}

/// One enrolment, from the first mail to the admission. Holds secrets; prints none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    order: Order,
    #[serde(with = "half_text")]
    half: Half,
    stage: Stage,
    /// The message that waits for its answer: hello or registration.
    sending: Sending,
}

/// Our half of the exchange; two are the same if what travels of them is.
#[derive(Debug, Clone)]
struct Half(EphemeralSecret);

impl PartialEq for Half {
    fn eq(&self, other: &Self) -> bool {
        self.0.public() == other.0.public()
    }
}

/// What waits for its answer, and how often it was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sending {
    message: MessageId,
    /// When it was made; stays the same however often it is sent.
    created: Timestamp,
    /// How often the server took it.
    taken: u32,
    /// How often in a row it could not be handed in.
    failures: u32,
    /// The last try.
    tried: Option<Timestamp>,
}

/// What happened.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The time of [`Attempt::due`] has come.
    Due,
    /// The server took the mail.
    HandedIn,
    /// It did not, or there is no server.
    NotHandedIn,
    /// A mail lies in the mailbox.
    Mail(&'a [u8]),
}

/// What to do, in this order. A mail for which nothing is to be done is none of ours and stays where it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Store the attempt durably before anything else.
    Store,
    /// Hand this mail in.
    Send(Vec<u8>),
    /// Delete the mail: it has been taken in.
    Delete,
    /// Tell the person.
    Tell(Notice),
}

/// What the person has to know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Notice {
    /// Our mail came back.
    #[error("the mail to the center could not be delivered ({diagnostic}): check the center's address")]
    Bounced {
        /// What the mail server said.
        diagnostic: String,
    },
    /// The center answered with something that cannot be used.
    #[error("the center's answer cannot be used: {why}; tell the center's operator")]
    Unusable {
        /// What is wrong with it.
        why: String,
    },
}

impl Attempt {
    /// A new one: nothing is sent yet. Draws the half of the exchange and an id.
    pub fn begin(order: Order, now: Timestamp, random: &mut impl Random) -> Self {
        let half = Half(EphemeralSecret::generate(random));
        Self { order, half, stage: Stage::Greeting, sending: Sending::new(now, random) }
    }

    /// What was ordered.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Where it stands.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// When the last mail was taken by the server, if one of this stage was.
    #[must_use]
    pub fn asked(&self) -> Option<Timestamp> {
        self.sending.tried.filter(|_| self.sending.taken > 0 && self.sending.failures == 0)
    }

    /// When the center made the admission, by its clock.
    #[must_use]
    pub fn admitted_at(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Admitted { created, .. } => Some(*created),
            _ => None,
        }
    }

    /// When to send; `None` when nothing is to be sent any more.
    #[must_use]
    pub fn due(&self, pace: &Pace, now: Timestamp) -> Option<Timestamp> {
        if matches!(self.stage, Stage::Admitted { .. }) {
            return None;
        }
        Some(match self.sending.tried {
            // A try in the future was made before the clock was set back.
            Some(tried) if tried <= now => after(tried, self.sending.pause(pace)),
            _ => now,
        })
    }

    /// Goes on by one event.
    pub fn handle(&mut self, event: Event<'_>, now: Timestamp, random: &mut impl Random) -> Vec<Action> {
        match event {
            Event::Due => self.write(random).map(Action::Send).into_iter().collect(),
            Event::HandedIn => {
                self.sending.tried = Some(now);
                self.sending.taken = self.sending.taken.saturating_add(1);
                self.sending.failures = 0;
                vec![Action::Store]
            }
            Event::NotHandedIn => {
                self.sending.tried = Some(now);
                self.sending.failures = self.sending.failures.saturating_add(1);
                Vec::new()
            }
            Event::Mail(raw) => self.read(raw, now, random),
        }
    }

    fn write(&self, random: &mut impl Random) -> Option<Vec<u8>> {
        let own = self.half.0.public();
        let (message, key, sequence) = match &self.stage {
            Stage::Greeting => {
                let hello = Hello { appliance_key: own, reply_to: self.order.address.clone() };
                (Enrolment::Hello(hello), self.order.code.channel(Direction::ToCenter), 1)
            }
            Stage::Registering { center_key, .. } => {
                let Order { address, hardware, software, devices, .. } = self.order.clone();
                let clock = self.sending.created;
                let registration =
                    Registration { appliance_key: own, address, hardware, software, devices, clock };
                let session = self.session(*center_key)?;
                (Enrolment::Registration(registration), session.channel(Direction::ToCenter), 2)
            }
            Stage::Admitted { .. } => return None,
        };
        let message = Message::Enrolment(message);
        let Sending { message: id, created, taken, failures, .. } = self.sending;
        let expires = created.max(CLOCK_FLOOR).saturating_add(LIFE).unwrap_or(Timestamp::MAX);
        let offer = if let Stage::Registering { offer, .. } = &self.stage { *offer } else { None };
        let header =
            Header::new(&message, self.order.code.id().into(), id, created, expires).answering(offer);
        let sealed = seal(&header, &message, &[Addressee { key: &key, sequence }], random).ok()?;
        let letter = Letter {
            from: &in_header(&self.order.address),
            to: Some(&in_header(&self.order.center_address)),
            header: &header,
            date: header.created,
            sending: taken.saturating_add(failures).saturating_add(1),
        };
        Some(compose(&letter, &sealed))
    }

    fn session(&self, center_key: EphemeralPublic) -> Option<Session> {
        let halves = Halves { appliance: self.half.0.public(), center: center_key };
        session(&self.order.code, &self.half.0, &center_key, halves).ok()
    }

    fn read(&mut self, raw: &[u8], now: Timestamp, random: &mut impl Random) -> Vec<Action> {
        let limits = Limits {
            mail_octets: 2 * PAYLOAD_OCTETS_MAX,
            payload_octets: PAYLOAD_OCTETS_MAX,
            ..Limits::default()
        };
        match classify(raw, &limits) {
            Classified::Ours { attachment } => {
                let Ok(parcel) = Parcel::split(&attachment, &limits) else { return Vec::new() };
                if parcel.claimed.header.family != Family::Enrolment {
                    return Vec::new();
                }
                self.open(parcel.envelope, &limits)
                    .map_or_else(Vec::new, |(message, header)| self.take(message, &header, now, random))
            }
            Classified::Returned(returned)
                if returned.kind.is_final_failure() && returned.messages.contains(&self.sending.message) =>
            {
                vec![Action::Tell(Notice::Bounced { diagnostic: returned.words() }), Action::Delete]
            }
            _ => Vec::new(),
        }
    }

    /// The message inside, if it is the center's: under the code, or under the code and this attempt.
    fn open(&self, envelope: &[u8], limits: &Limits) -> Option<(Enrolment, Header)> {
        let mut keys: Vec<ChannelKey> = vec![self.order.code.channel(Direction::ToAppliance)];
        if let Stage::Registering { center_key, .. } = &self.stage {
            keys.extend(self.session(*center_key).map(|session| session.channel(Direction::ToAppliance)));
        }
        keys.iter().find_map(|key| {
            // Nothing expires here: no clock is known to be right yet.
            let opened = open(envelope, key, limits, Timestamp::MIN).ok()?;
            match opened.message() {
                Ok(Message::Enrolment(message)) => Some((message, opened.header().clone())),
                _ => None,
            }
        })
    }

    fn take(
        &mut self,
        message: Enrolment,
        header: &Header,
        now: Timestamp,
        random: &mut impl Random,
    ) -> Vec<Action> {
        let own = self.half.0.public();
        match (&self.stage, message) {
            (Stage::Greeting, Enrolment::Offer(Offer { appliance_key, center_key }))
                if appliance_key == own =>
            {
                if self.session(center_key).is_none() {
                    let why = "its half of the key exchange is no proper key".to_owned();
                    return vec![Action::Tell(Notice::Unusable { why }), Action::Delete];
                }
                self.stage = Stage::Registering { center_key, offer: Some(header.message) };
                self.sending = Sending::new(now, random);
                vec![Action::Store, Action::Delete]
            }
            (Stage::Registering { .. }, Enrolment::Admission(admission))
                if admission.appliance_key == own =>
            {
                if let Some(why) = fault_of(&admission, self.order.root_fingerprint) {
                    return vec![Action::Tell(Notice::Unusable { why }), Action::Delete];
                }
                self.stage = Stage::Admitted { admission: Box::new(admission), created: header.created };
                vec![Action::Store, Action::Delete]
            }
            // Authentic, and known already, or of an attempt that was given up.
            _ => vec![Action::Delete],
        }
    }
}

/// What is wrong with an admission, if anything.
fn fault_of(admission: &Admission, wanted: Option<RootFingerprint>) -> Option<String> {
    if wanted.is_some_and(|wanted| !wanted.is_of_one_in(&admission.roots)) {
        return Some(
            "its roots are not those of the sheet, so somebody else who has the code has answered".to_owned(),
        );
    }
    match admission.center_addresses.as_slice() {
        [] => Some("it names no address of the center".to_owned()),
        addresses => addresses
            .iter()
            .find(|address| !is_mail_address(address))
            .map(|address| format!("{:?} is no mail address", address.chars().take(80).collect::<String>())),
    }
}

impl Sending {
    fn new(now: Timestamp, random: &mut impl Random) -> Self {
        // The envelope keeps whole milliseconds.
        let created = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
        Self { message: MessageId::generate(random), created, taken: 0, failures: 0, tried: None }
    }

    /// The pause after the last try: doubles each time.
    fn pause(&self, pace: &Pace) -> Duration {
        let doubled = |first: Duration, times: u32, most: Duration| {
            first.saturating_mul(1 << times.saturating_sub(1).min(20)).min(most)
        };
        match (self.failures, self.taken) {
            (0, 0) => Duration::ZERO,
            (0, taken) => doubled(pace.resend_first, taken, pace.resend_longest),
            (failures, _) => doubled(pace.failure_first, failures, pace.failure_longest),
        }
    }
}

mod code_text {
    use super::ProvisionalCode;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub(super) fn serialize<S: Serializer>(code: &ProvisionalCode, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&code.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<ProvisionalCode, D::Error> {
        let text = Zeroizing::new(String::deserialize(source)?);
        ProvisionalCode::parse(&text).map_err(D::Error::custom)
    }
}

mod half_text {
    use super::{EphemeralSecret, Half};
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub(super) fn serialize<S: Serializer>(half: &Half, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&half.0.expose_hex())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<Half, D::Error> {
        let text = Zeroizing::new(String::deserialize(source)?);
        EphemeralSecret::from_hex(&text).map(Half).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
