//! Who a device is: vendor, model, serial number, addresses.

use super::oid::{Oid, Value};
use super::text::{Charsets, decode, text};
use super::walk::Walk;
use super::{ROWS_MAX, oids};
use crate::profile::{Chosen, Clues, Field, Profiles, StandardText};
use serde::{Deserialize, Serialize};

/// Who a device is, as far as it tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct DeviceIdentity {
    /// Maker, in its usual spelling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Model name, without the maker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `prtGeneralSerialNumber`; a person can overwrite it on the device, so trust it together with MAC and model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// `sysDescr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sys_descr: Option<String>,
    /// `sysObjectID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sys_object_id: Option<Oid>,
    /// `sysName`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sys_name: Option<String>,
    /// Hardware address, `aa:bb:cc:dd:ee:ff`: the same one at every visit, where several are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Firmware version, where the system description names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
}

pub(super) fn identity(
    walk: &Walk,
    charsets: &Charsets,
    profiles: &Profiles,
    chosen: &Chosen,
    clues: Clues,
) -> DeviceIdentity {
    let sys_name =
        walk.scalar(oids::SYS_NAME).and_then(Value::as_octets).and_then(|octets| decode(octets, None));
    let printer = printer_index(walk);
    let hr_descr = printer.and_then(|index| text(walk, charsets, oids::HR_DEVICE_DESCR, &[index]));
    let described = chosen.described.clone().unwrap_or_default();
    let sys_descr = clues.description.as_deref();
    let standard = |source: StandardText| match source {
        StandardText::HrDeviceDescr => hr_descr.clone(),
        StandardText::PrinterName => {
            text_column(walk, charsets, oids::PRT_GENERAL_PRINTER_NAME).filter(|_| printer.is_some())
        }
        StandardText::SerialNumber => text_column(walk, charsets, oids::PRT_GENERAL_SERIAL_NUMBER),
        StandardText::SysName => sys_name.clone(),
        StandardText::DeviceId | StandardText::SysDescr | StandardText::IfPhysAddress => None,
    };
    let serial_of = |source| match source {
        StandardText::DeviceId => clues.device_id.serial.clone(),
        StandardText::SysDescr => described.serial.clone().or_else(|| serial_in_sys_descr(sys_descr?)),
        other => standard(other),
    };
    let serial = chosen.text(Field::Serial, walk, charsets, &serial_of, &is_serial);

    let vendor = described
        .vendor
        .clone()
        .or_else(|| {
            let texts = [sys_descr, clues.device_id.vendor.as_deref()].into_iter().flatten();
            texts.filter_map(|text| profiles.brand_of(text)).next().map(str::to_owned)
        })
        .or_else(|| chosen.maker(&clues).map(str::to_owned))
        .or_else(|| {
            let texts = [clues.device_id.model.as_deref(), hr_descr.as_deref()].into_iter().flatten();
            texts.filter_map(|text| profiles.brand_of(text)).next().map(str::to_owned)
        });
    let model_of = |source| match source {
        StandardText::HrDeviceDescr => {
            hr_descr.as_deref().and_then(|descr| model_of_device_descr(descr, serial.as_deref()))
        }
        StandardText::DeviceId => clues.device_id.model.clone(),
        StandardText::SysDescr if described.model.is_some() => described.model.clone(),
        StandardText::SysDescr if described.no_model => None,
        StandardText::SysDescr => model_in_sys_descr(sys_descr?, profiles),
        other => standard(other),
    };
    let model = chosen
        .text(Field::Model, walk, charsets, &model_of, &|text| !text.is_empty())
        .map(|model| without_vendor(&model, vendor.as_deref(), profiles))
        .map(|model| model.split_whitespace().collect::<Vec<_>>().join(" "));
    let firmware_of = |source| match source {
        StandardText::SysDescr => described.firmware.clone().or_else(|| firmware_in_sys_descr(sys_descr?)),
        other => standard(other),
    };
    let firmware = chosen.text(Field::Firmware, walk, charsets, &firmware_of, &|text| !text.is_empty());

    DeviceIdentity {
        firmware,
        vendor,
        model,
        serial,
        sys_name,
        mac: mac(walk, chosen),
        sys_descr: clues.description,
        sys_object_id: clues.object_id,
    }
}

/// Whether a text can be a serial number: makers and hands leave it at one repeated character.
fn is_serial(text: &str) -> bool {
    let mut letters = text.chars().filter(|c| c.is_alphanumeric());
    let first = letters.next();
    first.is_some() && (letters.any(|c| Some(c) != first) || text.chars().count() == 1 && first != Some('0'))
}

/// The first text of a column that is not empty.
fn text_column(walk: &Walk, charsets: &Charsets, column: &[u32]) -> Option<String> {
    walk.column(column).take(ROWS_MAX).find_map(|(index, _)| text(walk, charsets, column, index))
}

/// The `hrDeviceIndex` of the first printer; a device that tells no types counts its first row.
fn printer_index(walk: &Walk) -> Option<u32> {
    let of_type = walk
        .column(oids::HR_DEVICE_TYPE)
        .find(|(_, value)| value.as_oid().is_some_and(|oid| oid.arcs() == oids::HR_DEVICE_TYPES_PRINTER));
    let in_table = || walk.column(oids::HR_PRINTER_STATUS).next();
    let told_nothing = || walk.column(oids::HR_DEVICE_TYPE).next().is_none();
    let first = || walk.column(oids::HR_DEVICE_DESCR).next().filter(|_| told_nothing());
    of_type.or_else(in_table).or_else(first).and_then(|(index, _)| index.first().copied())
}

/// `hrDeviceDescr` of the printer. Lexmark-built machines append serial number (without its part behind a hyphen) and
/// firmware; some others give a name that says nothing.
fn model_of_device_descr(descr: &str, serial: Option<&str>) -> Option<String> {
    let before_serial = serial
        .and_then(|serial| serial.split('-').next())
        .filter(|serial| serial.len() >= 5)
        .and_then(|serial| descr.find(serial))
        .filter(|at| *at > 0)
        .map_or(descr, |at| &descr[..at])
        .trim();
    let says_nothing = before_serial.is_empty() || before_serial.to_ascii_lowercase().starts_with("generic");
    (!says_nothing).then(|| before_serial.to_owned())
}

/// What ends a model name in a system description.
const MODEL_ENDS: [&str; 9] = [";", " version ", " Version", " /", ",", " Ver.", " Ver:", " Rev.", " OS "];

/// What may stand between a maker's name and the model.
const LEGAL_FORMS: [&str; 3] = ["Inc.", "Corporation", "Corp."];

/// Words of system descriptions that describe a network part and not the machine around it.
const NETWORK_PARTS: [&str; 8] = [
    "ethernet multi-environment",
    "print server",
    "printserver",
    "printing system",
    "built-in",
    "zebranet",
    "jetdirect",
    "brother nc-",
];

/// The model in `sysDescr`, by the habits of the common makers.
fn model_in_sys_descr(descr: &str, profiles: &Profiles) -> Option<String> {
    if let Some(at) = descr.find("PID:") {
        // HP: `...,PID:HP Color LaserJet Test`
        return some_text(descr[at + 4..].split(',').next()?);
    }
    if let Some(at) = descr.find("Attached to ") {
        // OKI: `... PrintServer: Attached to MC342 Rev.02.70 : Copyright ...`
        return some_text(descr[at + 12..].split(" Rev.").next()?);
    }
    let lower = descr.to_ascii_lowercase();
    if NETWORK_PARTS.iter().any(|part| lower.contains(part)) {
        return None;
    }
    let (length, _) = profiles.brand_at_start(descr)?;
    let named = behind_legal_form(&descr[length..]);
    let end = MODEL_ENDS.iter().filter_map(|end| named.find(end)).min().unwrap_or(named.len());
    let mut model = named[..end].trim().to_owned();
    if named[end..].starts_with(" /") {
        // Ricoh and its brands: `RICOH MP C2503 1.35 / RICOH Network Printer C model / ...`
        if let Some((name, last)) = model.rsplit_once(' ')
            && is_version(last)
        {
            model = name.to_owned();
        }
    }
    some_text(&model)
}

/// The text behind the maker's legal form: `Canon Inc., LBP-1760e Printer`, `Oce, 3165 R8.2`.
fn behind_legal_form(behind: &str) -> &str {
    let separators = [',', ' '];
    let mut rest = behind.trim_start_matches(separators);
    for form in LEGAL_FORMS {
        rest = rest.strip_prefix(form).unwrap_or(rest).trim_start_matches(separators);
    }
    rest
}

/// Digits with at least one dot inside, perhaps behind a `V`.
fn is_version(word: &str) -> bool {
    let word = word.strip_prefix('V').unwrap_or(word);
    word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.')
}

fn some_text(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Takes the maker's name away from the front of a model, unless nothing else is there.
fn without_vendor(model: &str, vendor: Option<&str>, profiles: &Profiles) -> String {
    let mut rest = model.trim();
    while let Some((length, shown)) = profiles.brand_at_start(rest) {
        let behind = rest[length..].trim_start();
        if vendor != Some(shown) || !rest[length..].starts_with(' ') || behind.is_empty() {
            break;
        }
        rest = behind;
    }
    rest.to_owned()
}

/// The firmware version named in `sysDescr`, by the habits of the common makers.
fn firmware_in_sys_descr(descr: &str) -> Option<String> {
    for mark in [" Firmware Ver.", " version ", " Version: ", " Version "] {
        if let Some(at) = descr.find(mark) {
            let rest = descr[at + mark.len()..].trim_start();
            return some_text(rest.split([' ', ',', ';', '(']).next()?);
        }
    }
    let (head, _) = descr.split_once(" / ")?;
    let last = head.rsplit(' ').next()?;
    is_version(last).then(|| last.to_owned())
}

/// The serial number named in `sysDescr`: `SN:` of HP, `S/N` of Samsung-built machines.
fn serial_in_sys_descr(descr: &str) -> Option<String> {
    let at = descr.find(",SN:").map(|at| at + 4).or_else(|| descr.find(";S/N ").map(|at| at + 5))?;
    some_text(descr[at..].split([',', ';', ' ']).next()?)
}

/// The hardware address to know a device by: of the first interface that has an IP address of the LAN, else of the first whose
/// address its maker gave, else of the first that has one at all. Whether an interface is up does not count: the address must
/// stay when a cable is pulled for a moment.
fn mac(walk: &Walk, chosen: &Chosen) -> Option<String> {
    let unicast =
        |octets: &&[u8]| octets.len() == 6 && octets[0] & 1 == 0 && octets.iter().any(|octet| *octet != 0);
    let addresses: Vec<(u32, &[u8])> = walk
        .column(oids::IF_PHYS_ADDRESS)
        .take(ROWS_MAX)
        .filter_map(|(index, value)| Some((*index.first()?, value.as_octets().filter(unicast)?)))
        .collect();
    let on_lan = walk
        .column(oids::IP_AD_ENT_IF_INDEX)
        .take(ROWS_MAX)
        .filter(|(address, _)| !matches!(address, [0 | 127, ..] | [169, 254, ..]))
        .filter_map(|(_, interface)| u32::try_from(interface.as_i64()?).ok())
        .filter_map(|interface| addresses.iter().find(|(index, _)| *index == interface))
        .min_by_key(|(index, _)| *index);
    let given_by_maker = || addresses.iter().find(|(_, octets)| octets[0] & 2 == 0);
    let private = chosen.mac(walk);
    let best = on_lan
        .or_else(given_by_maker)
        .or(addresses.first())
        .map(|(_, octets)| *octets)
        .or(private.as_ref().map(<[u8; 6]>::as_slice).filter(unicast))?;
    Some(best.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":"))
}

#[cfg(test)]
mod tests;
