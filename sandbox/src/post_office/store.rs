//! The mail store: mailboxes with their mails in memory. A mail for a thousand recipients lies here once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use jiff::Timestamp;
use tokio::sync::watch;

/// The flags of a mail, as IMAP shows them (RFC 3501 section 2.3.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) seen: bool,
    pub(super) answered: bool,
    pub(super) flagged: bool,
    pub(super) deleted: bool,
    pub(super) draft: bool,
}

/// A mail in a mailbox.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    /// Rises with every mail of the mailbox and is never used again.
    pub(super) uid: u32,
    pub(super) raw: Arc<[u8]>,
    pub(super) received: Timestamp,
    pub(super) flags: Flags,
    /// The mailbox's change counter when the flags were last changed.
    pub(super) changed: u64,
}

/// A mail that waits for later ones to overtake it.
struct Held {
    ticket: u64,
    behind: u32,
    raw: Arc<[u8]>,
    received: Timestamp,
}

#[derive(Default)]
struct Shelf {
    mails: Vec<Stored>,
    held: Vec<Held>,
    last_uid: u32,
    changes: u64,
    /// Mails with a UID above this are new to every IMAP session.
    recent_after: u32,
}

/// One mailbox.
pub(super) struct Mailbox {
    pub(super) address: String,
    password: String,
    shelf: Mutex<Shelf>,
    changed: watch::Sender<u64>,
    pop3_busy: AtomicBool,
}

/// While it lives, no other POP3 session gets into the mailbox (RFC 1939 section 4).
pub(super) struct Pop3Lock(Arc<Mailbox>);

impl Drop for Pop3Lock {
    fn drop(&mut self) {
        self.0.pop3_busy.store(false, Ordering::Release);
    }
}

impl Mailbox {
    fn new(address: String, password: String) -> Self {
        Self {
            address,
            password,
            shelf: Mutex::default(),
            changed: watch::Sender::new(0),
            pop3_busy: AtomicBool::new(false),
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // No code panics between two related changes, so a poisoned shelf is still in order.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock_for_pop3(self: &Arc<Self>) -> Option<Pop3Lock> {
        let free = self.pop3_busy.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        free.ok().map(|_| Pop3Lock(Arc::clone(self)))
    }

    /// Tells of every change: its value is the change counter.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn deliver(&self, raw: Arc<[u8]>, received: Timestamp) -> u32 {
        self.change(|shelf| {
            let uid = shelf.add(raw, received);
            shelf.overtake();
            uid
        })
    }

    /// Keeps a mail back until `behind` later ones came; `ticket` is for [`Self::release`].
    pub(super) fn hold(&self, ticket: u64, behind: u32, raw: Arc<[u8]>, received: Timestamp) {
        self.shelf().held.push(Held { ticket, behind, raw, received });
    }

    /// Delivers a held mail that was not overtaken in time. Tells whether it was still held.
    pub(super) fn release(&self, ticket: u64) -> bool {
        let held = {
            let mut shelf = self.shelf();
            let place = shelf.held.iter().position(|held| held.ticket == ticket);
            place.map(|place| shelf.held.remove(place))
        };
        held.map(|held| self.deliver(held.raw, held.received)).is_some()
    }

    pub(super) fn mails(&self) -> Vec<Stored> {
        self.shelf().mails.clone()
    }

    pub(super) fn len(&self) -> usize {
        self.shelf().mails.len()
    }

    pub(super) fn mail(&self, uid: u32) -> Option<Stored> {
        let shelf = self.shelf();
        let place = shelf.mails.binary_search_by_key(&uid, |mail| mail.uid).ok()?;
        shelf.mails.get(place).cloned()
    }

    /// The UID that the next mail gets.
    pub(super) fn next_uid(&self) -> u32 {
        self.shelf().last_uid + 1
    }

    /// How many mails no IMAP session has been told of; with `tell`, they are told now.
    pub(super) fn recent(&self, tell: bool) -> usize {
        let mut shelf = self.shelf();
        let recent = shelf.mails.iter().filter(|mail| mail.uid > shelf.recent_after).count();
        if tell {
            shelf.recent_after = shelf.last_uid;
        }
        recent
    }

    /// Changes the flags of one mail; tells what they are then, `None` when the mail is gone.
    pub(super) fn set_flags(&self, uid: u32, change: impl FnOnce(&mut Flags)) -> Option<Flags> {
        let before = self.mail(uid)?.flags;
        let mut after = before;
        change(&mut after);
        if before == after {
            return Some(after);
        }
        self.change(|shelf| {
            let count = shelf.changes + 1;
            let place = shelf.mails.binary_search_by_key(&uid, |mail| mail.uid).ok()?;
            shelf.mails[place].flags = after;
            shelf.mails[place].changed = count;
            Some(after)
        })
    }

    /// Removes the mails that `gone` names; tells how many there were.
    pub(super) fn remove(&self, gone: impl Fn(&Stored) -> bool) -> usize {
        let before = self.len();
        if before == 0 {
            return 0;
        }
        self.change(|shelf| {
            let before = shelf.mails.len();
            shelf.mails.retain(|mail| !gone(mail));
            before - shelf.mails.len()
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Shelf) -> T) -> T {
        let mut shelf = self.shelf();
        let result = change(&mut shelf);
        shelf.changes += 1;
        let changes = shelf.changes;
        drop(shelf);
        self.changed.send_modify(|seen| *seen = changes.max(*seen));
        result
    }
}

impl Shelf {
    fn add(&mut self, raw: Arc<[u8]>, received: Timestamp) -> u32 {
        self.last_uid += 1;
        let uid = self.last_uid;
        self.mails.push(Stored { uid, raw, received, flags: Flags::default(), changed: 0 });
        uid
    }

    /// A mail came: whoever waited for it may go as well.
    fn overtake(&mut self) {
        for held in &mut self.held {
            held.behind = held.behind.saturating_sub(1);
        }
        let due: Vec<Held> = self.held.extract_if(.., |held| held.behind == 0).collect();
        for held in due {
            self.add(held.raw, held.received);
        }
    }
}

/// Domains whose mailboxes come into being with the first mail or login.
#[derive(Debug, Clone, Default)]
pub(super) struct OnDemand(pub(super) HashMap<String, String>);

/// All mailboxes.
#[derive(Default)]
pub(super) struct Store {
    mailboxes: RwLock<HashMap<String, Arc<Mailbox>>>,
    on_demand: OnDemand,
}

impl Store {
    pub(super) fn new(on_demand: OnDemand) -> Self {
        Self { mailboxes: RwLock::default(), on_demand }
    }

    /// Makes a mailbox, or gives the one there is (its password stays).
    pub(super) fn add(&self, address: &str, password: &str) -> Arc<Mailbox> {
        let address = address.to_ascii_lowercase();
        let mut mailboxes = self.mailboxes.write().unwrap_or_else(PoisonError::into_inner);
        let mailbox = mailboxes
            .entry(address.clone())
            .or_insert_with(|| Arc::new(Mailbox::new(address, password.to_owned())));
        Arc::clone(mailbox)
    }

    /// The mailbox of an address, made now if its domain is one of those on demand.
    pub(super) fn find(&self, address: &str) -> Option<Arc<Mailbox>> {
        if let Some(mailbox) = self.existing(address) {
            return Some(mailbox);
        }
        let (local, domain) = address.rsplit_once('@')?;
        let password = self.on_demand.0.get(&domain.to_ascii_lowercase())?;
        (!local.is_empty()).then(|| self.add(address, password))
    }

    pub(super) fn existing(&self, address: &str) -> Option<Arc<Mailbox>> {
        let address = address.to_ascii_lowercase();
        self.mailboxes.read().unwrap_or_else(PoisonError::into_inner).get(&address).cloned()
    }

    /// The password of a mailbox, also of one that would be made on demand.
    pub(super) fn password_of(&self, address: &str) -> Option<String> {
        if let Some(mailbox) = self.existing(address) {
            return Some(mailbox.password.clone());
        }
        let (_, domain) = address.rsplit_once('@')?;
        self.on_demand.0.get(&domain.to_ascii_lowercase()).cloned()
    }

    /// The mailbox, if the password is right.
    pub(super) fn log_in(&self, address: &str, password: &str) -> Option<Arc<Mailbox>> {
        // A wrong password must not make a mailbox on demand.
        if self.existing(address).is_none() {
            let (_, domain) = address.rsplit_once('@')?;
            self.on_demand.0.get(&domain.to_ascii_lowercase()).filter(|wanted| *wanted == password)?;
        }
        self.find(address).filter(|mailbox| mailbox.password == password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(text: &str) -> Arc<[u8]> {
        Arc::from(text.as_bytes())
    }

    fn texts(mailbox: &Mailbox) -> Vec<String> {
        mailbox.mails().iter().map(|mail| String::from_utf8_lossy(&mail.raw).into_owned()).collect()
    }

    fn mailbox() -> Arc<Mailbox> {
        Store::default().add("a@b.example", "secret")
    }

    #[test]
    fn a_held_mail_is_overtaken_by_as_many_as_it_waits_for() {
        let mailbox = mailbox();
        mailbox.hold(1, 2, mail("first"), Timestamp::UNIX_EPOCH);
        assert_eq!(mailbox.len(), 0);
        mailbox.deliver(mail("second"), Timestamp::UNIX_EPOCH);
        assert_eq!(texts(&mailbox), ["second"]);
        mailbox.deliver(mail("third"), Timestamp::UNIX_EPOCH);
        assert_eq!(texts(&mailbox), ["second", "third", "first"]);
        assert!(!mailbox.release(1), "it is no longer held");
        mailbox.hold(2, 9, mail("fourth"), Timestamp::UNIX_EPOCH);
        assert!(mailbox.release(2));
        assert_eq!(texts(&mailbox), ["second", "third", "first", "fourth"]);
    }

    #[test]
    fn a_uid_is_never_used_twice() {
        let mailbox = mailbox();
        assert_eq!(mailbox.deliver(mail("one"), Timestamp::UNIX_EPOCH), 1);
        assert_eq!(mailbox.deliver(mail("two"), Timestamp::UNIX_EPOCH), 2);
        assert_eq!(mailbox.remove(|mail| mail.uid == 2), 1);
        assert_eq!(mailbox.deliver(mail("three"), Timestamp::UNIX_EPOCH), 3);
        assert_eq!(mailbox.next_uid(), 4);
        assert!(mailbox.mail(2).is_none());
    }

    #[test]
    fn one_pop3_session_at_a_time() {
        let mailbox = mailbox();
        let lock = mailbox.lock_for_pop3().expect("free");
        assert!(mailbox.lock_for_pop3().is_none());
        drop(lock);
        assert!(mailbox.lock_for_pop3().is_some());
    }

    #[test]
    fn a_mailbox_on_demand_comes_with_the_first_mail_but_not_with_a_wrong_password() {
        let domains = HashMap::from([("site.example".to_owned(), "letmein".to_owned())]);
        let store = Store::new(OnDemand(domains));
        assert!(store.log_in("box1@site.example", "wrong").is_none());
        assert!(store.existing("box1@site.example").is_none());
        assert!(store.log_in("box1@Site.Example", "letmein").is_some());
        assert!(store.find("BOX2@site.example").is_some());
        assert!(store.existing("box2@site.example").is_some());
        assert!(store.find("box@other.example").is_none());
        assert!(store.find("@site.example").is_none());
    }

    #[test]
    fn flags_change_and_are_counted_only_when_they_differ() {
        let mailbox = mailbox();
        let uid = mailbox.deliver(mail("one"), Timestamp::UNIX_EPOCH);
        let changes = mailbox.changes();
        let before = *changes.borrow();
        assert_eq!(mailbox.set_flags(uid, |flags| flags.seen = true).map(|flags| flags.seen), Some(true));
        assert_eq!(*changes.borrow(), before + 1);
        mailbox.set_flags(uid, |flags| flags.seen = true);
        assert_eq!(*changes.borrow(), before + 1);
        assert!(mailbox.set_flags(99, |flags| flags.seen = true).is_none());
    }
}
