//! `monitor-appliance doctor`: of each thing that the appliance needs, whether it works and what to do.

use super::table::clean;
use super::{Code, Output};
use jiff::{SignedDuration, Timestamp};
use mailbox::{Account, OutgoingMail, RecipientOutcome};
use mailfmt::MessageId;
use monitor_appliance::context::system_random;
use monitor_appliance::device_watch::{device_id, read_once, target};
use monitor_appliance::profile::{Profiles, edge};
use monitor_appliance::release::{RELEASE_FILE, Releases, hash_file};
use monitor_appliance::store::{Heartbeat, Moment};
use monitor_appliance::supervisor::processes::exists;
use monitor_appliance::{Context, Store, inventory, mail_agent};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for one thing; below the patience of whoever stands there.
const LIMIT: Duration = Duration::from_secs(45);

/// How long after the last noted time the clock may stand at most before it is doubted.
const CLOCK_LEAP_MAX: SignedDuration = SignedDuration::from_hours(24 * 366 * 5);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Send no test mail.
    #[arg(long)]
    no_send: bool,
}

/// Everything that was looked at.
#[derive(Debug, Default, serde::Serialize)]
pub(super) struct Findings {
    findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, serde::Serialize)]
struct Finding {
    what: String,
    works: bool,
    /// What was found, or why it does not work and what to do.
    detail: String,
}

impl Findings {
    pub(super) fn code(&self) -> Code {
        let working = self.findings.iter().filter(|finding| finding.works).count();
        match working {
            all if all == self.findings.len() => Code::Done,
            0 => Code::Failed,
            _ => Code::Partly,
        }
    }

    fn add(&mut self, what: impl Into<String>, result: anyhow::Result<String>) {
        let (works, detail) = match result {
            Ok(detail) => (true, detail),
            Err(error) => {
                let advice = mailbox::advice(error.as_ref()).map(|advice| format!("; {advice}"));
                (false, format!("{error:#}{}", advice.unwrap_or_default()))
            }
        };
        self.findings.push(Finding { what: what.into(), works, detail });
    }
}

pub(super) async fn examine(root: &Path, arguments: &Arguments) -> Findings {
    let mut findings = Findings { findings: Vec::new() };
    let context = match Context::load(root) {
        Ok(context) => context,
        Err(error) => {
            findings.add("settings", Err(error.into()));
            return findings;
        }
    };
    let settings = &context.settings;
    findings.add(
        "settings",
        Ok(format!("{} of center {}, devices: {}", settings.agent, settings.center, settings.devices.len())),
    );
    findings.add("credential", context.channel_keys().map(|_| "readable".to_owned()).map_err(Into::into));
    findings.add("store", store(&context));
    findings.add("ledger", ledger(&context));
    findings.add("clock", clock(&context));
    findings.add("release", release(&context));
    findings.add("update keys", update_keys(&context));
    findings.add("supervisor", supervisor(&context));
    let (profiles, origin) = edge::in_use(&context.layout);
    findings.add("device profiles", device_profiles(&profiles, origin));
    match mail_agent::accounts(&context) {
        Ok(accounts) => {
            for account in &accounts {
                let (limits, now) = (&settings.mail_limits, context.now());
                examine_account(&mut findings, account, limits, now, !arguments.no_send).await;
            }
        }
        Err(error) => findings.add("mail password", Err(error.into())),
    }
    let watched = context.open_store().and_then(|store| inventory::watched(&store, settings));
    for entry in &watched.unwrap_or_else(|_| settings.devices.clone()) {
        let result = match target(&context, entry) {
            Ok(target) => {
                limited(async { device(&read_once(&target, &profiles, &settings.second_ways).await?) }).await
            }
            Err(error) => Err(error.into()),
        };
        findings.add(format!("device {}", entry.address), result);
    }
    findings
}

async fn limited(work: impl Future<Output = anyhow::Result<String>>) -> anyhow::Result<String> {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(result) => result,
        Err(_) => anyhow::bail!("no end after {} s", LIMIT.as_secs()),
    }
}

/// Every entry of the ledger is as it was written.
fn ledger(context: &Context) -> anyhow::Result<String> {
    let Some(state) = context.open_store()?.check_ledger()? else {
        return Ok("no reading yet".to_owned());
    };
    if let Some(entry) = state.broken {
        anyhow::bail!(
            "entry {entry} is not what was written, or one is missing before it; somebody has changed store.db, or the disk has: \
             tell the center before the next bill"
        );
    }
    Ok(format!("{} entries, each as it was written; {} not told yet", state.last, state.untold))
}

/// Opened, sound, writable, with room.
fn store(context: &Context) -> anyhow::Result<String> {
    let mut store = context.open_store()?;
    let damage = store.check()?;
    if let Some(first) = damage.first() {
        anyhow::bail!(
            "the store is damaged ({first}); stop the appliance, keep a copy of store.db, delete it and set up again"
        );
    }
    // Writes and takes back: proves that the disk takes it, and leaves nothing.
    store.change(|change| change.end_busy("doctor"))?;
    let about = rustix::fs::statvfs(context.layout.root())?;
    let free_mb = about.f_bavail.saturating_mul(about.f_frsize) / 1_000_000;
    if free_mb < 100 {
        anyhow::bail!("only {free_mb} MB are free on its disk; an update needs some 100 MB");
    }
    Ok(format!("sound, writable, {free_mb} MB free, {} reports waiting", store.outbox_waiting_count()?))
}

/// The appliance lives with a wrong clock, but the box's logs and other programs do not.
fn clock(context: &Context) -> anyhow::Result<String> {
    let (now, state) = (context.reading().wall, context.clock_state());
    let advice = "set it, and switch on time synchronisation (for example `timedatectl set-ntp true`)";
    if state.told_offset().is_some() {
        let rests = if state.proven { "a receipt proves" } else { "mail from the center shows" };
        anyhow::bail!("it says {now}, but {rests} that it is {} or later; {advice}", state.now);
    }
    let release = context.layout.current().join(RELEASE_FILE);
    let written = std::fs::metadata(&release).and_then(|about| about.modified());
    if let Ok(written) = written.map_err(anyhow::Error::from).and_then(|at| Ok(Timestamp::try_from(at)?))
        && now < written
    {
        anyhow::bail!("it says {now}, before the programs were installed ({written}); {advice}");
    }
    let last = Store::open(&context.layout.store_file())
        .ok()
        .and_then(|store| store.moment(Moment::LastFetch).ok().flatten());
    if let Some(last) = last {
        if now < last {
            anyhow::bail!("it says {now}, before mail was last fetched ({last}); {advice}");
        }
        if now.duration_since(last) > CLOCK_LEAP_MAX {
            anyhow::bail!("it says {now}, years after mail was last fetched ({last}); {advice}");
        }
    }
    Ok(now.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// The running release, every file compared with its hash.
fn release(context: &Context) -> anyhow::Result<String> {
    let (folder, release) = Releases::below(context.layout.root()).current()?;
    for module in &release.modules {
        let (sha256, octets) = hash_file(&folder.join(module.name.as_str()))?;
        if (sha256, octets) != (module.sha256, module.octets) {
            anyhow::bail!(
                "the file of {} is not the one that was installed; update or set up again",
                module.name
            );
        }
    }
    Ok(format!("{}, {} modules as installed", release.software, release.modules.len()))
}

/// Devices are read either way; a release whose profiles cannot be used is worth knowing of.
fn device_profiles(profiles: &Profiles, origin: edge::Origin) -> anyhow::Result<String> {
    let count = profiles.iter().count();
    match origin {
        edge::Origin::Release => Ok(format!("{count}, of the running release")),
        edge::Origin::BuiltIn => Ok(format!("{count}, carried by the program")),
        edge::Origin::Fallback(error) => Err(anyhow::Error::from(error)
            .context("the release's device profiles cannot be used; devices are read with those that the program carries")),
    }
}

/// The modules that run all the time give signs of life; whether they shall run now is not the doctor's to say.
fn supervisor(context: &Context) -> anyhow::Result<String> {
    let signs = context.open_store()?.heartbeats()?;
    let (alive, silent): (Vec<_>, Vec<_>) = signs.iter().partition(|sign| is_alive(context, sign));
    let names = |signs: Vec<&Heartbeat>| {
        signs.into_iter().map(|sign| sign.module.as_str()).collect::<Vec<_>>().join(", ")
    };
    match (alive.is_empty(), silent.is_empty()) {
        (false, true) => Ok(format!("running: {}", names(alive))),
        (true, _) => Ok("not running; `supervisor` runs the appliance".to_owned()),
        (false, false) => anyhow::bail!(
            "no sign of life from {}; the supervisor's log says why (for example `journalctl -u supervisor`)",
            names(silent)
        ),
    }
}

/// Whether the module of this sign of life runs: the sign is not too old, and its process is there.
pub(super) fn is_alive(context: &Context, sign: &Heartbeat) -> bool {
    let limit =
        SignedDuration::try_from(context.settings.timers.heartbeat_limit).unwrap_or(SignedDuration::MAX);
    exists(sign.pid) && context.now().duration_since(sign.at) <= limit
}

fn update_keys(context: &Context) -> anyhow::Result<String> {
    let trusted = monitor_appliance::trust::read(&context.layout, &context.settings.center)?;
    let root = trusted.root();
    if root.is_expired(context.now()) {
        anyhow::bail!(
            "root {} expired at {}: no update is accepted until the center sends a newer one",
            root.version,
            root.expires
        );
    }
    let keys: Vec<_> = root.release.keys.iter().map(|key| key.id().to_string()).collect();
    Ok(format!("root {}; {} of release keys {}", root.version, root.release.threshold, keys.join(" ")))
}

/// Adds what works of one mail account; with `send` it sends a mail to itself.
pub(super) async fn examine_account(
    findings: &mut Findings,
    account: &Account,
    limits: &mailbox::Limits,
    now: Timestamp,
    send: bool,
) {
    let settings = &account.settings;
    let name = &settings.name;
    let mut servers = vec![&settings.smtp, &settings.fetch_server];
    servers.dedup_by(|left, right| left.host == right.host);
    for server in servers {
        findings
            .add(format!("{name}: name {}", server.host), limited(resolve(&server.host, server.port)).await);
    }
    if let mailbox::Login::OAuth2(_) = settings.login {
        let token = limited(async { Ok(account.access_token(limits).await.map(|_| "there".to_owned())?) });
        findings.add(format!("{name}: access token"), token.await);
    }
    let login = limited(async {
        let report = mailbox::smtp::check_login(account, limits).await?;
        Ok(match report.login {
            Some(way) => format!("{} takes our login by {way}", report.server_name),
            None => format!("{} takes mail without a login", report.server_name),
        })
    });
    let login = login.await;
    let may_send = send && login.is_ok();
    findings.add(format!("{name}: SMTP login"), login);
    if may_send {
        let sent = limited(send_to_oneself(account, limits, now)).await;
        findings.add(format!("{name}: SMTP sending"), sent);
    }
    let login = limited(async {
        let report = mailbox::fetch::check_login(account, limits).await?;
        let quota = report.quota;
        if quota.is_nearly_full(false) {
            anyhow::bail!("the login works, but the mailbox is {quota}; {}", mailbox::quota::ADVICE);
        }
        let full = quota.percent().map(|_| format!(", {quota}")).unwrap_or_default();
        Ok(format!("by {}; {} mails in the mailbox{full}", report.login, report.mails))
    });
    let protocol = match settings.fetch {
        mailbox::Protocol::Pop3 => "POP3",
        mailbox::Protocol::Imap => "IMAP",
    };
    findings.add(format!("{name}: {protocol} login"), login.await);
}

async fn resolve(host: &str, port: u16) -> anyhow::Result<String> {
    let addresses: Vec<String> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| anyhow::anyhow!("{error}; check the name and the DNS server of this network"))?
        .map(|address| address.ip().to_string())
        .collect();
    Ok(addresses.join(" "))
}

/// A mail to the appliance's own address. The mail agent will discard it as no message of the center.
async fn send_to_oneself(
    account: &Account,
    limits: &mailbox::Limits,
    now: Timestamp,
) -> anyhow::Result<String> {
    let address = &account.settings.address;
    let domain = address.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let text = format!(
        "From: {address}\r\nTo: {address}\r\nSubject: Device monitor test\r\nDate: {date}\r\n\
         Message-ID: <{id}@{domain}>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\r\n\
         A device monitor sent this mail to itself to see whether it can. Nothing needs to be done.\r\n",
        date = now.strftime("%a, %d %b %Y %H:%M:%S +0000"),
        id = MessageId::generate(&mut system_random),
    );
    let mail = OutgoingMail {
        return_path: Some(address.clone()),
        recipients: vec![address.clone()],
        raw: Arc::from(text.into_bytes()),
    };
    let outcomes = mailbox::smtp::send(account, limits, &mail).await?;
    match outcomes.into_iter().next() {
        Some((_, RecipientOutcome::Accepted)) => Ok(format!("a test mail to {address} was taken")),
        Some((_, RecipientOutcome::Refused(reply) | RecipientOutcome::Deferred(reply))) => {
            anyhow::bail!("a test mail to {address} was not taken: {reply}")
        }
        None => anyhow::bail!("the server said nothing of the test mail"),
    }
}

/// A device that could be read to the end.
fn device(reading: &monitor_appliance::device::Reading) -> anyhow::Result<String> {
    if let Some(failed) = reading.incomplete.first() {
        anyhow::bail!("it answers, but could not be read to the end: {}: {}", failed.part, failed.reason);
    }
    let who = device_id(&reading.identity)
        .map_or_else(|| "tells neither serial number nor MAC address".to_owned(), |id| id.to_string());
    Ok(format!("{who}, {} counters, {} supplies", reading.counters.len(), reading.supplies.len()))
}

impl Output for Findings {
    fn text(&self) -> String {
        let failed = self.findings.iter().filter(|finding| !finding.works).count();
        let width = self.findings.iter().map(|finding| finding.what.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for Finding { what, works, detail } in &self.findings {
            let detail = clean(detail);
            // Sentences and paths are too long for a table.
            text += &match works {
                true => format!("ok      {what:width$}  {detail}\n"),
                false => format!("FAILED  {what}\n        {detail}\n"),
            };
        }
        text += &match failed {
            0 => "\neverything works\n".to_owned(),
            1 => "\n1 thing does not work\n".to_owned(),
            more => format!("\n{more} things do not work\n"),
        };
        text
    }
}
