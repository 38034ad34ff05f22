//! The POP3 server (RFC 1939, RFC 2449, RFC 2595, RFC 5034): the loop, and the dialog with the mailbox.

use std::io::BufRead;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

use super::faults::Service;
use super::office::Office;
use super::sasl::{self, Credentials, Exchange, Step};
use super::store::{Mailbox, Pop3Lock, Stored};
use super::wire::{Gone, Line, WRITE_LARGE, Wire};

mod command;

use command::{Command, Wrong, parse};

/// Longest command line: RFC 2449 section 4 says 255 octets, RFC 5034 more for AUTH.
const LINE_LIMIT: usize = 12 * 1024;

/// A mailbox while a session has it.
struct Open {
    mailbox: Arc<Mailbox>,
    _lock: Pop3Lock,
    /// As they were at login; message number 1 is the first.
    mails: Vec<Stored>,
    deleted: Vec<bool>,
}

impl Open {
    /// The mail of a message number, if it is not marked as deleted.
    fn mail(&self, number: usize) -> Option<&Stored> {
        let place = number.checked_sub(1)?;
        self.mails.get(place).filter(|_| !self.deleted[place])
    }

    fn present(&self) -> impl Iterator<Item = (usize, &Stored)> {
        self.mails
            .iter()
            .enumerate()
            .filter(|(place, _)| !self.deleted[*place])
            .map(|(place, mail)| (place + 1, mail))
    }

    fn octets(&self) -> usize {
        self.present().map(|(_, mail)| mail.raw.len()).sum()
    }
}

/// What to do once the answer is on its way.
enum Then {
    Listen,
    LoggedIn(String),
    /// The answer carries a mail.
    Mail,
    StartTls,
    Close,
}

struct Dialog<'o> {
    office: &'o Arc<Office>,
    secured: bool,
    user: Option<String>,
    exchange: Option<Exchange>,
    open: Option<Open>,
}

/// Serves one connection until it ends. `secured` when it already runs over TLS.
pub(super) async fn serve(
    mut wire: Wire,
    office: &Arc<Office>,
    acceptor: &TlsAcceptor,
    secured: bool,
) -> Result<(), Gone> {
    wire.in_service().await?;
    let mut dialog = Dialog { office, secured, user: None, exchange: None, open: None };
    wire.put(b"+OK POP3 ready\r\n");
    loop {
        let then = match wire.line(LINE_LIMIT).await? {
            Line::Text(line) => dialog.line(&line, wire.output()),
            Line::TooLong => say(wire.output(), "-ERR Line too long"),
        };
        match then {
            Then::Listen => {}
            Then::LoggedIn(name) => wire.logged_in(&name),
            Then::Mail if wire.cut_midway() => return Err(wire.flush_half().await),
            Then::Mail => {}
            Then::StartTls => {
                wire.flush().await?;
                wire.start_tls(acceptor).await?;
                dialog = Dialog { office, secured: true, user: None, exchange: None, open: None };
            }
            Then::Close => return wire.close().await,
        }
        if wire.output().len() > WRITE_LARGE {
            wire.flush().await?;
        }
    }
}

fn say(out: &mut Vec<u8>, reply: &str) -> Then {
    out.extend_from_slice(reply.as_bytes());
    out.extend_from_slice(b"\r\n");
    Then::Listen
}

impl Dialog<'_> {
    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Then {
        if let Some(exchange) = self.exchange.take() {
            return match std::str::from_utf8(line) {
                Ok(answer) if answer != "*" => {
                    let step = sasl::go_on(self.office.as_ref(), exchange, answer);
                    self.authenticate(step, out)
                }
                _ => say(out, "-ERR Authentication given up"),
            };
        }
        match parse(line) {
            Ok(command) => self.command(command, out),
            Err(Wrong::Unknown) => say(out, "-ERR Unknown command"),
            Err(Wrong::Arguments) => say(out, "-ERR Invalid arguments"),
        }
    }

    fn command(&mut self, command: Command, out: &mut Vec<u8>) -> Then {
        match command {
            Command::Capa => self.capabilities(out),
            Command::Quit => self.quit(out),
            command if self.open.is_none() => self.before_login(command, out),
            command => self.with_mailbox(&command, out),
        }
    }

    fn capabilities(&self, out: &mut Vec<u8>) -> Then {
        let stls = if self.secured || self.open.is_some() { "" } else { "STLS\r\n" };
        say(
            out,
            &format!(
                "+OK Capability list follows\r\nTOP\r\nUIDL\r\nUSER\r\nSASL{}\r\nRESP-CODES\r\n\
                 AUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\n{stls}.",
                self.office.mechanism_names("")
            ),
        )
    }

    fn before_login(&mut self, command: Command, out: &mut Vec<u8>) -> Then {
        match command {
            Command::User(name) => {
                self.user = Some(name);
                say(out, "+OK Password please")
            }
            Command::Pass(password) => match self.user.take() {
                Some(name) => self.log_in(&name, &password, out),
                None => say(out, "-ERR USER first"),
            },
            Command::Auth { mechanism: None, .. } => {
                let names = self.office.mechanism_names("\r\n").replace(' ', "");
                say(out, &format!("+OK{names}\r\n."))
            }
            Command::Auth { mechanism: Some(mechanism), initial } => {
                match sasl::begin(self.office.as_ref(), &mechanism, initial.as_deref()) {
                    Some(step) => self.authenticate(step, out),
                    None => say(out, "-ERR Unknown mechanism"),
                }
            }
            Command::Stls if self.secured => say(out, "-ERR TLS is already active"),
            Command::Stls => {
                say(out, "+OK Begin TLS");
                Then::StartTls
            }
            _ => say(out, "-ERR Log in first"),
        }
    }

    fn authenticate(&mut self, step: Step, out: &mut Vec<u8>) -> Then {
        match step {
            Step::Ask(exchange, challenge) => {
                self.exchange = Some(exchange);
                say(out, &format!("+ {challenge}"))
            }
            Step::Refuse => say(out, "-ERR Not an answer"),
            Step::Check(Credentials { name, password }) => self.log_in(&name, &password, out),
            Step::Proven(name) => self.open(self.office.let_in(Service::Pop3, &name), out),
            Step::Wrong => {
                self.office.turned_away(Service::Pop3);
                self.open(None, out)
            }
        }
    }

    fn log_in(&mut self, name: &str, password: &str, out: &mut Vec<u8>) -> Then {
        self.open(self.office.log_in(Service::Pop3, name, password), out)
    }

    fn open(&mut self, mailbox: Option<Arc<Mailbox>>, out: &mut Vec<u8>) -> Then {
        let Some(mailbox) = mailbox else {
            return say(out, "-ERR [AUTH] Wrong name or password");
        };
        let Some(lock) = mailbox.lock_for_pop3() else {
            return say(out, "-ERR [IN-USE] Another session has this mailbox");
        };
        let mails = mailbox.mails();
        let address = mailbox.address.clone();
        say(out, &format!("+OK {} messages", mails.len()));
        self.open = Some(Open { mailbox, _lock: lock, deleted: vec![false; mails.len()], mails });
        Then::LoggedIn(address)
    }

    fn with_mailbox(&mut self, command: &Command, out: &mut Vec<u8>) -> Then {
        let validity = self.office.uid_validity;
        let Some(open) = &mut self.open else { return say(out, "-ERR Log in first") };
        let none = "-ERR No such message";
        match command {
            Command::Stat => say(out, &format!("+OK {} {}", open.present().count(), open.octets())),
            Command::List(None) => {
                say(out, &format!("+OK {} messages", open.present().count()));
                for (number, mail) in open.present() {
                    say(out, &format!("{number} {}", mail.raw.len()));
                }
                say(out, ".")
            }
            Command::List(Some(number)) => match open.mail(*number) {
                Some(mail) => say(out, &format!("+OK {number} {}", mail.raw.len())),
                None => say(out, none),
            },
            Command::Uidl(None) => {
                say(out, "+OK Unique ids follow");
                for (number, mail) in open.present() {
                    say(out, &format!("{number} {validity:08x}{:08x}", mail.uid));
                }
                say(out, ".")
            }
            Command::Uidl(Some(number)) => match open.mail(*number) {
                Some(mail) => say(out, &format!("+OK {number} {validity:08x}{:08x}", mail.uid)),
                None => say(out, none),
            },
            Command::Retr(number) => match open.mail(*number) {
                Some(mail) => send_mail(out, &mail.raw, None),
                None => say(out, none),
            },
            Command::Top(number, lines) => match open.mail(*number) {
                Some(mail) => send_mail(out, &mail.raw, Some(*lines)),
                None => say(out, none),
            },
            Command::Dele(number) => {
                if open.mail(*number).is_none() {
                    return say(out, none);
                }
                open.deleted[*number - 1] = true;
                say(out, "+OK Marked")
            }
            Command::Rset => {
                open.deleted.fill(false);
                say(out, "+OK")
            }
            Command::Noop => say(out, "+OK"),
            _ => say(out, "-ERR Already logged in"),
        }
    }

    /// Only here are mails really deleted (RFC 1939 section 6).
    fn quit(&mut self, out: &mut Vec<u8>) -> Then {
        if let Some(open) = self.open.take() {
            let marked = open.mails.iter().zip(&open.deleted).filter(|(_, deleted)| **deleted);
            let mut uids: Vec<u32> = marked.map(|(mail, _)| mail.uid).collect();
            uids.sort_unstable();
            if !uids.is_empty() {
                open.mailbox.remove(|mail| uids.binary_search(&mail.uid).is_ok());
            }
        }
        say(out, "+OK Bye");
        Then::Close
    }
}

/// The answer to RETR and TOP: the mail with dots stuffed; of its body only so many lines, if given.
fn send_mail(out: &mut Vec<u8>, raw: &[u8], body_lines: Option<usize>) -> Then {
    say(out, &format!("+OK {} octets", raw.len()));
    stuff(out, raw, body_lines);
    say(out, ".");
    Then::Mail
}

fn stuff(out: &mut Vec<u8>, raw: &[u8], body_lines: Option<usize>) {
    let mut rest = raw;
    let mut left: Option<usize> = None;
    while !rest.is_empty() && left != Some(0) {
        if rest[0] == b'.' {
            out.push(b'.');
        }
        let before = rest;
        let length = rest.skip_until(b'\n').unwrap_or(before.len());
        out.extend_from_slice(&before[..length]);
        left = match left {
            Some(left) => Some(left - 1),
            None if matches!(&before[..length], b"\r\n" | b"\n") => body_lines,
            None => None,
        };
    }
    if !raw.is_empty() && !out.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stuffed(raw: &str, lines: Option<usize>) -> String {
        let mut out = Vec::new();
        stuff(&mut out, raw.as_bytes(), lines);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn dots_at_line_beginnings_are_doubled() {
        assert_eq!(stuffed(".a\r\nb.\r\n..\r\n.", None), "..a\r\nb.\r\n...\r\n..\r\n");
        assert_eq!(stuffed("", None), "");
        assert_eq!(stuffed("no end", None), "no end\r\n");
    }

    #[test]
    fn top_gives_the_header_and_so_many_lines_of_the_body() {
        let mail = "A: 1\r\nB: 2\r\n\r\none\r\ntwo\r\nthree\r\n";
        assert_eq!(stuffed(mail, Some(0)), "A: 1\r\nB: 2\r\n\r\n");
        assert_eq!(stuffed(mail, Some(2)), "A: 1\r\nB: 2\r\n\r\none\r\ntwo\r\n");
        assert_eq!(stuffed(mail, Some(99)), mail);
    }
}
