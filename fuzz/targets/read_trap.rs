#![no_main]
//! Whatever comes to the port for traps, it is read without a panic, and no answer is longer than what it answers.

use monitor_appliance::snmp::V3User;
use monitor_appliance::trap::{Inform, InformEngine, InformUser, read_notice};

const ID: &[u8] = &[0x80, 0, 0, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8];
/// How much longer than a question the report on it may be: this engine's id, a counter and a clock.
const REPORT_OCTETS_MAX: usize = 200;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    if let Ok(notice) = read_notice(octets)
        && let Some(answer) = notice.acknowledgement
    {
        assert!(answer.len() <= octets.len());
    }
    let user = V3User { user: "printer".to_owned(), context: String::new(), auth: None, privacy: None };
    let users = InformUser::new(&user, ID).into_iter().collect();
    let Some(mut engine) = InformEngine::new(ID, 3, users) else { return };
    match engine.take(octets, 100) {
        Inform::Dropped => {}
        Inform::Report(answer) | Inform::Informed { acknowledgement: answer, .. } => {
            assert!(answer.len() <= octets.len() + REPORT_OCTETS_MAX);
        }
    }
});
