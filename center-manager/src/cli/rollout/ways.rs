//! Which of the chosen appliances may take the package at once, which need others before it, and which have no way to it.

use crate::db::Db;
use crate::db::appliances::Appliance;
use crate::db::packages::StoredPackage;
use crate::rollout::{Hop, NoWay, way};
use anyhow::bail;
use jiff::Timestamp;
use mailfmt::package::PackageId;
use std::collections::BTreeMap;
use std::io::Write;

/// Those that need other packages first, by the versions on their way.
struct Later {
    first: PackageId,
    agents: Vec<String>,
}

/// Leaves out who has to take other packages first, and says which command brings them nearer. Whoever runs the package's
/// version already, or has never said what it runs, stays; so does who has no way there, and it is said what is missing.
///
/// # Errors
/// When nobody is left.
pub(super) fn keep_those_in_reach(
    db: &Db,
    package: &StoredPackage,
    appliances: &mut Vec<Appliance>,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let known = db.packages()?;
    let sendable: Vec<Hop<'_>> = known
        .iter()
        .filter(|known| !known.signers.is_empty() && known.manifest.expires > now)
        .map(|known| Hop { package: known.id, manifest: &known.manifest })
        .collect();
    // Whoever refuses the differences gets the whole files.
    let mut goal = vec![Hop { package: package.id, manifest: &package.manifest }];
    goal.extend(sendable.iter().filter(|hop| package.manifest.whole == Some(hop.package)));
    let (mut later, mut none) = (BTreeMap::<String, Later>::new(), BTreeMap::<NoWay, usize>::new());
    appliances.retain(|appliance| {
        let Some(running) =
            appliance.software.as_ref().filter(|running| **running != package.manifest.target)
        else {
            return true;
        };
        match way(&sendable, running, &appliance.hardware, &goal) {
            Ok(chain) => match chain.as_slice() {
                [first, _, ..] => {
                    let versions = chain.iter().map(|hop| hop.manifest.target.to_string());
                    let steps: Vec<_> = std::iter::once(running.to_string()).chain(versions).collect();
                    let group = later
                        .entry(steps.join(" -> "))
                        .or_insert_with(|| Later { first: first.package, agents: Vec::new() });
                    group.agents.push(appliance.agent.to_string());
                    false
                }
                _ => true,
            },
            // It is ordered all the same: it refuses, and stands in the report as what it is.
            Err(error) => {
                *none.entry(error).or_default() += 1;
                true
            }
        }
    });
    for (error, count) in &none {
        writeln!(out, "will fail  {count} appliances: {error} (center-manager package add)")?;
    }
    for (steps, Later { first, agents }) in &later {
        writeln!(
            out,
            "left out   {} at step 1 of {}: {steps}; their first step:\n           center-manager rollout start --package {first} --agents {}",
            agents.len(),
            steps.matches(" -> ").count(),
            agents.join(",")
        )?;
    }
    if appliances.is_empty() && !later.is_empty() {
        bail!("all of them need another package first; the commands above send it");
    }
    Ok(())
}
