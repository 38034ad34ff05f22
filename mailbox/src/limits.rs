//! Every limit of a mail session: time, octets, counts. One home, with the reason for each default.

use std::time::Duration;

/// Bounds of one connection to a mail server. A test may set each of them as small as it likes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Name look-up, TCP connect and TLS handshake together. Default 30 s.
    pub connect: Duration,
    /// Wait for a greeting, and from a command to its complete reply, for commands that carry no mail content. Default 60 s.
    pub operation: Duration,
    /// From MAIL, RCPT or DATA to the reply: some servers pause on purpose, others ask elsewhere first. Default 5 min (RFC 5321
    /// section 4.5.3.2.2 to 4.5.3.2.4). A greeting has [`Self::operation`]: a server that is mute must not hold up for minutes
    /// what else there is to do.
    pub smtp_reply: Duration,
    /// Longest silence (no octet in or out) while something is awaited. Default 60 s.
    pub progress: Duration,
    /// Wait for the reply after the final dot of a mail; the server may be scanning it.
    /// Default 10 min (RFC 5321 section 4.5.3.2.6).
    pub data_reply: Duration,
    /// One whole fetch session, or one mail on a submission connection. Default 30 min.
    pub overall: Duration,
    /// Longest line of a mail, in octets with its CRLF. RFC 5321 allows 1,000; real mails have more. Default 1 MiB.
    pub line_octets_max: usize,
    /// Longest reply line of a server, in octets. RFC 1939 allows 512. Default 8 KiB (IMAP capability lists).
    pub reply_octets_max: usize,
    /// Largest mail that is fetched, in octets. Larger ones are reported as too large, unread. Default 64 MiB.
    pub message_octets_max: u64,
    /// Most octets of mail content held by one batch. Default 16 MiB; a single larger mail still comes alone.
    pub batch_octets_max: u64,
    /// Size of one piece when a large mail is read by IMAP. Default 1 MiB.
    pub piece_octets: u32,
    /// Most entries taken from one mailbox listing; the others come in a later session. Default 100,000.
    pub listing_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            operation: Duration::from_secs(60),
            smtp_reply: Duration::from_secs(300),
            progress: Duration::from_secs(60),
            data_reply: Duration::from_secs(600),
            overall: Duration::from_secs(1800),
            line_octets_max: 1 << 20,
            reply_octets_max: 8 << 10,
            message_octets_max: 64 << 20,
            batch_octets_max: 16 << 20,
            piece_octets: 1 << 20,
            listing_max: 100_000,
        }
    }
}
