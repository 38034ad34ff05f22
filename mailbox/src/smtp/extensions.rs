//! The reply to EHLO (RFC 5321 section 4.1.1.1). Pure.

use crate::sasl::Offer;

/// What a server offers. `lettre` reads only four of these keywords.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extensions {
    /// Several commands may be sent before the first reply (RFC 2920).
    pub pipelining: bool,
    /// Largest mail in octets: what the server names (RFC 1870) or the account's settings, whichever is less.
    pub size_octets_max: Option<u64>,
    /// SIZE is offered, with or without a number.
    pub size: bool,
    /// Mails with octets over 127 are taken (RFC 6152).
    pub eight_bit_mime: bool,
    /// Addresses beyond ASCII are taken (RFC 6531).
    pub smtp_utf8: bool,
    /// Mechanisms of AUTH (RFC 4954).
    pub login: Offer,
    /// All keyword lines, for a person to read.
    pub lines: Vec<String>,
}

impl Extensions {
    /// Reads the lines of the reply, the first (the greeting) included.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut found = Self::default();
        for line in lines.into_iter().skip(1).take(100) {
            let upper = line.to_ascii_uppercase();
            let mut words = upper.split_ascii_whitespace();
            match words.next() {
                Some("PIPELINING") => found.pipelining = true,
                Some("SIZE") => {
                    found.size = true;
                    // RFC 1870 section 4: 0 means that no fixed limit is in force.
                    found.size_octets_max = words.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                }
                Some("8BITMIME") => found.eight_bit_mime = true,
                // The form with `=` is older than the standard.
                Some(auth) if auth == "AUTH" || auth.starts_with("AUTH=") => {
                    let first = auth.strip_prefix("AUTH=");
                    first.into_iter().chain(words).for_each(|name| found.login.add(name));
                }
                Some("SMTPUTF8") => found.smtp_utf8 = true,
                _ => {}
            }
            found.lines.push(crate::server_text::clean(line.as_bytes()));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_read_in_any_case_and_the_greeting_is_none() {
        let found = Extensions::parse(["SIZE 5 pipelining", "pipelining", "Size 1000", "8BITMIME", "X-NEW"]);
        assert!(found.pipelining && found.eight_bit_mime && !found.smtp_utf8);
        assert_eq!(found.size_octets_max, Some(1000));
        assert_eq!(found.lines.len(), 4);
    }

    #[test]
    fn a_size_of_zero_or_nonsense_is_no_limit() {
        for line in ["SIZE 0", "SIZE", "SIZE lots"] {
            let found = Extensions::parse(["host", line]);
            assert!(found.size && found.size_octets_max.is_none(), "{line}");
        }
    }
}
