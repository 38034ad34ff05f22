//! What a server said until the end of its reply to EHLO, kept beside the library, which forgets most of that reply. Asking
//! once more is no way: OpenSMTPD answers a second EHLO with 503.

use std::sync::{Arc, Mutex, PoisonError};

/// More than any reply to EHLO has; what comes later is not kept.
const OCTETS_MAX: usize = 32 << 10;

/// Shared by the stream, which writes, and the connection, which takes it once.
#[derive(Debug, Clone)]
pub(super) struct Heard(Arc<Mutex<Option<Vec<u8>>>>);

impl Heard {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(Vec::new()))))
    }

    /// Keeps octets that were read, unless enough was heard or nobody listens any more.
    pub(super) fn add(&self, octets: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_mut() {
            let part = octets.len().min(OCTETS_MAX.saturating_sub(kept.len()));
            kept.extend_from_slice(&octets[..part]);
        }
    }

    /// Ends the listening; gives the lines of the last reply that was heard to its end, without their codes.
    pub(super) fn last_reply(&self) -> Vec<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        last_reply(&String::from_utf8_lossy(&kept))
    }
}

/// The lines of the last whole reply (RFC 5321 section 4.2.1): the last one of a reply has no `-` behind its code.
fn last_reply(text: &str) -> Vec<String> {
    let (mut last, mut lines) = (Vec::new(), Vec::new());
    for line in text.split_inclusive('\n') {
        let Some(line) = line.strip_suffix('\n') else { break };
        let line = line.trim_end_matches('\r');
        lines.push(line.get(4..).unwrap_or_default().to_owned());
        if line.as_bytes().get(3) != Some(&b'-') {
            last = std::mem::take(&mut lines);
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_reply_is_what_counts() {
        let greeting = "220-one\r\n220 two ESMTP\r\n";
        let ehlo = "250-host\r\n250-SIZE 1000\r\n250 HELP\r\n";
        assert_eq!(last_reply(&format!("{greeting}{ehlo}")), ["host", "SIZE 1000", "HELP"]);
        assert_eq!(last_reply(&format!("{greeting}{ehlo}250-cut")), ["host", "SIZE 1000", "HELP"]);
        assert_eq!(last_reply("250\n"), [""]);
        assert_eq!(last_reply("250-never ends\r\n"), Vec::<String>::new());
    }

    #[test]
    fn an_endless_reply_is_kept_up_to_a_limit_and_only_once() {
        let heard = Heard::new();
        heard.add(b"250 host\r\n");
        for _ in 0..OCTETS_MAX {
            heard.add(b"250-more\r\n");
        }
        assert_eq!(heard.0.lock().unwrap().as_ref().map(Vec::len), Some(OCTETS_MAX));
        assert_eq!(heard.last_reply(), ["host"]);
        heard.add(b"250 later\r\n");
        assert!(heard.last_reply().is_empty());
    }
}
