use super::*;
use crate::account::Security;

#[test]
fn every_profile_can_be_read_and_is_named_as_its_file() {
    for (file, text) in FILES {
        let provider = Provider::parse(text, file).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(format!("{}.toml", provider.name), *file);
        assert!(named(&provider.name).is_some());
    }
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/providers")).unwrap();
    let files: Vec<String> = folder
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    assert_eq!(files.len(), FILES.len(), "each file of the folder is in the list");
}

#[test]
fn no_profile_sends_a_password_in_the_open() {
    for provider in all() {
        for server in [&provider.smtp, &provider.imap, &provider.pop3].into_iter().flatten() {
            assert_ne!(server.security, Security::Plain, "{}", provider.name);
        }
    }
}

#[test]
fn every_figure_has_a_page_and_none_was_read_in_the_future() {
    for provider in all() {
        for (name, figure) in provider.limits.figures() {
            assert!(figure.source.starts_with("https://"), "{} {name}", provider.name);
            assert!(
                figure.checked.is_none_or(|checked| checked <= provider.written),
                "{} {name}",
                provider.name
            );
        }
    }
    let figures = named("microsoft365").unwrap().limits.figures();
    assert_eq!(figures["mails_per_minute"].value, 30);
    assert_eq!(figures["received_per_hour"].value, 3_600);
}

#[test]
fn a_domain_belongs_to_one_provider_only() {
    let mut seen = BTreeMap::new();
    for provider in all() {
        for domain in &provider.domains {
            let before = seen.insert(domain.clone(), provider.name.clone());
            assert_eq!(before, None, "{domain}");
        }
    }
}

#[test]
fn the_provider_of_an_address_is_told_by_its_domain_alone() {
    let name = |address| guess(address).map(|provider| provider.name.as_str());
    assert_eq!(name("box7@gmail.com"), Some("gmail"));
    assert_eq!(name("box7@GMX.de"), Some("gmx"));
    assert_eq!(name("box7@web.de."), Some("web-de"));
    assert_eq!(name("box7@dealer.onmicrosoft.com"), Some("microsoft365"));
    assert_eq!(name("box7@onmicrosoft.com"), None);
    assert_eq!(name("box7@notonmicrosoft.com"), None);
    assert_eq!(name("box7@dealer.example"), None);
    assert_eq!(name("no address"), None);
    assert_eq!(name("box7@ü"), None);
}

#[test]
fn what_is_wrong_with_a_profile_is_told_with_file_and_key() {
    let good = "name = \"one\"\ntitle = \"One\"\nwritten = \"2026-11-21\"\nlogin = [\"password\"]\n";
    assert!(Provider::parse(good, "one.toml").is_ok());
    let wrong = |more: &str| Provider::parse(&format!("{good}{more}"), "one.toml").unwrap_err().to_string();
    for (more, key) in [
        ("colour = 1\n", "colour"),
        (
            "[limits]\nmails_per_minute = { value = 0, source = \"https://x.example/\" }\n",
            "limits.mails_per_minute.value",
        ),
        (
            "[limits]\nmails_per_minute = { value = 5, source = \"hearsay\" }\n",
            "limits.mails_per_minute.source",
        ),
        (
            "[limits]\nmails_per_fortnight = { value = 5, source = \"https://x.example/\" }\n",
            "mails_per_fortnight",
        ),
        ("[smtp]\nhost = \"\"\nport = 25\nsecurity = \"tls\"\n", "smtp"),
        ("domains = [\"com\"]\n", "domains"),
    ] {
        let text = wrong(more);
        assert!(text.contains("one.toml") && text.contains(key), "{text}");
    }
}

#[test]
fn the_limits_that_programs_ask_for_have_units() {
    let gmail = named("gmail").unwrap();
    assert_eq!(gmail.limits.recipients(), Some(100));
    assert!(gmail.limits.mail_octets().is_some_and(|octets| octets >= 25_000_000));
    assert!(gmail.has(Habit::PopListsOnce));
    assert_eq!(gmail.preferred_fetch().map(|(protocol, _)| protocol), Some(Protocol::Imap));
    assert!(named("amazon-ses").unwrap().preferred_fetch().is_none());
    assert!(named("postfix").unwrap().smtp.is_none());
}

fn account(provider: Option<&str>, smtp: &str, fetch: Protocol) -> crate::AccountSettings {
    let server = |host: &str| Server { host: host.into(), port: 465, security: Security::Tls };
    crate::AccountSettings {
        name: "main".into(),
        address: "box7@dealer.example".into(),
        username: "box7".into(),
        smtp: server(smtp),
        fetch,
        fetch_server: server("in.dealer.example"),
        ca_file: None,
        hello_name: None,
        smtp_login: true,
        mail_octets_max: None,
        provider: provider.map(Into::into),
        limits: Default::default(),
        login: crate::Login::default(),
    }
}

#[test]
fn an_account_has_the_limits_of_the_provider_that_it_names_or_whose_server_it_uses() {
    let named = account(Some("icloud"), "relay.dealer.example", Protocol::Imap);
    assert_eq!(named.mail_octets_limit(), Some(20 << 20));
    let by_server = account(None, "SMTP.office365.com", Protocol::Imap);
    assert_eq!(by_server.known_provider().map(|provider| provider.name.as_str()), Some("microsoft365"));
    let own = account(None, "mail.dealer.example", Protocol::Imap);
    assert_eq!((own.known_provider(), own.mail_octets_limit()), (None, None));
    let set = crate::AccountSettings { mail_octets_max: Some(5_000_000), ..named };
    assert_eq!(set.mail_octets_limit(), Some(5_000_000), "what a person has set counts before the profile");
}

#[test]
fn by_pop3_the_pause_between_looks_bounds_the_logins() {
    let server = "mail.dealer.example";
    assert_eq!(account(Some("gmx"), server, Protocol::Pop3).logins_per_hour(60), 4);
    assert_eq!(account(Some("gmx"), server, Protocol::Imap).logins_per_hour(60), 60);
    assert_eq!(account(Some("gmx"), server, Protocol::Pop3).logins_per_hour(2), 2);
    assert_eq!(account(None, server, Protocol::Pop3).logins_per_hour(60), 60);
}

#[test]
fn an_unknown_provider_in_the_settings_is_named() {
    let text = "name = \"main\"\naddress = \"a@b.example\"\nusername = \"a\"\nfetch = \"imap\"\nprovider = \"gmial\"\n\
        smtp = { host = \"x\", port = 465, security = \"tls\" }\nfetch_server = { host = \"x\", port = 993, security = \"tls\" }\n";
    let error = toml::from_str::<crate::AccountSettings>(text).unwrap_err().to_string();
    assert!(error.contains("gmial") && error.contains("provider"), "{error}");
    assert!(toml::from_str::<crate::AccountSettings>(&text.replace("gmial", "gmail")).is_ok());
}

#[test]
fn a_profile_is_described_with_its_sources() {
    let text = named("microsoft365").unwrap().describe();
    for part in
        ["smtp.office365.com:587 STARTTLS", "mails_per_minute", "30", "https://", "oauth2", "not checked"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}
