//! Somebody who writes messages of the wire format with the keys that he has.

use crate::random;
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::{ChannelKey, Credential, Direction};
use mailfmt::envelope::{Addressee, Extras, Header, Sender, seal_with};
use mailfmt::mail::{Letter, compose};
use mailfmt::trust::SigningKey;
use mailfmt::{AgentId, CenterId, Introduction, Message, MessageId};

/// One direction of one channel, and who speaks in it.
#[derive(Clone)]
pub(super) struct Forger {
    sender: Sender,
    key: ChannelKey,
    signer: Option<SigningKey>,
    from: String,
    to: String,
    in_reply_to: Option<MessageId>,
    sequence: u64,
    created: Timestamp,
    expires: Timestamp,
}

#[expect(clippy::disallowed_methods, reason = "the programs under attack look at the real clock")]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

impl Forger {
    /// Says that he is the center of this introduction, to its appliance, under `credential`.
    pub(super) fn center(introduction: &Introduction, credential: &Credential, to: &str) -> Self {
        let Introduction { agent, center, center_address, .. } = introduction;
        let key = credential.channel(Direction::ToAppliance, agent, center);
        Self::new(center.clone().into(), key, center_address, to)
    }

    /// Says that he is the appliance of this introduction, to its center, under `credential`.
    pub(super) fn appliance(introduction: &Introduction, credential: &Credential, from: &str) -> Self {
        let Introduction { agent, center, center_address, .. } = introduction;
        Self::agent(agent, center, credential, from, center_address)
    }

    /// Says that he is `agent`.
    pub(super) fn agent(
        agent: &AgentId,
        center: &CenterId,
        credential: &Credential,
        from: &str,
        to: &str,
    ) -> Self {
        Self::new(agent.clone().into(), credential.channel(Direction::ToCenter, agent, center), from, to)
    }

    /// Any sender under any key.
    pub(super) fn new(sender: Sender, key: ChannelKey, from: &str, to: &str) -> Self {
        let created = now();
        Self {
            sender,
            key,
            signer: None,
            from: from.to_owned(),
            to: to.to_owned(),
            in_reply_to: None,
            sequence: 500,
            created,
            expires: created + SignedDuration::from_hours(1),
        }
    }

    pub(super) fn signing(self, key: &SigningKey) -> Self {
        Self { signer: Some(key.clone()), ..self }
    }

    pub(super) fn numbered(self, sequence: u64) -> Self {
        Self { sequence, ..self }
    }

    pub(super) fn answering(self, command: MessageId) -> Self {
        Self { in_reply_to: Some(command), ..self }
    }

    /// Valid until then.
    pub(super) fn until(self, expires: Timestamp) -> Self {
        Self { expires, ..self }
    }

    /// As if written `hours` hours later, or earlier, than now.
    pub(super) fn later(self, hours: i64) -> Self {
        let by = SignedDuration::from_hours(hours);
        Self { created: self.created + by, expires: self.expires + by, ..self }
    }

    /// A mail with a new message.
    pub(super) fn mail(&self, message: &Message) -> anyhow::Result<Vec<u8>> {
        self.mail_with(message, &[])
    }

    /// A mail with a new message and what follows its envelope.
    pub(super) fn mail_with(&self, message: &Message, enclosure: &[u8]) -> anyhow::Result<Vec<u8>> {
        let id = MessageId::generate(&mut random());
        let header = Header::new(message, self.sender.clone(), id, self.created, self.expires)
            .answering(self.in_reply_to);
        let addressee = Addressee { key: &self.key, sequence: self.sequence };
        let extras = Extras { signer: self.signer.as_ref(), follows: None, begins: None, slot: None };
        let mut attachment = seal_with(&header, message, &[addressee], &extras, &mut random())?;
        attachment.extend(enclosure);
        let letter = Letter {
            from: &self.from,
            to: Some(&self.to),
            header: &header,
            date: header.created,
            sending: 1,
        };
        Ok(compose(&letter, &attachment))
    }
}
