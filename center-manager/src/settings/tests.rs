use super::*;

const SMALL: &str = r#"
center = "CENTER"
address = "center@example.com"

[[account]]
name = "main"
address = "center@example.com"
username = "center@example.com"
fetch = "pop3"
smtp = { host = "mail.example.com", port = 465, security = "tls" }
fetch_server = { host = "mail.example.com", port = 995, security = "tls" }
"#;

#[test]
fn what_is_not_set_has_its_documented_default() {
    let settings = Settings::parse(SMALL).unwrap();
    assert_eq!(settings.poll, Duration::from_secs(10));
    assert_eq!(settings.recipients_per_mail, 50);
    assert_eq!(settings.command_expiry, SignedDuration::from_hours(7 * 24));
    assert_eq!(settings.mail_octets_max, 8 << 20);
}

#[test]
fn a_value_out_of_range_is_named_with_its_range() {
    let error = Settings::parse(&format!("recipients_per_mail = 5000{SMALL}")).unwrap_err();
    assert_eq!(error.to_string(), "recipients_per_mail = 5000 is not allowed; allowed is 1 to 1000");
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    let error = Settings::parse(&format!("pol_secs = 5{SMALL}")).unwrap_err();
    let SettingsError::Shape { source } = error else { panic!("{error}") };
    assert!(source.to_string().contains("pol_secs"), "{source}");
}

#[test]
fn a_center_without_an_account_is_refused() {
    let error = Settings::parse("center = \"CENTER\"\naddress = \"center@example.com\"").unwrap_err();
    assert!(error.to_string().contains("[[account]]"), "{error}");
}

#[test]
fn an_address_that_could_break_out_of_a_header_is_none() {
    for good in ["a@b", "agent+1@mail.example.com"] {
        assert!(is_mail_address(good), "{good:?}");
    }
    for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nBcc: x@y", "<a@b>"] {
        assert!(!is_mail_address(bad), "{bad:?}");
    }
}

#[test]
fn what_init_writes_is_read_back() {
    let settings = Settings::parse(SMALL).unwrap();
    let account = settings.accounts[0].clone();
    let text = toml::to_string(&SettingsFile::new(&settings.center, &settings.address, account)).unwrap();
    assert_eq!(Settings::parse(&text).unwrap(), settings);
}

#[test]
fn the_largest_mail_and_the_parity_parts_have_defaults_and_bounds() {
    let settings = Settings::parse(SMALL).unwrap();
    assert_eq!((settings.mail_out_octets_max, settings.parity), (10_000_000, None));
    let text = format!("mail_out_max_octets = 65536\nparity_parts = 1\nparity_group = 10\n{SMALL}");
    let settings = Settings::parse(&text).unwrap();
    let parity = settings.parity.map(|parity| (parity.group, parity.extra));
    assert_eq!((settings.mail_out_octets_max, parity), (65_536, Some((10, 1))));
    for (wrong, told) in
        [("mail_out_max_octets = 1000", "65536 to 67108864"), ("parity_parts = 17", "0 to 16")]
    {
        let error = Settings::parse(&format!("{wrong}\n{SMALL}")).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}
