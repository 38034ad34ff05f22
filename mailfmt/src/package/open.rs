//! Opening a package (appliance side): the only maker of [`VerifiedPackage`].

use super::delta::{self, DeltaError};
use super::manifest::Manifest;
use super::{MAGIC, PackageId, SCRIPT_NAME, signed_octets};
use crate::digest::Digest;
use crate::ids::{AgentId, ModuleName};
use crate::limits::Limits;
use crate::reader::Reader;
use crate::trust::{Downgrade, KeyId, PermitError, Role, Root, SignedPermit, TrustedRoot};
use crate::version::SoftwareVersion;
use flate2::read::DeflateDecoder;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// Why a package is not accepted. None of its files was written and nothing of it has run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// It does not start like a package of a format that we know.
    #[error("not a package of a known format")]
    NotAPackage,
    /// It ends too early, or a field has an impossible value.
    #[error("the package is cut or damaged at {field}")]
    Damaged {
        /// Which field.
        field: &'static str,
    },
    /// Larger than allowed.
    #[error("the package's {what} is {found}, more than the {limit} allowed")]
    TooLarge {
        /// Of what there is too much.
        what: &'static str,
        /// How much.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// No signature at all.
    #[error("the package is not signed; sign it with `center-manager package sign`")]
    Unsigned,
    /// Signed, but by no key that we trust, or not over this manifest.
    #[error("no valid signature by a trusted release key (signed by {signers})")]
    Untrusted {
        /// The ids of the keys that it says it was signed by.
        signers: String,
    },
    /// Signed by trusted keys, but not by enough of them.
    #[error(
        "the package is signed by {valid} trusted release keys, {threshold} must; sign it with another one"
    )]
    BelowThreshold {
        /// Release keys that validly signed.
        valid: usize,
        /// How many must.
        threshold: u32,
    },
    /// The root names it as revoked.
    #[error("the package was revoked by root {root}")]
    Revoked {
        /// The version of the root.
        root: u64,
    },
    /// The root has expired, so whether its release keys still count is not known.
    #[error("root {root} expired at {expires}; nothing is installed until the center sends a newer one")]
    RootExpired {
        /// The version of the root.
        root: u64,
        /// When.
        expires: Timestamp,
    },
    /// The manifest is not what this version understands.
    #[error("the manifest cannot be read")]
    Manifest {
        /// What the JSON reader found, with its place.
        source: serde_json::Error,
    },
    /// The content is not the one that was signed.
    #[error("the content is not the one that was signed")]
    Content,
    /// An entry of the archive that may not be there.
    #[error("the archive holds {name:?}: {reason}")]
    Entry {
        /// The entry's path, at most 80 characters.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A file's hash or size is not the one in the manifest.
    #[error("{name} is not the file that the manifest names")]
    File {
        /// The file.
        name: String,
    },
    /// A carried file is not in the archive.
    #[error("{name} is missing in the archive")]
    Missing {
        /// The file.
        name: String,
    },
    /// Too old.
    #[error("the package expired at {expires}")]
    Expired {
        /// When.
        expires: Timestamp,
    },
    /// Not for this software version.
    #[error("the package may not follow on version {running}, only on {from}")]
    WrongVersion {
        /// The version that runs.
        running: SoftwareVersion,
        /// The versions that it may follow on.
        from: String,
    },
    /// Not for this hardware.
    #[error("the package is for {wanted}, this appliance is {hardware}")]
    WrongHardware {
        /// What runs here.
        hardware: String,
        /// What it is for.
        wanted: String,
    },
    /// Older than what was installed already.
    #[error("the package has release counter {found}, older than {installed} which was installed already")]
    Downgrade {
        /// Its counter.
        found: u64,
        /// The greatest counter installed.
        installed: u64,
    },
    /// It came with a permit to go back that does not permit it.
    #[error(transparent)]
    Permit(#[from] PermitError),
    /// Its counter is so great that hardly anything could follow it: the trick of a thief of a release key.
    #[error("the package has release counter {found}; after {installed} it may be {step} more at most")]
    FastForward {
        /// Its counter.
        found: u64,
        /// The greatest counter installed.
        installed: u64,
        /// How much more it may be.
        step: u64,
    },
}

/// The appliance that a package is opened for.
#[derive(Debug, Clone)]
pub struct Site<'a> {
    /// Names the release keys and what was revoked.
    pub root: &'a TrustedRoot,
    /// The appliance.
    pub agent: &'a AgentId,
    /// What came with the order to let it go back to an older release.
    pub permit: Option<&'a SignedPermit>,
    /// The software version that runs.
    pub running: &'a SoftwareVersion,
    /// The hardware class.
    pub hardware: &'a str,
    /// The greatest release counter installed so far, as [`TrustedRoot::installed_counter`] says.
    pub installed_counter: u64,
    /// The time.
    pub now: Timestamp,
}

/// A package whose signature, freshness, destination and every file were checked. Only [`open`] makes one.
#[derive(Debug)]
pub struct VerifiedPackage {
    id: PackageId,
    manifest: Manifest,
    script: Vec<u8>,
    modules: BTreeMap<ModuleName, Vec<u8>>,
    deltas: BTreeMap<(ModuleName, Digest), Vec<u8>>,
}

/// A package does not hold what makes a module out of the file that is here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoWayToModule {
    /// There is neither its file nor a delta from the older one.
    #[error("{name} travels as a difference from a file that this appliance does not have")]
    NoDelta {
        /// The module.
        name: ModuleName,
    },
    /// The delta does not lead to it.
    #[error("{name} cannot be made from its difference")]
    Delta {
        /// The module.
        name: ModuleName,
        /// What is wrong with it.
        source: DeltaError,
    },
}

impl VerifiedPackage {
    /// The files of all modules that travel, deltas applied to what `older` gives for a module's name. A module that
    /// `older` gives in its new form already is left out.
    ///
    /// # Errors
    /// [`NoWayToModule`]: the package that carries whole files is needed ([`Manifest::whole`]).
    pub fn files_over(
        &self,
        older: impl Fn(&ModuleName) -> Option<Vec<u8>>,
    ) -> Result<BTreeMap<ModuleName, Vec<u8>>, NoWayToModule> {
        let mut files = self.modules.clone();
        for module in self.manifest.modules.iter().filter(|module| !module.deltas.is_empty()) {
            let name = || module.name.clone();
            let old = older(&module.name).ok_or_else(|| NoWayToModule::NoDelta { name: name() })?;
            let from = Digest::of(&old);
            if from == module.sha256 || files.contains_key(&module.name) {
                continue;
            }
            let delta =
                self.deltas.get(&(name(), from)).ok_or_else(|| NoWayToModule::NoDelta { name: name() })?;
            let file = delta::apply(&old, delta, &module.sha256)
                .map_err(|source| NoWayToModule::Delta { name: name(), source })?;
            files.insert(name(), file);
        }
        Ok(files)
    }

    /// The package's id.
    #[must_use]
    pub fn id(&self) -> PackageId {
        self.id
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The install script.
    #[must_use]
    pub fn script(&self) -> &[u8] {
        &self.script
    }

    /// The carried modules' files.
    #[must_use]
    pub fn modules(&self) -> &BTreeMap<ModuleName, Vec<u8>> {
        &self.modules
    }
}

/// What a package file says about itself; for showing to a person, not for installing.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The package's id.
    pub id: PackageId,
    /// The manifest.
    pub manifest: Manifest,
    /// The ids of the keys that it says it was signed by.
    pub signers: Vec<KeyId>,
}

/// Reads a package file's manifest without trusting it.
///
/// # Errors
/// [`PackageError`] when it is no package file, or its content is not what its manifest names.
pub fn inspect(package: &[u8], limits: &Limits) -> Result<Inspection, PackageError> {
    let parts = split(package, limits)?;
    let manifest = read_manifest(parts.manifest, Digest::of(parts.content), limits)?;
    let signers = parts.signatures.iter().map(|(id, _)| *id).collect();
    Ok(Inspection { id: Digest::of(parts.manifest), manifest, signers })
}

/// Checks a package file and unpacks it in memory.
///
/// The order matters: signature, then hash of the content, then freshness and destination, and only then is
/// anything inflated, within the sizes that the manifest declares.
///
/// # Errors
/// [`PackageError`] says which check failed.
pub fn open(package: &[u8], site: &Site<'_>, limits: &Limits) -> Result<VerifiedPackage, PackageError> {
    let parts = split(package, limits)?;
    let root = site.root.root();
    verify(&parts, &root.release)?;
    let id = Digest::of(parts.manifest);
    is_in_force(id, root, site.now)?;
    let manifest = read_manifest(parts.manifest, Digest::of(parts.content), limits)?;
    accept(id, &manifest, site, limits)?;
    let (script, modules, deltas) = unpack(parts.content, &manifest)?;
    Ok(VerifiedPackage { id, manifest, script, modules, deltas })
}

/// What an appliance that trusts `root` would say about the signatures of a package, without its other checks: for a center
/// before it sends it.
///
/// # Errors
/// [`PackageError`] as [`open`] would give it.
pub fn check_signatures(
    package: &[u8],
    root: &Root,
    now: Timestamp,
    limits: &Limits,
) -> Result<(), PackageError> {
    let parts = split(package, limits)?;
    verify(&parts, &root.release)?;
    is_in_force(Digest::of(parts.manifest), root, now)
}

/// The carried files of a package that is known to be one's own: nothing but their hashes is checked.
///
/// # Errors
/// [`PackageError`] when it is damaged.
pub fn carried_files(package: &[u8], limits: &Limits) -> Result<BTreeMap<ModuleName, Vec<u8>>, PackageError> {
    let parts = split(package, limits)?;
    let manifest = read_manifest(parts.manifest, Digest::of(parts.content), limits)?;
    Ok(unpack(parts.content, &manifest)?.1)
}

pub(super) struct Parts<'a> {
    pub(super) manifest: &'a [u8],
    pub(super) signatures: Vec<(KeyId, [u8; 64])>,
    pub(super) content: &'a [u8],
}

pub(super) fn split<'a>(package: &'a [u8], limits: &Limits) -> Result<Parts<'a>, PackageError> {
    let damaged = |field| PackageError::Damaged { field };
    at_most("size in octets", package.len(), limits.package_octets)?;
    let mut reader = Reader::new(package);
    if reader.take(MAGIC.len()) != Some(MAGIC) {
        return Err(PackageError::NotAPackage);
    }
    let length = reader.length().ok_or(damaged("length of the manifest"))?;
    at_most("manifest in octets", length, limits.manifest_octets)?;
    let manifest = reader.take(length).ok_or(damaged("manifest"))?;
    let count = reader.u8().ok_or(damaged("number of signatures"))?;
    let mut signatures = Vec::new();
    for _ in 0..count {
        let id = KeyId(reader.array().ok_or(damaged("signature"))?);
        signatures.push((id, reader.array().ok_or(damaged("signature"))?));
    }
    let length = reader
        .u64()
        .and_then(|length| usize::try_from(length).ok())
        .ok_or(damaged("length of the content"))?;
    let content = reader.take(length).ok_or(damaged("content"))?;
    if !reader.rest().is_empty() {
        return Err(damaged("end: octets follow the content"));
    }
    Ok(Parts { manifest, signatures, content })
}

pub(super) fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), PackageError> {
    let count = |number| u64::try_from(number).unwrap_or(u64::MAX);
    if found > limit {
        return Err(PackageError::TooLarge { what, found: count(found), limit: count(limit) });
    }
    Ok(())
}

fn verify(parts: &Parts<'_>, release: &Role) -> Result<(), PackageError> {
    if parts.signatures.is_empty() {
        return Err(PackageError::Unsigned);
    }
    let valid = release.signers(&signed_octets(parts.manifest), &parts.signatures);
    if release.is_satisfied_by(&valid) {
        return Ok(());
    }
    if !valid.is_empty() {
        return Err(PackageError::BelowThreshold { valid: valid.len(), threshold: release.threshold });
    }
    let signers: Vec<_> = parts.signatures.iter().map(|(id, _)| id.to_string()).collect();
    Err(PackageError::Untrusted { signers: signers.join(", ") })
}

fn is_in_force(id: PackageId, root: &Root, now: Timestamp) -> Result<(), PackageError> {
    if root.revoked_packages.contains(&id) {
        return Err(PackageError::Revoked { root: root.version });
    }
    if root.is_expired(now) {
        return Err(PackageError::RootExpired { root: root.version, expires: root.expires });
    }
    Ok(())
}

pub(super) fn read_manifest(
    octets: &[u8],
    content: Digest,
    limits: &Limits,
) -> Result<Manifest, PackageError> {
    let manifest: Manifest =
        serde_json::from_slice(octets).map_err(|source| PackageError::Manifest { source })?;
    if content != manifest.content {
        return Err(PackageError::Content);
    }
    at_most("number of modules", manifest.modules.len(), limits.modules)?;
    // A module that is made by a delta takes its room, too.
    let made = manifest.modules.iter().filter(|module| module.carried || !module.deltas.is_empty());
    let deltas = manifest.modules.iter().flat_map(|module| &module.deltas);
    at_most("number of differences", deltas.clone().count(), limits.modules)?;
    let unpacked = made
        .map(|module| module.octets)
        .chain(deltas.map(|delta| delta.octets))
        .fold(manifest.script.octets, u64::saturating_add);
    for (what, found, limit) in [
        ("script in octets", manifest.script.octets, limits.script_octets),
        ("unpacked size in octets", unpacked, limits.unpacked_octets),
    ] {
        if found > limit {
            return Err(PackageError::TooLarge { what, found, limit });
        }
    }
    let mut names = BTreeSet::from([SCRIPT_NAME]);
    match manifest.modules.iter().find(|module| !names.insert(module.name.as_str())) {
        Some(twice) => {
            Err(PackageError::Entry { name: twice.name.to_string(), reason: "the manifest names it twice" })
        }
        None => Ok(manifest),
    }
}

fn accept(id: PackageId, manifest: &Manifest, site: &Site<'_>, limits: &Limits) -> Result<(), PackageError> {
    if manifest.expires < site.now {
        return Err(PackageError::Expired { expires: manifest.expires });
    }
    let (found, installed) = (manifest.release_counter, site.installed_counter);
    if found < installed {
        let permit = site.permit.ok_or(PackageError::Downgrade { found, installed })?;
        let (agent, running, target, now) = (site.agent, site.running, &manifest.target, site.now);
        permit.check(site.root.root(), &Downgrade { agent, package: id, running, target, now })?;
    }
    let step = limits.release_counter_step;
    if found > installed.saturating_add(step) {
        return Err(PackageError::FastForward { found, installed, step });
    }
    let applies = &manifest.applies;
    if !applies.from.is_empty() && !applies.from.contains(site.running) {
        let from: Vec<_> = applies.from.iter().map(SoftwareVersion::as_str).collect();
        return Err(PackageError::WrongVersion { running: site.running.clone(), from: from.join(", ") });
    }
    if !applies.hardware.is_empty() && !applies.hardware.iter().any(|class| class == site.hardware) {
        let (hardware, wanted) = (site.hardware.to_owned(), applies.hardware.join(", "));
        return Err(PackageError::WrongHardware { hardware, wanted });
    }
    Ok(())
}

type Files = (Vec<u8>, BTreeMap<ModuleName, Vec<u8>>, BTreeMap<(ModuleName, Digest), Vec<u8>>);

fn unpack(content: &[u8], manifest: &Manifest) -> Result<Files, PackageError> {
    let mut wanted: BTreeMap<String, (u64, Digest)> = BTreeMap::new();
    for module in &manifest.modules {
        if module.carried {
            wanted.insert(module.name.to_string(), (module.octets, module.sha256));
        }
        for delta in &module.deltas {
            wanted.insert(delta::file_name(&module.name, &delta.from), (delta.octets, delta.sha256));
        }
    }
    wanted.insert(SCRIPT_NAME.to_owned(), (manifest.script.octets, manifest.script.sha256));

    // What a tar of exactly these files takes: per file a header and padding, and the trailer with its blocking.
    let count = u64::try_from(wanted.len()).unwrap_or(u64::MAX);
    let cap = wanted
        .values()
        .map(|(octets, _)| *octets)
        .fold(count.saturating_mul(1024).saturating_add(10_240), u64::saturating_add);
    let broken = |_| PackageError::Damaged { field: "archive" };

    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut archive = tar::Archive::new(DeflateDecoder::new(content).take(cap));
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let bad = |reason| PackageError::Entry { name: path.chars().take(80).collect(), reason };
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(bad("only regular files may travel, no links, directories or devices"));
        }
        // The manifest's names cannot hold a slash or begin with a point, so a path that leaves is never found here.
        let (octets, sha256) =
            *wanted.get(path.as_str()).ok_or_else(|| bad("the manifest does not name it"))?;
        if files.contains_key(&path) {
            return Err(bad("it is there twice"));
        }
        let mut file = Vec::new();
        entry.by_ref().take(octets.saturating_add(1)).read_to_end(&mut file).map_err(broken)?;
        if u64::try_from(file.len()) != Ok(octets) || Digest::of(&file) != sha256 {
            return Err(PackageError::File { name: path });
        }
        files.insert(path, file);
    }
    if let Some(name) = wanted.keys().find(|name| !files.contains_key(*name)) {
        return Err(PackageError::Missing { name: name.clone() });
    }
    let script = files.remove(SCRIPT_NAME).unwrap_or_default();
    let (mut modules, mut deltas) = (BTreeMap::new(), BTreeMap::new());
    for module in &manifest.modules {
        for delta in &module.deltas {
            if let Some(file) = files.remove(&delta::file_name(&module.name, &delta.from)) {
                deltas.insert((module.name.clone(), delta.from), file);
            }
        }
        if let Some(file) = files.remove(module.name.as_str()) {
            modules.insert(module.name.clone(), file);
        }
    }
    Ok((script, modules, deltas))
}
