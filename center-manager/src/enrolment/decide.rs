//! What is done with one word under a provisional code.

use crate::settings::is_mail_address;
use jiff::Timestamp;
use mailfmt::MessageId;
use mailfmt::enrolment::CodeId;
use mailfmt::message::Enrolment;

/// Answers to one exchange, repeated ones included: a mail that is played back again and again does not make us write
/// for ever.
const ANSWERS_MAX: u32 = 64;

/// Exchanges that may be begun under a code beyond four for each of its uses.
const EXCHANGES_SPARE: u32 = 12;

/// A word that came under a provisional code and is authentic: its writer has the code.
#[derive(Debug, Clone, PartialEq)]
pub struct Contact {
    /// The code.
    pub code: CodeId,
    /// The exchange under whose session it came; `None` under the code alone.
    pub exchange: Option<i64>,
    /// Its message id.
    pub message: MessageId,
    /// Its number.
    pub sequence: u64,
    /// When it was written, by the box's clock.
    pub created: Timestamp,
    /// What it says.
    pub word: Enrolment,
    /// Its JSON payload, as it came.
    pub payload: String,
}

/// How a code stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeStanding {
    /// After this it lets nobody in.
    pub expires: Timestamp,
    /// How many appliances it may let in.
    pub uses: u32,
    /// How many it has let in.
    pub used: u32,
    /// Whether the operator took it back.
    pub revoked: bool,
    /// Exchanges begun under it.
    pub exchanges: u32,
}

/// How far one exchange has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExchangeStanding {
    /// Answers so far, repeated ones included.
    pub answers: u32,
    /// Whether its registration was accepted.
    pub admitted: bool,
    /// Whether the appliance was heard under its formal credential, or the exchange was ended otherwise.
    pub over: bool,
}

/// What to do with a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A new exchange: make our half and offer it.
    Offer,
    /// The same hello again: the same offer again.
    OfferAgain,
    /// A registration: admit.
    Admit,
    /// A registration of an exchange that was admitted: the same admission again.
    AdmitAgain,
    /// No answer; recorded for the operator.
    Refuse(Refusal),
}

/// Why a word is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The code's time is over.
    Expired,
    /// The code was revoked.
    Revoked,
    /// The code has let in as many as it may.
    UsedUp,
    /// The exchange is over; a mail that was late or is played back.
    Over,
    /// More exchanges than the code's uses explain.
    TooManyExchanges,
    /// More answers than a lost mail explains.
    TooManyAnswers,
    /// The address to answer to is none, or our own.
    Address,
    /// The half of the exchange is no proper key.
    WeakKey,
    /// Not a word that a box writes here.
    NotExpected,
    /// The box belongs to an appliance that is suspended.
    Suspended,
    /// The center has no roots that the box could trust.
    NoRoots,
    /// Sealed under another key than the code's, changed on its way, or too old. Not authentic.
    NotOpened,
}

impl Refusal {
    /// The words for tables and columns.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "the code had expired",
            Self::Revoked => "the code was revoked",
            Self::UsedUp => "the code was used up",
            Self::Over => "the enrolment was over",
            Self::TooManyExchanges => "too many beginnings",
            Self::TooManyAnswers => "too many repeats",
            Self::Address => "no usable mail address",
            Self::WeakKey => "no proper key",
            Self::NotExpected => "not expected here",
            Self::Suspended => "the appliance is suspended",
            Self::NoRoots => "the center has no roots",
            Self::NotOpened => "not sealed under the code",
        }
    }

    /// Whether a person should hear of it at once: an honest box does not get there.
    #[must_use]
    pub fn is_suspicious(self) -> bool {
        match self {
            Self::UsedUp | Self::TooManyExchanges | Self::WeakKey | Self::Suspended => true,
            Self::Expired
            | Self::Revoked
            | Self::Over
            | Self::TooManyAnswers
            | Self::Address
            | Self::NotExpected
            | Self::NoRoots
            | Self::NotOpened => false,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Says what to do with a word that came under `code`, about `exchange` if it was begun before. `own` are the center's
/// addresses, to which it must not be made to write.
#[must_use]
pub fn decide(
    code: &CodeStanding,
    exchange: Option<&ExchangeStanding>,
    word: &Enrolment,
    own: &[String],
    now: Timestamp,
) -> Decision {
    decided(code, exchange, word, own, now).unwrap_or_else(Decision::Refuse)
}

fn decided(
    code: &CodeStanding,
    exchange: Option<&ExchangeStanding>,
    word: &Enrolment,
    own: &[String],
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let usable =
        |address: &str| is_mail_address(address) && !own.iter().any(|own| own.eq_ignore_ascii_case(address));
    let refuse_if = |refused: bool, why| if refused { Err(why) } else { Ok(()) };
    let open = || {
        refuse_if(code.expires < now, Refusal::Expired)?;
        refuse_if(code.used >= code.uses, Refusal::UsedUp)
    };
    let address = match word {
        Enrolment::Hello(hello) => hello.reply_to.as_str(),
        Enrolment::Registration(registration) => registration.address.as_str(),
        Enrolment::Offer(_) | Enrolment::Admission(_) | Enrolment::Unknown { .. } => {
            return Err(Refusal::NotExpected);
        }
    };
    refuse_if(code.revoked, Refusal::Revoked)?;
    let Some(exchange) = exchange else {
        refuse_if(!matches!(word, Enrolment::Hello(_)), Refusal::NotExpected)?;
        open()?;
        refuse_if(code.exchanges >= exchanges_max(code.uses), Refusal::TooManyExchanges)?;
        refuse_if(!usable(address), Refusal::Address)?;
        return Ok(Decision::Offer);
    };
    refuse_if(exchange.over, Refusal::Over)?;
    let few = || refuse_if(exchange.answers >= ANSWERS_MAX, Refusal::TooManyAnswers);
    match (word, exchange.admitted) {
        // The code may have been used up by this very exchange, or run out while the admission was on its way.
        (Enrolment::Registration(_), true) => few().map(|()| Decision::AdmitAgain),
        // However often others played its hello back.
        (Enrolment::Registration(_), false) => {
            open()?;
            refuse_if(!usable(address), Refusal::Address)?;
            Ok(Decision::Admit)
        }
        (_, false) => {
            open()?;
            few().map(|()| Decision::OfferAgain)
        }
        // It has the offer: a late copy, or one that somebody plays back.
        (_, true) => Err(Refusal::Over),
    }
}

fn exchanges_max(uses: u32) -> u32 {
    uses.saturating_mul(4).saturating_add(EXCHANGES_SPARE)
}

#[cfg(test)]
mod tests;
