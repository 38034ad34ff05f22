#![expect(clippy::cast_possible_truncation, reason = "lengths of samples are small")]

use super::*;
use proptest::prelude::*;

fn sample(octets: usize) -> Vec<u8> {
    (0..octets).map(|place| (place * 89 % 251) as u8).collect()
}

fn read_one(text: &str) -> Result<Vec<u8>, ArmourError> {
    let mut found = read(text.as_bytes());
    assert_eq!(found.len(), 1, "one message in {text}");
    found.remove(0)
}

#[test]
fn lines_are_ascii_short_and_as_long_as_promised() {
    for octets in [0, 1, 38, 39, 40, 1000] {
        let text = write(&sample(octets));
        assert!(text.is_ascii() && text.split("\r\n").all(|line| line.len() <= 64));
        assert!(text.len() <= armoured_octets(octets) && armoured_octets(octets) - text.len() < 256);
        assert_eq!(read_one(&text), Ok(sample(octets)));
    }
}

#[test]
fn what_fits_into_a_text_is_not_longer_than_it() {
    for text in [0, 100, 300, 1_000, 100_000] {
        let most = plain_octets_max(text);
        assert!(most == 0 || write(&sample(most)).len() <= text, "{text}");
    }
}

#[test]
fn quoted_indented_joined_broken_and_doubled_lines_are_read() {
    let text = write(&sample(500));
    let lines = || text.lines();
    let quoted: String = lines().map(|line| format!("> > {line}  \n")).collect();
    let joined = lines().collect::<Vec<_>>().join(" ");
    let broken: String = text
        .as_bytes()
        .chunks(50)
        .map(|piece| format!("{}\n", std::str::from_utf8(piece).unwrap().trim()))
        .collect();
    let doubled: String = lines().map(|line| format!("{line}\n\n{line}\n")).collect();
    let reversed = lines().rev().collect::<Vec<_>>().join("\n");
    for changed in [quoted, joined, broken, doubled, reversed] {
        assert_eq!(read_one(&changed), Ok(sample(500)), "{changed}");
    }
}

#[test]
fn html_and_quoted_printable_that_nobody_decoded_are_read() {
    let text = write(&sample(300));
    let html: String = text
        .lines()
        .map(|line| {
            format!(
                "<span style=\"x:y;\">{}</span><br>\r\n",
                line.replace(':', "&#58;").replace('/', "&#x2F;")
            )
        })
        .collect();
    let printable: String =
        text.lines().map(|line| format!("{}=\r\n\r\n", line.replace(':', "=3A"))).collect();
    assert_eq!(read_one(&html), Ok(sample(300)));
    assert_eq!(read_one(&printable), Ok(sample(300)));
}

#[test]
fn text_of_others_around_and_between_the_lines_does_no_harm() {
    let text = write(&sample(200)).replace(";\r\n", ";\r\nNote: this mail was scanned; see policy: 12.\r\n");
    assert_eq!(
        read_one(&format!("Warning: external sender;\r\n{text}\r\nKind regards: us;")),
        Ok(sample(200))
    );
}

#[test]
fn a_damaged_line_is_named_and_nothing_of_the_message_is_given_out() {
    let text = write(&sample(200));
    let lines: Vec<&str> = text.lines().collect();
    let mut changed: Vec<String> = lines.iter().map(ToString::to_string).collect();
    changed[4] = changed[4].replacen(|c: char| c.is_ascii_lowercase(), "0", 1);
    let error = read_one(&changed.join("\n")).unwrap_err();
    assert_eq!(error, ArmourError::Incomplete { missing: 1, of: 6, named: vec![3] });
    assert_eq!(error.to_string(), "1 of 6 armoured lines are missing or damaged: 3");
    // A second copy of the text, damaged elsewhere, completes it.
    let other = lines.iter().enumerate().filter(|(nth, _)| *nth != 5).map(|(_, line)| *line);
    let both = format!("{}\n{}", changed.join("\n"), other.collect::<Vec<_>>().join("\n"));
    assert_eq!(read_one(&both), Ok(sample(200)));
}

#[test]
fn a_text_that_ends_early_or_begins_late_says_what_is_missing() {
    let text = write(&sample(2_000));
    assert!(matches!(
        read_one(&text[..text.len() / 2]),
        Err(ArmourError::Incomplete { missing: 27, of: 52, .. })
    ));
    assert_eq!(read_one(&text[200..]), Err(ArmourError::Headless { lines: 50 }));
}

#[test]
fn two_messages_in_one_text_are_both_read() {
    let text = format!("{}{}", write(&sample(100)), write(&sample(70)));
    assert_eq!(read(text.as_bytes()), [Ok(sample(100)), Ok(sample(70))]);
}

#[test]
fn the_check_is_the_one_of_the_standard() {
    // RFC 9580, 6.1: the CRC-24 of "123456789".
    assert_eq!(crc24(b"123", b"456789"), 0x21_CF02);
}

proptest! {
    #[test]
    fn any_octets_come_back(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        let found = read(write(&octets).as_bytes());
        prop_assert_eq!(found, vec![Ok(octets)]);
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in proptest::collection::vec(any::<u8>(), 0..2000)) {
        for octets in read(&text).into_iter().flatten() {
            prop_assert!(octets.len() <= text.len());
        }
    }

    #[test]
    fn a_changed_character_never_gives_other_octets(place in 0usize..700, character in any::<u8>()) {
        let mut text = write(&sample(300)).into_bytes();
        let place = place % text.len();
        text[place] = character;
        for octets in read(&text).into_iter().flatten() {
            prop_assert_eq!(octets, sample(300));
        }
    }
}
