//! Who a device is: vendor, model, serial number, addresses.

use super::oid::{Oid, Value};
use super::text::{CHARS_MAX, Charsets, decode, text};
use super::walk::Walk;
use super::{ROWS_MAX, oids};
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

pub(super) fn identity(walk: &Walk, charsets: &Charsets) -> DeviceIdentity {
    let sys_descr =
        walk.scalar(oids::SYS_DESCR).and_then(Value::as_octets).and_then(|octets| decode(octets, None));
    let sys_object_id = walk.scalar(oids::SYS_OBJECT_ID).and_then(Value::as_oid).cloned();
    let device_id = device_id(walk);
    let printer = printer_index(walk);
    let hr_descr = printer.and_then(|index| text(walk, charsets, oids::HR_DEVICE_DESCR, &[index]));
    let serial = text_column(walk, charsets, oids::PRT_GENERAL_SERIAL_NUMBER);
    let printer_name = text_column(walk, charsets, oids::PRT_GENERAL_PRINTER_NAME);

    let vendor = [sys_descr.as_deref(), device_id.vendor.as_deref()]
        .into_iter()
        .flatten()
        .find_map(vendor_in_text)
        .or_else(|| sys_object_id.as_ref().and_then(vendor_of_enterprise))
        .or_else(|| hr_descr.as_deref().and_then(vendor_in_text));
    let model = hr_descr
        .as_deref()
        .and_then(|descr| model_of_device_descr(descr, serial.as_deref()))
        .or_else(|| device_id.model.clone())
        .or_else(|| sys_descr.as_deref().and_then(model_in_sys_descr))
        .or_else(|| printer_name.filter(|_| printer.is_some()))
        .map(|model| without_vendor(&model, vendor));

    DeviceIdentity {
        firmware: sys_descr.as_deref().and_then(firmware_in_sys_descr),
        vendor: vendor.map(str::to_owned),
        model,
        serial: serial.or_else(|| sys_descr.as_deref().and_then(serial_in_sys_descr)),
        sys_name: walk
            .scalar(oids::SYS_NAME)
            .and_then(Value::as_octets)
            .and_then(|octets| decode(octets, None)),
        mac: mac(walk),
        sys_descr,
        sys_object_id,
    }
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

/// What an IEEE 1284 device id tells.
#[derive(Default)]
struct DeviceId {
    vendor: Option<String>,
    model: Option<String>,
}

/// Reads `KEY:value;` pairs (IEEE 1284 section 7.6, PWG 5107.2): manufacturer and model under short or long key.
fn device_id(walk: &Walk) -> DeviceId {
    let octets = walk
        .column(oids::PPM_PORT_IEEE1284_DEVICE_ID)
        .map(|(_, value)| value)
        .chain(walk.scalar(oids::BROTHER_IEEE1284_DEVICE_ID))
        .chain(walk.scalar(oids::HP_IEEE1284_DEVICE_ID))
        .find_map(Value::as_octets);
    let mut found = DeviceId::default();
    let Some(text) = octets.map(String::from_utf8_lossy) else { return found };
    for pair in text.split(';') {
        let Some((key, value)) = pair.split_once(':') else { continue };
        let value = || {
            Some(value.trim().chars().take(CHARS_MAX).collect()).filter(|value: &String| !value.is_empty())
        };
        match key.trim() {
            "MFG" | "MANUFACTURER" => found.vendor = value(),
            "MDL" | "MODEL" => found.model = value(),
            _ => {}
        }
    }
    found
}

/// Makers by the number below `enterprises` (IANA private enterprise numbers).
fn vendor_of_enterprise(oid: &Oid) -> Option<&'static str> {
    let enterprise = oid.arcs().strip_prefix(oids::ENTERPRISES)?.first()?;
    Some(match enterprise {
        11 => "HP",
        236 => "Samsung",
        253 => "Xerox",
        258 => "Panasonic",
        297 => "Fujifilm",
        367 => "Ricoh",
        641 => "Lexmark",
        674 => "Dell",
        1129 => "Toshiba",
        1248 => "Epson",
        1347 => "Kyocera",
        1602 => "Canon",
        2001 => "OKI",
        2385 => "Sharp",
        2435 => "Brother",
        10642 => "Zebra",
        18334 => "Konica Minolta",
        40093 => "Pantum",
        _ => return None,
    })
}

/// How makers call themselves at the start of a text, in lower case, with their usual spelling.
///
/// A text tells the brand that stands on the machine; the enterprise number only who built its network part.
const VENDOR_STARTS: [(&str, &str); 41] = [
    ("axis", "Axis"),
    ("brother", "Brother"),
    ("canon", "Canon"),
    ("datamax", "Datamax"),
    ("dell", "Dell"),
    ("develop", "Develop"),
    ("epson", "Epson"),
    ("fuji xerox", "Fuji Xerox"),
    ("fujifilm", "Fujifilm"),
    ("gestetner", "Gestetner"),
    ("hewlett-packard", "HP"),
    ("hp", "HP"),
    ("honeywell", "Honeywell"),
    ("ibm", "IBM"),
    ("infotec", "Infotec"),
    ("konica minolta", "Konica Minolta"),
    ("kyocera", "Kyocera"),
    ("lanier", "Lanier"),
    ("lantronix", "Lantronix"),
    ("lexmark", "Lexmark"),
    ("nashuatec", "Nashuatec"),
    ("nrg", "NRG"),
    ("oce", "Oce"),
    ("oki", "OKI"),
    ("olivetti", "Olivetti"),
    ("panasonic", "Panasonic"),
    ("pantum", "Pantum"),
    ("rex-rotary", "Rex-Rotary"),
    ("ricoh", "Ricoh"),
    ("samsung", "Samsung"),
    ("savin", "Savin"),
    ("sharp", "Sharp"),
    ("source technologies", "Source Technologies"),
    ("tektronix", "Tektronix"),
    ("toshiba", "Toshiba"),
    ("troy", "Troy"),
    ("unisys", "Unisys"),
    ("utax", "UTAX"),
    ("xerox", "Xerox"),
    ("zebra", "Zebra"),
    ("zebranet", "Zebra"),
];

/// TSC label printers name no maker: their model numbers start like this, with a digit behind.
const TSC_MODELS: [&str; 3] = ["TTP", "TDP", "TE2"];

fn vendor_in_text(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    // A name ends where no letter, digit or hyphen follows: `HPE` is not HP.
    let ends = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-');
    let named = VENDOR_STARTS.iter().find(|(name, _)| lower.strip_prefix(name).is_some_and(ends));
    if let Some((_, vendor)) = named {
        return Some(vendor);
    }
    let numbered = |rest: &str| rest.starts_with(|next: char| next.is_ascii_digit() || next == '-');
    let tsc = TSC_MODELS.iter().any(|start| text.strip_prefix(start).is_some_and(numbered));
    tsc.then_some("TSC")
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
fn model_in_sys_descr(descr: &str) -> Option<String> {
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
    let vendor = vendor_in_text(descr)?;
    let named = behind_vendor(descr, vendor);
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

/// The text behind the maker's name and legal form: `Canon Inc., LBP-1760e Printer`, `Oce, 3165 R8.2`.
fn behind_vendor<'a>(descr: &'a str, vendor: &str) -> &'a str {
    let separators = [',', ' '];
    let head = descr.get(..vendor.len()).filter(|head| head.eq_ignore_ascii_case(vendor));
    let mut rest = descr[head.map_or(0, str::len)..].trim_start_matches(separators);
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
fn without_vendor(model: &str, vendor: Option<&str>) -> String {
    let mut rest = model.trim();
    for name in [vendor.unwrap_or_default(), "Brother", "Hewlett-Packard"] {
        let Some(head) = rest.get(..name.len()) else { continue };
        let behind = rest[name.len()..].trim_start();
        if !name.is_empty()
            && head.eq_ignore_ascii_case(name)
            && rest[name.len()..].starts_with(' ')
            && !behind.is_empty()
        {
            rest = behind;
        }
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

/// The hardware address to know a device by: of the first interface that has one given by its maker, else of the first
/// that has one at all. Which interface is in use does not count: the address must stay when a cable is pulled.
fn mac(walk: &Walk) -> Option<String> {
    let unicast =
        |octets: &&[u8]| octets.len() == 6 && octets[0] & 1 == 0 && octets.iter().any(|octet| *octet != 0);
    let mut addresses = walk
        .column(oids::IF_PHYS_ADDRESS)
        .take(ROWS_MAX)
        .filter_map(|(_, value)| value.as_octets())
        .filter(unicast);
    let first = addresses.next()?;
    let given_by_maker = |octets: &&[u8]| octets[0] & 2 == 0;
    let best = std::iter::once(first).chain(addresses).find(given_by_maker).unwrap_or(first);
    Some(best.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":"))
}

#[cfg(test)]
mod tests;
