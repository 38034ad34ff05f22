//! Somebody at a terminal: reads until a question stands there, then types, and counts every key.

use anyhow::{Context as _, bail};
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

/// How fast somebody types who copies from paper.
pub(super) const PER_SECOND: u32 = 3;
/// How long somebody looks at a question first.
const READING: Duration = Duration::from_secs(2);
/// How long somebody sits before a screen that does not change to a question.
const PATIENCE: Duration = Duration::from_secs(300);

/// The shell's prompt on the box.
const PROMPT: &str = "box:~# ";

/// What is done when a question comes.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Typed, with Enter.
    Type(String),
    /// What is offered is right: Enter.
    Confirm,
}

/// What was done at the keyboard.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) things: usize,
    pub(super) confirmed: usize,
    pub(super) characters: usize,
    pub(super) time: Duration,
}

/// A terminal with a shell on it, and who sits there.
pub(super) struct Keyboard {
    child: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<Vec<u8>>>,
    /// What the shell reads first.
    _profile: NamedTempFile,
    /// Up to here everything was read.
    read: usize,
    counted: Counted,
}

impl Keyboard {
    /// Opens a pseudo-terminal, by script(1), with a shell that has these variables.
    ///
    /// # Errors
    /// When there is no script(1).
    pub(super) fn open(variables: &[(&str, String)]) -> anyhow::Result<Self> {
        // A shell does not take its prompt from the environment, but from a file that stands there.
        let mut profile = NamedTempFile::new()?;
        writeln!(profile, "PS1='{PROMPT}'")?;
        let mut child = Command::new("script")
            .args([
                "--quiet",
                "--flush",
                "--return",
                "--command",
                "stty rows 40 cols 120; exec sh",
                "/dev/null",
            ])
            .env("ENV", profile.path())
            .env("TERM", "linux")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run script(1)")?;
        let keys = child.stdin.take().context("no way to the terminal")?;
        let mut output = child.stdout.take().context("no way from the terminal")?;
        let screen = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                let new = buffer.get(..length).unwrap_or_default();
                shown.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(new);
            }
        });
        Ok(Self { child, keys, screen, _profile: profile, read: 0, counted: Counted::default() })
    }

    /// Types a command and answers what it asks, each of these questions at most once, until the shell is back.
    /// Gives what stood on the screen.
    ///
    /// # Errors
    /// When another question comes, or none for too long; with what stands on the screen.
    pub(super) fn run(&mut self, command: &str, answers: &[(&str, Answer)]) -> anyhow::Result<String> {
        self.wait_for(&[PROMPT])?;
        let begin = self.read;
        self.answer(&Answer::Type(command.to_owned()))?;
        let mut left: Vec<_> = answers.to_vec();
        loop {
            let mut questions: Vec<&str> = left.iter().map(|(question, _)| *question).collect();
            questions.push(PROMPT);
            let found = self.wait_for(&questions)?;
            if found == left.len() {
                let screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
                return Ok(plain(screen.get(begin..).unwrap_or_default()));
            }
            let (_, answer) = left.remove(found);
            self.answer(&answer)?;
        }
    }

    /// What was done so far.
    pub(super) fn counted(&self) -> Counted {
        self.counted
    }

    /// Waits until one of these stands in what was not read yet; which.
    fn wait_for(&self, texts: &[&str]) -> anyhow::Result<usize> {
        let start = Instant::now();
        loop {
            let screen = {
                let screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
                plain(screen.get(self.read..).unwrap_or_default())
            };
            if let Some(found) = texts.iter().position(|text| screen.contains(text)) {
                return Ok(found);
            }
            if start.elapsed() > PATIENCE {
                bail!("none of {texts:?} was asked; the screen: {screen}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn answer(&mut self, answer: &Answer) -> anyhow::Result<()> {
        let start = Instant::now();
        std::thread::sleep(READING);
        match answer {
            Answer::Type(text) => {
                for key in text.chars() {
                    std::thread::sleep(Duration::from_secs(1) / PER_SECOND);
                    self.press(key)?;
                    self.counted.characters += 1;
                }
                self.counted.things += 1;
            }
            Answer::Confirm => self.counted.confirmed += 1,
        }
        // What comes from now on is news; a terminal repeats what was typed before it.
        self.read = self.screen.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.press('\r')?;
        self.counted.time += start.elapsed();
        Ok(())
    }

    fn press(&mut self, key: char) -> anyhow::Result<()> {
        self.keys.write_all(key.encode_utf8(&mut [0; 4]).as_bytes())?;
        Ok(self.keys.flush()?)
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a person sees: without the sequences that move the cursor or colour (ECMA-48, 5.4).
fn plain(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\u{1b}' {
            plain.push(char);
        } else if chars.next() == Some('[') {
            let _ = chars.by_ref().find(|char| ('@'..='~').contains(char));
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_counted_and_each_question_is_answered_once() {
        let mut keyboard = Keyboard::open(&[]).unwrap();
        let answers = [("name? ", Answer::Type("abc".to_owned())), ("right? ", Answer::Confirm)];
        let command = "printf 'na''me? '; read a; printf 'ri''ght? '; read b; echo \"<$a$b>\"";
        let screen = keyboard.run(command, &answers).unwrap();
        assert!(screen.contains("<abc>"), "{screen}");
        let counted = keyboard.counted();
        assert_eq!((counted.things, counted.confirmed, counted.characters), (2, 1, command.len() + 3));
        assert!(counted.time > READING * 3);
    }

    #[test]
    fn a_screen_is_read_without_colours_and_movements() {
        assert_eq!(plain(b"\x1b[2K\x1b[1mCode\x1b[0m: "), "Code: ");
    }
}
