//! The plain talk before TLS for SMTP and IMAP, done before their libraries see the stream.
//!
//! It is done here because the libraries keep a read buffer across the change: whatever somebody on the line appends
//! to the server's go-ahead would then be read as if it came through TLS. Here anything left over is an error.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::{
    connect::ConnectError,
    limits::Limits,
    pop3::reader::Reader,
    server_text::clean,
    timed::{Patience, Timed},
};

/// A talk line by line, before a library sees the stream.
pub(crate) struct PlainTalk<S> {
    stream: Timed<S>,
    reader: Reader,
    line_max: usize,
}

/// Most lines of one reply; real EHLO replies have about fifteen.
pub(crate) const REPLY_LINES_MAX: usize = 100;

impl<S: AsyncRead + AsyncWrite + Unpin> PlainTalk<S> {
    pub(crate) fn new(stream: S, limits: &Limits) -> Self {
        Self {
            stream: Timed::new(stream, Patience::new(limits.progress, limits.operation)),
            reader: Reader::default(),
            line_max: limits.reply_octets_max,
        }
    }

    pub(crate) async fn line(&mut self) -> Result<Vec<u8>, ConnectError> {
        loop {
            match self.reader.take_line(self.line_max) {
                Ok(Some(line)) => return Ok(line),
                Ok(None) => {}
                Err(fault) => return Err(ConnectError::Greeting { text: fault.to_string() }),
            }
            if self.stream.read_buf(self.reader.room()).await.map_err(ConnectError::Broken)? == 0 {
                return Err(ConnectError::Broken(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    pub(crate) async fn say(&mut self, command: &str) -> Result<(), ConnectError> {
        self.stream.write_all(command.as_bytes()).await.map_err(ConnectError::Broken)?;
        self.stream.flush().await.map_err(ConnectError::Broken)
    }

    /// All lines of one SMTP reply with the code `want`.
    async fn smtp_reply(&mut self, want: &[u8]) -> Result<Vec<Vec<u8>>, ConnectError> {
        let mut lines = Vec::new();
        while lines.len() < REPLY_LINES_MAX {
            let line = self.line().await?;
            if !line.starts_with(want) {
                return Err(ConnectError::Greeting { text: clean(&line) });
            }
            let last = line.get(3) != Some(&b'-');
            lines.push(line);
            if last {
                return Ok(lines);
            }
        }
        Err(ConnectError::Greeting { text: "a reply without end".into() })
    }

    pub(crate) fn finish(self) -> Result<S, ConnectError> {
        if !self.reader.is_empty() {
            return Err(ConnectError::Injection);
        }
        Ok(self.stream.into_inner())
    }
}

/// Greeting, EHLO and STARTTLS (RFC 3207). Gives back the stream, ready for the handshake, and the greeting as it came.
pub(crate) async fn smtp<S>(stream: S, hello: &str, limits: &Limits) -> Result<(S, Vec<u8>), ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut talk = PlainTalk::new(stream, limits);
    let mut greeting = Vec::new();
    for line in talk.smtp_reply(b"220").await? {
        greeting.extend_from_slice(&line);
        greeting.extend_from_slice(b"\r\n");
    }
    talk.say(&format!("EHLO {hello}\r\n")).await?;
    let offered = talk.smtp_reply(b"250").await?.iter().any(|line| {
        let keyword = line.get(4..).unwrap_or_default();
        keyword.trim_ascii().eq_ignore_ascii_case(b"STARTTLS")
    });
    if !offered {
        return Err(ConnectError::NoStartTls);
    }
    talk.say("STARTTLS\r\n").await?;
    talk.smtp_reply(b"220").await?;
    Ok((talk.finish()?, greeting))
}

/// Greeting and STARTTLS (RFC 3501 section 6.2.1). No second greeting follows after the handshake.
pub(crate) async fn imap<S>(stream: S, limits: &Limits) -> Result<S, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut talk = PlainTalk::new(stream, limits);
    let greeting = talk.line().await?;
    // PREAUTH here would mean: no STARTTLS possible any more. A real server does not do that to a client in plain.
    if !greeting.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"* OK ")) {
        return Err(ConnectError::Greeting { text: clean(&greeting) });
    }
    talk.say("S1 STARTTLS\r\n").await?;
    for _ in 0..REPLY_LINES_MAX {
        let line = talk.line().await?;
        if let Some(status) = line.strip_prefix(b"S1 ") {
            if status.get(..2).is_some_and(|word| word.eq_ignore_ascii_case(b"OK")) {
                return talk.finish();
            }
            return Err(ConnectError::NoStartTls);
        }
    }
    Err(ConnectError::Greeting { text: "a reply without end".into() })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    async fn imap_answers(answers: &str) -> Result<(), ConnectError> {
        let (client, mut server) = duplex(1 << 20);
        server.write_all(answers.as_bytes()).await.unwrap();
        let outcome = imap(client, &Limits::default()).await.map(drop);
        drop(server);
        outcome
    }

    #[tokio::test(start_paused = true)]
    async fn imap_gets_its_go_ahead_whatever_else_is_said_before() {
        assert!(imap_answers("* OK hello\r\n* CAPABILITY IMAP4rev1\r\ns1 x\r\nS1 ok go\r\n").await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn plain_text_behind_the_go_ahead_is_an_injection() {
        let outcome = imap_answers("* OK hello\r\nS1 OK go\r\n* OK you are in\r\n").await;
        assert!(matches!(outcome, Err(ConnectError::Injection)), "{outcome:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_greeting_that_makes_starttls_impossible_is_refused() {
        let outcome = imap_answers("* PREAUTH come in\r\nS1 OK go\r\n").await;
        assert!(matches!(outcome, Err(ConnectError::Greeting { .. })), "{outcome:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_no_reason_to_go_on_in_plain() {
        let outcome = imap_answers("* OK hello\r\nS1 BAD unknown command\r\n").await;
        assert!(matches!(outcome, Err(ConnectError::NoStartTls)), "{outcome:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_or_never_ends_is_left() {
        assert!(matches!(imap_answers("* OK hello\r\n").await, Err(ConnectError::Broken(_))));
        let endless = "* OK hello\r\n".to_owned() + &"* OK still here\r\n".repeat(1000);
        assert!(matches!(imap_answers(&endless).await, Err(ConnectError::Greeting { .. })));
    }
}
