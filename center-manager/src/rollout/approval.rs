//! Approval of a rollout by other people than the one who started it, each with a key of his own.
//!
//! Where the newest root names approval keys, a rollout begins paused and nothing of it is sent until as many of their holders
//! as the root asks for have signed the same document about its orders. Each order then carries that document, and the
//! appliances check it: what stands here only saves mails that they would refuse.

use super::course::{Mode, Stand};
use super::start::Draft;
use super::terms::{Rollout, RolloutId};
use jiff::Timestamp;
use mailfmt::message::UpdateOrder;
use mailfmt::trust::{Approval, DocumentError, KeyId, Role, Root, SignedApproval, SigningKey};
use serde::{Deserialize, Serialize};

/// Why a rollout that nobody approved yet is paused.
pub(super) const WAITS: &str = "waits for approval";

/// How a rollout stands with those who have to approve it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Who started the rollout, and so does not approve it.
    pub asked_by: String,
    /// How many others must.
    pub needed: u32,
    /// Who did, the first one first.
    pub given: Vec<Given>,
    /// Until when what they signed counts; absent while nobody has signed.
    pub expires: Option<Timestamp>,
    /// Who was against it; then it never begins.
    pub denied: Option<Denied>,
    /// What they signed.
    signed: Option<SignedApproval>,
}

/// One approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Who gave it.
    pub who: String,
    /// The id of his key.
    pub key: String,
    /// When.
    pub at: Timestamp,
}

/// The word of somebody who is against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// Who.
    pub who: String,
    /// Why; may be empty.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Nothing of this rollout is sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsentError {
    /// It was not approved yet, or its approval expired.
    #[error(
        "rollout {rollout} waits for approval; another person gives it with: center-manager rollout approve {rollout} --key FILE"
    )]
    Waits {
        /// Which.
        rollout: RolloutId,
    },
    /// Somebody was against it.
    #[error("rollout {rollout} was denied by {who}; `center-manager rollout start` begins another one")]
    Denied {
        /// Which.
        rollout: RolloutId,
        /// Who.
        who: String,
    },
}

/// Why an approval is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApproveError {
    /// It was started when nobody had to approve.
    #[error(
        "rollout {rollout} was started when no approval was asked for; where appliances ask for one now, start it anew"
    )]
    NotAsked {
        /// Which.
        rollout: RolloutId,
    },
    /// The newest root has no approval role.
    #[error(
        "root {root} names no approval keys; `center-manager root rotate --add-key approval=FILE.pub` names one"
    )]
    NoApprovers {
        /// The root.
        root: u64,
    },
    /// It was denied.
    #[error(transparent)]
    Denied(ConsentError),
    /// It has ended.
    #[error("rollout {rollout} has ended")]
    Ended {
        /// Which.
        rollout: RolloutId,
    },
    /// No appliance would install the package any more.
    #[error("the package of rollout {rollout} expired at {expires}; build it again and start a new rollout")]
    Expired {
        /// Which.
        rollout: RolloutId,
        /// When.
        expires: Timestamp,
    },
    /// So many have approved as must.
    #[error("rollout {rollout} is approved already")]
    Enough {
        /// Which.
        rollout: RolloutId,
    },
    /// He started it.
    #[error("{who} started rollout {rollout}; another person has to approve it")]
    SamePerson {
        /// Who.
        who: String,
        /// Which.
        rollout: RolloutId,
    },
    /// He approved it already.
    #[error("{who} has approved rollout {rollout} already; a further person has to")]
    Again {
        /// Who.
        who: String,
        /// Which.
        rollout: RolloutId,
    },
    /// Nobody new has signed, with a key that counts.
    #[error(
        "it is not signed by an approval key of root {root} that has not signed before; `center-manager root show` lists them"
    )]
    NoSigner {
        /// The root.
        root: u64,
    },
    /// Several have signed: whose word is whose is not known.
    #[error("it has {signers} new signatures; bring them in one by one, each with --by")]
    Signers {
        /// How many.
        signers: usize,
    },
    /// Signed was something else.
    #[error(
        "what was signed is not what rollout {rollout} asks for; `center-manager rollout approve {rollout} --write FILE` writes \
         what is to be signed"
    )]
    AnotherDocument {
        /// Which.
        rollout: RolloutId,
    },
    /// No approval at all.
    #[error("this is no approval")]
    Document(#[from] DocumentError),
}

impl Consent {
    /// Nobody has approved yet what `who` started.
    #[must_use]
    pub fn asked(who: &str, needed: u32) -> Self {
        let asked_by = who.to_owned();
        Self { asked_by, needed, given: Vec::new(), expires: None, denied: None, signed: None }
    }

    /// Whether so many have approved as must, and nobody was against it.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.denied.is_none()
            && self.signed.is_some()
            && usize::try_from(self.needed).is_ok_and(|needed| self.given.len() >= needed)
    }

    /// Whether it waits for people.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.denied.is_none() && !self.is_given()
    }

    /// How it stands, for a person.
    #[must_use]
    pub fn in_words(&self) -> String {
        if let Some(Denied { who, reason, .. }) = &self.denied {
            let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            return format!("denied by {who}{because}");
        }
        let names: Vec<_> = self.given.iter().map(|given| given.who.as_str()).collect();
        match (self.is_given(), names.as_slice()) {
            (true, names) => format!("approved by {}", names.join(", ")),
            (false, []) => format!("{WAITS}: {} must approve", self.needed),
            (false, names) => {
                format!("{WAITS}: {} of {}, by {}", names.len(), self.needed, names.join(", "))
            }
        }
    }

    /// Somebody is against it.
    pub(super) fn against(&self, denied: Denied) -> Self {
        Self { denied: Some(denied), ..self.clone() }
    }

    /// What was signed counts no more; everybody is asked anew. Whether anything lapsed.
    pub(super) fn lapse(&mut self, now: Timestamp) -> bool {
        let lapsed = self.expires.is_some_and(|expires| expires <= now);
        if lapsed {
            *self = Self { denied: self.denied.take(), ..Self::asked(&self.asked_by, self.needed) };
        }
        lapsed
    }

    /// Takes a document that one further person has signed.
    fn take(
        &mut self,
        rollout: &Rollout,
        root: &Root,
        signed: SignedApproval,
        who: &str,
        now: Timestamp,
    ) -> Result<(), ApproveError> {
        let id = rollout.id;
        if is_same_person(who, &self.asked_by) {
            return Err(ApproveError::SamePerson { who: who.to_owned(), rollout: id });
        }
        if self.given.iter().any(|given| is_same_person(who, &given.who)) {
            return Err(ApproveError::Again { who: who.to_owned(), rollout: id });
        }
        let said = signed.peek()?;
        let known = self.signed.as_ref().map(SignedApproval::peek).transpose()?;
        let fits = said.center == root.center && said.orders == terms(rollout) && said.expires > now;
        if !fits || known.is_some_and(|known| known != said) {
            return Err(ApproveError::AnotherDocument { rollout: id });
        }
        let known = |key: &KeyId| self.given.iter().any(|given| given.key == key.to_string());
        let signers = signed.signers_of(role(root)?)?;
        let new: Vec<_> = signers.iter().filter(|key| !known(key)).collect();
        let key = match new.as_slice() {
            [key] => key.to_string(),
            [] => return Err(ApproveError::NoSigner { root: root.version }),
            more => return Err(ApproveError::Signers { signers: more.len() }),
        };
        // A document that lacks the signature of somebody before would let his approval be lost.
        if self.given.iter().any(|given| !signers.iter().any(|key| key.to_string() == given.key)) {
            return Err(ApproveError::AnotherDocument { rollout: id });
        }
        self.given.push(Given { who: who.to_owned(), key, at: now });
        self.expires = Some(said.expires);
        self.signed = Some(signed);
        Ok(())
    }
}

/// Names of people, as they type them.
fn is_same_person(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

fn role(root: &Root) -> Result<&Role, ApproveError> {
    root.approval.as_ref().ok_or(ApproveError::NoApprovers { root: root.version })
}

fn terms(rollout: &Rollout) -> Vec<mailfmt::trust::OrderTerms> {
    let orders = std::iter::once(&rollout.order).chain(&rollout.whole);
    orders.map(|order| order.terms_under(&rollout.openings.ordered)).collect()
}

/// How a rollout stands with those who have to approve it, if they still can.
fn open_consent<'a>(rollout: &'a Rollout, root: &Root, now: Timestamp) -> Result<&'a Consent, ApproveError> {
    let id = rollout.id;
    role(root)?;
    let consent = rollout.consent.as_ref().ok_or(ApproveError::NotAsked { rollout: id })?;
    match rollout.check_consent() {
        Err(denied @ ConsentError::Denied { .. }) => Err(ApproveError::Denied(denied)),
        _ if rollout.package_expires <= now => {
            Err(ApproveError::Expired { rollout: id, expires: rollout.package_expires })
        }
        // A rollout that ended because it was stopped may still go on.
        _ if rollout.finished.is_some() && !rollout.stand.is_stopped() => {
            Err(ApproveError::Ended { rollout: id })
        }
        _ => Ok(consent),
    }
}

/// The document that the next person signs: the one that others have signed already, or a new one that expires at `expires`,
/// or with the package.
///
/// # Errors
/// [`ApproveError`] when nobody can approve this rollout.
pub fn to_sign(
    rollout: &Rollout,
    root: &Root,
    expires: Timestamp,
    now: Timestamp,
) -> Result<SignedApproval, ApproveError> {
    if let Some(signed) = &open_consent(rollout, root, now)?.signed {
        return Ok(signed.clone());
    }
    let expires = expires.min(rollout.package_expires);
    let approval = Approval { center: root.center.clone(), orders: terms(rollout), expires };
    Ok(SignedApproval::unsigned(&approval)?)
}

/// The rollout with the word of one further person; with the last one that is needed it goes on.
///
/// # Errors
/// [`ApproveError`]; then nothing has changed.
pub(super) fn approved(
    rollout: &Rollout,
    root: &Root,
    signed: SignedApproval,
    who: &str,
    now: Timestamp,
) -> Result<(Consent, Stand), ApproveError> {
    let before = open_consent(rollout, root, now)?;
    let mut consent = Consent { needed: role(root)?.threshold, ..before.clone() };
    if consent.is_given() {
        return Err(ApproveError::Enough { rollout: rollout.id });
    }
    consent.take(rollout, root, signed, who, now)?;
    let mut stand = rollout.stand.clone();
    if consent.is_given() && matches!(&stand.mode, Mode::Paused { reason, .. } if reason == WAITS) {
        stand.mode = Mode::Running;
        stand.released_at = Some(now);
    }
    Ok((consent, stand))
}

/// A person's signature under what is to be signed, with a key that he has here.
///
/// # Errors
/// [`ApproveError::NoSigner`] when it is no approval key of `root`.
pub fn sign(
    document: &SignedApproval,
    root: &Root,
    key: &SigningKey,
) -> Result<SignedApproval, ApproveError> {
    if role(root)?.key(key.public().id()).is_none() {
        return Err(ApproveError::NoSigner { root: root.version });
    }
    Ok(document.sign(key)?)
}

impl Rollout {
    /// Whether its orders may be sent, as far as other people are asked.
    ///
    /// # Errors
    /// [`ConsentError`]: what it waits for.
    pub fn check_consent(&self) -> Result<(), ConsentError> {
        let rollout = self.id;
        match &self.consent {
            Some(Consent { denied: Some(Denied { who, .. }), .. }) => {
                Err(ConsentError::Denied { rollout, who: who.clone() })
            }
            Some(consent) if consent.waits() => Err(ConsentError::Waits { rollout }),
            _ => Ok(()),
        }
    }

    /// The order as it is sent: with what was signed about it.
    #[must_use]
    pub fn order_to_send(&self, whole: bool) -> UpdateOrder {
        let order = self.whole.as_ref().filter(|_| whole).unwrap_or(&self.order).clone();
        UpdateOrder { approval: self.consent.as_ref().and_then(|consent| consent.signed.clone()), ..order }
    }

    /// After this no appliance carries an order out: the package expires, or what was signed about it.
    #[must_use]
    pub fn orders_expire(&self) -> Timestamp {
        let approval = self.consent.as_ref().and_then(|consent| consent.expires);
        approval.map_or(self.package_expires, |expires| expires.min(self.package_expires))
    }

    /// Takes back what has expired of its approval, and then sends nothing; whether that was so.
    pub(super) fn lapse(&mut self, now: Timestamp) -> bool {
        let lapsed = self.consent.as_mut().is_some_and(|consent| consent.lapse(now));
        if lapsed && self.stand.sends() {
            self.stand.mode = waiting(now);
        }
        lapsed
    }
}

impl Draft {
    /// How its rollout stands at first: nobody has approved it yet.
    pub(crate) fn begin(&self, who: &str, at: Timestamp) -> (Stand, Option<Consent>) {
        let stand = Stand::begun(at);
        match self.approvals {
            0 => (stand, None),
            needed => (Stand { mode: waiting(at), ..stand }, Some(Consent::asked(who, needed))),
        }
    }
}

fn waiting(at: Timestamp) -> Mode {
    Mode::Paused { at, reason: WAITS.to_owned(), between_waves: false }
}
