//! The appliance's side of an enrolment: from a code on paper to an appliance that the center knows.
//!
//! ```text
//! attempt    one enrolment as a state machine: what to send, what an incoming mail means. Pure
//! state_file where the attempt lies until it is over: secrets/enrolment.json, wiped at the end
//! exchange   sockets and waiting around the attempt
//! install    from an admission to files, as `setup` does from an introduction
//! machine    what tells this box from another
//! ```
//!
//! The attempt is stored before anything of it is sent, and a mail is deleted only after what it leads to is stored, so
//! an enrolment that is broken off at any point goes on where it was.
//!
//! Source: JP 2003-074237.

mod attempt;
mod exchange;
mod install;
mod machine;
mod state_file;

pub use attempt::{Action, Attempt, Event, Notice, Order, Stage};
pub use exchange::{Ended, ExchangeError, Pace, Progress, exchange};
pub use install::{InstallError, Installed, finish};
pub use machine::{machine_id, machine_of};
pub use state_file::{Site, StateFile, StateFileError, Stored, wipe as wipe_file};
