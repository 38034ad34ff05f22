//! One connection: lines in, octets out, with the script's outages, cuts and slowness applied on the way.

use std::io::{self, BufRead};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::faults::{self, Facts, IdleFault, Link, Luck, Outage, Rule, Service};
use super::office::Office;

/// Small while a connection idles, since there may be thousands.
const READ_SMALL: usize = 1024;
/// While a mail comes in.
const READ_LARGE: usize = 16 * 1024;
/// A session flushes what it has to say when it is more than this.
pub(super) const WRITE_LARGE: usize = 64 * 1024;
/// A slow connection moves in steps of this many each second.
const STEPS_PER_SECOND: u64 = 20;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Gone {
    #[error("the client closed the connection")]
    Closed,
    #[error("cut by the script of faults")]
    Cut,
    #[error("the client said nothing for too long")]
    Idle,
    #[error("broken connection")]
    Io(#[from] io::Error),
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// While it changes from the first to the second.
    None,
}

impl Stream {
    async fn read(&mut self, into: &mut BytesMut, at_most: usize) -> io::Result<usize> {
        into.reserve(at_most);
        match self {
            Self::Plain(stream) => stream.read_buf(&mut into.limit(at_most)).await,
            Self::Tls(stream) => stream.read_buf(&mut into.limit(at_most)).await,
            Self::None => Ok(0),
        }
    }

    async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(octets).await,
            Self::Tls(stream) => {
                stream.write_all(octets).await?;
                stream.flush().await
            }
            Self::None => Ok(()),
        }
    }

    async fn shut(&mut self) {
        // The other side may be gone already.
        let _ = match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
            Self::None => Ok(()),
        };
    }
}

/// A line from the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its end.
    Text(Vec<u8>),
    /// Longer than the protocol allows; it has been skipped.
    TooLong,
}

/// A connection with its buffers and faults.
pub(super) struct Wire {
    stream: Stream,
    input: BytesMut,
    output: Vec<u8>,
    service: Service,
    login: Option<String>,
    luck: Luck,
    rules: watch::Receiver<Arc<[Rule]>>,
    link: Link,
    moved: u64,
    idle_limit: Duration,
    office: Arc<Office>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.office.disconnected();
    }
}

impl Wire {
    pub(super) fn new(stream: TcpStream, service: Service, office: &Arc<Office>) -> Self {
        let mut wire = Self {
            stream: Stream::Plain(stream),
            input: BytesMut::new(),
            output: Vec::new(),
            service,
            login: None,
            luck: office.connected(service),
            rules: office.rules(),
            link: Link::default(),
            moved: 0,
            idle_limit: office.settings.idle_limit,
            office: Arc::clone(office),
        };
        wire.look_at_rules();
        wire
    }

    fn look_at_rules(&mut self) {
        let rules = Arc::clone(&self.rules.borrow_and_update());
        self.link =
            faults::link(&rules, Facts::of_connection(self.service, self.login.as_deref()), self.luck);
    }

    /// From now on the faults of this login count too.
    pub(super) fn logged_in(&mut self, login: &str) {
        self.login = Some(login.to_owned());
        self.look_at_rules();
    }

    /// Stands still while the service hangs; ends when it is out.
    pub(super) async fn in_service(&mut self) -> Result<(), Gone> {
        loop {
            self.look_at_rules();
            match self.link.outage {
                Some(Outage::Refuse) => return Err(Gone::Cut),
                Some(Outage::Hang) => {
                    let changed = tokio::time::timeout(self.idle_limit, self.rules.changed()).await;
                    changed.map_err(|_| Gone::Idle)?.map_err(|_| Gone::Cut)?;
                }
                Some(Outage::Midway) | None => return Ok(()),
            }
        }
    }

    /// Whether the script wants this connection cut while a mail is on its way.
    pub(super) fn cut_midway(&self) -> bool {
        self.link.outage == Some(Outage::Midway)
    }

    /// What the script wants to become of IDLE.
    pub(super) fn idle_fault(&self) -> Option<IdleFault> {
        self.link.idle
    }

    /// How many of the next `wanted` octets may be moved before the cut, and in one step.
    fn step(&self, wanted: usize) -> Result<usize, Gone> {
        let mut step = wanted;
        if let Some(limit) = self.link.drop_after {
            let left = usize::try_from(limit.saturating_sub(self.moved)).unwrap_or(usize::MAX);
            if left == 0 {
                return Err(Gone::Cut);
            }
            step = step.min(left);
        }
        if let Some(rate) = self.link.octets_per_second {
            step = step.min(usize::try_from((rate / STEPS_PER_SECOND).max(1)).unwrap_or(usize::MAX));
        }
        Ok(step)
    }

    async fn rest_after(&self, octets: usize) {
        if let Some(rate) = self.link.octets_per_second {
            tokio::time::sleep(Duration::from_secs_f64(octets as f64 / rate as f64)).await;
        }
    }

    /// Puts octets into the buffer of what is to be sent.
    pub(super) fn put(&mut self, octets: &[u8]) {
        self.output.extend_from_slice(octets);
    }

    /// The buffer of what is to be sent.
    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Sends what is buffered.
    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        if self.output.is_empty() {
            return Ok(());
        }
        self.in_service().await?;
        let mut output = std::mem::take(&mut self.output);
        let result = self.send(&output).await;
        if output.capacity() <= WRITE_LARGE {
            output.clear();
            self.output = output;
        }
        result
    }

    async fn send(&mut self, octets: &[u8]) -> Result<(), Gone> {
        let counted = self.service != Service::Smtp;
        let mut rest = octets;
        while !rest.is_empty() {
            let step = if counted { self.step(rest.len())? } else { rest.len() };
            let (now, later) = rest.split_at(step);
            tokio::time::timeout(self.idle_limit, self.stream.write(now)).await.map_err(|_| Gone::Idle)??;
            if counted {
                self.moved += step as u64;
            }
            self.rest_after(step).await;
            rest = later;
        }
        Ok(())
    }

    /// Sends the first half of what is buffered, as the last thing of this connection.
    pub(super) async fn flush_half(&mut self) -> Gone {
        let half = self.output.len() / 2;
        self.output.truncate(half);
        self.flush().await.err().unwrap_or(Gone::Cut)
    }

    /// Waits for more from the client, once all is said. Safe to be dropped while it waits.
    pub(super) async fn more(&mut self, large: bool) -> Result<(), Gone> {
        self.flush().await?;
        self.in_service().await?;
        let wanted = if large { READ_LARGE } else { READ_SMALL };
        let counted = self.service == Service::Smtp;
        let step = if counted { self.step(wanted)? } else { wanted };
        let idle = tokio::time::sleep(self.idle_limit);
        tokio::pin!(idle);
        let read = loop {
            tokio::select! {
                read = self.stream.read(&mut self.input, step) => break read?,
                changed = self.rules.changed() => {
                    changed.map_err(|_| Gone::Cut)?;
                    self.in_service().await?;
                }
                () = &mut idle => return Err(Gone::Idle),
            }
        };
        if read == 0 {
            return Err(Gone::Closed);
        }
        if counted {
            self.moved += read as u64;
            self.rest_after(read).await;
        }
        Ok(())
    }

    /// The next line, without its end (CRLF; a bare LF is taken too).
    pub(super) async fn line(&mut self, limit: usize) -> Result<Line, Gone> {
        let mut searched = 0;
        let mut skipping = false;
        loop {
            if let Some(end) = line_end(&self.input, searched) {
                let mut line = self.input.split_to(end);
                if skipping || end > limit {
                    return Ok(Line::TooLong);
                }
                line.truncate(end - 1);
                if line.last() == Some(&b'\r') {
                    line.truncate(line.len() - 1);
                }
                return Ok(Line::Text(line.to_vec()));
            }
            if self.input.len() > limit {
                skipping = true;
                self.input.clear();
            }
            searched = self.input.len();
            self.more(false).await?;
        }
    }

    /// What has been received and not yet taken.
    pub(super) fn input(&self) -> &[u8] {
        &self.input
    }

    /// Takes the first `octets` of what has been received.
    pub(super) fn taken(&mut self, octets: usize) {
        self.input.advance(octets);
        if self.input.is_empty() && self.input.capacity() > READ_SMALL {
            self.input = BytesMut::new();
        }
    }

    /// Exactly so many octets, appended to `into`.
    pub(super) async fn exactly(&mut self, mut count: usize, into: &mut Vec<u8>) -> Result<(), Gone> {
        while count > 0 {
            if self.input.is_empty() {
                self.more(true).await?;
            }
            let part = count.min(self.input.len());
            into.extend_from_slice(&self.input[..part]);
            self.taken(part);
            count -= part;
        }
        Ok(())
    }

    /// Goes over to TLS. Whatever came in plain text before is forgotten (RFC 3207 section 4.2).
    pub(super) async fn start_tls(&mut self, acceptor: &TlsAcceptor) -> Result<(), Gone> {
        self.in_service().await?;
        self.input.clear();
        match std::mem::replace(&mut self.stream, Stream::None) {
            Stream::Plain(plain) => {
                let accepted = tokio::time::timeout(self.idle_limit, acceptor.accept(plain)).await;
                self.stream = Stream::Tls(Box::new(accepted.map_err(|_| Gone::Idle)??));
                Ok(())
            }
            other => {
                self.stream = other;
                Ok(())
            }
        }
    }

    /// Says the last words and closes.
    pub(super) async fn close(&mut self) -> Result<(), Gone> {
        self.flush().await?;
        self.stream.shut().await;
        Ok(())
    }
}

/// Where the first line behind `from` ends: the place after its LF.
fn line_end(input: &[u8], from: usize) -> Option<usize> {
    let mut rest = input.get(from..)?;
    let skipped = rest.skip_until(b'\n').ok()?;
    let end = from + skipped;
    (skipped > 0 && input[end - 1] == b'\n').then_some(end)
}

#[cfg(test)]
mod tests {
    use super::line_end;

    #[test]
    fn a_line_ends_behind_its_line_feed() {
        assert_eq!(line_end(b"", 0), None);
        assert_eq!(line_end(b"abc", 0), None);
        assert_eq!(line_end(b"abc\r\n", 0), Some(5));
        assert_eq!(line_end(b"abc\r\ndef\r\n", 0), Some(5));
        assert_eq!(line_end(b"abc\r\ndef\r\n", 5), Some(10));
        assert_eq!(line_end(b"\n", 0), Some(1));
        assert_eq!(line_end(b"\n", 1), None);
        assert_eq!(line_end(b"\n", 2), None);
    }
}
