//! Which mechanisms are tried, and in which order.

use std::fmt;

use crate::sasl::{Credential, Mechanism, Secret};

/// What a server offers for logging in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// Those of its mechanisms that are spoken here.
    pub known: Vec<Mechanism>,
    /// All names as it gave them, for a person to read.
    pub names: Vec<String>,
    /// The protocol's own command takes a readable password: USER and PASS by POP3, LOGIN by IMAP.
    pub command: bool,
}

/// Most names that are kept of one server.
const NAMES_MAX: usize = 40;

impl Offer {
    /// Takes a name that the server gave; one that is not known here is kept for a person only.
    pub fn add(&mut self, name: &str) {
        if let Ok(mechanism) = name.parse()
            && !self.known.contains(&mechanism)
        {
            self.known.push(mechanism);
        }
        let name = crate::server_text::clean(name.as_bytes());
        if self.names.len() < NAMES_MAX && !self.names.contains(&name) {
            self.names.push(name);
        }
    }
}

/// One way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// By a mechanism.
    Sasl(Mechanism),
    /// By the protocol's own command with a readable password.
    Command,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sasl(mechanism) => mechanism.fmt(f),
            Self::Command => f.write_str("the login command"),
        }
    }
}

/// What a login came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Used {
    /// The way that worked.
    pub(crate) way: Way,
    /// A mechanism that was refused before.
    pub(crate) refused: Option<Mechanism>,
}

/// No mechanism that the server offers may be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the mail server offers no login that the settings allow: it offers {offered}, wanted is {wanted}")]
pub struct NoMechanism {
    /// What it offers.
    pub offered: String,
    /// What could be used.
    pub wanted: String,
}

const STRONG: [Mechanism; 3] = [Mechanism::ScramSha256, Mechanism::ScramSha1, Mechanism::CramMd5];
const READABLE: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];
const TOKEN: [Mechanism; 2] = [Mechanism::OAuthBearer, Mechanism::XOAuth2];

/// The ways to try, one after the other: the strongest that is offered; and where that is refused and the connection is
/// protected, a readable one, since many servers offer mechanisms that they have no matching form of the password for.
/// A mechanism that the settings name is the only one. Never more than two, so that one wrong password counts as two
/// tries at most.
///
/// # Errors
/// [`NoMechanism`].
pub fn plan(credential: &Credential, offer: &Offer) -> Result<Vec<Way>, NoMechanism> {
    let offered = |mechanism: &Mechanism| offer.known.contains(mechanism);
    let none = |wanted: String| NoMechanism {
        offered: if offer.names.is_empty() { "none".to_owned() } else { offer.names.join(" ") },
        wanted,
    };
    let listed = |all: &[Mechanism]| all.iter().map(|one| one.name()).collect::<Vec<_>>().join(" or ");
    if let Some(only) = credential.only {
        let fits = only.takes_token() == matches!(credential.secret, Secret::Token(_));
        return if fits && offered(&only) { Ok(vec![Way::Sasl(only)]) } else { Err(none(only.to_string())) };
    }
    if matches!(credential.secret, Secret::Token(_)) {
        let found = TOKEN.into_iter().find(offered);
        return found.map(|mechanism| vec![Way::Sasl(mechanism)]).ok_or_else(|| none(listed(&TOKEN)));
    }
    let strong = STRONG.into_iter().find(|one| offered(one) && !credential.avoid.contains(one));
    let readable = READABLE.into_iter().find(offered).map(Way::Sasl);
    let readable = readable.or(offer.command.then_some(Way::Command));
    let ways: Vec<Way> = match (strong, readable) {
        // Nobody who sits on an open line gets the password for refusing the challenge.
        (Some(strong), Some(_)) if !credential.protected => vec![Way::Sasl(strong)],
        (strong, readable) => strong.map(Way::Sasl).into_iter().chain(readable).collect(),
    };
    if ways.is_empty() {
        return Err(none(format!("{} or {}", listed(&STRONG), listed(&READABLE))));
    }
    Ok(ways)
}
