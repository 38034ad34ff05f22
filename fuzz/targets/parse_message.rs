#![no_main]
//! What is read as a message is written and read again as the same message.

use mailfmt::Message;
use mailfmt::message::Family;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    for family in [Family::Command, Family::Report, Family::Receipt, Family::Enrolment] {
        if let Ok(message) = Message::parse(family, payload) {
            let again = Message::parse(family, &message.write());
            assert_eq!(again.ok().as_ref(), Some(&message));
        }
    }
});
