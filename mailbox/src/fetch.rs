//! Fetching mail, whichever protocol the account speaks.

mod error;
mod sink;

use crate::{
    account::{Account, Protocol, Security},
    connect::{self, Socket},
    imap::ImapSession,
    limits::Limits,
    login_error::LoginError,
    pop3::{Authorization, Transaction},
    quota::Quota,
    sasl::{Credential, Service, Used, Way},
    starttls,
};

pub use error::FetchError;
pub use sink::Sink;

/// One mail of a mailbox listing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Item {
    /// The same in every session as long as the mail is there: the UIDL, or `<UIDVALIDITY>-<UID>`. ASCII, 80 octets at most.
    pub id: String,
    /// Size as the server announces it. May be a little wrong, or a lie.
    pub size_octets: u64,
    /// Message number or UID; means something only to the session that made the item.
    pub(crate) handle: u32,
}

/// Both ends of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The mails, the oldest first.
    pub items: Vec<Item>,
    /// Whether these are all; otherwise mails between the two ends are left out.
    pub complete: bool,
}

/// What came of asking for a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retrieved {
    /// Byte for byte as stored.
    Mail(Vec<u8>),
    /// Announced larger than [`Limits::message_octets_max`]; not a single octet was asked for.
    TooLarge,
    /// No longer in the mailbox.
    Gone,
}

/// How a wait for mail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woke {
    /// The mailbox has changed: list it again.
    NewMail,
    /// Nothing came within the limit.
    TimedOut,
    /// The protocol cannot wait (POP3): close the session and come again later.
    CannotWait,
}

/// What a trial login found, for a person to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginReport {
    /// Protocol that was spoken.
    pub protocol: Protocol,
    /// Protection of the connection.
    pub security: Security,
    /// Capabilities as the server wrote them, cleaned and cut.
    pub capabilities: Vec<String>,
    /// Mails in the mailbox.
    pub mails: u64,
    /// How the login was made.
    pub login: Way,
    /// How full the mailbox is, as far as its server tells.
    pub quota: Quota,
}

/// A session over POP3 or IMAP.
///
/// After an error other than [`FetchError::TooLarge`], [`FetchError::Gone`] or [`FetchError::Refused`] the session is
/// of no use: drop it and open another. Dropping never deletes by POP3.
#[derive(Debug)]
pub enum FetchSession {
    /// RFC 1939.
    Pop3(Box<Transaction<PostStream>>),
    /// RFC 3501.
    Imap(Box<ImapSession<PostStream>>),
}

/// The stream below a [`FetchSession`]: a TCP connection, protected as the settings say.
#[derive(Debug)]
pub struct PostStream(pub(crate) Socket);

impl FetchSession {
    /// Connects, protects the connection, logs in, selects the mailbox.
    ///
    /// # Errors
    /// [`FetchError`]: no connection, no TLS, login refused, mailbox busy, time over.
    pub async fn open(account: &Account, limits: &Limits) -> Result<Self, FetchError> {
        let service = match account.settings.fetch {
            Protocol::Pop3 => Service::Pop3,
            Protocol::Imap => Service::Imap,
        };
        let credential = account.credential(service, limits, None).await.map_err(LoginError::from)?;
        let session = match Self::open_with(account, limits, &credential).await {
            // It may have been withdrawn before its end.
            Err(FetchError::Login(LoginError::TokenRefused(refused))) => {
                match account
                    .another_credential(service, limits, &credential, &refused)
                    .await
                    .map_err(LoginError::from)?
                {
                    Some(another) => Self::open_with(account, limits, &another).await?,
                    None => return Err(LoginError::from(refused).into()),
                }
            }
            opened => opened?,
        };
        account.logged_in(service, session.used());
        Ok(session)
    }

    async fn open_with(
        account: &Account,
        limits: &Limits,
        credential: &Credential,
    ) -> Result<Self, FetchError> {
        let server = &account.settings.fetch_server;
        let socket = connect::dial(account, server, limits).await?;
        match account.settings.fetch {
            Protocol::Pop3 => {
                let mut connection = Authorization::greet(PostStream(socket), limits).await?;
                if server.security == Security::StartTls {
                    let plain = connection.stls().await?.0;
                    let protected = connect::protect(account, server, plain, limits).await?;
                    connection = Authorization::resume(PostStream(protected), limits);
                }
                Ok(Self::Pop3(Box::new(connection.login(credential).await?)))
            }
            Protocol::Imap => {
                let session = if server.security == Security::StartTls {
                    let plain = starttls::imap(socket, limits).await?;
                    let protected = connect::protect(account, server, plain, limits).await?;
                    ImapSession::resume(PostStream(protected), credential, limits).await?
                } else {
                    ImapSession::greet(PostStream(socket), credential, limits).await?
                };
                Ok(Self::Imap(Box::new(session)))
            }
        }
    }

    fn used(&self) -> Used {
        match self {
            Self::Pop3(session) => session.used(),
            Self::Imap(session) => session.used(),
        }
    }

    /// How the login was made.
    pub fn login(&self) -> Way {
        self.used().way
    }

    /// All mails with ids and sizes, at most [`Limits::listing_max`], the oldest first. Reads no mail.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn list(&mut self) -> Result<Vec<Item>, FetchError> {
        match self {
            Self::Pop3(session) => session.list().await,
            Self::Imap(session) => session.list().await,
        }
    }

    /// The `per_end` oldest and the `per_end` newest mails, the oldest first: a full mailbox costs no more memory than that.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn list_ends(&mut self, per_end: usize) -> Result<Listing, FetchError> {
        match self {
            Self::Pop3(session) => session.list_ends(per_end).await,
            Self::Imap(session) => session.list_ends(per_end).await,
        }
    }

    /// One mail, byte for byte as stored.
    ///
    /// # Errors
    /// [`FetchError::TooLarge`] without reading it, [`FetchError::Gone`], and what ends the session.
    pub async fn retrieve(&mut self, item: &Item) -> Result<Vec<u8>, FetchError> {
        match self {
            Self::Pop3(session) => session.retrieve(item).await,
            Self::Imap(session) => session.retrieve(item).await,
        }
    }

    /// The leading items, as many as fit [`Limits::batch_octets_max`] (at least one), in their order.
    /// The answer is as long as the part of `items` it covers: go on with the rest.
    ///
    /// # Errors
    /// What ends the session; the mails are then all still in the mailbox. If the same batch fails again, read it one by
    /// one with [`Self::retrieve`]: that tells the one bad mail from the others.
    pub async fn retrieve_batch(&mut self, items: &[Item]) -> Result<Vec<(Item, Retrieved)>, FetchError> {
        match self {
            Self::Pop3(session) => session.retrieve_batch(items).await,
            Self::Imap(session) => session.retrieve_batch(items).await,
        }
    }

    /// Deletes mails: by IMAP at once, by POP3 at [`Self::finish`].
    ///
    /// # Errors
    /// [`FetchError::Refused`] when the server refuses one of them, and what ends the session.
    pub async fn delete(&mut self, items: &[Item]) -> Result<(), FetchError> {
        match self {
            Self::Pop3(session) => session.delete(items).await,
            Self::Imap(session) => session.delete(items).await,
        }
    }

    /// Keeps the session alive.
    ///
    /// # Errors
    /// What ends the session.
    pub async fn noop(&mut self) -> Result<(), FetchError> {
        match self {
            Self::Pop3(session) => session.noop().await,
            Self::Imap(session) => session.noop().await,
        }
    }

    /// Waits for new mail, at most `limit`.
    ///
    /// # Errors
    /// [`FetchError::Disconnected`] when the server says good-bye or the line ends, and what else ends the session.
    pub async fn wait_for_mail(&mut self, limit: std::time::Duration) -> Result<Woke, FetchError> {
        match self {
            Self::Pop3(_) => Ok(Woke::CannotWait),
            Self::Imap(session) => session.wait_for_mail(limit).await,
        }
    }

    /// How full the mailbox is. By POP3 no server tells.
    ///
    /// # Errors
    /// What ends the session.
    pub async fn quota(&mut self) -> Result<Quota, FetchError> {
        match self {
            Self::Pop3(_) => Ok(Quota::default()),
            Self::Imap(session) => session.quota().await,
        }
    }

    /// Ends the session in order. By POP3 the deletions count only now.
    ///
    /// # Errors
    /// When the server does not confirm; by POP3 the deleted mails may then come again.
    pub async fn finish(self) -> Result<(), FetchError> {
        match self {
            Self::Pop3(session) => session.quit().await,
            Self::Imap(session) => session.logout().await,
        }
    }
}

/// Logs in, counts the mails and leaves, without changing anything.
///
/// # Errors
/// [`FetchError`], as from [`FetchSession::open`].
pub async fn check_login(account: &Account, limits: &Limits) -> Result<LoginReport, FetchError> {
    let mut session = FetchSession::open(account, limits).await?;
    let (capabilities, mails) = match &mut session {
        FetchSession::Pop3(session) => (session.capabilities().lines.clone(), session.stat().await?.0),
        FetchSession::Imap(session) => (session.capabilities().to_vec(), session.mails().into()),
    };
    let (login, quota) = (session.login(), session.quota().await?);
    session.finish().await?;
    let settings = &account.settings;
    Ok(LoginReport {
        login,
        protocol: settings.fetch,
        security: settings.fetch_server.security,
        capabilities,
        mails,
        quota,
    })
}

/// How many leading items make one batch: up to `batch_max` octets of mail, but one mail at least.
/// Items over `message_max` cost nothing, since they are not read. Some memory per mail is counted too.
pub(crate) fn batch_len(items: &[Item], message_max: u64, batch_max: u64) -> usize {
    const COST_OF_ONE: u64 = 256;
    let mut octets = 0_u64;
    items
        .iter()
        .enumerate()
        .take_while(|(nth, item)| {
            let size = if item.size_octets > message_max { 0 } else { item.size_octets };
            octets = octets.saturating_add(size).saturating_add(COST_OF_ONE);
            *nth == 0 || octets <= batch_max
        })
        .count()
}

mod stream {
    //! A thin pass-through, so that the public session types do not name private ones.

    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::PostStream;

    impl AsyncRead for PostStream {
        fn poll_read(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for PostStream {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
        }

        fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().0).poll_flush(cx)
        }

        fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(size_octets: u64) -> Item {
        Item { id: "x".into(), size_octets, handle: 1 }
    }

    #[test]
    fn a_batch_holds_what_fits_and_always_one() {
        let items = [item(1000), item(1000), item(1000)];
        assert_eq!(batch_len(&items, 10_000, 2600), 2);
        assert_eq!(batch_len(&items, 10_000, 1), 1);
        assert_eq!(batch_len(&items, 10_000, 1 << 20), 3);
        assert_eq!(batch_len(&[], 10_000, 1 << 20), 0);
    }

    #[test]
    fn a_mail_that_will_not_be_read_takes_no_room_in_the_batch() {
        assert_eq!(batch_len(&[item(1000), item(u64::MAX), item(1000)], 10_000, 4000), 3);
    }
}
