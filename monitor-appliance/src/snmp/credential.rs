//! How a device lets itself be read: SNMP version, community or user. Secrets never show in `Debug`.

use super::ReadError;
use async_snmp::{MasterKeys, UsmConfig};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use zeroize::Zeroizing;

/// A community or a password. Wiped from memory when dropped; shows as `<secret>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }

    /// The secret itself: for the wire, never for a log or a message.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// How a device lets itself be read; in settings a table with the key `version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "version", deny_unknown_fields)]
pub enum SnmpCredential {
    /// SNMPv1 (RFC 1157).
    #[serde(rename = "v1")]
    V1 {
        /// The community.
        community: Secret,
    },
    /// SNMPv2c (RFC 1901).
    #[serde(rename = "v2c")]
    V2c {
        /// The community.
        community: Secret,
    },
    /// SNMPv3 with the user-based security model (RFC 3414).
    #[serde(rename = "v3")]
    V3(V3User),
}

/// An SNMPv3 user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct V3User {
    /// User name.
    pub user: String,
    /// Context name; empty on nearly all devices.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// Authentication; without it the device must allow `noAuthNoPriv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<V3Auth>,
    /// Encryption; only together with authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<V3Privacy>,
}

/// Authentication of an SNMPv3 user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct V3Auth {
    /// Protocol.
    pub protocol: AuthProtocol,
    /// Password, at least 8 octets (RFC 3414 section 11.2).
    pub password: Secret,
}

/// Encryption of an SNMPv3 user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct V3Privacy {
    /// Protocol.
    pub protocol: PrivacyProtocol,
    /// Password, at least 8 octets (RFC 3414 section 11.2).
    pub password: Secret,
}

/// SNMPv3 authentication protocols (RFC 3414, RFC 7860).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthProtocol {
    /// HMAC-MD5-96.
    Md5,
    /// HMAC-SHA-96.
    Sha1,
    /// HMAC-SHA-224.
    Sha224,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-384.
    Sha384,
    /// HMAC-SHA-512.
    Sha512,
}

impl AuthProtocol {
    fn wire(self) -> async_snmp::AuthProtocol {
        use async_snmp::AuthProtocol as Wire;
        match self {
            Self::Md5 => Wire::Md5,
            Self::Sha1 => Wire::Sha1,
            Self::Sha224 => Wire::Sha224,
            Self::Sha256 => Wire::Sha256,
            Self::Sha384 => Wire::Sha384,
            Self::Sha512 => Wire::Sha512,
        }
    }
}

/// SNMPv3 encryption protocols (RFC 3414, RFC 3826; longer AES keys have two rival derivations).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrivacyProtocol {
    /// CBC-DES.
    Des,
    /// 3DES-EDE (Reeder draft).
    #[serde(rename = "3des")]
    Des3,
    /// CFB-AES-128.
    #[serde(rename = "aes128")]
    Aes128,
    /// CFB-AES-192, key by the Blumenthal draft.
    #[serde(rename = "aes192")]
    Aes192,
    /// CFB-AES-192, key by the Reeder draft, as Cisco does.
    #[serde(rename = "aes192-reeder")]
    Aes192Reeder,
    /// CFB-AES-256, key by the Blumenthal draft.
    #[serde(rename = "aes256")]
    Aes256,
    /// CFB-AES-256, key by the Reeder draft, as Cisco does.
    #[serde(rename = "aes256-reeder")]
    Aes256Reeder,
}

impl PrivacyProtocol {
    fn wire(self) -> async_snmp::PrivProtocol {
        use async_snmp::PrivProtocol as Wire;
        match self {
            Self::Des => Wire::Des,
            Self::Des3 => Wire::Des3,
            Self::Aes128 => Wire::Aes128,
            Self::Aes192 => Wire::Aes192Blumenthal,
            Self::Aes192Reeder => Wire::Aes192Reeder,
            Self::Aes256 => Wire::Aes256Blumenthal,
            Self::Aes256Reeder => Wire::Aes256Reeder,
        }
    }
}

impl V3User {
    fn bad(&self, reason: impl fmt::Display) -> ReadError {
        ReadError::BadCredential { user: self.user.clone(), reason: reason.to_string() }
    }

    /// Derives the keys from the passwords: 1 MB of hashing each (RFC 3414 appendix A.2). `None` without passwords.
    pub(crate) fn master_keys(&self) -> Result<Option<MasterKeys>, ReadError> {
        let Some(auth) = &self.auth else {
            let alone = self.privacy.is_none();
            return if alone { Ok(None) } else { Err(self.bad("encryption needs authentication as well")) };
        };
        let keys = MasterKeys::new(auth.protocol.wire(), auth.password.expose().as_bytes());
        let keys = keys.map_err(|error| self.bad(format_args!("authentication: {error}")))?;
        let Some(privacy) = &self.privacy else { return Ok(Some(keys)) };
        let keys = keys.with_privacy(privacy.protocol.wire(), privacy.password.expose().as_bytes());
        keys.map(Some).map_err(|error| self.bad(format_args!("encryption: {error}")))
    }

    /// The client configuration with keys derived before.
    pub(super) fn config(&self, keys: Option<MasterKeys>) -> Result<async_snmp::Auth, ReadError> {
        if !(1..=32).contains(&self.user.len()) {
            return Err(self.bad("a user name has 1 to 32 octets"));
        }
        let config = UsmConfig::new(self.user.clone()).context_name(self.context.clone());
        let config = match keys {
            Some(keys) => config.with_master_keys(keys).map_err(|error| self.bad(error))?,
            None => config,
        };
        Ok(config.into())
    }
}

#[cfg(test)]
mod tests {
    use super::{AuthProtocol, PrivacyProtocol, Secret, SnmpCredential, V3Auth, V3Privacy, V3User};

    fn user() -> V3User {
        V3User {
            user: "monitor".to_owned(),
            context: String::new(),
            auth: Some(V3Auth { protocol: AuthProtocol::Sha256, password: Secret::new("open-sesame-1") }),
            privacy: Some(V3Privacy {
                protocol: PrivacyProtocol::Aes256Reeder,
                password: Secret::new("open-sesame-2"),
            }),
        }
    }

    #[test]
    fn a_credential_never_shows_its_secrets() {
        let shown = format!(
            "{:?} {:?}",
            SnmpCredential::V3(user()),
            SnmpCredential::V2c { community: Secret::new("hush") }
        );
        assert!(shown.contains("monitor") && shown.contains("<secret>"));
        assert!(!shown.contains("sesame") && !shown.contains("hush"), "{shown}");
    }

    #[test]
    fn credentials_are_written_in_settings_by_version() {
        let v2c: SnmpCredential = toml::from_str("version = \"v2c\"\ncommunity = \"public\"").unwrap();
        assert_eq!(v2c, SnmpCredential::V2c { community: Secret::new("public") });
        let text = toml::to_string(&SnmpCredential::V3(user())).unwrap();
        assert!(text.contains("version = \"v3\"") && text.contains("protocol = \"aes256-reeder\""), "{text}");
        assert_eq!(toml::from_str::<SnmpCredential>(&text).unwrap(), SnmpCredential::V3(user()));
    }

    #[test]
    fn a_credential_that_cannot_work_is_refused_with_the_reason_and_without_the_secret() {
        let short = V3User {
            auth: Some(V3Auth { protocol: AuthProtocol::Sha1, password: Secret::new("short7!") }),
            ..user()
        };
        let alone = V3User { auth: None, ..user() };
        for (user, word) in [(short, "authentication"), (alone, "encryption needs authentication")] {
            let error = user.master_keys().map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("monitor") && error.contains(word), "{error}");
            assert!(!error.contains("short7!"), "{error}");
        }
        assert!(V3User { user: String::new(), ..user() }.config(None).is_err());
    }
}
