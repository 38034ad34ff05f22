//! Processors, memory and disks of PCs and print servers (RFC 2790).

use super::oid::Value;
use super::text::decode;
use super::walk::Walk;
use super::{ROWS_MAX, number, oids};
use serde::{Deserialize, Serialize};

/// `sysServices` (RFC 3418): the layers on which a device serves.
pub const SYS_SERVICES: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 7];

/// The computer side of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Host {
    /// Time since the operating system started, in seconds (`hrSystemUptime`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uptime_secs: Option<u64>,
    /// Main memory, in bytes (`hrMemorySize`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_bytes: Option<u64>,
    /// Load of each processor over the last minute, in percent (`hrProcessorLoad`).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub processor_load_percent: Vec<u8>,
    /// Memory and disks (`hrStorageTable`).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub storage: Vec<Storage>,
}

/// What a storage row is (`hrStorageType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageKind {
    /// Main memory.
    Ram,
    /// Virtual memory: swap.
    VirtualMemory,
    /// A fixed disk.
    FixedDisk,
    /// A removable disk.
    RemovableDisk,
    /// Flash memory.
    FlashMemory,
    /// Anything else, or not told.
    Other,
}

/// One memory or disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Storage {
    /// What it is.
    pub kind: StorageKind,
    /// The device's text, such as the mount point.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// Size in bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size_bytes: Option<u64>,
    /// Used part in bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub used_bytes: Option<u64>,
}

/// TimeTicks, or a number a device sends in their place, as whole seconds.
pub(super) fn ticks_to_secs(value: &Value) -> Option<u64> {
    value.as_i64().and_then(|ticks| u64::try_from(ticks).ok()).map(|ticks| ticks / 100)
}

/// The computer side; `None` if the device tells nothing of it.
pub(super) fn host(walk: &Walk) -> Option<Host> {
    let host = Host {
        uptime_secs: walk.scalar(oids::HR_SYSTEM_UPTIME).and_then(ticks_to_secs),
        memory_bytes: walk
            .scalar(oids::HR_MEMORY_SIZE)
            .and_then(Value::as_i64)
            .and_then(|kib| u64::try_from(kib).ok())
            .filter(|kib| *kib > 0)
            .and_then(|kib| kib.checked_mul(1024)),
        processor_load_percent: walk
            .column(oids::HR_PROCESSOR_LOAD)
            .take(ROWS_MAX)
            .filter_map(|(_, load)| u8::try_from(load.as_i64()?).ok().filter(|load| *load <= 100))
            .collect(),
        storage: storage(walk),
    };
    (host != Host::default()).then_some(host)
}

fn storage(walk: &Walk) -> Vec<Storage> {
    let rows = walk.rows(&[oids::HR_STORAGE_TYPE, oids::HR_STORAGE_DESCR, oids::HR_STORAGE_SIZE], ROWS_MAX);
    rows.iter()
        .map(|index| {
            let unit = number(walk, oids::HR_STORAGE_ALLOCATION_UNITS, index)
                .and_then(|unit| u64::try_from(unit).ok());
            let bytes = |column| {
                let units = u64::try_from(walk.cell(column, index)?.as_i64()?).ok()?;
                units.checked_mul(unit?)
            };
            Storage {
                kind: kind(walk, index),
                description: walk
                    .cell(oids::HR_STORAGE_DESCR, index)
                    .and_then(Value::as_octets)
                    .and_then(|octets| decode(octets, None)),
                size_bytes: bytes(oids::HR_STORAGE_SIZE),
                used_bytes: bytes(oids::HR_STORAGE_USED),
            }
        })
        .collect()
}

fn kind(walk: &Walk, index: &[u32]) -> StorageKind {
    let told = walk.cell(oids::HR_STORAGE_TYPE, index).and_then(Value::as_oid);
    match told.and_then(|oid| oid.arcs().strip_prefix(oids::HR_STORAGE_TYPES)) {
        Some([2]) => StorageKind::Ram,
        Some([3]) => StorageKind::VirtualMemory,
        Some([4]) => StorageKind::FixedDisk,
        Some([5]) => StorageKind::RemovableDisk,
        Some([9]) => StorageKind::FlashMemory,
        _ => StorageKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::{Storage, StorageKind, host};
    use crate::device::{Oid, Value, Walk};

    #[test]
    fn a_pc_tells_memory_disk_and_load() {
        let rows: [(&str, Value); 9] = [
            ("1.3.6.1.2.1.25.1.1.0", Value::Ticks(360_050)),
            ("1.3.6.1.2.1.25.2.2.0", Value::Integer(8_000_000)),
            ("1.3.6.1.2.1.25.2.3.1.2.31", Value::Oid("1.3.6.1.2.1.25.2.1.4".parse().unwrap())),
            ("1.3.6.1.2.1.25.2.3.1.3.31", Value::Octets(b"/".to_vec())),
            ("1.3.6.1.2.1.25.2.3.1.4.31", Value::Integer(4096)),
            ("1.3.6.1.2.1.25.2.3.1.5.31", Value::Integer(10_000_000)),
            ("1.3.6.1.2.1.25.2.3.1.6.31", Value::Integer(2_500_000)),
            ("1.3.6.1.2.1.25.3.3.1.2.196608", Value::Integer(12)),
            ("1.3.6.1.2.1.25.3.3.1.2.196609", Value::Integer(-1)),
        ];
        let walk: Walk = rows.into_iter().map(|(oid, value)| (oid.parse::<Oid>().unwrap(), value)).collect();
        let host = host(&walk).unwrap();
        assert_eq!(host.uptime_secs, Some(3600));
        assert_eq!(host.memory_bytes, Some(8_192_000_000));
        assert_eq!(host.processor_load_percent, [12]);
        assert_eq!(
            host.storage,
            [Storage {
                kind: StorageKind::FixedDisk,
                description: Some("/".to_owned()),
                size_bytes: Some(40_960_000_000),
                used_bytes: Some(10_240_000_000),
            }]
        );
    }

    #[test]
    fn a_device_that_tells_nothing_has_no_host_side() {
        assert_eq!(host(&Walk::default()), None);
    }
}
