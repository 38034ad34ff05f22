use proptest::{collection::vec, prelude::*};

use super::*;

const CAPS: Caps = Caps { line_octets_max: 4096, mail_octets_max: 1 << 20 };

/// Octets as mails have them, with many of the ones that matter here.
fn nasty_octets() -> impl Strategy<Value = Vec<u8>> {
    let octet =
        prop_oneof![4 => Just(b'.'), 4 => Just(b'\r'), 4 => Just(b'\n'), 2 => Just(b'a'), 1 => any::<u8>()];
    let piece = prop_oneof![
        3 => vec(octet, 0..12),
        1 => Just(b"\r\n.\r\n".to_vec()),
        1 => Just(b"\n.\n".to_vec()),
        1 => Just(b"\r\n..\r\n".to_vec()),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A mail as a server holds it: any octets, ended by CRLF (an empty one has none).
fn stored_mail() -> impl Strategy<Value = Vec<u8>> {
    nasty_octets().prop_map(|mut mail| {
        if !mail.is_empty() && !mail.ends_with(b"\r\n") {
            mail.extend_from_slice(b"\r\n");
        }
        mail
    })
}

/// What a server does with it (RFC 1939 section 3), written the slow and plain way.
fn sent(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut line_starts = true;
    for (at, octet) in mail.iter().enumerate() {
        if line_starts && *octet == b'.' {
            out.push(b'.');
        }
        out.push(*octet);
        line_starts = *octet == b'\n' && at > 0 && mail[at - 1] == b'\r';
    }
    out.extend_from_slice(b".\r\n");
    out
}

fn cut<'a>(octets: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = octets;
    let mut chunks = Vec::new();
    for size in sizes {
        let (chunk, after) = rest.split_at((*size).min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    chunks.push(rest);
    chunks
}

proptest! {
    #[test]
    fn mails_come_back_byte_for_byte_however_the_octets_are_cut(
        mails in vec(stored_mail(), 0..4),
        sizes in vec(0_usize..9, 0..60),
    ) {
        let stream: Vec<u8> = mails.iter().flat_map(|mail| sent(mail)).collect();
        prop_assert_eq!(read_mails(cut(&stream, &sizes), CAPS), Ok(mails));
    }

    #[test]
    fn whatever_a_server_sends_the_cutting_changes_nothing(
        octets in nasty_octets(),
        sizes in vec(0_usize..9, 0..60),
        line_octets_max in 1_usize..40,
        mail_octets_max in 0_u64..60,
    ) {
        let caps = Caps { line_octets_max, mail_octets_max };
        let whole = read_mails([octets.as_slice()], caps);
        let in_chunks = read_mails(cut(&octets, &sizes), caps);
        prop_assert_eq!(whole.is_ok(), in_chunks.is_ok());
        if let (Ok(whole), Ok(in_chunks)) = (whole, in_chunks) {
            prop_assert_eq!(&whole, &in_chunks);
            for mail in &whole {
                prop_assert!(mail.len() as u64 <= mail_octets_max);
                prop_assert!(mail.split_inclusive(|b| *b == b'\n').all(|line| line.len() <= line_octets_max));
            }
        }
    }

    #[test]
    fn reply_lines_are_the_same_however_the_octets_are_cut(
        lines in vec("[ -~]{0,30}", 0..5),
        sizes in vec(0_usize..9, 0..60),
    ) {
        let stream: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\r\n").into_bytes()).collect();
        let mut reader = Reader::default();
        let mut taken = Vec::new();
        for chunk in cut(&stream, &sizes) {
            reader.feed(chunk);
            while let Some(line) = reader.take_line(64).unwrap() {
                taken.push(String::from_utf8(line).unwrap());
            }
        }
        prop_assert_eq!(taken, lines);
        prop_assert!(reader.is_empty());
    }
}

#[test]
fn a_bare_line_feed_never_ends_a_mail_early() {
    let mail = b"Subject: x\r\n\r\nbefore\n.\nafter\n.\r\nstill\r\n".to_vec();
    assert_eq!(read_mails([sent(&mail).as_slice()], CAPS), Ok(vec![mail]));
}

#[test]
fn an_endless_line_is_given_up_at_the_cap_and_not_kept() {
    let mut reader = Reader::default();
    let mut fed = 0;
    let fault = loop {
        reader.feed(&[b'x'; 100]);
        fed += 100;
        match reader.take_mail(&mut Vec::new(), Caps { line_octets_max: 1000, mail_octets_max: 1 << 30 }) {
            Ok(done) => assert!(!done && fed <= 1000),
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault, ReadFault::LineTooLong { limit: 1000 });
    let mut reader = Reader::default();
    reader.feed(&[b'x'; 1001]);
    assert_eq!(reader.take_line(1000), Err(ReadFault::LineTooLong { limit: 1000 }));
}

#[test]
fn an_endless_mail_is_given_up_at_the_cap() {
    let caps = Caps { line_octets_max: 100, mail_octets_max: 10_000 };
    let line = [&[b'x'; 60][..], b"\r\n"].concat();
    let fault = read_mails(std::iter::repeat_n(line.as_slice(), 1_000_000), caps);
    assert_eq!(fault, Err(ReadFault::MailTooLong { limit: 10_000 }));
}

#[test]
fn the_buffer_does_not_grow_with_what_was_taken_out() {
    let mut reader = Reader::default();
    let mut mail = Vec::new();
    for _ in 0..10_000 {
        reader.feed(b"a line of forty octets, more or less....\r\n");
        assert!(!reader.take_mail(&mut mail, CAPS).unwrap());
    }
    assert!(reader.buffer.capacity() < 4 * READ_OCTETS, "{}", reader.buffer.capacity());
}
