//! The update package: a signed manifest, an install script and modules; encrypted once for all sites.
//!
//! Two sides must agree before anything runs on an appliance: the manifest is signed by the *release role* of the
//! appliance's [root](crate::trust::Root), whose keys need not live on the center, and the order to install comes under
//! the appliance's own key ([`crate::message::UpdateOrder`]).
//!
//! ```text
//! package file                                   enclosure (what travels behind the envelope)
//! octets  field                                  octets  field
//!      4  magic "MFP1": format number 1               4  magic "MFC1": format number 1
//!      4  length of the manifest                      .  chunks of 64 KiB, AES-256-GCM in STREAM-BE32,
//!      .  manifest, JSON                                 each with its 16-octet tag; the last one is marked
//!      1  number of signatures
//!     72  per signature: key id (8), Ed25519 (64)
//!      8  length of the content
//!      .  content: deflated tar
//! ```
//! A signature covers `"mailfmt package manifest 1\0"` and the manifest's octets as they stand; the manifest holds
//! the SHA-256 of the content and of every file in it. Nothing is inflated before both are checked.

mod build;
pub mod delta;
mod enclosure;
mod inspect;
mod manifest;
mod open;
mod window;

pub use crate::trust::{KeyError, KeyId, PublicKey, SigningKey};
pub use build::{BuildError, ModuleFile, OlderFiles, PackageDraft, build, build_deltas, sign};
pub use enclosure::{EnclosureError, UnwrapError, enclose, unwrap, unwrap_from};
pub use inspect::{InspectError, inspect_from};
pub use manifest::{Applies, Manifest, ModuleEntry, ModuleKind, Rules, ScriptEntry, When};
pub use open::{
    Inspection, NoWayToModule, PackageError, Site, VerifiedPackage, carried_files, check_signatures, inspect,
    open,
};
pub use window::{DailyWindow, DailyWindowError};

use crate::digest::Digest;

/// The first octets of every package file.
pub const MAGIC: &[u8; 4] = b"MFP1";

/// Names a package: the SHA-256 of its manifest, which in turn names every octet of its content.
pub type PackageId = Digest;

/// Name of the install script inside the content.
pub const SCRIPT_NAME: &str = "install.sh";

fn signed_octets(manifest: &[u8]) -> Vec<u8> {
    // The prefix keeps a signature over anything else from passing as one over a manifest.
    [b"mailfmt package manifest 1\0", manifest].concat()
}

#[cfg(test)]
mod tests;
