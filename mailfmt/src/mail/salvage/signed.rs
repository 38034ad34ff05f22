//! What is inside an opaque signature (RFC 8551, 3.5.2; RFC 5652, 5.1). The signature is not looked at: what is inside
//! brings its own proof.

/// `id-signedData`, 1.2.840.113549.1.7.2, with tag and length.
const SIGNED_DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OBJECT: u8 = 0x06;
const OCTETS: u8 = 0x04;
const OCTETS_IN_PIECES: u8 = 0x24;
const EXPLICIT: u8 = 0xa0;
/// Pieces of a content; programs that write while they read make one of every kilobyte or so.
const PIECES_MAX: usize = 100_000;

/// The signed content; `None` where the octets are no opaque signature. Reads BER: lengths may be left open.
pub(super) fn content(octets: &[u8]) -> Option<Vec<u8>> {
    let (_, rest) = enter(octets, SEQUENCE)?;
    let (_, rest) = enter(rest.strip_prefix(SIGNED_DATA)?, EXPLICIT)?;
    let (_, rest) = enter(rest, SEQUENCE)?;
    let rest = skip(rest, INTEGER)?;
    let rest = skip(rest, SET)?;
    let (_, rest) = enter(rest, SEQUENCE)?;
    let rest = skip(rest, OBJECT)?;
    let (_, rest) = enter(rest, EXPLICIT)?;
    if let Some((Some(length), content)) = enter(rest, OCTETS) {
        return Some(content.get(..length)?.to_vec());
    }
    let (length, inside) = enter(rest, OCTETS_IN_PIECES)?;
    let mut rest = match length {
        Some(length) => inside.get(..length)?,
        None => inside,
    };
    let mut content = Vec::new();
    for _ in 0..PIECES_MAX {
        // Its end, or the two zeros where its length is left open, is no piece.
        let Some((Some(length), piece)) = enter(rest, OCTETS) else { break };
        content.extend(piece.get(..length)?);
        rest = piece.get(length..)?;
    }
    Some(content)
}

/// Goes into an element: its length, if it is told, and what follows its head.
fn enter(octets: &[u8], tag: u8) -> Option<(Option<usize>, &[u8])> {
    let (length, rest) = octets.strip_prefix(&[tag])?.split_first()?;
    match length {
        0x80 => Some((None, rest)),
        length @ 0..0x80 => Some((Some(usize::from(*length)), rest)),
        length => {
            let (digits, rest) =
                rest.split_at_checked(usize::from(length & 0x7f)).filter(|(digits, _)| digits.len() <= 4)?;
            let length = digits.iter().fold(0usize, |length, digit| length << 8 | usize::from(*digit));
            Some((Some(length), rest))
        }
    }
}

/// What follows an element whose length is told.
fn skip(octets: &[u8], tag: u8) -> Option<&[u8]> {
    let (length, rest) = enter(octets, tag)?;
    rest.get(length?..)
}
