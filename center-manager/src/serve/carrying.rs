//! What follows the envelope of an order or of a part: decided and stored before the first mail, encrypted once for all.

use super::handing::Tries;
use super::{Daemon, ServeError, chain, log_chain};
use crate::db::outbox::{OutboxId, Outgoing};
use crate::db::parts::Cut;
use crate::probe;
use crate::sending::{self, Behind, Carriage, Load, MailPlan};
use crate::system::{SystemRandom, now};
use mailbox::{RecipientOutcome, SendError, Submission};
use mailfmt::Limits;
use mailfmt::mail::Form;
use mailfmt::message::{Family, UpdateOrder};
use mailfmt::parts::Parts;
use std::sync::Arc;

/// The encrypted package that was last needed; a rollout sends the same one in mail after mail.
#[derive(Debug, Default)]
pub(super) struct EnclosureCache {
    last: Option<(OutboxId, Arc<Freight>)>,
}

/// An encrypted package, and how it is cut.
#[derive(Debug)]
struct Freight {
    enclosure: Vec<u8>,
    parts: Option<Parts>,
}

impl Freight {
    fn behind(&self, part: Option<u32>) -> Option<Behind<'_>> {
        match (&self.parts, part) {
            (None, None) => Some(Behind::Octets(&self.enclosure)),
            (Some(parts), None) => Some(Behind::Cut(parts.cutting())),
            (Some(parts), Some(number)) => parts.part(&self.enclosure, number).map(Behind::Octets),
            (None, Some(_)) => None,
        }
    }
}

/// What follows the envelope of one message.
pub(super) struct Following {
    freight: Option<Arc<Freight>>,
    part: Option<u32>,
    /// Of a test mail.
    padding: Vec<u8>,
}

impl Following {
    pub(super) fn behind(&self) -> Behind<'_> {
        if !self.padding.is_empty() {
            return Behind::Octets(&self.padding);
        }
        let behind = self.freight.as_ref().and_then(|freight| freight.behind(self.part));
        behind.unwrap_or(Behind::Nothing)
    }
}

/// Whether it may be a test mail; of other messages the database need not be asked.
fn is_ping(outgoing: &Outgoing) -> bool {
    outgoing.family == Family::Command && outgoing.payload.starts_with("{\"kind\":\"ping\"")
}

impl Daemon {
    /// The largest mail that may be handed in over this connection: by the settings, the server's word, and what earlier
    /// refusals taught.
    pub(super) fn mail_octets_max(&self, account: usize, submission: &Submission) -> Result<u64, ServeError> {
        let announced = submission.extensions().size_octets_max;
        let taught = match self.accounts.get(account) {
            Some(account) => self.db.account_limit(&account.settings.name, now())?,
            None => None,
        };
        let known = announced.into_iter().chain(taught).min().unwrap_or(u64::MAX);
        Ok(self.settings.mail_out_octets_max.min(known))
    }

    /// What follows the envelope of a message; `None` after a note of why it can never be sent.
    pub(super) fn following(
        &mut self,
        outgoing: &Outgoing,
        plan: &MailPlan,
        mail_octets: u64,
        tries: &mut Tries,
    ) -> Result<Option<Following>, ServeError> {
        let Some(package) = &outgoing.package else {
            let octets = if is_ping(outgoing) { self.db.padding_octets(outgoing.outbox)? } else { None };
            let padding = octets.map(|octets| probe::padding(&outgoing.id, octets)).unwrap_or_default();
            return Ok(Some(Following { freight: None, part: None, padding }));
        };
        match self.freight(outgoing, mail_octets)? {
            Ok(freight) => {
                let part = outgoing.part.map(|(_, number)| number);
                Ok(Some(Following { freight: Some(freight), part, padding: Vec::new() }))
            }
            Err(reason) => {
                tracing::error!(%package, reason, "a package cannot be sent");
                tries.extend(sending::unsendable(plan, &reason));
                Ok(None)
            }
        }
    }

    fn freight(
        &mut self,
        outgoing: &Outgoing,
        mail_octets: u64,
    ) -> Result<Result<Arc<Freight>, String>, ServeError> {
        let outbox = outgoing.part.map_or(outgoing.outbox, |(order, _)| order);
        if let Some((cached, freight)) = &self.enclosure.last
            && *cached == outbox
        {
            return Ok(Ok(Arc::clone(freight)));
        }
        let order = match outgoing.part {
            None => Some(outgoing.clone()),
            Some((order, _)) => self.db.outgoing(order)?,
        };
        let Some(order) = order else { return Ok(Err("its order is no longer in the outbox".to_owned())) };
        let freight = match self.load(&order) {
            Ok(loaded) => self.cut(&order, loaded, mail_octets)?,
            Err(reason) => Err(reason),
        };
        Ok(freight.map(|freight| {
            let freight = Arc::new(freight);
            self.enclosure.last = Some((outbox, Arc::clone(&freight)));
            freight
        }))
    }

    /// The encrypted package of an order.
    fn load(&self, outgoing: &Outgoing) -> Result<(UpdateOrder, Vec<u8>), String> {
        let order = sending::order(outgoing).map_err(|error| chain(&error))?;
        let path = self.home.package(&order.package);
        let file =
            std::fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let enclosure = sending::enclosure(&order, &file).map_err(|error| chain(&error))?;
        Ok((order, enclosure))
    }

    /// Cuts the package as it was decided; decides it, and stores that with all parts, where it was not.
    fn cut(
        &mut self,
        outgoing: &Outgoing,
        (order, enclosure): (UpdateOrder, Vec<u8>),
        mail_octets: u64,
    ) -> Result<Result<Freight, String>, ServeError> {
        let limits = Limits::default();
        match outgoing.cut {
            Some(Cut::Whole) => return Ok(Ok(Freight { enclosure, parts: None })),
            Some(Cut::Parts { part_octets, parity }) => {
                let parts = Parts::cut(&enclosure, part_octets, parity, &limits);
                return Ok(parts
                    .map(|parts| Freight { enclosure, parts: Some(parts) })
                    .map_err(|error| chain(&error)));
            }
            None => {}
        }
        let way = self.db.way_limit(outgoing.outbox)?.unwrap_or(u64::MAX);
        let load = Load {
            enclosure_octets: order.enclosure_octets,
            order_octets: outgoing.payload.len(),
            recipients: self.settings.recipients_per_mail,
            mail_octets: mail_octets.min(way),
            parity: self.settings.parity,
            form: if self.db.is_armoured(outgoing.outbox)? { Form::Armoured } else { Form::Opaque },
        };
        let carriage = match sending::carriage(&load, &limits) {
            Ok(carriage) => carriage,
            Err(error) => return Ok(Err(chain(&error))),
        };
        let parts = match &carriage {
            Carriage::Whole => None,
            Carriage::Parts { part_octets, parity, .. } => {
                match Parts::cut(&enclosure, *part_octets, *parity, &limits) {
                    Ok(parts) => Some(parts),
                    Err(error) => return Ok(Err(chain(&error))),
                }
            }
        };
        if let Some(parts) = &parts {
            tracing::info!(
                package = %order.package, octets = order.enclosure_octets, mail_octets = load.mail_octets,
                parts = parts.shape().parts(), "a package is larger than one mail may be, and goes out in parts"
            );
        }
        let named = parts.as_ref().map(|parts| (&order, parts));
        self.db.store_cut(outgoing, &carriage, named, now(), &mut SystemRandom)?;
        Ok(Ok(Freight { enclosure, parts }))
    }

    /// What a refusal says about the size of mails is remembered for the next package.
    pub(super) fn learn_limit(
        &mut self,
        account: usize,
        octets: usize,
        error: &SendError,
    ) -> Result<(), ServeError> {
        let taught = sending::taught_limit(error, octets);
        if let (Some(octets), Some(account)) = (taught, self.accounts.get(account)) {
            let name = account.settings.name.clone();
            log_chain(&format!("account {name:?} takes mails of {octets} octets at most from now on"), error);
            self.db.learn_account_limit(&name, octets, now())?;
        }
        Ok(())
    }

    /// The same for single recipients.
    pub(super) fn learn_way_limits(
        &mut self,
        plan: &MailPlan,
        octets: usize,
        outcomes: &[(String, RecipientOutcome)],
    ) -> Result<(), ServeError> {
        for (due, (_, outcome)) in plan.recipients.iter().zip(outcomes) {
            if let RecipientOutcome::Refused(reply) = outcome
                && sending::says_too_large(reply)
            {
                self.db.lower_mail_limit(&due.agent, octets)?;
            }
        }
        Ok(())
    }
}
