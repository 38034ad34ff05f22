//! Those who change lines and characters.

use super::encodings::replaced;
use super::mime::{Entity, each_part, each_text};
use super::{Transform, transform};

pub(super) const TRANSFORMS: &[Transform] = &[
    transform("text wrapped hard at 40", "pagers and old terminals", |raw| {
        each_text(raw, |text| wrapped(text, 40))
    }),
    transform("text wrapped hard at 72", "Mutt-like rewrap", |raw| each_text(raw, |text| wrapped(text, 72))),
    transform("text wrapped hard at 76", "a relay that obeys RFC 2045 for text", |raw| {
        each_text(raw, |text| wrapped(text, 76))
    }),
    transform("all lines broken at 60", "a BITNET-like gateway", |raw| {
        body_only(raw, |body| broken(body, 60))
    }),
    transform("all lines broken at 998", "Sendmail at RFC 5322's limit", |raw| {
        body_only(raw, |body| broken(body, 998))
    }),
    transform("paragraphs filled at 78", "a formatter such as par", |raw| {
        each_text(raw, |text| filled(text, 78))
    }),
    transform("paragraphs joined to one line", "Outlook's removal of extra line breaks", |raw| {
        each_text(raw, |text| {
            text.split("\r\n\r\n")
                .map(|paragraph| paragraph.replace("\r\n", " "))
                .collect::<Vec<_>>()
                .join("\r\n\r\n")
        })
    }),
    transform("bare line feeds", "Unix stores", |raw| replaced(raw, b"\r\n", b"\n")),
    transform("bare carriage returns in the text", "old Mac gateways", |raw| {
        each_text(raw, |text| text.replace("\r\n", "\r"))
    }),
    transform("line ends doubled", "CR CR LF of a Windows relay", |raw| {
        body_only(raw, |body| replaced(body, b"\r\n", b"\r\r\n"))
    }),
    transform("an empty line behind every line", "a gateway between CR and LF", |raw| {
        body_only(raw, |body| replaced(body, b"\r\n", b"\r\n\r\n"))
    }),
    transform("spaces at line ends stripped", "Sendmail smrsh filters", |raw| {
        each_text(raw, |text| text.lines().map(|line| format!("{}\r\n", line.trim_end())).collect())
    }),
    transform("spaces at line ends added", "fixed-length records of mainframes", |raw| {
        body_only(raw, |body| {
            String::from_utf8_lossy(body)
                .lines()
                .map(|line| format!("{line:<80}\r\n"))
                .collect::<String>()
                .into_bytes()
        })
    }),
    transform("dots doubled", "a relay that stuffs dots twice", |raw| replaced(raw, b"\r\n.", b"\r\n..")),
    transform("dots lost", "a relay that unstuffs dots twice", |raw| replaced(raw, b"\r\n.", b"\r\n")),
    transform("From escaped", "mbox stores", |raw| {
        body_only(raw, |body| replaced(body, b"\r\nFrom", b"\r\n>From"))
    }),
    transform("NUL octets stripped", "Cyrus, Postfix message_strip_characters", |raw| {
        raw.iter().copied().filter(|octet| *octet != 0).collect()
    }),
    transform("NUL octets between characters", "UTF-16 read as ASCII", |raw| {
        each_text(raw, |text| text.chars().flat_map(|character| [character, '\0']).collect())
    }),
    transform("tabs for spaces", "a gateway that compresses blanks", |raw| {
        each_text(raw, |text| text.replace(' ', "\t"))
    }),
    transform("format=flowed", "Thunderbird, Apple Mail when they forward", |raw| {
        each_part(raw, |_, part| {
            if !part.is_text() {
                return part;
            }
            let text: String = String::from_utf8_lossy(&part.body)
                .lines()
                .map(|line| match line {
                    "" => "\r\n".to_owned(),
                    line if line.starts_with([' ', '>']) || line.starts_with("From") => {
                        format!(" {line} \r\n")
                    }
                    line => format!("{line} \r\n"),
                })
                .collect();
            Entity { body: text.into_bytes(), ..part }
                .with("Content-Type", "text/plain; charset=us-ascii; format=flowed; delsp=yes")
        })
    }),
    transform("quoted with >", "an automatic forwarder", |raw| each_text(raw, |text| quoted(text, "> "))),
    transform("quoted twice and wrapped", "a forwarder of a forwarder", |raw| {
        each_text(raw, |text| quoted(&wrapped(&quoted(text, "> "), 60), "> "))
    }),
    transform("quoted with |", "list digests of old", |raw| each_text(raw, |text| quoted(text, "| "))),
    transform("everything indented", "ticket systems", |raw| {
        body_only(raw, |body| quoted(&String::from_utf8_lossy(body), "    ").into_bytes())
    }),
    transform("blank lines squeezed", "a filter that saves lines", |raw| {
        each_text(raw, |text| text.replace("\r\n\r\n", "\r\n"))
    }),
    transform("BOM in front of every text", "Windows services", |raw| {
        each_text(raw, |text| format!("\u{feff}{text}"))
    }),
    transform("high bit cleared", "a 7bit relay", |raw| raw.iter().map(|octet| octet & 0x7f).collect()),
    transform("text in UTF-16", "a transcoding archive", |raw| {
        each_part(raw, |_, part| {
            if !part.is_text() {
                return part;
            }
            let wide: Vec<u8> =
                String::from_utf8_lossy(&part.body).encode_utf16().flat_map(u16::to_le_bytes).collect();
            let body = super::mime::base64(&wide, 76);
            Entity { body, ..part }
                .with("Content-Type", "text/plain; charset=utf-16le")
                .with("Content-Transfer-Encoding", "base64")
        })
    }),
    transform("everything transcoded to UTF-8", "a gateway that takes octets for Latin-1", |raw| {
        raw.iter().map(|octet| char::from(*octet)).collect::<String>().into_bytes()
    }),
    transform("attachment transcoded as Latin-1", "a gateway that makes UTF-8 of 8bit parts", |raw| {
        super::mime::each_attachment(raw, |part| {
            let body = part.decoded().iter().map(|octet| char::from(*octet)).collect::<String>().into_bytes();
            Entity { body, ..part }.with("Content-Transfer-Encoding", "8bit")
        })
    }),
    transform("text as HTML only", "Exchange for HTML users, Outlook.com", |raw| {
        each_part(raw, |_, part| {
            if !part.is_text() {
                return part;
            }
            let html = String::from_utf8_lossy(&part.body)
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace("\r\n", "<br>\r\n");
            let body = format!(
                "<html><head><style>p:first {{ color: red; }}</style></head><body><div>{html}</div></body></html>\r\n"
            );
            Entity { body: body.into_bytes(), ..part }.with("Content-Type", "text/html; charset=utf-8")
        })
    }),
    transform("text as HTML with entities and spans", "a web mailer that forwards", |raw| {
        each_part(raw, |_, part| {
            if !part.is_text() {
                return part;
            }
            let html: String = String::from_utf8_lossy(&part.body).lines().map(|line| {
                let line = line.replace('&', "&amp;").replace('<', "&lt;").replace(':', "&#58;").replace('+', "&#x2B;").replace('/', "&sol;").replace(' ', "&nbsp;");
                format!("<p class=\"MsoNormal\"><span style='font-family:\"Courier New\";'>{line}<o:p></o:p></span></p>\r\n")
            }).collect();
            Entity { body: html.into_bytes(), ..part }.with("Content-Type", "text/html; charset=utf-8")
        })
    }),
    transform("characters made typographic", "a gateway with smart quotes", |raw| {
        each_text(raw, |text| {
            text.replace("--", "\u{2014}").replace("...", "\u{2026}").replace('"', "\u{201d}")
        })
    }),
    transform("web addresses rewritten", "Safe Links, URL Defense", |raw| {
        each_text(raw, |text| text.replace("http", "https://urldefense.example/v3/__http"))
    }),
    transform("soft hyphens and zero-width spaces put in", "a watermarking gateway", |raw| {
        each_text(raw, |text| {
            text.chars()
                .enumerate()
                .flat_map(|(nth, character)| {
                    (nth % 17 == 0).then_some('\u{200b}').into_iter().chain([character])
                })
                .collect()
        })
    }),
];

/// Changes all behind the mail's own head.
fn body_only(raw: &[u8], change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mail = Entity::read(raw);
    let body = change(&mail.body);
    Entity { body, ..mail }.write()
}

fn wrapped(text: &str, width: usize) -> String {
    text.lines()
        .map(|line| {
            let characters: Vec<char> = line.chars().collect();
            if characters.is_empty() {
                return "\r\n".to_owned();
            }
            characters
                .chunks(width)
                .map(|piece| format!("{}\r\n", piece.iter().collect::<String>()))
                .collect()
        })
        .collect()
}

/// Lines of more octets are broken, header lines of parts excepted.
fn broken(body: &[u8], width: usize) -> Vec<u8> {
    let mut result = Vec::new();
    for line in body.split(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_head = line.starts_with(b"Content-") || line.starts_with(b"--");
        for piece in line.chunks(if is_head || line.is_empty() { usize::MAX } else { width }) {
            result.extend(piece);
            result.extend(b"\r\n");
        }
        if line.is_empty() {
            result.extend(b"\r\n");
        }
    }
    result
}

fn filled(text: &str, width: usize) -> String {
    text.split("\r\n\r\n")
        .map(|paragraph| {
            let mut result = String::new();
            let mut column = 0;
            for word in paragraph.split_whitespace() {
                if column > 0 && column + 1 + word.len() > width {
                    result.push_str("\r\n");
                    column = 0;
                } else if column > 0 {
                    result.push(' ');
                    column += 1;
                }
                result.push_str(word);
                column += word.len();
            }
            result
        })
        .collect::<Vec<_>>()
        .join("\r\n\r\n")
        + "\r\n"
}

fn quoted(text: &str, mark: &str) -> String {
    text.lines().map(|line| format!("{mark}{line}\r\n")).collect()
}
