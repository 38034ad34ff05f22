//! The trailer behind the payload, inside the encryption: items of type (1), length (2) and value.
//!
//! ```text
//! type  octets  value
//!    0          no item: here the padding begins
//!    1       8  follows: the highest number given in this channel before the message's epoch began
//!    2      72  signature: key id (8), Ed25519 (64); always the last item
//!    3       8  begins: the number with which the message's epoch began
//!    4      24  slot: when the first recipient answers, in milliseconds since 1970 (8), milliseconds to each further one (4),
//!               longest wait (4), length of a round (4) and time without a repetition (4) in seconds
//! ```
//! Readers skip types that they do not know; older ones take the whole trailer for padding. The signature covers
//! `"mailfmt command 1\0"`, the envelope from its first octet to the salt, the SHA-256 of the JSON payload, the SHA-256 of
//! the tags of all key blocks in their order, and the items in front of it. The tags bind it to its recipients: who
//! holds the keys of another appliance cannot pass it on to that one.

use crate::digest::Digest;
use crate::reader::Reader;
use crate::slot::AnswerSlot;
use crate::trust::{KeyId, Role, SigningKey};

const END: u8 = 0;
const FOLLOWS: u8 = 1;
const SIGNATURE: u8 = 2;
const BEGINS: u8 = 3;
const SLOT: u8 = 4;

/// What may go along with a message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extras<'a> {
    /// Who signs it.
    pub signer: Option<&'a SigningKey>,
    /// The highest number given in this channel before the message's epoch began ([`crate::sequence`]).
    pub follows: Option<u64>,
    /// The number with which the message's epoch began.
    pub begins: Option<u64>,
    /// When its recipients answer; at once without it.
    pub slot: Option<AnswerSlot>,
}

/// What a signature covers, without the items of the trailer.
pub(super) struct Signed<'a> {
    head: &'a [u8],
    payload: Digest,
    recipients: Digest,
}

impl<'a> Signed<'a> {
    /// `head` is the envelope from its first octet to the salt.
    pub(super) fn new(head: &'a [u8], payload: &[u8], tags: impl Iterator<Item = &'a [u8]>) -> Self {
        Self { head, payload: Digest::of(payload), recipients: Digest::of_pieces(&tags.collect::<Vec<_>>()) }
    }

    fn octets(&self, items: &[u8]) -> Vec<u8> {
        // The prefix keeps a signature over anything else from passing as one over a message.
        let prefix = b"mailfmt command 1\0".as_slice();
        [prefix, self.head, self.payload.as_bytes(), self.recipients.as_bytes(), items].concat()
    }
}

/// What a trailer said.
#[derive(Debug, Default)]
pub(super) struct Trailer {
    pub(super) follows: Option<u64>,
    pub(super) begins: Option<u64>,
    pub(super) slot: Option<AnswerSlot>,
    pub(super) signature: Option<Signature>,
}

/// A signature that was not checked yet, with what it is over.
#[derive(Debug)]
pub(super) struct Signature {
    key: KeyId,
    signature: [u8; 64],
    signed: Vec<u8>,
}

impl Signature {
    pub(super) fn is_by(&self, role: &Role) -> bool {
        role.is_satisfied_by(&role.signers(&self.signed, &[(self.key, self.signature)]))
    }
}

pub(super) fn write(extras: &Extras<'_>, signed: &Signed<'_>) -> Vec<u8> {
    let mut items = Vec::new();
    if let Some(follows) = extras.follows {
        item(&mut items, FOLLOWS, &follows.to_be_bytes());
    }
    if let Some(begins) = extras.begins {
        item(&mut items, BEGINS, &begins.to_be_bytes());
    }
    if let Some(slot) = extras.slot {
        item(&mut items, SLOT, &slot.write());
    }
    if let Some(signer) = extras.signer {
        let signature = signer.sign(&signed.octets(&items));
        item(&mut items, SIGNATURE, &[signer.public().id().0.as_slice(), &signature].concat());
    }
    items
}

fn item(items: &mut Vec<u8>, kind: u8, value: &[u8]) {
    items.push(kind);
    items.extend(u16::try_from(value.len()).expect("items are shorter than 64 KiB").to_be_bytes());
    items.extend(value);
}

/// Reads the items; `None` when they are no trailer.
pub(super) fn read(octets: &[u8], signed: &Signed<'_>) -> Option<Trailer> {
    let mut trailer = Trailer::default();
    let mut reader = Reader::new(octets);
    while trailer.signature.is_none() {
        let items = octets.get(..reader.consumed())?;
        let Some(kind) = reader.u8().filter(|kind| *kind != END) else { break };
        let length = u16::from_be_bytes(reader.array()?);
        let mut value = Reader::new(reader.take(usize::from(length))?);
        match kind {
            FOLLOWS => trailer.follows = Some(value.u64()?),
            BEGINS => trailer.begins = Some(value.u64()?),
            SLOT => trailer.slot = Some(AnswerSlot::read(value.array()?)?),
            SIGNATURE => {
                let (key, signature) = (KeyId(value.array()?), value.array()?);
                trailer.signature = Some(Signature { key, signature, signed: signed.octets(items) });
            }
            _ => {
                value.take(usize::from(length))?;
            }
        }
        if !value.rest().is_empty() {
            return None;
        }
    }
    Some(trailer)
}

#[cfg(test)]
mod tests;
