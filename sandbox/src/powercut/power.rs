//! The preloaded library and the file that it shares with us.

use super::take_back::{self, Change, Lost, PowerError};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Octets of the shared file: a page.
const STATE_OCTETS: u64 = 4096;
/// Places in it, as in `struct state` of the library.
const CHANGES_AT: u64 = 0;
const CUT_AT: u64 = 8;
const DARK_AT: u64 = 16;
const STOP_FROM_AT: u64 = 32;
const STOPPED_AT: u64 = 40;
const GO_AT: u64 = 48;

/// The compiled library.
#[derive(Debug, Clone)]
pub struct Shim {
    library: PathBuf,
}

impl Shim {
    /// Compiles it into `folder`.
    ///
    /// # Errors
    /// [`PowerError::Compiler`] when there is no C compiler, or it refuses.
    pub fn compile(folder: &Path) -> Result<Self, PowerError> {
        let library = folder.join("powercut.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("powercut/shim.c");
        let compiled = Command::new("cc")
            .args(["-O2", "-w", "-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(&source)
            .arg("-ldl")
            .output()
            .map_err(|error| PowerError::Compiler { why: error.to_string() })?;
        if compiled.status.success() {
            return Ok(Self { library });
        }
        Err(PowerError::Compiler { why: String::from_utf8_lossy(&compiled.stderr).trim().to_owned() })
    }
}

/// One folder under power: what the programs on it have changed, and when their power goes.
#[derive(Debug)]
pub struct Circuit {
    shim: Shim,
    root: PathBuf,
    shadow: PathBuf,
    path: PathBuf,
    state: File,
}

impl Circuit {
    /// Watches over `root`, from which nothing may be lost that is there now. What is kept about it goes into new files
    /// in `beside`, which must be another folder on the same file system.
    ///
    /// # Errors
    /// [`PowerError::Io`].
    pub fn new(shim: &Shim, root: &Path, beside: &Path) -> Result<Self, PowerError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| PowerError::Io { path, source }
        };
        let (path, shadow) = (beside.join("power"), beside.join("shadow"));
        let root = root.canonicalize().map_err(io(root))?;
        std::fs::create_dir_all(&shadow).map_err(io(&shadow))?;
        let state = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(io(&path))?;
        state.set_len(STATE_OCTETS).map_err(io(&path))?;
        Ok(Self { shim: shim.clone(), root, shadow, path, state })
    }

    /// The power goes at this change, counted from 1; what would make it is not made. Without it, it never goes.
    ///
    /// # Errors
    /// [`PowerError::Io`].
    pub fn cut_at(&self, change: u64) -> Result<(), PowerError> {
        self.state.write_all_at(&change.to_ne_bytes(), CUT_AT).map_err(|source| self.io(source))
    }

    /// Puts a program, and all that it starts, on this circuit.
    pub fn connect<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("LD_PRELOAD", &self.shim.library)
            .env("POWERCUT_ROOT", &self.root)
            .env("POWERCUT_STATE", &self.path)
            .env("POWERCUT_SHADOW", &self.shadow)
    }

    /// How many durable changes were made so far.
    ///
    /// # Errors
    /// [`PowerError::Io`].
    pub fn changes(&self) -> Result<u64, PowerError> {
        self.number_at(CHANGES_AT)
    }

    /// From this change on, counted from 1, each waits before it is made until [`go_on`](Self::go_on); meanwhile nothing
    /// changes. Must be said before any program is connected.
    ///
    /// # Errors
    /// [`PowerError::Io`].
    pub fn stop_from(&self, change: u64) -> Result<(), PowerError> {
        self.state.write_all_at(&change.to_ne_bytes(), STOP_FROM_AT).map_err(|source| self.io(source))
    }

    /// The change that waits, if one does.
    ///
    /// # Errors
    /// [`PowerError::Io`].
    pub fn stopped(&self) -> Result<Option<u64>, PowerError> {
        let (stopped, go) = (self.number_at(STOPPED_AT)?, self.number_at(GO_AT)?);
        Ok((stopped > go).then_some(stopped))
    }

    /// This change, and all before it, need not wait any longer.
    ///
    /// # Errors
    /// [`PowerError::Io`].
    pub fn go_on(&self, change: u64) -> Result<(), PowerError> {
        self.state.write_all_at(&change.to_ne_bytes(), GO_AT).map_err(|source| self.io(source))
    }

    fn number_at(&self, place: u64) -> Result<u64, PowerError> {
        let mut octets = [0; 8];
        self.state.read_exact_at(&mut octets, place).map_err(|source| self.io(source))?;
        Ok(u64::from_ne_bytes(octets))
    }

    /// The folder under power, and that of what is kept to take back.
    pub(super) fn folders(&self) -> [&Path; 2] {
        [&self.root, &self.shadow]
    }

    /// Whether the power went.
    ///
    /// # Errors
    /// [`PowerError::Io`].
    pub fn is_dark(&self) -> Result<bool, PowerError> {
        let mut octets = [0; 4];
        self.state.read_exact_at(&mut octets, DARK_AT).map_err(|source| self.io(source))?;
        Ok(octets != [0; 4])
    }

    /// Undoes all that was changed and not synced. No program may run on the circuit any more.
    ///
    /// # Errors
    /// [`PowerError`].
    pub fn take_back(&self) -> Result<Lost, PowerError> {
        take_back::take_back(&self.root, &self.shadow)
    }

    /// The last of the changes that were noted, oldest first: of writes, only the first since a sync.
    ///
    /// # Errors
    /// [`PowerError`].
    pub fn last_changes(&self, count: usize) -> Result<Vec<Change>, PowerError> {
        let mut log = take_back::read_log(&self.shadow)?;
        Ok(log.split_off(log.len().saturating_sub(count)))
    }

    fn io(&self, source: std::io::Error) -> PowerError {
        PowerError::Io { path: self.path.clone(), source }
    }
}
