//! Reads a device by IPP or PJL where SNMP is silent or tells little.

use crate::device::{CounterName, FailedPart, Part, Reading};
use crate::ipp::{self, IppLimits};
use crate::pjl;
use crate::profile::Profiles;
use crate::settings::SecondWaySettings;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A device that did not answer on a way is asked on it again after so long.
const AGAIN: SignedDuration = SignedDuration::from_hours(24);

/// How long PJL may take.
const PJL_DEADLINE: Duration = Duration::from_secs(5);

/// Which devices have been asked in vain, and when.
#[derive(Debug, Default)]
pub(super) struct SecondWays {
    refused: Mutex<BTreeMap<String, Timestamp>>,
}

/// Whether a printer's reading lacks something that IPP or PJL may tell.
fn is_poor(reading: &Reading) -> bool {
    let counted = |counter: &crate::device::Counter| {
        counter.name == CounterName::TOTAL || counter.name == CounterName::MARKER_LIFE
    };
    let printer = reading.host.is_none() || !reading.status.is_empty() || !reading.counters.is_empty();
    let lacking = reading.identity.serial.is_none()
        || reading.identity.model.is_none()
        || reading.supplies.is_empty()
        || !reading.counters.iter().any(counted);
    printer && lacking
}

/// A device that is silent to SNMP: what only SNMP tells is not known, and so not over.
fn unread() -> Reading {
    let incomplete =
        Part::ALL.iter().map(|part| FailedPart { part: *part, reason: "no SNMP answer".to_owned() });
    Reading { incomplete: incomplete.collect(), ..Reading::default() }
}

impl SecondWays {
    /// Completes what SNMP told, if it lacks something.
    pub(super) async fn complete(
        &self,
        address: &str,
        reading: &mut Reading,
        profiles: &Profiles,
        settings: &SecondWaySettings,
        now: Timestamp,
    ) {
        if is_poor(reading) {
            self.ask(address, reading, profiles, settings, now).await;
        }
    }

    /// What a device that is silent to SNMP tells on another way; `None` if nothing.
    pub(super) async fn instead(
        &self,
        address: &str,
        profiles: &Profiles,
        settings: &SecondWaySettings,
        now: Timestamp,
    ) -> Option<Reading> {
        let mut reading = unread();
        self.ask(address, &mut reading, profiles, settings, now).await;
        let told = !reading.ways.is_empty() || !reading.counters.is_empty();
        told.then_some(reading)
    }

    async fn ask(
        &self,
        address: &str,
        reading: &mut Reading,
        profiles: &Profiles,
        settings: &SecondWaySettings,
        now: Timestamp,
    ) {
        let by_pjl = settings.pjl.iter().any(|known| known == address);
        if !(settings.ipp || by_pjl) || !self.may_ask(address, now) {
            return;
        }
        let Some(host) = resolve(address).await else { return };
        let mut answered = false;
        if settings.ipp {
            match ipp::ask(SocketAddr::new(host, settings.ipp_port), &IppLimits::default()).await {
                Ok(answer) => {
                    ipp::Told::of(&answer).complete(reading, profiles);
                    answered = true;
                }
                Err(error) => {
                    tracing::debug!(device = address, error = &error as &dyn std::error::Error, "no IPP");
                }
            }
        }
        if by_pjl {
            match pjl::ask(SocketAddr::new(host, settings.pjl_port), PJL_DEADLINE).await {
                Ok(told) => {
                    told.complete(reading, profiles);
                    answered = true;
                }
                Err(error) => {
                    tracing::debug!(device = address, error = &error as &dyn std::error::Error, "no PJL");
                }
            }
        }
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if answered {
            refused.remove(address);
        } else {
            refused.insert(address.to_owned(), now);
        }
    }

    fn may_ask(&self, address: &str, now: Timestamp) -> bool {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.get(address).is_none_or(|at| now < *at || now.duration_since(*at) >= AGAIN)
    }
}

/// The host of an address as in the settings, without its port.
async fn resolve(address: &str) -> Option<IpAddr> {
    if let Ok(host) = address.trim_matches(['[', ']']).parse() {
        return Some(host);
    }
    let with_port = if address.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok()) {
        address.to_owned()
    } else {
        format!("{address}:0")
    };
    tokio::net::lookup_host(with_port).await.ok()?.next().map(|found| found.ip())
}

#[cfg(test)]
mod tests {
    use super::{AGAIN, SecondWays, is_poor, unread};
    use crate::device::{Part, Reading};
    use crate::profile::Profiles;
    use crate::settings::SecondWaySettings;
    use jiff::Timestamp;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    #[test]
    fn a_device_that_is_silent_has_ended_none_of_its_faults() {
        let reading = unread();
        assert!(is_poor(&reading));
        assert!(!reading.is_complete(Part::Alerts) && !reading.is_complete(Part::Status));
    }

    #[tokio::test]
    async fn a_printer_without_snmp_is_read_by_pjl_where_the_settings_ask_for_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pjl_port = listener.local_addr().unwrap().port();
        let printer = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut asked = [0; 512];
            assert!(socket.read(&mut asked).await.unwrap() > 0);
            let answer = b"@PJL INFO ID\r\n\"HP LaserJet 4\"\r\n\x0c@PJL INFO PAGECOUNT\r\n77\r\n\x0c";
            socket.write_all(answer).await.unwrap();
        });
        let (ways, profiles, now) = (SecondWays::default(), Profiles::built_in(), Timestamp::UNIX_EPOCH);
        let nobody = SecondWaySettings { ipp: false, pjl_port, ..SecondWaySettings::default() };
        assert_eq!(ways.instead("127.0.0.1:161", &profiles, &nobody, now).await, None);
        let settings = SecondWaySettings { pjl: vec!["127.0.0.1:161".to_owned()], ..nobody };
        let reading: Reading = ways.instead("127.0.0.1:161", &profiles, &settings, now).await.unwrap();
        printer.await.unwrap();
        assert_eq!(reading.identity.model.as_deref(), Some("LaserJet 4"));
        assert_eq!(
            (reading.counters[0].value, reading.counters[0].source.to_string()),
            (77, "pjl:PAGECOUNT".into())
        );
    }

    #[tokio::test]
    async fn who_does_not_answer_is_left_in_peace_for_a_day() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ipp_port = listener.local_addr().unwrap().port();
        drop(listener);
        let (ways, profiles, now) = (SecondWays::default(), Profiles::built_in(), Timestamp::UNIX_EPOCH);
        let settings = SecondWaySettings { ipp_port, ..SecondWaySettings::default() };
        assert_eq!(ways.instead("127.0.0.1", &profiles, &settings, now).await, None);
        assert!(!ways.may_ask("127.0.0.1", now));
        assert!(ways.may_ask("127.0.0.1", now + AGAIN));
        assert!(ways.may_ask("127.0.0.2", now));
    }
}
