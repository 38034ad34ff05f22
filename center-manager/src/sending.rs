//! Which mails to compose from what is due, how each is composed, and what a server's answer means for the outbox.
//! Pure; [`crate::serve`] does the handing in.

mod carriage;
mod lost;
mod retry;

pub use carriage::{Carriage, CarriageError, Load, MAIL_OCTETS_MIN, carriage};
pub use lost::{HandedIn, lost};
pub use retry::{answers, failure, forms, next_try};

use crate::db::outbox::{Due, OutboxId, Outgoing, Try};
use jiff::Timestamp;
use mailbox::address::in_header;
use mailbox::smtp::ServerReply;
use mailbox::{OutgoingMail, SendError};
use mailfmt::crypto::{ChannelKey, Random};
use mailfmt::envelope::{self, Addressee, Extras, Header, SealError};
use mailfmt::mail::{Form, Letter, compose_as, octets_max};
use mailfmt::message::receipt::Latest;
use mailfmt::message::{ConditionalOrder, Family, MessageError, UpdateOrder};
use mailfmt::parts::Cutting;
use mailfmt::slot::AnswerSlot;
use mailfmt::trust::SigningKey;
use mailfmt::{AgentId, CenterId, Command, Digest, Limits, Message, sequence};
use std::sync::Arc;

/// One mail: a message and up to so many recipients as one mail may have.
#[derive(Debug, Clone)]
pub struct MailPlan {
    /// The message.
    pub outbox: OutboxId,
    /// Its recipients, at least one.
    pub recipients: Vec<Due>,
}

/// Puts recipients of one message together; `due` has them next to each other.
#[must_use]
pub fn plan(due: &[Due], recipients_per_mail: usize) -> Vec<MailPlan> {
    // What a number follows stands in the mail once, so its recipients' numbers are of one epoch.
    due.chunk_by(|one, next| {
        one.outbox == next.outbox
            && one.form == next.form
            && sequence::epoch_of(one.sequence) == sequence::epoch_of(next.sequence)
    })
    .flat_map(|group| group.chunks(recipients_per_mail.max(1)))
    .filter_map(|group| {
        group.first().map(|first| MailPlan { outbox: first.outbox, recipients: group.to_vec() })
    })
    .collect()
}

/// A message that cannot be made into a mail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// The outbox holds something that is no message.
    #[error("the outbox row cannot be read")]
    Payload(#[from] MessageError),
    /// The envelope cannot be made.
    #[error("the envelope cannot be sealed")]
    Seal(#[from] SealError),
    /// The encrypted package is not the one that the order names.
    #[error("the package's file is not the one that was ordered")]
    Enclosure,
    /// A package stands behind a message that is no update order.
    #[error("a package follows a message that is no update order")]
    NotAnOrder,
}

/// Who sends.
#[derive(Debug, Clone, Copy)]
pub struct From<'a> {
    /// The center's id.
    pub center: &'a CenterId,
    /// The center's mail address.
    pub address: &'a str,
    /// The command key; appliances take nothing that is not signed.
    pub signer: Option<&'a SigningKey>,
    /// What the numbers of the recipients follow.
    pub follows: Option<u64>,
    /// The number with which their epoch began.
    pub begins: Option<u64>,
    /// When the mail is written.
    pub date: Timestamp,
    /// What stands in receipts as the newest release, as of now.
    pub latest: Option<&'a Latest>,
    /// When its recipients answer; at once without it.
    pub slot: Option<AnswerSlot>,
}

/// What follows an envelope.
#[derive(Debug, Clone, Copy)]
pub enum Behind<'a> {
    /// Nothing.
    Nothing,
    /// An encrypted package, or a part of one.
    Octets(&'a [u8]),
    /// Nothing: the order says how its package is cut.
    Cut(&'a Cutting),
}

/// Seals a message for its recipients and writes the mail around it. `sending` makes the mail's own Message-ID
/// different from that of every other mail of the same message.
///
/// # Errors
/// [`ComposeError`]; trying again does not help.
pub fn write_mail(
    outgoing: &Outgoing,
    sending: u32,
    recipients: &[(Due, ChannelKey)],
    from: From<'_>,
    behind: Behind<'_>,
    random: &mut impl Random,
) -> Result<OutgoingMail, ComposeError> {
    let mut message = Message::parse(outgoing.family, outgoing.payload.as_bytes())?;
    if let Message::Receipt(receipt) = &mut message {
        // Only the date is fresh: a receipt that goes out again says the same of its report.
        receipt.latest = from.latest.cloned();
    }
    if let (Message::Command(command), Behind::Cut(cutting)) = (&mut message, behind)
        && let Some(order) = command.update_order_mut()
    {
        order.parts = Some(cutting.clone());
    }
    let header =
        Header::new(&message, from.center.clone().into(), outgoing.id, outgoing.created, outgoing.expires)
            .answering(outgoing.in_reply_to);
    let addressees: Vec<_> =
        recipients.iter().map(|(due, key)| Addressee { key, sequence: due.sequence }).collect();
    let extras = Extras { signer: from.signer, follows: from.follows, begins: from.begins, slot: from.slot };
    let mut attachment = envelope::seal_with(&header, &message, &addressees, &extras, random)?;
    if let Behind::Octets(octets) = behind {
        attachment.extend(octets);
    }
    let to = match recipients {
        [(only, _)] => Some(in_header(&only.address)),
        _ => None,
    };
    // What is too large for armoured text goes out as ever; whoever orders it anew has it cut smaller.
    let wanted = recipients.first().map(|(due, _)| due.form).unwrap_or_default();
    let form = if attachment.len() <= octets_max(wanted, usize::MAX) { wanted } else { Form::Opaque };
    let (sender, to) = (in_header(from.address), to.as_deref());
    let letter = Letter { from: &sender, to, header: &header, date: from.date, sending };
    Ok(OutgoingMail {
        return_path: Some(from.address.to_owned()),
        recipients: recipients.iter().map(|(due, _)| due.address.clone()).collect(),
        raw: Arc::from(compose_as(form, &letter, &attachment)),
    })
}

/// The order that stands in the outbox.
///
/// # Errors
/// [`ComposeError`] when it is none.
pub fn order(outgoing: &Outgoing) -> Result<UpdateOrder, ComposeError> {
    match Message::parse(Family::Command, outgoing.payload.as_bytes())? {
        Message::Command(Command::Update(order) | Command::UpdateWhen(ConditionalOrder { order, .. })) => {
            Ok(order)
        }
        _ => Err(ComposeError::NotAnOrder),
    }
}

/// Encrypts a package as its order says. The same order gives the same octets, so it is done once for all mails.
///
/// # Errors
/// [`ComposeError`] when the result is not what the order names.
pub fn enclosure(order: &UpdateOrder, package: &[u8]) -> Result<Vec<u8>, ComposeError> {
    let enclosure = mailfmt::package::enclose(package, &order.content_key);
    let right = u64::try_from(enclosure.len()) == Ok(order.enclosure_octets)
        && enclosure.len() <= Limits::default().package_octets
        && Digest::of(&enclosure) == order.enclosure;
    right.then_some(enclosure).ok_or(ComposeError::Enclosure)
}

/// The largest mail that the account takes, as far as this error tells: of a mail with `octets` that was refused for its size
/// without a limit, half is the next guess.
#[must_use]
pub fn taught_limit(error: &SendError, octets: usize) -> Option<u64> {
    let half = || u64::try_from(octets / 2).unwrap_or(u64::MAX).max(MAIL_OCTETS_MIN);
    match error {
        SendError::TooLarge { limit_octets, .. } => Some(*limit_octets),
        SendError::Permanent(reply) if says_too_large(reply) => Some(half()),
        _ => None,
    }
}

/// Message too big for the system, or longer than the administration allows (RFC 3463, 3.4 and 3.3).
#[must_use]
pub fn says_too_large(reply: &ServerReply) -> bool {
    match reply.enhanced.as_deref() {
        Some("5.3.4" | "5.2.3") => true,
        Some(_) => false,
        None => reply.code == 552 && reply.text.to_ascii_lowercase().contains("size"),
    }
}

/// The recipients of a mail that cannot be composed.
#[must_use]
pub fn unsendable(plan: &MailPlan, reason: &str) -> Vec<(OutboxId, AgentId, Try)> {
    let refused =
        |due: &Due| (plan.outbox, due.agent.clone(), Try::Refused { detail: crate::words::plain(reason) });
    plan.recipients.iter().map(refused).collect()
}

#[cfg(test)]
mod tests;
