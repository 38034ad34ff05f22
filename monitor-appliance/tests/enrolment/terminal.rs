//! A person at a terminal: types an answer when its question appears.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(crate) struct Terminal {
    process: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<Vec<u8>>>,
    read: usize,
}

impl Terminal {
    /// Runs a command line on a terminal of its own, by script(1).
    pub(crate) fn run(command_line: &str, folder: &Path) -> Self {
        let mut process = Command::new("script")
            .args(["--quiet", "--return", "--command", command_line, "/dev/null"])
            .env("TERM", "xterm")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (keys, mut output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let screen = Arc::<Mutex<Vec<u8>>>::default();
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                shown.lock().unwrap().extend(&buffer[..length]);
            }
        });
        Self { process, keys, screen, read: 0 }
    }

    /// Everything that was shown.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until `question` is shown after all that was answered before, and types `keys`.
    pub(crate) fn answer(&mut self, question: &str, keys: &str) {
        let begun = Instant::now();
        loop {
            let found = {
                let screen = self.screen.lock().unwrap();
                let fresh = String::from_utf8_lossy(&screen[self.read..]).into_owned();
                fresh.contains(question).then_some(screen.len())
            };
            if let Some(read) = found {
                self.read = read;
                break;
            }
            let late = begun.elapsed() > Duration::from_secs(30);
            assert!(!late, "waited in vain for {question:?}:\n{}", self.shown());
            std::thread::sleep(Duration::from_millis(10));
        }
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits for the end; gives the exit code and everything that was shown.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let code = self.process.wait().unwrap().code();
        (code, self.shown())
    }
}
