//! IMAP (RFC 3501, 2177, 4315) by `async-imap`, with what it lacks: time limits, caps on what it buffers, tolerance for
//! odd servers, and an end of the stream that is seen as such.
//!
//! The commands are written and the responses read here one by one: the library's own FETCH streams end alike on `OK`,
//! `NO` and a broken connection.

mod greeting;
mod guard;
mod large;
mod login;
mod quota;
mod response;
mod session;
pub mod tidy;
mod uid_set;
mod waiting;

pub use session::ImapSession;

#[cfg(test)]
mod tests;
