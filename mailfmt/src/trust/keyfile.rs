//! Key files: a private key as text, in PKCS#8 PEM (RFC 5958), as it is or encrypted under a passphrase by PBES2 with
//! scrypt and AES-256-CBC (RFC 8018, RFC 7914). `openssl pkey` reads and writes both.

use super::keys::{KeyError, SigningKey};
use crate::crypto::Random;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use pkcs8::der::pem::PemLabel as _;
use pkcs8::pkcs5::{pbes2, scrypt};
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument};
use zeroize::{Zeroize as _, Zeroizing};

/// scrypt's cost: 16 MiB, five times over. More memory than that `openssl` refuses to take.
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 5;

/// A private key as it stands in a file, encrypted or not. Printed as `<secret>`; wiped when dropped.
pub struct KeyFile {
    document: SecretDocument,
    encrypted: bool,
}

impl KeyFile {
    /// The file of a key; with a passphrase it is encrypted.
    ///
    /// # Panics
    /// Never: the fixed parameters are ones that scrypt takes.
    #[must_use]
    pub fn new(key: &SigningKey, passphrase: Option<&str>, random: &mut impl Random) -> Self {
        let plain = key.0.to_pkcs8_der().expect("an Ed25519 key always fits PKCS#8");
        let Some(passphrase) = passphrase else { return Self { document: plain, encrypted: false } };
        let (mut salt, mut iv) = ([0; 16], [0; 16]);
        random.fill(&mut salt);
        random.fill(&mut iv);
        let cost = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P).expect("fixed and possible");
        let parameters = pbes2::Parameters::generate_scrypt_aes256cbc(cost, &salt, iv).expect("a short salt");
        let document = PrivateKeyInfoRef::try_from(plain.as_bytes())
            .and_then(|info| info.encrypt_with_params(parameters, passphrase))
            .expect("what was just written is encrypted in memory");
        Self { document, encrypted: true }
    }

    /// Reads the text of a key file; decrypts nothing yet.
    ///
    /// # Errors
    /// [`KeyError::PrivatePem`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (label, document) = SecretDocument::from_pem(text.trim()).map_err(|_| KeyError::PrivatePem)?;
        let encrypted = label == EncryptedPrivateKeyInfoRef::PEM_LABEL;
        if encrypted || label == PrivateKeyInfoRef::PEM_LABEL {
            Ok(Self { document, encrypted })
        } else {
            Err(KeyError::PrivatePem)
        }
    }

    /// Whether a passphrase is needed.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// The key; the passphrase of a file that is not encrypted does not matter.
    ///
    /// # Errors
    /// [`KeyError::PassphraseNeeded`], [`KeyError::Passphrase`] or [`KeyError::PrivatePem`].
    pub fn open(&self, passphrase: Option<&str>) -> Result<SigningKey, KeyError> {
        let read = |der: &[u8]| {
            ed25519_dalek::SigningKey::from_pkcs8_der(der).map(SigningKey).map_err(|_| KeyError::PrivatePem)
        };
        if !self.encrypted {
            return read(self.document.as_bytes());
        }
        let passphrase = passphrase.ok_or(KeyError::PassphraseNeeded)?;
        let info = EncryptedPrivateKeyInfoRef::try_from(self.document.as_bytes())
            .map_err(|_| KeyError::PrivatePem)?;
        read(info.decrypt(passphrase).map_err(|_| KeyError::Passphrase)?.as_bytes())
    }

    /// The text, for a file that only its owner can read.
    ///
    /// # Panics
    /// Never: a document of some hundred octets always fits PEM.
    #[must_use]
    pub fn expose_pem(&self) -> Zeroizing<String> {
        let label =
            if self.encrypted { EncryptedPrivateKeyInfoRef::PEM_LABEL } else { PrivateKeyInfoRef::PEM_LABEL };
        let mut text = self.document.to_pem(label, LineEnding::LF).expect("a short document");
        let exposed = Zeroizing::new(text.as_str().to_owned());
        text.zeroize();
        exposed
    }
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyFile").field("encrypted", &self.encrypted).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(7))
    }

    fn random(buffer: &mut [u8]) {
        buffer.fill(9);
    }

    #[test]
    fn a_key_file_without_passphrase_comes_back() {
        let text = KeyFile::new(&key(), None, &mut random).expose_pem();
        assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        let file = KeyFile::parse(&text).unwrap();
        assert!(!file.is_encrypted());
        assert_eq!(file.open(None).unwrap().public(), key().public());
    }

    #[test]
    fn a_key_file_opens_only_with_its_passphrase() {
        let text = KeyFile::new(&key(), Some("a long sentence"), &mut random).expose_pem();
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        let file = KeyFile::parse(&text).unwrap();
        assert!(file.is_encrypted());
        assert!(matches!(file.open(None), Err(KeyError::PassphraseNeeded)));
        assert!(matches!(file.open(Some("another sentence")), Err(KeyError::Passphrase)));
        assert_eq!(file.open(Some("a long sentence")).unwrap().public(), key().public());
    }

    #[test]
    fn a_key_file_that_openssl_encrypted_is_read() {
        // openssl genpkey -algorithm ed25519 | openssl pkcs8 -topk8 -scrypt -passout pass:sesame
        let text = include_str!("../../../testdata/keys/openssl-scrypt.pem");
        let public = include_str!("../../../testdata/keys/openssl-scrypt.pub");
        let key = KeyFile::parse(text).unwrap().open(Some("sesame")).unwrap();
        assert_eq!(key.public().to_string(), public.trim());
    }

    #[test]
    fn what_is_no_key_file_is_refused() {
        for text in ["", "secret", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(KeyFile::parse(text), Err(KeyError::PrivatePem)), "{text:?}");
        }
        assert!(!format!("{:?}", KeyFile::new(&key(), None, &mut random)).contains("07"));
    }
}
