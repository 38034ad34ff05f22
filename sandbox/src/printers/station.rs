//! One datagram in, one datagram out: what a printer on the network answers.

use std::time::Duration;

use async_snmp::ber::Decoder;
use async_snmp::message::{CommunityMessage, CommunityPdu};
use async_snmp::version::CommunityVersion;
use async_snmp::{DecodeConfig, OutboundErrorStatus, Pdu, ResponsePdu, Version};
use bytes::Bytes;

use super::answer::{self, View};
use super::behaviour::{Behaviour, NOISE_BYTES};
use super::machine::Machine;
use super::objects::Ticks;
use super::usm::{Engine, Inbound};

/// Octets of the largest answer: what an Ethernet frame carries without fragments (RFC 3417, 3.2).
const MESSAGE_BYTES_MAX: usize = 1472;
/// Octets of a message around its variables, with every field of the SNMPv3 envelope at its longest.
const ENVELOPE_BYTES_MAX: usize = 260;

/// A printer as the network sees it.
pub(super) struct Station {
    pub(super) machine: Machine,
    pub(super) behaviour: Behaviour,
    pub(super) powered: bool,
    pub(super) community: Bytes,
    pub(super) engine: Option<Engine>,
    /// Requests whose community is not taken.
    pub(super) strangers: u32,
}

impl Station {
    /// Answers `datagram`, `up` after power-on. `noise` is random. `None` is silence, as for all that is no request.
    pub(super) fn answer(
        &mut self,
        datagram: Bytes,
        up: Duration,
        noise: [u8; NOISE_BYTES],
    ) -> Option<Bytes> {
        if !self.powered || self.behaviour == Behaviour::Silent {
            return None;
        }
        let message = match version_of(&datagram)? {
            Version::V3 => self.answer_v3(&datagram, up)?,
            Version::V1 | Version::V2c => self.answer_community(datagram, up)?,
            _ => return None,
        };
        Some(self.behaviour.distort(message, noise))
    }

    /// Requests that came with a community or a user that is not taken.
    pub(super) fn wrong_credentials(&self) -> u32 {
        self.strangers.wrapping_add(self.engine.as_ref().map_or(0, |engine| engine.refusals))
    }

    fn answer_community(&mut self, datagram: Bytes, up: Duration) -> Option<Bytes> {
        let asked = CommunityMessage::decode(datagram, DecodeConfig::STRICT).ok()?.value;
        let (version, community, CommunityPdu::Standard(request)) = asked.into_parts() else { return None };
        if !community.matches(&self.community) {
            self.strangers = self.strangers.wrapping_add(1);
            return None;
        }
        let wire = if version == Version::V1 { CommunityVersion::V1 } else { CommunityVersion::V2c };
        self.fitting(version, &request, MESSAGE_BYTES_MAX, up, |answer| {
            CommunityMessage::new(wire, community.clone(), answer).ok()?.encode().ok()
        })
    }

    fn answer_v3(&mut self, datagram: &Bytes, up: Duration) -> Option<Bytes> {
        let seconds = u32::try_from(up.as_secs()).unwrap_or(u32::MAX);
        let asked = match self.engine.as_mut()?.open(datagram, seconds) {
            Inbound::Dropped => return None,
            Inbound::Report(report) => return Some(report),
            Inbound::Request(asked) => asked,
        };
        let engine = self.engine.as_ref()?;
        let size_max = asked.size_max.min(MESSAGE_BYTES_MAX);
        self.fitting(Version::V3, &asked.scoped.pdu, size_max, up, |answer| {
            engine.seal(&asked, answer, seconds)
        })
    }

    /// The answer as `seal` writes it, or tooBig when that is longer than `size_max` octets.
    fn fitting(
        &self,
        version: Version,
        request: &Pdu,
        size_max: usize,
        up: Duration,
        seal: impl Fn(ResponsePdu) -> Option<Bytes>,
    ) -> Option<Bytes> {
        let room = size_max.saturating_sub(ENVELOPE_BYTES_MAX);
        let view = View { objects: &self.machine.objects, now: ticks(up), behaviour: self.behaviour, room };
        let message = seal(answer::answer(version, request, &view)?)?;
        if message.len() <= size_max {
            return Some(message);
        }
        let refused = answer::refuse(version, request, &view, OutboundErrorStatus::TooBig, None)?;
        seal(refused).filter(|message| message.len() <= size_max)
    }
}

/// Hundredths of a second, beginning again at zero after 497 days as sysUpTime does (RFC 3418).
pub(super) fn ticks(up: Duration) -> Ticks {
    let hundredths = up.as_millis() / 10 % (u128::from(u32::MAX) + 1);
    Ticks::try_from(hundredths).unwrap_or(Ticks::MAX)
}

fn version_of(datagram: &Bytes) -> Option<Version> {
    Version::from_i32(Decoder::new(datagram.clone()).read_sequence().ok()?.read_integer().ok()?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_snmp::{AuthProtocol, Oid, PduBody, StandardPduType, VarBind};
    use proptest::prelude::*;

    use super::*;
    use crate::printers::{Recording, V3User};

    const NOISE: [u8; NOISE_BYTES] = [0xa5; NOISE_BYTES];

    fn station() -> Station {
        let recording = Recording::parse("1.3.6.1.1.0|4|a\n1.3.6.1.2.0|2|1\n", "x").unwrap();
        let user = V3User::auth("monitor", AuthProtocol::Sha1, "a password for tests").unwrap();
        Station {
            machine: Machine::new(Arc::new(recording)),
            behaviour: Behaviour::Normal,
            powered: true,
            community: Bytes::from_static(b"public"),
            engine: Some(Engine::new(&user, [7; 8]).unwrap()),
            strangers: 0,
        }
    }

    fn request() -> Vec<u8> {
        let get =
            PduBody::Standard { pdu_type: StandardPduType::GetRequest, error_status: 0, error_index: 0 };
        let asked = vec![VarBind::null(Oid::from_slice(&[1, 3, 6, 1, 1, 0]))];
        CommunityMessage::v2c("public", Pdu::from_raw_parts(1, get, asked))
            .unwrap()
            .encode()
            .unwrap()
            .to_vec()
    }

    #[test]
    fn uptime_begins_again_after_497_days() {
        assert_eq!(ticks(Duration::from_millis(1_239)), 123);
        assert_eq!(ticks(Duration::from_millis((u64::from(u32::MAX) + 3) * 10)), 2);
    }

    #[test]
    fn noise_takes_the_place_of_an_answer_but_answers_nothing_else() {
        let mut station = station();
        station.behaviour = Behaviour::Garbage;
        assert_eq!(station.answer(request().into(), Duration::ZERO, NOISE).as_deref(), Some(&NOISE[..]));
        assert_eq!(station.answer(Bytes::from_static(b"junk"), Duration::ZERO, NOISE), None);
    }

    proptest! {
        #[test]
        fn junk_gets_no_answer(datagram in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(station().answer(datagram.into(), Duration::ZERO, NOISE), None);
        }

        #[test]
        fn a_damaged_request_does_no_harm(place in any::<prop::sample::Index>(), octet in any::<u8>(), cut in 0usize..8) {
            let mut station = station();
            let mut damaged = request();
            let at = place.index(damaged.len());
            damaged[at] = octet;
            damaged.truncate(damaged.len() - cut);
            let answered = station.answer(damaged.into(), Duration::ZERO, NOISE);
            prop_assert!(answered.is_none_or(|answer| answer.len() <= MESSAGE_BYTES_MAX));
            prop_assert!(station.answer(request().into(), Duration::ZERO, NOISE).is_some());
        }
    }
}
