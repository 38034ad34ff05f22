//! What a datagram is: a notification or not, and what answers it. Pure.

use async_snmp::ber::Decoder;
use async_snmp::message::{CommunityMessage, CommunityPdu, RawV3Message};
use async_snmp::{DecodeConfig, Oid, Pdu, PduType, ResponsePdu, Value, Version};

/// `printerV2Alert` (RFC 3805).
const PRINTER_V2_ALERT: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 18, 2, 0, 1];
/// `coldStart` (RFC 3418).
const COLD_START: &[u32] = &[1, 3, 6, 1, 6, 3, 1, 1, 5, 1];
/// `warmStart` (RFC 3418).
const WARM_START: &[u32] = &[1, 3, 6, 1, 6, 3, 1, 1, 5, 2];
/// `snmpTrapOID.0` (RFC 3418).
const SNMP_TRAP_OID: &[u32] = &[1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0];

/// What a device claims has happened. Only for logs and counts: every one of them leads to the same look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// A critical alert of a printer.
    Alert,
    /// It has started.
    Restart,
    /// A maker's own trap, or any other.
    Other,
    /// It is encrypted, or signed by an engine that is not ours: not read.
    Sealed,
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it claims.
    pub happened: Happened,
    /// The datagram that acknowledges it, where it asks for that: the same variables, so never longer than what came.
    pub acknowledgement: Option<Vec<u8>>,
}

/// Why a datagram is not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotANotice {
    /// No SNMP message.
    #[error("no SNMP message")]
    Malformed,
    /// A request or a response: nothing is served here.
    #[error("an SNMP message, but no notification")]
    AnotherMessage,
    /// An SNMPv3 message that wants an answer: an inform, or the question that comes before it.
    #[error("an SNMPv3 inform; it is answered by the inform engine")]
    AsksEngine,
}

/// Reads a datagram.
///
/// # Errors
/// [`NotANotice`].
pub fn read_notice(datagram: &[u8]) -> Result<Notice, NotANotice> {
    match version_of(datagram) {
        Some(Version::V1 | Version::V2c) => read_community(datagram),
        Some(Version::V3) => read_v3(datagram),
        _ => Err(NotANotice::Malformed),
    }
}

fn version_of(datagram: &[u8]) -> Option<Version> {
    let mut decoder = Decoder::new(datagram.to_vec().into());
    Version::from_i32(decoder.read_sequence().ok()?.read_integer().ok()?)
}

fn read_community(datagram: &[u8]) -> Result<Notice, NotANotice> {
    let message = CommunityMessage::decode(datagram.to_vec().into(), DecodeConfig::default())
        .map_err(|_| NotANotice::Malformed)?;
    let (version, community, pdu) = message.value.into_parts();
    match pdu {
        CommunityPdu::TrapV1(trap) => {
            let happened = trap.v2_trap_oid().map_or(Happened::Other, |oid| claimed(&oid));
            Ok(Notice { happened, acknowledgement: None })
        }
        CommunityPdu::Standard(pdu) => {
            let happened = happened(&pdu)?;
            let acknowledgement = match pdu.pdu_type() {
                PduType::InformRequest => acknowledge(pdu).and_then(|answer| {
                    let message = CommunityMessage::v2c(community, answer).ok()?;
                    // Never more than came: the sender's address may be another's.
                    let answer = message.encode().ok()?;
                    (answer.len() <= datagram.len()).then(|| answer.to_vec())
                }),
                _ => None,
            };
            // Version 1 knows no informs: the decoder has refused them.
            debug_assert!(acknowledgement.is_none() || version == Version::V2c);
            Ok(Notice { happened, acknowledgement })
        }
    }
}

/// What a v2 notification claims.
pub(super) fn happened(pdu: &Pdu) -> Result<Happened, NotANotice> {
    if !matches!(pdu.pdu_type(), PduType::TrapV2 | PduType::InformRequest) {
        return Err(NotANotice::AnotherMessage);
    }
    let named = pdu.varbinds().iter().find(|varbind| varbind.oid.arcs() == SNMP_TRAP_OID);
    Ok(match named.map(|varbind| &varbind.value) {
        Some(Value::ObjectIdentifier(oid)) => claimed(oid),
        _ => Happened::Other,
    })
}

/// The response to an inform: the same request id and variables (RFC 3416 section 4.2.7).
pub(super) fn acknowledge(inform: Pdu) -> Option<ResponsePdu> {
    let (request_id, _, varbinds) = inform.into_raw_parts();
    ResponsePdu::success(Version::V2c, request_id, varbinds).ok()
}

fn claimed(oid: &Oid) -> Happened {
    match oid.arcs() {
        PRINTER_V2_ALERT => Happened::Alert,
        COLD_START | WARM_START => Happened::Restart,
        _ => Happened::Other,
    }
}

/// A trap's sender is the authority over its own keys, and nothing in it is believed: so it is not opened. What wants an answer
/// is the engine's.
fn read_v3(datagram: &[u8]) -> Result<Notice, NotANotice> {
    let message = RawV3Message::decode(datagram.to_vec().into(), DecodeConfig::default())
        .map_err(|_| NotANotice::Malformed)?;
    if message.value.global_data().msg_flags().reportable {
        return Err(NotANotice::AsksEngine);
    }
    Ok(Notice { happened: Happened::Sealed, acknowledgement: None })
}

#[cfg(test)]
mod tests;
