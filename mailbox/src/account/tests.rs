use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn password_file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    (folder, path)
}

#[test]
fn a_password_never_shows_in_debug_output() {
    let password = Password::new("correct horse".into());
    assert_eq!(format!("{password:?}"), "<secret>");
}

#[test]
fn a_password_file_loses_only_its_line_end() {
    let (_folder, path) = password_file(b"  pass word \r\n", 0o600);
    assert_eq!(Password::from_file(&path).unwrap().reveal(), "  pass word ");
}

#[test]
fn a_password_file_that_others_can_read_is_refused_with_advice() {
    let (_folder, path) = password_file(b"secret\n", 0o644);
    let error = Password::from_file(&path).unwrap_err();
    assert!(matches!(error, PasswordError::TooOpen { mode: 0o644, .. }));
    assert!(error.to_string().contains("chmod 600"));
}

#[test]
fn a_password_of_two_lines_of_none_or_not_utf8_is_refused_without_showing_it() {
    for content in [&b"first\nsecond\n"[..], b"\n", b"", b"caf\xe9\n", b"a\0b", &[b'x'; 2000]] {
        let (_folder, path) = password_file(content, 0o600);
        let error = Password::from_file(&path).unwrap_err();
        assert!(matches!(error, PasswordError::Shape { .. }), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("first"));
    }
}

fn settings(address: &str, hello_name: Option<&str>) -> AccountSettings {
    let server = Server { host: "mail.example".into(), port: 995, security: Security::Tls };
    AccountSettings {
        name: "main".into(),
        address: address.into(),
        username: "u".into(),
        smtp: server.clone(),
        fetch: Protocol::Pop3,
        fetch_server: server,
        ca_file: None,
        hello_name: hello_name.map(Into::into),
        smtp_login: true,
        mail_octets_max: None,
        provider: None,
        limits: Default::default(),
        login: Login::default(),
    }
}

#[test]
fn the_hello_name_is_the_domain_of_the_address_unless_set() {
    assert_eq!(settings("a@site.example", None).hello(), "site.example");
    assert_eq!(settings("a@site.example", Some("box.site.example")).hello(), "box.site.example");
    assert_eq!(settings("a@site.example", Some("[192.0.2.1]")).hello(), "[192.0.2.1]");
}

#[test]
fn a_hello_name_cannot_carry_a_second_command() {
    assert_eq!(settings("a@site.example", Some("x\r\nQUIT")).hello(), "[127.0.0.1]");
    assert_eq!(settings("nonsense", None).hello(), "[127.0.0.1]");
}
