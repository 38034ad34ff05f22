//! What a provider answers: tokens, or an error and what to do about it. Pure.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::{oauth::AccessToken, server_text::clean};

/// Longest answer that is read, in octets.
pub const REPLY_OCTETS_MAX: usize = 64 << 10;
/// The life of a token that names none (RFC 6749 section 5.1 leaves that to the provider's documents).
const LIFE_DEFAULT: SignedDuration = SignedDuration::from_mins(10);
/// Longest life that is believed.
const LIFE_MAX_SECS: f64 = 30.0 * 86_400.0;

/// Tokens that were given (RFC 6749 section 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenReply {
    /// The access token.
    pub access: AccessToken,
    /// When it ends, counted from the time of the answer.
    pub expires: Timestamp,
    /// Another refresh token in the place of the one that was used.
    pub refresh: Option<AccessToken>,
}

/// A provider's refusal (RFC 6749 section 5.2, RFC 8628 section 3.5).
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderError {
    /// The code, such as `invalid_client`; the HTTP status where there is none.
    pub code: String,
    /// Microsoft's number, such as `AADSTS7000222`, if it gave one.
    pub number: Option<String>,
    /// The provider's words, cleaned and cut.
    pub description: String,
}

/// The fields of both kinds of answer.
#[derive(Deserialize)]
struct Fields {
    access_token: Option<AccessToken>,
    token_type: Option<String>,
    // Some providers write the number as text.
    expires_in: Option<Number>,
    refresh_token: Option<AccessToken>,
    error: Option<String>,
    error_description: Option<String>,
}

/// A number, also when it is written as text.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Number {
    Number(f64),
    Text(String),
}

impl Number {
    pub(super) fn value(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
        }
        .filter(|number: &f64| number.is_finite() && *number >= 0.0)
    }
}

/// Reads the answer to a request for a token. `status`: that of HTTP.
///
/// # Errors
/// [`ProviderError`] when no usable token is in it.
pub fn read(status: u16, body: &[u8], now: Timestamp) -> Result<TokenReply, ProviderError> {
    let odd = |description: &str| ProviderError {
        code: format!("HTTP status {status}"),
        number: None,
        description: description.to_owned(),
    };
    let fields: Fields = match serde_json::from_slice(body.get(..REPLY_OCTETS_MAX).unwrap_or(body)) {
        Ok(fields) => fields,
        // What it says instead may be a page for people, or hold anything.
        Err(_) => return Err(odd("the answer is not the JSON of a token endpoint")),
    };
    if let Some(code) = fields.error {
        let description = fields.error_description.unwrap_or_default();
        return Err(ProviderError::new(&code, &description));
    }
    let Some(access) =
        fields.access_token.filter(|token| (1..=AccessToken::OCTETS_MAX).contains(&token.reveal().len()))
    else {
        return Err(odd("the answer holds no access token"));
    };
    if fields.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(odd("the token is not a bearer token"));
    }
    let life = fields.expires_in.and_then(|number| number.value()).map_or(LIFE_DEFAULT, |seconds| {
        SignedDuration::try_from_secs_f64(seconds.min(LIFE_MAX_SECS)).unwrap_or(LIFE_DEFAULT)
    });
    let expires = now.checked_add(life).unwrap_or(now);
    let refresh =
        fields.refresh_token.filter(|token| (1..=AccessToken::OCTETS_MAX).contains(&token.reveal().len()));
    Ok(TokenReply { access, expires, refresh })
}

impl ProviderError {
    /// From the two fields of an answer.
    #[must_use]
    pub fn new(code: &str, description: &str) -> Self {
        let number = description.find("AADSTS").map(|at| {
            let digits = description[at + 6..].bytes().take_while(u8::is_ascii_digit).take(12).count();
            description[at..at + 6 + digits].to_owned()
        });
        // Behind the first line stand trace numbers.
        let first = description.lines().next().unwrap_or_default();
        Self { code: clean(code.as_bytes()), number, description: clean(first.as_bytes()) }
    }

    /// What a person can do about it; `None` where the provider's words must do.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        let by_number = match self.number.as_deref().unwrap_or_default() {
            "AADSTS700016" => {
                "the application is not known in this organisation: check `client_id` and `tenant`, and that an administrator has added it"
            }
            "AADSTS7000215" => "the client secret is wrong: store the secret's value, not its id",
            "AADSTS7000222" => {
                "the client secret has expired: make a new one in the app registration and store it with `account login --password-file FILE`"
            }
            "AADSTS65001" => {
                "nobody has consented to the application's permissions: an administrator must grant consent"
            }
            "AADSTS50034" => {
                "the user does not exist in this organisation: check `tenant`, and who has signed in"
            }
            "AADSTS53003" => {
                "a conditional access policy blocks the sign-in: an administrator must exempt the application"
            }
            "AADSTS90002" | "AADSTS900023" => "there is no such organisation: check `tenant`",
            "AADSTS70011" | "AADSTS1002012" => {
                "the scope is not one of this flow: check `scope`, or leave it out"
            }
            "AADSTS700082" | "AADSTS700084" => {
                "the refresh token was not used for too long: sign in again with `account login --sign-in`"
            }
            "AADSTS50173" | "AADSTS50132" | "AADSTS50133" => {
                "the password was changed since: sign in again with `account login --sign-in`"
            }
            "AADSTS50076" | "AADSTS50079" => {
                "a second factor is asked for: sign in again with `account login --sign-in`"
            }
            "AADSTS50057" => "the user's account is disabled",
            "AADSTS7000218" => {
                "a client secret is asked for: store one with `account login --password-file FILE`, or allow public client flows in the app registration"
            }
            "AADSTS70016" => "the sign-in is still awaited",
            _ => "",
        };
        if !by_number.is_empty() {
            return Some(by_number);
        }
        Some(match self.code.as_str() {
            "invalid_client" | "unauthorized_client" => {
                "the provider does not take the application: check `client_id` and the client secret, which may have expired"
            }
            "invalid_grant" => {
                "the refresh token is no longer good (revoked, too long unused, or used by another): sign in again with `account login --sign-in`"
            }
            "interaction_required" | "consent_required" | "login_required" => {
                "the provider wants to see a person: sign in again with `account login --sign-in`, or let an administrator consent"
            }
            "invalid_scope" => "the scope is not known to the provider: check `scope`, or leave it out",
            "unsupported_grant_type" => "the provider does not offer this flow: check `flow`",
            "access_denied" => "the sign-in was refused by the person or the provider",
            "expired_token" => "nobody signed in in time: begin again",
            "temporarily_unavailable" | "server_error" | "slow_down" => {
                "the provider has a passing fault: it is tried again"
            }
            _ => return None,
        })
    }

    /// Whether trying again without a person may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self.code.as_str(), "temporarily_unavailable" | "server_error" | "slow_down")
            || self
                .code
                .strip_prefix("HTTP status ")
                .is_some_and(|status| status == "429" || status.starts_with('5'))
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        if !self.description.is_empty() {
            write!(f, ": {}", self.description)?;
        }
        Ok(())
    }
}

impl fmt::Debug for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProviderError({self})")
    }
}

impl std::error::Error for ProviderError {}
