//! Trays, bins, covers and the panel (RFC 3805: `prtInputTable`, `prtOutputTable`, `prtCoverTable`,
//! `prtConsoleDisplayBufferTable`).

use super::codes::{CoverState, InputType, Unit};
use super::markers::{Capacity, Level};
use super::oid::Value;
use super::text::{Charsets, decode, text};
use super::walk::Walk;
use super::{ROWS_MAX, number, oids};
use serde::{Deserialize, Serialize};

/// A tray or feeder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Input {
    /// `prtInputIndex`.
    pub index: u32,
    /// How it feeds.
    #[serde(skip_serializing_if = "Option::is_none", default, rename = "type")]
    pub input_type: Option<InputType>,
    /// Unit of maximum and level.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit: Option<Unit>,
    /// Maximum capacity.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max: Option<Capacity>,
    /// Level; "some remains" is at least one sheet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub level: Option<Level>,
    /// `prtInputStatus`: sum of the bits of `PrtSubUnitStatusTC`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<i32>,
    /// Name of the medium in it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media: Option<String>,
    /// The device's name for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// The device's description of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
}

/// An output bin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Output {
    /// `prtOutputIndex`.
    pub index: u32,
    /// Unit of maximum and room.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit: Option<Unit>,
    /// Maximum capacity.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max: Option<Capacity>,
    /// Room left.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remaining: Option<Level>,
    /// `prtOutputStatus`: sum of the bits of `PrtSubUnitStatusTC`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<i32>,
    /// The device's name for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// The device's description of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
}

/// A cover or an interlock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cover {
    /// `prtCoverIndex`.
    pub index: u32,
    /// The device's text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// Open or closed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub state: Option<CoverState>,
}

fn level(walk: &Walk, column: &[u32], index: &[u32]) -> Option<Level> {
    walk.cell(column, index).and_then(Value::as_i64).map(Level::from_number)
}

fn capacity(walk: &Walk, column: &[u32], index: &[u32]) -> Option<Capacity> {
    walk.cell(column, index).and_then(Value::as_i64).map(Capacity::from_number)
}

pub(super) fn inputs(walk: &Walk, charsets: &Charsets) -> Vec<Input> {
    let columns = [
        oids::PRT_INPUT_TYPE,
        oids::PRT_INPUT_MAX_CAPACITY,
        oids::PRT_INPUT_CURRENT_LEVEL,
        oids::PRT_INPUT_NAME,
        oids::PRT_INPUT_DESCRIPTION,
    ];
    let rows = walk.rows(&columns, ROWS_MAX);
    rows.iter()
        .filter_map(|index| {
            Some(Input {
                index: *index.last()?,
                input_type: number(walk, oids::PRT_INPUT_TYPE, index).map(InputType::from_number),
                unit: number(walk, oids::PRT_INPUT_CAPACITY_UNIT, index).map(Unit::from_number),
                max: capacity(walk, oids::PRT_INPUT_MAX_CAPACITY, index),
                level: level(walk, oids::PRT_INPUT_CURRENT_LEVEL, index),
                status: number(walk, oids::PRT_INPUT_STATUS, index),
                media: text(walk, charsets, oids::PRT_INPUT_MEDIA_NAME, index),
                name: text(walk, charsets, oids::PRT_INPUT_NAME, index),
                description: text(walk, charsets, oids::PRT_INPUT_DESCRIPTION, index),
            })
        })
        .collect()
}

pub(super) fn outputs(walk: &Walk, charsets: &Charsets) -> Vec<Output> {
    let columns = [
        oids::PRT_OUTPUT_CAPACITY_UNIT,
        oids::PRT_OUTPUT_MAX_CAPACITY,
        oids::PRT_OUTPUT_REMAINING_CAPACITY,
        oids::PRT_OUTPUT_STATUS,
        oids::PRT_OUTPUT_NAME,
        oids::PRT_OUTPUT_DESCRIPTION,
    ];
    let rows = walk.rows(&columns, ROWS_MAX);
    rows.iter()
        .filter_map(|index| {
            Some(Output {
                index: *index.get(1)?,
                unit: number(walk, oids::PRT_OUTPUT_CAPACITY_UNIT, index).map(Unit::from_number),
                max: capacity(walk, oids::PRT_OUTPUT_MAX_CAPACITY, index),
                remaining: level(walk, oids::PRT_OUTPUT_REMAINING_CAPACITY, index),
                status: number(walk, oids::PRT_OUTPUT_STATUS, index),
                name: text(walk, charsets, oids::PRT_OUTPUT_NAME, index),
                description: text(walk, charsets, oids::PRT_OUTPUT_DESCRIPTION, index),
            })
        })
        .collect()
}

pub(super) fn covers(walk: &Walk, charsets: &Charsets) -> Vec<Cover> {
    let rows = walk.rows(&[oids::PRT_COVER_DESCRIPTION, oids::PRT_COVER_STATUS], ROWS_MAX);
    rows.iter()
        .filter_map(|index| {
            Some(Cover {
                index: *index.get(1)?,
                description: text(walk, charsets, oids::PRT_COVER_DESCRIPTION, index),
                state: number(walk, oids::PRT_COVER_STATUS, index).map(CoverState::from_number),
            })
        })
        .collect()
}

pub(super) fn console(walk: &Walk, charsets: &Charsets) -> Vec<String> {
    walk.column(oids::PRT_CONSOLE_DISPLAY_BUFFER_TEXT)
        .take(ROWS_MAX)
        .filter_map(|(index, value)| decode(value.as_octets()?, charsets.get(index.first().copied())))
        .collect()
}
