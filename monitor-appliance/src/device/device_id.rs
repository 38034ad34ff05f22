//! IEEE 1284 device ids: `KEY:value;` pairs that a printer tells of itself.

use super::oid::Value;
use super::oids;
use super::text::CHARS_MAX;
use super::walk::Walk;

/// What an IEEE 1284 device id tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DeviceId {
    pub(crate) vendor: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) serial: Option<String>,
}

impl DeviceId {
    /// The first device id that the device tells, standard before private.
    pub(crate) fn of(walk: &Walk) -> Self {
        walk.column(oids::PPM_PORT_IEEE1284_DEVICE_ID)
            .map(|(_, value)| value)
            .chain(walk.scalar(oids::BROTHER_IEEE1284_DEVICE_ID))
            .chain(walk.scalar(oids::HP_IEEE1284_DEVICE_ID))
            .chain(walk.column(oids::DELL_IEEE1284_DEVICE_ID).map(|(_, value)| value))
            .filter_map(Value::as_octets)
            .map(|octets| Self::parse(&String::from_utf8_lossy(octets)))
            .find(|id| *id != Self::default())
            .unwrap_or_default()
    }

    /// Reads `KEY:value;` pairs (IEEE 1284 section 7.6, PWG 5107.2), under short or long keys.
    pub(crate) fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for pair in text.split(';') {
            let Some((key, value)) = pair.split_once(':') else { continue };
            let value = || {
                let value: String = value.trim().chars().take(CHARS_MAX).collect();
                Some(value).filter(|value| !value.is_empty())
            };
            match key.trim() {
                "MFG" | "MANUFACTURER" => found.vendor = value(),
                "MDL" | "MODEL" => found.model = value(),
                "SN" | "SERN" | "SERIALNUMBER" => found.serial = value(),
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::DeviceId;

    #[test]
    fn short_and_long_keys_mean_the_same() {
        let short = DeviceId::parse("MFG:HP;MDL:LaserJet 9;SN:X1;CLS:PRINTER;");
        assert_eq!(short, DeviceId::parse("MANUFACTURER: HP;MODEL:LaserJet 9;SERN:X1"));
        assert_eq!(short.model.as_deref(), Some("LaserJet 9"));
        assert_eq!(DeviceId::parse("no pairs at all"), DeviceId::default());
        assert_eq!(DeviceId::parse("MFG:;MDL: ;"), DeviceId::default());
    }
}
