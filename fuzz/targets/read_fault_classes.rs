#![no_main]
//! Whatever a table of fault classes says, it is read or refused with its line, and what was read answers any question.

use monitor_appliance::faults::{ClassTableError, FaultClasses};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let text = String::from_utf8_lossy(octets);
    match FaultClasses::parse(&text, "table") {
        Ok(table) => {
            for code in [-1, 0, 8, 1104, 30_213, i32::MAX] {
                assert!(!table.alert_name(code).is_empty());
            }
            let _ = table.reason(&text);
            let _ = table.pjl(u32::from(octets.first().copied().unwrap_or(0)) * 200);
            assert!(table.differences(&table).is_empty());
        }
        Err(ClassTableError::Line { line, .. }) => assert!((1..=text.lines().count()).contains(&line)),
        Err(other) => panic!("{other}"),
    }
});
