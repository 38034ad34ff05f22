//! A mailbox full of junk, forgeries and bombs, with one real mail behind them.

use super::play::{all_receipted, eager, modules, peak_mib, play, reports, text};
use super::voice::{Voice, now};
use anyhow::{Context as _, ensure};
use mailfmt::message::report::{FaultReport, HealthReport};
use mailfmt::message::{CounterRequest, DeviceId, FaultClass, UpdateOrder};
use mailfmt::{Command, Digest, Message, Report, SoftwareVersion};
use sandbox::post_office::PostOffice;
use sandbox::world::{PATIENCE, Stage, entries, eventually};
use serde_json::Value;
use std::collections::BTreeSet;

const VICTIM: &str = "victim@elsewhere.example";
/// What the appliances are set to take; the largest junk mail is larger.
const MAIL_MAX: usize = 2_000_000;

fn office(stage: &Stage) -> anyhow::Result<&PostOffice> {
    stage.post_office.as_ref().context("a post office of our own")
}

/// Mails of every kind that fills a mailbox, said to come from `from`.
fn junk(from: &str, to: &str, count: usize) -> Vec<Vec<u8>> {
    let head =
        |extra: &str| format!("From: {from}\r\nTo: {to}\r\nSubject: Device monitor command\r\n{extra}");
    let mail = |number: usize| -> Vec<u8> {
        match number % 12 {
            0 => format!("{}\r\nBuy now, number {number}.\r\n", head("")).into_bytes(),
            1 => format!("{}\r\n", head("Auto-Submitted: auto-replied\r\nX-Autoreply: yes\r\n")).into_bytes(),
            2 => Vec::new(),
            3 => (0..=255).cycle().take(3000).collect(),
            4 => b"\r\n\r\n\r\n".to_vec(),
            5 => head(&"X-Filler: none\r\n".repeat(3000)).into_bytes(),
            6 => head(&format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\nx\r\n".repeat(5000))).into_bytes(),
            7 => format!("{}\r\n{}", head("Content-Type: message/rfc822\r\n"), head("Content-Type: message/rfc822\r\n\r\n").repeat(200)).into_bytes(),
            8 => attached(from, to, b"MFE1 and nothing that follows"),
            9 => attached(from, to, &[b"MFE1".as_slice(), &[0xff; 400]].concat()),
            10 => format!(
                "{}\r\n--b\r\nContent-Type: text/plain\r\n\r\nNo such user.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
                 Reporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; {to}\r\nAction: failed\r\nStatus: 5.1.1\r\n--b--\r\n",
                head("Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n")
            )
            .into_bytes(),
            _ => attached(from, to, &vec![b'A'; 300_000]),
        }
    };
    (0..count).map(mail).collect()
}

fn attached(from: &str, to: &str, octets: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(octets);
    let lines: String =
        text.as_bytes().chunks(76).map(|line| format!("{}\r\n", String::from_utf8_lossy(line))).collect();
    format!(
        "From: {from}\r\nTo: {to}\r\nSubject: Device monitor command\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nHello.\r\n\
         --b\r\nContent-Type: application/octet-stream; name=\"message.bin\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"message.bin\"\r\n\r\n{lines}--b--\r\n"
    )
    .into_bytes()
}

/// A payload of 40 MB that deflates to some 40 KB.
fn bomb() -> Value {
    Value::String("a".repeat(40_000_000))
}

/// What is laid into the mailbox of a site in front of the real command.
fn bad_commands(stage: &Stage, number: u32) -> anyhow::Result<Vec<Vec<u8>>> {
    let counters = Message::Command(Command::Counters(CounterRequest::default()));
    let order = |digest| UpdateOrder {
        package: Digest::of(b"no package"),
        target: SoftwareVersion::new("6.6.06-6").expect("a version"),
        enclosure: digest,
        enclosure_octets: 10,
        content_key: mailfmt::crypto::ContentKey::generate(&mut sandbox::random()),
        permit: None,
        parts: None,
        approval: None,
    };
    let update = Message::Command(Command::Update(order(Digest::of(b"0123456789"))));
    let (center, liar) = (Voice::of_center(stage, number)?, Voice::of_false_center(stage, number)?);
    let other = Voice::of_center(stage, 3 - number)?;
    let thief = Voice::of_thief(stage, number)?;
    let whole = center.mail(&counters, 501)?;
    let exploding = Message::Command(Command::Unknown { kind: "explode".to_owned(), body: bomb() });
    // Mirrored: what this very appliance could have sent to its center.
    let mirrored = Voice::of_site(stage, number)?.mail(&fault("mirrored"), 1)?;
    Ok(vec![
        liar.mail(&counters, 1)?,
        liar.mail_with(&update, 2, b"0123456789")?,
        thief.mail(&counters, 506)?,
        thief.mail_with(&update, 507, b"0123456789")?,
        center.expired_mail(&counters, 502)?,
        center.expired_mail(&update, 503)?,
        other.mail(&counters, 504)?,
        whole[..whole.len() / 2].to_vec(),
        whole[..whole.len() - 60].to_vec(),
        center.mail(&exploding, 505)?,
        mirrored,
        vec![b'x'; MAIL_MAX + 1_000_000],
    ])
}

fn fault(episode: &str) -> Message {
    let device = DeviceId { vendor: "Forger".to_owned(), model: "F1".to_owned(), serial: "0".to_owned() };
    Message::Report(Report::Fault(FaultReport {
        device,
        episode: episode.to_owned(),
        class: FaultClass::ServiceRequired,
        code: "forged".to_owned(),
        group: "other".to_owned(),
        severity: "critical".to_owned(),
        description: "\u{1b}[2Jforged".to_owned(),
        since: now(),
    }))
}

#[test]
fn one_real_command_behind_a_mountain_of_junk_is_carried_out() {
    play(&[eager(1), eager(2)], |stage| {
        office(stage)?.add_mailbox(VICTIM, "x");
        for site in &stage.sites {
            let file = site.root.join("appliance.toml");
            let settings = std::fs::read_to_string(&file)?;
            std::fs::write(&file, format!("{settings}\n[limits]\nmail_octets = {MAIL_MAX}\n"))?;
            lay_into_mailbox(stage, site.number)?;
        }
        let addresses = [1, 2].map(|number| stage.mail.agent_address(number));
        let laid = addresses
            .each_ref()
            .map(|address| stage.post_office.as_ref().map_or(0, |office| office.mailbox_len(address)));
        stage.center.start()?;
        stage.center.run(&["counters", "request", "--all"])?;
        for (address, laid) in addresses.iter().zip(laid) {
            eventually("the command behind the junk", PATIENCE, || {
                Ok((office(stage)?.mailbox_len(address) > laid).then_some(()))
            })?;
            // The same mail again, octet for octet.
            let real = office(stage)?.mails(address).pop().context("a mail")?;
            office(stage)?.inject(address, &real);
        }
        stage.sites.iter_mut().try_for_each(sandbox::world::Site::start)?;
        for number in [1, 2] {
            let address = stage.mail.agent_address(number);
            eventually("the answer to the one real command", PATIENCE, || {
                Ok(reports(stage, number, "counters")?.pop())
            })?;
            eventually("an empty mailbox", PATIENCE, || {
                Ok((office(stage)?.mailbox_len(&address) == 0).then_some(()))
            })?;
            all_receipted(stage, number)?;
            only_the_real_command_was_answered(stage, number)?;
        }
        Ok(())
    });
}

fn lay_into_mailbox(stage: &Stage, number: u32) -> anyhow::Result<()> {
    let address = stage.mail.agent_address(number);
    let bad = bad_commands(stage, number)?;
    let junk = [junk(VICTIM, &address, 200), bad, junk(&stage.mail.center_address(), &address, 100)].concat();
    for mail in junk {
        ensure!(office(stage)?.inject(&address, &mail), "there is a mailbox");
    }
    Ok(())
}

fn only_the_real_command_was_answered(stage: &Stage, number: u32) -> anyhow::Result<()> {
    let agent = format!("AGENT{number:07}");
    let all = stage.center.json(&["reports", "--agent", &agent, "--last", "1000"])?;
    let kinds: BTreeSet<_> = entries(&all).map(|report| text(report, "kind")).collect();
    // What a printer has to tell by itself is no answer.
    let expected = BTreeSet::from(["counters", "fault", "fault-cleared", "health", "version-report"]);
    ensure!(kinds.is_subset(&expected), "{agent} told {kinds:?}");
    let versions = reports(stage, number, "version-report")?.len();
    ensure!(versions <= 1, "the center's first question has one answer, not {versions}");
    ensure!(reports(stage, number, "counters")?.len() == 1, "the repeated command has one answer");
    ensure!(office(stage)?.mailbox_len(VICTIM) == 0, "junk was answered");
    let discarded = stage.center.json(&["reports", "--discarded"])?;
    ensure!(entries(&discarded).next().is_none(), "the center got what is no report: {discarded}");
    let site = &stage.sites[number as usize - 1];
    let agent_of_mail = modules(site).into_iter().find(|(name, _)| name == "mail-agent");
    let (_, pid) = agent_of_mail.context("mail-agent runs")?;
    let peak = peak_mib(pid)?;
    ensure!(peak < 200, "mail-agent had {peak} MiB");
    Ok(())
}

#[test]
fn forged_reports_do_not_change_what_the_center_knows() {
    play(&[eager(1), eager(2)], |stage| {
        let center = stage.mail.center_address();
        office(stage)?.add_mailbox(VICTIM, "x");
        stage.start()?;
        stage.hear_from_all()?;
        // A real report, kept by somebody who reads the line.
        stage.center.stop();
        stage.printer(1, 1)?.jam();
        let heard = eventually("a report in the center's mailbox", PATIENCE, || {
            Ok(office(stage)?.mails(&center).into_iter().next_back())
        })?;
        stage.center.start()?;
        super::play::jams_become(stage, 1, 1, 1)?;
        all_receipted(stage, 1)?;
        stage.sites.iter_mut().for_each(sandbox::world::Site::stop);
        let before = knowledge(stage)?;

        for mail in forged_reports(stage, &heard)? {
            ensure!(office(stage)?.inject(&center, &mail), "there is a mailbox");
        }
        eventually("an empty mailbox at the center", PATIENCE, || {
            Ok((office(stage)?.mailbox_len(&center) == 0).then_some(()))
        })?;
        let after = knowledge(stage)?;
        ensure!(before == after, "before: {before:#}\nafter: {after:#}");
        ensure!(office(stage)?.mailbox_len(VICTIM) == 0, "junk was answered");
        let discarded = stage.center.json(&["reports", "--discarded"])?;
        let count: u64 = entries(&discarded).filter_map(|line| line.get("count")?.as_u64()).sum();
        ensure!(count >= 100, "only {count} were counted: {discarded}");

        // It still listens to who has the key.
        let health = Voice::of_site(stage, 2)?.mail(&health(), 5000)?;
        office(stage)?.inject(&center, &health);
        eventually("a real report behind them", PATIENCE, || Ok(reports(stage, 2, "health")?.pop()))?;
        Ok(())
    });
}

fn forged_reports(stage: &Stage, heard: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
    let center = stage.mail.center_address();
    let exploding = Message::Report(Report::Unknown { kind: "explode".to_owned(), body: bomb() });
    let own_command = Message::Command(Command::Counters(CounterRequest::default()));
    let liar = Voice::of_false_site(stage, 1)?;
    let real = Voice::of_site(stage, 1)?;
    let whole = real.mail(&fault("cut"), 900)?;
    let mut bad = vec![
        liar.mail(&fault("wrong key"), 1)?,
        Voice::of_unknown_site(stage)?.mail(&fault("unknown site"), 1)?,
        real.expired_mail(&fault("too old"), 901)?,
        real.mail(&exploding, 902)?,
        real.mail(&own_command, 903)?,
        Voice::of_center(stage, 1)?.mail(&own_command, 904)?,
        whole[..whole.len() / 2].to_vec(),
        heard.to_vec(),
        heard.to_vec(),
    ];
    bad.extend(junk(VICTIM, &center, 60));
    bad.extend(junk(&stage.mail.agent_address(1), &center, 60));
    Ok(bad)
}

fn health() -> Message {
    Message::Report(Report::Health(HealthReport {
        software: SoftwareVersion::new("1.0.00-1").expect("a version"),
        uptime_secs: 1,
        boot_id: "a boot".to_owned(),
        devices: 1,
        devices_answering: 1,
        reports_waiting: 0,
        reports_expired: 0,
        junk: 0,
        sequence_seen: 1,
        last_fetch: None,
        standing: None,
        mangled: Default::default(),
        commands: None,
    }))
}

/// What the center knows of its fleet, without what it says about repeats.
fn knowledge(stage: &Stage) -> anyhow::Result<Value> {
    let mut reports = stage.center.json(&["reports", "--last", "1000"])?;
    for report in reports.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        report.remove("repeats");
        report.remove("receipt");
    }
    Ok(serde_json::json!({
        "reports": reports,
        "faults": stage.center.json(&["faults", "--all"])?,
        "devices": stage.center.json(&["devices"])?,
        "versions": stage.center.json(&["versions", "show"])?,
    }))
}
