//! The check symbols: a Reed-Solomon code over GF(32) with two check symbols, shortened to 28.
//!
//! A word is valid when `sum c[i] a^i = 0` and `sum c[i] a^2i = 0`, where `a` generates the field. Its distance is 3: one
//! or two wrong symbols are always found, so every exchange of two symbols is too; a single wrong one can be located.

/// Symbols of a word.
pub(super) const SYMBOLS: usize = 28;

/// Symbols that carry the secret.
pub(super) const DATA: usize = 26;

/// `x^5 + x^2 + 1`, whose root generates the field.
const POLYNOMIAL: u8 = 0b10_0101;

/// Elements of the field but zero.
const ORDER: usize = 31;

/// Product in GF(32).
fn times(left: u8, right: u8) -> u8 {
    let (mut product, mut shifted) = (0, left);
    for bit in 0..5 {
        if right >> bit & 1 == 1 {
            product ^= shifted;
        }
        shifted <<= 1;
        if shifted & 0b10_0000 != 0 {
            shifted ^= POLYNOMIAL;
        }
    }
    product
}

/// The generator to this power.
fn power(exponent: usize) -> u8 {
    (0..exponent % ORDER).fold(1, |power, _| times(power, 2))
}

fn inverse(element: u8) -> u8 {
    // x^31 = 1 for all but zero, so x^30 is the inverse.
    (0..ORDER - 1).fold(1, |power, _| times(power, element))
}

/// Both sums; zero for a valid word.
fn syndromes(word: &[u8]) -> (u8, u8) {
    word.iter().enumerate().fold((0, 0), |(first, second), (place, symbol)| {
        (first ^ times(*symbol, power(place)), second ^ times(*symbol, power(2 * place)))
    })
}

/// The two symbols that make a valid word of `data`.
pub(super) fn check_symbols(data: &[u8; DATA]) -> [u8; 2] {
    let (first, second) = syndromes(data);
    let (x, y) = (power(DATA), power(DATA + 1));
    // c x + d y = first, c x^2 + d y^2 = second
    let last = times(second ^ times(first, x), inverse(times(y, x ^ y)));
    [times(first ^ times(last, y), inverse(x)), last]
}

/// Whether the word is valid.
pub(super) fn is_valid(word: &[u8; SYMBOLS]) -> bool {
    syndromes(word) == (0, 0)
}

/// Places of a wrong word that one typing error explains: one wrong symbol, or two neighbours exchanged.
pub(super) fn likely_places(word: &[u8; SYMBOLS]) -> Vec<usize> {
    let mut places = Vec::new();
    let (first, second) = syndromes(word);
    if first != 0 && second != 0 {
        // A single error e at i gives e a^i and e a^2i.
        let quotient = times(second, inverse(first));
        places.extend((0..SYMBOLS).find(|place| power(*place) == quotient));
    }
    for place in 0..SYMBOLS - 1 {
        let mut exchanged = *word;
        exchanged.swap(place, place + 1);
        if exchanged != *word && is_valid(&exchanged) {
            places.extend([place, place + 1]);
        }
    }
    places.sort_unstable();
    places.dedup();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_runs_through_all_elements_but_zero() {
        let mut elements: Vec<_> = (0..ORDER).map(power).collect();
        elements.sort_unstable();
        assert_eq!(elements, (1..32).collect::<Vec<u8>>());
        for element in 1..32 {
            assert_eq!(times(element, inverse(element)), 1);
        }
    }

    #[test]
    fn two_wrong_symbols_never_make_another_valid_word() {
        // The code is linear: it is enough that no word with one or two symbols other than zero is valid.
        for place in 0..SYMBOLS {
            for other in place..SYMBOLS {
                for one in 1..32 {
                    for two in 0..32 {
                        let mut word = [0; SYMBOLS];
                        word[other] = two;
                        word[place] = one;
                        assert!(!is_valid(&word), "{place} {one} {other} {two}");
                    }
                }
            }
        }
    }
}
