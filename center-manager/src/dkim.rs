//! DKIM signatures of what the center sends (RFC 6376, with the algorithms of RFC 8301 and RFC 8463).
//!
//! Appliances do not look at them: who may say what follows from the keys inside the envelope. They are for the mail systems on the
//! way, which trust signed mail more. Off unless `[[dkim]]` stands in the settings; with two entries a mail has two signatures, one
//! of each kind, as RFC 8463 section 3 advises while few verify Ed25519.

mod canonical;
mod key;

pub use key::{Algorithm, DkimKey, DkimKeyError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is signed, where it stands in a mail (RFC 6376 section 5.4.1).
const SIGNED: [&str; 8] =
    ["from", "to", "subject", "date", "message-id", "auto-submitted", "mime-version", "content-type"];

/// Letters of base64 in one line of the signature.
const LINE: usize = 72;

/// One entry `[[dkim]]` of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkimSettings {
    /// The signing domain (`d=`): that of the center's address, or one above it.
    pub domain: String,
    /// Name of the key in the DNS: `SELECTOR._domainkey.DOMAIN`.
    pub selector: String,
    /// The private key, PEM, mode 0600; relative to the home. `keys/dkim-SELECTOR.pem` if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

impl DkimSettings {
    /// What is wrong with the entry of a center with this address; `None` where nothing is.
    #[must_use]
    pub fn fault(&self, address: &str) -> Option<String> {
        let names = |text: &str| {
            !text.is_empty()
                && text.len() <= 253
                && text.split('.').all(|label| {
                    !label.is_empty()
                        && label.len() <= 63
                        && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
                })
        };
        let sender = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        let covers = sender.eq_ignore_ascii_case(&self.domain)
            || sender
                .len()
                .checked_sub(self.domain.len() + 1)
                .and_then(|at| sender.get(at..))
                .is_some_and(|end| end.eq_ignore_ascii_case(&format!(".{}", self.domain)));
        if !names(&self.domain) {
            Some("a domain in ASCII (xn-- for others)".to_owned())
        } else if !names(&self.selector) {
            Some("a selector of letters, digits, hyphens and dots".to_owned())
        } else if !covers {
            Some(format!("the domain of the center's address ({sender}), or one above it"))
        } else {
            None
        }
    }
}

/// One key with the names under which it stands in the DNS.
#[derive(Debug)]
pub struct Signer {
    domain: String,
    selector: String,
    key: DkimKey,
}

impl Signer {
    /// Puts both together.
    #[must_use]
    pub fn new(settings: &DkimSettings, key: DkimKey) -> Self {
        Self { domain: settings.domain.clone(), selector: settings.selector.clone(), key }
    }

    /// The name of its DNS record.
    #[must_use]
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// The text of its DNS record (RFC 6376 section 3.6.1).
    #[must_use]
    pub fn record(&self) -> String {
        self.key.record()
    }

    /// The field `DKIM-Signature` for a mail, with its line end. Canonicalisation is relaxed for both header and body: what
    /// servers do to white space breaks nothing. `From` is signed once more than it is there, so that none can be added.
    #[must_use]
    fn field(&self, mail: &canonical::Mail<'_>, now: Timestamp) -> Vec<u8> {
        let mut names: Vec<&str> = SIGNED.into_iter().filter(|name| mail.field(name).is_some()).collect();
        names.insert(0, "from");
        let bare = format!(
            "DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed;\r\n\td={domain}; s={selector}; t={time};\r\n\t\
             h={names};\r\n\tbh={hash};\r\n\tb=",
            algorithm = self.key.algorithm().tag(),
            domain = self.domain,
            selector = self.selector,
            time = now.as_second(),
            names = names.join(":"),
            hash = STANDARD.encode(mail.body_hash()),
        );
        let signature = STANDARD.encode(self.key.sign(&mail.signed_octets(&names, bare.as_bytes())));
        let mut field = bare.into_bytes();
        for (nth, line) in signature.as_bytes().chunks(LINE).enumerate() {
            if nth > 0 {
                field.extend(b"\r\n\t ");
            }
            field.extend(line);
        }
        field.extend(b"\r\n");
        field
    }
}

/// The mail with the signatures of all keys in front. `raw` has CRLF as line ends. One that is no mail stays as it is.
#[must_use]
pub fn sign(raw: &[u8], signers: &[Signer], now: Timestamp) -> Vec<u8> {
    let Some(mail) = canonical::Mail::read(raw) else { return raw.to_vec() };
    let mut signed = Vec::with_capacity(raw.len() + signers.len() * 1024);
    for signer in signers {
        signed.extend(signer.field(&mail, now));
    }
    signed.extend(raw);
    signed
}

#[cfg(test)]
mod tests;
