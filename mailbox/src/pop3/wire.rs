//! One POP3 connection below its states: commands out, lines and mails in, time limits around both.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

use crate::{
    fetch::{FetchError, Sink},
    limits::Limits,
    pop3::{
        reader::{Caps, Reader},
        reply::{Capabilities, Reply},
    },
    timed::{Patience, Timed},
};

/// Most lines of a capability list.
const CAPABILITY_LINES_MAX: usize = 100;

#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: Timed<S>,
    reader: Reader,
    pub(super) limits: Limits,
    /// Command lines sent whose reply has not been read.
    owed: usize,
    /// A listing or a mail is being read and its final dot has not come.
    in_content: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S, limits: &Limits) -> Self {
        let patience = Patience::new(limits.progress, limits.overall);
        Self {
            stream: Timed::new(stream, patience),
            reader: Reader::default(),
            limits: limits.clone(),
            owed: 0,
            in_content: false,
        }
    }

    /// The bare stream, if nothing that was read is left over.
    pub(super) fn into_stream(self) -> Option<S> {
        self.reader.is_empty().then(|| self.stream.into_inner())
    }

    /// Must hold before a new command: a caller may have dropped the future of an earlier one half-way.
    pub(super) fn check_in_step(&self) -> Result<(), FetchError> {
        if self.owed == 0 && !self.in_content { Ok(()) } else { Err(FetchError::OutOfStep) }
    }

    /// Writes whole commands in one go.
    pub(super) async fn send(&mut self, during: &'static str, commands: &[u8]) -> Result<(), FetchError> {
        self.owed += commands.iter().filter(|octet| **octet == b'\n').count();
        let work = async {
            self.stream.write_all(commands).await?;
            self.stream.flush().await
        };
        work.await.map_err(|error| FetchError::from_io(during, error))
    }

    async fn fill(&mut self, during: &'static str) -> Result<(), FetchError> {
        match self.stream.read_buf(self.reader.room()).await {
            Ok(0) => Err(FetchError::Disconnected { during }),
            Ok(_) => Ok(()),
            Err(error) => Err(FetchError::from_io(during, error)),
        }
    }

    pub(super) async fn line(&mut self, during: &'static str) -> Result<Vec<u8>, FetchError> {
        loop {
            match self.reader.take_line(self.limits.reply_octets_max) {
                Ok(Some(line)) => return Ok(line),
                Ok(None) => self.fill(during).await?,
                Err(fault) => return Err(FetchError::Protocol { during, detail: fault.to_string() }),
            }
        }
    }

    pub(super) async fn reply(&mut self, during: &'static str) -> Result<Reply, FetchError> {
        let limit = self.limits.operation;
        let line = timeout(limit, self.line(during)).await.map_err(|_| FetchError::Timeout { during })??;
        self.owed = self.owed.saturating_sub(1);
        // What it says instead is not repeated: after a broken mail it may be mail content.
        Reply::parse(&line).ok_or(FetchError::Protocol { during, detail: "neither +OK nor -ERR".into() })
    }

    /// A reply that must be `+OK`.
    pub(super) async fn expect_ok(&mut self, during: &'static str) -> Result<String, FetchError> {
        match self.reply(during).await? {
            Reply::Ok(text) => Ok(text),
            Reply::Err { code, text } => Err(FetchError::from_code(during, &code, text)),
            Reply::Continue(_) => Err(FetchError::Protocol { during, detail: "unasked continuation".into() }),
        }
    }

    /// The lines up to the final dot, dots unstuffed; more than `lines_max` of them are an error.
    pub(super) async fn listing(
        &mut self,
        during: &'static str,
        lines_max: usize,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), FetchError> {
        self.in_content = true;
        for _ in 0..=lines_max {
            let line = self.line(during).await?;
            match line.strip_prefix(b".") {
                Some(b"") => {
                    self.in_content = false;
                    return Ok(());
                }
                Some(unstuffed) => each(unstuffed),
                None => each(&line),
            }
        }
        Err(FetchError::Protocol { during, detail: format!("more than {lines_max} entries") })
    }

    /// The content of one mail up to the final dot.
    pub(super) async fn mail(
        &mut self,
        during: &'static str,
        expected_octets: u64,
        mail_octets_max: u64,
    ) -> Result<Vec<u8>, FetchError> {
        let caps = Caps { line_octets_max: self.limits.line_octets_max, mail_octets_max };
        // The announced size is a hint of the server; it reserves no more than one read's worth above a small mail.
        let mut mail = Vec::with_capacity(usize::try_from(expected_octets.min(256 << 10)).unwrap_or(0));
        self.in_content = true;
        loop {
            match self.reader.take_mail(&mut mail, caps) {
                Ok(true) => {
                    self.in_content = false;
                    return Ok(mail);
                }
                Ok(false) => self.fill(during).await?,
                Err(fault) => return Err(FetchError::Protocol { during, detail: fault.to_string() }),
            }
        }
    }

    /// The same, given to `sink` as it comes; gives its octets.
    pub(super) async fn mail_into(
        &mut self,
        during: &'static str,
        mail_octets_max: u64,
        sink: &mut Sink<'_>,
    ) -> Result<u64, FetchError> {
        let mut passed = 0_u64;
        let mut piece = Vec::new();
        self.in_content = true;
        loop {
            let caps = Caps {
                line_octets_max: self.limits.line_octets_max,
                mail_octets_max: mail_octets_max.saturating_sub(passed),
            };
            let ended = self
                .reader
                .take_mail(&mut piece, caps)
                .map_err(|fault| FetchError::Protocol { during, detail: fault.to_string() })?;
            sink(&piece).map_err(FetchError::Sink)?;
            passed = passed.saturating_add(piece.len() as u64);
            piece.clear();
            if ended {
                self.in_content = false;
                return Ok(passed);
            }
            self.fill(during).await?;
        }
    }

    /// What the server can do; nothing when it does not know CAPA (RFC 2449 section 5).
    pub(super) async fn capabilities(&mut self) -> Result<Capabilities, FetchError> {
        const DURING: &str = "CAPA";
        self.send(DURING, b"CAPA\r\n").await?;
        let mut capabilities = Capabilities::default();
        if let Reply::Ok(_) = self.reply(DURING).await? {
            let limit = self.limits.operation;
            let lines = self.listing(DURING, CAPABILITY_LINES_MAX, |line| capabilities.add(line));
            timeout(limit, lines).await.map_err(|_| FetchError::Timeout { during: DURING })??;
        }
        Ok(capabilities)
    }
}

impl FetchError {
    /// A refused command, told apart by its code (RFC 2449 section 8, RFC 3206).
    pub(super) fn from_code(during: &'static str, code: &str, text: String) -> Self {
        match code {
            "AUTH" => Self::LoginRefused { text },
            "IN-USE" | "LOGIN-DELAY" => Self::Busy { text },
            "SYS/TEMP" => Self::Temporary { during, text },
            _ => Self::Refused { during, text },
        }
    }

    /// An error of the stream itself.
    pub(crate) fn from_io(during: &'static str, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::Timeout { during },
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::Disconnected { during },
            _ => Self::Io { during, source: error },
        }
    }
}
