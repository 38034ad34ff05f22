//! POP3 (RFC 1939, 2449, 2595, 3206, 5034): our own client over any byte stream.
//!
//! [`Authorization`] is a connection before the login, [`Transaction`] one after it; a command that does not belong to
//! a state cannot be written down. Dropping either closes the connection without QUIT, so the server undoes the
//! deletions of the session (RFC 1939 section 6).
//!
//! [`reader`] is the part that touches hostile octets first: pure, and fuzzed.

mod client;
mod large;
pub mod reader;
mod reply;
mod substitute_id;
mod transaction;
mod wire;

pub use client::Authorization;
pub use reply::{Capabilities, Reply};
pub use transaction::Transaction;

#[cfg(test)]
mod tests;
