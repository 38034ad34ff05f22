//! Randomness, passed in by whoever calls.

/// A source of cryptographic random octets; callers pass the system's.
pub trait Random {
    /// Fills `buffer`.
    fn fill(&mut self, buffer: &mut [u8]);
}

impl<F: FnMut(&mut [u8])> Random for F {
    fn fill(&mut self, buffer: &mut [u8]) {
        self(buffer);
    }
}
