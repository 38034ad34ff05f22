//! Chance that can be had again: everything that the play decides follows from one seed.

use jiff::SignedDuration;

/// A stream of random numbers from a seed (splitmix64; the quality of a die is enough).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice of their own for the `number`th of several, so that one throw more here changes nothing there.
    pub(crate) fn fork(&mut self, number: u64) -> Self {
        Self(self.next() ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where that is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// A place in something of that length.
    pub(crate) fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(u64::try_from(length).unwrap_or(u64::MAX))).unwrap_or(0)
    }

    /// Whether something happens that happens so often in a million.
    pub(crate) fn hits(&mut self, per_million: u32) -> bool {
        self.below(1_000_000) < u64::from(per_million)
    }

    /// A time from `least` on, shorter than `most`.
    pub(crate) fn time(&mut self, least: SignedDuration, most: SignedDuration) -> SignedDuration {
        let spread = u64::try_from((most - least).as_millis()).unwrap_or(0);
        let more = i64::try_from(self.below(spread)).unwrap_or(0);
        least.saturating_add(SignedDuration::from_millis(more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_the_same_throws_and_another_others() {
        let throws = |seed| {
            let mut dice = Dice::new(seed);
            (0..50).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(throws(7), throws(7));
        assert_ne!(throws(7), throws(8));
    }

    #[test]
    fn a_chance_of_nothing_never_hits_and_one_of_a_million_always_does() {
        let mut dice = Dice::new(3);
        assert!((0..1000).all(|_| !dice.hits(0) && dice.hits(1_000_000)));
        let hits = (0..100_000).filter(|_| dice.hits(100_000)).count();
        assert!((9_000..11_000).contains(&hits), "{hits}");
    }
}
