//! A byte stream that does not wait for ever: a limit of silence and a deadline on every read and write.
//!
//! The libraries above have no time limits of their own, and a limit around a whole operation cannot tell a slow
//! line from a dead server. So the limit sits below them, where octets are seen to move.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// How long a [`Timed`] stream waits; can be changed while the stream is inside another library.
#[derive(Debug, Clone)]
pub(crate) struct Patience(Arc<PatienceState>);

#[derive(Debug)]
struct PatienceState {
    start: Instant,
    silence_ms: AtomicU64,
    deadline_ms: AtomicU64,
}

impl Patience {
    pub(crate) fn new(silence: Duration, overall: Duration) -> Self {
        Self(Arc::new(PatienceState {
            start: Instant::now(),
            silence_ms: AtomicU64::new(millis(silence)),
            deadline_ms: AtomicU64::new(millis(overall)),
        }))
    }

    /// Longest silence from now on.
    pub(crate) fn set_silence(&self, silence: Duration) {
        self.0.silence_ms.store(millis(silence), Relaxed);
    }

    /// Moves the deadline to `overall` from now.
    pub(crate) fn renew(&self, overall: Duration) {
        let deadline = self.0.start.elapsed().saturating_add(overall);
        self.0.deadline_ms.store(millis(deadline), Relaxed);
    }

    fn deadline(&self) -> Instant {
        self.0.start + Duration::from_millis(self.0.deadline_ms.load(Relaxed))
    }

    fn silence(&self) -> Duration {
        Duration::from_millis(self.0.silence_ms.load(Relaxed))
    }
}

/// At most some 30 years, so that adding to an instant cannot overflow.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(1_000_000_000_000)
}

/// The stream. Its error for both limits is [`io::ErrorKind::TimedOut`].
#[derive(Debug)]
pub(crate) struct Timed<S> {
    inner: S,
    patience: Patience,
    alarm: Pin<Box<Sleep>>,
    armed: bool,
}

impl<S> Timed<S> {
    /// Must be called inside a tokio runtime with its timer on.
    pub(crate) fn new(inner: S, patience: Patience) -> Self {
        let alarm = Box::pin(sleep_until(patience.deadline()));
        Self { inner, patience, alarm, armed: false }
    }

    pub(crate) fn into_inner(self) -> S {
        self.inner
    }

    pub(crate) fn get_ref(&self) -> &S {
        &self.inner
    }

    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if !self.armed {
            let until = self.patience.deadline().min(Instant::now() + self.patience.silence());
            self.alarm.as_mut().reset(until);
            self.armed = true;
        }
        ready!(self.alarm.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn moved<T>(&mut self, result: io::Result<T>) -> Poll<io::Result<T>> {
        self.armed = false;
        // A server that drips an octet now and then is never silent, so the deadline is looked at here too.
        if Instant::now() >= self.patience.deadline() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_read(cx, buf) {
            Poll::Ready(result) => this.moved(result),
            Poll::Pending => this.wait(cx),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_write(cx, buf) {
            Poll::Ready(result) => this.moved(result),
            Poll::Pending => this.wait(cx),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_flush(cx) {
            Poll::Ready(result) => this.moved(result),
            Poll::Pending => this.wait(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_shutdown(cx) {
            Poll::Ready(result) => this.moved(result),
            Poll::Pending => this.wait(cx),
        }
    }
}
