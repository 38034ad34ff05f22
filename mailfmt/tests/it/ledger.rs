//! The counter report that brings entries of the ledger: written as recorded, and read by centers that know no ledger.

use crate::samples::now;
use mailfmt::message::device::{Counter, DeviceId};
use mailfmt::message::ledger::{
    LedgerEntry, LedgerEpoch, LedgerFinding, LedgerMeter, LedgerPart, LedgerPoint, SealedEntry,
};
use mailfmt::message::report::{CountersReport, DeviceCounters, StoredReading};
use mailfmt::{Message, Report};

const SOURCE: &str = "1.3.6.1.2.1.43.10.2.1.4.1.1";

fn meter(value: u64, sure: u64) -> LedgerMeter {
    LedgerMeter {
        number: 1,
        name: "total".into(),
        source: SOURCE.into(),
        unit: "impressions".into(),
        value,
        sure,
        doubts: 0,
        leads: true,
    }
}

/// A wobble after a restart, and the end of the month.
pub(crate) fn sample(device: &DeviceId) -> Message {
    let epoch = LedgerEpoch {
        number: 1,
        serial: Some(device.serial.clone()),
        mac: Some("00:11:22:33:44:55".into()),
        model: Some(device.model.clone()),
    };
    let entry = |mode: &str, meters, findings| LedgerEntry {
        device: device.clone(),
        address: "192.0.2.17".into(),
        at: now(),
        clock_sure: true,
        uptime_secs: Some(86_400),
        epoch: epoch.clone(),
        mode: mode.into(),
        closes: (mode == "month-end").then(|| "2026-01".into()),
        between: None,
        meters,
        findings,
    };
    let point = |entry, value| LedgerPoint { entry, at: now(), value, source: SOURCE.into() };
    let wobble = LedgerFinding {
        meter: 1,
        class: "wobble".into(),
        review: false,
        from: point(17, 7342),
        to: point(18, 7335),
        sure: 0,
        proposed: None,
        words: "it forgot 7 pages when it was switched off; they are not counted twice".into(),
    };
    let first = SealedEntry::seal(
        17,
        SealedEntry::beginning("00112233445566778899aabbccddeeff"),
        &entry("before", vec![meter(7342, 42)], vec![]),
    );
    let second =
        SealedEntry::seal(18, first.digest, &entry("month-end", vec![meter(7335, 42)], vec![wobble]));
    let counters = vec![Counter {
        name: "total".into(),
        value: 7335,
        unit: "impressions".into(),
        source: SOURCE.into(),
    }];
    Message::Report(Report::Counters(CountersReport {
        devices: vec![DeviceCounters {
            device: Some(device.clone()),
            address: "192.0.2.17".into(),
            reading: StoredReading::Collected { at: now(), counters, supplies: vec![] },
            ledger: Some(LedgerPart {
                ledger: "00112233445566778899aabbccddeeff".into(),
                entries: vec![first, second],
            }),
        }],
    }))
}

#[test]
fn a_center_that_knows_no_ledger_still_reads_the_counters() {
    // The shape of the report before there was a ledger: a field that it does not know is passed over.
    #[derive(serde::Deserialize)]
    struct Older {
        body: Body,
    }
    #[derive(serde::Deserialize)]
    struct Body {
        devices: Vec<Device>,
    }
    #[derive(serde::Deserialize)]
    struct Device {
        reading: StoredReading,
    }
    let older: Older = serde_json::from_slice(&sample(&crate::samples::device()).write()).unwrap();
    let StoredReading::Collected { counters, .. } = &older.body.devices[0].reading else {
        panic!("a reading")
    };
    assert_eq!(counters[0].value, 7335);
}
