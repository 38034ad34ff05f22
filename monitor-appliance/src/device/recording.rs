//! Recordings of devices: what one answered, a line per object, as `testdata/printers` has them.

use super::oid::{Oid, Value};
use super::walk::Walk;
use std::path::{Path, PathBuf};

/// Most octets of one recording read; the largest known has a third of a megabyte.
const OCTETS_MAX: u64 = 32 << 20;

/// Most recordings of one device under other communities.
const CONTEXTS_MAX: usize = 32;

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// A file or folder that cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A line that is none.
    #[error("{}, line {line}: {problem}; a line is OID|TAG|VALUE", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// More than a device has.
    #[error("{} is larger than {OCTETS_MAX} octets", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a recording: a file, or a folder with `walk.snmprec` and perhaps `walk@CONTEXT.snmprec`, what the device answered
/// under `COMMUNITY@CONTEXT`; of an object in several the first counts.
///
/// # Errors
/// [`RecordingError`].
pub fn read_recording(path: &Path) -> Result<Walk, RecordingError> {
    let mut walk = Walk::default();
    for file in files(path)? {
        let text = read(&file)?;
        let bad = |(line, problem)| RecordingError::Line { path: file.clone(), line, problem };
        for (oid, value) in parse_recording(&text).map_err(bad)? {
            walk.insert(oid, value);
        }
    }
    Ok(walk)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, RecordingError> {
    let error = |source| RecordingError::Read { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(error)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut contexts = Vec::new();
    for entry in std::fs::read_dir(path).map_err(error)? {
        let file = entry.map_err(error)?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("walk@") && name.ends_with(".snmprec") {
            contexts.push(file);
        }
    }
    contexts.sort();
    contexts.truncate(CONTEXTS_MAX);
    Ok(std::iter::once(path.join("walk.snmprec")).chain(contexts).collect())
}

fn read(path: &Path) -> Result<String, RecordingError> {
    use std::io::Read as _;
    let error = |source| RecordingError::Read { path: path.to_owned(), source };
    let mut octets = Vec::new();
    let file = std::fs::File::open(path).map_err(error)?;
    file.take(OCTETS_MAX + 1).read_to_end(&mut octets).map_err(error)?;
    if octets.len() as u64 > OCTETS_MAX {
        return Err(RecordingError::TooLarge { path: path.to_owned() });
    }
    Ok(String::from_utf8_lossy(&octets).into_owned())
}

/// The objects of a recording's text, in its order.
///
/// # Errors
/// The number of the first line that is none, and what is wrong with it.
pub fn parse_recording(text: &str) -> Result<Vec<(Oid, Value)>, (usize, String)> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(at, line)| object(line).map_err(|problem| (at + 1, problem))).collect()
}

fn object(line: &str) -> Result<(Oid, Value), String> {
    let mut fields = line.splitn(3, '|');
    let (Some(oid), Some(tag), Some(value)) = (fields.next(), fields.next(), fields.next()) else {
        return Err("less than three fields".to_owned());
    };
    let oid = oid.parse::<Oid>().map_err(|error| error.to_string())?;
    let bad = || format!("`{}` is no value of the tag {tag}", value.chars().take(40).collect::<String>());
    let value = match tag {
        "2" => Value::Integer(value.parse().map_err(|_| bad())?),
        "4" => Value::Octets(value.as_bytes().to_vec()),
        "4x" => Value::Octets(hex(value).ok_or_else(bad)?),
        "6" => Value::Oid(value.parse().map_err(|_| bad())?),
        "64" => Value::Ip(value.parse::<std::net::Ipv4Addr>().map_err(|_| bad())?.octets()),
        "65" | "66" | "70" => Value::Unsigned(value.parse().map_err(|_| bad())?),
        "67" => Value::Ticks(value.parse().map_err(|_| bad())?),
        _ => Value::Other,
    };
    Ok((oid, value))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| u8::try_from(c.to_digit(16)?).ok()).collect::<Option<_>>()?;
    digits
        .len()
        .is_multiple_of(2)
        .then(|| digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::{Value, parse_recording, read_recording};

    #[test]
    fn each_tag_is_a_kind_of_value() {
        let text = "1.3.1|2|-3\n1.3.2|4|a|b \n1.3.3|4x|00ff\n1.3.4|6|1.3\n1.3.5|64|127.0.0.1\n1.3.6|65|7\n1.3.7|67|8\n1.3.8|5|\n";
        let values: Vec<Value> = parse_recording(text).unwrap().into_iter().map(|(_, value)| value).collect();
        let expected = [
            Value::Integer(-3),
            Value::Octets(b"a|b ".to_vec()),
            Value::Octets(vec![0, 255]),
            Value::Oid("1.3".parse().unwrap()),
            Value::Ip([127, 0, 0, 1]),
            Value::Unsigned(7),
            Value::Ticks(8),
            Value::Other,
        ];
        assert_eq!(values, expected);
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for bad in ["1.3.1|2", "x|2|1", "1.3.1|2|one", "1.3.1|4x|0", "1.3.1|4x|zz", "1.3.1|64|here"] {
            assert_eq!(parse_recording(&format!("1.3.1|2|1\n{bad}\n")).unwrap_err().0, 2, "{bad}");
        }
    }

    #[test]
    fn what_a_device_answers_under_other_communities_comes_behind() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("walk.snmprec"), "1.3.1|2|1\n").unwrap();
        std::fs::write(folder.path().join("walk@Jetdirect.snmprec"), "1.3.1|2|2\n1.3.2|2|3\n").unwrap();
        std::fs::write(folder.path().join("expected.json"), "{}").unwrap();
        let walk = read_recording(folder.path()).unwrap();
        assert_eq!(walk.get(&[1, 3, 1]), Some(&Value::Integer(1)));
        assert_eq!(walk.get(&[1, 3, 2]), Some(&Value::Integer(3)));
        assert_eq!(read_recording(&folder.path().join("walk.snmprec")).unwrap().len(), 1);
        assert!(read_recording(&folder.path().join("missing")).is_err());
    }
}
