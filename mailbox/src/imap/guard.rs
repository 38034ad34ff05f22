//! The stream that `async-imap` reads and writes: time limits below, [`Tidy`] in between, whole commands out.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{imap::tidy::Tidy, timed::Timed};

const READ_OCTETS: usize = 64 << 10;

/// Room for any password or access token, so that it never grows and leaves copies of itself behind.
const COMMAND_OCTETS: usize = 8 << 10;

#[derive(Debug)]
pub(super) struct Guarded<S> {
    inner: Timed<S>,
    tidy: Tidy,
    raw: Box<[u8]>,
    ready: Vec<u8>,
    given: usize,
    /// The library writes tag, command and CRLF apart; they leave together.
    command: Vec<u8>,
    written: usize,
}

impl<S> Guarded<S> {
    pub(super) fn new(inner: Timed<S>, tidy: Tidy) -> Self {
        Self {
            inner,
            tidy,
            raw: vec![0; READ_OCTETS].into_boxed_slice(),
            ready: Vec::new(),
            given: 0,
            command: Vec::with_capacity(COMMAND_OCTETS),
            written: 0,
        }
    }

    /// Lines that the parser was not shown: [`Tidy::take_aside`].
    pub(super) fn take_aside(&mut self) -> Vec<Vec<u8>> {
        self.tidy.take_aside()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.given == this.ready.len() {
            this.ready.clear();
            this.given = 0;
            let mut raw = ReadBuf::new(&mut this.raw);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut raw))?;
            if raw.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.tidy
                .push(raw.filled(), &mut this.ready)
                .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
        }
        let part = buf.remaining().min(this.ready.len() - this.given);
        buf.put_slice(&this.ready[this.given..this.given + part]);
        this.given += part;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().command.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.written < this.command.len() {
            let part = ready!(Pin::new(&mut this.inner).poll_write(cx, &this.command[this.written..]))?;
            if part == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            this.written += part;
        }
        // A login holds the password.
        zeroize::Zeroize::zeroize(&mut this.command);
        this.written = 0;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
