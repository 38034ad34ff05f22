use super::message::{Asked, write};
use super::*;
use proptest::prelude::*;
use simple_dns::rdata::{A, AAAA, PTR, RData, SRV, TXT};
use simple_dns::{CLASS, Label, Name, Packet, ResourceRecord};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

fn name(labels: &[&str]) -> Name<'static> {
    let labels: Vec<Label<'static>> =
        labels.iter().map(|label| Label::new_unchecked(label.as_bytes().to_vec())).collect();
    Name::new_with_labels(&labels)
}

/// What a printer at 10.0.0.`host` announces, with so many seconds to live.
fn announcement(host: u8, ttl: u32, pairs: &[&str]) -> Vec<u8> {
    let (label, machine) = (format!("Büro {host}.West"), format!("PRN{host}"));
    let instance = name(&[&label, "_ipp", "_tcp", "local"]);
    let target = name(&[&machine, "local"]);
    let mut txt = TXT::new();
    for pair in pairs {
        txt.add_string(pair).unwrap();
    }
    let mut packet = Packet::new_reply(0);
    let add = |name: Name<'static>, data| ResourceRecord::new(name, CLASS::IN, ttl, data);
    packet.answers.push(add(name(&["_IPP", "_tcp", "local"]), RData::PTR(PTR(instance.clone()))));
    let srv = SRV { priority: 0, weight: 0, port: 631, target: target.clone() };
    packet.additional_records.push(add(instance.clone(), RData::SRV(srv)));
    packet.additional_records.push(add(instance, RData::TXT(txt.into_owned())));
    let address = Ipv4Addr::new(10, 0, 0, host).to_bits();
    packet.additional_records.push(add(target.clone(), RData::A(A { address })).with_cache_flush(true));
    let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host.into()).to_bits();
    packet.additional_records.push(add(target, RData::AAAA(AAAA { address })));
    packet.build_bytes_vec_compressed().unwrap()
}

fn from(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 5353))
}

const PAIRS: [&str; 7] = [
    "ty=Maker One 5000 Series",
    "product=(One 5000)",
    "usb_MFG=Maker",
    "usb_MDL=One 5000",
    "UUID=4509A320-00A0-008F-00B6-00074D6B0B0C",
    "adminurl=http://10.0.0.7/",
    "Scan=T",
];

#[test]
fn a_printer_that_announces_itself_is_known_by_its_name_model_and_address() {
    let now = Instant::now();
    let mut browser = Browser::new(now);
    assert!(browser.hear(&announcement(7, 120, &PAIRS), from(7), now));
    assert!(!browser.hear(&announcement(7, 120, &PAIRS), from(7), now), "no news");
    let [device] = &browser.announced(now)[..] else { panic!("{:?}", browser.announced(now)) };
    assert_eq!(device.name, "Büro 7.West");
    let known = (device.vendor.as_deref(), device.model.as_deref(), device.scans, device.prints());
    assert_eq!(known, (Some("Maker"), Some("One 5000"), Some(true), true));
    assert_eq!(device.uuid.as_deref(), Some("4509a320-00a0-008f-00b6-00074d6b0b0c"));
    assert_eq!(device.admin_url.as_deref(), Some("http://10.0.0.7/"));
    // A link-local address needs an interface, which an answer over IPv4 does not tell.
    assert_eq!(device.addresses, ["10.0.0.7:161".parse::<SocketAddr>().unwrap()]);
}

#[test]
fn over_ipv6_a_link_local_address_comes_with_its_interface() {
    let now = Instant::now();
    let mut browser = Browser::new(now);
    browser.hear(&announcement(7, 120, &[]), "[fe80::7%3]:5353".parse().unwrap(), now);
    let addresses: Vec<String> =
        browser.announced(now)[0].addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.0.0.7:161", "[fe80::7%3]:161"]);
}

#[test]
fn what_is_not_announced_again_is_gone_and_what_is_taken_back_at_once() {
    let now = Instant::now();
    let mut browser = Browser::new(now);
    browser.hear(&announcement(7, 120, &[]), from(7), now);
    browser.hear(&announcement(8, 4500, &[]), from(8), now);
    assert_eq!(browser.announced(now + Duration::from_secs(119)).len(), 2);
    assert_eq!(browser.announced(now + Duration::from_secs(121)).len(), 1);
    browser.hear(&announcement(8, 0, &[]), from(8), now);
    assert_eq!(browser.announced(now + Duration::from_secs(2)).len(), 1);
}

#[test]
fn questions_come_at_growing_intervals_with_what_is_known() {
    let now = Instant::now();
    let mut browser = Browser::new(now);
    let first = browser.questions(0, now);
    let packet = Packet::parse(&first[0]).unwrap();
    assert_eq!((packet.questions.len(), packet.answers.len()), (SERVICES.len(), 0));
    assert!(browser.questions(0, now).is_empty(), "not yet");
    browser.hear(&announcement(7, 4500, &[]), from(7), now);
    let mut pauses = Vec::new();
    let mut at = now;
    for _ in 0..5 {
        let due = browser.due();
        pauses.push(due.saturating_duration_since(at).as_secs());
        at = due;
        let question = browser.questions(0, at);
        assert_eq!(Packet::parse(&question[0]).unwrap().answers.len(), 1, "who is known need not answer");
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16]);
}

#[test]
fn what_is_missing_is_asked_for_once() {
    let now = Instant::now();
    let mut packet = Packet::new_reply(0);
    let instance = name(&["One", "_printer", "_tcp", "local"]);
    let service = name(&["_printer", "_tcp", "local"]);
    packet.answers.push(ResourceRecord::new(service, CLASS::IN, 120, RData::PTR(PTR(instance))));
    let mut browser = Browser::new(now);
    browser.hear(&packet.build_bytes_vec().unwrap(), from(9), now);
    let follow_up = browser.follow_ups(0, now);
    assert_eq!(Packet::parse(&follow_up[0]).unwrap().questions.len(), 2, "its host and its pairs");
    assert!(browser.follow_ups(0, now).is_empty());
    assert!(browser.announced(now).is_empty(), "nobody knows where it is");
}

#[test]
fn nobody_sends_our_questions_out_of_the_lan() {
    let now = Instant::now();
    let mut browser = Browser::new(now);
    let announced = announcement(7, 120, &[]);
    let mut packet = Packet::parse(&announced).unwrap();
    for record in &mut packet.additional_records {
        if let RData::A(a) = &mut record.rdata {
            a.address = Ipv4Addr::new(198, 51, 100, 9).to_bits();
        }
    }
    let datagram = packet.build_bytes_vec().unwrap();
    browser.hear(&datagram, from(7), now);
    assert!(browser.announced(now).is_empty());
    browser.hear(&datagram, "198.51.100.9:5353".parse().unwrap(), now);
    assert_eq!(browser.announced(now).len(), 1, "it answers from there itself");
}

#[test]
fn a_flood_of_names_is_not_kept() {
    let now = Instant::now();
    let mut browser = Browser::new(now);
    for number in 0..5000_u32 {
        let mut packet = Packet::new_reply(0);
        let instance = name(&[&format!("p{number}"), "_ipp", "_tcp", "local"]);
        let service = name(&["_ipp", "_tcp", "local"]);
        packet.answers.push(ResourceRecord::new(service, CLASS::IN, 120, RData::PTR(PTR(instance.clone()))));
        let srv = SRV { priority: 0, weight: 0, port: 9, target: name(&[&format!("h{number}"), "local"]) };
        packet.answers.push(ResourceRecord::new(instance, CLASS::IN, 120, RData::SRV(srv)));
        let address = 0x0a00_0000 + number;
        let host = name(&[&format!("h{number}"), "local"]);
        packet.answers.push(ResourceRecord::new(host, CLASS::IN, 120, RData::A(A { address })));
        browser.hear(&packet.build_bytes_vec().unwrap(), from(7), now);
    }
    assert_eq!(browser.announced(now).len(), 1024);
    let questions: usize = browser.questions(0, now).iter().map(Vec::len).sum();
    assert!(questions < 100_000, "{questions} octets");
}

#[test]
fn a_header_that_promises_more_than_it_holds_makes_no_room_for_it() {
    let mut datagram = announcement(7, 120, &[]);
    datagram[6..8].copy_from_slice(&[0xff, 0xff]);
    assert!(read(&datagram).is_empty());
}

#[test]
fn a_question_that_came_back_is_no_answer() {
    let service = DnsName::of_service("_ipp._tcp");
    for datagram in write(7, &[(&service, Asked::Instances)], &[]) {
        assert!(read(&datagram).is_empty());
    }
}

proptest! {
    #[test]
    fn any_octets_are_read_or_not(datagram in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(read(&datagram).len() <= 512);
    }

    #[test]
    fn a_damaged_announcement_does_no_harm(
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in 0usize..40,
    ) {
        let mut datagram = announcement(7, 120, &PAIRS);
        for (place, octet) in damages {
            let at = place.index(datagram.len());
            datagram[at] = octet;
        }
        datagram.truncate(datagram.len() - cut);
        let now = Instant::now();
        let mut browser = Browser::new(now);
        browser.hear(&datagram, from(7), now);
        for question in browser.questions(0, now).iter().chain(&browser.follow_ups(0, now)) {
            prop_assert!(question.len() <= 1500 && Packet::parse(question).is_ok());
        }
        drop(browser.announced(now));
    }
}
