//! Who a device says it is in its announcement.

use serde::Serialize;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Longest text taken of an announcement, in characters.
const CHARS_MAX: usize = 120;

/// A device as it announces itself; each field as far as it tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Announced {
    /// The range by which it was heard: a place in the scan's ranges.
    #[serde(skip)]
    pub range: usize,
    /// The name that a person sees.
    pub name: String,
    /// Where it can be asked by SNMP: IPv4 addresses first.
    #[serde(serialize_with = "address_texts")]
    pub addresses: Vec<SocketAddr>,
    /// The services that it announces, such as `_ipp._tcp`.
    pub services: BTreeSet<&'static str>,
    /// Maker (`usb_MFG`).
    pub vendor: Option<String>,
    /// Model (`usb_MDL`, else `product`, else `ty`).
    pub model: Option<String>,
    /// `UUID`: the same one at every visit.
    pub uuid: Option<String>,
    /// `adminurl`: its own page for a person.
    pub admin_url: Option<String>,
    /// `note`: where it stands.
    pub location: Option<String>,
    /// `Scan`, or a service of scanners: whether it scans.
    pub scans: Option<bool>,
    /// `Fax`: whether it faxes.
    pub faxes: Option<bool>,
    /// `Copy`: whether it copies.
    pub copies: Option<bool>,
}

impl Announced {
    /// Takes in the pairs of one of its services; what was told before stays.
    ///
    /// Source: Bonjour Printing Specification 1.2.1, section 9; PWG 5100.14 section 4.2.
    pub(super) fn take(&mut self, pairs: &[(String, String)]) {
        let told = |key: &str| {
            let (_, value) = pairs.iter().find(|(known, value)| known == key && !value.is_empty())?;
            Some(value.chars().take(CHARS_MAX).collect::<String>())
        };
        let yes = |key: &str| told(key).map(|value| value.eq_ignore_ascii_case("T"));
        let put = |field: &mut Option<String>, value: Option<String>| {
            if field.is_none() {
                *field = value;
            }
        };
        put(&mut self.vendor, told("usb_mfg"));
        let product = || told("product").map(|text| text.trim_matches(['(', ')']).trim().to_owned());
        put(&mut self.model, told("usb_mdl").or_else(product).or_else(|| told("ty")));
        put(
            &mut self.uuid,
            told("uuid").map(|uuid| uuid.trim_start_matches("urn:uuid:").to_ascii_lowercase()),
        );
        put(&mut self.admin_url, told("adminurl").filter(|url| is_web_address(url)));
        put(&mut self.location, told("note"));
        self.scans = self.scans.or_else(|| yes("scan"));
        self.faxes = self.faxes.or_else(|| yes("fax"));
        self.copies = self.copies.or_else(|| yes("copy"));
    }

    /// Whether it announces that it prints.
    #[must_use]
    pub fn prints(&self) -> bool {
        self.services.iter().any(|service| !is_of_scanners(service))
    }

    /// Whether it announces that it scans.
    #[must_use]
    pub fn is_scanner(&self) -> bool {
        self.scans == Some(true) || self.services.iter().any(|service| is_of_scanners(service))
    }
}

fn is_of_scanners(service: &str) -> bool {
    matches!(service, "_uscan._tcp" | "_scanner._tcp")
}

/// What a person may open in a browser.
fn is_web_address(url: &str) -> bool {
    (url.starts_with("http://") || url.starts_with("https://"))
        && url.bytes().all(|octet| octet.is_ascii_graphic())
}

fn address_texts<S: serde::Serializer>(addresses: &[SocketAddr], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(addresses.iter().map(|address| super::super::range::address_text(*address)))
}
