//! The on-site program: reads printers, reports by mail, installs updates that arrive by mail.

pub mod device;
pub mod faults;
pub mod snmp;
