//! Letting a box in, and what happens when it is first heard under its formal credential.

use super::contact::{CodeRow, ContactStep, Desk, ExchangeRow, end_others, send};
use super::end_exchange;
use crate::db::alarms::{self, NewAlarm};
use crate::db::columns::{At, Id, count, parsed};
use crate::db::{DbError, devices, inventory};
use crate::enrolment::{Contact, Identity, KnownBox, Refusal, identify, next_agent_id};
use crate::words::plain;
use jiff::Timestamp;
use mailfmt::crypto::{Credential, Random};
use mailfmt::message::enrolment::{Admission, Registration};
use mailfmt::message::{DeviceId, Enrolment};
use mailfmt::{AgentId, MessageId};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

/// Most remarks about devices in one admission.
const REMARKS_MAX: u32 = 20;

/// Where and what an appliance will be when it is heard under its new credential.
#[derive(Debug, Serialize, Deserialize)]
struct Becomes {
    address: String,
    customer: String,
    machine: String,
    class: String,
    tags: Vec<String>,
}

/// Admits a registration: one transaction holds the appliance, its devices, the count of the code and the answer.
pub(super) fn admit<R: Random>(
    desk: &mut Desk<'_, R>,
    code: &CodeRow,
    exchange: &ExchangeRow,
    contact: &Contact,
    registration: &Registration,
) -> Result<Result<ContactStep, Refusal>, DbError> {
    let (transaction, now) = (desk.transaction, desk.now);
    let credential = Credential::generate(desk.random);
    let becomes = Becomes {
        address: registration.address.clone(),
        customer: code.customer.clone(),
        machine: plain(&registration.hardware.machine),
        class: plain(&registration.hardware.class),
        tags: code.tags.clone(),
    };
    let mut remarks = Vec::new();
    let replaces = code.replaces.as_ref().filter(|agent| is_there(transaction, agent).unwrap_or(false));
    if let (Some(gone), None) = (&code.replaces, replaces) {
        remarks.push(format!("{gone}, which this box was to replace, was removed; it is a new appliance"));
    }
    let known = boxes(transaction, &becomes.machine)?;
    let (agent, how) = match identify(replaces, &known, &code.customer) {
        Identity::Suspended(_) => return Ok(Err(Refusal::Suspended)),
        Identity::New { known_elsewhere } => {
            let agent = add(transaction, &becomes, &credential, now)?;
            if let Some(elsewhere) = known_elsewhere {
                box_elsewhere(transaction, &agent, &elsewhere, &mut remarks, now)?;
            }
            (agent, "enrols")
        }
        Identity::Moved(agent) => {
            remarks.push(format!("this box is known as {agent} and keeps its history"));
            wait_for(transaction, exchange.id, &agent, &becomes, &credential, now)?;
            (agent, "enrols again")
        }
        Identity::Replaces(agent) => {
            remarks.push(format!("this box takes over {agent} and its history"));
            wait_for(transaction, exchange.id, &agent, &becomes, &credential, now)?;
            (agent, "takes over")
        }
    };
    mailbox_shared(transaction, &agent, &becomes.address, &mut remarks, now)?;

    let admission = MessageId::generate(desk.random);
    let devices = registration.devices.len();
    let description = plain(&format!("{how} with {devices} device{}", if devices == 1 { "" } else { "s" }));
    let number = journal(transaction, contact, &agent, &description, &admission, now)?;
    remarks.extend(register_devices(
        transaction,
        &agent,
        number,
        contact.created.min(now),
        registration,
        now,
    )?);

    transaction
        .prepare_cached("UPDATE enrolment_code SET used = used + 1 WHERE id = ?1")?
        .execute([code.id.to_string()])?;
    transaction
        .prepare_cached(
            "UPDATE enrolment_exchange SET registration = ?2, admission = ?3, registered = ?4, agent = ?5, address = ?6,
                 answers = 1 WHERE id = ?1",
        )?
        .execute(params![
            exchange.id,
            Id::of(&contact.message),
            Id::of(&admission),
            At(now),
            agent.as_str(),
            registration.address,
        ])?;
    let answer = Admission {
        appliance_key: registration.appliance_key,
        agent: agent.clone(),
        credential,
        center: desk.terms.center.clone(),
        center_addresses: desk.terms.addresses.clone(),
        roots: desk.terms.roots.clone(),
        settings: desk.terms.settings.clone(),
        remarks,
    };
    let word = Enrolment::Admission(answer);
    send(transaction, exchange.id, &code.id, word, admission, contact.message, now)?;
    Ok(Ok(ContactStep::Admitted { agent, description }))
}

fn is_there(transaction: &Connection, agent: &AgentId) -> Result<bool, DbError> {
    Ok(transaction
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM appliance WHERE agent = ?1 AND state <> 'removed')")?
        .query_row([agent.as_str()], |row| row.get(0))?)
}

/// Appliances whose box told this hardware, the last heard first.
fn boxes(transaction: &Connection, machine: &str) -> Result<Vec<KnownBox>, DbError> {
    if machine.is_empty() {
        return Ok(Vec::new());
    }
    let mut statement = transaction.prepare_cached(
        "SELECT agent, customer, suspended IS NOT NULL FROM appliance
         WHERE machine = ?1 AND machine <> '' AND state <> 'removed' ORDER BY ifnull(last_heard, added) DESC LIMIT 16",
    )?;
    let rows = statement.query_map([machine], |row| {
        Ok(KnownBox { agent: parsed(row, 0)?, customer: row.get(1)?, suspended: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn add(
    transaction: &Connection,
    becomes: &Becomes,
    credential: &Credential,
    now: Timestamp,
) -> Result<AgentId, DbError> {
    let mut statement = transaction.prepare_cached("SELECT agent FROM appliance")?;
    let given: Vec<AgentId> = statement.query_map([], |row| parsed(row, 0))?.collect::<Result<_, _>>()?;
    let agent = next_agent_id(&given);
    transaction
        .prepare_cached(
            "INSERT INTO appliance (agent, address, customer, credential, credential_since, added, machine, hardware)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7)",
        )?
        .execute(params![
            agent.as_str(),
            becomes.address,
            becomes.customer,
            credential.expose().as_slice(),
            At(now),
            becomes.machine,
            becomes.class,
        ])?;
    crate::db::appliances::add_tags(transaction, &agent, &becomes.tags)?;
    Ok(agent)
}

/// The appliance keeps everything that it has until its new credential is heard.
fn wait_for(
    transaction: &Connection,
    exchange: i64,
    agent: &AgentId,
    becomes: &Becomes,
    credential: &Credential,
    now: Timestamp,
) -> Result<(), DbError> {
    end_others(transaction, agent, exchange, now)?;
    transaction
        .prepare_cached("UPDATE enrolment_exchange SET credential = ?2, becomes = ?3 WHERE id = ?1")?
        .execute(params![
            exchange,
            credential.expose().as_slice(),
            serde_json::to_string(becomes).unwrap_or_default()
        ])?;
    Ok(())
}

fn box_elsewhere(
    transaction: &Connection,
    agent: &AgentId,
    elsewhere: &AgentId,
    remarks: &mut Vec<String>,
    now: Timestamp,
) -> Result<(), DbError> {
    remarks.push("this box served another customer before".to_owned());
    let description = format!(
        "The box of {elsewhere}, which serves another customer, was enrolled as {agent}. If it went there for good, remove \
         {elsewhere}; if not, ask who enrolled it"
    );
    let alarm = NewAlarm {
        agent: Some(agent),
        kind: "box-elsewhere",
        subject: elsewhere.as_str(),
        description: &description,
        since: now,
        reported: false,
    };
    alarms::raise(transaction, &alarm, now)?;
    Ok(())
}

/// Two appliances at one mailbox throw each other's mail away.
fn mailbox_shared(
    transaction: &Connection,
    agent: &AgentId,
    address: &str,
    remarks: &mut Vec<String>,
    now: Timestamp,
) -> Result<(), DbError> {
    let other = transaction
        .prepare_cached(
            "SELECT agent FROM appliance WHERE lower(address) = lower(?1) AND agent <> ?2 AND state <> 'removed' LIMIT 1",
        )?
        .query_row(params![address, agent.as_str()], |row| parsed::<AgentId>(row, 0))
        .optional()?;
    let Some(other) = other else { return Ok(()) };
    remarks.push(format!("{address} is the mailbox of another appliance; each needs its own"));
    let description = format!(
        "{agent} and {other} use one mailbox, {address}, and throw each other's mail away. Give one of them its own; \
         `center-manager appliance move` notes it"
    );
    let alarm = NewAlarm {
        agent: Some(agent),
        kind: "mailbox-shared",
        subject: other.as_str(),
        description: &description,
        since: now,
        reported: false,
    };
    alarms::raise(transaction, &alarm, now)?;
    Ok(())
}

/// A registration stands in the journal like a report; its receipt is the admission.
fn journal(
    transaction: &Connection,
    contact: &Contact,
    agent: &AgentId,
    description: &str,
    admission: &MessageId,
    now: Timestamp,
) -> Result<u64, DbError> {
    transaction
        .prepare_cached(
            "INSERT INTO report (message, agent, sequence, in_reply_to, kind, body, description, created, received, receipt)
             VALUES (?1, ?2, ?3, NULL, 'registration', ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            Id::of(&contact.message),
            agent.as_str(),
            count(contact.sequence),
            contact.payload,
            description,
            At(contact.created),
            At(now),
            Id::of(admission),
        ])?;
    Ok(crate::db::columns::uncount(transaction.last_insert_rowid()))
}

/// The appliance was heard under the credential that was admitted in `exchange`: the enrolment is over, the old
/// credential is dead, and a new box has taken over.
pub(in crate::db) fn take_over(
    transaction: &Connection,
    agent: &AgentId,
    exchange: i64,
    now: Timestamp,
) -> Result<(), DbError> {
    let pending = transaction
        .prepare_cached(
            "SELECT x.credential, x.becomes FROM enrolment_exchange x JOIN appliance a ON a.agent = x.agent
             WHERE x.id = ?1 AND x.agent = ?2 AND x.credential IS NOT NULL
               AND (a.suspended IS NULL OR a.suspended <= x.registered)",
        )?
        .query_row(params![exchange, agent.as_str()], |row| {
            Ok((Credential::from_bytes(row.get(0)?), crate::db::columns::json::<Becomes>(row, 1)?))
        })
        .optional()?;
    // It may have been confirmed or ended since the mail was judged. Who was suspended after the admission stays so.
    let Some((credential, becomes)) = pending else { return Ok(()) };
    // A new channel: numbers and boots of the old box say nothing about this one, and its clock may be behind the old one's.
    transaction
        .prepare_cached(
            "UPDATE appliance SET credential = ?2, credential_since = ?3, credential_before = NULL, address = ?4,
                 customer = ?5, machine = ?6, hardware = ?7, suspended = NULL, suspended_reason = '', lineage = NULL,
                 boots = NULL, sequence_in = 0, sequence_in_made = NULL, sequence_in_begins = NULL, version_created = NULL,
                 health_at = NULL
             WHERE agent = ?1 AND state <> 'removed'",
        )?
        .execute(params![
            agent.as_str(),
            credential.expose().as_slice(),
            At(now),
            becomes.address,
            becomes.customer,
            becomes.machine,
            becomes.class,
        ])?;
    crate::db::appliances::add_tags(transaction, agent, &becomes.tags)?;
    crate::db::rotations::end_all(transaction, agent, now)?;
    confirm(transaction, exchange, now)
}

/// A new appliance was heard for the first time: its enrolment, if it has one, is over.
pub(in crate::db) fn first_heard(
    transaction: &Connection,
    agent: &AgentId,
    now: Timestamp,
) -> Result<(), DbError> {
    let exchange = transaction
        .prepare_cached(
            "SELECT id FROM enrolment_exchange WHERE agent = ?1 AND registered IS NOT NULL AND confirmed IS NULL
             AND credential IS NULL ORDER BY id DESC LIMIT 1",
        )?
        .query_row([agent.as_str()], |row| row.get(0))
        .optional()?;
    exchange.map_or(Ok(()), |exchange| confirm(transaction, exchange, now))
}

fn confirm(transaction: &Connection, exchange: i64, now: Timestamp) -> Result<(), DbError> {
    transaction
        .prepare_cached(
            "UPDATE outbox_recipient SET state = 'answered', changed = ?2, detail = ''
             WHERE outbox IN (SELECT id FROM outbox WHERE exchange = ?1) AND state <> 'answered'",
        )?
        .execute(params![exchange, At(now)])?;
    end_exchange(transaction, exchange, now)?;
    let code: String = transaction
        .prepare_cached("UPDATE enrolment_exchange SET confirmed = ?2 WHERE id = ?1 RETURNING code")?
        .query_row(params![exchange, At(now)], |row| row.get(0))?;
    if super::ended(transaction, now)?.contains(&code) {
        super::wipe(transaction, &code, now)?;
    }
    Ok(())
}

/// Files the devices; what is odd about them, in words for the person on site.
fn register_devices(
    transaction: &Connection,
    agent: &AgentId,
    number: u64,
    made: Timestamp,
    registration: &Registration,
    now: Timestamp,
) -> Result<Vec<String>, DbError> {
    let origin = devices::Origin::new(agent, number, now);
    inventory::file(transaction, &origin, made, &registration.devices)?;
    let mut statement = transaction.prepare_cached(
        "SELECT vendor, model, serial FROM device_conflict WHERE claimant = ?1 AND resolved IS NULL ORDER BY id LIMIT ?2",
    )?;
    let rows = statement.query_map(params![agent.as_str(), REMARKS_MAX], |row| {
        Ok(DeviceId { vendor: row.get(0)?, model: row.get(1)?, serial: row.get(2)? })
    })?;
    // Not at which site: that is no business of this one.
    rows.map(|device| {
        Ok(plain(&format!("{} is reported from another site as well; the center decides", device?)))
    })
    .collect()
}
