//! What the settings say of a provider, and the endpoints that follow from it. Pure.

use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::sasl::Mechanism;

/// Who gives out the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Microsoft 365 (Entra ID); needs `tenant`.
    Microsoft,
    /// Google Workspace and Gmail; by refresh token only.
    Google,
    /// Any other; needs `token_url`.
    Other,
}

/// How a token is come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// The program signs in as itself with its client secret (RFC 6749 section 4.4).
    ClientCredentials,
    /// A person has signed in once; from then on a refresh token serves (RFC 6749 section 6).
    RefreshToken,
}

/// A login by access token, as it stands in a settings file. Secrets are never part of it: the client secret lies in the
/// account's password file, the tokens beside it with the ending `.token`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth2Settings {
    /// Who gives out the tokens.
    pub provider: Provider,
    /// How a token is come by.
    pub flow: Flow,
    /// The application's id at the provider.
    pub client_id: String,
    /// Microsoft's name or id of the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What the token is asked for. Absent: what the provider documents for mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The token endpoint, `https` unless it is on this machine. Absent: the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_url: Option<String>,
    /// Where a sign-in by code begins (RFC 8628). Absent: the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_url: Option<String>,
    /// `oauthbearer` or `xoauth2` alone. Absent: what the server offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<Mechanism>,
}

/// What is wrong with the settings of a login by token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OAuth2SettingsError {
    /// A value that this provider or flow needs is missing.
    #[error("`{key}` is missing in the account's login: {why}")]
    Missing {
        /// Its key.
        key: &'static str,
        /// What needs it.
        why: &'static str,
    },
    /// A value that cannot be.
    #[error("`{key}` in the account's login must be {must}")]
    Wrong {
        /// Its key.
        key: &'static str,
        /// What it must be.
        must: &'static str,
    },
}

/// An address of the provider, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Whether by TLS.
    pub tls: bool,
    /// Host name or IP address, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path with the query, beginning with `/`.
    pub path: String,
}

impl Url {
    /// Takes an `https` address, or an `http` one of this machine, apart.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 2048 || !text.bytes().all(|octet| octet.is_ascii_graphic()) {
            return None;
        }
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return None,
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.strip_prefix('[') {
            Some(inside) => {
                let (host, behind) = inside.split_once(']')?;
                (host, if behind.is_empty() { None } else { Some(behind.strip_prefix(':')?) })
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok()?,
            None => {
                if tls {
                    443
                } else {
                    80
                }
            }
        };
        let host_is_plain = !host.is_empty()
            && host.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".-_:".contains(&octet));
        let url = Self {
            tls,
            host: host.to_owned(),
            port,
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
        };
        (host_is_plain && !path.contains('#') && (tls || is_this_machine(host))).then_some(url)
    }

    /// What stands in the header `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.tls { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.tls { "https" } else { "http" }, self.authority(), self.path)
    }
}

/// Whether a host is this machine: what goes there is read by nobody else.
pub(crate) fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Where tokens come from, and what is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// The token endpoint.
    pub token: Url,
    /// Where a sign-in by code begins, if the provider has it.
    pub device: Option<Url>,
    /// The scope, if one is to be named.
    pub scope: Option<String>,
}

/// Delegated permissions of Microsoft for mail; the last one brings a refresh token.
const MICROSOFT_DELEGATED: &str = "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/POP.AccessAsUser.All \
     https://outlook.office.com/SMTP.Send offline_access";
const MICROSOFT_APPLICATION: &str = "https://outlook.office365.com/.default";
const GOOGLE_MAIL: &str = "https://mail.google.com/";

impl OAuth2Settings {
    /// Checks the settings and works out the endpoints.
    ///
    /// # Errors
    /// [`OAuth2SettingsError`].
    pub fn endpoints(&self) -> Result<Endpoints, OAuth2SettingsError> {
        use OAuth2SettingsError::{Missing, Wrong};
        if self.client_id.is_empty() || self.client_id.len() > 512 || !is_plain(&self.client_id) {
            return Err(Wrong { key: "client_id", must: "the application's id, printable ASCII" });
        }
        if self.mechanism.is_some_and(|mechanism| !mechanism.takes_token()) {
            return Err(Wrong { key: "mechanism", must: "oauthbearer or xoauth2" });
        }
        if self.scope.as_deref().is_some_and(|scope| scope.is_empty() || !scope.split(' ').all(is_plain)) {
            return Err(Wrong { key: "scope", must: "printable ASCII, parts separated by one space" });
        }
        let (token, device, scope) = match self.provider {
            Provider::Microsoft => {
                let why = "Microsoft gives out tokens per organisation";
                let tenant = self.tenant.as_deref().ok_or(Missing { key: "tenant", why })?;
                if tenant.is_empty()
                    || !tenant.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".-".contains(&octet))
                {
                    return Err(Wrong { key: "tenant", must: "the organisation's id or domain" });
                }
                let base = format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0");
                let scope = match self.flow {
                    Flow::ClientCredentials => MICROSOFT_APPLICATION,
                    Flow::RefreshToken => MICROSOFT_DELEGATED,
                };
                (Some(format!("{base}/token")), Some(format!("{base}/devicecode")), Some(scope))
            }
            Provider::Google => {
                if self.flow == Flow::ClientCredentials {
                    return Err(Wrong {
                        key: "flow",
                        must: "refresh-token: Google gives mail to no application by its secret alone",
                    });
                }
                let google = |path| Some(format!("https://oauth2.googleapis.com/{path}"));
                (google("token"), google("device/code"), Some(GOOGLE_MAIL))
            }
            Provider::Other => (None, None, None),
        };
        let token = self.token_url.clone().or(token);
        let token =
            token.ok_or(Missing { key: "token_url", why: "the provider is not one that is known here" })?;
        let must = "an https address (http only on this machine)";
        Ok(Endpoints {
            token: Url::parse(&token).ok_or(Wrong { key: "token_url", must })?,
            device: (self.device_url.clone().or(device))
                .map(|device| Url::parse(&device).ok_or(Wrong { key: "device_url", must }))
                .transpose()?,
            scope: self.scope.clone().or(scope.map(str::to_owned)),
        })
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic())
}
