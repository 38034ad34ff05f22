//! A gate in front of one port of a mail server, through which anything can be made to go wrong without the server's help.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// What happens at a gate. Whoever is connected while it changes is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    /// The server is reached.
    Clear,
    /// Another server answers at its place.
    Elsewhere(u16),
    /// Connections end at once.
    Closed,
    /// The server's word is cut off after so many octets, and then nothing comes any more; 0: not even a greeting.
    SilentAfter(usize),
    /// A server that is none: octets of all kinds, in a line without an end.
    Nonsense,
    /// One octet a second, both ways.
    Slow,
}

/// A gate.
pub(super) struct Gate {
    /// Where it is reached, on 127.0.0.1.
    pub(super) port: u16,
    weather: watch::Sender<Weather>,
    came: Arc<AtomicUsize>,
}

impl Gate {
    /// Opens a gate before a port of this machine, in clear weather.
    pub(super) async fn before(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let own = listener.local_addr()?.port();
        let (weather, _) = watch::channel(Weather::Clear);
        let came = Arc::new(AtomicUsize::new(0));
        let (subscriber, counter) = (weather.clone(), Arc::clone(&came));
        Handle::current().spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                let mut changes = subscriber.subscribe();
                let weather = *changes.borrow_and_update();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = serve(client, weather, port) => {}
                        _ = changes.changed() => {}
                    }
                });
            }
        });
        Ok(Self { port: own, weather, came })
    }

    /// Changes the weather.
    pub(super) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// How many connections have come so far.
    pub(super) fn came(&self) -> usize {
        self.came.load(Ordering::Relaxed)
    }
}

async fn serve(mut client: TcpStream, weather: Weather, port: u16) -> std::io::Result<()> {
    let (port, slow, words) = match weather {
        Weather::Clear => (port, false, usize::MAX),
        Weather::Elsewhere(port) => (port, false, usize::MAX),
        Weather::SilentAfter(octets) => (port, false, octets),
        Weather::Slow => (port, true, usize::MAX),
        Weather::Closed => return Ok(()),
        Weather::Nonsense => return babble(client).await,
    };
    let server = TcpStream::connect(("127.0.0.1", port)).await?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.into_split();
    let (up, down) = tokio::join!(
        carry(from_client, to_server, slow, usize::MAX),
        carry(from_server, to_client, slow, words)
    );
    up.and(down)
}

async fn babble(mut client: TcpStream) -> std::io::Result<()> {
    let nonsense: Vec<u8> = (0..=u8::MAX).filter(|octet| *octet != b'\n').cycle().take(64 << 10).collect();
    loop {
        client.write_all(&nonsense).await?;
        // As fast as is read, and no faster than a line would bring it.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    slow: bool,
    mut left: usize,
) -> std::io::Result<()> {
    let mut octets = [0; 8192];
    let most = if slow { 1 } else { octets.len() };
    loop {
        let read = from.read(&mut octets[..most]).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        let kept = read.min(left);
        left -= kept;
        to.write_all(&octets[..kept]).await?;
        if left == 0 {
            // Neither a word nor an end.
            std::future::pending::<()>().await;
        }
        if slow {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
