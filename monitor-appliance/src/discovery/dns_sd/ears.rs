//! The sockets: a question and its answers, or listening for good.

use super::announced::Announced;
use super::browser::Browser;
use super::message::DATAGRAM_OCTETS_MAX;
use crate::discovery::local::{ipv4_interfaces, ipv6_interfaces};
use rustix::net::sockopt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;

/// Where announcements are heard over IPv6 (RFC 6762 section 3).
const MDNS6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

const MDNS_PORT: u16 = 5353;

/// Most datagrams read in answer to one question.
const DATAGRAMS_MAX: usize = 5000;

/// Most sockets: an appliance has one or two interfaces.
const SOCKETS_MAX: usize = 16;

/// Announcements cannot be heard.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EarsError {
    /// No network takes the question.
    #[error(
        "announcements cannot be asked for at {address}: check that this machine has a network that knows multicast"
    )]
    Silent {
        /// Where was asked.
        address: SocketAddrV4,
        /// What the system said last, where it said anything.
        source: Option<std::io::Error>,
    },
}

/// A socket, and where its questions go.
struct Ear {
    socket: UdpSocket,
    group: SocketAddr,
}

/// Asks once who is there, listens for `wait`, and asks after what is missing. A multicast address is asked on every
/// network of this machine, over IPv4 and IPv6; any other is asked by itself (RFC 6762 section 5.5).
///
/// # Errors
/// [`EarsError`] when nothing could be sent.
pub(in crate::discovery) async fn ask(
    address: SocketAddrV4,
    wait: Duration,
) -> Result<Vec<Announced>, EarsError> {
    let (ears, problem) = one_time(address).await;
    let mut browser = Browser::new(now());
    let id = if address.ip().is_multicast() { 0 } else { question_id() };
    let (end, mut sent, mut problem) = (now() + wait, 0, problem);
    let mut heard = 0;
    while now() < end && heard < DATAGRAMS_MAX && !ears.is_empty() {
        for question in browser.questions(id, now()).iter().chain(&browser.follow_ups(id, now())) {
            for ear in &ears {
                match ear.socket.send_to(question, ear.group).await {
                    Ok(_) => sent += 1,
                    Err(error) => problem = Some(error),
                }
            }
        }
        if sent == 0 {
            break;
        }
        // Until the next question is due, or something new was heard that has to be asked after.
        let pause = browser.due().min(end).max(now() + Duration::from_millis(1));
        heard += listen(&ears, &mut browser, pause).await;
    }
    if sent == 0 {
        return Err(EarsError::Silent { address, source: problem });
    }
    Ok(browser.announced(now()))
}

/// Reads what comes until `end`, or shortly after the first datagram with news. Gives how many datagrams came.
async fn listen(ears: &[Ear], browser: &mut Browser, end: Instant) -> usize {
    let (mut count, mut end) = (0, end);
    let mut buffer = vec![0; DATAGRAM_OCTETS_MAX];
    while count < DATAGRAMS_MAX && now() < end {
        let Ok((length, from)) = tokio::time::timeout_at(end.into(), any(ears, &mut buffer)).await else {
            break;
        };
        count += 1;
        if browser.hear(&buffer[..length], from, now()) {
            // What belongs together comes together.
            end = end.min(now() + Duration::from_millis(100));
        }
    }
    count
}

/// The next datagram of any of the sockets.
async fn any(ears: &[Ear], buffer: &mut [u8]) -> (usize, SocketAddr) {
    loop {
        let ready = ears.iter().map(|ear| Box::pin(ear.socket.readable()));
        let (_, place, _) = futures_util::future::select_all(ready).await;
        let Some(ear) = ears.get(place) else { continue };
        match ear.socket.try_recv_from(buffer) {
            Ok(received) => return received,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            // The echo of a datagram that could not be delivered.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// The sockets of a question that is asked once: from a port of their own, so that answers come back to it alone.
async fn one_time(address: SocketAddrV4) -> (Vec<Ear>, Option<std::io::Error>) {
    let mut problem = None;
    let mut ears = Vec::new();
    let mut keep = |made: std::io::Result<Ear>| match made {
        Ok(ear) => ears.push(ear),
        Err(error) => problem = Some(error),
    };
    if address.ip().is_multicast() {
        for interface in ipv4_interfaces().into_iter().take(SOCKETS_MAX) {
            keep(ear_on_ipv4(address, interface, 0));
        }
        for interface in ipv6_interfaces().into_iter().take(SOCKETS_MAX) {
            keep(ear_on_ipv6(interface, 0));
        }
    } else {
        keep(UdpSocket::bind("0.0.0.0:0").await.map(|socket| Ear { socket, group: address.into() }));
    }
    (ears, problem)
}

/// A socket that speaks and hears on one interface; on the port of multicast DNS others may listen as well.
fn ear_on_ipv4(group: SocketAddrV4, interface: u32, port: u16) -> std::io::Result<Ear> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    share(&socket, port)?;
    sockopt::set_ip_multicast_if_with_ifindex(
        &socket,
        &Ipv4Addr::UNSPECIFIED,
        &Ipv4Addr::UNSPECIFIED,
        interface,
    )?;
    sockopt::set_ip_multicast_ttl(&socket, 255)?;
    // The group's own address, so that nothing else comes in on the shared port.
    let bind = if port == 0 { Ipv4Addr::UNSPECIFIED } else { *group.ip() };
    rustix::net::bind(&socket, &SocketAddrV4::new(bind, port))?;
    if port != 0 {
        sockopt::set_ip_add_membership_with_ifindex(&socket, group.ip(), &Ipv4Addr::UNSPECIFIED, interface)?;
    }
    Ok(Ear { socket: ready(socket)?, group: group.into() })
}

fn ear_on_ipv6(interface: u32, port: u16) -> std::io::Result<Ear> {
    let socket =
        rustix::net::socket(rustix::net::AddressFamily::INET6, rustix::net::SocketType::DGRAM, None)?;
    share(&socket, port)?;
    sockopt::set_ipv6_v6only(&socket, true)?;
    sockopt::set_ipv6_multicast_if(&socket, interface)?;
    let (bind, scope) = if port == 0 { (Ipv6Addr::UNSPECIFIED, 0) } else { (MDNS6, interface) };
    rustix::net::bind(&socket, &SocketAddrV6::new(bind, port, 0, scope))?;
    if port != 0 {
        sockopt::set_ipv6_add_membership(&socket, &MDNS6, interface)?;
    }
    let group = SocketAddr::V6(SocketAddrV6::new(MDNS6, MDNS_PORT, 0, interface));
    Ok(Ear { socket: ready(socket)?, group })
}

fn share(socket: &OwnedFd, port: u16) -> std::io::Result<()> {
    if port != 0 {
        sockopt::set_socket_reuseaddr(socket, true)?;
        sockopt::set_socket_reuseport(socket, true)?;
    }
    Ok(())
}

fn ready(socket: OwnedFd) -> std::io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::from(socket);
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// Listens for good: asks at growing intervals, and hears who announces itself meanwhile (RFC 6762 section 5.2).
pub struct Ears {
    ears: Vec<Ear>,
    browser: Browser,
}

impl Ears {
    /// Joins the group on every network of this machine; `None` where there is none, or where the port is another's alone.
    #[must_use]
    pub fn join(group: SocketAddrV4) -> Option<Self> {
        let ipv4 = ipv4_interfaces().into_iter().map(|interface| ear_on_ipv4(group, interface, group.port()));
        let ipv6 = ipv6_interfaces().into_iter().map(|interface| ear_on_ipv6(interface, group.port()));
        let ears: Vec<Ear> = ipv4.chain(ipv6).filter_map(Result::ok).take(SOCKETS_MAX).collect();
        (!ears.is_empty()).then(|| Self { ears, browser: Browser::new(now()) })
    }

    /// Listens until `end`; gives who is announced then. May be dropped while it waits: what was heard stays.
    pub async fn listen(&mut self, end: Duration) -> Vec<Announced> {
        let end = now() + end;
        let mut heard = 0;
        while now() < end && heard < DATAGRAMS_MAX {
            let questions = self.browser.questions(0, now());
            for question in questions.iter().chain(&self.browser.follow_ups(0, now())) {
                for ear in &self.ears {
                    // A network that is down for a while is asked again at the next time.
                    let _ = ear.socket.send_to(question, ear.group).await;
                }
            }
            let pause = self.browser.due().min(end).max(now() + Duration::from_millis(20));
            heard += listen(&self.ears, &mut self.browser, pause).await;
        }
        self.browser.announced(now())
    }
}

/// The monotonic clock.
fn now() -> Instant {
    Instant::now()
}

fn question_id() -> u16 {
    let mut octets = [0; 2];
    crate::context::system_random(&mut octets);
    u16::from_be_bytes(octets)
}
