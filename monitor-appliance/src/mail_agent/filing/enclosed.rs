//! What follows an envelope: in memory where the mail was small, in a file where it was large, and in several files where
//! it came in parts. Whoever reads it cannot tell; only small pieces of it are held.

use crate::context::Context;
use crate::release::{ReleaseError, create_folder, sync_folder};
use mailfmt::envelope::{START_OCTETS, announced_octets};
use mailfmt::message::UpdateOrder;
use mailfmt::package::{InspectError, UnwrapError, inspect_from, unwrap_from};
use mailfmt::{Digest, Limits};
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What follows an envelope.
#[derive(Debug)]
pub(in crate::mail_agent) enum Enclosed<'a> {
    /// In memory.
    Octets(&'a [u8]),
    /// A piece of a file.
    File {
        /// The file.
        path: &'a Path,
        /// Where in it.
        place: Range<u64>,
    },
    /// Whole files, one behind the other.
    Files(Vec<PathBuf>),
}

/// Octets read or written in one go.
const PIECE: usize = 64 << 10;

impl Enclosed<'_> {
    /// How much it is.
    pub(super) fn octets(&self) -> Result<u64, ReleaseError> {
        match self {
            Self::Octets(octets) => Ok(u64::try_from(octets.len()).unwrap_or(u64::MAX)),
            Self::File { place, .. } => Ok(place.end.saturating_sub(place.start)),
            Self::Files(files) => files.iter().try_fold(0_u64, |sum, path| {
                let about = std::fs::metadata(path).map_err(io("look at", path))?;
                Ok(sum.saturating_add(about.len()))
            }),
        }
    }

    /// All of it, from the beginning.
    pub(super) fn reader(&self) -> Result<Box<dyn Read + '_>, ReleaseError> {
        let open = |path: &Path| File::open(path).map_err(io("open", path));
        Ok(match self {
            Self::Octets(octets) => Box::new(*octets),
            Self::File { path, place } => {
                let mut file = open(path)?;
                file.seek(SeekFrom::Start(place.start)).map_err(io("read", path))?;
                Box::new(BufReader::with_capacity(PIECE, file).take(place.end.saturating_sub(place.start)))
            }
            Self::Files(files) => {
                let empty: Box<dyn Read> = Box::new(std::io::empty());
                files.iter().try_fold(empty, |before, path| {
                    Ok::<Box<dyn Read>, ReleaseError>(Box::new(
                        before.chain(BufReader::with_capacity(PIECE, open(path)?)),
                    ))
                })?
            }
        })
    }

    /// The envelope at the beginning of an attachment, or as much as there is of one that is cut or none.
    pub(super) fn envelope(&self, limits: &Limits) -> Result<Vec<u8>, ReleaseError> {
        let mut reader = self.reader()?;
        let mut envelope = Vec::new();
        let mut read = |octets: usize, envelope: &mut Vec<u8>| {
            let more = octets.saturating_sub(envelope.len());
            let taken = reader.by_ref().take(u64::try_from(more).unwrap_or(u64::MAX)).read_to_end(envelope);
            taken.map_err(io("read", self.path()))
        };
        read(START_OCTETS, &mut envelope)?;
        if let Ok(octets) = announced_octets(&envelope, limits) {
            envelope.truncate(octets);
            read(octets, &mut envelope)?;
        }
        Ok(envelope)
    }

    /// Its hash.
    pub(super) fn digest(&self) -> Result<Digest, ReleaseError> {
        Digest::of_reader(self.reader()?).map_err(io("read", self.path()))
    }

    /// Puts it at `path`, mode 0600: whoever looks sees all of it or none.
    pub(super) fn store_at(&self, path: &Path) -> Result<(), ReleaseError> {
        let mut fresh = Fresh::begin(path)?;
        std::io::copy(&mut self.reader()?, &mut fresh.file).map_err(io("write", &fresh.path))?;
        fresh.settle(path)
    }

    /// For the words of an error.
    fn path(&self) -> &Path {
        match self {
            Self::Octets(_) => Path::new("memory"),
            Self::File { path, .. } => path,
            Self::Files(files) => files.first().map_or(Path::new("parts"), PathBuf::as_path),
        }
    }
}

/// What shows that these are not the octets that the order names, for a person; `None` where they are. The order itself is
/// authentic then, so that these were changed on their way.
///
/// # Errors
/// [`ReleaseError::Io`]: the disk. It may be tried again.
pub(super) fn damage(order: &UpdateOrder, enclosed: &Enclosed<'_>) -> Result<Option<String>, ReleaseError> {
    let (octets, ordered) = (enclosed.octets()?, order.enclosure_octets);
    if octets != ordered {
        return Ok(Some(format!("the package came with {octets} octets, ordered were {ordered}")));
    }
    let is_another = enclosed.digest()? != order.enclosure;
    Ok(is_another.then(|| "the package that came is not the one that was ordered".to_owned()))
}

/// Decrypts the package that an order brings along, compares it with the order, and puts it in its place. Whether it may be
/// installed is decided later, over its signature. `Ok(Err)`: why it is not the package that was ordered, for a person.
///
/// # Errors
/// [`ReleaseError::Io`]: the disk. It may be tried again.
pub(super) fn store_package(
    context: &Context,
    order: &UpdateOrder,
    enclosed: &Enclosed<'_>,
) -> Result<Result<(), String>, ReleaseError> {
    let limits = &context.settings.limits;
    if let Some(reason) = damage(order, enclosed)? {
        return Ok(Err(reason));
    }
    let octets = order.enclosure_octets;
    create_folder(&context.layout.packages_dir())?;
    let path = context.layout.package_file(&order.package);
    let mut fresh = Fresh::begin(&path)?;
    match unwrap_from(enclosed.reader()?, octets, &order.content_key, limits, &mut fresh.file) {
        Ok(()) => {}
        Err(UnwrapError::Enclosure(error)) => return fresh.give_up(error.to_string()),
        Err(UnwrapError::Io(source)) => return Err(io("write", &fresh.path)(source)),
        Err(error) => return fresh.give_up(error.to_string()),
    }
    fresh.file.flush().map_err(io("write", &fresh.path))?;
    let file = File::open(&fresh.path).map_err(io("open", &fresh.path))?;
    let octets = file.metadata().map_err(io("look at", &fresh.path))?.len();
    let found = match inspect_from(BufReader::with_capacity(PIECE, file), octets, limits) {
        Ok(found) => found.id,
        Err(InspectError::Io(source)) => return Err(io("read", &fresh.path)(source)),
        Err(error) => return fresh.give_up(error.to_string()),
    };
    if found != order.package {
        let reason = format!("the package inside is {found}, ordered was {}", order.package);
        return fresh.give_up(reason);
    }
    fresh.settle(&path)?;
    Ok(Ok(()))
}

/// A file that is written beside its place.
struct Fresh {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Fresh {
    fn begin(place: &Path) -> Result<Self, ReleaseError> {
        let mut path = place.as_os_str().to_owned();
        path.push(".new");
        let path = PathBuf::from(path);
        // A killed predecessor may have left its half of the work.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io("remove", &path)(error)),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = BufWriter::with_capacity(PIECE, file.map_err(io("create", &path))?);
        Ok(Self { path, file })
    }

    /// It is no good.
    fn give_up(self, reason: String) -> Result<Result<(), String>, ReleaseError> {
        std::fs::remove_file(&self.path).map_err(io("remove", &self.path))?;
        Ok(Err(reason))
    }

    /// It takes its place.
    fn settle(mut self, place: &Path) -> Result<(), ReleaseError> {
        self.file.flush().map_err(io("write", &self.path))?;
        self.file.get_ref().sync_all().map_err(io("sync", &self.path))?;
        std::fs::rename(&self.path, place).map_err(io("replace", place))?;
        place.parent().map_or(Ok(()), sync_folder)
    }
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ReleaseError {
    let path = path.to_owned();
    move |source| ReleaseError::Io { action, path, source }
}

#[cfg(test)]
mod tests;
