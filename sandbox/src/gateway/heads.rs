//! Those who change headers.

use super::mime::Entity;
use super::{Transform, transform};

pub(super) const TRANSFORMS: &[Transform] = &[
    transform("subject tagged [EXTERN]", "Exchange transport rule", |raw| tagged(raw, "[EXTERN] ")),
    transform("subject tagged ***SPAM***", "SpamAssassin rewrite_header", |raw| tagged(raw, "***SPAM*** ")),
    transform("subject as encoded words", "Lotus Domino", |raw| {
        let mail = Entity::read(raw);
        let subject: String =
            mail.field("Subject").unwrap_or_default().bytes().map(|octet| format!("={octet:02X}")).collect();
        mail.with("Subject", &format!("=?utf-8?Q?{subject}?=")).write()
    }),
    transform("spam headers added", "rspamd, SpamAssassin", |raw| {
        before(
            raw,
            "X-Spam-Status: No, score=1.2 required=5.0\r\n\ttests=MIME_BASE64_TEXT\r\nX-Spamd-Result: default: False [1.20 / 15.00];\r\n\tR_SPF_ALLOW(0.00)[+ip4:127.0.0.1]\r\n",
        )
    }),
    transform("DKIM and ARC signatures added", "Google Workspace, Microsoft 365", |raw| {
        before(
            raw,
            "ARC-Seal: i=1; a=rsa-sha256; t=1767323045; cv=none; d=gw.example; s=arc;\r\n b=AAAA/bbbb+cccc==\r\nARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=gw.example;\r\n h=From:To:Subject; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n b=ZZZZ\r\nDKIM-Signature: v=1; a=rsa-sha256; d=gw.example; s=x;\r\n b=TUZF\r\n",
        )
    }),
    transform("thirty Received lines", "a long way", |raw| {
        let lines: String = (0..30).map(|hop| format!("Received: from relay{hop}.example by relay{}.example\r\n\twith ESMTPS id {hop}; Fri, 02 Jan 2026 03:04:05 +0000\r\n", hop + 1)).collect();
        before(raw, &lines)
    }),
    transform("headers folded at 40", "a relay that folds everything", |raw| {
        each_field(raw, |field| {
            let mut folded = String::new();
            let mut column = 0;
            for word in field.replace("\r\n", "").split(' ') {
                if column > 0 && column + word.len() > 40 {
                    folded.push_str("\r\n ");
                    column = 1;
                } else if column > 0 {
                    folded.push(' ');
                }
                folded.push_str(word);
                column += word.len() + 1;
            }
            folded
        })
    }),
    transform("headers unfolded", "a filter that joins lines", |raw| {
        each_field(raw, |field| field.replace("\r\n", ""))
    }),
    transform("headers in another order", "Exchange, which writes them anew", |raw| {
        let mut mail = Entity::read(raw);
        mail.fields.reverse();
        mail.write()
    }),
    transform("header names in lower case", "Amazon SES, Go's net/textproto", |raw| {
        each_field(raw, |field| match field.split_once(':') {
            Some((name, value)) => format!("{}:{value}", name.to_ascii_lowercase()),
            None => field.to_owned(),
        })
    }),
    transform("a header of 64 kB", "a policy engine with a long verdict", |raw| {
        before(raw, &format!("X-Policy: {}\r\n", "a very long verdict ".repeat(3_300)))
    }),
    transform("five hundred headers", "a chain of filters", |raw| {
        before(raw, &(0..500).map(|nth| format!("X-Filter-{nth}: passed\r\n")).collect::<String>())
    }),
    transform("headers with raw 8bit", "an old relay in Latin-1", |raw| {
        [b"X-Gepr\xfcft: j\xe4\r\n".as_slice(), raw].concat()
    }),
    transform("message id written anew", "Exchange, some list managers", |raw| {
        Entity::read(raw).with("Message-ID", "<20260102030405.ABCDEF@gw.example>").write()
    }),
    transform("sender written anew", "DMARC mitigation of lists", |raw| {
        Entity::read(raw)
            .with("From", "\"Site via list\" <list@gw.example>")
            .with("Reply-To", "agent@site.example")
            .write()
    }),
    transform("automatic marks dropped", "a gateway that knows few headers", |raw| {
        Entity::read(raw).without("Auto-Submitted").without("Date").without("Message-ID").write()
    }),
    transform("MIME-Version dropped", "a gateway that knows few headers", |raw| {
        Entity::read(raw).without("MIME-Version").write()
    }),
    transform("MIME-Version with a comment", "Apple Mail", |raw| {
        Entity::read(raw).with("MIME-Version", "1.0 (Mac OS X Mail 16.0)").write()
    }),
    transform("an envelope line in front", "mbox stores", |raw| {
        [b"From agent@site.example Fri Jan  2 03:04:05 2026\r\n".as_slice(), raw].concat()
    }),
    transform("an empty X-header and a colon without a name", "a broken milter", |raw| {
        before(raw, "X-Empty:\r\n: nothing\r\n")
    }),
];

fn before(raw: &[u8], lines: &str) -> Vec<u8> {
    [lines.as_bytes(), raw].concat()
}

fn tagged(raw: &[u8], tag: &str) -> Vec<u8> {
    let mail = Entity::read(raw);
    let subject = mail.field("Subject").unwrap_or_default();
    mail.with("Subject", &format!("{tag}{subject}")).write()
}

fn each_field(raw: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    let mut mail = Entity::read(raw);
    mail.fields = mail.fields.iter().map(|field| change(field)).collect();
    mail.write()
}
