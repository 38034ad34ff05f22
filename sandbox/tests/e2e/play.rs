//! What every story here needs: the stage for itself, its logs when it goes wrong, and a few looks at it.

use sandbox::world::{PATIENCE, Pace, Part, Site, Stage, entries, eventually};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Two stages at once would starve each other's timers on a small machine.
pub(crate) static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A site whose reports are sent again soon, for stories in which mails get lost.
pub(crate) fn eager(number: u32) -> Part {
    Part { pace: Pace { answer_wait: 3, resend_max: 4, ..Pace::default() }, ..Part::plain(number) }
}

/// Sets a stage over the post office of its own and tells a story on it.
pub(crate) fn play(cast: &[Part], story: impl FnOnce(&mut Stage) -> anyhow::Result<()>) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stage = Stage::set(cast, None).unwrap();
    tell(&mut stage, story);
}

/// Tells a story on a stage that is set; when it goes wrong, the logs come with the error.
pub(crate) fn tell(stage: &mut Stage, story: impl FnOnce(&mut Stage) -> anyhow::Result<()>) {
    // The center tries again after seconds, as everything else here.
    let settings = stage.center.home().join("center.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("retry_pause_secs = 1\nretry_pause_max_secs = 2\n{text}")).unwrap();
    if let Err(error) = story(stage) {
        panic!("{error:#}\n{}", stage.logs());
    }
}

/// A field of a JSON object as text; empty where there is none.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The jams of a site as the center knows them, also those that are over.
pub(crate) fn jams(stage: &Stage, number: u32) -> anyhow::Result<Vec<Value>> {
    let mut jams = stage.faults(number, true)?;
    jams.retain(|fault| text(fault, "code") == "jam");
    Ok(jams)
}

/// How many of them are not over.
pub(crate) fn open_jams(stage: &Stage, number: u32) -> anyhow::Result<usize> {
    Ok(jams(stage, number)?.iter().filter(|fault| text(fault, "cleared").is_empty()).count())
}

/// Waits until the center knows `all` jams of a site, of which `open` are not over.
pub(crate) fn jams_become(stage: &Stage, number: u32, all: usize, open: usize) -> anyhow::Result<()> {
    let what = format!("{all} jams of site {number} at the center, {open} of them open");
    eventually(&what, PATIENCE, || {
        let found = (jams(stage, number)?.len(), open_jams(stage, number)?);
        // One too many would not go away.
        anyhow::ensure!(found.0 <= all, "the center knows {} jams of site {number}, not {all}", found.0);
        Ok((found == (all, open)).then_some(()))
    })
}

/// Waits until no report of a site waits for a receipt.
pub(crate) fn all_receipted(stage: &Stage, number: u32) -> anyhow::Result<()> {
    let what = format!("receipts for all reports of site {number}");
    eventually(&what, PATIENCE, || Ok((stage.unreceipted(number)? == 0).then_some(())))
}

/// The reports of one kind that the center has from a site.
pub(crate) fn reports(stage: &Stage, number: u32, kind: &str) -> anyhow::Result<Vec<Value>> {
    let agent = format!("AGENT{number:07}");
    let arguments = ["reports", "--agent", &agent, "--kind", kind, "--last", "1000"];
    Ok(entries(&stage.center.json(&arguments)?).cloned().collect())
}

/// What an appliance told of the ends of its updates; that a trial began is no end.
pub(crate) fn update_ends(stage: &Stage, number: u32) -> anyhow::Result<Vec<Value>> {
    let mut ends = reports(stage, number, "update-result")?;
    ends.retain(|report| !text(report, "description").contains("is on trial"));
    Ok(ends)
}

/// The software version that an appliance says it runs.
pub(crate) fn running(site: &Site) -> anyhow::Result<String> {
    Ok(text(&site.json(&["status"])?, "software").to_owned())
}

/// The build of its shell module that runs; empty before it ran once.
pub(crate) fn build(site: &Site) -> String {
    std::fs::read_to_string(site.root.join("agent_sweeper.build")).unwrap_or_default().trim().to_owned()
}

/// The file name of the program that a process of a site runs, with its process id.
pub(crate) fn modules(site: &Site) -> Vec<(String, i32)> {
    let name = |pid: i32| {
        let program: PathBuf = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        Some((program.file_name()?.to_string_lossy().into_owned(), pid))
    };
    site.processes().into_iter().filter_map(|pid| name(pid.as_raw_nonzero().get())).collect()
}

/// The most memory that a process ever had, in MiB.
pub(crate) fn peak_mib(pid: i32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line.and_then(|line| line.trim().strip_suffix("kB")).unwrap_or_default().trim().parse()?;
    Ok(kib / 1024)
}
