//! An SNMPv3 user given on the command line, in the file for `--unattended`, or typed; its passwords lie in files of mode 0600.

use super::questions::Questions;
use anyhow::Context as _;
use monitor_appliance::Layout;
use monitor_appliance::replace_file::replace_file;
use monitor_appliance::settings::SnmpAccess;
use monitor_appliance::snmp::{AuthProtocol, PrivacyProtocol};
use serde::de::IntoDeserializer as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Where the passwords of the user lie, below the root.
const AUTH_FILE: &str = "secrets/snmp-auth.password";
const PRIVACY_FILE: &str = "secrets/snmp-privacy.password";

/// Fewest octets of a password (RFC 3414 section 11.2).
const PASSWORD_OCTETS_MIN: usize = 8;

#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct SnmpUserArguments {
    /// SNMPv3 user to try where no community is taken.
    #[arg(long, value_name = "NAME")]
    pub(super) snmp_user: Option<String>,
    /// Its authentication, such as sha256.
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol::<AuthProtocol>, requires_all = ["snmp_user", "snmp_auth_password_file"])]
    pub(super) snmp_auth: Option<AuthProtocol>,
    /// File with its authentication password, mode 0600; a copy is kept.
    #[arg(long, value_name = "FILE", requires = "snmp_auth")]
    pub(super) snmp_auth_password_file: Option<PathBuf>,
    /// Its encryption, such as aes128.
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol::<PrivacyProtocol>, requires_all = ["snmp_auth", "snmp_privacy_password_file"])]
    pub(super) snmp_privacy: Option<PrivacyProtocol>,
    /// File with its encryption password, mode 0600; a copy is kept.
    #[arg(long, value_name = "FILE", requires = "snmp_privacy")]
    pub(super) snmp_privacy_password_file: Option<PathBuf>,
}

/// A protocol by the name that it has in settings.
pub(super) fn protocol<P: serde::de::DeserializeOwned>(text: &str) -> Result<P, String> {
    P::deserialize(text.into_deserializer()).map_err(|error: serde::de::value::Error| error.to_string())
}

impl SnmpUserArguments {
    /// The user, with copies of its password files among the appliance's secrets; `None` where none is given.
    ///
    /// # Errors
    /// A password file that cannot be read, or that others may read.
    pub(super) fn access(&self, layout: &Layout) -> anyhow::Result<Option<SnmpAccess>> {
        let Some(user) = self.snmp_user.clone() else { return Ok(None) };
        let auth = match (self.snmp_auth, &self.snmp_auth_password_file) {
            (Some(protocol), Some(file)) => Some((protocol, copied(layout, file, AUTH_FILE)?)),
            (None, None) => None,
            _ => anyhow::bail!("--snmp-auth and --snmp-auth-password-file belong together"),
        };
        let privacy = match (self.snmp_privacy, &self.snmp_privacy_password_file) {
            (Some(protocol), Some(file)) => Some((protocol, copied(layout, file, PRIVACY_FILE)?)),
            (None, None) => None,
            _ => anyhow::bail!("--snmp-privacy and --snmp-privacy-password-file belong together"),
        };
        anyhow::ensure!(privacy.is_none() || auth.is_some(), "--snmp-privacy only together with --snmp-auth");
        Ok(Some(SnmpAccess::V3 { user, auth, privacy }))
    }
}

/// Asks for a user; its passwords are stored at once. `None` where there is none.
///
/// # Errors
/// A terminal or a disk that fails.
pub(super) fn ask(layout: &Layout, questions: &Questions) -> anyhow::Result<Option<SnmpAccess>> {
    let check = |text: &str| match (1..=32).contains(&text.len()) {
        true => Ok(()),
        false => Err("a user name has 1 to 32 octets".to_owned()),
    };
    let Some(user) =
        questions.ask_more("SNMPv3 user to try where no community is taken; empty for none", check)?
    else {
        return Ok(None);
    };
    let protocols = [
        (Some(AuthProtocol::Sha256), "SHA-256"),
        (Some(AuthProtocol::Sha512), "SHA-512"),
        (Some(AuthProtocol::Sha384), "SHA-384"),
        (Some(AuthProtocol::Sha224), "SHA-224"),
        (Some(AuthProtocol::Sha1), "SHA-1"),
        (Some(AuthProtocol::Md5), "MD5"),
        (None, "none"),
    ];
    let Some(auth) = questions.choose("Authentication of that user", &protocols)?.flatten() else {
        return Ok(Some(SnmpAccess::V3 { user, auth: None, privacy: None }));
    };
    let auth = (auth, typed(layout, AUTH_FILE, "Authentication password", questions)?);
    let protocols = [
        (Some(PrivacyProtocol::Aes128), "AES-128"),
        (Some(PrivacyProtocol::Aes256), "AES-256"),
        (Some(PrivacyProtocol::Aes192), "AES-192"),
        (Some(PrivacyProtocol::Aes256Reeder), "AES-256 as Cisco derives its key"),
        (Some(PrivacyProtocol::Des), "DES"),
        (None, "none"),
    ];
    let privacy = match questions.choose("Encryption of that user", &protocols)?.flatten() {
        Some(protocol) => Some((protocol, typed(layout, PRIVACY_FILE, "Encryption password", questions)?)),
        None => None,
    };
    Ok(Some(SnmpAccess::V3 { user, auth: Some(auth), privacy }))
}

fn typed(layout: &Layout, name: &str, prompt: &str, questions: &Questions) -> anyhow::Result<PathBuf> {
    loop {
        let password = questions.ask_secret(prompt)?;
        if password.len() >= PASSWORD_OCTETS_MIN {
            return kept(layout, &password, name);
        }
        eprintln!("SNMPv3 passwords have at least {PASSWORD_OCTETS_MIN} characters.");
    }
}

/// A copy of a password file that only its owner may read.
fn copied(layout: &Layout, file: &Path, name: &str) -> anyhow::Result<PathBuf> {
    // Mode, length and shape are checked as for the passwords of mail.
    mailbox::Password::from_file(file).with_context(|| format!("{} cannot be used", file.display()))?;
    let text = std::fs::read_to_string(file).map(Zeroizing::new)?;
    kept(layout, text.trim_end_matches(['\r', '\n']), name)
}

fn kept(layout: &Layout, password: &str, name: &str) -> anyhow::Result<PathBuf> {
    let path = layout.resolve(Path::new(name));
    let mut folder = std::fs::DirBuilder::new();
    folder
        .recursive(true)
        .mode(0o700)
        .create(layout.secrets_dir())
        .context("cannot make the folder of secrets")?;
    replace_file(&path, password.as_bytes(), 0o600)?;
    Ok(PathBuf::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_user_keeps_copies_of_its_passwords_that_nobody_else_may_read() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::new(home.path().join("root"));
        let file = home.path().join("typed");
        std::fs::write(&file, "correct horse\n").unwrap();
        let arguments = SnmpUserArguments {
            snmp_user: Some("monitor".to_owned()),
            snmp_auth: Some(AuthProtocol::Sha256),
            snmp_auth_password_file: Some(file.clone()),
            snmp_privacy: Some(PrivacyProtocol::Aes128),
            snmp_privacy_password_file: Some(file.clone()),
        };
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = arguments.access(&layout).unwrap_err();
        assert!(!format!("{error:#}").contains("horse"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let Some(SnmpAccess::V3 { auth: Some((_, kept)), .. }) = arguments.access(&layout).unwrap() else {
            panic!("no user")
        };
        let kept = layout.resolve(&kept);
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), "correct horse");
        assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SnmpUserArguments::default().access(&layout).unwrap(), None);
    }
}
