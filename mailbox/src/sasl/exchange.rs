//! One login by one mechanism: challenge in, answer out.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use zeroize::Zeroizing;

use crate::sasl::{
    Credential, Mechanism, Secret, bearer,
    scram::{self, Hash},
};

/// Longest challenge, in octets of base64.
const CHALLENGE_MAX: usize = 8 << 10;
/// Most challenges of one login.
const CHALLENGES_MAX: u8 = 8;

/// Why a login was broken off on our side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SaslError {
    /// A challenge that breaks the rules.
    #[error("the mail server's challenge makes no sense: {what}")]
    Challenge {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The challenge is not an answer to what was sent: it comes from another exchange.
    #[error("the mail server's challenge does not hold our nonce")]
    Nonce,
    /// Too few rounds to be safe, or so many that they would keep this machine busy.
    #[error(
        "the mail server asks for {count} rounds of SCRAM, outside {} to {}",
        scram::ITERATIONS_MIN,
        scram::ITERATIONS_MAX
    )]
    Iterations {
        /// As many.
        count: u32,
    },
    /// The server ended the exchange in its last message.
    #[error("the mail server broke off the login: {text}")]
    Refused {
        /// What it said, cleaned and cut.
        text: String,
    },
    /// The server said that the login is done and did not show that it knows the password.
    #[error(
        "the mail server did not prove that it knows the password: it may not be the server that it claims to be"
    )]
    NotProven,
    /// User name or password hold characters that have no agreed form (RFC 4013).
    #[error("user name or password hold characters that no login can carry")]
    Unprintable,
}

enum State {
    /// The client's only message, not sent yet.
    Ready(Zeroizing<Vec<u8>>),
    /// It is sent; a token's failure may still come, or an empty challenge of a server that has not taken it.
    Sent(Zeroizing<Vec<u8>>),
    Cram,
    LoginName,
    LoginPassword,
    Scram(Box<scram::Client>, bool),
    Done,
}

/// One login by one mechanism. It never panics, whatever it is asked.
pub struct Exchange {
    mechanism: Mechanism,
    credential: Credential,
    state: State,
    challenges: u8,
    failure: Option<String>,
}

impl Exchange {
    /// Prepares it. The credential's secret must be of the kind that the mechanism takes.
    ///
    /// # Errors
    /// [`SaslError::Unprintable`].
    pub fn begin(mechanism: Mechanism, credential: &Credential) -> Result<Self, SaslError> {
        let Credential { username, secret, nonce, server, .. } = credential;
        let scram = |hash, password: &crate::Password| {
            scram::Client::new(hash, username, password.clone(), nonce.clone())
                .map(|client| State::Scram(Box::new(client), false))
        };
        let state = match (mechanism, secret) {
            (Mechanism::ScramSha256, Secret::Password(password)) => scram(Hash::Sha256, password)?,
            (Mechanism::ScramSha1, Secret::Password(password)) => scram(Hash::Sha1, password)?,
            (Mechanism::CramMd5, Secret::Password(_)) => State::Cram,
            (Mechanism::Login, Secret::Password(_)) => State::LoginName,
            (Mechanism::Plain, Secret::Password(password)) => {
                let mut octets = Vec::with_capacity(username.len() + password.reveal().len() + 2);
                [b"\0", username.as_bytes(), b"\0", password.reveal().as_bytes()]
                    .iter()
                    .for_each(|part| octets.extend_from_slice(part));
                State::Ready(Zeroizing::new(octets))
            }
            (Mechanism::OAuthBearer | Mechanism::XOAuth2, Secret::Token(token)) => {
                State::Ready(bearer::message(mechanism, username, token, server))
            }
            _ => State::Done,
        };
        Ok(Self { mechanism, credential: credential.clone(), state, challenges: 0, failure: None })
    }

    /// The mechanism.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// What may go with the command, where the client speaks first (RFC 4422 section 3.3).
    pub fn initial(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        match &mut self.state {
            State::Ready(message) => {
                let message = std::mem::take(message);
                self.state = State::Sent(message.clone());
                Some(message)
            }
            State::Scram(client, begun) if !*begun => {
                *begun = true;
                Some(Zeroizing::new(client.first().into_bytes()))
            }
            _ => None,
        }
    }

    /// Like [`Self::initial`], in base64, and only if it is no longer than `octets_max`. `=` stands for an empty one.
    pub(crate) fn initial_line(&mut self, octets_max: usize) -> Option<Zeroizing<String>> {
        let length = match &self.state {
            State::Ready(message) => message.len(),
            State::Scram(client, false) => client.first().len(),
            _ => return None,
        };
        if length.div_ceil(3) * 4 > octets_max {
            return None;
        }
        self.initial().map(|message| encoded(&message))
    }

    /// Answers a challenge as it stands on the line, in base64.
    ///
    /// # Errors
    /// [`SaslError`]: the login must be given up.
    pub fn answer_line(&mut self, challenge: &str) -> Result<Zeroizing<String>, SaslError> {
        if challenge.len() > CHALLENGE_MAX {
            return Err(SaslError::Challenge { what: "too long" });
        }
        let waits = matches!(
            self.state,
            State::Ready(_) | State::Scram(_, false) | State::LoginName | State::LoginPassword
        );
        let octets = match STANDARD.decode(challenge.trim()) {
            Ok(octets) => octets,
            // What these ask is known; some servers write it in words.
            Err(_) if waits => Vec::new(),
            Err(_) => return Err(SaslError::Challenge { what: "not base64" }),
        };
        self.answer(&octets).map(|answer| encoded(&answer))
    }

    /// Answers a challenge.
    ///
    /// # Errors
    /// [`SaslError`]: the login must be given up.
    pub fn answer(&mut self, challenge: &[u8]) -> Result<Zeroizing<Vec<u8>>, SaslError> {
        self.challenges = self.challenges.saturating_add(1);
        if self.challenges > CHALLENGES_MAX {
            return Err(SaslError::Challenge { what: "there is no end of them" });
        }
        if challenge.len() > CHALLENGE_MAX {
            return Err(SaslError::Challenge { what: "too long" });
        }
        if let Some(initial) = self.initial() {
            return Ok(initial);
        }
        // Some servers overlook what stands in the command and ask for it (RFC 4954 section 4).
        if challenge.is_empty() && self.challenges == 1 {
            match &self.state {
                State::Sent(message) => return Ok(message.clone()),
                State::Scram(client, true) => return Ok(Zeroizing::new(client.first().into_bytes())),
                _ => {}
            }
        }
        let text = std::str::from_utf8(challenge);
        let secret = self.credential.secret.reveal();
        match std::mem::replace(&mut self.state, State::Done) {
            State::Scram(mut client, begun) => {
                let text = text.map_err(|_| SaslError::Challenge { what: "not UTF-8" })?;
                let answer = client.answer(text)?;
                self.state = State::Scram(client, begun);
                Ok(Zeroizing::new(answer.into_bytes()))
            }
            State::Cram => {
                Ok(Zeroizing::new(cram_md5(&self.credential.username, secret, challenge).into_bytes()))
            }
            State::LoginName => {
                self.state = State::LoginPassword;
                Ok(Zeroizing::new(self.credential.username.clone().into_bytes()))
            }
            State::LoginPassword => Ok(Zeroizing::new(secret.as_bytes().to_vec())),
            // Why it does not take the token; after our acknowledgement comes its refusal.
            State::Sent(_) if self.mechanism.takes_token() => {
                self.failure = Some(String::from_utf8_lossy(challenge).into_owned());
                Ok(Zeroizing::new(bearer::acknowledgement(self.mechanism)))
            }
            _ => Err(SaslError::Challenge { what: "one more than there may be" }),
        }
    }

    /// To be asked when the server says that the login is done.
    ///
    /// # Errors
    /// [`SaslError::NotProven`] when the server owes a proof.
    pub fn complete(&self) -> Result<(), SaslError> {
        match &self.state {
            State::Scram(client, _) if !client.is_proven() => Err(SaslError::NotProven),
            _ if self.mechanism == Mechanism::ScramSha1 || self.mechanism == Mechanism::ScramSha256 => {
                if matches!(self.state, State::Scram(..)) { Ok(()) } else { Err(SaslError::NotProven) }
            }
            _ => Ok(()),
        }
    }

    /// What the server told of a token that it does not take: JSON (RFC 7628 section 3.2.2), as it came.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

fn encoded(octets: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(octets))
}

/// RFC 2195 section 2.
fn cram_md5(username: &str, password: &str, challenge: &[u8]) -> String {
    let mut mac = Hmac::<Md5>::new_from_slice(password.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(challenge);
    let digest: String = mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    format!("{username} {digest}")
}
