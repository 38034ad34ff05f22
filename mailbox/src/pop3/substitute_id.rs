//! Ids of mails: the server's where it keeps to the rules, else a hash. Pure.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Longest unique id (RFC 1939 section 7), in octets.
const SERVER_ID_MAX: usize = 70;

/// The server's id, or its hash if it has another shape than 1 to 70 octets from 0x21 to 0x7E.
pub(super) fn of_server_id(id: &[u8]) -> String {
    match std::str::from_utf8(id) {
        Ok(text) if id.len() <= SERVER_ID_MAX && id.iter().all(u8::is_ascii_graphic) => text.into(),
        _ => format!("uidl-{}", hex(&Sha256::digest(id))),
    }
}

/// An id made of what the mail holds. Exact copies of a mail share it.
pub(super) fn of_content(content: &[u8], size_octets: u64) -> String {
    let mut hash = Sha256::new();
    hash.update(size_octets.to_be_bytes());
    hash.update(content);
    format!("hash-{}", hex(&hash.finalize()))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        write!(text, "{octet:02x}").expect("writing to a String cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orderly_server_id_stays_as_it_is() {
        assert_eq!(of_server_id(b"00000001660d5a3c"), "00000001660d5a3c");
    }

    #[test]
    fn an_id_of_odd_shape_becomes_a_printable_short_one() {
        for id in [&b"a b"[..], &[b'x'; 71], b"\xff", b"\x1b[2J"] {
            let made = of_server_id(id);
            assert!(made.len() <= SERVER_ID_MAX && made.bytes().all(|b| b.is_ascii_graphic()), "{made}");
        }
    }

    #[test]
    fn content_and_size_both_count() {
        assert_eq!(of_content(b"From: a", 7), of_content(b"From: a", 7));
        assert_ne!(of_content(b"From: a", 7), of_content(b"From: a", 8));
        assert_ne!(of_content(b"From: a", 7), of_content(b"From: b", 7));
    }
}
