//! Changing printers from another process: one JSON object per line in, one out, over TCP on the loopback address.
//!
//! ```text
//! {"printer":"reception","do":"jam"}                       {"ok":true,"alert":8}
//! {"printer":"reception","do":"clear_jam"}                 {"ok":true}
//! {"printer":"reception","do":"print","pages":12}          {"ok":true}
//! {"printer":"reception","do":"toner","supply":1,"percent":5}
//! {"printer":"reception","do":"alert","severity":"warning","group":8,"code":807,"description":"Paper low"}
//! {"printer":"reception","do":"clear_alert","index":8}
//! {"printer":"reception","do":"power_off"}                 also power_on
//! {"printer":"reception","do":"serial","serial":"A1"}
//! {"printer":"reception","do":"behaviour","behaviour":"silent"}    or {"slow_millis":800}
//! {"printer":"reception","do":"set","oid":"1.3.6.1.2.1.1.5.0","tag":"4","value":"hall"}
//! {"printer":"reception","do":"remove","oid":"1.3.6.1.2.1.1.5.0"}
//! {"printer":"reception","do":"show"}                      {"ok":true,"printers":[{"printer":"reception",...}]}
//! {"do":"list"}                                            the same for every printer
//! ```
//!
//! Type tags of values are those of recordings, see [`parse_value`]. A refused request is answered with
//! `{"ok":false,"error":"..."}` and the connection stays open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::alert::Alert;
use super::behaviour::Behaviour;
use super::machine::{MachineError, Summary};
use super::office::{Office, OfficeError};
use super::printer::Printer;
use super::recording::{LineProblem, parse_oid, parse_value};

/// Octets of the longest line read, request or answer.
const LINE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Connections served at once; further ones wait.
const CONNECTIONS_MAX: usize = 32;
/// How long a client waits for its answer, and how long a server lets a connection idle.
const PATIENCE: Duration = Duration::from_secs(10);

/// One request: what to do, and to which printer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The printer's name in the office; none for [`Action::List`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub printer: Option<String>,
    /// What to do.
    #[serde(flatten)]
    pub action: Action,
}

/// What can be done to printers from outside. The fields are those of the [`Printer`] function of that name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each variant is the function of Printer it names")]
pub enum Action {
    List,
    Show,
    Jam,
    ClearJam,
    Print { pages: u32 },
    Toner { supply: u32, percent: u8 },
    Alert(Alert),
    ClearAlert { index: u32 },
    PowerOff,
    PowerOn,
    Serial { serial: String },
    Behaviour { behaviour: Behaviour },
    Set { oid: String, tag: String, value: String },
    Remove { oid: String },
}

/// The answer to one request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reply {
    /// Whether it was done.
    pub ok: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// prtAlertIndex of the alert that was raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<u32>,
    /// The printers asked about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub printers: Vec<Shown>,
}

/// One printer in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Its name in the office.
    pub printer: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it is.
    #[serde(flatten)]
    pub summary: Summary,
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The line is no request.
    #[error("not a request")]
    Syntax(#[source] serde_json::Error),
    /// The request needs a printer.
    #[error("the request names no printer")]
    NoPrinter,
    /// The office has no such printer.
    #[error(transparent)]
    Office(#[from] OfficeError),
    /// The printer cannot do that.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The object or value cannot be read.
    #[error(transparent)]
    Value(#[from] LineProblem),
    /// The printer has no such object.
    #[error("there is no object {0}")]
    NoObject(String),
}

/// Why a client got no answer, or why the server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The channel is for this machine only.
    #[error("{0} is no loopback address")]
    NotLoopback(SocketAddr),
    /// Connecting, sending, receiving or listening failed.
    #[error("control channel {address}")]
    Io {
        /// The server's address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// No answer came in time.
    #[error("no answer from control channel {0} within {PATIENCE:?}")]
    Timeout(SocketAddr),
    /// The answer is no answer.
    #[error("control channel {address} answered something else")]
    Answer {
        /// The server's address.
        address: SocketAddr,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// Reads one line as a request.
///
/// # Errors
/// [`RequestError::Syntax`], and [`RequestError::NoPrinter`] where one is needed.
pub fn parse_request(line: &str) -> Result<Request, RequestError> {
    let request: Request = serde_json::from_str(line).map_err(RequestError::Syntax)?;
    match (&request.action, &request.printer) {
        (Action::List, _) | (_, Some(_)) => Ok(request),
        (_, None) => Err(RequestError::NoPrinter),
    }
}

/// Carries out one request.
///
/// # Errors
/// [`RequestError`].
pub fn carry_out(office: &Office, request: Request) -> Result<Reply, RequestError> {
    let done = Reply { ok: true, ..Reply::default() };
    let name = match (&request.action, request.printer) {
        (Action::List, _) => {
            let printers = office.all().iter().map(|(name, printer)| shown(name, printer)).collect();
            return Ok(Reply { printers, ..done });
        }
        (_, Some(name)) => name,
        (_, None) => return Err(RequestError::NoPrinter),
    };
    let printer = office.printer(&name)?;
    match request.action {
        Action::List | Action::Show => return Ok(Reply { printers: vec![shown(&name, &printer)], ..done }),
        Action::Jam => return Ok(Reply { alert: Some(printer.jam()), ..done }),
        Action::Alert(alert) => return Ok(Reply { alert: Some(printer.raise_alert(alert)), ..done }),
        Action::ClearJam => drop(printer.clear_jam()),
        Action::Print { pages } => printer.print_pages(pages)?,
        Action::Toner { supply, percent } => printer.set_toner_percent(supply, percent)?,
        Action::ClearAlert { index } => printer.clear_alert(index)?,
        Action::PowerOff => printer.power_off(),
        Action::PowerOn => printer.power_on(),
        Action::Serial { serial } => printer.set_serial(&serial),
        Action::Behaviour { behaviour } => printer.set_behaviour(behaviour),
        Action::Set { oid, tag, value } => printer.set(parse_oid(&oid)?, parse_value(&tag, &value)?),
        Action::Remove { oid } => {
            if !printer.remove(&parse_oid(&oid)?) {
                return Err(RequestError::NoObject(oid));
            }
        }
    }
    Ok(done)
}

fn shown(name: &str, printer: &Printer) -> Shown {
    Shown { printer: name.to_owned(), address: printer.address(), summary: printer.summary() }
}

/// The control channel of an office, open until it is dropped.
pub struct Control {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Control {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Opens the control channel of `office` on a loopback address; port 0 takes a free one.
///
/// # Errors
/// [`ControlError::NotLoopback`] or [`ControlError::Io`].
pub async fn serve(bind: SocketAddr, office: Arc<Office>) -> Result<Control, ControlError> {
    if !bind.ip().is_loopback() {
        return Err(ControlError::NotLoopback(bind));
    }
    let unbound = |source| ControlError::Io { address: bind, source };
    let listener = TcpListener::bind(bind).await.map_err(unbound)?;
    let address = listener.local_addr().map_err(unbound)?;
    let task = tokio::spawn(accept(listener, office));
    Ok(Control { address, task })
}

async fn accept(listener: TcpListener, office: Arc<Office>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let office = Arc::clone(&office);
                connections.spawn(async move {
                    if let Err(error) = converse(stream, &office).await {
                        tracing::debug!(%error, "control connection ended");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "control channel could not accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, office: &Office) -> std::io::Result<()> {
    let (input, mut output) = stream.into_split();
    let mut input = BufReader::new(input);
    while let Some(line) = tokio::time::timeout(PATIENCE, read_line(&mut input)).await?? {
        let done = parse_request(&line).and_then(|request| carry_out(office, request));
        let reply = done.unwrap_or_else(|error| Reply { error: Some(told(&error)), ..Reply::default() });
        let mut answer = serde_json::to_vec(&reply)?;
        answer.push(b'\n');
        tokio::time::timeout(PATIENCE, output.write_all(&answer)).await??;
    }
    Ok(())
}

/// One line without its end; nothing when the other side has closed.
async fn read_line(input: &mut BufReader<OwnedReadHalf>) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    input.take(LINE_BYTES_MAX).read_line(&mut line).await?;
    match line.strip_suffix('\n') {
        Some(line) => Ok(Some(line.to_owned())),
        None if line.is_empty() => Ok(None),
        None => Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "line cut short or too long")),
    }
}

fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", told(source)),
        None => error.to_string(),
    }
}

/// Sends one request to the control channel at `address` and waits for the answer, 10 s at most.
///
/// # Errors
/// [`ControlError`]. A request the office refused is a [`Reply`] that is not `ok`.
pub async fn send(address: SocketAddr, request: &Request) -> Result<Reply, ControlError> {
    let failed = |source| ControlError::Io { address, source };
    let garbled = |source| ControlError::Answer { address, source };
    let mut line = serde_json::to_vec(request).map_err(garbled)?;
    line.push(b'\n');
    let talk = async {
        let (input, mut output) = TcpStream::connect(address).await?.into_split();
        output.write_all(&line).await?;
        read_line(&mut BufReader::new(input)).await
    };
    let answer = tokio::time::timeout(PATIENCE, talk).await.map_err(|_| ControlError::Timeout(address))?;
    let closed = || failed(std::io::ErrorKind::UnexpectedEof.into());
    serde_json::from_str(&answer.map_err(failed)?.ok_or_else(closed)?).map_err(garbled)
}

#[cfg(test)]
mod tests;
