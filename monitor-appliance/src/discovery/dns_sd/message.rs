//! One datagram of multicast DNS: what is read of an answer, how a question is written.

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Label, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, ResourceRecord, TYPE};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Octets of the largest datagram read (RFC 6762 section 17).
pub(super) const DATAGRAM_OCTETS_MAX: usize = 9000;

/// Most records and questions of one datagram; a printer's have about ten.
const RECORDS_MAX: usize = 512;

/// Most pairs kept of one TXT record.
const PAIRS_MAX: usize = 64;

/// Octets of the longest question sent: fits into a frame whatever lies around it.
const QUESTION_OCTETS_MAX: usize = 1200;

/// A domain name as its labels; equal whatever its case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DnsName(Vec<Vec<u8>>);

impl DnsName {
    /// The name of a service such as `_ipp._tcp` in the domain of the link.
    #[must_use]
    pub fn of_service(service: &str) -> Self {
        let labels = service.split('.').chain(["local"]);
        Self(labels.map(|label| label.as_bytes().to_ascii_lowercase()).collect())
    }

    fn of(name: &Name<'_>) -> Self {
        Self(name.get_labels().iter().map(|label| label.as_ref().to_ascii_lowercase()).collect())
    }

    fn wire(&self) -> Name<'_> {
        let labels: Vec<Label<'_>> =
            self.0.iter().map(|label| Label::new_unchecked(label.as_slice())).collect();
        Name::new_with_labels(&labels)
    }

    /// Whether it is an instance of a service: one label more in front (RFC 6763 section 4.1).
    #[must_use]
    pub fn is_instance_of(&self, service: &Self) -> bool {
        self.0.get(1..) == Some(&service.0)
    }
}

/// One record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose.
    pub name: DnsName,
    /// How long it holds, in seconds; 0 takes it back.
    pub ttl: u32,
    /// Whether it takes the place of all others of its name and type (RFC 6762 section 10.2).
    pub flush: bool,
    /// What it says.
    pub data: Data,
}

/// What a record says, of the types that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// PTR: an instance of a service, and its first label as it is written.
    Instance(DnsName, String),
    /// SRV: the host of an instance.
    Host(DnsName),
    /// TXT: pairs of an instance.
    Pairs(Vec<(String, String)>),
    /// A or AAAA.
    Address(IpAddr),
}

/// Reads the records of an answer. Total: what is no answer, or not well-formed, has none.
#[must_use]
pub fn read(datagram: &[u8]) -> Vec<Record> {
    if datagram.len() > DATAGRAM_OCTETS_MAX
        || announced_records(datagram).is_none_or(|count| count > RECORDS_MAX)
    {
        return Vec::new();
    }
    let Ok(packet) = Packet::parse(datagram) else { return Vec::new() };
    if !packet.has_flags(PacketFlag::RESPONSE) {
        return Vec::new();
    }
    packet.answers.iter().chain(&packet.additional_records).filter_map(record).collect()
}

/// The numbers of questions and records in the header (RFC 1035 section 4.1.1), before room is made for them.
fn announced_records(datagram: &[u8]) -> Option<usize> {
    let counts = datagram.get(4..12)?;
    Some(counts.chunks_exact(2).map(|count| usize::from(u16::from_be_bytes([count[0], count[1]]))).sum())
}

fn record(record: &ResourceRecord<'_>) -> Option<Record> {
    if record.class != CLASS::IN {
        return None;
    }
    let data = match &record.rdata {
        RData::PTR(ptr) => {
            let name = DnsName::of(&ptr.0);
            let label = ptr.0.get_labels().first()?;
            Data::Instance(name, tidy(label.as_ref()))
        }
        RData::SRV(srv) => Data::Host(DnsName::of(&srv.target)),
        RData::TXT(txt) => Data::Pairs(
            txt.iter_raw()
                .take(PAIRS_MAX)
                .filter_map(|(key, value)| Some((tidy(key).to_ascii_lowercase(), tidy(value?))))
                .collect(),
        ),
        RData::A(a) => Data::Address(Ipv4Addr::from_bits(a.address).into()),
        RData::AAAA(aaaa) => Data::Address(Ipv6Addr::from_bits(aaaa.address).into()),
        _ => return None,
    };
    Some(Record { name: DnsName::of(&record.name), ttl: record.ttl, flush: record.cache_flush, data })
}

/// Text for a person: without control characters.
fn tidy(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

/// What is asked of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    /// Instances of a service.
    Instances,
    /// Host of an instance.
    Host,
    /// Pairs of an instance.
    Pairs,
    /// IPv4 addresses of a host.
    Address4,
    /// IPv6 addresses of a host.
    Address6,
}

/// An instance that is known: who has announced it need not do it again (RFC 6762 section 7.1).
pub(super) struct KnownAnswer<'a> {
    pub(super) service: &'a DnsName,
    pub(super) instance: &'a DnsName,
    pub(super) ttl: u32,
}

/// Writes questions and what is known already as datagrams that each fit into a frame. `id` is 0 except in a question
/// that is asked only once (RFC 6762 section 18.1).
pub(super) fn write(id: u16, questions: &[(&DnsName, Asked)], known: &[KnownAnswer<'_>]) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    let mut packet = Packet::new_query(id);
    let mut room = QUESTION_OCTETS_MAX;
    for (name, asked) in questions {
        let name = name.wire();
        let octets = name_octets(&name) + 4;
        if octets > room {
            datagrams
                .extend(std::mem::replace(&mut packet, Packet::new_query(id)).build_bytes_vec_compressed());
            room = QUESTION_OCTETS_MAX;
        }
        room = room.saturating_sub(octets);
        let kind = match asked {
            Asked::Instances => TYPE::PTR,
            Asked::Host => TYPE::SRV,
            Asked::Pairs => TYPE::TXT,
            Asked::Address4 => TYPE::A,
            Asked::Address6 => TYPE::AAAA,
        };
        packet.questions.push(Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
    }
    for known in known {
        let (service, instance) = (known.service.wire(), known.instance.wire());
        let octets = name_octets(&service) + name_octets(&instance) + 10;
        if octets > room {
            // The rest is told in further datagrams, which this one says (RFC 6762 section 7.2).
            packet.set_flags(PacketFlag::TRUNCATION);
            datagrams
                .extend(std::mem::replace(&mut packet, Packet::new_query(id)).build_bytes_vec_compressed());
            room = QUESTION_OCTETS_MAX;
        }
        room = room.saturating_sub(octets);
        let data = RData::PTR(simple_dns::rdata::PTR(instance));
        packet.answers.push(ResourceRecord::new(service, CLASS::IN, known.ttl, data));
    }
    datagrams.extend(packet.build_bytes_vec_compressed());
    datagrams
}

fn name_octets(name: &Name<'_>) -> usize {
    name.get_labels().iter().map(|label| label.as_ref().len() + 1).sum::<usize>() + 1
}
