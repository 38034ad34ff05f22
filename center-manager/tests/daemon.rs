//! The daemon as a process: one per home, ended in order, honest when it cannot reach the mail.

#![expect(clippy::unwrap_used, reason = "a test ends where its world does not hold")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

fn center_manager(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_center-manager"));
    command.env_remove("CENTER_MANAGER_HOME").arg("--home").arg(home);
    command
}

/// A home whose mail servers do not exist: nobody listens on port 1.
fn home(folder: &Path) -> std::path::PathBuf {
    home_with(folder, "127.0.0.1:1")
}

fn home_with(folder: &Path, server: &str) -> std::path::PathBuf {
    let home = folder.join("home");
    let password = folder.join("password");
    fs::write(&password, "secret\n").unwrap();
    let made = center_manager(&home)
        .args(["init", "--address", "center@center.example", "--poll-secs", "1"])
        .args(["--smtp", server, "--pop3", server, "--security", "plain"])
        .arg("--password-file")
        .arg(&password)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    home
}

/// A daemon that serves; ended when a test fails half-way.
struct Running {
    process: Child,
    log: BufReader<ChildStderr>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Running {
    /// Starts a daemon and waits for the line that says that it serves.
    fn start(home: &Path) -> Self {
        let mut process = center_manager(home).arg("serve").stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let mut running = Self { process, log };
        let mut line = String::new();
        while !line.contains("serving") {
            line.clear();
            assert_ne!(running.log.read_line(&mut line).unwrap(), 0, "the daemon ended at once");
        }
        running
    }

    /// Ends it as a service manager does; its exit code and its log.
    fn terminate(mut self) -> (Option<i32>, String) {
        let process = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the daemon did not end in 30 s");
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        (status.code(), log)
    }
}

/// Tries a second daemon, which must not do anything.
fn center_manager_is_refused(home: &Path) -> bool {
    let second = center_manager(home).args(["serve", "--once"]).output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    second.status.code() == Some(1) && said.contains("another daemon serves this home already")
}

#[test]
fn a_second_daemon_on_the_same_home_is_refused_and_the_first_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path());
    let daemon = Running::start(&home);
    assert!(center_manager_is_refused(&home));
    let (code, log) = daemon.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("secret"), "{log}");
    assert!(!center_manager_is_refused(&home), "the lock went with the process");
}

#[test]
fn a_daemon_that_was_killed_leaves_no_lock_behind() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path());
    let mut daemon = Running::start(&home);
    daemon.process.kill().unwrap();
    daemon.process.wait().unwrap();
    assert!(!center_manager_is_refused(&home));
}

#[test]
fn one_pass_without_a_mail_server_says_so_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path());
    let output = center_manager(&home).args(["serve", "--once"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("1 of 1 mail accounts could not be used"), "{said}");
}

#[test]
fn a_mail_server_that_never_answers_does_not_keep_the_daemon_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let home = home_with(folder.path(), &silent.local_addr().unwrap().to_string());
    let daemon = Running::start(&home);
    // Only now it hangs for sure: it waits for a greeting that never comes.
    let (_connection, _) = silent.accept().unwrap();
    let (code, log) = daemon.terminate();
    assert_eq!(code, Some(0), "{log}");
}
