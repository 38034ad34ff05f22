//! Rotation of the formal credential, the center's side. How both sides play together stands in [`mailfmt::rotation`].

use mailfmt::crypto::Credential;

/// The credentials of one appliance that a center takes. It seals under the present one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// What it seals under, and takes.
    pub present: Credential,
    /// What it takes as well, until the appliance is heard under the present one.
    pub before: Option<Credential>,
}

impl Credentials {
    /// The appliance has answered a rotation, under the present credential: it holds `next` already.
    #[must_use]
    pub fn answered(self, next: Credential) -> Self {
        Self { present: next, before: Some(self.present) }
    }

    /// The appliance was heard under the present credential: it has dropped the one before.
    #[must_use]
    pub fn heard(self) -> Self {
        Self { before: None, ..self }
    }
}

#[cfg(test)]
mod tests;
