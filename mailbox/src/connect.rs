//! Reaching a server: name, TCP, TLS. The only file that opens sockets.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, lookup_host},
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    account::{Account, Security, Server},
    limits::Limits,
    tls::{self, CertificateDates, TlsError},
};

/// Why no usable connection came about. Nothing was sent yet that matters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name has no address.
    #[error("cannot find the address of {host}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No address of the name took the connection.
    #[error("cannot connect to {host}, port {port}")]
    Tcp {
        /// The name.
        host: String,
        /// The port.
        port: u16,
        /// What the last address answered.
        source: io::Error,
    },
    /// The handshake failed: wrong name, unknown authority, expired certificate, or not a TLS port.
    #[error("no TLS connection to {host}, port {port}")]
    Handshake {
        /// The name.
        host: String,
        /// The port.
        port: u16,
        /// The reason.
        source: io::Error,
    },
    /// The certificate is in order, but not at the time that it is here.
    #[error("no TLS connection to {host}, port {port}")]
    CertificateDates {
        /// The name.
        host: String,
        /// The port.
        port: u16,
        /// Its dates and the time.
        source: CertificateDates,
    },
    /// TLS cannot even be tried.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// [`Limits::connect`] is over.
    #[error("{host}, port {port}: no connection within {} s", limit.as_secs())]
    TimedOut {
        /// The name.
        host: String,
        /// The port.
        port: u16,
        /// The limit.
        limit: Duration,
    },
    /// The settings ask for STARTTLS and the server does not offer it, or somebody between cut it out.
    #[error("the server offers no STARTTLS, and the settings do not allow to go on without")]
    NoStartTls,
    /// There was more after the go-ahead for TLS, still in plain: an attempt to smuggle replies in.
    #[error("plain text was sent after STARTTLS was agreed: the line is not trustworthy")]
    Injection,
    /// The server did not greet as a mail server, or broke off.
    #[error("the server did not greet as expected: {text}")]
    Greeting {
        /// What it said, cleaned and cut.
        text: String,
    },
    /// The connection broke before TLS stood.
    #[error("the connection broke before TLS stood")]
    Broken(#[source] io::Error),
}

/// A connection, protected or not.
#[derive(Debug)]
pub(crate) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Plain(tcp) => tcp.peer_addr(),
            Self::Tls(tls) => tls.get_ref().0.peer_addr(),
        }
    }
}

/// Connects, with TLS at once if the server is set so; within [`Limits::connect`].
pub(crate) async fn dial(
    account: &Account,
    server: &Server,
    limits: &Limits,
) -> Result<Socket, ConnectError> {
    let work = async {
        let tcp = dial_tcp(server, limits.connect).await?;
        match server.security {
            Security::Tls => handshake(account, server, tcp).await,
            Security::StartTls | Security::Plain => Ok(Socket::Plain(tcp)),
        }
    };
    timeout(limits.connect, work).await.unwrap_or_else(|_| Err(timed_out(server, limits)))
}

/// Turns a plain connection into a protected one, after the protocol has agreed on it.
pub(crate) async fn protect(
    account: &Account,
    server: &Server,
    socket: Socket,
    limits: &Limits,
) -> Result<Socket, ConnectError> {
    let tcp = match socket {
        Socket::Plain(tcp) => tcp,
        protected @ Socket::Tls(_) => return Ok(protected),
    };
    timeout(limits.connect, handshake(account, server, tcp))
        .await
        .unwrap_or_else(|_| Err(timed_out(server, limits)))
}

fn timed_out(server: &Server, limits: &Limits) -> ConnectError {
    ConnectError::TimedOut { host: server.host.clone(), port: server.port, limit: limits.connect }
}

async fn dial_tcp(server: &Server, limit: Duration) -> Result<TcpStream, ConnectError> {
    let started = Instant::now();
    let addresses: Vec<SocketAddr> = lookup_host((server.host.as_str(), server.port))
        .await
        .map_err(|source| ConnectError::Resolve { host: server.host.clone(), source })?
        .take(8)
        .collect();
    let count = u32::try_from(addresses.len()).unwrap_or(1).max(1);
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (nth, address) in (1..).zip(addresses) {
        // Each address gets its share, so that a dead first one leaves time for the second.
        let share = started + limit / count * nth;
        match timeout_at(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // A mail ends in a small write; without this it waits for the server's delayed acknowledgement.
                tcp.set_nodelay(true).map_err(|source| tcp_error(server, source))?;
                ask_for_signs_of_life(&tcp);
                return Ok(tcp);
            }
            Ok(Err(source)) => last = source,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(tcp_error(server, last))
}

/// A session may be silent for a quarter of an hour. The system asks the other end meanwhile: a line that is dead is noticed
/// within two minutes, and routers between do not forget it. It works without, only later.
fn ask_for_signs_of_life(tcp: &TcpStream) {
    use rustix::net::sockopt;
    let asked = sockopt::set_socket_keepalive(tcp, true)
        .and_then(|()| sockopt::set_tcp_keepidle(tcp, Duration::from_secs(60)))
        .and_then(|()| sockopt::set_tcp_keepintvl(tcp, Duration::from_secs(15)))
        .and_then(|()| sockopt::set_tcp_keepcnt(tcp, 4));
    if let Err(error) = asked {
        tracing::debug!(%error, "the system does not watch over the connection");
    }
}

fn tcp_error(server: &Server, source: io::Error) -> ConnectError {
    ConnectError::Tcp { host: server.host.clone(), port: server.port, source }
}

async fn handshake(account: &Account, server: &Server, tcp: TcpStream) -> Result<Socket, ConnectError> {
    let name: ServerName<'static> = tls::server_name(&server.host)?;
    let tls =
        TlsConnector::from(tls::account_config(account)?).connect(name, tcp).await.map_err(|source| {
            let (host, port) = (server.host.clone(), server.port);
            match tls::wrong_dates(&source) {
                Some(dates) => ConnectError::CertificateDates { host, port, source: dates.clone() },
                None => ConnectError::Handshake { host, port, source },
            }
        })?;
    Ok(Socket::Tls(Box::new(tls)))
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}
