//! Traps and informs that a printer sends of itself.

use super::printer::Printer;
use async_snmp::message::CommunityMessage;
use async_snmp::{GenericTrap, NotificationPdu, Oid, TrapV1Notification, TrapV1Pdu, Value, VarBind, Version};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// printerV2Alert (RFC 3805).
const PRINTER_V2_ALERT: [u32; 11] = [1, 3, 6, 1, 2, 1, 43, 18, 2, 0, 1];
/// printerV2AlertPrefix, which a v1 trap names as its enterprise (RFC 3584).
const PRINTER_V2_ALERT_PREFIX: [u32; 9] = [1, 3, 6, 1, 2, 1, 43, 18, 2];
/// prtAlertEntry.
const ALERT_ENTRY: [u32; 9] = [1, 3, 6, 1, 2, 1, 43, 18, 1];
/// What printerV2Alert carries: index, severity, group, group index, location and code.
const CARRIED: [u32; 6] = [1, 2, 4, 5, 6, 7];

/// How a printer tells that it has an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// An SNMPv1 trap.
    TrapV1,
    /// An SNMPv2c trap.
    TrapV2c,
    /// An SNMPv2c inform, sent once; [`Printer::notify`] waits a moment for its acknowledgement.
    Inform,
}

impl Printer {
    /// Sends printerV2Alert for the row `index`, from the printer's own address. Says whether it was acknowledged.
    ///
    /// # Errors
    /// What the system or the codec says.
    pub fn notify(&self, to: SocketAddr, index: u32, how: Notify) -> anyhow::Result<bool> {
        let socket = UdpSocket::bind(SocketAddr::new(self.address().ip(), 0))?;
        let community = "public";
        let row = CARRIED.iter().filter_map(|column| {
            let oid = Oid::from_slice(&[&ALERT_ENTRY[..], &[1, *column, 1, index]].concat());
            let value =
                if *column == 1 { i32::try_from(index).ok().map(Value::Integer) } else { self.get(&oid) };
            Some(VarBind::new(oid, value?))
        });
        let (name, uptime, row) = (Oid::from_slice(&PRINTER_V2_ALERT), 100, row.collect::<Vec<_>>());
        let message = match how {
            Notify::TrapV1 => {
                let enterprise = Oid::from_slice(&PRINTER_V2_ALERT_PREFIX);
                let generic = GenericTrap::EnterpriseSpecific;
                let trap = TrapV1Pdu::from_raw_parts(enterprise, [127, 0, 0, 1], generic, 1, uptime, row);
                CommunityMessage::v1_trap(community, TrapV1Notification::try_from_raw(trap)?)?
            }
            Notify::TrapV2c => {
                let trap = NotificationPdu::trap_v2(Version::V2c, 1, uptime, &name, row)?;
                CommunityMessage::v2c(community, trap)?
            }
            Notify::Inform => {
                let inform = NotificationPdu::inform(Version::V2c, 1, uptime, &name, row)?;
                CommunityMessage::v2c(community, inform)?
            }
        };
        socket.send_to(&message.encode()?, to)?;
        if how != Notify::Inform {
            return Ok(false);
        }
        socket.set_read_timeout(Some(Duration::from_secs(3)))?;
        let mut answer = [0; 2048];
        Ok(socket.recv_from(&mut answer).is_ok_and(|(length, from)| length > 0 && from == to))
    }
}
