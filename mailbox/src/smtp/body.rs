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

/// Above this a copy of the mail costs more than a write.
const ONE_WRITE_MAX: usize = 64 << 10;

/// All that follows the go-ahead to DATA, dots doubled (RFC 5321 section 4.5.2) and the last one included; `None` where a mail is
/// too large for that, or no text.
pub(super) fn to_the_last_dot(mail: &[u8]) -> Option<String> {
    if mail.len() > ONE_WRITE_MAX {
        return None;
    }
    let text = std::str::from_utf8(mail).ok()?;
    let mut out = String::with_capacity(mail.len() + mail.len() / 64 + 8);
    for (nth, line) in text.split("\r\n").enumerate() {
        if nth > 0 {
            out.push_str("\r\n");
        }
        if line.starts_with('.') {
            out.push('.');
        }
        out.push_str(line);
    }
    out.push_str("\r\n.\r\n");
    Some(out)
}

/// The header of a mail that is fit for DATA.
pub(super) fn header(mail: &[u8]) -> &[u8] {
    let end = mail.windows(4).position(|octets| octets == b"\r\n\r\n");
    end.and_then(|end| mail.get(..end)).unwrap_or(mail)
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
    fn lines_that_begin_with_a_dot_get_another_and_the_mail_ends_with_one_alone() {
        assert_eq!(to_the_last_dot(b"").as_deref(), Some("\r\n.\r\n"));
        assert_eq!(to_the_last_dot(b".a\r\n.\r\nb.").as_deref(), Some("..a\r\n..\r\nb.\r\n.\r\n"));
        assert_eq!(to_the_last_dot(b"\xff"), None);
        assert_eq!(to_the_last_dot(&vec![b'a'; ONE_WRITE_MAX + 1]), None);
        assert_eq!(header(b"A: b\r\n\r\nc\r\n\r\nd"), b"A: b");
        assert_eq!(header(b"A: b"), b"A: b");
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
