//! Logging in by SASL (RFC 4422): which mechanism, and what to answer to a server's challenges. Pure.
//!
//! The protocols carry the answers: [`crate::smtp`] by AUTH (RFC 4954), [`crate::pop3`] by AUTH (RFC 5034),
//! [`crate::imap`] by AUTHENTICATE (RFC 3501, RFC 4959). A challenge comes from whoever is at the other end, so all of it
//! is bounded: its length, the number of them, the iterations of SCRAM.

mod bearer;
mod credential;
mod exchange;
mod mechanism;
mod plan;
pub mod scram;

pub use credential::{Credential, Secret, Service};
pub use exchange::{Exchange, SaslError};
pub use mechanism::{Mechanism, UnknownMechanism};
pub use plan::{NoMechanism, Offer, Way, plan};

pub(crate) use plan::Used;

#[cfg(test)]
mod tests;
