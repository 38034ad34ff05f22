//! Simulated printers as a poller on the network sees them: over UDP, with another program's SNMP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_snmp::message::CommunityMessage;
use async_snmp::{
    Auth, AuthProtocol, Client, DecodeConfig, Error, Oid, Pdu, PduBody, PrivProtocol, Retry, StandardPduType,
    UdpClient, UsmConfig, Value, VarBind,
};
use sandbox::printers::control::{self, Action, Request};
use sandbox::printers::{Alert, Behaviour, Office, Printer, PrinterSettings, Recording, Severity, V3User};
use tokio::net::UdpSocket;

const SYS_DESCR: &str = "1.3.6.1.2.1.1.1.0";
const SYS_UP_TIME: &str = "1.3.6.1.2.1.1.3.0";
const HR_SYSTEM_UPTIME: &str = "1.3.6.1.2.1.25.1.1.0";
const LIFE_COUNT: &str = "1.3.6.1.2.1.43.10.2.1.4.1.1";
const SERIAL: &str = "1.3.6.1.2.1.43.5.1.1.17.1";
const ERROR_STATE: &str = "1.3.6.1.2.1.25.3.5.1.2.1";
const DEVICE_STATUS: &str = "1.3.6.1.2.1.25.3.2.1.5.1";
const ALERT_CODE: &str = "1.3.6.1.2.1.43.18.1.1.7";
const PASSWORD: &str = "a password for tests";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/printers")
}

fn recording(name: &str) -> Arc<Recording> {
    Recording::from_folder(&folder().join(name)).unwrap()
}

fn oid(text: &str) -> Oid {
    Oid::parse(text).unwrap()
}

fn user(auth: AuthProtocol, privacy: PrivProtocol) -> V3User {
    V3User::auth("monitor", auth, PASSWORD).unwrap().with_privacy(privacy, PASSWORD).unwrap()
}

fn v3(auth: AuthProtocol, privacy: PrivProtocol, password: &str) -> Auth {
    UsmConfig::new("monitor").auth_priv(auth, password, privacy, password).unwrap().into()
}

async fn start(name: &str) -> Printer {
    Printer::start(recording(name), PrinterSettings::default()).await.unwrap()
}

async fn start_with(name: &str, user: V3User) -> Printer {
    let settings = PrinterSettings { user: Some(user), ..PrinterSettings::default() };
    Printer::start(recording(name), settings).await.unwrap()
}

async fn client(address: SocketAddr, auth: impl Into<Auth>, timeout: Duration) -> UdpClient {
    Client::builder(address, auth).request_timeout(timeout).retry(Retry::none()).connect().await.unwrap()
}

async fn poller(printer: &Printer) -> UdpClient {
    client(printer.address(), Auth::v2c("public"), Duration::from_secs(5)).await
}

/// A poller for which silence is what the test is about.
async fn hasty(printer: &Printer, auth: impl Into<Auth>) -> UdpClient {
    client(printer.address(), auth, Duration::from_millis(150)).await
}

async fn get(client: &UdpClient, object: &str) -> Value {
    client.get(&oid(object)).await.unwrap().single().unwrap().value.clone()
}

async fn walk(client: &UdpClient, root: &str) -> Result<Vec<VarBind>, Box<Error>> {
    client.walk(oid(root)).unwrap().collect().await
}

fn runs(name: &Oid) -> bool {
    [SYS_UP_TIME, HR_SYSTEM_UPTIME].contains(&name.to_string().as_str())
}

/// The walk is the recording, apart from uptimes, which are the recorded ones or a little later.
fn assert_same(recording: &Recording, walked: &[VarBind]) {
    assert_eq!(walked.len(), recording.objects().len(), "{}", recording.name());
    for (binding, (name, value)) in walked.iter().zip(recording.objects()) {
        assert_eq!(binding.oid, *name, "{}", recording.name());
        match (&binding.value, value) {
            (Value::TimeTicks(now), Value::TimeTicks(then)) if runs(name) => {
                assert!(now.wrapping_sub(*then) < 60_000, "{} {name}: {then} to {now}", recording.name());
            }
            (walked, recorded) => assert_eq!(walked, recorded, "{} {name}", recording.name()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recording_reads_back_over_v1_v2c_and_v3() {
    let recordings = Recording::all_in(&folder()).unwrap();
    assert!(10 < recordings.len(), "the recordings are there");
    let user = user(AuthProtocol::Sha256, PrivProtocol::Aes128);
    for recording in recordings {
        let settings = PrinterSettings { user: Some(user.clone()), ..PrinterSettings::default() };
        let printer = Printer::start(Arc::clone(&recording), settings).await.unwrap();
        let auths = [
            Auth::v1("public"),
            Auth::v2c("public"),
            v3(AuthProtocol::Sha256, PrivProtocol::Aes128, PASSWORD),
        ];
        for auth in auths {
            let client = client(printer.address(), auth, Duration::from_secs(5)).await;
            assert_same(&recording, &walk(&client, "1.3.6.1").await.unwrap());
        }
    }
}

#[tokio::test]
async fn every_kind_of_v3_user_is_answered() {
    let kinds = [
        (AuthProtocol::Sha1, PrivProtocol::Aes128),
        (AuthProtocol::Sha224, PrivProtocol::Aes192Blumenthal),
        (AuthProtocol::Sha256, PrivProtocol::Aes256Blumenthal),
        (AuthProtocol::Sha384, PrivProtocol::Aes256Reeder),
        (AuthProtocol::Sha512, PrivProtocol::Aes256Blumenthal),
    ];
    for (auth, privacy) in kinds {
        let printer = start_with("epson-st-c4100", user(auth, privacy)).await;
        let client = client(printer.address(), v3(auth, privacy, PASSWORD), Duration::from_secs(5)).await;
        assert_eq!(get(&client, LIFE_COUNT).await, Value::Counter32(9), "{auth:?} {privacy:?}");
    }
    let printer =
        start_with("epson-st-c4100", V3User::auth("monitor", AuthProtocol::Sha256, PASSWORD).unwrap()).await;
    let auth = UsmConfig::new("monitor").auth(AuthProtocol::Sha256, PASSWORD).unwrap();
    let client = client(printer.address(), auth, Duration::from_secs(5)).await;
    assert_eq!(get(&client, LIFE_COUNT).await, Value::Counter32(9));
}

#[tokio::test]
async fn strangers_learn_nothing() {
    let printer = start_with("kyocera-p2040dw", user(AuthProtocol::Sha1, PrivProtocol::Aes128)).await;
    for community in ["private", ""] {
        for auth in [Auth::v1(community), Auth::v2c(community)] {
            let refused = hasty(&printer, auth).await.get(&oid(SYS_DESCR)).await.unwrap_err();
            assert!(matches!(*refused, Error::Timeout { .. }), "{refused:?}");
        }
    }
    let wrong_password = v3(AuthProtocol::Sha1, PrivProtocol::Aes128, "another password");
    let nobody = UsmConfig::new("nobody").auth(AuthProtocol::Sha1, PASSWORD).unwrap().into();
    let in_clear = UsmConfig::new("monitor").auth(AuthProtocol::Sha1, PASSWORD).unwrap().into();
    for auth in [wrong_password, nobody, in_clear, Auth::usm("monitor")] {
        let client = client(printer.address(), auth, Duration::from_secs(1)).await;
        assert!(client.get(&oid(SYS_DESCR)).await.is_err());
    }
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for junk in [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x03\x02\x01\x03", &[0x30; 3000]] {
        socket.send_to(junk, printer.address()).await.unwrap();
    }
    let still = poller(&printer).await;
    assert!(matches!(get(&still, SYS_DESCR).await, Value::OctetString(_)), "junk does no harm");
}

#[tokio::test]
async fn changes_show_with_the_next_request_and_only_in_their_printer() {
    let (one, other) = (start("kyocera-cs-4053ci").await, start("kyocera-cs-4053ci").await);
    let client = poller(&one).await;
    one.set(oid("1.3.6.1.2.1.1.5.0"), Value::OctetString("hall".into()));
    one.set_serial("SIM-0001");
    one.print_pages(12).unwrap();
    one.set_toner_percent(1, 5).unwrap();
    assert!(one.remove(&oid(SYS_DESCR)));
    assert_eq!(get(&client, "1.3.6.1.2.1.1.5.0").await.as_str(), Some("hall"));
    assert_eq!(get(&client, SERIAL).await.as_str(), Some("SIM-0001"));
    assert_eq!(get(&client, LIFE_COUNT).await, Value::Counter32(76_498 + 12));
    assert!(get(&client, SYS_DESCR).await.is_exception());
    let max = get(&client, "1.3.6.1.2.1.43.11.1.1.8.1.1").await.as_i32().unwrap();
    assert_eq!(get(&client, "1.3.6.1.2.1.43.11.1.1.9.1.1").await, Value::Integer(max / 20));
    assert_same(&recording("kyocera-cs-4053ci"), &walk(&poller(&other).await, "1.3.6.1").await.unwrap());
}

#[tokio::test]
async fn uptime_runs() {
    let printer = start("kyocera-p2040dw").await;
    let client = poller(&printer).await;
    let first = get(&client, SYS_UP_TIME).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while get(&client, SYS_UP_TIME).await == first {
        assert!(Instant::now() < deadline, "sysUpTime stands still at {first}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_jam_comes_and_goes() {
    let printer = start("epson-st-m3000").await;
    let client = poller(&printer).await;
    let before = walk(&client, "1.3.6.1.2.1.25.3").await.unwrap();
    assert_eq!(walk(&client, ALERT_CODE).await.unwrap(), []);

    let index = printer.jam();
    assert_eq!(get(&client, &format!("{ALERT_CODE}.1.{index}")).await, Value::Integer(8));
    assert_eq!(get(&client, ERROR_STATE).await.as_bytes().unwrap()[0] & 0x04, 0x04);
    assert_eq!(get(&client, DEVICE_STATUS).await, Value::Integer(5));

    assert_eq!(printer.clear_jam(), 1);
    assert_eq!(walk(&client, "1.3.6.1.2.1.25.3").await.unwrap(), before);
    assert_eq!(walk(&client, ALERT_CODE).await.unwrap(), []);
    assert!(index < printer.jam(), "the next jam is another one");
}

#[tokio::test]
async fn a_printer_that_is_off_is_silent_and_starts_again_from_zero() {
    let printer = start_with("epson-wf-m5799", user(AuthProtocol::Sha1, PrivProtocol::Aes128)).await;
    let auth = v3(AuthProtocol::Sha1, PrivProtocol::Aes128, PASSWORD);
    let secure = client(printer.address(), auth.clone(), Duration::from_secs(5)).await;
    assert_eq!(get(&secure, LIFE_COUNT).await, Value::Counter32(49_790));

    printer.power_off();
    for auth in [Auth::v2c("public"), auth] {
        let refused = hasty(&printer, auth).await.get(&oid(LIFE_COUNT)).await.unwrap_err();
        assert!(matches!(*refused, Error::Timeout { .. }), "{refused:?}");
    }

    printer.power_on();
    let uptime = get(&poller(&printer).await, SYS_UP_TIME).await.as_u32().unwrap();
    assert!(uptime < 6_000, "sysUpTime is {uptime}");
    assert_eq!(
        get(&secure, LIFE_COUNT).await,
        Value::Counter32(49_790),
        "a v3 poller finds it again by itself"
    );
}

#[tokio::test]
async fn a_stopped_printer_frees_its_port() {
    let printer = start("epson-st-c4100").await;
    let address = printer.address();
    printer.stop().await;
    let settings = PrinterSettings { bind: address, ..PrinterSettings::default() };
    let again = Printer::start(recording("epson-st-c4100"), settings).await.unwrap();
    assert_eq!(get(&poller(&again).await, LIFE_COUNT).await, Value::Counter32(9));
}

/// Sends one GET by hand and gives the raw answer.
async fn raw_answer(printer: &Printer, objects: &[&str]) -> Vec<u8> {
    let bindings = objects.iter().map(|object| VarBind::null(oid(object))).collect();
    let get = PduBody::Standard { pdu_type: StandardPduType::GetRequest, error_status: 0, error_index: 0 };
    let request = CommunityMessage::v2c("public", Pdu::from_raw_parts(7, get, bindings)).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&request.encode().unwrap(), printer.address()).await.unwrap();
    let mut answer = [0; 2000];
    let length =
        tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut answer)).await.unwrap().unwrap();
    answer[..length].to_vec()
}

fn read(answer: &[u8]) -> Option<Pdu> {
    CommunityMessage::decode(answer.to_vec().into(), DecodeConfig::STRICT).ok()?.value.into_pdu()
}

#[tokio::test]
async fn misbehaviour_is_what_its_name_says_and_ends() {
    let printer = start("kyocera-p2040dw").await;
    assert_eq!(read(&raw_answer(&printer, &[SYS_DESCR]).await).unwrap().request_id(), 7);

    for behaviour in [Behaviour::Silent, Behaviour::Garbage, Behaviour::WrongRequestId, Behaviour::Truncated]
    {
        printer.set_behaviour(behaviour);
        let client = hasty(&printer, Auth::v2c("public")).await;
        assert!(client.get(&oid(SYS_DESCR)).await.is_err(), "{behaviour:?}");
    }

    printer.set_behaviour(Behaviour::Garbage);
    let garbage = raw_answer(&printer, &[SYS_DESCR]).await;
    assert_ne!(garbage, raw_answer(&printer, &[SYS_DESCR]).await, "never twice the same");
    printer.set_behaviour(Behaviour::Truncated);
    let half = raw_answer(&printer, &[SYS_DESCR]).await;
    assert_eq!((half[0], read(&half)), (0x30, None), "begins as a message and is none");
    printer.set_behaviour(Behaviour::WrongRequestId);
    assert_eq!(read(&raw_answer(&printer, &[SYS_DESCR]).await).unwrap().request_id(), 8);
    printer.set_behaviour(Behaviour::TooBig);
    let refused = read(&raw_answer(&printer, &[SYS_DESCR, SYS_UP_TIME]).await).unwrap();
    assert_eq!((refused.error_fields(), refused.varbinds().len()), (Some((1, 0)), 0));
    assert_eq!(read(&raw_answer(&printer, &[SYS_DESCR]).await).unwrap().error_fields(), Some((0, 0)));

    let client = poller(&printer).await;
    printer.set_behaviour(Behaviour::Loop);
    let looped = walk(&client, "1.3.6.1.2.1.43").await.unwrap_err();
    assert!(matches!(*looped, Error::WalkAborted { .. }), "{looped:?}");

    printer.set_behaviour(Behaviour::SlowMillis(200));
    let asked = Instant::now();
    assert!(matches!(get(&client, SYS_DESCR).await, Value::OctetString(_)));
    assert!(Duration::from_millis(200) <= asked.elapsed());

    printer.set_behaviour(Behaviour::Normal);
    assert_same(&recording("kyocera-p2040dw"), &walk(&client, "1.3.6.1").await.unwrap());
}

#[tokio::test]
async fn an_endless_tree_goes_on_after_the_real_rows() {
    let printer = start("kyocera-p2040dw").await;
    let client = poller(&printer).await;
    let root = "1.3.6.1.2.1.43.11.1.1.9.1";
    let real = walk(&client, root).await.unwrap().len();
    printer.set_behaviour(Behaviour::EndlessTree);
    let mut at = oid(root);
    for _ in 0..real + 500 {
        let next = client.get_next(&at).await.unwrap().single().unwrap().oid.clone();
        assert!(at < next && next.starts_with(&oid(root)), "{at} to {next}");
        at = next;
    }
}

#[tokio::test]
async fn another_process_changes_printers_over_the_control_channel() {
    let office = Arc::new(Office::new());
    let printer = office.add("hall", start("epson-wf-c17590").await).unwrap();
    assert!(office.add("hall", start("epson-wf-c17590").await).is_err(), "a name is given once");
    let control = control::serve("127.0.0.1:0".parse().unwrap(), Arc::clone(&office)).await.unwrap();
    let to = |action| Request { printer: Some("hall".to_owned()), action };
    let send = async |request| control::send(control.address(), &request).await.unwrap();
    let client = poller(&printer).await;

    let jam = send(to(Action::Jam)).await.alert.unwrap();
    assert_eq!(get(&client, &format!("{ALERT_CODE}.1.{jam}")).await, Value::Integer(8));
    let alert = Alert { severity: Severity::Warning, ..Alert::paper_empty(2) };
    assert_eq!(send(to(Action::Alert(alert))).await.alert, Some(jam + 1));
    assert!(send(to(Action::ClearAlert { index: jam + 1 })).await.ok);
    assert!(send(to(Action::ClearJam)).await.ok);
    assert!(send(to(Action::Print { pages: 6 })).await.ok);
    assert!(send(to(Action::Serial { serial: "S-1".into() })).await.ok);
    let set = Action::Set { oid: "1.3.6.1.2.1.1.6.0".into(), tag: "4".into(), value: "2nd floor".into() };
    assert!(send(to(set)).await.ok);
    assert_eq!(get(&client, "1.3.6.1.2.1.1.6.0").await.as_str(), Some("2nd floor"));

    let listed = send(Request { printer: None, action: Action::List }).await.printers;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].printer.as_str(), listed[0].address), ("hall", printer.address()));
    assert_eq!((listed[0].summary.serial.as_deref(), listed[0].summary.pages), (Some("S-1"), Some(422_300)));

    let refused = send(to(Action::Toner { supply: 99, percent: 1 })).await;
    assert!(!refused.ok && refused.error.unwrap().contains("no supply 99"));
    let refused = send(to(Action::Set { oid: "1.3".into(), tag: "2".into(), value: "x".into() })).await;
    assert!(!refused.ok, "{refused:?}");
    assert!(control::serve("0.0.0.0:0".parse().unwrap(), office).await.is_err(), "this machine only");
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_printers_share_one_recording() {
    let shared = recording("epson-am-c550");
    let mut printers = Vec::new();
    for number in 0..300 {
        let printer = Printer::start(Arc::clone(&shared), PrinterSettings::default()).await.unwrap();
        printer.set_serial(&format!("SIM-{number}"));
        printers.push(printer);
    }
    for (number, printer) in printers.iter().enumerate() {
        assert_eq!(
            get(&poller(printer).await, SERIAL).await.as_str(),
            Some(format!("SIM-{number}").as_str())
        );
    }
}

/// What net-snmp's own program walks, as `OID value` lines; nothing when it is not installed.
async fn net_snmp_walk(printer: &Printer, how: &[&str]) -> Option<Vec<(String, String)>> {
    let mut command = tokio::process::Command::new("snmpwalk");
    command
        .args(["-m", "", "-Onqt", "-t", "5", "-Cc"])
        .args(how)
        .arg(printer.address().to_string())
        .arg(".1.3.6.1");
    let output = match command.output().await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        output => output.unwrap(),
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{how:?}: {}", String::from_utf8_lossy(&output.stderr));
    let ended = "No more variables left";
    let objects = text.lines().filter(|line| line.starts_with(".1.3.6.") && !line.contains(ended));
    let split =
        |line: &str| line.split_once(' ').map(|(name, value)| (name[1..].to_owned(), value.to_owned()));
    Some(objects.map(|line| split(line).unwrap_or((line[1..].trim().to_owned(), String::new()))).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn net_snmp_reads_the_same() {
    let printer = start_with("kyocera-p2040dw", user(AuthProtocol::Sha256, PrivProtocol::Aes128)).await;
    let v3 = [
        "-v3", "-u", "monitor", "-l", "authPriv", "-a", "SHA-256", "-A", PASSWORD, "-x", "AES", "-X",
        PASSWORD,
    ];
    for how in [&["-v1", "-c", "public"][..], &["-v2c", "-c", "public"], &v3] {
        let Some(walked) = net_snmp_walk(&printer, how).await else {
            eprintln!("skipped: snmpwalk of net-snmp is not installed");
            return;
        };
        let recording = recording("kyocera-p2040dw");
        assert_eq!(walked.len(), recording.objects().len(), "{how:?}");
        for ((name, text), (recorded, value)) in walked.iter().zip(recording.objects()) {
            assert_eq!(*name, recorded.to_string(), "{how:?}");
            match value {
                Value::Integer(number) => assert_eq!(*text, number.to_string(), "{name}"),
                Value::Counter32(number) | Value::Gauge32(number) => {
                    assert_eq!(*text, number.to_string(), "{name}");
                }
                Value::ObjectIdentifier(pointed) => assert_eq!(*text, format!(".{pointed}"), "{name}"),
                _ => {}
            }
        }
    }
}

#[test]
fn every_recording_has_its_source_and_licence() {
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for recording in Recording::all_in(&folder()).unwrap() {
        let file = folder().join(recording.name()).join("expected.json");
        let expected: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let licence = expected["source"]["licence"].as_str().unwrap();
        assert!(licence.starts_with("MIT") || licence.starts_with("Apache-2.0"), "{}", recording.name());
        let row = format!("| {} | {} |", recording.name(), expected["source"]["project"].as_str().unwrap());
        assert!(readme.contains(&row), "README.md lacks {row}");
        assert_eq!(expected["walk"]["varbinds"], recording.objects().len(), "{}", recording.name());
    }
}
