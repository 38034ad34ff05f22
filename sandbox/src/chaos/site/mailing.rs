//! What an appliance of the play does with mail: hands in what is due, looks into its mailbox.

use super::super::book::{Book, Step, What};
use super::super::post::{Answer, Mail, PostOffice};
use super::super::{CENTER_BOX, center_address, site_address};
use super::{Crashed, MAILS_PER_PLAN, Site, step_of};
use anyhow::Context as _;
use jiff::SignedDuration;
use mailfmt::envelope::{Addressee, Extras, Header, seal_with};
use mailfmt::mail::{Letter, compose};
use monitor_appliance::context::system_random;
use monitor_appliance::mail_agent::{Filed, file_mail};
use monitor_appliance::outbox;
use monitor_appliance::store::Moment;
use std::collections::VecDeque;
use std::sync::Arc;

impl Site {
    pub(crate) fn send_due(
        &mut self,
        post: &mut PostOffice,
        book: &mut Book,
    ) -> anyhow::Result<Result<(), Crashed>> {
        let place = self.place;
        loop {
            let now = self.clock.now();
            let live = self.live()?;
            let clock = live.context.clock_state();
            let timers = live.context.settings.timers.clone();
            let rows = live.store.outbox_due(clock.now, outbox::due_latest(&timers, clock.now), 200)?;
            let mut queue = VecDeque::new();
            for step in outbox::plan(&rows, &timers, &clock) {
                match step {
                    outbox::Step::Expire { id } => {
                        live.store.change(|change| change.expire(id, now))?;
                        if let Some(row) = rows.iter().find(|row| row.id == id)
                            && let Some(serial) = book.serial(row.message, place)
                        {
                            book.note(serial, Step::GivenUp, now);
                            book.entry_mut(serial).context("it is in the book")?.given_up = true;
                        }
                    }
                    outbox::Step::Redate { id } => {
                        let keep = live.context.settings.retention.report_unreceipted;
                        live.store.change(|change| change.redate(id, now, now + keep))?;
                    }
                    outbox::Step::Send { id } => queue.push_back(id),
                }
            }
            queue.truncate(MAILS_PER_PLAN);
            if queue.is_empty() {
                return Ok(Ok(()));
            }
            if !post.lets_in() {
                self.rest()?;
                return Ok(Ok(()));
            }
            for id in queue {
                match self.send_one(id, post, book)? {
                    Ok(true) => {}
                    Ok(false) => {
                        self.rest()?;
                        return Ok(Ok(()));
                    }
                    Err(crashed) => return Ok(Err(crashed)),
                }
            }
        }
    }

    /// The server has failed: it is left alone for some minutes at most, as by the settings.
    fn rest(&mut self) -> anyhow::Result<()> {
        let pause = self.dice.time(SignedDuration::from_secs(5), SignedDuration::from_secs(300));
        self.live()?.rests_until = self.clock.now() + pause;
        Ok(())
    }

    /// False when the session is over.
    fn send_one(
        &mut self,
        id: i64,
        post: &mut PostOffice,
        book: &mut Book,
    ) -> anyhow::Result<Result<bool, Crashed>> {
        let now = self.clock.now();
        let (place, address) = (self.place, site_address(self.place));
        let live = self.live()?;
        let Some(row) = live.store.outbox_row(id)? else { return Ok(Ok(true)) };
        let origin = live.store.origin(&live.context.settings.center, row.sequence)?;
        let message = live.store.outbox_message(id)?;
        let expires = live.context.clock_state().expiry_on_the_way(row.expires);
        let header = Header::new(
            &message,
            live.context.settings.agent.clone().into(),
            row.message,
            row.created,
            expires,
        )
        .answering(row.in_reply_to);
        let held = live.keys.keys();
        let addressee = Addressee { key: &held.current.to_center, sequence: row.sequence };
        let extras = Extras { signer: None, follows: origin.follows, begins: origin.begins, slot: None };
        let sealed = seal_with(&header, &message, &[addressee], &extras, &mut system_random)?;
        let letter = Letter {
            from: &address,
            to: Some(center_address()),
            header: &header,
            sending: row.sendings.saturating_add(row.refusals).saturating_add(1),
            date: now,
        };
        let raw = Arc::from(compose(&letter, &sealed));
        if row.sendings == 0 {
            let uptime = live.context.reading().uptime();
            live.store.change(|change| change.hand_in(id, &uptime))?;
        }
        if let Err(crashed) = self.fate() {
            return Ok(Err(crashed));
        }
        let serial = book.enter_once(What::Report, row.message, place, &row.kind, (row.expires, now));
        let first_sending = book.first_sending(serial);
        let answer = post.hand_in(CENTER_BOX, Mail { serial, first_sending, whole: true, raw }, now);
        book.note(serial, step_of(answer), now);
        // Taken, and not noted: it goes out again.
        if let Err(crashed) = self.fate() {
            return Ok(Err(crashed));
        }
        let timers = self.settings.timers.clone();
        let noted = self.endangered(|live| {
            Ok(match answer {
                Answer::Taken => {
                    let due =
                        outbox::next_sending(row.sendings.saturating_add(1), row.patience, &timers, now);
                    live.store.change(|change| {
                        change.mark_sent(id, now, due)?;
                        change.note(Moment::LastSend, now)
                    })?;
                    true
                }
                Answer::Refused => {
                    let due = outbox::next_try(row.refusals.saturating_add(1), &timers, now);
                    live.store.change(|change| change.mark_refused(id, "451 not now", due))?;
                    true
                }
                Answer::Died => false,
            })
        })?;
        Ok(noted)
    }

    /// Looks for mail: each is filed and then deleted, as far as the session lasts.
    pub(crate) fn look(
        &mut self,
        post: &mut PostOffice,
        book: &mut Book,
    ) -> anyhow::Result<Result<(), Crashed>> {
        let (now, place) = (self.clock.now(), self.place);
        let live = self.live()?;
        if !live.context.clock_state().is_doubted() {
            live.undecided.clear();
        }
        live.looked = Some(now);
        if !post.lets_in() {
            return Ok(Ok(()));
        }
        let mut done = Vec::new();
        for (uid, mail) in post.list(place, now) {
            let live = self.live()?;
            if live.dispensable.contains(&uid) {
                done.push(uid);
                continue;
            }
            if live.undecided.contains(&uid) {
                continue;
            }
            self.clock.count_delivery();
            let receipt = book.entry(mail.serial).is_some_and(|entry| entry.what == What::Report);
            if receipt {
                book.note(mail.serial, Step::ReceiptRead, now);
            } else {
                book.read(&mail, now);
            }
            let filed = self
                .endangered(|live| Ok(file_mail(&mut live.store, &live.context, &live.keys, &mail.raw)?))?;
            self.enter_new(book)?;
            let filed = match filed {
                Ok(filed) => filed,
                Err(crashed) => return Ok(Err(crashed)),
            };
            let live = self.live()?;
            match filed {
                Filed::Undecided => {
                    live.undecided.insert(uid);
                    continue;
                }
                Filed::Later => continue,
                Filed::Receipt(true) => book.note(mail.serial, Step::Settled, now),
                Filed::Accepted | Filed::Refused => book.note(mail.serial, Step::Filed, now),
                Filed::Repeat | Filed::Receipt(false) => book.note(mail.serial, Step::CameAgain, now),
                _ => {}
            }
            live.dispensable.insert(uid);
            done.push(uid);
            if let Err(crashed) = self.fate() {
                return Ok(Err(crashed));
            }
        }
        if !post.breaks() {
            post.delete(place, &done);
            let live = self.live()?;
            live.dispensable.retain(|uid| !done.contains(uid));
        }
        Ok(Ok(()))
    }
}
