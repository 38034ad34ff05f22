use super::*;
use crate::printers::Severity;

fn request(line: &str) -> Request {
    parse_request(line).unwrap()
}

#[test]
fn requests_are_read_as_documented() {
    let to = |action| Request { printer: Some("hall".to_owned()), action };
    assert_eq!(request(r#"{"printer":"hall","do":"jam"}"#), to(Action::Jam));
    assert_eq!(request(r#"{"printer":"hall","do":"print","pages":12}"#), to(Action::Print { pages: 12 }));
    let toner = to(Action::Toner { supply: 1, percent: 5 });
    assert_eq!(request(r#"{"printer":"hall","do":"toner","supply":1,"percent":5}"#), toner);
    let silent = to(Action::Behaviour { behaviour: Behaviour::Silent });
    assert_eq!(request(r#"{"printer":"hall","do":"behaviour","behaviour":"silent"}"#), silent);
    let slow = to(Action::Behaviour { behaviour: Behaviour::SlowMillis(800) });
    assert_eq!(request(r#"{"printer":"hall","do":"behaviour","behaviour":{"slow_millis":800}}"#), slow);
    assert_eq!(request(r#"{"do":"list"}"#), Request { printer: None, action: Action::List });
    let alert = request(
        r#"{"printer":"hall","do":"alert","severity":"warning","group":8,"code":807,"description":"Low"}"#,
    );
    assert!(
        matches!(alert.action, Action::Alert(alert) if alert.severity == Severity::Warning && alert.code == 807)
    );
}

#[test]
fn what_a_client_writes_a_server_reads() {
    let actions = [
        Action::List,
        Action::ClearJam,
        Action::Alert(Alert::paper_empty(2)),
        Action::Behaviour { behaviour: Behaviour::SlowMillis(3) },
        Action::Set { oid: "1.3.6".into(), tag: "4x".into(), value: "00".into() },
    ];
    for action in actions {
        let sent = Request { printer: Some("a \"b\"\n".to_owned()), action };
        let line = serde_json::to_string(&sent).unwrap();
        assert!(!line.contains('\n'), "one line: {line}");
        assert_eq!(request(&line), sent);
    }
}

#[test]
fn wrong_requests_say_what_is_wrong() {
    assert!(matches!(parse_request(r#"{"do":"jam"}"#), Err(RequestError::NoPrinter)));
    let nonsense = parse_request(r#"{"printer":"hall","do":"explode"}"#).unwrap_err();
    assert!(told(&nonsense).contains("explode"), "{}", told(&nonsense));
    assert!(matches!(parse_request("jam"), Err(RequestError::Syntax(_))));
    let refused = carry_out(&Office::new(), request(r#"{"printer":"hall","do":"jam"}"#));
    assert!(matches!(refused, Err(RequestError::Office(OfficeError::Unknown(name))) if name == "hall"));
}
