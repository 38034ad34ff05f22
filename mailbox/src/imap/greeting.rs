//! What an IMAP server says before the login: its greeting, and how it lets clients in.
//!
//! Read here and not by the library, which asks nothing before it logs in.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    connect::ConnectError,
    fetch::FetchError,
    limits::Limits,
    sasl::Offer,
    server_text::clean,
    starttls::{PlainTalk, REPLY_LINES_MAX},
};

/// A connection that waits for the login.
pub(super) struct Greeted<S> {
    pub(super) stream: S,
    pub(super) offer: Offer,
    /// The first answer may stand in the command (RFC 4959).
    pub(super) sasl_ir: bool,
}

/// A line of the server before the login. Pure.
#[derive(Debug, PartialEq, Eq)]
enum Said<'a> {
    Ok(Option<&'a str>),
    Bye(&'a str),
    Capabilities(&'a str),
    Other,
}

impl<'a> Said<'a> {
    fn read(line: &'a [u8]) -> Self {
        let Ok(line) = std::str::from_utf8(line) else { return Self::Other };
        let Some(rest) = line.strip_prefix("* ") else { return Self::Other };
        let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        match word.to_ascii_uppercase().as_str() {
            "OK" => Self::Ok(code(rest)),
            "BYE" => Self::Bye(rest),
            "CAPABILITY" => Self::Capabilities(rest),
            _ => Self::Other,
        }
    }
}

/// The list in `[CAPABILITY ...]`.
fn code(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?.split_once(']')?.0;
    let (word, list) = inside.split_once(' ')?;
    word.eq_ignore_ascii_case("CAPABILITY").then_some(list)
}

/// The offer in a list of capabilities, and whether it names SASL-IR.
fn offer_in(list: &str) -> (Offer, bool) {
    let mut offer = Offer { command: true, ..Offer::default() };
    let mut sasl_ir = false;
    for word in list.split_ascii_whitespace().take(200) {
        let upper = word.to_ascii_uppercase();
        match upper.strip_prefix("AUTH=") {
            Some(mechanism) => offer.add(mechanism),
            None if upper == "LOGINDISABLED" => offer.command = false,
            None if upper == "SASL-IR" => sasl_ir = true,
            None => {}
        }
    }
    (offer, sasl_ir)
}

/// Waits for the greeting, unless it was read before TLS, and learns what the server offers.
pub(super) async fn greet<S>(stream: S, limits: &Limits, greeted: bool) -> Result<Greeted<S>, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    const DURING: &str = "greeting";
    let failed = |error| match error {
        ConnectError::Broken(error) => FetchError::from_io(DURING, error),
        ConnectError::Injection => {
            FetchError::Protocol { during: DURING, detail: "more than was asked for".into() }
        }
        other => other.into(),
    };
    let mut talk = PlainTalk::new(stream, limits);
    let mut told = None;
    if greeted {
        let line = talk.line().await.map_err(failed)?;
        match Said::read(&line) {
            Said::Ok(list) => told = list.map(offer_in),
            Said::Bye(text) => {
                return Err(FetchError::Temporary { during: DURING, text: clean(text.as_bytes()) });
            }
            _ => return Err(ConnectError::Greeting { text: "not an IMAP greeting".into() }.into()),
        }
    }
    if told.is_none() {
        talk.say("C1 CAPABILITY\r\n").await.map_err(failed)?;
        let mut lines = 0;
        loop {
            let line = talk.line().await.map_err(failed)?;
            lines += 1;
            if line.get(..3).is_some_and(|tag| tag.eq_ignore_ascii_case(b"C1 ")) {
                break;
            }
            match Said::read(&line) {
                Said::Capabilities(list) => told = Some(offer_in(list)),
                Said::Bye(_) => return Err(FetchError::Disconnected { during: DURING }),
                _ if lines > REPLY_LINES_MAX => {
                    return Err(ConnectError::Greeting { text: "a reply without end".into() }.into());
                }
                _ => {}
            }
        }
    }
    let (offer, sasl_ir) = told.unwrap_or_else(|| offer_in(""));
    let stream = talk.finish().map_err(failed)?;
    Ok(Greeted { stream, offer, sasl_ir })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::Mechanism;

    #[test]
    fn a_greeting_may_tell_what_is_offered() {
        let Said::Ok(Some(list)) =
            Said::read(b"* OK [CAPABILITY IMAP4rev1 SASL-IR LOGINDISABLED AUTH=plain AUTH=X] hello")
        else {
            panic!("a list")
        };
        let (offer, sasl_ir) = offer_in(list);
        assert_eq!((offer.known.as_slice(), offer.command, sasl_ir), (&[Mechanism::Plain][..], false, true));
        assert_eq!(offer.names, ["PLAIN", "X"]);
        assert_eq!(Said::read(b"* OK hello [CAPABILITY x]"), Said::Ok(None));
    }

    #[test]
    fn what_is_no_greeting_is_none() {
        for line in [&b"* PREAUTH come in"[..], b"+OK ready", b"220 smtp", b"\xff", b"", b"*"] {
            assert_eq!(Said::read(line), Said::Other, "{line:?}");
        }
        assert_eq!(Said::read(b"* bye too many"), Said::Bye("too many"));
    }
}
