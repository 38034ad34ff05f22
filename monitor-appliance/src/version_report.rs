//! The version report: what runs, over hashes read again from disk.
//!
//! The verdict on an update comes from here, never from the installer's word: the table says what `release.json` of
//! the running release says, the hashes say what the files really are.

use crate::context::Context;
use crate::release::{ReleaseError, Releases, hash_file};
use crate::store::StoreError;
use crate::supervisor::processes::boot_id;
use mailfmt::message::report::VersionReportMessage;
use mailfmt::version_report::ModuleLine;
use mailfmt::{Nonce, Report, VersionReport};
use std::collections::BTreeMap;

/// Why no version report can be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VersionReportError {
    /// The running release cannot be read.
    #[error("the running release cannot be read")]
    Release(#[from] ReleaseError),
    /// The store failed.
    #[error("the version report cannot be stored")]
    Store(#[from] StoreError),
}

/// Reads the running release and hashes every module's file. A file that is missing or cannot be read has no hash,
/// which no center takes for the right one.
///
/// # Errors
/// [`ReleaseError`] when the release itself cannot be read.
pub fn look(context: &Context, nonce: Option<Nonce>) -> Result<VersionReportMessage, ReleaseError> {
    let (folder, release) = Releases::below(context.layout.root()).current()?;
    let mut hashes = BTreeMap::new();
    for module in &release.modules {
        match hash_file(&folder.join(module.name.as_str())) {
            Ok((sha256, _)) => {
                if sha256 != module.sha256 {
                    tracing::warn!(module = %module.name, "its file is not the one that was installed");
                }
                hashes.insert(module.name.clone(), sha256);
            }
            Err(error) => tracing::warn!(module = %module.name, %error, "its file cannot be read"),
        }
    }
    let modules = release.modules.into_iter().map(|module| ModuleLine {
        name: module.name,
        version: module.version,
        date: module.date,
    });
    let table = VersionReport { software: release.software, rom: release.rom, modules: modules.collect() };
    Ok(VersionReportMessage { nonce, table, hashes, boot_id: boot_id() })
}

/// Answers every version report that is asked for. Returns how many were answered.
///
/// # Errors
/// [`VersionReportError`]; what was answered until then stays answered.
pub fn write(context: &Context) -> Result<usize, VersionReportError> {
    let mut store = context.open_store()?;
    let mut answered = 0usize;
    for request in store.version_requests_due(context.now(), &context.reading())? {
        let report = Report::Version(look(context, request.nonce)?);
        let answer = context.outgoing(report, request.command);
        if store.change(|change| change.answer_version(request.id, &answer))? {
            answered = answered.saturating_add(1);
        }
    }
    Ok(answered)
}
