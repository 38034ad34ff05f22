//! The end of an output that may have any length.

use super::{LOOK_EVERY, OUTPUT_KEPT};
use std::io::{PipeReader, Read as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the output is read after the script has ended.
const DRAIN: Duration = Duration::from_secs(1);

/// Reads an output as it comes and keeps its end.
pub(in crate::update) struct Output {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: std::thread::JoinHandle<()>,
}

impl Output {
    /// Begins to read.
    pub(in crate::update) fn pump(mut pipe: PipeReader) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&kept);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
                let surplus = kept.len().saturating_sub(OUTPUT_KEPT);
                kept.drain(..surplus);
            }
        });
        Self { kept, reader }
    }

    /// What there is. Something that still holds the pipe open is not waited for: its thread ends when it does.
    pub(in crate::update) fn finish(self) -> String {
        let begun = Instant::now();
        while !self.reader.is_finished() && begun.elapsed() < DRAIN {
            std::thread::sleep(LOOK_EVERY);
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        text_of(&kept)
    }
}

/// As UTF-8 of at most [`OUTPUT_KEPT`] octets; a wrong octet becomes the replacement character, which is longer.
pub(super) fn text_of(octets: &[u8]) -> String {
    last_octets(&String::from_utf8_lossy(octets))
}

/// The last [`OUTPUT_KEPT`] octets of a text, or a little less where that would cut a character.
pub(super) fn last_octets(text: &str) -> String {
    let surplus = text.len().saturating_sub(OUTPUT_KEPT);
    let start = (surplus..=text.len()).find(|index| text.is_char_boundary(*index)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default().to_owned()
}
