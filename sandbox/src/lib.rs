//! A whole world on one machine, for the demo, the tests and load: printers that answer SNMP from recordings,
//! a post office with scripted faults, and fleets of appliances in one process. Never shipped.

pub mod attacks;
pub mod chaos;
pub mod fleet;
pub mod gateway;
pub mod post_office;
pub mod powercut;
pub mod printers;
pub mod rollout_sim;
pub mod token_server;
pub mod world;

/// The system's random numbers.
pub fn random() -> impl mailfmt::crypto::Random {
    |buffer: &mut [u8]| getrandom::fill(buffer).expect("the kernel has random numbers for us")
}
