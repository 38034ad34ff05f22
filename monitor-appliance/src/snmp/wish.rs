//! What is asked of a device beyond the standard tables, and how gently: what profiles know of it, in terms of SNMP.

use crate::device::{Oid, Walk};
use std::time::Duration;

/// Objects wanted of one device beyond the standard ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Single objects, with their instance.
    pub scalars: Vec<Oid>,
    /// Columns, all rows of them.
    pub columns: Vec<Oid>,
    /// Those of both lists whose values stay the same until the device restarts, such as labels.
    pub steady: Vec<Oid>,
    /// Those of both lists that tell who the device is.
    pub identity: Vec<Oid>,
    /// Nothing at or below these may be asked for; nothing above them either, where a walk would come across them.
    pub skip: Vec<Oid>,
    /// How the device has to be treated.
    pub manner: Manner,
}

/// How a fragile device has to be treated; the default is for all others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    /// Highest GETBULK max-repetitions; `None`: [`super::ReadLimits::max_repetitions`].
    pub max_repetitions: Option<u32>,
    /// Most objects in one request, repetitions counted.
    pub objects_per_request: Option<u32>,
    /// GETBULK must not be used.
    pub no_bulk: bool,
    /// Rest between two requests.
    pub pause: Duration,
    /// Most repetitions of a request without an answer, from the second visit on; `None`: [`super::ReadLimits::retries`].
    pub retries: Option<u32>,
}

/// Knows what is wanted of which device.
pub trait Wishes: Send + Sync {
    /// What is wanted of the device that has answered this so far. Asked again when more is known, so it may grow with the walk;
    /// what it wanted once it wants again.
    fn wish(&self, walk: &Walk) -> Wish;

    /// Another number where other things may be wanted: devices are then asked anew what they have.
    fn edition(&self) -> u64;
}

/// Nothing beyond the standard tables.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWishes;

impl Wishes for NoWishes {
    fn wish(&self, _: &Walk) -> Wish {
        Wish::default()
    }

    fn edition(&self) -> u64 {
        0
    }
}

impl Wish {
    /// Most objects and columns asked of one device; further ones are left out.
    pub const OBJECTS_MAX: usize = 512;

    /// Only what tells who the device is.
    pub(super) fn of_identity(mut self) -> Self {
        self.scalars.retain(|oid| self.identity.contains(oid));
        self.columns.retain(|oid| self.identity.contains(oid));
        self
    }
}
