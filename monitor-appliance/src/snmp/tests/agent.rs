//! A pretended printer: answers SNMPv1 and v2c from a list of objects, as well or as badly as it is told to.

use async_snmp::message::{CommunityMessage, CommunityPdu};
use async_snmp::{
    DecodeConfig, ErrorIndex, Oid, OutboundErrorStatus, Pdu, PduBody, PduType, ResponsePdu, Value, VarBind,
    Version,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// How the printer behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// As the standard says.
    Well,
    /// As the standard says, but takes 5 ms for each answer.
    Slowly,
    /// Never answers.
    Silent,
    /// Answers octets that are no SNMP.
    Garbage,
    /// Answers every question with the same object.
    Loop,
    /// Has no end: every object has a successor.
    Endless,
    /// Says tooBig whenever more than so many cells are asked for.
    TooBigAbove(usize),
    /// Falls silent after so many answers.
    SilentAfter(u32),
    /// Counts a crash at every request for more than one object, GETBULK among them.
    OneObject,
    /// Takes the non-repeaters of GETBULK for repeaters.
    NoNonRepeaters,
    /// Does not answer about anything below this object.
    SilentBelow(&'static [u32]),
}

/// A running printer on a loopback port.
pub(super) struct Agent {
    pub(super) address: SocketAddr,
    objects: Arc<Mutex<Objects>>,
    requests: Arc<AtomicU32>,
    octets: Arc<AtomicU32>,
    overlaps: Arc<AtomicU32>,
    crashes: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

type Objects = BTreeMap<Vec<u32>, Value>;

/// What an agent counts.
#[derive(Clone)]
struct Counts {
    requests: Arc<AtomicU32>,
    octets: Arc<AtomicU32>,
    overlaps: Arc<AtomicU32>,
    crashes: Arc<AtomicU32>,
}

impl Agent {
    pub(super) async fn start(objects: &[(&str, Value)], manner: Manner) -> Self {
        let objects: Objects = objects.iter().map(|(oid, value)| (arcs(oid), value.clone())).collect();
        let objects = Arc::new(Mutex::new(objects));
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let requests = Arc::new(AtomicU32::new(0));
        let octets = Arc::new(AtomicU32::new(0));
        let overlaps = Arc::new(AtomicU32::new(0));
        let crashes = Arc::new(AtomicU32::new(0));
        let counts = Counts {
            requests: Arc::clone(&requests),
            octets: Arc::clone(&octets),
            overlaps: Arc::clone(&overlaps),
            crashes: Arc::clone(&crashes),
        };
        let task = tokio::spawn(serve(socket, Arc::clone(&objects), manner, counts));
        Self { address, objects, requests, octets, overlaps, crashes, task }
    }

    /// How often it would have crashed.
    pub(super) fn crashes(&self) -> u32 {
        self.crashes.load(Ordering::SeqCst)
    }

    /// Gives an object a value.
    pub(super) fn set(&self, oid: &str, value: Value) {
        self.objects.lock().unwrap().insert(arcs(oid), value);
    }

    /// Takes an object away.
    pub(super) fn remove(&self, oid: &str) {
        assert!(self.objects.lock().unwrap().remove(&arcs(oid)).is_some(), "{oid} was not there");
    }

    /// Requests and octets since the last call.
    pub(super) fn spent(&self) -> (u32, u32) {
        (self.requests.swap(0, Ordering::SeqCst), self.octets.swap(0, Ordering::SeqCst))
    }

    /// How many requests came.
    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Ordering::SeqCst)
    }

    /// How many requests came while another one was still unanswered.
    pub(super) fn overlaps(&self) -> u32 {
        self.overlaps.load(Ordering::SeqCst)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn arcs(oid: &str) -> Vec<u32> {
    Oid::parse(oid).unwrap().arcs().to_vec()
}

async fn serve(socket: UdpSocket, objects: Arc<Mutex<Objects>>, manner: Manner, counts: Counts) {
    let Counts { requests, octets, overlaps, crashes } = counts;
    let mut buffer = vec![0; 65_536];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
        let answered = requests.fetch_add(1, Ordering::SeqCst);
        let reply = match manner {
            Manner::Silent => None,
            Manner::SilentAfter(count) if answered >= count => None,
            Manner::Garbage => Some(b"220 printer ready\r\n".to_vec()),
            _ => answer(&buffer[..length], &objects.lock().unwrap(), manner),
        };
        if manner == Manner::OneObject && objects_asked(&buffer[..length]) != Some(1) {
            crashes.fetch_add(1, Ordering::SeqCst);
        }
        let sent = length + reply.as_ref().map_or(0, Vec::len);
        octets.fetch_add(u32::try_from(sent).unwrap(), Ordering::SeqCst);
        if manner == Manner::Slowly {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Any request that is waiting before this one is answered was sent too early.
        let mut early = [0; 1];
        if reply.is_some() && socket.try_recv_from(&mut early).is_ok() {
            overlaps.fetch_add(1, Ordering::SeqCst);
        }
        if let Some(reply) = reply {
            socket.send_to(&reply, peer).await.unwrap();
        }
    }
}

/// How many objects a request can be answered with.
fn objects_asked(request: &[u8]) -> Option<u32> {
    let message = CommunityMessage::decode(request.to_vec().into(), DecodeConfig::default()).ok()?.value;
    let (_, _, CommunityPdu::Standard(pdu)) = message.into_parts() else { return None };
    let starts = u32::try_from(pdu.varbinds().len()).ok()?;
    Some(pdu.get_bulk_fields().map_or(starts, |(_, repetitions)| starts * repetitions))
}

fn answer(request: &[u8], objects: &BTreeMap<Vec<u32>, Value>, manner: Manner) -> Option<Vec<u8>> {
    let message = CommunityMessage::decode(request.to_vec().into(), DecodeConfig::default()).ok()?.value;
    let (version, community, pdu) = message.into_parts();
    let CommunityPdu::Standard(pdu) = pdu else { return None };
    if community.as_bytes() != b"public" {
        return None;
    }
    let starts: Vec<Vec<u32>> = pdu.varbinds().iter().map(|varbind| varbind.oid.arcs().to_vec()).collect();
    if let Manner::SilentBelow(object) = manner
        && starts.iter().any(|start| start.starts_with(object))
    {
        return None;
    }
    let (once, repetitions) = match pdu.raw_body() {
        PduBody::GetBulk { non_repeaters, max_repetitions, .. } => (
            if manner == Manner::NoNonRepeaters { 0 } else { *non_repeaters as usize },
            *max_repetitions as usize,
        ),
        PduBody::Standard { .. } => (0, 1),
    };
    let exactly = pdu.pdu_type() == PduType::GetRequest;
    let too_big = matches!(manner, Manner::TooBigAbove(cells) if starts.len() * repetitions > cells);
    let reply = |status, index, varbinds| response(version, &pdu, status, index, varbinds);
    let response = if too_big {
        reply(OutboundErrorStatus::TooBig, None, Vec::new())
    } else {
        let cells = if exactly {
            let get = |oid: Vec<u32>| match objects.get(&oid) {
                Some(value) => (oid, value.clone()),
                None => (oid, Value::NoSuchInstance),
            };
            starts.iter().cloned().map(get).collect()
        } else {
            let (single, repeated) = starts.split_at(once.min(starts.len()));
            let mut found = cells(single, 1, objects, manner);
            found.extend(cells(repeated, repetitions, objects, manner));
            found
        };
        let missing = cells.iter().position(|(_, value)| value.is_exception());
        match missing {
            Some(at) if version == Version::V1 => {
                let index = ErrorIndex::new(u32::try_from(at + 1).unwrap(), starts.len()).unwrap();
                reply(OutboundErrorStatus::NoSuchName, Some(index), pdu.varbinds().to_vec())
            }
            _ => {
                let varbinds =
                    cells.into_iter().map(|(oid, value)| VarBind::new(Oid::from_slice(&oid), value));
                reply(OutboundErrorStatus::NoError, None, varbinds.collect())
            }
        }
    };
    let message = match version {
        Version::V1 => CommunityMessage::v1(community, response).unwrap(),
        _ => CommunityMessage::v2c(community, response).unwrap(),
    };
    Some(message.encode().unwrap().to_vec())
}

fn response(
    version: Version,
    request: &Pdu,
    status: OutboundErrorStatus,
    index: Option<ErrorIndex>,
    varbinds: Vec<VarBind>,
) -> ResponsePdu {
    ResponsePdu::new(version, request.request_id(), status, index, varbinds).unwrap()
}

fn cells(
    starts: &[Vec<u32>],
    repetitions: usize,
    objects: &BTreeMap<Vec<u32>, Value>,
    manner: Manner,
) -> Vec<(Vec<u32>, Value)> {
    let mut last = starts.to_vec();
    let mut cells = Vec::new();
    for _ in 0..repetitions {
        for start in &mut last {
            let (oid, value) = next(start, objects, manner);
            start.clone_from(&oid);
            cells.push((oid, value));
        }
    }
    cells
}

fn next(start: &[u32], objects: &BTreeMap<Vec<u32>, Value>, manner: Manner) -> (Vec<u32>, Value) {
    match manner {
        Manner::Loop => (vec![1, 3, 6, 1, 2, 1, 1, 1, 0], Value::Integer(1)),
        Manner::Endless => {
            // Below a column of a table there is always one row more.
            let mut oid = start.to_vec();
            match oid.last_mut() {
                Some(row) if start.len() > 11 => *row += 1,
                _ => oid.extend([1; 3].into_iter().take(12 - start.len().min(11))),
            }
            (oid, Value::Integer(1))
        }
        _ => {
            let after = (std::ops::Bound::Excluded(start.to_vec()), std::ops::Bound::Unbounded);
            match objects.range::<Vec<u32>, _>(after).next() {
                Some((oid, value)) => (oid.clone(), value.clone()),
                None => (start.to_vec(), Value::EndOfMibView),
            }
        }
    }
}
