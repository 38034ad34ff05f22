//! The program, run in a folder of its own that holds its home.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Mail servers that do not exist: nobody listens on port 1.
const NO_SERVERS: [&str; 6] = ["--smtp", "127.0.0.1:1", "--pop3", "127.0.0.1:1", "--security", "plain"];

pub(crate) struct Program {
    folder: TempDir,
}

impl Program {
    /// A folder without a home.
    pub(crate) fn without_home() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A home whose mail servers do not exist, made with these further arguments.
    pub(crate) fn with_home(more: &[&str]) -> Self {
        let program = Self::without_home();
        fs::write(program.path("password"), "s3cret-of-the-mailbox\n").unwrap();
        program.init(&[&["--password-file", "password"][..], more].concat());
        program
    }

    /// Makes the home; what was said.
    pub(crate) fn init(&self, more: &[&str]) -> String {
        let args = ["init", "--address", "center@center.example"];
        self.text(&[&args[..], &NO_SERVERS, more].concat())
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file of the folder, in which every command runs.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_center-manager"))
            .env_remove("CENTER_MANAGER_HOME")
            .env_remove("SUDO_USER")
            .env("USER", "kim")
            .arg("--home")
            .arg(self.home())
            .args(args)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs what must end with this exit code; what it printed and what it complained of.
    pub(crate) fn ends(&self, code: i32, args: &[&str]) -> (String, String) {
        let output = self.run(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        (String::from_utf8(output.stdout).unwrap(), said)
    }

    pub(crate) fn text(&self, args: &[&str]) -> String {
        self.ends(0, args).0
    }

    /// Runs what must fail with this exit code; what it complained of.
    pub(crate) fn fails(&self, code: i32, args: &[&str]) -> String {
        self.ends(code, args).1
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[args, &["--format", "json"]].concat())).unwrap()
    }
}
