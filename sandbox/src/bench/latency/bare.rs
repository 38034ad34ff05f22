//! What the servers themselves take: from the 250 behind a mail's final dot to IDLE's EXISTS, seen by a bare client.

use crate::bench::ingest::site::MailSite;
use anyhow::Context as _;
use mailbox::{
    Account, AccountSettings, FetchSession, Limits, OutgoingMail, Password, Protocol, Security, Server,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// Sends mails to a mailbox of its own, one after the other, over one connection, and waits for each over another.
pub(super) async fn measure(site: &MailSite, rounds: usize) -> anyhow::Result<Vec<Duration>> {
    let mailbox = site.mailboxes()?.pop().context("a mailbox to spare")?;
    let server = |port| -> anyhow::Result<Server> {
        Ok(Server { host: site.host()?.to_owned(), port, security: Security::Plain })
    };
    let settings = AccountSettings {
        name: "bare".to_owned(),
        address: mailbox.user.clone(),
        username: mailbox.user.clone(),
        smtp: server(site.smtp_port()?)?,
        fetch: Protocol::Imap,
        fetch_server: server(site.port(Protocol::Imap, Security::Plain)?)?,
        ca_file: None,
        hello_name: None,
        smtp_login: true,
        mail_octets_max: None,
        provider: None,
        limits: Default::default(),
        login: mailbox::Login::default(),
    };
    let (account, limits) = (Account::new(settings, Password::new(site.password.clone())), Limits::default());
    let mail = OutgoingMail {
        return_path: Some(mailbox.user.clone()),
        recipients: vec![mailbox.user.clone()],
        raw: Arc::from(&b"Subject: bare\r\n\r\nbare\r\n"[..]),
    };
    let mut submission = mailbox::Submission::connect(&account, &limits).await?;
    let FetchSession::Imap(mut session) = FetchSession::open(&account, &limits).await? else {
        anyhow::bail!("the account is an IMAP one");
    };
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let known = session.list().await?;
        session.delete(&known).await?;
        session.begin_idle(PATIENCE).await?;
        submission.send(&mail).await?;
        let accepted = Instant::now();
        timeout(PATIENCE, session.listen()).await.context("a bare client waited in vain")??;
        times.push(accepted.elapsed());
        session.end_wait(PATIENCE).await?;
    }
    submission.quit().await?;
    session.logout().await?;
    Ok(times)
}
