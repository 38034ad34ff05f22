//! Where attacks take place: a real center and two appliances that take turns, and a post office between them.

use super::forge::Forger;
use crate::fleet::introduce;
use crate::post_office::PostOffice;
use crate::random;
use crate::world::{FIRST_VERSION, ReleaseFolder, Stage};
use anyhow::{Context as _, ensure};
use center_manager::home::Home;
use center_manager::serve::Daemon;
use jiff::SignedDuration;
use mailbox::{AccountSettings, Protocol, Security, Server};
use mailfmt::message::report::UpdateOutcome;
use mailfmt::package::{Applies, ModuleFile, ModuleKind, PackageDraft, Rules, build, enclose, inspect, sign};
use mailfmt::trust::{KeyFile, SigningKey};
use mailfmt::{Command, Digest, Introduction, Limits, Message, Report, SoftwareVersion};
use monitor_appliance::clock::Reading;
use monitor_appliance::context::system_clock;
use monitor_appliance::judge::{Keys, Verdict, judge};
use monitor_appliance::keyring::Keyring;
use monitor_appliance::mail_agent::{self, file_mail};
use monitor_appliance::release::Releases;
use monitor_appliance::settings::Settings;
use monitor_appliance::setup::{Answers, Existing, FirstRelease, set_up};
use monitor_appliance::update::UpdateState;
use monitor_appliance::{Context, Layout, version_report};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

/// The version that packages lead to.
pub(super) const NEW: &str = "1.0.02-0";
/// A mailbox of the attacker's, to which answers could go.
pub(super) const ATTACKER: &str = "attacker@elsewhere.example";
/// What a script of an attacker leaves when it runs, and only then: the script itself holds a sum in its place.
const MARK: &str = "attacker-42-";

/// Center, appliances 1 and 2, and their mail.
pub(super) struct Field {
    pub(super) stage: Stage,
    introductions: Vec<Introduction>,
    /// The scripts of attackers, by the mark that each leaves.
    scripts: BTreeMap<String, u64>,
}

impl Field {
    /// Sets everything up and lets all hear of each other.
    pub(super) fn new() -> anyhow::Result<Self> {
        let stage = Stage::bare(2, None)?;
        let settings = stage.center.home().join("center.toml");
        let text = std::fs::read_to_string(&settings)?;
        std::fs::write(&settings, format!("retry_pause_secs = 1\nretry_pause_max_secs = 2\n{text}"))?;
        let introductions = introduce(&stage.center, &stage.mail, 2, stage.folder())?;
        let small = stage.folder().join("small");
        let release = ReleaseFolder::without_programs(&small, FIRST_VERSION, 1, 0)?;
        let mut field = Self { stage, introductions, scripts: BTreeMap::new() };
        field.office()?.add_mailbox(ATTACKER, "secret");
        for number in 1..=2 {
            field.set_up(number, &release.path)?;
        }
        field.stage.center.run(&["versions", "request", "--all"])?;
        field.settle()?;
        let heard = field.stage.center.json(&["versions", "show"])?;
        let known = crate::world::entries(&heard).filter(|row| row["software"].is_string()).count();
        ensure!(known == 2, "the center heard of {known} appliances");
        Ok(field)
    }

    fn set_up(&self, number: u32, release: &Path) -> anyhow::Result<()> {
        let mail = &self.stage.mail;
        let server = |door: crate::world::Door| Server {
            host: mail.host.clone(),
            port: door.port,
            security: Security::Tls,
        };
        let address = mail.agent_address(number);
        let answers = Answers {
            introduction: Some(self.introduction(number)?.clone()),
            account: Some(AccountSettings {
                name: "main".to_owned(),
                address: address.clone(),
                username: address,
                smtp: server(mail.smtp),
                fetch: if number == 1 { Protocol::Imap } else { Protocol::Pop3 },
                fetch_server: server(if number == 1 { mail.imap } else { mail.pop3 }),
                ca_file: mail.ca_file.clone(),
                hello_name: None,
                smtp_login: true,
                mail_octets_max: None,
                provider: None,
                limits: Default::default(),
                login: mailbox::Login::default(),
            }),
            password: Some(mail.password.clone().into()),
            release: Some(FirstRelease {
                folder: release.to_owned(),
                software: SoftwareVersion::new(FIRST_VERSION)?,
                module: mailfmt::ModuleVersion::new("1.0.00")?,
                rom: mailfmt::ModuleVersion::new("1.5.08")?,
            }),
            ..Answers::default()
        };
        let layout = Layout::new(self.root(number));
        set_up(&layout, &answers, Existing::Replace)?;
        let file = layout.settings_file();
        let text = std::fs::read_to_string(&file)?;
        // Small bounds, so that what is not stopped costs this machine little.
        let script =
            "\n[script]\nprocesses = 32\nmemory_octets = 67_108_864\ndisk_octets = 8_388_608\nfiles = 200\n";
        Ok(std::fs::write(&file, text + script)?)
    }

    /// The root of an appliance.
    pub(super) fn root(&self, number: u32) -> PathBuf {
        self.stage.folder().join(format!("appliance{number}"))
    }

    pub(super) fn introduction(&self, number: u32) -> anyhow::Result<&Introduction> {
        let place = usize::try_from(number)?.saturating_sub(1);
        self.introductions.get(place).context("there are two appliances")
    }

    pub(super) fn office(&self) -> anyhow::Result<&PostOffice> {
        self.stage.post_office.as_ref().context("the field has a post office of its own")
    }

    /// A key of the center's: `root`, `release` or `command`.
    pub(super) fn key(&self, role: &str) -> anyhow::Result<SigningKey> {
        let file = self.stage.center.home().join("keys").join(format!("{role}.pem"));
        Ok(KeyFile::parse(&std::fs::read_to_string(file)?)?.open(None)?)
    }

    /// Whoever has all that the center has for an appliance: its credential, and the command key.
    pub(super) fn center_of(&self, number: u32) -> anyhow::Result<Forger> {
        Ok(self.credential_of(number)?.signing(&self.key("command")?))
    }

    /// Whoever has the credential of an appliance and writes to it.
    pub(super) fn credential_of(&self, number: u32) -> anyhow::Result<Forger> {
        let introduction = self.introduction(number)?;
        Ok(Forger::center(introduction, &introduction.credential, &self.stage.mail.agent_address(number)))
    }

    /// Whoever has the credential of an appliance and writes to the center.
    pub(super) fn appliance(&self, number: u32) -> anyhow::Result<Forger> {
        let introduction = self.introduction(number)?;
        let from = self.stage.mail.agent_address(number);
        Ok(Forger::appliance(introduction, &introduction.credential, &from))
    }

    /// The surroundings of an appliance, whose clocks stand `ahead` of this machine's.
    pub(super) fn context(&self, number: u32, ahead: SignedDuration) -> anyhow::Result<Context> {
        let layout = Layout::new(self.root(number));
        let settings = Settings::load(&layout.settings_file())?;
        let clock = move || {
            let reading = system_clock();
            let passed = Duration::try_from(ahead).unwrap_or_default();
            Reading { wall: reading.wall + ahead, since_boot: reading.since_boot + passed, ..reading }
        };
        Ok(Context::new(layout, settings, Arc::new(clock)))
    }

    /// An appliance does what is due: sends, reads, answers.
    pub(super) fn appliance_turn(&self, number: u32) -> anyhow::Result<()> {
        self.turn_of(&self.context(number, SignedDuration::ZERO)?)
    }

    /// The same in other surroundings.
    pub(super) fn turn_of(&self, context: &Context) -> anyhow::Result<()> {
        self.stage.block_on(mail_agent::run_once(context.clone()))?;
        if version_report::write(context)? > 0 {
            self.stage.block_on(mail_agent::run_once(context.clone()))?;
        }
        Ok(())
    }

    /// The center reads, files and sends what is due.
    pub(super) fn center_turn(&self) -> anyhow::Result<()> {
        let mut daemon = Daemon::new(&Home::new(self.stage.center.home()))?;
        self.stage.block_on(daemon.once())?;
        Ok(())
    }

    /// Mails that were handed in until now, by whomever.
    pub(super) fn handed_in(&self) -> anyhow::Result<u64> {
        Ok(self.office()?.stats().accepted)
    }

    /// All take turns until nobody has anything to say.
    pub(super) fn settle(&mut self) -> anyhow::Result<()> {
        for _ in 0..12 {
            let before = self.handed_in()?;
            for number in 1..=2 {
                self.appliance_turn(number)?;
            }
            self.center_turn()?;
            let boxes = (1..=2).map(|number| self.stage.mail.agent_address(number));
            let waiting: usize =
                boxes.map(|address| self.office().map_or(0, |office| office.mailbox_len(&address))).sum();
            if self.handed_in()? == before && waiting == 0 {
                return Ok(());
            }
        }
        anyhow::bail!("center and appliances never come to rest")
    }

    /// Lays mails into an appliance's mailbox and lets it read them. How many mails left meanwhile.
    pub(super) fn lay_before_appliance(&self, number: u32, mails: &[Vec<u8>]) -> anyhow::Result<u64> {
        let address = self.stage.mail.agent_address(number);
        self.lay(&address, mails)?;
        let before = self.handed_in()?;
        self.appliance_turn(number)?;
        ensure!(self.office()?.mailbox_len(&address) == 0, "mails are left in the mailbox");
        Ok(self.handed_in()? - before)
    }

    /// Lays mails into the center's mailbox and lets it read them. How often each reason for throwing mail away was
    /// recorded, and how many mails left meanwhile.
    pub(super) fn lay_before_center(
        &self,
        mails: &[Vec<u8>],
    ) -> anyhow::Result<(BTreeMap<String, u64>, u64)> {
        let address = self.stage.mail.center_address();
        let (recorded, sent) = (self.discarded()?, self.handed_in()?);
        self.lay(&address, mails)?;
        self.center_turn()?;
        ensure!(self.office()?.mailbox_len(&address) == 0, "mails are left in the mailbox");
        let more = self.discarded()?.into_iter().filter_map(|(reason, count)| {
            let count = count - recorded.get(&reason).copied().unwrap_or_default();
            (count > 0).then_some((reason, count))
        });
        Ok((more.collect(), self.handed_in()? - sent))
    }

    pub(super) fn lay(&self, address: &str, mails: &[Vec<u8>]) -> anyhow::Result<()> {
        let office = self.office()?;
        let laid = self.stage.block_on(async { mails.iter().all(|mail| office.inject(address, mail)) });
        ensure!(laid, "there is no mailbox {address}");
        Ok(())
    }

    fn discarded(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let listed = self.stage.center.json(&["reports", "--discarded"])?;
        let rows =
            listed.as_array().into_iter().flatten().filter_map(|row| {
                Some((row.get("reason")?.as_str()?.to_owned(), row.get("count")?.as_u64()?))
            });
        Ok(rows.collect())
    }

    /// What the center knows of its fleet.
    pub(super) fn knowledge(&self) -> anyhow::Result<Value> {
        let mut reports = self.stage.center.json(&["reports", "--last", "1000"])?;
        for report in reports.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            report.remove("repeats");
            report.remove("receipt");
        }
        Ok(serde_json::json!({
            "reports": reports,
            "faults": self.stage.center.json(&["faults", "--all"])?,
            "devices": self.stage.center.json(&["devices"])?,
            "versions": self.stage.center.json(&["versions", "show"])?,
        }))
    }

    /// The kinds of the alarms that the operator sees.
    pub(super) fn alarms(&self) -> anyhow::Result<Vec<String>> {
        let alarms = self.stage.center.json(&["alarms"])?;
        let kinds = crate::world::entries(&alarms).filter_map(|alarm| alarm.get("kind")?.as_str());
        Ok(kinds.map(ToOwned::to_owned).collect())
    }

    /// What the appliance says of a mail, without acting on it.
    pub(super) fn judged(&self, number: u32, raw: &[u8]) -> anyhow::Result<String> {
        self.judged_in(&self.context(number, SignedDuration::ZERO)?, raw)
    }

    /// The same in other surroundings.
    pub(super) fn judged_in(&self, context: &Context, raw: &[u8]) -> anyhow::Result<String> {
        let (store, keyring) = (context.open_store()?, Keyring::load(context)?);
        let held = keyring.keys();
        let (center, channel) = (&context.settings.center, held.to_appliance());
        let keys = Keys { center, to_appliance: &channel, trusted: held.trusted.as_ref() };
        let seen = |message| store.seen(message, center);
        Ok(match judge(raw, keys, seen, &context.settings.limits, &context.clock_state())? {
            Verdict::Junk(reason) => reason.to_string(),
            Verdict::Returned(returned) => returned.kind.to_string(),
            Verdict::Mangled(mangled) => mangled.how.to_string(),
            Verdict::Expired { .. } => "expired".to_owned(),
            Verdict::Undecided { .. } => "waits for a proven time".to_owned(),
            Verdict::Receipt { .. } => "receipt".to_owned(),
            Verdict::Repeat { .. } => "came before".to_owned(),
            Verdict::Refused { reason, .. } => format!("{reason:?}"),
            Verdict::Accepted { .. } => "accepted".to_owned(),
        })
    }

    /// All reports that lie in an appliance's outbox or went through it, the newest first.
    pub(super) fn reports(&self, number: u32) -> anyhow::Result<Vec<Report>> {
        let store = self.context(number, SignedDuration::ZERO)?.open_store()?;
        let mut reports = Vec::new();
        for row in store.outbox_newest(1000)? {
            if let Message::Report(report) = store.outbox_message(row.id)? {
                reports.push(report);
            }
        }
        Ok(reports)
    }

    /// A script that leaves a mark when it runs; counted as an attacker's.
    pub(super) fn evil_script(&mut self) -> String {
        let tag = format!("{}.", self.scripts.len() + 1);
        let sum = "attacker-$((6*7))-";
        let script = format!(
            "#!/bin/sh\nfor folder in \"$STATE_DIR\" \"$RELEASE_DIR\" \"$TMPDIR\" .; do\n\
             echo {sum}{tag} 2>/dev/null >> \"$folder/marks\"\ndone\necho {sum}{tag}\n"
        );
        self.scripts.insert(format!("{MARK}{tag}"), script.len() as u64);
        script
    }

    /// The next release with a changed data module and the script of an attacker.
    pub(super) fn evil_draft(&mut self, release_counter: u64) -> anyhow::Result<PackageDraft> {
        let script = self.evil_script();
        self.draft(release_counter, &script)
    }

    /// The next release with this script.
    pub(super) fn draft(&self, release_counter: u64, script: &str) -> anyhow::Result<PackageDraft> {
        let (folder, running) = Releases::below(&self.root(1)).current()?;
        let mut modules = Vec::new();
        for module in running.modules {
            let data = module.kind == ModuleKind::Data;
            let file = std::fs::read(folder.join(module.name.as_str()))?;
            modules.push(ModuleFile {
                file: if data {
                    format!("Release {NEW}, counter {release_counter}.\n").into_bytes()
                } else {
                    file
                },
                name: module.name,
                version: module.version,
                date: module.date,
                kind: module.kind,
                carried: data,
            });
        }
        let created = super::forge::now();
        Ok(PackageDraft {
            target: SoftwareVersion::new(NEW)?,
            rom: None,
            release_counter,
            created,
            expires: created + SignedDuration::from_hours(24),
            modules,
            script: script.as_bytes().to_vec(),
            script_time_limit_secs: 20,
            applies: Applies::default(),
            rules: Rules { trial_secs: 1, ..Rules::default() },
        })
    }

    /// The package of a draft, signed by the real release key.
    pub(super) fn signed(&self, draft: &PackageDraft) -> anyhow::Result<Vec<u8>> {
        let limits = Limits::default();
        Ok(sign(&build(draft, &limits)?, &self.key("release")?, &limits)?)
    }

    /// Orders a package, as a mail from `by`, and lets the real installer work on it. How it ended: the words that were
    /// reported, or the state of the update that goes on.
    pub(super) fn order(&self, number: u32, by: &Forger, package: &[u8]) -> anyhow::Result<String> {
        self.order_with(number, by, package, |_, _| {})
    }

    /// The same with an order, or with an enclosure, that was changed by the sender.
    pub(super) fn order_with(
        &self,
        number: u32,
        by: &Forger,
        package: &[u8],
        change: impl FnOnce(&mut mailfmt::message::UpdateOrder, &mut Vec<u8>),
    ) -> anyhow::Result<String> {
        let inspected = inspect(package, &Limits::default()).ok();
        let id = inspected.as_ref().map_or_else(|| Digest::of(package), |package| package.id);
        let target = inspected.map_or(SoftwareVersion::new(NEW)?, |package| package.manifest.target);
        let mut order = center_manager::rollout::enclose(package, id, target, &mut random());
        let mut enclosure = enclose(package, &order.content_key);
        change(&mut order, &mut enclosure);
        let before = self.results(number)?.len();
        let context = self.context(number, SignedDuration::ZERO)?;
        let mail = by.mail_with(&Message::Command(Command::Update(order)), &enclosure)?;
        let reason = self.judged(number, &mail)?;
        file_mail(&mut context.open_store()?, &context, &Keyring::load(&context)?, &mail)?;
        if reason != "accepted" {
            return Ok(reason);
        }
        self.install(number)?;
        let results = self.results(number)?;
        if let Some(result) = results.first().filter(|_| results.len() > before) {
            return Ok(match result {
                UpdateOutcome::Installed => "installed".to_owned(),
                UpdateOutcome::Refused { reason } => format!("refused: {reason}"),
                UpdateOutcome::Undone { reason } => format!("undone: {reason}"),
                UpdateOutcome::Waiting { reason } => format!("waiting: {reason}"),
            });
        }
        Ok(format!("{:?}", self.newest_state(number)?))
    }

    /// The state of the newest update order.
    pub(super) fn newest_state(&self, number: u32) -> anyhow::Result<UpdateState> {
        let store = self.context(number, SignedDuration::ZERO)?.open_store()?;
        Ok(store.update_orders_newest(1)?.into_iter().next().context("there is no order")?.state)
    }

    /// What the newest script said.
    pub(super) fn newest_output(&self, number: u32) -> anyhow::Result<String> {
        let store = self.context(number, SignedDuration::ZERO)?.open_store()?;
        Ok(store.update_orders_newest(1)?.into_iter().next().context("there is no order")?.output)
    }

    fn results(&self, number: u32) -> anyhow::Result<Vec<UpdateOutcome>> {
        let results = self.reports(number)?.into_iter().filter_map(|report| match report {
            Report::UpdateResult(result) => Some(result.outcome),
            _ => None,
        });
        Ok(results.collect())
    }

    /// Runs the real installer, as the supervisor would.
    pub(super) fn install(&self, number: u32) -> anyhow::Result<()> {
        let installer = self.stage.programs.path("update-install");
        let status = std::process::Command::new(installer)
            .arg("--root")
            .arg(self.root(number))
            .args(["--log", "off"])
            .stdin(Stdio::null())
            .status()?;
        ensure!(status.success(), "update-install ended with {status}");
        Ok(())
    }

    /// Octets of all those scripts of attackers of which a mark is found anywhere below the appliances' roots: in a file,
    /// or in the output that their stores keep.
    pub(super) fn code_octets_run(&self) -> u64 {
        let mut found = Vec::new();
        for number in 1..=2 {
            marks(&self.root(number), &mut found);
        }
        let ran = |mark: &&String| found.iter().any(|text: &Vec<u8>| holds(text, mark.as_bytes()));
        self.scripts.keys().filter(ran).filter_map(|mark| self.scripts.get(mark)).sum()
    }
}

/// The contents of all files below a folder that hold a mark.
fn marks(folder: &Path, found: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_symlink() {
            continue;
        } else if path.is_dir() {
            marks(&path, found);
        } else if let Ok(content) = std::fs::read(&path)
            && holds(&content, MARK.as_bytes())
        {
            found.push(content);
        }
    }
}

/// Whether these octets stand in it anywhere.
pub(super) fn holds(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}
