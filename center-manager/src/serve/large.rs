//! One large mail: condensed while it is fetched. A message of an appliance is small, so of the attachment only as much is
//! kept as an envelope can have; what follows it nobody here reads.

use super::reading::Trouble;
use super::{Daemon, Pass};
use crate::intake::judge_large;
use crate::system::now;
use mailbox::{FetchError, FetchSession, Item, Retrieved};
use mailfmt::mail::{Condenser, Large};
use std::io::{self, Write};

/// Mails above this, in octets as announced, are read this way. Below, the whole mail in memory is the smaller burden.
const LARGE_OCTETS: u64 = 4 << 20;

/// Largest mail, in octets, that is read whole where the condensed mail does not tell what it is.
const WHOLE_OCTETS_MAX: u64 = 12 << 20;

/// Whether a mail is read this way. One above `octets_max` is not read at all.
pub(super) fn is_large(item: &Item, octets_max: u64) -> bool {
    (LARGE_OCTETS + 1..=octets_max).contains(&item.size_octets)
}

/// Keeps the beginning of what is written, and forgets the rest.
struct Beginning {
    octets: Vec<u8>,
    octets_max: usize,
}

impl Write for Beginning {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let room = self.octets_max.saturating_sub(self.octets.len());
        self.octets.extend_from_slice(octets.get(..room).unwrap_or(octets));
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Daemon {
    /// Reads, judges and files one large mail; answers whether it may be deleted now.
    pub(super) async fn take_large(
        &mut self,
        session: &mut FetchSession,
        item: &Item,
        pass: &mut Pass,
    ) -> Result<Vec<Item>, Trouble> {
        let limits = self.settings.wire_limits();
        let octets_max = mailfmt::envelope::octets_max(&limits);
        let mut condenser = Condenser::new(Beginning { octets: Vec::new(), octets_max });
        match session.retrieve_into(item, &mut |octets| condenser.push(octets)).await {
            Ok(_) => {}
            Err(FetchError::Gone { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
        let finished = condenser.finish().map_err(FetchError::Sink)?;
        let (condensed, beginning) = finished;
        let verdict = match condensed.classify(&limits) {
            Large::Unclear => None,
            large => {
                Some(judge_large(&large, &condensed, &beginning.octets, &self.keys.incoming, &limits, now()))
            }
        };
        drop((condensed, beginning));
        match verdict {
            Some(verdict) => {
                self.file(&[verdict], pass).map_err(Trouble::Own)?;
                Ok(vec![item.clone()])
            }
            None if item.size_octets <= WHOLE_OCTETS_MAX => {
                let batch = session.retrieve_batch(std::slice::from_ref(item)).await?;
                self.file_batch(batch, pass).map_err(Trouble::Own)
            }
            // All of it would have to be held to find out, and no mail of ours looks like this.
            None => self.file_batch(vec![(item.clone(), Retrieved::TooLarge)], pass).map_err(Trouble::Own),
        }
    }
}

/// What a large mail is, for tests and for whoever has it in pieces.
#[cfg(test)]
fn verdict_of(
    raw: &[u8],
    keyring: &crate::intake::Keyring,
    limits: &mailfmt::Limits,
    at: jiff::Timestamp,
) -> Option<crate::intake::Verdict> {
    let octets_max = mailfmt::envelope::octets_max(limits);
    let mut condenser = Condenser::new(Beginning { octets: Vec::new(), octets_max });
    raw.chunks(9_999).for_each(|piece| condenser.push(piece).unwrap());
    let (condensed, beginning) = condenser.finish().unwrap();
    match condensed.classify(limits) {
        Large::Unclear => None,
        large => Some(judge_large(&large, &condensed, &beginning.octets, keyring, limits, at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::{Discard, Keyring, Verdict, judge};
    use jiff::{SignedDuration, Timestamp};
    use mailfmt::crypto::{Credential, Direction};
    use mailfmt::envelope::{Addressee, Header, seal};
    use mailfmt::mail::{JunkReason, Letter, compose};
    use mailfmt::message::report::RefusedReport;
    use mailfmt::{AgentId, CenterId, Limits, Message, MessageId, Report};

    fn now() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    fn noise(octets: usize) -> Vec<u8> {
        let mut state = 7_u32;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .take(octets)
        .collect()
    }

    /// A report with so much behind its envelope.
    fn mail(behind: usize) -> (Vec<u8>, Keyring) {
        let (agent, center) = (AgentId::new("AGENT0000001").unwrap(), CenterId::new("CENTER").unwrap());
        let credential = Credential::from_bytes([7; 32]);
        let key = credential.channel(Direction::ToCenter, &agent, &center);
        let refused = RefusedReport { kind: "dance".into(), reason: "no legs".into() };
        let message = Message::Report(Report::Refused(refused));
        let expires = now().saturating_add(SignedDuration::from_hours(1)).unwrap();
        let header =
            Header::new(&message, agent.clone().into(), MessageId::from_bytes([3; 16]), now(), expires);
        let mut random = |buffer: &mut [u8]| buffer.fill(3);
        let addressee = Addressee { key: &key, sequence: 1 };
        let mut attachment = seal(&header, &message, &[addressee], &mut random).unwrap();
        attachment.extend(noise(behind));
        let letter = Letter {
            from: "agent@site.example",
            to: Some("center@center.example"),
            header: &header,
            sending: 1,
            date: now(),
        };
        (compose(&letter, &attachment), Keyring::new(&center, &[(agent, credential)]))
    }

    #[test]
    fn a_large_mail_is_judged_in_pieces_as_it_would_be_whole() {
        let limits = Limits::default();
        for behind in [200_000, 20_000_000] {
            let (raw, keyring) = mail(behind);
            let whole = judge(&raw, &keyring, &limits, now());
            assert!(matches!(whole, Verdict::Report(_)), "{whole:?}");
            assert_eq!(verdict_of(&raw, &keyring, &limits, now()), Some(whole));
            let (_, stranger) = mail(0);
            let mut damaged = raw.clone();
            damaged[4_000] = if damaged[4_000] == b'A' { b'B' } else { b'A' };
            let whole = judge(&damaged, &stranger, &limits, now());
            assert_eq!(verdict_of(&damaged, &stranger, &limits, now()), Some(whole));
        }
    }

    #[test]
    fn large_junk_is_junk_and_too_large_is_too_large() {
        let (_, keyring) = mail(0);
        let limits = Limits::default();
        let junk = [
            b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_vec(),
            noise(9_000_000).iter().map(|octet| b'A' + octet % 26).collect(),
        ]
        .concat();
        let foreign = Some(Verdict::Discarded(Discard::Junk(JunkReason::Foreign)));
        assert_eq!(verdict_of(&junk, &keyring, &limits, now()), foreign);
        let small = Limits { mail_octets: 1_000_000, ..Limits::default() };
        let large = Some(Verdict::Discarded(Discard::Junk(JunkReason::TooLarge)));
        assert_eq!(verdict_of(&junk, &keyring, &small, now()), large);
    }
}
