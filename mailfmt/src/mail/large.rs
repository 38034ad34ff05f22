//! A large mail, read without ever holding it: what is left of it is small, and [`classify`] judges that.
//!
//! Almost all of a large mail is the base64 of its attachments. The [`Condenser`] is fed the mail as it comes from the
//! line. It keeps everything but the long runs of base64; of each run only the beginning stays, and where that begins like
//! an attachment of ours, the run is decoded into a file as it passes. So there is one judgement only: structure, headers,
//! quoted ids and the first octets of every attachment are all in the small mail, and what holds for a small mail holds
//! for a large one.
//!
//! ```text
//! mail as fetched                    condensed                  aside
//! headers                            headers
//! --boundary, its headers            --boundary, its headers
//! base64, 35 MB                      base64, the first 64 KiB   decoded, 26 MB
//! --boundary--                       --boundary--
//! ```

use super::classify::{Classified, JunkReason, classify};
use crate::envelope::MAGIC;
use crate::limits::Limits;
use std::io::{self, Write};
use std::ops::Range;

/// Letters of base64 that stay of each run; a multiple of four, so that what stays can be decoded by itself. Of the text
/// of a bounce, which may be base64 as well, this is more than anyone looks at.
const KEPT_LETTERS: usize = 64 << 10;

/// What a condensed mail may have, in octets. Attachments in base64 leave a few hundred KiB of a mail; one that leaves
/// more is no mail of ours.
pub const CONDENSED_MAX: usize = 8 << 20;

/// A line, or a piece of a longer one, that is looked at in one go.
const LINE_MAX: usize = 4 << 10;

/// Takes a mail in pieces of any size. `W` gets the attachments that begin like ours, decoded, one behind the other.
#[derive(Debug)]
pub struct Condenser<W> {
    aside: W,
    kept: Vec<u8>,
    kept_max: usize,
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The pieces of this line that were longer than [`LINE_MAX`] were all letters.
    run_in_line: bool,
    /// Between a line that may be a boundary and the empty line behind it there are headers.
    in_header: bool,
    run: Option<Run>,
    asides: Vec<Aside>,
    /// Where in `kept` something was taken out.
    gaps: Vec<usize>,
    written: u64,
    octets: u64,
    cut: bool,
}

/// One run of lines that are nothing but base64.
#[derive(Debug)]
struct Run {
    decoder: Decoder,
    letters: usize,
    /// Decoded octets, as long as the run may still be short.
    head: Vec<u8>,
    state: RunState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RunState {
    /// All of it stays in the mail.
    Kept,
    /// It is longer than what stays, and not ours.
    Dropped,
    /// It is longer than what stays, and goes into the file from this place on.
    Aside(u64),
}

/// A run that went into the file.
#[derive(Debug, Clone)]
struct Aside {
    /// What the condensed mail has of it, decoded.
    head: Vec<u8>,
    place: Range<u64>,
}

/// What is left of a large mail.
#[derive(Debug)]
pub struct Condensed {
    mail: Vec<u8>,
    asides: Vec<Aside>,
    gaps: Vec<usize>,
    octets: u64,
    cut: bool,
}

/// What a large mail is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Large {
    /// Its attachment lies in the file that the [`Condenser`] wrote, at this place.
    Ours(Range<u64>),
    /// What [`classify`] would say of the whole mail.
    Small(Classified),
    /// It holds more besides base64 than is kept, or its attachment came in another encoding: only the whole mail can tell.
    Unclear,
}

impl<W: Write> Condenser<W> {
    /// `aside` is written from its current place on; [`Large::Ours`] counts from there.
    pub fn new(aside: W) -> Self {
        Self::with_bound(aside, CONDENSED_MAX)
    }

    fn with_bound(aside: W, kept_max: usize) -> Self {
        Self {
            aside,
            kept: Vec::new(),
            kept_max,
            line: Vec::with_capacity(LINE_MAX),
            run_in_line: false,
            in_header: true,
            run: None,
            asides: Vec::new(),
            gaps: Vec::new(),
            written: 0,
            octets: 0,
            cut: false,
        }
    }

    /// Takes the next octets of the mail.
    ///
    /// # Errors
    /// What writing aside returns. The mail must then be read again from its beginning.
    pub fn push(&mut self, mut octets: &[u8]) -> io::Result<()> {
        self.octets = self.octets.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        while !octets.is_empty() {
            let room = LINE_MAX.saturating_sub(self.line.len()).max(1);
            let window = octets.get(..room).unwrap_or(octets);
            let taken = window
                .iter()
                .position(|octet| *octet == b'\n')
                .map_or(window.len(), |end| end.saturating_add(1));
            let (piece, rest) = octets.split_at_checked(taken).unwrap_or((octets, &[]));
            self.line.extend_from_slice(piece);
            octets = rest;
            if self.line.ends_with(b"\n") || self.line.len() >= LINE_MAX {
                self.take_line()?;
            }
        }
        Ok(())
    }

    /// The mail is at its end. Gives back the file as well; it is not flushed.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(mut self) -> io::Result<(Condensed, W)> {
        if !self.line.is_empty() {
            self.take_line()?;
        }
        self.end_run();
        let Self { aside, kept, asides, gaps, octets, cut, .. } = self;
        Ok((Condensed { mail: kept, asides, gaps, octets, cut }, aside))
    }

    fn take_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let ends = line.ends_with(b"\n");
        let result = self.take_piece(&line, ends);
        self.run_in_line = !ends;
        self.line = line;
        self.line.clear();
        result
    }

    /// One line, or a piece of one that has not ended.
    fn take_piece(&mut self, line: &[u8], ends: bool) -> io::Result<()> {
        let begins = !self.run_in_line;
        let is_empty = begins && ends && line.trim_ascii().is_empty();
        if is_empty {
            // Behind it a body begins, or a body goes on that may be another one's.
            self.end_run();
            self.in_header = false;
            self.keep(line);
            return Ok(());
        }
        if self.in_header || !line.iter().all(|octet| is_base64(*octet)) {
            self.end_run();
            self.in_header |= begins && line.starts_with(b"--");
            self.keep(line);
            return Ok(());
        }
        let mut run = self.run.take().unwrap_or_else(Run::new);
        let result = self.follow(&mut run, line);
        self.run = Some(run);
        result
    }

    /// The run goes on.
    fn follow(&mut self, run: &mut Run, line: &[u8]) -> io::Result<()> {
        let mut rest = line;
        if run.state == RunState::Kept {
            let stays = run.keep(line);
            let (kept, behind) = line.split_at_checked(stays).unwrap_or((line, &[]));
            self.keep(kept);
            if run.letters < KEPT_LETTERS {
                return Ok(());
            }
            if run.head.starts_with(MAGIC) {
                run.state = RunState::Aside(self.written);
                self.write(&run.head)?;
            } else {
                run.state = RunState::Dropped;
                run.head = Vec::new();
            }
            rest = behind;
        }
        if let RunState::Aside(_) = run.state {
            let mut decoded = Vec::with_capacity(rest.len());
            run.decoder.push(rest, &mut decoded);
            self.write(&decoded)?;
        }
        Ok(())
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.aside.write_all(octets)?;
        self.written = self.written.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    fn end_run(&mut self) {
        let Some(run) = self.run.take() else { return };
        if run.state == RunState::Kept {
            return;
        }
        self.gaps.push(self.kept.len());
        // What follows has to begin a line of its own.
        if !self.kept.ends_with(b"\n") {
            self.keep(b"\r\n");
        }
        if let RunState::Aside(begins) = run.state {
            self.asides.push(Aside { head: run.head, place: begins..self.written });
        }
    }

    fn keep(&mut self, octets: &[u8]) {
        if self.cut || self.kept.len().saturating_add(octets.len()) > self.kept_max {
            self.cut = true;
            return;
        }
        self.kept.extend_from_slice(octets);
    }
}

impl Run {
    fn new() -> Self {
        Self { decoder: Decoder::default(), letters: 0, head: Vec::new(), state: RunState::Kept }
    }

    /// Counts and decodes letters as long as they stay in the mail; how many octets of the line do.
    fn keep(&mut self, line: &[u8]) -> usize {
        let left = KEPT_LETTERS.saturating_sub(self.letters);
        let mut letters = 0_usize;
        let stays = line
            .iter()
            .position(|octet| {
                letters = letters.saturating_add(usize::from(is_letter(*octet)));
                letters >= left
            })
            .map_or(line.len(), |last| last.saturating_add(1));
        self.letters = self.letters.saturating_add(letters);
        self.decoder.push(line.get(..stays).unwrap_or(line), &mut self.head);
        stays
    }
}

impl Condensed {
    /// What the mail is. The same as of the whole mail, but where that would have to be read whole.
    #[must_use]
    pub fn classify(&self, limits: &Limits) -> Large {
        if usize::try_from(self.octets).ok().is_none_or(|octets| octets > limits.mail_octets) {
            return Large::Small(Classified::Junk(JunkReason::TooLarge));
        }
        match classify(&self.mail, limits) {
            Classified::Ours { attachment } => {
                let aside = self.asides.iter().find(|aside| aside.head == attachment);
                match aside {
                    Some(aside) => Large::Ours(aside.place.clone()),
                    None if !self.cut && self.is_whole(&attachment, limits) => {
                        Large::Small(Classified::Ours { attachment })
                    }
                    None => Large::Unclear,
                }
            }
            _ if self.cut => Large::Unclear,
            other => Large::Small(other),
        }
    }

    /// Whether nothing was taken out of this attachment: then it stays the same when something is put into the gaps.
    fn is_whole(&self, attachment: &[u8], limits: &Limits) -> bool {
        if self.gaps.is_empty() {
            return true;
        }
        let mut filled =
            Vec::with_capacity(self.mail.len().saturating_add(self.gaps.len().saturating_mul(4)));
        let mut from = 0;
        for gap in &self.gaps {
            filled.extend_from_slice(self.mail.get(from..*gap).unwrap_or_default());
            filled.extend_from_slice(b"AAAA");
            from = *gap;
        }
        filled.extend_from_slice(self.mail.get(from..).unwrap_or_default());
        matches!(classify(&filled, limits), Classified::Ours { attachment: again } if again == attachment)
    }

    /// Octets of the whole mail.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// What is left of the mail: small, and not to be taken for the mail.
    #[must_use]
    pub fn mail(&self) -> &[u8] {
        &self.mail
    }
}

fn is_letter(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/')
}

/// What may stand in a line of base64, with the line's end.
fn is_base64(octet: u8) -> bool {
    is_letter(octet) || matches!(octet, b'=' | b' ' | b'\t' | b'\r' | b'\n')
}

/// Base64 in any pieces, decoded as tolerantly as a whole mail is: padding may stand anywhere and starts anew, letters that
/// make no whole group at the end are dropped.
#[derive(Debug, Default)]
struct Decoder {
    bits: u32,
    letters: u8,
}

impl Decoder {
    fn push(&mut self, text: &[u8], out: &mut Vec<u8>) {
        for octet in text {
            let Some(value) = value_of(*octet) else {
                if *octet == b'=' {
                    self.pad(out);
                }
                continue;
            };
            self.bits = self.bits << 6 | u32::from(value);
            self.letters = self.letters.saturating_add(1);
            if self.letters == 4 {
                let [_, first, second, third] = self.bits.to_be_bytes();
                out.extend_from_slice(&[first, second, third]);
                *self = Self::default();
            }
        }
    }

    fn pad(&mut self, out: &mut Vec<u8>) {
        // The octets that the letters so far make up, from the top.
        let [_, first, second, _] = match self.letters {
            1 => self.bits << 18,
            2 => self.bits << 12,
            3 => self.bits << 6,
            _ => return,
        }
        .to_be_bytes();
        match self.letters {
            1 | 2 => out.push(first),
            _ => out.extend_from_slice(&[first, second]),
        }
        *self = Self::default();
    }
}

fn value_of(letter: u8) -> Option<u8> {
    Some(match letter {
        b'A'..=b'Z' => letter.wrapping_sub(b'A'),
        b'a'..=b'z' => letter.wrapping_sub(b'a').wrapping_add(26),
        b'0'..=b'9' => letter.wrapping_sub(b'0').wrapping_add(52),
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
