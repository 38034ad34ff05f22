//! The server's side of an SMTP dialog: a line comes in, a reply goes out, and the dialog remembers where it stands.

use std::sync::Arc;

use super::super::faults::Service;
use super::super::office::{Letter, Office, Taken, now};
use super::super::sasl::{self, Credentials, Exchange, Step};
use super::super::store::Mailbox;
use super::command::{Command, Parameter, Wrong, parse};
use super::data::Text;

/// What to do once the reply is on its way.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Then {
    Listen,
    /// This login is known from now on.
    LoggedIn(String),
    /// Read the text of a mail.
    TakeMail,
    StartTls,
    Close,
    /// Close without a word.
    Vanish,
}

/// A reply, with its line ends, and what comes then.
pub(super) struct Answer {
    pub(super) reply: String,
    pub(super) then: Then,
}

fn say(reply: &str) -> Answer {
    Answer { reply: format!("{reply}\r\n"), then: Then::Listen }
}

/// The mail being handed in.
struct Transaction {
    sender: String,
    size: Option<u64>,
    recipients: Vec<(String, u32)>,
}

pub(super) struct Dialog<'o> {
    office: &'o Arc<Office>,
    secured: bool,
    /// What the client calls itself, once it has said so; and whether by EHLO.
    client: Option<(String, bool)>,
    login: Option<String>,
    exchange: Option<Exchange>,
    transaction: Option<Transaction>,
}

impl<'o> Dialog<'o> {
    pub(super) fn new(office: &'o Arc<Office>, secured: bool) -> Self {
        Self { office, secured, client: None, login: None, exchange: None, transaction: None }
    }

    pub(super) fn greeting(&self) -> String {
        format!("220 {} ESMTP ready\r\n", self.office.settings.name)
    }

    pub(super) fn line_too_long(&mut self) -> Answer {
        self.exchange = None;
        say("500 5.5.6 Line too long")
    }

    /// Takes a line of the client, given without its end.
    pub(super) fn line(&mut self, line: &[u8]) -> Answer {
        if let Some(exchange) = self.exchange.take() {
            return match std::str::from_utf8(line) {
                Ok("*") => say("501 5.7.0 Authentication given up"),
                Ok(answer) => {
                    let step = sasl::go_on(self.office.as_ref(), exchange, answer);
                    self.authenticate(step)
                }
                Err(_) => say("501 5.5.2 Not base64"),
            };
        }
        match parse(line) {
            Ok(command) => self.command(command),
            Err(Wrong::Unknown) => say("500 5.5.2 Command not recognized"),
            Err(Wrong::Arguments) => say("501 5.5.4 Syntax error in parameters"),
        }
    }

    fn command(&mut self, command: Command) -> Answer {
        match command {
            Command::Ehlo(client) => {
                self.transaction = None;
                self.client = Some((client, true));
                self.extensions()
            }
            Command::Helo(client) => {
                self.transaction = None;
                self.client = Some((client, false));
                say(&format!("250 {}", self.office.settings.name))
            }
            Command::Mail { sender, parameters } => self.mail_from(sender, &parameters),
            Command::Rcpt { recipient, parameters } => self.rcpt_to(recipient, &parameters),
            Command::Data => match &self.transaction {
                None => say("503 5.5.1 MAIL first"),
                Some(transaction) if transaction.recipients.is_empty() => {
                    say("554 5.5.1 No valid recipients")
                }
                Some(_) => Answer { then: Then::TakeMail, ..say("354 End with <CRLF>.<CRLF>") },
            },
            Command::Rset => {
                self.transaction = None;
                say("250 2.0.0 Ok")
            }
            Command::Noop => say("250 2.0.0 Ok"),
            Command::Quit => Answer { then: Then::Close, ..say("221 2.0.0 Bye") },
            Command::StartTls if self.secured => say("503 5.5.1 TLS is already active"),
            Command::StartTls => Answer { then: Then::StartTls, ..say("220 2.0.0 Ready to start TLS") },
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial.as_deref()),
            Command::Vrfy => say("252 2.1.5 Send a mail and see"),
            Command::Help => say("214 2.0.0 See RFC 5321"),
        }
    }

    fn extensions(&self) -> Answer {
        let settings = &self.office.settings;
        let mut reply =
            format!("250-{}\r\n250-PIPELINING\r\n250-SIZE {}\r\n", settings.name, settings.size_limit);
        if !self.secured {
            reply.push_str("250-STARTTLS\r\n");
        }
        let names = self.office.mechanism_names("");
        reply.push_str(&format!("250-AUTH{names}\r\n"));
        reply.push_str("250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 DSN\r\n");
        Answer { reply, then: Then::Listen }
    }

    fn auth(&mut self, mechanism: &str, initial: Option<&str>) -> Answer {
        if self.client.as_ref().is_none_or(|(_, extended)| !extended) {
            return say("503 5.5.1 EHLO first");
        }
        if self.login.is_some() {
            return say("503 5.5.1 Already authenticated");
        }
        if self.transaction.is_some() {
            return say("503 5.5.1 Not within a mail");
        }
        match sasl::begin(self.office.as_ref(), mechanism, initial) {
            Some(step) => self.authenticate(step),
            None => say("504 5.5.4 Unknown mechanism"),
        }
    }

    fn authenticate(&mut self, step: Step) -> Answer {
        match step {
            Step::Ask(exchange, challenge) => {
                self.exchange = Some(exchange);
                say(&format!("334 {challenge}"))
            }
            Step::Refuse => say("501 5.5.2 Not an answer"),
            Step::Check(Credentials { name, password }) => {
                self.let_in(self.office.log_in(Service::Smtp, &name, &password))
            }
            Step::Proven(name) => self.let_in(self.office.let_in(Service::Smtp, &name)),
            Step::Wrong => {
                self.office.turned_away(Service::Smtp);
                self.let_in(None)
            }
        }
    }

    fn let_in(&mut self, mailbox: Option<Arc<Mailbox>>) -> Answer {
        match mailbox {
            Some(mailbox) => {
                self.login = Some(mailbox.address.clone());
                let then = Then::LoggedIn(mailbox.address.clone());
                Answer { then, ..say("235 2.7.0 Authentication successful") }
            }
            None => say("535 5.7.8 Authentication credentials invalid"),
        }
    }

    fn mail_from(&mut self, sender: String, parameters: &[Parameter]) -> Answer {
        if self.client.is_none() {
            return say("503 5.5.1 EHLO first");
        }
        if self.office.settings.login_required && self.login.is_none() {
            return say("530 5.7.0 Authentication required");
        }
        if self.transaction.is_some() {
            return say("503 5.5.1 Nested MAIL command");
        }
        let mut size = None;
        for Parameter { keyword, value } in parameters {
            let value = value.as_deref().unwrap_or_default();
            let fits = match keyword.as_str() {
                "SIZE" => {
                    size = value.parse::<u64>().ok();
                    size.is_some()
                }
                "BODY" => ["7BIT", "8BITMIME"].iter().any(|body| body.eq_ignore_ascii_case(value)),
                "RET" => ["FULL", "HDRS"].iter().any(|ret| ret.eq_ignore_ascii_case(value)),
                "ENVID" => !value.is_empty() && value.len() <= 100,
                "AUTH" => !value.is_empty(),
                _ => return say("555 5.5.4 Parameter not recognized"),
            };
            if !fits {
                return say("501 5.5.4 Syntax error in parameter");
            }
        }
        if size.is_some_and(|size| size > self.office.settings.size_limit as u64) {
            return say("552 5.3.4 Message size exceeds fixed limit");
        }
        self.transaction = Some(Transaction { sender, size, recipients: Vec::new() });
        say("250 2.1.0 Ok")
    }

    fn rcpt_to(&mut self, recipient: String, parameters: &[Parameter]) -> Answer {
        let Some(transaction) = &mut self.transaction else { return say("503 5.5.1 MAIL first") };
        for Parameter { keyword, value } in parameters {
            let value = value.as_deref().unwrap_or_default();
            let fits = match keyword.as_str() {
                "NOTIFY" => {
                    value.eq_ignore_ascii_case("NEVER")
                        || value.split(',').all(|on| {
                            ["SUCCESS", "FAILURE", "DELAY"].iter().any(|known| known.eq_ignore_ascii_case(on))
                        })
                }
                "ORCPT" => value.split_once(';').is_some_and(|(kind, _)| !kind.is_empty()),
                _ => return say("555 5.5.4 Parameter not recognized"),
            };
            if !fits {
                return say("501 5.5.4 Syntax error in parameter");
            }
        }
        if transaction.recipients.len() >= self.office.settings.recipient_limit {
            return say("452 4.5.3 Too many recipients");
        }
        match self.office.admit(&transaction.sender, &recipient, transaction.size) {
            Ok(attempt) => {
                if transaction.recipients.iter().all(|(known, _)| *known != recipient) {
                    transaction.recipients.push((recipient, attempt));
                }
                say("250 2.1.5 Ok")
            }
            Err(refusal) => say(&format!("{} {}", refusal.code, refusal.text)),
        }
    }

    /// Takes the text of the mail that DATA announced.
    pub(super) fn mail(&mut self, text: Text) -> Answer {
        let Some(transaction) = self.transaction.take() else { return say("503 5.5.1 MAIL first") };
        let content = match text {
            Text::Whole(content) => content,
            Text::TooLarge => return say("552 5.3.4 Message size exceeds fixed limit"),
            Text::LineTooLong => return say("554 5.6.0 Line of more than 998 octets"),
            Text::BareLineEnd => return say("550 5.5.2 Bare CR or LF in the message"),
        };
        let trace = self.trace(&transaction);
        let letter = Letter {
            sender: &transaction.sender,
            recipients: &transaction.recipients,
            trace: trace.as_bytes(),
            content,
        };
        match self.office.take(&letter) {
            Taken::Accepted => say("250 2.0.0 Ok, taken"),
            Taken::Refused(refusal) => say(&format!("{} {}", refusal.code, refusal.text)),
            Taken::Silence => Answer { reply: String::new(), then: Then::Vanish },
        }
    }

    /// The header lines of the receiving post office (RFC 5321 section 4.4).
    fn trace(&self, transaction: &Transaction) -> String {
        let (client, extended) = self.client.as_ref().map_or(("unknown", true), |(name, ext)| (name, *ext));
        let protocol = match (extended, self.secured, self.login.is_some()) {
            (false, ..) => "SMTP",
            (true, false, false) => "ESMTP",
            (true, false, true) => "ESMTPA",
            (true, true, false) => "ESMTPS",
            (true, true, true) => "ESMTPSA",
        };
        let name = &self.office.settings.name;
        let to = match transaction.recipients.as_slice() {
            [(only, _)] => format!("\r\n\tfor <{only}>"),
            _ => String::new(),
        };
        let date = now().strftime("%a, %d %b %Y %H:%M:%S +0000");
        format!(
            "Return-Path: <{}>\r\nReceived: from {client} ([127.0.0.1])\r\n\tby {name} with {protocol}{to};\r\n\t{date}\r\n",
            transaction.sender
        )
    }
}
