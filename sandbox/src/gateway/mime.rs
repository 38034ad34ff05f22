//! As much of MIME as a gateway needs to take a mail apart and put it together again (RFC 5322, RFC 2045, RFC 2046).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A mail, or one part of one: its head and what follows the empty line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entity {
    /// Whole header fields with their folds, without the last line end.
    pub(super) fields: Vec<String>,
    pub(super) body: Vec<u8>,
}

impl Entity {
    pub(super) fn read(raw: &[u8]) -> Self {
        let end = raw.windows(4).position(|window| window == b"\r\n\r\n");
        let (head, body) = match end {
            Some(end) => (raw.get(..end), raw.get(end + 4..)),
            None if raw.starts_with(b"\r\n") => (Some(&b""[..]), raw.get(2..)),
            None => (Some(raw), None),
        };
        let head = String::from_utf8_lossy(head.unwrap_or_default()).into_owned();
        let mut fields: Vec<String> = Vec::new();
        for line in head.split("\r\n").filter(|line| !line.is_empty()) {
            match fields.last_mut() {
                Some(last) if line.starts_with([' ', '\t']) => {
                    last.push_str("\r\n");
                    last.push_str(line);
                }
                _ => fields.push(line.to_owned()),
            }
        }
        Self { fields, body: body.unwrap_or_default().to_vec() }
    }

    pub(super) fn new(fields: &[&str], body: impl Into<Vec<u8>>) -> Self {
        Self { fields: fields.iter().map(ToString::to_string).collect(), body: body.into() }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut raw = self.fields.iter().map(|field| format!("{field}\r\n")).collect::<String>().into_bytes();
        raw.extend(b"\r\n");
        raw.extend(&self.body);
        raw
    }

    /// The value of a field, unfolded.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        self.fields.iter().find_map(|field| {
            let (found, value) = field.split_once(':')?;
            found.trim().eq_ignore_ascii_case(name).then(|| value.replace("\r\n", " ").trim().to_owned())
        })
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|field| {
            field.split_once(':').is_none_or(|(found, _)| !found.trim().eq_ignore_ascii_case(name))
        });
        self
    }

    /// Replaces a field, or adds it.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        let place = self.fields.iter().position(|field| {
            field.split_once(':').is_some_and(|(found, _)| found.trim().eq_ignore_ascii_case(name))
        });
        let field = format!("{name}: {value}");
        match place.and_then(|place| self.fields.get_mut(place)) {
            Some(old) => *old = field,
            None => self.fields.push(field),
        }
        self
    }

    pub(super) fn content_type(&self) -> String {
        self.field("Content-Type").unwrap_or_else(|| "text/plain".to_owned())
    }

    pub(super) fn is_text(&self) -> bool {
        self.content_type().to_ascii_lowercase().starts_with("text/")
    }

    pub(super) fn boundary(&self) -> Option<String> {
        let kind = self.content_type();
        let lower = kind.to_ascii_lowercase();
        if !lower.starts_with("multipart/") {
            return None;
        }
        let at = lower.find("boundary=")? + "boundary=".len();
        let value = kind.get(at..)?;
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next()?,
            None => value.split([';', ' ']).next()?,
        };
        Some(value.to_owned())
    }

    /// The parts of a multipart; `None` for anything else.
    pub(super) fn parts(&self) -> Option<Vec<Self>> {
        let delimiter = format!("--{}", self.boundary()?);
        let body = [b"\r\n".as_slice(), &self.body].concat();
        let line = format!("\r\n{delimiter}").into_bytes();
        let mut parts = Vec::new();
        let mut rest = body.as_slice();
        let next = |rest: &[u8]| rest.windows(line.len()).position(|window| window == line.as_slice());
        let mut at = next(rest)?;
        loop {
            rest = rest.get(at + line.len()..)?;
            if rest.starts_with(b"--") {
                return Some(parts);
            }
            rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
            let Some(end) = next(rest) else {
                parts.push(Self::read(rest));
                return Some(parts);
            };
            parts.push(Self::read(rest.get(..end)?));
            at = end;
        }
    }

    /// The same mail with other parts, under the same boundary.
    pub(super) fn with_parts(mut self, parts: &[Self]) -> Self {
        let boundary = self.boundary().unwrap_or_else(|| "=_x".to_owned());
        self.body = multipart(&boundary, parts);
        self
    }

    /// The octets of the body, its transfer encoding undone.
    pub(super) fn decoded(&self) -> Vec<u8> {
        match self.field("Content-Transfer-Encoding").unwrap_or_default().to_ascii_lowercase().as_str() {
            "base64" => {
                let letters: Vec<u8> =
                    self.body.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
                STANDARD.decode(letters).unwrap_or_default()
            }
            _ => self.body.clone(),
        }
    }
}

/// The body of a multipart.
pub(super) fn multipart(boundary: &str, parts: &[Entity]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        body.extend(format!("--{boundary}\r\n").into_bytes());
        body.extend(part.write());
        body.extend(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").into_bytes());
    body
}

/// Base64 in lines of so many letters.
pub(super) fn base64(octets: &[u8], line: usize) -> Vec<u8> {
    let encoded = STANDARD.encode(octets);
    encoded.as_bytes().chunks(line.max(1)).flat_map(|line| [line, b"\r\n"].concat()).collect()
}

/// Quoted-printable (RFC 2045, 6.7), line ends of text kept.
pub(super) fn quoted_printable(octets: &[u8], is_text: bool) -> Vec<u8> {
    let mut encoded = Vec::new();
    let mut column = 0;
    let mut rest = octets;
    while let Some((octet, behind)) = rest.split_first() {
        if is_text && rest.starts_with(b"\r\n") {
            encoded.extend(b"\r\n");
            column = 0;
            rest = rest.get(2..).unwrap_or_default();
            continue;
        }
        rest = behind;
        let is_last = behind.is_empty() || behind.starts_with(b"\r\n");
        let symbol = match octet {
            b' ' if is_text && !is_last => " ".to_owned(),
            b'!'..=b'<' | b'>'..=b'~' => char::from(*octet).to_string(),
            other => format!("={other:02X}"),
        };
        if column + symbol.len() > 75 {
            encoded.extend(b"=\r\n");
            column = 0;
        }
        column += symbol.len();
        encoded.extend(symbol.bytes());
    }
    encoded
}

/// Takes a mail apart, changes its parts (the mail itself, where it has none), and puts it together.
pub(super) fn each_part(raw: &[u8], change: impl Fn(usize, Entity) -> Entity) -> Vec<u8> {
    let mail = Entity::read(raw);
    match mail.parts() {
        Some(parts) => {
            let parts: Vec<Entity> =
                parts.into_iter().enumerate().map(|(nth, part)| change(nth, part)).collect();
            mail.with_parts(&parts).write()
        }
        None => change(0, mail).write(),
    }
}

/// The same for text parts, whose text is changed.
pub(super) fn each_text(raw: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    each_part(raw, |_, part| {
        if !part.is_text() {
            return part;
        }
        let text = change(&String::from_utf8_lossy(&part.body));
        Entity { body: text.into_bytes(), ..part }
    })
}

/// The same for attachments.
pub(super) fn each_attachment(raw: &[u8], change: impl Fn(Entity) -> Entity) -> Vec<u8> {
    let mail = Entity::read(raw);
    match mail.parts() {
        Some(_) => each_part(raw, |_, part| if part.is_text() { part } else { change(part) }),
        None => raw.to_vec(),
    }
}

/// The fields that a gateway keeps when it writes the mail anew, and the rest of the mail as one entity.
pub(super) fn taken_apart(raw: &[u8]) -> (Entity, Entity) {
    let mail = Entity::read(raw);
    let is_content = |field: &String| field.to_ascii_lowercase().starts_with("content-");
    let (content, head): (Vec<_>, Vec<_>) = mail.fields.into_iter().partition(is_content);
    (Entity { fields: head, body: Vec::new() }, Entity { fields: content, body: mail.body })
}

/// The mail's head around a new content.
pub(super) fn around(head: Entity, content_type: &str, encoding: Option<&str>, body: Vec<u8>) -> Vec<u8> {
    let mut mail = head.with("Content-Type", content_type);
    if let Some(encoding) = encoding {
        mail = mail.with("Content-Transfer-Encoding", encoding);
    }
    Entity { body, ..mail }.write()
}
