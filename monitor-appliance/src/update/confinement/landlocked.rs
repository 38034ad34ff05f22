//! Landlock: what a script may write to and whom it may reach, by the kernel's own check of every access.

use super::super::script::Script;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use std::path::{Path, PathBuf};

/// The newest rules that are asked for; an older kernel applies those that it knows.
const RULES: ABI = ABI::V9;

/// Device files that every script expects to be able to write.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/tty"];

/// Restricts this process and all that it starts: reading and running everything, writing only beneath the folders of
/// the script, no TCP, no signals and no abstract sockets to others. Cannot be taken back.
///
/// # Errors
/// For a person, when the kernel has no Landlock or a rule cannot be made.
pub(super) fn restrict(script: &Script) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| super::super::reason(error);
    let writing = AccessFs::from_write(RULES);
    let mut rules = Ruleset::default()
        .handle_access(writing)
        .and_then(|rules| rules.handle_access(AccessNet::from_all(RULES)))
        .and_then(|rules| rules.scope(Scope::from_all(RULES)))
        .and_then(Ruleset::create)
        .map_err(|error| text(&error))?;
    for path in folders(script).iter().chain(&script.may_write) {
        rules = allow(rules, path, beneath()).map_err(|error| text(&error))?;
    }
    for device in DEVICES {
        let access = AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
        rules = allow(rules, Path::new(device), access).map_err(|error| text(&error))?;
    }
    let status = rules.restrict_self().map_err(|error| text(&error))?;
    match status.ruleset {
        RulesetStatus::NotEnforced => Err("this kernel has no Landlock".to_owned()),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

/// Where any script may write: the new release, the appliance's state, its own working folder.
fn folders(script: &Script) -> [PathBuf; 3] {
    [script.release_dir.clone(), script.state_dir.clone(), script.package_dir.clone()]
}

/// Everything but making devices: a device file of one's own would be a way around all of this.
fn beneath() -> BitFlags<AccessFs> {
    AccessFs::from_write(RULES) & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev)
}

fn allow(
    rules: landlock::RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<landlock::RulesetCreated, landlock::RulesetError> {
    let Ok(folder) = PathFd::new(path) else { return Ok(rules) };
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(RULES) };
    rules.add_rule(PathBeneath::new(folder, access))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_makes_devices_is_ever_allowed() {
        assert!(!beneath().intersects(AccessFs::MakeChar | AccessFs::MakeBlock));
        assert!(beneath().contains(AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::RemoveFile));
    }
}
