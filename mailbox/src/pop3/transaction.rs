//! POP3 after the login: listing, reading, deleting.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt::Write as _,
};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    fetch::{FetchError, Item, Listing, Retrieved},
    pop3::{
        reply::{Capabilities, Reply, parse_list_line, parse_uidl_line},
        substitute_id,
        wire::Wire,
    },
    sasl::Used,
};

/// Commands on their way at one time. Few enough that they always fit the socket's buffers: the server may stop
/// reading while it writes mails, and both sides would wait for each other.
const WINDOW: usize = 128;

/// A connection in the TRANSACTION state (RFC 1939 section 5).
#[derive(Debug)]
pub struct Transaction<S> {
    wire: Wire<S>,
    capabilities: Capabilities,
    used: Used,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transaction<S> {
    pub(super) fn new(wire: Wire<S>, capabilities: Capabilities, used: Used) -> Self {
        Self { wire, capabilities, used }
    }

    pub(crate) fn used(&self) -> Used {
        self.used
    }

    pub(super) fn wire(&mut self) -> &mut Wire<S> {
        &mut self.wire
    }

    /// What the server can do.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Number of mails and their octets together.
    ///
    /// # Errors
    /// Connection, time, refusal, or a reply that is not two numbers.
    pub async fn stat(&mut self) -> Result<(u64, u64), FetchError> {
        self.wire.check_in_step()?;
        self.wire.send("STAT", b"STAT\r\n").await?;
        let text = self.wire.expect_ok("STAT").await?;
        let mut numbers = text.split_ascii_whitespace().map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(count)), Some(Ok(octets))) => Ok((count, octets)),
            _ => Err(FetchError::Protocol { during: "STAT", detail: "not two numbers".into() }),
        }
    }

    /// All mails with their sizes and ids, at most [`crate::Limits::listing_max`], the oldest first.
    ///
    /// A mail without a unique id (no UIDL at the server, or left out of its answer) gets one made of its header.
    ///
    /// # Errors
    /// Connection, time, refusal, gibberish.
    pub async fn list(&mut self) -> Result<Vec<Item>, FetchError> {
        Ok(self.list_parts(self.wire.limits.listing_max, 0).await?.items)
    }

    /// The `per_end` oldest and the `per_end` newest mails, the oldest first. No others are kept in memory.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub async fn list_ends(&mut self, per_end: usize) -> Result<Listing, FetchError> {
        self.list_parts(per_end, per_end).await
    }

    async fn list_parts(&mut self, oldest: usize, newest: usize) -> Result<Listing, FetchError> {
        const DURING: &str = "listing";
        // Entries above the cap are read and dropped, so that a full mailbox can still be emptied; but not for ever.
        let lines_max = self.wire.limits.listing_max.saturating_mul(10);

        self.wire.check_in_step()?;
        self.wire.send(DURING, b"LIST\r\n").await?;
        self.wire.expect_ok(DURING).await?;
        let mut sizes = Vec::new();
        let mut last = VecDeque::new();
        let (mut gibberish, mut left_out) = (0_usize, 0_usize);
        self.wire
            .listing(DURING, lines_max, |line| match parse_list_line(line) {
                Some(entry) if sizes.len() < oldest => sizes.push(entry),
                Some(entry) => {
                    last.push_back(entry);
                    if last.len() > newest {
                        last.pop_front();
                        left_out += 1;
                    }
                }
                None => gibberish += 1,
            })
            .await?;
        sizes.extend(last);
        if gibberish > 0 {
            let detail = format!("{gibberish} lines that are not number and size");
            return Err(FetchError::Protocol { during: DURING, detail });
        }

        let wanted: HashSet<u32> = sizes.iter().map(|(number, _)| *number).collect();
        let mut ids = HashMap::with_capacity(sizes.len());
        self.wire.send(DURING, b"UIDL\r\n").await?;
        if let Reply::Ok(_) = self.wire.reply(DURING).await? {
            self.wire
                .listing(DURING, lines_max, |line| {
                    if let Some((number, id)) = parse_uidl_line(line)
                        && wanted.contains(&number)
                    {
                        ids.insert(number, substitute_id::of_server_id(id));
                    }
                })
                .await?;
        }

        let mut items = Vec::with_capacity(sizes.len());
        for (number, size_octets) in sizes {
            let id = match ids.remove(&number) {
                Some(id) => id,
                None => self.id_from_content(number, size_octets).await?,
            };
            items.push(Item { id, size_octets, handle: number });
        }
        Ok(Listing { items, complete: left_out == 0 })
    }

    /// The same mail gives the same id in every session: a hash of its header as TOP shows it, or of all of it.
    async fn id_from_content(&mut self, number: u32, size_octets: u64) -> Result<String, FetchError> {
        const DURING: &str = "identifying a mail";
        let max = self.wire.limits.message_octets_max;
        self.wire.send(DURING, format!("TOP {number} 0\r\n").as_bytes()).await?;
        if let Reply::Ok(_) = self.wire.reply(DURING).await? {
            let header = self.wire.mail(DURING, 4096, max).await?;
            return Ok(substitute_id::of_content(&header, size_octets));
        }
        if size_octets > max {
            return Ok(substitute_id::of_content(&[], size_octets));
        }
        self.wire.send(DURING, format!("RETR {number}\r\n").as_bytes()).await?;
        self.wire.expect_ok(DURING).await?;
        let mail = self.wire.mail(DURING, size_octets, max).await?;
        Ok(substitute_id::of_content(&mail, size_octets))
    }

    /// One mail, byte for byte as it is stored, lines ended by CRLF.
    ///
    /// # Errors
    /// [`FetchError::TooLarge`] without reading it, [`FetchError::Gone`] when the server no longer has it.
    pub async fn retrieve(&mut self, item: &Item) -> Result<Vec<u8>, FetchError> {
        let limit_octets = self.wire.limits.message_octets_max;
        match self.retrieve_batch(std::slice::from_ref(item)).await?.pop() {
            Some((_, Retrieved::Mail(mail))) => Ok(mail),
            Some((item, Retrieved::TooLarge)) => {
                Err(FetchError::TooLarge { id: item.id, size_octets: item.size_octets, limit_octets })
            }
            _ => Err(FetchError::Gone { id: item.id.clone() }),
        }
    }

    /// The leading items, as many as fit [`crate::Limits::batch_octets_max`] (at least one). Go on with the rest.
    ///
    /// # Errors
    /// Connection, time, caps. What was read of the batch is lost with it, and is still in the mailbox.
    pub async fn retrieve_batch(&mut self, items: &[Item]) -> Result<Vec<(Item, Retrieved)>, FetchError> {
        const DURING: &str = "reading mail";
        self.wire.check_in_step()?;
        let limits = &self.wire.limits;
        let (message_max, batch_max) = (limits.message_octets_max, limits.batch_octets_max);
        let leading = crate::fetch::batch_len(items, message_max, batch_max);
        let items = &items[..leading];
        let wanted: Vec<&Item> = items.iter().filter(|item| item.size_octets <= message_max).collect();

        let mut mails = HashMap::with_capacity(wanted.len());
        let alone = wanted.len() == 1;
        let octets_max = batch_max.saturating_mul(2).max(message_max);
        let mut octets_read = 0_u64;
        let mut asked = 0;
        for (done, item) in wanted.iter().enumerate() {
            asked = self.keep_asking(DURING, "RETR", &wanted, done, asked).await?;
            match self.wire.reply(DURING).await? {
                Reply::Ok(_) => {
                    let mail = self
                        .mail_of(item, if alone { message_max } else { allowed(item, message_max) })
                        .await?;
                    octets_read = octets_read.saturating_add(mail.len() as u64);
                    if octets_read > octets_max {
                        let detail = "far more than was announced".into();
                        return Err(FetchError::Protocol { during: DURING, detail });
                    }
                    mails.insert(item.handle, mail);
                }
                Reply::Err { code, text } if code.starts_with("SYS/") => {
                    return Err(FetchError::from_code(DURING, &code, text));
                }
                Reply::Err { .. } => {}
                Reply::Continue(_) => {
                    return Err(FetchError::Protocol {
                        during: DURING,
                        detail: "unasked continuation".into(),
                    });
                }
            }
        }
        let outcome = |item: &Item| match mails.remove(&item.handle) {
            Some(mail) => Retrieved::Mail(mail),
            None if item.size_octets > message_max => Retrieved::TooLarge,
            None => Retrieved::Gone,
        };
        let outcomes: Vec<Retrieved> = items.iter().map(outcome).collect();
        Ok(items.iter().cloned().zip(outcomes).collect())
    }

    /// The content of one mail; a cap that it breaks is told with its id.
    async fn mail_of(&mut self, item: &Item, octets_max: u64) -> Result<Vec<u8>, FetchError> {
        self.wire.mail("reading mail", item.size_octets, octets_max).await.map_err(|error| match error {
            FetchError::Protocol { detail, .. } => FetchError::Unreadable { id: item.id.clone(), detail },
            other => other,
        })
    }

    /// Marks mails for deletion. They go only at [`Self::quit`].
    ///
    /// # Errors
    /// [`FetchError::Refused`] when the server refuses one; the others are marked all the same.
    pub async fn delete(&mut self, items: &[Item]) -> Result<(), FetchError> {
        const DURING: &str = "deleting";
        self.wire.check_in_step()?;
        let wanted: Vec<&Item> = items.iter().collect();
        let mut asked = 0;
        let mut refused = None;
        for done in 0..wanted.len() {
            asked = self.keep_asking(DURING, "DELE", &wanted, done, asked).await?;
            if let Err(error) = self.wire.expect_ok(DURING).await {
                match error {
                    FetchError::Refused { .. } | FetchError::Temporary { .. } => {
                        refused = refused.or(Some(error));
                    }
                    broken => return Err(broken),
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Sends as many further commands as may be on their way; gives how many are sent in all.
    async fn keep_asking(
        &mut self,
        during: &'static str,
        command: &str,
        wanted: &[&Item],
        done: usize,
        asked: usize,
    ) -> Result<usize, FetchError> {
        let window = if self.capabilities.pipelining { WINDOW } else { 1 };
        if asked - done > window / 2 || asked == wanted.len() {
            return Ok(asked);
        }
        let until = wanted.len().min(done + window);
        let mut commands = String::with_capacity((until - asked) * 12);
        for item in &wanted[asked..until] {
            write!(commands, "{command} {}\r\n", item.handle).expect("writing to a String cannot fail");
        }
        self.wire.send(during, commands.as_bytes()).await?;
        Ok(until)
    }

    /// Takes back all deletions of this session.
    ///
    /// # Errors
    /// Connection, time, refusal.
    pub async fn reset(&mut self) -> Result<(), FetchError> {
        self.wire.check_in_step()?;
        self.wire.send("RSET", b"RSET\r\n").await?;
        self.wire.expect_ok("RSET").await.map(drop)
    }

    /// Keeps the session alive.
    ///
    /// # Errors
    /// Connection, time, refusal.
    pub async fn noop(&mut self) -> Result<(), FetchError> {
        self.wire.check_in_step()?;
        self.wire.send("NOOP", b"NOOP\r\n").await?;
        self.wire.expect_ok("NOOP").await.map(drop)
    }

    /// Asks again what the server can do, now that it knows who asks.
    ///
    /// # Errors
    /// Connection, time, gibberish.
    pub async fn refresh_capabilities(&mut self) -> Result<&Capabilities, FetchError> {
        self.wire.check_in_step()?;
        self.capabilities = self.wire.capabilities().await?;
        Ok(&self.capabilities)
    }

    /// Ends the session; only now the server deletes what is marked.
    ///
    /// # Errors
    /// Without a `+OK` some or all marked mails may still be there (RFC 1939 section 6).
    pub async fn quit(mut self) -> Result<(), FetchError> {
        self.wire.check_in_step()?;
        self.wire.send("QUIT", b"QUIT\r\n").await?;
        self.wire.expect_ok("QUIT").await.map(drop)
    }
}

/// Most octets taken for one mail of a batch. Announced sizes are sometimes a little wrong; one that is far off would
/// fill our memory. A mail that is read alone may have as many as any mail.
fn allowed(item: &Item, message_max: u64) -> u64 {
    const SLACK: u64 = 64 << 10;
    item.size_octets.saturating_mul(2).saturating_add(SLACK).min(message_max)
}
