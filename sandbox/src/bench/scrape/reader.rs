//! The real `device-watch` on an appliance's root that knows nothing but its devices.

use anyhow::{Context as _, ensure};
use monitor_appliance::Store;
use rustix::process::{Pid, Signal, kill_process};
use sandbox::world::Programs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often printers are asked, in seconds.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// Time between two looks.
    pub(super) look: u64,
    /// Time between two full readings.
    pub(super) everything: u64,
}

/// A running `device-watch`.
pub(super) struct Reader {
    child: Child,
    root: PathBuf,
}

impl Reader {
    /// Starts it on the root below `folder`, whose store stays from one start to the next.
    pub(super) fn start(folder: &Path, devices: &[SocketAddr], pace: Pace) -> anyhow::Result<Self> {
        let root = folder.join("appliance");
        std::fs::create_dir_all(&root)?;
        std::fs::write(root.join("appliance.toml"), settings(devices, &pace))?;
        let log = std::fs::File::create(root.join("log"))?;
        let program = Programs::find()?.path("device-watch");
        let child = Command::new(&program)
            .args(["--log", "error", "--root"])
            .arg(&root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, root })
    }

    /// Waits for a condition.
    pub(super) fn wait(
        &self,
        what: &str,
        patience: Duration,
        met: impl Fn() -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !met()? {
            ensure!(
                begun.elapsed() < patience,
                "not within {} s: {what}; device-watch says: {}",
                patience.as_secs(),
                std::fs::read_to_string(self.root.join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// How many readings its store holds of each device.
    pub(super) fn readings(&self, devices: &[SocketAddr]) -> anyhow::Result<Vec<u64>> {
        let path = self.root.join("store.db");
        if !path.exists() {
            return Ok(vec![0; devices.len()]);
        }
        let store = Store::open(&path)?;
        let counts = store.reading_counts()?;
        Ok(devices.iter().map(|device| counts.get(&device.to_string()).copied().unwrap_or(0)).collect())
    }

    fn pid(&self) -> anyhow::Result<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("device-watch has no id")
    }

    /// CPU time that it has used so far.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        super::peers::cpu_of(self.child.id())
    }

    /// The most that it had resident, in octets.
    pub(super) fn rss(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib: u64 = line.context("the kernel tells no memory")?.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }

    /// Ends it.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        kill_process(self.pid()?, Signal::TERM)?;
        let ended = self.child.wait()?;
        ensure!(
            ended.success(),
            "device-watch ended with {ended}: {}",
            std::fs::read_to_string(self.root.join("log")).unwrap_or_default()
        );
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // After `stop` it is gone already; this is for the ways out that are errors.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn settings(devices: &[SocketAddr], pace: &Pace) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "agent = \"bench-1\"\ncenter = \"bench\"\ncenter_address = \"center@bench.invalid\"\n\n\
         [timers]\nfault_poll_secs = {}\ncounter_collect_secs = {}\nrequests_per_hour = 100000\n\n\
         [[accounts]]\nname = \"bench\"\naddress = \"a@bench.invalid\"\nusername = \"a\"\nfetch = \"pop3\"\n\
         [accounts.smtp]\nhost = \"127.0.0.1\"\nport = 9\nsecurity = \"plain\"\n\
         [accounts.fetch_server]\nhost = \"127.0.0.1\"\nport = 9\nsecurity = \"plain\"\n",
        pace.look, pace.everything
    );
    for device in devices {
        // Writing into a text cannot fail.
        let _ = write!(text, "\n[[devices]]\naddress = \"{device}\"\n");
    }
    text
}
