//! The stream that `lettre` reads: time limits below, reply lines capped and made ASCII.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{connect::Socket, smtp::heard::Heard, timed::Timed};

/// The library reads a line to its end before it looks at its length; here an endless one is cut short.
/// And it gives up at octets that are not UTF-8, so they become `?`.
#[derive(Debug)]
pub(super) struct SubmissionStream {
    inner: Timed<Socket>,
    /// A greeting that was read before STARTTLS and is still owed to the library.
    owed: Vec<u8>,
    line_octets: usize,
    line_max: usize,
    heard: Heard,
}

impl SubmissionStream {
    pub(super) fn new(inner: Timed<Socket>, mut owed: Vec<u8>, line_max: usize) -> Self {
        owed.iter_mut().for_each(make_ascii);
        Self { inner, owed, line_octets: 0, line_max, heard: Heard::new() }
    }

    /// What is read, until somebody takes it.
    pub(super) fn heard(&self) -> Heard {
        self.heard.clone()
    }
}

fn make_ascii(octet: &mut u8) {
    if !octet.is_ascii() {
        *octet = b'?';
    }
}

impl AsyncTokioStream for SubmissionStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get_ref().peer_addr()
    }
}

impl AsyncRead for SubmissionStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.owed.is_empty() {
            let part = this.owed.len().min(buf.remaining());
            buf.put_slice(&this.owed[..part]);
            this.heard.add(&this.owed[..part]);
            this.owed.drain(..part);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let poll = Pin::new(&mut this.inner).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = &poll {
            for octet in &mut buf.filled_mut()[before..] {
                make_ascii(octet);
                this.line_octets = if *octet == b'\n' { 0 } else { this.line_octets + 1 };
                if this.line_octets > this.line_max {
                    let text = format!("a line of more than {} octets", this.line_max);
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
                }
            }
            this.heard.add(&buf.filled()[before..]);
        }
        poll
    }
}

impl AsyncWrite for SubmissionStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
