//! What sort of device answers. Pure.

use super::dns_sd::Announced;
use crate::device::{Value, Walk, oids};
use serde::{Deserialize, Serialize};

/// What sort of device it is, as far as it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// Prints: it has tables of the Printer MIB (RFC 3805) or tells an IEEE 1284 device id.
    Printer,
    /// Prints, and scans, copies or faxes.
    Mfp,
    /// Scans and does not print.
    Scanner,
    /// Prints labels, tags, receipts or cards.
    LabelPrinter,
    /// A box of its own with printers behind it.
    PrintServer,
    /// A computer: it tells memory and disks (RFC 2790).
    Computer,
    /// Anything else that speaks SNMP: switches, power supplies.
    Other,
}

/// `sysServices` (RFC 3418): the layers on which a device serves, one bit each; applications are layer 7.
const SERVES_APPLICATIONS: i64 = 1 << 6;

/// Makers of print servers by their enterprise numbers: SEH, Axis, Lantronix, D-Link, TP-Link, Netgear, Extended Systems,
/// Intel. They make other things, too.
///
/// Source: IANA, private enterprise numbers.
const PRINT_SERVER_MAKERS: [u32; 8] = [1229, 368, 244, 171, 11863, 4526, 277, 343];

/// HP's print servers with a case of their own; those inside of printers say `JETDIRECT,JD...`.
const JETDIRECT_BOXES: [&str; 13] = [
    "jetdirect ex",
    "jetdirect 170x",
    "jetdirect 175x",
    "jetdirect 300x",
    "jetdirect 310x",
    "jetdirect 380x",
    "jetdirect 500x",
    "jetdirect 510x",
    "jetdirect en1700",
    "jetdirect en3700",
    "jetdirect ew2400",
    "jetdirect ew2500",
    "jetdirect ew2700",
];

/// Makers of label printers alone: Zebra, Eltron and ZebraNet, TSC, Intermec.
const LABEL_MAKERS: [u32; 4] = [10642, 683, 51966, 1963];

/// How the names of label, tag, receipt and card printers begin, or words in them.
const LABEL_WORDS: [&str; 36] = [
    "label printer",
    "labelwriter",
    "zebra",
    "ztc",
    "sato",
    "tsc",
    "ttp-",
    "ttp2",
    "ttp3",
    "godex",
    "datamax",
    "intermec",
    "dymo",
    "bixolon",
    "citizen cl-",
    "b-ev",
    "b-sx",
    "b-ex",
    "b-fv",
    "b-fp",
    "b-sa",
    "ql-",
    "td-2",
    "td-4",
    "pt-p9",
    "pt-e",
    "pt-d",
    "rj-4",
    "tm-c",
    "tm-l",
    "cw-c",
    "cw-d",
    "colorworks",
    "evolis",
    "cab squix",
    "cl4nx",
];

/// Words in the names of devices that do more than print.
const MFP_WORDS: [&str; 36] = [
    "mfp",
    "mfc",
    "dcp",
    "multifunction",
    "multi-function",
    "all-in-one",
    "copier",
    "facsimile",
    "network scanner",
    "taskalfa",
    "bizhub",
    "ineo",
    "imagerunner",
    "ir-adv",
    "aficio mp",
    "workcentre",
    "altalink",
    "versalink c7",
    "apeos",
    "docucentre",
    "e-studio",
    "officejet",
    "envy",
    "scx-",
    "clx-",
    "mx-",
    "bp-5",
    "bp-7",
    "im c",
    "mp c",
    "ecosys m",
    "m4080",
    "cs-",
    "et-5",
    "et-16",
    "mx61",
];

/// Words in the names of scanners.
const SCANNER_WORDS: [&str; 7] = [
    "scansnap",
    "document scanner",
    "image scanner",
    "scanfront",
    "workforce ds-",
    "network scanner",
    "kodak scan station",
];

impl DeviceKind {
    /// The kind in what a device told.
    #[must_use]
    pub fn of(walk: &Walk) -> Self {
        let has = |columns: &[&[u32]]| columns.iter().any(|column| walk.column(column).next().is_some());
        let tables = [
            oids::PRT_GENERAL_CURRENT_LOCALIZATION,
            oids::PRT_GENERAL_SERIAL_NUMBER,
            oids::PRT_GENERAL_PRINTER_NAME,
            oids::PPM_PORT_IEEE1284_DEVICE_ID,
            oids::BROTHER_IEEE1284_DEVICE_ID,
            oids::HP_IEEE1284_DEVICE_ID,
        ];
        let text = texts(walk);
        let maker = enterprise(walk);
        let prints = has(&tables);
        let print_server = maker.is_some_and(|maker| PRINT_SERVER_MAKERS.contains(&maker))
            && (prints || text.contains("print"))
            || JETDIRECT_BOXES.iter().any(|name| has_word(&text, name));
        if print_server {
            Self::PrintServer
        } else if prints || maker.is_some_and(|maker| LABEL_MAKERS.contains(&maker)) {
            Self::of_printing(&text, maker)
        } else if has(&[oids::HR_STORAGE_TYPE]) && serves_applications(walk) {
            // A computer lists the printers that it prints on among its devices.
            Self::Computer
        } else if has(&[oids::HR_PRINTER_STATUS]) {
            Self::of_printing(&text, maker)
        } else if SCANNER_WORDS.iter().any(|word| has_word(&text, word)) {
            Self::Scanner
        } else {
            Self::Other
        }
    }

    fn of_printing(text: &str, maker: Option<u32>) -> Self {
        let one_of = |words: &[&str]| words.iter().any(|word| has_word(text, word));
        if maker.is_some_and(|maker| LABEL_MAKERS.contains(&maker)) || one_of(&LABEL_WORDS) {
            Self::LabelPrinter
        } else if one_of(&MFP_WORDS) {
            Self::Mfp
        } else {
            Self::Printer
        }
    }

    /// The kind with what the device announces of itself.
    #[must_use]
    pub fn hinted(self, announced: &Announced) -> Self {
        let more = announced.is_scanner() || announced.faxes == Some(true) || announced.copies == Some(true);
        match self {
            Self::Printer if more => Self::Mfp,
            Self::Other if announced.prints() && more => Self::Mfp,
            Self::Other if announced.prints() => Self::Printer,
            Self::Other if announced.is_scanner() => Self::Scanner,
            told => told,
        }
    }

    /// Whether devices of this kind are watched without being asked for: whatever a service company looks after.
    #[must_use]
    pub fn is_watched(self) -> bool {
        match self {
            Self::Printer | Self::Mfp | Self::Scanner | Self::LabelPrinter | Self::PrintServer => true,
            Self::Computer | Self::Other => false,
        }
    }

    /// The word in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Printer => "printer",
            Self::Mfp => "mfp",
            Self::Scanner => "scanner",
            Self::LabelPrinter => "label-printer",
            Self::PrintServer => "print-server",
            Self::Computer => "computer",
            Self::Other => "other",
        }
    }
}

impl std::fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// All that a device says of what it is, in small letters.
fn texts(walk: &Walk) -> String {
    let mut text = String::new();
    let told = walk
        .scalar(oids::SYS_DESCR)
        .into_iter()
        .chain(walk.column(oids::HR_DEVICE_DESCR).take(8).map(|(_, value)| value))
        .chain(walk.column(oids::PPM_PORT_IEEE1284_DEVICE_ID).take(4).map(|(_, value)| value))
        .chain(walk.scalar(oids::BROTHER_IEEE1284_DEVICE_ID))
        .chain(walk.scalar(oids::HP_IEEE1284_DEVICE_ID));
    for octets in told.filter_map(Value::as_octets) {
        text.push_str(&String::from_utf8_lossy(octets).to_lowercase());
        text.push('\n');
    }
    text
}

/// Whether a word begins with these letters.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric())
    })
}

fn enterprise(walk: &Walk) -> Option<u32> {
    let oid = walk.scalar(oids::SYS_OBJECT_ID).and_then(Value::as_oid)?;
    oid.arcs().strip_prefix(oids::ENTERPRISES)?.first().copied()
}

/// Routers tell memory, too; what says that it serves no applications is no computer.
fn serves_applications(walk: &Walk) -> bool {
    let layers = walk.scalar(crate::device::SYS_SERVICES).and_then(Value::as_i64);
    layers.is_none_or(|layers| layers & SERVES_APPLICATIONS != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Oid;

    fn walk(objects: &[(&str, Value)]) -> Walk {
        objects.iter().map(|(oid, value)| (oid.parse::<Oid>().unwrap(), value.clone())).collect()
    }

    fn text(text: &str) -> Value {
        Value::Octets(text.as_bytes().to_vec())
    }

    const SERIAL: &str = "1.3.6.1.2.1.43.5.1.1.17.1";
    const DISKS: &str = "1.3.6.1.2.1.25.2.3.1.2.1";
    const PRINTS: &str = "1.3.6.1.2.1.25.3.5.1.1.3";
    const DESCR: &str = "1.3.6.1.2.1.1.1.0";
    const OBJECT: &str = "1.3.6.1.2.1.1.2.0";
    const SERVICES: &str = "1.3.6.1.2.1.1.7.0";

    fn printing(described: &str) -> DeviceKind {
        DeviceKind::of(&walk(&[(SERIAL, text("X1")), (DESCR, text(described))]))
    }

    #[test]
    fn a_computer_that_lists_printers_is_no_printer() {
        let one = || Value::Integer(1);
        assert_eq!(DeviceKind::of(&walk(&[(SERIAL, one()), (DISKS, one())])), DeviceKind::Printer);
        assert_eq!(DeviceKind::of(&walk(&[(DISKS, one()), (PRINTS, one())])), DeviceKind::Computer);
        assert_eq!(DeviceKind::of(&walk(&[(PRINTS, one())])), DeviceKind::Printer);
        assert_eq!(DeviceKind::of(&walk(&[("1.3.6.1.2.1.1.3.0", one())])), DeviceKind::Other);
    }

    #[test]
    fn a_router_that_tells_its_memory_is_no_computer() {
        let (disks, layers) = ((DISKS, Value::Integer(1)), |layers| (SERVICES, Value::Integer(layers)));
        assert_eq!(DeviceKind::of(&walk(&[disks.clone(), layers(6)])), DeviceKind::Other);
        assert_eq!(DeviceKind::of(&walk(&[disks, layers(72)])), DeviceKind::Computer);
    }

    #[test]
    fn what_a_device_is_stands_in_its_name() {
        for (described, kind) in [
            ("KYOCERA Document Solutions Printing System", DeviceKind::Printer),
            ("EPSON Built-in 11b/g/n & 10/100 Print Server", DeviceKind::Printer),
            ("HP ETHERNET MULTI-ENVIRONMENT,ROM none,JETDIRECT,JD149,EEPROM JDI99", DeviceKind::Printer),
            ("HP LaserJet MFP M528", DeviceKind::Mfp),
            (
                "RICOH MP C2503 1.35 / RICOH Network Printer C model / RICOH Network Scanner C model",
                DeviceKind::Mfp,
            ),
            ("Xerox AltaLink C8045", DeviceKind::Mfp),
            ("Brother QL-820NWB", DeviceKind::LabelPrinter),
            ("TOSHIBA TEC B-EV4", DeviceKind::LabelPrinter),
            (
                "HP ETHERNET MULTI-ENVIRONMENT,ROM J.sp.00,JETDIRECT EX,JD28 EEPROM 5.58",
                DeviceKind::PrintServer,
            ),
        ] {
            assert_eq!(printing(described), kind, "{described}");
        }
    }

    #[test]
    fn a_box_of_a_maker_of_print_servers_is_one_when_it_speaks_of_printing() {
        let seh = (OBJECT, Value::Oid("1.3.6.1.4.1.1229.1.1".parse().unwrap()));
        assert_eq!(
            DeviceKind::of(&walk(&[seh.clone(), (DESCR, text("SEH Print Server PS105"))])),
            DeviceKind::PrintServer
        );
        assert_eq!(DeviceKind::of(&walk(&[seh.clone(), (SERIAL, text("X"))])), DeviceKind::PrintServer);
        assert_eq!(DeviceKind::of(&walk(&[seh, (DESCR, text("dongleserver"))])), DeviceKind::Other);
        let zebra = (OBJECT, Value::Oid("1.3.6.1.4.1.10642.1.1".parse().unwrap()));
        assert_eq!(DeviceKind::of(&walk(&[zebra])), DeviceKind::LabelPrinter);
    }

    #[test]
    fn what_it_announces_says_more_than_its_name() {
        let announced =
            Announced { scans: Some(true), services: ["_ipp._tcp"].into(), ..Announced::default() };
        assert_eq!(DeviceKind::Printer.hinted(&announced), DeviceKind::Mfp);
        assert_eq!(DeviceKind::Computer.hinted(&announced), DeviceKind::Computer);
        let scanner = Announced { services: ["_uscan._tcp"].into(), ..Announced::default() };
        assert_eq!(DeviceKind::Other.hinted(&scanner), DeviceKind::Scanner);
    }
}
