//! What a person can do about mail that does not work: one sentence for the usual causes.

use crate::{
    ConnectError, FetchError, LoginError, SendError,
    oauth::{HttpError, TokenError},
    sasl::SaslError,
};
use rustls::CertificateError;
use std::error::Error;

/// What to do about `error` or the first of its causes that is known here; `None` where its own words must do.
///
/// Settings are named as in the settings files of both programs (`ca_file`, `security`).
#[must_use]
pub fn advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let chain = std::iter::successors(Some(error), |error| (*error).source());
    for cause in chain {
        let found = if let Some(error) = cause.downcast_ref::<FetchError>() {
            fetching(error)
        } else if let Some(error) = cause.downcast_ref::<SendError>() {
            sending(error)
        } else {
            let token = cause.downcast_ref::<TokenError>().and_then(token);
            token.or_else(|| cause.downcast_ref::<ConnectError>().and_then(connecting))
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

const LOGIN: &str = "check the user name and the password";
const MECHANISM: &str =
    "choose with `login` what the server offers; many offer more after TLS: check `security`";
const SILENT: &str = "check host and port; it may be the wrong port, or a server that is overloaded";

fn fetching(error: &FetchError) -> Option<&'static str> {
    match error {
        FetchError::Connect(error) => connecting(error),
        FetchError::LoginRefused { .. } => Some(LOGIN),
        FetchError::Login(error) => login(error),
        FetchError::Timeout { .. } => Some(SILENT),
        _ => None,
    }
}

fn sending(error: &SendError) -> Option<&'static str> {
    match error {
        SendError::Connect(error) => connecting(error),
        SendError::LoginRefused { .. } => Some(LOGIN),
        SendError::Login(error) => login(error),
        SendError::NoLogin => Some(
            "use the port for submission with `security` tls or starttls, or set `smtp_login = false` if it takes mail without",
        ),
        SendError::Timeout { .. } => Some(SILENT),
        _ => None,
    }
}

fn token(error: &TokenError) -> Option<&'static str> {
    match error {
        TokenError::Refused(error) => error.advice(),
        TokenError::NotSignedIn => Some("sign in with `account login --sign-in`"),
        TokenError::Http { source, .. } => match source.as_ref() {
            HttpError::Connect(error) => connecting(error),
            _ => None,
        },
        TokenError::NoDeviceEndpoint => {
            Some("give a refresh token with `account login --refresh-token-file FILE`")
        }
        TokenError::Unprotected => Some("set `security` to tls or starttls"),
        _ => None,
    }
}

fn login(error: &LoginError) -> Option<&'static str> {
    match error {
        LoginError::Credentials => Some(LOGIN),
        LoginError::TokenRefused(refused) => Some(refused.cause.advice()),
        LoginError::Token(error) => token(error),
        LoginError::NoMechanism(_) => Some(MECHANISM),
        LoginError::Sasl(error) => exchange(error),
    }
}

fn exchange(error: &SaslError) -> Option<&'static str> {
    match error {
        SaslError::NotProven | SaslError::Nonce => {
            Some("find out what stands between: a real server proves that it knows the password")
        }
        SaslError::Refused { .. } | SaslError::Unprintable => Some(LOGIN),
        _ => None,
    }
}

fn connecting(error: &ConnectError) -> Option<&'static str> {
    Some(match error {
        ConnectError::Resolve { .. } => "check the name, and the DNS server of this network",
        ConnectError::Tcp { .. } => "check host and port, and that the server runs",
        ConnectError::TimedOut { .. } => "check host and port; a firewall may be in between",
        ConnectError::Handshake { source, .. } => return Some(handshake(source)),
        ConnectError::CertificateDates { .. } => {
            "check the clock of this machine, then ask who runs the server for a new certificate"
        }
        ConnectError::NoStartTls => "check `security` and the port; tls needs no STARTTLS",
        ConnectError::Greeting { .. } | ConnectError::Broken(_) => {
            "check that port and `security` belong together, and that it is a mail server"
        }
        ConnectError::Tls(_) | ConnectError::Injection => return None,
    })
}

fn handshake(error: &std::io::Error) -> &'static str {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(reason)) => match reason {
            CertificateError::UnknownIssuer => {
                "if this is the right server, name the authority that signed its certificate with `ca_file`"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "write the host as it stands in the certificate"
            }
            _ => "ask who runs the server for a certificate that is in order",
        },
        _ => "check that port and `security` belong together: this port may not speak TLS at once",
    }
}

#[cfg(test)]
mod tests {
    use super::advice;
    use crate::{CertificateDates, ConnectError, FetchError, SendError};
    use std::io;

    fn handshake(reason: rustls::CertificateError) -> ConnectError {
        let source = io::Error::other(rustls::Error::InvalidCertificate(reason));
        ConnectError::Handshake { host: "mail.example".to_owned(), port: 993, source }
    }

    #[test]
    fn a_certificate_of_an_unknown_authority_leads_to_the_setting_for_it() {
        let error = FetchError::Connect(handshake(rustls::CertificateError::UnknownIssuer));
        assert!(advice(&error).unwrap().contains("ca_file"));
    }

    #[test]
    fn a_certificate_that_is_not_valid_now_leads_to_the_clock() {
        let source = CertificateDates {
            not_before: None,
            not_after: Some(jiff::Timestamp::UNIX_EPOCH),
            now: jiff::Timestamp::MAX,
            proven: false,
        };
        let error = ConnectError::CertificateDates { host: "mail.example".to_owned(), port: 465, source };
        assert!(advice(&SendError::Connect(error)).unwrap().contains("clock"));
    }

    #[test]
    fn a_refused_login_leads_to_the_password() {
        let error = FetchError::LoginRefused { text: "no".to_owned() };
        assert!(advice(&error).unwrap().contains("password"));
    }

    #[test]
    fn a_cause_is_found_below_errors_of_others() {
        #[derive(Debug, thiserror::Error)]
        #[error("the work could not be done")]
        struct Work(#[source] ConnectError);
        assert!(advice(&Work(ConnectError::NoStartTls)).unwrap().contains("security"));
        assert_eq!(advice(&io::Error::other("something else")), None);
    }
}
