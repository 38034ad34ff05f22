use super::*;
use async_snmp::{GenericTrap, NotificationPdu, TrapV1Pdu, VarBind};
use proptest::prelude::*;

const COMMUNITY: &str = "public";
const UPTIME: u32 = 4711;

/// What a printer sends with its alert: index, severity, group, group index, location and code of the row.
fn alert_row() -> Vec<VarBind> {
    let cell = |column: u32, value| {
        VarBind::new(Oid::from_slice(&[1, 3, 6, 1, 2, 1, 43, 18, 1, 1, column, 1, 17]), Value::Integer(value))
    };
    [(1, 17), (2, 3), (4, 13), (5, 1), (6, 0), (7, 8)].map(|(column, value)| cell(column, value)).to_vec()
}

fn v2c(pdu: NotificationPdu) -> Vec<u8> {
    CommunityMessage::v2c(COMMUNITY, pdu).unwrap().encode().unwrap().to_vec()
}

fn trap(oid: &[u32]) -> Vec<u8> {
    v2c(NotificationPdu::trap_v2(Version::V2c, 7, UPTIME, &Oid::from_slice(oid), alert_row()).unwrap())
}

fn inform(oid: &[u32]) -> Vec<u8> {
    v2c(NotificationPdu::inform(Version::V2c, 7, UPTIME, &Oid::from_slice(oid), alert_row()).unwrap())
}

fn v1_trap(enterprise: &[u32], generic: GenericTrap, specific: i32) -> Vec<u8> {
    let enterprise = Oid::from_slice(enterprise);
    let trap = TrapV1Pdu::from_raw_parts(enterprise, [192, 0, 2, 7], generic, specific, UPTIME, alert_row());
    CommunityMessage::v1_trap(COMMUNITY, async_snmp::TrapV1Notification::try_from_raw(trap).unwrap())
        .unwrap()
        .encode()
        .unwrap()
        .to_vec()
}

fn happened_in(datagram: &[u8]) -> Happened {
    let notice = read_notice(datagram).unwrap();
    assert_eq!(notice.acknowledgement, None, "a trap is not answered");
    notice.happened
}

#[test]
fn a_printers_alert_is_read_in_both_versions() {
    assert_eq!(happened_in(&trap(PRINTER_V2_ALERT)), Happened::Alert);
    // RFC 3584 section 3.1: the enterprise and the specific trap make the name.
    let v1 = v1_trap(&[1, 3, 6, 1, 2, 1, 43, 18, 2], GenericTrap::EnterpriseSpecific, 1);
    assert_eq!(happened_in(&v1), Happened::Alert);
}

#[test]
fn a_start_of_a_device_is_read_in_both_versions() {
    assert_eq!(happened_in(&trap(COLD_START)), Happened::Restart);
    assert_eq!(happened_in(&trap(WARM_START)), Happened::Restart);
    let enterprise = [1, 3, 6, 1, 4, 1, 11];
    assert_eq!(happened_in(&v1_trap(&enterprise, GenericTrap::ColdStart, 0)), Happened::Restart);
    assert_eq!(happened_in(&v1_trap(&enterprise, GenericTrap::WarmStart, 0)), Happened::Restart);
    assert_eq!(happened_in(&v1_trap(&enterprise, GenericTrap::LinkUp, 0)), Happened::Other);
}

#[test]
fn a_makers_own_trap_is_a_notice_too() {
    assert_eq!(happened_in(&trap(&[1, 3, 6, 1, 4, 1, 2435, 2, 3, 9, 0, 5])), Happened::Other);
}

#[test]
fn an_inform_is_acknowledged_with_what_it_said() {
    let datagram = inform(PRINTER_V2_ALERT);
    let notice = read_notice(&datagram).unwrap();
    assert_eq!(notice.happened, Happened::Alert);
    let answer = notice.acknowledgement.unwrap();
    assert!(answer.len() <= datagram.len(), "nobody gets more sent than was sent in his name");
    let answer = CommunityMessage::decode(answer.into(), DecodeConfig::STRICT).unwrap().value;
    assert!(answer.community().matches(COMMUNITY));
    let pdu = answer.into_pdu().unwrap();
    assert_eq!((pdu.pdu_type(), pdu.error_status()), (PduType::Response, 0));
    let (request_id, _, varbinds) = pdu.into_raw_parts();
    assert_eq!((request_id, varbinds.len()), (7, 2 + alert_row().len()));
}

#[test]
fn a_request_is_no_notice_and_gets_no_answer() {
    let get = async_snmp::RequestPdu::get(Version::V2c, 1, &[Oid::from_slice(PRINTER_V2_ALERT)]).unwrap();
    let datagram = CommunityMessage::v2c(COMMUNITY, get).unwrap().encode().unwrap();
    assert_eq!(read_notice(&datagram), Err(NotANotice::AnotherMessage));
    assert_eq!(read_notice(b""), Err(NotANotice::Malformed));
    assert_eq!(read_notice(b"GET / HTTP/1.1\r\n"), Err(NotANotice::Malformed));
}

proptest! {
    #[test]
    fn no_octets_make_the_reader_panic(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read_notice(&octets);
    }

    #[test]
    fn a_damaged_notice_is_never_answered_with_more_than_came(
        place in any::<prop::sample::Index>(),
        octet: u8,
        cut in 0usize..40,
        confirmed: bool,
    ) {
        let mut datagram = if confirmed { inform(PRINTER_V2_ALERT) } else { trap(PRINTER_V2_ALERT) };
        let at = place.index(datagram.len());
        datagram[at] = octet;
        datagram.truncate(datagram.len() - cut);
        if let Ok(Notice { acknowledgement: Some(answer), .. }) = read_notice(&datagram) {
            prop_assert!(confirmed);
            prop_assert!(answer.len() <= datagram.len(), "{} for {}", answer.len(), datagram.len());
        }
    }
}
