//! First contact: codes on paper, boxes that enrol by them, and whoever should not get in.

use super::play::{ONE_AT_A_TIME, tell, text};
use anyhow::{Context as _, ensure};
use sandbox::printers::{Printer, PrinterSettings, Recording};
use sandbox::world::{NewBox, PATIENCE, Pace, Paper, RunError, Site, Stage, entries, eventually};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, PoisonError};

/// A story with a center that runs, and mailboxes for some boxes.
fn play(boxes: u32, story: impl FnOnce(&mut Stage) -> anyhow::Result<()>) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stage = Stage::bare(boxes, None).unwrap();
    tell(&mut stage, |stage| {
        stage.center.start()?;
        story(stage)
    });
}

fn recording() -> anyhow::Result<Arc<Recording>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/printers");
    let whole = Recording::all_in(&folder)?.into_iter().find(|recording| recording.objects().len() > 500);
    whole.context("there are no whole recordings in testdata/printers")
}

/// A network of printers on neighbouring addresses; gives its range.
fn network(stage: &Stage, printers: u8) -> anyhow::Result<String> {
    let recording = recording()?;
    let mut port = 0;
    for number in 1..=printers {
        let bind = SocketAddr::from((Ipv4Addr::new(127, 0, 20, number), port));
        let settings = PrinterSettings { bind, ..PrinterSettings::default() };
        let printer = stage.block_on(Printer::start(Arc::clone(&recording), settings))?;
        printer.set_serial(&format!("N{number:05}"));
        port = printer.address().port();
        stage.office.add(&format!("network-printer{number}"), printer)?;
    }
    Ok(format!("127.0.20.1-127.0.20.{printers}:{port}"))
}

/// The box asked and was not answered.
fn is_not_answered(enrolled: anyhow::Result<Value>) -> anyhow::Result<()> {
    let error = enrolled.err().context("the box was admitted")?;
    let ended = error.downcast_ref::<RunError>().context("it did not even run")?;
    ensure!(ended.code == 3, "{ended}");
    ensure!(ended.stdout.contains("not-answered"), "{}", ended.stdout);
    Ok(())
}

fn impatient(number: u32) -> NewBox {
    NewBox { wait: 6, ..NewBox::plain(number) }
}

fn appliances(stage: &Stage) -> anyhow::Result<Vec<Value>> {
    Ok(entries(&stage.center.json(&["appliance", "list"])?).cloned().collect())
}

fn shown(stage: &Stage, paper: &Paper) -> anyhow::Result<Value> {
    stage.center.json(&["enrol", "show", &paper.id])
}

/// Why words under a code were not answered, with how many of each.
fn refusals(stage: &Stage, paper: &Paper) -> anyhow::Result<Vec<String>> {
    let shown = shown(stage, paper)?;
    let attempts = shown.get("attempts").context("`enrol show` names no attempts")?;
    Ok(entries(attempts).map(|attempt| text(attempt, "reason").to_owned()).collect())
}

/// Starts a box and waits until the center has heard of it under its formal credential.
fn is_heard(stage: &Stage, site: &mut Site, paper: &Paper, agent: &str) -> anyhow::Result<()> {
    site.start()?;
    eventually(&format!("a word of {agent} under its formal credential"), PATIENCE, || {
        let shown = shown(stage, paper)?;
        let enrolments = shown.get("enrolments").context("`enrol show` names no enrolments")?;
        let heard = entries(enrolments)
            .any(|one| text(one, "agent") == agent && one.get("confirmed").is_some_and(|at| !at.is_null()));
        Ok(heard.then_some(()))
    })
}

#[test]
fn a_site_with_twenty_printers_enrols_with_one_code_and_reports() {
    play(1, |stage| {
        let paper = stage.issue(&["--tag", "north"])?;
        let new = NewBox { ranges: vec![network(stage, 20)?], ..NewBox::plain(1) };
        let mut site = stage.new_box(1);
        let enrolled = stage.enrol(&site, &new, &paper)?;
        ensure!(text(&enrolled, "agent") == "AGENT0000001", "{enrolled}");
        ensure!(enrolled["devices"] == 20, "{enrolled}");
        let devices = stage.center.json(&["devices", "--agent", "AGENT0000001"])?;
        let serials: Vec<&str> = entries(&devices).map(|device| text(device, "serial")).collect();
        ensure!(serials.len() == 20 && serials.contains(&"N00001"), "{serials:?}");
        is_heard(stage, &mut site, &paper, "AGENT0000001")?;
        let listed = appliances(stage)?;
        ensure!(listed.len() == 1, "{listed:?}");
        for secret in [&paper.code, &paper.code.replace('-', "")] {
            ensure!(!stage.center.log().contains(secret.as_str()), "the code stands in the center's log");
            ensure!(!site.log().contains(secret.as_str()), "the code stands in the appliance's log");
        }
        Ok(())
    });
}

#[test]
fn three_stand_alone_agents_enrol_with_one_code_and_a_fourth_does_not() {
    play(4, |stage| {
        let paper = stage.issue(&["--uses", "3"])?;
        for number in 1..=3 {
            let site = stage.new_box(number);
            let enrolled = stage.enrol(&site, &NewBox::plain(number), &paper)?;
            ensure!(text(&enrolled, "agent") == format!("AGENT{number:07}"), "{enrolled}");
        }
        is_not_answered(stage.enrol(&stage.new_box(4), &impatient(4), &paper))?;
        ensure!(refusals(stage, &paper)?.iter().any(|why| why.contains("used up")), "the operator sees it");
        ensure!(appliances(stage)?.len() == 3);
        Ok(())
    });
}

#[test]
fn a_wrong_code_gets_no_answer_and_registers_nothing() {
    play(1, |stage| {
        let paper = stage.issue(&[])?;
        let wrong = "000G-40R4-0M30-E209-185G-R38E-1W15".to_owned();
        is_not_answered(stage.enrol(&stage.new_box(1), &impatient(1), &Paper { code: wrong, ..paper }))?;
        ensure!(appliances(stage)?.is_empty());
        let mailbox = stage.mail.agent_address(1);
        let office = stage.post_office.as_ref().context("an office of our own")?;
        ensure!(office.mailbox_len(&mailbox) == 0, "not a word came back");
        Ok(())
    });
}

#[test]
fn a_revoked_or_expired_code_gets_no_answer() {
    play(2, |stage| {
        let (revoked, expired) = (stage.issue(&[])?, stage.issue(&[])?);
        stage.center.run(&["enrol", "revoke", &revoked.id])?;
        let db = rusqlite::Connection::open(stage.center.home().join("fleet.db"))?;
        db.execute("UPDATE enrolment_code SET expires = issued + 1 WHERE id = ?1", (&expired.id,))?;
        for (number, paper, word) in [(1, &revoked, "revoked"), (2, &expired, "expired")] {
            is_not_answered(stage.enrol(&stage.new_box(number), &impatient(number), paper))?;
            ensure!(refusals(stage, paper)?.iter().any(|why| why.contains(word)), "the operator sees it");
        }
        ensure!(appliances(stage)?.is_empty());
        Ok(())
    });
}

#[test]
fn hellos_and_registrations_that_are_played_back_change_nothing() {
    play(1, |stage| {
        let paper = stage.issue(&["--uses", "2"])?;
        let center = stage.mail.center_address();
        stage.center.stop();
        let mut site = stage.new_box(1);
        // The first word waits in the center's mailbox, where a thief copies it; so does the second.
        is_not_answered(stage.enrol(&site, &impatient(1), &paper))?;
        let mut copied = mails(stage, &center)?;
        ensure!(!copied.is_empty(), "a hello");
        stage.center.start()?;
        eventually("the offer", PATIENCE, || {
            Ok((office(stage)?.mailbox_len(&stage.mail.agent_address(1)) > 0).then_some(()))
        })?;
        stage.center.stop();
        let resume = ["enrol", "--resume", "--no-questions", "--look-every", "200", "--wait", "6"];
        ensure!(site.run(&resume).is_err(), "the center is off");
        copied.extend(mails(stage, &center)?);
        ensure!(copied.len() >= 2, "a registration");
        stage.center.start()?;
        let resumed = site.json(&["enrol", "--resume", "--no-questions", "--look-every", "200"])?;
        ensure!(text(&resumed, "agent") == "AGENT0000001", "{resumed}");
        site.set_pace(Pace::default())?;
        is_heard(stage, &mut site, &paper, "AGENT0000001")?;
        let before = (appliances(stage)?.len(), shown(stage, &paper)?["enrolments"].clone());
        for _ in 0..3 {
            for mail in &copied {
                ensure!(office(stage)?.inject(&center, mail));
            }
        }
        eventually("the played back mails to be read", PATIENCE, || {
            Ok((office(stage)?.mailbox_len(&center) == 0).then_some(()))
        })?;
        let after = (appliances(stage)?.len(), shown(stage, &paper)?["enrolments"].clone());
        ensure!(after.0 == before.0 && after.0 == 1, "{after:?}");
        ensure!(entries(&after.1).count() == entries(&before.1).count(), "{after:?}");
        stage.center.run(&["versions", "request", "--all"])?;
        eventually("the appliance to answer as before", PATIENCE, || {
            let versions = stage.center.json(&["versions", "show"])?;
            Ok(entries(&versions).any(|entry| entry["software"].is_string()).then_some(()))
        })
    });
}

#[test]
fn the_same_box_keeps_its_id_and_gets_a_new_credential() {
    play(1, |stage| {
        let (first, second) = (stage.issue(&[])?, stage.issue(&[])?);
        let mut site = stage.new_box(1);
        let before = text(&stage.enrol(&site, &NewBox::plain(1), &first)?, "agent").to_owned();
        let credential = std::fs::read_to_string(site.root.join("secrets/credential"))?;
        is_heard(stage, &mut site, &first, &before)?;
        site.stop();
        let again = NewBox { further: vec!["--replace".to_owned()], ..NewBox::plain(1) };
        let enrolled = stage.enrol(&site, &again, &second)?;
        ensure!(text(&enrolled, "agent") == before, "{enrolled}");
        ensure!(std::fs::read_to_string(site.root.join("secrets/credential"))? != credential);
        is_heard(stage, &mut site, &second, &before)?;
        ensure!(appliances(stage)?.len() == 1);
        Ok(())
    });
}

#[test]
fn a_new_box_takes_over_from_the_one_that_it_replaces() {
    play(2, |stage| {
        let first = stage.issue(&[])?;
        let mut old = stage.new_box(1);
        let agent = text(&stage.enrol(&old, &NewBox::plain(1), &first)?, "agent").to_owned();
        is_heard(stage, &mut old, &first, &agent)?;
        old.stop();
        let paper = stage.issue(&["--replaces", &agent])?;
        let mut new = stage.new_box(2);
        let enrolled = stage.enrol(&new, &NewBox::plain(2), &paper)?;
        ensure!(text(&enrolled, "agent") == agent, "{enrolled}");
        is_heard(stage, &mut new, &paper, &agent)?;
        let listed = appliances(stage)?;
        ensure!(listed.len() == 1, "{listed:?}");
        Ok(())
    });
}

fn office(stage: &Stage) -> anyhow::Result<&sandbox::post_office::PostOffice> {
    stage.post_office.as_ref().context("an office of our own")
}

fn mails(stage: &Stage, address: &str) -> anyhow::Result<Vec<Arc<[u8]>>> {
    Ok(office(stage)?.mails(address))
}
