//! The envelope: authenticated header, one key block per recipient, encrypted payload.
//!
//! ```text
//! octets  field
//!      4  magic "MFE1": format number 1
//!      1  family: 1 command, 2 report, 3 receipt, 4 enrolment
//!      1  length of the sender's id, then the id in ASCII
//!     16  message id
//!     16  id of the message this answers, or zeros
//!      8  created, milliseconds since 1970-01-01T00:00:00Z
//!      8  expires, the same
//!     32  salt
//!      4  length of the ciphertext
//!      4  number of key blocks
//!     64  per recipient: tag (8), sealed { sequence (8), payload key (32) } with its GCM tag (56)
//!      .  ciphertext: AES-256-GCM { length (4), deflated JSON, zeros up to the size bucket }
//! ```
//! Numbers are big-endian. The ciphertext is made once, however many recipients; each key block is bound by its
//! associated data to the header and to the whole ciphertext, so that a recipient who knows the payload key
//! cannot pass another payload to the others.
//!
//! Retired format numbers: none yet.

use crate::crypto::{ChannelKey, Random};
use crate::digest::Digest;
use crate::ids::{AgentId, CenterId, IdError, MessageId};
use crate::limits::Limits;
use crate::message::{Family, Message, MessageError};
use crate::reader::Reader;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use jiff::Timestamp;
use std::io::{Read as _, Write as _};
use zeroize::Zeroizing;

/// The first octets of every envelope.
pub const MAGIC: &[u8; 4] = b"MFE1";

/// Octets that each further recipient adds.
pub const KEY_BLOCK_OCTETS: usize = 64;

/// Smallest size bucket of the encrypted payload, in octets.
const BUCKET_MIN: usize = 512;

/// Every key in an envelope is used for exactly one encryption, so its nonce may be fixed.
const NONCE_OF_A_SINGLE_USE_KEY: [u8; 12] = [0; 12];

/// What everybody can read on the outside of an envelope; trusted only after [`open`].
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

/// One recipient when sealing.
#[derive(Debug)]
pub struct Addressee<'a> {
    /// The channel to it.
    pub key: &'a ChannelKey,
    /// The sequence number of this message in that channel; grows by one per message.
    pub sequence: u64,
}

/// An envelope that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The payload is too large for the format (4 GiB).
    #[error("the payload of {octets} octets is too large for an envelope")]
    TooLarge {
        /// Octets of the payload.
        octets: usize,
    },
    /// Nobody to seal for, or more recipients than the format counts.
    #[error("an envelope needs 1 to {max} recipients, not {found}", max = u32::MAX)]
    Recipients {
        /// Recipients given.
        found: usize,
    },
}

/// Why octets are not an envelope that we may act on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It does not start like an envelope of a format that we know.
    #[error("not an envelope of a known format")]
    NotAnEnvelope,
    /// It ends too early, or a field has an impossible value.
    #[error("the envelope is cut or damaged at {field}")]
    Damaged {
        /// Which field.
        field: &'static str,
    },
    /// It names more recipients or octets than allowed.
    #[error("the envelope's {what} is {found}, more than the {limit} allowed")]
    TooLarge {
        /// Of what there is too much.
        what: &'static str,
        /// How much.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// No key block is for us.
    #[error("the envelope is for somebody else, or its sender has another key")]
    NotForUs,
    /// A key block is for us, but something was changed.
    #[error("the envelope was changed after it was sealed")]
    Forged,
    /// Authentic, but too old.
    #[error("message {message} expired at {expires}")]
    Expired {
        /// The message.
        message: MessageId,
        /// When it expired.
        expires: Timestamp,
    },
    /// Authentic, but its payload does not inflate within the limit.
    #[error("the payload is damaged or inflates to more than {limit} octets")]
    Payload {
        /// The limit.
        limit: usize,
    },
}

/// An envelope whose authenticity, address and freshness were checked; [`open`] is the only way to get one.
#[derive(Debug)]
pub struct OpenedEnvelope {
    header: Header,
    sequence: u64,
    payload: Vec<u8>,
}

impl OpenedEnvelope {
    /// The header, now to be trusted.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The sequence number in the channel from its sender to us.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The JSON payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The message inside.
    ///
    /// # Errors
    /// [`MessageError`] when an authentic sender wrote something that is no message.
    pub fn message(&self) -> Result<Message, MessageError> {
        Message::parse(self.header.family, &self.payload)
    }
}

/// Seals `message` for all `addressees` at once: one encryption, one key block each.
///
/// Deterministic for given randomness. Draws 64 octets: the salt and the payload key.
///
/// # Errors
/// [`SealError`] when there is no recipient or the payload is beyond the format.
pub fn seal(
    header: &Header,
    message: &Message,
    addressees: &[Addressee<'_>],
    random: &mut impl Random,
) -> Result<Vec<u8>, SealError> {
    let recipients = u32::try_from(addressees.len())
        .ok()
        .filter(|count| *count > 0)
        .ok_or(SealError::Recipients { found: addressees.len() })?;
    let padded = pad(&message.write())?;
    let ciphertext_octets = u32::try_from(padded.len().saturating_add(16))
        .map_err(|_| SealError::TooLarge { octets: padded.len() })?;

    let mut salt = [0; 32];
    random.fill(&mut salt);
    let mut payload_key = Zeroizing::new([0u8; 32]);
    random.fill(payload_key.as_mut_slice());

    let mut outside = write_header(header, &salt);
    outside.extend(ciphertext_octets.to_be_bytes());
    let ciphertext = encrypt(&payload_key, &padded, &outside);

    let bound = Digest::of_pieces(&[&outside, &ciphertext]);
    let mut sealed = outside;
    sealed.reserve(ciphertext.len().saturating_add(addressees.len().saturating_mul(KEY_BLOCK_OCTETS)));
    sealed.extend(recipients.to_be_bytes());
    for addressee in addressees {
        let block = addressee.key.block_key(&salt);
        let mut secret = Zeroizing::new([0u8; 40]);
        let (sequence, key) = secret.split_at_mut(8);
        sequence.copy_from_slice(&addressee.sequence.to_be_bytes());
        key.copy_from_slice(payload_key.as_slice());
        sealed.extend(block.tag);
        sealed.extend(encrypt(&block.key, secret.as_slice(), bound.as_bytes()));
    }
    sealed.extend(ciphertext);
    Ok(sealed)
}

/// Reads the header and finds the envelope's end, without any key and without trusting anything.
///
/// # Errors
/// [`OpenError`] when the octets do not start with a whole envelope within the limits.
pub fn peek(octets: &[u8], limits: &Limits) -> Result<Peeked, OpenError> {
    parse(octets, limits).map(|parsed| Peeked { header: parsed.header, octets: parsed.octets })
}

/// What an envelope claims about itself.
#[derive(Debug, Clone)]
pub struct Peeked {
    /// The header, not authenticated.
    pub header: Header,
    /// Length of the envelope; what follows is the enclosure.
    pub octets: usize,
}

/// Checks and opens an envelope that is for the holder of `key`. Octets behind the envelope are left alone.
///
/// # Errors
/// [`OpenError`]; nothing of the payload is given out unless all of it is authentic.
pub fn open(
    octets: &[u8],
    key: &ChannelKey,
    limits: &Limits,
    now: Timestamp,
) -> Result<OpenedEnvelope, OpenError> {
    let parsed = parse(octets, limits)?;
    let block = key.block_key(&parsed.salt);
    let mut ours = parsed
        .blocks
        .chunks_exact(KEY_BLOCK_OCTETS)
        .filter_map(|candidate| candidate.strip_prefix(&block.tag));
    let sealed_key = ours.next().ok_or(OpenError::NotForUs)?;
    let bound = Digest::of_pieces(&[parsed.outside, parsed.ciphertext]);
    let secret = Zeroizing::new(decrypt(&block.key, sealed_key, bound.as_bytes()).ok_or(OpenError::Forged)?);
    let mut secret = Reader::new(&secret);
    let (Some(sequence), Some(payload_key)) = (secret.u64(), secret.array::<32>()) else {
        return Err(OpenError::Forged);
    };
    let payload_key = Zeroizing::new(payload_key);
    let padded = decrypt(&payload_key, parsed.ciphertext, parsed.outside).ok_or(OpenError::Forged)?;
    if parsed.header.expires < now {
        return Err(OpenError::Expired { message: parsed.header.message, expires: parsed.header.expires });
    }
    let payload =
        unpad(&padded, limits.payload_octets).ok_or(OpenError::Payload { limit: limits.payload_octets })?;
    Ok(OpenedEnvelope { header: parsed.header, sequence, payload })
}

struct Parsed<'a> {
    header: Header,
    salt: [u8; 32],
    /// Everything in front of the number of key blocks: the associated data.
    outside: &'a [u8],
    blocks: &'a [u8],
    ciphertext: &'a [u8],
    octets: usize,
}

fn write_header(header: &Header, salt: &[u8; 32]) -> Vec<u8> {
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

fn parse<'a>(octets: &'a [u8], limits: &Limits) -> Result<Parsed<'a>, OpenError> {
    let damaged = |field| OpenError::Damaged { field };
    let mut reader = Reader::new(octets);
    if reader.take(MAGIC.len()) != Some(MAGIC) {
        return Err(OpenError::NotAnEnvelope);
    }
    let family = reader.u8().and_then(Family::from_code).ok_or(damaged("family"))?;
    let sender = reader
        .u8()
        .and_then(|length| reader.take(usize::from(length)))
        .and_then(|id| std::str::from_utf8(id).ok())
        .and_then(|id| AgentId::new(id).ok())
        .ok_or(damaged("sender"))?;
    let message = MessageId::from_bytes(reader.array().ok_or(damaged("message id"))?);
    let answered: [u8; 16] = reader.array().ok_or(damaged("answered message id"))?;
    let mut time = |field| {
        reader.i64().and_then(|millis| Timestamp::from_millisecond(millis).ok()).ok_or(damaged(field))
    };
    let (created, expires) = (time("created")?, time("expires")?);
    let salt = reader.array().ok_or(damaged("salt"))?;
    let ciphertext_octets = reader.length().ok_or(damaged("length"))?;
    let outside = octets.get(..reader.consumed()).ok_or(damaged("header"))?;
    let recipients = reader.length().ok_or(damaged("number of key blocks"))?;
    if recipients > limits.recipients {
        let (what, limit) = ("number of recipients", limits.recipients);
        return Err(OpenError::TooLarge { what, found: recipients, limit });
    }
    let blocks = reader.take(recipients.saturating_mul(KEY_BLOCK_OCTETS)).ok_or(damaged("key blocks"))?;
    let ciphertext = reader.take(ciphertext_octets).ok_or(damaged("payload"))?;
    let header = Header {
        family,
        sender: Sender::from(sender),
        message,
        in_reply_to: (answered != [0; 16]).then(|| MessageId::from_bytes(answered)),
        created,
        expires,
    };
    Ok(Parsed { header, salt, outside, blocks, ciphertext, octets: reader.consumed() })
}

fn encrypt(key: &[u8; 32], plain: &[u8], associated: &[u8]) -> Vec<u8> {
    Aes256Gcm::new(key.into())
        .encrypt(&Nonce::from(NONCE_OF_A_SINGLE_USE_KEY), Payload { msg: plain, aad: associated })
        .expect("AES-GCM encrypts anything below 64 GiB")
}

fn decrypt(key: &[u8; 32], cipher: &[u8], associated: &[u8]) -> Option<Vec<u8>> {
    Aes256Gcm::new(key.into())
        .decrypt(&Nonce::from(NONCE_OF_A_SINGLE_USE_KEY), Payload { msg: cipher, aad: associated })
        .ok()
}

/// Deflates and fills up to the size bucket, so that the length tells little about the content.
fn pad(payload: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut encoder = DeflateEncoder::new(vec![0; 4], Compression::new(6));
    encoder.write_all(payload).expect("writing into memory does not fail");
    let mut padded = encoder.finish().expect("writing into memory does not fail");
    let deflated = u32::try_from(padded.len().saturating_sub(4))
        .map_err(|_| SealError::TooLarge { octets: payload.len() })?;
    if let Some(length) = padded.first_chunk_mut::<4>() {
        *length = deflated.to_be_bytes();
    }
    padded.resize(bucket(padded.len()), 0);
    Ok(padded)
}

fn unpad(padded: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut reader = Reader::new(padded);
    let length = reader.length()?;
    let deflated = reader.take(length)?;
    let cap = u64::try_from(limit).ok()?.saturating_add(1);
    let mut payload = Vec::new();
    DeflateDecoder::new(deflated).take(cap).read_to_end(&mut payload).ok()?;
    (payload.len() <= limit).then_some(payload)
}

/// The size that a payload of `octets` is filled up to: four steps per doubling, so at most a quarter more.
fn bucket(octets: usize) -> usize {
    if octets <= BUCKET_MIN {
        return BUCKET_MIN;
    }
    let step = (octets.next_power_of_two() / 8).max(1);
    octets.div_ceil(step).saturating_mul(step)
}

#[cfg(test)]
mod tests;
