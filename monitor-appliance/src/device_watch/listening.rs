//! Listens for traps and informs, and knocks at the loops of the devices that sent them.

use super::{Watch, credential};
use crate::context::system_random;
use crate::snmp::{SnmpCredential, V3User};
use crate::trap::{
    Admission, DATAGRAM_OCTETS_MAX, Gate, GateRules, Inform, InformEngine, InformUser, NotANotice, Tally,
    TrapSocket, read_notice,
};
use futures_util::future::join_all;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::time::sleep_until;

/// Time between two looks at where devices with a name are.
const RESOLVE_EVERY: Duration = Duration::from_secs(300);
/// How long a name may take.
const RESOLVE_WAIT: Duration = Duration::from_secs(2);
/// Time between two writings of what has come.
const NOTE_EVERY: Duration = Duration::from_secs(10);
/// Pause after the system has said that nothing can be received just now.
const RECEIVE_PAUSE: Duration = Duration::from_millis(100);
/// Most SNMPv3 users whose informs are answered.
const USERS_MAX: usize = 64;

/// The listener between two datagrams.
struct Listener {
    socket: TrapSocket,
    gate: Gate,
    engine: Option<InformEngine>,
    started: Instant,
    noted: Tally,
}

impl Watch {
    /// Listens for notices of devices. Returns only where nothing can be listened to: the usual looks go on without it.
    pub(super) async fn keep_listening(&self) {
        let Some(mut listener) = self.open_listener().await else { return };
        let mut buffer = vec![0; DATAGRAM_OCTETS_MAX];
        let (mut resolve, mut note) = (Instant::now(), Instant::now() + NOTE_EVERY);
        loop {
            tokio::select! {
                received = listener.socket.receive(&mut buffer) => match received {
                    Ok((length, from)) => {
                        for (device, at) in listener.datagram(buffer.get(..length).unwrap_or_default(), from) {
                            self.knocks.knock(&device, at);
                        }
                    }
                    // Of an answer that could not be delivered; nothing is wrong with the socket.
                    Err(_) => tokio::time::sleep(RECEIVE_PAUSE).await,
                },
                () = self.knocks.changed.notified() => resolve = Instant::now(),
                () = sleep_until(resolve.into()) => {
                    listener.gate.know(whereabouts(self.knocks.addresses()).await);
                    resolve = Instant::now() + RESOLVE_EVERY;
                }
                () = sleep_until(note.into()) => {
                    note = Instant::now() + NOTE_EVERY;
                    self.note_traps(&mut listener).await;
                }
            }
        }
    }

    async fn open_listener(&self) -> Option<Listener> {
        let settings = &self.context.settings.traps;
        let opened = if settings.receive {
            TrapSocket::bind(settings.address, settings.port).await.map(Some)
        } else {
            Ok(None)
        };
        let (socket, trouble) = match opened {
            Ok(Some(socket)) => (Some(socket), String::new()),
            Ok(None) => (None, "off by the settings".to_owned()),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "traps cannot be received");
                (None, format!("{error} ({})", error.source))
            }
        };
        let port = socket.as_ref().map(TrapSocket::port);
        let (fresh, now) = (fresh_engine_id(), self.context.now());
        let begun = self.store.change(move |change| change.begin_traps(port, &trouble, &fresh, now)).await;
        let socket = socket?;
        tracing::info!(port = socket.port(), "listening for traps");
        let engine = match begun {
            Ok((id, boots)) => {
                let users = self.inform_users(&id);
                InformEngine::new(&id, boots, users)
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "SNMPv3 informs cannot be acknowledged"
                );
                None
            }
        };
        let gate = Gate::new(GateRules::default());
        Some(Listener { socket, gate, engine, started: Instant::now(), noted: Tally::default() })
    }

    /// The SNMPv3 users of the settings, with keys for the engine `id`.
    fn inform_users(&self, id: &[u8]) -> Vec<InformUser> {
        let settings = &self.context.settings;
        let devices = settings.devices.iter().map(|entry| &entry.access);
        let ranges = settings.ranges.iter().flat_map(|range| &range.credentials);
        let mut users: Vec<V3User> = Vec::new();
        for access in devices.chain(ranges) {
            // One whose password cannot be read is named where it is needed to ask a device.
            if let Ok(SnmpCredential::V3(user)) = credential(&self.context.layout, access)
                && !users.contains(&user)
            {
                users.push(user);
            }
        }
        users.iter().take(USERS_MAX).filter_map(|user| InformUser::new(user, id).ok()).collect()
    }

    async fn note_traps(&self, listener: &mut Listener) {
        let tally = listener.gate.tally;
        if tally == listener.noted {
            return;
        }
        if tally.strangers > listener.noted.strangers {
            let count = tally.strangers - listener.noted.strangers;
            tracing::info!(count, "datagrams came to the port for traps from where no device is watched");
        }
        listener.noted = tally;
        if let Err(error) = self.store.change(move |change| change.count_traps(&tally)).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "what traps came cannot be written down"
            );
        }
    }
}

impl Listener {
    /// Takes a datagram: answers it where it asks for that, and gives who is to be looked at, and when.
    fn datagram(&mut self, datagram: &[u8], from: SocketAddr) -> Vec<(String, Instant)> {
        let now = Instant::now();
        if self.gate.admit(from.ip(), now) != Admission::Known {
            return Vec::new();
        }
        let acknowledgement = match read_notice(datagram) {
            Ok(notice) => notice.acknowledgement,
            Err(NotANotice::AsksEngine) => {
                let seconds = u32::try_from(self.started.elapsed().as_secs()).unwrap_or(u32::MAX);
                let taken = self.engine.as_mut().map(|engine| engine.take(datagram, seconds));
                match taken {
                    Some(Inform::Informed { acknowledgement, .. }) => Some(acknowledgement),
                    Some(Inform::Report(report)) => {
                        self.socket.answer(&report, from);
                        return Vec::new();
                    }
                    Some(Inform::Dropped) | None => return self.junk(),
                }
            }
            Err(NotANotice::Malformed | NotANotice::AnotherMessage) => return self.junk(),
        };
        if let Some(acknowledgement) = acknowledgement {
            self.socket.answer(&acknowledgement, from);
            self.gate.tally.acknowledged = self.gate.tally.acknowledged.saturating_add(1);
        }
        self.gate.hear(from.ip(), now)
    }

    fn junk(&mut self) -> Vec<(String, Instant)> {
        self.gate.tally.junk = self.gate.tally.junk.saturating_add(1);
        Vec::new()
    }
}

/// An SNMPv3 engine id of our own: no enterprise, octets of our choice (RFC 3411, `SnmpEngineID`).
fn fresh_engine_id() -> Vec<u8> {
    let mut id = vec![0x80, 0, 0, 0, 5];
    let mut random = [0; 8];
    system_random(&mut random);
    id.extend(random);
    id
}

/// Where the devices with these addresses are; one whose name is not known is heard at the next look.
async fn whereabouts(addresses: Vec<String>) -> Vec<(IpAddr, String)> {
    let find = |address: String| async move {
        let host = host_of(&address).to_owned();
        if let Ok(ip) = host.parse::<IpAddr>() {
            return vec![(ip, address)];
        }
        let looked_up = tokio::time::timeout(RESOLVE_WAIT, tokio::net::lookup_host((host, 0))).await;
        let Ok(Ok(found)) = looked_up else { return Vec::new() };
        found.map(|at| (at.ip(), address.clone())).collect()
    };
    join_all(addresses.into_iter().map(find)).await.into_iter().flatten().collect()
}

/// The host of `HOST`, `HOST:PORT`, `[IPV6]:PORT` or a bare IPv6 address.
fn host_of(address: &str) -> &str {
    if let Some((host, _)) = address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return host;
    }
    match address.split_once(':') {
        Some((host, port)) if !port.contains(':') => host,
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_address_is_told_from_its_port() {
        for (address, host) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:1161", "192.0.2.7"),
            ("printer.example:161", "printer.example"),
            ("printer.example", "printer.example"),
            ("[2001:db8::7]:161", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
        ] {
            assert_eq!(host_of(address), host);
        }
    }

    #[tokio::test]
    async fn devices_are_known_by_their_addresses_whether_these_are_numbers_or_names() {
        let found = whereabouts(vec![
            "127.0.0.5:9161".to_owned(),
            "localhost:161".to_owned(),
            "no such host".to_owned(),
        ]);
        let found = found.await;
        assert!(found.contains(&("127.0.0.5".parse().unwrap(), "127.0.0.5:9161".to_owned())), "{found:?}");
        assert!(found.iter().any(|(ip, name)| ip.is_loopback() && name == "localhost:161"), "{found:?}");
        assert!(found.iter().all(|(_, name)| name != "no such host"));
    }
}
