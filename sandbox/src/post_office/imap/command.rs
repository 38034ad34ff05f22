//! What an IMAP client may say (RFC 3501 section 6), read from one command with its literals.

use super::cursor::{Cursor, Wrong};
use super::fetch::{self, Item};
use super::search::{self, Key};
use super::set::Set;

/// A tag and what stands behind it.
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Request {
    pub(super) tag: String,
    pub(super) command: Result<Command, Wrong>,
}

/// A command of the client.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Command {
    Capability,
    Noop,
    Logout,
    StartTls,
    Login {
        name: String,
        password: String,
    },
    Authenticate {
        mechanism: String,
        initial: Option<String>,
    },
    Id,
    Namespace,
    QuotaRoot {
        mailbox: String,
    },
    Enable,
    Select {
        mailbox: String,
        read_only: bool,
    },
    Status {
        mailbox: String,
        items: Vec<String>,
    },
    List {
        pattern: String,
        subscribed: bool,
    },
    Subscribe {
        mailbox: String,
    },
    Append {
        mailbox: String,
        flags: Vec<String>,
        content: Vec<u8>,
    },
    Check,
    Close,
    Unselect,
    Expunge(Option<Set>),
    Search {
        by_uid: bool,
        key: Key,
    },
    Fetch {
        by_uid: bool,
        set: Set,
        items: Vec<Item>,
    },
    Store {
        by_uid: bool,
        set: Set,
        how: How,
        silent: bool,
        flags: Vec<String>,
    },
    Idle,
    /// Known, and not offered here.
    NotOffered,
}

/// What STORE does to the flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Replace,
    Add,
    Remove,
}

impl Request {
    /// Reads a command, given without its last line end. `None` when there is no tag to answer to.
    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(octets);
        let tag = cursor.atom().ok().filter(|tag| !tag.contains('+'))?.to_owned();
        let command = cursor.space().and_then(|()| command(&mut cursor));
        let command = command.and_then(|command| cursor.end().map(|()| command));
        Some(Self { tag, command })
    }
}

fn command(cursor: &mut Cursor<'_>) -> Result<Command, Wrong> {
    let verb = cursor.keyword()?;
    Ok(match verb.as_str() {
        "CAPABILITY" => Command::Capability,
        "NOOP" => Command::Noop,
        "LOGOUT" => Command::Logout,
        "STARTTLS" => Command::StartTls,
        "CHECK" => Command::Check,
        "CLOSE" => Command::Close,
        "UNSELECT" => Command::Unselect,
        "IDLE" => Command::Idle,
        "NAMESPACE" => Command::Namespace,
        "EXPUNGE" => Command::Expunge(None),
        "LOGIN" => {
            let name = word(cursor)?;
            Command::Login { name, password: word(cursor)? }
        }
        "AUTHENTICATE" => {
            cursor.space()?;
            let mechanism = cursor.atom()?.to_owned();
            let initial =
                if cursor.eat(b' ') { Some(cursor.run(|octet| octet.is_ascii_graphic())) } else { None };
            Command::Authenticate { mechanism, initial: initial.map(str::to_owned) }
        }
        "ID" => {
            rest(cursor);
            Command::Id
        }
        "ENABLE" => {
            rest(cursor);
            Command::Enable
        }
        "SELECT" | "EXAMINE" => Command::Select { mailbox: word(cursor)?, read_only: verb == "EXAMINE" },
        "SUBSCRIBE" | "UNSUBSCRIBE" => Command::Subscribe { mailbox: word(cursor)? },
        "GETQUOTAROOT" => Command::QuotaRoot { mailbox: word(cursor)? },
        "STATUS" => {
            let mailbox = word(cursor)?;
            cursor.space()?;
            Command::Status { mailbox, items: cursor.list(Cursor::keyword)? }
        }
        "LIST" | "LSUB" => {
            let reference = word(cursor)?;
            cursor.space()?;
            let pattern = format!("{reference}{}", cursor.pattern()?);
            Command::List { pattern, subscribed: verb == "LSUB" }
        }
        "APPEND" => append(cursor)?,
        "SEARCH" | "FETCH" | "STORE" => with_mails(cursor, &verb, false)?,
        "UID" => {
            cursor.space()?;
            match cursor.keyword()?.as_str() {
                "EXPUNGE" => {
                    cursor.space()?;
                    Command::Expunge(Some(Set::read(cursor)?))
                }
                verb => with_mails(cursor, verb, true)?,
            }
        }
        "CREATE" | "DELETE" | "RENAME" | "COPY" => {
            rest(cursor);
            Command::NotOffered
        }
        _ => return Err(Wrong("a known command")),
    })
}

fn word(cursor: &mut Cursor<'_>) -> Result<String, Wrong> {
    cursor.space()?;
    cursor.astring()
}

fn rest(cursor: &mut Cursor<'_>) {
    while !cursor.at_end() {
        // One octet at a time where the text is not UTF-8.
        if cursor.run(|_| true).is_empty() {
            for octet in 0..=u8::MAX {
                if cursor.eat(octet) {
                    break;
                }
            }
        }
    }
}

fn append(cursor: &mut Cursor<'_>) -> Result<Command, Wrong> {
    let mailbox = word(cursor)?;
    cursor.space()?;
    let mut flags = Vec::new();
    if cursor.next_is(b'(') {
        flags = cursor.list(Cursor::flag)?;
        cursor.space()?;
    }
    if cursor.next_is(b'"') {
        // The date that the client wishes for; the mail gets that of its arrival.
        cursor.astring()?;
        cursor.space()?;
    }
    if !cursor.next_is(b'{') {
        return Err(Wrong("a literal"));
    }
    Ok(Command::Append { mailbox, flags, content: cursor.astring_octets()? })
}

fn with_mails(cursor: &mut Cursor<'_>, verb: &str, by_uid: bool) -> Result<Command, Wrong> {
    cursor.space()?;
    match verb {
        "SEARCH" => Ok(Command::Search { by_uid, key: search::read(cursor)? }),
        "FETCH" => {
            let set = Set::read(cursor)?;
            cursor.space()?;
            Ok(Command::Fetch { by_uid, set, items: fetch::read_items(cursor)? })
        }
        "STORE" => {
            let set = Set::read(cursor)?;
            cursor.space()?;
            let how = if cursor.eat(b'+') {
                How::Add
            } else if cursor.eat(b'-') {
                How::Remove
            } else {
                How::Replace
            };
            let silent = match cursor.keyword()?.as_str() {
                "FLAGS" => false,
                "FLAGS.SILENT" => true,
                _ => return Err(Wrong("FLAGS or FLAGS.SILENT")),
            };
            cursor.space()?;
            let mut flags = cursor.list(Cursor::flag)?;
            // Several flags may stand without parentheses.
            while cursor.eat(b' ') {
                flags.push(cursor.flag()?);
            }
            Ok(Command::Store { by_uid, set, how, silent, flags })
        }
        "COPY" | "MOVE" => {
            rest(cursor);
            Ok(Command::NotOffered)
        }
        _ => Err(Wrong("a known command")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Command, Wrong> {
        let request = Request::read(text.as_bytes()).expect("a tag");
        assert_eq!(request.tag, "A0001");
        request.command
    }

    #[test]
    fn what_common_clients_send_is_understood() {
        for text in [
            "A0001 LOGIN \"a@b.example\" \"pass \\\"word\\\"\"",
            "A0001 LOGIN {11}\r\na@b.example {3+}\r\np w",
            "A0001 AUTHENTICATE PLAIN",
            "A0001 AUTHENTICATE PLAIN AGEAYg==",
            "A0001 CAPABILITY",
            "A0001 SELECT \"INBOX\"",
            "A0001 UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[])",
            "A0001 UID FETCH 7 BODY.PEEK[]<0.65536>",
            "A0001 UID FETCH 7 (UID BODY.PEEK[HEADER.FIELDS (SUBJECT MESSAGE-ID)])",
            "A0001 UID STORE 1,2:4 +FLAGS.SILENT (\\Deleted)",
            "A0001 STORE 1 -FLAGS \\Seen \\Flagged",
            "A0001 UID EXPUNGE 1:4",
            "A0001 EXPUNGE",
            "A0001 UID SEARCH UNSEEN NOT DELETED",
            "A0001 SEARCH CHARSET UTF-8 OR SUBJECT {3}\r\nx y FROM \"a b\"",
            "A0001 LIST \"\" \"*\"",
            "A0001 LIST \"\" %",
            "A0001 STATUS INBOX (MESSAGES UIDNEXT)",
            "A0001 APPEND INBOX (\\Seen) \"01-Jan-2026 00:00:00 +0000\" {4}\r\nab\r\n",
            "A0001 ID (\"name\" \"x\")",
            "A0001 ID NIL",
            "A0001 IDLE",
            "A0001 NOOP",
            "A0001 LOGOUT",
        ] {
            assert!(read(text).is_ok(), "{text}: {:?}", read(text));
        }
    }

    #[test]
    fn what_is_not_a_command_is_refused_with_its_tag() {
        for text in [
            "A0001 FROB",
            "A0001",
            "A0001 NOOP now",
            "A0001 LOGIN a",
            "A0001 UID FETCH 0 FLAGS",
            "A0001 UID FETCH 1 (FLAGS",
            "A0001 UID FETCH 1 BODY[1.2]",
            "A0001 STORE 1 FLAG (\\Seen)",
            "A0001 APPEND INBOX \"not a literal\"",
            "A0001 LOGIN {5}\r\nab c",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(Request::read(b"").is_none());
        assert!(Request::read(b" NOOP").is_none());
        assert!(Request::read(b"\"x\" NOOP").is_none());
    }

    #[test]
    fn a_mail_may_be_laid_down_with_any_octets() {
        let request = Request::read(b"A1 APPEND inbox {5}\r\n\xff\0\r\n.").expect("a tag");
        let Ok(Command::Append { content, .. }) = request.command else { panic!("understood") };
        assert_eq!(content, b"\xff\0\r\n.");
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = Request::read(&octets);
        }

        #[test]
        fn nothing_behind_a_known_word_makes_it_panic(
            verb in prop::sample::select(vec![
                "SEARCH ", "UID FETCH 1 ", "UID FETCH 1 BODY[", "STORE ", "APPEND a ", "LIST ", "STATUS ", "ID ",
                "UID SEARCH OR ", "LOGIN {", "CREATE ",
            ]),
            rest in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let _ = Request::read(&[b"a ", verb.as_bytes(), &rest].concat());
        }

        #[test]
        fn deep_nesting_is_refused_without_a_crash(depth in 1_usize..3000) {
            let text = format!("a SEARCH {}ALL", "NOT ".repeat(depth));
            let request = Request::read(text.as_bytes()).expect("a tag");
            prop_assert_eq!(request.command.is_ok(), depth < 20);
        }
    }
}
