//! The general call: one question that all devices of a network hear; who answers is then asked by itself.

use async_snmp::message::{CommunityMessage, CommunityPdu, V3Message};
use async_snmp::{DecodeConfig, Oid, Pdu, PduBody, PduType, StandardPduType, UDP_RECEIVE_LIMITS, VarBind};
use std::collections::BTreeSet;
use std::net::{SocketAddr, SocketAddrV4};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

/// Most devices that one call finds; further answers are not read.
const ANSWERS_MAX: usize = 4096;

/// Most datagrams read after one call, whatever they are.
const DATAGRAMS_MAX: usize = 20_000;

/// Octets of the longest answer read; ours are below a hundred.
const DATAGRAM_OCTETS_MAX: usize = 2048;

/// sysObjectID.0 (RFC 3418): short, and in every device.
const ASKED: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 2, 0];

/// A general call that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The network refused it.
    #[error("the general call to {address} could not be sent: check that this machine is in that network")]
    Socket {
        /// Where it was to go.
        address: SocketAddrV4,
        /// What the system said.
        source: std::io::Error,
    },
    /// The question cannot be written.
    #[error("the general call cannot be written")]
    Write(#[source] Box<async_snmp::Error>),
}

/// What is asked: one question with the one community, and one for the SNMPv3 engines where `users` are known.
///
/// # Errors
/// [`CallError::Write`].
pub(super) fn questions(
    community: Option<&str>,
    users: bool,
    request_id: i32,
) -> Result<Vec<Vec<u8>>, CallError> {
    let mut questions = Vec::new();
    if let Some(community) = community {
        let body =
            PduBody::Standard { pdu_type: StandardPduType::GetRequest, error_status: 0, error_index: 0 };
        let pdu = Pdu::from_raw_parts(request_id, body, vec![VarBind::null(Oid::from_slice(&ASKED))]);
        let message = CommunityMessage::v2c(community.to_owned(), pdu).and_then(|message| message.encode());
        questions.push(message.map_err(CallError::Write)?.to_vec());
    }
    if users {
        let message = V3Message::discovery_request(request_id, UDP_RECEIVE_LIMITS.advertised());
        let message = message.and_then(|message| message.encode()).map_err(CallError::Write)?;
        questions.push(message.to_vec());
    }
    Ok(questions)
}

/// What an answer to a general call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// To the community.
    Community,
    /// To the question for SNMPv3 engines.
    Engine,
}

/// What a datagram is to the question with this number. Anybody can write one, so it is no more than a hint that somebody
/// is there.
pub(super) fn answer(datagram: &[u8], request_id: i32) -> Option<Heard> {
    let octets = || datagram.to_vec().into();
    if let Ok(message) = CommunityMessage::decode(octets(), DecodeConfig::default()) {
        let (_, _, CommunityPdu::Standard(pdu)) = message.value.into_parts() else { return None };
        let answers = pdu.pdu_type() == PduType::Response && pdu.request_id() == request_id;
        return answers.then_some(Heard::Community);
    }
    let message = V3Message::decode(octets(), DecodeConfig::default()).ok()?;
    (message.value.global_data().msg_id() == request_id).then_some(Heard::Engine)
}

/// Who answered a general call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answered {
    /// Who took the community.
    pub(super) community: BTreeSet<SocketAddrV4>,
    /// Who told an SNMPv3 engine.
    pub(super) engine: BTreeSet<SocketAddrV4>,
}

/// Calls once, since the community counts as a try at everybody who hears it, and listens for `wait`.
///
/// # Errors
/// [`CallError`].
pub(super) async fn general_call(
    address: SocketAddrV4,
    community: Option<&str>,
    users: bool,
    request_id: i32,
    wait: Duration,
) -> Result<Answered, CallError> {
    let questions = questions(community, users, request_id)?;
    let failed = |source| CallError::Socket { address, source };
    let socket = UdpSocket::bind("0.0.0.0:0").await.map_err(failed)?;
    socket.set_broadcast(true).map_err(failed)?;
    for question in &questions {
        socket.send_to(question, address).await.map_err(failed)?;
    }
    let mut found = Answered::default();
    let mut buffer = vec![0; DATAGRAM_OCTETS_MAX];
    let end = Instant::now() + wait;
    for _ in 0..DATAGRAMS_MAX {
        if found.community.len() + found.engine.len() >= ANSWERS_MAX {
            break;
        }
        let Ok(received) = timeout_at(end, socket.recv_from(&mut buffer)).await else { break };
        // An error is the echo of a datagram that could not be delivered.
        let Ok((length, SocketAddr::V4(from))) = received else { continue };
        match answer(&buffer[..length], request_id) {
            Some(Heard::Community) => drop(found.community.insert(from)),
            Some(Heard::Engine) => drop(found.engine.insert(from)),
            None => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_snmp::{ResponsePdu, Version};
    use proptest::prelude::*;

    fn answered(request_id: i32) -> Vec<u8> {
        let value = async_snmp::Value::ObjectIdentifier(Oid::from_slice(&[1, 3, 6, 1, 4, 1, 11]));
        let found = vec![VarBind::new(Oid::from_slice(&ASKED), value)];
        let pdu = ResponsePdu::success(Version::V2c, request_id, found).unwrap();
        CommunityMessage::v2c("public", pdu).unwrap().encode().unwrap().to_vec()
    }

    #[test]
    fn only_an_answer_to_our_question_counts() {
        assert_eq!(answer(&answered(7), 7), Some(Heard::Community));
        assert_eq!(answer(&answered(8), 7), None);
        for question in questions(Some("public"), false, 7).unwrap() {
            assert_eq!(answer(&question, 7), None, "a question that came back is no answer");
        }
        assert!(answer(b"", 7).is_none() && answer(b"220 printer ready", 7).is_none());
    }

    #[test]
    fn there_is_one_question_for_the_community_and_one_for_all_users() {
        assert_eq!(questions(Some("a"), true, 1).unwrap().len(), 2);
        assert_eq!(questions(None, true, 1).unwrap().len(), 1);
    }

    proptest! {
        #[test]
        fn any_octets_are_an_answer_or_not(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
            answer(&datagram, 0);
        }

        #[test]
        fn a_damaged_answer_does_no_harm(place in any::<prop::sample::Index>(), octet in any::<u8>()) {
            let mut datagram = answered(7);
            let at = place.index(datagram.len());
            datagram[at] = octet;
            answer(&datagram, 7);
        }
    }
}
