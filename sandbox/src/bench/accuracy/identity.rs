//! Who the devices are: beside what others read, and beside published system descriptions.

use super::tally::{Kind, Tally};
use super::{Device, list, plain};
use anyhow::Context as _;
use monitor_appliance::device::{Value, Walk, interpret};
use monitor_appliance::profile::Profiles;
use serde_json::Value as Json;
use std::path::Path;

pub(super) fn compare(device: &Device, tally: &mut Tally) {
    let expected = &device.expected["expected"]["identity"];
    let read = &device.read["identity"];
    let vendor = expected["vendor"].as_str().unwrap_or_default();
    for field in ["vendor", "model", "serial", "firmware", "mac", "sysDescr", "sysObjectID", "sysName"] {
        let text = |json: &Json| {
            let text = json[field].as_str()?;
            Some(if field == "model" { model(text, vendor) } else { plain(text) })
                .filter(|text| !text.is_empty())
        };
        tally.compare(
            Kind::Identity,
            &format!("{}: identity.{field}", device.name),
            text(expected),
            text(read),
        );
    }
}

/// Spelling differs between projects: without case, maker, and the word "series".
fn model(text: &str, vendor: &str) -> String {
    let plain_text = plain(text);
    let without = plain_text.strip_prefix(&plain(vendor)).unwrap_or(&plain_text);
    plain(&without.replace("series", " "))
}

/// Descriptions that others have published with vendor and product. Their product is often only the number in a model's name, so a
/// model counts as right where it has the product's words, or the product its.
pub(super) fn compare_descriptions(
    path: &Path,
    profiles: &Profiles,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    if !path.is_file() {
        return Ok(());
    }
    let known: Json =
        serde_json::from_slice(&std::fs::read(path)?).with_context(|| path.display().to_string())?;
    for entry in list(&known["entries"]) {
        let Some(descr) = entry["sysdescr"].as_str() else { continue };
        let object = ("1.3.6.1.2.1.1.1.0".parse()?, Value::Octets(descr.as_bytes().to_vec()));
        let walk: Walk = [object].into_iter().collect();
        let identity = interpret(&walk, profiles).identity;
        let short: String = descr.chars().take(60).collect();
        let vendor = entry["vendor"].as_str().map(same_maker);
        let read = identity.vendor.as_deref().map(same_maker);
        // An entry filed under a maker may be another's machine, or a brand of his: the brand on the machine counts.
        let brand = read.as_deref().is_some_and(|read| plain(descr).starts_with(read));
        let vendor = if brand { read.clone() } else { vendor };
        tally.compare(Kind::DescriptionVendor, &format!("\"{short}\": vendor"), vendor, read);
        let product = entry["model"].as_str().or(entry["product"].as_str()).map(plain);
        let Some(product) = product.filter(|_| entry["device"].as_str() != Some("Print Server")) else {
            continue;
        };
        let model = identity.model.as_deref().map(plain);
        let same = model.as_deref().is_some_and(|model| model.contains(&product) || product.contains(model));
        let read = if same { Some(product.clone()) } else { model };
        tally.compare(Kind::DescriptionModel, &format!("\"{short}\": model"), Some(product), read);
    }
    Ok(())
}

/// Makers under one name, however the lists spell them.
fn same_maker(vendor: &str) -> String {
    match plain(vendor).as_str() {
        "hewlett-packard" => "hp",
        "konica" => "konica minolta",
        "kyocera mita" => "kyocera",
        other => return other.to_owned(),
    }
    .to_owned()
}
