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
//!      .  ciphertext: AES-256-GCM { length (4), deflated JSON, trailer, zeros up to the size bucket }
//! ```
//! Numbers are big-endian. The ciphertext is made once, however many recipients; each key block is bound by its
//! associated data to the header and to the whole ciphertext, so that a recipient who knows the payload key
//! cannot pass another payload to the others. The trailer ([`Extras`]) may hold a signature: the keys of the channel say
//! that a message comes from somebody who shares them, the signature says that it comes from the center itself.
//!
//! Retired format numbers: none yet.

mod header;
mod padding;
mod trailer;

pub use header::{Header, Sender};
pub use trailer::Extras;

use crate::crypto::{BlockKey, ChannelKey, Random};
use crate::digest::Digest;
use crate::ids::{AgentId, MessageId};
use crate::limits::Limits;
use crate::message::{Family, Message, MessageError};
use crate::reader::Reader;
use crate::slot::PlacedSlot;
use crate::trust::Role;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use header::write_header;
use jiff::Timestamp;
use trailer::{Signed, Trailer};
use zeroize::Zeroizing;

/// The first octets of every envelope.
pub const MAGIC: &[u8; 4] = b"MFE1";

/// Octets that each further recipient adds.
pub const KEY_BLOCK_OCTETS: usize = 64;

/// Every key in an envelope is used for exactly one encryption, so its nonce may be fixed.
const NONCE_OF_A_SINGLE_USE_KEY: [u8; 12] = [0; 12];

/// One recipient when sealing.
#[derive(Debug)]
pub struct Addressee<'a> {
    /// The channel to it.
    pub key: &'a ChannelKey,
    /// The number of this message in that channel; it grows from message to message ([`crate::sequence`]).
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

/// An envelope whose authenticity, address and freshness were checked; [`open`] and [`open_any`] are the only ways to
/// get one.
#[derive(Debug)]
pub struct OpenedEnvelope {
    header: Header,
    sequence: u64,
    /// Place of our key block.
    place: usize,
    payload: Vec<u8>,
    trailer: Trailer,
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

    /// The highest number that its sender had given in this channel before the epoch of [`sequence`](Self::sequence)
    /// began; `None` when the sender does not tell. See [`crate::lineage`].
    #[must_use]
    pub fn follows(&self) -> Option<u64> {
        self.trailer.follows
    }

    /// The number with which the epoch of [`sequence`](Self::sequence) began; `None` when the sender does not tell.
    #[must_use]
    pub fn begins(&self) -> Option<u64> {
        self.trailer.begins
    }

    /// When we answer; `None` when at once.
    #[must_use]
    pub fn slot(&self) -> Option<PlacedSlot> {
        self.trailer.slot.map(|slot| PlacedSlot { slot, place: self.place })
    }

    /// Whether `role` signed it. The signature holds for this header, payload, trailer and set of recipients. A message has
    /// one signature, so a role whose threshold is above one never signed any.
    #[must_use]
    pub fn is_signed_by(&self, role: &Role) -> bool {
        self.trailer.signature.as_ref().is_some_and(|signature| signature.is_by(role))
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
    seal_with(header, message, addressees, &Extras::default(), random)
}

/// The same with a trailer: a signature, and what the message follows.
///
/// # Errors
/// [`SealError`] when there is no recipient or the payload is beyond the format.
pub fn seal_with(
    header: &Header,
    message: &Message,
    addressees: &[Addressee<'_>],
    extras: &Extras<'_>,
    random: &mut impl Random,
) -> Result<Vec<u8>, SealError> {
    seal_trailed(header, &message.write(), addressees, random, |signed| trailer::write(extras, signed))
}

fn seal_trailed(
    header: &Header,
    payload: &[u8],
    addressees: &[Addressee<'_>],
    random: &mut impl Random,
    trailer: impl FnOnce(&Signed<'_>) -> Vec<u8>,
) -> Result<Vec<u8>, SealError> {
    let recipients = u32::try_from(addressees.len())
        .ok()
        .filter(|count| *count > 0)
        .ok_or(SealError::Recipients { found: addressees.len() })?;
    let mut salt = [0; 32];
    random.fill(&mut salt);
    let mut payload_key = Zeroizing::new([0u8; 32]);
    random.fill(payload_key.as_mut_slice());

    let blocks: Vec<BlockKey> = addressees.iter().map(|addressee| addressee.key.block_key(&salt)).collect();
    let mut outside = write_header(header, &salt);
    let trailer = trailer(&Signed::new(&outside, payload, blocks.iter().map(|block| block.tag.as_slice())));
    let padded = padding::pad(payload, &trailer)?;
    let ciphertext_octets = u32::try_from(padded.len().saturating_add(16))
        .map_err(|_| SealError::TooLarge { octets: padded.len() })?;
    outside.extend(ciphertext_octets.to_be_bytes());
    let ciphertext = encrypt(&payload_key, &padded, &outside);

    let bound = Digest::of_pieces(&[&outside, &ciphertext]);
    let mut sealed = outside;
    sealed.reserve(ciphertext.len().saturating_add(addressees.len().saturating_mul(KEY_BLOCK_OCTETS)));
    sealed.extend(recipients.to_be_bytes());
    for (addressee, block) in addressees.iter().zip(&blocks) {
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
    open_any(octets, &[key], limits, now).map(|(_, opened)| opened)
}

/// The same for whoever holds several keys of one channel, as in the middle of a rotation; says also which of `keys`
/// it was, by its place.
///
/// # Errors
/// [`OpenError`]; nothing of the payload is given out unless all of it is authentic.
pub fn open_any(
    octets: &[u8],
    keys: &[&ChannelKey],
    limits: &Limits,
    now: Timestamp,
) -> Result<(usize, OpenedEnvelope), OpenError> {
    let parsed = parse(octets, limits)?;
    let (key_place, block, (place, sealed_key)) = keys
        .iter()
        .enumerate()
        .find_map(|(place, key)| {
            let block = key.block_key(&parsed.salt);
            parsed.tagged(&block.tag).map(|sealed_key| (place, block, sealed_key))
        })
        .ok_or(OpenError::NotForUs)?;
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
    let (payload, behind) = padding::unpad(&padded, limits.payload_octets)
        .ok_or(OpenError::Payload { limit: limits.payload_octets })?;
    let signed = Signed::new(parsed.head, &payload, parsed.tags());
    let trailer = trailer::read(behind, &signed).ok_or(OpenError::Damaged { field: "trailer" })?;
    Ok((key_place, OpenedEnvelope { header: parsed.header, sequence, place, payload, trailer }))
}

struct Parsed<'a> {
    header: Header,
    salt: [u8; 32],
    /// Everything up to the salt: what a signature covers of it.
    head: &'a [u8],
    /// Everything in front of the number of key blocks: the associated data.
    outside: &'a [u8],
    blocks: &'a [u8],
    ciphertext: &'a [u8],
    octets: usize,
}

impl<'a> Parsed<'a> {
    /// The key block with this tag: its place, and its sealed part.
    fn tagged(&self, tag: &[u8; 8]) -> Option<(usize, &'a [u8])> {
        let blocks = self.blocks.chunks_exact(KEY_BLOCK_OCTETS).enumerate();
        blocks.into_iter().find_map(|(place, block)| Some((place, block.strip_prefix(tag)?)))
    }

    /// The tags of all key blocks, which say for whom the envelope is.
    fn tags(&self) -> impl Iterator<Item = &'a [u8]> {
        self.blocks.chunks_exact(KEY_BLOCK_OCTETS).filter_map(|block| block.get(..8))
    }
}

/// What stands in front of the key blocks.
struct Start {
    header: Header,
    salt: [u8; 32],
    /// Length up to the salt.
    head: usize,
    /// Length up to the number of key blocks.
    outside: usize,
    ciphertext: usize,
    recipients: usize,
}

fn parse_start(reader: &mut Reader<'_>, limits: &Limits) -> Result<Start, OpenError> {
    let damaged = |field| OpenError::Damaged { field };
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
    let head = reader.consumed();
    let ciphertext = reader.length().ok_or(damaged("length"))?;
    let outside = reader.consumed();
    let recipients = reader.length().ok_or(damaged("number of key blocks"))?;
    if recipients > limits.recipients {
        let (what, limit) = ("number of recipients", limits.recipients);
        return Err(OpenError::TooLarge { what, found: recipients, limit });
    }
    let header = Header {
        family,
        sender: Sender::from(sender),
        message,
        in_reply_to: (answered != [0; 16]).then(|| MessageId::from_bytes(answered)),
        created,
        expires,
    };
    Ok(Start { header, salt, head, outside, ciphertext, recipients })
}

/// Octets from which [`announced_octets`] can always tell.
pub const START_OCTETS: usize = 512;

/// How long the envelope says it is, from its first [`START_OCTETS`] octets (or all, if it is shorter); what stands behind
/// it is the enclosure. For an attachment that lies in a file: that much of it has to be read to [`peek`] and [`open`].
///
/// # Errors
/// [`OpenError`] when it does not begin as an envelope within the limits. A longer one than any payload within
/// [`Limits::payload_octets`] needs is damaged: whoever made it up shall not decide how much is read.
pub fn announced_octets(start: &[u8], limits: &Limits) -> Result<usize, OpenError> {
    let mut reader = Reader::new(start);
    let start = parse_start(&mut reader, limits)?;
    if start.ciphertext > ciphertext_max(limits) {
        return Err(OpenError::Damaged { field: "length" });
    }
    let blocks = start.recipients.saturating_mul(KEY_BLOCK_OCTETS);
    Ok(reader.consumed().saturating_add(blocks).saturating_add(start.ciphertext))
}

/// How long an envelope can be that is within the limits, in octets.
#[must_use]
pub fn octets_max(limits: &Limits) -> usize {
    let blocks = limits.recipients.saturating_mul(KEY_BLOCK_OCTETS);
    START_OCTETS.saturating_add(blocks).saturating_add(ciphertext_max(limits))
}

/// Deflating adds five octets to each 16 KiB at worst, padding a quarter; then the trailer.
fn ciphertext_max(limits: &Limits) -> usize {
    limits.payload_octets.saturating_add(limits.payload_octets / 2).saturating_add(64 << 10)
}

fn parse<'a>(octets: &'a [u8], limits: &Limits) -> Result<Parsed<'a>, OpenError> {
    let damaged = |field| OpenError::Damaged { field };
    let mut reader = Reader::new(octets);
    let Start { header, salt, head, outside, ciphertext, recipients } = parse_start(&mut reader, limits)?;
    let head = octets.get(..head).ok_or(damaged("header"))?;
    let outside = octets.get(..outside).ok_or(damaged("header"))?;
    let blocks = reader.take(recipients.saturating_mul(KEY_BLOCK_OCTETS)).ok_or(damaged("key blocks"))?;
    let ciphertext = reader.take(ciphertext).ok_or(damaged("payload"))?;
    Ok(Parsed { header, salt, head, outside, blocks, ciphertext, octets: reader.consumed() })
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

#[cfg(test)]
mod tests;
