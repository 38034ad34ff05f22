//! Printers that tell of themselves that something is wrong.

use super::play::{eager, jams_become, open_jams, play, text};
use anyhow::{Context as _, ensure};
use sandbox::printers::Notify;
use sandbox::world::{PATIENCE, Pace, Part, Stage, eventually};
use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};

/// So long that no look by itself falls into a story.
const NEVER: u32 = 3600;

fn rarely_looking(number: u32) -> Part {
    let pace = Pace { fault_poll: NEVER, counter_collect: NEVER, ..Pace::default() };
    Part { pace, ..eager(number) }
}

#[test]
fn a_trap_brings_a_jam_to_the_center_and_its_end_and_is_not_believed() {
    play(&[rarely_looking(1)], |stage| {
        stage.site(1)?.hear_traps()?;
        stage.start()?;
        stage.hear_from_all()?;
        let port = listening(stage)?;
        let printer = stage.printer(1, 1)?;

        let row = printer.jam();
        ensure!(open_jams(stage, 1)? == 0, "nobody looks by himself in this story");
        printer.notify(port, row, Notify::TrapV1)?;
        jams_become(stage, 1, 1, 1)?;

        printer.clear_jam();
        ensure!(printer.notify(port, row, Notify::Inform)?, "an inform is acknowledged");
        jams_become(stage, 1, 1, 0)?;

        // It claims a jam that the printer's own table does not have.
        printer.notify(port, row + 1, Notify::TrapV2c)?;
        // Nobody is watched at this address.
        let stranger = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 99], 0)))?;
        stranger.send_to(b"\x30\x03\x02\x01\x01", port)?;
        let counted = |what| move |status: &Value| status.pointer(what).and_then(Value::as_u64).unwrap_or(0);
        eventually("three notices and a stranger in the status", PATIENCE, || {
            let status = stage.site(1)?.json(&["status"])?;
            let all = counted("/traps/notices")(&status) == 3 && counted("/traps/strangers")(&status) == 1;
            Ok(all.then_some(()))
        })?;
        jams_become(stage, 1, 1, 0)
    });
}

/// Waits until every printer was looked at and traps are waited for.
fn listening(stage: &mut Stage) -> anyhow::Result<SocketAddr> {
    let site = stage.site(1)?;
    eventually("a first look at the printer", PATIENCE, || {
        let status = site.json(&["status"])?;
        let answered =
            status.pointer("/devices/0").is_some_and(|device| !text(device, "answered").is_empty());
        Ok(answered.then_some(()))
    })?;
    site.trap_address()?.context("no port for traps in the status")
}
