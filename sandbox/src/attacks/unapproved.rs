//! The center is stolen, command key and all, and every package of his was signed by the release key long ago. What he lacks
//! is the word of the people whom the root names besides.

use super::center_stolen::next_root;
use super::field::Field;
use super::findings::Findings;
use super::{Adversary, Attack, Means};
use crate::random;
use anyhow::{Context as _, ensure};
use center_manager::db::Db;
use center_manager::rollout::RolloutId;
use jiff::SignedDuration;
use mailfmt::message::UpdateOrder;
use mailfmt::trust::{Approval, KeyFile, Role, SignedApproval, SigningKey};

pub(super) const ATTACKS: &[Attack] = &[Attack {
    threat: "orders that nobody approved",
    adversary: Adversary::Center,
    tried: "packages that the release role signed: without an approval, approved by himself and by the command key, with the approval \
            of another package and of another rollout; before that, an approved one is installed",
    means: Means::Field(unapproved),
}];

/// Lets the fleet trust a root that asks for the word of this key.
fn ask_for_approval(field: &mut Field, approver: &SigningKey) -> anyhow::Result<()> {
    let root = next_root(field, &[&field.key("root")?], |root| {
        root.approval = Some(Role::of(approver.public()));
    })?;
    let file = field.stage.folder().join("next-root.json");
    std::fs::write(&file, serde_json::to_vec(&[root])?)?;
    field.stage.center.run(&["root", "add", &file.display().to_string()])?;
    field.stage.center.run(&["root", "send", "--all"])?;
    field.settle()
}

/// A rollout as it should go, to appliance 2: it waits, another person approves, it is installed. The package, and what was
/// approved.
fn approved_rollout(
    field: &mut Field,
    approver: &SigningKey,
    findings: &mut Findings,
) -> anyhow::Result<(Vec<u8>, SignedApproval)> {
    let package = field.signed(&field.draft(2, "#!/bin/sh\nexit 0\n")?)?;
    let file = field.stage.folder().join("good.mfp");
    std::fs::write(&file, &package)?;
    let agent = field.introduction(2)?.agent.to_string();
    let file = file.display().to_string();
    field.stage.center.roll_out(&file, &["--agents", &agent])?;
    field.settle()?;
    findings.must(field.newest_state(2).is_err(), "an order went out before it was approved");
    let key = field.stage.folder().join("approval.pem");
    std::fs::write(&key, KeyFile::new(approver, None, &mut random()).expose_pem().as_bytes())?;
    let key = key.display().to_string();
    field.stage.center.run(&["rollout", "approve", "1", "--key", &key, "--by", "bert", "--yes"])?;
    field.settle()?;
    field.install(2)?;
    let state = format!("{:?}", field.newest_state(2)?);
    ensure!(!state.contains("Refused"), "the approved order was not installed: {state}");
    findings.note("an approved order is installed");
    let db = Db::open(&field.stage.center.home().join("fleet.db"))?;
    let order = db.rollout(RolloutId(1))?.order_to_send(false);
    Ok((package, order.approval.context("an approval")?))
}

fn signed_by(field: &Field, order: &UpdateOrder, keys: &[SigningKey]) -> anyhow::Result<SignedApproval> {
    let center = field.introduction(1)?.center.clone();
    let expires = super::forge::now() + SignedDuration::from_hours(1);
    let unsigned = SignedApproval::unsigned(&Approval { center, orders: vec![order.terms()], expires })?;
    keys.iter().try_fold(unsigned, |signed, key| Ok(signed.sign(key)?))
}

fn unapproved(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let approver = SigningKey::generate(&mut random());
    ask_for_approval(field, &approver)?;
    let (good, approval) = approved_rollout(field, &approver, findings)?;
    let center = field.center_of(1)?;
    let draft = field.evil_draft(2)?;
    let evil = field.signed(&draft)?;
    let end = field.order(1, &center, &evil)?;
    findings.reason(&end, "not approved: nobody approved this order");
    let keys = [SigningKey::generate(&mut random()), field.key("command")?];
    let mut forged = Ok(());
    let end = field.order_with(1, &center, &evil, |order, _| {
        forged = signed_by(field, order, &keys).map(|approval| order.approval = Some(approval));
    })?;
    forged?;
    findings.reason(&end, "not approved: the approval is signed by 0 approval keys");
    let replayed = |order: &mut UpdateOrder, _: &mut Vec<u8>| order.approval = Some(approval.clone());
    let end = field.order_with(1, &center, &evil, replayed)?;
    findings.reason(&end, "not approved: the approval is for another package");
    let end = field.order_with(1, &center, &good, replayed)?;
    findings.reason(&end, "not approved: the approval is for another rollout");
    Ok(())
}
