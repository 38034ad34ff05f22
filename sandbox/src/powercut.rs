//! Power cuts: programs that run with a library preloaded which counts every durable change that they make below one
//! folder, ends all of them at a given one, and keeps what is needed to take back whatever had not been synced.
//!
//! The library is `sandbox/powercut/shim.c`, compiled here by the system's C compiler. [`Circuit`] is one folder under
//! power; [`Circuit::take_back`] is what a real power cut does to a disk, as harshly as POSIX allows. [`ApplianceCuts`]
//! cuts the power of real appliances in the middle of updates, [`CenterCuts`] that of a center in the middle of a rollout.

mod appliance;
mod center;
mod cuts;
mod ground;
mod image;
mod litter;
mod power;
mod recording;
mod run;
mod take_back;
mod tally;
#[cfg(test)]
mod tests;
mod tree;

pub use appliance::ApplianceCuts;
pub use center::CenterCuts;
pub use cuts::{Cut, Way, both_ways, make, spread};
pub use image::Kind;
pub use power::{Circuit, Shim};
pub use recording::Recording;
pub use take_back::{Change, Lost, PowerError};
pub use tally::{End, Outcome, Tally};
