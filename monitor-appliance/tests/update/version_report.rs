//! The version report against what is on disk.

use crate::site::{OLD, Site};
use mailfmt::message::{Report, VersionRequest};
use mailfmt::{Digest, Nonce, VersionReport};
use monitor_appliance::release::read_release;
use monitor_appliance::version_report;

fn asked(site: &Site, nonce: Nonce) -> mailfmt::message::report::VersionReportMessage {
    let VersionRequest { nonce } = VersionRequest { nonce };
    site.store().change(|change| change.request_version(None, Some(nonce), site.context.now())).unwrap();
    assert_eq!(version_report::write(&site.context).unwrap(), 1);
    match site.reports().pop().unwrap() {
        Report::Version(report) => report,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_report_says_what_the_release_says_and_gives_the_nonce_back() {
    let site = Site::new();
    let nonce = Nonce::from_bytes([7; 16]);
    let report = asked(&site, nonce);
    let release = read_release(&site.releases().folder(OLD)).unwrap();
    assert_eq!(report.nonce, Some(nonce));
    assert_eq!((&report.table.software, &report.table.rom), (&release.software, &release.rom));
    assert_eq!(report.table.modules.len(), release.modules.len());
    for (line, module) in report.table.modules.iter().zip(&release.modules) {
        assert_eq!((&line.name, &line.version, line.date), (&module.name, &module.version, module.date));
        assert_eq!(report.hashes[&module.name], module.sha256);
    }
    let text = report.table.write();
    assert!(text.starts_with("Software Version    1.0.00-1\nROM Version         1.5.08\nModules\n"));
    assert_eq!(VersionReport::parse(&text, &mailfmt::Limits::default()).unwrap(), report.table);
    assert!(!report.boot_id.is_empty());
}

#[test]
fn a_tampered_module_shows_its_real_hash_and_a_missing_one_none() {
    let site = Site::new();
    let folder = site.releases().folder(OLD);
    std::fs::write(folder.join("profiles"), b"tampered").unwrap();
    std::fs::remove_file(folder.join("refresh")).unwrap();
    let report = asked(&site, Nonce::from_bytes([7; 16]));
    let hash =
        |name: &str| report.hashes.iter().find(|(module, _)| module.as_str() == name).map(|(_, hash)| *hash);
    assert_eq!(hash("profiles"), Some(Digest::of(b"tampered")));
    assert_eq!(hash("refresh"), None);
    assert_eq!(report.table.modules.len(), 5);
}

#[test]
fn a_request_is_answered_once() {
    let site = Site::new();
    asked(&site, Nonce::from_bytes([7; 16]));
    assert_eq!(version_report::write(&site.context).unwrap(), 0);
    assert_eq!(site.reports().len(), 1);
}
