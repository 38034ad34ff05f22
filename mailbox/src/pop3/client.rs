//! POP3 before the login.

use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use crate::{
    connect::ConnectError,
    fetch::FetchError,
    limits::Limits,
    login_error::LoginError,
    oauth::TokenRefused,
    pop3::{
        reply::{Capabilities, Reply},
        transaction::Transaction,
        wire::Wire,
    },
    sasl::{Credential, Exchange, Mechanism, Secret, Service, Used, Way, plan},
};

/// Longest line of the command AUTH, in octets with its end (RFC 5034 section 4); a longer answer stands on its own line.
const AUTH_OCTETS_MAX: usize = 255;

/// A connection in the AUTHORIZATION state (RFC 1939 section 4).
#[derive(Debug)]
pub struct Authorization<S> {
    wire: Wire<S>,
    greeting: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Authorization<S> {
    /// Waits for the server's greeting.
    ///
    /// # Errors
    /// A server that says something else, nothing, or `-ERR`.
    pub async fn greet(stream: S, limits: &Limits) -> Result<Self, FetchError> {
        let mut wire = Wire::new(stream, limits);
        let greeting = wire.expect_ok("greeting").await?;
        Ok(Self { wire, greeting })
    }

    /// Goes on after the TLS handshake that followed [`Self::stls`]; there is no second greeting (RFC 2595 section 4).
    pub fn resume(stream: S, limits: &Limits) -> Self {
        Self { wire: Wire::new(stream, limits), greeting: String::new() }
    }

    /// What the server said at the start, cleaned and cut.
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// Asks what the server can do. A server without CAPA can nothing of it, which is no error.
    ///
    /// # Errors
    /// Connection, time, or gibberish.
    pub async fn capabilities(&mut self) -> Result<Capabilities, FetchError> {
        self.wire.capabilities().await
    }

    /// Asks for TLS and gives back the bare stream for the handshake.
    ///
    /// # Errors
    /// [`ConnectError::NoStartTls`] when it is refused; [`ConnectError::Injection`] when plain octets stand behind
    /// the server's answer: they would be read as the first replies of the protected talk.
    pub async fn stls(mut self) -> Result<S, FetchError> {
        self.wire.send("STLS", b"STLS\r\n").await?;
        match self.wire.reply("STLS").await? {
            Reply::Ok(_) => {}
            Reply::Err { .. } | Reply::Continue(_) => return Err(ConnectError::NoStartTls.into()),
        }
        self.wire.into_stream().ok_or(FetchError::Connect(ConnectError::Injection))
    }

    /// Logs in by the strongest mechanism that is offered, or by USER and PASS where there is none; see
    /// [`crate::sasl::plan`].
    ///
    /// # Errors
    /// [`FetchError::LoginRefused`], [`FetchError::Login`], [`FetchError::Busy`] (`[IN-USE]`, `[LOGIN-DELAY]`),
    /// [`FetchError::Temporary`] (`[SYS/TEMP]`), or the connection's errors.
    pub async fn login(mut self, credential: &Credential) -> Result<Transaction<S>, FetchError> {
        if !credential.is_sound() {
            return Err(FetchError::Login(LoginError::Credentials));
        }
        let before = self.capabilities().await?;
        let ways = plan(credential, &before.offer()).map_err(LoginError::from)?;
        let used = self.log_in(&ways, credential).await?;
        // Some servers tell the half of it only after the login (RFC 2449 section 5).
        let after = if before.pipelining && before.uidl { before } else { self.wire.capabilities().await? };
        Ok(Transaction::new(self.wire, after, used))
    }

    async fn log_in(&mut self, ways: &[Way], credential: &Credential) -> Result<Used, FetchError> {
        let mut first: Option<(Mechanism, FetchError)> = None;
        for way in ways {
            let outcome = match way {
                Way::Sasl(mechanism) => self.authenticate(*mechanism, credential).await,
                Way::Command => self.user_and_pass(credential).await,
            };
            match (outcome, way, first.take()) {
                (Ok(()), way, refused) => {
                    return Ok(Used { way: *way, refused: refused.map(|(mechanism, _)| mechanism) });
                }
                (Err(error @ FetchError::LoginRefused { .. }), Way::Sasl(mechanism), None) => {
                    first = Some((*mechanism, error));
                }
                // Some servers close after a refusal.
                (Err(FetchError::Disconnected { .. }), _, Some((_, refusal))) => return Err(refusal),
                (Err(error), ..) => return Err(error),
            }
        }
        Err(first.map_or(FetchError::Login(LoginError::Credentials), |(_, refusal)| refusal))
    }

    async fn authenticate(
        &mut self,
        mechanism: Mechanism,
        credential: &Credential,
    ) -> Result<(), FetchError> {
        let mut exchange = Exchange::begin(mechanism, credential).map_err(LoginError::from)?;
        let name = mechanism.name();
        let room = AUTH_OCTETS_MAX - "AUTH  \r\n".len() - name.len();
        match exchange.initial_line(room) {
            Some(initial) => self.send_login(&secret_line(&["AUTH ", name, " ", &initial, "\r\n"])).await?,
            None => self.send_login(&format!("AUTH {name}\r\n")).await?,
        }
        loop {
            match self.wire.reply("login").await? {
                Reply::Ok(_) => return Ok(exchange.complete().map_err(LoginError::from)?),
                Reply::Err { code, text } => {
                    return Err(refusal(&code, &text, credential, exchange.failure()));
                }
                Reply::Continue(challenge) => match exchange.answer_line(&challenge) {
                    Ok(answer) => self.send_login(&secret_line(&[&answer, "\r\n"])).await?,
                    Err(error) => {
                        // Given up in order, so that the server does not wait.
                        self.send_login("*\r\n").await?;
                        return Err(LoginError::from(error).into());
                    }
                },
            }
        }
    }

    async fn user_and_pass(&mut self, credential: &Credential) -> Result<(), FetchError> {
        let user = format!("USER {}\r\n", credential.username);
        let pass = secret_line(&["PASS ", credential.secret.reveal(), "\r\n"]);
        for command in [user.as_str(), pass.as_str()] {
            self.send_login(command).await?;
            match self.wire.reply("login").await? {
                Reply::Ok(_) => {}
                Reply::Err { code, text } => return Err(refusal(&code, &text, credential, None)),
                Reply::Continue(_) => {
                    return Err(FetchError::Protocol {
                        during: "login",
                        detail: "unasked continuation".into(),
                    });
                }
            }
        }
        Ok(())
    }

    async fn send_login(&mut self, command: &str) -> Result<(), FetchError> {
        self.wire.send("login", command.as_bytes()).await
    }
}

/// A refused login. Its text does not show the secret even if the server echoes it.
fn refusal(code: &str, text: &str, credential: &Credential, failure: Option<&str>) -> FetchError {
    let text = credential.clean(text);
    let error = match FetchError::from_code("login", code, text) {
        FetchError::Refused { text, .. } if code.is_empty() => FetchError::LoginRefused { text },
        other => other,
    };
    match (error, &credential.secret) {
        (FetchError::LoginRefused { text }, Secret::Token(token)) => {
            LoginError::from(TokenRefused::new(Service::Pop3, &text, failure, token)).into()
        }
        (error, _) => error,
    }
}

/// Put together in one allocation, which is wiped: a text that grows leaves copies of itself behind.
fn secret_line(parts: &[&str]) -> Zeroizing<String> {
    let mut line = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| line.push_str(part));
    line
}
