//! Logins by SASL on the server's side (RFC 4954, RFC 5034, RFC 3501): PLAIN (RFC 4616), the older LOGIN, CRAM-MD5
//! (RFC 2195), SCRAM (RFC 5802, RFC 7677), OAUTHBEARER (RFC 7628) and the older XOAUTH2.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailbox::Password;
use mailbox::sasl::scram::{Hash, Keys};
use mailbox::sasl::{Credential, Exchange as ClientSide, Mechanism};

/// Rounds of SCRAM.
const ITERATIONS: u32 = 4096;

/// What the exchanges need to know of the post office.
pub(super) trait Register {
    /// Mechanisms that are offered.
    fn mechanisms(&self) -> &[Mechanism];
    /// The password of a mailbox.
    fn password_of(&self, name: &str) -> Option<String>;
    /// Whether a token is good for a mailbox; else what the client is told of it, in JSON.
    fn check_token(&self, name: &str, token: &str) -> Result<(), String>;
    /// A text that was never given before and that nobody guesses.
    fn nonce(&self) -> String;
}

/// A name and a password from the client.
#[derive(PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) name: String,
    pub(super) password: String,
}

/// What the server still waits for.
pub(super) enum Exchange {
    Plain,
    LoginName,
    LoginPassword(String),
    CramMd5 {
        challenge: String,
    },
    ScramFirst(Hash),
    ScramLast(Box<ScramLast>),
    /// The client has to take note of the server's proof.
    ScramProven(String),
    Token(Mechanism),
    /// The client has to take note of why its token is not taken.
    TokenRefused,
}

/// An exchange of SCRAM before the client's proof.
pub(super) struct ScramLast {
    name: String,
    keys: Keys,
    nonce: String,
    client_first: String,
    server_first: String,
}

/// What comes next in an exchange.
pub(super) enum Step {
    /// Send this challenge (already in base64) and wait.
    Ask(Exchange, String),
    /// Check these.
    Check(Credentials),
    /// This is who it claims to be.
    Proven(String),
    /// It is not.
    Wrong,
    /// The client gave up, or what it sent is no answer.
    Refuse,
}

/// Begins an exchange; `None` for a mechanism that is not offered. `initial` is the client's first answer, if it came at once.
pub(super) fn begin(register: &impl Register, mechanism: &str, initial: Option<&str>) -> Option<Step> {
    let mechanism: Mechanism = mechanism.parse().ok()?;
    if !register.mechanisms().contains(&mechanism) {
        return None;
    }
    let (exchange, challenge) = match mechanism {
        Mechanism::Plain => (Exchange::Plain, String::new()),
        Mechanism::Login => (Exchange::LoginName, "Username:".to_owned()),
        Mechanism::CramMd5 => {
            let challenge = format!("<{}@post.sandbox.example>", register.nonce());
            (Exchange::CramMd5 { challenge: challenge.clone() }, challenge)
        }
        Mechanism::ScramSha1 => (Exchange::ScramFirst(Hash::Sha1), String::new()),
        Mechanism::ScramSha256 => (Exchange::ScramFirst(Hash::Sha256), String::new()),
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => (Exchange::Token(mechanism), String::new()),
    };
    Some(match initial {
        // "=" is the empty answer (RFC 4954 section 4).
        Some("=") => go_on(register, exchange, ""),
        Some(answer) => go_on(register, exchange, answer),
        None => Step::Ask(exchange, STANDARD.encode(challenge)),
    })
}

/// Takes the client's next answer, in base64; `*` gives up.
pub(super) fn go_on(register: &impl Register, exchange: Exchange, answer: &str) -> Step {
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
        Exchange::LoginName => Step::Ask(Exchange::LoginPassword(answer), STANDARD.encode("Password:")),
        Exchange::LoginPassword(name) => Step::Check(Credentials { name, password: answer }),
        Exchange::CramMd5 { challenge } => cram_md5(register, &challenge, &answer),
        Exchange::ScramFirst(hash) => scram_first(register, hash, &answer).unwrap_or(Step::Refuse),
        Exchange::ScramLast(last) => scram_last(*last, &answer).unwrap_or(Step::Refuse),
        Exchange::ScramProven(name) if answer.is_empty() => Step::Proven(name),
        Exchange::ScramProven(_) => Step::Refuse,
        Exchange::Token(mechanism) => token(register, mechanism, &answer).unwrap_or(Step::Refuse),
        Exchange::TokenRefused => Step::Wrong,
    }
}

fn cram_md5(register: &impl Register, challenge: &str, answer: &str) -> Step {
    let Some((name, _)) = answer.rsplit_once(' ') else { return Step::Refuse };
    let Some(password) = register.password_of(name) else { return Step::Wrong };
    let credential = Credential::of_password(name, Password::new(password), String::new());
    let wanted = ClientSide::begin(Mechanism::CramMd5, &credential)
        .and_then(|mut exchange| exchange.answer(challenge.as_bytes()));
    match wanted {
        Ok(wanted) if wanted.as_slice() == answer.as_bytes() => Step::Proven(name.to_owned()),
        _ => Step::Wrong,
    }
}

/// `n,,n=NAME,r=NONCE`
fn scram_first(register: &impl Register, hash: Hash, message: &str) -> Option<Step> {
    let client_first = message.strip_prefix("n,,")?;
    let (name, nonce) = client_first.strip_prefix("n=")?.split_once(",r=")?;
    let name = name.replace("=2C", ",").replace("=3D", "=");
    let salt = register.nonce();
    // Whether there is such a mailbox is not told before the proof.
    let password = register.password_of(&name);
    let derived = password.as_deref().unwrap_or("nobody's");
    let mut keys = Keys::derive(hash, derived, salt.as_bytes(), ITERATIONS).ok()?;
    if password.is_none() {
        keys.stored_key.clear();
    }
    let nonce = format!("{nonce}{}", register.nonce());
    let server_first = format!("r={nonce},s={},i={ITERATIONS}", STANDARD.encode(salt));
    let challenge = STANDARD.encode(&server_first);
    let client_first = client_first.to_owned();
    let last = ScramLast { name, keys, nonce, client_first, server_first };
    Some(Step::Ask(Exchange::ScramLast(Box::new(last)), challenge))
}

/// `c=biws,r=NONCE,p=PROOF`
fn scram_last(last: ScramLast, message: &str) -> Option<Step> {
    let (without_proof, proof) = message.split_once(",p=")?;
    if without_proof.strip_prefix("c=biws,r=")? != last.nonce {
        return None;
    }
    let auth_message = format!("{},{},{without_proof}", last.client_first, last.server_first);
    if last.keys.stored_key.is_empty() || !last.keys.accepts(&auth_message, &STANDARD.decode(proof).ok()?) {
        return Some(Step::Wrong);
    }
    let signature = STANDARD.encode(last.keys.server_signature(&auth_message));
    Some(Step::Ask(Exchange::ScramProven(last.name), STANDARD.encode(format!("v={signature}"))))
}

fn token(register: &impl Register, mechanism: Mechanism, message: &str) -> Option<Step> {
    let mut parts = message.split('\x01');
    let head = parts.next()?;
    let name = match mechanism {
        Mechanism::XOAuth2 => head.strip_prefix("user=")?.to_owned(),
        _ => head.strip_prefix("n,a=")?.strip_suffix(',')?.replace("=2C", ",").replace("=3D", "="),
    };
    let token = parts.find_map(|part| part.strip_prefix("auth=Bearer "))?;
    Some(match register.check_token(&name, token) {
        Ok(()) => Step::Proven(name),
        Err(json) => Step::Ask(Exchange::TokenRefused, STANDARD.encode(json)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Desk;

    impl Register for Desk {
        fn mechanisms(&self) -> &[Mechanism] {
            &Mechanism::ALL
        }

        fn password_of(&self, name: &str) -> Option<String> {
            (name == "a").then(|| "p".to_owned())
        }

        fn check_token(&self, name: &str, token: &str) -> Result<(), String> {
            if (name, token) == ("a", "t") { Ok(()) } else { Err("{\"status\":\"401\"}".to_owned()) }
        }

        fn nonce(&self) -> String {
            "server".to_owned()
        }
    }

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
        assert_eq!(checked(begin(&Desk, "plain", Some(&answer))), wanted);
        assert!(
            matches!(begin(&Desk, "PLAIN", None), Some(Step::Ask(Exchange::Plain, asked)) if asked.is_empty())
        );
        assert_eq!(checked(Some(go_on(&Desk, Exchange::Plain, &answer))), wanted);
    }

    #[test]
    fn plain_must_not_act_for_someone_else() {
        for text in ["boss\0a\0p", "a\0p", "\0\0p", "\0a\0p\0", ""] {
            assert!(
                matches!(go_on(&Desk, Exchange::Plain, &STANDARD.encode(text)), Step::Refuse),
                "{text:?}"
            );
        }
        assert!(checked(Some(go_on(&Desk, Exchange::Plain, &STANDARD.encode("a\0a\0p")))).is_some());
    }

    #[test]
    fn login_asks_for_name_and_password_in_turn() {
        let Some(Step::Ask(exchange, _)) = begin(&Desk, "LOGIN", None) else { panic!("asks for the name") };
        let Step::Ask(exchange, _) = go_on(&Desk, exchange, &STANDARD.encode("a")) else {
            panic!("asks for the password")
        };
        assert_eq!(
            checked(Some(go_on(&Desk, exchange, &STANDARD.encode("p")))),
            Some(("a".to_owned(), "p".to_owned()))
        );
    }

    #[test]
    fn giving_up_and_unknown_mechanisms_are_refused() {
        assert!(matches!(go_on(&Desk, Exchange::Plain, "*"), Step::Refuse));
        assert!(begin(&Desk, "GSSAPI", None).is_none());
    }

    #[test]
    fn cram_md5_takes_the_right_password_alone() {
        let proven = |answer: &str| {
            let exchange = Exchange::CramMd5 { challenge: "<c>".to_owned() };
            matches!(go_on(&Desk, exchange, &STANDARD.encode(answer)), Step::Proven(name) if name == "a")
        };
        let mut client = ClientSide::begin(
            Mechanism::CramMd5,
            &Credential::of_password("a", Password::new("p".to_owned()), String::new()),
        )
        .unwrap();
        let right = String::from_utf8(client.answer(b"<c>").unwrap().to_vec()).unwrap();
        assert!(proven(&right));
        assert!(!proven("a 0123") && !proven("b 0123") && !proven("a"));
    }

    #[test]
    fn a_token_that_is_not_good_is_told_why_before_it_is_refused() {
        let message = STANDARD.encode("user=a\x01auth=Bearer x\x01\x01");
        let Some(Step::Ask(exchange, json)) = begin(&Desk, "XOAUTH2", Some(&message)) else {
            panic!("tells why")
        };
        assert_eq!(STANDARD.decode(json).unwrap(), b"{\"status\":\"401\"}");
        assert!(matches!(go_on(&Desk, exchange, ""), Step::Wrong));
        let message = STANDARD.encode("n,a=a,\x01auth=Bearer t\x01\x01");
        assert!(
            matches!(begin(&Desk, "OAUTHBEARER", Some(&message)), Some(Step::Proven(name)) if name == "a")
        );
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(which in 0..Mechanism::ALL.len(), answer in ".{0,40}") {
            let mechanism = Mechanism::ALL[which].name();
            for answer in [answer.clone(), STANDARD.encode(&answer), STANDARD.encode(format!("n,,n={answer}"))] {
                if let Some(Step::Ask(exchange, _)) = begin(&Desk, mechanism, Some(&answer)) {
                    go_on(&Desk, exchange, &answer);
                }
            }
        }
    }
}
