//! The payload of an envelope: a command, a report or a receipt, as JSON `{"kind": ..., "body": {...}}`.
//!
//! Readers ignore fields that they do not know, and keep a kind that they do not know as `Unknown`, so that it can
//! be answered: an old center works with a new appliance and the other way round.

pub mod census;
pub mod command;
pub mod device;
pub mod enrolment;
pub mod ledger;
pub mod receipt;
pub mod report;

pub use command::{
    Command, ConditionalOrder, CounterRequest, PackagePart, RecallOrder, UpdateOrder, VersionRequest,
};
pub use device::{Counter, DeviceId, FaultClass, Supply, SupplyEnds, SupplyLevel, SupplyOutlook};
pub use enrolment::Enrolment;
pub use receipt::Receipt;
pub use report::Report;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Which of the three families a payload belongs to; stands in the envelope's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Center to appliance: do this.
    Command,
    /// Appliance to center: this is so.
    Report,
    /// Center to appliance: your report arrived.
    Receipt,
    /// First contact, in both directions, keyed by a provisional code.
    Enrolment,
}

impl Family {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Command => 1,
            Self::Report => 2,
            Self::Receipt => 3,
            Self::Enrolment => 4,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Command, Self::Report, Self::Receipt, Self::Enrolment]
            .into_iter()
            .find(|family| family.code() == code)
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Command => "command",
            Self::Report => "report",
            Self::Receipt => "receipt",
            Self::Enrolment => "enrolment",
        })
    }
}

/// Any message.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Center to appliance.
    Command(Command),
    /// Appliance to center.
    Report(Report),
    /// Center to appliance, in answer to a report.
    Receipt(Receipt),
    /// First contact.
    Enrolment(Enrolment),
}

/// A payload that is not a message.
#[derive(Debug, thiserror::Error)]
#[error("the {family} cannot be read")]
pub struct MessageError {
    /// Which family it was said to be.
    pub family: Family,
    /// What the JSON reader found, with its place.
    pub source: serde_json::Error,
}

/// `{"kind": ..., "body": {...}}`, before the body is understood.
#[derive(Serialize, Deserialize)]
pub(crate) struct Tagged {
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) body: serde_json::Value,
}

impl Tagged {
    pub(crate) fn write<T: Serialize>(kind: &str, body: &T) -> Self {
        Self {
            kind: kind.to_owned(),
            body: serde_json::to_value(body)
                .expect("message bodies have text keys and no failing serializers"),
        }
    }

    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        serde_json::from_value(self.body)
    }
}

impl Message {
    /// Its family.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::Command(_) => Family::Command,
            Self::Report(_) => Family::Report,
            Self::Receipt(_) => Family::Receipt,
            Self::Enrolment(_) => Family::Enrolment,
        }
    }

    /// Its kind within the family, as on the wire.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Command(command) => command.kind(),
            Self::Report(report) => report.kind(),
            Self::Receipt(_) => "receipt",
            Self::Enrolment(message) => message.kind(),
        }
    }

    /// The JSON payload, UTF-8.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        match self {
            Self::Command(command) => serde_json::to_vec(command),
            Self::Report(report) => serde_json::to_vec(report),
            Self::Receipt(receipt) => serde_json::to_vec(receipt),
            Self::Enrolment(message) => serde_json::to_vec(message),
        }
        .expect("messages have text keys and no failing serializers")
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// [`MessageError`] when it is not JSON of the shape of its family. An unknown kind is no error.
    pub fn parse(family: Family, payload: &[u8]) -> Result<Self, MessageError> {
        match family {
            Family::Command => serde_json::from_slice(payload).map(Self::Command),
            Family::Report => serde_json::from_slice(payload).map(Self::Report),
            Family::Receipt => serde_json::from_slice(payload).map(Self::Receipt),
            Family::Enrolment => serde_json::from_slice(payload).map(Self::Enrolment),
        }
        .map_err(|source| MessageError { family, source })
    }
}

/// Defines an enum of message kinds that survives unknown ones, with its one table of wire names.
macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident($body:ty) = $kind:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "crate::message::Tagged", into = "crate::message::Tagged")]
        pub enum $name {
            $($(#[$variant_doc])* $variant($body),)*
            /// A kind that this version does not know; kept so that it can be answered and shown.
            Unknown {
                /// The kind as it stood on the wire.
                kind: String,
                /// Its body, not understood.
                body: serde_json::Value,
            },
        }

        impl $name {
            /// Every kind this version knows, as on the wire.
            pub const KINDS: &'static [&'static str] = &[$($kind),*];

            /// The kind as on the wire.
            #[must_use]
            pub fn kind(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $kind,)*
                    Self::Unknown { kind, .. } => kind,
                }
            }
        }

        impl From<$name> for crate::message::Tagged {
            fn from(message: $name) -> Self {
                match message {
                    $($name::$variant(body) => Self::write($kind, &body),)*
                    $name::Unknown { kind, body } => Self { kind, body },
                }
            }
        }

        impl TryFrom<crate::message::Tagged> for $name {
            type Error = serde_json::Error;
            fn try_from(tagged: crate::message::Tagged) -> Result<Self, serde_json::Error> {
                match tagged.kind.as_str() {
                    $($kind => tagged.read().map(Self::$variant),)*
                    _ => Ok(Self::Unknown { kind: tagged.kind, body: tagged.body }),
                }
            }
        }
    };
}
pub(crate) use kinds;
