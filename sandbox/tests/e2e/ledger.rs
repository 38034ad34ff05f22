//! What counters do that do not only count, seen at the center.

use super::play::{eager, play, text};
use anyhow::{Context as _, ensure};
use async_snmp::{Oid, Value as Snmp};
use sandbox::world::{PATIENCE, Pace, Part, Stage, entries, eventually};
use serde_json::Value;

/// `prtMarkerLifeCount` of the first marker.
const LIFE_COUNT: [u32; 13] = [1, 3, 6, 1, 2, 1, 43, 10, 2, 1, 4, 1, 1];

fn collecting(number: u32) -> Part {
    Part { pace: Pace { fault_poll: 1, counter_collect: 1, ..Pace::default() }, ..eager(number) }
}

/// Entries of the site's ledger, by its own count.
fn ledger_entries(stage: &mut Stage) -> anyhow::Result<u64> {
    let status = stage.site(1)?.json(&["status"])?;
    Ok(status.pointer("/ledger/last").and_then(Value::as_u64).unwrap_or_default())
}

fn findings(stage: &Stage) -> anyhow::Result<Vec<Value>> {
    let found = stage.center.json(&["counters", "review", "--all"])?;
    Ok(entries(&found).cloned().collect())
}

fn of_class<'a>(findings: &'a [Value], class: &str) -> Option<&'a Value> {
    findings.iter().find(|finding| finding.pointer("/found/class").and_then(Value::as_str) == Some(class))
}

#[test]
fn a_wobble_and_an_exchanged_printer_are_seen_at_the_center_with_the_readings_between_which_they_lie() {
    play(&[collecting(1)], |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        let printer = stage.printer(1, 1)?;
        eventually("the first reading in the ledger", PATIENCE, || {
            Ok((ledger_entries(stage)? > 0).then_some(()))
        })?;
        let pages = printer.summary().pages.context("the printer counts pages")?;
        ensure!(pages > 1000, "a machine that has hardly counted is another story");

        // Off, and on again with five pages less.
        let before = ledger_entries(stage)?;
        printer.power_off();
        printer.set(Oid::from_slice(&LIFE_COUNT), Snmp::Counter32(pages - 5));
        printer.power_on();
        eventually("the wobble in the ledger", PATIENCE, || {
            Ok((ledger_entries(stage)? > before).then_some(()))
        })?;

        // Another machine at the same place.
        printer.power_off();
        printer.set_serial("EXCHANGED1");
        printer.power_on();
        eventually("the exchange at the center", PATIENCE, || {
            Ok(of_class(&findings(stage)?, "swap").map(|_| ()))
        })?;
        let found = findings(stage)?;
        let wobble = of_class(&found, "wobble").context("the wobble came with it")?;
        let value = |finding: &Value, end: &str| {
            finding.pointer(&format!("/found/{end}/value")).and_then(Value::as_u64).unwrap_or_default()
        };
        ensure!(value(wobble, "from") == u64::from(pages) && value(wobble, "to") == u64::from(pages - 5));
        ensure!(wobble.pointer("/found/sure") == Some(&Value::from(0)), "nothing is counted twice: {wobble}");
        let swap = of_class(&found, "swap").context("the exchange")?;
        ensure!(text(swap, "serial") == "EXCHANGED1" && text(swap, "review_by") == "service", "{swap}");

        // Somebody decides, by name and with a reason.
        let number = swap.get("id").and_then(Value::as_i64).context("a number")?.to_string();
        let said = stage.center.run(&[
            "counters",
            "review",
            "correct",
            &number,
            "--pages",
            "0",
            "--reason",
            "exchanged on delivery",
            "--by",
            "eve",
        ])?;
        ensure!(said.contains("Written down for eve"), "{said}");
        let list = stage.center.json(&["counters", "list"])?;
        let sound = entries(&list).all(|device| device.get("sound") == Some(&Value::Bool(true)));
        ensure!(sound && entries(&list).count() == 2, "{list}");
        Ok(())
    });
}
