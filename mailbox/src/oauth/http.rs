//! One question to a provider: a POST over a connection of its own.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request,
    body::Bytes,
    client::conn::http1,
    header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST},
};
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    time::timeout,
};
use zeroize::Zeroizing;

use crate::{
    account::{Account, Security, Server},
    connect::{self, ConnectError, Socket},
    limits::Limits,
    oauth::{reply::REPLY_OCTETS_MAX, settings::Url},
};

/// Why there is no answer of the provider.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection or the answer broke.
    #[error("the provider's answer cannot be read")]
    Http(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer within the limit.
    #[error("the provider did not answer in time")]
    Timeout,
}

/// Sends a form; gives the status and the body of the answer. Certificates are judged as for the account's mail servers.
pub(super) async fn post(
    account: &Account,
    url: &Url,
    form: &Zeroizing<String>,
    limits: &Limits,
) -> Result<(u16, Zeroizing<Vec<u8>>), HttpError> {
    let security = if url.tls { Security::Tls } else { Security::Plain };
    let server = Server { host: url.host.clone(), port: url.port, security };
    let socket = connect::dial(account, &server, limits).await?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(&url.path)
        .header(HOST, url.authority())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .header(CONNECTION, "close")
        .body(Full::new(Bytes::copy_from_slice(form.as_bytes())))
        .map_err(|error| HttpError::Http(error.into()))?;
    timeout(limits.operation, exchange(socket, request)).await.map_err(|_| HttpError::Timeout)?
}

async fn exchange(
    socket: Socket,
    request: Request<Full<Bytes>>,
) -> Result<(u16, Zeroizing<Vec<u8>>), HttpError> {
    let http = |error: hyper::Error| HttpError::Http(error.into());
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(64 << 10).handshake(Stream(socket)).await.map_err(http)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(http)?;
        let status = response.status().as_u16();
        let body =
            Limited::new(response.into_body(), REPLY_OCTETS_MAX).collect().await.map_err(HttpError::Http)?;
        Ok((status, Zeroizing::new(body.to_bytes().to_vec())))
    };
    tokio::pin!(answer, connection);
    tokio::select! {
        answered = &mut answer => answered,
        ended = &mut connection => {
            ended.map_err(http)?;
            answer.await
        }
    }
}

/// Our stream in the library's words.
struct Stream(Socket);

impl hyper::rt::Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut chunk = [0; 4 << 10];
        let room = cursor.remaining().min(chunk.len());
        let mut buf = ReadBuf::new(&mut chunk[..room]);
        ready!(Pin::new(&mut self.get_mut().0).poll_read(cx, &mut buf))?;
        cursor.put_slice(buf.filled());
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, octets)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}
