//! One submission connection, for one mail or many.

use std::{fmt, time::Duration};

use lettre::{
    Address,
    transport::smtp::{
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, MailBodyParameter, MailParameter},
    },
};
use tokio::time::timeout;

use crate::{
    account::{Account, Security},
    address::{needs_smtp_utf8, wire_form},
    connect,
    limits::Limits,
    login_error::LoginError,
    sasl::{Credential, Service, Way},
    smtp::{
        Extensions, OutgoingMail, RecipientOutcome, SendError, ServerReply, body, error::reply_of, login,
        stream::SubmissionStream,
    },
    starttls,
    timed::{Patience, Timed},
};

/// Commands in one pipelined group. Their text and the replies always fit the socket's buffers.
const GROUP_MAX: usize = 100;

/// A connection after EHLO and login. Keep it for many mails; after an error see [`Self::is_broken`].
pub struct Submission {
    connection: AsyncSmtpConnection,
    patience: Patience,
    extensions: Extensions,
    limits: Limits,
    broken: bool,
    /// A mail was begun and not finished: the server must forget it first.
    begun: bool,
    mails_sent: u32,
    login: Option<Way>,
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("extensions", &self.extensions)
            .field("broken", &self.broken)
            .finish()
    }
}

impl Submission {
    /// Connects, protects the connection, says EHLO, logs in.
    ///
    /// # Errors
    /// [`SendError`]: no connection, no TLS, login refused, time over, a server that is none.
    pub async fn connect(account: &Account, limits: &Limits) -> Result<Self, SendError> {
        let settings = &account.settings;
        let credential = match settings.smtp_login {
            true => Some(account.credential(Service::Smtp, limits, None).await.map_err(LoginError::from)?),
            false => None,
        };
        match Self::connect_with(account, limits, credential.as_ref()).await {
            // It may have been withdrawn before its end.
            Err(SendError::Login(LoginError::TokenRefused(refused))) if let Some(stale) = &credential => {
                match account
                    .another_credential(Service::Smtp, limits, stale, &refused)
                    .await
                    .map_err(LoginError::from)?
                {
                    Some(another) => Self::connect_with(account, limits, Some(&another)).await,
                    None => Err(LoginError::from(refused).into()),
                }
            }
            connected => connected,
        }
    }

    async fn connect_with(
        account: &Account,
        limits: &Limits,
        credential: Option<&Credential>,
    ) -> Result<Self, SendError> {
        if credential.is_some_and(|credential| !credential.is_sound()) {
            return Err(SendError::Login(LoginError::Credentials));
        }
        let settings = &account.settings;
        const DURING: &str = "greeting";
        let hello = settings.hello();
        let mut socket = connect::dial(account, &settings.smtp, limits).await?;
        let mut greeting = Vec::new();
        if settings.smtp.security == Security::StartTls {
            (socket, greeting) = starttls::smtp(socket, hello, limits).await?;
            socket = connect::protect(account, &settings.smtp, socket, limits).await?;
        }
        let patience = Patience::new(limits.operation, limits.overall);
        let stream =
            SubmissionStream::new(Timed::new(socket, patience.clone()), greeting, limits.reply_octets_max);
        let heard = stream.heard();
        let client_id = ClientId::Domain(hello.to_owned());
        let start = async {
            let connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &client_id)
                .await
                .map_err(|error| SendError::from_library(DURING, &error))?;
            let reply = heard.last_reply();
            Ok::<_, SendError>((connection, Extensions::parse(reply.iter().map(String::as_str))))
        };
        let (connection, mut extensions) =
            timeout(limits.operation, start).await.map_err(|_| SendError::Timeout { during: DURING })??;
        patience.set_silence(limits.progress);
        // What the operator knows of the way behind the server counts as if the server had said it.
        extensions.size_octets_max =
            extensions.size_octets_max.into_iter().chain(settings.mail_octets_limit()).min();
        let mut this = Self {
            connection,
            patience,
            extensions,
            limits: limits.clone(),
            broken: false,
            begun: false,
            mails_sent: 0,
            login: None,
        };
        if let Some(credential) = credential {
            let limit = this.limits.operation;
            let offer = this.extensions.login.clone();
            let login = login::log_in(&mut this.connection, &offer, credential);
            let used = timeout(limit, login).await.map_err(|_| SendError::Timeout { during: "login" })??;
            account.logged_in(Service::Smtp, used);
            this.login = Some(used.way);
        }
        Ok(this)
    }

    /// How the login was made; `None` for a server that takes mail without.
    pub fn login(&self) -> Option<Way> {
        self.login
    }

    /// What the server can do.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Name of the server as it gave it in its reply to EHLO.
    pub fn server_name(&self) -> String {
        crate::server_text::clean(self.connection.server_info().name().as_bytes())
    }

    /// True when this connection can send nothing more.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Sends one mail. Each recipient has its own outcome, in the order of `mail.recipients`; if all are refused the
    /// mail went to nobody, and that is no error of the connection.
    ///
    /// # Errors
    /// [`SendError`] for what concerns the whole mail. The connection may be used on unless [`Self::is_broken`].
    pub async fn send(&mut self, mail: &OutgoingMail) -> Result<Vec<(String, RecipientOutcome)>, SendError> {
        if self.broken {
            return Err(SendError::Broken);
        }
        // Stays so if the caller drops this future half-way.
        self.broken = true;
        self.mails_sent = self.mails_sent.saturating_add(1);
        let outcome = self.send_inner(mail).await;
        self.broken = match &outcome {
            Ok(_) => false,
            // 421: the server says that it closes the connection (RFC 5321 section 3.8).
            Err(SendError::Permanent(reply) | SendError::Transient(reply)) => reply.code == 421,
            Err(
                SendError::Address { .. }
                | SendError::NoRecipients
                | SendError::TooLarge { .. }
                | SendError::EightBit,
            ) => false,
            Err(_) => true,
        };
        outcome
    }

    async fn send_inner(
        &mut self,
        mail: &OutgoingMail,
    ) -> Result<Vec<(String, RecipientOutcome)>, SendError> {
        let body = body::for_data(&mail.raw);
        let mail_command = self.mail_command(mail, &body)?;
        let mut rcpt_commands = Vec::with_capacity(mail.recipients.len());
        for recipient in &mail.recipients {
            rcpt_commands.push(Rcpt::new(self.address(recipient)?, Vec::new()).to_string());
        }
        if rcpt_commands.is_empty() {
            return Err(SendError::NoRecipients);
        }

        self.patience.renew(self.limits.overall);
        self.patience.set_silence(self.limits.smtp_reply);
        if self.begun {
            self.exchange("RSET", &["RSET\r\n".to_owned()]).await?;
            self.begun = false;
        }
        self.begun = true;

        let (rcpt_replies, data_reply) = if self.extensions.pipelining && rcpt_commands.len() + 2 <= GROUP_MAX
        {
            self.envelope_at_once(mail_command, rcpt_commands).await?
        } else {
            self.envelope_in_steps(mail_command, &rcpt_commands).await?
        };
        let accepted = rcpt_replies.iter().any(Result::is_ok);
        match data_reply {
            Some(Ok(())) => {
                // RFC 2920 section 3.1: the server waits for a mail even if no recipient is left; it gets an empty one.
                self.content(if accepted { &body } else { b"" }, accepted).await?;
                self.begun = false;
            }
            Some(Err(reply)) if accepted => return Err(SendError::from_reply(reply)),
            Some(Err(_)) | None => {}
        }
        Ok(mail
            .recipients
            .iter()
            .zip(rcpt_replies)
            .map(|(recipient, reply)| {
                let outcome = match reply {
                    Ok(()) => RecipientOutcome::Accepted,
                    Err(reply) if reply.is_permanent() => RecipientOutcome::Refused(reply),
                    Err(reply) => RecipientOutcome::Deferred(reply),
                };
                (recipient.clone(), outcome)
            })
            .collect())
    }

    fn mail_command(&self, mail: &OutgoingMail, body: &[u8]) -> Result<String, SendError> {
        let size_octets = body.len() as u64 + 2;
        if let Some(limit_octets) = self.extensions.size_octets_max
            && size_octets > limit_octets
        {
            return Err(SendError::TooLarge { size_octets, limit_octets });
        }
        let mut parameters = Vec::new();
        if self.extensions.size {
            parameters.push(MailParameter::Size(body.len() + 2));
        }
        if !body.is_ascii() {
            if !self.extensions.eight_bit_mime {
                return Err(SendError::EightBit);
            }
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        // Also a header beyond ASCII makes a mail that only such servers take (RFC 6531 section 3.1, item 2).
        let utf8_header = !body::header(body).is_ascii();
        if utf8_header
            || mail.recipients.iter().chain(&mail.return_path).any(|address| needs_smtp_utf8(address))
        {
            if utf8_header && !self.extensions.smtp_utf8 {
                return Err(self.no_utf8(mail));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let sender = mail.return_path.as_deref().map(|address| self.address(address)).transpose()?;
        Ok(Mail::new(sender, parameters).to_string())
    }

    fn address(&self, text: &str) -> Result<Address, SendError> {
        let refused = || SendError::Address { address: crate::server_text::clean(text.as_bytes()) };
        let wire = wire_form(text).ok_or_else(refused)?;
        if !wire.is_ascii() && !self.extensions.smtp_utf8 {
            return Err(refused());
        }
        wire.parse().map_err(|_| refused())
    }

    /// The error for a mail whose header only servers with SMTPUTF8 take: it names the address that makes it so.
    fn no_utf8(&self, mail: &OutgoingMail) -> SendError {
        let address =
            mail.recipients.iter().chain(&mail.return_path).find(|address| needs_smtp_utf8(address));
        match address {
            Some(address) => SendError::Address { address: crate::server_text::clean(address.as_bytes()) },
            None => SendError::EightBit,
        }
    }

    /// MAIL, all RCPT and DATA in one write.
    async fn envelope_at_once(&mut self, mail: String, mut rcpt: Vec<String>) -> Result<Envelope, SendError> {
        let mut commands = vec![mail];
        commands.append(&mut rcpt);
        commands.push(Data.to_string());
        let mut replies = self.exchange("envelope", &commands).await?;
        let data = replies.pop();
        let mail = replies.remove(0);
        if let Err(reply) = mail {
            if let Some(Ok(())) = data {
                self.content(b"", false).await?;
            }
            return Err(SendError::from_reply(reply));
        }
        Ok((replies, data))
    }

    /// MAIL, RCPT and DATA one after the other; the RCPT in groups where the server allows it.
    async fn envelope_in_steps(&mut self, mail: String, rcpt: &[String]) -> Result<Envelope, SendError> {
        if let Some(Err(reply)) = self.exchange("MAIL", &[mail]).await?.pop() {
            return Err(SendError::from_reply(reply));
        }
        let mut replies = Vec::with_capacity(rcpt.len());
        for group in rcpt.chunks(if self.extensions.pipelining { GROUP_MAX } else { 1 }) {
            replies.append(&mut self.exchange("RCPT", group).await?);
        }
        let data = if replies.iter().any(Result::is_ok) {
            self.exchange("DATA", &[Data.to_string()]).await?.pop()
        } else {
            None
        };
        Ok((replies, data))
    }

    /// Sends commands in one write and reads the reply to every one of them, whatever the others say (RFC 2920).
    async fn exchange(
        &mut self,
        during: &'static str,
        commands: &[String],
    ) -> Result<Vec<Result<(), ServerReply>>, SendError> {
        let work = async {
            let mut replies = Vec::with_capacity(commands.len());
            for nth in 0..commands.len() {
                let outcome = if nth == 0 {
                    self.connection.command(commands.concat()).await
                } else {
                    self.connection.read_response().await
                };
                replies.push(match outcome {
                    Ok(_) => Ok(()),
                    Err(error) => match reply_of(&error) {
                        Some(reply) if reply.code == 421 => return Err(SendError::Transient(reply)),
                        Some(reply) => Err(reply),
                        None => return Err(SendError::from_library(during, &error)),
                    },
                });
            }
            Ok(replies)
        };
        timeout(self.limits.smtp_reply, work).await.map_err(|_| SendError::Timeout { during })?
    }

    /// The mail itself and the final dot. `counts` is false for the empty mail that nobody gets.
    async fn content(&mut self, body: &[u8], counts: bool) -> Result<(), SendError> {
        self.patience.set_silence(self.limits.data_reply);
        // The library writes the last dot by itself, which costs a small mail a packet and both sides a wake-up.
        let outcome = match body::to_the_last_dot(body) {
            Some(content) => self.connection.command(content).await,
            None => self.connection.message(body).await,
        };
        self.patience.set_silence(self.limits.progress);
        match outcome {
            Ok(_) => Ok(()),
            Err(error) => match reply_of(&error) {
                Some(reply) if counts => {
                    self.begun = false;
                    Err(SendError::from_reply(reply))
                }
                Some(_) => Ok(()),
                None if counts => Err(SendError::Unconfirmed),
                None => Err(SendError::from_library("DATA", &error)),
            },
        }
    }

    /// Mails that were tried over this connection.
    pub(super) fn mails_sent(&self) -> u32 {
        self.mails_sent
    }

    /// Whether the server still answers on a connection that has rested; asked by NOOP, within `limit`.
    pub(super) async fn still_answers(&mut self, limit: Duration) -> bool {
        if self.broken {
            return false;
        }
        self.patience.renew(self.limits.overall);
        let answers = timeout(limit, self.connection.test_connected()).await.unwrap_or(false);
        self.broken = !answers;
        answers
    }

    /// Ends the session in order.
    ///
    /// # Errors
    /// When the server does not confirm. The mails sent before are not touched by that.
    pub async fn quit(mut self) -> Result<(), SendError> {
        let work = self.connection.quit();
        timeout(self.limits.operation, work)
            .await
            .map_err(|_| SendError::Timeout { during: "QUIT" })?
            .map(drop)
            .map_err(|error| SendError::from_library("QUIT", &error))
    }
}

/// The replies to the recipients, and to DATA if it was sent.
type Envelope = (Vec<Result<(), ServerReply>>, Option<Result<(), ServerReply>>);
