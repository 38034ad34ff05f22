//! What can have happened between two readings of a meter.

/// The class of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// It forgot some counts when it was switched off.
    Wobble,
    /// It began anew behind its last digit.
    Wrap,
    /// It went back to about zero.
    Reset,
    /// Another machine stands there.
    Swap,
    /// The same machine has another network board, or another hardware address.
    Board,
    /// The machine told for the first time who it is.
    Named,
    /// The count was read from another object.
    Source,
    /// The times of two readings do not fit the machine's own clock.
    Clock,
    /// It rose faster than any machine prints.
    TooFast,
    /// It rose over a restart of a machine that tells neither serial number nor hardware address.
    Unproven,
    /// It rose while another meter of the same machine was reset.
    Doubted,
    /// It is back where it was before a reading that could not be.
    Returned,
    /// Nothing explains it.
    Invalid,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 13] = [
        Self::Wobble,
        Self::Wrap,
        Self::Reset,
        Self::Swap,
        Self::Board,
        Self::Named,
        Self::Source,
        Self::Clock,
        Self::TooFast,
        Self::Unproven,
        Self::Doubted,
        Self::Returned,
        Self::Invalid,
    ];

    /// The class as stored and sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wobble => "wobble",
            Self::Wrap => "wrap",
            Self::Reset => "reset",
            Self::Swap => "swap",
            Self::Board => "board",
            Self::Named => "named",
            Self::Source => "source",
            Self::Clock => "clock",
            Self::TooFast => "too-fast",
            Self::Unproven => "unproven",
            Self::Doubted => "doubted",
            Self::Returned => "returned",
            Self::Invalid => "invalid",
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
