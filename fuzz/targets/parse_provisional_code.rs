#![no_main]
//! A text that is read as a code is the code that prints it; errors hold nothing of the text but a letter of no code.

use mailfmt::enrolment::ProvisionalCode;

libfuzzer_sys::fuzz_target!(|text: &str| {
    match ProvisionalCode::parse(text) {
        Ok(code) => assert_eq!(ProvisionalCode::parse(&code.expose()).as_ref(), Ok(&code)),
        Err(error) => assert!(error.to_string().len() < 200),
    }
});
