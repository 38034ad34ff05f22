//! Packages in which modules travel as differences from the files that are here.

use crate::site::{GOOD_SCRIPT, NEW, OLD, Site};
use mailfmt::message::report::UpdateOutcome;
use mailfmt::package::{OlderFiles, PackageDraft, build_deltas};
use mailfmt::{Limits, ModuleName};
use monitor_appliance::update::install;

fn profiles() -> ModuleName {
    ModuleName::new("profiles").unwrap()
}

fn knowledge(line: &str) -> Vec<u8> {
    let lines = (0u32..2000).map(|number| format!("{:08x}\n", number.wrapping_mul(2_654_435_761)));
    (lines.collect::<String>() + line).into_bytes()
}

/// A package that changes one line of `profiles`, by its difference from `older`.
fn package(site: &Site, older: &[u8]) -> Vec<u8> {
    let mut draft = PackageDraft { script: GOOD_SCRIPT.into(), ..site.draft() };
    let module = draft.modules.iter_mut().find(|module| module.name == profiles()).unwrap();
    (module.file, module.carried) = (knowledge("a new line\n"), true);
    let older = OlderFiles { files: [(profiles(), vec![older.to_vec()])].into(), whole: None };
    site.sign(&build_deltas(&draft, &older, &Limits::default()).unwrap())
}

fn site() -> Site {
    let site = Site::new();
    site.replace_in_running_release(&profiles(), &knowledge("an old line\n"));
    site
}

#[test]
fn a_difference_makes_the_module_that_was_promised() {
    let site = site();
    site.order(&package(&site, &knowledge("an old line\n")));
    let supervisor = site.supervise();
    site.wait_until_over();
    assert_eq!(site.running(), NEW);
    let made = std::fs::read(site.releases().folder(NEW).join("profiles")).unwrap();
    assert_eq!(made, knowledge("a new line\n"));
    drop(supervisor);
}

#[test]
fn a_difference_from_another_file_is_refused_so_that_the_whole_can_be_sent() {
    let site = site();
    let order = site.order(&package(&site, &knowledge("somebody else's line\n")));
    install(&site.context, order).unwrap();
    let UpdateOutcome::Refused { reason } = site.result().outcome else { panic!("not refused") };
    assert!(
        reason.contains("profiles travels as a difference from a file that this appliance does not have"),
        "{reason}"
    );
    assert_eq!(site.running(), OLD);
}
