//! Why a mail server does not take an access token, in words. Pure.

use std::fmt;

use crate::{
    oauth::{AccessToken, Claims},
    sasl::Service,
    server_text::clean,
};

/// A mail server did not take an access token. The token itself is never in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the mail server refused the access token: {text}{}", cause.words())]
pub struct TokenRefused {
    /// What the server said, cleaned and cut.
    pub text: String,
    /// What is behind it, as far as it can be told.
    pub cause: Cause,
}

/// What may be behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The application has no permission of this name (client credentials).
    AppLacks(&'static str),
    /// The person who signed in gave no permission of this name.
    UserLacks(&'static str),
    /// The token is for another service.
    OtherService(String),
    /// The token is in order, but the application has no right to this mailbox, or the mailbox is another's.
    NoMailbox,
    /// The organisation or the mailbox has this protocol switched off.
    SwitchedOff(&'static str),
    /// Nothing more is known.
    Unknown,
}

impl Cause {
    fn words(&self) -> String {
        match self {
            Self::AppLacks(role) => format!("; the app lacks {role}"),
            Self::UserLacks(scope) => format!("; the sign-in lacks {scope}"),
            Self::OtherService(audience) => format!("; the token is for {audience}, not for mail"),
            Self::NoMailbox => "; the token is in order, but gives no right to this mailbox".to_owned(),
            Self::SwitchedOff(protocol) => {
                format!("; {protocol} with a login is switched off for this mailbox or organisation")
            }
            Self::Unknown => String::new(),
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::AppLacks(_) => {
                "add the permission to the app registration as an application permission of Office 365 Exchange Online, and let an administrator consent"
            }
            Self::UserLacks(_) => {
                "add the permission to the app registration, then sign in again with `account login --sign-in`"
            }
            Self::OtherService(_) => "check `scope`, or leave it out",
            Self::NoMailbox => {
                "register the app's service principal in Exchange Online (New-ServicePrincipal) and give it the mailbox (Add-MailboxPermission -AccessRights FullAccess); check `username`"
            }
            Self::SwitchedOff(_) => {
                "let an administrator switch it on (Set-CASMailbox; for sending: -SmtpClientAuthenticationDisabled $false)"
            }
            Self::Unknown => {
                "check `username`, `scope` and the permissions of the app; the token itself was fetched anew"
            }
        }
    }
}

/// What a service asks of an application and of a person, at Microsoft.
fn permissions(service: Service) -> (&'static str, &'static str) {
    match service {
        Service::Imap => ("IMAP.AccessAsApp", "IMAP.AccessAsUser.All"),
        Service::Pop3 => ("POP.AccessAsApp", "POP.AccessAsUser.All"),
        Service::Smtp => ("SMTP.SendAsApp", "SMTP.Send"),
    }
}

/// The audiences of a token for mail at Microsoft; the last is the first one's number.
const MAIL_AUDIENCES: [&str; 3] =
    ["https://outlook.office365.com", "https://outlook.office.com", "00000002-0000-0ff1-ce00-000000000000"];

impl TokenRefused {
    /// From the server's last words, the JSON that came before them (RFC 7628 section 3.2.2), and the token.
    #[must_use]
    pub fn new(service: Service, words: &str, failure: Option<&str>, token: &AccessToken) -> Self {
        let text = match failure.and_then(told) {
            Some(told) if words.is_empty() => told,
            Some(told) => format!("{words} ({told})"),
            None => words.to_owned(),
        };
        let masked = text.replace(token.reveal(), "<secret>");
        Self { text: clean(masked.as_bytes()), cause: cause(service, words, Claims::of(token).as_ref()) }
    }
}

/// What the server told in JSON before its refusal: `{"status":"invalid_token","schemes":"Bearer","scope":"..."}`.
fn told(json: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let parts: Vec<String> = ["status", "scope", "error", "error_description"]
        .iter()
        .filter_map(|key| Some(format!("{key} {}", value.get(key)?.as_str()?)))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn cause(service: Service, words: &str, claims: Option<&Claims>) -> Cause {
    let lower = words.to_ascii_lowercase();
    let protocol = match service {
        Service::Imap => "IMAP",
        Service::Pop3 => "POP3",
        Service::Smtp => "SMTP",
    };
    if words.contains("5.7.139")
        || lower.contains("smtpclientauthentication is disabled")
        || lower.contains("is disabled for the")
    {
        return Cause::SwitchedOff(protocol);
    }
    if let Some(claims) = claims {
        let microsoft = claims
            .aud
            .as_deref()
            .is_some_and(|audience| MAIL_AUDIENCES.contains(&audience.trim_end_matches('/')));
        if let Some(audience) = claims.aud.as_deref().filter(|audience| !microsoft && is_other(audience)) {
            return Cause::OtherService(clean(audience.as_bytes()));
        }
        let (role, scope) = permissions(service);
        // Only tokens of Microsoft name permissions in this way.
        match (&claims.roles, &claims.scp) {
            (Some(roles), _) if microsoft && !roles.iter().any(|has| has == role) => {
                return Cause::AppLacks(role);
            }
            (None, Some(scopes)) if microsoft && !scopes.split(' ').any(|has| has == scope) => {
                return Cause::UserLacks(scope);
            }
            (None, None) if microsoft => return Cause::AppLacks(role),
            _ => {}
        }
    }
    if lower.contains("authenticated but not connected") {
        return Cause::NoMailbox;
    }
    Cause::Unknown
}

/// Services whose tokens are got by mistake: Microsoft Graph, by name and by number.
fn is_other(audience: &str) -> bool {
    ["https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000"]
        .contains(&audience.trim_end_matches('/'))
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words().trim_start_matches("; "))
    }
}
