use proptest::{collection::vec, prelude::*};

use super::*;

fn tidied(octets: &[u8]) -> Result<String, TidyFault> {
    let mut out = Vec::new();
    Tidy::new(200, 100).push(octets, &mut out)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

#[test]
fn capability_lists_with_double_spaces_are_mended() {
    let seen = tidied(b"* CAPABILITY IMAP4rev1  SASL-IR \r\na1 OK [CAPABILITY IMAP4rev1   IDLE] in\r\n");
    assert_eq!(seen.unwrap(), "* CAPABILITY IMAP4rev1 SASL-IR\r\na1 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n");
}

#[test]
fn untagged_lines_of_no_use_are_dropped_with_their_literals() {
    let seen =
        tidied(b"* 5 FOO bar\r\n* LIST () \"/\" {5}\r\nINBOX\r\n* XYZZY\r\n* 5 exists\r\n* \r\n").unwrap();
    assert_eq!(seen, "* 5 exists\r\n");
}

#[test]
fn a_mail_passes_untouched_even_if_it_looks_like_responses() {
    let response = b"* 1 FETCH (UID 7 BODY[] {24}\r\n* 5 FOO  bar\r\n\xff {99999} )\r\n";
    let mut out = Vec::new();
    Tidy::new(200, 100).push(response, &mut out).unwrap();
    assert_eq!(out, response);
}

#[test]
fn text_in_another_character_set_and_a_bare_plus_do_not_end_the_session() {
    assert_eq!(tidied(b"* OK Gr\xfc\xdfe  {3}\r\n+\r\n").unwrap(), "* OK Gr??e {3}\r\n+ \r\n");
}

#[test]
fn a_literal_larger_than_asked_for_is_refused_at_its_announcement() {
    let too_long = Err(TidyFault::LiteralTooLong { limit: 100 });
    assert_eq!(tidied(b"* 1 FETCH (BODY[] {1000000000}\r\n"), too_long);
    assert_eq!(tidied(b"* 1 FETCH (BODY[] {99999999999999999999999}\r\n"), too_long);
}

#[test]
fn many_small_literals_in_one_response_count_together() {
    let part = [b"{40}\r\n".as_slice(), &[b'x'; 40]].concat();
    let response = [b"* 1 FETCH (".as_slice(), &part, &part, &part].concat();
    assert_eq!(tidied(&response), Err(TidyFault::LiteralTooLong { limit: 100 }));
}

#[test]
fn an_endless_line_is_refused() {
    assert_eq!(tidied(&[b'x'; 201]), Err(TidyFault::LineTooLong { limit: 200 }));
}

proptest! {
    #[test]
    fn what_the_parser_sees_does_not_depend_on_the_cutting(
        pieces in vec(prop_oneof![
            Just(&b"* 1 FETCH (UID 3 BODY[] {4}\r\n"[..]), Just(&b"\r\n\r\n"[..]), Just(&b")\r\n"[..]),
            Just(&b"* 3 FOO {2}\r\n"[..]), Just(&b"* OK  x\xfc\r\n"[..]), Just(&b"a1 OK\r\n"[..]), Just(&b"{9}"[..]),
            Just(&b"\r"[..]), Just(&b"\n"[..]),
        ], 0..20),
        size in 1_usize..7,
    ) {
        let octets = pieces.concat();
        let mut whole = Vec::new();
        let outcome = Tidy::new(200, 100).push(&octets, &mut whole);
        let mut in_chunks = Vec::new();
        let mut tidy = Tidy::new(200, 100);
        let chunked: Result<(), TidyFault> = octets.chunks(size).try_for_each(|chunk| tidy.push(chunk, &mut in_chunks));
        prop_assert_eq!(outcome, chunked);
        prop_assert_eq!(whole, in_chunks);
    }
}
