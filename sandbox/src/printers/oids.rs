//! Object identifiers of the standard MIBs that simulated printers change, as columns without the instance.

use async_snmp::Oid;

/// sysUpTime.0 (RFC 3418).
pub(super) const SYS_UP_TIME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 3, 0];
/// ifPhysAddress (RFC 2863).
pub(super) const IF_PHYS_ADDRESS: &[u32] = &[1, 3, 6, 1, 2, 1, 2, 2, 1, 6];
/// hrSystemUptime.0 (RFC 2790).
pub(super) const HR_SYSTEM_UPTIME: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 1, 1, 0];
/// hrDeviceStatus (RFC 2790).
pub(super) const HR_DEVICE_STATUS: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 3, 2, 1, 5];
/// hrPrinterStatus (RFC 2790).
pub(super) const HR_PRINTER_STATUS: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 3, 5, 1, 1];
/// hrPrinterDetectedErrorState (RFC 2790).
pub(super) const HR_PRINTER_ERROR_STATE: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 3, 5, 1, 2];
/// prtGeneralSerialNumber (RFC 3805).
pub(super) const SERIAL_NUMBER: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 5, 1, 1, 17];
/// prtAlertCriticalEvents (RFC 3805).
pub(super) const CRITICAL_EVENTS: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 5, 1, 1, 18];
/// prtAlertAllEvents (RFC 3805).
pub(super) const ALL_EVENTS: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 5, 1, 1, 19];
/// prtMarkerLifeCount (RFC 3805).
pub(super) const LIFE_COUNT: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 10, 2, 1, 4];
/// prtMarkerPowerOnCount (RFC 3805).
pub(super) const POWER_ON_COUNT: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 10, 2, 1, 5];
/// prtMarkerSuppliesSupplyUnit (RFC 3805).
pub(super) const SUPPLY_UNIT: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 11, 1, 1, 7];
/// prtMarkerSuppliesMaxCapacity (RFC 3805).
pub(super) const SUPPLY_MAX: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 11, 1, 1, 8];
/// prtMarkerSuppliesLevel (RFC 3805).
pub(super) const SUPPLY_LEVEL: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 11, 1, 1, 9];
/// prtAlertEntry (RFC 3805); its columns are 2 severity to 9 time, its instances hrDeviceIndex.prtAlertIndex.
pub(super) const ALERT_ENTRY: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 18, 1, 1];
/// Everything vendors define themselves.
pub(super) const PRIVATE: &[u32] = &[1, 3, 6, 1, 4, 1];
/// Brother: the serial number where older machines have no prtGeneralSerialNumber.
pub(super) const BROTHER_SERIAL: &[u32] = &[1, 3, 6, 1, 4, 1, 2435, 2, 3, 9, 4, 2, 1, 5, 5, 1, 0];
/// Brother: page counters, as records of seven octets (kind, 01, 04, number) closed by FF.
pub(super) const BROTHER_COUNTERS: &[u32] = &[1, 3, 6, 1, 4, 1, 2435, 2, 3, 9, 4, 2, 1, 5, 5, 10, 0];

/// The object `index` of `column`.
pub(super) fn instance(column: &[u32], index: &[u32]) -> Oid {
    Oid::new(column.iter().chain(index).copied())
}
