//! Simulated printers that answer real SNMP from recordings.
