//! Passphrases: from a file, from standard input, or asked for on a terminal; never from the command line, which others
//! on the machine can read.

use super::WrongUse;
use crate::keys::{self, KeysError};
use anyhow::{Context as _, bail};
use mailfmt::trust::{KeyError, SigningKey};
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest file with passphrases, in octets.
const OCTETS_MAX: u64 = 4096;

/// Shortest passphrase accepted for a new file, in characters.
const CHARACTERS_MIN: usize = 12;

/// Passphrases to open key files with.
pub(super) struct Passphrases {
    lines: Vec<Zeroizing<String>>,
}

impl Passphrases {
    /// Those of a file, one per line; `-` is standard input. Without a file, a person is asked when one is needed.
    pub(super) fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        let lines = match file {
            None => Vec::new(),
            Some(file) => read_lines(file)?,
        };
        Ok(Self { lines })
    }

    /// Opens a private key file.
    pub(super) fn open(&self, path: &Path) -> anyhow::Result<SigningKey> {
        let file = keys::read_private(path)?;
        let failed = |source| KeysError::Key { path: path.to_owned(), source };
        if !file.is_encrypted() {
            return Ok(file.open(None).map_err(failed)?);
        }
        for line in &self.lines {
            match file.open(Some(line)) {
                Err(KeyError::Passphrase) => {}
                opened => return Ok(opened.map_err(failed)?),
            }
        }
        if !self.lines.is_empty() {
            return Err(failed(KeyError::Passphrase).into());
        }
        if !std::io::stdin().is_terminal() {
            let hint = format!("{} has a passphrase; give it with --passphrase-file FILE", path.display());
            return Err(WrongUse(hint).into());
        }
        let passphrase = ask(&format!("Passphrase of {}", path.display()), false)?;
        Ok(file.open(Some(&passphrase)).map_err(failed)?)
    }

    /// Opens several.
    pub(super) fn open_all(&self, paths: &[PathBuf]) -> anyhow::Result<Vec<SigningKey>> {
        paths.iter().map(|path| self.open(path)).collect()
    }
}

/// The passphrase for a new file: from a file, asked for twice, or none.
pub(super) fn new_passphrase(wanted: bool, file: Option<&Path>) -> anyhow::Result<Option<Zeroizing<String>>> {
    let passphrase = match file {
        Some(file) => read_lines(file)?.into_iter().next().context("the file holds no passphrase")?,
        None if !wanted => return Ok(None),
        None if std::io::stdin().is_terminal() => ask("New passphrase", true)?,
        None => {
            let hint = "nobody is there to type a passphrase; give it with --passphrase-file FILE";
            return Err(WrongUse(hint.to_owned()).into());
        }
    };
    if passphrase.chars().count() < CHARACTERS_MIN {
        bail!("a passphrase needs at least {CHARACTERS_MIN} characters; take a few words");
    }
    Ok(Some(passphrase))
}

fn ask(prompt: &str, twice: bool) -> anyhow::Result<Zeroizing<String>> {
    let mut password = dialoguer::Password::new().with_prompt(prompt);
    if twice {
        password = password.with_confirmation("Once more", "they differ");
    }
    Ok(Zeroizing::new(password.interact()?))
}

fn read_lines(file: &Path) -> anyhow::Result<Vec<Zeroizing<String>>> {
    let mut text = Zeroizing::new(String::new());
    let read = if file == Path::new("-") {
        std::io::stdin().take(OCTETS_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|opened| opened.take(OCTETS_MAX).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.lines().filter(|line| !line.is_empty()).map(|line| Zeroizing::new(line.to_owned())).collect())
}
