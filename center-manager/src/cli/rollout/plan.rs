//! `center-manager rollout plan`: what a rollout would take, before anything is sent.

use super::choose::{self, StartArgs};
use crate::budget::{Bounds, Spent};
use crate::cli::print::{self, Format};
use crate::cli::{Context, Exit};
use crate::db::Db;
use crate::db::outbox::{Due, OutboxId, Outgoing};
use crate::forecast::{Brake, Forecast, Load, Post, forecast};
use crate::report::minute;
use crate::sending::{self, Behind, Carriage};
use crate::settings::Settings;
use crate::system::{SystemRandom, now};
use anyhow::{Context as _, bail};
use clap::Args;
use jiff::SignedDuration;
use mailbox::AccountSettings;
use mailfmt::crypto::{Credential, Direction};
use mailfmt::mail::Form;
use mailfmt::message::{PackagePart, UpdateOrder};
use mailfmt::package::inspect;
use mailfmt::parts::Parts;
use mailfmt::{AgentId, Command, Digest, Limits, Message, MessageId, Receipt};
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// Time that one mail takes besides its octets: the dialogue with the server.
const EACH: SignedDuration = SignedDuration::from_secs(2);

/// What to foresee.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// As for `rollout start`.
    #[command(flatten)]
    pub start: StartArgs,
    /// How fast mail is handed in, in megabits a second.
    #[arg(long, value_name = "MBIT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub uplink: u32,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// The forecast, and what it rests on.
#[derive(Debug, Serialize)]
struct Told {
    at_worst: String,
    #[serde(flatten)]
    forecast: Forecast,
    course: String,
    recipients_per_mail: u32,
    account: String,
    limits_of: String,
    limited_by: Vec<String>,
}

pub(super) fn plan(args: &PlanArgs, context: &Context, db: &Db, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let settings = context.settings()?;
    let file = package_file(&args.start.package, db)?;
    let inspection = inspect(&file, &Limits::default())
        .with_context(|| format!("{} is no package", args.start.package))?;
    let appliances = u32::try_from(choose::targets(&args.start, db)?.len())?;
    if appliances == 0 {
        bail!("no appliance is meant; `center-manager appliance list` shows what there is");
    }
    let course = args.start.course.course()?;
    let sender = settings.accounts.first().context("the settings name no account")?;
    let receiver = settings.accounts.get(settings.receiving_account()).unwrap_or(sender);
    let (sending, now) = (Bounds::of_account(sender), now());
    let set = usize::try_from(appliances)?.min(settings.recipients_per_mail);
    let per_mail = u32::try_from(sending.recipients_of_one_mail(set))?;
    let order =
        crate::rollout::enclose(&file, inspection.id, inspection.manifest.target.clone(), &mut SystemRandom);
    let since = now.saturating_sub(SignedDuration::from_hours(24))?;
    let post = Post {
        spent: match sending.bounds_sending() {
            true => db.spent(&sender.name, since)?,
            false => Spent::default(),
        },
        sending,
        each: EACH,
        octets_per_sec: u64::from(args.uplink) * 125_000,
        receiving: Bounds::of_account(receiver).received,
        blocks: db.answer_blocks(&receiver.name, now)?,
        unplanned: db.unplanned_reports(now)?,
    };
    let load = Load {
        recipients_per_mail: per_mail,
        mails: package_mails(&file, &order, per_mail, sender, &settings)?,
        receipt_octets: receipt_octets(&settings)?,
        course,
        appliances,
    };
    let forecast = forecast(&load, &post, now);
    let limited_by: Vec<_> =
        forecast.brakes.iter().map(|brake| in_words(brake, &sender.name, &receiver.name)).collect();
    let told = Told {
        at_worst: forecast.at_worst(),
        course: load.course.name.clone(),
        recipients_per_mail: per_mail,
        account: sender.name.clone(),
        limits_of: sender.limits_in_words(),
        limited_by,
        forecast,
    };
    match args.format {
        Format::Json => print::json(out, &told)?,
        Format::Text => show(&told, out)?,
    }
    Ok(Exit::Done)
}

fn show(told: &Told, out: &mut dyn Write) -> anyhow::Result<()> {
    let forecast = &told.forecast;
    let mb = |octets: u64| format!("{}.{} MB", octets / 1_000_000, octets / 100_000 % 10);
    let rows = [
        ("at worst", told.at_worst.clone()),
        ("first packages out", minute(forecast.first_sent)),
        ("last packages out", minute(forecast.last_sent)),
        ("last answer", format!("{}, if none is late", minute(forecast.last_answer))),
        ("last receipt", minute(forecast.last_receipt)),
        (
            "mails out",
            format!(
                "{} with the package, to {} recipients, {}; {} receipts, {}",
                forecast.mails,
                forecast.recipients,
                mb(forecast.octets),
                forecast.answers,
                mb(forecast.receipt_octets)
            ),
        ),
        ("mails in", format!("{} answers", forecast.answers)),
        ("account", format!("{}: {}", told.account, told.limits_of)),
        (
            "limited by",
            match told.limited_by.as_slice() {
                [] => "no limit of a mail provider".to_owned(),
                lines => lines.join("; "),
            },
        ),
    ];
    print::table(out, &["what", "forecast"], rows.map(|(what, said)| vec![what.to_owned(), said]))?;
    let names = ["wave", "appliances", "begins (UTC)", "sent", "answered"];
    let rows = forecast.waves.iter().map(|wave| {
        let number = |number: u32| number.to_string();
        let (begins, sent, answered) = (minute(wave.begins), minute(wave.sent), minute(wave.answered));
        vec![number(wave.wave), number(wave.appliances), begins, sent, answered]
    });
    print::table(out, &names, rows)?;
    writeln!(out, "nothing was sent; `center-manager rollout start` with the same arguments begins it")?;
    Ok(())
}

fn in_words(brake: &Brake, sender: &str, receiver: &str) -> String {
    let account = if brake.what == "mails received" { receiver } else { sender };
    let Brake { what, window, waited_secs } = brake;
    format!("{} {what} in {} s, account {account}: {} min", window.most, window.span_secs, waited_secs / 60)
}

/// The package: a file, or one that the center has. Nothing is filed.
fn package_file(given: &str, db: &Db) -> anyhow::Result<Vec<u8>> {
    let path = Path::new(given);
    let path = if path.is_file() { path.to_owned() } else { db.package(given)?.path };
    std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Octets of each mail that one group of recipients gets: sealed and written as it would be.
fn package_mails(
    file: &[u8],
    order: &UpdateOrder,
    recipients: u32,
    account: &AccountSettings,
    settings: &Settings,
) -> anyhow::Result<Vec<u64>> {
    let limits = Limits::default();
    let message = Message::Command(Command::Update(order.clone()));
    let enclosure = sending::enclosure(order, file)?;
    let load = sending::Load {
        enclosure_octets: order.enclosure_octets,
        order_octets: message.write().len(),
        recipients: settings.recipients_per_mail,
        mail_octets: account.mail_octets_limit().unwrap_or(u64::MAX).min(settings.mail_out_octets_max),
        parity: settings.parity,
        form: Form::Opaque,
    };
    match sending::carriage(&load, &limits)? {
        Carriage::Whole => Ok(vec![mail_octets(&message, recipients, Behind::Octets(&enclosure), settings)?]),
        Carriage::Parts { part_octets, parity, shape } => {
            let parts = Parts::cut(&enclosure, part_octets, parity, &limits)?;
            let mut mails = vec![mail_octets(&message, recipients, Behind::Cut(parts.cutting()), settings)?];
            for number in 1..=shape.parts() {
                let octets = parts.part(&enclosure, number).context("a package has all its parts")?;
                let part = PackagePart {
                    enclosure: order.enclosure,
                    number,
                    of: shape.parts(),
                    sha256: Digest::of(octets),
                };
                let message = Message::Command(Command::Part(part));
                mails.push(mail_octets(&message, recipients, Behind::Octets(octets), settings)?);
            }
            Ok(mails)
        }
    }
}

fn receipt_octets(settings: &Settings) -> anyhow::Result<u64> {
    let receipt = Receipt {
        report: MessageId::generate(&mut SystemRandom),
        number: 1_000_000,
        received: now(),
        content: "version".to_owned(),
        description: "version report".to_owned(),
        latest: None,
    };
    mail_octets(&Message::Receipt(receipt), 1, Behind::Nothing, settings)
}

fn mail_octets(
    message: &Message,
    recipients: u32,
    behind: Behind<'_>,
    settings: &Settings,
) -> anyhow::Result<u64> {
    let date = now();
    let outgoing = Outgoing {
        outbox: OutboxId(0),
        id: MessageId::generate(&mut SystemRandom),
        family: message.family(),
        payload: String::from_utf8(message.write())?,
        in_reply_to: None,
        package: None,
        created: date,
        expires: date,
        sendings: 1,
        cut: None,
        part: None,
    };
    let recipient = |number: u32| -> anyhow::Result<_> {
        let agent = AgentId::new(&format!("AGENT{number:07}"))?;
        let key = Credential::from_bytes([0; 32]).channel(Direction::ToAppliance, &agent, &settings.center);
        let due = Due {
            outbox: OutboxId(0),
            address: settings.address.clone(),
            sequence: number.into(),
            attempts: 0,
            form: Form::Opaque,
            agent,
        };
        Ok((due, key))
    };
    let recipients: Vec<_> = (1..=recipients).map(recipient).collect::<anyhow::Result<_>>()?;
    let from = sending::From {
        center: &settings.center,
        address: &settings.address,
        signer: None,
        follows: None,
        begins: None,
        date,
        latest: None,
        slot: None,
    };
    let mail = sending::write_mail(&outgoing, 1, &recipients, from, behind, &mut SystemRandom)?;
    Ok(u64::try_from(mail.raw.len())?)
}
