//! The provisional code as a person reads and types it.
//!
//! 128 random bits in 26 letters of a base-32 alphabet without I, L, O and U, two check letters behind them, in seven
//! groups of four. Read kindly: lower case, any spacing and dashes, O for 0, I and L for 1.

use super::check::{DATA, SYMBOLS, check_symbols, is_valid, likely_places};
use crate::crypto::Random;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Crockford's alphabet: the place of a letter is its value.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Letters in a group.
const GROUP: usize = 4;

/// Longest text looked at, in characters; the code with every letter on a line of its own is far below.
const TEXT_MAX: usize = 400;

/// The code that a dealer hands out on paper: the secret of the first contact. Printed as `<secret>`, wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct ProvisionalCode([u8; 16]);

/// A text that is no code. Nothing of the code stands in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// Letters are missing, or there are too many.
    #[error("a code has 7 groups of 4 letters, these are {found} letters{}", at(.group))]
    Length {
        /// Letters found; counted up to 400.
        found: usize,
        /// The first group that has not four letters, from 1; where the text is written in groups.
        group: Option<usize>,
    },
    /// A character that stands in no code.
    #[error("group {group} holds {letter:?}, which stands in no code")]
    Letter {
        /// Which group, from 1.
        group: usize,
        /// The character.
        letter: char,
    },
    /// The check letters do not fit.
    #[error("the code is not typed as it was issued: {}", look_at(.groups))]
    Mistyped {
        /// The groups, from 1, in which a single typing error would explain it; empty when there must be several.
        groups: Vec<usize>,
    },
    /// Well typed, but of a kind that this version does not know.
    #[error("the code was issued by a newer center; this program is too old for it")]
    Later,
}

fn at(group: &Option<usize>) -> String {
    group.map(|group| format!("; look at group {group}")).unwrap_or_default()
}

fn look_at(groups: &[usize]) -> String {
    match groups {
        [] => "several letters are wrong; compare all groups".to_owned(),
        [one] => format!("look at group {one}"),
        more => {
            let names: Vec<_> = more.iter().map(ToString::to_string).collect();
            format!("look at the groups {}", names.join(", "))
        }
    }
}

impl ProvisionalCode {
    /// A new one from 128 random bits.
    pub fn generate(random: &mut impl Random) -> Self {
        let mut octets = [0; 16];
        random.fill(&mut octets);
        Self(octets)
    }

    /// Reads a code as typed.
    ///
    /// # Errors
    /// [`CodeError`] says where to look; it holds nothing of the code.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let word = letters(text)?;
        if !is_valid(&word) {
            let mut groups: Vec<_> = likely_places(&word).iter().map(|place| place / GROUP + 1).collect();
            groups.dedup();
            return Err(CodeError::Mistyped { groups });
        }
        let (data, _) = word.split_at(DATA);
        let (last, others) = data.split_last().expect("a word has 26 symbols of data");
        if last & 0b11 != 0 {
            return Err(CodeError::Later);
        }
        let bits = others.iter().fold(0u128, |bits, symbol| bits << 5 | u128::from(*symbol));
        Ok(Self((bits << 3 | u128::from(last >> 2)).to_be_bytes()))
    }

    /// The code as it is printed on paper: seven groups of four with hyphens. Show it to nobody else.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let bits = Zeroizing::new(u128::from_be_bytes(self.0));
        let mut data = Zeroizing::new([0u8; DATA]);
        for (place, symbol) in data.iter_mut().enumerate() {
            // 130 bits: the last two are zero, kept for later kinds of code.
            let from = 123 - 5 * i32::try_from(place).expect("26 places");
            let shifted = if from >= 0 { *bits >> from } else { *bits << -from };
            *symbol = u8::try_from(shifted & 31).expect("five bits");
        }
        let check = check_symbols(&data);
        let mut text = Zeroizing::new(String::with_capacity(SYMBOLS + SYMBOLS / GROUP));
        for (place, symbol) in data.iter().chain(&check).enumerate() {
            if place > 0 && place % GROUP == 0 {
                text.push('-');
            }
            let letter = ALPHABET.get(usize::from(*symbol)).expect("a symbol has five bits");
            text.push(char::from(*letter));
        }
        text
    }

    pub(super) fn octets(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The values of the letters in `text`, if it has as many as a code.
fn letters(text: &str) -> Result<Zeroizing<[u8; SYMBOLS]>, CodeError> {
    let mut word = Zeroizing::new([0u8; SYMBOLS]);
    // Letters of each group as it is written; a text without separators is one.
    let mut groups = Vec::with_capacity(TEXT_MAX);
    let (mut found, mut group) = (0, 0);
    for letter in text.chars().take(TEXT_MAX) {
        if is_separator(letter) {
            if group > 0 {
                groups.push(group);
            }
            group = 0;
            continue;
        }
        let value = value(letter).ok_or(CodeError::Letter { group: found / GROUP + 1, letter })?;
        if let Some(symbol) = word.get_mut(found) {
            *symbol = value;
        }
        found += 1;
        group += 1;
    }
    if group > 0 {
        groups.push(group);
    }
    if found == SYMBOLS {
        return Ok(word);
    }
    let odd = groups.iter().position(|letters| *letters != GROUP).map(|place| place + 1);
    Err(CodeError::Length { found, group: odd.filter(|_| groups.len() > 1) })
}

/// Spaces, and the dashes that hyphens become in documents.
fn is_separator(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '-' | '_' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{feff}')
}

fn value(letter: char) -> Option<u8> {
    let letter = match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        letter => letter,
    };
    ALPHABET.iter().position(|known| char::from(*known) == letter).and_then(|place| u8::try_from(place).ok())
}

impl std::fmt::Debug for ProvisionalCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProvisionalCode(<secret>)")
    }
}

impl std::str::FromStr for ProvisionalCode {
    type Err = CodeError;
    fn from_str(text: &str) -> Result<Self, CodeError> {
        Self::parse(text)
    }
}
