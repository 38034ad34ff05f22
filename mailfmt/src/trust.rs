//! Who may sign what, in the sense of The Update Framework (TUF): an offline *root* names the keys of every role,
//! *release* keys sign packages, *command* keys sign what a center says, and where a root asks for it, *approval* keys sign
//! what may be ordered.

mod approval;
mod attestation;
mod document;
mod fingerprint;
mod keyfile;
mod keys;
mod permit;
mod role;
mod root;

pub use approval::{Approval, ApprovalError, OrderTerms};
pub use attestation::Attestation;
pub use document::{DOCUMENT_OCTETS_MAX, DocumentError, MAGIC};
pub use fingerprint::{FingerprintError, RootFingerprint};
pub use keyfile::KeyFile;
pub use keys::{KeyError, KeyId, PublicKey, SigningKey};
pub use permit::{Downgrade, DowngradePermit, PermitError};
pub use role::{ROLE_KEYS_MAX, Role, RoleError, Signature};
pub use root::{ROOTS_MAX, Root, RootError, TrustedRoot};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

macro_rules! signed_document {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Vec<u8>);

        impl $name {
            /// From the octets as they were signed and written; nothing is checked yet.
            #[must_use]
            pub fn from_octets(octets: Vec<u8>) -> Self {
                Self(octets)
            }

            /// The octets of document and signatures.
            #[must_use]
            pub fn as_octets(&self) -> &[u8] {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(document: $name) -> Self {
                STANDARD.encode(document.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = base64::DecodeError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                STANDARD.decode(text.trim()).map(Self)
            }
        }
    };
}

signed_document!(
    /// A root document with its signatures; base64 in JSON. Nothing in it is trusted before it was checked.
    SignedRoot
);
signed_document!(
    /// A permit to go back to an older release, with its signatures; base64 in JSON.
    SignedPermit
);
signed_document!(
    /// An approval of a rollout, with its signatures; base64 in JSON.
    SignedApproval
);

#[cfg(test)]
mod tests;
