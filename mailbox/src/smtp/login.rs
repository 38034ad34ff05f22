//! Logging in by AUTH (RFC 4954), line by line: the library knows fewer mechanisms, and loses what a server tells of a
//! token that it refuses.

use lettre::transport::smtp::client::AsyncSmtpConnection;
use zeroize::Zeroizing;

use crate::{
    login_error::LoginError,
    oauth::TokenRefused,
    sasl::{Credential, Exchange, Mechanism, Offer, Secret, Service, Used, Way, plan},
    smtp::{SendError, ServerReply, error::reply_of},
};

/// Longest command line, in octets with its end (RFC 5321 section 4.5.3.1.4); a longer answer stands on its own line.
const COMMAND_OCTETS_MAX: usize = 512;

/// Logs in, by the second way too where the first is refused; see [`plan`].
pub(super) async fn log_in(
    connection: &mut AsyncSmtpConnection,
    offer: &Offer,
    credential: &Credential,
) -> Result<Used, SendError> {
    if offer.names.is_empty() {
        return Err(SendError::NoLogin);
    }
    let mut first: Option<(Mechanism, SendError)> = None;
    for way in plan(credential, offer).map_err(LoginError::from)? {
        let Way::Sasl(mechanism) = way else { return Err(SendError::NoLogin) };
        match (authenticate(connection, mechanism, credential).await, first.take()) {
            (Ok(()), refused) => return Ok(Used { way, refused: refused.map(|(mechanism, _)| mechanism) }),
            (Err(error @ SendError::LoginRefused { .. }), None) => first = Some((mechanism, error)),
            // Some servers close after a refusal.
            (Err(SendError::Disconnected { .. }), Some((_, refusal))) => return Err(refusal),
            (Err(error), _) => return Err(error),
        }
    }
    Err(first.map_or(SendError::NoLogin, |(_, refusal)| refusal))
}

async fn authenticate(
    connection: &mut AsyncSmtpConnection,
    mechanism: Mechanism,
    credential: &Credential,
) -> Result<(), SendError> {
    let mut exchange = Exchange::begin(mechanism, credential).map_err(LoginError::from)?;
    let name = mechanism.name();
    let room = COMMAND_OCTETS_MAX - "AUTH  \r\n".len() - name.len();
    let mut line = match exchange.initial_line(room) {
        Some(initial) => Zeroizing::new(format!("AUTH {name} {}\r\n", *initial)),
        None => Zeroizing::new(format!("AUTH {name}\r\n")),
    };
    loop {
        let reply = match connection.command(line.as_str()).await {
            Ok(reply) => reply,
            Err(error) => {
                let Some(reply) = reply_of(&error) else {
                    return Err(SendError::from_library("login", &error));
                };
                return Err(refusal(reply, credential, exchange.failure()));
            }
        };
        if !reply.has_code(334) {
            return Ok(exchange.complete().map_err(LoginError::from)?);
        }
        let challenge = reply.message().next().unwrap_or_default().to_owned();
        match exchange.answer_line(&challenge) {
            Ok(answer) => line = Zeroizing::new(format!("{}\r\n", *answer)),
            Err(error) => {
                // Given up in order; what the server says to that changes nothing.
                let _ = connection.command("*\r\n").await;
                return Err(LoginError::from(error).into());
            }
        }
    }
}

fn refusal(reply: ServerReply, credential: &Credential, failure: Option<&str>) -> SendError {
    let reply = ServerReply { text: credential.clean(&reply.text), ..reply };
    match &credential.secret {
        _ if !reply.is_permanent() => SendError::Transient(reply),
        Secret::Token(token) => {
            LoginError::from(TokenRefused::new(Service::Smtp, &reply.to_string(), failure, token)).into()
        }
        Secret::Password(_) => SendError::LoginRefused { reply },
    }
}
