//! How an account logs in, as it stands in a settings file.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::{oauth::OAuth2Settings, sasl::Mechanism};

/// How to log in: `login = "password"`, `login = "scram-sha-256"`, or a table `[accounts.login]` for OAuth 2.0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Login {
    /// By password, with the strongest mechanism that the server offers.
    #[default]
    Password,
    /// By password with this mechanism and no other: a server that does not offer it is refused.
    Mechanism(Mechanism),
    /// By access token.
    OAuth2(Box<OAuth2Settings>),
}

const PASSWORD: &str = "password";
const EXPECTED: &str =
    "password, scram-sha-256, scram-sha-1, cram-md5, plain, login, or a table for OAuth 2.0";

impl Login {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::Password
    }

    /// Reads what stands in a settings file or behind a flag for a login by password.
    ///
    /// # Errors
    /// A text that tells what may stand there.
    pub fn by_password(text: &str) -> Result<Self, String> {
        match text.parse::<Mechanism>() {
            _ if text == PASSWORD => Ok(Self::Password),
            Ok(mechanism) if !mechanism.takes_token() => Ok(Self::Mechanism(mechanism)),
            _ => Err(format!("write one of {EXPECTED}")),
        }
    }
}

impl Serialize for Login {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Password => serializer.serialize_str(PASSWORD),
            Self::Mechanism(mechanism) => mechanism.serialize(serializer),
            Self::OAuth2(settings) => settings.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Login {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Login;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Login, E> {
                Login::by_password(text).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Login, A::Error> {
                let settings = OAuth2Settings::deserialize(MapAccessDeserializer::new(map))?;
                settings.endpoints().map_err(A::Error::custom)?;
                Ok(Login::OAuth2(Box::new(settings)))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
