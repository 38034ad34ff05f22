//! The socket that notices come to.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::UdpSocket;

/// The port that devices send to unless told otherwise (RFC 3417).
pub const PORT: u16 = 162;
/// The port where the registered one is not permitted or taken; devices have to be told.
pub const PORT_UNPRIVILEGED: u16 = 10_162;
/// Octets of a datagram that are read; a notice of a printer has a few hundred.
pub const DATAGRAM_OCTETS_MAX: usize = 4096;

/// No socket for notices.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen for traps on UDP port {port}; faults are found by the usual looks only. Another program may have it, or the right is missing (CAP_NET_BIND_SERVICE)"
)]
pub struct TrapSocketError {
    /// The port, the last one where several were tried.
    pub port: u16,
    /// What the system said.
    pub source: std::io::Error,
}

/// A socket for notices.
#[derive(Debug)]
pub struct TrapSocket {
    socket: UdpSocket,
    port: u16,
}

impl TrapSocket {
    /// Opens the given port at the given address; without a port, [`PORT`], or [`PORT_UNPRIVILEGED`] where that one cannot be had.
    /// Without an address, every one of this box, of both families where it has both.
    ///
    /// # Errors
    /// [`TrapSocketError`].
    pub async fn bind(address: Option<IpAddr>, port: Option<u16>) -> Result<Self, TrapSocketError> {
        match port {
            Some(port) => Self::bind_port(address, port).await,
            None => match Self::bind_port(address, PORT).await {
                Ok(socket) => Ok(socket),
                Err(_) => Self::bind_port(address, PORT_UNPRIVILEGED).await,
            },
        }
    }

    async fn bind_port(address: Option<IpAddr>, port: u16) -> Result<Self, TrapSocketError> {
        let failed = |source| TrapSocketError { port, source };
        let at = |address: IpAddr| UdpSocket::bind(SocketAddr::new(address, port));
        let socket = match address {
            Some(address) => at(address).await,
            None => match at(Ipv6Addr::UNSPECIFIED.into()).await {
                // A box without IPv6.
                Err(error) if !matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::AddrInUse) => {
                    at(Ipv4Addr::UNSPECIFIED.into()).await
                }
                other => other,
            },
        };
        let socket = socket.map_err(failed)?;
        let port = socket.local_addr().map_err(failed)?.port();
        Ok(Self { socket, port })
    }

    /// The port that devices have to send to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits for a datagram. One that is longer than [`DATAGRAM_OCTETS_MAX`] comes cut, and is no notice.
    ///
    /// # Errors
    /// What the system says; an answer that could not be delivered comes back so, too.
    pub async fn receive(&self, buffer: &mut [u8]) -> std::io::Result<(usize, SocketAddr)> {
        self.socket.recv_from(buffer).await
    }

    /// Sends an answer, as far as that can be done at once; who misses it asks again.
    pub fn answer(&self, datagram: &[u8], to: SocketAddr) {
        // Nothing is to be done about one that the system does not take just now.
        let _ = self.socket.try_send_to(datagram, to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_named() {
        let local = Some(Ipv4Addr::LOCALHOST.into());
        let first = TrapSocket::bind(local, Some(0)).await.unwrap();
        let error = TrapSocket::bind(local, Some(first.port())).await.unwrap_err();
        assert!(error.to_string().contains(&first.port().to_string()), "{error}");
    }
}
