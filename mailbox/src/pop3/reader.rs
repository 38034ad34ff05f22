//! Octets in any chunks become reply lines and dot-terminated mails. Pure: no socket, no clock.
//!
//! A mail line ends with CRLF and with nothing else: if a bare LF counted, a mail that holds `LF . LF` could end early
//! and have its rest read as replies of the server. Reply lines are taken with a bare LF too.

use std::io::BufRead as _;

/// Room for one read from the socket.
const READ_OCTETS: usize = 64 << 10;

/// A cap was exceeded. The connection is of no use afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadFault {
    /// A line without end, or just too long.
    #[error("a line of more than {limit} octets")]
    LineTooLong {
        /// The cap.
        limit: usize,
    },
    /// More mail than allowed, or than was announced.
    #[error("a mail of more than {limit} octets")]
    MailTooLong {
        /// The cap.
        limit: u64,
    },
}

/// Caps of one mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Longest line, in octets with CRLF.
    pub line_octets_max: usize,
    /// Largest mail, in octets after dot-unstuffing.
    pub mail_octets_max: u64,
}

/// What has come in and is not yet taken out.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: Vec<u8>,
    /// Everything before this is taken out.
    start: usize,
    /// Between `start` and this there is no end of line; kept so that no octet is searched twice.
    searched: usize,
}

impl Reader {
    /// Adds what came in.
    pub fn feed(&mut self, octets: &[u8]) {
        self.room().extend_from_slice(octets);
    }

    /// The buffer to append to, with free capacity for one read.
    pub fn room(&mut self) -> &mut Vec<u8> {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            (self.start, self.searched) = (0, 0);
        } else if self.start >= READ_OCTETS {
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        self.buffer.reserve(READ_OCTETS);
        &mut self.buffer
    }

    /// True when everything that came in has been taken out.
    pub fn is_empty(&self) -> bool {
        self.start == self.buffer.len()
    }

    /// The next line without its end, if it is complete.
    ///
    /// # Errors
    /// [`ReadFault::LineTooLong`] for a line of more than `max` octets with its end, complete or not.
    pub fn take_line(&mut self, max: usize) -> Result<Option<Vec<u8>>, ReadFault> {
        let Some(end) = self.next_line_feed() else {
            return self.check_line(self.buffer.len(), max).map(|()| None);
        };
        self.check_line(end, max)?;
        let line = &self.buffer[self.start..end - 1];
        let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        (self.start, self.searched) = (end, end);
        Ok(Some(line))
    }

    /// Moves complete lines into `mail`, dots unstuffed (RFC 1939 section 3); true at the final dot.
    ///
    /// # Errors
    /// [`ReadFault`] when a cap is exceeded, wherever the chunks were cut.
    pub fn take_mail(&mut self, mail: &mut Vec<u8>, caps: Caps) -> Result<bool, ReadFault> {
        // Everything from `run` to `start` is wanted as it is; it is copied in one go at the next stuffed dot.
        let mut run = self.start;
        loop {
            let Some(end) = self.next_line_feed() else {
                self.check_line(self.buffer.len(), caps.line_octets_max)?;
                append(mail, &self.buffer[run..self.start], caps)?;
                return Ok(false);
            };
            if end - self.start < 2 || self.buffer[end - 2] != b'\r' {
                self.searched = end;
                continue;
            }
            self.check_line(end, caps.line_octets_max)?;
            let from = self.start;
            (self.start, self.searched) = (end, end);
            if self.buffer[from] == b'.' {
                append(mail, &self.buffer[run..from], caps)?;
                if end - from == 3 {
                    return Ok(true);
                }
                run = from + 1;
            }
        }
    }

    /// Position after the next LF. Searched with the standard library's own fast search.
    fn next_line_feed(&mut self) -> Option<usize> {
        let mut rest = &self.buffer[self.searched..];
        let passed = rest.skip_until(b'\n').unwrap_or(0);
        self.searched += passed;
        (passed > 0 && self.buffer[self.searched - 1] == b'\n').then_some(self.searched)
    }

    fn check_line(&self, end: usize, max: usize) -> Result<(), ReadFault> {
        if end - self.start > max { Err(ReadFault::LineTooLong { limit: max }) } else { Ok(()) }
    }
}

fn append(mail: &mut Vec<u8>, octets: &[u8], caps: Caps) -> Result<(), ReadFault> {
    if (mail.len() + octets.len()) as u64 > caps.mail_octets_max {
        return Err(ReadFault::MailTooLong { limit: caps.mail_octets_max });
    }
    mail.extend_from_slice(octets);
    Ok(())
}

/// Reads all whole mails that stand one after the other in `chunks`.
///
/// For fuzzing and tests: the outcome must not depend on where the chunks are cut.
///
/// # Errors
/// The first [`ReadFault`].
pub fn read_mails<'a>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
    caps: Caps,
) -> Result<Vec<Vec<u8>>, ReadFault> {
    let mut reader = Reader::default();
    let (mut mails, mut mail) = (Vec::new(), Vec::new());
    for chunk in chunks {
        reader.feed(chunk);
        while reader.take_mail(&mut mail, caps)? {
            mails.push(std::mem::take(&mut mail));
        }
    }
    Ok(mails)
}

#[cfg(test)]
mod tests;
