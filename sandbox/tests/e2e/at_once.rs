//! Mail is noticed at once although it is looked for seldom, over one login; and where servers do not tell, it is still found.

use super::play::{all_receipted, jams_become, play, reports, text};
use anyhow::{Context as _, ensure};
use sandbox::post_office::{Fault, IdleFault, Outage, Rule, Service};
use sandbox::world::{Fetch, PATIENCE, Pace, Part, Stage, eventually};
use serde_json::Value;
use std::time::{Duration, Instant};

/// So long that no look by the clock falls into a story.
const SELDOM: u32 = 3600;
/// Far more than anything here takes on a slow machine, and far less than a look by the clock.
const AT_ONCE: Duration = Duration::from_secs(60);

fn told(mail_poll: u32) -> Part {
    let pace = Pace { mail_poll, answer_wait: SELDOM, resend_max: SELDOM, ..Pace::default() };
    Part { fetch: Fetch::Imap, pace, ..Part::plain(1) }
}

/// The center looks for mail as seldom as the appliance.
fn center_looks_every(stage: &Stage, secs: u32) -> anyhow::Result<()> {
    let path = stage.center.home().join("center.toml");
    let text = std::fs::read_to_string(&path)?;
    let changed = text.replace("poll_secs = 1\n", &format!("poll_secs = {secs}\n"));
    ensure!(changed != text, "the sandbox sets the center's interval");
    Ok(std::fs::write(&path, changed)?)
}

fn ping(stage: &Stage) -> anyhow::Result<Duration> {
    let known = reports(stage, 1, "health")?.len();
    let begun = Instant::now();
    stage.center.run(&["ping", "AGENT0000001"])?;
    eventually("the answer to a ping", PATIENCE, || {
        Ok((reports(stage, 1, "health")?.len() > known).then_some(()))
    })?;
    Ok(begun.elapsed())
}

fn manner<'a>(status: &'a Value, account: &str) -> &'a str {
    status.pointer(account).map_or("", |account| text(account, "manner"))
}

#[test]
fn emergencies_and_commands_travel_at_once_over_one_login_each() {
    play(&[told(SELDOM)], |stage| {
        center_looks_every(stage, SELDOM)?;
        stage.start()?;
        stage.hear_from_all()?;
        let begun = Instant::now();
        stage.printer(1, 1)?.jam();
        jams_become(stage, 1, 1, 1)?;
        all_receipted(stage, 1)?;
        ensure!(begun.elapsed() < AT_ONCE, "an emergency took {:?}", begun.elapsed());
        for _ in 0..5 {
            let took = ping(stage)?;
            ensure!(took < AT_ONCE, "a command took {took:?}");
        }
        let logins = stage.post_office.as_ref().context("our own post office")?.stats().logins;
        ensure!(logins.imap == 2, "{} logins by IMAP, one of each program was enough", logins.imap);
        ensure!(logins.smtp <= 6, "{} logins by SMTP for a dozen mails", logins.smtp);
        let (center, appliance) = (stage.center.json(&["status"])?, stage.site(1)?.json(&["status"])?);
        for account in [center.pointer("/accounts/0"), appliance.pointer("/noticing/0")] {
            let account = account.context("an account in the status")?;
            ensure!(text(account, "manner") == "idle" && account["session_open"] == true, "{account}");
            ensure!(account["logins_to_fetch"] == 1, "{account}");
        }
        Ok(())
    });
}

#[test]
fn servers_that_never_tell_or_say_good_bye_only_make_it_slower() {
    play(&[told(2)], |stage| {
        center_looks_every(stage, 2)?;
        // The interval at which a server that tells is looked at all the same.
        let path = stage.center.home().join("center.toml");
        let settings = std::fs::read_to_string(&path)?;
        std::fs::write(
            &path,
            settings.replacen("[[account]]", "[mail]\nidle_look_secs = 10\n\n[[account]]", 1),
        )?;
        let office = |stage: &Stage, faults| -> anyhow::Result<()> {
            let office = stage.post_office.as_ref().context("our own post office")?;
            stage.block_on(async { office.set_faults(faults) });
            Ok(())
        };
        office(stage, vec![Rule::always(Fault::Idle(IdleFault::NeverTells))])?;
        stage.start()?;
        stage.hear_from_all()?;
        ping(stage)?;
        eventually("the appliance to ask instead", PATIENCE, || {
            ping(stage)?;
            let status = stage.site(1)?.json(&["status"])?;
            Ok((manner(&status, "/noticing/0") == "asking").then_some(()))
        })?;
        office(stage, vec![Rule::always(Fault::Outage(Outage::Refuse)).on(Service::Imap)])?;
        office(stage, vec![Rule::always(Fault::Idle(IdleFault::SaysGoodBye))])?;
        ping(stage)?;
        stage.printer(1, 1)?.jam();
        jams_become(stage, 1, 1, 1)?;
        all_receipted(stage, 1)
    });
}
