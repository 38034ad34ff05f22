//! What tells this box from another, whatever is installed on it.

use mailfmt::Digest;
use std::path::Path;

/// Files that a board's maker fills, below the root of the file system: x86 by its firmware, then boards with a device tree.
const BOARD: [&str; 3] =
    ["sys/class/dmi/id/product_uuid", "sys/class/dmi/id/board_serial", "proc/device-tree/serial-number"];

/// The system's own id (machine-id(5)); made at installation, so it stands in only where the board tells nothing.
const SYSTEM: &str = "etc/machine-id";

/// What makers write who fill in nothing.
const FILLERS: [&str; 8] = [
    "none",
    "default string",
    "to be filled by o.e.m.",
    "not specified",
    "not applicable",
    "system serial number",
    "03000200-0400-0500-0006-000700080009",
    "unknown",
];

/// The id of this box: 64 hex digits, a hash that tells nothing of the numbers it is made of. Empty where the box tells
/// nothing.
#[must_use]
pub fn machine_id() -> String {
    machine_of(Path::new("/"))
}

/// The id of the box whose file system begins at `root`.
#[must_use]
pub fn machine_of(root: &Path) -> String {
    let tells = |name: &&'static str| {
        let text = std::fs::read(root.join(name)).ok()?;
        let text = String::from_utf8_lossy(&text).trim_matches(['\0', '\n', ' ']).to_ascii_lowercase();
        let letters: Vec<char> = text.chars().filter(char::is_ascii_alphanumeric).collect();
        // A number of one repeated digit is filled in by nobody.
        let repeated = letters.iter().all(|letter| letters.first() == Some(letter));
        (!repeated && !FILLERS.contains(&text.as_str())).then(|| format!("{name}={text}"))
    };
    let told: Vec<String> = BOARD.iter().filter_map(tells).collect();
    let told = if told.is_empty() { [SYSTEM].iter().filter_map(tells).collect() } else { told };
    if told.is_empty() {
        return String::new();
    }
    Digest::of_pieces(&[b"mailfmt machine 1\0", told.join("\n").as_bytes()]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(files: &[(&str, &str)]) -> String {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        machine_of(root.path())
    }

    #[test]
    fn a_box_is_known_by_its_board_and_not_by_what_is_installed() {
        let board = ("sys/class/dmi/id/product_uuid", "4c4c4544-0051-3010-8056-b7c04f4d3333\n");
        let before = with(&[board, ("etc/machine-id", "aaaa1111\n")]);
        assert_eq!(before.len(), 64);
        assert!(!before.contains("4c4c4544"), "the number itself is not told");
        assert_eq!(with(&[board, ("etc/machine-id", "bbbb2222\n")]), before);
        assert_ne!(with(&[(board.0, "4c4c4544-0051-3010-8056-b7c04f4d4444\n")]), before);
    }

    #[test]
    fn what_nobody_filled_in_tells_nothing() {
        let fillers = [
            ("sys/class/dmi/id/product_uuid", "00000000-0000-0000-0000-000000000000\n"),
            ("sys/class/dmi/id/board_serial", "To be filled by O.E.M.\n"),
        ];
        assert_eq!(with(&fillers), "");
        assert_eq!(with(&[]), "");
        let system = ("etc/machine-id", "aaaa1111\n");
        assert_eq!(with(&[fillers[0], fillers[1], system]), with(&[system]));
        assert_ne!(with(&[system]), "");
    }

    #[test]
    fn a_board_with_a_device_tree_is_known_by_its_serial_number() {
        assert_ne!(with(&[("proc/device-tree/serial-number", "10000000abcdef01\0")]), "");
    }
}
