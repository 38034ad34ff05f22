//! Somebody who writes messages of the wire format by hand: with the right key, as a newer or a mad center would, or
//! with a wrong one, as a forger.

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::{ChannelKey, Credential, Direction};
use mailfmt::envelope::{Addressee, Extras, Header, Sender, seal_with};
use mailfmt::mail::{Letter, compose};
use mailfmt::trust::{KeyFile, SigningKey};
use mailfmt::{AgentId, CenterId, Introduction, Message, MessageId};
use sandbox::random;
use sandbox::world::Stage;

/// One direction of one channel.
pub(crate) struct Voice {
    sender: Sender,
    key: ChannelKey,
    /// The center's command key, for whoever has it.
    signer: Option<SigningKey>,
    from: String,
    to: String,
}

/// The secret file that the center wrote for a site.
pub(crate) fn introduction(stage: &Stage, number: u32) -> anyhow::Result<Introduction> {
    let file = stage.folder().join(format!("introductions/AGENT{number:07}.toml"));
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    Ok(toml::from_str(&text)?)
}

#[expect(clippy::disallowed_methods, reason = "the programs under test look at the real clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

impl Voice {
    /// The center, speaking to a site.
    pub(crate) fn of_center(stage: &Stage, number: u32) -> anyhow::Result<Self> {
        let Introduction { agent, center, credential, .. } = introduction(stage, number)?;
        let command_key = std::fs::read_to_string(stage.center.home().join("keys/command.pem"))?;
        let signer = Some(KeyFile::parse(&command_key)?.open(None)?);
        Ok(Self { signer, ..Self::center(stage, number, &agent, &center, &credential) })
    }

    /// Somebody who has read the credential of a site, but not the center's command key.
    pub(crate) fn of_thief(stage: &Stage, number: u32) -> anyhow::Result<Self> {
        Ok(Self { signer: None, ..Self::of_center(stage, number)? })
    }

    /// Somebody who says he is the center, but has not the key.
    pub(crate) fn of_false_center(stage: &Stage, number: u32) -> anyhow::Result<Self> {
        let Introduction { agent, center, .. } = introduction(stage, number)?;
        Ok(Self::center(stage, number, &agent, &center, &Credential::generate(&mut random())))
    }

    fn center(
        stage: &Stage,
        number: u32,
        agent: &AgentId,
        center: &CenterId,
        credential: &Credential,
    ) -> Self {
        Self {
            sender: center.clone().into(),
            key: credential.channel(Direction::ToAppliance, agent, center),
            signer: None,
            from: stage.mail.center_address(),
            to: stage.mail.agent_address(number),
        }
    }

    /// An appliance, speaking to its center.
    pub(crate) fn of_site(stage: &Stage, number: u32) -> anyhow::Result<Self> {
        let Introduction { agent, center, credential, .. } = introduction(stage, number)?;
        Ok(Self::site(stage, number, &agent, &center, &credential))
    }

    /// Somebody who says he is that appliance, but has not the key.
    pub(crate) fn of_false_site(stage: &Stage, number: u32) -> anyhow::Result<Self> {
        let Introduction { agent, center, .. } = introduction(stage, number)?;
        Ok(Self::site(stage, number, &agent, &center, &Credential::generate(&mut random())))
    }

    /// Somebody who says he is an appliance that the center never heard of.
    pub(crate) fn of_unknown_site(stage: &Stage) -> anyhow::Result<Self> {
        let Introduction { center, credential, .. } = introduction(stage, 1)?;
        Ok(Self::site(stage, 1, &AgentId::new("AGENT9999999")?, &center, &credential))
    }

    fn site(stage: &Stage, number: u32, agent: &AgentId, center: &CenterId, credential: &Credential) -> Self {
        Self {
            sender: agent.clone().into(),
            key: credential.channel(Direction::ToCenter, agent, center),
            signer: None,
            from: stage.mail.agent_address(number),
            to: stage.mail.center_address(),
        }
    }

    /// A mail with a message that is valid for an hour.
    pub(crate) fn mail(&self, message: &Message, sequence: u64) -> anyhow::Result<Vec<u8>> {
        self.mail_until(message, sequence, now() + SignedDuration::from_hours(1), &[])
    }

    /// A mail with a message that nobody may act on any more.
    pub(crate) fn expired_mail(&self, message: &Message, sequence: u64) -> anyhow::Result<Vec<u8>> {
        self.mail_until(message, sequence, now() - SignedDuration::from_mins(1), &[])
    }

    /// A mail with a message and what follows its envelope.
    pub(crate) fn mail_with(
        &self,
        message: &Message,
        sequence: u64,
        enclosure: &[u8],
    ) -> anyhow::Result<Vec<u8>> {
        self.mail_until(message, sequence, now() + SignedDuration::from_hours(1), enclosure)
    }

    fn mail_until(
        &self,
        message: &Message,
        sequence: u64,
        expires: Timestamp,
        enclosure: &[u8],
    ) -> anyhow::Result<Vec<u8>> {
        let id = MessageId::generate(&mut random());
        let created = expires - SignedDuration::from_hours(1);
        let header = Header::new(message, self.sender.clone(), id, created, expires);
        let addressee = Addressee { key: &self.key, sequence };
        let extras = Extras { signer: self.signer.as_ref(), follows: None, begins: None, slot: None };
        let mut attachment = seal_with(&header, message, &[addressee], &extras, &mut random())?;
        attachment.extend(enclosure);
        let letter = Letter {
            from: &self.from,
            to: Some(&self.to),
            header: &header,
            date: header.created,
            sending: 1,
        };
        Ok(compose(&letter, &attachment))
    }
}
