//! SCRAM (RFC 5802 with SHA-1, RFC 7677 with SHA-256), without channel binding. Pure.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{account::Password, sasl::SaslError};

/// Fewest rounds that a server may ask for (RFC 7677 section 4). With fewer, whoever plays the server could try passwords
/// cheaply on what he gets.
pub const ITERATIONS_MIN: u32 = 4096;
/// Most rounds: some seconds of work on a small machine.
pub const ITERATIONS_MAX: u32 = 600_000;
/// Longest salt, in octets.
const SALT_MAX: usize = 1024;
/// Longest nonce, ours and the server's together.
const NONCE_MAX: usize = 1024;

/// The hash below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SCRAM-SHA-1.
    Sha1,
    /// SCRAM-SHA-256.
    Sha256,
}

impl Hash {
    fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => {
                let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
                mac.update(data);
                mac.finalize().into_bytes().to_vec()
            }
            Self::Sha256 => {
                let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
                mac.update(data);
                mac.finalize().into_bytes().to_vec()
            }
        }
    }

    fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(data).to_vec(),
            Self::Sha256 => Sha256::digest(data).to_vec(),
        }
    }

    /// `Hi(password, salt, iterations)` of RFC 5802 section 2.2.
    fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Sha1 => {
                let mut key = Zeroizing::new(vec![0; 20]);
                pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut key);
                key
            }
            Self::Sha256 => {
                let mut key = Zeroizing::new(vec![0; 32]);
                pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut key);
                key
            }
        }
    }
}

/// What follows from a password, a salt and a number of rounds (RFC 5802 section 3). A server keeps only the last two.
#[derive(Clone)]
pub struct Keys {
    client_key: Zeroizing<Vec<u8>>,
    /// `H(ClientKey)`.
    pub stored_key: Vec<u8>,
    /// Signs what the server says at the end.
    pub server_key: Vec<u8>,
    hash: Hash,
}

impl Keys {
    /// Derives them. `iterations` decides how long that takes.
    ///
    /// # Errors
    /// [`SaslError::Unprintable`] for a password with characters that SASLprep forbids (RFC 4013).
    pub fn derive(hash: Hash, password: &str, salt: &[u8], iterations: u32) -> Result<Self, SaslError> {
        let prepared = stringprep::saslprep(password).map_err(|_| SaslError::Unprintable)?;
        let prepared = Zeroizing::new(prepared.into_owned());
        let salted = hash.salted(prepared.as_bytes(), salt, iterations);
        let client_key = Zeroizing::new(hash.hmac(&salted, b"Client Key"));
        Ok(Self {
            stored_key: hash.digest(&client_key),
            server_key: hash.hmac(&salted, b"Server Key"),
            client_key,
            hash,
        })
    }

    /// The client's proof over the exchange.
    #[must_use]
    pub fn client_proof(&self, auth_message: &str) -> Vec<u8> {
        let signature = self.hash.hmac(&self.stored_key, auth_message.as_bytes());
        self.client_key.iter().zip(signature).map(|(key, octet)| key ^ octet).collect()
    }

    /// Whether a client's proof is one, as a server finds out.
    #[must_use]
    pub fn accepts(&self, auth_message: &str, proof: &[u8]) -> bool {
        let signature = self.hash.hmac(&self.stored_key, auth_message.as_bytes());
        let key: Vec<u8> = proof.iter().zip(&signature).map(|(left, right)| left ^ right).collect();
        proof.len() == signature.len() && same(&self.hash.digest(&key), &self.stored_key)
    }

    /// The server's signature over the exchange.
    #[must_use]
    pub fn server_signature(&self, auth_message: &str) -> Vec<u8> {
        self.hash.hmac(&self.server_key, auth_message.as_bytes())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<keys>")
    }
}

/// Compared without telling by its time where they differ.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differ, (l, r)| differ | (l ^ r)) == 0
}

#[derive(Debug)]
enum State {
    /// The server's first message is awaited.
    First,
    /// The server's last message is awaited; this is the signature that it must hold.
    Last(Vec<u8>),
    /// The server has proven that it knows the password.
    Proven,
    Failed,
}

/// The client's side of one exchange.
pub struct Client {
    hash: Hash,
    password: Password,
    nonce: String,
    /// The client's first message without its header.
    bare: String,
    state: State,
}

/// No channel binding (RFC 5802 section 7).
const HEADER: &str = "n,,";

impl Client {
    /// Prepares the exchange. `nonce`: printable ASCII without a comma, unguessable.
    ///
    /// # Errors
    /// [`SaslError::Unprintable`] for a user name that SASLprep forbids.
    pub fn new(hash: Hash, username: &str, password: Password, nonce: String) -> Result<Self, SaslError> {
        let name = stringprep::saslprep(username).map_err(|_| SaslError::Unprintable)?;
        let bare = format!("n={},r={nonce}", escaped(&name));
        Ok(Self { hash, password, nonce, bare, state: State::First })
    }

    /// The client's first message.
    #[must_use]
    pub fn first(&self) -> String {
        format!("{HEADER}{}", self.bare)
    }

    /// Answers a message of the server.
    ///
    /// # Errors
    /// [`SaslError`]; the exchange is then over.
    pub fn answer(&mut self, challenge: &str) -> Result<String, SaslError> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::First => {
                let (answer, signature) = self.to_server_first(challenge)?;
                self.state = State::Last(signature);
                Ok(answer)
            }
            State::Last(signature) => {
                server_last(challenge, &signature)?;
                self.state = State::Proven;
                Ok(String::new())
            }
            State::Proven | State::Failed => Err(SaslError::Challenge { what: "one more than there may be" }),
        }
    }

    /// Whether the server has proven that it knows the password.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        matches!(self.state, State::Proven)
    }

    fn to_server_first(&self, challenge: &str) -> Result<(String, Vec<u8>), SaslError> {
        let ServerFirst { nonce, salt, iterations } = ServerFirst::read(challenge, &self.nonce)?;
        let keys = Keys::derive(self.hash, self.password.reveal(), &salt, iterations)?;
        let without_proof = format!("c={},r={nonce}", STANDARD.encode(HEADER));
        let auth_message = format!("{},{challenge},{without_proof}", self.bare);
        let proof = STANDARD.encode(keys.client_proof(&auth_message));
        Ok((format!("{without_proof},p={proof}"), keys.server_signature(&auth_message)))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// A `saslname` (RFC 5802 section 5.1).
pub(super) fn escaped(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

struct ServerFirst<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> ServerFirst<'a> {
    fn read(message: &'a str, ours: &str) -> Result<Self, SaslError> {
        let wrong = |what| SaslError::Challenge { what };
        let mut parts = message.split(',');
        // An extension that must be understood (`m=`) would stand here.
        let nonce = parts.next().and_then(|part| part.strip_prefix("r=")).ok_or(wrong("no nonce"))?;
        let added = nonce.strip_prefix(ours).ok_or(SaslError::Nonce)?;
        if added.is_empty() || nonce.len() > NONCE_MAX || !nonce.bytes().all(|octet| octet.is_ascii_graphic())
        {
            return Err(SaslError::Nonce);
        }
        let salt = parts.next().and_then(|part| part.strip_prefix("s=")).ok_or(wrong("no salt"))?;
        let salt = STANDARD.decode(salt).map_err(|_| wrong("a salt that is not base64"))?;
        if salt.is_empty() || salt.len() > SALT_MAX {
            return Err(wrong("a salt of an odd length"));
        }
        let rounds =
            parts.next().and_then(|part| part.strip_prefix("i=")).ok_or(wrong("no iteration count"))?;
        let iterations = rounds.parse().map_err(|_| wrong("an iteration count that is no number"))?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(SaslError::Iterations { count: iterations });
        }
        Ok(Self { nonce, salt, iterations })
    }
}

fn server_last(message: &str, expected: &[u8]) -> Result<(), SaslError> {
    let first = message.split(',').next().unwrap_or_default();
    if first.starts_with("e=") {
        return Err(SaslError::Refused { text: crate::server_text::clean(&first.as_bytes()[2..]) });
    }
    let signature = first.strip_prefix("v=").and_then(|text| STANDARD.decode(text).ok());
    if signature.is_some_and(|signature| same(&signature, expected)) {
        Ok(())
    } else {
        Err(SaslError::NotProven)
    }
}
