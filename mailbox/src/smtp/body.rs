//! A mail made fit for DATA. Pure.

use std::borrow::Cow;

/// Every line end CRLF (RFC 5321 section 2.3.8: bare CR and LF are forbidden, and some servers take `LF . LF` for the
/// end), and none at the end: the final dot brings its own.
pub(super) fn for_data(raw: &[u8]) -> Cow<'_, [u8]> {
    let clean = has_only_crlf(raw);
    let mut mail = if clean { Cow::Borrowed(raw) } else { Cow::Owned(with_crlf(raw)) };
    match &mut mail {
        Cow::Borrowed(octets) => *octets = octets.strip_suffix(b"\r\n").unwrap_or(octets),
        Cow::Owned(octets) if octets.ends_with(b"\r\n") => octets.truncate(octets.len() - 2),
        Cow::Owned(_) => {}
    }
    mail
}

fn has_only_crlf(raw: &[u8]) -> bool {
    let mut before = 0;
    for octet in raw {
        if (before == b'\r') != (*octet == b'\n') {
            return false;
        }
        before = *octet;
    }
    before != b'\r'
}

fn with_crlf(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 32);
    let mut before = 0;
    for octet in raw {
        match octet {
            b'\n' if before == b'\r' => {}
            b'\r' | b'\n' => out.extend_from_slice(b"\r\n"),
            other => out.push(*other),
        }
        before = *octet;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_orderly_mail_is_not_copied_and_loses_only_its_last_line_end() {
        assert!(matches!(for_data(b"a\r\n\r\n.b\r\n"), Cow::Borrowed(b"a\r\n\r\n.b")));
        assert!(matches!(for_data(b"no end"), Cow::Borrowed(b"no end")));
        assert!(matches!(for_data(b""), Cow::Borrowed(b"")));
    }

    #[test]
    fn a_bare_line_feed_before_a_dot_cannot_end_the_mail_early() {
        assert_eq!(for_data(b"a\n.\nQUIT\r\r\nb\r").as_ref(), b"a\r\n.\r\nQUIT\r\n\r\nb");
    }

    proptest! {
        #[test]
        fn no_bare_cr_or_lf_ever_leaves(raw in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), any::<u8>()], 0..60)) {
            let out = for_data(&raw);
            prop_assert!(has_only_crlf(&out));
            let letters = |octets: &[u8]| octets.iter().copied().filter(|b| !b"\r\n".contains(b)).collect::<Vec<_>>();
            prop_assert_eq!(letters(&out), letters(&raw));
        }
    }
}
