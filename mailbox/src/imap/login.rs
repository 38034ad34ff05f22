//! The login: AUTHENTICATE (RFC 3501 section 6.2.2, RFC 4959), or LOGIN where no mechanism is offered.

use std::fmt::Debug;

use async_imap::{Authenticator, Client, Session, types::Capability};
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use crate::{
    fetch::FetchError,
    imap::{guard::Guarded, response::from_library},
    login_error::LoginError,
    oauth::{Cause, TokenRefused},
    sasl::{Credential, Exchange, Mechanism, Offer, SaslError, Secret, Service, Used, Way, plan},
    server_text::clean,
};

/// Longest first answer that stands in the command, in octets of base64; servers cap the length of a line.
const INITIAL_OCTETS_MAX: usize = 2000;

/// The server's own words in an error text of the library, which shows its parser's fields around them.
fn server_words(text: &str) -> String {
    let words = text.split_once("info: Some(\"").and_then(|(_, rest)| rest.rsplit_once("\")"));
    words.map_or(text, |(words, _)| words).to_owned()
}

type Opened<S> = (Session<Guarded<S>>, Vec<String>, Used);
/// After a refusal the connection is left for another try.
type Refused<S> = (FetchError, Option<Client<Guarded<S>>>);

/// Gives the session, the capabilities, if the server told them with its answer to the login, and how it was made.
pub(super) async fn login<S>(
    mut client: Client<Guarded<S>>,
    credential: &Credential,
    offer: &Offer,
    sasl_ir: bool,
) -> Result<Opened<S>, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Debug + Send,
{
    let mut first: Option<(Mechanism, FetchError)> = None;
    for way in plan(credential, offer).map_err(LoginError::from)? {
        let outcome = match way {
            Way::Sasl(mechanism) => authenticate(client, mechanism, credential, sasl_ir).await,
            Way::Command => by_command(client, credential).await,
        };
        match (outcome, way, first.take()) {
            (Ok((session, capabilities)), way, refused) => {
                return Ok((
                    session,
                    capabilities,
                    Used { way, refused: refused.map(|(mechanism, _)| mechanism) },
                ));
            }
            (Err((error @ FetchError::LoginRefused { .. }, Some(again))), Way::Sasl(mechanism), None) => {
                first = Some((mechanism, error));
                client = again;
            }
            // Some servers close after a refusal.
            (Err((FetchError::Disconnected { .. }, _)), _, Some((_, refusal))) => return Err(refusal),
            (Err((error, _)), ..) => return Err(error),
        }
    }
    Err(first.map_or(FetchError::Login(LoginError::Credentials), |(_, refusal)| refusal))
}

async fn by_command<S>(
    client: Client<Guarded<S>>,
    credential: &Credential,
) -> Result<(Session<Guarded<S>>, Vec<String>), Refused<S>>
where
    S: AsyncRead + AsyncWrite + Unpin + Debug + Send,
{
    match client.login_with_capabilities(&credential.username, credential.secret.reveal()).await {
        Ok((session, capabilities)) => {
            let texts = capabilities.map_or_else(Vec::new, |set| {
                set.iter()
                    .map(|capability| match capability {
                        Capability::Imap4rev1 => "IMAP4rev1".to_owned(),
                        Capability::Auth(name) => clean(format!("AUTH={name}").as_bytes()),
                        Capability::Atom(name) => clean(name.as_bytes()),
                    })
                    .collect()
            });
            Ok((session, texts))
        }
        Err((error, client)) => Err((refusal(error, credential, None), Some(client))),
    }
}

/// Answers the server's challenges for the library, which has no way to give up: after a fault it gets empty answers until
/// the server refuses, and the fault is told afterwards.
struct Answers<'a> {
    exchange: &'a mut Exchange,
    fault: &'a mut Option<SaslError>,
}

impl Authenticator for Answers<'_> {
    type Response = Zeroizing<Vec<u8>>;

    fn process(&mut self, challenge: &[u8]) -> Zeroizing<Vec<u8>> {
        if self.fault.is_none() {
            match self.exchange.answer(challenge) {
                Ok(answer) => return answer,
                Err(fault) => *self.fault = Some(fault),
            }
        }
        Zeroizing::default()
    }
}

async fn authenticate<S>(
    client: Client<Guarded<S>>,
    mechanism: Mechanism,
    credential: &Credential,
    sasl_ir: bool,
) -> Result<(Session<Guarded<S>>, Vec<String>), Refused<S>>
where
    S: AsyncRead + AsyncWrite + Unpin + Debug + Send,
{
    let mut exchange = match Exchange::begin(mechanism, credential) {
        Ok(exchange) => exchange,
        Err(fault) => return Err((LoginError::from(fault).into(), Some(client))),
    };
    let initial = if sasl_ir { exchange.initial_line(INITIAL_OCTETS_MAX) } else { None };
    let command = match initial {
        Some(initial) => Zeroizing::new(format!("{mechanism} {}", *initial)),
        None => Zeroizing::new(mechanism.to_string()),
    };
    let mut fault = None;
    let answers = Answers { exchange: &mut exchange, fault: &mut fault };
    let outcome = client.authenticate(command.as_str(), answers).await;
    if let Some(fault) = fault {
        return Err((LoginError::from(fault).into(), None));
    }
    match outcome {
        Ok(session) => match exchange.complete() {
            Ok(()) => Ok((session, Vec::new())),
            Err(fault) => Err((LoginError::from(fault).into(), None)),
        },
        Err((error, client)) => Err((refusal(error, credential, exchange.failure()), Some(client))),
    }
}

/// A refused login in our words, without the secret even if the server echoes it.
fn refusal(error: async_imap::error::Error, credential: &Credential, failure: Option<&str>) -> FetchError {
    use async_imap::error::Error;
    let (Error::No(text) | Error::Bad(text)) = error else { return from_library("login", error) };
    let text = credential.clean(&server_words(&text));
    // RFC 5530: the only codes that say it is not the password's fault.
    if ["UNAVAILABLE", "INUSE", "LIMIT"].iter().any(|code| text.contains(&format!("[{code}]"))) {
        return FetchError::Busy { text };
    }
    match &credential.secret {
        Secret::Token(token) => {
            LoginError::from(TokenRefused::new(Service::Imap, &text, failure, token)).into()
        }
        Secret::Password(_) => FetchError::LoginRefused { text },
    }
}

/// Microsoft lets a token in and then refuses every command, if the application has no right to the mailbox.
pub(super) fn without_mailbox(error: FetchError, credential: &Credential) -> FetchError {
    match (&error, &credential.secret) {
        (FetchError::Refused { text, .. }, Secret::Token(token)) => {
            let refused = TokenRefused::new(Service::Imap, text, None, token);
            if refused.cause == Cause::NoMailbox { LoginError::from(refused).into() } else { error }
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::server_words;

    #[test]
    fn a_refusal_is_told_in_the_servers_words_alone() {
        let text = "code: None, info: Some(\"[AUTHENTICATIONFAILED] Authentication failed.\")";
        assert_eq!(server_words(text), "[AUTHENTICATIONFAILED] Authentication failed.");
        assert_eq!(server_words("anything else"), "anything else");
    }
}
