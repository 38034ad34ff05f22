#![expect(clippy::cast_possible_truncation, reason = "lengths of samples are small")]

use super::*;
use crate::mail::armour;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

/// The example mail of the format paper: an attachment of 704 octets.
const MAIL: &str = include_str!("../../../../testdata/wire/command-ping.eml");

fn attachment() -> Vec<u8> {
    let (_, body) = MAIL.split_once("message.bin\"\r\n\r\n").unwrap();
    let encoded: String = body.lines().take_while(|line| !line.starts_with("--")).collect();
    STANDARD.decode(encoded).unwrap()
}

fn found(raw: &[u8]) -> Salvaged {
    let mail = MessageParser::default().parse(raw).unwrap();
    buried(&mail, raw, &Limits::default())
}

fn check(what: &str, raw: &[u8]) {
    match found(raw) {
        Salvaged::Whole { octets, .. } => assert!(octets.starts_with(&attachment()), "{what}"),
        other => panic!("{what}: {other:?} in {}", String::from_utf8_lossy(raw)),
    }
}

fn quoted_printable(octets: &[u8]) -> String {
    let mut text = String::new();
    for (nth, octet) in octets.iter().enumerate() {
        match octet {
            b'!'..=b'<' | b'>'..=b'~' => text.push(char::from(*octet)),
            _ => text.push_str(&format!("={octet:02X}")),
        }
        if nth % 24 == 23 {
            text.push_str("=\r\n");
        }
    }
    text
}

fn uuencode(octets: &[u8]) -> String {
    let mut text = "begin 644 message.bin\r\n".to_owned();
    let symbol = |value: u8| if value == 0 { '`' } else { char::from(value + b' ') };
    for line in octets.chunks(45) {
        text.push(symbol(line.len() as u8));
        for group in line.chunks(3) {
            let at = |nth: usize| group.get(nth).copied().unwrap_or(0);
            let (a, b, c) = (at(0), at(1), at(2));
            text.extend([a >> 2, (a & 3) << 4 | b >> 4, (b & 15) << 2 | c >> 6, c & 63].map(symbol));
        }
        text.push_str("\r\n");
    }
    text + "`\r\nend\r\n"
}

fn winmail(name_first: bool) -> Vec<u8> {
    let attribute = |level: u8, identifier: u32, value: &[u8]| {
        let sum = value.iter().fold(0u16, |sum, octet| sum.wrapping_add(u16::from(*octet)));
        [
            &[level],
            identifier.to_le_bytes().as_slice(),
            &(value.len() as u32).to_le_bytes(),
            value,
            &sum.to_le_bytes(),
        ]
        .concat()
    };
    let mut octets = [0x223e_9f78_u32.to_le_bytes().as_slice(), &[7, 0]].concat();
    octets.extend(attribute(1, 0x0008_9006, &0x0001_0000_u32.to_le_bytes()));
    if name_first {
        octets.extend(attribute(2, 0x0001_8010, b"message.bin\0"));
    }
    octets.extend(attribute(2, 0x0006_800f, &attachment()));
    octets
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let head = match length {
        0..0x80 => vec![tag, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [head, content.to_vec()].concat()
}

fn opaque_signature(content: &[u8]) -> Vec<u8> {
    let data = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
    let signed_data = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
    // As openssl writes it while it reads: lengths left open, the content in pieces.
    let pieces: Vec<u8> = content.chunks(500).flat_map(|piece| element(0x04, piece)).collect();
    let encapsulated = [&[0x30, 0x80], data.as_slice(), &[0xa0, 0x80, 0x24, 0x80], &pieces, &[0; 6]].concat();
    let inside = [element(0x02, &[1]), element(0x31, &element(0x30, &data)), encapsulated].concat();
    [&[0x30, 0x80], signed_data.as_slice(), &[0xa0, 0x80, 0x30, 0x80], &inside, &[0; 6]].concat()
}

fn wrapped(octets: &[u8]) -> String {
    STANDARD
        .encode(octets)
        .as_bytes()
        .chunks(76)
        .map(|line| format!("{}\r\n", std::str::from_utf8(line).unwrap()))
        .collect()
}

fn as_part(head: &str, body: &str) -> Vec<u8> {
    format!(
        "From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
         --x\r\nContent-Type: text/plain\r\n\r\nHello.\r\n--x\r\n{head}\r\n\r\n{body}\r\n--x--\r\n"
    )
    .into_bytes()
}

#[test]
fn our_attachment_is_found_under_any_name_type_and_encoding() {
    let base64 = wrapped(&attachment());
    for head in [
        "Content-Type: application/x-foo; name=\"a.dat\"\r\nContent-Transfer-Encoding: base64",
        "Content-Type: text/plain; charset=windows-1252\r\nContent-Transfer-Encoding: base64",
        "Content-Type: image/png\r\nContent-Disposition: inline\r\nContent-Transfer-Encoding: base64",
        "Content-Type: application/octet-stream",
        "Content-Type: text/plain\r\nContent-Transfer-Encoding: 7bit",
        "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: x-unknown",
    ] {
        check(head, &as_part(head, &base64));
    }
    let long = STANDARD.encode(attachment());
    check("one line", &as_part("Content-Transfer-Encoding: base64", &long));
    check(
        "short lines",
        &as_part(
            "Content-Transfer-Encoding: base64",
            &base64
                .replace("\r\n", "\n")
                .chars()
                .collect::<Vec<_>>()
                .chunks(60)
                .map(|line| line.iter().collect::<String>() + "\n")
                .collect::<String>(),
        ),
    );
    check(
        "quoted",
        &as_part(
            "Content-Type: text/plain",
            &base64.lines().map(|line| format!("> {line}\r\n")).collect::<String>(),
        ),
    );
    check(
        "quoted-printable",
        &as_part(
            "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: quoted-printable",
            &quoted_printable(&attachment()),
        ),
    );
    check(
        "quoted-printable as text",
        &as_part(
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable",
            &quoted_printable(&attachment()),
        ),
    );
    check("uuencoded", &as_part("Content-Type: text/plain", &uuencode(&attachment())));
}

#[test]
fn a_footer_inside_our_part_does_no_harm() {
    let base64 = wrapped(&attachment());
    for footer in
        ["-- \r\nThis mail was scanned.\r\n", "Confidential\r\n", "\r\n\r\n____\r\nfooter\r\n", "==\r\n"]
    {
        check(footer, &as_part("Content-Transfer-Encoding: base64", &format!("{base64}{footer}")));
        check(
            footer,
            &as_part("Content-Type: application/octet-stream", &format!("{footer}{base64}{footer}")),
        );
    }
}

#[test]
fn our_attachment_is_found_in_what_is_wrapped_around_it() {
    let inner = wrapped(MAIL.as_bytes());
    check("rfc822", &as_part("Content-Type: message/rfc822", MAIL));
    check(
        "rfc822 in base64",
        &as_part("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64", &inner),
    );
    check(
        "twice",
        &as_part(
            "Content-Type: message/rfc822",
            &String::from_utf8(as_part("Content-Type: message/rfc822", MAIL)).unwrap(),
        ),
    );
    for named in [true, false] {
        check(
            "winmail.dat",
            &as_part(
                "Content-Type: application/ms-tnef\r\nContent-Transfer-Encoding: base64",
                &wrapped(&winmail(named)),
            ),
        );
    }
    let entity = MAIL.split_once("MIME-Version").unwrap().1.split_once("\r\n").unwrap().1;
    for content in [entity.to_owned(), entity.replace("\r\n", "\n")] {
        let p7m = opaque_signature(content.as_bytes());
        check(
            "smime.p7m",
            &as_part(
                "Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64",
                &wrapped(&p7m),
            ),
        );
    }
    let of_known_length = element(0x24, &element(0x04, b"abc"));
    assert_eq!(signed_content(&of_known_length), None, "no signature at all");
}

#[test]
fn armoured_text_is_found_in_any_text_part() {
    let text = armour::write(&attachment());
    for (head, body) in [
        ("Content-Type: text/plain", text.clone()),
        ("Content-Type: text/plain\r\nContent-Transfer-Encoding: base64", wrapped(text.as_bytes())),
        (
            "Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64",
            wrapped(&text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()),
        ),
        ("Content-Type: text/html", text.replace("\r\n", "<br>\r\n")),
        ("Content-Type: message/rfc822", format!("Subject: x\r\n\r\n{text}")),
        ("Content-Type: application/ms-tnef\r\nContent-Transfer-Encoding: base64", {
            let mut octets = vec![0x78, 0x9f, 0x3e, 0x22, 1, 0, 1];
            octets.extend(0x0002_800c_u32.to_le_bytes());
            octets.extend((text.len() as u32).to_le_bytes());
            octets.extend(text.as_bytes());
            octets.extend([0, 0]);
            wrapped(&octets)
        }),
    ] {
        let raw = as_part(head, &body);
        assert_eq!(found(&raw), Salvaged::Whole { octets: attachment(), armoured: true }, "{head}");
    }
}

#[test]
fn of_two_copies_the_whole_one_counts() {
    let damaged = wrapped(&attachment()[..300]);
    let raw = as_part(
        "Content-Transfer-Encoding: base64",
        &format!("{damaged}\r\n--x\r\nContent-Transfer-Encoding: base64\r\n\r\n{}", wrapped(&attachment())),
    );
    check("second copy", &raw);
}

#[test]
fn what_is_cut_is_told_with_the_reason() {
    let raw = as_part("Content-Transfer-Encoding: base64", &wrapped(&attachment()[..500]));
    let Salvaged::Damaged(reason) = found(&raw) else { panic!("{:?}", found(&raw)) };
    assert!(reason.contains("cut or damaged"), "{reason}");
    let text = armour::write(&attachment());
    let Salvaged::Damaged(reason) = found(&as_part("Content-Type: text/plain", &text[..600])) else {
        panic!()
    };
    assert!(reason.contains("armoured lines are missing"), "{reason}");
    assert_eq!(found(&as_part("Content-Type: text/plain", "nothing")), Salvaged::Nothing);
}

#[test]
fn layers_without_end_are_survived() {
    let mut raw = MAIL.to_owned();
    for _ in 0..30 {
        raw = String::from_utf8(as_part(
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64",
            &wrapped(raw.as_bytes()),
        ))
        .unwrap();
        if raw.len() > 4_000_000 {
            break;
        }
    }
    assert_eq!(found(raw.as_bytes()), Salvaged::Nothing, "deeper than anybody wraps");
}

#[test]
fn many_false_beginnings_cost_little() {
    let raw = as_part("Content-Type: text/plain", &"MFE1 TUZFMQ begin 644 x\r\n:AAAA".repeat(100_000));
    assert!(matches!(found(&raw), Salvaged::Damaged(_)));
}

proptest! {
    #[test]
    fn any_octets_are_looked_through(octets in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = tnef_contents(&octets);
        let _ = signed_content(&octets);
        let _ = encodings::uuencoded(&octets);
        let mut tnef = winmail(true);
        tnef.extend(&octets);
        prop_assert!(tnef_contents(&tnef).contains(&attachment().as_slice()));
    }

    #[test]
    fn a_damaged_wrapping_is_survived(place in 0usize..1200, octet in any::<u8>(), cut in 0usize..1200) {
        for mut octets in [winmail(true), opaque_signature(MAIL.as_bytes())] {
            let (length, place) = (octets.len(), place % octets.len());
            octets[place] = octet;
            let _ = tnef_contents(&octets[..cut.min(length)]);
            let _ = signed_content(&octets[..cut.min(length)]);
        }
    }
}
