//! Those who rename attachments and change their types.

use super::mime::{Entity, each_attachment};
use super::{Transform, transform};

pub(super) const TRANSFORMS: &[Transform] = &[
    transform("attachment renamed", "Symantec Messaging Gateway", |raw| {
        named(raw, "application/octet-stream", "message.bin.txt")
    }),
    transform("attachment renamed as unsafe", "Sophos PureMessage", |raw| {
        named(raw, "application/octet-stream", "UNSAFE_message.bi_")
    }),
    transform("attachment without a name", "a filter that drops names", |raw| {
        each_attachment(raw, |part| {
            part.without("Content-Disposition").with("Content-Type", "application/octet-stream")
        })
    }),
    transform("name in RFC 2231 pieces", "Lotus Domino, Apple Mail", |raw| {
        each_attachment(raw, |part| {
            part.with(
                "Content-Disposition",
                "attachment;\r\n filename*0*=utf-8''mess%61ge;\r\n filename*1=\".bin\"",
            )
        })
    }),
    transform("name as an encoded word", "Outlook", |raw| {
        named(raw, "application/octet-stream", "=?utf-8?B?bWVzc2FnZS5iaW4=?=")
    }),
    transform("attachment as text/plain", "a gateway that makes all unknown types text", |raw| {
        named(raw, "text/plain; charset=windows-1252", "message.txt")
    }),
    transform("attachment as application/x-foo", "a gateway with types of its own", |raw| {
        named(raw, "application/x-foo", "message.bin")
    }),
    transform("attachment as an image", "a guess by content", |raw| named(raw, "image/png", "image001.png")),
    transform("attachment as message/rfc822", "a wrong guess by content", |raw| {
        named(raw, "message/rfc822", "message.eml")
    }),
    transform("attachment inline", "iOS, Notes", |raw| {
        each_attachment(raw, |part| part.with("Content-Disposition", "inline"))
    }),
    transform("attachment with a content id", "Exchange, multipart/related", |raw| {
        let related =
            each_attachment(raw, |part| part.with("Content-ID", "<part1@x>").without("Content-Disposition"));
        let mail = Entity::read(&related);
        let kind = mail.content_type().replacen("mixed", "related", 1);
        if mail.boundary().is_some() { mail.with("Content-Type", &kind).write() } else { related }
    }),
    transform("no content type", "a filter that drops types", |raw| {
        each_attachment(raw, |part| part.without("Content-Type").without("Content-Disposition"))
    }),
];

fn named(raw: &[u8], kind: &str, name: &str) -> Vec<u8> {
    each_attachment(raw, |part| {
        part.with("Content-Type", &format!("{kind}; name=\"{name}\""))
            .with("Content-Disposition", &format!("attachment; filename=\"{name}\""))
    })
}
