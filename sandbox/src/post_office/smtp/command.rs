//! What an SMTP client may say (RFC 5321 section 4.1), read from one line.

/// A command of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Ehlo(String),
    Helo(String),
    Mail { sender: String, parameters: Vec<Parameter> },
    Rcpt { recipient: String, parameters: Vec<Parameter> },
    Data,
    Rset,
    Noop,
    Quit,
    StartTls,
    Auth { mechanism: String, initial: Option<String> },
    Vrfy,
    Help,
}

/// `KEYWORD` or `KEYWORD=value` behind an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    /// In capitals.
    pub(super) keyword: String,
    pub(super) value: Option<String>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// 500: no such command.
    Unknown,
    /// 501: the command is known, what stands behind it is not understood.
    Arguments,
}

/// Longest address (RFC 5321 section 4.5.3.1.3).
const ADDRESS_LIMIT: usize = 254;

/// Reads a command line, given without its end.
pub(super) fn parse(line: &[u8]) -> Result<Command, Wrong> {
    if !line.is_ascii() || line.iter().any(|octet| octet.is_ascii_control() && *octet != b'\t') {
        return Err(Wrong::Unknown);
    }
    let line = std::str::from_utf8(line).map_err(|_| Wrong::Unknown)?.trim_end();
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim_start();
    let bare = |command: Command| if rest.is_empty() { Ok(command) } else { Err(Wrong::Arguments) };
    match verb.to_ascii_uppercase().as_str() {
        "EHLO" => host(rest).map(Command::Ehlo),
        "HELO" => host(rest).map(Command::Helo),
        "MAIL" => {
            let (sender, parameters) = address_and_parameters(rest, "FROM:")?;
            Ok(Command::Mail { sender, parameters })
        }
        "RCPT" => {
            let (recipient, parameters) = address_and_parameters(rest, "TO:")?;
            if recipient.is_empty() {
                return Err(Wrong::Arguments);
            }
            Ok(Command::Rcpt { recipient, parameters })
        }
        "DATA" => bare(Command::Data),
        "RSET" => bare(Command::Rset),
        "NOOP" => Ok(Command::Noop),
        "QUIT" => bare(Command::Quit),
        "STARTTLS" => bare(Command::StartTls),
        "AUTH" => {
            let mut words = rest.split(' ').filter(|word| !word.is_empty());
            let mechanism = words.next().ok_or(Wrong::Arguments)?.to_owned();
            let initial = words.next().map(str::to_owned);
            if words.next().is_some() {
                return Err(Wrong::Arguments);
            }
            Ok(Command::Auth { mechanism, initial })
        }
        "VRFY" => Ok(Command::Vrfy),
        "HELP" => Ok(Command::Help),
        _ => Err(Wrong::Unknown),
    }
}

fn host(text: &str) -> Result<String, Wrong> {
    if text.is_empty() || text.contains(' ') { Err(Wrong::Arguments) } else { Ok(text.to_owned()) }
}

fn address_and_parameters(text: &str, keyword: &str) -> Result<(String, Vec<Parameter>), Wrong> {
    let rest = text
        .get(..keyword.len())
        .filter(|begin| begin.eq_ignore_ascii_case(keyword))
        .and_then(|_| text.get(keyword.len()..))
        .ok_or(Wrong::Arguments)?;
    let path = rest.trim_start().strip_prefix('<').ok_or(Wrong::Arguments)?;
    let end = path_end(path).ok_or(Wrong::Arguments)?;
    let (path, rest) = path.split_at(end);
    let rest = &rest[1..];
    if !rest.is_empty() && !rest.starts_with(' ') {
        return Err(Wrong::Arguments);
    }
    let parameters = rest.split(' ').filter(|word| !word.is_empty()).map(parameter);
    Ok((address(path)?, parameters.collect::<Result<_, _>>()?))
}

/// Where the `>` stands that is not in a quoted local part.
fn path_end(path: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, octet) in path.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// An address in small letters; empty for the null sender. A source route in front is dropped (RFC 5321 section 4.1.2).
fn address(path: &str) -> Result<String, Wrong> {
    let path = match path.strip_prefix('@') {
        Some(route) => route.split_once(':').map(|(_, path)| path).ok_or(Wrong::Arguments)?,
        None => path,
    };
    if path.is_empty() || path.eq_ignore_ascii_case("postmaster") {
        return Ok(path.to_ascii_lowercase());
    }
    let (local, domain) = path.rsplit_once('@').ok_or(Wrong::Arguments)?;
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let local_fits = quoted
        || (!local.is_empty()
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
            && local.bytes().all(is_atom_text));
    let literal = domain.starts_with('[') && domain.ends_with(']');
    let domain_fits = literal
        || (!domain.is_empty()
            && domain.split('.').all(|label| {
                !label.is_empty() && label.bytes().all(|o| o.is_ascii_alphanumeric() || o == b'-')
            }));
    if local_fits && domain_fits && path.len() <= ADDRESS_LIMIT {
        Ok(path.to_ascii_lowercase())
    } else {
        Err(Wrong::Arguments)
    }
}

fn is_atom_text(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b".!#$%&'*+-/=?^_`{|}~".contains(&octet)
}

fn parameter(word: &str) -> Result<Parameter, Wrong> {
    let (keyword, value) = match word.split_once('=') {
        Some((keyword, value)) => (keyword, Some(value)),
        None => (word, None),
    };
    let fits =
        !keyword.is_empty() && keyword.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    if fits && value != Some("") {
        Ok(Parameter { keyword: keyword.to_ascii_uppercase(), value: value.map(str::to_owned) })
    } else {
        Err(Wrong::Arguments)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sender(line: &str) -> Result<String, Wrong> {
        match parse(line.as_bytes())? {
            Command::Mail { sender, .. } => Ok(sender),
            other => panic!("not MAIL: {other:?}"),
        }
    }

    #[test]
    fn commands_are_read_in_any_case() {
        assert_eq!(parse(b"ehlo box.example"), Ok(Command::Ehlo("box.example".to_owned())));
        assert_eq!(parse(b"Data"), Ok(Command::Data));
        assert_eq!(parse(b"NOOP anything"), Ok(Command::Noop));
        assert_eq!(parse(b"QUIT now"), Err(Wrong::Arguments));
        assert_eq!(parse(b"EHLO"), Err(Wrong::Arguments));
        assert_eq!(parse(b"BDAT 3"), Err(Wrong::Unknown));
        assert_eq!(parse(b"NO\0OP"), Err(Wrong::Unknown));
        assert_eq!(parse("MAIL FROM:<ä@b.c>".as_bytes()), Err(Wrong::Unknown));
    }

    #[test]
    fn addresses_are_checked_and_made_small() {
        assert_eq!(sender("MAIL FROM:<A.b+c@D.example>"), Ok("a.b+c@d.example".to_owned()));
        assert_eq!(sender("mail from: <a@b>"), Ok("a@b".to_owned()));
        assert_eq!(sender("MAIL FROM:<>"), Ok(String::new()));
        assert_eq!(sender("MAIL FROM:<@relay,@other:a@b>"), Ok("a@b".to_owned()));
        assert_eq!(sender("MAIL FROM:<\"a>b\"@c>"), Ok("\"a>b\"@c".to_owned()));
        assert_eq!(sender("MAIL FROM:<a@[127.0.0.1]>"), Ok("a@[127.0.0.1]".to_owned()));
        for wrong in [
            "a@b",
            "<a@b",
            "<a>",
            "<a@>",
            "<@b>",
            "<a..b@c>",
            "<a@b c>",
            "<a@b..c>",
            "<a@b>SIZE=1",
            "<a b@c>",
        ] {
            assert_eq!(sender(&format!("MAIL FROM:{wrong}")), Err(Wrong::Arguments), "{wrong}");
        }
        assert_eq!(parse(b"RCPT TO:<>"), Err(Wrong::Arguments));
    }

    #[test]
    fn parameters_stand_behind_the_address() {
        let line = b"MAIL FROM:<a@b> SIZE=12 body=8BITMIME ENVID=q+2B1 RET=HDRS";
        let Ok(Command::Mail { parameters, .. }) = parse(line) else { panic!("understood") };
        let keywords: Vec<_> = parameters.iter().map(|parameter| parameter.keyword.as_str()).collect();
        assert_eq!(keywords, ["SIZE", "BODY", "ENVID", "RET"]);
        assert_eq!(parameters[0].value.as_deref(), Some("12"));
        assert_eq!(parse(b"MAIL FROM:<a@b> SIZE="), Err(Wrong::Arguments));
        assert_eq!(parse(b"MAIL FROM:<a@b> =1"), Err(Wrong::Arguments));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&line);
        }

        #[test]
        fn nothing_behind_a_known_word_makes_it_panic(
            verb in prop::sample::select(vec!["MAIL FROM:", "RCPT TO:<", "AUTH ", "EHLO "]),
            rest in ".{0,40}",
        ) {
            let _ = parse(format!("{verb}{rest}").as_bytes());
        }
    }
}
