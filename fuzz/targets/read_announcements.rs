#![no_main]
//! Datagrams of multicast DNS, one behind the other, each with its length: whatever is announced, what is kept and what is
//! asked stays small.

use monitor_appliance::discovery::{Browser, read_announcement};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let start = Instant::now();
    let mut browser = Browser::new(start);
    let mut rest = octets;
    let mut now = start;
    while let [high, low, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (datagram, next) = tail.split_at(length);
        assert!(read_announcement(datagram).len() <= 512);
        let from: SocketAddr =
            if low % 2 == 0 { ([10, 0, 0, *low], 5353).into() } else { "[fe80::1%2]:5353".parse().unwrap() };
        browser.hear(datagram, from, now);
        now += Duration::from_secs(u64::from(*low));
        for question in browser.questions(0, now).iter().chain(&browser.follow_ups(0, now)) {
            assert!(question.len() <= 1500, "{} octets", question.len());
        }
        for device in browser.announced(now) {
            assert!(device.addresses.len() <= 8 && device.name.chars().count() <= 63);
            assert!(device.addresses.iter().all(|address| address.port() == 161));
        }
        rest = next;
    }
});
