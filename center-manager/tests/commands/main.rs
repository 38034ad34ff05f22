//! The program as a person uses it, in a home of its own and without any mail server.

#![expect(clippy::unwrap_used, reason = "a test ends where its world does not hold")]

mod enrol;
mod home;
mod program;
mod rollout;
mod trust;
