//! Certificates on a machine whose clock may be wrong: by which time they are judged.
//!
//! A certificate's dates are checked always, but a clock that nothing proves must not lock its machine out of its own
//! mailbox. It is then enough that the certificate is valid at a time that can be the true one: at the time given, at the
//! floor (the last time known for certain, which has passed), or, since that one may be older than the certificate, at the
//! certificate's own beginning. One that had expired at the floor is refused whatever the clock says.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// Certificates of one chain whose beginnings are tried in turn.
const CHAIN_MAX: usize = 4;

/// The time by which certificates are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsTime {
    /// What the caller takes for the present.
    pub now: SystemTime,
    /// The true time is not before this; `None` if nothing is known.
    pub floor: Option<SystemTime>,
    /// Whether `now` is proven, so that nothing else counts.
    pub proven: bool,
}

impl TlsTime {
    /// The system's clock, taken as proven: for a machine whose clock is looked after.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the edge: who gives no time of their own gets the system's"
    )]
    pub fn system() -> Self {
        Self { now: SystemTime::now(), floor: None, proven: true }
    }
}

/// Tells the time for each handshake.
pub type TlsClock = Arc<dyn Fn() -> TlsTime + Send + Sync>;

/// A certificate that is in order but for its dates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server's certificate is valid {}; the time here is {now}{}", span(*.not_before, *.not_after), if *.proven { "" } else { ", which nothing proves: set the clock" })]
pub struct CertificateDates {
    /// From when on, if it is told.
    pub not_before: Option<Timestamp>,
    /// Until when, if it is told.
    pub not_after: Option<Timestamp>,
    /// The time by which it was judged.
    pub now: Timestamp,
    /// Whether that time is proven.
    pub proven: bool,
}

fn span(from: Option<Timestamp>, to: Option<Timestamp>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => format!("from {from} to {to}"),
        (Some(from), None) => format!("from {from}"),
        (None, Some(to)) => format!("until {to}"),
        (None, None) => "at another time".to_owned(),
    }
}

/// Judges certificates as webpki does, at the times above.
pub(super) struct TimedVerifier {
    pub(super) inner: Arc<WebPkiServerVerifier>,
    pub(super) clock: TlsClock,
}

impl fmt::Debug for TimedVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedVerifier").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for TimedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let time = (self.clock)();
        judge(time, |at| {
            self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at)
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// What is wrong with a certificate's dates.
enum Dates {
    NotYet(Option<UnixTime>),
    Over(Option<UnixTime>),
}

fn dates(error: &Error) -> Option<Dates> {
    let Error::InvalidCertificate(reason) = error else { return None };
    match reason {
        CertificateError::NotValidYet => Some(Dates::NotYet(None)),
        CertificateError::NotValidYetContext { not_before, .. } => Some(Dates::NotYet(Some(*not_before))),
        CertificateError::Expired => Some(Dates::Over(None)),
        CertificateError::ExpiredContext { not_after, .. } => Some(Dates::Over(Some(*not_after))),
        _ => None,
    }
}

/// Asks `verify` at `time.now`, and, if only the dates are wrong and that time is not proven, at the times from the floor on.
fn judge<T>(time: TlsTime, verify: impl Fn(UnixTime) -> Result<T, Error>) -> Result<T, Error> {
    // No present is before what has passed.
    let now = time.floor.map_or(unix(time.now), |floor| unix(floor).max(unix(time.now)));
    let error = match verify(now) {
        Err(error) if dates(&error).is_some() => error,
        settled => return settled,
    };
    if let Some(floor) = time.floor.map(unix).filter(|_| !time.proven) {
        let mut at = floor;
        for _ in 0..CHAIN_MAX {
            match verify(at) {
                Ok(verified) => {
                    tracing::debug!(clock = %stamp(now), judged_at = %stamp(at), "the clock is not proven; the certificate is valid at an earlier proven time or since");
                    return Ok(verified);
                }
                Err(error) => match dates(&error) {
                    // It began after the last time that is known, which has passed since.
                    Some(Dates::NotYet(Some(begins))) if begins > at => at = begins,
                    Some(_) => break,
                    None => return Err(error),
                },
            }
        }
    }
    Err(told(&error, now, time.proven, verify))
}

/// The refusal in words, with both dates: the certificate tells each of them when it is asked at a time beyond it.
fn told<T>(
    error: &Error,
    now: UnixTime,
    proven: bool,
    verify: impl Fn(UnixTime) -> Result<T, Error>,
) -> Error {
    let ask = |at| verify(at).err().as_ref().and_then(dates);
    let not_before = match dates(error) {
        Some(Dates::NotYet(from)) => from,
        _ => match ask(UnixTime::since_unix_epoch(Duration::ZERO)) {
            Some(Dates::NotYet(from)) => from,
            _ => None,
        },
    };
    let not_after = match dates(error) {
        Some(Dates::Over(to)) => to,
        _ => match ask(UnixTime::since_unix_epoch(Duration::from_secs(1 << 37))) {
            Some(Dates::Over(to)) => to,
            _ => None,
        },
    };
    let dates = CertificateDates {
        not_before: not_before.map(stamp),
        not_after: not_after.map(stamp),
        now: stamp(now),
        proven,
    };
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(dates))))
}

fn unix(time: SystemTime) -> UnixTime {
    // Before 1970 no certificate is valid either.
    UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO))
}

fn stamp(time: UnixTime) -> Timestamp {
    i64::try_from(time.as_secs())
        .ok()
        .and_then(|secs| Timestamp::from_second(secs).ok())
        .unwrap_or(Timestamp::MAX)
}

/// The dates, if they are all that is wrong with a certificate.
pub(crate) fn wrong_dates(error: &std::io::Error) -> Option<&CertificateDates> {
    let cause = error.get_ref()?.downcast_ref::<Error>()?;
    let Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) = cause else { return None };
    cause.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: u64 = 365 * 86_400;

    fn at(secs: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
    }

    /// A certificate that is valid from the 50th year to the 51st.
    fn verify(at: UnixTime) -> Result<u64, Error> {
        let (from, to) = (50 * YEAR, 51 * YEAR);
        let time = |secs| UnixTime::since_unix_epoch(Duration::from_secs(secs));
        let reason = if at.as_secs() < from {
            CertificateError::NotValidYetContext { time: at, not_before: time(from) }
        } else if at.as_secs() > to {
            CertificateError::ExpiredContext { time: at, not_after: time(to) }
        } else {
            return Ok(at.as_secs());
        };
        Err(Error::InvalidCertificate(reason))
    }

    fn judged(now: u64, floor: Option<u64>, proven: bool) -> Option<u64> {
        judge(TlsTime { now: at(now), floor: floor.map(at), proven }, verify).ok()
    }

    #[test]
    fn a_proven_time_is_the_only_one_that_counts() {
        assert_eq!(judged(50 * YEAR, None, true), Some(50 * YEAR));
        assert_eq!(judged(60 * YEAR, Some(50 * YEAR), true), None);
        assert_eq!(judged(40 * YEAR, None, true), None);
    }

    #[test]
    fn an_unproven_time_beyond_the_certificate_is_replaced_by_the_floor() {
        assert_eq!(judged(60 * YEAR, Some(50 * YEAR + 5), false), Some(50 * YEAR + 5));
        assert_eq!(judged(60 * YEAR, None, false), None);
    }

    #[test]
    fn a_certificate_that_is_younger_than_the_floor_is_judged_at_its_beginning() {
        assert_eq!(judged(60 * YEAR, Some(49 * YEAR), false), Some(50 * YEAR));
        assert_eq!(judged(0, Some(49 * YEAR), false), Some(50 * YEAR));
    }

    #[test]
    fn a_certificate_that_had_expired_at_the_floor_is_refused_whatever_the_clock_says() {
        assert_eq!(judged(60 * YEAR, Some(52 * YEAR), false), None);
        assert_eq!(judged(0, Some(52 * YEAR), false), None);
    }

    #[test]
    fn nothing_but_dates_is_forgiven() {
        let time = TlsTime { now: at(60 * YEAR), floor: Some(at(50 * YEAR)), proven: false };
        let unknown =
            |_| -> Result<(), Error> { Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) };
        assert!(judge(time, unknown).is_err());
        let first_old_then_unknown = |at: UnixTime| {
            if at.as_secs() > 51 * YEAR { verify(at).map(drop) } else { unknown(at) }
        };
        let error = judge(time, first_old_then_unknown).unwrap_err();
        assert_eq!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer));
    }

    #[test]
    fn a_refusal_names_both_dates_and_the_clock() {
        let time = TlsTime { now: at(60 * YEAR), floor: None, proven: false };
        let error = std::io::Error::other(judge(time, verify).unwrap_err());
        let text = wrong_dates(&error).unwrap().to_string();
        for part in
            ["from 2019-12-20T00:00:00Z to 2020-12-19T00:00:00Z", "2029-12-17T00:00:00Z", "set the clock"]
        {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
