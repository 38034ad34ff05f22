//! What is remembered of how one device answers, from visit to visit. Pure.

use super::layout::{Doubt, Layout, uptime_goes_on};
use super::look::{Alerts, Form};
use crate::device::{Oid, Value, oids};
use jiff::Timestamp;
use std::sync::Arc;

/// A device that answers exact questions wrongly so often in a row is walked from then on.
const DOUBTS_MAX: u32 = 3;

/// How well a device is known: what to ask it, and what it told last. Empty for a device never met.
///
/// Kept by whoever visits the device and passed to [`super::SnmpReader::read_known`]; only the layout needs to be stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acquaintance {
    /// The layout in its written form: small, as there may be a thousand devices.
    layout: Option<Arc<[u8]>>,
    /// Since it was restored or last taken to be stored.
    changed: bool,
    alerts: Option<Alerts>,
    levels: Vec<(Oid, i64)>,
    uptime: Option<(u32, Timestamp)>,
    form: Option<Form>,
    /// Visits in a row in which the device contradicted a layout that it had just been learned by.
    doubts: u32,
    /// The layout was given up, and nothing was learned since.
    lost: bool,
    /// Most repetitions of a request that it should get.
    retries: Option<u32>,
}

impl Acquaintance {
    /// A device whose layout was stored; what cannot be read is as if nothing was stored.
    #[must_use]
    pub fn restore(layout: Option<&[u8]>) -> Self {
        let layout = layout.filter(|octets| Layout::decode(octets).is_some()).map(Arc::from);
        Self { layout, ..Self::default() }
    }

    /// The layout in its stored form, if it was learned or given up since the last call: `Some(None)` is to be deleted.
    #[must_use]
    pub fn take_change(&mut self) -> Option<Option<Arc<[u8]>>> {
        std::mem::take(&mut self.changed).then(|| self.layout.clone())
    }

    /// It could not be stored after all.
    pub fn untake_change(&mut self) {
        self.changed = true;
    }

    /// Whether a full visit should come soon: the device restarted, or is another one.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    pub(super) fn retries(&self) -> Option<u32> {
        self.retries
    }

    pub(super) fn set_retries(&mut self, retries: Option<u32>) {
        self.retries = retries;
    }

    pub(super) fn layout(&self) -> Option<Layout> {
        self.layout.as_deref().and_then(Layout::decode)
    }

    /// Learned by a walk.
    pub(super) fn learn(&mut self, layout: Option<&Layout>) {
        let fresh = layout.filter(|_| self.doubts < DOUBTS_MAX).map(|layout| Arc::from(layout.encode()));
        self.changed |= self.layout != fresh;
        self.layout = fresh;
        self.lost = false;
        self.alerts = None;
        self.levels.clear();
        self.uptime = None;
    }

    /// The same layout with another size of answers.
    pub(super) fn relearn(&mut self, layout: &Layout) {
        self.layout = Some(Arc::from(layout.encode()));
        self.changed = true;
    }

    /// The device contradicts its layout.
    pub(super) fn doubt(&mut self, doubt: Doubt) {
        if matches!(doubt, Doubt::Gone | Doubt::Malformed) {
            self.doubts = self.doubts.saturating_add(1);
        }
        self.changed |= self.layout.take().is_some();
        self.lost = true;
        self.alerts = None;
    }

    /// The device told everything that its layout promised.
    pub(super) fn confirm(&mut self) {
        self.doubts = 0;
    }

    /// In which form the device is looked at; `None` as long as nothing speaks against GETBULK.
    pub(super) fn form(&self) -> Option<Form> {
        self.form
    }

    pub(super) fn set_form(&mut self, form: Form) {
        self.form = Some(form);
    }

    pub(super) fn take_alerts(&mut self) -> Option<Alerts> {
        self.alerts.take()
    }

    pub(super) fn set_alerts(&mut self, alerts: Option<Alerts>) {
        self.alerts = alerts;
    }

    /// The level that a supply had at the visit before.
    pub(super) fn level(&self, oid: &Oid) -> Option<i64> {
        self.levels.iter().find(|(known, _)| known == oid).map(|(_, level)| *level)
    }

    pub(super) fn set_levels(&mut self, levels: Vec<(Oid, i64)>) {
        self.levels = levels;
    }

    /// Takes in an uptime.
    ///
    /// # Errors
    /// [`Doubt`] when it does not go on from the one before.
    pub(super) fn see_uptime(
        &mut self,
        layout: &Layout,
        values: &[(Oid, Value)],
        now: Timestamp,
    ) -> Result<(), Doubt> {
        let uptime = [oids::SYS_UP_TIME, &[0]].concat();
        let ticks = |value: &Value| value.as_i64().and_then(|ticks| u32::try_from(ticks).ok());
        let told = values.iter().find(|(oid, _)| oid.arcs() == uptime).and_then(|(_, value)| ticks(value));
        let Some(told) = told else { return Ok(()) };
        let learned = || Some((ticks(&layout.entry(&uptime)?.value)?, layout.learned));
        if let Some((before, at)) = self.uptime.or_else(learned) {
            uptime_goes_on(before, at, told, now)?;
        }
        self.uptime = Some((told, now));
        Ok(())
    }
}
