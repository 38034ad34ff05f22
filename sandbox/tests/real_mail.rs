//! The main job over a real mail server, where the environment names one as `scripts/mailserver start` prints it.
//! The mailboxes `agent0001` to `agent0004` and the center's are emptied and used.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(dead_code, reason = "the stories told over the post office use more of what they share")]

#[path = "e2e/job.rs"]
mod job;
#[path = "e2e/play.rs"]
mod play;

use anyhow::{Context as _, ensure};
use mailbox::{Account, AccountSettings, FetchSession, Limits, Password, Protocol, Security, Server};
use play::{ONE_AT_A_TIME, all_receipted, jams_become, reports, text};
use sandbox::printers::{Printer, PrinterSettings, Recording};
use sandbox::world::{
    Door, Fetch, MailSite, NewBox, PATIENCE, Paper, Protection, Site, Stage, entries, eventually,
    printer_name,
};
use serde_json::Value;
use std::path::Path;
use std::sync::{Arc, PoisonError};

const SITES: u32 = 4;

/// The mail server that the environment names, with so many empty mailboxes; says so when there is none.
fn real_mail(sites: u32) -> Option<MailSite> {
    let Some(mail) = MailSite::from_environment().unwrap() else {
        println!("SKIPPED: MAILSERVER_HOST is not set; `scripts/mailserver start` starts a real mail server");
        return None;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        empty(&mail, &mail.center_address()).await;
        for number in 1..=sites {
            empty(&mail, &mail.agent_address(number)).await;
        }
    });
    Some(mail)
}

#[test]
fn the_main_job_over_real_mail_servers() {
    // Both stories use the same mailboxes.
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mail) = real_mail(SITES) else { return };
    let cast: Vec<_> = (1..=SITES).map(play::eager).collect();
    let mut stage = Stage::set(&cast, Some(mail)).unwrap();
    play::tell(&mut stage, |stage| {
        job::all_say_their_version(stage)?;
        job::a_jam_comes_and_goes_everywhere(stage)?;
        job::counters_are_the_printers_own(stage)?;
        job::all_are_updated_by_one_mail(stage)?;
        job::all_say_the_new_version(stage)
    });
}

#[test]
fn boxes_enrol_by_code_are_rotated_suspended_and_readmitted_over_real_mail_servers() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mail) = real_mail(2) else { return };
    let mut stage = Stage::bare(2, Some(mail)).unwrap();
    play::tell(&mut stage, |stage| {
        stage.center.start()?;
        for (number, fetch) in [(1, Fetch::Imap), (2, Fetch::Pop3)] {
            let paper = stage.issue(&[])?;
            let site = enrolled(stage, number, fetch, &paper)?;
            stage.sites.push(site);
            is_confirmed(stage, &paper)?;
        }
        stage.hear_from_all()?;
        both_get_a_new_credential(stage)?;
        the_first_is_suspended_and_readmitted(stage)
    });
}

/// A box with one printer, enrolled and started.
fn enrolled(stage: &Stage, number: u32, fetch: Fetch, paper: &Paper) -> anyhow::Result<Site> {
    let recordings = Recording::all_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/printers"))?;
    let whole = recordings.iter().find(|recording| recording.objects().len() > 500);
    let recording = Arc::clone(whole.context("there are no whole recordings in testdata/printers")?);
    let printer = stage.block_on(Printer::start(recording, PrinterSettings::default()))?;
    printer.set_serial(&format!("R{number:05}"));
    let address = printer.address();
    stage.office.add(&printer_name(number, 1), printer)?;
    let ranges = vec![format!("{}:{}", address.ip(), address.port())];
    let mut site = stage.new_box(number);
    let answer = stage.enrol(&site, &NewBox { fetch, ranges, ..NewBox::plain(number) }, paper)?;
    ensure!(text(&answer, "agent") == site.agent() && answer["devices"] == 1, "{answer}");
    site.start()?;
    Ok(site)
}

/// Waits for the first report under the formal credential.
fn is_confirmed(stage: &Stage, paper: &Paper) -> anyhow::Result<()> {
    eventually("a word under the formal credential", PATIENCE, || {
        let shown = stage.center.json(&["enrol", "show", &paper.id])?;
        let confirmed = shown.pointer("/enrolments/0/confirmed").is_some_and(|at| !at.is_null());
        Ok(confirmed.then_some(()))
    })
}

fn shown(stage: &Stage, number: u32) -> anyhow::Result<Value> {
    stage.center.json(&["appliance", "show", &format!("AGENT{number:07}")])
}

fn both_get_a_new_credential(stage: &mut Stage) -> anyhow::Result<()> {
    let credentials = |stage: &Stage| {
        let read = |site: &Site| std::fs::read_to_string(site.root.join("secrets/credential"));
        stage.sites.iter().map(read).collect::<Result<Vec<_>, _>>()
    };
    let before = credentials(stage)?;
    stage.center.run(&["appliance", "rotate", "--all"])?;
    for number in 1..=2 {
        eventually(&format!("the rotation of site {number}"), PATIENCE, || {
            let shown = shown(stage, number)?;
            Ok((shown.pointer("/rotations/0/state").and_then(Value::as_str) == Some("done")).then_some(()))
        })?;
    }
    let after = credentials(stage)?;
    ensure!(before.iter().all(|old| !after.contains(old)), "an old credential is held still");
    for number in 1..=2 {
        let known = reports(stage, number, "health")?.len();
        stage.center.run(&["ping", &format!("AGENT{number:07}")])?;
        eventually("the answer to a ping under the new credential", PATIENCE, || {
            Ok((reports(stage, number, "health")?.len() > known).then_some(()))
        })?;
    }
    Ok(())
}

fn the_first_is_suspended_and_readmitted(stage: &mut Stage) -> anyhow::Result<()> {
    all_receipted(stage, 1)?;
    stage.center.run(&["appliance", "suspend", "AGENT0000001", "--reason", "does not pay"])?;
    stage.printer(1, 1)?.jam();
    stage.printer(2, 1)?.jam();
    eventually("the suspended one to be turned away", PATIENCE, || {
        let turned_away = shown(stage, 1)?.pointer("/suspension/turned_away").and_then(Value::as_u64);
        Ok(turned_away.is_some_and(|mails| mails > 0).then_some(()))
    })?;
    jams_become(stage, 2, 1, 1)?;
    jams_become(stage, 1, 0, 0)?;
    ensure!(stage.unreceipted(1)? > 0, "it keeps what nobody took");
    stage.center.run(&["appliance", "readmit", "AGENT0000001"])?;
    jams_become(stage, 1, 1, 1)?;
    all_receipted(stage, 1)?;
    let listed = stage.center.json(&["appliance", "list"])?;
    ensure!(entries(&listed).count() == 2, "{listed}");
    Ok(())
}

/// Removes what others left in a mailbox.
async fn empty(mail: &MailSite, address: &str) {
    let server = |door: Door| {
        let security = match door.protection {
            Protection::Tls => Security::Tls,
            Protection::Starttls => Security::StartTls,
            Protection::Plain => Security::Plain,
        };
        Server { host: mail.host.clone(), port: door.port, security }
    };
    let settings = AccountSettings {
        name: "real".to_owned(),
        address: address.to_owned(),
        username: address.to_owned(),
        smtp: server(mail.smtp),
        fetch: Protocol::Imap,
        fetch_server: server(mail.imap),
        ca_file: mail.ca_file.clone(),
        hello_name: None,
        smtp_login: true,
        mail_octets_max: None,
        provider: None,
        limits: Default::default(),
        login: mailbox::Login::default(),
    };
    let account = Account::new(settings, Password::new(mail.password.clone()));
    let mut session = FetchSession::open(&account, &Limits::default()).await.unwrap();
    loop {
        let items = session.list().await.unwrap();
        session.delete(&items).await.unwrap();
        if items.len() < Limits::default().listing_max {
            break;
        }
    }
    session.finish().await.unwrap();
}
