#![no_main]
//! Whatever text is given as a profile, it is refused or applied to whatever a device answers, without a panic; no value comes from an
//! object that did not answer.

use monitor_appliance::device::{Oid, Value, Walk, interpret};
use monitor_appliance::profile::Profiles;

/// What every profile begins with, so that more of the rest is reached.
const HEAD: &str =
    "#= x.toml\nvendor = \"X\"\nsources = [\"x\"]\n[match]\nobject-ids = [\"1.3.6.1.4.1.9999.1\"]\n";

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    // The first octet says how much of the rest is answers of the device; what stands behind them is the profile.
    let Some((share, rest)) = octets.split_first() else { return };
    let (objects, text) = rest.split_at(rest.len() * usize::from(*share) / 512);
    let Ok(text) = std::str::from_utf8(text) else { return };
    // `E.` is the device's own tree.
    let text = text.replace("E.", "1.3.6.1.4.1.9999.");
    let _ = Profiles::parse(&text);
    let Ok(profiles) = Profiles::parse(&format!("{HEAD}{text}")) else { return };

    let mut walk = Walk::default();
    walk.insert(Oid::new(&[1, 3, 6, 1, 2, 1, 1, 2, 0]), Value::Oid(Oid::new(&[1, 3, 6, 1, 4, 1, 9999, 1])));
    for object in objects.chunks(12) {
        let [column, row, kind, content @ ..] = object else { continue };
        let number = content.iter().fold(0u64, |number, octet| number << 8 | u64::from(*octet));
        let value = match kind % 4 {
            0 => Value::Integer(number.cast_signed()),
            1 => Value::Unsigned(number),
            2 => Value::Octets(content.repeat(usize::from(kind / 4) % 8)),
            _ => Value::Other,
        };
        walk.insert(Oid::new(&[1, 3, 6, 1, 4, 1, 9999, u32::from(column % 8), u32::from(row % 8)]), value);
    }
    let reading = interpret(&walk, &profiles);
    for counter in &reading.counters {
        assert!(counter.source.objects().all(|oid| walk.get(oid.arcs()).is_some()), "{counter:?}");
    }
});
