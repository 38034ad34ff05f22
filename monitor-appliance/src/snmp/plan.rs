//! What is asked of a device: its parts, each a few columns that are read side by side.

use super::layout::Role;
use crate::device::{
    HR_SW_INSTALLED_NAME, HR_SW_RUN_NAME, HR_SW_RUN_PATH, HR_SW_RUN_STATUS, Part, SYS_SERVICES, oids,
};

/// One part and its columns. A scalar object is a column with one row.
pub(super) struct PartPlan {
    pub(super) part: Part,
    pub(super) columns: &'static [&'static [u32]],
    /// Only so many rows are wanted; `None` for all.
    pub(super) rows: Option<usize>,
}

/// Most columns of any part.
pub(super) const COLUMNS_MAX: usize = 16;

const fn all_rows(part: Part, columns: &'static [&'static [u32]]) -> PartPlan {
    PartPlan { part, columns, rows: None }
}

const fn first_row(part: Part, columns: &'static [&'static [u32]]) -> PartPlan {
    PartPlan { part, columns, rows: Some(1) }
}

const STATUS: &[&[u32]] = &[
    oids::HR_DEVICE_TYPE,
    oids::HR_DEVICE_STATUS,
    oids::HR_PRINTER_STATUS,
    oids::HR_PRINTER_DETECTED_ERROR_STATE,
];

pub(super) const ALERTS: &[&[u32]] = &[
    oids::PRT_ALERT_SEVERITY_LEVEL,
    oids::PRT_ALERT_TRAINING_LEVEL,
    oids::PRT_ALERT_GROUP,
    oids::PRT_ALERT_GROUP_INDEX,
    oids::PRT_ALERT_LOCATION,
    oids::PRT_ALERT_CODE,
    oids::PRT_ALERT_DESCRIPTION,
    oids::PRT_ALERT_TIME,
];

/// Asked first and alone: by this a fragile device is recognised.
const WHO: &[&[u32]] = &[oids::SYS_DESCR, oids::SYS_OBJECT_ID, oids::SYS_UP_TIME, oids::SYS_NAME];

const SYSTEM: &[&[u32]] = &[
    SYS_SERVICES,
    oids::HR_SYSTEM_UPTIME,
    oids::HR_MEMORY_SIZE,
    oids::PPM_PORT_IEEE1284_DEVICE_ID,
    oids::BROTHER_IEEE1284_DEVICE_ID,
    oids::HP_IEEE1284_DEVICE_ID,
];

const GENERAL: &[&[u32]] = &[
    oids::PRT_GENERAL_CONFIG_CHANGES,
    oids::PRT_ALERT_CRITICAL_EVENTS,
    oids::PRT_ALERT_ALL_EVENTS,
    oids::PRT_GENERAL_CURRENT_LOCALIZATION,
    oids::PRT_GENERAL_PRINTER_NAME,
    oids::PRT_GENERAL_SERIAL_NUMBER,
    oids::PRT_LOCALIZATION_CHARACTER_SET,
];

const DEVICES: &[&[u32]] = &[
    oids::HR_DEVICE_TYPE,
    oids::HR_DEVICE_DESCR,
    oids::HR_DEVICE_STATUS,
    oids::HR_PRINTER_STATUS,
    oids::HR_PRINTER_DETECTED_ERROR_STATE,
];

const STORAGE: &[&[u32]] = &[
    oids::HR_STORAGE_TYPE,
    oids::HR_STORAGE_DESCR,
    oids::HR_STORAGE_ALLOCATION_UNITS,
    oids::HR_STORAGE_SIZE,
    oids::HR_STORAGE_USED,
];

/// Everything, the most important parts first.
pub(super) const FULL: &[PartPlan] = &[
    first_row(Part::System, WHO),
    first_row(Part::System, SYSTEM),
    all_rows(Part::General, GENERAL),
    all_rows(Part::Status, DEVICES),
    all_rows(Part::Alerts, ALERTS),
    all_rows(
        Part::Markers,
        &[oids::PRT_MARKER_COUNTER_UNIT, oids::PRT_MARKER_LIFE_COUNT, oids::PRT_MARKER_POWER_ON_COUNT],
    ),
    all_rows(
        Part::Supplies,
        &[
            oids::PRT_MARKER_SUPPLIES_COLORANT_INDEX,
            oids::PRT_MARKER_SUPPLIES_CLASS,
            oids::PRT_MARKER_SUPPLIES_TYPE,
            oids::PRT_MARKER_SUPPLIES_DESCRIPTION,
            oids::PRT_MARKER_SUPPLIES_SUPPLY_UNIT,
            oids::PRT_MARKER_SUPPLIES_MAX_CAPACITY,
            oids::PRT_MARKER_SUPPLIES_LEVEL,
            oids::PRT_MARKER_COLORANT_VALUE,
        ],
    ),
    all_rows(Part::Interfaces, &[oids::IF_PHYS_ADDRESS, oids::IP_AD_ENT_IF_INDEX]),
    all_rows(
        Part::Inputs,
        &[
            oids::PRT_INPUT_TYPE,
            oids::PRT_INPUT_CAPACITY_UNIT,
            oids::PRT_INPUT_MAX_CAPACITY,
            oids::PRT_INPUT_CURRENT_LEVEL,
            oids::PRT_INPUT_STATUS,
            oids::PRT_INPUT_MEDIA_NAME,
            oids::PRT_INPUT_NAME,
            oids::PRT_INPUT_DESCRIPTION,
        ],
    ),
    all_rows(
        Part::Outputs,
        &[
            oids::PRT_OUTPUT_CAPACITY_UNIT,
            oids::PRT_OUTPUT_MAX_CAPACITY,
            oids::PRT_OUTPUT_REMAINING_CAPACITY,
            oids::PRT_OUTPUT_STATUS,
            oids::PRT_OUTPUT_NAME,
            oids::PRT_OUTPUT_DESCRIPTION,
        ],
    ),
    all_rows(Part::Covers, &[oids::PRT_COVER_DESCRIPTION, oids::PRT_COVER_STATUS]),
    all_rows(Part::Console, &[oids::PRT_CONSOLE_DISPLAY_BUFFER_TEXT]),
    all_rows(Part::Host, STORAGE),
    all_rows(Part::Host, &[oids::HR_PROCESSOR_LOAD]),
];

/// How a computer fares: memory, disks, load, what runs, what is installed.
pub(super) const COMPUTER: &[PartPlan] = &[
    first_row(
        Part::System,
        &[oids::SYS_DESCR, oids::SYS_OBJECT_ID, oids::SYS_NAME, oids::HR_SYSTEM_UPTIME, oids::HR_MEMORY_SIZE],
    ),
    all_rows(Part::Host, STORAGE),
    all_rows(Part::Host, &[oids::HR_PROCESSOR_LOAD]),
    all_rows(Part::Host, &[HR_SW_RUN_NAME, HR_SW_RUN_PATH, HR_SW_RUN_STATUS]),
    all_rows(Part::Host, &[HR_SW_INSTALLED_NAME]),
];

/// The alert table alone.
pub(super) const ALERT_TABLE: PartPlan = all_rows(Part::Alerts, ALERTS);

/// What fault watching needs of a device that is not known. The character set comes along so that texts read the same as in a full visit.
pub(super) const FAULTS: &[PartPlan] = &[
    first_row(
        Part::System,
        &[oids::SYS_UP_TIME, oids::PRT_GENERAL_CURRENT_LOCALIZATION, oids::PRT_LOCALIZATION_CHARACTER_SET],
    ),
    all_rows(Part::Status, STATUS),
    ALERT_TABLE,
];

/// Columns that tell the same until the device restarts, is configured anew, or is another one: read when it is learned, and
/// remembered from then on. All others are asked for at every full visit.
const STEADY: &[&[u32]] = &[
    oids::SYS_DESCR,
    oids::SYS_OBJECT_ID,
    oids::SYS_NAME,
    oids::HR_MEMORY_SIZE,
    oids::PPM_PORT_IEEE1284_DEVICE_ID,
    oids::BROTHER_IEEE1284_DEVICE_ID,
    oids::HP_IEEE1284_DEVICE_ID,
    oids::PRT_GENERAL_CURRENT_LOCALIZATION,
    oids::PRT_GENERAL_PRINTER_NAME,
    oids::PRT_LOCALIZATION_CHARACTER_SET,
    oids::HR_DEVICE_TYPE,
    oids::HR_DEVICE_DESCR,
    oids::PRT_MARKER_COUNTER_UNIT,
    oids::PRT_MARKER_SUPPLIES_COLORANT_INDEX,
    oids::PRT_MARKER_SUPPLIES_CLASS,
    oids::PRT_MARKER_SUPPLIES_TYPE,
    oids::PRT_MARKER_SUPPLIES_DESCRIPTION,
    oids::PRT_MARKER_SUPPLIES_SUPPLY_UNIT,
    oids::PRT_MARKER_COLORANT_VALUE,
    oids::IF_PHYS_ADDRESS,
    oids::IP_AD_ENT_IF_INDEX,
    oids::PRT_INPUT_TYPE,
    oids::PRT_INPUT_CAPACITY_UNIT,
    oids::PRT_INPUT_MAX_CAPACITY,
    oids::PRT_INPUT_NAME,
    oids::PRT_INPUT_DESCRIPTION,
    oids::PRT_OUTPUT_CAPACITY_UNIT,
    oids::PRT_OUTPUT_MAX_CAPACITY,
    oids::PRT_OUTPUT_NAME,
    oids::PRT_OUTPUT_DESCRIPTION,
    oids::PRT_COVER_DESCRIPTION,
    oids::HR_STORAGE_TYPE,
    oids::HR_STORAGE_DESCR,
    oids::HR_STORAGE_ALLOCATION_UNITS,
    oids::HR_STORAGE_SIZE,
];

/// Columns whose values have to be the learned ones: another value is another device, another configuration or another supply.
const SAME: &[&[u32]] = &[
    oids::PRT_GENERAL_CONFIG_CHANGES,
    oids::PRT_GENERAL_SERIAL_NUMBER,
    oids::PRT_MARKER_SUPPLIES_MAX_CAPACITY,
];

/// How the values of a column are got once the device is known.
pub(super) fn role(column: &[u32]) -> Role {
    if STEADY.contains(&column) {
        Role::Steady
    } else if SAME.contains(&column) {
        Role::Same
    } else if column == oids::PRT_MARKER_SUPPLIES_LEVEL {
        Role::Level
    } else {
        Role::Asked
    }
}

/// Whether somebody is there.
pub(super) const GREETING: &[PartPlan] =
    &[first_row(Part::System, &[oids::SYS_OBJECT_ID, oids::SYS_UP_TIME])];

/// Who a device is: the same columns as in a full visit, so that it is the same device in both.
pub(super) const IDENTITY: &[PartPlan] = &[
    first_row(Part::System, WHO),
    first_row(Part::System, SYSTEM),
    all_rows(Part::General, GENERAL),
    all_rows(Part::Status, DEVICES),
    all_rows(Part::Interfaces, &[oids::IF_PHYS_ADDRESS, oids::IP_AD_ENT_IF_INDEX]),
    first_row(Part::Host, &[oids::HR_STORAGE_TYPE]),
];

#[cfg(test)]
mod tests {
    use super::{COLUMNS_MAX, FAULTS, FULL, GREETING, IDENTITY};

    #[test]
    fn every_part_fits_into_one_request() {
        for plan in FULL.iter().chain(FAULTS).chain(GREETING).chain(IDENTITY) {
            assert!(plan.columns.len() <= COLUMNS_MAX, "{}", plan.part);
        }
    }
}
