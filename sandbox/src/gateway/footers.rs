//! Those who add text: disclaimers, banners, "scanned by".

use super::mime::{Entity, around, each_part, each_text, taken_apart};
use super::{Transform, transform};

const FOOTER: &str = "\r\n____________________________________________\r\nThis e-mail is confidential: if you are not the intended recipient; delete it.\r\n";

pub(super) const TRANSFORMS: &[Transform] = &[
    transform("footer in every text", "Exchange transport rule, altermime", |raw| {
        each_text(raw, |text| format!("{text}{FOOTER}"))
    }),
    transform("banner above every text", "Microsoft 365 external sender rule", |raw| {
        each_text(raw, |text| {
            format!("[EXTERNAL] Do not click links unless you know the sender.\r\n\r\n{text}")
        })
    }),
    transform("footer as a new last part", "Mailman msg_footer", |raw| {
        let mail = Entity::read(raw);
        let footer =
            Entity::new(&["Content-Type: text/plain; charset=utf-8", "Content-Disposition: inline"], FOOTER);
        match mail.parts() {
            Some(parts) => mail.with_parts(&[parts, vec![footer]].concat()).write(),
            None => wrapped_with(raw, &[footer], false),
        }
    }),
    transform("banner as a new first part", "Proofpoint, Barracuda", |raw| {
        let mail = Entity::read(raw);
        let banner = Entity::new(
            &["Content-Type: text/html"],
            "<p style=\"color:red;\">Caution: external mail.</p>\r\n",
        );
        match mail.parts() {
            Some(parts) => mail.with_parts(&[vec![banner], parts].concat()).write(),
            None => wrapped_with(raw, &[banner], true),
        }
    }),
    transform("wrapped in multipart/mixed with a footer", "Mailman 3 for mails with a signature", |raw| {
        wrapped_with(raw, &[Entity::new(&["Content-Type: text/plain"], FOOTER)], false)
    }),
    transform("html disclaimer beside the text", "CodeTwo, Exclaimer", |raw| {
        each_part(raw, |_, part| {
            if !part.is_text() {
                return part;
            }
            let text = String::from_utf8_lossy(&part.body).into_owned();
            let html = text.replace('&', "&amp;").replace('<', "&lt;").replace("\r\n", "<br>\r\n");
            let alternatives = [
                Entity::new(&["Content-Type: text/plain; charset=us-ascii"], text.clone()),
                Entity::new(
                    &["Content-Type: text/html; charset=utf-8"],
                    format!(
                        "<html><body>{html}<p>Disclaimer: see <a href=\"https://x.example/?a=1&amp;b=2\">policy</a></p></body></html>\r\n"
                    ),
                ),
            ];
            let body = super::mime::multipart("=_alternatives", &alternatives);
            Entity { body, ..part }.with("Content-Type", "multipart/alternative; boundary=\"=_alternatives\"")
        })
    }),
    transform("text behind the end of the mail", "a milter that appends to the stream", |raw| {
        [raw, FOOTER.as_bytes()].concat()
    }),
    transform("text inside the last part", "a content filter that does not know MIME", |raw| {
        let end = raw.windows(4).rposition(|window| window == b"\r\n--").unwrap_or(raw.len());
        let (head, tail) = raw.split_at(end);
        [head, b"\r\n-- \r\nScanned by MailGuard: clean\r\n", tail].concat()
    }),
    transform("one word inside the last part", "a content filter that does not know MIME", |raw| {
        let end = raw.windows(4).rposition(|window| window == b"\r\n--").unwrap_or(raw.len());
        let (head, tail) = raw.split_at(end);
        [head, b"\r\nConfidential", tail].concat()
    }),
    transform("footer with umlauts in a 7bit part", "a disclaimer service without charset handling", |raw| {
        each_text(raw, |text| {
            format!("{text}\r\nDiese Nachricht ist vertraulich; für Empfänger: geprüft.\r\n")
        })
    }),
    transform("advertising line", "free mail providers, AVG and Avast", |raw| {
        each_text(raw, |text| {
            format!("{text}\r\n--\r\nVirus-free. https://www.example.com/?utm=a&b=c;d=e:f\r\n")
        })
    }),
    transform("text between the lines", "a gateway that marks every paragraph", |raw| {
        each_text(raw, |text| text.replace("\r\n\r\n", "\r\n[external: unverified;]\r\n"))
    }),
];

/// The whole content as one part of a new multipart, with others before or behind it.
fn wrapped_with(raw: &[u8], others: &[Entity], before: bool) -> Vec<u8> {
    let (head, content) = taken_apart(raw);
    let parts = if before { [others, &[content]].concat() } else { [&[content], others].concat() };
    around(
        head,
        "multipart/mixed; boundary=\"===============7331==\"",
        None,
        super::mime::multipart("===============7331==", &parts),
    )
}
