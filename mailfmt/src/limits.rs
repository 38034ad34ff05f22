//! Every bound that a reader of outside data enforces, with unit and reason.

/// What a reader accepts at most. A test can set one to 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one mail as fetched. 50 MB: the largest that common providers deliver, base64 included.
    pub mail_octets: usize,
    /// MIME parts looked at in one mail; our own have two, gateways add a few.
    pub mail_parts: usize,
    /// Key blocks in one envelope: one mail for a fleet of ten thousand.
    pub recipients: usize,
    /// Octets of a payload after inflating. A counter report of 1,000 devices is about 1 MB.
    pub payload_octets: usize,
    /// Parts that one package may be cut into, parity parts included: the order that names them all is about 50 kB.
    pub parts: usize,
    /// Octets of a package file before inflating its content.
    pub package_octets: usize,
    /// Octets of a package's manifest.
    pub manifest_octets: usize,
    /// Octets of all files of a package together, unpacked.
    pub unpacked_octets: u64,
    /// Modules that one software version may name.
    pub modules: usize,
    /// Octets of the install script.
    pub script_octets: u64,
    /// Octets of a version report's text.
    pub version_report_octets: usize,
    /// How much greater than the one before a release counter may be. Whoever steals a release key cannot use all numbers up.
    pub release_counter_step: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            mail_octets: 50_000_000,
            mail_parts: 64,
            recipients: 10_000,
            payload_octets: 8 << 20,
            parts: 1_024,
            package_octets: 64 << 20,
            manifest_octets: 1 << 20,
            unpacked_octets: 256 << 20,
            modules: 512,
            script_octets: 1 << 20,
            version_report_octets: 64 << 10,
            release_counter_step: 1_000_000,
        }
    }
}
