use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{device::Prompt, *};
use crate::{Login, Password, sasl::Service};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn settings(text: &str) -> Result<Login, toml::de::Error> {
    #[derive(serde::Deserialize)]
    struct File {
        login: Login,
    }
    toml::from_str::<File>(text).map(|file| file.login)
}

fn oauth(text: &str) -> OAuth2Settings {
    match settings(text).unwrap() {
        Login::OAuth2(settings) => *settings,
        other => panic!("{other:?}"),
    }
}

const MICROSOFT: &str = "[login]\nprovider='microsoft'\nflow='client-credentials'\ntenant='contoso.example'\nclient_id='1234-abcd'\n";

fn jwt(claims: &str) -> AccessToken {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    AccessToken::new(format!("{}.{}.c2ln", part(r#"{"alg":"none"}"#), part(claims)))
}

#[test]
fn a_login_is_a_word_or_a_table() {
    assert_eq!(settings("login='password'").unwrap(), Login::Password);
    assert_eq!(
        settings("login='scram-sha-256'").unwrap(),
        Login::Mechanism(crate::sasl::Mechanism::ScramSha256)
    );
    assert!(settings("login='xoauth2'").unwrap_err().to_string().contains("a table for OAuth 2.0"));
    assert!(settings("login='ntlm'").unwrap_err().to_string().contains("cram-md5"));
    let missing =
        settings("[login]\nprovider='microsoft'\nflow='client-credentials'\nclient_id='x'\n").unwrap_err();
    assert!(missing.to_string().contains("`tenant` is missing"), "{missing}");
}

#[test]
fn the_endpoints_of_the_known_providers_follow_from_their_names() {
    let microsoft = oauth(MICROSOFT).endpoints().unwrap();
    assert_eq!(
        microsoft.token.to_string(),
        "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token"
    );
    assert_eq!(microsoft.scope.as_deref(), Some("https://outlook.office365.com/.default"));
    let google =
        oauth("[login]\nprovider='google'\nflow='refresh-token'\nclient_id='x.apps.googleusercontent.com'\n");
    assert_eq!(google.endpoints().unwrap().token.to_string(), "https://oauth2.googleapis.com/token");
}

#[test]
fn a_token_is_asked_for_by_tls_only_unless_on_this_machine() {
    for good in [
        "https://id.example/token",
        "http://127.0.0.1:8080/token",
        "http://localhost/t",
        "http://[::1]:1/t",
        "https://id.example:8443",
    ] {
        assert!(Url::parse(good).is_some(), "{good}");
    }
    for bad in [
        "http://id.example/token",
        "ftp://127.0.0.1/",
        "https://",
        "https://a b/",
        "https://user@id.example/",
        "https://id.example/#x",
        "https://id.example:99999/",
    ] {
        assert!(Url::parse(bad).is_none(), "{bad}");
    }
    assert_eq!(Url::parse("https://id.example/a?b=c").unwrap().path, "/a?b=c");
}

#[test]
fn requests_are_forms_with_every_sign_escaped() {
    let settings = oauth(MICROSOFT);
    let endpoints = settings.endpoints().unwrap();
    let secret = Password::new("a+b c&d=é".into());
    assert_eq!(
        request::token(&settings, &endpoints, &secret, None).unwrap().as_str(),
        "client_id=1234-abcd&client_secret=a%2Bb%20c%26d%3D%C3%A9&grant_type=client_credentials\
         &scope=https%3A%2F%2Foutlook.office365.com%2F.default"
    );
    let refresh = OAuth2Settings { flow: Flow::RefreshToken, scope: Some("mail".into()), ..settings };
    let endpoints = refresh.endpoints().unwrap();
    let public = Password::new(String::new());
    assert!(request::token(&refresh, &endpoints, &public, None).is_none());
    let token = AccessToken::new("1//0g".into());
    assert_eq!(
        request::token(&refresh, &endpoints, &public, Some(&token)).unwrap().as_str(),
        "client_id=1234-abcd&grant_type=refresh_token&refresh_token=1%2F%2F0g&scope=mail"
    );
}

#[test]
fn a_token_is_fetched_anew_before_its_end_and_when_the_clock_was_set_back() {
    let at = |minutes| NOW + SignedDuration::from_mins(minutes);
    let token = StoredToken {
        issued_for: "x".into(),
        access: Some(AccessToken::new("t".into())),
        fetched: Some(at(0)),
        expires: Some(at(60)),
        refresh: None,
    };
    assert!(!token.is_due(at(0)) && !token.is_due(at(54)));
    assert!(token.is_due(at(55)) && token.is_due(at(600)) && token.is_due(at(-1)));
    let short = StoredToken { expires: Some(at(1)), ..token.clone() };
    assert!(!short.is_due(at(0)), "a short life has a short margin");
    assert!(StoredToken::empty("x".into(), None).is_due(at(0)));
    assert!(!format!("{token:?}").contains("\"t\""));
}

#[test]
fn an_answer_is_a_token_or_an_error_and_never_half_of_it() {
    let token = reply::read(
        200,
        br#"{"token_type":"Bearer","expires_in":"3599","access_token":"abc","refresh_token":"r"}"#,
        NOW,
    )
    .unwrap();
    assert_eq!(token.expires, NOW + SignedDuration::from_secs(3599));
    assert!(token.access == AccessToken::new("abc".into()) && token.refresh.is_some());
    for odd in [
        &b""[..],
        b"<html>",
        b"{}",
        br#"{"access_token":""}"#,
        br#"{"access_token":"x","token_type":"mac"}"#,
        b"[1]",
    ] {
        assert!(reply::read(200, odd, NOW).is_err(), "{odd:?}");
    }
    let endless = reply::read(200, br#"{"access_token":"abc","expires_in":1e300}"#, NOW).unwrap();
    assert!(endless.expires <= NOW + SignedDuration::from_hours(31 * 24));
    assert!(reply::read(502, b"<html>bad gateway", NOW).unwrap_err().is_passing());
}

#[test]
fn every_error_of_a_provider_that_a_person_can_mend_says_how() {
    let microsoft = |number: &str, text: &str| {
        let body = format!(
            r#"{{"error":"invalid_client","error_description":"{number}: {text}\r\nTrace ID: 1\r\nCorrelation ID: 2","error_codes":[1]}}"#
        );
        reply::read(401, body.as_bytes(), NOW).unwrap_err()
    };
    for (number, word) in [
        ("AADSTS700016", "tenant"),
        ("AADSTS7000215", "value"),
        ("AADSTS7000222", "expired"),
        ("AADSTS65001", "consent"),
        ("AADSTS50034", "tenant"),
        ("AADSTS53003", "conditional access"),
    ] {
        let error = microsoft(number, "words of the provider");
        assert_eq!(error.number.as_deref(), Some(number));
        assert!(error.advice().unwrap().contains(word), "{number}: {:?}", error.advice());
        assert_eq!(error.to_string(), format!("invalid_client: {number}: words of the provider"));
        assert!(!error.is_passing());
    }
    for (code, word) in [
        ("invalid_grant", "--sign-in"),
        ("invalid_client", "client_id"),
        ("interaction_required", "--sign-in"),
    ] {
        assert!(ProviderError::new(code, "").advice().unwrap().contains(word), "{code}");
    }
    assert_eq!(ProviderError::new("something_new", "").advice(), None);
}

#[test]
fn a_refused_token_tells_which_permission_is_missing() {
    let aud = r#""aud":"https://outlook.office365.com""#;
    let app = jwt(&format!(r#"{{{aud},"roles":["SMTP.SendAsApp","POP.AccessAsApp"]}}"#));
    let refused = TokenRefused::new(Service::Imap, "AUTHENTICATE failed.", None, &app);
    assert_eq!(refused.cause, Cause::AppLacks("IMAP.AccessAsApp"));
    assert_eq!(
        refused.to_string(),
        "the mail server refused the access token: AUTHENTICATE failed.; the app lacks IMAP.AccessAsApp"
    );
    assert_eq!(TokenRefused::new(Service::Pop3, "no", None, &app).cause, Cause::Unknown);
    let nothing = jwt(&format!("{{{aud}}}"));
    assert_eq!(
        TokenRefused::new(Service::Smtp, "no", None, &nothing).cause,
        Cause::AppLacks("SMTP.SendAsApp")
    );
    let person = jwt(&format!(r#"{{{aud},"scp":"IMAP.AccessAsUser.All"}}"#));
    assert_eq!(TokenRefused::new(Service::Smtp, "no", None, &person).cause, Cause::UserLacks("SMTP.Send"));
    let graph = jwt(r#"{"aud":"https://graph.microsoft.com","roles":["Mail.Read"]}"#);
    let cause = TokenRefused::new(Service::Imap, "no", None, &graph).cause;
    assert_eq!(cause, Cause::OtherService("https://graph.microsoft.com".into()));
}

#[test]
fn a_refused_token_tells_of_a_mailbox_without_right_and_of_a_protocol_switched_off() {
    let all = jwt(r#"{"aud":"https://outlook.office365.com","roles":["IMAP.AccessAsApp","SMTP.SendAsApp"]}"#);
    let words = "User is authenticated but not connected.";
    assert_eq!(TokenRefused::new(Service::Imap, words, None, &all).cause, Cause::NoMailbox);
    let words =
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.";
    assert_eq!(TokenRefused::new(Service::Smtp, words, None, &all).cause, Cause::SwitchedOff("SMTP"));
    let words = "535 5.7.3 Authentication unsuccessful";
    let refused = TokenRefused::new(
        Service::Smtp,
        words,
        Some(r#"{"status":"400","schemes":"Bearer","scope":"s"}"#),
        &all,
    );
    assert_eq!(refused.cause, Cause::Unknown);
    assert!(refused.to_string().contains("status 400, scope s"), "{refused}");
    let echoed = TokenRefused::new(Service::Smtp, &format!("no {}", all.reveal()), None, &all);
    assert!(!echoed.to_string().contains(all.reveal()));
}

#[test]
fn a_sign_in_by_code_tells_page_and_code_and_nothing_else() {
    let body = br#"{"user_code":"ABCD-EFGH","device_code":"long secret","verification_uri":"https://microsoft.com/devicelogin","expires_in":900,"interval":5}"#;
    let prompt = Prompt::read(200, body, NOW).unwrap();
    assert_eq!(
        (prompt.code.as_str(), prompt.page.as_str()),
        ("ABCD-EFGH", "https://microsoft.com/devicelogin")
    );
    assert_eq!(prompt.expires, NOW + SignedDuration::from_secs(900));
    assert!(!format!("{prompt:?}").contains("long secret"));
    let refused = Prompt::read(400, br#"{"error":"invalid_scope"}"#, NOW).unwrap_err();
    assert_eq!(refused.code, "invalid_scope");
}

proptest! {
    #[test]
    fn no_answer_of_a_provider_and_no_token_makes_a_reader_panic(
        status in 0_u16..1000,
        body in prop::collection::vec(any::<u8>(), 0..200),
        text in "\\PC{0,80}",
        secs in any::<f64>(),
    ) {
        let _ = reply::read(status, &body, NOW);
        let _ = Prompt::read(status, &body, NOW);
        let json = serde_json::json!({"access_token": text, "expires_in": secs, "error_description": text}).to_string();
        let _ = reply::read(status, json.as_bytes(), Timestamp::MAX);
        let _ = ProviderError::new("x", &text).advice();
        let _ = ProviderError::new("x", &format!("AADSTS{text}")).advice();
        let _ = Claims::of(&AccessToken::new(text.clone()));
        let _ = TokenRefused::new(Service::Imap, &text, Some(&text), &AccessToken::new("t".into()));
        let _ = Url::parse(&text);
        let _ = Url::parse(&format!("https://{text}"));
    }
}
