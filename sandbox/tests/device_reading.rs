//! The appliance's reading of devices against the sandbox's printers: the same over every version of SNMP as from the recording.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up ends the test")]

use monitor_appliance::device::{Host, Oid, Reading, Value, Walk, interpret};
use monitor_appliance::profile::{ProfileWishes, Profiles};
use monitor_appliance::snmp::{
    AuthProtocol, DeviceTarget, PrivacyProtocol, ReadError, ReadLimits, Secret, SnmpCredential, SnmpReader,
    V3Auth, V3Privacy, V3User,
};
use sandbox::printers::{Printer, PrinterSettings, Recording, V3User as SimulatedUser};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const PASSWORD: &str = "correct horse battery";

fn recordings() -> Vec<Arc<Recording>> {
    Recording::all_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/printers")).unwrap()
}

fn v3(password: &str) -> SnmpCredential {
    SnmpCredential::V3(V3User {
        user: "monitor".into(),
        context: String::new(),
        auth: Some(V3Auth { protocol: AuthProtocol::Sha256, password: Secret::new(password) }),
        privacy: Some(V3Privacy { protocol: PrivacyProtocol::Aes128, password: Secret::new(PASSWORD) }),
    })
}

async fn printer(recording: &Arc<Recording>, bind: &str) -> Printer {
    let user = SimulatedUser::auth("monitor", async_snmp::AuthProtocol::Sha256, PASSWORD).unwrap();
    let user = user.with_privacy(async_snmp::PrivProtocol::Aes128, PASSWORD).unwrap();
    let settings =
        PrinterSettings { bind: bind.parse().unwrap(), user: Some(user), ..PrinterSettings::default() };
    Printer::start(Arc::clone(recording), settings).await.unwrap()
}

fn recorded(recording: &Recording) -> Walk {
    let value = |value: &async_snmp::Value| match value {
        async_snmp::Value::Integer(number) => Value::Integer((*number).into()),
        async_snmp::Value::Counter32(number) | async_snmp::Value::Gauge32(number) => {
            Value::Unsigned((*number).into())
        }
        async_snmp::Value::Counter64(number) => Value::Unsigned(*number),
        async_snmp::Value::TimeTicks(ticks) => Value::Ticks(*ticks),
        async_snmp::Value::OctetString(octets) => Value::Octets(octets.to_vec()),
        async_snmp::Value::ObjectIdentifier(oid) => Value::Oid(Oid::new(oid.arcs())),
        async_snmp::Value::IpAddress(address) => Value::Ip(*address),
        _ => Value::Other,
    };
    recording.objects().iter().map(|(oid, object)| (Oid::new(oid.arcs()), value(object))).collect()
}

/// Uptimes run, and a host that tells nothing is as good as none.
fn comparable(mut reading: Reading) -> Reading {
    reading.uptime_secs = None;
    if let Some(host) = &mut reading.host {
        host.uptime_secs = None;
    }
    reading.host = reading.host.filter(|host| *host != Host::default());
    reading
}

#[tokio::test]
async fn a_printer_reads_the_same_over_every_version_as_from_its_recording() {
    let profiles = Profiles::built_in();
    let wishes = Arc::new(ProfileWishes::new(profiles.clone()));
    let reader = SnmpReader::bind().await.unwrap().with_wishes(wishes);
    let recordings = recordings();
    assert!(!recordings.is_empty());
    for recording in recordings {
        let printer = printer(&recording, "127.0.0.1:0").await;
        let expected = comparable(interpret(&recorded(&recording), &profiles));
        let public = || Secret::new("public");
        for credential in [
            SnmpCredential::V1 { community: public() },
            SnmpCredential::V2c { community: public() },
            v3(PASSWORD),
        ] {
            let target = DeviceTarget { address: printer.address().to_string(), credential };
            let walk = match reader.read_full(&target, &ReadLimits::default()).await {
                Ok(walk) => walk,
                Err(error) => panic!("{} {:?}: {error}", recording.name(), target.credential),
            };
            let read = comparable(interpret(&walk, &profiles));
            assert_eq!(read, expected, "{} {:?}", recording.name(), target.credential);
        }
        printer.stop().await;
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_from_silence_and_a_new_engine_is_learnt() {
    let reader = SnmpReader::bind().await.unwrap();
    let recording = recordings().into_iter().find(|recording| recording.objects().len() > 500).unwrap();
    let first = printer(&recording, "127.0.0.1:0").await;
    let address = first.address().to_string();
    let limits = ReadLimits { request_timeout: Duration::from_millis(500), ..ReadLimits::default() };
    let target = |password| DeviceTarget { address: address.clone(), credential: v3(password) };

    let refused = reader.read_full(&target("a wrong password"), &limits).await;
    assert!(matches!(refused, Err(ReadError::AuthenticationFailed { .. })), "{refused:?}");
    assert!(reader.read_full(&target(PASSWORD), &limits).await.is_ok());

    // Another board behind the same address has another engine id (RFC 3414).
    first.stop().await;
    let second = printer(&recording, &address).await;
    assert!(reader.read_full(&target(PASSWORD), &limits).await.is_ok());
    second.stop().await;
}
