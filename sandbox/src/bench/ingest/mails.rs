//! The mails: version reports sealed by many appliances, laid into a Maildir as Dovecot's LMTP server would.

use anyhow::Context as _;
use center_manager::db::appliances::NewAppliance;
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::{ChannelKey, Credential, Direction};
use mailfmt::envelope::{Addressee, Header, seal};
use mailfmt::mail::{Letter, compose};
use mailfmt::{AgentId, CenterId, Message, MessageId};
use std::collections::BTreeSet;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, chown, fchown};
use std::path::Path;

/// The owner of all mail of the site.
const OWNER: u32 = 5000;

/// The mails and whom they come from.
pub(in super::super) struct Load {
    /// The center they are for.
    pub(in super::super) center: CenterId,
    /// The appliances, as the center must know them.
    pub(in super::super) appliances: Vec<NewAppliance>,
    /// The ids of the reports, all different.
    pub(super) messages: BTreeSet<MessageId>,
    mails: Vec<Mail>,
    /// By which the appliances seal, in their order.
    keys: Vec<ChannelKey>,
}

struct Mail {
    /// As Dovecot stores it: lines end in LF.
    stored: Vec<u8>,
    /// Its octets with CRLF, as they travel.
    octets: usize,
}

impl Load {
    /// So many reports of so many appliances, one appliance after the other as they would arrive over time.
    ///
    /// # Errors
    /// When a report cannot be sealed.
    pub(in super::super) fn make(reports: usize, appliances: usize, now: Timestamp) -> anyhow::Result<Self> {
        let mut random = sandbox::random();
        let mut load = Self::of(appliances)?;
        for number in 0..reports {
            let message = super::super::version_report(&mut random)?;
            let created = now + SignedDuration::from_millis(i64::try_from(number)?);
            let sequence = u64::try_from(number / appliances)? + 1;
            load.add(number % appliances, &message, None, sequence, created)?;
        }
        Ok(load)
    }

    /// So many appliances, and no report yet.
    ///
    /// # Errors
    /// When there are more than numbers for their ids.
    pub(in super::super) fn of(appliances: usize) -> anyhow::Result<Self> {
        let mut random = sandbox::random();
        let mut known = Vec::with_capacity(appliances);
        for number in 1..=appliances {
            known.push(NewAppliance {
                agent: AgentId::new(&format!("AGENT{number:07}"))?,
                address: format!("agent{number:07}@site.example"),
                customer: "Customer".to_owned(),
                tags: Vec::new(),
                credential: Credential::generate(&mut random),
            });
        }
        let center = CenterId::new("CENTER")?;
        let channel = |new: &NewAppliance| new.credential.channel(Direction::ToCenter, &new.agent, &center);
        let keys = known.iter().map(channel).collect();
        Ok(Self { center, appliances: known, keys, messages: BTreeSet::new(), mails: Vec::new() })
    }

    /// Adds a report of the appliance at that place.
    ///
    /// # Errors
    /// When there is none, or the report cannot be sealed.
    pub(in super::super) fn add(
        &mut self,
        nth: usize,
        message: &Message,
        in_reply_to: Option<MessageId>,
        sequence: u64,
        created: Timestamp,
    ) -> anyhow::Result<()> {
        let mut random = sandbox::random();
        let (appliance, key) = self.appliances.get(nth).zip(self.keys.get(nth)).context("an appliance")?;
        let id = MessageId::generate(&mut random);
        let expires = created + SignedDuration::from_hours(24);
        let header =
            Header::new(message, appliance.agent.clone().into(), id, created, expires).answering(in_reply_to);
        let sealed = seal(&header, message, &[Addressee { key, sequence }], &mut random)?;
        let letter = Letter {
            from: &appliance.address,
            to: Some("center@center.example"),
            header: &header,
            date: header.created,
            sending: 1,
        };
        self.mails.push(Mail::stored(&appliance.address, &compose(&letter, &sealed)));
        self.messages.insert(id);
        Ok(())
    }

    /// Octets of one mail on average.
    pub(super) fn octets_each(&self) -> usize {
        self.mails.iter().map(|mail| mail.octets).sum::<usize>() / self.mails.len().max(1)
    }

    /// Lays all mails into a new Maildir.
    ///
    /// # Errors
    /// When files cannot be written or given to their owner.
    pub(in super::super) fn fill(&self, maildir: &Path) -> anyhow::Result<()> {
        let home = maildir.parent().context("a Maildir lies in a home")?;
        let domain = home.parent().context("a home lies in a domain")?;
        let folders = [domain, home, maildir].map(Path::to_path_buf);
        for folder in folders.into_iter().chain(["new", "cur", "tmp"].map(|name| maildir.join(name))) {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            chown(&folder, Some(OWNER), Some(OWNER))?;
        }
        for (number, mail) in self.mails.iter().enumerate() {
            // As Dovecot names them: some fifty a second, microseconds, process, host; both sizes save it a look inside.
            // Its hash of names degenerates when the numbers in them count up in step.
            let (seconds, micros) = (1_700_000_000 + number / 50, number * 700_001 % 1_000_000);
            let (size, wire_size) = (mail.stored.len(), mail.octets);
            let name =
                format!("{seconds}.M{micros}P{pid}.mail,S={size},W={wire_size}", pid = 20_000 + number % 7);
            let path = maildir.join("new").join(name);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(&mail.stored)?;
            fchown(&file, Some(OWNER), Some(OWNER))?;
        }
        Ok(())
    }
}

impl Mail {
    /// What the servers on the way put in front, and LF for CRLF.
    fn stored(from: &str, mail: &[u8]) -> Self {
        let head = format!(
            "Return-Path: <{from}>\r\nDelivered-To: center@center.example\r\n\
             Received: from mail.site.example ([127.0.0.1])\r\n\tby mail.center.example with LMTP\r\n\t\
             id aBcDeFgHiJkLmNoP\r\n\t(envelope-from <{from}>)\r\n\tfor <center@center.example>; \
             Thu, 01 Jan 2026 00:00:00 +0000\r\n"
        );
        let travelling = [head.as_bytes(), mail].concat();
        let octets = travelling.len();
        let stored = travelling.into_iter().filter(|octet| *octet != b'\r').collect();
        Self { stored, octets }
    }
}
