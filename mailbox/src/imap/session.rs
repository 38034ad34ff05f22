//! One IMAP session: INBOX selected, mails by UID.

use std::{collections::HashMap, fmt::Debug};

use async_imap::{
    Client, Session,
    imap_proto::{AttributeValue, RequestId, Response, ResponseCode},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use crate::{
    fetch::{FetchError, Item, Listing, Retrieved, batch_len},
    imap::{
        greeting::{Greeted, greet},
        guard::Guarded,
        login::{login, without_mailbox},
        response::{body_of, capability_texts, check_status, from_library, from_parser, note},
        tidy::Tidy,
        uid_set::uid_sets,
    },
    limits::Limits,
    login_error::LoginError,
    sasl::{Credential, Used},
    timed::{Patience, Timed},
};

/// A session after login and SELECT INBOX. Dropping it closes the connection.
#[derive(Debug)]
pub struct ImapSession<S: AsyncRead + AsyncWrite + Unpin + Debug + Send> {
    pub(super) session: Session<Guarded<S>>,
    pub(super) patience: Patience,
    pub(super) limits: Limits,
    capabilities: Vec<String>,
    uid_validity: u32,
    exists: u32,
    /// Mail has come since the last listing began.
    pub(super) grown: bool,
    /// A listing found mail of which the server had said nothing before.
    pub(super) surprised: bool,
    /// A command has not come to its end; set too when its future was dropped half-way.
    pub(super) busy: bool,
    /// The tag of IDLE while it lasts.
    pub(super) idling: Option<RequestId>,
    used: Used,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Debug + Send> ImapSession<S> {
    /// Waits for the greeting, then logs in and selects INBOX.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn greet(stream: S, credential: &Credential, limits: &Limits) -> Result<Self, FetchError> {
        Self::start(stream, credential, limits, true).await
    }

    /// The same after STARTTLS, where no second greeting comes (RFC 3501 section 6.2.1).
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn resume(stream: S, credential: &Credential, limits: &Limits) -> Result<Self, FetchError> {
        Self::start(stream, credential, limits, false).await
    }

    async fn start(
        stream: S,
        credential: &Credential,
        limits: &Limits,
        greeted: bool,
    ) -> Result<Self, FetchError> {
        if !credential.is_sound() {
            return Err(FetchError::Login(LoginError::Credentials));
        }
        let Greeted { stream, offer, sasl_ir } = greet(stream, limits, greeted).await?;
        let patience = Patience::new(limits.progress, limits.overall);
        // Nothing larger than a piece is ever asked for whole; twice that leaves room for sizes that are a little wrong.
        let tidy = Tidy::new(limits.reply_octets_max, u64::from(limits.piece_octets) * 2);
        let client = Client::new(Guarded::new(Timed::new(stream, patience.clone()), tidy));
        let login = login(client, credential, &offer, sasl_ir);
        let (session, capabilities, used) =
            timeout(limits.operation, login).await.map_err(|_| FetchError::Timeout { during: "login" })??;
        let mut this = Self {
            session,
            patience,
            limits: limits.clone(),
            capabilities,
            uid_validity: 0,
            exists: 0,
            grown: false,
            surprised: false,
            busy: false,
            idling: None,
            used,
        };
        if this.capabilities.is_empty() {
            this.ask_capabilities().await?;
        }
        this.select().await.map_err(|error| without_mailbox(error, credential))?;
        Ok(this)
    }

    pub(crate) fn used(&self) -> Used {
        self.used
    }

    /// Capabilities after the login, cleaned and cut.
    pub fn capabilities(&self) -> &[String] {
        &self.capabilities
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Mails in the mailbox as far as the server has said.
    pub fn mails(&self) -> u32 {
        self.exists
    }

    pub(super) fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|has| has.eq_ignore_ascii_case(capability))
    }

    async fn ask_capabilities(&mut self) -> Result<(), FetchError> {
        let mut found = Vec::new();
        self.short("CAPABILITY", "capabilities", |response| {
            if let Response::Capabilities(list) = response {
                found = capability_texts(list);
            }
        })
        .await?;
        self.capabilities = found;
        Ok(())
    }

    async fn select(&mut self) -> Result<(), FetchError> {
        let mut uid_validity = 0;
        self.short("SELECT INBOX", "selecting INBOX", |response| {
            if let Response::Data { outcome, .. } = response
                && let Some(ResponseCode::UidValidity(number)) = outcome.code
            {
                uid_validity = number;
            }
        })
        .await?;
        self.uid_validity = uid_validity;
        self.grown = false;
        Ok(())
    }

    /// Opens the mailbox anew. GNU Mailutils shows nobody who has it open the mail that came since, whatever is asked.
    ///
    /// # Errors
    /// What ends the session.
    pub(crate) async fn select_again(&mut self) -> Result<(), FetchError> {
        let known = self.exists;
        self.select().await?;
        self.surprised |= self.exists > known;
        Ok(())
    }

    /// All mails with ids and sizes, at most [`Limits::listing_max`], the oldest first.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn list(&mut self) -> Result<Vec<Item>, FetchError> {
        // A session sees mail that came since SELECT only after the server was given the word.
        self.noop().await?;
        self.surprised |= std::mem::take(&mut self.grown);
        if self.exists == 0 {
            return Ok(Vec::new());
        }
        let listing_max = u32::try_from(self.limits.listing_max).unwrap_or(u32::MAX);
        let command = if self.exists > listing_max {
            format!("FETCH 1:{listing_max} (UID RFC822.SIZE)")
        } else {
            "UID FETCH 1:* (UID RFC822.SIZE)".to_owned()
        };
        self.list_by(&command, self.limits.listing_max).await
    }

    /// The `per_end` oldest and the `per_end` newest mails, the oldest first. No others are asked for.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn list_ends(&mut self, per_end: usize) -> Result<Listing, FetchError> {
        self.noop().await?;
        self.surprised |= std::mem::take(&mut self.grown);
        let (exists, per_end) = (self.exists, u32::try_from(per_end).unwrap_or(u32::MAX).max(1));
        if exists <= per_end.saturating_mul(2) {
            return Ok(Listing { items: self.list().await?, complete: true });
        }
        let newest = exists.saturating_sub(per_end).saturating_add(1);
        let command = format!("FETCH 1:{per_end},{newest}:{exists} (UID RFC822.SIZE)");
        let kept_max = usize::try_from(per_end.saturating_mul(2)).unwrap_or(usize::MAX);
        Ok(Listing { items: self.list_by(&command, kept_max).await?, complete: false })
    }

    /// Runs a FETCH of UIDs and sizes and keeps at most `kept_max` mails of what comes.
    async fn list_by(&mut self, command: &str, kept_max: usize) -> Result<Vec<Item>, FetchError> {
        const DURING: &str = "listing";
        let uid_validity = self.uid_validity;
        let mut items =
            Vec::with_capacity(usize::try_from(self.exists).unwrap_or(0).min(kept_max).min(100_000));
        let mut extra = 0_usize;
        self.run(command, DURING, |response| {
            let Response::Fetch(_, attributes) = response else { return Ok(()) };
            let (mut uid, mut size) = (None, None);
            for attribute in attributes {
                match attribute {
                    AttributeValue::Uid(number) => uid = Some(*number),
                    AttributeValue::Rfc822Size(octets) => size = Some(*octets),
                    _ => {}
                }
            }
            match (uid, size) {
                (Some(uid), Some(size)) if items.len() < kept_max => {
                    let id = format!("{uid_validity}-{uid}");
                    items.push(Item { id, size_octets: size.into(), handle: uid });
                    Ok(())
                }
                _ if extra > kept_max => {
                    Err(FetchError::Protocol { during: DURING, detail: "a listing without end".into() })
                }
                _ => {
                    extra += 1;
                    Ok(())
                }
            }
        })
        .await?;
        items.sort_unstable_by_key(|item| item.handle);
        items.dedup_by_key(|item| item.handle);
        Ok(items)
    }

    /// One mail, byte for byte as stored; large ones in pieces of [`Limits::piece_octets`].
    ///
    /// # Errors
    /// [`FetchError::TooLarge`] without reading it, [`FetchError::Gone`], and what ends the session.
    pub async fn retrieve(&mut self, item: &Item) -> Result<Vec<u8>, FetchError> {
        let limit_octets = self.limits.message_octets_max;
        if item.size_octets > limit_octets {
            return Err(FetchError::TooLarge {
                id: item.id.clone(),
                size_octets: item.size_octets,
                limit_octets,
            });
        }
        let piece_octets = self.limits.piece_octets.max(1);
        let mut mail = Vec::new();
        loop {
            let origin = mail.len();
            let command = format!("UID FETCH {} (UID BODY.PEEK[]<{origin}.{piece_octets}>)", item.handle);
            let mut piece = None;
            self.run(&command, "reading mail", |response| {
                if let Some((uid, Some(data))) = body_of(response)
                    && uid == item.handle
                {
                    piece = Some(data.to_vec());
                }
                Ok(())
            })
            .await?;
            let Some(piece) = piece else {
                return Err(FetchError::Gone { id: item.id.clone() });
            };
            mail.extend_from_slice(&piece);
            if mail.len() as u64 > limit_octets {
                let detail = format!("longer than announced, and than {limit_octets} octets");
                return Err(FetchError::Unreadable { id: item.id.clone(), detail });
            }
            // A short piece is the last. The announced size is not asked: some servers count LF, not CRLF.
            if piece.len() < usize::try_from(piece_octets).unwrap_or(usize::MAX) {
                return Ok(mail);
            }
        }
    }

    /// The leading items, as many as fit [`Limits::batch_octets_max`] (at least one). Go on with the rest.
    ///
    /// # Errors
    /// What ends the session. Nothing is lost: mails stay until they are deleted.
    pub async fn retrieve_batch(&mut self, items: &[Item]) -> Result<Vec<(Item, Retrieved)>, FetchError> {
        const DURING: &str = "reading mail";
        let message_max = self.limits.message_octets_max;
        let leading = batch_len(items, message_max, self.limits.batch_octets_max);
        let items = &items[..leading];
        let whole_max = u64::from(self.limits.piece_octets).min(message_max);
        let uids: Vec<u32> =
            items.iter().filter(|item| item.size_octets <= whole_max).map(|item| item.handle).collect();

        let octets_max = self.limits.batch_octets_max.saturating_mul(2).max(whole_max * 2);
        let mut octets = 0_u64;
        let mut mails: HashMap<u32, Option<Vec<u8>>> = uids.iter().map(|uid| (*uid, None)).collect();
        let mut arrived = 0_usize;
        for set in uid_sets(&uids) {
            self.run(&format!("UID FETCH {set} (UID BODY.PEEK[])"), DURING, |response| {
                let Some((uid, Some(data))) = body_of(response) else { return Ok(()) };
                octets += data.len() as u64;
                arrived += 1;
                if octets > octets_max || arrived > items.len() * 2 {
                    return Err(FetchError::Protocol {
                        during: DURING,
                        detail: "far more than asked for".into(),
                    });
                }
                if let Some(mail) = mails.get_mut(&uid) {
                    *mail = Some(data.to_vec());
                }
                Ok(())
            })
            .await?;
        }
        let mut outcomes = Vec::with_capacity(items.len());
        for item in items {
            let outcome = if item.size_octets > message_max {
                Retrieved::TooLarge
            } else if item.size_octets > whole_max {
                match self.retrieve(item).await {
                    Ok(mail) => Retrieved::Mail(mail),
                    Err(FetchError::Gone { .. }) => Retrieved::Gone,
                    Err(error) => return Err(error),
                }
            } else {
                mails.remove(&item.handle).flatten().map_or(Retrieved::Gone, Retrieved::Mail)
            };
            outcomes.push((item.clone(), outcome));
        }
        Ok(outcomes)
    }

    /// Deletes for good, at once. Only these mails where the server has UIDPLUS (RFC 4315); elsewhere EXPUNGE also
    /// removes what other sessions have marked as deleted.
    ///
    /// # Errors
    /// [`FetchError::Refused`], and what ends the session.
    pub async fn delete(&mut self, items: &[Item]) -> Result<(), FetchError> {
        const DURING: &str = "deleting";
        let uids: Vec<u32> = items.iter().map(|item| item.handle).collect();
        let uid_plus = self.can("UIDPLUS");
        for set in uid_sets(&uids) {
            self.run(&format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)"), DURING, |_| Ok(())).await?;
            if uid_plus {
                self.run(&format!("UID EXPUNGE {set}"), DURING, |_| Ok(())).await?;
            }
        }
        if !uid_plus && !uids.is_empty() {
            self.run("EXPUNGE", DURING, |_| Ok(())).await?;
        }
        Ok(())
    }

    /// Keeps the session alive and learns of new mail.
    ///
    /// # Errors
    /// What ends the session.
    pub async fn noop(&mut self) -> Result<(), FetchError> {
        self.short("NOOP", "NOOP", |_| {}).await
    }

    /// Ends the session in order.
    ///
    /// # Errors
    /// When the server does not confirm; deletions have counted already.
    pub async fn logout(mut self) -> Result<(), FetchError> {
        const DURING: &str = "LOGOUT";
        self.end_wait(self.limits.operation).await?;
        self.begin()?;
        let work = async {
            let tag =
                self.session.run_command("LOGOUT").await.map_err(|error| from_library(DURING, error))?;
            loop {
                let read = self.session.read_response().await.map_err(|error| from_parser(DURING, error))?;
                let response = read.ok_or(FetchError::Disconnected { during: DURING })?;
                // BYE is part of a good end here.
                if let Response::Done { tag: done, status, outcome } = response.parsed()
                    && *done == tag
                {
                    return check_status(DURING, status, outcome.information.as_deref());
                }
            }
        };
        timeout(self.limits.operation, work).await.map_err(|_| FetchError::Timeout { during: DURING })?
    }

    /// Two commands at once would mix up their responses.
    pub(super) fn begin(&mut self) -> Result<(), FetchError> {
        if std::mem::replace(&mut self.busy, true) { Err(FetchError::OutOfStep) } else { Ok(()) }
    }

    /// Takes note of what any response tells of the mailbox.
    pub(super) fn observe(
        &mut self,
        during: &'static str,
        response: &Response<'_>,
    ) -> Result<(), FetchError> {
        let exists = note(during, response, self.exists)?;
        self.grown |= exists > self.exists;
        self.exists = exists;
        if let Response::Data { outcome, .. } = response
            && let Some(ResponseCode::UidValidity(number)) = outcome.code
            && self.uid_validity != 0
            && self.uid_validity != number
        {
            // Every id that this session knows is void (RFC 3501 section 2.3.1.1).
            return Err(FetchError::Temporary { during, text: "the mailbox was made anew".into() });
        }
        Ok(())
    }

    /// QUOTA responses since this was asked last.
    pub(super) fn take_aside(&mut self) -> Vec<Vec<u8>> {
        self.session.as_mut().take_aside()
    }

    /// A command whose reply is short: limited as a whole.
    pub(super) async fn short(
        &mut self,
        command: &str,
        during: &'static str,
        mut each: impl FnMut(&Response<'_>),
    ) -> Result<(), FetchError> {
        let limit = self.limits.operation;
        let work = self.run(command, during, |response| {
            each(response);
            Ok(())
        });
        timeout(limit, work).await.map_err(|_| FetchError::Timeout { during })?
    }

    /// Sends a command and shows every response up to its own completion to `each`.
    pub(super) async fn run(
        &mut self,
        command: &str,
        during: &'static str,
        mut each: impl FnMut(&Response<'_>) -> Result<(), FetchError>,
    ) -> Result<(), FetchError> {
        self.begin()?;
        let tag = self.session.run_command(command).await.map_err(|error| from_library(during, error))?;
        loop {
            let read = self.session.read_response().await.map_err(|error| from_parser(during, error))?;
            let response = read.ok_or(FetchError::Disconnected { during })?;
            match response.parsed() {
                Response::Done { tag: done, status, outcome } if *done == tag => {
                    self.busy = false;
                    return check_status(during, status, outcome.information.as_deref());
                }
                other => {
                    self.observe(during, other)?;
                    each(other)?;
                }
            }
        }
    }
}
