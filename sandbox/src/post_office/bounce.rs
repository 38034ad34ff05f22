//! The report that a mail could not be delivered (RFC 3464), as a post office sends it to the sender.

use jiff::Timestamp;

/// What a report tells.
pub(super) struct Report<'a> {
    pub(super) reporter: &'a str,
    pub(super) sender: &'a str,
    pub(super) recipient: &'a str,
    /// Such as `5.1.1` (RFC 3463).
    pub(super) status: &'a str,
    /// Tells reports apart.
    pub(super) number: u64,
    pub(super) date: Timestamp,
}

impl Report<'_> {
    /// The whole mail: a text for people, the fields for programs, and the header of the mail that did not arrive.
    pub(super) fn write(&self, undelivered: &[u8]) -> Vec<u8> {
        let Self { reporter, sender, recipient, status, number, .. } = self;
        let date = self.date.strftime("%a, %d %b %Y %H:%M:%S +0000");
        // The number keeps the line apart from those of reports within reports.
        let boundary = format!("=_report_{number}_{}", self.date.as_millisecond());
        let action = if status.starts_with('4') { "delayed" } else { "failed" };
        let mut mail = format!(
            "Return-Path: <>\r\nFrom: Mail Delivery System <postmaster@{reporter}>\r\nTo: <{sender}>\r\n\
             Subject: Undelivered Mail Returned to Sender\r\nDate: {date}\r\nMessage-ID: <{boundary}@{reporter}>\r\n\
             Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
             Your mail to <{recipient}> could not be delivered ({status}).\r\n\r\n\
             --{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n\
             Reporting-MTA: dns; {reporter}\r\n\r\n\
             Final-Recipient: rfc822; {recipient}\r\nAction: {action}\r\nStatus: {status}\r\n\r\n\
             --{boundary}\r\nContent-Type: text/rfc822-headers\r\n\r\n"
        )
        .into_bytes();
        mail.extend_from_slice(header_of(undelivered));
        mail.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        mail
    }
}

/// The header without the empty line.
fn header_of(mail: &[u8]) -> &[u8] {
    mail.windows(4).position(|four| four == b"\r\n\r\n").map_or(mail, |at| &mail[..at + 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_the_recipient_and_gives_back_the_header_only() {
        let report = Report {
            reporter: "post.example",
            sender: "a@b.example",
            recipient: "c@d.example",
            status: "5.1.1",
            number: 7,
            date: Timestamp::UNIX_EPOCH,
        };
        let mail = report.write(b"Subject: x\r\nMessage-ID: <1@b.example>\r\n\r\nsecret\r\n");
        let mail = String::from_utf8(mail).expect("text");
        for part in [
            "Return-Path: <>\r\n",
            "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n",
            "\r\nFinal-Recipient: rfc822; c@d.example\r\nAction: failed\r\nStatus: 5.1.1\r\n",
            "\r\nMessage-ID: <1@b.example>\r\n\r\n--=_report_7_0--\r\n",
        ] {
            assert!(mail.contains(part), "{part:?} in {mail}");
        }
        assert!(!mail.contains("secret"));
        assert_eq!(header_of(b"no header"), b"no header");
    }
}
