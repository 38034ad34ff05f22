//! POP3 before the login.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use crate::{
    account::{Password, fits_a_line},
    connect::ConnectError,
    fetch::FetchError,
    limits::Limits,
    pop3::{
        reply::{Capabilities, Reply},
        transaction::Transaction,
        wire::Wire,
    },
    server_text::clean_login,
};

/// An initial response longer than this does not fit the command line (RFC 5034 section 4: 255 octets).
const INITIAL_RESPONSE_MAX: usize = 255 - "AUTH PLAIN \r\n".len();

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
            Reply::Err { .. } | Reply::Continue => return Err(ConnectError::NoStartTls.into()),
        }
        self.wire.into_stream().ok_or(FetchError::Connect(ConnectError::Injection))
    }

    /// Logs in by AUTH PLAIN where it is offered, else by USER and PASS.
    ///
    /// # Errors
    /// [`FetchError::LoginRefused`], [`FetchError::Busy`] (`[IN-USE]`, `[LOGIN-DELAY]`), [`FetchError::Temporary`]
    /// (`[SYS/TEMP]`), [`FetchError::Credentials`], or the connection's errors.
    pub async fn login(mut self, username: &str, password: &Password) -> Result<Transaction<S>, FetchError> {
        if username.is_empty() || !fits_a_line(username) || !password.fits_a_line() {
            return Err(FetchError::Credentials);
        }
        let before = self.capabilities().await?;
        if before.sasl_plain {
            self.auth_plain(username, password).await?;
        } else {
            self.send_login(&format!("USER {username}\r\n")).await?;
            self.login_reply(password).await?;
            self.send_login(&secret_line(&["PASS ", password.reveal(), "\r\n"])).await?;
            self.login_reply(password).await?;
        }
        // Some servers tell the half of it only after the login (RFC 2449 section 5).
        let after = if before.pipelining && before.uidl { before } else { self.wire.capabilities().await? };
        Ok(Transaction::new(self.wire, after))
    }

    async fn auth_plain(&mut self, username: &str, password: &Password) -> Result<(), FetchError> {
        let plain = secret_line(&["\0", username, "\0", password.reveal()]);
        let response = Zeroizing::new(STANDARD.encode(plain.as_bytes()));
        if response.len() <= INITIAL_RESPONSE_MAX {
            self.send_login(&secret_line(&["AUTH PLAIN ", &response, "\r\n"])).await?;
        } else {
            self.wire.send("login", b"AUTH PLAIN\r\n").await?;
        }
        match self.login_reply(password).await? {
            Reply::Continue => {}
            _ => return Ok(()),
        }
        // The server did not take the response in the command line, or it was too long for it.
        self.send_login(&secret_line(&[&response, "\r\n"])).await?;
        match self.login_reply(password).await? {
            Reply::Continue => {
                Err(FetchError::Protocol { during: "login", detail: "endless challenge".into() })
            }
            _ => Ok(()),
        }
    }

    async fn send_login(&mut self, command: &str) -> Result<(), FetchError> {
        self.wire.send("login", command.as_bytes()).await
    }

    /// `+OK` or `+ `; a refusal becomes an error whose text does not show the password even if the server echoes it.
    async fn login_reply(&mut self, password: &Password) -> Result<Reply, FetchError> {
        match self.wire.reply("login").await? {
            Reply::Err { code, text } => {
                let text = clean_login(text.as_bytes(), password);
                Err(match FetchError::from_code("login", &code, text) {
                    FetchError::Refused { text, .. } if code.is_empty() => FetchError::LoginRefused { text },
                    other => other,
                })
            }
            reply => Ok(reply),
        }
    }
}

/// Put together in one allocation, which is wiped: a text that grows leaves copies of itself behind.
fn secret_line(parts: &[&str]) -> Zeroizing<String> {
    let mut line = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| line.push_str(part));
    line
}
