//! DKIM keys: files, DNS records, signatures. RSA with at least 2048 bits (RFC 8301) and Ed25519 (RFC 8463), both by ring.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Algorithm {
    /// RSA: what every mail system verifies.
    Rsa,
    /// Ed25519: short keys and signatures, not verified everywhere yet. Best beside an RSA key.
    Ed25519,
}

impl Algorithm {
    /// The word in `a=`.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::Rsa => "rsa-sha256",
            Self::Ed25519 => "ed25519-sha256",
        }
    }

    /// The word in `k=` of the DNS record.
    fn record_tag(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// A key file that cannot be used. The texts never hold any of the key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DkimKeyError {
    /// It cannot be read.
    #[error("cannot read the DKIM key {}; `center-manager dkim keygen` makes one", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Other users of the machine may read it.
    #[error("the DKIM key {} has mode {mode:o}: others may read it; run `chmod 600 {}`", path.display(), path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a private key in PEM (PKCS#8), or not of a kind that DKIM has: RSA of 2048 to 4096 bits, or Ed25519.
    #[error("{} is no DKIM key: a private RSA key of 2048 to 4096 bits or an Ed25519 key is needed, in PEM (PKCS#8)", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
    },
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

/// A private key. Printed as `<secret>`.
pub struct DkimKey(Pair);

impl fmt::Debug for DkimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl DkimKey {
    /// Reads a key file that only its owner may read.
    ///
    /// # Errors
    /// [`DkimKeyError`].
    pub fn load(path: &Path) -> Result<Self, DkimKeyError> {
        let read_error = |source| DkimKeyError::Read { path: path.into(), source };
        let mode = std::fs::metadata(path).map_err(read_error)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(DkimKeyError::TooOpen { path: path.into(), mode });
        }
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(read_error)?);
        Self::parse(&text).ok_or_else(|| DkimKeyError::Shape { path: path.into() })
    }

    /// A private key in PEM: PKCS#8, as `openssl genpkey` and [`Self::new_ed25519`] write it. `None` where it is none.
    #[must_use]
    pub fn parse(pem: &str) -> Option<Self> {
        let (_, rest) = pem.split_once("-----BEGIN PRIVATE KEY-----")?;
        let (base64, _) = rest.split_once("-----END PRIVATE KEY-----")?;
        let base64: Zeroizing<String> = Zeroizing::new(base64.split_ascii_whitespace().collect());
        let der = Zeroizing::new(STANDARD.decode(base64.as_bytes()).ok()?);
        // RFC 8301 section 3.2: signers use at least 2048 bits; ring holds that line and takes up to 4096.
        if let Ok(pair) = RsaKeyPair::from_pkcs8(&der) {
            return (256..=512)
                .contains(&pair.public().modulus_len())
                .then(|| Self(Pair::Rsa(Box::new(pair))));
        }
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok().map(|pair| Self(Pair::Ed25519(pair)))
    }

    /// A new Ed25519 key, as the text of its file; `None` where the system has no random numbers.
    #[must_use]
    pub fn new_ed25519() -> Option<Zeroizing<String>> {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).ok()?;
        let base64 = Zeroizing::new(STANDARD.encode(der.as_ref()));
        let mut pem = Zeroizing::new(String::from("-----BEGIN PRIVATE KEY-----\n"));
        for line in base64.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Some(pem)
    }

    /// What it signs by.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match &self.0 {
            Pair::Rsa(_) => Algorithm::Rsa,
            Pair::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// The text of the DNS record that tells its public half.
    #[must_use]
    pub fn record(&self) -> String {
        let public = match &self.0 {
            Pair::Rsa(pair) => public_key_info(pair.public_key().as_ref()),
            // RFC 8463 section 4.2: the bare key.
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        };
        format!("v=DKIM1; k={}; p={}", self.algorithm().record_tag(), STANDARD.encode(public))
    }

    /// The signature of these octets.
    pub(super) fn sign(&self, octets: &[u8]) -> Vec<u8> {
        match &self.0 {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), octets, &mut signature)
                    .expect("the signature has the length of the modulus");
                signature
            }
            // RFC 8463 section 3: what is signed is the hash.
            Pair::Ed25519(pair) => {
                let hash = ring::digest::digest(&ring::digest::SHA256, octets);
                pair.sign(hash.as_ref()).as_ref().to_vec()
            }
        }
    }
}

/// The RSA key as verifiers read it (`SubjectPublicKeyInfo`, RFC 5280 section 4.1; RFC 6376 erratum 3017).
fn public_key_info(key: &[u8]) -> Vec<u8> {
    /// `SEQUENCE { OID rsaEncryption, NULL }`.
    const RSA: [u8; 15] =
        [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let bits = [&[0], key].concat();
    let inner = [RSA.as_slice(), &tagged(0x03, &bits)].concat();
    tagged(0x30, &inner)
}

/// DER: tag, length, content.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = length.iter().position(|octet| *octet != 0).unwrap_or(length.len() - 1);
    let length = length.get(significant..).unwrap_or_default();
    let mut der = vec![tag];
    match length {
        [short] if *short < 0x80 => der.push(*short),
        long => {
            der.push(0x80 | u8::try_from(long.len()).unwrap_or(8));
            der.extend(long);
        }
    }
    der.extend(content);
    der
}
