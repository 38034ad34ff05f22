use super::*;
use crate::snmp::{AuthProtocol, PrivacyProtocol, Secret, V3Auth, V3Privacy};
use crate::trap::{DATAGRAM_OCTETS_MAX, NotANotice, TrapSocket, read_notice};
use async_snmp::{Client, Retry, UsmConfig};
use proptest::prelude::*;
use std::time::Duration;

const ID: &[u8] = &[0x80, 0, 0, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8];
const PASSWORD: &str = "a password for tests";
const PRINTER_V2_ALERT: [u32; 11] = [1, 3, 6, 1, 2, 1, 43, 18, 2, 0, 1];

fn user(auth: Option<AuthProtocol>, privacy: Option<PrivacyProtocol>) -> V3User {
    V3User {
        user: "printer".to_owned(),
        context: String::new(),
        auth: auth.map(|protocol| V3Auth { protocol, password: Secret::new(PASSWORD) }),
        privacy: privacy.map(|protocol| V3Privacy { protocol, password: Secret::new(PASSWORD) }),
    }
}

fn engine(user: &V3User) -> InformEngine {
    InformEngine::new(ID, 3, vec![InformUser::new(user, ID).unwrap()]).unwrap()
}

/// Sends an inform as another implementation does; gives what the engine made of it, if it answered to the sender's liking.
async fn inform(known: &V3User, sent_by: UsmConfig) -> Result<Vec<Happened>, String> {
    let socket = TrapSocket::bind(Some([127, 0, 0, 1].into()), Some(0)).await.unwrap();
    let port = socket.port();
    let mut engine = engine(known);
    let serve = async {
        let (mut buffer, mut heard) = (vec![0; DATAGRAM_OCTETS_MAX], Vec::new());
        while heard.is_empty() {
            let (length, from) = socket.receive(&mut buffer).await.unwrap();
            assert_eq!(read_notice(&buffer[..length]), Err(NotANotice::AsksEngine));
            match engine.take(&buffer[..length], 100) {
                Inform::Dropped => {}
                Inform::Report(report) => socket.answer(&report, from),
                Inform::Informed { happened, acknowledgement } => {
                    socket.answer(&acknowledgement, from);
                    heard.push(happened);
                }
            }
        }
        heard
    };
    let send = async {
        let client = Client::builder(format!("127.0.0.1:{port}"), sent_by)
            .request_timeout(Duration::from_secs(5))
            .retry(Retry::fixed(0, Duration::ZERO).unwrap())
            .connect()
            .await
            .map_err(|error| error.to_string())?;
        let sent = client.send_inform(&Oid::from_slice(&PRINTER_V2_ALERT), 4711, Vec::new()).await;
        sent.map(|_| ()).map_err(|error| error.to_string())
    };
    tokio::select! {
        (heard, sent) = async { tokio::join!(serve, send) } => sent.map(|()| heard),
        // Refused: nothing more comes.
        () = tokio::time::sleep(Duration::from_secs(8)) => Err("nothing was acknowledged".to_owned()),
    }
}

fn sender(user: &V3User) -> UsmConfig {
    let config = UsmConfig::new(user.user.clone());
    match user.master_keys().unwrap() {
        Some(keys) => config.with_master_keys(keys).unwrap(),
        None => config,
    }
}

#[tokio::test]
async fn informs_of_every_level_are_acknowledged() {
    for user in [
        user(None, None),
        user(Some(AuthProtocol::Sha1), None),
        user(Some(AuthProtocol::Sha256), Some(PrivacyProtocol::Aes128)),
        user(Some(AuthProtocol::Sha512), Some(PrivacyProtocol::Aes256)),
    ] {
        assert_eq!(inform(&user, sender(&user)).await, Ok(vec![Happened::Alert]), "{user:?}");
    }
}

#[test]
fn a_wrong_password_and_a_stranger_get_a_report_and_no_acknowledgement() {
    let known = user(Some(AuthProtocol::Sha1), None);
    let mut engine = engine(&known);
    let other_password = V3User {
        auth: Some(V3Auth { protocol: AuthProtocol::Sha1, password: Secret::new("another password") }),
        ..known.clone()
    };
    let stranger = V3User { user: "stranger".to_owned(), ..known.clone() };
    for (user, answered) in [(&known, true), (&other_password, false), (&stranger, false)] {
        let informed = matches!(engine.take(&signed(user, 3, 100), 100), Inform::Informed { .. });
        assert_eq!(informed, answered, "{user:?}");
    }
    assert!(matches!(engine.take(&signed(&known, 2, 100), 100), Inform::Report(_)), "of before a restart");
    assert!(
        matches!(engine.take(&signed(&known, 3, 900), 100), Inform::Report(_)),
        "outside the time window"
    );
}

/// An inform as `user` signs it for the engine, at this time of it.
fn signed(user: &V3User, boots: u32, seconds: u32) -> Vec<u8> {
    let (key, _) = user.master_keys().unwrap().unwrap().localize(ID).unwrap();
    let inform = async_snmp::NotificationPdu::inform(
        async_snmp::Version::V3,
        7,
        4711,
        &Oid::from_slice(&PRINTER_V2_ALERT),
        Vec::new(),
    )
    .unwrap();
    let scoped = ScopedPdu::new(ID.to_vec(), Vec::new(), inform);
    let flags = MsgFlags::new(SecurityLevel::AuthNoPriv, true);
    let header = MsgGlobalData::new(9, UDP_RECEIVE_LIMITS.advertised(), flags).unwrap();
    let usm = UsmSecurityParams::new(ID.to_vec(), boots, seconds, user.user.clone().into_bytes())
        .unwrap()
        .with_auth_placeholder(key.mac_len())
        .unwrap();
    let mut octets =
        V3Message::new(header, usm.encode().unwrap(), scoped).unwrap().encode().unwrap().to_vec();
    let (at, length) = UsmSecurityParams::find_auth_params_offset(&octets).unwrap();
    authenticate_message(&key, &mut octets, at, length).unwrap();
    octets
}

#[test]
fn secrets_do_not_show() {
    let shown = format!("{:?}", engine(&user(Some(AuthProtocol::Sha1), None)));
    assert!(shown.contains("printer") && !shown.contains(PASSWORD), "{shown}");
}

proptest! {
    #[test]
    fn no_octets_make_the_engine_panic(
        octets in prop::collection::vec(any::<u8>(), 0..200),
        place in any::<prop::sample::Index>(),
        octet: u8,
    ) {
        let known = user(None, None);
        let mut engine = engine(&known);
        let _ = engine.take(&octets, 100);
        let mut damaged = signed(&user(Some(AuthProtocol::Sha1), None), 3, 100);
        let at = place.index(damaged.len());
        damaged[at] = octet;
        let _ = engine.take(&damaged, 100);
    }
}
