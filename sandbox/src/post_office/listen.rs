//! The listeners: ports, doors that the script of faults shuts and opens, and the tasks of the sessions.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::faults::{Rule, Service, refuses_all};
use super::office::{Later, Office};
use super::settings::Ports;
use super::wire::{Gone, Wire};
use super::{imap, pop3, smtp};

/// Connections that may wait to be taken; the system may allow fewer.
const BACKLOG: u32 = 4096;
/// After a failed accept (no more file descriptors) the next try waits so long.
const PAUSE: Duration = Duration::from_millis(20);

/// How many ports there are.
const DOORS: usize = 6;

/// A running post office: its doors and its tasks.
pub(super) struct Running {
    doors: Arc<Doors>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Running {
    /// Opens all doors. On failure tells the port that was wanted.
    pub(super) fn start(
        office: &Arc<Office>,
        wanted: Ports,
        acceptor: &TlsAcceptor,
        queue: mpsc::UnboundedReceiver<(Instant, Later)>,
    ) -> Result<Self, (u16, io::Error)> {
        let doors = Arc::new(Doors::new(wanted)?);
        doors.follow(&office.rules().borrow(), || {}).map_err(|(door, error)| (doors.port(door), error))?;
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        for door in 0..DOORS {
            let (doors, office, acceptor) = (Arc::clone(&doors), Arc::clone(office), acceptor.clone());
            tasks.spawn(watch_door(door, doors, office, acceptor, stop.subscribe()));
        }
        let (late, mut stopped) = (Arc::clone(office), stop.subscribe());
        tasks.spawn(async move {
            tokio::select! {
                () = late.deliver_late(queue) => {}
                _ = stopped.changed() => {}
            }
        });
        Ok(Self { doors, stop, tasks })
    }

    pub(super) fn ports(&self) -> Ports {
        let [smtp, smtps, pop3, pop3s, imap, imaps] = std::array::from_fn(|door| self.doors.port(door));
        Ports { smtp, smtps, pop3, pop3s, imap, imaps }
    }

    /// Brings a new script of faults into force. The doors are open or shut as it says when this returns.
    pub(super) fn set_rules(&self, office: &Office, rules: Vec<Rule>) {
        let rules: Arc<[Rule]> = Arc::from(rules);
        let in_force = self.doors.follow(&rules, || office.set_rules(Arc::clone(&rules)));
        if let Err((door, error)) = in_force {
            tracing::warn!(port = self.doors.port(door), %error, "cannot listen again");
        }
    }

    pub(super) async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// What comes in through a door: the protocol, and whether TLS begins with the first octet.
const PURPOSES: [(Service, bool); DOORS] = [
    (Service::Smtp, false),
    (Service::Smtp, true),
    (Service::Pop3, false),
    (Service::Pop3, true),
    (Service::Imap, false),
    (Service::Imap, true),
];

/// The ports, each open or shut.
struct Doors {
    /// Bound but never listening: they keep the ports ours while the doors are shut.
    _placeholders: Vec<TcpSocket>,
    addresses: [SocketAddr; DOORS],
    listeners: Mutex<[Option<Arc<TcpListener>>; DOORS]>,
}

impl Doors {
    /// Takes the ports; all doors are shut.
    fn new(wanted: Ports) -> Result<Self, (u16, io::Error)> {
        let ports = [wanted.smtp, wanted.smtps, wanted.pop3, wanted.pop3s, wanted.imap, wanted.imaps];
        let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); DOORS];
        let mut placeholders = Vec::with_capacity(DOORS);
        for (address, port) in addresses.iter_mut().zip(ports) {
            let taken = bind((Ipv4Addr::LOCALHOST, port).into())
                .and_then(|socket| socket.local_addr().map(|taken| (socket, taken)));
            let (placeholder, taken) = taken.map_err(|error| (port, error))?;
            placeholders.push(placeholder);
            *address = taken;
        }
        Ok(Self { _placeholders: placeholders, addresses, listeners: Mutex::default() })
    }

    fn port(&self, door: usize) -> u16 {
        self.addresses[door].port()
    }

    /// Opens and shuts the doors as a script says, then calls `in_force`, as one step.
    fn follow(&self, rules: &[Rule], in_force: impl FnOnce()) -> Result<(), (usize, io::Error)> {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let mut result = Ok(());
        for (door, listener) in listeners.iter_mut().enumerate() {
            if refuses_all(rules, PURPOSES[door].0) {
                if let Some(listener) = listener.take() {
                    // The task of the door still holds it; this refuses from now on. It cannot fail on a listener.
                    let _ = rustix::net::shutdown(&listener, rustix::net::Shutdown::Both);
                }
            } else if listener.is_none() {
                match bind(self.addresses[door]).and_then(|socket| socket.listen(BACKLOG)) {
                    Ok(open) => *listener = Some(Arc::new(open)),
                    Err(error) => result = Err((door, error)),
                }
            }
        }
        in_force();
        result
    }

    fn listener(&self, door: usize) -> Option<Arc<TcpListener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)[door].clone()
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Takes connections until told to stop; then ends every session.
async fn watch_door(
    door: usize,
    doors: Arc<Doors>,
    office: Arc<Office>,
    acceptor: TlsAcceptor,
    mut stop: watch::Receiver<bool>,
) {
    let (service, implicit_tls) = PURPOSES[door];
    let port = doors.port(door);
    let mut sessions = JoinSet::new();
    let mut rules = office.rules();
    loop {
        // Doors change before the rules are told, so that no change is missed.
        rules.mark_unchanged();
        let listener = doors.listener(door);
        tokio::select! {
            _ = stop.changed() => break,
            changed = rules.changed() => if changed.is_err() { break },
            came = accept(listener.as_deref()) => match came {
                Ok(stream) => {
                    // Made here and not in the task, so that connections are numbered as they come.
                    let wire = Wire::new(stream, service, &office);
                    let (office, acceptor) = (Arc::clone(&office), acceptor.clone());
                    sessions.spawn(serve(wire, office, acceptor, service, implicit_tls));
                }
                Err(error) => {
                    tracing::debug!(port, %error, "no connection taken");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(ended) = sessions.join_next() => if let Err(error) = ended {
                office.session_broke();
                tracing::error!(port, %error, "a session broke");
            },
        }
    }
    sessions.shutdown().await;
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    let Some(listener) = listener else { return std::future::pending().await };
    let (stream, _) = listener.accept().await?;
    // Small answers must not wait for acknowledgements.
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn serve(
    mut wire: Wire,
    office: Arc<Office>,
    acceptor: TlsAcceptor,
    service: Service,
    implicit_tls: bool,
) {
    let ended = async {
        if implicit_tls {
            wire.start_tls(&acceptor).await?;
        }
        match service {
            Service::Smtp => smtp::serve(wire, &office, &acceptor, implicit_tls).await,
            Service::Pop3 => pop3::serve(wire, &office, &acceptor, implicit_tls).await,
            Service::Imap => imap::serve(wire, &office, &acceptor, implicit_tls).await,
        }
    };
    match ended.await {
        Ok(()) | Err(Gone::Closed) => {}
        Err(gone) => tracing::debug!(?service, %gone, "session ended early"),
    }
}
