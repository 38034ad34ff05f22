//! Which profiles apply to a device.

use super::file::{Condition, OneOrMore};
use super::wanted::{Care, Wanted};
use super::{Profile, Profiles};
use crate::device::{DeviceId, Oid, Value, Walk, decode, oids};
use std::cmp::Reverse;

/// What profiles are chosen by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Clues {
    /// `sysObjectID`.
    pub(crate) object_id: Option<Oid>,
    /// `sysDescr`.
    pub(crate) description: Option<String>,
    /// The IEEE 1284 device id.
    pub(crate) device_id: DeviceId,
}

impl Clues {
    pub(crate) fn of(walk: &Walk) -> Self {
        Self {
            object_id: walk.scalar(oids::SYS_OBJECT_ID).and_then(Value::as_oid).cloned(),
            description: walk
                .scalar(oids::SYS_DESCR)
                .and_then(Value::as_octets)
                .and_then(|octets| decode(octets, None)),
            device_id: DeviceId::of(walk),
        }
    }
}

/// What a description pattern told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) vendor: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) firmware: Option<String>,
    /// The text is known to name no model.
    pub(crate) no_model: bool,
}

/// The profiles that apply to one device, in order: what an earlier one tells counts.
#[derive(Debug, Clone)]
pub struct Chosen {
    all: Profiles,
    picked: Vec<usize>,
    pub(crate) described: Option<Described>,
}

impl Profiles {
    /// The profiles that apply to a device, by what it said: by `sysObjectID` (longest first), by private objects that answered,
    /// by device id, by `sysDescr`. To be called again when more was read: private objects may tell of further ones.
    #[must_use]
    pub fn choose(&self, walk: &Walk) -> Chosen {
        self.choose_by(walk, &Clues::of(walk))
    }

    pub(crate) fn choose_by(&self, walk: &Walk, clues: &Clues) -> Chosen {
        let mut picked: Vec<_> = self
            .profiles
            .iter()
            .enumerate()
            .filter_map(|(at, profile)| Some((profile.rank(walk, clues)?, at)))
            .collect();
        picked.sort();
        Chosen {
            all: self.clone(),
            picked: picked.into_iter().map(|(_, at)| at).collect(),
            described: clues.description.as_deref().and_then(|description| self.describe(description)),
        }
    }

    /// What the most particular pattern that fits tells.
    fn describe(&self, description: &str) -> Option<Described> {
        let mut best: Option<(usize, Described)> = None;
        for profile in self.profiles.iter() {
            for rule in profile.file.description.iter().map(toml::Spanned::get_ref) {
                let particular = rule.pattern.particular();
                if best.as_ref().is_some_and(|(best, _)| *best >= particular) {
                    continue;
                }
                let Some(mut found) = rule.pattern.fit(description) else { continue };
                let no_model = !rule.tells_model.unwrap_or(true) || !found.contains_key("model");
                let vendor = found
                    .remove("vendor")
                    .map(|vendor| self.brand_of(&vendor).map_or(vendor.clone(), str::to_owned));
                let vendor = rule.vendor.clone().or(vendor).or_else(|| profile.file.vendor.clone());
                best = Some((
                    particular,
                    Described {
                        vendor,
                        model: found.remove("model"),
                        serial: found.remove("serial"),
                        firmware: found.remove("firmware"),
                        no_model,
                    },
                ));
            }
        }
        best.map(|(_, described)| described)
    }

    /// The maker or brand with whose name a text begins, in its usual spelling; the longest name counts.
    pub(crate) fn brand_of(&self, text: &str) -> Option<&str> {
        self.brand_at_start(text).map(|(_, shown)| shown)
    }

    /// A name such as `EPSON WF-M5799` as maker and model; the whole is the model where no maker is known in it.
    pub(crate) fn split_brand<'a>(&'a self, name: &'a str) -> (Option<&'a str>, &'a str) {
        match self.brand_at_start(name.trim()) {
            Some((length, shown)) => {
                let model = name.trim()[length..].trim();
                (Some(shown), if model.is_empty() { name.trim() } else { model })
            }
            None => (None, name.trim()),
        }
    }

    /// The same, with the length of the name in the text.
    pub(crate) fn brand_at_start(&self, text: &str) -> Option<(usize, &str)> {
        let begins = |name: &str| {
            let head = text.get(..name.len())?;
            // A name ends where no letter, digit or hyphen follows: `HPE` is not HP.
            let ends =
                !text[name.len()..].starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-');
            (ends && head.eq_ignore_ascii_case(name)).then_some(name.len())
        };
        self.profiles
            .iter()
            .flat_map(|profile| {
                let own = profile.file.vendor.as_deref().map(|vendor| (vendor, vendor));
                own.into_iter()
                    .chain(profile.file.brands.iter().map(|(name, shown)| (name.as_str(), shown.as_str())))
            })
            .filter_map(|(name, shown)| Some((begins(name)?, shown)))
            .max_by_key(|(length, _)| *length)
    }
}

/// In what order profiles apply.
type Rank = (u8, Reverse<usize>);

impl Profile {
    fn rank(&self, walk: &Walk, clues: &Clues) -> Option<Rank> {
        let matches = &self.file.matches;
        let by_id = clues.object_id.as_ref().and_then(|id| {
            let lengths = matches.object_ids.iter().filter(|wanted| id.arcs().starts_with(wanted.oid.arcs()));
            lengths.map(|wanted| wanted.oid.arcs().len()).max()
        });
        if let Some(length) = by_id {
            return Some((0, Reverse(length)));
        }
        if matches.answers.iter().any(|object| object.find(walk).is_some()) {
            return Some((1, Reverse(0)));
        }
        let maker = clues.device_id.vendor.as_deref();
        if maker.is_some_and(|maker| matches.device_ids.iter().any(|id| id.eq_ignore_ascii_case(maker))) {
            return Some((2, Reverse(0)));
        }
        let description = clues.description.as_deref()?;
        let patterns = matches.descriptions.iter();
        let described = self.file.description.iter().map(|rule| &rule.get_ref().pattern);
        patterns.chain(described).any(|pattern| pattern.fits(description)).then_some((3, Reverse(0)))
    }
}

impl Chosen {
    /// The profiles, in the order in which they count.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.picked.iter().filter_map(|at| self.all.profiles.get(*at))
    }

    /// All that they want to be read, each object once.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        self.iter().fold(Wanted::default(), |wanted, profile| wanted.join(profile.wanted()))
    }

    /// How carefully the device has to be asked, by its model and `sysDescr`, as far as known.
    #[must_use]
    pub fn care(&self, model: Option<&str>, description: Option<&str>) -> Care {
        let mut care = Care::default();
        for fragile in self.iter().flat_map(|profile| &profile.file.fragile) {
            let everyone = fragile.models.is_empty() && fragile.descriptions.is_empty();
            let fits = |text: Option<&str>, patterns: &[super::Pattern]| {
                text.is_some_and(|text| patterns.iter().any(|pattern| pattern.fits(text)))
            };
            if everyone || fits(model, &fragile.models) || fits(description, &fragile.descriptions) {
                care.join(fragile);
            }
        }
        care
    }

    /// The maker of whose make the device is, by its `sysObjectID`: the brand may be another.
    pub(crate) fn maker(&self, clues: &Clues) -> Option<&str> {
        let id = clues.object_id.as_ref()?;
        self.iter()
            .find(|profile| {
                profile.file.matches.object_ids.iter().any(|wanted| id.arcs().starts_with(wanted.oid.arcs()))
            })
            .and_then(Profile::vendor)
    }

    /// Whether the life count of the standard table is pages.
    pub(crate) fn life_count_is_total(&self) -> bool {
        self.iter().all(|profile| profile.file.standard.life_count_is_total)
    }
}

/// What conditions are checked against.
pub(super) struct Facts<'a> {
    pub(super) walk: &'a Walk,
    pub(super) model: Option<&'a str>,
    pub(super) description: Option<&'a str>,
}

impl Facts<'_> {
    pub(super) fn meet(&self, conditions: &[Condition]) -> bool {
        conditions.iter().all(|condition| self.meets(condition))
    }

    fn meets(&self, condition: &Condition) -> bool {
        // A text that is not known fits nothing, and nobody can say that it is none of these either.
        let fits = |patterns: &Option<OneOrMore<super::Pattern>>, text: Option<&str>, wanted: bool| {
            patterns.as_ref().is_none_or(|patterns| {
                text.is_some_and(|text| patterns.0.iter().any(|pattern| pattern.fits(text)) == wanted)
            })
        };
        let Some(object) = &condition.object else {
            return fits(&condition.model, self.model, true)
                && fits(&condition.not_model, self.model, false)
                && fits(&condition.description, self.description, true)
                && fits(&condition.not_description, self.description, false);
        };
        let value = object.find(self.walk).map(|(_, value)| value).filter(|value| **value != Value::Other);
        let number = value.and_then(Value::as_i64);
        condition.is.as_ref().is_none_or(|is| number.is_some_and(|number| is.contains(&number)))
            && condition.not.as_ref().is_none_or(|not| number.is_some_and(|number| !not.contains(&number)))
            && condition.answers.is_none_or(|answers| answers == value.is_some())
    }
}
