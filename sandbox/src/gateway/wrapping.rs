//! Those who put something around a mail, or turn its parts about.

use super::mime::{Entity, around, base64, multipart, taken_apart};
use super::{Transform, transform};

pub(super) const TRANSFORMS: &[Transform] = &[
    transform("winmail.dat", "Exchange with rich text", |raw| {
        let mail = Entity::read(raw);
        let Some(parts) = mail.parts() else { return in_tnef(raw) };
        let (text, files): (Vec<_>, Vec<_>) = parts.into_iter().partition(Entity::is_text);
        let tnef = tnef(&[], &files.iter().map(Entity::decoded).collect::<Vec<_>>());
        mail.with_parts(&[text, vec![winmail(&tnef)]].concat()).write()
    }),
    transform("winmail.dat with the text in it", "Exchange to Exchange by TNEF", in_tnef),
    transform("forwarded as message/rfc822", "journaling, a forward as attachment", |raw| {
        forwarded(raw, raw.to_vec(), None)
    }),
    transform("forwarded as message/rfc822 in base64", "Gmail, against RFC 2046", |raw| {
        forwarded(raw, base64(raw, 76), Some("base64"))
    }),
    transform("forwarded three deep", "three gateways, each with a report", |raw| {
        let once = forwarded(raw, raw.to_vec(), None);
        let twice = forwarded(&once, once.clone(), None);
        forwarded(&twice, twice.clone(), None)
    }),
    transform("in a journal report", "Exchange journaling", |raw| {
        let subject = Entity::read(raw).field("Subject").unwrap_or_default();
        let parts = [
            Entity::new(
                &["Content-Type: text/plain"],
                format!(
                    "Sender: agent@site.example\r\nSubject: {subject}\r\nRecipient: center@center.example\r\n"
                ),
            ),
            Entity::new(&["Content-Type: message/rfc822"], raw.to_vec()),
        ];
        around(
            Entity::new(
                &[
                    "From: journal@gw.example",
                    &format!("Subject: {subject}"),
                    "X-MS-Journal-Report: 1",
                    "MIME-Version: 1.0",
                ],
                "",
            ),
            "multipart/mixed; boundary=\"=_journal\"",
            None,
            multipart("=_journal", &parts),
        )
    }),
    transform("wrapped by a list", "Mailman 3 DMARC wrap", |raw| {
        around(
            Entity::new(
                &[
                    "From: List <list@lists.example>",
                    "Subject: [list] Device monitor",
                    "Precedence: list",
                    "List-Id: <list.lists.example>",
                    "MIME-Version: 1.0",
                ],
                "",
            ),
            "message/rfc822",
            None,
            raw.to_vec(),
        )
    }),
    transform("in a digest", "Mailman digests", |raw| {
        let other = b"From: a@b.example\r\nSubject: lunch\r\n\r\nWhat about lunch?\r\n".to_vec();
        let parts =
            [Entity::new(&[], other.clone()), Entity::new(&[], raw.to_vec()), Entity::new(&[], other)];
        let digest = Entity::new(
            &["Content-Type: multipart/digest; boundary=\"=_digest\""],
            multipart("=_digest", &parts),
        );
        let outer = [
            Entity::new(&["Content-Type: text/plain"], "Today's topics: 1. lunch 2. Device monitor\r\n"),
            digest,
        ];
        around(
            Entity::new(
                &[
                    "From: list-request@lists.example",
                    "Subject: list Digest, Vol 1, Issue 2",
                    "Precedence: list",
                    "MIME-Version: 1.0",
                ],
                "",
            ),
            "multipart/mixed; boundary=\"=_outer\"",
            None,
            multipart("=_outer", &outer),
        )
    }),
    transform("signed around", "an S/MIME gateway, clear signature", |raw| {
        let (head, content) = taken_apart(raw);
        let signature = Entity::new(
            &[
                "Content-Type: application/pkcs7-signature; name=smime.p7s",
                "Content-Transfer-Encoding: base64",
            ],
            base64(
                &[0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02, 0xa0, 0x80],
                76,
            ),
        );
        around(
            head,
            "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=\"=_signed\"",
            None,
            multipart("=_signed", &[content, signature]),
        )
    }),
    transform("signed around with PGP/MIME", "a PGP gateway", |raw| {
        let (head, content) = taken_apart(raw);
        let signature = Entity::new(
            &["Content-Type: application/pgp-signature; name=signature.asc"],
            "-----BEGIN PGP SIGNATURE-----\r\n\r\niQEz:AAAA;\r\n-----END PGP SIGNATURE-----\r\n",
        );
        around(
            head,
            "multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha256; boundary=\"=_signed\"",
            None,
            multipart("=_signed", &[content, signature]),
        )
    }),
    transform("signed opaque", "an S/MIME gateway, smime.p7m", |raw| opaque(raw, usize::MAX)),
    transform("signed opaque in pieces", "openssl smime -stream", |raw| opaque(raw, 1_000)),
    transform("boundary written anew", "most filters that touch a part", |raw| {
        let mail = Entity::read(raw);
        let Some(parts) = mail.parts() else { return raw.to_vec() };
        let body = multipart("----=_NextPart_000_0001_01DC7B9A.5F3E2A10", &parts);
        Entity { body, ..mail }
            .with(
                "Content-Type",
                "multipart/mixed;\r\n\tboundary=\"----=_NextPart_000_0001_01DC7B9A.5F3E2A10\"",
            )
            .write()
    }),
    transform("preamble and epilogue added", "filters of old", |raw| {
        let mail = Entity::read(raw);
        if mail.boundary().is_none() {
            return raw.to_vec();
        }
        let body = [
            b"This is a multi-part message in MIME format.\r\n\r\n".as_slice(),
            &mail.body,
            b"\r\nThe end.\r\n",
        ]
        .concat();
        Entity { body, ..mail }.write()
    }),
    transform("closing boundary lost", "a filter that cuts the epilogue", |raw| {
        let end = raw
            .windows(4)
            .rposition(|window| window == b"\r\n--")
            .filter(|_| Entity::read(raw).boundary().is_some());
        raw.get(..end.unwrap_or(raw.len())).unwrap_or(raw).to_vec()
    }),
    transform("parts in another order", "Exchange, attachments first", |raw| {
        let mail = Entity::read(raw);
        match mail.parts() {
            Some(mut parts) => {
                parts.reverse();
                mail.with_parts(&parts).write()
            }
            None => raw.to_vec(),
        }
    }),
    transform("every part doubled", "a broken archiver", |raw| {
        let mail = Entity::read(raw);
        match mail.parts() {
            Some(parts) => {
                let doubled: Vec<Entity> = parts.into_iter().flat_map(|part| [part.clone(), part]).collect();
                mail.with_parts(&doubled).write()
            }
            None => Entity { body: [mail.body.as_slice(), &mail.body].concat(), ..mail }.write(),
        }
    }),
    transform("an empty part put in", "a stripper that leaves a hole", |raw| {
        let mail = Entity::read(raw);
        match mail.parts() {
            Some(mut parts) => {
                parts.insert(1.min(parts.len()), Entity::new(&["Content-Type: text/plain"], ""));
                mail.with_parts(&parts).write()
            }
            None => raw.to_vec(),
        }
    }),
    transform(
        "multipart/mixed inside multipart/related inside multipart/mixed",
        "Apple Mail, Exchange",
        |raw| {
            let (head, content) = taken_apart(raw);
            let related = Entity::new(
                &["Content-Type: multipart/related; boundary=\"=_inner\""],
                multipart("=_inner", &[content]),
            );
            around(head, "multipart/mixed; boundary=\"=_outside\"", None, multipart("=_outside", &[related]))
        },
    ),
    transform("content type of the mail lost", "a gateway that knows only plain text", |raw| {
        Entity::read(raw).without("Content-Type").write()
    }),
    transform("quoted whole in the text of a forward", "Outlook's inline forward", |raw| {
        let mail = Entity::read(raw);
        let head = format!(
            "\r\n-----Original Message-----\r\nFrom: {}\r\nSubject: {}\r\n\r\n",
            mail.field("From").unwrap_or_default(),
            mail.field("Subject").unwrap_or_default()
        );
        let whole: String = head
            + &String::from_utf8_lossy(&mail.body)
                .lines()
                .map(|line| format!("> {line}\r\n"))
                .collect::<String>();
        Entity::new(
            &[
                "From: helpdesk@site.example",
                &format!("Subject: FW: {}", mail.field("Subject").unwrap_or_default()),
                "MIME-Version: 1.0",
                "Content-Type: text/plain",
            ],
            whole,
        )
        .write()
    }),
];

fn forwarded(raw: &[u8], body: Vec<u8>, encoding: Option<&str>) -> Vec<u8> {
    let subject = Entity::read(raw).field("Subject").unwrap_or_default();
    let mut inner = Entity::new(&["Content-Type: message/rfc822", "Content-Disposition: attachment"], body);
    if let Some(encoding) = encoding {
        inner = inner.with("Content-Transfer-Encoding", encoding);
    }
    let parts = [Entity::new(&["Content-Type: text/plain"], "Forwarded by the gateway.\r\n"), inner];
    // A boundary of its own at every depth.
    let boundary = format!("=_forward{}", raw.len());
    around(
        Entity::new(
            &["From: gateway@gw.example", &format!("Subject: Fwd: {subject}"), "MIME-Version: 1.0"],
            "",
        ),
        &format!("multipart/mixed; boundary=\"{boundary}\""),
        None,
        multipart(&boundary, &parts),
    )
}

/// A mail that is nothing but a `winmail.dat` with its text and its files.
fn in_tnef(raw: &[u8]) -> Vec<u8> {
    let mail = Entity::read(raw);
    let (texts, files): (Vec<_>, Vec<_>) =
        mail.parts().unwrap_or_else(|| vec![mail.clone()]).into_iter().partition(Entity::is_text);
    let text: Vec<u8> = texts.into_iter().flat_map(|part| part.body).collect();
    let tnef = tnef(&text, &files.iter().map(Entity::decoded).collect::<Vec<_>>());
    let (head, _) = taken_apart(raw);
    let part = winmail(&tnef);
    around(head, "multipart/mixed; boundary=\"=_tnef\"", None, multipart("=_tnef", &[part]))
}

fn winmail(tnef: &[u8]) -> Entity {
    Entity::new(
        &[
            "Content-Type: application/ms-tnef; name=\"winmail.dat\"",
            "Content-Transfer-Encoding: base64",
            "Content-Disposition: attachment; filename=\"winmail.dat\"",
        ],
        base64(tnef, 76),
    )
}

/// MS-OXTNEF: signature, key, attributes with their checksums.
fn tnef(text: &[u8], files: &[Vec<u8>]) -> Vec<u8> {
    let attribute = |level: u8, identifier: u32, value: &[u8]| {
        let sum = value.iter().fold(0u16, |sum, octet| sum.wrapping_add(u16::from(*octet)));
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes();
        [&[level], identifier.to_le_bytes().as_slice(), &length, value, &sum.to_le_bytes()].concat()
    };
    let mut octets = [0x223e_9f78_u32.to_le_bytes().as_slice(), &[1, 0]].concat();
    octets.extend(attribute(1, 0x0008_9006, &0x0001_0000_u32.to_le_bytes()));
    octets.extend(attribute(1, 0x0007_8008, b"IPM.Note\0"));
    if !text.is_empty() {
        octets.extend(attribute(1, 0x0002_800c, text));
    }
    for file in files {
        octets.extend(attribute(2, 0x0006_9002, &[1, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]));
        octets.extend(attribute(2, 0x0001_8010, b"message.bin\0"));
        octets.extend(attribute(2, 0x0006_800f, file));
    }
    octets
}

/// RFC 8551, 3.5.2: the content inside a signature, its lengths left open where it is in pieces.
fn opaque(raw: &[u8], piece: usize) -> Vec<u8> {
    let (head, content) = taken_apart(raw);
    let content = content.write();
    let data = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
    let signed = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
    let octets = match piece {
        usize::MAX => element(0x04, &content),
        piece => [
            &[0x24, 0x80],
            content.chunks(piece).flat_map(|piece| element(0x04, piece)).collect::<Vec<_>>().as_slice(),
            &[0, 0],
        ]
        .concat(),
    };
    let inside = [
        &[0x30, 0x80, 0x02, 0x01, 0x01, 0x31, 0x00, 0x30, 0x80],
        data.as_slice(),
        &[0xa0, 0x80],
        &octets,
        &[0; 6],
    ]
    .concat();
    let inside = [&[0x30, 0x80], signed.as_slice(), &[0xa0, 0x80], &inside, &[0; 4]].concat();
    around(
        head,
        "application/pkcs7-mime; smime-type=signed-data; name=\"smime.p7m\"",
        Some("base64"),
        base64(&inside, 76),
    )
}

/// One element of BER with its length.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[tag, 0x84], length.as_slice(), content].concat()
}
