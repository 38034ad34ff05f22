use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

/// The answer for a mail that comes in pieces of `step` octets, with the attachment read back from where it lies.
fn condensed(mail: &[u8], step: usize) -> (Large, Vec<u8>, usize) {
    let mut condenser = Condenser::new(Vec::new());
    for piece in mail.chunks(step) {
        condenser.push(piece).unwrap();
    }
    let (condensed, aside) = condenser.finish().unwrap();
    (condensed.classify(&Limits::default()), aside, condensed.mail().len())
}

/// Both ways must say the same.
#[track_caller]
fn same(mail: &[u8], step: usize) -> Classified {
    let whole = classify(mail, &Limits::default());
    let (large, aside, _) = condensed(mail, step);
    match large {
        Large::Small(small) => assert_eq!(small, whole),
        Large::Ours(place) => {
            let place = usize::try_from(place.start).unwrap()..usize::try_from(place.end).unwrap();
            assert_eq!(Classified::Ours { attachment: aside[place].to_vec() }, whole);
        }
        Large::Unclear => panic!("unclear"),
    }
    whole
}

fn attachment(octets: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    MAGIC.iter().copied().chain(noise).take(octets).collect()
}

fn lines(octets: &[u8], width: usize) -> String {
    let encoded = STANDARD.encode(octets);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join("\r\n")
}

fn mail(parts: &[String]) -> Vec<u8> {
    let mut mail = "From: center@center.example\r\nMIME-Version: 1.0\r\n\
                    Content-Type: multipart/mixed; boundary=\"cut here\"\r\n\r\n"
        .to_owned();
    for part in parts {
        mail.push_str(&format!("--cut here\r\n{part}\r\n"));
    }
    mail.push_str("--cut here--\r\n");
    mail.into_bytes()
}

fn file(octets: &[u8]) -> String {
    format!(
        "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
        lines(octets, 76)
    )
}

fn text(text: &str) -> String {
    format!("Content-Type: text/plain\r\n\r\n{text}")
}

#[test]
fn the_attachment_of_a_large_mail_goes_aside_and_little_is_left() {
    let attachment = attachment(3_000_001);
    let raw = mail(&[text("For the monitor."), file(&attachment)]);
    let (large, aside, left) = condensed(&raw, 10_007);
    assert_eq!(large, Large::Ours(0..3_000_001));
    assert_eq!(aside, attachment);
    assert!(left < 80_000, "{left} octets are left");
    assert!(matches!(same(&raw, 1_000_000), Classified::Ours { .. }));
}

#[test]
fn an_attachment_that_is_not_ours_is_not_even_written() {
    let mut foreign = attachment(500_000);
    foreign[0] = b'Z';
    let raw = mail(&[file(&foreign)]);
    let (large, aside, left) = condensed(&raw, 4_096);
    assert_eq!(large, Large::Small(Classified::Junk(JunkReason::Foreign)));
    assert!(aside.is_empty() && left < 80_000);
}

#[test]
fn ours_is_found_between_others_and_however_its_lines_were_cut() {
    let ours = attachment(300_000);
    let encoded = STANDARD.encode(&ours);
    for width in [4, 64, 75, 76, 77, 998, 5_000, encoded.len()] {
        let part = format!(
            "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
            lines(&ours, width)
        );
        let raw = mail(&[file(&vec![1; 200_000]), part, file(&vec![2; 200_000])]);
        let (large, aside, _) = condensed(&raw, 8_191);
        assert_eq!(large, Large::Ours(0..300_000), "lines of {width}");
        assert_eq!(aside, ours);
        same(&raw, 8_191);
    }
}

#[test]
fn a_report_of_non_delivery_that_quotes_a_large_mail_is_still_one() {
    let quoted = mail(&[file(&attachment(400_000))]);
    let raw = format!(
        "From: mailer-daemon@site.example\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n\
         Final-Recipient: rfc822; agent@site.example\r\nAction: failed\r\nStatus: 5.3.4\r\n\r\n\
         --b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <{}.1@center.example>\r\n{}\r\n--b--\r\n",
        "ab".repeat(16),
        String::from_utf8(quoted).unwrap()
    );
    let Classified::Returned(bounce) = same(raw.as_bytes(), 1_000) else { panic!() };
    assert_eq!(bounce.messages.len(), 1);
}

#[test]
fn a_mail_that_is_cut_or_damaged_is_no_more_ours_than_it_would_be_whole() {
    let raw = mail(&[file(&attachment(300_000))]);
    assert!(!matches!(same(&raw[..raw.len() - 20], 977), Classified::Ours { .. }));
    assert!(!matches!(same(&raw[..200_000], 977), Classified::Ours { .. }));
    let mut damaged = raw.clone();
    damaged[250_000] = b'!';
    assert!(!matches!(same(&damaged, 977), Classified::Ours { .. }));
}

#[test]
fn a_small_message_beside_a_large_file_of_somebody_else_is_ours_and_whole() {
    let mut foreign = attachment(500_000);
    foreign[0] = b'Z';
    let raw = mail(&[file(&attachment(900)), file(&foreign)]);
    assert_eq!(same(&raw, 2_000), Classified::Ours { attachment: attachment(900) });
}

#[test]
fn what_stands_in_headers_is_never_taken_out() {
    let folded = lines(&attachment(200_000), 76).replace("\r\n", "\r\n ");
    let raw = [
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\nX-Long: ".to_vec(),
        folded.into_bytes(),
        b"\r\n\r\n".to_vec(),
        lines(&attachment(300_000), 76).into_bytes(),
    ]
    .concat();
    assert!(matches!(same(&raw, 3_000), Classified::Ours { .. }));
}

#[test]
fn a_mail_of_text_without_end_stays_small_and_is_called_unclear() {
    let mut condenser = Condenser::with_bound(Vec::new(), 100_000);
    condenser.push(b"Subject: x\r\n\r\n").unwrap();
    for _ in 0..10_000 {
        condenser.push(b"A sentence, which is none of ours.\r\n").unwrap();
    }
    let (condensed, aside) = condenser.finish().unwrap();
    assert_eq!(condensed.classify(&Limits::default()), Large::Unclear);
    assert!(condensed.mail().len() <= 100_000 && aside.is_empty());
    assert_eq!(condensed.octets(), 14 + 360_000);
}

#[test]
fn a_mail_beyond_the_limit_is_too_large_whatever_is_in_it() {
    let raw = mail(&[file(&attachment(300_000))]);
    let mut condenser = Condenser::new(io::sink());
    condenser.push(&raw).unwrap();
    let (condensed, _) = condenser.finish().unwrap();
    let limits = Limits { mail_octets: 100_000, ..Limits::default() };
    assert_eq!(condensed.classify(&limits), Large::Small(Classified::Junk(JunkReason::TooLarge)));
    assert_eq!(classify(&raw, &limits), Classified::Junk(JunkReason::TooLarge));
}

#[test]
fn a_full_disk_is_told_at_the_write_that_fails() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let raw = mail(&[file(&attachment(300_000))]);
    let error = Condenser::new(Full).push(&raw).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

/// Pieces of mails, honest and hostile, long enough that runs are taken out.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let run = |width: usize| {
        (60_000usize..140_000, any::<bool>()).prop_map(move |(octets, ours)| {
            let mut octets = attachment(octets);
            octets[0] = if ours { b'M' } else { b'Q' };
            lines(&octets, width).into_bytes()
        })
    };
    prop_oneof![
        4 => prop_oneof![run(76), run(4), run(90_000)],
        2 => Just(b"\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_vec()),
        1 => Just(b"\r\n--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_vec()),
        1 => Just(b"\r\n--b\r\n\r\nhello\r\n".to_vec()),
        1 => Just(b"\r\n--b--\r\n".to_vec()),
        1 => Just(b"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\nContent-Type: application/zip\r\n\r\n".to_vec()),
        1 => Just(b"==\r\n".to_vec()),
        1 => Just(b"\r\n\r\n".to_vec()),
        1 => Just(b" \t\r\n".to_vec()),
        1 => Just(b"-".to_vec()),
        1 => Just(b"Message-ID: <abababababababababababababababab.1@x>\r\n".to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Where the large way gives an answer, it is the one of the whole mail; the attachment, too, octet for octet.
    #[test]
    fn a_mail_read_in_pieces_is_what_it_is_read_whole(
        top in prop_oneof![
            Just("Content-Type: multipart/mixed; boundary=b\r\n\r\n"),
            Just("Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"),
            Just("From: postmaster@x\r\nAuto-Submitted: auto-replied\r\n\r\n"),
            Just("Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n"),
        ],
        pieces in proptest::collection::vec(piece(), 1..7),
        step in 1_000usize..70_000,
    ) {
        let raw = [top.as_bytes().to_vec(), pieces.concat()].concat();
        let whole = classify(&raw, &Limits::default());
        let (large, aside, _) = condensed(&raw, step);
        match large {
            Large::Small(small) => prop_assert_eq!(small, whole),
            Large::Ours(place) => {
                let place = usize::try_from(place.start).unwrap()..usize::try_from(place.end).unwrap();
                prop_assert_eq!(Classified::Ours { attachment: aside[place].to_vec() }, whole);
            }
            // Then the whole mail is read, if it is not beyond all bounds.
            Large::Unclear => {}
        }
    }

    #[test]
    fn where_a_mail_is_cut_into_pieces_changes_nothing(step in 1usize..5_000) {
        let raw = mail(&[text("hello"), file(&attachment(70_000)), text("bye")]);
        let (one, other) = (condensed(&raw, raw.len()), condensed(&raw, step));
        prop_assert_eq!(one, other);
    }

    #[test]
    fn letters_are_decoded_as_in_a_small_mail(text in "[A-Za-z0-9+/=\r\n ]{0,200}") {
        let raw = format!("Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\nTUZFMQAA{text}");
        let Classified::Ours { attachment } = classify(raw.as_bytes(), &Limits::default()) else {
            return Err(TestCaseError::fail("not ours"));
        };
        let mut decoded = Vec::new();
        Decoder::default().push(format!("TUZFMQAA{text}").as_bytes(), &mut decoded);
        prop_assert_eq!(decoded, attachment);
    }
}
