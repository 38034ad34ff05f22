//! The main job with real gateways in the path: rspamd, ClamAV and postgrey, where the environment names them as
//! `scripts/gateways start` prints it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(dead_code, reason = "the stories told over the post office use more of what they share")]

#[path = "e2e/job.rs"]
mod job;
#[path = "e2e/play.rs"]
mod play;

use anyhow::{Context as _, ensure};
use mailbox::{
    Account, AccountSettings, Limits, OutgoingMail, Password, Protocol, RecipientOutcome, Security,
    SendError, Server, Submission,
};
use mailfmt::mail::is_about_content;
use play::ONE_AT_A_TIME;
use sandbox::world::{MailSite, PATIENCE, Stage, eventually};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

const SITES: u32 = 2;

/// The mail site behind the gateways, and their folder.
fn behind_gateways() -> Option<(MailSite, PathBuf)> {
    let (Some(mail), Some(root)) = (MailSite::from_environment().unwrap(), std::env::var_os("GATEWAYS_ROOT"))
    else {
        println!("SKIPPED: GATEWAYS_ROOT is not set; `scripts/gateways start` starts real gateways");
        return None;
    };
    Some((mail, PathBuf::from(root)))
}

fn log(root: &std::path::Path, name: &str) -> String {
    String::from_utf8_lossy(&std::fs::read(root.join(name)).unwrap_or_default()).into_owned()
}

#[test]
fn the_main_job_gets_through_rspamd_clamav_and_greylisting() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((mail, root)) = behind_gateways() else { return };
    let cast: Vec<_> = (1..=SITES).map(play::eager).collect();
    let mut stage = Stage::set(&cast, Some(mail)).unwrap();
    play::tell(&mut stage, |stage| {
        job::all_say_their_version(stage)?;
        job::a_jam_comes_and_goes_everywhere(stage)?;
        job::counters_are_the_printers_own(stage)?;
        job::all_are_updated_by_one_mail(stage)?;
        job::all_say_the_new_version(stage)?;
        for number in 1..=SITES {
            let shown = stage.center.json(&["appliance", "show", &format!("AGENT{number:07}")])?;
            ensure!(shown["way"].is_null() || shown["way"]["form"] == "attachment", "{shown}");
        }
        Ok(())
    });
    let greylisted = log(&root, "site/log/postfix.log").matches("Greylisted").count();
    assert!(greylisted >= 2 * SITES as usize, "{greylisted} mails were greylisted");
    assert!(log(&root, "log/clamav-milter.log").contains("Clean"), "ClamAV looked at the mails");
    let rspamd = log(&root, "rspamd/log/rspamd.log");
    assert!(rspamd.contains("center@center.example"), "rspamd looked at the mails");
}

#[test]
fn a_refusal_by_clamav_is_known_as_one_of_the_content() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((mail, _)) = behind_gateways() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address = mail.center_address();
    let server = |port| Server { host: mail.host.clone(), port, security: Security::Tls };
    let account = Account::new(
        AccountSettings {
            name: "main".to_owned(),
            address: address.clone(),
            username: address.clone(),
            smtp: server(mail.smtp.port),
            fetch: Protocol::Imap,
            fetch_server: server(mail.imap.port),
            ca_file: mail.ca_file.clone(),
            hello_name: None,
            smtp_login: true,
            mail_octets_max: None,
            provider: None,
            limits: Default::default(),
            login: mailbox::Login::default(),
        },
        Password::new(mail.password.clone()),
    );
    let raw = format!(
        "From: {address}\r\nTo: agent0003@site.example\r\nSubject: test\r\nDate: Fri, 02 Jan 2026 03:04:05 +0000\r\n\
         Message-ID: <1@center.example>\r\n\r\n{}\r\n",
        std::env::var("GATEWAYS_FORBIDDEN").unwrap()
    );
    let letter = OutgoingMail {
        return_path: Some(address),
        recipients: vec![mail.agent_address(3)],
        raw: Arc::from(raw.into_bytes()),
    };
    // The first tries are greylisted.
    let reply = eventually("ClamAV's refusal", PATIENCE, || {
        runtime.block_on(async {
            let mut submission = Submission::connect(&account, &Limits::default()).await?;
            let outcome = submission.send(&letter).await;
            match outcome {
                Err(SendError::Permanent(reply)) => Ok(Some(reply)),
                Ok(outcomes) => match outcomes.into_iter().next().context("one recipient")?.1 {
                    RecipientOutcome::Deferred(_) => Ok(None),
                    other => anyhow::bail!("not refused: {other:?}"),
                },
                Err(SendError::Transient(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
    })
    .unwrap();
    assert!(is_about_content(reply.enhanced.as_deref(), &reply.text), "{reply}");
}
