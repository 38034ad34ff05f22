//! What the power is cut in the middle of: an appliance with an order to update, which every run gets a copy of.

use super::ground::{Ground, copy_tree};
use crate::world::{PATIENCE, RELEASE_NOTES, eventually};
use anyhow::{Context as _, ensure};
use mailfmt::package::PackageId;
use mailfmt::{Digest, Limits, ModuleVersion, SoftwareVersion};
use monitor_appliance::release::{RELEASE_FILE, Release, SUPERVISOR};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// The version that the packages lead to.
pub(super) const NEW_VERSION: &str = "1.0.02-0";

/// The version that the update after it leads to.
pub(super) const NEXT_VERSION: &str = "1.0.09-0";

/// Notes each of its runs; how often it runs is not limited to once.
const SCRIPT: &str = "#!/bin/sh\nset -eu\necho \"$TO_VERSION\" >> \"$STATE_DIR/install-count\"\n";

/// Every sign of life is a durable change, and none that matters here.
const QUICK_BEATS: &str = "\nheartbeat_secs = 1\n";

/// What a package brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Another file of data; its order comes by mail, and the power also goes while it is fetched and filed.
    Data,
    /// Another file for every module, the supervisor included; its order is given on site.
    All,
    /// Another supervisor; its order is given on site.
    Supervisor,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Data, Self::All, Self::Supervisor];

    /// For a person.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "one data module, ordered by mail",
            Self::All => "all modules",
            Self::Supervisor => "the supervisor itself",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::All => "all",
            Self::Supervisor => "supervisor",
        }
    }

    fn changes(self, module: &str) -> bool {
        match self {
            Self::Data => module == RELEASE_NOTES,
            Self::All => true,
            Self::Supervisor => module == SUPERVISOR,
        }
    }
}

/// An appliance that does not run, with an order that is not begun.
#[derive(Debug)]
pub(super) struct Image {
    /// Its root.
    pub(super) root: PathBuf,
    /// Its mail address, which stands in its settings.
    pub(super) address: String,
    /// What lies in its mailbox.
    pub(super) mails: Vec<Arc<[u8]>>,
    /// The package that is ordered.
    pub(super) package: PackageId,
    /// Packages for the update after it, that fit where the old version runs and where the new one does.
    pub(super) next: [PathBuf; 2],
}

impl Image {
    /// Makes the packages, and an image of site `number`.
    pub(super) fn make(ground: &mut Ground, kind: Kind, number: u32) -> anyhow::Result<Self> {
        let folder = ground.folder.join(format!("image-{}", kind.word()));
        std::fs::create_dir_all(&folder)?;
        let first = ground.stage.first_release.path.clone();
        let new = altered(&first, &folder.join("new"), NEW_VERSION, 2, |name| kind.changes(name))?;
        let package = build(ground, &new, &first, &folder.join("package.mfp"))?;
        let mut next = Vec::new();
        for (base, name) in [(&first, "next-of-old"), (&new, "next-of-new")] {
            let release = altered(base, &folder.join(name), NEXT_VERSION, 9, |name| name == RELEASE_NOTES)?;
            next.push(build(ground, &release, base, &folder.join(format!("{name}.mfp")))?);
        }
        let address = ground.stage.mail.agent_address(number);
        let mails = match kind {
            Kind::Data => mails_of_order(ground, &package, number, &address)?,
            Kind::All | Kind::Supervisor => Vec::new(),
        };
        let root = folder.join("root");
        copy_tree(&ground.stage.site(number)?.root, &root, &[])?;
        // It is not the appliance's own, and would be counted.
        std::fs::remove_file(root.join("log.txt"))?;
        let settings = root.join("appliance.toml");
        let text = std::fs::read_to_string(&settings)?;
        ensure!(!text.contains("[update]"), "setup wrote settings of updates");
        ensure!(text.contains(QUICK_BEATS), "the settings name no time between signs of life");
        let text = text.replace(QUICK_BEATS, "\nheartbeat_secs = 5\n");
        std::fs::write(&settings, format!("{text}\n[update]\nbusy_look_secs = 1\nscript_retry_secs = 1\n"))?;
        if kind == Kind::Data {
            // Whoever needs them makes them, and makes sure that they stay.
            for folder in ["packages", "updates"] {
                std::fs::remove_dir_all(root.join(folder))?;
            }
        } else {
            order_on_site(&ground.stage.programs.path("monitor-appliance"), &root, &package)?;
        }
        let octets = std::fs::read(&package)?;
        let package = mailfmt::package::inspect(&octets, &Limits::default())?.id;
        let next = <[PathBuf; 2]>::try_from(next).ok().context("two packages for the update after")?;
        Ok(Self { root, address, mails, package, next })
    }
}

/// Files an order from a file, as a person on site does. The appliance need not run.
pub(super) fn order_on_site(program: &Path, root: &Path, package: &Path) -> anyhow::Result<()> {
    let output = Command::new(program)
        .arg("--root")
        .arg(root)
        .arg("update")
        .arg(package)
        .args(["--yes", "--no-wait"])
        .output()?;
    // 3: ordered, and not over.
    ensure!(
        matches!(output.status.code(), Some(0 | 3)),
        "the update cannot be ordered: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Lets the center send the order; it lies in the appliance's mailbox afterwards.
fn mails_of_order(
    ground: &mut Ground,
    package: &Path,
    number: u32,
    address: &str,
) -> anyhow::Result<Vec<Arc<[u8]>>> {
    let agent = ground.stage.site(number)?.agent();
    let center = &mut ground.stage.center;
    center.start()?;
    center.roll_out(&package.to_string_lossy(), &[&agent, "--rounds", "0"])?;
    eventually("the order in the appliance's mailbox", PATIENCE, || {
        Ok((ground.office.mailbox_len(address) > 0).then_some(()))
    })?;
    center.stop();
    Ok(ground.office.mails(address))
}

/// A release in which the modules that `which` names have another file than in `from`.
fn altered(
    from: &Path,
    to: &Path,
    software: &str,
    counter: u64,
    which: impl Fn(&str) -> bool,
) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(to)?;
    let mut release: Release = serde_json::from_slice(&std::fs::read(from.join(RELEASE_FILE))?)?;
    release.software = SoftwareVersion::new(software)?;
    release.release_counter = counter;
    for module in &mut release.modules {
        let (old, new) = (from.join(module.name.as_str()), to.join(module.name.as_str()));
        std::fs::copy(&old, &new).with_context(|| format!("cannot copy {}", old.display()))?;
        if which(module.name.as_str()) {
            // Behind the end of a program nobody looks, and for a shell it is a remark.
            let file = [std::fs::read(&old)?, format!("\n# of {software}\n").into_bytes()].concat();
            std::fs::write(&new, &file)?;
            module.version = ModuleVersion::new(&format!("1.0.{counter:02}"))?;
            (module.sha256, module.octets) = (Digest::of(&file), u64::try_from(file.len())?);
        }
    }
    std::fs::write(to.join(RELEASE_FILE), serde_json::to_vec_pretty(&release)?)?;
    Ok(to.to_owned())
}

/// A signed package with what differs from `from`.
fn build(ground: &Ground, release: &Path, from: &Path, to: &Path) -> anyhow::Result<PathBuf> {
    let script = ground.folder.join("install.sh");
    std::fs::write(&script, SCRIPT)?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (script, output) = (text(&script), text(to));
    let limits = ["--trial-secs", "1", "--settle-secs", "1"];
    let further = [&limits[..], &["--script", &script, "--output", &output]].concat();
    ground.stage.center.build_package(release, Some(from), &further)?;
    Ok(to.to_owned())
}
