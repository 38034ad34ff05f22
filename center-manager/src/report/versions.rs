//! The modules of one appliance.

use super::minute;
use crate::db::appliances::KnownVersion;

/// The last version report of one appliance as it came, with the beginning of every module's SHA-256 beside it.
#[must_use]
pub fn modules_table(known: &KnownVersion) -> String {
    let mut text = String::new();
    let hash = |line: &str| {
        let name = line.split_ascii_whitespace().next()?;
        known.hashes.iter().find(|(module, _)| module.as_str() == name).map(|(_, hash)| hash.to_string())
    };
    for (index, line) in known.table.write().lines().enumerate() {
        // The first three lines are the heads of the table, whatever a module is called.
        match hash(line).filter(|_| index >= 3) {
            Some(hash) => text.push_str(&format!("{line}    {hash:.16}\n")),
            None => text.push_str(&format!("{line}\n")),
        }
    }
    let asked = if known.nonce.is_some() { "asked for" } else { "not asked for" };
    text.push_str(&format!("checked {} UTC, {asked}; boot {}", minute(known.checked), known.boot_id));
    text
}
