//! Findings on their way into an entry.

use super::class::Class;
use super::judge::Found;
use super::meter::Meter;
use mailfmt::message::ledger::{LedgerFinding, LedgerPoint};

/// A finding whose entries have no numbers yet.
pub(super) struct Finding {
    /// The reading before.
    from_reading: u64,
    finding: LedgerFinding,
}

impl Finding {
    /// Between the last reading of a meter and this one.
    pub(super) fn new(from: Option<&Meter>, to: &Meter, sure: u64, found: Found) -> Self {
        let from = from.unwrap_or(to);
        Self::between(from.point(), from.reading, to, sure, found)
    }

    /// The same for a step as it was judged: a meter that is back where it was goes on from there.
    pub(super) fn of_step(from: Option<&Meter>, to: &Meter, sure: u64, found: Found) -> Self {
        let believed =
            from.and_then(|from| from.believed.as_ref()).filter(|_| found.class == Class::Returned);
        match believed {
            Some(believed) => Self::between(believed.point.clone(), believed.reading, to, sure, found),
            None => Self::new(from, to, sure, found),
        }
    }

    fn between(from: LedgerPoint, from_reading: u64, to: &Meter, sure: u64, found: Found) -> Self {
        Self {
            from_reading,
            finding: LedgerFinding {
                meter: to.number,
                class: found.class.as_str().to_owned(),
                review: found.review,
                from,
                to: to.point(),
                sure,
                proposed: found.proposed,
                words: found.words,
            },
        }
    }

    /// With the numbers of its two entries.
    pub(super) fn written(
        self,
        before_reading: Option<u64>,
        before_entry: Option<u64>,
        entry: u64,
    ) -> LedgerFinding {
        let mut finding = self.finding;
        if before_reading == Some(self.from_reading) && finding.from.entry == 0 {
            finding.from.entry = before_entry.unwrap_or_default();
        }
        if finding.from == finding.to {
            finding.from.entry = entry;
        }
        finding.to = LedgerPoint { entry, ..finding.to };
        finding
    }
}
