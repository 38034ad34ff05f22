//! Reads the words of an IMAP command one after the other (RFC 3501 section 9). A command comes with its literals in
//! it, as `{3}` CRLF and three octets.

/// A command that cannot be understood; says what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) &'static str);

/// A place in a command.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

/// The announcement of a literal at the end of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Literal {
    pub(super) octets: usize,
    /// Whether the client waits for a continuation (`{3}`) or not (`{3+}`, RFC 7888).
    pub(super) waits: bool,
}

/// The literal that a line announces as its last word.
pub(super) fn literal_at_end(line: &[u8]) -> Option<Literal> {
    let inner = line.strip_suffix(b"}")?;
    let begin = inner.iter().rposition(|octet| *octet == b'{')?;
    let digits = &inner[begin + 1..];
    let (digits, waits) = digits.strip_suffix(b"+").map_or((digits, true), |digits| (digits, false));
    // A number too great for a usize is beyond every limit.
    digits_only(digits).map(|text| Literal { octets: text.parse().unwrap_or(usize::MAX), waits })
}

fn digits_only(octets: &[u8]) -> Option<&str> {
    let digits = !octets.is_empty() && octets.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(octets).ok().filter(|_| digits)
}

fn is_atom(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"(){%*\"\\]".contains(&octet)
}

impl<'a> Cursor<'a> {
    pub(super) fn new(command: &'a [u8]) -> Self {
        Self { rest: command }
    }

    pub(super) fn next_is(&self, octet: u8) -> bool {
        self.rest.first() == Some(&octet)
    }

    pub(super) fn eat(&mut self, octet: u8) -> bool {
        let found = self.next_is(octet);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    pub(super) fn expect(&mut self, octet: u8, what: &'static str) -> Result<(), Wrong> {
        if self.eat(octet) { Ok(()) } else { Err(Wrong(what)) }
    }

    pub(super) fn space(&mut self) -> Result<(), Wrong> {
        self.expect(b' ', "a space")
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn end(&self) -> Result<(), Wrong> {
        if self.at_end() { Ok(()) } else { Err(Wrong("the end of the command")) }
    }

    /// Everything as long as `fits`, as text.
    pub(super) fn run(&mut self, fits: impl Fn(u8) -> bool) -> &'a str {
        let length = self.rest.iter().position(|octet| !fits(*octet)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(length);
        match std::str::from_utf8(run) {
            Ok(text) => {
                self.rest = rest;
                text
            }
            Err(_) => "",
        }
    }

    pub(super) fn atom(&mut self) -> Result<&'a str, Wrong> {
        Some(self.run(is_atom)).filter(|atom| !atom.is_empty()).ok_or(Wrong("an atom"))
    }

    /// The next atom in capitals, cut at `[`: a word of the protocol.
    pub(super) fn keyword(&mut self) -> Result<String, Wrong> {
        let word = self.run(|octet| is_atom(octet) && octet != b'[');
        if word.is_empty() { Err(Wrong("a keyword")) } else { Ok(word.to_ascii_uppercase()) }
    }

    pub(super) fn number(&mut self) -> Result<u64, Wrong> {
        self.run(|octet| octet.is_ascii_digit()).parse().map_err(|_| Wrong("a number"))
    }

    /// A flag, with its backslash.
    pub(super) fn flag(&mut self) -> Result<String, Wrong> {
        let system = if self.eat(b'\\') { "\\" } else { "" };
        Ok(format!("{system}{}", self.atom()?))
    }

    /// A quoted string or a literal; `None` when neither stands here.
    fn string(&mut self) -> Result<Option<Vec<u8>>, Wrong> {
        if self.eat(b'"') {
            let mut text = Vec::new();
            loop {
                let (octet, rest) = self.rest.split_first().ok_or(Wrong("a closing quote"))?;
                self.rest = rest;
                match octet {
                    b'"' => return Ok(Some(text)),
                    b'\\' => {
                        let (escaped, rest) = self.rest.split_first().ok_or(Wrong("a closing quote"))?;
                        if !b"\"\\".contains(escaped) {
                            return Err(Wrong("an escaped quote or backslash"));
                        }
                        self.rest = rest;
                        text.push(*escaped);
                    }
                    b'\r' | b'\n' | 0 => return Err(Wrong("a closing quote")),
                    _ => text.push(*octet),
                }
            }
        }
        if !self.eat(b'{') {
            return Ok(None);
        }
        let octets = self.number()?;
        self.eat(b'+');
        self.expect(b'}', "the end of a literal's size")?;
        self.expect(b'\r', "a line end behind a literal's size")?;
        self.expect(b'\n', "a line end behind a literal's size")?;
        let octets = usize::try_from(octets).ok().filter(|octets| *octets <= self.rest.len());
        let (literal, rest) = self.rest.split_at(octets.ok_or(Wrong("a whole literal"))?);
        self.rest = rest;
        Ok(Some(literal.to_vec()))
    }

    /// An atom, a quoted string or a literal, as octets.
    pub(super) fn astring_octets(&mut self) -> Result<Vec<u8>, Wrong> {
        if let Some(string) = self.string()? {
            return Ok(string);
        }
        let word = self.run(|octet| is_atom(octet) || octet == b']');
        if word.is_empty() { Err(Wrong("a string")) } else { Ok(word.as_bytes().to_vec()) }
    }

    /// An atom, a quoted string or a literal, as text.
    pub(super) fn astring(&mut self) -> Result<String, Wrong> {
        String::from_utf8(self.astring_octets()?).map_err(|_| Wrong("text in UTF-8"))
    }

    /// A mailbox name that may hold wildcards.
    pub(super) fn pattern(&mut self) -> Result<String, Wrong> {
        if let Some(string) = self.string()? {
            return String::from_utf8(string).map_err(|_| Wrong("text in UTF-8"));
        }
        let word = self.run(|octet| is_atom(octet) || b"]%*".contains(&octet));
        if word.is_empty() { Err(Wrong("a mailbox name")) } else { Ok(word.to_owned()) }
    }

    /// A list in parentheses, or without them a single one.
    pub(super) fn list<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, Wrong>,
    ) -> Result<Vec<T>, Wrong> {
        if !self.eat(b'(') {
            return Ok(vec![one(self)?]);
        }
        let mut all = Vec::new();
        if self.eat(b')') {
            return Ok(all);
        }
        loop {
            all.push(one(self)?);
            if self.eat(b')') {
                return Ok(all);
            }
            self.space()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_announces_its_literal() {
        let literal = |octets, waits| Some(Literal { octets, waits });
        assert_eq!(literal_at_end(b"a LOGIN {11}"), literal(11, true));
        assert_eq!(literal_at_end(b"a LOGIN {11+}"), literal(11, false));
        assert_eq!(literal_at_end(b"a LOGIN {99999999999999999999999}"), literal(usize::MAX, true));
        for line in ["a LOGIN \"{11}\"", "{}", "{+}", "{1-}", "1}", ""] {
            assert_eq!(literal_at_end(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn strings_come_as_atom_quoted_or_literal() {
        let mut cursor = Cursor::new(b"atom \"a \\\"quoted\\\\\" {5}\r\na\r\n}b {3+}\r\nxyz rest");
        assert_eq!(cursor.astring(), Ok("atom".to_owned()));
        cursor.space().expect("a space");
        assert_eq!(cursor.astring(), Ok("a \"quoted\\".to_owned()));
        cursor.space().expect("a space");
        assert_eq!(cursor.astring(), Ok("a\r\n}b".to_owned()));
        cursor.space().expect("a space");
        assert_eq!(cursor.astring(), Ok("xyz".to_owned()));
        assert!(!cursor.at_end());
    }

    #[test]
    fn broken_strings_are_refused() {
        for text in ["\"open", "\"a\\b\"", "{3}\r\nab", "{3}abc", "{x}\r\n", "", "("] {
            assert!(Cursor::new(text.as_bytes()).astring().is_err(), "{text:?}");
        }
    }

    #[test]
    fn lists_may_be_empty_single_or_long() {
        let list = |text: &str| Cursor::new(text.as_bytes()).list(Cursor::flag);
        assert_eq!(list("()"), Ok(vec![]));
        assert_eq!(list("\\Seen"), Ok(vec!["\\Seen".to_owned()]));
        assert_eq!(list("(\\Seen $Done)").map(|flags| flags.len()), Ok(2));
        assert!(list("(\\Seen").is_err());
        assert!(list("(\\Seen )").is_err());
    }
}
