//! The main job over a real mail server, where the environment names one as `scripts/mailserver start` prints it.
//! The mailboxes `agent0001` to `agent0004` and the center's are emptied and used.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(dead_code, reason = "the stories told over the post office use more of what they share")]

#[path = "e2e/job.rs"]
mod job;
#[path = "e2e/play.rs"]
mod play;

use mailbox::{Account, AccountSettings, FetchSession, Limits, Password, Protocol, Security, Server};
use sandbox::world::{MailSite, Stage};

const SITES: u32 = 4;

#[test]
fn the_main_job_over_real_mail_servers() {
    let Some(mail) = MailSite::from_environment().unwrap() else {
        println!("SKIPPED: MAILSERVER_HOST is not set; `scripts/mailserver start` starts a real mail server");
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        empty(&mail, &mail.center_address()).await;
        for number in 1..=SITES {
            empty(&mail, &mail.agent_address(number)).await;
        }
    });
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

/// Removes what others left in a mailbox.
async fn empty(mail: &MailSite, address: &str) {
    let server = |port| Server { host: mail.host.clone(), port, security: Security::Tls };
    let settings = AccountSettings {
        name: "real".to_owned(),
        address: address.to_owned(),
        username: address.to_owned(),
        smtp: server(mail.smtp.port),
        fetch: Protocol::Imap,
        fetch_server: server(mail.imap.port),
        ca_file: mail.ca_file.clone(),
        hello_name: None,
        smtp_login: true,
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
