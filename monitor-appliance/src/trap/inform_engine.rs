//! Answers SNMPv3 informs. Of an inform the receiver is the authority (RFC 3414 section 1.5.1): the device asks for this engine's id
//! and clock first, and signs with keys made for it. Pure but for the salts of the encryption.

use super::notice::{Happened, acknowledge, happened};
use crate::snmp::{ReadError, V3User};
use async_snmp::ber::Decoder;
use async_snmp::message::{MsgFlags, MsgGlobalData, RawMsgData, RawV3Message, ScopedPdu, V3Message};
use async_snmp::v3::auth::{authenticate_message, verify_message};
use async_snmp::v3::{PrivKey, SaltCounter, UsmSecurityParams, in_authoritative_time_window, report_oids};
use async_snmp::{
    DecodeConfig, LocalizedKey, Oid, PduType, ResponsePdu, SecurityLevel, UDP_RECEIVE_LIMITS, Value, VarBind,
};

/// A user whose informs are answered, with keys for this engine.
pub struct InformUser {
    name: Vec<u8>,
    auth: Option<LocalizedKey>,
    privacy: Option<PrivKey>,
}

impl InformUser {
    /// Makes the keys of a user for the engine `id`. Takes some milliseconds (RFC 3414 appendix A.2).
    ///
    /// # Errors
    /// [`ReadError::BadCredential`].
    pub fn new(user: &V3User, id: &[u8]) -> Result<Self, ReadError> {
        let name = user.user.as_bytes().to_vec();
        let Some(keys) = user.master_keys()? else { return Ok(Self { name, auth: None, privacy: None }) };
        let (auth, privacy) = keys.localize(id).map_err(|error| ReadError::BadCredential {
            user: user.user.clone(),
            reason: error.to_string(),
        })?;
        Ok(Self { name, auth: Some(auth), privacy })
    }

    fn level(&self) -> SecurityLevel {
        match (&self.auth, &self.privacy) {
            (None, _) => SecurityLevel::NoAuthNoPriv,
            (Some(_), None) => SecurityLevel::AuthNoPriv,
            (Some(_), Some(_)) => SecurityLevel::AuthPriv,
        }
    }
}

impl std::fmt::Debug for InformUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InformUser")
            .field("name", &String::from_utf8_lossy(&self.name))
            .finish_non_exhaustive()
    }
}

/// What an SNMPv3 message that wants an answer turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inform {
    /// Not to be answered.
    Dropped,
    /// To be answered with this report: the question for the engine, or why the message was not taken.
    Report(Vec<u8>),
    /// An inform that passed every check.
    Informed {
        /// What it claims.
        happened: Happened,
        /// The answer.
        acknowledgement: Vec<u8>,
    },
}

/// This appliance's SNMPv3 engine.
pub struct InformEngine {
    id: Vec<u8>,
    boots: u32,
    users: Vec<InformUser>,
    salt: SaltCounter,
    reports: u32,
}

/// What the answer's envelope needs of the message that is answered.
struct Asked {
    msg_id: i32,
    reportable: bool,
    user: Vec<u8>,
}

impl InformEngine {
    /// The engine `id` (RFC 3411, `SnmpEngineID`: 5 to 32 octets), started for the `boots`th time. `None` where no salts can be
    /// made.
    #[must_use]
    pub fn new(id: &[u8], boots: u32, users: Vec<InformUser>) -> Option<Self> {
        Some(Self { id: id.to_vec(), boots, users, salt: SaltCounter::new().ok()?, reports: 0 })
    }

    /// Takes `datagram` out of its envelope, `seconds` after this engine started. The order of the checks is that of RFC 3414
    /// section 3.2.
    pub fn take(&mut self, datagram: &[u8], seconds: u32) -> Inform {
        let Ok(outer) = RawV3Message::decode(datagram.to_vec().into(), DecodeConfig::default()) else {
            return Inform::Dropped;
        };
        let outer = outer.value;
        let usm = UsmSecurityParams::decode(outer.security_params().clone(), DecodeConfig::default());
        let Ok(usm) = usm else { return Inform::Dropped };
        let usm = usm.value;
        let asked = Asked {
            msg_id: outer.msg_id(),
            reportable: outer.global_data().msg_flags().reportable,
            user: usm.username().to_vec(),
        };
        if *usm.engine_id() != self.id {
            return self.report(&asked, report_oids::unknown_engine_ids(), None, seconds);
        }
        let Some(user) = self.users.iter().find(|user| *usm.username() == user.name) else {
            return self.report(&asked, report_oids::unknown_user_names(), None, seconds);
        };
        if outer.security_level() != user.level() {
            return self.report(&asked, report_oids::unsupported_sec_levels(), None, seconds);
        }
        if let Some(key) = &user.auth {
            let genuine = UsmSecurityParams::find_auth_params_offset(datagram)
                .is_some_and(|(at, length)| verify_message(key, datagram, at, length).unwrap_or(false));
            if !genuine {
                return self.report(&asked, report_oids::wrong_digests(), None, seconds);
            }
            if !in_authoritative_time_window(self.boots, seconds, usm.engine_boots(), usm.engine_time()) {
                let signer = self.place(&asked.user);
                return self.report(&asked, report_oids::not_in_time_windows(), signer, seconds);
            }
        }
        let scoped = match (outer.msg_data(), &user.privacy) {
            (RawMsgData::Plaintext { data, .. }, _) => data.clone(),
            (RawMsgData::Encrypted(data), Some(key)) => {
                match key.decrypt(data, usm.engine_boots(), usm.engine_time(), usm.priv_params()) {
                    Ok(plain) => plain,
                    Err(_) => {
                        return self.report(&asked, report_oids::decryption_errors(), None, seconds);
                    }
                }
            }
            (RawMsgData::Encrypted(_), None) => return Inform::Dropped,
        };
        let Ok(scoped) = ScopedPdu::decode(&mut Decoder::new(scoped)) else { return Inform::Dropped };
        self.informed(&asked, scoped, seconds)
    }

    /// The question for the engine is a request, too, and comes with this engine's id only from who knows it already.
    fn informed(&self, asked: &Asked, scoped: ScopedPdu, seconds: u32) -> Inform {
        let ScopedPdu { context_name, pdu, .. } = scoped;
        let (PduType::InformRequest, Ok(happened)) = (pdu.pdu_type(), happened(&pdu)) else {
            return Inform::Dropped;
        };
        let answer = acknowledge(pdu).and_then(|answer| {
            let scoped = ScopedPdu::new(self.id.clone(), context_name, answer);
            self.envelope(asked, scoped, self.place(&asked.user), seconds)
        });
        answer.map_or(Inform::Dropped, |acknowledgement| Inform::Informed { happened, acknowledgement })
    }

    fn place(&self, user: &[u8]) -> Option<usize> {
        self.users.iter().position(|known| known.name == user)
    }

    fn report(&mut self, asked: &Asked, counter: Oid, signer: Option<usize>, seconds: u32) -> Inform {
        if !asked.reportable {
            return Inform::Dropped;
        }
        self.reports = self.reports.wrapping_add(1);
        let told = vec![VarBind::new(counter, Value::Counter32(self.reports))];
        let sealed = ResponsePdu::report(0, told).ok().and_then(|report| {
            let scoped = ScopedPdu::new(self.id.clone(), Vec::new(), report);
            self.envelope(asked, scoped, signer, seconds)
        });
        sealed.map_or(Inform::Dropped, Inform::Report)
    }

    /// Puts an answer into its envelope, signed and encrypted as the user at `signer` is set to; a report is at most signed.
    fn envelope(
        &self,
        asked: &Asked,
        scoped: ScopedPdu,
        signer: Option<usize>,
        seconds: u32,
    ) -> Option<Vec<u8>> {
        let user = signer.and_then(|place| self.users.get(place));
        let is_report = scoped.pdu.pdu_type() == PduType::Report;
        let auth = user.and_then(|user| user.auth.as_ref());
        let privacy = user.filter(|_| !is_report).and_then(|user| user.privacy.as_ref());
        let level = match (auth, privacy) {
            (None, _) => SecurityLevel::NoAuthNoPriv,
            (Some(_), None) => SecurityLevel::AuthNoPriv,
            (Some(_), Some(_)) => SecurityLevel::AuthPriv,
        };
        let flags = MsgFlags::new(level, false);
        let header = MsgGlobalData::new(asked.msg_id, UDP_RECEIVE_LIMITS.advertised(), flags).ok()?;
        let mut usm =
            UsmSecurityParams::new(self.id.clone(), self.boots, seconds, asked.user.clone()).ok()?;
        if let Some(key) = auth {
            usm = usm.with_auth_placeholder(key.mac_len()).ok()?;
        }
        let message = match privacy {
            Some(key) => {
                let plain = scoped.encode_to_bytes().ok()?;
                let (secret, salt) = key.encrypt_aes(&plain, self.boots, seconds, &self.salt).ok()?;
                let usm = usm.with_priv_params(salt).ok()?.encode().ok()?;
                V3Message::new_with_opaque_encrypted_scoped_pdu(header, usm, secret).ok()?
            }
            None => V3Message::new(header, usm.encode().ok()?, scoped).ok()?,
        };
        let mut octets = message.encode().ok()?.to_vec();
        if let Some(key) = auth {
            let (at, length) = UsmSecurityParams::find_auth_params_offset(&octets)?;
            authenticate_message(key, &mut octets, at, length).ok()?;
        }
        Some(octets)
    }
}

impl std::fmt::Debug for InformEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InformEngine")
            .field("boots", &self.boots)
            .field("users", &self.users)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
