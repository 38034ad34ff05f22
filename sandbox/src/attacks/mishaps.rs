//! What nobody means: our own mistakes, and machines that are put back.

use super::box_lost::next_second;
use super::field::Field;
use super::findings::Findings;
use super::{Adversary, Attack, Means};
use crate::world::entries;
use anyhow::Context as _;
use jiff::SignedDuration;
use monitor_appliance::supervisor::processes::{PACKAGE_MARK, kill_marked};
use monitor_appliance::update::UpdateState;
use std::time::{Duration, Instant};

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        threat: "a script hangs or does harm",
        adversary: Adversary::Mishap,
        tried: "scripts that sleep, fork, fill the disk, eat memory, print without end, damage the release, reach for secrets and network",
        means: Means::Field(scripts),
    },
    Attack {
        threat: "an update in the middle of billing",
        adversary: Adversary::Mishap,
        tried: "an order while counters for a bill are collected",
        means: Means::Field(billing),
    },
    Attack {
        threat: "the operator's mistake",
        adversary: Adversary::Mishap,
        tried: "rollouts without a yes, to nobody, of an unsigned package, and a release key that stays on the center",
        means: Means::Field(operator),
    },
    Attack {
        threat: "the center's database is put back from a backup",
        adversary: Adversary::Mishap,
        tried: "commands, the old database, commands again",
        means: Means::Field(center_restored),
    },
];

fn scripts(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let center = field.center_of(1)?;
    let secret = std::fs::read_to_string(field.root(1).join("secrets/credential"))?.trim().to_owned();
    for (lines, secs, wanted) in [
        ("sleep 1000", 1, "undone: the install script ran longer than its 1 s"),
        (
            "i=0; while [ $i -lt 200 ]; do sleep 100 & i=$((i+1)); done; wait",
            20,
            "undone: the install script",
        ),
        ("head -c 60000000 /dev/zero > \"$RELEASE_DIR/filler\"; sleep 5", 20, "undone: the install script"),
        ("a=x; while :; do a=$a$a; done", 20, "undone: "),
        ("echo other > \"$RELEASE_DIR/release-notes.txt\"", 20, "undone: "),
        (
            "head -c 3000000 /dev/zero | tr '\\0' x; exit 3",
            20,
            "undone: the install script failed with exit code 3",
        ),
        (
            "cat \"$STATE_DIR/secrets/credential\"; exit 4",
            20,
            "undone: the install script failed with exit code 4",
        ),
    ] {
        let draft = field.draft(2, &format!("#!/bin/sh\n{lines}\n"))?;
        let draft = mailfmt::package::PackageDraft { script_time_limit_secs: secs, ..draft };
        let package = field.signed(&draft)?;
        let begun = Instant::now();
        let end = field.order(1, &center, &package)?;
        findings.reason(&end, wanted);
        findings
            .must(begun.elapsed() < Duration::from_secs(30), format!("{lines:?} took {:?}", begun.elapsed()));
        let output = field.newest_output(1)?;
        findings.must(output.len() <= 70_000, format!("{} octets of output are kept", output.len()));
        findings.must(!output.contains(&secret), "a script read the credential");
        let left = field.root(1).join("updates");
        for folder in std::fs::read_dir(&left)?.flatten().filter(|entry| entry.path().is_dir()) {
            let left = kill_marked(PACKAGE_MARK, &folder.path(), Duration::from_secs(1));
            findings.must(left == 0, "something of a script still ran");
        }
        let releases = monitor_appliance::release::Releases::below(&field.root(1));
        releases.check(&releases.current_name()?)?;
    }
    Ok(())
}

fn billing(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let center = field.center_of(1)?;
    let context = field.context(1, SignedDuration::ZERO)?;
    let work = "collects counters for the bill";
    context.open_store()?.change(|change| change.begin_busy("device-watch", work, true, context.now()))?;
    let draft = field.draft(2, "#!/bin/sh\nexit 0\n")?;
    field.order(1, &center, &field.signed(&draft)?)?;
    let state = field.newest_state(1)?;
    findings.must(matches!(state, UpdateState::Waiting { .. }), format!("{state:?}"));
    context.open_store()?.change(|change| change.end_busy("device-watch"))?;
    let begun = Instant::now();
    while !matches!(field.newest_state(1)?, UpdateState::Checked { .. })
        && begun.elapsed() < Duration::from_secs(60)
    {
        // It looks again after its own pause.
        std::thread::sleep(Duration::from_millis(200));
        field.install(1)?;
    }
    let state = field.newest_state(1)?;
    findings.must(matches!(state, UpdateState::Checked { .. }), format!("afterwards {state:?}"));
    findings.note("waited while the work went on, done afterwards");
    Ok(())
}

fn operator(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let package = field.signed(&field.draft(2, "#!/bin/sh\nexit 0\n")?)?;
    let unsigned =
        mailfmt::package::build(&field.draft(3, "#!/bin/sh\nexit 0\n")?, &mailfmt::Limits::default())?;
    let write = |name: &str, octets: &[u8]| -> anyhow::Result<String> {
        let file = field.stage.folder().join(name);
        std::fs::write(&file, octets)?;
        Ok(file.to_string_lossy().into_owned())
    };
    let (package, unsigned) = (write("good.mfp", &package)?, write("unsigned.mfp", &unsigned)?);
    for (what, arguments) in [
        ("without a yes", vec!["--package", &package, "--all"]),
        ("to nobody", vec!["--package", &package, "--tag", "nowhere", "--yes"]),
        ("to an unknown appliance", vec!["--package", &package, "--agents", "AGENT7777777", "--yes"]),
        ("of an unsigned package", vec!["--package", &unsigned, "--all", "--yes"]),
    ] {
        let tried = field.stage.center.run(&[&["rollout", "start"][..], &arguments].concat());
        findings.must(tried.is_err(), format!("a rollout {what} began"));
    }
    let rollouts = field.stage.center.json(&["rollout", "list"])?;
    findings.must(entries(&rollouts).count() == 0, "a rollout is listed");
    let before = field.handed_in()?;
    field.center_turn()?;
    findings.must(field.handed_in()? == before, "something was sent");
    let doctor = field.stage.center.run(&["root", "show"]).unwrap_or_else(|error| error.to_string());
    findings.must(!doctor.is_empty(), "`root show` says nothing");
    findings.note("four rollouts refused, nothing sent");
    Ok(())
}

fn center_restored(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let home = field.stage.center.home().to_owned();
    let (database, backup) = (home.join("fleet.db"), home.join("fleet.backup"));
    std::fs::copy(&database, &backup).context("the backup")?;
    next_second()?;
    for _ in 0..3 {
        field.stage.center.run(&["ping", "--all"])?;
        field.settle()?;
    }
    for name in ["fleet.db-wal", "fleet.db-shm"] {
        let _ = std::fs::remove_file(home.join(name));
    }
    std::fs::rename(&backup, &database)?;
    next_second()?;
    let known = answers(field)?;
    field.stage.center.run(&["ping", "--all"])?;
    field.settle()?;
    findings
        .must(answers(field)? == known + 2, "a command of the center that was put back was not carried out");
    let alarms = field.alarms()?;
    // Whoever speaks first: the appliance of a center that forks, or the center of numbers that it never gave.
    let told = alarms.iter().any(|kind| kind == "center-restored" || kind == "center-forked");
    findings.must(told, format!("alarms: {alarms:?}"));
    findings.note("no number used twice; the appliances tell of it");
    Ok(())
}

fn answers(field: &Field) -> anyhow::Result<usize> {
    let reports = field.stage.center.json(&["reports", "--kind", "health", "--last", "1000"])?;
    Ok(entries(&reports).filter(|report| report["in_reply_to"].is_string()).count())
}
