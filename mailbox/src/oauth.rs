//! OAuth 2.0 (RFC 6749) for mail: access tokens instead of passwords, as Microsoft 365 and Google want them.
//!
//! Pure are what is asked ([`request`]), what an answer means ([`reply`], `refusal`) and when a token is due
//! ([`StoredToken::is_due`]). `source` holds the one token of an account, `store` its file, `http` the connection to
//! the provider.

mod http;
mod jwt;
mod refusal;
pub mod reply;
pub mod request;
mod settings;
mod source;
mod store;
mod token;

pub mod device;

pub use refusal::{Cause, TokenRefused};
pub use reply::{ProviderError, TokenReply};
pub use settings::{Endpoints, Flow, OAuth2Settings, OAuth2SettingsError, Provider, Url};
pub use source::TokenError;
pub use store::TokenFileError;
pub use token::{AccessToken, StoredToken};

pub use http::HttpError;
pub use jwt::Claims;

pub(crate) use settings::is_this_machine;
pub(crate) use source::{TokenSource, token_file};

#[cfg(test)]
mod tests;
