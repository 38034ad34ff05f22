//! The objects that are read, under their names in the RFCs.
//!
//! Each constant is the object without its instance: append `0` for a scalar, the row index for a column.

// SNMPv2-MIB, RFC 3418: the system group.

/// `sysDescr`.
pub const SYS_DESCR: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 1];
/// `sysObjectID`.
pub const SYS_OBJECT_ID: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 2];
/// `sysUpTime`.
pub const SYS_UP_TIME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 3];
/// `sysName`.
pub const SYS_NAME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 5];

// IF-MIB, RFC 2863.

/// `ifPhysAddress`.
pub const IF_PHYS_ADDRESS: &[u32] = &[1, 3, 6, 1, 2, 1, 2, 2, 1, 6];
/// `ipAdEntIfIndex` (RFC 4293, older form for IPv4): which interface has an address; the row index is the address.
pub const IP_AD_ENT_IF_INDEX: &[u32] = &[1, 3, 6, 1, 2, 1, 4, 20, 1, 2];

// HOST-RESOURCES-MIB, RFC 2790.

/// `hrSystemUptime`.
pub const HR_SYSTEM_UPTIME: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 1, 1];
/// `hrMemorySize`.
pub const HR_MEMORY_SIZE: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 2, 2];
/// `hrStorageType`.
pub const HR_STORAGE_TYPE: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 2, 3, 1, 2];
/// `hrStorageDescr`.
pub const HR_STORAGE_DESCR: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 2, 3, 1, 3];
/// `hrStorageAllocationUnits`.
pub const HR_STORAGE_ALLOCATION_UNITS: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 2, 3, 1, 4];
/// `hrStorageSize`.
pub const HR_STORAGE_SIZE: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 2, 3, 1, 5];
/// `hrStorageUsed`.
pub const HR_STORAGE_USED: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 2, 3, 1, 6];
/// `hrStorageTypes`.
pub const HR_STORAGE_TYPES: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 2, 1];
/// `hrDevicePrinter`.
pub const HR_DEVICE_TYPES_PRINTER: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 3, 1, 5];
/// `hrDeviceType`.
pub const HR_DEVICE_TYPE: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 3, 2, 1, 2];
/// `hrDeviceDescr`.
pub const HR_DEVICE_DESCR: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 3, 2, 1, 3];
/// `hrDeviceStatus`.
pub const HR_DEVICE_STATUS: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 3, 2, 1, 5];
/// `hrProcessorLoad`.
pub const HR_PROCESSOR_LOAD: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 3, 3, 1, 2];
/// `hrPrinterStatus`.
pub const HR_PRINTER_STATUS: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 3, 5, 1, 1];
/// `hrPrinterDetectedErrorState`.
pub const HR_PRINTER_DETECTED_ERROR_STATE: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 3, 5, 1, 2];

// Printer-MIB, RFC 3805: general, covers, localization.

/// `prtGeneralConfigChanges`.
pub const PRT_GENERAL_CONFIG_CHANGES: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 5, 1, 1, 1];
/// `prtGeneralCurrentLocalization`.
pub const PRT_GENERAL_CURRENT_LOCALIZATION: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 5, 1, 1, 2];
/// `prtGeneralPrinterName`.
pub const PRT_GENERAL_PRINTER_NAME: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 5, 1, 1, 16];
/// `prtGeneralSerialNumber`.
pub const PRT_GENERAL_SERIAL_NUMBER: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 5, 1, 1, 17];
/// `prtAlertCriticalEvents`.
pub const PRT_ALERT_CRITICAL_EVENTS: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 5, 1, 1, 18];
/// `prtAlertAllEvents`.
pub const PRT_ALERT_ALL_EVENTS: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 5, 1, 1, 19];
/// `prtCoverDescription`.
pub const PRT_COVER_DESCRIPTION: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 6, 1, 1, 2];
/// `prtCoverStatus`.
pub const PRT_COVER_STATUS: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 6, 1, 1, 3];
/// `prtLocalizationCharacterSet`.
pub const PRT_LOCALIZATION_CHARACTER_SET: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 7, 1, 1, 4];

// Printer-MIB, RFC 3805: inputs and outputs.

/// `prtInputType`.
pub const PRT_INPUT_TYPE: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 8, 2, 1, 2];
/// `prtInputCapacityUnit`.
pub const PRT_INPUT_CAPACITY_UNIT: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 8, 2, 1, 8];
/// `prtInputMaxCapacity`.
pub const PRT_INPUT_MAX_CAPACITY: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 8, 2, 1, 9];
/// `prtInputCurrentLevel`.
pub const PRT_INPUT_CURRENT_LEVEL: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 8, 2, 1, 10];
/// `prtInputStatus`.
pub const PRT_INPUT_STATUS: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 8, 2, 1, 11];
/// `prtInputMediaName`.
pub const PRT_INPUT_MEDIA_NAME: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 8, 2, 1, 12];
/// `prtInputName`.
pub const PRT_INPUT_NAME: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 8, 2, 1, 13];
/// `prtInputDescription`.
pub const PRT_INPUT_DESCRIPTION: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 8, 2, 1, 18];
/// `prtOutputCapacityUnit`.
pub const PRT_OUTPUT_CAPACITY_UNIT: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 9, 2, 1, 3];
/// `prtOutputMaxCapacity`.
pub const PRT_OUTPUT_MAX_CAPACITY: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 9, 2, 1, 4];
/// `prtOutputRemainingCapacity`.
pub const PRT_OUTPUT_REMAINING_CAPACITY: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 9, 2, 1, 5];
/// `prtOutputStatus`.
pub const PRT_OUTPUT_STATUS: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 9, 2, 1, 6];
/// `prtOutputName`.
pub const PRT_OUTPUT_NAME: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 9, 2, 1, 7];
/// `prtOutputDescription`.
pub const PRT_OUTPUT_DESCRIPTION: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 9, 2, 1, 12];

// Printer-MIB, RFC 3805: markers, supplies, colorants.

/// `prtMarkerCounterUnit`.
pub const PRT_MARKER_COUNTER_UNIT: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 10, 2, 1, 3];
/// `prtMarkerLifeCount`.
pub const PRT_MARKER_LIFE_COUNT: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 10, 2, 1, 4];
/// `prtMarkerPowerOnCount`.
pub const PRT_MARKER_POWER_ON_COUNT: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 10, 2, 1, 5];
/// `prtMarkerSuppliesColorantIndex`.
pub const PRT_MARKER_SUPPLIES_COLORANT_INDEX: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 11, 1, 1, 3];
/// `prtMarkerSuppliesClass`.
pub const PRT_MARKER_SUPPLIES_CLASS: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 11, 1, 1, 4];
/// `prtMarkerSuppliesType`.
pub const PRT_MARKER_SUPPLIES_TYPE: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 11, 1, 1, 5];
/// `prtMarkerSuppliesDescription`.
pub const PRT_MARKER_SUPPLIES_DESCRIPTION: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 11, 1, 1, 6];
/// `prtMarkerSuppliesSupplyUnit`.
pub const PRT_MARKER_SUPPLIES_SUPPLY_UNIT: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 11, 1, 1, 7];
/// `prtMarkerSuppliesMaxCapacity`.
pub const PRT_MARKER_SUPPLIES_MAX_CAPACITY: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 11, 1, 1, 8];
/// `prtMarkerSuppliesLevel`.
pub const PRT_MARKER_SUPPLIES_LEVEL: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 11, 1, 1, 9];
/// `prtMarkerColorantValue`.
pub const PRT_MARKER_COLORANT_VALUE: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 12, 1, 1, 4];

// Printer-MIB, RFC 3805: console and alerts.

/// `prtConsoleDisplayBufferText`.
pub const PRT_CONSOLE_DISPLAY_BUFFER_TEXT: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 16, 5, 1, 2];
/// `prtAlertEntry`: every column of the alert table is below it.
pub const PRT_ALERT_ENTRY: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 18, 1, 1];
/// `prtAlertSeverityLevel`.
pub const PRT_ALERT_SEVERITY_LEVEL: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 18, 1, 1, 2];
/// `prtAlertTrainingLevel`.
pub const PRT_ALERT_TRAINING_LEVEL: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 18, 1, 1, 3];
/// `prtAlertGroup`.
pub const PRT_ALERT_GROUP: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 18, 1, 1, 4];
/// `prtAlertGroupIndex`.
pub const PRT_ALERT_GROUP_INDEX: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 18, 1, 1, 5];
/// `prtAlertLocation`.
pub const PRT_ALERT_LOCATION: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 18, 1, 1, 6];
/// `prtAlertCode`.
pub const PRT_ALERT_CODE: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 18, 1, 1, 7];
/// `prtAlertDescription`.
pub const PRT_ALERT_DESCRIPTION: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 18, 1, 1, 8];
/// `prtAlertTime`.
pub const PRT_ALERT_TIME: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 18, 1, 1, 9];

// IEEE 1284 device identification.

/// `ppmPortIEEE1284DeviceId` (PWG 5107.1).
pub const PPM_PORT_IEEE1284_DEVICE_ID: &[u32] = &[1, 3, 6, 1, 4, 1, 2699, 1, 2, 1, 2, 1, 1, 3];
/// Brother's own copy of the IEEE 1284 device id, older than PWG 5107.1.
pub const BROTHER_IEEE1284_DEVICE_ID: &[u32] = &[1, 3, 6, 1, 4, 1, 2435, 2, 3, 9, 1, 1, 7];
/// HP's own copy of the IEEE 1284 device id, older than PWG 5107.1.
pub const HP_IEEE1284_DEVICE_ID: &[u32] = &[1, 3, 6, 1, 4, 1, 11, 2, 3, 9, 1, 1, 7];
/// Dell's own copy of the IEEE 1284 device id, by port.
pub const DELL_IEEE1284_DEVICE_ID: &[u32] = &[1, 3, 6, 1, 4, 1, 674, 10898, 100, 2, 1, 2, 1, 3];

/// `enterprises`: the next arc names the maker (IANA private enterprise numbers).
pub const ENTERPRISES: &[u32] = &[1, 3, 6, 1, 4, 1];
