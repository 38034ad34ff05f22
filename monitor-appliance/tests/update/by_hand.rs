//! `monitor-appliance update FILE`: a package from a stick.

use crate::site::{NEW, OLD, Site, until};
use mailfmt::Limits;
use mailfmt::message::Report;
use mailfmt::message::report::UpdateOutcome;
use mailfmt::package::{SigningKey, build, sign};
use monitor_appliance::context::system_random;
use std::path::PathBuf;
use std::process::{Command, Output};

fn stick(site: &Site, package: &[u8]) -> PathBuf {
    let file = site.root().join("stick.mfp");
    std::fs::write(&file, package).unwrap();
    file
}

fn update(site: &Site, file: &std::path::Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_monitor-appliance"))
        .arg("--root")
        .arg(site.root())
        .args(["--format", "json", "update"])
        .arg(file)
        .args(more)
        .output()
        .unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// A module gives a sign of life, as those of a supervised appliance do; one that no trial waits for.
fn alive(site: &Site) {
    site.store().change(|change| change.beat("elsewhere", site.context.now())).unwrap();
}

#[test]
fn a_package_from_a_stick_is_installed_like_one_that_came_by_mail_and_reported_without_an_order() {
    let site = Site::new();
    alive(&site);
    let _supervisor = site.supervise();
    let output = update(&site, &stick(&site, &site.signed(&site.draft())), &["--yes", "--wait-minutes", "1"]);
    let told = json(&output);
    assert_eq!((&told["state"], &told["to"]), (&"installed".into(), &NEW.into()), "{told}");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(site.running(), NEW);
    assert_eq!(site.result().outcome, UpdateOutcome::Installed);
    let reports = site.store().outbox_newest(10).unwrap();
    let result = reports.iter().find(|row| row.kind == "update-result").unwrap();
    assert_eq!(result.in_reply_to, None);
    // Nobody who could ask for the version knows of it.
    until("a version report", || {
        let versions = site.reports().into_iter().filter_map(|report| match report {
            Report::Version(version) => Some((version.table.software.to_string(), version.nonce)),
            _ => None,
        });
        versions.collect::<Vec<_>>() == [(NEW.to_owned(), None)]
    });
}

#[test]
fn a_package_by_a_stranger_is_refused_from_a_stick_too() {
    let stranger = SigningKey::generate(&mut system_random);
    let site = Site::new();
    alive(&site);
    let _supervisor = site.supervise();
    let unsigned = build(&site.draft(), &Limits::default()).unwrap();
    let by_a_stranger = sign(&unsigned, &stranger, &Limits::default()).unwrap();
    let output = update(&site, &stick(&site, &by_a_stranger), &["--yes"]);
    let told = json(&output);
    assert_eq!(told["state"], "refused", "{told}");
    assert!(told["reason"].as_str().unwrap().contains("no valid signature"), "{told}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(site.running(), OLD);
}

#[test]
fn without_a_supervisor_the_order_waits_and_the_person_is_told() {
    let site = Site::new();
    let output = update(&site, &stick(&site, &site.signed(&site.draft())), &["--yes"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(json(&output)["note"].as_str().unwrap().contains("supervisor does not run"));
    assert_eq!(site.store().update_orders_open().unwrap().len(), 1);
    let nobody = update(&site, &stick(&site, b"holiday pictures"), &["--yes"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("is no package"));
    let unasked = update(&site, &stick(&site, &site.signed(&site.draft())), &[]);
    assert!(String::from_utf8_lossy(&unasked.stderr).contains("add --yes"));
}
