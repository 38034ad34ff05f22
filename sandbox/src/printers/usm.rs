//! The SNMPv3 envelope on the answering side: discovery, authentication, time window, privacy (RFC 3414, 3.2).

use std::fmt;

use async_snmp::ber::Decoder;
use async_snmp::message::{MsgFlags, MsgGlobalData, RawMsgData, RawV3Message, ScopedPdu, V3Message};
use async_snmp::v3::auth::{authenticate_message, verify_message};
use async_snmp::v3::{PrivKey, SaltCounter, UsmSecurityParams, in_authoritative_time_window, report_oids};
use async_snmp::{
    AuthProtocol, CryptoError, DecodeConfig, LocalizedKey, MasterKeys, Oid, PrivProtocol, ResponsePdu,
    SecurityLevel, UDP_RECEIVE_LIMITS, Value, VarBind,
};
use bytes::Bytes;

/// The SNMPv3 user of a printer: a name, a way to authenticate and, if wanted, a way to encrypt.
///
/// Holds keys, not passwords. Making one takes a noticeable time (RFC 3414, A.2); clone it for further printers.
#[derive(Clone)]
pub struct V3User {
    name: String,
    keys: MasterKeys,
}

/// Why a user cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum V3UserError {
    /// The name is empty or longer than 32 octets.
    #[error("user name {0:?} must have 1 to 32 octets")]
    Name(String),
    /// A password is shorter than 8 octets, or the algorithm is not available.
    #[error("cannot make keys for user {name}")]
    Keys {
        /// The user.
        name: String,
        /// What the library says.
        source: CryptoError,
    },
    /// DES keeps a counter on disk, which a simulated printer has not.
    #[error("user {0}: only the AES kinds of privacy are answered")]
    Privacy(String),
}

impl V3User {
    /// A user who authenticates and does not encrypt.
    ///
    /// # Errors
    /// [`V3UserError`].
    pub fn auth(name: &str, auth: AuthProtocol, password: &str) -> Result<Self, V3UserError> {
        if name.is_empty() || 32 < name.len() {
            return Err(V3UserError::Name(name.to_owned()));
        }
        let unusable = |source| V3UserError::Keys { name: name.to_owned(), source };
        let keys = MasterKeys::new(auth, password.as_bytes()).map_err(unusable)?;
        Ok(Self { name: name.to_owned(), keys })
    }

    /// The same user, encrypting.
    ///
    /// # Errors
    /// [`V3UserError`].
    pub fn with_privacy(self, privacy: PrivProtocol, password: &str) -> Result<Self, V3UserError> {
        if matches!(privacy, PrivProtocol::Des | PrivProtocol::Des3) {
            return Err(V3UserError::Privacy(self.name));
        }
        let Self { name, keys } = self;
        match keys.with_privacy(privacy, password.as_bytes()) {
            Ok(keys) => Ok(Self { name, keys }),
            Err(source) => Err(V3UserError::Keys { name, source }),
        }
    }

    /// The name sent in clear with every message.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for V3User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("V3User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The SNMPv3 engine of one printer: its id, how often it started, its one user's keys.
pub(super) struct Engine {
    id: Bytes,
    boots: u32,
    user: Bytes,
    auth: LocalizedKey,
    privacy: Option<PrivKey>,
    salt: SaltCounter,
    reports: u32,
    /// Requests whose user, level or key is not taken.
    pub(super) refusals: u32,
}

/// What an SNMPv3 datagram turned out to be.
pub(super) enum Inbound {
    /// Not to be answered.
    Dropped,
    /// To be answered with this report: discovery, or why the message was not taken.
    Report(Bytes),
    /// A request that passed every check.
    Request(Box<Opened>),
}

/// A request out of its envelope, with what the answer's envelope needs.
pub(super) struct Opened {
    msg_id: i32,
    /// Octets the asker takes in one message.
    pub(super) size_max: usize,
    level: SecurityLevel,
    pub(super) scoped: ScopedPdu,
}

impl Engine {
    /// An engine of the printer that `seed` tells from all others.
    pub(super) fn new(user: &V3User, seed: [u8; 8]) -> Result<Self, V3UserError> {
        let unusable = |source| V3UserError::Keys { name: user.name.clone(), source };
        // RFC 3411, SnmpEngineID: enterprise 0 with the highest bit set, format 5, octets of our choice.
        let id = [&[0x80, 0, 0, 0, 5][..], &seed].concat();
        let (auth, privacy) = user.keys.localize(&id).map_err(unusable)?;
        let salt = SaltCounter::new().map_err(|_| unusable(CryptoError::CipherError))?;
        let name = Bytes::copy_from_slice(user.name.as_bytes());
        Ok(Self { id: id.into(), boots: 1, user: name, auth, privacy, salt, reports: 0, refusals: 0 })
    }

    /// The printer was switched off and on.
    pub(super) fn restart(&mut self) {
        self.boots = self.boots.saturating_add(1);
    }

    fn level(&self) -> SecurityLevel {
        if self.privacy.is_some() { SecurityLevel::AuthPriv } else { SecurityLevel::AuthNoPriv }
    }

    /// Takes `datagram` out of its envelope, `seconds` after power-on. The order of the checks is that of RFC 3414.
    pub(super) fn open(&mut self, datagram: &Bytes, seconds: u32) -> Inbound {
        let Ok(outer) = RawV3Message::decode(datagram.clone(), DecodeConfig::STRICT) else {
            return Inbound::Dropped;
        };
        let outer = outer.value;
        let Ok(usm) = UsmSecurityParams::decode(outer.security_params().clone(), DecodeConfig::STRICT) else {
            return Inbound::Dropped;
        };
        let usm = usm.value;
        let level = outer.security_level();
        if *usm.engine_id() != self.id {
            return self.report(&outer, &usm, report_oids::unknown_engine_ids(), false, seconds);
        }
        if *usm.username() != self.user {
            return self.report(&outer, &usm, report_oids::unknown_user_names(), false, seconds);
        }
        // A printer that is set to encrypt takes nothing less, and no more than it is set to.
        if level != self.level() {
            return self.report(&outer, &usm, report_oids::unsupported_sec_levels(), false, seconds);
        }
        let genuine = UsmSecurityParams::find_auth_params_offset(datagram)
            .is_some_and(|(at, length)| verify_message(&self.auth, datagram, at, length).unwrap_or(false));
        if !genuine {
            return self.report(&outer, &usm, report_oids::wrong_digests(), false, seconds);
        }
        if !in_authoritative_time_window(self.boots, seconds, usm.engine_boots(), usm.engine_time()) {
            return self.report(&outer, &usm, report_oids::not_in_time_windows(), true, seconds);
        }
        let scoped = match (outer.msg_data(), &self.privacy) {
            (RawMsgData::Plaintext { data, .. }, _) => data.clone(),
            (RawMsgData::Encrypted(data), Some(key)) => {
                match key.decrypt(data, usm.engine_boots(), usm.engine_time(), usm.priv_params()) {
                    Ok(plain) => plain,
                    Err(_) => {
                        return self.report(&outer, &usm, report_oids::decryption_errors(), false, seconds);
                    }
                }
            }
            (RawMsgData::Encrypted(_), None) => return Inbound::Dropped,
        };
        match ScopedPdu::decode(&mut Decoder::new(scoped)) {
            Ok(scoped) if scoped.context_name.is_empty() => Inbound::Request(Box::new(Opened {
                msg_id: outer.msg_id(),
                size_max: outer.global_data().msg_max_size().as_usize(),
                level,
                scoped,
            })),
            _ => Inbound::Dropped,
        }
    }

    fn report(
        &mut self,
        outer: &RawV3Message,
        usm: &UsmSecurityParams,
        counter: Oid,
        authenticated: bool,
        seconds: u32,
    ) -> Inbound {
        if !outer.global_data().msg_flags().reportable {
            return Inbound::Dropped;
        }
        self.reports = self.reports.wrapping_add(1);
        let harmless = [report_oids::unknown_engine_ids(), report_oids::not_in_time_windows()];
        if !harmless.contains(&counter) {
            self.refusals = self.refusals.wrapping_add(1);
        }
        let level = if authenticated { SecurityLevel::AuthNoPriv } else { SecurityLevel::NoAuthNoPriv };
        let told = vec![VarBind::new(counter, Value::Counter32(self.reports))];
        let sealed = ResponsePdu::report(0, told).ok().and_then(|report| {
            let scoped = ScopedPdu::new(self.id.clone(), Bytes::new(), report);
            self.envelope(outer.msg_id(), level, usm.username().clone(), scoped, seconds)
        });
        sealed.map_or(Inbound::Dropped, Inbound::Report)
    }

    /// Puts `answer` into the envelope that belongs to `asked`.
    pub(super) fn seal(&self, asked: &Opened, answer: ResponsePdu, seconds: u32) -> Option<Bytes> {
        let scoped = ScopedPdu::new(self.id.clone(), asked.scoped.context_name.clone(), answer);
        self.envelope(asked.msg_id, asked.level, self.user.clone(), scoped, seconds)
    }

    fn envelope(
        &self,
        msg_id: i32,
        level: SecurityLevel,
        user: Bytes,
        scoped: ScopedPdu,
        seconds: u32,
    ) -> Option<Bytes> {
        let header =
            MsgGlobalData::new(msg_id, UDP_RECEIVE_LIMITS.advertised(), MsgFlags::new(level, false)).ok()?;
        let mut usm = UsmSecurityParams::new(self.id.clone(), self.boots, seconds, user).ok()?;
        if level.requires_auth() {
            usm = usm.with_auth_placeholder(self.auth.mac_len()).ok()?;
        }
        let message = if level.requires_priv() {
            let plain = scoped.encode_to_bytes().ok()?;
            let (secret, salt) =
                self.privacy.as_ref()?.encrypt_aes(&plain, self.boots, seconds, &self.salt).ok()?;
            usm = usm.with_priv_params(salt).ok()?;
            V3Message::new_with_opaque_encrypted_scoped_pdu(header, usm.encode().ok()?, secret).ok()?
        } else {
            V3Message::new(header, usm.encode().ok()?, scoped).ok()?
        };
        let mut bytes = message.encode().ok()?.to_vec();
        if level.requires_auth() {
            let (at, length) = UsmSecurityParams::find_auth_params_offset(&bytes)?;
            authenticate_message(&self.auth, &mut bytes, at, length).ok()?;
        }
        Some(bytes.into())
    }
}
