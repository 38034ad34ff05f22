use super::*;
use crate::clock::Reading;
use crate::layout::Layout;
use crate::settings::Settings;
use mailfmt::Nonce;
use mailfmt::exchange::EphemeralSecret;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const SETTINGS: &str = r#"
agent = "AGENT0000001"
center = "CENTER"
center_address = "center@center.example"
[[accounts]]
name = "main"
address = "agent1@site.example"
username = "agent1"
smtp = { host = "127.0.0.1", port = 25, security = "plain" }
fetch = "pop3"
fetch_server = { host = "127.0.0.1", port = 110, security = "plain" }
"#;

struct Home {
    _folder: tempfile::TempDir,
    context: Context,
}

fn home() -> Home {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::parse(SETTINGS, Path::new("appliance.toml")).unwrap();
    let now = "2026-01-02T03:04:05Z".parse().unwrap();
    let layout = Layout::new(folder.path());
    std::fs::create_dir(layout.secrets_dir()).unwrap();
    let context = Context::new(layout, settings, Arc::new(move || Reading::of_wall(now)));
    replace_credential(&context, &Credential::from_bytes([7; 32])).unwrap();
    Home { _folder: folder, context }
}

fn request(rotation: u8) -> RotateRequest {
    let half = EphemeralSecret::generate(&mut |buffer: &mut [u8]| buffer.fill(rotation));
    RotateRequest { rotation: Nonce::from_bytes([rotation; 16]), center_key: half.public() }
}

fn held(context: &Context) -> Held {
    read(context).unwrap().held
}

#[test]
fn a_rotation_is_on_disk_before_it_is_answered_and_over_when_it_was_used() {
    let home = home();
    let keyring = Keyring::load(&home.context).unwrap();
    assert!(!keyring.settle().unwrap(), "nothing to settle yet");
    let next = keyring.agree(&request(1), 5).unwrap();
    assert!(keyring.keys().next.is_some());
    assert_eq!(held(&home.context).next, Some(next.clone()), "another process finds it");
    let mode = std::fs::metadata(home.context.layout.next_credential_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(credential_age(&home.context).rotating);
    assert_eq!(keyring.agree(&request(1), 9).unwrap(), next, "asked again, the same answer");
    assert!(keyring.settle().unwrap());
    assert_eq!(held(&home.context), Held { current: next.credential, next: None });
    assert!(!home.context.layout.next_credential_file().exists());
    assert!(keyring.keys().next.is_none());
    assert!(!credential_age(&home.context).rotating);
}

#[test]
fn a_power_cut_at_any_step_of_a_rotation_leaves_a_key_that_works() {
    let home = home();
    let layout = &home.context.layout;
    let before = held(&home.context);
    let next = Keyring::load(&home.context).unwrap().agree(&request(1), 5).unwrap();
    // Cut while the next one is written: half a file under another name.
    std::fs::write(layout.secrets_dir().join("credential.next.new"), "{\"rot").unwrap();
    assert_eq!(held(&home.context), Held { next: Some(next.clone()), ..before.clone() });
    // Cut between the two steps of settling: the same credential stands in both files.
    let hex = next.credential.expose_hex();
    replace_file(&layout.credential_file(), hex.as_bytes(), 0o600).unwrap();
    assert_eq!(held(&home.context), Held { current: next.credential.clone(), next: None });
    let keyring = Keyring::load(&home.context).unwrap();
    let newer = keyring.agree(&request(2), 6).unwrap();
    assert_eq!(held(&home.context), Held { current: next.credential, next: Some(newer) });
}

#[test]
fn a_damaged_next_credential_leaves_the_current_one() {
    let home = home();
    for text in ["", "{", "[]", "{\"rotation\":\"00\"}"] {
        std::fs::write(home.context.layout.next_credential_file(), text).unwrap();
        assert_eq!(held(&home.context).next, None, "{text}");
    }
}

#[test]
fn secrets_are_not_printed_by_the_keyring() {
    let home = home();
    let keyring = Keyring::load(&home.context).unwrap();
    let next = keyring.agree(&request(1), 5).unwrap();
    let shown = format!("{keyring:?} {next:?}");
    let hex = [next.credential.expose_hex(), Credential::from_bytes([7; 32]).expose_hex()];
    assert!(hex.iter().all(|secret| !shown.contains(secret.as_str())));
}

#[test]
fn roots_that_are_damaged_are_no_permission_to_take_unsigned_commands() {
    let home = home();
    let path = home.context.layout.trust_file();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "[]").unwrap();
    assert!(matches!(Keyring::load(&home.context), Err(KeyringError::Trust(_))));
}
