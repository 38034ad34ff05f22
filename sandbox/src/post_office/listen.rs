//! The listeners: ports, doors that the script of faults shuts and opens, and the tasks of the sessions.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::faults::{Service, refuses_all};
use super::office::{Later, Office};
use super::settings::Ports;
use super::wire::{Gone, Wire};
use super::{imap, pop3, smtp};

/// Connections that may wait to be taken; the system may allow fewer.
const BACKLOG: u32 = 4096;
/// After a failed accept (no more file descriptors) the next try waits so long.
const PAUSE: Duration = Duration::from_millis(20);

/// The tasks of a running post office.
pub(super) struct Running {
    ports: Ports,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Running {
    /// Opens all listeners. On failure tells the port that was wanted.
    pub(super) fn start(
        office: &Arc<Office>,
        wanted: Ports,
        acceptor: &TlsAcceptor,
        queue: mpsc::UnboundedReceiver<(Instant, Later)>,
    ) -> Result<Self, (u16, io::Error)> {
        let door = |port, service, implicit_tls| {
            let opened = Door::open(port, service, implicit_tls, office, acceptor);
            opened.map_err(|source| (port, source))
        };
        let doors = [
            door(wanted.smtp, Service::Smtp, false)?,
            door(wanted.smtps, Service::Smtp, true)?,
            door(wanted.pop3, Service::Pop3, false)?,
            door(wanted.pop3s, Service::Pop3, true)?,
            door(wanted.imap, Service::Imap, false)?,
            door(wanted.imaps, Service::Imap, true)?,
        ];
        let [smtp, smtps, pop3, pop3s, imap, imaps] = doors.each_ref().map(|door| door.address.port());
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        for door in doors {
            tasks.spawn(door.watch(stop.subscribe()));
        }
        let (late, mut stopped) = (Arc::clone(office), stop.subscribe());
        tasks.spawn(async move {
            tokio::select! {
                () = late.deliver_late(queue) => {}
                _ = stopped.changed() => {}
            }
        });
        Ok(Self { ports: Ports { smtp, smtps, pop3, pop3s, imap, imaps }, stop, tasks })
    }

    pub(super) fn ports(&self) -> Ports {
        self.ports
    }

    pub(super) async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// One port.
struct Door {
    /// Bound but never listening: keeps the port ours while the door is shut.
    _placeholder: TcpSocket,
    address: SocketAddr,
    listener: Option<TcpListener>,
    service: Service,
    implicit_tls: bool,
    office: Arc<Office>,
    acceptor: TlsAcceptor,
}

impl Door {
    fn open(
        port: u16,
        service: Service,
        implicit_tls: bool,
        office: &Arc<Office>,
        acceptor: &TlsAcceptor,
    ) -> io::Result<Self> {
        let placeholder = TcpSocket::new_v4()?;
        placeholder.set_reuseaddr(true)?;
        placeholder.bind((Ipv4Addr::LOCALHOST, port).into())?;
        let address = placeholder.local_addr()?;
        // Listened to at once, so that a taken port is found out at the start.
        let listener = Some(listen(address)?);
        Ok(Self {
            _placeholder: placeholder,
            address,
            listener,
            service,
            implicit_tls,
            office: Arc::clone(office),
            acceptor: acceptor.clone(),
        })
    }

    /// Takes connections until told to stop; then ends every session.
    async fn watch(mut self, mut stop: watch::Receiver<bool>) {
        let mut sessions = JoinSet::new();
        let mut rules = self.office.rules();
        while !stop.has_changed().unwrap_or(true) {
            let shut = refuses_all(&rules.borrow_and_update(), self.service);
            if shut {
                self.listener = None;
            } else if self.listener.is_none() {
                match listen(self.address) {
                    Ok(listener) => self.listener = Some(listener),
                    Err(error) => {
                        tracing::warn!(port = self.address.port(), %error, "cannot listen again");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                }
            }
            tokio::select! {
                _ = stop.changed() => break,
                changed = rules.changed() => if changed.is_err() { break },
                came = accept(self.listener.as_ref()) => match came {
                    Ok(stream) => {
                        // Made here and not in the task, so that connections are numbered as they come.
                        let wire = Wire::new(stream, self.service, &self.office);
                        sessions.spawn(serve(
                            wire,
                            Arc::clone(&self.office),
                            self.acceptor.clone(),
                            self.service,
                            self.implicit_tls,
                        ));
                    }
                    Err(error) => {
                        tracing::debug!(port = self.address.port(), %error, "no connection taken");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
                Some(_) = sessions.join_next() => {}
            }
        }
        sessions.shutdown().await;
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
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
