#![no_main]
//! What an SMTP server says: replies and lists of extensions. Whatever it is, its text is short and clean afterwards, and an enhanced
//! code is of the reply's class. And addresses: what is one stays one.

use mailbox::address::wire_form;
use mailbox::smtp::{Cause, Extensions, ServerReply};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let Some((code, octets)) = octets.split_first_chunk::<2>() else { return };
    let code = u16::from_be_bytes(*code) % 1000;
    let text = String::from_utf8_lossy(octets);
    let reply = ServerReply::new(code, &text);
    assert!(reply.text.chars().count() <= 201 && !reply.text.contains(['\r', '\n', '\0']));
    if let Some(enhanced) = &reply.enhanced {
        assert!(enhanced.starts_with(&(code / 100).to_string()) && enhanced.split('.').count() == 3);
    }
    assert!(!Cause::of(&reply).words().is_empty());
    let extensions = Extensions::parse(text.lines());
    assert!(extensions.lines.len() <= 100 && extensions.size_octets_max != Some(0));
    if let Some(wire) = wire_form(&text) {
        assert!(wire.len() <= 254 && !wire.contains(['\r', '\n', ' ', '<', '>']));
        assert_eq!(wire_form(&wire).as_deref(), Some(wire.as_ref()));
    }
});
