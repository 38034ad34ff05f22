//! The wire format between `monitor-appliance` and `center-manager`.
//!
//! Four layers, from the outside in; each can be read without the ones below it:
//!
//! 1. [`mail`]: an ordinary, readable mail with one opaque attachment; [`mail::classify`] tells ours from bounces and junk.
//! 2. [`envelope`]: the attachment's first part: authenticated header, encrypted payload, one key block per recipient.
//! 3. [`message`]: the payload: a [`Command`], a [`Report`] or a [`Receipt`], as JSON.
//! 4. [`package`]: what follows the envelope when it orders an update: the signed package, encrypted once for all sites.
//!
//! `FORMAT.md` beside this crate describes every octet for whoever writes a third program.
//!
//! Nothing here opens a socket or a file, reads a clock or draws a random number: time is an argument, and
//! randomness comes through [`crypto::Random`].
//!
//! ```
//! use mailfmt::crypto::{Credential, Direction};
//! use mailfmt::{AgentId, CenterId, Command, Limits, Message, envelope};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse()?;
//! let agent = AgentId::new("AGENT0000001")?;
//! let center = CenterId::new("CENTER")?;
//! // The example's "random" numbers; real callers pass the system's.
//! let mut counter = 0u8;
//! let mut random = |buffer: &mut [u8]| buffer.iter_mut().for_each(|octet| { counter = counter.wrapping_add(1); *octet = counter });
//!
//! let credential = Credential::generate(&mut random);
//! let key = credential.channel(Direction::ToAppliance, &agent, &center);
//! let message = Message::Command(Command::Ping(Default::default()));
//! let header = envelope::Header::new(&message, center.into(), mailfmt::MessageId::generate(&mut random), now, now + jiff::SignedDuration::from_hours(24));
//! let sealed = envelope::seal(&header, &message, &[envelope::Addressee { key: &key, sequence: 1 }], &mut random)?;
//!
//! let opened = envelope::open(&sealed, &key, &Limits::default(), now)?;
//! assert_eq!(opened.message()?, message);
//! # Ok(()) }
//! ```

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

pub mod conditions;
pub mod crypto;
pub mod digest;
pub mod enrolment;
pub mod envelope;
pub mod exchange;
pub mod ids;
pub mod introduction;
pub mod limits;
pub mod lineage;
pub mod mail;
pub mod message;
pub mod package;
pub mod parts;
mod random;
mod reader;
pub mod release;
pub mod rotation;
pub mod sequence;
pub mod slot;
pub mod trust;
pub mod version;
pub mod version_report;

pub use digest::Digest;
pub use ids::{AgentId, CenterId, IdError, MessageId, ModuleName, Nonce};
pub use introduction::Introduction;
pub use limits::Limits;
pub use message::{Command, Message, Receipt, Report};
pub use release::Release;
pub use version::{ModuleVersion, SoftwareVersion, VersionError};
pub use version_report::VersionReport;
