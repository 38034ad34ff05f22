//! The tokens of one account: fetched when they are due, kept, and shared by sending and fetching.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::{
    account::{Account, Login},
    limits::Limits,
    oauth::{
        AccessToken, Endpoints, HttpError, OAuth2Settings, OAuth2SettingsError, ProviderError, StoredToken,
        TokenFileError, TokenReply, http, reply, request, settings::Url, store,
    },
};

/// A token that is younger than this is not fetched anew, though a server refuses it.
const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// Why there is no access token. The texts hold no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The settings of the login.
    #[error(transparent)]
    Settings(#[from] OAuth2SettingsError),
    /// The file that the tokens lie in.
    #[error(transparent)]
    File(#[from] TokenFileError),
    /// The provider cannot be asked.
    #[error("no access token: {url} cannot be asked")]
    Http {
        /// The endpoint.
        url: String,
        /// Why.
        source: Box<HttpError>,
    },
    /// The provider refuses.
    #[error("no access token: the provider refuses ({0})")]
    Refused(ProviderError),
    /// Nobody has signed in yet.
    #[error("no access token: nobody has signed in for this account yet")]
    NotSignedIn,
    /// The provider has no sign-in by code.
    #[error("the provider offers no sign-in by code for mail")]
    NoDeviceEndpoint,
    /// The connection to the mail server is not protected: a token would be readable on it.
    #[error("an access token may not go over a connection without TLS")]
    Unprotected,
    /// The account logs in by password.
    #[error("the account's settings name no login by token")]
    NotByToken,
}

impl TokenError {
    /// Whether trying again without a person may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Http { .. } | Self::File(_) => true,
            Self::Refused(error) => error.is_passing(),
            _ => false,
        }
    }

    pub(super) fn http(url: &Url, source: HttpError) -> Self {
        Self::Http { url: url.to_string(), source: Box::new(source) }
    }
}

/// Tokens as they are known here.
#[derive(Default)]
struct Known {
    token: Option<StoredToken>,
    /// They could not be written yet.
    unsaved: bool,
}

/// The tokens of one account. One request at a time, whoever asks; by the lock of the file also among programs.
#[derive(Default)]
pub(crate) struct TokenSource {
    file: Option<PathBuf>,
    known: Mutex<Known>,
}

impl TokenSource {
    /// With the file that they are kept in; without one they live as long as the account.
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self { file, known: Mutex::default() }
    }

    /// An access token that is good for a login now. `refused`: one that a mail server did not take, so that it is not
    /// given again.
    pub(crate) async fn access(
        &self,
        account: &Account,
        limits: &Limits,
        refused: Option<&AccessToken>,
    ) -> Result<AccessToken, TokenError> {
        let settings = by_token(account)?;
        let endpoints = settings.endpoints()?;
        let issued_for = issued_for(settings, &endpoints);
        let usable = |token: &Option<StoredToken>, now: Timestamp| {
            let token =
                token.as_ref().filter(|token| token.issued_for == issued_for && !token.is_due(now))?;
            // A provider that gives tokens which no server takes is not asked for each login.
            let fresh = token.fetched.is_some_and(|at| now.duration_since(at) < FRESH);
            token.access.clone().filter(|access| fresh || Some(access) != refused)
        };
        let mut known = self.known.lock().await;
        self.keep(&mut known).await?;
        if let Some(access) = usable(&known.token, account.now()) {
            return Ok(access);
        }
        let _lock = match &self.file {
            Some(file) => Some(store::lock(file, limits.connect + limits.operation).await?),
            None => None,
        };
        if let Some(file) = &self.file {
            // Another program may have fetched one meanwhile, and used up the refresh token that was known here.
            known.token = store::load(file)?;
            if let Some(access) = usable(&known.token, account.now()) {
                return Ok(access);
            }
        }
        let refresh = known.token.as_ref().and_then(|token| token.refresh.clone());
        let form = request::token(settings, &endpoints, &account.password, refresh.as_ref());
        let form = form.ok_or(TokenError::NotSignedIn)?;
        let reply = ask(account, &endpoints.token, &form, limits).await?;
        let access = reply.access.clone();
        known.token = Some(StoredToken {
            issued_for,
            access: Some(reply.access),
            fetched: Some(account.now()),
            expires: Some(reply.expires),
            refresh: reply.refresh.or(refresh),
        });
        known.unsaved = true;
        // A refresh token that was given in the place of another must be on the disk before anything rests on it.
        self.keep(&mut known).await?;
        Ok(access)
    }

    /// Writes what is not written yet.
    async fn keep(&self, known: &mut Known) -> Result<(), TokenError> {
        if let (true, Some(file), Some(token)) = (known.unsaved, &self.file, &known.token) {
            let (file, token) = (file.clone(), token.clone());
            let written = tokio::task::spawn_blocking(move || store::save(&file, &token)).await;
            written.unwrap_or_else(|gone| std::panic::resume_unwind(gone.into_panic()))?;
        }
        known.unsaved = false;
        Ok(())
    }

    /// Takes over a refresh token of a person who has signed in; with it perhaps a first access token.
    pub(crate) async fn sign_in(
        &self,
        account: &Account,
        limits: &Limits,
        refresh: AccessToken,
        first: Option<TokenReply>,
    ) -> Result<(), TokenError> {
        let settings = by_token(account)?;
        let mut token = StoredToken::empty(issued_for(settings, &settings.endpoints()?), Some(refresh));
        if let Some(first) = first {
            token.access = Some(first.access);
            token.fetched = Some(account.now());
            token.expires = Some(first.expires);
        }
        let mut known = self.known.lock().await;
        let _lock = match &self.file {
            Some(file) => Some(store::lock(file, limits.connect + limits.operation).await?),
            None => None,
        };
        *known = Known { token: Some(token), unsaved: true };
        self.keep(&mut known).await
    }
}

/// Asks for a token.
pub(super) async fn ask(
    account: &Account,
    url: &Url,
    form: &Zeroizing<String>,
    limits: &Limits,
) -> Result<TokenReply, TokenError> {
    let answer = http::post(account, url, form, limits).await;
    let (status, body) = answer.map_err(|source| TokenError::http(url, source))?;
    reply::read(status, &body, account.now()).map_err(TokenError::Refused)
}

/// The settings of a login by token.
pub(super) fn by_token(account: &Account) -> Result<&OAuth2Settings, TokenError> {
    match &account.settings.login {
        Login::OAuth2(settings) => Ok(settings),
        Login::Password | Login::Mechanism(_) => Err(TokenError::NotByToken),
    }
}

/// What a token is bound to: with other settings it is not used.
fn issued_for(settings: &OAuth2Settings, endpoints: &Endpoints) -> String {
    let scope = endpoints.scope.as_deref().unwrap_or_default();
    format!("{} {} {scope}", settings.client_id, endpoints.token)
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSource").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Where the tokens of an account lie whose secret lies in `password_file`.
pub(crate) fn token_file(password_file: &Path) -> PathBuf {
    password_file.with_extension("token")
}

impl Account {
    /// The time by which tokens run out.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::try_from((self.clock)().now).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}
