//! Writing our mails (RFC 5322, RFC 2045, RFC 3834; RFC 6532 where an address is not ASCII).
//!
//! What mail filters hold against a mail is left out: no empty or "undisclosed" To, no date of last week, no bare address as
//! sender. `scripts/rspamd` shows what one of them says.

use super::{Form, armour};
use crate::envelope::Header;
use crate::message::Family;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

/// What a mail of ours says on the outside.
///
/// Addresses are `local@domain` as they travel: domains in ASCII (`xn--`), and only a local part that is not ASCII as it is.
#[derive(Debug, Clone)]
pub struct Letter<'a> {
    /// The sender's mail address.
    pub from: &'a str,
    /// The recipient's mail address; `None` for a mail to many, whose recipients stand only in the SMTP envelope.
    pub to: Option<&'a str>,
    /// The header of the envelope inside.
    pub header: &'a Header,
    /// When this mail is written (RFC 5322 section 3.6.1); the message inside may be older.
    pub date: Timestamp,
    /// Number of this sending; a message that is sent again keeps its id, but each mail needs a Message-ID of its own.
    pub sending: u32,
}

/// Octets that all but the attachment may have: headers with the longest addresses, the text for people, boundaries.
const AROUND_MAX: usize = 2_048;

/// The largest attachment that [`compose`] puts into a mail of at most `mail_octets` octets, base64 included.
#[must_use]
pub fn attachment_octets_max(mail_octets: usize) -> usize {
    // Whole lines only: each is 57 octets, written as 76 and a line end.
    (mail_octets.saturating_sub(AROUND_MAX) / (LINE + 2)).saturating_mul(LINE / 4 * 3)
}

/// Octets of base64 in one line (RFC 2045: at most 76).
const LINE: usize = 76;

const BOUNDARY: &str = "=_part_of_a_device_monitor_message";

/// Writes the mail: a text part for people, and `attachment` (an envelope, and what follows it) as one opaque file.
///
/// No id, version or customer stands in it outside the attachment. Lines end in CRLF.
#[must_use]
pub fn compose(letter: &Letter<'_>, attachment: &[u8]) -> Vec<u8> {
    let head = format!(
        "{head}Content-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\r\n\r\n\
         --{BOUNDARY}\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n{text}\r\n\
         --{BOUNDARY}\r\nContent-Type: application/octet-stream; name=\"message.bin\"\r\n\
         Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"message.bin\"\r\n\r\n",
        head = head(letter),
        text = text(letter.header.family),
    );
    let mut mail = head.into_bytes();
    let encoded = STANDARD.encode(attachment);
    mail.reserve(encoded.len().saturating_add(encoded.len() / LINE * 2).saturating_add(256));
    for line in encoded.as_bytes().chunks(LINE) {
        mail.extend(line);
        mail.extend(b"\r\n");
    }
    mail.extend(format!("--{BOUNDARY}--\r\n").into_bytes());
    mail
}

/// The same in the form that is asked for; armoured text stands behind the text for people, and the mail has no parts.
#[must_use]
pub fn compose_as(form: Form, letter: &Letter<'_>, attachment: &[u8]) -> Vec<u8> {
    match form {
        Form::Opaque => compose(letter, attachment),
        Form::Armoured => {
            let text = text(letter.header.family).replace("The attached file is", "The lines below are");
            let head = head(letter);
            format!(
                "{head}Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n{text}\r\n{}",
                armour::write(attachment)
            )
            .into_bytes()
        }
    }
}

/// The largest attachment that [`compose_as`] puts into a mail of at most `mail_octets` octets.
#[must_use]
pub fn octets_max(form: Form, mail_octets: usize) -> usize {
    match form {
        Form::Opaque => attachment_octets_max(mail_octets),
        Form::Armoured => {
            armour::plain_octets_max(mail_octets.min(ARMOURED_MAIL_MAX).saturating_sub(AROUND_MAX))
        }
    }
}

/// Largest armoured mail: a reader holds its text as a whole, where an attachment goes to the disk as it comes.
const ARMOURED_MAIL_MAX: usize = 6 << 20;

/// The headers up to `MIME-Version`.
fn head(letter: &Letter<'_>) -> String {
    let header = letter.header;
    let domain = letter.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    // A group without members (RFC 5322 section 3.4), with a name of its own: "undisclosed-recipients" is what spam has.
    let to = letter.to.unwrap_or("Device monitors:;");
    let date = letter.date.strftime("%a, %d %b %Y %H:%M:%S +0000");
    let automatic = match header.family {
        Family::Command | Family::Report | Family::Enrolment => "auto-generated",
        Family::Receipt => "auto-replied",
    };
    format!(
        "From: \"{name}\" <{from}>\r\nTo: {to}\r\nSubject: Device monitor {family}\r\nDate: {date}\r\n\
         Message-ID: <{id}.{sending}@{domain}>\r\nAuto-Submitted: {automatic}\r\nMIME-Version: 1.0\r\n",
        name = name(header.family),
        from = letter.from,
        family = header.family,
        id = header.message,
        sending = letter.sending,
    )
}

/// Who wrote it, for a person.
fn name(family: Family) -> &'static str {
    match family {
        Family::Command | Family::Receipt => "Service center",
        Family::Report => "Device monitor",
        // Both sides write these.
        Family::Enrolment => "Device monitoring",
    }
}

/// What a person who opens the mailbox reads.
fn text(family: Family) -> &'static str {
    match family {
        Family::Command => {
            "This mail was written by a service center for a device monitor.\r\n\
             It asks the monitor to do something. The attached file is encrypted;\r\n\
             the monitor reads and deletes this mail. Nothing needs to be done.\r\n"
        }
        Family::Report => {
            "This mail was written by a device monitor for its service center.\r\n\
             It reports on devices. The attached file is encrypted;\r\n\
             the center reads and deletes this mail. Nothing needs to be done.\r\n"
        }
        Family::Receipt => {
            "This mail was written by a service center for a device monitor.\r\n\
             It confirms a report. The attached file is encrypted;\r\n\
             the monitor reads and deletes this mail. Nothing needs to be done.\r\n"
        }
        Family::Enrolment => {
            "This mail introduces a device monitor and its service center to each\r\n\
             other. The attached file is encrypted; the programs read and delete\r\n\
             this mail. Nothing needs to be done.\r\n"
        }
    }
}
