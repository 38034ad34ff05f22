//! How full the center's mailboxes are, as their servers told last ([`mailbox::record::quota`]).

use super::alarms::{NewAlarm, over, raise};
use super::{Db, DbError};
use jiff::Timestamp;
use mailbox::quota::{ADVICE, Fullness, NEARLY_FULL, Quota};
use mailbox::record::quota;

impl Db {
    /// How full the mailbox of an account is; `None` before it was asked.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn fullness(&self, account: &str) -> Result<Option<Fullness>, DbError> {
        Ok(quota::fullness(self.read(), account)?)
    }

    /// Notes what an account's server told of its mailbox. An alarm of the center begins when it is nearly full, and ends
    /// when it is not any more.
    ///
    /// # Errors
    /// [`DbError::Sql`].
    pub fn note_quota(&mut self, account: &str, told: Quota, now: Timestamp) -> Result<(), DbError> {
        self.write(|transaction| {
            if !quota::note(transaction, account, told, now)? {
                return over(transaction, None, NEARLY_FULL, account, now);
            }
            let description = format!("our own mailbox {account} is {told}; {ADVICE}");
            let alarm = NewAlarm {
                agent: None,
                kind: NEARLY_FULL,
                subject: account,
                description: &description,
                since: now,
                reported: false,
            };
            raise(transaction, &alarm, now).map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{fleet, later, now};
    use mailbox::quota::Amount;

    #[test]
    fn a_mailbox_that_is_nearly_full_is_an_alarm_until_it_has_room_again() {
        let mut db = fleet(0);
        let full = |used| Quota { octets: Amount::new(used, 100), mails: None };
        db.note_quota("main", full(79), now()).unwrap();
        assert!(db.alarms(None, true).unwrap().is_empty());
        db.note_quota("main", full(93), later(10)).unwrap();
        db.note_quota("other", full(3), later(10)).unwrap();
        let alarm = db.alarms(None, false).unwrap().pop().unwrap();
        assert_eq!((alarm.kind.as_str(), alarm.subject.as_str(), alarm.agent), (NEARLY_FULL, "main", None));
        assert!(alarm.description.contains("93 % full"), "{}", alarm.description);
        db.note_quota("main", full(76), later(20)).unwrap();
        assert!(db.fullness("main").unwrap().unwrap().nearly_full, "not ended by one mail less");
        db.note_quota("main", full(10), later(30)).unwrap();
        assert_eq!(db.alarms(None, true).unwrap()[0].over, Some(later(30)));
        let known = db.fullness("main").unwrap().unwrap();
        assert_eq!((known.quota, known.nearly_full, known.at), (full(10), false, later(30)));
    }
}
