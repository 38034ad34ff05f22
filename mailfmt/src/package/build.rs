//! Building and signing a package (center side).

use super::delta::{self, DeltaEntry};
use super::manifest::{Applies, Manifest, ModuleEntry, ModuleKind, Rules, ScriptEntry};
use super::open::{PackageError, split};
use super::{MAGIC, PackageId, SCRIPT_NAME, signed_octets};
use crate::digest::Digest;
use crate::ids::ModuleName;
use crate::limits::Limits;
use crate::trust::SigningKey;
use crate::version::{ModuleVersion, SoftwareVersion};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

const LEVEL: Compression = Compression::new(6);

/// Everything that goes into a package.
#[derive(Debug, Clone)]
pub struct PackageDraft {
    /// The software version after the update.
    pub target: SoftwareVersion,
    /// The version of the base image after the update, where it changes.
    pub rom: Option<ModuleVersion>,
    /// Greater than that of every earlier release.
    pub release_counter: u64,
    /// When it is built.
    pub created: Timestamp,
    /// After this no appliance installs it.
    pub expires: Timestamp,
    /// Every module of the target version.
    pub modules: Vec<ModuleFile>,
    /// The install script.
    pub script: Vec<u8>,
    /// Seconds after which the script is killed.
    pub script_time_limit_secs: u32,
    /// Where it may be installed.
    pub applies: Applies,
    /// Waiting and restarting.
    pub rules: Rules,
}

/// One module with its file.
#[derive(Debug, Clone)]
pub struct ModuleFile {
    /// Its name.
    pub name: ModuleName,
    /// Its version.
    pub version: ModuleVersion,
    /// The day it was made.
    pub date: Date,
    /// What it is.
    pub kind: ModuleKind,
    /// Its file.
    pub file: Vec<u8>,
    /// Whether the file travels in the package.
    pub carried: bool,
}

/// A draft that cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two modules of one name, or one named like the script.
    #[error("the module name {name} is taken twice (`install.sh` is the script's)")]
    NameTaken {
        /// The name.
        name: ModuleName,
    },
    /// More modules or octets than appliances accept.
    #[error("{what}: {found}, but appliances accept at most {limit}")]
    TooLarge {
        /// Of what there is too much.
        what: &'static str,
        /// How much.
        found: u64,
        /// The limit.
        limit: u64,
    },
}

/// Builds an unsigned package file: same draft, same octets.
///
/// # Errors
/// [`BuildError`] for a draft that no appliance would accept.
pub fn build(draft: &PackageDraft, limits: &Limits) -> Result<Vec<u8>, BuildError> {
    assemble_draft(draft, &Differences::default(), limits)
}

/// Older files of the modules, by which a package may be made small.
#[derive(Debug, Clone, Default)]
pub struct OlderFiles {
    /// Per module the different files that appliances may have of it.
    pub files: BTreeMap<ModuleName, Vec<Vec<u8>>>,
    /// The signed or unsigned package that carries the whole files.
    pub whole: Option<PackageId>,
}

/// Builds an unsigned package file in which a carried module travels as deltas from its older files, where that is
/// shorter; same draft and files, same octets.
///
/// # Errors
/// [`BuildError`] for a draft that no appliance would accept.
pub fn build_deltas(
    draft: &PackageDraft,
    older: &OlderFiles,
    limits: &Limits,
) -> Result<Vec<u8>, BuildError> {
    let mut modules = BTreeMap::new();
    for module in draft.modules.iter().filter(|module| module.carried) {
        let Some(files) = older.files.get(&module.name) else { continue };
        let deltas: BTreeMap<Digest, Vec<u8>> =
            files.iter().map(|old| (Digest::of(old), delta::make(old, &module.file))).collect();
        let travels: usize = deltas.values().map(|delta| deflated(delta).len()).sum();
        if !deltas.is_empty() && travels < deflated(&module.file).len() {
            modules.insert(module.name.clone(), deltas);
        }
    }
    let mut draft = draft.clone();
    for module in &mut draft.modules {
        module.carried &= !modules.contains_key(&module.name);
    }
    let whole = older.whole.filter(|_| !modules.is_empty());
    assemble_draft(&draft, &Differences { modules, whole }, limits)
}

/// The deltas of a package: per module, by the SHA-256 of the older file.
#[derive(Default)]
struct Differences {
    modules: BTreeMap<ModuleName, BTreeMap<Digest, Vec<u8>>>,
    whole: Option<PackageId>,
}

impl Differences {
    fn of(&self, module: &ModuleName) -> impl Iterator<Item = (&Digest, &Vec<u8>)> {
        self.modules.get(module).into_iter().flatten()
    }
}

fn deflated(octets: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), LEVEL);
    encoder.write_all(octets).and_then(|()| encoder.finish()).expect("writing into memory does not fail")
}

fn assemble_draft(
    draft: &PackageDraft,
    differences: &Differences,
    limits: &Limits,
) -> Result<Vec<u8>, BuildError> {
    check(draft, limits)?;
    let content = content(draft, differences);
    let manifest = Manifest {
        target: draft.target.clone(),
        rom: draft.rom.clone(),
        release_counter: draft.release_counter,
        created: draft.created,
        expires: draft.expires,
        modules: draft.modules.iter().map(|module| entry(module, differences)).collect(),
        script: ScriptEntry {
            octets: octets(&draft.script),
            sha256: Digest::of(&draft.script),
            time_limit_secs: draft.script_time_limit_secs,
        },
        applies: draft.applies.clone(),
        rules: draft.rules.clone(),
        whole: differences.whole,
        content: Digest::of(&content),
        content_octets: octets(&content),
    };
    let manifest =
        serde_json::to_vec(&manifest).expect("a manifest has text keys and no failing serializers");
    let at_most = |what, found: u64, limit: usize| {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        if found > limit { Err(BuildError::TooLarge { what, found, limit }) } else { Ok(()) }
    };
    at_most("octets of the manifest", octets(&manifest), limits.manifest_octets)?;
    at_most(
        "octets of the package",
        octets(&manifest).saturating_add(octets(&content)),
        limits.package_octets,
    )?;
    Ok(assemble(&manifest, &[], &content))
}

/// Adds a signature. A second key's signature stands beside the first; the same key's replaces its own.
///
/// # Errors
/// [`PackageError`] when `package` is not a package file.
pub fn sign(package: &[u8], key: &SigningKey, limits: &Limits) -> Result<Vec<u8>, PackageError> {
    let parts = split(package, limits)?;
    let id = key.public().id();
    let mut signatures: Vec<_> = parts.signatures.into_iter().filter(|(signer, _)| *signer != id).collect();
    signatures.push((id, key.sign(&signed_octets(parts.manifest))));
    let signatures: Vec<_> =
        signatures.iter().map(|(id, signature)| [id.0.as_slice(), signature].concat()).collect();
    Ok(assemble(parts.manifest, &signatures, parts.content))
}

fn check(draft: &PackageDraft, limits: &Limits) -> Result<(), BuildError> {
    let mut names = BTreeSet::from([SCRIPT_NAME]);
    for module in &draft.modules {
        if !names.insert(module.name.as_str()) {
            return Err(BuildError::NameTaken { name: module.name.clone() });
        }
    }
    let unpacked = draft
        .modules
        .iter()
        .map(|module| octets(&module.file))
        .fold(octets(&draft.script), u64::saturating_add);
    let modules = u64::try_from(draft.modules.len()).unwrap_or(u64::MAX);
    for (what, found, limit) in [
        ("modules", modules, u64::try_from(limits.modules).unwrap_or(u64::MAX)),
        ("octets of the install script", octets(&draft.script), limits.script_octets),
        ("octets of all files", unpacked, limits.unpacked_octets),
    ] {
        if found > limit {
            return Err(BuildError::TooLarge { what, found, limit });
        }
    }
    Ok(())
}

fn entry(module: &ModuleFile, differences: &Differences) -> ModuleEntry {
    let deltas = differences.of(&module.name).map(|(from, delta)| DeltaEntry {
        from: *from,
        octets: octets(delta),
        sha256: Digest::of(delta),
    });
    ModuleEntry {
        name: module.name.clone(),
        version: module.version.clone(),
        date: module.date,
        kind: module.kind,
        octets: octets(&module.file),
        sha256: Digest::of(&module.file),
        carried: module.carried,
        deltas: deltas.collect(),
    }
}

fn content(draft: &PackageDraft, differences: &Differences) -> Vec<u8> {
    let mut archive = tar::Builder::new(DeflateEncoder::new(Vec::new(), LEVEL));
    let mut files = vec![(SCRIPT_NAME.to_owned(), draft.script.as_slice(), true)];
    for module in &draft.modules {
        if module.carried {
            files.push((module.name.to_string(), module.file.as_slice(), module.kind.is_executable()));
        }
        for (from, delta) in differences.of(&module.name) {
            files.push((delta::file_name(&module.name, from), delta, false));
        }
    }
    for (name, file, executable) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(octets(file));
        header.set_mode(if executable { 0o755 } else { 0o644 });
        header.set_entry_type(tar::EntryType::Regular);
        // No owner and no time: the same draft gives the same octets everywhere.
        archive
            .append_data(&mut header, &name, file)
            .expect("writing into memory does not fail; names are short");
    }
    archive.into_inner().and_then(DeflateEncoder::finish).expect("writing into memory does not fail")
}

fn assemble(manifest: &[u8], signatures: &[Vec<u8>], content: &[u8]) -> Vec<u8> {
    let count = |length: usize| u32::try_from(length).expect("checked against the limits").to_be_bytes();
    let mut package = Vec::with_capacity(manifest.len().saturating_add(content.len()).saturating_add(256));
    package.extend(MAGIC);
    package.extend(count(manifest.len()));
    package.extend(manifest);
    package.push(u8::try_from(signatures.len()).expect("a handful of keys signs a package"));
    package.extend(signatures.concat());
    package.extend(octets(content).to_be_bytes());
    package.extend(content);
    package
}

fn octets(file: &[u8]) -> u64 {
    u64::try_from(file.len()).unwrap_or(u64::MAX)
}
