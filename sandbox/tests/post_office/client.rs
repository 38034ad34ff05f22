//! A client that says what the test says and shows what comes back.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{PostOffice, SECRET, SOON};

pub(crate) struct Client<S>(BufReader<S>);

impl Client<TcpStream> {
    pub(crate) async fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the port is open");
        Self(BufReader::new(stream))
    }

    /// Goes over to TLS and trusts only the post office's authority.
    pub(crate) async fn into_tls(self, office: &PostOffice) -> std::io::Result<Client<TlsStream<TcpStream>>> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(office.ca_pem().as_bytes()).expect("a certificate");
        roots.add(ca).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, self.0.into_inner()).await?;
        Ok(Client(BufReader::new(stream)))
    }

    pub(crate) async fn open_tls(port: u16, office: &PostOffice) -> Client<TlsStream<TcpStream>> {
        Self::open(port).await.into_tls(office).await.expect("a certificate that fits")
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(octets.as_ref()).await.expect("the connection is open");
        self.0.get_mut().flush().await.expect("the connection is open");
    }

    /// The next line without its end; `None` when the connection is closed.
    pub(crate) async fn try_line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let read =
            tokio::time::timeout(SOON, self.0.read_until(b'\n', &mut line)).await.expect("a line in time");
        match read {
            Ok(_) if line.ends_with(b"\r\n") => {
                Some(String::from_utf8_lossy(&line[..line.len() - 2]).into_owned())
            }
            _ => None,
        }
    }

    pub(crate) async fn line(&mut self) -> String {
        self.try_line().await.expect("an open connection")
    }

    /// Says a line and gives the next line that comes back.
    pub(crate) async fn ask(&mut self, command: &str) -> String {
        self.send(format!("{command}\r\n")).await;
        self.line().await
    }

    /// Says a line; the answer must begin so.
    #[track_caller]
    pub(crate) fn expect(&mut self, command: &str, begin: &str) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        let command = command.to_owned();
        let begin = begin.to_owned();
        async move {
            let answer = self.ask(&command).await;
            assert!(answer.starts_with(&begin), "{command:?} got {answer:?}, not {begin:?}, at {caller}");
            answer
        }
    }

    /// Exactly so many octets.
    pub(crate) async fn octets(&mut self, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        let read = tokio::time::timeout(SOON, self.0.read_exact(&mut octets)).await;
        read.expect("octets in time").expect("an open connection");
        octets
    }

    /// All that comes until the connection is closed, in whatever way.
    pub(crate) async fn until_closed(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let read = tokio::time::timeout(SOON, self.0.read(&mut piece)).await.expect("the end in time");
            match read {
                Ok(count) if count > 0 => all.extend_from_slice(&piece[..count]),
                _ => return all,
            }
        }
    }

    /// SMTP: the greeting, EHLO and a login; gives the extensions.
    pub(crate) async fn smtp_login(&mut self, address: &str) -> Vec<String> {
        assert!(self.line().await.starts_with("220 "));
        let extensions = self.ehlo().await;
        use base64::Engine;
        let plain = base64::engine::general_purpose::STANDARD.encode(format!("\0{address}\0{SECRET}"));
        self.expect(&format!("AUTH PLAIN {plain}"), "235 ").await;
        extensions
    }

    pub(crate) async fn ehlo(&mut self) -> Vec<String> {
        let mut extensions = vec![self.ask("EHLO box.example").await];
        while extensions.last().is_some_and(|line| line.starts_with("250-")) {
            extensions.push(self.line().await);
        }
        extensions
    }

    /// SMTP: hands in a mail after login; gives the last answer, or `None` when the connection died in its place.
    pub(crate) async fn smtp_mail(&mut self, from: &str, to: &str, text: &str) -> Option<String> {
        self.expect(&format!("MAIL FROM:<{from}>"), "250 ").await;
        let answer = self.ask(&format!("RCPT TO:<{to}>")).await;
        if !answer.starts_with("250 ") {
            self.expect("RSET", "250 ").await;
            return Some(answer);
        }
        self.expect("DATA", "354 ").await;
        self.send(format!("{text}.\r\n")).await;
        self.try_line().await
    }

    /// POP3: the greeting and a login.
    pub(crate) async fn pop3_login(&mut self, address: &str) {
        assert!(self.line().await.starts_with("+OK"));
        self.expect(&format!("USER {address}"), "+OK").await;
        self.expect(&format!("PASS {SECRET}"), "+OK").await;
    }

    /// POP3: the greeting and a login as soon as the session before has given the mailbox back.
    pub(crate) async fn pop3_login_when_free(&mut self, address: &str) {
        assert!(self.line().await.starts_with("+OK"));
        let begin = std::time::Instant::now();
        loop {
            self.expect(&format!("USER {address}"), "+OK").await;
            let answer = self.ask(&format!("PASS {SECRET}")).await;
            if answer.starts_with("+OK") {
                return;
            }
            assert!(answer.starts_with("-ERR [IN-USE]") && begin.elapsed() < SOON, "{answer}");
        }
    }

    /// POP3: the lines of a multi-line answer, dots unstuffed, with their ends.
    pub(crate) async fn pop3_lines(&mut self, command: &str) -> String {
        self.expect(command, "+OK").await;
        let mut text = String::new();
        loop {
            let line = self.line().await;
            if line == "." {
                return text;
            }
            text.push_str(line.strip_prefix('.').unwrap_or(&line));
            text.push_str("\r\n");
        }
    }

    /// IMAP: the greeting and a login, as async-imap sends it.
    pub(crate) async fn imap_login(&mut self, address: &str) {
        assert!(self.line().await.starts_with("* OK [CAPABILITY IMAP4rev1"));
        self.expect(&format!("A0001 LOGIN \"{address}\" \"{SECRET}\""), "A0001 OK [CAPABILITY").await;
    }

    /// IMAP: the untagged lines before the tagged one, which must be OK. Not for answers with literals.
    pub(crate) async fn imap(&mut self, command: &str) -> Vec<String> {
        let tag = command.split(' ').next().expect("a tag").to_owned();
        self.send(format!("{command}\r\n")).await;
        let mut untagged = Vec::new();
        loop {
            let line = self.line().await;
            if let Some(end) = line.strip_prefix(&tag) {
                assert!(end.starts_with(" OK"), "{command}: {line}");
                return untagged;
            }
            untagged.push(line);
        }
    }
}
