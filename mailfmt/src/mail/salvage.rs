//! Finding our octets in what gateways leave of a mail. Pure and total.
//!
//! An attachment of ours may come renamed, with another type, in another encoding, inside a forwarded mail, a signature,
//! a `winmail.dat` or a list's wrapping, or as armoured text. No header is believed: what is looked for is the envelope's
//! own beginning, in every layer that can be peeled off. Whether what is found is authentic, the envelope tells; an
//! envelope knows its length, so that text which a gateway adds behind it does no harm.

mod encodings;
mod signed;
mod tnef;

use super::{Form, armour};
use crate::envelope::{MAGIC, peek};
use crate::limits::Limits;
use mail_parser::{Message, MessageParser, PartType};

/// Layers inside one another that are peeled off: a signature around a list's mail around a `winmail.dat` are three.
const DEPTH_MAX: usize = 6;
/// Places in one layer that are looked at more closely.
const PLACES_MAX: usize = 32;
/// Octets of all layers together, as a multiple of what one mail may have.
const OCTETS_FACTOR: usize = 4;

/// What is in a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Salvaged {
    /// An attachment of ours, whole as far as its own lengths tell.
    Whole {
        /// The octets.
        octets: Vec<u8>,
        /// Whether they came as armoured text.
        armoured: bool,
    },
    /// It begins like one of ours, and is cut or damaged. The reason is for a person.
    Damaged(String),
    /// Nothing of ours.
    Nothing,
}

/// An attachment of the mail itself that begins like ours: the one that is whole as far as its own lengths tell, else the
/// first one, cut as it is.
pub(super) fn attached<'a>(mail: &'a Message<'_>, limits: &Limits) -> Option<(&'a [u8], Salvaged)> {
    let mut first = None;
    for part in mail.parts.iter().take(limits.mail_parts) {
        let (PartType::Binary(octets) | PartType::InlineBinary(octets)) = &part.body else { continue };
        if !octets.starts_with(MAGIC) {
            continue;
        }
        let mut search = Search::new(limits);
        search.offer(octets, false);
        match search.end() {
            whole @ Salvaged::Whole { .. } => return Some((octets, whole)),
            cut => first = first.or(Some((octets.as_ref(), cut))),
        }
    }
    first
}

/// What can be found anywhere in a mail, however deep.
pub(super) fn buried(mail: &Message<'_>, raw: &[u8], limits: &Limits) -> Salvaged {
    let mut search = Search::new(limits);
    search.layer(raw, 0);
    search.parts(mail, 0);
    search.end()
}

/// Armoured, if that is the only form in which something of ours is whole.
pub(super) fn form_of(raw: &[u8]) -> Form {
    let limits = Limits::default();
    // Line 1 of the armour holds the same beginning behind its number.
    let count = |wanted: &'static [u8]| encodings::places(raw, wanted).take(PLACES_MAX).count();
    let (base64, in_armour) = (count(b"TUZFMQ"), count(b":AAABTUZFMQ"));
    if base64 > in_armour || count(MAGIC) > 0 {
        return Form::Opaque;
    }
    if in_armour > 0 {
        return Form::Armoured;
    }
    let found = std::panic::catch_unwind(|| match MessageParser::default().parse(raw) {
        Some(mail) => buried(&mail, raw, &limits),
        None => Salvaged::Nothing,
    });
    match found {
        Ok(Salvaged::Whole { armoured: true, .. }) => Form::Armoured,
        _ => Form::Opaque,
    }
}

struct Search<'a> {
    limits: &'a Limits,
    layers: usize,
    octets_left: usize,
    whole: Option<(Vec<u8>, bool)>,
    damage: Option<String>,
}

impl<'a> Search<'a> {
    fn new(limits: &'a Limits) -> Self {
        let octets_left = limits.mail_octets.saturating_mul(OCTETS_FACTOR);
        Self { limits, layers: 0, octets_left, whole: None, damage: None }
    }

    fn is_done(&self) -> bool {
        self.whole.is_some()
    }

    fn end(self) -> Salvaged {
        match (self.whole, self.damage) {
            (Some((octets, armoured)), _) => Salvaged::Whole { octets, armoured },
            (None, Some(damage)) => Salvaged::Damaged(damage),
            (None, None) => Salvaged::Nothing,
        }
    }

    /// Takes octets that begin like ours, if their lengths fit.
    fn offer(&mut self, octets: &[u8], armoured: bool) {
        if self.is_done() || !octets.starts_with(MAGIC) {
            return;
        }
        match peek(octets, self.limits) {
            Ok(_) => self.whole = Some((octets.to_vec(), armoured)),
            Err(error) => self.damage = self.damage.take().or_else(|| Some(error.to_string())),
        }
    }

    fn armour(&mut self, text: &[u8]) {
        for found in armour::read(text) {
            match found {
                Ok(octets) => self.offer(&octets, true),
                Err(error) => self.damage = self.damage.take().or_else(|| Some(error.to_string())),
            }
        }
    }

    /// Whether there is room for one more layer of so many octets.
    fn admits(&mut self, octets: usize, depth: usize) -> bool {
        let admitted = !self.is_done()
            && depth < DEPTH_MAX
            && self.layers < self.limits.mail_parts.saturating_mul(2)
            && octets <= self.octets_left;
        if admitted {
            self.layers = self.layers.saturating_add(1);
            self.octets_left = self.octets_left.saturating_sub(octets);
        }
        admitted
    }

    /// Every part of a parsed mail, decoded; mails inside it, too.
    fn parts(&mut self, mail: &Message<'_>, depth: usize) {
        for part in mail.parts.iter().take(self.limits.mail_parts) {
            if self.is_done() {
                return;
            }
            match &part.body {
                PartType::Text(text) | PartType::Html(text) => {
                    self.layer(text.as_bytes(), depth.saturating_add(1));
                }
                PartType::Binary(octets) | PartType::InlineBinary(octets) => {
                    self.layer(octets, depth.saturating_add(1));
                }
                PartType::Message(inner) if depth < DEPTH_MAX => self.parts(inner, depth.saturating_add(1)),
                PartType::Message(_) | PartType::Multipart(_) => {}
            }
        }
    }

    /// One layer of octets, whatever they are.
    fn layer(&mut self, octets: &[u8], depth: usize) {
        if !self.admits(octets.len(), depth) {
            return;
        }
        self.armour(octets);
        // What says where it ends comes first.
        let next = depth.saturating_add(1);
        for inner in tnef::contents(octets).into_iter().take(self.limits.mail_parts) {
            self.layer(inner, next);
        }
        if let Some(inner) = signed::content(octets) {
            self.mail(&inner, next);
        }
        for place in encodings::places(octets, MAGIC).take(PLACES_MAX) {
            self.offer(place, false);
            if !self.is_done() && place.len() <= self.octets_left {
                self.octets_left = self.octets_left.saturating_sub(place.len());
                self.offer(&encodings::quoted_printable(place), false);
            }
        }
        for place in encodings::base64_places(octets).take(PLACES_MAX) {
            self.offer(&encodings::base64(place), false);
        }
        if self.is_done() {
            return;
        }
        for inner in encodings::uuencoded(octets).into_iter().take(PLACES_MAX) {
            self.layer(&inner, next);
        }
    }

    /// A layer that is a mail, or a part of one with its head.
    fn mail(&mut self, octets: &[u8], depth: usize) {
        self.layer(octets, depth);
        if !self.is_done()
            && depth < DEPTH_MAX
            && let Some(mail) = MessageParser::default().parse(octets)
        {
            self.parts(&mail, depth);
        }
    }
}

/// What a `winmail.dat` (TNEF, MS-OXTNEF) holds: texts and attachments; empty for anything else. For fuzzing.
#[must_use]
pub fn tnef_contents(octets: &[u8]) -> Vec<&[u8]> {
    tnef::contents(octets)
}

/// The content of an opaque signature (`smime.p7m`, RFC 8551, 3.5.2); `None` for anything else. For fuzzing.
#[must_use]
pub fn signed_content(octets: &[u8]) -> Option<Vec<u8>> {
    signed::content(octets)
}

#[cfg(test)]
mod tests;
