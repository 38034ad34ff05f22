//! Logins by SASL (RFC 4954, RFC 5034, RFC 3501): PLAIN (RFC 4616) and the older LOGIN.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A name and a password from the client.
#[derive(PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) name: String,
    pub(super) password: String,
}

/// What the server still waits for.
#[derive(PartialEq, Eq)]
pub(super) enum Exchange {
    Plain,
    LoginName,
    LoginPassword(String),
}

/// What comes next in an exchange.
#[derive(PartialEq, Eq)]
pub(super) enum Step {
    /// Send this challenge (already in base64) and wait.
    Ask(Exchange, &'static str),
    /// Check these.
    Check(Credentials),
    /// The client gave up, or what it sent is no answer.
    Refuse,
}

/// Begins an exchange; `None` for an unknown mechanism. `initial` is the client's first answer, if it came at once.
pub(super) fn begin(mechanism: &str, initial: Option<&str>) -> Option<Step> {
    let (exchange, challenge) = if mechanism.eq_ignore_ascii_case("PLAIN") {
        (Exchange::Plain, "")
    } else if mechanism.eq_ignore_ascii_case("LOGIN") {
        (Exchange::LoginName, "VXNlcm5hbWU6")
    } else {
        return None;
    };
    Some(match initial {
        // "=" is the empty answer (RFC 4954 section 4).
        Some("=") => go_on(exchange, ""),
        Some(answer) => go_on(exchange, answer),
        None => Step::Ask(exchange, challenge),
    })
}

/// Takes the client's next answer, in base64; `*` gives up.
pub(super) fn go_on(exchange: Exchange, answer: &str) -> Step {
    let Some(answer) = STANDARD.decode(answer.trim()).ok().and_then(|octets| String::from_utf8(octets).ok())
    else {
        return Step::Refuse;
    };
    match exchange {
        Exchange::Plain => {
            let mut parts = answer.split('\0');
            match (parts.next(), parts.next(), parts.next(), parts.next()) {
                (Some(as_whom), Some(name), Some(password), None)
                    if !name.is_empty() && (as_whom.is_empty() || as_whom == name) =>
                {
                    Step::Check(Credentials { name: name.to_owned(), password: password.to_owned() })
                }
                _ => Step::Refuse,
            }
        }
        Exchange::LoginName => Step::Ask(Exchange::LoginPassword(answer), "UGFzc3dvcmQ6"),
        Exchange::LoginPassword(name) => Step::Check(Credentials { name, password: answer }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn checked(step: Option<Step>) -> Option<(String, String)> {
        match step {
            Some(Step::Check(given)) => Some((given.name, given.password)),
            _ => None,
        }
    }

    #[test]
    fn plain_brings_name_and_password_at_once_or_when_asked() {
        let answer = STANDARD.encode("\0a@b.example\0secret");
        let wanted = Some(("a@b.example".to_owned(), "secret".to_owned()));
        assert_eq!(checked(begin("plain", Some(&answer))), wanted);
        assert!(matches!(begin("PLAIN", None), Some(Step::Ask(Exchange::Plain, ""))));
        assert_eq!(checked(Some(go_on(Exchange::Plain, &answer))), wanted);
    }

    #[test]
    fn plain_must_not_act_for_someone_else() {
        for text in ["boss\0a\0p", "a\0p", "\0\0p", "\0a\0p\0", ""] {
            assert!(matches!(go_on(Exchange::Plain, &STANDARD.encode(text)), Step::Refuse), "{text:?}");
        }
        assert!(checked(Some(go_on(Exchange::Plain, &STANDARD.encode("a\0a\0p")))).is_some());
    }

    #[test]
    fn login_asks_for_name_and_password_in_turn() {
        let Some(Step::Ask(exchange, "VXNlcm5hbWU6")) = begin("LOGIN", None) else {
            panic!("asks for the name")
        };
        let Step::Ask(exchange, "UGFzc3dvcmQ6") = go_on(exchange, &STANDARD.encode("a")) else {
            panic!("asks for the password")
        };
        assert_eq!(
            checked(Some(go_on(exchange, &STANDARD.encode("p")))),
            Some(("a".to_owned(), "p".to_owned()))
        );
    }

    #[test]
    fn giving_up_and_unknown_mechanisms_are_refused() {
        assert!(matches!(go_on(Exchange::Plain, "*"), Step::Refuse));
        assert!(begin("CRAM-MD5", None).is_none());
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(mechanism in ".{0,8}", answer in ".{0,40}") {
            begin(&mechanism, Some(&answer));
            go_on(Exchange::Plain, &answer);
            go_on(Exchange::Plain, &STANDARD.encode(&answer));
            go_on(Exchange::LoginPassword(String::new()), &answer);
        }
    }
}
