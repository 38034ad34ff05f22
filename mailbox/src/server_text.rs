//! Text that a server sent, made fit for an error message or a log line.

/// Longest server text that is passed on, in characters.
pub(crate) const SERVER_TEXT_MAX: usize = 200;

/// Cuts to [`SERVER_TEXT_MAX`] characters, turns control characters into spaces and bytes that are not UTF-8 into `?`.
pub(crate) fn clean(octets: &[u8]) -> String {
    // Four octets hold one character at most; cutting first keeps a long line cheap.
    let head = octets.get(..SERVER_TEXT_MAX * 4).unwrap_or(octets);
    let text = String::from_utf8_lossy(head);
    let mut chars = text.trim().chars().map(|c| match c {
        '\u{fffd}' => '?',
        // Bidirectional overrides and the like could turn a log line around.
        c if c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
        {
            ' '
        }
        c => c,
    });
    let mut cleaned: String = chars.by_ref().take(SERVER_TEXT_MAX).collect();
    if chars.next().is_some() {
        cleaned.push('…');
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_and_control_characters_become_spaces() {
        let cleaned = clean(format!("no\x1b[2J {}", "x".repeat(5000)).as_bytes());
        assert!(cleaned.starts_with("no [2J x"));
        assert_eq!(cleaned.chars().count(), SERVER_TEXT_MAX + 1);
    }

    #[test]
    fn octets_that_are_not_text_do_no_harm() {
        assert_eq!(clean(b"\xff\xfe ok \xc3\xbc"), "?? ok ü");
    }
}
