//! One question to one printer, over HTTP. Everything that a printer can send is bounded.

use super::message::{Answer, BadAnswer, parse, request};
use super::told::ATTRIBUTES;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The usual paths, the standard's own first (PWG 5100.14 section 4.2).
const PATHS: [&str; 4] = ["/ipp/print", "/ipp/printer", "/ipp", "/"];

/// `client-error-not-found` (RFC 8011 appendix B.1.4.7).
const NOT_FOUND: u16 = 0x0406;

/// First status code that is no success.
const NO_SUCCESS: u16 = 0x0100;

/// How long and how much one question may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IppLimits {
    /// Everything together, all paths. Default 10 s.
    pub deadline: Duration,
    /// Largest answer, in octets. Default 256 KiB; a large machine sends some 40.
    pub octets: usize,
}

impl Default for IppLimits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(10), octets: 256 << 10 }
    }
}

/// A printer told nothing by IPP.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IppError {
    /// Nobody listens there, or it broke off.
    #[error("{address} cannot be asked by IPP; the printer may have it switched off")]
    Connect {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("{address} gave no IPP answer within {} s", waited.as_secs())]
    Slow {
        /// Where.
        address: SocketAddr,
        /// How long was waited.
        waited: Duration,
    },
    /// It speaks no HTTP, or sent too much.
    #[error("{address} gave no usable HTTP answer")]
    Http {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An HTTP status that is no success, such as 426: the printer wants TLS.
    #[error("{address} answered HTTP status {status} to an IPP request")]
    Status {
        /// Where.
        address: SocketAddr,
        /// The status.
        status: u16,
    },
    /// An IPP status that is no success.
    #[error("{address} refused the IPP request with status {status:#06x}")]
    Refused {
        /// Where.
        address: SocketAddr,
        /// The status.
        status: u16,
    },
    /// No IPP.
    #[error("{address} answered no IPP")]
    Answer {
        /// Where.
        address: SocketAddr,
        /// What is wrong with it.
        source: BadAnswer,
    },
}

/// Asks the printer at `address` (port 631 as a rule) for what [`super::Told`] reads.
///
/// # Errors
/// [`IppError`], each naming the address.
pub async fn ask(address: SocketAddr, limits: &IppLimits) -> Result<Answer, IppError> {
    let slow = |_| IppError::Slow { address, waited: limits.deadline };
    timeout(limits.deadline, ask_all_paths(address, limits.octets)).await.map_err(slow)?
}

async fn ask_all_paths(address: SocketAddr, octets: usize) -> Result<Answer, IppError> {
    let mut refused = IppError::Status { address, status: StatusCode::NOT_FOUND.as_u16() };
    for path in PATHS {
        match ask_path(address, path, octets).await {
            Ok(answer) if answer.status < NO_SUCCESS => return Ok(answer),
            Ok(Answer { status: NOT_FOUND, .. }) => {
                refused = IppError::Refused { address, status: NOT_FOUND };
            }
            Ok(Answer { status, .. }) => return Err(IppError::Refused { address, status }),
            Err(error @ IppError::Status { status: 404 | 405, .. }) => refused = error,
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

async fn ask_path(address: SocketAddr, path: &str, octets: usize) -> Result<Answer, IppError> {
    let stream = TcpStream::connect(address).await.map_err(|source| IppError::Connect { address, source })?;
    let http = |source: hyper::Error| IppError::Http { address, source: source.into() };
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(64)
        .max_buf_size(16 << 10)
        .handshake(Stream(stream))
        .await
        .map_err(http)?;
    let body = request(&format!("ipp://{address}{path}"), ATTRIBUTES);
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, address.to_string())
        .header(CONTENT_TYPE, "application/ipp")
        .body(Full::new(Bytes::from(body)))
        .map_err(|source| IppError::Http { address, source: source.into() })?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(http)?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(IppError::Status { address, status: status.as_u16() });
        }
        let body = Limited::new(response.into_body(), octets).collect().await;
        let body = body.map_err(|source| IppError::Http { address, source })?.to_bytes();
        parse(&body).map_err(|source| IppError::Answer { address, source })
    };
    // The connection only works while it is polled; it ends with the exchange.
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    let mut open = true;
    std::future::poll_fn(|context| {
        if open && connection.as_mut().poll(context).is_ready() {
            open = false;
        }
        exchange.as_mut().poll(context)
    })
    .await
}

/// A socket as hyper wants it.
struct Stream(TcpStream);

impl hyper::rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let mut piece = [0; 4096];
        let room = buffer.remaining().min(piece.len());
        let mut piece = ReadBuf::new(piece.get_mut(..room).unwrap_or_default());
        std::task::ready!(Pin::new(&mut self.0).poll_read(context, &mut piece))?;
        buffer.put_slice(piece.filled());
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::{IppError, IppLimits, ask};
    use std::net::SocketAddr;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// A printer that gives each connection the answer for its path.
    async fn printer(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut asked = Vec::new();
                while !asked.ends_with(b"\x03") {
                    let mut piece = [0; 4096];
                    let read = socket.read(&mut piece).await.unwrap();
                    asked.extend(&piece[..read]);
                }
                let text = String::from_utf8_lossy(&asked).into_owned();
                let path = text.split(' ').nth(1).unwrap().to_owned();
                let _ = socket.write_all(&answer(&path)).await;
            }
        });
        address
    }

    fn http(status: &str, body: &[u8]) -> Vec<u8> {
        let mut octets = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/ipp\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        octets.extend(body);
        octets
    }

    const FINE: &[u8] =
        b"\x01\x01\x00\x00\x00\x00\x00\x01\x04\x23\x00\x0dprinter-state\x00\x04\x00\x00\x00\x05\x03";

    #[tokio::test]
    async fn a_printer_with_an_unusual_path_is_found() {
        let address = printer(|path| match path {
            "/ipp" => http("200 OK", FINE),
            _ => http("404 Not Found", b""),
        })
        .await;
        let answer = ask(address, &IppLimits::default()).await.unwrap();
        assert_eq!(answer.number("printer-state"), Some(5));
    }

    #[tokio::test]
    async fn a_printer_that_wants_tls_is_named() {
        let address = printer(|_| http("426 Upgrade Required", b"")).await;
        let error = ask(address, &IppLimits::default()).await.unwrap_err();
        assert!(matches!(error, IppError::Status { status: 426, .. }), "{error}");
    }

    #[tokio::test]
    async fn an_answer_without_end_is_cut_off() {
        let address = printer(|_| {
            let mut octets = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n".to_vec();
            octets.extend(vec![0; 900_000]);
            octets
        })
        .await;
        let error = ask(address, &IppLimits::default()).await.unwrap_err();
        assert!(matches!(error, IppError::Http { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_printer_that_says_nothing_is_given_up() {
        let address = printer(|_| Vec::new()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let limits = IppLimits { deadline: Duration::from_millis(200), ..IppLimits::default() };
        let error = ask(listener.local_addr().unwrap(), &limits).await.unwrap_err();
        assert!(matches!(error, IppError::Slow { .. }), "{error}");
        let error = ask(address, &IppLimits::default()).await.unwrap_err();
        assert!(matches!(error, IppError::Http { .. }), "{error}");
    }
}
