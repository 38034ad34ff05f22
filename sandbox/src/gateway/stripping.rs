//! Those who take something away: strippers, quarantines, portals.

use super::mime::{Entity, around, base64, each_attachment, multipart, taken_apart};
use super::{Transform, transform};

pub(super) const TRANSFORMS: &[Transform] = &[
    transform("attachment replaced by a note", "MailMarshal, amavis with defang", |raw| {
        each_attachment(raw, |_| {
            Entity::new(
                &["Content-Type: text/plain; name=\"removed.txt\""],
                "The attachment message.bin was removed: file type not allowed.\r\n",
            )
        })
    }),
    transform("attachment replaced by a German note", "REDDOXX, Hornetsecurity", |raw| {
        each_attachment(raw, |_| {
            Entity::new(
                &["Content-Type: text/plain; charset=utf-8"],
                "Der Anhang message.bin wurde aus Sicherheitsgründen entfernt.\r\n",
            )
        })
    }),
    transform("attachment dropped without a word", "Mailman content filtering", |raw| {
        let mail = Entity::read(raw);
        match mail.parts() {
            Some(parts) => {
                let parts: Vec<Entity> = parts.into_iter().filter(Entity::is_text).collect();
                mail.with_parts(&parts).write()
            }
            None => raw.to_vec(),
        }
    }),
    transform("attachment emptied", "a virus scanner that truncates to nothing", |raw| {
        each_attachment(raw, |part| Entity { body: Vec::new(), ..part })
    }),
    transform("attachment replaced by a link", "Mimecast large file send, Box", |raw| {
        each_attachment(raw, |_| {
            Entity::new(
                &["Content-Type: text/html"],
                "<p>The attachment was replaced by a <a href=\"https://x.example/f/1\">link</a>.</p>\r\n",
            )
        })
    }),
    transform("attachment in quarantine", "Trend Micro, Cisco", |raw| {
        each_attachment(raw, |_| {
            Entity::new(
                &["Content-Type: text/plain"],
                "message.bin has been placed in quarantine. Ask your administrator for its release.\r\n",
            )
        })
    }),
    transform("mail replaced by a quarantine notice", "Microsoft Defender, Barracuda", |raw| {
        let mail = Entity::read(raw);
        let subject = mail.field("Subject").unwrap_or_default();
        Entity::new(
            &[
                "From: quarantine@gateway.example",
                "Subject: You have messages in quarantine",
                "Auto-Submitted: auto-generated",
                "MIME-Version: 1.0",
                "Content-Type: text/plain",
            ],
            format!("The following message was quarantined:\r\n\r\nSubject: {subject}\r\nReason: policy\r\n"),
        )
        .write()
    }),
    transform("mail left at a portal", "Zix, Totemomail, Seppmail", |raw| {
        let mail = Entity::read(raw);
        let subject = mail.field("Subject").unwrap_or_default();
        Entity::new(
            &[&format!("From: {}", mail.field("From").unwrap_or_default()), &format!("Subject: {subject}"), "MIME-Version: 1.0", "Content-Type: text/html"],
            "<p>You have received a secure message. Open the attachment to log in to the message portal.</p>\r\n",
        )
        .write()
    }),
    transform("mail encrypted for a person", "an S/MIME gateway", |raw| {
        let (head, _) = taken_apart(raw);
        around(
            head,
            "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m",
            Some("base64"),
            base64(&[0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03], 76),
        )
    }),
    transform("mail encrypted with PGP/MIME", "a PGP gateway", |raw| {
        let (head, _) = taken_apart(raw);
        let parts = [
            Entity::new(&["Content-Type: application/pgp-encrypted"], "Version: 1\r\n"),
            Entity::new(
                &["Content-Type: application/octet-stream; name=encrypted.asc"],
                "-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA7A=\r\n-----END PGP MESSAGE-----\r\n",
            ),
        ];
        around(
            head,
            "multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"=_pgp\"",
            None,
            multipart("=_pgp", &parts),
        )
    }),
    transform("attachments zipped", "WatchGuard, a gateway that packs", |raw| {
        each_attachment(raw, |part| {
            let body = base64(&zip(&part.decoded()), 76);
            Entity { body, ..part }
                .with("Content-Type", "application/zip; name=\"message.zip\"")
                .with("Content-Disposition", "attachment; filename=\"message.zip\"")
        })
    }),
    transform("cut at 1 kB", "a mailbox that is full", |raw| cut(raw, 1_000)),
    transform("cut at half", "a connection that broke behind a store-and-forward relay", |raw| {
        cut(raw, raw.len() / 2)
    }),
    transform("last 40 octets lost", "a relay with an off-by-one at its buffer's end", |raw| {
        cut(raw, raw.len().saturating_sub(80))
    }),
    transform("only the first of several pieces", "message/partial of Outlook Express", |raw| {
        let mail = Entity::read(raw);
        let id = mail.field("Message-ID").unwrap_or_default();
        let fields: Vec<String> = ["From", "To", "Subject", "Date"]
            .iter()
            .filter_map(|name| Some(format!("{name}: {}", mail.field(name)?)))
            .chain([
                format!("Message-ID: {id}"),
                "MIME-Version: 1.0".to_owned(),
                format!("Content-Type: message/partial; id=\"{id}\"; number=1; total=2"),
            ])
            .collect();
        Entity { fields, body: raw.get(..raw.len() / 2).unwrap_or_default().to_vec() }.write()
    }),
    transform("text only", "SMS and fax gateways, archive viewers", |raw| {
        let mail = Entity::read(raw);
        let text = match mail.parts() {
            Some(parts) => parts.into_iter().filter(Entity::is_text).flat_map(|part| part.body).collect(),
            None => mail.body.clone(),
        };
        Entity { body: text, ..mail }
            .with("Content-Type", "text/plain")
            .without("Content-Transfer-Encoding")
            .write()
    }),
];

fn cut(raw: &[u8], octets: usize) -> Vec<u8> {
    raw.get(..octets).unwrap_or(raw).to_vec()
}

/// An archive with one file, stored: local header, octets, directory (APPNOTE 4.3). Its CRC is left 0; nobody unpacks it.
fn zip(octets: &[u8]) -> Vec<u8> {
    let size = u32::try_from(octets.len()).unwrap_or(u32::MAX).to_le_bytes();
    let name = b"message.bin";
    let fields =
        [&[20, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0], size.as_slice(), &size, &[11, 0, 0, 0]].concat();
    // Deflated by hand with one stored block would be found again; real archives are compressed.
    let scrambled: Vec<u8> = octets.iter().map(|octet| octet ^ 0x5a).collect();
    [b"PK\x03\x04".as_slice(), &fields, name, &scrambled, b"PK\x05\x06", &[0; 18]].concat()
}
