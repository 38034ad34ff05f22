//! The fewest mails that a rollout can take over a lossy post office.
//!
//! A mail arrives whole with chance `p`. Who sends a message until it arrives sends it `1/p` times on average; no way of asking
//! and answering does with fewer. Who needs the receipt as well sends `1/p²` times, since both ways may lose, and each report that
//! arrives is receipted once, which again makes `1/p` receipts.
//!
//! Needed of the center is the order; of an appliance the word that its trial has begun (which is the mail that the new release
//! has to hand in), the result and the version, which it tells by itself as the package wants it. Only who runs the target
//! already has to be asked. Where the result says why nothing was installed, nobody needs to know more. To an appliance that never answers the order has to go so often that one that is there would
//! have got it with 99.9 %.

use super::nature::{Installer, Nature, Rest};

/// Chance left that an appliance that is there has got none of the orders.
const DOUBT: f64 = 0.001;

/// Mails to and from one appliance, on average.
pub(super) fn mails(nature: &Nature, p: f64) -> f64 {
    let (command, report) = (1.0 / p, 1.0 / (p * p) + 1.0 / p);
    let (commands, reports) = match (nature.rest, nature.wears, nature.installer) {
        (Rest::Always, ..) => return (DOUBT.ln() / (1.0 - p).ln()).ceil(),
        (_, None, _) => (2.0, 2.0),
        (_, _, Installer::Works) => (1.0, 3.0),
        (_, _, Installer::TakesBack) => (1.0, 2.0),
        (_, _, Installer::Refuses | Installer::Fails) => (1.0, 1.0),
    };
    commands * command + reports * report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(installer: Installer, rest: Rest, wears: Option<usize>) -> f64 {
        mails(&Nature { installer, rest, wears }, 0.8)
    }

    #[test]
    fn over_a_perfect_post_office_every_message_and_every_receipt_is_one_mail() {
        let nature = Nature { installer: Installer::Works, rest: Rest::Never, wears: Some(0) };
        assert!((mails(&nature, 1.0 - 1e-12) - 7.0).abs() < 1e-6);
    }

    #[test]
    fn loss_makes_them_more_and_who_is_off_gets_as_many_orders_as_it_takes_to_be_sure() {
        let updated = of(Installer::Works, Rest::Never, Some(0));
        assert!((updated - (1.25 + 3.0 * (1.5625 + 1.25))).abs() < 1e-9);
        assert!(of(Installer::Works, Rest::Never, None) < updated);
        assert!(of(Installer::Fails, Rest::Never, Some(0)) < of(Installer::TakesBack, Rest::Never, Some(0)));
        // 0.2 to the fifth is 0.00032, to the fourth 0.0016.
        assert!((of(Installer::Works, Rest::Always, Some(0)) - 5.0).abs() < 1e-9);
    }
}
