//! The outside of an envelope: what everybody can read.

use super::MAGIC;
use crate::ids::{AgentId, CenterId, IdError, MessageId};
use crate::message::{Family, Message};
use jiff::Timestamp;

/// What everybody can read on the outside of an envelope; trusted only after [`open`](super::open).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Command, report or receipt.
    pub family: Family,
    /// Who sent it.
    pub sender: Sender,
    /// The message's id, the same however often it is sent.
    pub message: MessageId,
    /// The message that this one answers.
    pub in_reply_to: Option<MessageId>,
    /// When it was made; whole milliseconds.
    pub created: Timestamp,
    /// After this nobody acts on it any more; whole milliseconds.
    pub expires: Timestamp,
}

impl Header {
    /// The header for `message`.
    #[must_use]
    pub fn new(
        message: &Message,
        sender: Sender,
        id: MessageId,
        created: Timestamp,
        expires: Timestamp,
    ) -> Self {
        Self { family: message.family(), sender, message: id, in_reply_to: None, created, expires }
    }

    /// The same, in answer to another message.
    #[must_use]
    pub fn answering(mut self, message: Option<MessageId>) -> Self {
        self.in_reply_to = message;
        self
    }
}

/// The sender's id as it stands in the header. The family says whose id it is: reports come from appliances.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sender(String);

impl Sender {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As an appliance's id.
    ///
    /// # Errors
    /// [`IdError`] when it cannot be one.
    pub fn agent(&self) -> Result<AgentId, IdError> {
        AgentId::new(&self.0)
    }
}

impl From<AgentId> for Sender {
    fn from(id: AgentId) -> Self {
        Self(id.into())
    }
}

impl From<CenterId> for Sender {
    fn from(id: CenterId) -> Self {
        Self(id.into())
    }
}

/// The octets from the magic to the salt.
pub(super) fn write_header(header: &Header, salt: &[u8; 32]) -> Vec<u8> {
    let sender = header.sender.as_str().as_bytes();
    let mut octets = Vec::with_capacity(128);
    octets.extend(MAGIC);
    octets.push(header.family.code());
    octets.push(u8::try_from(sender.len()).expect("ids are at most 32 octets"));
    octets.extend(sender);
    octets.extend(header.message.as_bytes());
    octets.extend(header.in_reply_to.map_or([0; 16], |id| *id.as_bytes()));
    octets.extend(header.created.as_millisecond().to_be_bytes());
    octets.extend(header.expires.as_millisecond().to_be_bytes());
    octets.extend(salt);
    octets
}
