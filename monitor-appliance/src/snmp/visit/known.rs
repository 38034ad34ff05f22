//! A visit to a device whose layout is known: one request to look for faults, and a few exact ones for everything.

use super::{Miss, Question, Stop, Visit};
use crate::device::{Oid, Part, Value};
use crate::snmp::Depth;
use crate::snmp::acquaintance::Acquaintance;
use crate::snmp::columns::Cell;
use crate::snmp::layout::{Doubt, Entry, Layout, Role, batches, decode_cells};
use crate::snmp::look::{Alerts, Form, Look, Sighting};
use crate::snmp::plan;
use jiff::Timestamp;

/// Why a visit by the layout ended.
enum Ended {
    /// The layout does not fit.
    Doubt(Doubt),
    /// Something did not come.
    Miss(Miss),
}

impl From<Doubt> for Ended {
    fn from(doubt: Doubt) -> Self {
        Self::Doubt(doubt)
    }
}

impl From<Miss> for Ended {
    fn from(miss: Miss) -> Self {
        Self::Miss(miss)
    }
}

impl Visit<'_> {
    /// Asks what the layout says; where there is none, or the device contradicts it, walks.
    pub(super) async fn read_known(
        &mut self,
        depth: Depth,
        acquaintance: &mut Acquaintance,
        now: Timestamp,
    ) -> Result<(), Stop> {
        if let Some(layout) = acquaintance.layout() {
            self.treat(layout.manner);
            acquaintance.set_retries(layout.manner.retries);
            match self.read_by_layout(depth, layout, acquaintance, now).await {
                Ok(()) => {
                    acquaintance.confirm();
                    return Ok(());
                }
                Err(Ended::Doubt(doubt)) => {
                    tracing::debug!(device = %self.client.peer_addr(), %doubt, "a device is learned anew");
                    acquaintance.doubt(doubt);
                    self.walk = crate::device::Walk::default();
                }
                Err(Ended::Miss(miss)) => return self.fail(Part::Status, miss),
            }
        }
        match depth {
            Depth::Faults => self.read_parts(plan::FAULTS).await,
            Depth::Everything => {
                let wish = self.read_everything().await?;
                self.learn(acquaintance, &wish, now);
                Ok(())
            }
        }
    }

    async fn read_by_layout(
        &mut self,
        depth: Depth,
        mut layout: Layout,
        acquaintance: &mut Acquaintance,
        now: Timestamp,
    ) -> Result<(), Ended> {
        if depth == Depth::Everything {
            layout.age(now)?;
            if layout.edition != self.wishes.edition() {
                return Err(Doubt::OtherWish.into());
            }
        }
        let alerts = acquaintance.take_alerts();
        let look = Look::new(&layout, alerts.as_ref()).ok_or(Doubt::Malformed)?;
        let Sighting { values, alerts_are_known } = self.look(&look, acquaintance).await?;
        acquaintance.see_uptime(&layout, &values, now)?;
        for (oid, value) in &values {
            layout.entry(oid.arcs()).map_or(Ok(()), |entry| entry.check(value, None))?;
            self.walk.insert(oid.clone(), value.clone());
        }
        let seen = |part| {
            depth == Depth::Everything
                || matches!(part, Part::System | Part::General | Part::Status | Part::Markers)
        };
        layout.remember(&mut self.walk, seen);
        let asked: Vec<&Entry> = match depth {
            Depth::Faults => Vec::new(),
            Depth::Everything => {
                let open = |entry: &&Entry| entry.role != Role::Steady && !look.covers(&entry.oid);
                layout.entries.iter().filter(open).collect()
            }
        };
        let room = self.read_exactly(&asked, layout.room, acquaintance).await?;
        let mut alerts = if alerts_are_known {
            alerts
        } else if let Err(miss) = self.read_columns(plan::ALERT_TABLE.columns, None).await {
            self.walk.fail(Part::Alerts, miss.reason().map_err(Miss::Refused)?);
            None
        } else {
            Some(Alerts::of(&self.walk, &values))
        };
        if alerts_are_known && let Some(alerts) = &mut alerts {
            alerts.see(&values);
            decode_cells(&alerts.cells, &mut self.walk);
        }
        acquaintance.set_alerts(alerts);
        if room < layout.room {
            layout.room = room;
            acquaintance.relearn(&layout);
        }
        Ok(())
    }

    /// The look itself, in the form that the device does well.
    async fn look(&mut self, look: &Look<'_>, acquaintance: &mut Acquaintance) -> Result<Sighting, Ended> {
        let (once, repetitions) = look.repetitions();
        let wide = once.saturating_add(repetitions) > self.cells || repetitions > self.repetitions();
        let next = self.is_next_only() || wide || acquaintance.form() == Some(Form::Next);
        if !next {
            let question =
                if repetitions == 0 { Question::Next } else { Question::Bulk { once, repetitions } };
            match self.exchange(&question, &look.starts(Form::Bulk)).await {
                Ok(answer) => match look.judge(answer) {
                    Err(Doubt::Malformed) => acquaintance.set_form(Form::Next),
                    judged => return Ok(judged?),
                },
                Err(Miss::TooBig) => acquaintance.set_form(Form::Next),
                Err(miss) => return Err(miss.into()),
            }
        }
        let mut answer = Vec::new();
        let starts = look.starts(Form::Next);
        let mut left = starts.as_slice();
        while !left.is_empty() {
            let width = left.len().min(usize::try_from(self.cells).unwrap_or(usize::MAX)).max(1);
            match self.exchange(&Question::Next, &left[..width]).await {
                Ok(cells) => {
                    if cells.len() != width {
                        return Err(Doubt::Malformed.into());
                    }
                    answer.extend(cells);
                    left = &left[width..];
                }
                Err(Miss::TooBig) if width > 1 => {
                    self.cells = u32::try_from(width / 2).unwrap_or(1);
                }
                // SNMPv1 at the end of everything: the last object has no successor (RFC 1157 4.1.3).
                Err(Miss::NoSuchName) if width == 1 => {
                    answer.push((left[0].clone(), Cell::End));
                    left = &left[1..];
                }
                Err(Miss::NoSuchName) => self.cells = 1,
                Err(miss) => return Err(miss.into()),
            }
        }
        Ok(look.judge(answer)?)
    }

    /// Asks for exactly these; gives the octets that an answer may have.
    async fn read_exactly(
        &mut self,
        entries: &[&Entry],
        mut room: usize,
        acquaintance: &mut Acquaintance,
    ) -> Result<usize, Ended> {
        let mut levels = Vec::new();
        let mut left = entries;
        while !left.is_empty() {
            let cells = usize::try_from(self.cells_in_a_get()).unwrap_or(usize::MAX);
            let Some(batch) = batches(left, room, cells).first().copied() else { break };
            let asked: Vec<Oid> = batch.iter().map(|entry| entry.oid.clone()).collect();
            match self.exchange(&Question::Get, &asked).await {
                Ok(answer) => {
                    self.silences = 0;
                    self.take(batch, answer, acquaintance, &mut levels)?;
                    left = &left[batch.len()..];
                }
                Err(Miss::TooBig) if batch.len() > 1 => room = (room / 2).max(1),
                Err(Miss::NoSuchName) => return Err(Doubt::Gone.into()),
                // genErr and the like: one object spoils the others, and a walk finds out which.
                Err(Miss::TooBig | Miss::Other(_)) => return Err(Doubt::Malformed.into()),
                Err(miss) => {
                    let reason = miss.reason().map_err(Miss::Refused)?;
                    for entry in left {
                        self.walk.fail(entry.part, reason.clone());
                    }
                    break;
                }
            }
        }
        if !entries.is_empty() {
            acquaintance.set_levels(levels);
        }
        Ok(room)
    }

    /// Most objects in one GET.
    fn cells_in_a_get(&self) -> u32 {
        self.manner.objects_per_request.unwrap_or(u32::MAX).clamp(1, super::super::OBJECTS_AT_ONCE)
    }

    fn take(
        &mut self,
        batch: &[&Entry],
        answer: Vec<(Oid, Cell)>,
        acquaintance: &Acquaintance,
        levels: &mut Vec<(Oid, i64)>,
    ) -> Result<(), Doubt> {
        if answer.len() != batch.len() {
            return Err(Doubt::Malformed);
        }
        for ((oid, cell), entry) in answer.into_iter().zip(batch) {
            let Cell::Value(value) = cell else { return Err(Doubt::Gone) };
            if oid != entry.oid {
                return Err(Doubt::Malformed);
            }
            entry.check(&value, acquaintance.level(&oid))?;
            if entry.role == Role::Level
                && let Some(level) = Value::as_i64(&value)
            {
                levels.push((oid.clone(), level));
            }
            self.walk.insert(oid, value);
        }
        Ok(())
    }
}
