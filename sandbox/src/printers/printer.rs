//! The socket around a simulated printer. Changes take effect with the next datagram.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_snmp::{Oid, Value};
use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::alert::Alert;
use super::behaviour::{Behaviour, NOISE_BYTES};
use super::machine::{Machine, MachineError, Summary};
use super::objects::Ticks;
use super::recording::Recording;
use super::station::{Station, ticks};
use super::tally::Tally;
use super::usm::{Engine, V3User, V3UserError};

/// Octets of the largest request read; requests of pollers have a few hundred.
const REQUEST_BYTES_MAX: usize = 4096;
/// Slow answers that wait at one printer; further requests are dropped, as a full queue does.
const SLOW_ANSWERS_MAX: usize = 64;

/// Where a printer listens and whom it answers.
#[derive(Debug, Clone)]
pub struct PrinterSettings {
    /// Address and port; port 0 takes a free one.
    pub bind: SocketAddr,
    /// The community of SNMPv1 and SNMPv2c requests it answers.
    pub community: String,
    /// The SNMPv3 user it answers, if any.
    pub user: Option<V3User>,
}

impl Default for PrinterSettings {
    /// A free port of 127.0.0.1, community `public`, no SNMPv3 user.
    fn default() -> Self {
        Self { bind: SocketAddr::from(([127, 0, 0, 1], 0)), community: "public".to_owned(), user: None }
    }
}

/// Why a printer cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrinterError {
    /// The address cannot be listened on.
    #[error("printer cannot listen on {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The user cannot be used.
    #[error("printer cannot use its SNMPv3 user")]
    User(#[from] V3UserError),
    /// The system gives no random octets.
    #[error("no random octets: {0}")]
    Random(getrandom::Error),
}

/// A printer that answers on its socket until it is stopped or dropped.
pub struct Printer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    slow: Arc<Semaphore>,
}

struct State {
    station: Station,
    power_on: Instant,
    tally: Tally,
}

impl Printer {
    /// Starts a printer that answers from `recording`. Needs a running tokio runtime.
    ///
    /// # Errors
    /// [`PrinterError`].
    pub async fn start(recording: Arc<Recording>, settings: PrinterSettings) -> Result<Self, PrinterError> {
        let PrinterSettings { bind, community, user } = settings;
        let engine = match user {
            Some(user) => {
                let mut seed = [0; 8];
                getrandom::fill(&mut seed).map_err(PrinterError::Random)?;
                Some(Engine::new(&user, seed)?)
            }
            None => None,
        };
        let unbound = |source| PrinterError::Bind { address: bind, source };
        let socket = UdpSocket::bind(bind).await.map_err(unbound)?;
        let address = socket.local_addr().map_err(unbound)?;
        let station = Station {
            machine: Machine::new(recording),
            behaviour: Behaviour::Normal,
            powered: true,
            community: community.into(),
            engine,
            strangers: 0,
        };
        let state = Mutex::new(State { station, power_on: Instant::now(), tally: Tally::default() });
        let shared = Arc::new(Shared { state, slow: Arc::new(Semaphore::new(SLOW_ANSWERS_MAX)) });
        let task = tokio::spawn(listen(Arc::new(socket), Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it and frees its port.
    pub async fn stop(mut self) {
        self.task.abort();
        // The task was aborted on the line above: that is the only way it ends, and no failure.
        let _ = (&mut self.task).await;
    }

    /// Gives an object a value, adding it when it is missing. An uptime runs on from the value given.
    pub fn set(&self, oid: Oid, value: Value) {
        self.change(|station, now| station.machine.objects.set(oid, value, now));
    }

    /// Takes one object away; says whether it was there.
    pub fn remove(&self, oid: &Oid) -> bool {
        self.change(|station, _| station.machine.objects.remove(oid))
    }

    /// The value an object has now.
    pub fn get(&self, oid: &Oid) -> Option<Value> {
        self.change(|station, now| station.machine.objects.get(oid, now))
    }

    /// Counts `pages` more in prtMarkerLifeCount, prtMarkerPowerOnCount and the vendor's counters equal to it.
    ///
    /// # Errors
    /// [`MachineError::NoCounter`] when the recording counts no pages.
    pub fn print_pages(&self, pages: u32) -> Result<(), MachineError> {
        self.change(|station, now| station.machine.print_pages(pages, now))
    }

    /// Adds a row to prtAlertTable and sets hrPrinterDetectedErrorState, hrDeviceStatus and hrPrinterStatus with it.
    /// Gives its prtAlertIndex, which only counts up.
    pub fn raise_alert(&self, alert: Alert) -> u32 {
        self.change(|station, now| station.machine.raise_alert(alert, now))
    }

    /// Takes a row out of prtAlertTable, and the state that went with it.
    ///
    /// # Errors
    /// [`MachineError::NoAlert`].
    pub fn clear_alert(&self, index: u32) -> Result<(), MachineError> {
        self.change(|station, now| station.machine.clear_alert(index, now))
    }

    /// Paper is stuck; gives the prtAlertIndex. A second jam is the first one.
    pub fn jam(&self) -> u32 {
        self.change(|station, now| station.machine.jam(now))
    }

    /// Ends every jam that was raised; says how many there were.
    pub fn clear_jam(&self) -> usize {
        self.change(|station, now| station.machine.clear_jam(now))
    }

    /// Sets the level of supply `index` (prtMarkerSuppliesIndex) in percent, 0 to 100.
    ///
    /// # Errors
    /// [`MachineError::NoSupply`] or [`MachineError::Percent`].
    pub fn set_toner_percent(&self, index: u32, percent: u8) -> Result<(), MachineError> {
        self.change(|station, now| station.machine.set_toner_percent(index, percent, now))
    }

    /// Gives it its own serial number, so that printers of one recording can be told apart.
    pub fn set_serial(&self, serial: &str) {
        self.change(|station, now| station.machine.set_serial(serial, now));
    }

    /// Gives it its own hardware address wherever the recorded one stands.
    pub fn set_mac(&self, mac: [u8; 6]) {
        self.change(|station, now| station.machine.set_mac(mac, now));
    }

    /// Answers nothing from now on.
    pub fn power_off(&self) {
        self.change(|station, _| station.powered = false);
    }

    /// Answers again. If it was off, uptimes and prtMarkerPowerOnCount begin at zero.
    pub fn power_on(&self) {
        let mut state = self.shared.lock();
        if !state.station.powered {
            state.station.powered = true;
            state.station.machine.restart();
            if let Some(engine) = &mut state.station.engine {
                engine.restart();
            }
            state.power_on = Instant::now();
        }
    }

    /// Answers as `behaviour` says from now on.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.change(|station, _| station.behaviour = behaviour);
    }

    /// Its serial number, pages, supplies and alerts.
    pub fn summary(&self) -> Summary {
        self.change(|station, _| station.machine.summary())
    }

    /// What came to it so far.
    pub fn tally(&self) -> Tally {
        self.shared.lock().tally.clone()
    }

    /// What came to it since the last time this was asked.
    pub fn take_tally(&self) -> Tally {
        self.shared.lock().tally.take()
    }

    fn change<T>(&self, act: impl FnOnce(&mut Station, Ticks) -> T) -> T {
        let mut state = self.shared.lock();
        let now = ticks(state.power_on.elapsed());
        act(&mut state.station, now)
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(socket: Arc<UdpSocket>, shared: Arc<Shared>) {
    let mut buffer = vec![0; REQUEST_BYTES_MAX];
    loop {
        let (length, asker) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // A datagram that could not be delivered earlier; the socket itself stays usable.
            Err(error) => {
                tracing::debug!(%error, "a simulated printer could not receive");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let Some((message, delay)) = reply(&shared, &buffer[..length]) else { continue };
        if delay.is_zero() {
            shared.lock().tally.answered();
            send(&socket, &message, asker).await;
        } else if let Ok(permit) = Arc::clone(&shared.slow).try_acquire_owned() {
            let (socket, shared) = (Arc::clone(&socket), Arc::clone(&shared));
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                shared.lock().tally.answered();
                send(&socket, &message, asker).await;
                drop(permit);
            });
        }
    }
}

fn reply(shared: &Shared, datagram: &[u8]) -> Option<(Bytes, Duration)> {
    let mut state = shared.lock();
    let mut noise = [0; NOISE_BYTES];
    if state.station.behaviour == Behaviour::Garbage {
        getrandom::fill(&mut noise).ok()?;
    }
    let up = state.power_on.elapsed();
    let before = state.station.wrong_credentials();
    let message = state.station.answer(Bytes::copy_from_slice(datagram), up, noise);
    let wrong = state.station.wrong_credentials() != before;
    state.tally.came(wrong, Instant::now());
    state.tally.carried(datagram.len() + message.as_ref().map_or(0, Bytes::len));
    if message.is_none() {
        state.tally.ignored(Instant::now());
    }
    Some((message?, state.station.behaviour.delay()))
}

async fn send(socket: &UdpSocket, message: &[u8], asker: SocketAddr) {
    if let Err(error) = socket.send_to(message, asker).await {
        tracing::debug!(%error, %asker, "a simulated printer could not answer");
    }
}
