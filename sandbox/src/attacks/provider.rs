//! Attacks of whoever carries the mail: he delays, drops, repeats, reorders and rewrites.

use super::field::Field;
use super::findings::Findings;
use super::reader::{fault, has_to_report};
use super::writer::ping;
use super::{Adversary, Attack, Means};
use crate::post_office::{Fault, Rule, Service, Stage as At};
use crate::world::entries;
use jiff::SignedDuration;
use mailfmt::Report;
use monitor_appliance::Context;
use monitor_appliance::clock::Reading;
use monitor_appliance::context::system_clock;
use monitor_appliance::keyring::Keyring;
use monitor_appliance::mail_agent::{self, Filed, file_mail};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        threat: "freeze: mail is withheld",
        adversary: Adversary::Provider,
        tried: "nothing of the center delivered for eight days",
        means: Means::Field(freeze),
    },
    Attack {
        threat: "a mail comes twice",
        adversary: Adversary::Provider,
        tried: "every mail four times, in both directions",
        means: Means::Field(duplicates),
    },
    Attack {
        threat: "mails overtake each other",
        adversary: Adversary::Provider,
        tried: "all 120 orders of five commands",
        means: Means::Field(orders),
    },
    Attack {
        threat: "mails are rewritten, stripped, quarantined",
        adversary: Adversary::Provider,
        tried: "what servers and scanners do to mails on their way",
        means: Means::Field(rewriting),
    },
    Attack {
        threat: "the provider locks us out for our volume",
        adversary: Adversary::Provider,
        tried: "every mail refused as over the quota for a day",
        means: Means::Field(lock_out),
    },
    Attack {
        threat: "greylisting and long queues",
        adversary: Adversary::Provider,
        tried: "each mail turned away twice, then held for four days",
        means: Means::Field(greylisting),
    },
    Attack {
        threat: "slow retrieval",
        adversary: Adversary::Provider,
        tried: "a mailbox that gives twenty octets in a second",
        means: Means::Field(slow),
    },
    Attack {
        threat: "a wrong clock",
        adversary: Adversary::Provider,
        tried: "old orders to boxes whose clocks are ten years off in either direction",
        means: Means::Field(wrong_clock),
    },
];

fn rules(field: &Field, rules: Vec<Rule>) -> anyhow::Result<()> {
    field.stage.block_on(async { field.office().map(|office| office.set_faults(rules)) })
}

fn known_faults(field: &Field) -> anyhow::Result<usize> {
    Ok(entries(&field.stage.center.json(&["faults", "--all"])?).count())
}

fn freeze(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    has_to_report(field, 1, fault("freeze", "Jam."))?;
    field.settle()?;
    rules(field, vec![Rule::always(Fault::Lose).to(&field.stage.mail.agent_address(1))])?;
    for days in [5, 8] {
        let context = field.context(1, SignedDuration::from_hours(24 * days))?;
        let visits = field.office()?.stats().logins.imap;
        let (stop, shutdown) = monitor_appliance::shutdown();
        field.stage.block_on(async {
            let agent = tokio::spawn(mail_agent::run(context, shutdown));
            // It looks whether there was anything fresh before it looks for mail.
            while field.office().is_ok_and(|office| office.stats().logins.imap == visits)
                && !agent.is_finished()
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            stop.request();
            agent.await
        })??;
        let told = field.reports(1)?.into_iter().any(
            |report| matches!(report, Report::Alarm(alarm) if alarm.alarm == "nothing-fresh" && !alarm.over),
        );
        findings.must(told == (days == 8), format!("after {days} days an alarm: {told}"));
    }
    findings.note("after seven days without a fresh word an alarm");
    Ok(())
}

fn duplicates(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let (faults, reports) = (known_faults(field)?, reports(field)?);
    rules(field, vec![Rule::always(Fault::Copies { extra: 3 })])?;
    has_to_report(field, 1, fault("twice", "Jam."))?;
    field.stage.center.run(&["ping", "AGENT0000001"])?;
    for _ in 0..3 {
        field.center_turn()?;
        field.appliance_turn(1)?;
    }
    rules(field, Vec::new())?;
    field.settle()?;
    findings.must(known_faults(field)? == faults + 1, "the fault was not filed once");
    findings.must(self::reports(field)? == reports + 2, "not one fault and one answer were filed");
    findings.note("one fault filed, one command answered");
    Ok(())
}

fn reports(field: &Field) -> anyhow::Result<usize> {
    Ok(entries(&field.stage.center.json(&["reports", "--last", "1000"])?).count())
}

/// All orders of the numbers below `count`.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(count - 1);
    shorter
        .iter()
        .flat_map(|order| {
            (0..count).map(|place| {
                let mut order = order.clone();
                order.insert(place, count - 1);
                order
            })
        })
        .collect()
}

fn orders(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let context = field.context(1, SignedDuration::ZERO)?;
    let (mut store, keyring) = (context.open_store()?, Keyring::load(&context)?);
    let mut sequence = 600;
    for order in permutations(5) {
        let mut mails = Vec::new();
        for place in 0..5 {
            mails.push(field.center_of(1)?.numbered(sequence + place).mail(&ping())?);
        }
        sequence += 5;
        for place in order {
            let Some(mail) = mails.get(place) else { continue };
            let filed = file_mail(&mut store, &context, &keyring, mail)?;
            findings.must(filed == Filed::Accepted, format!("filed as {filed:?}"));
        }
    }
    findings.note("each of 600 commands carried out once, whatever came before it");
    Ok(())
}

/// What happens to mails on their way, and whether they can be read afterwards.
fn rewritten(raw: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let text = String::from_utf8_lossy(raw).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text.as_str(), ""));
    vec![
        ("bare line feeds", text.replace("\r\n", "\n").into_bytes()),
        ("more headers", format!("X-Spam: 5\r\nReceived: by scanner\r\n{text}").into_bytes()),
        ("another subject", text.replace("Subject: ", "Subject: [SUSPICIOUS] ").into_bytes()),
        ("another name of the file", text.replace("message.bin", "attachment-removed.dat").into_bytes()),
        ("a footer", format!("{text}\r\n--\r\nScanned by nobody.\r\n").into_bytes()),
        (
            "wrapped",
            format!(
                "Subject: Fwd\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\n\
                 Content-Type: text/plain\r\n\r\nExternal sender.\r\n--outer\r\n{}\r\n\r\n{body}\r\n--outer--\r\n",
                head.lines().skip_while(|line| !line.starts_with("Content-Type")).collect::<Vec<_>>().join("\r\n")
            )
            .into_bytes(),
        ),
        ("the attachment stripped", format!("{head}\r\n\r\nA file was removed.\r\n").into_bytes()),
        ("cut in the middle", raw.get(..raw.len() / 2).unwrap_or_default().to_vec()),
        ("one letter damaged", damaged(&text)),
    ]
}

/// With another letter in the last full line of the attachment.
fn damaged(text: &str) -> Vec<u8> {
    let mut octets = text.as_bytes().to_vec();
    let place = octets.len().saturating_sub(160);
    if let Some(letter) = octets.iter_mut().skip(place).find(|octet| octet.is_ascii_lowercase()) {
        *letter = if *letter == b'a' { b'b' } else { b'a' };
    }
    octets
}

fn rewriting(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let whole = field.center_of(1)?.mail(&ping())?;
    for (what, mail) in rewritten(&whole) {
        let judged = field.judged(1, &mail)?;
        match what {
            // What is left says whose it was.
            "the attachment stripped" => findings.reason(&judged, "attachment stripped by a gateway"),
            "one letter damaged" => findings.reason(&judged, "changed after it was sealed"),
            "cut in the middle" => {
                let junk = ["cut or damaged on its way", "a damaged message"];
                findings.must(junk.contains(&judged.as_str()), format!("{what}: {judged}"));
            }
            _ => findings.must(judged == "accepted", format!("{what}: {judged}")),
        }
    }
    findings.note("six of nine are read as they were sent, three are told and refused");
    Ok(())
}

fn lock_out(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let site = field.stage.mail.agent_address(1);
    let full = Fault::Reject { code: 452, text: "4.5.3 over the daily quota".to_owned(), at: At::Recipient };
    rules(field, vec![Rule::always(full).sent_by(&site)])?;
    has_to_report(field, 1, fault("quota", "Jam."))?;
    let before = field.office()?.stats().refused;
    let faults = known_faults(field)?;
    // Every ten minutes for a day.
    for turn in 0..144 {
        field.turn_of(&field.context(1, SignedDuration::from_mins(10 * turn))?)?;
    }
    let tries = field.office()?.stats().refused - before;
    findings.must((1..=48).contains(&tries), format!("{tries} tries in a day"));
    rules(field, Vec::new())?;
    field.turn_of(&field.context(1, SignedDuration::from_hours(30))?)?;
    field.center_turn()?;
    findings.must(known_faults(field)? == faults + 1, "the report never arrived");
    findings.note(format!("{tries} tries in a day, and the report arrived afterwards"));
    Ok(())
}

fn greylisting(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let center = field.stage.mail.center_address();
    let faults = known_faults(field)?;
    rules(field, vec![Rule::always(Fault::Greylist { tries: 2 }).to(&center)])?;
    has_to_report(field, 1, fault("grey", "Jam."))?;
    for hours in 0..4 {
        field.turn_of(&field.context(1, SignedDuration::from_hours(hours))?)?;
    }
    field.center_turn()?;
    findings.must(known_faults(field)? == faults + 1, "the fault was not filed once");
    rules(field, Vec::new())?;
    field.settle()?;
    // A command that was four days in a queue is still valid for as long as it says.
    let in_a_week = super::forge::now() + SignedDuration::from_hours(7 * 24);
    let held = field.center_of(1)?.until(in_a_week);
    let mail = held.mail(&ping())?;
    findings.must(
        field.judged_in(&field.context(1, SignedDuration::from_hours(96))?, &mail)? == "accepted",
        "a command that was four days in a queue is lost",
    );
    findings.note("filed once; a command of four days ago is still carried out");
    Ok(())
}

fn slow(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let file = field.root(2).join("appliance.toml");
    let context = field.context(2, SignedDuration::ZERO)?;
    let mut settings = (*context.settings).clone();
    settings.mail_limits.overall = Duration::from_secs(4);
    let context = Context::new(context.layout, settings, Arc::new(system_clock));
    for service in [Service::Pop3, Service::Imap] {
        let slow = Rule::always(Fault::Slow { octets_per_second: 20 }).on(service);
        rules(field, vec![slow])?;
        let begun = Instant::now();
        field.turn_of(&context)?;
        let took = begun.elapsed().as_secs();
        findings.must(took < 20, format!("it took {took} s"));
    }
    findings.must(file.exists(), "its settings are gone");
    rules(field, Vec::new())?;
    field.stage.center.run(&["ping", "AGENT0000002"])?;
    field.settle()?;
    findings.note("left at the overall limit; the next visit reads everything");
    Ok(())
}

fn wrong_clock(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let day = 24;
    let held_back = field.center_of(1)?.later(-2 * day).mail(&ping())?;
    let fresh = field.center_of(1)?.mail(&ping())?;
    for years in [-10i64, 10] {
        let off = SignedDuration::from_hours(years * 365 * day);
        let context = field.context(1, SignedDuration::ZERO)?;
        // Another boot, so nothing that was proven before counts.
        let clock = move || {
            let reading = system_clock();
            Reading {
                wall: reading.wall + off,
                since_boot: Duration::from_secs(60),
                boot: Arc::from("a new boot"),
            }
        };
        let context = Context::new(context.layout, (*context.settings).clone(), Arc::new(clock));
        let old = field.judged_in(&context, &held_back)?;
        findings.reason(&old, "expired");
        let new = field.judged_in(&context, &fresh)?;
        findings.must(
            ["accepted", "waits for a proven time"].contains(&new.as_str()),
            format!("a fresh order by a clock {years} years off: {new}"),
        );
    }
    findings.note("an order that expired stays so, a fresh one is not lost");
    Ok(())
}
