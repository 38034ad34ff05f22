//! Those who encode anew.

use super::mime::{Entity, base64, each_attachment, each_part, quoted_printable};
use super::{Transform, transform};

pub(super) const TRANSFORMS: &[Transform] = &[
    transform("attachments as quoted-printable", "Lotus Domino", |raw| {
        each_attachment(raw, |part| {
            let body = quoted_printable(&part.decoded(), false);
            Entity { body, ..part }.with("Content-Transfer-Encoding", "quoted-printable")
        })
    }),
    transform("attachments as 8bit", "a relay that undoes base64 for 8BITMIME", |raw| {
        each_attachment(raw, |part| {
            let body = part.decoded();
            Entity { body, ..part }.with("Content-Transfer-Encoding", "8bit")
        })
    }),
    transform("attachments as binary", "Exchange with BINARYMIME", |raw| {
        each_attachment(raw, |part| {
            let body = part.decoded();
            Entity { body, ..part }.with("Content-Transfer-Encoding", "binary")
        })
    }),
    transform("text as base64", "Exchange, Gmail for text in UTF-8", |raw| {
        each_part(raw, |_, part| {
            if !part.is_text() {
                return part;
            }
            let body = base64(&part.body, 76);
            Entity { body, ..part }.with("Content-Transfer-Encoding", "base64")
        })
    }),
    transform("text as quoted-printable", "Sendmail and Exim at a 7BIT border", |raw| {
        each_part(raw, |_, part| {
            if !part.is_text() {
                return part;
            }
            let body = quoted_printable(&part.body, true);
            Entity { body, ..part }.with("Content-Transfer-Encoding", "quoted-printable")
        })
    }),
    transform(
        "text as quoted-printable with every character in hex",
        "an over-careful 7bit downgrade",
        |raw| {
            each_part(raw, |_, part| {
                if !part.is_text() {
                    return part;
                }
                let hex: String = String::from_utf8_lossy(&part.body)
                    .lines()
                    .map(|line| {
                        let symbols: Vec<String> =
                            line.bytes().map(|octet| format!("={octet:02X}")).collect();
                        symbols.chunks(24).map(<[String]>::concat).collect::<Vec<_>>().join("=\r\n") + "\r\n"
                    })
                    .collect();
                Entity { body: hex.into_bytes(), ..part }
                    .with("Content-Transfer-Encoding", "quoted-printable")
            })
        },
    ),
    transform("base64 without line ends", "a web gateway on JSON", |raw| {
        each_attachment(raw, |part| anew(part, usize::MAX))
    }),
    transform("base64 in lines of 60", "older MIME libraries", |raw| {
        each_attachment(raw, |part| anew(part, 60))
    }),
    transform("base64 in lines of 64", "PEM writers, Groupwise", |raw| {
        each_attachment(raw, |part| anew(part, 64))
    }),
    transform("base64 in lines of 4", "a test of patience", |raw| each_attachment(raw, |part| anew(part, 4))),
    transform("base64 with empty lines between", "a gateway that doubles line ends", |raw| {
        each_attachment(raw, |part| {
            let body = String::from_utf8_lossy(&part.body).replace("\r\n", "\r\n\r\n").into_bytes();
            Entity { body, ..part }
        })
    }),
    transform("no transfer encoding told", "a filter that loses Content-Transfer-Encoding", |raw| {
        each_part(raw, |_, part| part.without("Content-Transfer-Encoding"))
    }),
    transform("a wrong transfer encoding told", "a filter that says 7bit of all it touches", |raw| {
        each_part(raw, |_, part| part.with("Content-Transfer-Encoding", "7bit"))
    }),
    transform("uuencoded attachments", "cc:Mail and other gateways before MIME", |raw| {
        each_attachment(raw, |part| {
            let body = uuencode(&part.decoded()).into_bytes();
            Entity { body, ..part }.with("Content-Transfer-Encoding", "x-uuencode")
        })
    }),
    transform("uuencoded attachments in one text", "a gateway that flattens to plain text", |raw| {
        let mail = Entity::read(raw);
        let Some(parts) = mail.parts() else { return raw.to_vec() };
        let text: Vec<u8> =
            parts
                .iter()
                .flat_map(|part| {
                    if part.is_text() { part.body.clone() } else { uuencode(&part.decoded()).into_bytes() }
                })
                .collect();
        Entity { body: text, ..mail }.with("Content-Type", "text/plain").write()
    }),
    transform("yEnc attachments", "news gateways", |raw| {
        each_attachment(raw, |part| {
            let octets = part.decoded();
            let mut body =
                format!("=ybegin line=128 size={} name=message.bin\r\n", octets.len()).into_bytes();
            for octet in octets {
                match octet.wrapping_add(42) {
                    critical @ (0 | 10 | 13 | 61) => body.extend([b'=', critical.wrapping_add(64)]),
                    other => body.push(other),
                }
            }
            body.extend(b"\r\n=yend\r\n");
            Entity { body, ..part }.with("Content-Transfer-Encoding", "8bit")
        })
    }),
    transform("soft line ends of quoted-printable lost", "a filter that trims `=` at line ends", |raw| {
        let encoded = each_attachment(raw, |part| {
            let body = quoted_printable(&part.decoded(), false);
            Entity { body, ..part }.with("Content-Transfer-Encoding", "quoted-printable")
        });
        replaced(&encoded, b"=\r\n", b"\r\n")
    }),
    transform("characters of base64 lost", "a relay with a broken line buffer", |raw| {
        each_attachment(raw, |mut part| {
            let middle = part.body.len() / 2;
            part.body.drain(middle..middle + 7.min(part.body.len() - middle));
            part
        })
    }),
];

fn anew(part: Entity, line: usize) -> Entity {
    let body = base64(&part.decoded(), line);
    Entity { body, ..part }
}

pub(super) fn replaced(octets: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some(first) = rest.first() {
        if let Some(behind) = rest.strip_prefix(from) {
            result.extend(to);
            rest = behind;
        } else {
            result.push(*first);
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    result
}

pub(super) fn uuencode(octets: &[u8]) -> String {
    let symbol = |value: u8| if value == 0 { '`' } else { char::from(value + b' ') };
    let mut text = "begin 644 message.bin\r\n".to_owned();
    for line in octets.chunks(45) {
        text.push(symbol(u8::try_from(line.len()).unwrap_or(45)));
        for group in line.chunks(3) {
            let at = |nth: usize| group.get(nth).copied().unwrap_or(0);
            let (a, b, c) = (at(0), at(1), at(2));
            text.extend([a >> 2, (a & 3) << 4 | b >> 4, (b & 15) << 2 | c >> 6, c & 63].map(symbol));
        }
        text.push_str("\r\n");
    }
    text + "`\r\nend\r\n"
}
