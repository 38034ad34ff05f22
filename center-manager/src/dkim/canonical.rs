//! The relaxed forms of a mail's header and body (RFC 6376 sections 3.4.2 and 3.4.4). Pure.

use ring::digest::{Context, SHA256};

/// A mail cut into its header fields and its body.
#[derive(Debug)]
pub(super) struct Mail<'a> {
    /// Name, and value with its folds, without the line end.
    fields: Vec<(&'a [u8], &'a [u8])>,
    body: &'a [u8],
}

impl<'a> Mail<'a> {
    /// `None` where there is no empty line behind the header, or a line of it is no field.
    pub(super) fn read(raw: &'a [u8]) -> Option<Self> {
        let end = raw.windows(4).position(|octets| octets == b"\r\n\r\n")?;
        let (head, body) = (raw.get(..end)?, raw.get(end + 4..)?);
        let mut fields = Vec::new();
        let mut begin = 0;
        while begin < head.len() {
            let rest = head.get(begin..)?;
            // A field goes on where the next line begins with white space.
            let length = rest
                .windows(3)
                .position(|octets| octets.starts_with(b"\r\n") && !matches!(octets[2], b' ' | b'\t'))
                .unwrap_or(rest.len());
            let field = rest.get(..length)?;
            let colon = field.iter().position(|octet| *octet == b':')?;
            fields.push((field.get(..colon)?, field.get(colon + 1..)?));
            begin += length + 2;
        }
        Some(Self { fields, body })
    }

    /// The last field of this name, which is what a verifier takes first.
    pub(super) fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields_named(name).last().copied()
    }

    fn fields_named(&self, name: &str) -> Vec<&'a [u8]> {
        let named = |field: &&(&[u8], &[u8])| field.0.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(named).map(|(_, value)| *value).collect()
    }

    /// SHA-256 of the relaxed body.
    pub(super) fn body_hash(&self) -> Vec<u8> {
        let mut hash = Context::new(&SHA256);
        let mut empty_lines = 0usize;
        let mut lines = self.body.split(|octet| *octet == b'\n').peekable();
        while let Some(line) = lines.next() {
            // Behind the last line end there is no further line.
            if lines.peek().is_none() && line.is_empty() {
                break;
            }
            let line = relaxed(line.strip_suffix(b"\r").unwrap_or(line));
            if line.is_empty() {
                empty_lines += 1;
                continue;
            }
            for _ in 0..std::mem::take(&mut empty_lines) {
                hash.update(b"\r\n");
            }
            hash.update(&line);
            hash.update(b"\r\n");
        }
        hash.finish().as_ref().to_vec()
    }

    /// What is signed: the relaxed fields of these names, each time a name comes again the one above, and behind them the
    /// signature's own field as far as its empty `b=`.
    pub(super) fn signed_octets(&self, names: &[&str], own: &[u8]) -> Vec<u8> {
        let mut octets = Vec::with_capacity(1024);
        for (nth, name) in names.iter().enumerate() {
            let before = names.iter().take(nth).filter(|earlier| *earlier == name).count();
            // A field that is not there is signed as nothing (section 5.4).
            if let Some(value) = self.fields_named(name).into_iter().rev().nth(before) {
                write_field(name.as_bytes(), value, &mut octets);
                octets.extend(b"\r\n");
            }
        }
        let colon = own.iter().position(|octet| *octet == b':').unwrap_or(0);
        write_field(
            own.get(..colon).unwrap_or_default(),
            own.get(colon + 1..).unwrap_or_default(),
            &mut octets,
        );
        octets
    }
}

/// `name:value`, in lower case, unfolded, white space relaxed.
fn write_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend(name.trim_ascii().to_ascii_lowercase());
    out.push(b':');
    let unfolded: Vec<u8> = value.iter().copied().filter(|octet| !b"\r\n".contains(octet)).collect();
    let value = relaxed(&unfolded);
    out.extend(value.strip_prefix(b" ").unwrap_or(&value));
}

/// White space runs become one space, those at the end nothing.
fn relaxed(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    let mut space = false;
    for octet in line {
        if matches!(octet, b' ' | b'\t') {
            space = true;
            continue;
        }
        if std::mem::take(&mut space) {
            out.push(b' ');
        }
        out.push(*octet);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    /// The example of RFC 6376 section 3.4.5.
    const EXAMPLE: &[u8] = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n";

    #[test]
    fn the_example_of_the_rfc_comes_out_as_it_says() {
        let mail = Mail::read(EXAMPLE).unwrap();
        assert_eq!(mail.signed_octets(&["a", "b"], b"X:").as_slice(), b"a:X\r\nb:Y Z\r\nx:");
        let expected = ring::digest::digest(&SHA256, b" C\r\nD E\r\n");
        assert_eq!(mail.body_hash(), expected.as_ref());
    }

    #[test]
    fn an_empty_body_has_the_hash_of_nothing() {
        for raw in [b"A: X\r\n\r\n".as_slice(), b"A: X\r\n\r\n\r\n\r\n"] {
            // RFC 6376 section 3.4.4.
            let hash = STANDARD.encode(Mail::read(raw).unwrap().body_hash());
            assert_eq!(hash, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        }
    }

    #[test]
    fn a_body_without_a_last_line_end_is_as_if_it_had_one() {
        let hash = |raw: &[u8]| Mail::read(raw).unwrap().body_hash();
        assert_eq!(hash(b"A: X\r\n\r\nb"), hash(b"A: X\r\n\r\nb\r\n"));
        assert_ne!(hash(b"A: X\r\n\r\nb\r\n"), hash(b"A: X\r\n\r\n\r\nb\r\n"));
    }

    #[test]
    fn of_fields_that_come_twice_the_lowest_is_signed_first_and_a_missing_one_as_nothing() {
        let mail = Mail::read(b"F: 1\r\nF: 2\r\n\r\n").unwrap();
        assert_eq!(mail.signed_octets(&["f", "f", "f", "g"], b"X:").as_slice(), b"f:2\r\nf:1\r\nx:");
    }

    #[test]
    fn what_is_no_mail_is_none() {
        for raw in [b"".as_slice(), b"A: X", b"no field\r\n\r\nbody"] {
            assert!(Mail::read(raw).is_none(), "{raw:?}");
        }
    }
}
