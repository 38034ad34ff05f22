//! Parts: what is larger than one mail may be, cut into several.
//!
//! The encrypted package is cut, not the package: it stays encrypted once for all sites. The signed order tells how it
//! is cut ([`Cutting`]), with a hash of every part. Each part travels behind an envelope of its own, signed like every
//! command, so that nothing is kept of which it is not known who sent it.
//!
//! Parity parts ([`Parity`]) replace lost ones without asking: a Reed-Solomon code over groups of parts.

mod erasure;

use crate::digest::Digest;
use crate::limits::Limits;
use erasure::{EXTRA_MAX, GROUP_MAX};
use serde::{Deserialize, Serialize};

/// Smallest part that is worth a mail, in octets; only the last of a cutting may be smaller.
pub const PART_OCTETS_MIN: u32 = 512;

/// How something is cut: as it stands in the signed order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cutting {
    /// Octets of every part but the last, and of every parity part.
    pub part_octets: u32,
    /// How many parts may be lost without asking for them; `None`: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parity: Option<Parity>,
    /// SHA-256 of every part in the order of their numbers, the parity parts behind the others.
    pub hashes: Vec<Digest>,
}

/// How many parity parts stand for how many parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parity {
    /// Parts of one group at most, 1 to 120.
    pub group: u8,
    /// Parity parts of every group, 1 to 16: so many of a group may be lost.
    pub extra: u8,
}

/// Why a cutting is none, or cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CuttingError {
    /// Nothing to cut.
    #[error("nothing cannot be cut into parts")]
    Empty,
    /// Parts too small to be worth a mail.
    #[error("parts of {octets} octets are too small; at least {PART_OCTETS_MIN} are needed")]
    TooSmall {
        /// Octets of a part.
        octets: u32,
    },
    /// Too many parts.
    #[error("{parts} parts are more than the {limit} allowed")]
    TooMany {
        /// Parts there would be.
        parts: u64,
        /// Parts allowed.
        limit: usize,
    },
    /// Groups or parity parts beyond the code's bounds.
    #[error(
        "{extra} parity parts for groups of {group} cannot be; allowed are 1 to {EXTRA_MAX} for 1 to {GROUP_MAX}"
    )]
    Parity {
        /// Parts of a group.
        group: u8,
        /// Parity parts of a group.
        extra: u8,
    },
    /// Another number of hashes than of parts.
    #[error("{found} hashes for {parts} parts")]
    Hashes {
        /// Hashes there are.
        found: usize,
        /// Parts there are.
        parts: u32,
    },
}

/// The parts do not make the whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// Parts are missing, and no parity part stands for them.
    #[error("{} parts are missing", missing.len())]
    Missing {
        /// Their numbers, from 1; see [`Shape::missing`].
        missing: Vec<u32>,
    },
    /// A part with another length than its place asks for.
    #[error("part {number} has {found} octets; its length is {right}")]
    Length {
        /// Its number, from 1.
        number: u32,
        /// Octets found.
        found: usize,
        /// Octets that it has to have.
        right: usize,
    },
}

/// Numbers and lengths of the parts of a cutting that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    octets: u64,
    part_octets: u32,
    /// Parts of the whole itself.
    data: u32,
    /// Parity parts of each group; 0 without parity.
    extra: u32,
    /// Groups; 0 without parity.
    groups: u32,
}

impl Shape {
    /// The shape of `octets` octets in parts of `part_octets`.
    ///
    /// # Errors
    /// [`CuttingError`].
    pub fn new(
        octets: u64,
        part_octets: u32,
        parity: Option<Parity>,
        limits: &Limits,
    ) -> Result<Self, CuttingError> {
        if octets == 0 {
            return Err(CuttingError::Empty);
        }
        if part_octets < PART_OCTETS_MIN {
            return Err(CuttingError::TooSmall { octets: part_octets });
        }
        let data = octets.div_ceil(part_octets.into());
        let too_many = |parts| CuttingError::TooMany { parts, limit: limits.parts };
        let (groups, extra) = match parity {
            None => (0, 0),
            Some(Parity { group, extra })
                if (1..=GROUP_MAX).contains(&group) && (1..=EXTRA_MAX).contains(&extra) =>
            {
                (data.div_ceil(group.into()), u64::from(extra))
            }
            Some(Parity { group, extra }) => return Err(CuttingError::Parity { group, extra }),
        };
        let parts = data.saturating_add(groups.saturating_mul(extra));
        if usize::try_from(parts).ok().is_none_or(|parts| parts > limits.parts) {
            return Err(too_many(parts));
        }
        let small = |number: u64| u32::try_from(number).map_err(|_| too_many(parts));
        Ok(Self { octets, part_octets, data: small(data)?, extra: small(extra)?, groups: small(groups)? })
    }

    /// All parts, parity parts included.
    #[must_use]
    pub fn parts(&self) -> u32 {
        self.data.saturating_add(self.groups.saturating_mul(self.extra))
    }

    /// Parts of the whole itself: with all of them nothing else is needed. Their numbers are the first.
    #[must_use]
    pub fn data_parts(&self) -> u32 {
        self.data
    }

    /// Octets of the part with this number, from 1; `None` where there is no such part.
    #[must_use]
    pub fn octets_of(&self, number: u32) -> Option<usize> {
        if number == 0 || number > self.parts() {
            return None;
        }
        let part = u64::from(self.part_octets);
        let begins = part.saturating_mul(u64::from(number.saturating_sub(1)));
        let octets = if number > self.data { part } else { part.min(self.octets.saturating_sub(begins)) };
        usize::try_from(octets).ok()
    }

    /// The parts of a group by their places, counted from 0: those of the whole, and the parity parts. Neighbours belong
    /// to different groups, so that a run of lost mails is shared out.
    fn group(&self, group: u32) -> (Vec<u32>, Vec<u32>) {
        let step = usize::try_from(self.groups.max(1)).unwrap_or(usize::MAX);
        let data = (group..self.data).step_by(step).collect();
        let parity = (0..self.extra)
            .map(|row| self.data.saturating_add(row.saturating_mul(self.groups)).saturating_add(group))
            .collect();
        (data, parity)
    }

    /// The parts to ask for, by their numbers from 1, where `here` tells which numbers have come: as few as are needed to
    /// make the whole. None when it can be made.
    #[must_use]
    pub fn missing(&self, here: impl Fn(u32) -> bool) -> Vec<u32> {
        let is_here = |place: &u32| here(place.saturating_add(1));
        let mut missing = Vec::new();
        for group in 0..self.groups.max(1) {
            let (data, parity) = self.group(group);
            let lost = data.iter().filter(|place| !is_here(place));
            let spare = parity.iter().filter(|place| is_here(place)).count();
            missing.extend(lost.skip(spare).map(|place| place.saturating_add(1)));
        }
        missing.sort_unstable();
        missing
    }
}

impl Cutting {
    /// Whether this is a cutting of something with so many octets; its shape.
    ///
    /// # Errors
    /// [`CuttingError`].
    pub fn check(&self, octets: u64, limits: &Limits) -> Result<Shape, CuttingError> {
        let shape = Shape::new(octets, self.part_octets, self.parity, limits)?;
        if u32::try_from(self.hashes.len()) != Ok(shape.parts()) {
            return Err(CuttingError::Hashes { found: self.hashes.len(), parts: shape.parts() });
        }
        Ok(shape)
    }

    /// The hash of the part with this number, from 1.
    #[must_use]
    pub fn hash(&self, number: u32) -> Option<Digest> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        self.hashes.get(place).copied()
    }
}

/// Something cut into parts.
#[derive(Debug, Clone)]
pub struct Parts {
    cutting: Cutting,
    shape: Shape,
    /// The parity parts, behind each other.
    parity: Vec<u8>,
}

impl Parts {
    /// Cuts `whole`. The same arguments give the same parts.
    ///
    /// # Errors
    /// [`CuttingError`].
    pub fn cut(
        whole: &[u8],
        part_octets: u32,
        parity: Option<Parity>,
        limits: &Limits,
    ) -> Result<Self, CuttingError> {
        let octets = u64::try_from(whole.len()).unwrap_or(u64::MAX);
        let shape = Shape::new(octets, part_octets, parity, limits)?;
        let parity_octets = erasure::encode(whole, &shape);
        let mut parts = Self {
            cutting: Cutting { part_octets, parity, hashes: Vec::new() },
            shape,
            parity: parity_octets,
        };
        parts.cutting.hashes =
            (1..=shape.parts()).filter_map(|number| parts.part(whole, number)).map(Digest::of).collect();
        Ok(parts)
    }

    /// How it is cut.
    #[must_use]
    pub fn cutting(&self) -> &Cutting {
        &self.cutting
    }

    /// Numbers and lengths.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The part with this number, from 1, of the `whole` that was cut.
    #[must_use]
    pub fn part<'a>(&'a self, whole: &'a [u8], number: u32) -> Option<&'a [u8]> {
        let octets = self.shape.octets_of(number)?;
        let (source, place) = match number.checked_sub(self.shape.data.saturating_add(1)) {
            None => (whole, number.checked_sub(1)?),
            Some(place) => (self.parity.as_slice(), place),
        };
        let begins = usize::try_from(u64::from(self.shape.part_octets).checked_mul(place.into())?).ok()?;
        source.get(begins..begins.checked_add(octets)?)
    }
}

/// The whole of which these are the parts in the order of their numbers; `None` stands for one that has not come. Parity
/// parts stand in for lost ones. Whether the whole is the right one only its own hash tells.
///
/// # Errors
/// [`JoinError`].
pub fn join(shape: &Shape, parts: &[Option<Vec<u8>>]) -> Result<Vec<u8>, JoinError> {
    let part = |number: u32| {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        parts.get(place)?.as_deref()
    };
    let missing = shape.missing(|number| part(number).is_some());
    if !missing.is_empty() {
        return Err(JoinError::Missing { missing });
    }
    for number in 1..=shape.parts() {
        let (Some(part), Some(right)) = (part(number), shape.octets_of(number)) else { continue };
        if part.len() != right {
            return Err(JoinError::Length { number, found: part.len(), right });
        }
    }
    let restored = erasure::restore(shape, &part);
    let mut whole = Vec::with_capacity(usize::try_from(shape.octets).unwrap_or_default());
    for number in 1..=shape.data {
        let octets = part(number).or_else(|| restored.get(&number).map(Vec::as_slice)).unwrap_or_default();
        whole.extend(octets.get(..shape.octets_of(number).unwrap_or_default()).unwrap_or_default());
    }
    Ok(whole)
}

#[cfg(test)]
mod tests;
