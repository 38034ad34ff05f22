//! The real programs, as built beside the one that runs.

use anyhow::Context as _;
use mailfmt::package::ModuleKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The appliance's executables and what kind of module each is.
pub(super) const MODULES: [(&str, ModuleKind); 6] = [
    ("supervisor", ModuleKind::Resident),
    ("device-watch", ModuleKind::Resident),
    ("mail-agent", ModuleKind::Resident),
    ("update-install", ModuleKind::OnDemand),
    ("version-report", ModuleKind::OnDemand),
    ("monitor-appliance", ModuleKind::OnDemand),
];

/// Where the built programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
}

/// A command that ended with another code than 0.
#[derive(Debug, thiserror::Error)]
#[error("`{command}` ended with {code}: {stderr}")]
pub struct RunError {
    /// What was run.
    pub command: String,
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Programs {
    /// Finds them in the folder of the running program (or, for a test, the folder above).
    ///
    /// # Errors
    /// When one is missing: they are built by `cargo build --workspace --bins`.
    pub fn find() -> anyhow::Result<Self> {
        let this = std::env::current_exe().context("cannot tell which program runs")?;
        let folder = this
            .ancestors()
            .skip(1)
            .take(2)
            .find(|folder| folder.join("center-manager").is_file())
            .with_context(|| {
                format!("no center-manager near {}; build it: cargo build --workspace --bins", this.display())
            })?;
        for (module, _) in MODULES {
            let path = folder.join(module);
            anyhow::ensure!(
                path.is_file(),
                "{} is missing; build it: cargo build --workspace --bins",
                path.display()
            );
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// The same programs below another folder, as hard links where possible: a build that runs meanwhile changes nothing there.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub fn pinned(&self, folder: &Path) -> anyhow::Result<Self> {
        let pinned = Self { folder: folder.join("programs") };
        std::fs::create_dir_all(&pinned.folder)?;
        for name in MODULES.iter().map(|(name, _)| *name).chain(["center-manager"]) {
            let (from, to) = (self.path(name), pinned.path(name));
            if std::fs::hard_link(&from, &to).is_err() {
                std::fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
            }
        }
        Ok(pinned)
    }

    /// A digest of them all, and of one more file: whether they are the same as at another time.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn digest(&self, another: &Path) -> anyhow::Result<mailfmt::Digest> {
        let mut all = Vec::new();
        let paths = MODULES
            .iter()
            .map(|(name, _)| self.path(name))
            .chain([self.path("center-manager"), another.to_owned()]);
        for path in paths {
            let file = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            all.extend(mailfmt::Digest::of(&file).as_bytes());
        }
        Ok(mailfmt::Digest::of(&all))
    }

    /// The file of one program.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Runs a command to its end, without input.
///
/// # Errors
/// [`RunError`] inside when it ends with another code than 0.
pub(super) fn run(program: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output: Output = Command::new(program)
        .args(arguments)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    Err(RunError {
        command: format!("{name} {}", arguments.join(" ")),
        code: output.status.code().unwrap_or(-1),
        stdout,
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    }
    .into())
}
