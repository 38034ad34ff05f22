//! Which packages lead from one software version to another, one after the other. Pure.
//!
//! What may follow on what is said by the packages themselves ([`mailfmt::package::Applies`]): from which versions, on which
//! hardware. Release counters only grow on the way, since no appliance goes back.

use mailfmt::SoftwareVersion;
use mailfmt::package::{Manifest, PackageId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A package that may be sent.
#[derive(Debug, Clone, Copy)]
pub struct Hop<'a> {
    /// Its id.
    pub package: PackageId,
    /// Its manifest.
    pub manifest: &'a Manifest,
}

/// There is no way to the version that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum NoWay {
    /// No chain of known packages.
    #[error(
        "no packages of this center lead from {from}{} to {to}; missing is a signed one that may follow on {from} and leads to {}",
        on(hardware),
        Either(towards)
    )]
    Missing {
        /// The version that runs.
        from: String,
        /// The hardware it runs on; empty where that is not known.
        hardware: String,
        /// The version that is wanted.
        to: String,
        /// The versions from which there is a way.
        towards: BTreeSet<String>,
    },
    /// The last package is not made for that hardware.
    #[error(
        "the package is for {wanted}, not for {hardware}; missing is one that leads to {to} on {hardware}"
    )]
    Hardware {
        /// The hardware.
        hardware: String,
        /// What it is made for.
        wanted: String,
        /// The version that is wanted.
        to: String,
    },
}

fn on(hardware: &str) -> String {
    if hardware.is_empty() { String::new() } else { format!(" on {hardware}") }
}

/// The first few of many versions.
struct Either<'a>(&'a BTreeSet<String>);

impl fmt::Display for Either<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let names: Vec<_> = self.0.iter().take(SHOWN).map(ToString::to_string).collect();
        let more = if self.0.len() > SHOWN { " or others" } else { "" };
        write!(f, "{}{more}", names.join(" or "))
    }
}

impl Hop<'_> {
    fn made_for(&self, hardware: &str) -> bool {
        let classes = &self.manifest.applies.hardware;
        // What an appliance has never told is left to it to judge.
        hardware.is_empty() || classes.is_empty() || classes.iter().any(|class| class == hardware)
    }

    fn follows(&self, version: &SoftwareVersion) -> bool {
        let from = &self.manifest.applies.from;
        from.is_empty() || from.contains(version)
    }

    fn counter(&self) -> u64 {
        self.manifest.release_counter
    }
}

/// The shortest chain of `hops` from the version that runs, whose last one is one of `goal`, packages that lead to the same
/// version. Among equally short ones that of the newest releases.
///
/// # Errors
/// [`NoWay`].
pub fn way<'a>(
    hops: &[Hop<'a>],
    running: &SoftwareVersion,
    hardware: &str,
    goal: &[Hop<'a>],
) -> Result<Vec<Hop<'a>>, NoWay> {
    let Some(last) = goal.first() else { return Ok(Vec::new()) };
    let to = last.manifest.target.to_string();
    let goal: Vec<_> = goal.iter().filter(|hop| hop.made_for(hardware)).copied().collect();
    if goal.is_empty() {
        let (hardware, wanted) = (hardware.to_owned(), last.manifest.applies.hardware.join(" or "));
        return Err(NoWay::Hardware { hardware, wanted, to });
    }
    let mut usable: Vec<_> = hops.iter().filter(|hop| hop.made_for(hardware)).copied().collect();
    usable.sort_by_key(|hop| (std::cmp::Reverse(hop.counter()), hop.package));
    // Each package is come to once, by the shortest way: so a circle ends, and so does the search.
    let mut before = BTreeMap::<PackageId, Option<Hop<'a>>>::new();
    let mut level: Vec<(SoftwareVersion, Option<Hop<'a>>)> = vec![(running.clone(), None)];
    while !level.is_empty() {
        for (version, came_by) in &level {
            let counter = came_by.map_or(0, |hop| hop.counter());
            if let Some(end) = goal.iter().find(|hop| hop.follows(version) && hop.counter() > counter) {
                let mut chain = vec![*end];
                let mut at = *came_by;
                while let Some(hop) = at {
                    chain.push(hop);
                    at = before.get(&hop.package).copied().flatten();
                }
                chain.reverse();
                return Ok(chain);
            }
        }
        let mut next = Vec::new();
        for (version, came_by) in &level {
            let counter = came_by.map_or(0, |hop| hop.counter());
            for hop in &usable {
                let leads_on =
                    hop.follows(version) && hop.counter() > counter && hop.manifest.target != *version;
                if leads_on && !before.contains_key(&hop.package) {
                    before.insert(hop.package, *came_by);
                    next.push((hop.manifest.target.clone(), Some(*hop)));
                }
            }
        }
        level = next;
    }
    Err(NoWay::Missing {
        from: running.to_string(),
        hardware: hardware.to_owned(),
        to,
        towards: towards(&usable, &goal),
    })
}

/// The versions from which the goal can be come to.
fn towards(usable: &[Hop<'_>], goal: &[Hop<'_>]) -> BTreeSet<String> {
    let from = |hop: &Hop<'_>| hop.manifest.applies.from.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut found: BTreeSet<String> = goal.iter().flat_map(from).collect();
    loop {
        let leading = usable.iter().filter(|hop| found.contains(hop.manifest.target.as_str()));
        let further: BTreeSet<String> = leading.flat_map(from).collect();
        if further.is_subset(&found) {
            return found;
        }
        found.extend(further);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{SignedDuration, Timestamp};
    use mailfmt::Digest;
    use mailfmt::package::{Applies, Rules, ScriptEntry};

    fn version(text: &str) -> SoftwareVersion {
        SoftwareVersion::new(text).unwrap()
    }

    /// A package with this counter, from these versions to that one, on this hardware.
    fn package(counter: u64, from: &[&str], to: &str, hardware: &[&str]) -> Manifest {
        let created: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        Manifest {
            target: version(to),
            rom: None,
            release_counter: counter,
            created,
            expires: created + SignedDuration::from_hours(24),
            modules: Vec::new(),
            script: ScriptEntry { octets: 0, sha256: Digest::of(b""), time_limit_secs: 1 },
            applies: Applies {
                from: from.iter().map(|text| version(text)).collect(),
                hardware: hardware.iter().map(ToString::to_string).collect(),
            },
            rules: Rules::default(),
            whole: None,
            content: Digest::of(b""),
            content_octets: 0,
        }
    }

    fn found(packages: &[Manifest], running: &str, hardware: &str) -> Result<Vec<u64>, NoWay> {
        let id = |manifest: &Manifest| Digest::of(&manifest.release_counter.to_be_bytes());
        let hops: Vec<_> = packages.iter().map(|manifest| Hop { package: id(manifest), manifest }).collect();
        let chain = way(&hops, &version(running), hardware, &hops[hops.len() - 1..])?;
        Ok(chain.iter().map(|hop| hop.manifest.release_counter).collect())
    }

    #[test]
    fn what_the_package_may_follow_on_takes_it_in_one_step() {
        let packages =
            [package(2, &["1.0.00-1"], "1.0.01-0", &[]), package(3, &["1.0.01-0"], "1.0.02-0", &[])];
        assert_eq!(found(&packages, "1.0.01-0", ""), Ok(vec![3]));
        assert_eq!(found(&packages, "1.0.00-1", ""), Ok(vec![2, 3]));
        assert_eq!(found(&[package(3, &[], "1.0.02-0", &[])], "0.0.01-0", "x86_64"), Ok(vec![3]));
    }

    #[test]
    fn the_shortest_chain_is_taken_and_of_two_the_newer_releases() {
        let packages = [
            package(2, &["1.0.00-1"], "1.0.01-0", &[]),
            package(3, &["1.0.01-0"], "1.0.02-0", &[]),
            package(4, &["1.0.00-1"], "1.0.02-0", &[]),
            package(5, &["1.0.00-1"], "1.0.02-0", &[]),
            package(6, &["1.0.02-0"], "1.0.03-0", &[]),
        ];
        assert_eq!(found(&packages, "1.0.00-1", ""), Ok(vec![5, 6]));
    }

    #[test]
    fn circles_end_and_nobody_is_led_back() {
        let circle = [
            package(2, &["1.0.00-1"], "1.0.01-0", &[]),
            package(3, &["1.0.01-0"], "1.0.00-1", &[]),
            package(9, &["1.0.05-0"], "1.0.06-0", &[]),
        ];
        assert!(matches!(found(&circle, "1.0.00-1", ""), Err(NoWay::Missing { .. })));
        // The first step would have a greater release counter than the last.
        let back = [package(9, &["1.0.00-1"], "1.0.01-0", &[]), package(3, &["1.0.01-0"], "1.0.02-0", &[])];
        assert!(matches!(found(&back, "1.0.00-1", ""), Err(NoWay::Missing { .. })));
    }

    #[test]
    fn each_hardware_has_its_own_way() {
        let packages = [
            package(2, &["1.0.00-1"], "1.0.01-0", &["armv7"]),
            package(3, &["1.0.00-1"], "1.0.01-1", &["x86_64"]),
            package(4, &["1.0.01-0", "1.0.01-1"], "1.0.02-0", &["armv7", "x86_64"]),
        ];
        assert_eq!(found(&packages, "1.0.00-1", "armv7"), Ok(vec![2, 4]));
        assert_eq!(found(&packages, "1.0.00-1", "x86_64"), Ok(vec![3, 4]));
        let error = found(&packages, "1.0.00-1", "riscv64").unwrap_err();
        let said = "the package is for armv7 or x86_64, not for riscv64; missing is one that leads to 1.0.02-0 on riscv64";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn where_there_is_no_way_the_missing_package_is_named() {
        let packages =
            [package(2, &["1.0.00-1"], "1.0.01-0", &[]), package(3, &["1.0.01-0"], "1.0.02-0", &[])];
        assert_eq!(
            found(&packages, "0.9.00-0", "").unwrap_err().to_string(),
            "no packages of this center lead from 0.9.00-0 to 1.0.02-0; missing is a signed one that may follow on \
             0.9.00-0 and leads to 1.0.00-1 or 1.0.01-0"
        );
    }
}
