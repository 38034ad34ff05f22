//! What the levels of a supply say over time: when it was replaced, which way a waste box counts, when it will be empty.
//!
//! Pure: readings and times come in, a [`SupplyLife`] per supply and a [`PageUsage`] per device are remembered.
//! Nothing is concluded from a level that is no number.

mod direction;
mod forecast;
mod life;
mod memory;
mod usage;

pub use direction::Direction;
pub use forecast::{Forecast, forecast};
pub use life::{Replacement, Sample, SupplyLife};
pub use memory::{DeviceSupplies, Outlook};
pub use usage::PageUsage;

/// Seconds of a day.
const DAY_SECS: f64 = 86_400.0;

/// Days since 1970, with their fraction.
#[expect(clippy::cast_precision_loss, reason = "seconds far below 2^52")]
fn days_of(at: jiff::Timestamp) -> f64 {
    at.as_second() as f64 / DAY_SECS
}
