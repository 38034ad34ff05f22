//! A mail account: where its servers are, how they are reached, and what it logs in with.

use std::{
    fmt,
    io::{ErrorKind, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

mod login;

pub use login::Login;

use crate::{
    limits::Limits,
    oauth::{AccessToken, Cause, Flow, TokenError, TokenRefused, TokenSource, is_this_machine, token_file},
    provider::OwnLimits,
    sasl::{Credential, Mechanism, Secret, Service, Used},
    tls::{TlsClock, TlsTime},
};

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "arguments", derive(clap::ValueEnum), value(rename_all = "lower"))]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS from the first octet (RFC 8314 section 3).
    Tls,
    /// Plain greeting, then STARTTLS or STLS before the login; refused where the server does not offer it.
    StartTls,
    /// No protection at all: password and mail travel readable. Only for a server on the same machine or a closed network.
    Plain,
}

/// One mail server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Name or IP address (IPv6 without brackets); with TLS the certificate must be made out to it.
    pub host: String,
    /// TCP port. Usual: 465 submission TLS, 587 submission STARTTLS, 995 POP3 TLS, 993 IMAP TLS, 110 POP3, 143 IMAP.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
}

/// How mail is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// RFC 1939.
    Pop3,
    /// RFC 3501.
    Imap,
}

/// One account as it stands in a settings file. The password is never part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSettings {
    /// Short name for logs and messages.
    pub name: String,
    /// Mail address of the account, `local@domain`.
    pub address: String,
    /// Login name at both servers; often the address.
    pub username: String,
    /// Where mail is handed in.
    pub smtp: Server,
    /// Protocol by which mail is fetched.
    pub fetch: Protocol,
    /// Where mail is fetched.
    pub fetch_server: Server,
    /// Extra certificate authorities to trust besides the system's, PEM. Absent: only the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Name given to the SMTP server in EHLO (RFC 5321 section 4.1.1.1). Absent: the domain of `address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hello_name: Option<String>,
    /// False for a relay that takes mail without a login. Default true.
    #[serde(default = "yes")]
    pub smtp_login: bool,
    /// Largest mail that is handed in here, in octets with base64. Absent: what the server announces (RFC 1870). To be set
    /// where that is more than the way behind it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_octets_max: Option<u64>,
    /// The provider whose limits hold, by the name of its profile (see [`crate::provider`]). Absent: the one whose servers these are,
    /// if they are a known one's.
    #[serde(default, deserialize_with = "crate::provider::known", skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Limits of this account that are others than its provider's: `limits = { recipients_per_day = 500 }`.
    #[serde(default, skip_serializing_if = "OwnLimits::is_default")]
    pub limits: OwnLimits,
    /// How to log in at both servers. Absent: by password, with the strongest mechanism that the server offers.
    #[serde(default, skip_serializing_if = "Login::is_default")]
    pub login: Login,
}

fn yes() -> bool {
    true
}

impl AccountSettings {
    /// The name for EHLO: the set one, else the domain of the address, else an address literal.
    pub fn hello(&self) -> &str {
        self.hello_name
            .as_deref()
            .or_else(|| self.address.rsplit_once('@').map(|(_, domain)| domain))
            .filter(|name| is_hello_name(name))
            .unwrap_or("[127.0.0.1]")
    }
}

/// A domain or address literal that cannot break out of its command line.
fn is_hello_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-[]:_".contains(&b))
}

/// A password: wiped from memory when dropped, never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Password(String);

/// Why a password could not be had. The texts never hold any of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// The file could not be opened or read.
    #[error("cannot read the password file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Other users of the machine may read it.
    #[error("the password file {} has mode {mode:o}: others may read it; run `chmod 600 {}`", path.display(), path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Empty, longer than [`Password::OCTETS_MAX`], not UTF-8, or with a line break or NUL inside.
    #[error("the password file {} must hold one line of 1 to {} octets of UTF-8", path.display(), Password::OCTETS_MAX)]
    Shape {
        /// The file.
        path: PathBuf,
    },
}

impl Password {
    /// Longest password, in octets.
    pub const OCTETS_MAX: usize = 1024;

    /// Takes the text as it is. Line breaks and NUL are refused later, at the login.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Reads the first line of a file that only its owner (or its group, read only) may read: mode 0600, 0400 or 0640.
    ///
    /// # Errors
    /// [`PasswordError`]: unreadable, too open, or not one line of text.
    pub fn from_file(path: &Path) -> Result<Self, PasswordError> {
        let read_error = |source| PasswordError::Read { path: path.into(), source };
        let file = std::fs::File::open(path).map_err(read_error)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = file.metadata().map_err(read_error)?.permissions().mode() & 0o7777;
            if mode & 0o037 != 0 {
                return Err(PasswordError::TooOpen { path: path.into(), mode });
            }
        }
        let shape = || PasswordError::Shape { path: path.into() };
        let mut octets = Zeroizing::new(Vec::with_capacity(Self::OCTETS_MAX + 3));
        file.take(Self::OCTETS_MAX as u64 + 3).read_to_end(&mut octets).map_err(read_error)?;
        let mut text = String::from_utf8(std::mem::take(&mut *octets)).map_err(|error| {
            error.into_bytes().zeroize();
            shape()
        })?;
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        let password = Self(text);
        if password.0.is_empty() || password.0.len() > Self::OCTETS_MAX || !password.fits_a_line() {
            return Err(shape());
        }
        Ok(password)
    }

    /// The secret itself, for the login command only.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn fits_a_line(&self) -> bool {
        fits_a_line(&self.0)
    }
}

/// No CR, LF or NUL: a credential with one of them could smuggle a second command.
pub(crate) fn fits_a_line(text: &str) -> bool {
    !text.bytes().any(|b| matches!(b, b'\r' | b'\n' | 0))
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Settings and secrets together: all that is needed to send and fetch.
///
/// Clones share the TLS configuration, so that sessions can be resumed, and the access token.
#[derive(Clone)]
pub struct Account {
    /// What the settings file says.
    pub settings: AccountSettings,
    /// The password of `settings.username`; for a login by access token the client's secret, empty if it has none.
    pub password: Password,
    pub(crate) tls: Arc<OnceLock<Arc<rustls::ClientConfig>>>,
    pub(crate) clock: TlsClock,
    pub(crate) tokens: Arc<TokenSource>,
    /// Mechanisms that a server offers and refuses, though the password is right.
    refused: Arc<Mutex<Vec<(Service, Mechanism)>>>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Account {
    /// Puts both together; certificates are judged by the system's clock. Nothing is read or connected yet.
    /// Access tokens live as long as the account: see [`Self::open`].
    pub fn new(settings: AccountSettings, password: Password) -> Self {
        Self {
            settings,
            password,
            tls: Arc::default(),
            clock: Arc::new(TlsTime::system),
            tokens: Arc::default(),
            refused: Arc::default(),
        }
    }

    /// Reads the password, or for a login by access token the client's secret, from its file; tokens are kept beside it,
    /// in a file with the ending `.token`. An application that signs in for a person may have no secret, and no file then.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub fn open(settings: AccountSettings, password_file: &Path) -> Result<Self, PasswordError> {
        let without = match &settings.login {
            Login::OAuth2(oauth) => oauth.flow == Flow::RefreshToken,
            Login::Password | Login::Mechanism(_) => false,
        };
        let password = match Password::from_file(password_file) {
            Err(PasswordError::Read { source, .. }) if without && source.kind() == ErrorKind::NotFound => {
                Password::new(String::new())
            }
            read => read?,
        };
        Ok(Self::new(settings, password).with_token_file(token_file(password_file)))
    }

    /// The same, with access tokens kept in `file`, mode 0600.
    #[must_use]
    pub fn with_token_file(self, file: PathBuf) -> Self {
        Self { tokens: Arc::new(TokenSource::new(Some(file))), ..self }
    }

    /// The same, with certificates judged by the time that `clock` tells at each handshake.
    #[must_use]
    pub fn with_clock(self, clock: TlsClock) -> Self {
        Self { clock, tls: Arc::default(), ..self }
    }

    /// An access token that is good now, as a login would use it; one that is kept, or another from the provider.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn access_token(&self, limits: &Limits) -> Result<AccessToken, TokenError> {
        self.tokens.access(self, limits, None).await
    }

    /// Takes over a refresh token that a person has got by signing in; it is stored durably when this returns.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn sign_in(&self, limits: &Limits, refresh: AccessToken) -> Result<(), TokenError> {
        self.tokens.sign_in(self, limits, refresh, None).await
    }

    /// The server of a service.
    fn server(&self, service: Service) -> &Server {
        match service {
            Service::Smtp => &self.settings.smtp,
            Service::Pop3 | Service::Imap => &self.settings.fetch_server,
        }
    }

    /// What a login needs now. `stale`: an access token that this server has just refused.
    pub(crate) async fn credential(
        &self,
        service: Service,
        limits: &Limits,
        stale: Option<&AccessToken>,
    ) -> Result<Credential, TokenError> {
        let server = self.server(service);
        let protected = server.security != Security::Plain;
        let (secret, only) = match &self.settings.login {
            Login::Password => (Secret::Password(self.password.clone()), None),
            Login::Mechanism(only) => (Secret::Password(self.password.clone()), Some(*only)),
            Login::OAuth2(_) if !protected && !is_this_machine(&server.host) => {
                return Err(TokenError::Unprotected);
            }
            Login::OAuth2(oauth) => {
                (Secret::Token(self.tokens.access(self, limits, stale).await?), oauth.mechanism)
            }
        };
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let avoid = refused.iter().filter(|(where_, _)| *where_ == service).map(|(_, mechanism)| *mechanism);
        Ok(Credential {
            username: self.settings.username.clone(),
            secret,
            only,
            protected,
            avoid: avoid.collect(),
            nonce: nonce(),
            server: (server.host.clone(), server.port),
        })
    }

    /// What to try once more with after a server has refused an access token: one that is fetched anew, if that may help.
    pub(crate) async fn another_credential(
        &self,
        service: Service,
        limits: &Limits,
        refused: &Credential,
        why: &TokenRefused,
    ) -> Result<Option<Credential>, TokenError> {
        let Secret::Token(stale) = &refused.secret else { return Ok(None) };
        if matches!(why.cause, Cause::NoMailbox | Cause::SwitchedOff(_)) {
            return Ok(None);
        }
        let another = self.credential(service, limits, Some(stale)).await?;
        let differs = !matches!(&another.secret, Secret::Token(token) if token == stale);
        Ok(differs.then_some(another))
    }

    /// Remembers what a login came to, so that the next one begins with what works.
    pub(crate) fn logged_in(&self, service: Service, used: Used) {
        if let Some(mechanism) = used.refused {
            tracing::info!(account = %self.settings.name, %mechanism, works = %used.way, "the mail server refuses a mechanism that it offers");
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            if !refused.contains(&(service, mechanism)) {
                refused.push((service, mechanism));
            }
        }
    }
}

/// A nonce for SCRAM: 144 bits.
fn nonce() -> String {
    let mut octets = [0; 18];
    getrandom::fill(&mut octets).expect("the system gives random numbers");
    STANDARD.encode(octets)
}

#[cfg(test)]
mod tests;
