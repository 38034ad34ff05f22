#![no_main]
//! Any octets as the text and as the machine-readable part of a mail that came back: it is told what it is, within bounds.

use mailfmt::mail::returned::{Cause, IDS_MAX, RECIPIENTS_MAX, ReturnKey, Status};
use mailfmt::mail::{Classified, classify};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let limits = mailfmt::Limits::default();
    let (text, report) = octets.split_at(octets.len() / 2);
    let head =
        b"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n";
    let of_type = |kind: &[u8]| {
        let mut mail = head.to_vec();
        mail.extend(
            b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n",
        );
        mail.extend(text);
        mail.extend(b"\r\n--b\r\nContent-Type: message/");
        mail.extend(kind);
        mail.extend(b"\r\n\r\n");
        mail.extend(report);
        mail.extend(b"\r\n--b--\r\n");
        mail
    };
    let plain = [head.as_slice(), b"\r\n", octets].concat();
    let mails = [
        plain,
        of_type(b"delivery-status"),
        of_type(b"global-delivery-status"),
        of_type(b"disposition-notification"),
        of_type(b"feedback-report"),
        of_type(b"rfc822"),
    ];
    for mail in mails {
        if let Classified::Returned(returned) = classify(&mail, &limits) {
            assert!(returned.messages.len() <= IDS_MAX && returned.recipients.len() <= RECIPIENTS_MAX);
            assert!(returned.diagnostic.chars().count() <= 300);
            let key = ReturnKey::from_bytes([7; 32]);
            assert!(returned.tags.iter().all(|tag| key.message(tag).is_none()), "nobody guesses a tag");
        }
    }
    let words = String::from_utf8_lossy(octets);
    let _ = Cause::judge(Status::read(&words), &words);
});
