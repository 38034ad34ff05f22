//! Power cuts: programs that run with a library preloaded which counts every durable change that they make below one
//! folder, ends all of them at a given one, and keeps what is needed to take back whatever had not been synced.
//!
//! The library is `sandbox/powercut/shim.c`, compiled here by the system's C compiler. [`Circuit`] is one folder under
//! power; [`Circuit::take_back`] is what a real power cut does to a disk, as harshly as POSIX allows.

mod power;
mod take_back;
#[cfg(test)]
mod tests;

pub use power::{Circuit, Shim};
pub use take_back::{Change, Lost, PowerError};
