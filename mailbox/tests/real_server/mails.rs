//! Mails with all that mail may hold, and how they may come back.

/// The first header line of every mail here.
const FIRST_LINE: &[u8] = b"From: a@site.example\r\n";

/// Dots, 8-bit, no last line end, long lines, an attachment. Every one has its number in it.
pub(crate) fn nasty_mail(number: usize) -> Vec<u8> {
    let mut mail = format!(
        "From: a@site.example\r\nTo: b@site.example\r\nSubject: n{number}\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-Id: <n{number}@site.example>\r\nX-Number: {number}\r\n\r\n"
    )
    .into_bytes();
    match number % 10 {
        0 => mail.extend_from_slice(b".\r\n..\r\n...\r\n.dot\r\n. \r\n"),
        1 => mail.extend((0x80..=0xffu8).flat_map(|octet| [octet, octet, b'\r', b'\n'])),
        2 => mail.extend_from_slice(b"no line end at the end"),
        3 => mail.extend(std::iter::repeat_n(b'x', 20_000).chain(*b"\r\nafter the long line\r\n")),
        4 => mail.extend((0..1300).flat_map(|line| format!("{line:075}=\r\n").into_bytes())),
        5 => {}
        6 => mail.extend_from_slice(b"\r\n\r\n\r\n"),
        7 => mail.extend_from_slice("Grüße aus Köln, 東京 {5}\r\n* 1 FETCH (UID 1)\r\n+OK\r\n".as_bytes()),
        8 => mail.extend_from_slice(b"From the start of a line\r\n>From\r\nends in a dot\r\n."),
        _ => mail.extend_from_slice(b"\t \r\n trailing \t\r\n"),
    }
    mail
}

/// One of so many octets, in lines as of base64, with some dots in front. Cyrus drops a second mail of one Message-Id.
pub(crate) fn large_mail(way: &str, octets: usize) -> Vec<u8> {
    let mut mail = format!("From: a@site.example\r\nTo: b@site.example\r\nSubject: large\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-Id: <large-{way}@site.example>\r\nX-Number: 1000\r\n\r\n").into_bytes();
    for line in 0..octets / 76 {
        let dot = if line % 7 == 0 { "." } else { "" };
        mail.extend_from_slice(format!("{dot}{line:074}\r\n").as_bytes());
    }
    mail
}

/// Whether a mail came back as it was sent: with a last line end, and with what servers may do to it.
pub(crate) fn is_same(came: &[u8], sent: &[u8]) -> bool {
    let mut sent = sent.to_vec();
    if !sent.ends_with(b"\r\n") {
        sent.extend_from_slice(b"\r\n");
    }
    let came = without_marks(own_part(came));
    if sent.split(|octet| *octet == b'\n').any(|line| line.len() > 999) {
        // Servers fold lines over 998 octets on delivery (RFC 5321 section 4.5.3.1.6); only the fold may differ.
        return unfolded(&came) == unfolded(&sent);
    }
    came == sent
}

fn unfolded(mail: &[u8]) -> Vec<u8> {
    mail.iter().filter(|octet| !b"\r\n ".contains(octet)).copied().collect()
}

/// The part behind the header lines that servers put in front.
pub(crate) fn own_part(mail: &[u8]) -> &[u8] {
    let start = mail.windows(FIRST_LINE.len()).position(|window| window == FIRST_LINE);
    &mail[start.expect("our first header line")..]
}

/// Without the header lines in which a store keeps its own marks: Mailutils writes its UIDL into the mail.
fn without_marks(mail: &[u8]) -> Vec<u8> {
    let end = mail.windows(4).position(|window| window == b"\r\n\r\n").expect("an end of the header") + 2;
    let (header, body) = mail.split_at(end);
    let is_mark = |line: &[u8]| {
        [b"X-UIDL:".as_slice(), b"X-IMAPbase:", b"Status:"].iter().any(|mark| line.starts_with(mark))
    };
    let kept = header.split_inclusive(|octet| *octet == b'\n').filter(|line| !is_mark(line));
    kept.flatten().chain(body).copied().collect()
}

/// The number in a mail.
pub(crate) fn number_of(mail: &[u8]) -> usize {
    let text = String::from_utf8_lossy(own_part(mail));
    text.split("X-Number: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap()
}
