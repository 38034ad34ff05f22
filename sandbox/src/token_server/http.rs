//! As much of HTTP/1.1 as a form and its answer need.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::answers::{Answer, Asked, answer};
use super::issuer::Issuer;

/// Largest request.
const REQUEST_OCTETS_MAX: usize = 256 << 10;
/// Longest time of one request.
const REQUEST_MAX: Duration = Duration::from_secs(20);

pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, issuer: Arc<Issuer>) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else { continue };
        let (tls, issuer) = (tls.clone(), Arc::clone(&issuer));
        tokio::spawn(async move {
            let work = async {
                match tls {
                    Some(tls) => one(tls.accept(tcp).await?, &issuer).await,
                    None => one(tcp, &issuer).await,
                }
            };
            if let Ok(Err(error)) = timeout(REQUEST_MAX, work).await {
                tracing::debug!(%error, "a request to the token server broke off");
            }
        });
    }
}

async fn one<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, issuer: &Issuer) -> io::Result<()> {
    let mut octets = Vec::new();
    let asked = loop {
        if let Some(asked) = read(&octets) {
            break asked;
        }
        if octets.len() > REQUEST_OCTETS_MAX || stream.read_buf(&mut octets).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let Answer { status, body } = answer(&asked, issuer);
    let head = format!(
        "HTTP/1.1 {status} Answer\r\nContent-Type: application/json\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// A whole request; `None` while some of it is missing.
fn read(octets: &[u8]) -> Option<Asked> {
    let end = octets.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&octets[..end]);
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let target = words.nth(1).unwrap_or_default().to_owned();
    let (mut length, mut bearer) = (0, None);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "authorization" => bearer = value.trim().strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    let body = octets.get(end + 4..end + 4 + length)?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut fields = super::answers::form(query);
    fields.extend(super::answers::form(&String::from_utf8_lossy(body)));
    fields.extend(bearer.map(|token| ("bearer".to_owned(), token)));
    Some(Asked { path: path.to_owned(), fields })
}
