//! Recordings of printers: the `snmprec` text format, one object per line, `OID|TAG|VALUE`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_snmp::{Oid, Value};
use bytes::Bytes;

/// Largest recording read, in octets; the largest known walk of a printer is a hundredth of it.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// The file with the objects in the folder of a device.
const WALK_FILE: &str = "walk.snmprec";

/// What a printer answered when it was recorded. Never changes, so any number of printers share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    name: String,
    objects: Vec<(Oid, Value)>,
}

/// Why a recording cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file cannot be read.
    #[error("cannot read recording {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is larger than any recording may be.
    #[error("recording {} has {bytes} octets, at most {FILE_BYTES_MAX} are read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A line is not `OID|TAG|VALUE`.
    #[error("{file}, line {line}: {problem}")]
    Line {
        /// The file, as it was named to the reader.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// There is no object at all.
    #[error("recording {file} holds no object")]
    Empty {
        /// The file, as it was named to the reader.
        file: String,
    },
}

/// What is wrong with one line of a recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineProblem {
    /// Fewer than two `|`.
    #[error("expected OID|TAG|VALUE")]
    Fields,
    /// The first field is no OID of 2 to 128 numbers.
    #[error("{0:?} is no object identifier")]
    Oid(String),
    /// The second field names no type.
    #[error("{0:?} is no known type tag")]
    Tag(String),
    /// The third field does not fit the type.
    #[error("{value:?} does not fit type tag {tag}")]
    Value {
        /// The type tag.
        tag: String,
        /// The value as it stands there.
        value: String,
    },
    /// The object was there before.
    #[error("object {0} stands twice")]
    Twice(String),
}

impl Recording {
    /// Reads a recording from `text`; `file` names it in errors and becomes its name.
    ///
    /// # Errors
    /// [`RecordingError::Line`] with the first line that is wrong, [`RecordingError::Empty`].
    pub fn parse(text: &str, file: &str) -> Result<Self, RecordingError> {
        let mut objects = BTreeMap::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let problem = match parse_line(line) {
                Ok((oid, value)) => match objects.insert(oid.clone(), value) {
                    None => continue,
                    Some(_) => LineProblem::Twice(oid.to_string()),
                },
                Err(problem) => problem,
            };
            return Err(RecordingError::Line { file: file.to_owned(), line: number + 1, problem });
        }
        if objects.is_empty() {
            return Err(RecordingError::Empty { file: file.to_owned() });
        }
        Ok(Self { name: file.to_owned(), objects: objects.into_iter().collect() })
    }

    /// Reads one `snmprec` file. Its name is that of the folder it stands in.
    ///
    /// # Errors
    /// As [`Recording::parse`], and [`RecordingError::Read`] or [`RecordingError::TooLarge`].
    pub fn load(path: &Path) -> Result<Arc<Self>, RecordingError> {
        let unread = |source| RecordingError::Read { path: path.to_owned(), source };
        let bytes = std::fs::metadata(path).map_err(unread)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(RecordingError::TooLarge { path: path.to_owned(), bytes });
        }
        let text = std::fs::read_to_string(path).map_err(unread)?;
        let mut recording = Self::parse(&text, &path.display().to_string())?;
        let folder = path.parent().and_then(Path::file_name).or(path.file_stem());
        recording.name = folder.map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok(Arc::new(recording))
    }

    /// Reads `walk.snmprec` of one device's folder.
    ///
    /// # Errors
    /// As [`Recording::load`].
    pub fn from_folder(folder: &Path) -> Result<Arc<Self>, RecordingError> {
        Self::load(&folder.join(WALK_FILE))
    }

    /// Reads the recording of every device folder in `folder`, ordered by name. Other entries are passed over.
    ///
    /// # Errors
    /// As [`Recording::load`], for the first recording that cannot be used.
    pub fn all_in(folder: &Path) -> Result<Vec<Arc<Self>>, RecordingError> {
        let unread = |source| RecordingError::Read { path: folder.to_owned(), source };
        let mut walks = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unread)? {
            let walk = entry.map_err(unread)?.path().join(WALK_FILE);
            if walk.is_file() {
                walks.push(walk);
            }
        }
        walks.sort();
        walks.iter().map(|walk| Self::load(walk)).collect()
    }

    /// The device's name: that of the folder the recording was read from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All objects in the order of a walk, each once.
    pub fn objects(&self) -> &[(Oid, Value)] {
        &self.objects
    }
}

fn parse_line(line: &str) -> Result<(Oid, Value), LineProblem> {
    let mut fields = line.splitn(3, '|');
    let (Some(oid), Some(tag), Some(value)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(LineProblem::Fields);
    };
    Ok((parse_oid(oid)?, parse_value(tag, value)?))
}

/// Reads a dotted object identifier of 2 to 128 numbers.
pub(super) fn parse_oid(text: &str) -> Result<Oid, LineProblem> {
    Oid::parse(text)
        .ok()
        .filter(|oid| oid.len() >= 2 && oid.validate_for_wire().is_ok())
        .ok_or_else(|| LineProblem::Oid(text.to_owned()))
}

/// Reads one value as it stands in a recording.
///
/// Shape: `tag` is `2` INTEGER, `4` text, `4x` octets in hex, `5` NULL, `6` OBJECT IDENTIFIER, `64` IpAddress,
/// `65` Counter32, `66` Gauge32, `67` TimeTicks, `70` Counter64.
///
/// # Errors
/// [`LineProblem::Tag`] or [`LineProblem::Value`].
pub fn parse_value(tag: &str, text: &str) -> Result<Value, LineProblem> {
    let parsed = match tag {
        "2" => text.parse().ok().map(Value::Integer),
        "4" => Some(Value::OctetString(Bytes::copy_from_slice(text.as_bytes()))),
        "4x" => parse_hex(text).map(|octets| Value::OctetString(octets.into())),
        "5" => text.is_empty().then_some(Value::Null),
        "6" => parse_oid(text).ok().map(Value::ObjectIdentifier),
        "64" => text.parse::<std::net::Ipv4Addr>().ok().map(|ip| Value::IpAddress(ip.octets())),
        "65" => text.parse().ok().map(Value::Counter32),
        "66" => text.parse().ok().map(Value::Gauge32),
        "67" => text.parse().ok().map(Value::TimeTicks),
        "70" => text.parse().ok().map(Value::Counter64),
        _ => return Err(LineProblem::Tag(tag.to_owned())),
    };
    parsed.ok_or_else(|| LineProblem::Value { tag: tag.to_owned(), value: text.to_owned() })
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> (usize, LineProblem) {
        match Recording::parse(text, "walk.snmprec") {
            Err(RecordingError::Line { line, problem, .. }) => (line, problem),
            other => panic!("no line was refused: {other:?}"),
        }
    }

    #[test]
    fn every_type_is_read() {
        let text = "1.3.6.1.1|2|-7\n1.3.6.1.2|4|a|b \n1.3.6.1.3|4x|00ff0A\n1.3.6.1.4|5|\n1.3.6.1.5|6|1.3.6\n\
                    1.3.6.1.6|64|10.0.0.1\n1.3.6.1.7|65|4294967295\n1.3.6.1.8|66|3\n1.3.6.1.9|67|4\n1.3.6.1.10|70|18446744073709551615\n";
        let values: Vec<Value> =
            Recording::parse(text, "x").unwrap().objects().iter().map(|(_, value)| value.clone()).collect();
        assert_eq!(
            values,
            [
                Value::Integer(-7),
                Value::OctetString(Bytes::from_static(b"a|b ")),
                Value::OctetString(Bytes::from_static(&[0, 255, 10])),
                Value::Null,
                Value::ObjectIdentifier(Oid::from_slice(&[1, 3, 6])),
                Value::IpAddress([10, 0, 0, 1]),
                Value::Counter32(u32::MAX),
                Value::Gauge32(3),
                Value::TimeTicks(4),
                Value::Counter64(u64::MAX),
            ]
        );
    }

    #[test]
    fn objects_come_in_the_order_of_a_walk_whatever_the_order_of_the_lines() {
        let recording = Recording::parse("1.3.10|2|1\n1.3.9.1|2|2\n1.3.9|2|3\n", "x").unwrap();
        let oids: Vec<String> = recording.objects().iter().map(|(oid, _)| oid.to_string()).collect();
        assert_eq!(oids, ["1.3.9", "1.3.9.1", "1.3.10"]);
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number_and_fault() {
        assert_eq!(problem("1.3.6|2|1\n1.3.7|2\n"), (2, LineProblem::Fields));
        assert_eq!(problem("1.3.x|2|1\n"), (1, LineProblem::Oid("1.3.x".into())));
        assert_eq!(problem("1.3.6|9|1\n"), (1, LineProblem::Tag("9".into())));
        assert_eq!(problem("\n1.3.6|2|1\n1.3.6|2|1\n"), (3, LineProblem::Twice("1.3.6".into())));
        for (tag, value) in [
            ("2", "2147483648"),
            ("4x", "abc"),
            ("4x", "gg"),
            ("5", "x"),
            ("64", "1.2.3"),
            ("65", "-1"),
            ("6", ""),
        ] {
            let fault = LineProblem::Value { tag: tag.into(), value: value.into() };
            assert_eq!(problem(&format!("1.3.6|{tag}|{value}\n")), (1, fault));
        }
    }

    #[test]
    fn an_empty_recording_is_refused() {
        assert!(matches!(Recording::parse("\n", "x"), Err(RecordingError::Empty { .. })));
    }
}
