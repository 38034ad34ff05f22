//! What profiles want of a device, in the words of the SNMP reader.

use super::{Clues, Profiles};
use crate::device::{Walk, decode, oids};
use crate::snmp::{Manner, Wish, Wishes};
use std::time::Duration;

/// Profiles as the reader asks for them.
#[derive(Debug, Clone)]
pub struct ProfileWishes(Profiles);

impl ProfileWishes {
    /// Wishes of these profiles.
    #[must_use]
    pub fn new(profiles: Profiles) -> Self {
        Self(profiles)
    }
}

impl Wishes for ProfileWishes {
    /// What the profiles that apply want. As long as no maker's profile applies, the objects whose mere answer would tell of one.
    fn wish(&self, walk: &Walk) -> Wish {
        let clues = Clues::of(walk);
        let chosen = self.0.choose_by(walk, &clues);
        let wanted = chosen.wanted();
        let named =
            walk.column(oids::HR_DEVICE_DESCR).next().and_then(|(_, value)| decode(value.as_octets()?, None));
        let model = clues.device_id.model.clone().or(named);
        let care = chosen.care(model.as_deref(), clues.description.as_deref());
        let (mut scalars, mut identity) = (wanted.scalars, wanted.identity);
        if chosen.iter().all(|profile| profile.wanted().is_nothing()) {
            scalars.extend_from_slice(self.0.probes());
            identity.extend_from_slice(self.0.probes());
        }
        Wish {
            scalars,
            columns: wanted.columns,
            steady: wanted.steady,
            identity,
            skip: care.skip,
            manner: Manner {
                max_repetitions: care.max_repetitions,
                objects_per_request: care.objects_per_request.and_then(|objects| u32::try_from(objects).ok()),
                no_bulk: care.no_bulk,
                pause: Duration::from_millis(u64::from(care.pause_ms)),
                retries: care.retries,
            },
        }
    }

    fn edition(&self) -> u64 {
        self.0.edition
    }
}
