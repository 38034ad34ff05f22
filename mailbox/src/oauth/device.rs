//! Signing in by code (RFC 8628): a person types a code on a page of the provider, on any machine.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::{
    account::Account,
    limits::Limits,
    oauth::{
        AccessToken, ProviderError, TokenError, TokenReply, http,
        reply::{self, Number},
        request,
        source::{ask, by_token},
    },
    server_text::clean,
};

/// What a person needs to sign in, and what we need to learn of it.
#[derive(Clone)]
pub struct Prompt {
    /// The page to open.
    pub page: String,
    /// The code to type there.
    pub code: String,
    /// Until when.
    pub expires: Timestamp,
    pause: Duration,
    device_code: AccessToken,
}

impl std::fmt::Debug for Prompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prompt")
            .field("page", &self.page)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Fields {
    device_code: Option<AccessToken>,
    user_code: Option<String>,
    #[serde(alias = "verification_url")]
    verification_uri: Option<String>,
    expires_in: Option<Number>,
    interval: Option<Number>,
}

/// Longest time that a person gets.
const LIFE_MAX_SECS: f64 = 3600.0;

impl Prompt {
    /// Reads the provider's answer.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub fn read(status: u16, body: &[u8], now: Timestamp) -> Result<Self, ProviderError> {
        let odd = || match reply::read(status, body, now) {
            Err(error) => error,
            Ok(_) => ProviderError::new("no device code", ""),
        };
        let fields: Fields = serde_json::from_slice(body).map_err(|_| odd())?;
        let (Some(device_code), Some(code), Some(page)) =
            (fields.device_code, fields.user_code, fields.verification_uri)
        else {
            return Err(odd());
        };
        let seconds = |number: Option<Number>, usual: f64| {
            number.and_then(|number| number.value()).unwrap_or(usual).min(LIFE_MAX_SECS)
        };
        let life = SignedDuration::try_from_secs_f64(seconds(fields.expires_in, 900.0)).unwrap_or_default();
        Ok(Self {
            page: clean(page.as_bytes()),
            code: clean(code.as_bytes()),
            expires: now.checked_add(life).unwrap_or(now),
            pause: Duration::from_secs_f64(seconds(fields.interval, 5.0)).max(Duration::from_millis(100)),
            device_code,
        })
    }
}

/// What to do after an answer that is no token.
fn goes_on(error: &ProviderError, pause: Duration) -> Option<Duration> {
    match error.code.as_str() {
        "authorization_pending" => Some(pause),
        // RFC 8628 section 3.5.
        "slow_down" => Some(pause + Duration::from_secs(5)),
        _ if error.is_passing() => Some(pause),
        _ => None,
    }
}

/// Begins a sign-in.
///
/// # Errors
/// [`TokenError`].
pub async fn begin(account: &Account, limits: &Limits) -> Result<Prompt, TokenError> {
    let settings = by_token(account)?;
    let endpoints = settings.endpoints()?;
    let url = endpoints.device.as_ref().ok_or(TokenError::NoDeviceEndpoint)?;
    let answer = http::post(account, url, &request::device(settings, &endpoints), limits).await;
    let (status, body) = answer.map_err(|source| TokenError::http(url, source))?;
    Prompt::read(status, &body, account.now()).map_err(TokenError::Refused)
}

/// Waits until the person has signed in, and keeps what is given for it.
///
/// # Errors
/// [`TokenError::Refused`] when the person refuses or the time is over, and what else keeps tokens away.
pub async fn finish(account: &Account, prompt: &Prompt, limits: &Limits) -> Result<(), TokenError> {
    let settings = by_token(account)?;
    let endpoints = settings.endpoints()?;
    let mut pause = prompt.pause;
    loop {
        tokio::time::sleep(pause).await;
        let form = request::device_token(settings, &account.password, prompt.device_code.reveal());
        match ask(account, &endpoints.token, &form, limits).await {
            Ok(TokenReply { refresh: Some(refresh), access, expires }) => {
                let first = TokenReply { access, expires, refresh: None };
                return account.tokens.sign_in(account, limits, refresh, Some(first)).await;
            }
            Ok(_) => {
                let words = "the sign-in brought no refresh token: add offline_access to `scope`";
                return Err(TokenError::Refused(ProviderError::new("no refresh token", words)));
            }
            Err(TokenError::Refused(error)) => match goes_on(&error, pause) {
                Some(longer) if account.now() < prompt.expires => pause = longer,
                Some(_) => return Err(TokenError::Refused(ProviderError::new("expired_token", ""))),
                None => return Err(TokenError::Refused(error)),
            },
            // The line may come back while the person types.
            Err(TokenError::Http { .. }) if account.now() < prompt.expires => {}
            Err(error) => return Err(error),
        }
    }
}
