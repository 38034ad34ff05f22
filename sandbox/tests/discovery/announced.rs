//! Printers that announce themselves by multicast DNS. Multicast needs a network: each test runs once more as a process in
//! a network namespace of its own, with one network of two ends in it.

use super::*;
use monitor_appliance::discovery::Announced;
use simple_dns::rdata::{A, AAAA, PTR, RData, SRV, TXT};
use simple_dns::{CLASS, Label, Name, Packet, ResourceRecord};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::process::Command;

/// Set within the namespace.
const INSIDE: &str = "ANNOUNCED_INSIDE";

const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 251), 5353);

/// The network: 10.99.0.0/24, where this machine is everybody.
const NETWORK: &str = "ip link set lo up && ip link add v0 type veth peer name v1 && ip link set v1 addrgenmode none up \
    && for host in 1 7 8 9; do ip addr add 10.99.0.$host/24 dev v0; done && ip link set v0 up \
    && ip -6 addr add fe80::6/64 dev v0 nodad && exec \"$0\" --exact \"$1\" --nocapture";

/// Whether this is the process within; otherwise starts it, and fails as it does.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let program = std::env::current_exe().unwrap();
    let mut unshare = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    let done = unshare
        .args(["--net", "sh", "-c", NETWORK])
        .arg(program)
        .arg(format!("announced::{test}"))
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && text.contains("1 passed"), "within the namespace:\n{text}");
    false
}

fn name(labels: &[&str]) -> Name<'static> {
    let label = |label: &&str| Label::new_unchecked(label.as_bytes().to_vec());
    Name::new_with_labels(&labels.iter().map(label).collect::<Vec<_>>())
}

/// What the printer at 10.99.0.`host` announces.
fn announcement(host: u8, id: u16) -> Vec<u8> {
    let instance = name(&[&format!("Printer {host}"), "_ipp", "_tcp", "local"]);
    let target = name(&[&format!("prn{host}"), "local"]);
    let mut packet = Packet::new_reply(id);
    let record = |name: Name<'static>, data| ResourceRecord::new(name, CLASS::IN, 120, data);
    packet.answers.push(record(name(&["_ipp", "_tcp", "local"]), RData::PTR(PTR(instance.clone()))));
    let srv = SRV { priority: 0, weight: 0, port: 631, target: target.clone() };
    packet.additional_records.push(record(instance.clone(), RData::SRV(srv)));
    let txt = TXT::new().with_string("Scan=T").unwrap().with_string("usb_MDL=Model 7").unwrap();
    packet.additional_records.push(record(instance, RData::TXT(txt)));
    // The sixth one knows only IPv6.
    let data = if host == 6 {
        RData::AAAA(AAAA { address: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 6).to_bits() })
    } else {
        RData::A(A { address: Ipv4Addr::new(10, 99, 0, host).to_bits() })
    };
    packet.additional_records.push(record(target, data));
    packet.build_bytes_vec_compressed().unwrap()
}

/// Answers every question of the group for these printers.
async fn announcer(hosts: Vec<u8>) -> tokio::task::JoinHandle<()> {
    let socket = std::net::UdpSocket::bind(SocketAddr::from(GROUP)).unwrap();
    socket.join_multicast_v4(GROUP.ip(), &Ipv4Addr::new(10, 99, 0, 1)).unwrap();
    socket.set_nonblocking(true).unwrap();
    let socket = UdpSocket::from_std(socket).unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 9000];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Ok(question) = Packet::parse(&buffer[..length]) else { continue };
            if question.questions.is_empty() {
                continue;
            }
            for host in &hosts {
                socket.send_to(&announcement(*host, question.id()), from).await.unwrap();
            }
        }
    })
}

async fn printer(host: u8) -> Printer {
    let bind = SocketAddr::from(([10, 99, 0, host], 161));
    let printer =
        Printer::start(Arc::clone(&recordings()[0]), PrinterSettings { bind, ..PrinterSettings::default() });
    let printer = printer.await.unwrap();
    printer.set_serial(&serial(host));
    printer
}

fn everywhere() -> RangeEntry {
    let excludes = vec!["10.99.0.9".parse().unwrap()];
    RangeEntry { excludes, ..RangeEntry::new("mdns".parse().unwrap()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_announces_itself_is_asked_unless_it_is_excluded_and_who_is_silent_is_told() {
    if !is_inside("who_announces_itself_is_asked_unless_it_is_excluded_and_who_is_silent_is_told") {
        return;
    }
    let announcer = announcer(vec![7, 8, 9]).await;
    let (_there, excluded) = (printer(7).await, printer(9).await);
    let scan = look(&[everywhere()]).await;
    assert_eq!(serials(&scan), BTreeSet::from([serial(7)]), "{:?}", scan.problems);
    let found = &scan.found[0];
    assert_eq!(
        (found.address.as_str(), found.kind),
        ("10.99.0.7", DeviceKind::Mfp),
        "it announces that it scans"
    );
    let silent: Vec<_> =
        scan.announced.iter().map(|one: &Announced| (one.name.as_str(), one.model.as_deref())).collect();
    assert_eq!(silent, [("Printer 8", Some("Model 7")), ("Printer 9", Some("Model 7"))]);
    assert_eq!(excluded.tally().requests, 0);
    announcer.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_printer_that_has_only_a_link_local_ipv6_address_is_asked_there() {
    if !is_inside("a_printer_that_has_only_a_link_local_ipv6_address_is_asked_there") {
        return;
    }
    let interface = interface();
    let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 6);
    let bind = SocketAddr::V6(SocketAddrV6::new(address, 161, 0, interface));
    let settings = PrinterSettings { bind, ..PrinterSettings::default() };
    let printer = Printer::start(Arc::clone(&recordings()[0]), settings).await.unwrap();
    printer.set_serial(&serial(6));
    // It announces itself on the link over IPv6 alone.
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
    let socket = UdpSocket::bind(SocketAddr::V6(SocketAddrV6::new(group, 5353, 0, interface))).await.unwrap();
    socket.join_multicast_v6(&group, interface).unwrap();
    let answering = tokio::spawn(async move {
        let mut buffer = [0; 9000];
        while let Ok((_, from)) = socket.recv_from(&mut buffer).await {
            socket.send_to(&announcement(6, 0), from).await.unwrap();
        }
    });
    let scan = look(&[everywhere()]).await;
    assert_eq!(serials(&scan), BTreeSet::from([serial(6)]), "{:?} {:?}", scan.problems, scan.announced);
    assert_eq!(scan.found[0].address, format!("[fe80::6%{interface}]"));
    answering.abort();
}

/// The number of the one network interface.
fn interface() -> u32 {
    let table = std::fs::read_to_string("/proc/net/if_inet6").unwrap();
    let line = table.lines().find(|line| line.starts_with("fe800000000000000000000000000006")).unwrap();
    u32::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_printer_that_is_plugged_in_later_is_watched_when_it_says_that_it_is_there() {
    if !is_inside("a_printer_that_is_plugged_in_later_is_watched_when_it_says_that_it_is_there") {
        return;
    }
    let _first = printer(7).await;
    let mut appliance = Appliance::new(vec![everywhere()]);
    appliance.start();
    until("the first scan to be over", || appliance.store().range_scanned(&everywhere()).unwrap().is_some())
        .await;
    assert!(appliance.devices().is_empty(), "nobody has announced anything");
    let socket = UdpSocket::bind("10.99.0.7:0").await.unwrap();
    until_async("the printer to be watched", async || {
        socket.send_to(&announcement(7, 0), GROUP).await.unwrap();
        appliance.devices() == [(serial(7), "10.99.0.7".to_owned(), false)]
    })
    .await;
    appliance.end().await;
}

async fn until_async(what: &str, condition: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
