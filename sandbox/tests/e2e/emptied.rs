//! A mailbox that its provider has emptied while the box was off: nothing in it tells of the mails that were there.

use super::play::{eager, play, running, text};
use anyhow::{Context as _, ensure};
use center_manager::db::Db;
use center_manager::db::outbox::{OutboxFilter, OutboxId};
use sandbox::world::{PATIENCE, Stage, entries, eventually};
use std::time::{Duration, Instant};

const TARGET: &str = "1.0.02-0";
/// Mail may be overtaken for a while before it counts as lost.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// How often each order to update was handed in.
fn orders(stage: &Stage) -> anyhow::Result<Vec<u32>> {
    let db = Db::open(&stage.center.home().join("fleet.db"))?;
    let mut attempts = Vec::new();
    for line in db.outbox(OutboxFilter::Commands, 1_000)?.iter().filter(|line| line.kind == "update") {
        attempts.extend(db.deliveries(OutboxId(line.number))?.iter().map(|delivery| delivery.attempts));
    }
    Ok(attempts)
}

#[test]
fn an_order_that_was_deleted_unread_is_sent_again_once_the_box_is_back_and_carried_out_once() {
    play(&[eager(1)], |stage| {
        stage.start()?;
        stage.hear_from_all()?;
        stage.site(1)?.stop();

        let address = stage.mail.agent_address(1);
        let package =
            stage.build_package(TARGET, "exit 0\n", &["--settle-secs", "5", "--trial-secs", "2"])?;
        stage.center.roll_out(&package, &["--all", "--answer-timeout", "600"])?;
        let office = stage.post_office.as_ref().context("a post office of our own")?;
        eventually("the order in the mailbox", PATIENCE, || Ok((orders(stage)? == [1]).then_some(())))?;
        eventually("its mail", PATIENCE, || Ok((office.mailbox_len(&address) > 0).then_some(())))?;
        let lost = office.take_mails(&address);
        ensure!(!lost.is_empty(), "nothing was there to lose");

        stage.site(1)?.start()?;
        // Anything that makes the box tell how it fares: a person asks, or it was away for hours.
        let mut asked = Instant::now();
        stage.center.run(&["ping", "--all"])?;
        eventually("the order handed in again", PATIENCE, || {
            if asked.elapsed() > ASK_AGAIN {
                stage.center.run(&["ping", "--all"])?;
                asked = Instant::now();
            }
            Ok((orders(stage)? == [2]).then_some(()))
        })?;
        // Asked in between, the box said its old version; the late word corrects the verdict.
        eventually("the update verified", PATIENCE, || {
            let report = stage.center.json(&["rollout", "report", "1"])?;
            let mut rows = report.get("rows").map(entries).context("rows")?;
            Ok(rows.all(|row| text(row, "mark") == "updated").then_some(()))
        })?;
        ensure!(running(stage.site(1)?)? == TARGET, "runs {}", running(stage.site(1)?)?);
        ensure!(orders(stage)? == [2], "handed in {:?} times", orders(stage)?);

        // What was lost turns up after all: nothing is done twice.
        let office = stage.post_office.as_ref().context("a post office of our own")?;
        for mail in &lost {
            office.inject(&address, mail);
        }
        eventually("the late mails fetched", PATIENCE, || {
            Ok((office.mailbox_len(&address) == 0).then_some(()))
        })?;
        ensure!(running(stage.site(1)?)? == TARGET, "runs {}", running(stage.site(1)?)?);
        Ok(())
    });
}
