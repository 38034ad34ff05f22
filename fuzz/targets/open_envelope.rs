#![no_main]
//! Octets as an envelope: authentic ones come only from whoever holds the key, and the fuzzer does not.

use mailfmt::crypto::{Credential, Direction};
use mailfmt::{AgentId, CenterId, Limits};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let (Ok(agent), Ok(center)) = (AgentId::new("AGENT0000001"), CenterId::new("CENTER")) else { return };
    let key = Credential::from_bytes([1; 32]).channel(Direction::ToAppliance, &agent, &center);
    let _ = mailfmt::envelope::peek(octets, &Limits::default());
    assert!(mailfmt::envelope::open(octets, &key, &Limits::default(), jiff::Timestamp::UNIX_EPOCH).is_err());
});
