//! Settings of install scripts: `[script]`.

use super::SettingsError;
use super::file::{bad, in_range};
use crate::update::Fence;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What install scripts may use and do on this box. Key in `[script]`: the field's name, `_octets` behind sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptSettings {
    /// Files and folders that scripts may write beside the new release, the appliance's root and their own working
    /// folder; absolute paths, at most 100, none by default. What is closed to scripts within the root (`store.db`,
    /// `trust`) is open to them when it stands here.
    pub may_write: Vec<PathBuf>,
    /// Fences that are left out, because this box's kernel or its scripts cannot do with them: of `processes`,
    /// `mounts`, `network`, `capabilities`, `landlock`, `group`. None by default; what is left out is told with the
    /// output of every script.
    pub without: Vec<Fence>,
    /// Processes and threads at a time; 8 to 10,000, default 256.
    pub processes: u32,
    /// Memory of all of them together; at least 16 MiB, default 512 MiB.
    pub memory: u64,
    /// Growth of what a script may write to; at least 1 MiB, default 1 GiB.
    pub disk: u64,
    /// Growth in files; 100 to 1,000,000, default 20,000.
    pub files: u32,
}

impl Default for ScriptSettings {
    fn default() -> Self {
        Self {
            may_write: Vec::new(),
            without: Vec::new(),
            processes: 256,
            memory: 512 << 20,
            disk: 1 << 30,
            files: 20_000,
        }
    }
}

const PATHS_MAX: usize = 100;

#[derive(Deserialize, Serialize, Default, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct FileScript {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    may_write: Vec<PathBuf>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    without: Vec<Fence>,
    processes: Option<u64>,
    memory_octets: Option<u64>,
    disk_octets: Option<u64>,
    files: Option<u64>,
}

impl FileScript {
    pub(super) fn check(self) -> Result<ScriptSettings, SettingsError> {
        let default = ScriptSettings::default();
        if self.may_write.len() > PATHS_MAX || self.may_write.iter().any(|path| !path.is_absolute()) {
            let found = format_args!("{:?}", self.may_write);
            return Err(bad("script.may_write", found, format_args!("at most {PATHS_MAX} absolute paths")));
        }
        let small = |key: &str, value, unit: &str, range, default: u32| {
            let value = in_range(&format!("script.{key}"), value, unit, range)?;
            Ok::<_, SettingsError>(value.and_then(|value| u32::try_from(value).ok()).unwrap_or(default))
        };
        let octets = |key: &str, value, least: u64, default: u64| {
            // The file knows no greater number.
            let range = least..=i64::MAX.unsigned_abs();
            in_range(&format!("script.{key}_octets"), value, "octets", range)
                .map(|value| value.unwrap_or(default))
        };
        Ok(ScriptSettings {
            may_write: self.may_write,
            without: self.without,
            processes: small("processes", self.processes, "processes", 8..=10_000, default.processes)?,
            memory: octets("memory", self.memory_octets, 16 << 20, default.memory)?,
            disk: octets("disk", self.disk_octets, 1 << 20, default.disk)?,
            files: small("files", self.files, "files", 100..=1_000_000, default.files)?,
        })
    }

    pub(super) fn of(settings: &ScriptSettings) -> Self {
        let default = ScriptSettings::default();
        let other = |value: u64, default: u64| (value != default).then_some(value);
        Self {
            may_write: settings.may_write.clone(),
            without: settings.without.clone(),
            processes: other(settings.processes.into(), default.processes.into()),
            memory_octets: other(settings.memory, default.memory),
            disk_octets: other(settings.disk, default.disk),
            files: other(settings.files.into(), default.files.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let settings = ScriptSettings {
            may_write: vec!["/etc/cups".into()],
            without: vec![Fence::Network, Fence::Mounts],
            processes: 64,
            disk: 4 << 20,
            ..ScriptSettings::default()
        };
        let text = toml::to_string(&FileScript::of(&settings)).unwrap();
        assert_eq!(toml::from_str::<FileScript>(&text).unwrap().check().unwrap(), settings);
        let nothing = toml::to_string(&FileScript::of(&ScriptSettings::default())).unwrap();
        assert_eq!(nothing, "");
    }

    #[test]
    fn values_out_of_their_range_are_named() {
        for (text, key) in [
            ("may_write = [\"etc\"]", "script.may_write"),
            ("processes = 7", "script.processes"),
            ("memory_octets = 1000", "script.memory_octets"),
            ("files = 0", "script.files"),
        ] {
            let error = toml::from_str::<FileScript>(text).unwrap().check().unwrap_err();
            assert!(matches!(&error, SettingsError::Value { key: found, .. } if found == key), "{error}");
        }
        assert!(toml::from_str::<FileScript>("without = [\"everything\"]").is_err());
    }
}
