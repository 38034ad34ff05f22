//! Attacks of somebody who writes into the mailboxes, in anyone's name and with nobody's key.

use super::field::{ATTACKER, Field};
use super::findings::Findings;
use super::forge::Forger;
use super::reader::{fault, has_to_report};
use super::{Adversary, Attack, Means};
use crate::random;
use anyhow::Context as _;
use jiff::SignedDuration;
use mailfmt::crypto::Credential;
use mailfmt::message::command::PingRequest;
use mailfmt::{Command, Message};
use monitor_appliance::keyring::Keyring;
use monitor_appliance::mail_agent::{Filed, file_mail};
use std::path::Path;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        threat: "a forged sender, a look-alike center",
        adversary: Adversary::Writer,
        tried: "commands and reports with the right addresses and ids under keys of his own",
        means: Means::Field(forged_sender),
    },
    Attack {
        threat: "a forged version report",
        adversary: Adversary::Writer,
        tried: "reports of another version: under his own key, copied, and passed off as another appliance's",
        means: Means::Field(forged_version),
    },
    Attack {
        threat: "replay of commands and reports",
        adversary: Adversary::Writer,
        tried: "every mail ten times, after a year, and after the journal was put back from a backup",
        means: Means::Field(replay),
    },
    Attack {
        threat: "denial: junk in front of a command",
        adversary: Adversary::Writer,
        tried: "3,000 mails before and behind one command, half of them right but for the key",
        means: Means::Field(junk_in_front),
    },
    Attack {
        threat: "endless data, bombs, floods of files",
        adversary: Adversary::Writer,
        tried: "mails beyond the limit, nesting without end, bombs in front of any key",
        means: Means::Field(endless_data),
    },
    Attack {
        threat: "mail loops and storms of automatic answers",
        adversary: Adversary::Writer,
        tried: "an automatic answer, a notification and our own mail back for each mail of either side",
        means: Means::Field(loops),
    },
    Attack {
        threat: "a flood fills disk or log",
        adversary: Adversary::Writer,
        tried: "3,000 junk mails and 500 copies of one authentic receipt",
        means: Means::Field(flood),
    },
];

pub(super) fn ping() -> Message {
    Message::Command(Command::Ping(PingRequest::default()))
}

/// Who has seen all mails of appliance `number`, but no key.
fn liar(field: &Field, number: u32) -> anyhow::Result<Forger> {
    let address = field.stage.mail.agent_address(number);
    Ok(Forger::center(field.introduction(number)?, &Credential::generate(&mut random()), &address))
}

fn forged_sender(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let mail = liar(field, 1)?.mail(&ping())?;
    findings.reason(&field.judged(1, &mail)?, "under another key");
    findings.answers(field.lay_before_appliance(1, &[mail])?);

    let introduction = field.introduction(1)?;
    let from = field.stage.mail.agent_address(1);
    let liar = Forger::appliance(introduction, &Credential::generate(&mut random()), &from);
    let unknown = Forger::agent(
        &"AGENT9999999".parse()?,
        &introduction.center,
        &introduction.credential,
        &from,
        &introduction.center_address,
    );
    let report = Message::Report(fault("forged", "Forged."));
    let (recorded, sent) = field.lay_before_center(&[liar.mail(&report)?, unknown.mail(&report)?])?;
    for reason in ["wrong key", "unknown sender"] {
        findings.reason(&format!("{recorded:?}"), reason);
    }
    findings.answers(sent);
    Ok(())
}

fn forged_version(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let center = field.stage.mail.center_address();
    // An authentic one, copied on its way.
    field
        .stage
        .center
        .run(&["versions", "request", "--agents", "AGENT0000001"])
        .or_else(|_| field.stage.center.run(&["versions", "request", "--all"]))?;
    field.center_turn()?;
    field.appliance_turn(1)?;
    field.appliance_turn(1)?;
    let copied = field.office()?.mails(&center).pop().context("a version report on its way")?.to_vec();
    field.settle()?;
    let before = field.knowledge()?;
    let report = Message::Report(mailfmt::Report::Version(version("6.6.06-6")?));
    let from = field.stage.mail.agent_address(1);
    let own = Forger::appliance(field.introduction(1)?, &Credential::generate(&mut random()), &from);
    // Under the key of appliance 2, in the name of appliance 1.
    let second = field.introduction(2)?;
    let passed_off = Forger::agent(
        &"AGENT0000001".parse()?,
        &second.center,
        &second.credential,
        &from,
        &second.center_address,
    );
    let (recorded, sent) = field.lay_before_center(&[own.mail(&report)?, passed_off.mail(&report)?])?;
    findings.reason(&format!("{recorded:?}"), "\"wrong key\": 2");
    findings.answers(sent);
    field.lay(&center, &vec![copied; 10])?;
    field.settle()?;
    findings.must(field.knowledge()? == before, "the center believes something else");
    findings.note("copies are repeats; what the center knows is as before");
    Ok(())
}

/// A report of this version with no modules.
pub(super) fn version(software: &str) -> anyhow::Result<mailfmt::message::report::VersionReportMessage> {
    Ok(mailfmt::message::report::VersionReportMessage {
        nonce: None,
        table: mailfmt::version_report::VersionReport {
            software: software.parse()?,
            rom: "1.5.08".parse()?,
            modules: Vec::new(),
        },
        hashes: std::collections::BTreeMap::new(),
        boot_id: "a boot".to_owned(),
    })
}

fn replay(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let address = field.stage.mail.agent_address(1);
    field.stage.center.run(&["ping", "AGENT0000001"])?;
    field.center_turn()?;
    let mails: Vec<Vec<u8>> = field.office()?.mails(&address).iter().map(|mail| mail.to_vec()).collect();
    let command = mails.first().context("the command in the mailbox")?.clone();
    let store = field.context(1, SignedDuration::ZERO)?.layout.store_file();
    let backup = field.stage.folder().join("store.backup");
    std::fs::copy(&store, &backup)?;
    field.settle()?;
    let answers = answers_to_pings(field)?;
    let reports = field.knowledge()?;
    field.lay(&address, &vec![command.clone(); 10])?;
    field.settle()?;
    findings.reason(&field.judged(1, &command)?, "came before");
    findings.must(field.knowledge()? == reports, "a repeated command was carried out again");
    let year = field.context(1, SignedDuration::from_hours(366 * 24))?;
    // Its journal has forgotten it by then.
    std::fs::copy(&backup, field.stage.folder().join("year.db"))?;
    findings.reason(&forgotten(field, &year, &backup, &command)?, "expired");
    // A box put back: what was made more than five weeks before the newest message is stale, and nothing is valid for so long.
    let soon = super::forge::now() + SignedDuration::from_hours(1);
    let old = field.center_of(1)?.later(-36 * 24).until(soon).mail(&ping())?;
    findings.reason(&field.judged(1, &old)?, "Stale");
    findings.must(answers_to_pings(field)? == answers, "more answers than commands");
    Ok(())
}

/// What the appliance says of a mail when its journal is that of a backup.
fn forgotten(
    field: &Field,
    context: &monitor_appliance::Context,
    backup: &Path,
    mail: &[u8],
) -> anyhow::Result<String> {
    let store = context.layout.store_file();
    let kept = field.stage.folder().join("store.kept");
    std::fs::rename(&store, &kept)?;
    std::fs::copy(backup, &store)?;
    let judged = field.judged_in(context, mail);
    std::fs::rename(&kept, &store)?;
    judged
}

fn answers_to_pings(field: &Field) -> anyhow::Result<usize> {
    let reports = field.stage.center.json(&["reports", "--kind", "health", "--last", "1000"])?;
    Ok(crate::world::entries(&reports).filter(|report| report["in_reply_to"].is_string()).count())
}

/// Junk of every kind, half of it right in everything but the key.
fn junk(field: &Field, count: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut mails = Vec::with_capacity(count);
    let nearly = liar(field, 1)?;
    for number in 0..count {
        mails.push(if number % 2 == 0 {
            nearly.mail(&ping())?
        } else {
            format!(
                "From: <{ATTACKER}>\r\nReply-To: <{ATTACKER}>\r\nSubject: Prize {number}\r\nReturn-Receipt-To: <{ATTACKER}>\r\n\
                 Disposition-Notification-To: <{ATTACKER}>\r\n\r\nYou have won. Answer at once.\r\n"
            )
            .into_bytes()
        });
    }
    Ok(mails)
}

fn junk_in_front(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let address = field.stage.mail.agent_address(1);
    let junk = junk(field, 3_000)?;
    let (front, behind) = junk.split_at(1_500);
    field.lay(&address, front)?;
    field.stage.center.run(&["ping", "AGENT0000001"])?;
    field.center_turn()?;
    field.lay(&address, behind)?;
    let before = field.handed_in()?;
    let answers = answers_to_pings(field)?;
    // One visit has an end; what is left is read by the next.
    for _ in 0..20 {
        field.appliance_turn(1)?;
    }
    let left = field.office()?.mailbox_len(&address);
    findings.must(left == 0, format!("{left} mails are left"));
    // The answer to the command is the only mail that left.
    findings.answers((field.handed_in()? - before).saturating_sub(1));
    field.settle()?;
    findings.must(answers_to_pings(field)? == answers + 1, "the command was not carried out once");
    findings.must(field.office()?.mailbox_len(ATTACKER) == 0, "the attacker got an answer");
    findings.note("the command amid them was carried out");
    Ok(())
}

fn endless_data(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(field.root(1).join("appliance.toml"))?;
    let head = format!("From: <{ATTACKER}>\r\nSubject: Device monitor command\r\n");
    let nested = head.clone() + &"Content-Type: message/rfc822\r\n\r\n".repeat(20_000);
    let boundaries = head.clone()
        + "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + &"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n".repeat(20_000);
    let mails = [
        nested.into_bytes(),
        boundaries.into_bytes(),
        (head.clone() + &"X: y\r\n".repeat(100_000)).into_bytes(),
    ];
    for mail in &mails {
        // By its subject it is ours, with nothing in it.
        findings.reason(&field.judged(1, mail)?, "attachment stripped by a gateway");
    }
    // Beyond what the appliance is set to take: never fetched.
    let small = text.replace("[script]", "[limits]\nmail_octets = 2_000_000\n[script]");
    std::fs::write(field.root(1).join("appliance.toml"), &small)?;
    let huge = [head.into_bytes(), vec![b'x'; 30_000_000]].concat();
    findings.reason(&field.judged(1, &huge)?, "too large");
    let begun = std::time::Instant::now();
    findings.answers(field.lay_before_appliance(1, &[&mails[..], &[huge]].concat())?);
    findings.must(begun.elapsed().as_secs() < 20, format!("it took {} s", begun.elapsed().as_secs()));
    let (recorded, sent) = field.lay_before_center(&mails)?;
    findings.reason(&format!("{recorded:?}"), "attachment stripped by a gateway");
    findings.answers(sent);
    // A bomb under the right key, which the thief of a credential has.
    let bomb = Message::Report(mailfmt::Report::Unknown {
        kind: "bomb".to_owned(),
        body: serde_json::Value::String("a".repeat(40_000_000)),
    });
    let (recorded, sent) = field.lay_before_center(&[field.appliance(2)?.mail(&bomb)?])?;
    findings.reason(&format!("{recorded:?}"), "unreadable payload");
    findings.answers(sent);
    Ok(())
}

/// What mail programs write by themselves when they get this mail.
fn automatic_answers(mail: &[u8], to: &str) -> Vec<Vec<u8>> {
    let quoted = String::from_utf8_lossy(mail).into_owned();
    let head = format!("From: <{ATTACKER}>\r\nTo: <{to}>\r\n");
    vec![
        format!("{head}Subject: Out of office\r\nAuto-Submitted: auto-replied\r\n\r\nBack on Monday.\r\n").into_bytes(),
        format!("{head}Subject: Re: yours\r\nPrecedence: bulk\r\nX-Autoreply: yes\r\n\r\n{quoted}").into_bytes(),
        format!(
            "{head}Subject: Read\r\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n\
             --b\r\n\r\nRead.\r\n--b--\r\n"
        )
        .into_bytes(),
        mail.to_vec(),
    ]
}

fn loops(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let (center, site) = (field.stage.mail.center_address(), field.stage.mail.agent_address(1));
    has_to_report(field, 1, fault("loop", "Jam."))?;
    field.appliance_turn(1)?;
    let reports = field.office()?.mails(&center);
    field.center_turn()?;
    let receipts = field.office()?.mails(&site);
    field.settle()?;
    // Each side's own mails come back to it, with automatic answers to them.
    let back: Vec<Vec<u8>> = reports.iter().flat_map(|mail| automatic_answers(mail, &site)).collect();
    let back = [&back[..]; 25].concat();
    for mail in back.iter().take(4) {
        let judged = field.judged(1, mail)?;
        findings.must(judged != "accepted" && judged != "receipt", format!("taken as {judged}"));
    }
    findings.answers(field.lay_before_appliance(1, &back)?);
    let back: Vec<Vec<u8>> = receipts.iter().flat_map(|mail| automatic_answers(mail, &center)).collect();
    let (recorded, sent) = field.lay_before_center(&[&back[..]; 25].concat())?;
    // Automatic answers are noted as returned mail, our own mail is nobody's.
    findings.reason(&format!("{recorded:?}"), "unknown sender");
    findings.answers(sent);
    findings.must(field.office()?.mailbox_len(ATTACKER) == 0, "the attacker got an answer");
    Ok(())
}

fn flood(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    has_to_report(field, 1, fault("flood", "Jam."))?;
    field.appliance_turn(1)?;
    field.center_turn()?;
    let site = field.stage.mail.agent_address(1);
    let receipt = field.office()?.mails(&site).pop().context("a receipt")?.to_vec();
    field.settle()?;
    let context = field.context(1, SignedDuration::ZERO)?;
    let (mut store, keyring) = (context.open_store()?, Keyring::load(&context)?);
    // With what waits in the journal beside it.
    let size = |path: &Path| {
        let octets = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        octets(path) + octets(&path.with_extension("db-wal"))
    };
    let (file, fleet) = (context.layout.store_file(), field.stage.center.home().join("fleet.db"));
    let before = (size(&file), size(&fleet));
    for _ in 0..500 {
        let filed = file_mail(&mut store, &context, &keyring, &receipt)?;
        findings.must(filed == Filed::Receipt(false), format!("a copy was filed as {filed:?}"));
    }
    drop(store);
    let junk = junk(field, 3_000)?;
    field.lay(&site, &junk)?;
    for _ in 0..10 {
        field.appliance_turn(1)?;
    }
    let (_, sent) = field.lay_before_center(&junk)?;
    findings.answers(sent);
    let grown = (size(&file).saturating_sub(before.0) + size(&fleet).saturating_sub(before.1)) / 1000;
    findings.must(grown < 1_000, format!("stores grew by {grown} kB"));
    findings.note(format!("both stores together grew by {grown} kB"));
    Ok(())
}
