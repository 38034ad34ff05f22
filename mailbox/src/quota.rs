//! How full a mailbox may get and how full it is, as its server tells (IMAP QUOTA: RFC 9208, RFC 2087 before it). Pure.
//!
//! A mailbox that is full takes no mail: its owner learns of that from nobody, since whatever would tell comes by mail.

use jiff::Timestamp;
use std::fmt;

/// From this on a mailbox is called nearly full, in percent.
pub const NEARLY_FULL_PERCENT: u64 = 80;

/// Once it was, it is until it has fallen below this, so that one mail more or less makes no alarm.
pub const ROOMY_PERCENT: u64 = 75;

/// The word for the alarm of a mailbox of ours that is nearly full.
pub const NEARLY_FULL: &str = "mailbox-nearly-full";

/// What to do about it.
pub const ADVICE: &str = "when it is full, nothing comes any more: delete what does not belong there, or have its provider \
                          give it more room";

/// One limit of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Amount {
    /// What is used, in octets or mails. May be more than the limit.
    pub used: u64,
    /// What may be used; never 0.
    pub limit: u64,
}

impl Amount {
    /// An amount that says something: a limit of 0 is the word of some servers for none.
    #[must_use]
    pub fn new(used: u64, limit: u64) -> Option<Self> {
        (limit > 0).then_some(Self { used, limit })
    }

    /// Percent used, whole, rounded down; 999 at most.
    #[must_use]
    pub fn percent(self) -> u64 {
        let percent = u128::from(self.used).saturating_mul(100) / u128::from(self.limit.max(1));
        u64::try_from(percent.min(999)).unwrap_or(999)
    }

    fn fuller(self, other: Option<Self>) -> Self {
        other.filter(|other| other.percent() > self.percent()).unwrap_or(self)
    }
}

/// The limits of one mailbox; none is known where the server has no quota, or tells of none (POP3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Quota {
    /// Of its octets.
    pub octets: Option<Amount>,
    /// Of the number of its mails.
    pub mails: Option<Amount>,
}

impl Quota {
    /// Percent used of the limit that will be reached first.
    #[must_use]
    pub fn percent(self) -> Option<u64> {
        self.octets.into_iter().chain(self.mails).map(Amount::percent).max()
    }

    /// Whether to warn of it; `warned` where that was done before.
    #[must_use]
    pub fn is_nearly_full(self, warned: bool) -> bool {
        let from = if warned { ROOMY_PERCENT } else { NEARLY_FULL_PERCENT };
        self.percent().is_some_and(|percent| percent >= from)
    }

    /// What QUOTA responses tell of one mailbox (RFC 9208 section 4.2.1). What makes no sense in them says nothing.
    #[must_use]
    pub fn read<'a>(responses: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let limits = responses.into_iter().flat_map(read_response);
        limits.fold(Self::default(), |quota, (resource, amount)| quota.with(resource, amount))
    }

    /// Takes a further limit of the same mailbox into account: of two of one kind the fuller one counts.
    fn with(self, resource: Resource, amount: Amount) -> Self {
        match resource {
            Resource::Octets => Self { octets: Some(amount.fuller(self.octets)), ..self },
            Resource::Mails => Self { mails: Some(amount.fuller(self.mails)), ..self },
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(percent) = self.percent() else { return f.write_str("no limit told") };
        write!(f, "{percent} % full (")?;
        let mut between = "";
        if let Some(Amount { used, limit }) = self.octets {
            // Tenths of a megabyte are enough for a person.
            let tenths = |octets: u64| (octets / 1_000_000, octets % 1_000_000 / 100_000);
            let ((used, used_tenth), (limit, limit_tenth)) = (tenths(used), tenths(limit));
            write!(f, "{used}.{used_tenth} of {limit}.{limit_tenth} MB")?;
            between = ", ";
        }
        if let Some(Amount { used, limit }) = self.mails {
            write!(f, "{between}{used} of {limit} mails")?;
        }
        f.write_str(")")
    }
}

/// What is on record of how full a mailbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Fullness {
    /// What its server told.
    #[serde(flatten)]
    pub quota: Quota,
    /// Whether it is warned of.
    pub nearly_full: bool,
    /// When its server told.
    pub at: Timestamp,
}

impl Fullness {
    /// In words, `at` being [`Self::at`] as the reader wants times; `None` where there is no limit.
    #[must_use]
    pub fn words(&self, at: &str) -> Option<String> {
        self.quota.percent()?;
        let warning = if self.nearly_full { format!(": NEARLY FULL; {ADVICE}") } else { String::new() };
        Some(format!("{} at {at}{warning}", self.quota))
    }
}

/// What a limit is of (RFC 9208 section 5.1); others are not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource {
    /// STORAGE, told in units of 1,024 octets.
    Octets,
    /// MESSAGE.
    Mails,
}

/// Reads the limits of one QUOTA response, or of the line that goes on behind its literal (RFC 9208 section 4.2.1): triples
/// of name, usage and limit in parentheses. What makes no sense says nothing; a number beyond all bounds counts as the
/// largest.
fn read_response(line: &[u8]) -> Vec<(Resource, Amount)> {
    let inside = || {
        let open = line.iter().rposition(|octet| *octet == b'(')?;
        let rest = line.get(open.checked_add(1)?..)?;
        let close = rest.iter().position(|octet| *octet == b')')?;
        std::str::from_utf8(rest.get(..close)?).ok()
    };
    let words: Vec<&str> = inside().unwrap_or_default().split_ascii_whitespace().collect();
    let limit_of = |triple: &[&str]| {
        let [name, used, limit] = triple else { return None };
        let (used, limit) = (number(used)?, number(limit)?);
        if name.eq_ignore_ascii_case("STORAGE") {
            let octets = |units: u64| units.saturating_mul(1024);
            Some((Resource::Octets, Amount::new(octets(used), octets(limit))?))
        } else if name.eq_ignore_ascii_case("MESSAGE") {
            Some((Resource::Mails, Amount::new(used, limit)?))
        } else {
            None
        }
    };
    words.chunks(3).filter_map(limit_of).collect()
}

fn number(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(line: &str) -> Quota {
        Quota::read([line.as_bytes()])
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let quota = read("* QUOTA \"\" (STORAGE 10 512)");
        assert_eq!(quota.octets, Amount::new(10_240, 524_288));
        let quota = read("* QUOTA \"#user/alice (old)\" (STORAGE 54 111 MESSAGE 42 1000)");
        assert_eq!((quota.octets, quota.mails), (Amount::new(55_296, 113_664), Amount::new(42, 1000)));
        assert_eq!(quota.percent(), Some(48));
        assert_eq!(quota.to_string(), "48 % full (0.0 of 0.1 MB, 42 of 1000 mails)");
    }

    #[test]
    fn nonsense_says_nothing_and_huge_numbers_stay_in_bounds() {
        for line in [
            "* QUOTA",
            "* QUOTA \"\" ()",
            "* QUOTA \"\" (STORAGE 1)",
            "* QUOTA \"\" (STORAGE -1 100)",
            "* QUOTA \"\" (STORAGE 1 0)",
            "* QUOTA \"\" (STORAGE x y)",
            "* QUOTA \"\" (MAILBOX 1 2)",
            "* QUOTA \"\" (STORAGE 90 100",
            ") 1 2 (",
        ] {
            assert_eq!(read(line), Quota::default(), "{line}");
        }
        let huge = read("* QUOTA \"\" (STORAGE 99999999999999999999999999 1)");
        assert_eq!(huge.percent(), Some(999));
        assert_eq!(read("* QUOTA x (MESSAGE 5 99999999999999999999999999)").percent(), Some(0));
    }

    #[test]
    fn the_words_warn_and_say_nothing_where_there_is_no_limit() {
        let fullness = |quota, nearly_full| Fullness { quota, nearly_full, at: Timestamp::UNIX_EPOCH };
        let full = Quota { octets: Amount::new(90_000_000, 100_000_000), mails: None };
        let words = fullness(full, true).words("noon").unwrap();
        assert!(words.starts_with("90 % full (90.0 of 100.0 MB) at noon: NEARLY FULL"), "{words}");
        assert_eq!(fullness(Quota::default(), false).words("noon"), None);
    }

    #[test]
    fn of_two_limits_the_fuller_one_counts() {
        let quota = read("* QUOTA a (STORAGE 1 100 MESSAGE 1 10 storage 90 100 STORAGE 50 100)");
        assert_eq!((quota.percent(), quota.mails.map(Amount::percent)), (Some(90), Some(10)));
    }

    #[test]
    fn a_warning_begins_at_80_percent_and_ends_below_75() {
        let full = |used| Quota { octets: Amount::new(used, 100), mails: None };
        let judged = |used| (full(used).is_nearly_full(false), full(used).is_nearly_full(true));
        assert_eq!(judged(79), (false, true));
        assert_eq!(judged(80), (true, true));
        assert_eq!(judged(75), (false, true));
        assert_eq!(judged(74), (false, false));
        assert!(!Quota::default().is_nearly_full(true), "what no server tells is no warning");
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_is_survived(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            for (_, amount) in read_response(&line) {
                prop_assert!(amount.limit > 0 && amount.percent() <= 999);
            }
        }
    }
}
