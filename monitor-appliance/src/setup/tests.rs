use super::*;
use crate::release::Releases;
use crate::settings::SnmpAccess;
use crate::snmp::Secret;
use mailfmt::crypto::Credential;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn introduction(agent: &str) -> Introduction {
    Introduction {
        agent: agent.parse().unwrap(),
        center: "CENTER".parse().unwrap(),
        center_address: "center@center.example".into(),
        credential: Credential::from_bytes([7; 32]),
        roots: Vec::new(),
    }
}

fn account() -> mailbox::AccountSettings {
    let server =
        |port| mailbox::Server { host: "mail.site.example".into(), port, security: mailbox::Security::Tls };
    mailbox::AccountSettings {
        name: "main".into(),
        address: "agent1@site.example".into(),
        username: "agent1".into(),
        smtp: server(465),
        fetch: mailbox::Protocol::Imap,
        fetch_server: server(993),
        ca_file: None,
        hello_name: None,
        smtp_login: true,
        mail_octets_max: None,
        provider: None,
        limits: Default::default(),
        login: mailbox::Login::default(),
    }
}

fn device(address: &str) -> DeviceEntry {
    DeviceEntry { address: address.into(), access: SnmpAccess::V2c { community: Secret::new("public") } }
}

fn programs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, _) in FIRST_MODULES {
        std::fs::write(folder.path().join(name), format!("program {name}")).unwrap();
    }
    folder
}

fn first_release(folder: &Path) -> FirstRelease {
    FirstRelease {
        folder: folder.to_owned(),
        software: "1.0.00-1".parse::<mailfmt::SoftwareVersion>().unwrap(),
        module: mailfmt::ModuleVersion::new("1.0.00").unwrap(),
        rom: mailfmt::ModuleVersion::new("1.5.08").unwrap(),
    }
}

fn answers(folder: &Path) -> Answers {
    Answers {
        introduction: Some(introduction("AGENT0000001")),
        account: Some(account()),
        password: Some(Zeroizing::new("open sesame".into())),
        devices: vec![device("192.0.2.1")],
        release: Some(first_release(folder)),
        ..Answers::default()
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_set_up_leaves_an_appliance_that_can_start() {
    let (home, programs) = (tempfile::tempdir().unwrap(), programs());
    let layout = Layout::new(home.path().join("appliance"));
    set_up(&layout, &answers(programs.path()), Existing::Keep).unwrap();
    let context = Context::load(layout.root()).unwrap();
    assert_eq!(context.settings.agent.as_str(), "AGENT0000001");
    context.channel_keys().unwrap();
    assert_eq!(crate::mail_agent::accounts(&context).unwrap().len(), 1);
    let (folder, release) = Releases::below(layout.root()).current().unwrap();
    assert_eq!(release.software.as_str(), "1.0.00-1");
    assert_eq!(crate::release::residents(&release).count(), 2);
    assert_eq!(mode(&folder.join("mail-agent")), 0o755);
    for secret in
        [layout.credential_file(), layout.secrets_dir().join("mail-1.password"), layout.settings_file()]
    {
        assert_eq!(mode(&secret), 0o600, "{}", secret.display());
    }
    assert_eq!(mode(&layout.secrets_dir()), 0o700);
}

#[test]
fn a_second_set_up_adds_what_it_brings_and_keeps_the_rest() {
    let (home, programs) = (tempfile::tempdir().unwrap(), programs());
    let layout = Layout::new(home.path());
    set_up(&layout, &answers(programs.path()), Existing::Keep).unwrap();
    std::fs::write(programs.path().join("mail-agent"), "another program").unwrap();
    let more = Answers {
        devices: vec![device("192.0.2.2"), device("192.0.2.1")],
        release: Some(first_release(programs.path())),
        ..Answers::default()
    };
    let done = set_up(&layout, &more, Existing::Keep).unwrap();
    assert!(done.kept.contains(&layout.current()));
    let settings = Settings::load(&layout.settings_file()).unwrap();
    assert_eq!(settings.devices.len(), 2);
    assert_eq!(settings.accounts[0].account, account());
    assert_eq!(std::fs::read(layout.current().join("mail-agent")).unwrap(), b"program mail-agent");
}

#[test]
fn an_appliance_becomes_another_one_only_when_that_is_said() {
    let (home, programs) = (tempfile::tempdir().unwrap(), programs());
    let layout = Layout::new(home.path());
    set_up(&layout, &answers(programs.path()), Existing::Keep).unwrap();
    let other = Answers { introduction: Some(introduction("AGENT0000002")), ..Answers::default() };
    let refused = set_up(&layout, &other, Existing::Keep).unwrap_err();
    assert!(refused.to_string().contains("--replace"), "{refused}");
    set_up(&layout, &other, Existing::Replace).unwrap();
    assert_eq!(Settings::load(&layout.settings_file()).unwrap().agent.as_str(), "AGENT0000002");
}

#[test]
fn what_is_missing_the_first_time_is_named() {
    let home = tempfile::tempdir().unwrap();
    let layout = Layout::new(home.path());
    let error = set_up(&layout, &Answers::default(), Existing::Keep).unwrap_err();
    assert!(error.to_string().contains("--introduction"), "{error}");
    let only_introduced = Answers { introduction: Some(introduction("AGENT0000001")), ..Answers::default() };
    let error = set_up(&layout, &only_introduced, Existing::Keep).unwrap_err();
    assert!(error.to_string().contains("--smtp"), "{error}");
    assert!(!layout.settings_file().exists());
}

#[test]
fn a_folder_without_a_program_is_refused_before_anything_runs_from_it() {
    let (home, programs) = (tempfile::tempdir().unwrap(), programs());
    std::fs::remove_file(programs.path().join("version-report")).unwrap();
    let layout = Layout::new(home.path());
    let error = set_up(&layout, &answers(programs.path()), Existing::Keep).unwrap_err();
    assert!(matches!(error, SetupError::Release(FirstReleaseError::Program { .. })), "{error}");
    assert!(!layout.current().exists());
}
