//! The answer to one request: GET, GETNEXT, GETBULK and SET over the objects of a printer (RFC 3416, RFC 1157).

use async_snmp::{ErrorIndex, Oid, OutboundErrorStatus, Pdu, PduType, ResponsePdu, Value, VarBind, Version};

use super::behaviour::Behaviour;
use super::objects::{Objects, Ticks};

/// Where the objects of an answer come from and how the printer behaves while it gives them.
pub(super) struct View<'a> {
    pub(super) objects: &'a Objects,
    pub(super) now: Ticks,
    pub(super) behaviour: Behaviour,
    /// Octets the variables of an answer may take.
    pub(super) room: usize,
}

/// Answers `request`. `None` for what is no request, and for an answer no message can carry.
pub(super) fn answer(version: Version, request: &Pdu, view: &View<'_>) -> Option<ResponsePdu> {
    let bindings = request.varbinds();
    if view.behaviour == Behaviour::TooBig && wants_several(request) {
        return refuse(version, request, view, OutboundErrorStatus::TooBig, None);
    }
    let found = match request.pdu_type() {
        PduType::GetRequest => bindings.iter().map(|asked| view.get(version, &asked.oid)).collect(),
        PduType::GetNextRequest => bindings.iter().map(|asked| view.next(version, &asked.oid)).collect(),
        PduType::GetBulkRequest => view.bulk(version, request),
        PduType::SetRequest => {
            let status = if version == Version::V1 {
                OutboundErrorStatus::NoSuchName
            } else {
                OutboundErrorStatus::NotWritable
            };
            return refuse(version, request, view, status, Some(0));
        }
        _ => return None,
    };
    let found: Vec<VarBind> = found;
    if version == Version::V1
        && let Some(missing) = found.iter().position(|binding| binding.value.is_exception())
    {
        return refuse(version, request, view, OutboundErrorStatus::NoSuchName, Some(missing));
    }
    if view.room < found.iter().map(VarBind::encoded_size).sum() || (found.is_empty() && !bindings.is_empty())
    {
        return refuse(version, request, view, OutboundErrorStatus::TooBig, None);
    }
    ResponsePdu::success(version, view.request_id(request), found).ok()
}

/// Answers `request` with an error about its variable `place`, counted from 0, or about all of it.
pub(super) fn refuse(
    version: Version,
    request: &Pdu,
    view: &View<'_>,
    status: OutboundErrorStatus,
    place: Option<usize>,
) -> Option<ResponsePdu> {
    let empty = version != Version::V1 && place.is_none();
    let bindings: Vec<VarBind> = if empty {
        Vec::new()
    } else {
        request.varbinds().iter().map(|asked| VarBind::null(asked.oid.clone())).collect()
    };
    let index = match place {
        Some(place) => Some(ErrorIndex::new(u32::try_from(place).ok()? + 1, bindings.len()).ok()?),
        None => None,
    };
    ResponsePdu::new(version, view.request_id(request), status, index, bindings).ok()
}

fn wants_several(request: &Pdu) -> bool {
    let repeats = request.get_bulk_fields().is_some_and(|(_, repetitions)| 1 < repetitions);
    1 < request.varbinds().len() || repeats
}

impl View<'_> {
    fn request_id(&self, request: &Pdu) -> i32 {
        match self.behaviour {
            Behaviour::WrongRequestId => request.request_id().wrapping_add(1),
            _ => request.request_id(),
        }
    }

    fn get(&self, version: Version, oid: &Oid) -> VarBind {
        let value = self.objects.get(oid, self.now).filter(|value| speaks(version, value));
        VarBind::new(oid.clone(), value.unwrap_or_else(|| self.absent(oid)))
    }

    /// noSuchInstance where the column has other instances, else noSuchObject.
    fn absent(&self, oid: &Oid) -> Value {
        let column = oid.parent().unwrap_or_else(Oid::empty);
        match self.objects.next(&column, self.now) {
            Some((near, _)) if near.starts_with(&column) => Value::NoSuchInstance,
            _ => Value::NoSuchObject,
        }
    }

    fn next(&self, version: Version, oid: &Oid) -> VarBind {
        match self.behaviour {
            Behaviour::Loop => return VarBind::new(oid.clone(), Value::Integer(0)),
            Behaviour::EndlessTree => return self.next_of_endless(oid),
            _ => {}
        }
        let mut at = oid.clone();
        while let Some((next, value)) = self.objects.next(&at, self.now) {
            if speaks(version, &value) {
                return VarBind::new(next, value);
            }
            at = next;
        }
        VarBind::new(oid.clone(), Value::EndOfMibView)
    }

    /// Columns that never end: where the real one does, the next row is made up.
    fn next_of_endless(&self, oid: &Oid) -> VarBind {
        let Some((last, column)) = oid.arcs().split_last() else {
            return VarBind::new(oid.clone(), Value::EndOfMibView);
        };
        let column = Oid::from_slice(column);
        match self.objects.next(oid, self.now) {
            Some((next, value)) if next.starts_with(&column) => VarBind::new(next, value),
            _ => VarBind::new(column.child(last.saturating_add(1)), Value::Integer(0)),
        }
    }

    /// As many repetitions as asked for and as fit (RFC 3416, 4.2.3).
    fn bulk(&self, version: Version, request: &Pdu) -> Vec<VarBind> {
        let (once, repetitions) = request.get_bulk_fields().unwrap_or((0, 0));
        let bindings = request.varbinds();
        let (single, repeated) =
            bindings.split_at(bindings.len().min(usize::try_from(once).unwrap_or(usize::MAX)));
        let mut found: Vec<VarBind> = Vec::new();
        let mut room = self.room;
        let mut add = |binding: VarBind, found: &mut Vec<VarBind>| {
            let size = binding.encoded_size();
            let fits = size <= room;
            if fits {
                room -= size;
                found.push(binding);
            }
            fits
        };
        for asked in single {
            if !add(self.next(version, &asked.oid), &mut found) {
                return found;
            }
        }
        let mut at: Vec<Oid> = repeated.iter().map(|asked| asked.oid.clone()).collect();
        for _ in 0..repetitions {
            let mut ended = true;
            for place in &mut at {
                let binding = self.next(version, place);
                ended &= binding.value == Value::EndOfMibView;
                *place = binding.oid.clone();
                if !add(binding, &mut found) {
                    return found;
                }
            }
            if ended {
                break;
            }
        }
        found
    }
}

/// SNMPv1 knows no Counter64 (RFC 3584, 4.2.2.1).
fn speaks(version: Version, value: &Value) -> bool {
    version != Version::V1 || !matches!(value, Value::Counter64(_))
}

#[cfg(test)]
mod tests;
