//! What can go wrong with a login, whatever it is for.

use crate::{
    oauth::{TokenError, TokenRefused},
    sasl::{NoMechanism, SaslError},
};

/// Why a login failed, apart from what the server said about user and password. No secret is in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// User name or password is empty, or holds a line break or NUL. Nothing was sent.
    #[error("user name or password is empty or holds a line break")]
    Credentials,
    /// The server does not take this access token.
    #[error(transparent)]
    TokenRefused(#[from] TokenRefused),
    /// There is no access token. The mail server was not asked.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The server offers no mechanism that may be used. No secret was sent.
    #[error(transparent)]
    NoMechanism(#[from] NoMechanism),
    /// The login was broken off on our side.
    #[error(transparent)]
    Sasl(#[from] SaslError),
}

impl LoginError {
    /// True when the server must not be asked again soon.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Credentials | Self::TokenRefused(_) | Self::NoMechanism(_) | Self::Sasl(_) => true,
            Self::Token(error) => !error.is_passing(),
        }
    }
}
