//! The daemon: reads mail and files it, ticks the rollouts, sends what is due.
//!
//! Everything that matters is in the database before and after each step, so it may be killed at any instruction: a
//! mail that was filed and not deleted comes again as a repeat, a mail that was sent and not noted goes out twice
//! under one message id.

mod budgeting;
mod carrying;
mod handing;
mod large;
mod lock;
mod noticing;
mod outward;
mod reading;
mod return_paths;
mod signing;

pub use lock::{Lock, LockError};

use crate::db::filed::Rules;
use crate::db::{Db, DbError};
use crate::dkim::{DkimKey, DkimKeyError, DkimSettings, Signer};
use crate::enrolment::AdmissionTerms;
use crate::home::Home;
use crate::intake::Keyring;
use crate::settings::{Settings, SettingsError};
use crate::system::{SystemRandom, now};
use mailbox::accounts::Accounts;
use mailbox::backoff::Backoff;
use mailbox::{Account, PasswordError};
use mailfmt::AgentId;
use mailfmt::crypto::{ChannelKey, Direction, Random as _};
use mailfmt::trust::KeyError;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often the daemon looks whether a command has given it something to do: one small question to the database.
const GLANCE: Duration = Duration::from_millis(100);

/// How often it looks whether the clock has.
const PASS_EVERY: Duration = Duration::from_secs(1);

/// How long a step may still take when the daemon is asked to end.
const GRACE: Duration = Duration::from_secs(2);

/// Why the daemon cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Another one runs on this home, or the lock file cannot be made.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A password cannot be had.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The command key cannot be read.
    #[error("cannot read the command key {}", path.display())]
    CommandKeyFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The command key is none, or has a passphrase that nobody is there to type.
    #[error("{} is no command key that the daemon could use", path.display())]
    CommandKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// A DKIM key cannot be used.
    #[error(transparent)]
    Dkim(#[from] DkimKeyError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Mail could neither be read nor sent in a single pass.
    #[error("{failed} of {accounts} mail accounts could not be used; the log tells why")]
    Mail {
        /// Accounts that failed.
        failed: usize,
        /// All accounts.
        accounts: usize,
    },
}

/// What one pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pass {
    /// Mails read and filed.
    pub read: usize,
    /// New reports among them.
    pub reports: usize,
    /// Mails handed in.
    pub sent: usize,
    /// Steps of rollouts.
    pub steps: usize,
    /// Accounts whose mail could not be read.
    pub accounts_failed: usize,
    /// Whether more mail waits to be read than one pass takes.
    pub more_to_read: bool,
    /// Whether more waits to be sent than one pass takes.
    pub more_to_send: bool,
}

/// Whose mail a pass looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Nobody's.
    Not,
    /// That of every account for which it is time.
    Due,
    /// Everybody's.
    All,
}

/// The daemon of one home. At most one exists per home, in all processes together.
#[derive(Debug)]
pub struct Daemon {
    settings: Settings,
    home: Home,
    db: Db,
    accounts: Vec<Account>,
    /// The incoming side of each account.
    readers: Vec<noticing::Reader>,
    /// How the accounts fare at sending.
    sending: Accounts,
    /// Mails that cannot be read and are deleted in the next session.
    poison: Vec<String>,
    keys: Keys,
    signing: signing::Signing,
    enclosure: carrying::EnclosureCache,
    outward: outward::Outward,
    budget: budgeting::Budget,
    dkim: Arc<[Signer]>,
    return_paths: return_paths::ReturnPaths,
    _lock: Lock,
}

/// Keys of all appliances, read again when another process has changed the database.
#[derive(Debug, Default)]
struct Keys {
    version: Option<i64>,
    /// Whether an exchange began or ended by our own doing.
    codes_changed: bool,
    incoming: Keyring,
    outgoing: HashMap<AgentId, ChannelKey>,
}

impl Daemon {
    /// Locks the home, reads settings and passwords, opens the database. Connects to nothing yet.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn new(home: &Home) -> Result<Self, ServeError> {
        let settings = home.settings()?;
        let lock = Lock::take(&home.lock_file())?;
        let accounts = accounts(home, &settings)?;
        let mut db = Db::open(&home.database())?;
        let signing = signing::Signing::of(home)?;
        let backoff = Backoff { first: Duration::from_secs(5), longest: Duration::from_secs(600) };
        Ok(Self {
            readers: noticing::readers(&accounts, &settings, backoff, &db)?,
            sending: Accounts::new(accounts.len(), backoff),
            dkim: signers(home, &settings)?.into(),
            budget: budgeting::Budget::of(&accounts),
            outward: outward::Outward::keeping_for(settings.mail.smtp_keep),
            return_paths: return_paths::ReturnPaths::new(&settings, &mut db)?,
            settings,
            home: home.clone(),
            db,
            accounts,
            poison: Vec::new(),
            keys: Keys::default(),
            signing,
            enclosure: carrying::EnclosureCache::default(),
            _lock: lock,
        })
    }

    /// Works until `stop` becomes true (or its sender is gone).
    ///
    /// # Errors
    /// None for mail or database trouble, which is logged and tried again; [`ServeError`] is what remains.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), ServeError> {
        tracing::info!(center = %self.settings.center, home = %self.home.root().display(), "serving");
        let mut next_sweep = Instant::now();
        let mut seen = None;
        while !*stop.borrow() {
            // Between two awaits everything is on disk or not begun, so a pass may be dropped at any of them.
            let passed = tokio::select! {
                passed = self.pass(Look::Due, &stop) => passed,
                () = overdue(stop.clone()) => break,
            };
            match passed {
                Ok(pass) => {
                    if next_sweep <= Instant::now() {
                        next_sweep = Instant::now() + self.settings.poll;
                        if let Err(error) = self.sweep() {
                            log_chain("what is over could not be swept out; trying again", &error);
                        }
                    }
                    if pass.more_to_send || pass.more_to_read {
                        // What a server tells is heard even while much waits to be sent.
                        self.hear(Duration::ZERO).await;
                        continue;
                    }
                }
                Err(error) => {
                    log_chain("the pass failed; trying again", &error);
                    pause(&mut stop, self.settings.poll).await;
                }
            }
            self.wait(&mut stop, &mut seen).await;
        }
        self.part().await;
        tracing::info!("stopped");
        Ok(())
    }

    /// Reads all mail, ticks the rollouts, sends all that is due.
    ///
    /// # Errors
    /// [`ServeError::Db`]; [`ServeError::Mail`] when not a single account could be read.
    pub async fn once(&mut self) -> Result<Pass, ServeError> {
        let (_hold, stop) = watch::channel(false);
        let mut total = Pass::default();
        let mut look = Look::All;
        self.sweep()?;
        loop {
            let pass = self.pass(look, &stop).await?;
            total.read = total.read.saturating_add(pass.read);
            total.reports = total.reports.saturating_add(pass.reports);
            total.sent = total.sent.saturating_add(pass.sent);
            total.steps = total.steps.saturating_add(pass.steps);
            if look == Look::All && pass.accounts_failed == self.accounts.len() {
                return Err(ServeError::Mail { failed: pass.accounts_failed, accounts: self.accounts.len() });
            }
            if !pass.more_to_read && !pass.more_to_send {
                self.part().await;
                return Ok(total);
            }
            look = if pass.more_to_read { Look::All } else { Look::Not };
        }
    }

    /// Reads and files all mail that waits, as a pass does, and stops there: no rollout is ticked and nothing is sent.
    /// The receipts of what was filed stand in the outbox.
    ///
    /// # Errors
    /// [`ServeError::Db`]; [`ServeError::Mail`] when an account could not be read. What was filed by then stays filed.
    pub async fn read_waiting(&mut self) -> Result<Pass, ServeError> {
        let (_hold, stop) = watch::channel(false);
        let mut total = Pass::default();
        loop {
            total.more_to_read = false;
            self.refresh_keys()?;
            self.read_all(Look::All, &mut total, &stop).await?;
            if total.accounts_failed > 0 {
                return Err(ServeError::Mail {
                    failed: total.accounts_failed,
                    accounts: self.accounts.len(),
                });
            }
            if !total.more_to_read {
                self.part().await;
                return Ok(total);
            }
        }
    }

    async fn pass(&mut self, look: Look, stop: &watch::Receiver<bool>) -> Result<Pass, ServeError> {
        let mut pass = Pass::default();
        self.refresh_keys()?;
        if look != Look::Not {
            self.read_all(look, &mut pass, stop).await?;
        }
        pass.steps = crate::rollout::tick(&mut self.db, now(), &mut SystemRandom)?;
        (pass.sent, pass.more_to_send) = self.send_due(stop).await?;
        self.note_sending()?;
        Ok(pass)
    }

    /// Ends what is over by the clock.
    fn sweep(&mut self) -> Result<(), ServeError> {
        let expired = self.db.expire_outbox(now())?;
        if expired > 0 {
            tracing::warn!(expired, "messages were not sent in time and are given up");
        }
        let ended = self.db.sweep_codes(now())?;
        self.keys.codes_changed |= ended > 0;
        self.db.sweep_rotations(now())?;
        self.db.repeat_rotations(now())?;
        let mut octets_max = self.settings.mail_out_octets_max;
        for account in &self.accounts {
            octets_max =
                octets_max.min(self.db.account_limit(&account.settings.name, now())?.unwrap_or(u64::MAX));
        }
        self.db.advance_probes(octets_max, now(), &mut SystemRandom)?;
        let repeated = self.db.repeat_commands(now())?;
        if repeated > 0 {
            tracing::info!(repeated, "commands that were not answered are sent again");
        }
        Ok(())
    }

    /// Waits for the next look, for mail that a server tells of, for a change by another process, for something that
    /// becomes due, or for the end.
    async fn wait(&mut self, stop: &mut watch::Receiver<bool>, seen: &mut Option<i64>) {
        // Rollouts have times of their own: every second is often enough.
        let until = Instant::now() + PASS_EVERY;
        let until = self.next_look().map_or(until, |next_look| until.min(next_look));
        while !*stop.borrow() && Instant::now() < until {
            let glance = GLANCE.min(until.saturating_duration_since(Instant::now()));
            let told = tokio::select! {
                told = self.hear(glance) => told,
                () = asked_to_end(stop) => return,
            };
            let changes = self.db.foreign_changes().ok();
            if std::mem::replace(seen, changes) != changes || told {
                return;
            }
        }
    }

    /// How what comes in is filed: by the settings and, where boxes want to enrol, the roots as they are now.
    fn rules(&self, enrolling: bool) -> Rules {
        let roots = if enrolling { self.home.roots().map(|(chain, _)| chain) } else { Ok(Vec::new()) };
        if let Err(error) = &roots {
            tracing::error!(error = chain(error), "nobody can enrol without roots");
        }
        let admission = AdmissionTerms {
            center: self.settings.center.clone(),
            addresses: self.settings.addresses(),
            roots: roots.unwrap_or_default(),
            settings: self.settings.first_settings.clone(),
        };
        Rules { receipt_expiry: self.settings.receipt_expiry, on_clone: self.settings.on_clone, admission }
    }

    fn refresh_keys(&mut self) -> Result<(), DbError> {
        let version = Some(self.db.foreign_changes()?);
        if self.keys.version == version {
            if self.signing.is_due() {
                self.signing.refresh(&self.home, &mut self.db)?;
            }
            if std::mem::take(&mut self.keys.codes_changed) {
                self.keys.incoming.set_codes(&self.db.open_codes()?);
            }
            return Ok(());
        }
        self.signing.refresh(&self.home, &mut self.db)?;
        let appliances = self.db.appliance_keys()?;
        let center = &self.settings.center;
        self.keys.incoming = Keyring::of(center, &appliances);
        self.keys.incoming.set_codes(&self.db.open_codes()?);
        self.keys.codes_changed = false;
        self.keys.outgoing = appliances
            .iter()
            .filter(|known| !known.suspended)
            .map(|known| {
                (known.agent.clone(), known.present.channel(Direction::ToAppliance, &known.agent, center))
            })
            .collect();
        self.keys.version = version;
        Ok(())
    }
}

/// The keys by which mail is signed for the mail systems on the way.
///
/// # Errors
/// [`DkimKeyError`] names the file.
pub fn signers(home: &Home, settings: &Settings) -> Result<Vec<Signer>, DkimKeyError> {
    let signer = |entry: &DkimSettings| Ok(Signer::new(entry, DkimKey::load(&home.dkim_key(entry))?));
    settings.dkim.iter().map(signer).collect()
}

/// Puts settings and passwords together.
///
/// # Errors
/// [`PasswordError`] names the file.
pub fn accounts(home: &Home, settings: &Settings) -> Result<Vec<Account>, PasswordError> {
    let account = |(index, settings): (usize, &mailbox::AccountSettings)| {
        Account::open(settings.clone(), &home.password_file(index.saturating_add(1)))
    };
    settings.accounts.iter().enumerate().map(account).collect()
}

/// Runs the daemon of a home until `stop` becomes true.
///
/// # Errors
/// [`ServeError`] when it cannot begin.
pub async fn run(home: &Home, stop: watch::Receiver<bool>) -> Result<(), ServeError> {
    Daemon::new(home)?.run(stop).await
}

/// Ends [`GRACE`] after the daemon was asked to end: a mail server that does not answer must not keep it alive.
async fn overdue(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Without a sender nobody asks any more.
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(GRACE).await;
}

/// Ends when the daemon is asked to end; never where nobody can ask.
async fn asked_to_end(stop: &mut watch::Receiver<bool>) {
    if stop.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn pause(stop: &mut watch::Receiver<bool>, time: Duration) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        // Without a sender nobody can end us but by ending the process; then the value stays as it is.
        changed = stop.changed() => if changed.is_err() { tokio::time::sleep(time).await },
    }
}

fn random_number() -> u64 {
    let mut octets = [0; 8];
    SystemRandom.fill(&mut octets);
    u64::from_ne_bytes(octets)
}

/// Logs an error with all its causes in one line.
fn log_chain(what: &str, error: &dyn std::error::Error) {
    tracing::warn!(error = chain(error), "{what}");
}

/// An error with all its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
