//! Access tokens: XOAUTH2 as Google and Microsoft document it, OAUTHBEARER (RFC 7628). Pure.

use zeroize::Zeroizing;

use crate::{
    oauth::AccessToken,
    sasl::{Mechanism, scram::escaped},
};

/// The client's one message.
pub(super) fn message(
    mechanism: Mechanism,
    username: &str,
    token: &AccessToken,
    server: &(String, u16),
) -> Zeroizing<Vec<u8>> {
    let (host, port) = server;
    let (head, tail) = match mechanism {
        Mechanism::XOAuth2 => (format!("user={username}"), String::new()),
        _ if host.is_empty() => (format!("n,a={},", escaped(username)), String::new()),
        _ => (format!("n,a={},", escaped(username)), format!("host={host}\x01port={port}\x01")),
    };
    let parts = [&head, "\x01", &tail, "auth=Bearer ", token.reveal(), "\x01\x01"];
    // In one piece: a text that grows leaves copies of itself behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| octets.extend_from_slice(part.as_bytes()));
    octets
}

/// What ends the exchange after the server has told in JSON why it fails: RFC 7628 section 3.2.3 wants 0x01, the older
/// form an empty line.
pub(super) fn acknowledgement(mechanism: Mechanism) -> Vec<u8> {
    if mechanism == Mechanism::XOAuth2 { Vec::new() } else { vec![1] }
}
