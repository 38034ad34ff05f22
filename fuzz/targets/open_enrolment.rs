#![no_main]
//! What strangers send to a mailbox that enrols: without the code nothing opens; what an authentic sender writes never panics.

use mailfmt::crypto::{ChannelKey, Direction};
use mailfmt::enrolment::{CodeId, ProvisionalCode};
use mailfmt::envelope::{self, Addressee, Header};
use mailfmt::mail::Parcel;
use mailfmt::message::Family;
use mailfmt::{Limits, Message, MessageId};
use std::sync::LazyLock;

static KEYS: LazyLock<(ProvisionalCode, ChannelKey)> = LazyLock::new(|| {
    let code = ProvisionalCode::generate(&mut |buffer: &mut [u8]| buffer.fill(1));
    let key = code.channel(Direction::ToCenter);
    (code, key)
});

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let Some((choice, octets)) = octets.split_first() else { return };
    let (limits, now) = (Limits::default(), jiff::Timestamp::UNIX_EPOCH);
    let (code, key) = &*KEYS;
    if choice & 1 == 0 {
        if let Ok(parcel) = Parcel::split(octets, &limits) {
            let _ = CodeId::of_sender(&parcel.claimed.header.sender);
        }
        assert!(envelope::open(octets, key, &limits, now).is_err());
    } else if let Ok(message) = Message::parse(Family::Enrolment, octets) {
        let header = Header::new(&message, code.id().into(), MessageId::from_bytes([1; 16]), now, now);
        let addressee = Addressee { key, sequence: 1 };
        let Ok(sealed) =
            envelope::seal(&header, &message, &[addressee], &mut |buffer: &mut [u8]| buffer.fill(2))
        else {
            return;
        };
        let opened = envelope::open(&sealed, key, &limits, now).map(|opened| opened.message());
        assert!(matches!(opened, Ok(Ok(again)) if again == message));
    }
});
