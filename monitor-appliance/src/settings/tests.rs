use super::*;

const SMALL: &str = r#"
agent = "AGENT0000001"
center = "CENTER"
center_address = "center@center.example"

[[accounts]]
name = "main"
address = "agent1@site.example"
username = "agent1"
smtp = { host = "mail.site.example", port = 465, security = "tls" }
fetch = "pop3"
fetch_server = { host = "mail.site.example", port = 995, security = "tls" }
"#;

fn parse(text: &str) -> Result<Settings, SettingsError> {
    Settings::parse(text, Path::new("appliance.toml"))
}

#[test]
fn the_source_timers_are_the_defaults() {
    let timers = parse(SMALL).unwrap().timers;
    assert_eq!(timers.fault_poll, Duration::from_secs(60));
    assert_eq!(timers.answer_poll, Duration::from_secs(30));
    assert_eq!(timers.answer_wait, Duration::from_secs(1800));
    assert_eq!(timers.counter_collect, Duration::from_secs(3600));
    assert_eq!(timers.mail_poll, Duration::from_secs(180));
}

#[test]
fn a_value_out_of_range_is_named_with_its_key_and_the_range() {
    let error = parse(&format!("{SMALL}\n[timers]\nrequests_per_hour = 59\n")).unwrap_err();
    assert_eq!(error.to_string(), "setting timers.requests_per_hour is 59, allowed is 60 to 100000 requests");
    let error = parse(&format!("{SMALL}\n[timers]\nfault_poll_secs = 0\n")).unwrap_err();
    assert_eq!(error.to_string(), "setting timers.fault_poll_secs is 0, allowed is 1 to 3600 seconds");
}

#[test]
fn a_misspelt_key_is_refused() {
    assert!(matches!(
        parse(&format!("{SMALL}\n[timers]\nfault_pol_secs = 5\n")),
        Err(SettingsError::Shape { .. })
    ));
    assert!(matches!(parse(&format!("{SMALL}\nport = 5\n")), Err(SettingsError::Shape { .. })));
}

#[test]
fn an_address_that_would_break_out_of_its_line_is_refused() {
    let text = SMALL.replace("center@center.example", "center@center.example>\\r\\nDATA");
    assert!(matches!(parse(&text), Err(SettingsError::Value { .. })));
}

#[test]
fn privacy_without_authentication_is_refused() {
    let device = "[[devices]]\naddress='192.0.2.1'\nversion='v3'\nuser='u'\nprivacy='aes128'\nprivacy_password_file='p'\n";
    let error = parse(&format!("{SMALL}\n{device}")).unwrap_err();
    assert!(error.to_string().contains("devices[1].privacy"), "{error}");
}

#[test]
fn the_same_device_twice_is_refused() {
    let device = "[[devices]]\naddress='192.0.2.1'\n";
    assert!(parse(&format!("{SMALL}\n{device}")).is_ok());
    assert!(parse(&format!("{SMALL}\n{device}{device}")).is_err());
}

#[test]
fn communities_do_not_appear_in_debug_output() {
    let settings =
        parse(&format!("{SMALL}\n[[devices]]\naddress='192.0.2.1'\ncommunity='hidden-word'\n")).unwrap();
    assert!(!format!("{settings:?}").contains("hidden-word"));
}

#[test]
fn written_settings_read_back_the_same() {
    let text = format!(
        "{SMALL}\n[[devices]]\naddress='192.0.2.1:1161'\nversion='v1'\ncommunity='x'\n\
         [[devices]]\naddress='192.0.2.2'\nversion='v3'\nuser='u'\nauth='sha256'\nauth_password_file='secrets/a'\n\
         [timers]\nmail_poll_secs = 7\n[retention]\nreading_days = 5\n[limits]\nmail_octets = 20000\n"
    );
    let settings = parse(&text).unwrap();
    let again = parse(&settings.write()).unwrap();
    assert_eq!(format!("{again:?}"), format!("{settings:?}"));
    assert_eq!(again.devices, settings.devices);
    assert_eq!(again.mail_limits.message_octets_max, 20_000);
}

#[test]
fn a_range_is_public_by_snmpv2c_once_a_day_unless_it_says_otherwise() {
    let settings = parse(&format!("{SMALL}\n[[ranges]]\nrange='192.168.1.0/24'\n")).unwrap();
    let [range] = settings.ranges.as_slice() else { panic!("{:?}", settings.ranges) };
    assert_eq!(range.credentials, [SnmpAccess::V2c { community: Secret::new("public") }]);
    assert_eq!((range.rescan, range.others), (Duration::from_secs(24 * 3600), false));
    assert_eq!(settings.discovery.vanished_after, SignedDuration::from_hours(7 * 24));
}

#[test]
fn a_wrong_range_exclude_or_credential_is_named_with_its_place() {
    for (text, place) in [
        ("range='192.168.1'", "ranges[1].range"),
        ("range='10.0.0.0/24'\nexcludes=['printer']", "ranges[1].excludes"),
        ("range='10.0.0.0/24'\nrescan_secs=60", "ranges[1].rescan_secs"),
        ("range='10.0.0.0/24'\ncredentials=[{community=''}]", "ranges[1].credentials[1].community"),
        (
            "range='10.0.0.0/24'\ncredentials=[{version='v3',user='a'},{version='v3',user='b'},{version='v3',user='c'}]",
            "ranges[1].credentials",
        ),
    ] {
        let error = parse(&format!("{SMALL}\n[[ranges]]\n{text}\n")).unwrap_err().to_string();
        assert!(error.contains(place), "{error}");
    }
}

#[test]
fn written_ranges_read_back_the_same() {
    let text = format!(
        "{SMALL}\n[discovery]\nparallel=9\nvanished_after_days=3\n[[ranges]]\nrange='10.0.0.0/24:1161'\nexcludes=['10.0.0.7']\n\
         rescan_secs=7200\nothers=true\ncredentials=[{{community='x'}},{{version='v3',user='u',auth='sha256',auth_password_file='secrets/a'}}]\n\
         [[ranges]]\nrange='broadcast:10.0.1.255'\n"
    );
    let settings = parse(&text).unwrap();
    let again = parse(&settings.write()).unwrap();
    assert_eq!((&again.ranges, &again.discovery), (&settings.ranges, &settings.discovery));
    assert_eq!(again.discovery.parallel, 9);
}
