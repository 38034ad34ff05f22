//! Patterns for texts of devices: literal text, `*`, and named places. Bounded in time whatever pattern and text are.

use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// Longest pattern, in characters.
const PATTERN_MAX: usize = 200;
/// Longest text that is looked at, in characters; the rest is not there.
const TEXT_MAX: usize = 512;

/// What a named place takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Anything, at least one character.
    Text,
    /// No blanks.
    Word,
    /// Digits only.
    Digits,
    /// No blanks, a dot inside, begins with a digit, perhaps behind a `V`.
    Version,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// These characters, in lower case.
    Literal(Vec<char>),
    /// Any text, also none.
    Any,
    /// A named place.
    Place(String, Class),
}

/// A pattern as written in a profile; see `profiles/README.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    written: String,
    pieces: Vec<Piece>,
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPattern {
    /// Too long or empty.
    #[error("a pattern has 1 to {PATTERN_MAX} characters")]
    Length,
    /// A brace that does not end, or an odd name.
    #[error(
        "`{{` begins a place such as {{model}} or {{firmware:word}}; write \\{{ for the character itself"
    )]
    Place,
    /// A class that there is not.
    #[error("`{class}` is not `word`, `digits` or `version`")]
    Class {
        /// What was written.
        class: String,
    },
    /// Two of one name.
    #[error("`{name}` stands twice in one pattern")]
    Twice {
        /// The name.
        name: String,
    },
    /// Two places touch without anything that tells where one ends.
    #[error("between two places, or `*` and a place without a class, there must be some text")]
    Touching,
    /// A backslash before something else.
    #[error("a backslash stands only before `*`, `{{` or a backslash")]
    Escape,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn parse(written: &str) -> Result<Self, BadPattern> {
        if written.is_empty() || written.chars().count() > PATTERN_MAX {
            return Err(BadPattern::Length);
        }
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut chars = written.chars();
        while let Some(c) = chars.next() {
            match c {
                '*' => {
                    close(&mut literal, &mut pieces);
                    if pieces.last() != Some(&Piece::Any) {
                        push(&mut pieces, Piece::Any)?;
                    }
                }
                '{' => {
                    close(&mut literal, &mut pieces);
                    let mut inside = String::new();
                    loop {
                        match chars.next() {
                            Some('}') => break,
                            Some(c) => inside.push(c),
                            None => return Err(BadPattern::Place),
                        }
                    }
                    let place = place(&inside)?;
                    if pieces.iter().any(
                        |piece| matches!((piece, &place), (Piece::Place(a, _), Piece::Place(b, _)) if a == b),
                    ) {
                        return Err(BadPattern::Twice { name: inside });
                    }
                    push(&mut pieces, place)?;
                }
                '\\' => match chars.next() {
                    Some(c @ ('*' | '{' | '\\')) => literal.push(c),
                    _ => return Err(BadPattern::Escape),
                },
                c if c.is_whitespace() => {
                    if literal.last() != Some(&' ') {
                        literal.push(' ');
                    }
                }
                c => literal.push(small(c)),
            }
        }
        close(&mut literal, &mut pieces);
        Ok(Self { written: written.to_owned(), pieces })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Names of the places.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Place(name, _) => Some(name.as_str()),
            _ => None,
        })
    }

    /// How many characters are written out: the more, the more particular the pattern.
    #[must_use]
    pub fn particular(&self) -> usize {
        let literal = |piece: &Piece| match piece {
            Piece::Literal(chars) => chars.len(),
            _ => 0,
        };
        self.pieces.iter().map(literal).sum()
    }

    /// What stands at the named places, if the whole text fits.
    #[must_use]
    pub fn fit(&self, text: &str) -> Option<BTreeMap<&str, String>> {
        let text = tidy(text);
        let lower: Vec<char> = text.iter().copied().map(small).collect();
        let dead = vec![false; (self.pieces.len() + 1) * (lower.len() + 1)];
        let mut run = Run { pieces: &self.pieces, text: &lower, dead, found: Vec::new() };
        if !run.go(0, 0) {
            return None;
        }
        Some(
            run.found
                .into_iter()
                .map(|(name, from, to)| (name, text[from..to].iter().collect::<String>().trim().to_owned()))
                .collect(),
        )
    }

    /// Whether the whole text fits.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        self.fit(text).is_some()
    }
}

fn place(inside: &str) -> Result<Piece, BadPattern> {
    let (name, class) = inside.split_once(':').unwrap_or((inside, ""));
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase()) {
        return Err(BadPattern::Place);
    }
    let class = match class {
        "" => Class::Text,
        "word" => Class::Word,
        "digits" => Class::Digits,
        "version" => Class::Version,
        other => return Err(BadPattern::Class { class: other.chars().take(40).collect() }),
    };
    Ok(Piece::Place(name.to_owned(), class))
}

fn close(literal: &mut Vec<char>, pieces: &mut Vec<Piece>) {
    if !literal.is_empty() {
        pieces.push(Piece::Literal(std::mem::take(literal)));
    }
}

/// Two places side by side would leave open where the first ends.
fn push(pieces: &mut Vec<Piece>, piece: Piece) -> Result<(), BadPattern> {
    // Beside `*` a place with a class is clear: it ends where its class ends.
    let closed = |piece: &Piece| matches!(piece, Piece::Place(_, class) if *class != Class::Text);
    let clear = |last: &Piece| match last {
        Piece::Literal(_) => true,
        Piece::Any => closed(&piece),
        Piece::Place(..) => closed(last) && piece == Piece::Any,
    };
    if pieces.last().is_some_and(|last| !clear(last)) {
        return Err(BadPattern::Touching);
    }
    pieces.push(piece);
    Ok(())
}

fn small(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// The text without blanks at its ends, each run of blanks as one.
fn tidy(text: &str) -> Vec<char> {
    let mut tidy = Vec::new();
    for c in text.trim().chars().take(TEXT_MAX) {
        if !c.is_whitespace() {
            tidy.push(c);
        } else if tidy.last() != Some(&' ') {
            tidy.push(' ');
        }
    }
    tidy
}

struct Run<'p, 't> {
    pieces: &'p [Piece],
    text: &'t [char],
    /// Where the rest of the pattern is known not to fit: each pair of piece and place is tried once.
    dead: Vec<bool>,
    found: Vec<(&'p str, usize, usize)>,
}

impl Run<'_, '_> {
    /// Depth is bounded by the number of pieces.
    fn go(&mut self, piece: usize, at: usize) -> bool {
        let key = piece * (self.text.len() + 1) + at;
        if self.dead.get(key).copied().unwrap_or(true) {
            return false;
        }
        let fits = match self.pieces.get(piece) {
            None => at == self.text.len(),
            Some(Piece::Literal(chars)) => {
                self.text[at..].starts_with(chars) && self.go(piece + 1, at + chars.len())
            }
            Some(Piece::Any) => (at..=self.text.len()).any(|next| self.go(piece + 1, next)),
            Some(Piece::Place(_, class)) => self.place(piece, at, *class),
        };
        self.dead[key] = !fits;
        fits
    }

    fn place(&mut self, piece: usize, at: usize, class: Class) -> bool {
        let takes = |c: char| match class {
            Class::Text => true,
            Class::Word | Class::Version => c != ' ',
            Class::Digits => c.is_ascii_digit(),
        };
        let longest = self.text[at..].iter().take_while(|c| takes(**c)).count();
        // Behind a word anything may follow: then it is the whole word.
        let greedy = class != Class::Text && matches!(self.pieces.get(piece + 1), Some(Piece::Any));
        let ends: Vec<usize> = if greedy { (1..=longest).rev().collect() } else { (1..=longest).collect() };
        for length in ends {
            let end = at + length;
            if class == Class::Version && !is_version(&self.text[at..end]) {
                continue;
            }
            if self.go(piece + 1, end) {
                if let Some(Piece::Place(name, _)) = self.pieces.get(piece) {
                    self.found.push((name.as_str(), at, end));
                }
                return true;
            }
        }
        false
    }
}

fn is_version(word: &[char]) -> bool {
    let digits = word.strip_prefix(&['v']).unwrap_or(word);
    digits.first().is_some_and(char::is_ascii_digit) && digits.contains(&'.')
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{BadPattern, Pattern};

    fn found(pattern: &str, text: &str) -> Option<Vec<(String, String)>> {
        let pattern = Pattern::parse(pattern).unwrap();
        let found = pattern.fit(text)?;
        Some(found.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        Some(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn places_are_as_short_as_the_rest_allows() {
        let ricoh = "RICOH {model} {firmware:version} / RICOH *";
        assert_eq!(
            found(ricoh, "RICOH  MP C2503 1.35 / RICOH Network Printer C model"),
            pairs(&[("firmware", "1.35"), ("model", "MP C2503")])
        );
        assert_eq!(found(ricoh, "RICOH Aficio 1013 / RICOH Network Printer D model"), None);
        assert_eq!(
            found("*{number:digits} INCHES*", "1920 INCHES, 4876 CENTIMETERS"),
            pairs(&[("number", "1920")])
        );
        assert_eq!(found("Ver.{firmware:word}*", "ver.1.14  (14.11.06)"), pairs(&[("firmware", "1.14")]));
        assert_eq!(found("SC{code:digits}*", "SC542-00 call service"), pairs(&[("code", "542")]));
    }

    #[test]
    fn the_whole_text_has_to_fit() {
        assert_eq!(found("Copies", " copies "), pairs(&[]));
        assert_eq!(found("Copies", "Copies (color)"), None);
        assert_eq!(found("*", ""), pairs(&[]));
        assert_eq!(found("{model}", ""), None);
        assert_eq!(found(r"100\*{model}", "100*A"), pairs(&[("model", "A")]));
    }

    #[test]
    fn mistakes_are_told() {
        for (pattern, mistake) in [
            ("", BadPattern::Length),
            ("{model", BadPattern::Place),
            ("{}", BadPattern::Place),
            ("{model:number}", BadPattern::Class { class: "number".to_owned() }),
            ("{model} {model}", BadPattern::Twice { name: "model".to_owned() }),
            ("{model}{serial}", BadPattern::Touching),
            ("{model}*", BadPattern::Touching),
            (r"a\b", BadPattern::Escape),
        ] {
            assert_eq!(Pattern::parse(pattern), Err(mistake), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_time() {
        let pattern = Pattern::parse(&"*a".repeat(100)).unwrap();
        assert!(!pattern.fits(&"a".repeat(99)));
        assert!(!pattern.fits(&("a".repeat(510) + "b")));
        assert!(pattern.fits(&"a".repeat(300)));
    }
}
