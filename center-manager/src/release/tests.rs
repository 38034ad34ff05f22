use super::*;
use std::fs;

fn release(folder: &Path, modules: &[(&str, &[u8])]) -> Release {
    let modules = modules
        .iter()
        .map(|(name, file)| {
            fs::write(folder.join(name), file).unwrap();
            ReleaseModule {
                name: ModuleName::new(name).unwrap(),
                version: ModuleVersion::new("1.0.00").unwrap(),
                date: jiff::civil::date(2026, 1, 2),
                kind: ModuleKind::Data,
                sha256: Digest::of(file),
                octets: file.len() as u64,
            }
        })
        .collect();
    let release = Release {
        software: SoftwareVersion::new("1.0.00-1").unwrap(),
        rom: ModuleVersion::new("1.5.08").unwrap(),
        release_counter: 3,
        modules,
    };
    fs::write(folder.join(RELEASE_FILE), serde_json::to_vec(&release).unwrap()).unwrap();
    release
}

#[test]
fn a_release_folder_gives_every_module_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    release(folder.path(), &[("one", b"1"), ("two", b"22")]);
    let source = Source::from_folder(folder.path()).unwrap();
    assert_eq!((source.target.as_str(), source.release_counter), ("1.0.00-1", Some(3)));
    let files: Vec<_> = source.modules.iter().map(|module| module.file.as_slice()).collect();
    assert_eq!(files, [b"1".as_slice(), b"22"]);
}

#[test]
fn a_file_that_was_changed_after_its_release_was_described_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    release(folder.path(), &[("one", b"1")]);
    fs::write(folder.path().join("one"), b"changed").unwrap();
    assert!(matches!(Source::from_folder(folder.path()), Err(ReleaseError::Changed { .. })));
}

#[test]
fn only_what_differs_from_the_running_release_travels() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let running = release(old.path(), &[("same", b"1"), ("changed", b"2")]);
    release(new.path(), &[("same", b"1"), ("changed", b"3"), ("new", b"4")]);
    let mut source = Source::from_folder(new.path()).unwrap();
    assert_eq!(source.carry_changes_since(&running), 2);
    let carried: Vec<_> =
        source.modules.iter().filter(|module| module.carried).map(|module| module.name.as_str()).collect();
    assert_eq!(carried, ["changed", "new"]);
}

#[test]
fn a_module_list_names_files_from_its_own_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("build")).unwrap();
    fs::write(folder.path().join("build/watch"), b"elf").unwrap();
    fs::write(folder.path().join("profiles"), b"data").unwrap();
    let list = folder.path().join("modules.toml");
    fs::write(
        &list,
        r#"
target = "1.0.02-0"
[[module]]
name = "device-watch"
version = "1.0.02"
date = "2026-11-21"
kind = "resident"
file = "build/watch"
[[module]]
name = "profiles"
version = "7"
date = "2026-11-20"
kind = "data"
"#,
    )
    .unwrap();
    let source = Source::from_list(&list).unwrap();
    assert_eq!((source.target.as_str(), source.rom, source.release_counter), ("1.0.02-0", None, None));
    assert_eq!(source.modules[0].file, b"elf");
    assert_eq!(source.modules[1].file, b"data");
}

#[test]
fn a_module_list_with_an_unknown_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("modules.toml");
    fs::write(&list, "target = \"1.0.02-0\"\ntarge = 1\n").unwrap();
    assert!(matches!(Source::from_list(&list), Err(ReleaseError::List { .. })));
}
