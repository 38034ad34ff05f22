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

/// What is asked: one question per community, and one for the SNMPv3 engines where `users` are known.
///
/// # Errors
/// [`CallError::Write`].
pub(super) fn questions(
    communities: &[&str],
    users: bool,
    request_id: i32,
) -> Result<Vec<Vec<u8>>, CallError> {
    let mut questions = Vec::new();
    for community in communities {
        let body =
            PduBody::Standard { pdu_type: StandardPduType::GetRequest, error_status: 0, error_index: 0 };
        let pdu = Pdu::from_raw_parts(request_id, body, vec![VarBind::null(Oid::from_slice(&ASKED))]);
        let message =
            CommunityMessage::v2c((*community).to_owned(), pdu).and_then(|message| message.encode());
        questions.push(message.map_err(CallError::Write)?.to_vec());
    }
    if users {
        let message = V3Message::discovery_request(request_id, UDP_RECEIVE_LIMITS.advertised());
        let message = message.and_then(|message| message.encode()).map_err(CallError::Write)?;
        questions.push(message.to_vec());
    }
    Ok(questions)
}

/// Whether a datagram is an answer to the question with this number. Anybody can write one, so it is no more than a
/// hint that somebody is there.
pub(super) fn is_answer(datagram: &[u8], request_id: i32) -> bool {
    let octets = || datagram.to_vec().into();
    if let Ok(message) = CommunityMessage::decode(octets(), DecodeConfig::default()) {
        let (_, _, CommunityPdu::Standard(pdu)) = message.value.into_parts() else { return false };
        return pdu.pdu_type() == PduType::Response && pdu.request_id() == request_id;
    }
    V3Message::decode(octets(), DecodeConfig::default())
        .is_ok_and(|message| message.value.global_data().msg_id() == request_id)
}

/// Calls, twice since datagrams get lost, and listens for `wait` after the second time. Gives the addresses that
/// answered, in order.
///
/// # Errors
/// [`CallError`].
pub(super) async fn general_call(
    address: SocketAddrV4,
    communities: &[&str],
    users: bool,
    request_id: i32,
    wait: Duration,
) -> Result<Vec<SocketAddrV4>, CallError> {
    let questions = questions(communities, users, request_id)?;
    let failed = |source| CallError::Socket { address, source };
    let socket = UdpSocket::bind("0.0.0.0:0").await.map_err(failed)?;
    socket.set_broadcast(true).map_err(failed)?;
    let mut found = BTreeSet::new();
    let mut datagrams = 0_usize;
    let mut buffer = vec![0; DATAGRAM_OCTETS_MAX];
    for pause in [wait / 2, wait] {
        for question in &questions {
            socket.send_to(question, address).await.map_err(failed)?;
        }
        let end = Instant::now() + pause;
        while datagrams < DATAGRAMS_MAX && found.len() < ANSWERS_MAX {
            let Ok(received) = timeout_at(end, socket.recv_from(&mut buffer)).await else { break };
            datagrams += 1;
            // An error is the echo of a datagram that could not be delivered.
            let Ok((length, SocketAddr::V4(from))) = received else { continue };
            if is_answer(&buffer[..length], request_id) {
                found.insert(from);
            }
        }
    }
    Ok(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_snmp::{ResponsePdu, Version};
    use proptest::prelude::*;

    fn answer(request_id: i32) -> Vec<u8> {
        let value = async_snmp::Value::ObjectIdentifier(Oid::from_slice(&[1, 3, 6, 1, 4, 1, 11]));
        let found = vec![VarBind::new(Oid::from_slice(&ASKED), value)];
        let pdu = ResponsePdu::success(Version::V2c, request_id, found).unwrap();
        CommunityMessage::v2c("public", pdu).unwrap().encode().unwrap().to_vec()
    }

    #[test]
    fn only_an_answer_to_our_question_counts() {
        assert!(is_answer(&answer(7), 7));
        assert!(!is_answer(&answer(8), 7));
        for question in questions(&["public"], false, 7).unwrap() {
            assert!(!is_answer(&question, 7), "a question that came back is no answer");
        }
        assert!(!is_answer(b"", 7) && !is_answer(b"220 printer ready", 7));
    }

    #[test]
    fn there_is_one_question_per_community_and_one_for_all_users() {
        assert_eq!(questions(&["a", "b"], true, 1).unwrap().len(), 3);
        assert_eq!(questions(&[], true, 1).unwrap().len(), 1);
    }

    proptest! {
        #[test]
        fn any_octets_are_an_answer_or_not(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
            is_answer(&datagram, 0);
        }

        #[test]
        fn a_damaged_answer_does_no_harm(place in any::<prop::sample::Index>(), octet in any::<u8>()) {
            let mut datagram = answer(7);
            let at = place.index(datagram.len());
            datagram[at] = octet;
            is_answer(&datagram, 7);
        }
    }
}
