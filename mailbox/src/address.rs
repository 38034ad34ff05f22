//! Mail addresses: what is one, and how it travels. Pure.
//!
//! A domain beyond ASCII travels as its A-labels (`xn--`, RFC 5890), which every server takes. A local part beyond ASCII has no other
//! form: it needs a server with SMTPUTF8 (RFC 6531), and stands as it is in envelope and header (RFC 6532).

use std::borrow::Cow;

/// Longest address, in octets (RFC 5321 section 4.5.3.1.3, without the angle brackets).
pub const OCTETS_MAX: usize = 254;

/// Longest local part, in octets (RFC 5321 section 4.5.3.1.1).
const LOCAL_OCTETS_MAX: usize = 64;

/// Whether a text may stand as an address in a mail header and in an SMTP command: `local@domain`, no spaces, quotes, brackets or
/// control characters; letters beyond ASCII on both sides of the `@`.
#[must_use]
pub fn is_mail_address(text: &str) -> bool {
    wire_form(text).is_some()
}

/// The address as it travels: the domain in ASCII. `None` where it is no address.
#[must_use]
pub fn wire_form(text: &str) -> Option<Cow<'_, str>> {
    let (local, domain) = text.split_once('@')?;
    let plain = |letter: char| match letter {
        letter if letter.is_ascii() => letter.is_ascii_graphic() && !"<>()[],;:\\\"@".contains(letter),
        // Control characters, and what turns or hides text.
        letter => {
            !letter.is_control()
                && !letter.is_whitespace()
                && !matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        }
    };
    let shaped = !local.is_empty()
        && !domain.is_empty()
        && local.len() <= LOCAL_OCTETS_MAX
        && local.chars().all(plain)
        && domain.chars().all(plain);
    if !shaped {
        return None;
    }
    let wire = if domain.is_ascii() {
        Cow::Borrowed(text)
    } else {
        // Compatibility forms of letters may hold a space or a bracket (RFC 5895): those are looked at once more.
        let ascii = idna::domain_to_ascii(domain).ok().filter(|ascii| ascii.chars().all(plain))?;
        Cow::Owned(format!("{local}@{ascii}"))
    };
    (wire.len() <= OCTETS_MAX).then_some(wire)
}

/// The address as it stands in a header: [`wire_form`], and what is no address as it is.
#[must_use]
pub fn in_header(text: &str) -> Cow<'_, str> {
    wire_form(text).unwrap_or(Cow::Borrowed(text))
}

/// Whether an address can travel only between servers with SMTPUTF8.
#[must_use]
pub fn needs_smtp_utf8(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, _)| !local.is_ascii())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_letter_whose_plain_form_holds_a_space_makes_no_address() {
        assert_eq!(wire_form("buero@m\u{fc}ller\u{2da}.example"), None);
    }

    #[test]
    fn addresses_of_the_world_are_addresses() {
        for (text, wire) in [
            ("center@center.example", "center@center.example"),
            ("center+0011@center.example", "center+0011@center.example"),
            ("service@müller.example", "service@xn--mller-kva.example"),
            ("SERVICE@MÜLLER.example", "SERVICE@xn--mller-kva.example"),
            ("δοκιμή@παράδειγμα.example", "δοκιμή@xn--hxajbheg2az3al.example"),
            ("用户@例子.example", "用户@xn--fsqu00a.example"),
            ("x@localhost", "x@localhost"),
        ] {
            assert_eq!(wire_form(text).as_deref(), Some(wire), "{text}");
        }
        assert!(needs_smtp_utf8("δοκιμή@a.example") && !needs_smtp_utf8("service@müller.example"));
    }

    #[test]
    fn what_could_break_a_line_or_a_header_is_none() {
        let long = format!("{}@center.example", "a".repeat(65));
        let longer = format!("a@{}.example", "b".repeat(250));
        for text in [
            "",
            "@",
            "a@",
            "@b",
            "a@b@c",
            "a b@c",
            "a@b\r\nRCPT TO:<x@y>",
            "a@b>",
            "<a@b",
            "\"a\"@b",
            "a,b@c",
            "ä\u{202e}@b",
            "a@\u{200b}b",
            "ä\u{a0}@b",
            &long,
            &longer,
        ] {
            assert!(!is_mail_address(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_wire_form_is_an_address_itself_and_its_own_wire_form(local in "[a-zäöüα-ω0-9.+-]{1,30}", domain in "[a-zäöü]{1,20}\\.example") {
            let text = format!("{local}@{domain}");
            let wire = wire_form(&text).unwrap().into_owned();
            let again = wire_form(&wire).unwrap();
            prop_assert_eq!(again.as_ref(), wire.as_str());
            prop_assert!(wire.split_once('@').unwrap().1.is_ascii());
        }
    }
}
