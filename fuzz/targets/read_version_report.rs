#![no_main]
//! A version report that is read is written and read again as the same.

use mailfmt::{Limits, VersionReport};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(report) = VersionReport::parse(text, &Limits::default()) {
        assert_eq!(VersionReport::parse(&report.write(), &Limits::default()).ok().as_ref(), Some(&report));
    }
});
