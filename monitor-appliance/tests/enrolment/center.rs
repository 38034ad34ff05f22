//! A center that knows one code: answers hello and registration as often as they come.

use crate::post_office::PostOffice;
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::{ChannelKey, Credential, Direction};
use mailfmt::enrolment::{ProvisionalCode, Session, session};
use mailfmt::envelope::{Addressee, Header, open, seal};
use mailfmt::exchange::{EphemeralPublic, EphemeralSecret, Halves};
use mailfmt::mail::{Classified, Letter, Parcel, classify, compose};
use mailfmt::message::enrolment::{Admission, Enrolment, FirstSettings, Offer, Registration};
use mailfmt::{CenterId, Limits, Message, MessageId};
use monitor_appliance::context::{system_clock, system_random};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the center heard, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    Hello(EphemeralPublic),
    Registration(Box<Registration>),
}

pub(crate) struct Center {
    heard: Arc<Mutex<Vec<Heard>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What an admission brings here.
pub(crate) const CREDENTIAL: [u8; 32] = [0x3c; 32];

impl Center {
    /// Begins to answer what is sent by the post office from now on and before.
    pub(crate) fn open(office: &PostOffice, code: &ProvisionalCode, settings: FirstSettings) -> Self {
        let (heard, over) = (Arc::<Mutex<Vec<Heard>>>::default(), Arc::<AtomicBool>::default());
        let desk = Desk {
            office: office.clone(),
            code: code.clone(),
            half: EphemeralSecret::generate(&mut system_random),
            appliance: None,
            settings,
            heard: Arc::clone(&heard),
        };
        let end = Arc::clone(&over);
        let thread = std::thread::spawn(move || desk.serve(&end));
        Self { heard, over, thread: Some(thread) }
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    pub(crate) fn registration(&self) -> Registration {
        let heard = self.heard().into_iter().find_map(|heard| match heard {
            Heard::Registration(registration) => Some(*registration),
            Heard::Hello(_) => None,
        });
        heard.expect("a registration came")
    }
}

impl Drop for Center {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            assert!(std::thread::panicking(), "the center failed");
        }
    }
}

struct Desk {
    office: PostOffice,
    code: ProvisionalCode,
    half: EphemeralSecret,
    appliance: Option<EphemeralPublic>,
    settings: FirstSettings,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Desk {
    fn serve(mut self, over: &AtomicBool) {
        let mut read = 0;
        while !over.load(Ordering::Relaxed) {
            let sent = self.office.sent();
            for raw in sent.iter().skip(read) {
                self.take(raw);
            }
            read = sent.len();
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn session(&self, appliance: EphemeralPublic) -> Session {
        let halves = Halves { appliance, center: self.half.public() };
        session(&self.code, &self.half, &appliance, halves).unwrap()
    }

    fn read(&self, raw: &[u8]) -> Option<Enrolment> {
        let Classified::Ours { attachment } = classify(raw, &Limits::default()) else { return None };
        let parcel = Parcel::split(&attachment, &Limits::default()).unwrap();
        let mut keys = vec![self.code.channel(Direction::ToCenter)];
        keys.extend(self.appliance.map(|half| self.session(half).channel(Direction::ToCenter)));
        let opened =
            keys.iter().find_map(|key| open(parcel.envelope, key, &Limits::default(), now()).ok())?;
        match opened.message().unwrap() {
            Message::Enrolment(message) => Some(message),
            other => panic!("{other:?}"),
        }
    }

    fn take(&mut self, raw: &[u8]) {
        match self.read(raw) {
            Some(Enrolment::Hello(hello)) => {
                self.appliance = Some(hello.appliance_key);
                self.heard.lock().unwrap().push(Heard::Hello(hello.appliance_key));
                let offer = Offer { appliance_key: hello.appliance_key, center_key: self.half.public() };
                self.answer(Enrolment::Offer(offer), &self.code.channel(Direction::ToAppliance));
            }
            Some(Enrolment::Registration(registration)) => {
                let appliance_key = registration.appliance_key;
                self.heard.lock().unwrap().push(Heard::Registration(Box::new(registration)));
                let admission = Admission {
                    appliance_key,
                    agent: "AGENT0000042".parse().unwrap(),
                    credential: Credential::from_bytes(CREDENTIAL),
                    center: CenterId::new("CENTER").unwrap(),
                    center_addresses: vec!["center@center.example".into(), "center@second.example".into()],
                    roots: Vec::new(),
                    settings: self.settings.clone(),
                    remarks: vec!["welcome".into()],
                };
                let key = self.session(appliance_key).channel(Direction::ToAppliance);
                self.answer(Enrolment::Admission(admission), &key);
            }
            _ => {}
        }
    }

    fn answer(&self, message: Enrolment, key: &ChannelKey) {
        let message = Message::Enrolment(message);
        let expires = now().saturating_add(SignedDuration::from_hours(24)).unwrap();
        let id = MessageId::generate(&mut system_random);
        let header = Header::new(&message, CenterId::new("CENTER").unwrap().into(), id, now(), expires);
        let sealed = seal(&header, &message, &[Addressee { key, sequence: 1 }], &mut system_random).unwrap();
        let letter = Letter {
            from: "center@center.example",
            to: None,
            header: &header,
            date: header.created,
            sending: 1,
        };
        // Every answer comes twice, as mail may.
        let mail = compose(&letter, &sealed);
        self.office.deliver(mail.clone());
        self.office.deliver(mail);
    }
}

fn now() -> Timestamp {
    system_clock().wall
}
