//! `stranger`: somebody who never saw it enrols a new box, with a code on paper.
//!
//! It is played in network and mount namespaces of its own, so that everything is as at a customer's: a LAN with printers
//! on port 161, mail servers of the usual names on the usual ports, a box without any settings. Nothing can leave them.

mod house;
mod keyboard;

use super::{Figure, octets_f64};
use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) use house::inside;

const DEVICES: usize = 20;
const SECONDS_MAX: u32 = 600;
/// What somebody types by hand: address, name and password of a mailbox, servers and their ports for both directions,
/// the center's address and a code.
const THINGS_MAX: u32 = 10;

/// What was measured inside, as one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    /// From the first key to the last device at the center.
    took: Duration,
    /// How long of it the person read and typed.
    at_the_keyboard: Duration,
    /// Answers that were typed, the command among them.
    things: usize,
    /// Answers that were only confirmed.
    confirmed: usize,
    /// Characters typed, without Enter.
    characters: usize,
    /// Devices that the center lists.
    devices: usize,
    /// Characters of their addresses, makers, models and serial numbers.
    by_hand: usize,
}

/// Measures.
///
/// # Errors
/// When namespaces or the mail site cannot be had on this machine, and when the box is not enrolled with all devices.
pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    for program in ["unshare", "script", "ip"] {
        let found =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        // `ip` knows only -V and says so; it is enough that it is there.
        ensure!(found.is_ok(), "skipped: no {program}; install Debian's util-linux, bsdutils and iproute2");
    }
    let folder = tempfile::Builder::new()
        .prefix("stranger-bench.")
        // Dovecot's own user must come through.
        .permissions(Permissions::from_mode(0o755))
        .tempdir()?;
    let measured = measure(folder.path())?;
    ensure!(measured.devices == DEVICES, "the center lists {} devices, not {DEVICES}", measured.devices);
    let figure = |figure, value, unit, against| Figure { bench: "stranger", figure, value, unit, against };
    let Measured { took, at_the_keyboard, things, confirmed, characters, devices, by_hand } = measured;
    Ok(vec![
        figure(
            "seconds",
            took.as_secs_f64(),
            "s, from the first key to all devices at the center",
            format!(
                "limit: {SECONDS_MAX}; {:.1} s of it were reading and typing, at {} characters per s",
                at_the_keyboard.as_secs_f64(),
                keyboard::PER_SECOND
            ),
        ),
        figure(
            "things_typed",
            octets_f64(things),
            "answers, the command among them",
            format!("limit: {THINGS_MAX}; {confirmed} more questions were answered by Enter alone"),
        ),
        figure(
            "characters_typed",
            octets_f64(characters),
            "characters",
            format!(
                "registering by hand: {by_hand} characters of addresses, makers, models and serial numbers of the same devices alone"
            ),
        ),
        figure("devices", octets_f64(devices), "devices at the center", format!("there are {DEVICES}")),
    ])
}

/// Plays it in namespaces of its own.
fn measure(folder: &Path) -> anyhow::Result<Measured> {
    let this = std::env::current_exe().context("cannot tell which program runs")?;
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--"])
        .arg(this)
        .arg("stranger")
        .arg(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run unshare")?;
    if !output.status.success() {
        bail!(
            "it needs root, namespaces and a real mail site; what is missing stands above ({})",
            output.status
        );
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().context("nothing was measured")?;
    serde_json::from_str(line).with_context(|| format!("no measurement: {line}"))
}
