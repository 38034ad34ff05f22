//! One appliance in a temporary folder, with release 1.0.00-1 running, and packages made for it.

use crate::post_office::PostOffice;
use jiff::SignedDuration;
use mailfmt::message::report::{UpdateOutcome, UpdateResultReport};
use mailfmt::message::{Message, Report};
use mailfmt::package::{
    Applies, ModuleFile, ModuleKind, PackageDraft, Rules, SigningKey, build, inspect, sign,
};
use mailfmt::trust::{Role, Root, SignedRoot, TrustedRoot};
use mailfmt::{Digest, Limits, MessageId, ModuleName, ModuleVersion, SoftwareVersion};
use monitor_appliance::Context;
use monitor_appliance::context::system_random;
use monitor_appliance::release::{RELEASE_FILE, Release, ReleaseModule, Releases, write_durably};
use monitor_appliance::store::{NewUpdateOrder, Store};
use monitor_appliance::supervisor::processes::{PACKAGE_MARK, ROOT_MARK, kill_marked};
use monitor_appliance::trust;
use monitor_appliance::update::UpdateState;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The version that runs at first, and the one that packages lead to.
pub(crate) const OLD: &str = "1.0.00-1";
pub(crate) const NEW: &str = "1.0.02-0";

/// A module that only stays alive, and notes each start in `starts` below the root.
fn resident(version: &str) -> String {
    format!("#!/bin/sh\necho {version} >> \"$2/starts\"\nexec sleep 1000\n")
}

/// A script that does nothing but speak, and notes each run in `scripts` below the root.
pub(crate) const GOOD_SCRIPT: &str = "#!/bin/sh\necho run >> \"$STATE_DIR/scripts\"\necho all is well\n";

pub(crate) struct Site {
    _folder: tempfile::TempDir,
    key: SigningKey,
    root_key: SigningKey,
    /// Modules that the release has beside those of every site.
    further: Vec<ModuleFile>,
    pub(crate) context: Context,
}

/// A script that is another program.
pub(crate) fn program(path: &str) -> Vec<u8> {
    format!("#!/bin/sh\nexec '{path}' \"$@\"\n").into_bytes()
}

/// A module of a package that the supervisor keeps running.
pub(crate) fn resident_module(name: &str, file: Vec<u8>) -> ModuleFile {
    ModuleFile {
        name: ModuleName::new(name).unwrap(),
        version: ModuleVersion::new("1.0.00").unwrap(),
        date: jiff::civil::date(2026, 1, 2),
        kind: ModuleKind::Resident,
        file,
        carried: true,
    }
}

/// Makes the appliance trust the release key.
fn trust_release_key(context: &Context, key: &SigningKey, root_key: &SigningKey) {
    let command_key = SigningKey::generate(&mut system_random);
    let root = Root {
        version: 1,
        center: context.settings.center.clone(),
        created: context.now(),
        expires: context.now() + SignedDuration::from_hours(24),
        root: Role::of(root_key.public()),
        release: Role::of(key.public()),
        command: Role::of(command_key.public()),
        revoked_packages: Default::default(),
        release_counter_reset: None,
        approval: None,
    };
    let signed = SignedRoot::unsigned(&root).unwrap().sign(root_key).unwrap();
    trust::replace(&context.layout, &context.settings.center, &[signed]).unwrap();
}

/// The next root of the site, changed.
pub(crate) fn next_root(site: &Site, change: impl FnOnce(&mut Root)) -> TrustedRoot {
    let (layout, center) = (&site.context.layout, &site.context.settings.center);
    let mut root = trust::read(layout, center).unwrap().root().clone();
    root.version += 1;
    change(&mut root);
    let signed = SignedRoot::unsigned(&root).unwrap().sign(site.root_key()).unwrap();
    trust::follow(layout, center, &[signed]).unwrap()
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(1, 1, Vec::new())
    }

    /// One whose release has a mail agent, with its mailbox in `office`.
    pub(crate) fn with_mail(office: &PostOffice) -> Self {
        let agent = program(env!("CARGO_BIN_EXE_mail-agent"));
        let site = Self::with(office.smtp_port, office.pop3_port, vec![resident_module("mail-agent", agent)]);
        let layout = &site.context.layout;
        std::fs::create_dir_all(layout.secrets_dir()).unwrap();
        write_durably(&layout.credential_file(), "07".repeat(32).as_bytes(), 0o600).unwrap();
        write_durably(&layout.secrets_dir().join("mail-1.password"), b"sesame", 0o600).unwrap();
        site
    }

    /// One whose mailbox is at these ports and whose first release has `further` modules.
    pub(crate) fn with(smtp: u16, pop3: u16, further: Vec<ModuleFile>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let key = SigningKey::generate(&mut system_random);
        std::fs::write(
            root.join("appliance.toml"),
            format!(
                r#"
agent = "AGENT0000001"
center = "CENTER"
center_address = "center@center.example"
hardware = "test-box"
reboot_command = ["/bin/sh", "-c", "echo reboot >> {root}/reboots"]
[[accounts]]
name = "main"
address = "agent1@site.example"
username = "agent1"
smtp_login = false
smtp = {{ host = "127.0.0.1", port = {smtp}, security = "plain" }}
fetch = "pop3"
fetch_server = {{ host = "127.0.0.1", port = {pop3}, security = "plain" }}
[timers]
mail_poll_secs = 1
backoff_first_secs = 1
backoff_max_secs = 1
heartbeat_secs = 1
[update]
busy_look_secs = 1
script_retry_secs = 1
saved_files = ["{root}/resolv.conf"]
"#,
                root = root.display()
            ),
        )
        .unwrap();
        let context = Context::load(&root).unwrap();
        let root_key = SigningKey::generate(&mut system_random);
        trust_release_key(&context, &key, &root_key);
        let site = Self { _folder: folder, key, root_key, further, context };
        site.install_first_release();
        site
    }

    pub(crate) fn root(&self) -> &Path {
        self.context.layout.root()
    }

    pub(crate) fn releases(&self) -> Releases {
        Releases::below(self.root())
    }

    pub(crate) fn store(&self) -> Store {
        self.context.open_store().unwrap()
    }

    /// The modules of the first release; `extra` gives further text into the resident one.
    pub(crate) fn modules(version: &str) -> Vec<ModuleFile> {
        [
            ("watch", ModuleKind::Resident, resident(version).into_bytes(), true),
            ("refresh", ModuleKind::OnDemand, b"#!/bin/sh\nread wait\n".to_vec(), false),
            ("update-install", ModuleKind::OnDemand, program(env!("CARGO_BIN_EXE_update-install")), false),
            ("version-report", ModuleKind::OnDemand, program(env!("CARGO_BIN_EXE_version-report")), false),
            ("profiles", ModuleKind::Data, b"knowledge of vendors\n".to_vec(), false),
        ]
        .into_iter()
        .map(|(name, kind, file, carried)| ModuleFile {
            name: ModuleName::new(name).unwrap(),
            version: ModuleVersion::new("1.0.00").unwrap(),
            date: jiff::civil::date(2026, 1, 2),
            kind,
            file,
            carried,
        })
        .collect()
    }

    fn install_first_release(&self) {
        let modules = [Self::modules(OLD), self.further.clone()].concat();
        let folder = self.releases().folder(OLD);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::create_dir_all(self.context.layout.packages_dir()).unwrap();
        for module in &modules {
            let mode = if module.kind.is_executable() { 0o755 } else { 0o644 };
            write_durably(&folder.join(module.name.as_str()), &module.file, mode).unwrap();
        }
        let release = Release {
            software: SoftwareVersion::new(OLD).unwrap(),
            rom: ModuleVersion::new("1.5.08").unwrap(),
            release_counter: 1,
            modules: modules
                .into_iter()
                .map(|module| ReleaseModule {
                    sha256: Digest::of(&module.file),
                    octets: module.file.len() as u64,
                    name: module.name,
                    version: module.version,
                    date: module.date,
                    kind: module.kind,
                })
                .collect(),
        };
        write_durably(&folder.join(RELEASE_FILE), &release.write(), 0o644).unwrap();
        self.releases().swap_to(OLD).unwrap();
    }

    /// Makes another file part of the release that runs.
    pub(crate) fn replace_in_running_release(&self, name: &ModuleName, file: &[u8]) {
        let folder = self.releases().folder(OLD);
        let mut release = monitor_appliance::release::read_release(&folder).unwrap();
        let module = release.modules.iter_mut().find(|module| module.name == *name).unwrap();
        (module.sha256, module.octets) = (Digest::of(file), file.len() as u64);
        std::fs::write(folder.join(name.as_str()), file).unwrap();
        std::fs::write(folder.join(RELEASE_FILE), release.write()).unwrap();
    }

    /// A package that leads to [`NEW`] with another `watch`, as it should be.
    pub(crate) fn draft(&self) -> PackageDraft {
        let now = self.context.now();
        PackageDraft {
            target: SoftwareVersion::new(NEW).unwrap(),
            rom: None,
            release_counter: 2,
            created: now,
            expires: now + SignedDuration::from_hours(24),
            modules: [Self::modules(NEW), self.further.clone()].concat(),
            script: GOOD_SCRIPT.into(),
            script_time_limit_secs: 20,
            applies: Applies::default(),
            rules: Rules { trial_secs: 1, ..Rules::default() },
        }
    }

    pub(crate) fn signed(&self, draft: &PackageDraft) -> Vec<u8> {
        self.sign(&build(draft, &Limits::default()).unwrap())
    }

    pub(crate) fn release_key(&self) -> &SigningKey {
        &self.key
    }

    pub(crate) fn root_key(&self) -> &SigningKey {
        &self.root_key
    }

    pub(crate) fn sign(&self, package: &[u8]) -> Vec<u8> {
        sign(package, &self.key, &Limits::default()).unwrap()
    }

    /// Files a package and orders it, as mail-agent does; returns the order's row number.
    pub(crate) fn order(&self, package: &[u8]) -> i64 {
        let inspection = inspect(package, &Limits::default()).unwrap();
        self.order_as(package, inspection.id, &inspection.manifest.target)
    }

    pub(crate) fn order_as(&self, package: &[u8], id: Digest, target: &SoftwareVersion) -> i64 {
        std::fs::write(self.context.layout.package_file(&id), package).unwrap();
        let order = NewUpdateOrder {
            package: id,
            target: target.clone(),
            command: MessageId::generate(&mut system_random),
            received: self.context.now(),
        };
        let mut store = self.store();
        assert!(store.change(|change| change.order_update(&order)).unwrap());
        store.update_orders_newest(1).unwrap().remove(0).id
    }

    pub(crate) fn state(&self, order: i64) -> UpdateState {
        self.store().update_order(order).unwrap().unwrap().state
    }

    /// All reports in the outbox, oldest first.
    pub(crate) fn reports(&self) -> Vec<Report> {
        let store = self.store();
        let mut rows = store.outbox_newest(1000).unwrap();
        rows.reverse();
        rows.iter()
            .map(|row| match store.outbox_message(row.id).unwrap() {
                Message::Report(report) => report,
                other => panic!("{other:?} in the outbox"),
            })
            .collect()
    }

    pub(crate) fn results(&self) -> Vec<UpdateResultReport> {
        let results = self.reports().into_iter().filter_map(|report| match report {
            Report::UpdateResult(result) => Some(result),
            _ => None,
        });
        results.collect()
    }

    /// The one result that was reported.
    pub(crate) fn result(&self) -> UpdateResultReport {
        let mut results = self.results();
        assert_eq!(results.len(), 1, "{results:?}");
        results.remove(0)
    }

    /// The result of an update that may have told of its trial before: the last one, and none but it is an end.
    pub(crate) fn last_result(&self) -> UpdateResultReport {
        let mut results = self.results();
        let last = results.pop().unwrap();
        assert!(
            results.iter().all(|result| matches!(result.outcome, UpdateOutcome::Waiting { .. })),
            "{results:?}"
        );
        last
    }

    /// The version that runs; every one of its modules is what `release.json` says.
    pub(crate) fn running(&self) -> String {
        let releases = self.releases();
        let name = releases.current_name().unwrap();
        releases.check(&name).unwrap();
        releases.current().unwrap().1.software.to_string()
    }

    /// The old version runs, its modules are whole, and that was reported once, with this beginning of the reason.
    pub(crate) fn assert_undone(&self, reason: &str) {
        assert_eq!(self.running(), OLD);
        let result = self.last_result();
        assert_eq!(result.running.as_str(), OLD);
        match &result.outcome {
            UpdateOutcome::Undone { reason: found } => assert!(found.starts_with(reason), "{found}"),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn assert_installed(&self) {
        let result = self.last_result();
        assert_eq!(result.outcome, UpdateOutcome::Installed, "{result:?}");
        assert_eq!((self.running().as_str(), result.running.as_str()), (NEW, NEW));
        assert_eq!(self.store().installed_counter().unwrap(), 2);
    }

    /// The lines of a file below the root, to which scripts and modules write.
    pub(crate) fn lines(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.root().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Adds lines to a section of the settings file.
    pub(crate) fn set(&mut self, section: &str, lines: &str) {
        let (file, head) = (self.context.layout.settings_file(), format!("[{section}]\n"));
        let text = std::fs::read_to_string(&file).unwrap();
        let text = if text.contains(&head) { text } else { format!("{text}{head}") };
        std::fs::write(&file, text.replace(&head, &format!("{head}{lines}\n"))).unwrap();
        self.context = Context::load(self.root()).unwrap();
    }

    /// The settings file as it stands.
    pub(crate) fn settings_text(&self) -> String {
        std::fs::read_to_string(self.context.layout.settings_file()).unwrap()
    }

    /// Starts the real supervisor.
    pub(crate) fn supervise(&self) -> Supervisor {
        self.supervise_by(Command::new(env!("CARGO_BIN_EXE_supervisor")))
    }

    /// Starts `command` as the supervisor.
    pub(crate) fn supervise_by(&self, mut command: Command) -> Supervisor {
        let child = command
            .arg("--root")
            .arg(self.root())
            .args(["--log", "warn"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Supervisor { child }
    }

    /// Waits until no update is open any more.
    pub(crate) fn wait_until_over(&self) {
        until("the end of the update", || self.store().update_orders_open().unwrap().is_empty());
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Whatever a failed test left running.
        kill_marked(ROOT_MARK, self.root(), Duration::from_secs(5));
        for folder in std::fs::read_dir(self.context.layout.updates_dir()).into_iter().flatten().flatten() {
            kill_marked(PACKAGE_MARK, &folder.path(), Duration::from_secs(5));
        }
    }
}

/// A real supervisor process, killed at the latest when it is dropped. What it started is left to the site.
pub(crate) struct Supervisor {
    child: Child,
}

impl Supervisor {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn terminate(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        until("the end of the supervisor", || self.child.try_wait().unwrap().is_some());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a condition; a minute is for machines under heavy load.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
