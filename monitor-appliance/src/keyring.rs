//! What the mail agent opens and seals with: the credentials in `secrets/` and the roots in `trust/`.
//!
//! What is decided about credentials stands in [`crate::rotation`], what about roots in [`crate::trust`]; here the files
//! are read and replaced. Cheap to clone; all clones are one.

use crate::context::{ChannelKeys, Context, CredentialError, system_random};
use crate::release::ReleaseError;
use crate::replace_file::replace_file;
use crate::rotation::{Held, Next, RotationRefused};
use crate::trust::{self, TrustError};
use mailfmt::crypto::{ChannelKey, Credential};
use mailfmt::message::command::RotateRequest;
use mailfmt::trust::{SignedRoot, TrustedRoot};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// The keys cannot be read or not be replaced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// The credential.
    #[error("the credential cannot be used")]
    Credential(#[from] CredentialError),
    /// The roots.
    #[error("the roots cannot be used: nobody's commands are taken")]
    Trust(#[from] TrustError),
    /// A file.
    #[error("a credential cannot be stored")]
    File(#[from] ReleaseError),
    /// A rotation that is not to be answered.
    #[error(transparent)]
    Refused(#[from] RotationRefused),
}

/// All keys of one appliance.
#[derive(Debug, Clone)]
pub struct Keyring {
    context: Context,
    ring: Arc<Mutex<Ring>>,
}

#[derive(Debug)]
struct Ring {
    held: Held,
    keys: Arc<HeldKeys>,
}

/// The keys as they are at one moment.
#[derive(Debug)]
pub struct HeldKeys {
    /// Of the current credential.
    pub current: ChannelKeys,
    /// Of the one that was agreed on, but not yet used by the center.
    pub next: Option<ChannelKeys>,
    /// Whose commands count; `None` on a box that was set up without a root, which takes what is sealed for it.
    pub trusted: Option<TrustedRoot>,
}

impl HeldKeys {
    /// The keys for what comes in: the current one first.
    #[must_use]
    pub fn to_appliance(&self) -> Vec<&ChannelKey> {
        let next = self.next.as_ref().map(|next| &next.to_appliance);
        std::iter::once(&self.current.to_appliance).chain(next).collect()
    }
}

impl Keyring {
    /// Reads everything.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn load(context: &Context) -> Result<Self, KeyringError> {
        Ok(Self { context: context.clone(), ring: Arc::new(Mutex::new(read(context)?)) })
    }

    /// Reads everything again: a person at the box may have changed it.
    ///
    /// # Errors
    /// [`KeyringError`]; then the keys stay as they were.
    pub fn reload(&self) -> Result<(), KeyringError> {
        *self.lock() = read(&self.context)?;
        Ok(())
    }

    /// The keys as they are now.
    #[must_use]
    pub fn keys(&self) -> Arc<HeldKeys> {
        Arc::clone(&self.lock().keys)
    }

    /// Agrees on a new credential. It is stored durably before this returns, and taken from now on.
    ///
    /// # Errors
    /// [`KeyringError::Refused`], or that it could not be stored.
    pub fn agree(&self, request: &RotateRequest, sequence: u64) -> Result<Next, KeyringError> {
        let mut ring = self.lock();
        let next = ring.held.agree(request, sequence, &mut system_random)?;
        if ring.held.next.as_ref() != Some(&next) {
            let text = serde_json::to_vec(&next).map(Zeroizing::new).unwrap_or_default();
            replace_file(&self.context.layout.next_credential_file(), &text, 0o600)?;
            ring.held.next = Some(next.clone());
            ring.keys = keys(&self.context, &ring.held, ring.keys.trusted.clone());
        }
        Ok(next)
    }

    /// The center has used the next credential: the old one is forgotten, durably. False if there was none.
    ///
    /// # Errors
    /// [`KeyringError::File`]; then both are taken still.
    pub fn settle(&self) -> Result<bool, KeyringError> {
        let mut ring = self.lock();
        let Some(next) = &ring.held.next else { return Ok(false) };
        let hex = Zeroizing::new(next.credential.expose_hex());
        replace_file(&self.context.layout.credential_file(), hex.as_bytes(), 0o600)?;
        // Should this not happen, the next start finds the same credential twice.
        forget_next(&self.context)?;
        ring.held = ring.held.clone().settled();
        ring.keys = keys(&self.context, &ring.held, ring.keys.trusted.clone());
        Ok(true)
    }

    /// A rotation that is under way is overtaken by the next one, whatever number its request had.
    ///
    /// # Errors
    /// [`KeyringError::File`]: then nothing has changed.
    pub fn forget_order(&self) -> Result<(), KeyringError> {
        let mut ring = self.lock();
        let Some(next) = &ring.held.next else { return Ok(()) };
        let next = Next { sequence: 0, ..next.clone() };
        let text = serde_json::to_vec(&next).map(Zeroizing::new).unwrap_or_default();
        replace_file(&self.context.layout.next_credential_file(), &text, 0o600)?;
        ring.held.next = Some(next);
        Ok(())
    }

    /// Follows newer roots; durable when it returns.
    ///
    /// # Errors
    /// [`TrustError`]; then the old root is trusted still.
    pub fn follow(&self, roots: &[SignedRoot]) -> Result<TrustedRoot, TrustError> {
        let trusted = trust::follow(&self.context.layout, &self.context.settings.center, roots)?;
        let mut ring = self.lock();
        ring.keys = keys(&self.context, &ring.held, Some(trusted.clone()));
        Ok(trusted)
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keys(context: &Context, held: &Held, trusted: Option<TrustedRoot>) -> Arc<HeldKeys> {
    Arc::new(HeldKeys {
        current: context.keys_of(&held.current),
        next: held.next.as_ref().map(|next| context.keys_of(&next.credential)),
        trusted,
    })
}

fn read(context: &Context) -> Result<Ring, KeyringError> {
    let current = context.credential()?;
    // The step that made the next one the current one may have been broken off.
    let next = read_next(context)?.filter(|next| next.credential != current);
    let trusted = match trust::read(&context.layout, &context.settings.center) {
        Ok(trusted) => Some(trusted),
        Err(TrustError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let held = Held { current, next };
    Ok(Ring { keys: keys(context, &held, trusted), held })
}

fn read_next(context: &Context) -> Result<Option<Next>, CredentialError> {
    let path = context.layout.next_credential_file();
    let text = match std::fs::read(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(CredentialError::Read { path, source }),
    };
    match serde_json::from_slice(&text) {
        Ok(next) => Ok(Some(next)),
        Err(_) => {
            // Its error could quote the secret. Without it the current one still counts, until the center asks again.
            tracing::error!(path = %path.display(), "the credential that was agreed on cannot be read");
            Ok(None)
        }
    }
}

fn forget_next(context: &Context) -> Result<(), ReleaseError> {
    let path = context.layout.next_credential_file();
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(ReleaseError::Io { action: "remove", path, source })
        }
        _ => crate::release::sync_folder(&context.layout.secrets_dir()),
    }
}

/// The credential of a box, as a person at it may see it: since when it is in use, and whether another was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct CredentialAge {
    /// Since when, by the file.
    pub since: Option<jiff::Timestamp>,
    /// Whether the next one waits for its first use by the center.
    pub rotating: bool,
}

/// How old the credential is; tells nothing of it.
#[must_use]
pub fn credential_age(context: &Context) -> CredentialAge {
    let changed = std::fs::metadata(context.layout.credential_file()).and_then(|file| file.modified());
    CredentialAge {
        since: changed.ok().and_then(|changed| jiff::Timestamp::try_from(changed).ok()),
        rotating: context.layout.next_credential_file().exists(),
    }
}

/// Puts a credential in place of all that are held, for a box that is admitted anew.
///
/// # Errors
/// [`ReleaseError`].
pub fn replace_credential(context: &Context, credential: &Credential) -> Result<(), ReleaseError> {
    let hex = Zeroizing::new(credential.expose_hex());
    forget_next(context)?;
    replace_file(&context.layout.credential_file(), hex.as_bytes(), 0o600)
}

#[cfg(test)]
mod tests;
