//! The server's side of an IMAP dialog: a request comes in, answers go out, and the dialog remembers what the client
//! knows of its mailbox.

use std::sync::Arc;

use tokio::sync::watch;

use super::super::faults::Service;
use super::super::office::Office;
use super::super::sasl::{self, Credentials, Exchange, Step};
use super::super::store::Mailbox;
use super::command::{Command, How, Request};
use super::fetch::{Item, flag_list, write_items};
use super::view::{View, apply, say};

/// What to do once the answer is on its way.
pub(super) enum Then {
    Listen,
    LoggedIn(String),
    Fetch(FetchWork),
    /// Wait for changes; the tag is for the end.
    Idle(String),
    StartTls,
    Close,
}

/// A FETCH to be answered mail by mail.
pub(super) struct FetchWork {
    tag: String,
    items: Vec<Item>,
    /// Message numbers and UIDs.
    pub(super) picks: Vec<(u32, u32)>,
}

pub(super) struct Dialog<'o> {
    office: &'o Arc<Office>,
    secured: bool,
    mailbox: Option<Arc<Mailbox>>,
    /// The tag that the login began with.
    exchange: Option<(String, Exchange)>,
    view: Option<View>,
}

impl<'o> Dialog<'o> {
    pub(super) fn new(office: &'o Arc<Office>, secured: bool) -> Self {
        Self { office, secured, mailbox: None, exchange: None, view: None }
    }

    fn capabilities(&self) -> String {
        let starttls = if self.secured || self.mailbox.is_some() { "" } else { " STARTTLS" };
        let quota = if self.office.settings.quota_octets.is_some() { " QUOTA QUOTA=RES-STORAGE" } else { "" };
        format!(
            "CAPABILITY IMAP4rev1 LITERAL+ SASL-IR{} IDLE UIDPLUS UNSELECT NAMESPACE ID{quota}{starttls}",
            self.office.mechanism_names("AUTH=")
        )
    }

    pub(super) fn greet(&self, out: &mut Vec<u8>) {
        say(out, &format!("* OK [{}] {} ready", self.capabilities(), self.office.settings.name));
    }

    pub(super) fn is_logged_in(&self) -> bool {
        self.mailbox.is_some()
    }

    /// Whether the next line belongs to a login and is no command.
    pub(super) fn awaits_answer(&self) -> bool {
        self.exchange.is_some()
    }

    /// Takes a line of a login.
    pub(super) fn answer(&mut self, line: &[u8], out: &mut Vec<u8>) -> Then {
        let Some((tag, exchange)) = self.exchange.take() else { return Then::Listen };
        match std::str::from_utf8(line) {
            Ok(answer) if answer != "*" => {
                let step = sasl::go_on(self.office.as_ref(), exchange, answer);
                self.authenticate(tag, step, out)
            }
            _ => {
                say(out, &format!("{tag} BAD Authentication given up"));
                Then::Listen
            }
        }
    }

    pub(super) fn request(&mut self, request: Request, out: &mut Vec<u8>) -> Then {
        let Request { tag, command } = request;
        match command {
            Err(wrong) => {
                say(out, &format!("{tag} BAD Expected {}", wrong.0));
                Then::Listen
            }
            Ok(command) => self.command(tag, command, out),
        }
    }

    fn command(&mut self, tag: String, command: Command, out: &mut Vec<u8>) -> Then {
        match command {
            Command::Capability => {
                say(out, &format!("* {}", self.capabilities()));
                say(out, &format!("{tag} OK CAPABILITY completed"));
            }
            Command::Logout => {
                say(out, "* BYE Logging out");
                say(out, &format!("{tag} OK LOGOUT completed"));
                return Then::Close;
            }
            Command::Id => {
                say(out, "* ID NIL");
                say(out, &format!("{tag} OK ID completed"));
            }
            Command::Noop => {
                self.tell_changes(out);
                say(out, &format!("{tag} OK NOOP completed"));
            }
            Command::StartTls | Command::Login { .. } | Command::Authenticate { .. } => {
                return self.before_login(tag, command, out);
            }
            command => match self.mailbox.clone() {
                Some(mailbox) => return self.logged_in(tag, command, &mailbox, out),
                None => say(out, &format!("{tag} BAD Log in first")),
            },
        }
        Then::Listen
    }

    fn before_login(&mut self, tag: String, command: Command, out: &mut Vec<u8>) -> Then {
        if self.mailbox.is_some() {
            say(out, &format!("{tag} BAD Already logged in"));
            return Then::Listen;
        }
        match command {
            Command::StartTls if !self.secured => {
                say(out, &format!("{tag} OK Begin TLS"));
                return Then::StartTls;
            }
            Command::Login { name, password } => {
                return self.authenticate(tag, Step::Check(Credentials { name, password }), out);
            }
            Command::Authenticate { mechanism, initial } => {
                match sasl::begin(self.office.as_ref(), &mechanism, initial.as_deref()) {
                    Some(step) => return self.authenticate(tag, step, out),
                    None => say(out, &format!("{tag} NO Unknown mechanism")),
                }
            }
            _ => say(out, &format!("{tag} BAD TLS is already active")),
        }
        Then::Listen
    }

    fn authenticate(&mut self, tag: String, step: Step, out: &mut Vec<u8>) -> Then {
        match step {
            Step::Ask(exchange, challenge) => {
                say(out, &format!("+ {challenge}"));
                self.exchange = Some((tag, exchange));
                Then::Listen
            }
            Step::Refuse => {
                say(out, &format!("{tag} BAD Not an answer"));
                Then::Listen
            }
            Step::Check(Credentials { name, password }) => {
                self.let_in(&tag, self.office.log_in(Service::Imap, &name, &password), out)
            }
            Step::Proven(name) => self.let_in(&tag, self.office.let_in(Service::Imap, &name), out),
            Step::Wrong => {
                self.office.turned_away(Service::Imap);
                self.let_in(&tag, None, out)
            }
        }
    }

    fn let_in(&mut self, tag: &str, mailbox: Option<Arc<Mailbox>>, out: &mut Vec<u8>) -> Then {
        match mailbox {
            Some(mailbox) => {
                let address = mailbox.address.clone();
                self.mailbox = Some(mailbox);
                say(out, &format!("{tag} OK [{}] Logged in", self.capabilities()));
                Then::LoggedIn(address)
            }
            None => {
                say(out, &format!("{tag} NO [AUTHENTICATIONFAILED] Wrong name or password"));
                Then::Listen
            }
        }
    }

    fn logged_in(&mut self, tag: String, command: Command, mailbox: &Mailbox, out: &mut Vec<u8>) -> Then {
        match command {
            Command::Select { mailbox: name, .. }
            | Command::Status { mailbox: name, .. }
            | Command::Subscribe { mailbox: name }
            | Command::Append { mailbox: name, .. }
            | Command::QuotaRoot { mailbox: name }
                if !name.eq_ignore_ascii_case("INBOX") =>
            {
                say(out, &format!("{tag} NO [NONEXISTENT] Only INBOX is here"));
            }
            Command::Select { read_only, .. } => self.select(&tag, read_only, mailbox, out),
            Command::Status { items, .. } => self.status(&tag, &items, mailbox, out),
            Command::Subscribe { .. } => say(out, &format!("{tag} OK Completed")),
            Command::List { pattern, subscribed } => {
                let verb = if subscribed { "LSUB" } else { "LIST" };
                if pattern.is_empty() {
                    say(out, "* LIST (\\Noselect) \"/\" \"\"");
                } else if pattern.eq_ignore_ascii_case("INBOX") || pattern.contains(['*', '%']) {
                    say(out, &format!("* {verb} () \"/\" \"INBOX\""));
                }
                say(out, &format!("{tag} OK {verb} completed"));
            }
            Command::QuotaRoot { .. } => {
                let Some(limit) = self.office.settings.quota_octets else {
                    say(out, &format!("{tag} BAD Expected a known command"));
                    return Then::Listen;
                };
                let used: usize = mailbox.mails().iter().map(|mail| mail.raw.len()).sum();
                say(out, "* QUOTAROOT \"INBOX\" \"mailbox\"");
                say(out, &format!("* QUOTA \"mailbox\" (STORAGE {} {})", used.div_ceil(1024), limit / 1024));
                say(out, &format!("{tag} OK GETQUOTAROOT completed"));
            }
            Command::Namespace => {
                say(out, "* NAMESPACE ((\"\" \"/\")) NIL NIL");
                say(out, &format!("{tag} OK NAMESPACE completed"));
            }
            Command::Enable => {
                say(out, "* ENABLED");
                say(out, &format!("{tag} OK ENABLE completed"));
            }
            Command::Append { flags, content, .. } => {
                let uid = self.office.deliver(mailbox, Arc::from(content));
                mailbox.set_flags(uid, |to| apply(to, How::Add, &flags));
                self.tell_changes(out);
                let validity = self.office.uid_validity;
                say(out, &format!("{tag} OK [APPENDUID {validity} {uid}] APPEND completed"));
            }
            Command::Idle => return Then::Idle(tag),
            Command::NotOffered => say(out, &format!("{tag} NO [CANNOT] Not offered here")),
            command => return self.selected(tag, command, mailbox, out),
        }
        Then::Listen
    }

    fn select(&mut self, tag: &str, read_only: bool, mailbox: &Mailbox, out: &mut Vec<u8>) {
        let told = *mailbox.changes().borrow();
        let mails = mailbox.mails();
        let flags = "\\Answered \\Flagged \\Deleted \\Seen \\Draft";
        say(out, &format!("* FLAGS ({flags})"));
        say(out, &format!("* {} EXISTS", mails.len()));
        say(out, &format!("* {} RECENT", mailbox.recent(!read_only)));
        if let Some(place) = mails.iter().position(|mail| !mail.flags.seen) {
            say(out, &format!("* OK [UNSEEN {}] First unseen", place + 1));
        }
        let permanent = if read_only { "" } else { flags };
        say(out, &format!("* OK [PERMANENTFLAGS ({permanent})] Limited"));
        say(out, &format!("* OK [UIDVALIDITY {}] UIDs valid", self.office.uid_validity));
        say(out, &format!("* OK [UIDNEXT {}] Predicted next UID", mailbox.next_uid()));
        let (mode, verb) = if read_only { ("READ-ONLY", "EXAMINE") } else { ("READ-WRITE", "SELECT") };
        say(out, &format!("{tag} OK [{mode}] {verb} completed"));
        self.view = Some(View::new(read_only, &mails, told));
    }

    fn status(&self, tag: &str, items: &[String], mailbox: &Mailbox, out: &mut Vec<u8>) {
        let mut values = Vec::new();
        for item in items {
            let value = match item.as_str() {
                "MESSAGES" => mailbox.len().to_string(),
                "RECENT" => mailbox.recent(false).to_string(),
                "UIDNEXT" => mailbox.next_uid().to_string(),
                "UIDVALIDITY" => self.office.uid_validity.to_string(),
                "UNSEEN" => mailbox.mails().iter().filter(|mail| !mail.flags.seen).count().to_string(),
                _ => return say(out, &format!("{tag} BAD Expected a known status item")),
            };
            values.push(format!("{item} {value}"));
        }
        say(out, &format!("* STATUS \"INBOX\" ({})", values.join(" ")));
        say(out, &format!("{tag} OK STATUS completed"));
    }

    fn selected(&mut self, tag: String, command: Command, mailbox: &Mailbox, out: &mut Vec<u8>) -> Then {
        let Some(view) = &mut self.view else {
            say(out, &format!("{tag} BAD SELECT first"));
            return Then::Listen;
        };
        let writes = matches!(command, Command::Store { .. } | Command::Expunge(_));
        if writes && view.read_only {
            say(out, &format!("{tag} NO [READ-ONLY] Opened by EXAMINE"));
            return Then::Listen;
        }
        match command {
            Command::Check => {
                self.tell_changes(out);
                say(out, &format!("{tag} OK CHECK completed"));
            }
            Command::Close => {
                if !view.read_only {
                    mailbox.remove(|mail| mail.flags.deleted);
                }
                self.view = None;
                say(out, &format!("{tag} OK CLOSE completed"));
            }
            Command::Unselect => {
                self.view = None;
                say(out, &format!("{tag} OK UNSELECT completed"));
            }
            Command::Expunge(uids) => {
                let last = view.last_uid();
                mailbox.remove(|mail| {
                    mail.flags.deleted && uids.as_ref().is_none_or(|uids| uids.contains(mail.uid, last))
                });
                self.tell_changes(out);
                say(out, &format!("{tag} OK EXPUNGE completed"));
            }
            Command::Search { by_uid, key } => {
                let numbers = view.search(&key, by_uid, mailbox);
                let numbers: Vec<String> = numbers.iter().map(|number| format!(" {number}")).collect();
                say(out, &format!("* SEARCH{}", numbers.concat()));
                if by_uid {
                    self.tell_changes(out);
                }
                say(out, &format!("{tag} OK SEARCH completed"));
            }
            Command::Fetch { by_uid, set, mut items } => {
                if by_uid && !items.contains(&Item::Uid) {
                    items.insert(0, Item::Uid);
                }
                return Then::Fetch(FetchWork { tag, picks: view.pick(&set, by_uid), items });
            }
            Command::Store { by_uid, set, how, silent, flags } => {
                view.store(&set, by_uid, mailbox, out, silent, |to| apply(to, how, &flags));
                if by_uid {
                    self.tell_changes(out);
                }
                say(out, &format!("{tag} OK STORE completed"));
            }
            _ => say(out, &format!("{tag} BAD Not now")),
        }
        Then::Listen
    }

    /// Writes one mail of a FETCH, unless it is gone. Tells whether text of the mail was among it.
    pub(super) fn fetch(&mut self, work: &FetchWork, pick: (u32, u32), out: &mut Vec<u8>) -> bool {
        let (number, uid) = pick;
        let (Some(mailbox), Some(view)) = (&self.mailbox, &mut self.view) else { return false };
        let text = |item: &Item| matches!(item, Item::Text(_));
        let looks = work.items.iter().any(|item| matches!(item, Item::Text(part) if !part.peek));
        let mut shows_flags = false;
        if looks && !view.read_only {
            shows_flags = mailbox.mail(uid).is_some_and(|mail| !mail.flags.seen);
            view.keep_told(mailbox, || {
                mailbox.set_flags(uid, |flags| flags.seen = true);
            });
        }
        let Some(mail) = mailbox.mail(uid) else { return false };
        out.extend_from_slice(format!("* {number} FETCH (").as_bytes());
        if shows_flags && !work.items.contains(&Item::Flags) {
            out.extend_from_slice(format!("FLAGS {} ", flag_list(mail.flags)).as_bytes());
        }
        write_items(out, &work.items, &mail);
        out.extend_from_slice(b")\r\n");
        work.items.iter().any(text)
    }

    /// Writes the end of a FETCH.
    pub(super) fn fetched(&self, work: &FetchWork, out: &mut Vec<u8>) {
        say(out, &format!("{} OK FETCH completed", work.tag));
    }

    /// Tells of changes to the mailbox; nothing when none is selected.
    pub(super) fn changes(&self) -> Option<watch::Receiver<u64>> {
        self.view.as_ref()?;
        self.mailbox.as_ref().map(|mailbox| mailbox.changes())
    }

    /// Tells the client what has changed since it was last told.
    pub(super) fn tell_changes(&mut self, out: &mut Vec<u8>) {
        if let (Some(mailbox), Some(view)) = (&self.mailbox, &mut self.view) {
            view.tell_changes(mailbox, out);
        }
    }
}
