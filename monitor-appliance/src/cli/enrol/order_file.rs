//! Everything for an enrolment in one file, for a box that nobody sits at.

use super::super::account::Host;
use super::super::snmp_user::SnmpUserArguments;
use super::Arguments;
use anyhow::Context as _;
use mailbox::Security;
use mailfmt::trust::RootFingerprint;
use monitor_appliance::enrolment::wipe_file;
use monitor_appliance::snmp::{AuthProtocol, PrivacyProtocol};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const OCTETS_MAX: u64 = 64 << 10;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderFile {
    code: String,
    center_address: String,
    root_fingerprint: Option<RootFingerprint>,
    address: String,
    user: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    smtp: Host,
    imap: Option<Host>,
    pop3: Option<Host>,
    security: Option<Security>,
    smtp_security: Option<Security>,
    #[serde(default = "yes")]
    smtp_login: bool,
    ca_file: Option<PathBuf>,
    #[serde(default = "yes")]
    scan: bool,
    #[serde(default)]
    ranges: Vec<String>,
    #[serde(default)]
    excludes: Vec<String>,
    #[serde(default)]
    communities: Vec<String>,
    #[serde(default)]
    devices: Vec<String>,
    snmp_user: Option<String>,
    snmp_auth: Option<AuthProtocol>,
    snmp_auth_password_file: Option<PathBuf>,
    snmp_privacy: Option<PrivacyProtocol>,
    snmp_privacy_password_file: Option<PathBuf>,
}

fn yes() -> bool {
    true
}

/// What must not stand among the arguments.
#[derive(Default)]
pub(super) struct Secrets {
    pub(super) code: Option<Zeroizing<String>>,
    pub(super) password: Option<Zeroizing<String>>,
}

/// Reads the file and puts what it says into the arguments.
pub(super) fn take_over(path: &Path, arguments: &mut Arguments) -> anyhow::Result<Secrets> {
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)
        .and_then(|file| file.take(OCTETS_MAX).read_to_string(&mut text))
        .with_context(|| format!("cannot read {}", path.display()))?;
    // The parser's own message would quote the line, and with it a secret.
    let file: OrderFile = toml::from_str(&text)
        .map_err(|error| anyhow::anyhow!("{} cannot be understood: {}", path.display(), error.message()))?;
    let wrong = |key: &str, error: &dyn std::fmt::Display| {
        anyhow::anyhow!("{}: {key} cannot be understood: {error}", path.display())
    };
    arguments.center_address = Some(
        super::parse_mail_address(&file.center_address).map_err(|error| wrong("center_address", &error))?,
    );
    arguments.root_fingerprint = file.root_fingerprint;
    let account = &mut arguments.account;
    account.address =
        Some(super::parse_mail_address(&file.address).map_err(|error| wrong("address", &error))?);
    (account.user, account.password_file) = (file.user, file.password_file);
    (account.smtp, account.imap, account.pop3) = (Some(file.smtp), file.imap, file.pop3);
    (account.security, account.smtp_security) = (file.security, file.smtp_security);
    (account.no_smtp_login, account.ca_file) = (!file.smtp_login, file.ca_file);
    arguments
        .devices
        .take_over(!file.scan, &file.ranges, &file.excludes, file.communities, &file.devices)
        .map_err(|(key, error)| wrong(key, &error))?;
    arguments.devices.take_user(SnmpUserArguments {
        snmp_user: file.snmp_user,
        snmp_auth: file.snmp_auth,
        snmp_auth_password_file: file.snmp_auth_password_file,
        snmp_privacy: file.snmp_privacy,
        snmp_privacy_password_file: file.snmp_privacy_password_file,
    });
    Ok(Secrets { code: Some(Zeroizing::new(file.code)), password: file.password.map(Zeroizing::new) })
}

/// The file has done its work, and holds secrets. On a medium that cannot be written it stays.
pub(super) fn wipe(path: &Path) {
    if let Err(error) = wipe_file(path) {
        eprintln!("{error:#}; it holds secrets: remove it");
    }
}
