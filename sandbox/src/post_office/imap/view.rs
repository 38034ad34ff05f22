//! A mailbox as one IMAP client knows it: message numbers, and what the client has been told.

use super::super::store::{Flags, Mailbox, Stored};
use super::command::How;
use super::fetch::flag_list;
use super::search::{Key, Place};
use super::set::Set;

/// A mailbox as the client knows it.
pub(super) struct View {
    pub(super) read_only: bool,
    /// UIDs; message number 1 is the first.
    uids: Vec<u32>,
    /// The mailbox's change counter when the client was last told.
    told: u64,
}

impl View {
    /// The view after SELECT: all is told.
    pub(super) fn new(read_only: bool, mails: &[Stored], told: u64) -> Self {
        Self { read_only, uids: mails.iter().map(|mail| mail.uid).collect(), told }
    }

    /// What `*` stands for in a set of UIDs.
    pub(super) fn last_uid(&self) -> u32 {
        self.uids.last().copied().unwrap_or(0)
    }

    /// Message numbers and UIDs of what a set names.
    pub(super) fn pick(&self, set: &Set, by_uid: bool) -> Vec<(u32, u32)> {
        let last_uid = self.last_uid();
        let last_number = count(self.uids.len());
        let all = (1_u32..).zip(self.uids.iter().copied());
        all.filter(
            |(number, uid)| {
                if by_uid { set.contains(*uid, last_uid) } else { set.contains(*number, last_number) }
            },
        )
        .collect()
    }

    pub(super) fn search(&self, key: &Key, by_uid: bool, mailbox: &Mailbox) -> Vec<u32> {
        let mails = mailbox.mails();
        let last_uid = self.last_uid();
        let last_number = count(self.uids.len());
        let mut found = Vec::new();
        for (number, uid) in (1_u32..).zip(self.uids.iter().copied()) {
            let Ok(at) = mails.binary_search_by_key(&uid, |mail| mail.uid) else { continue };
            if key.matches(Place { mail: &mails[at], number, last_number, last_uid }) {
                found.push(if by_uid { uid } else { number });
            }
        }
        found
    }

    pub(super) fn store(
        &mut self,
        set: &Set,
        by_uid: bool,
        mailbox: &Mailbox,
        out: &mut Vec<u8>,
        silent: bool,
        change: impl Fn(&mut Flags),
    ) {
        let picks = self.pick(set, by_uid);
        self.keep_told(mailbox, || {
            for (number, uid) in picks {
                let Some(flags) = mailbox.set_flags(uid, &change) else { continue };
                if !silent {
                    let uid = if by_uid { format!("UID {uid} ") } else { String::new() };
                    say(out, &format!("* {number} FETCH ({uid}FLAGS {})", flag_list(flags)));
                }
            }
        });
    }

    /// Does what the client knows of, so that it need not be told of it later.
    pub(super) fn keep_told(&mut self, mailbox: &Mailbox, act: impl FnOnce()) {
        let changes = mailbox.changes();
        let before = *changes.borrow();
        act();
        // Had others changed something before, the client is told of everything, later.
        if before == self.told {
            self.told = *changes.borrow();
        }
    }

    pub(super) fn tell_changes(&mut self, mailbox: &Mailbox, out: &mut Vec<u8>) {
        let now = *mailbox.changes().borrow();
        if now == self.told {
            return;
        }
        let mails = mailbox.mails();
        let present = |uid: u32| mails.binary_search_by_key(&uid, |mail| mail.uid);
        // From the end, so that the numbers in front stay as the client knows them.
        for place in (0..self.uids.len()).rev() {
            if present(self.uids[place]).is_err() {
                self.uids.remove(place);
                say(out, &format!("* {} EXPUNGE", place + 1));
            }
        }
        for (place, uid) in self.uids.iter().enumerate() {
            if let Some(mail) =
                present(*uid).ok().map(|at| &mails[at]).filter(|mail| mail.changed > self.told)
            {
                say(out, &format!("* {} FETCH (UID {uid} FLAGS {})", place + 1, flag_list(mail.flags)));
            }
        }
        let known = self.last_uid();
        let before = self.uids.len();
        self.uids.extend(mails.iter().map(|mail| mail.uid).filter(|uid| *uid > known));
        if self.uids.len() > before {
            say(out, &format!("* {} EXISTS", self.uids.len()));
            say(out, &format!("* {} RECENT", mailbox.recent(!self.read_only)));
        }
        self.told = now;
    }
}

/// Changes the flags that this server keeps; others are passed over.
pub(super) fn apply(to: &mut Flags, how: How, names: &[String]) {
    if how == How::Replace {
        *to = Flags::default();
    }
    for name in names {
        let flag = match name.to_ascii_lowercase().as_str() {
            "\\seen" => &mut to.seen,
            "\\answered" => &mut to.answered,
            "\\flagged" => &mut to.flagged,
            "\\deleted" => &mut to.deleted,
            "\\draft" => &mut to.draft,
            _ => continue,
        };
        *flag = how != How::Remove;
    }
}

/// Writes a line.
pub(super) fn say(out: &mut Vec<u8>, line: &str) {
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
