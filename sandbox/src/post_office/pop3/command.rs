//! What a POP3 client may say (RFC 1939, RFC 2449, RFC 2595, RFC 5034), read from one line.

/// A command of the client.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Command {
    Capa,
    Stls,
    User(String),
    Pass(String),
    Auth { mechanism: Option<String>, initial: Option<String> },
    Stat,
    List(Option<usize>),
    Uidl(Option<usize>),
    Retr(usize),
    Top(usize, usize),
    Dele(usize),
    Rset,
    Noop,
    Quit,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    Unknown,
    Arguments,
}

/// Reads a command line, given without its end.
pub(super) fn parse(line: &[u8]) -> Result<Command, Wrong> {
    let line = std::str::from_utf8(line).map_err(|_| Wrong::Unknown)?;
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut words = rest.split(' ').filter(|word| !word.is_empty());
    let verb = verb.to_ascii_uppercase();
    let command = match verb.as_str() {
        // A password may hold spaces (RFC 1939 section 7).
        "PASS" if rest.is_empty() => return Err(Wrong::Arguments),
        "PASS" => return Ok(Command::Pass(rest.to_owned())),
        "USER" => Command::User(words.next().ok_or(Wrong::Arguments)?.to_owned()),
        "AUTH" => {
            let mechanism = words.next().map(str::to_owned);
            Command::Auth { mechanism, initial: words.next().map(str::to_owned) }
        }
        "CAPA" => Command::Capa,
        "STLS" => Command::Stls,
        "STAT" => Command::Stat,
        "LIST" => Command::List(words.next().map(number).transpose()?),
        "UIDL" => Command::Uidl(words.next().map(number).transpose()?),
        "RETR" => Command::Retr(needed(words.next())?),
        "TOP" => Command::Top(needed(words.next())?, needed(words.next())?),
        "DELE" => Command::Dele(needed(words.next())?),
        "RSET" => Command::Rset,
        "NOOP" => Command::Noop,
        "QUIT" => Command::Quit,
        _ => return Err(Wrong::Unknown),
    };
    if words.next().is_some() { Err(Wrong::Arguments) } else { Ok(command) }
}

fn needed(word: Option<&str>) -> Result<usize, Wrong> {
    number(word.ok_or(Wrong::Arguments)?)
}

fn number(word: &str) -> Result<usize, Wrong> {
    if word.bytes().all(|octet| octet.is_ascii_digit()) {
        word.parse().map_err(|_| Wrong::Arguments)
    } else {
        Err(Wrong::Arguments)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_are_read_in_any_case_with_their_numbers() {
        assert_eq!(parse(b"retr 12"), Ok(Command::Retr(12)));
        assert_eq!(parse(b"LIST"), Ok(Command::List(None)));
        assert_eq!(parse(b"UIDL 3"), Ok(Command::Uidl(Some(3))));
        assert_eq!(parse(b"TOP 1 0"), Ok(Command::Top(1, 0)));
        assert_eq!(parse(b"PASS two words "), Ok(Command::Pass("two words ".to_owned())));
        let auth = Command::Auth { mechanism: Some("PLAIN".to_owned()), initial: Some("AGE=".to_owned()) };
        assert_eq!(parse(b"AUTH PLAIN AGE="), Ok(auth));
    }

    #[test]
    fn what_is_not_a_command_is_told_apart_from_wrong_arguments() {
        assert_eq!(parse(b"XTND"), Err(Wrong::Unknown));
        assert_eq!(parse(b"\xff"), Err(Wrong::Unknown));
        for line in [
            "RETR",
            "RETR x",
            "RETR -1",
            "RETR +1",
            "TOP 1",
            "QUIT now",
            "PASS",
            "USER",
            "DELE 99999999999999999999",
        ] {
            assert_eq!(parse(line.as_bytes()), Err(Wrong::Arguments), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse(&line);
        }

        #[test]
        fn nothing_behind_a_known_word_makes_it_panic(
            verb in prop::sample::select(vec!["TOP ", "LIST ", "AUTH ", "PASS", "DELE "]),
            rest in ".{0,30}",
        ) {
            let _ = parse(format!("{verb}{rest}").as_bytes());
        }
    }
}
