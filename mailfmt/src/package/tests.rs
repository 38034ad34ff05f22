use super::*;
use crate::crypto::ContentKey;
use crate::ids::{AgentId, ModuleName};
use crate::limits::Limits;
use crate::trust::{DowngradePermit, PermitError, Role, Root, SignedPermit, SignedRoot, TrustedRoot};
use crate::version::{ModuleVersion, SoftwareVersion};
use jiff::Timestamp;
use proptest::prelude::*;
use std::io::Write as _;

mod deltas;
mod pieces;

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn release_key(seed: u8) -> SigningKey {
    SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(seed))
}

fn running() -> SoftwareVersion {
    SoftwareVersion::new("1.0.00-1").unwrap()
}

fn module(name: &str, file: &[u8], carried: bool) -> ModuleFile {
    ModuleFile {
        name: ModuleName::new(name).unwrap(),
        version: ModuleVersion::new("1.0.02").unwrap(),
        date: jiff::civil::date(2026, 1, 2),
        kind: ModuleKind::Resident,
        file: file.to_vec(),
        carried,
    }
}

fn draft() -> PackageDraft {
    PackageDraft {
        target: SoftwareVersion::new("1.0.02-0").unwrap(),
        rom: None,
        release_counter: 2,
        created: now(),
        expires: now() + jiff::SignedDuration::from_hours(24 * 30),
        modules: vec![
            module("device-watch", b"new watcher", true),
            module("mail-agent", b"same as before", false),
        ],
        script: b"#!/bin/sh\nexit 0\n".to_vec(),
        script_time_limit_secs: 60,
        applies: Applies { from: vec![running()], hardware: vec!["x86_64".to_owned()] },
        rules: Rules::default(),
    }
}

fn signed(draft: &PackageDraft) -> Vec<u8> {
    sign(&build(draft, &Limits::default()).unwrap(), &release_key(1), &Limits::default()).unwrap()
}

/// A root with release key 1; `change` makes it another root.
fn root_with(change: impl FnOnce(&mut Root)) -> TrustedRoot {
    let mut root = Root {
        version: 1,
        center: "CENTER".parse().unwrap(),
        created: now(),
        expires: now() + jiff::SignedDuration::from_hours(24 * 365),
        root: Role::of(release_key(101).public()),
        release: Role::of(release_key(1).public()),
        command: Role::of(release_key(102).public()),
        revoked_packages: Default::default(),
        release_counter_reset: None,
        approval: None,
    };
    change(&mut root);
    let signed = SignedRoot::unsigned(&root).unwrap().sign(&release_key(101)).unwrap();
    TrustedRoot::first(&[signed]).unwrap()
}

/// Opens as an appliance that trusts release key 1; `change` makes it another appliance.
fn open_with(package: &[u8], change: impl FnOnce(&mut Site<'_>)) -> Result<VerifiedPackage, PackageError> {
    open_on(package, &running(), change)
}

fn site<'a>(root: &'a TrustedRoot, agent: &'a AgentId, running: &'a SoftwareVersion) -> Site<'a> {
    Site { root, agent, permit: None, running, hardware: "x86_64", installed_counter: 1, now: now() }
}

fn open_on(
    package: &[u8],
    running: &SoftwareVersion,
    change: impl FnOnce(&mut Site<'_>),
) -> Result<VerifiedPackage, PackageError> {
    let (root, agent) = (root_with(|_| {}), "AGENT0000001".parse().unwrap());
    let mut site = site(&root, &agent, running);
    change(&mut site);
    open(package, &site, &Limits::default())
}

fn refused(package: &[u8]) -> PackageError {
    open_with(package, |_| {}).expect_err("it must be refused")
}

/// A package with `archive` as its content, its manifest and signature made to fit.
fn with_archive(archive: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(archive).unwrap();
    let content = encoder.finish().unwrap();
    let honest = build(&draft(), &Limits::default()).unwrap();
    let mut manifest = inspect(&honest, &Limits::default()).unwrap().manifest;
    manifest.content = Digest::of(&content);
    manifest.content_octets = content.len() as u64;
    assemble(&manifest, &content)
}

/// The package with another manifest, made to fit.
fn with_manifest(package: &[u8], manifest: &Manifest) -> Vec<u8> {
    assemble(manifest, open::split(package, &Limits::default()).unwrap().content)
}

fn assemble(manifest: &Manifest, content: &[u8]) -> Vec<u8> {
    let manifest = serde_json::to_vec(manifest).unwrap();
    let mut package = MAGIC.to_vec();
    package.extend(u32::try_from(manifest.len()).unwrap().to_be_bytes());
    package.extend(&manifest);
    package.push(0);
    package.extend((content.len() as u64).to_be_bytes());
    package.extend(content);
    sign(&package, &release_key(1), &Limits::default()).unwrap()
}

/// A tar with one entry whose name and type are written as they are, however hostile.
fn archive(name: &str, entry_type: tar::EntryType, link: Option<&str>, file: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    if let Some(link) = link {
        header.set_link_name_literal(link).unwrap();
    }
    header.set_entry_type(entry_type);
    header.set_mode(0o755);
    header.set_size(file.len() as u64);
    header.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&header, file).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn a_signed_package_opens_with_its_script_and_carried_modules() {
    let package = open_with(&signed(&draft()), |_| {}).unwrap();
    assert_eq!(package.script(), draft().script);
    assert_eq!(package.manifest().target, draft().target);
    let carried: Vec<_> =
        package.modules().iter().map(|(name, file)| (name.as_str(), file.as_slice())).collect();
    assert_eq!(carried, [("device-watch", b"new watcher".as_slice())]);
}

#[test]
fn the_same_draft_gives_the_same_package() {
    assert_eq!(signed(&draft()), signed(&draft()));
}

#[test]
fn an_unsigned_package_is_refused() {
    assert!(matches!(refused(&build(&draft(), &Limits::default()).unwrap()), PackageError::Unsigned));
}

#[test]
fn a_package_signed_by_a_stranger_is_refused() {
    let unsigned = build(&draft(), &Limits::default()).unwrap();
    let strange = sign(&unsigned, &release_key(2), &Limits::default()).unwrap();
    assert!(matches!(refused(&strange), PackageError::Untrusted { .. }));
}

#[test]
fn a_stranger_who_borrows_the_key_id_is_refused() {
    let mut package =
        sign(&build(&draft(), &Limits::default()).unwrap(), &release_key(2), &Limits::default()).unwrap();
    let manifest_end = 8 + u32::from_be_bytes(package[4..8].try_into().unwrap()) as usize;
    package[manifest_end + 1..manifest_end + 9].copy_from_slice(&release_key(1).public().id().0);
    assert!(matches!(refused(&package), PackageError::Untrusted { .. }));
}

#[test]
fn a_second_signature_stands_beside_the_first() {
    let twice = sign(&signed(&draft()), &release_key(2), &Limits::default()).unwrap();
    assert_eq!(inspect(&twice, &Limits::default()).unwrap().signers.len(), 2);
    assert!(open_with(&twice, |_| {}).is_ok());
}

#[test]
fn the_signature_does_not_change_the_package_id() {
    let unsigned = build(&draft(), &Limits::default()).unwrap();
    let id = inspect(&unsigned, &Limits::default()).unwrap().id;
    assert_eq!(open_with(&signed(&draft()), |_| {}).unwrap().id(), id);
}

#[test]
fn any_flipped_bit_is_refused() {
    let package = signed(&draft());
    let key_id = 8 + u32::from_be_bytes(package[4..8].try_into().unwrap()) as usize + 1;
    for bit in 0..package.len() * 8 {
        let mut flipped = package.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(open_with(&flipped, |_| {}).is_err(), "bit {bit} (key id at octet {key_id})");
    }
}

#[test]
fn any_prefix_is_refused() {
    let package = signed(&draft());
    for length in 0..package.len() {
        assert!(open_with(&package[..length], |_| {}).is_err(), "{length} octets");
    }
}

#[test]
fn a_path_that_leaves_the_folder_is_refused() {
    for name in ["../device-watch", "/etc/passwd", "a/../../x", "./device-watch", "sub/device-watch"] {
        let package = with_archive(&archive(name, tar::EntryType::Regular, None, b"new watcher"));
        assert!(matches!(refused(&package), PackageError::Entry { .. }), "{name}");
    }
}

#[test]
fn links_directories_and_devices_are_refused() {
    for (entry_type, link) in [
        (tar::EntryType::Symlink, Some("/etc/passwd")),
        (tar::EntryType::Link, Some("mail-agent")),
        (tar::EntryType::Directory, None),
        (tar::EntryType::Fifo, None),
        (tar::EntryType::Block, None),
        (tar::EntryType::Char, None),
    ] {
        let package = with_archive(&archive("device-watch", entry_type, link, b""));
        assert!(matches!(refused(&package), PackageError::Entry { .. }), "{entry_type:?}");
    }
}

#[test]
fn a_module_that_is_not_the_one_named_is_refused() {
    let package = with_archive(&archive("device-watch", tar::EntryType::Regular, None, b"bad watcher"));
    assert!(matches!(refused(&package), PackageError::File { name } if name == "device-watch"));
}

#[test]
fn a_file_that_the_manifest_does_not_name_is_refused() {
    // mail-agent is named, but not as carried.
    let package = with_archive(&archive("mail-agent", tar::EntryType::Regular, None, b"same as before"));
    assert!(matches!(refused(&package), PackageError::Entry { name, .. } if name == "mail-agent"));
}

#[test]
fn a_missing_module_is_refused() {
    let package = with_archive(&archive(SCRIPT_NAME, tar::EntryType::Regular, None, &draft().script));
    assert!(matches!(refused(&package), PackageError::Missing { name } if name == "device-watch"));
}

#[test]
fn a_bomb_is_refused_at_the_declared_size() {
    let bomb = archive("device-watch", tar::EntryType::Regular, None, &vec![0; 50 << 20]);
    let package = with_archive(&bomb);
    assert!(package.len() < 200_000, "fifty megabytes of zeros deflate well");
    assert!(matches!(refused(&package), PackageError::File { .. } | PackageError::Damaged { .. }));
}

#[test]
fn declared_sizes_beyond_the_limits_are_refused_before_anything_is_inflated() {
    let limits = Limits { unpacked_octets: 10, ..Limits::default() };
    let (root, agent, running) = (root_with(|_| {}), "AGENT0000001".parse().unwrap(), running());
    let site = site(&root, &agent, &running);
    assert!(matches!(open(&signed(&draft()), &site, &limits), Err(PackageError::TooLarge { .. })));
}

#[test]
fn a_package_for_another_version_hardware_or_time_is_refused() {
    let package = signed(&draft());
    let other = SoftwareVersion::new("1.0.01-1").unwrap();
    let wrong_version = open_on(&package, &other, |_| {}).unwrap_err();
    assert!(matches!(wrong_version, PackageError::WrongVersion { .. }));
    let wrong_hardware = open_with(&package, |site| site.hardware = "aarch64").unwrap_err();
    assert!(matches!(wrong_hardware, PackageError::WrongHardware { .. }));
    let expired =
        open_with(&package, |site| site.now += jiff::SignedDuration::from_hours(24 * 31)).unwrap_err();
    assert!(matches!(expired, PackageError::Expired { .. }));
    let downgrade = open_with(&package, |site| site.installed_counter = 3).unwrap_err();
    assert!(matches!(downgrade, PackageError::Downgrade { found: 2, installed: 3 }));
}

#[test]
fn a_draft_with_a_name_taken_twice_cannot_be_built() {
    let mut twice = draft();
    twice.modules.push(module("device-watch", b"again", true));
    assert!(matches!(build(&twice, &Limits::default()), Err(BuildError::NameTaken { .. })));
    let mut script = draft();
    script.modules.push(module(SCRIPT_NAME, b"a module that would hide the script", true));
    assert!(matches!(build(&script, &Limits::default()), Err(BuildError::NameTaken { .. })));
}

fn open_under(package: &[u8], root: &TrustedRoot) -> Result<VerifiedPackage, PackageError> {
    let (agent, running) = ("AGENT0000001".parse().unwrap(), running());
    open(package, &site(root, &agent, &running), &Limits::default())
}

#[test]
fn a_package_needs_as_many_release_keys_as_the_root_says() {
    let both = Role { threshold: 2, keys: [1, 2, 3].map(|seed| release_key(seed).public()).to_vec() };
    let root = root_with(|root| root.release = both);
    let one = signed(&draft());
    let refused = open_under(&one, &root).unwrap_err();
    assert!(matches!(refused, PackageError::BelowThreshold { valid: 1, threshold: 2 }));
    let again = sign(&one, &release_key(1), &Limits::default()).unwrap();
    assert!(open_under(&again, &root).is_err(), "the same key twice is one key");
    let two = sign(&one, &release_key(3), &Limits::default()).unwrap();
    assert!(open_under(&two, &root).is_ok());
    assert!(check_signatures(&two, root.root(), now(), &Limits::default()).is_ok());
    assert!(check_signatures(&one, root.root(), now(), &Limits::default()).is_err());
}

#[test]
fn a_revoked_package_is_refused() {
    let package = signed(&draft());
    let id = inspect(&package, &Limits::default()).unwrap().id;
    let root = root_with(|root| root.revoked_packages = [id].into());
    assert!(matches!(open_under(&package, &root), Err(PackageError::Revoked { root: 1 })));
}

#[test]
fn nothing_is_installed_under_an_expired_root() {
    let root = root_with(|root| root.expires = now() - jiff::SignedDuration::from_secs(1));
    assert!(matches!(open_under(&signed(&draft()), &root), Err(PackageError::RootExpired { root: 1, .. })));
}

#[test]
fn a_release_counter_that_jumps_too_far_is_refused() {
    let step = Limits::default().release_counter_step;
    let at = |release_counter| signed(&PackageDraft { release_counter, ..draft() });
    assert!(open_with(&at(1 + step), |_| {}).is_ok());
    for counter in [2 + step, u64::MAX] {
        let refused = open_with(&at(counter), |_| {}).unwrap_err();
        assert!(matches!(refused, PackageError::FastForward { installed: 1, .. }), "{counter}");
    }
}

fn permit(package: &[u8]) -> DowngradePermit {
    DowngradePermit {
        center: "CENTER".parse().unwrap(),
        agents: vec!["AGENT0000007".parse().unwrap(), "AGENT0000001".parse().unwrap()],
        package: inspect(package, &Limits::default()).unwrap().id,
        from: running(),
        to: draft().target,
        expires: now() + jiff::SignedDuration::from_hours(24),
    }
}

/// Opens on an appliance that has installed release counter 9, with this permit signed by the key of `seed`.
fn go_back(permit: &DowngradePermit, seed: u8) -> Result<VerifiedPackage, PackageError> {
    let permit = SignedPermit::unsigned(permit).unwrap().sign(&release_key(seed)).unwrap();
    let (root, agent, running) = (root_with(|_| {}), "AGENT0000001".parse().unwrap(), running());
    let site = Site { permit: Some(&permit), installed_counter: 9, ..site(&root, &agent, &running) };
    open(&signed(&draft()), &site, &Limits::default())
}

#[test]
fn a_signed_permit_lets_a_named_appliance_go_back() {
    assert!(go_back(&permit(&signed(&draft())), 1).is_ok());
}

#[test]
fn a_permit_signed_by_anyone_but_the_release_role_permits_nothing() {
    for seed in [2, 101, 102] {
        let refused = go_back(&permit(&signed(&draft())), seed).unwrap_err();
        assert!(matches!(refused, PackageError::Permit(PermitError::Signatures { valid: 0, .. })), "{seed}");
    }
}

#[test]
fn a_permit_for_another_appliance_package_version_or_time_permits_nothing() {
    let honest = permit(&signed(&draft()));
    type Change = fn(&mut DowngradePermit);
    let changes: [(&str, Change); 6] = [
        ("center", |permit| permit.center = "OTHER".parse().unwrap()),
        ("appliance", |permit| permit.agents.truncate(1)),
        ("package", |permit| permit.package = Digest::of(b"another")),
        ("from", |permit| permit.from = SoftwareVersion::new("9.0.0").unwrap()),
        ("to", |permit| permit.to = SoftwareVersion::new("0.0.1").unwrap()),
        ("expires", |permit| permit.expires = now() - jiff::SignedDuration::from_secs(1)),
    ];
    for (what, change) in changes {
        let mut other = honest.clone();
        change(&mut other);
        assert!(matches!(go_back(&other, 1), Err(PackageError::Permit(_))), "{what}");
    }
}

fn content_key() -> ContentKey {
    ContentKey::generate(&mut |buffer: &mut [u8]| buffer.fill(5))
}

#[test]
fn an_enclosure_of_any_length_around_the_chunk_size_comes_back() {
    for length in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000] {
        let package = vec![0xa5; length];
        let enclosure = enclose(&package, &content_key());
        assert_eq!(unwrap(&enclosure, &content_key(), &Limits::default()).unwrap(), package, "{length}");
    }
}

#[test]
fn an_enclosure_that_is_cut_reordered_or_changed_is_refused() {
    let package: Vec<u8> = (0..200_000u32).map(|octet| octet.to_be_bytes()[3]).collect();
    let enclosure = enclose(&package, &content_key());
    let open = |octets: &[u8]| unwrap(octets, &content_key(), &Limits::default());
    let chunk = 65_536 + 16;
    for length in [0, 4, 5, 4 + chunk, 4 + 2 * chunk, enclosure.len() - 1] {
        assert!(open(&enclosure[..length]).is_err(), "cut to {length}");
    }
    let mut swapped = enclosure.clone();
    swapped[4..4 + chunk].copy_from_slice(&enclosure[4 + chunk..4 + 2 * chunk]);
    swapped[4 + chunk..4 + 2 * chunk].copy_from_slice(&enclosure[4..4 + chunk]);
    assert_eq!(open(&swapped), Err(EnclosureError::Forged));
    for place in [0, 4, 70_000, enclosure.len() - 1] {
        let mut changed = enclosure.clone();
        changed[place] ^= 1;
        assert!(open(&changed).is_err(), "changed at {place}");
    }
    let mut longer = enclosure;
    longer.push(0);
    assert_eq!(open(&longer), Err(EnclosureError::Forged));
}

#[test]
fn secrets_are_not_printed() {
    let key = release_key(1);
    assert!(!format!("{key:?}").contains("0101"));
    assert_eq!(format!("{:?}", content_key()), "ContentKey(<secret>)");
    assert_eq!(SigningKey::from_pem(&key.expose_pem()).unwrap().public(), key.public());
}

proptest! {
    #[test]
    fn any_octets_are_refused_without_a_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(inspect(&octets, &Limits::default()).is_err());
        prop_assert!(inspect(&[MAGIC.as_slice(), &octets].concat(), &Limits::default()).is_err());
        prop_assert!(unwrap(&octets, &content_key(), &Limits::default()).is_err());
    }
}
