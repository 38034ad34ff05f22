//! How a device lets itself be read, as written in the file.

use super::file::bad;
use super::{SettingsError, SnmpAccess};
use crate::snmp::{AuthProtocol, PrivacyProtocol, Secret};
use std::path::PathBuf;

/// The keys of an access, under `[[devices]]` and under `[[ranges.credentials]]`.
#[derive(Default)]
pub(super) struct FileAccess {
    pub(super) version: Option<String>,
    pub(super) community: Option<Secret>,
    pub(super) user: Option<String>,
    pub(super) auth: Option<AuthProtocol>,
    pub(super) auth_password_file: Option<PathBuf>,
    pub(super) privacy: Option<PrivacyProtocol>,
    pub(super) privacy_password_file: Option<PathBuf>,
}

impl FileAccess {
    /// Checks it; `key` names one of its keys in full for errors.
    pub(super) fn check(self, key: &dyn Fn(&str) -> String) -> Result<SnmpAccess, SettingsError> {
        // The community itself must not appear in an error.
        let community = self.community.unwrap_or_else(|| Secret::new("public"));
        if !(1..=255).contains(&community.expose().len()) {
            return Err(bad(key("community"), "empty or too long", "1 to 255 octets"));
        }
        match self.version.as_deref() {
            Some("v1") => Ok(SnmpAccess::V1 { community }),
            None | Some("v2c") => Ok(SnmpAccess::V2c { community }),
            Some("v3") => {
                let auth = with_file(&key("auth"), self.auth, self.auth_password_file)?;
                let privacy = with_file(&key("privacy"), self.privacy, self.privacy_password_file)?;
                if privacy.is_some() && auth.is_none() {
                    return Err(bad(
                        key("privacy"),
                        "set",
                        "privacy only together with auth (RFC 3414, 1.4.3)",
                    ));
                }
                let user = self
                    .user
                    .filter(|user| (1..=32).contains(&user.len()))
                    .ok_or_else(|| bad(key("user"), "missing or too long", "1 to 32 octets (RFC 3414)"))?;
                Ok(SnmpAccess::V3 { user, auth, privacy })
            }
            Some(other) => Err(bad(key("version"), other, "\"v1\", \"v2c\" or \"v3\"")),
        }
    }

    pub(super) fn of(access: &SnmpAccess) -> Self {
        match access.clone() {
            SnmpAccess::V1 { community } => {
                Self { version: Some("v1".to_owned()), community: Some(community), ..Self::default() }
            }
            SnmpAccess::V2c { community } => Self { community: Some(community), ..Self::default() },
            SnmpAccess::V3 { user, auth, privacy } => {
                let (auth, auth_password_file) = auth.unzip();
                let (privacy, privacy_password_file) = privacy.unzip();
                let (version, user) = (Some("v3".to_owned()), Some(user));
                Self {
                    version,
                    community: None,
                    user,
                    auth,
                    auth_password_file,
                    privacy,
                    privacy_password_file,
                }
            }
        }
    }
}

/// A protocol and the file with its password: both or neither.
fn with_file<P>(
    key: &str,
    protocol: Option<P>,
    file: Option<PathBuf>,
) -> Result<Option<(P, PathBuf)>, SettingsError> {
    match (protocol, file) {
        (None, None) => Ok(None),
        (Some(protocol), Some(file)) => Ok(Some((protocol, file))),
        (Some(_), None) => {
            Err(bad(key, "set without a password file", format_args!("{key} and {key}_password_file")))
        }
        (None, Some(_)) => Err(bad(key, "not set", format_args!("{key} and {key}_password_file"))),
    }
}
