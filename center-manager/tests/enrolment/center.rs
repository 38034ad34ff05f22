//! A center in memory and the boxes that enrol with it: mails go from one to the other as octets, or are lost.

use center_manager::clones::OnClone;
use center_manager::db::Db;
use center_manager::db::enrolment::NewCode;
use center_manager::db::filed::{Filed, Rules};
use center_manager::db::outbox::Try;
use center_manager::enrolment::AdmissionTerms;
use center_manager::intake::{Keyring, Verdict, judge};
use center_manager::sending::{Behind, From, write_mail};
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::{ChannelKey, Credential, Direction};
use mailfmt::enrolment::{ProvisionalCode, Session, session};
use mailfmt::envelope::{self, Addressee, Extras, Header, Sender};
use mailfmt::exchange::{EphemeralPublic, EphemeralSecret, Halves};
use mailfmt::mail::{Classified, Letter, Parcel, classify, compose};
use mailfmt::message::enrolment::{Admission, FirstSettings, Hardware, Hello, Registration};
use mailfmt::message::report::{DeviceState, HealthReport, InventoryDevice};
use mailfmt::message::{DeviceId, Enrolment, Family};
use mailfmt::rotation;
use mailfmt::sequence;
use mailfmt::trust::SignedRoot;
use mailfmt::{AgentId, CenterId, Command, Limits, Message, MessageId, Report};

pub(crate) const ADDRESS: &str = "center@center.example";

pub(crate) fn start() -> Timestamp {
    "2026-11-21T09:00:00Z".parse().unwrap()
}

pub(crate) fn center_id() -> CenterId {
    CenterId::new("CENTER").unwrap()
}

/// Numbers that only look random; every run is the same.
pub(crate) fn random(seed: u64) -> impl FnMut(&mut [u8]) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |buffer: &mut [u8]| {
        for octet in buffer {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *octet = state.to_le_bytes()[3];
        }
    }
}

type Numbers = Box<dyn FnMut(&mut [u8])>;

/// A mail on its way: to whom, and its octets.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) raw: Vec<u8>,
}

pub(crate) struct Center {
    pub(crate) db: Db,
    pub(crate) now: Timestamp,
    pub(crate) rules: Rules,
    random: Numbers,
    codes: u64,
}

impl Center {
    pub(crate) fn new() -> Self {
        let admission = AdmissionTerms {
            center: center_id(),
            addresses: vec![ADDRESS.to_owned(), "second@center.example".to_owned()],
            roots: vec![SignedRoot::from_octets(b"a root".to_vec())],
            settings: FirstSettings { mail_poll_secs: Some(300), ..FirstSettings::default() },
        };
        Self {
            db: Db::in_memory().unwrap(),
            now: start(),
            rules: Rules {
                receipt_expiry: SignedDuration::from_hours(168),
                on_clone: OnClone::Alarm,
                admission,
            },
            random: Box::new(random(99)),
            codes: 0,
        }
    }

    pub(crate) fn later(&mut self, hours: i64) {
        self.now += SignedDuration::from_hours(hours);
        self.db.sweep_codes(self.now).unwrap();
        self.db.sweep_rotations(self.now).unwrap();
        self.db.repeat_rotations(self.now).unwrap();
        self.db.expire_outbox(self.now).unwrap();
    }

    pub(crate) fn issue(&mut self, uses: u32) -> ProvisionalCode {
        self.issue_as(uses, None)
    }

    pub(crate) fn issue_as(&mut self, uses: u32, replaces: Option<&AgentId>) -> ProvisionalCode {
        self.codes += 1;
        let code = ProvisionalCode::generate(&mut random(1000 + self.codes));
        let new = NewCode {
            code: code.clone(),
            customer: "aaa Trading".to_owned(),
            tags: vec!["tokyo".to_owned()],
            replaces: replaces.cloned(),
            uses,
            expires: self.now + SignedDuration::from_hours(7 * 24),
            by: "kim".to_owned(),
        };
        self.db.issue_codes(&[new], self.now).unwrap();
        code
    }

    pub(crate) fn judge(&self, raw: &[u8]) -> Verdict {
        let mut keyring = Keyring::of(&center_id(), &self.db.appliance_keys().unwrap());
        keyring.set_codes(&self.db.open_codes().unwrap());
        judge(raw, &keyring, &Limits::default(), self.now)
    }

    /// Reads one mail, as a pass of the daemon does.
    pub(crate) fn read(&mut self, raw: &[u8]) -> Filed {
        let verdict = self.judge(raw);
        self.db.file(&[verdict], self.now, &self.rules, &mut self.random).unwrap().remove(0)
    }

    /// Sends all that is due.
    pub(crate) fn send(&mut self) -> Vec<Mail> {
        let due = self.db.due(self.now, 1000).unwrap();
        let mut mails = Vec::new();
        let keys = self.db.appliance_keys().unwrap();
        for due in due {
            let outgoing = self.db.outgoing(due.outbox).unwrap().unwrap();
            let key: ChannelKey = if outgoing.family == Family::Enrolment {
                self.db.enrolment_key(due.outbox).unwrap().unwrap()
            } else {
                let known = keys.iter().find(|known| known.agent == due.agent).unwrap();
                known.present.channel(Direction::ToAppliance, &due.agent, &center_id())
            };
            let center = center_id();
            let from = From {
                center: &center,
                address: ADDRESS,
                signer: None,
                follows: None,
                begins: None,
                date: self.now,
                latest: None,
                slot: None,
            };
            let to = due.address.clone();
            let outcome = (due.outbox, due.agent.clone(), Try::Accepted);
            let mail =
                write_mail(&outgoing, 1, &[(due, key)], from, Behind::Nothing, &mut self.random).unwrap();
            mails.push(Mail { to, raw: mail.raw.to_vec() });
            self.db.record_tries(&[outcome], self.now).unwrap();
        }
        mails
    }
}

/// A box on site, before and after it is an appliance.
pub(crate) struct Site {
    pub(crate) code: ProvisionalCode,
    pub(crate) half: EphemeralSecret,
    pub(crate) address: String,
    pub(crate) machine: String,
    pub(crate) devices: Vec<InventoryDevice>,
    pub(crate) center_key: Option<EphemeralPublic>,
    pub(crate) admission: Option<Admission>,
    /// Its credential, and the next one while a rotation is under way.
    pub(crate) credential: Option<Credential>,
    pub(crate) next: Option<Credential>,
    pub(crate) sequence: u64,
    pub(crate) follows: Option<u64>,
    pub(crate) begins: Option<u64>,
    /// What its clock says.
    pub(crate) made: Timestamp,
    pub(crate) boot: String,
    /// Messages of the center that it read, by kind.
    pub(crate) heard: Vec<String>,
    /// The newest rotation: number of its request, id of it, and our answer.
    rotated: Option<(u64, MessageId, Vec<u8>)>,
    pub(crate) numbers: Numbers,
}

impl Site {
    pub(crate) fn new(code: &ProvisionalCode, number: u64) -> Self {
        let mut numbers = random(number);
        Self {
            code: code.clone(),
            half: EphemeralSecret::generate(&mut numbers),
            address: format!("monitor{number}@site.example"),
            machine: format!("machine-{number}"),
            devices: (0..3).map(|nth| device(&format!("S{number}-{nth}"))).collect(),
            center_key: None,
            admission: None,
            credential: None,
            next: None,
            sequence: 0,
            follows: None,
            begins: None,
            made: start(),
            boot: format!("boot-{number}"),
            heard: Vec::new(),
            rotated: None,
            numbers: Box::new(numbers),
        }
    }

    /// The box starts again so many seconds after the day of the test began: it gives numbers of that second's epoch, the
    /// first of them `skipped` beyond its lowest.
    pub(crate) fn starts(&mut self, seconds: u32, skipped: u64, follows: u64) {
        let epoch = sequence::new_epoch(start(), 0) + seconds;
        self.sequence = sequence::first_of(epoch) + skipped - 1;
        self.follows = Some(follows);
        self.begins = Some(sequence::first_of(epoch) + skipped);
        self.made = sequence::began(epoch).unwrap();
    }

    pub(crate) fn session(&self) -> Session {
        let center = self.center_key.unwrap();
        let halves = Halves { appliance: self.half.public(), center };
        session(&self.code, &self.half, &center, halves).unwrap()
    }

    pub(crate) fn hello(&self) -> Vec<u8> {
        let hello = Hello { appliance_key: self.half.public(), reply_to: self.address.clone() };
        let key = self.code.channel(Direction::ToCenter);
        self.word(Enrolment::Hello(hello), &key, 1)
    }

    pub(crate) fn registration(&self) -> Vec<u8> {
        let registration = Registration {
            appliance_key: self.half.public(),
            address: self.address.clone(),
            hardware: Hardware { machine: self.machine.clone(), class: "x86_64".to_owned() },
            software: "1.0.00-1".parse().unwrap(),
            devices: self.devices.clone(),
            clock: start(),
        };
        let key = self.session().channel(Direction::ToCenter);
        self.word(Enrolment::Registration(registration), &key, 2)
    }

    /// The same word has the same id every time.
    pub(crate) fn word(&self, word: Enrolment, key: &ChannelKey, sequence: u64) -> Vec<u8> {
        let mut id = *self.half.public().to_string().as_bytes().first_chunk::<16>().unwrap();
        id[0] = u8::try_from(sequence).unwrap();
        let message = Message::Enrolment(word);
        let header = self.header(&message, self.code.id().into(), MessageId::from_bytes(id));
        self.sealed(&header, &message, key, sequence)
    }

    fn header(&self, message: &Message, sender: Sender, id: MessageId) -> Header {
        Header::new(message, sender, id, self.made, self.made + SignedDuration::from_hours(24 * 90))
    }

    fn sealed(&self, header: &Header, message: &Message, key: &ChannelKey, sequence: u64) -> Vec<u8> {
        let extras = Extras { signer: None, follows: self.follows, begins: self.begins, slot: None };
        let addressees = [Addressee { key, sequence }];
        let sealed =
            envelope::seal_with(header, message, &addressees, &extras, &mut random(sequence + 7)).unwrap();
        let letter =
            Letter { from: &self.address, to: Some(ADDRESS), header, date: header.created, sending: 1 };
        compose(&letter, &sealed)
    }

    /// A report under its credential; every one is another message.
    pub(crate) fn report(&mut self, report: Report) -> Vec<u8> {
        let credential = self.credential.clone().unwrap();
        self.report_under(&credential, report)
    }

    pub(crate) fn report_under(&mut self, credential: &Credential, report: Report) -> Vec<u8> {
        self.written(credential, report, None)
    }

    pub(crate) fn report_answering(&mut self, report: Report, command: Option<MessageId>) -> Vec<u8> {
        let credential = self.credential.clone().unwrap();
        self.written(&credential, report, command)
    }

    fn written(&mut self, credential: &Credential, report: Report, command: Option<MessageId>) -> Vec<u8> {
        self.sequence += 1;
        let agent = self.agent();
        let key = credential.channel(Direction::ToCenter, &agent, &center_id());
        let id = MessageId::generate(&mut self.numbers);
        let message = Message::Report(report);
        let header = self.header(&message, agent.into(), id).answering(command);
        self.sealed(&header, &message, &key, self.sequence)
    }

    pub(crate) fn health(&mut self) -> Vec<u8> {
        let report = Report::Health(HealthReport {
            software: "1.0.00-1".parse().unwrap(),
            uptime_secs: 60,
            boot_id: self.boot.clone(),
            devices: 3,
            devices_answering: 3,
            reports_waiting: 0,
            reports_expired: 0,
            junk: 0,
            sequence_seen: 0,
            last_fetch: None,
            standing: None,
            mangled: Default::default(),
            commands: None,
        });
        self.report(report)
    }

    /// Reads a mail; the mail that it writes in answer.
    pub(crate) fn take(&mut self, mail: &Mail) -> Option<Vec<u8>> {
        if mail.to != self.address {
            return None;
        }
        let Classified::Ours { attachment } = classify(&mail.raw, &Limits::default()) else {
            panic!("not ours")
        };
        let parcel = Parcel::split(&attachment, &Limits::default()).unwrap();
        let mut keys = vec![self.code.channel(Direction::ToAppliance)];
        if self.center_key.is_some() {
            keys.push(self.session().channel(Direction::ToAppliance));
        }
        let agent = self.admission.as_ref().map(|admission| admission.agent.clone());
        if let (Some(agent), Some(credential)) = (&agent, &self.credential) {
            keys.push(credential.channel(Direction::ToAppliance, agent, &center_id()));
            keys.extend(
                self.next.iter().map(|next| next.channel(Direction::ToAppliance, agent, &center_id())),
            );
        }
        let keys: Vec<_> = keys.iter().collect();
        let (nth, opened) =
            envelope::open_any(parcel.envelope, &keys, &Limits::default(), Timestamp::MIN).ok()?;
        if nth == 3 {
            // Heard under the next credential: the old one is dropped.
            self.credential = self.next.take();
        }
        let message = opened.message().unwrap();
        self.heard.push(message.kind().to_owned());
        match message {
            Message::Enrolment(Enrolment::Offer(offer)) => {
                assert_eq!(offer.appliance_key, self.half.public());
                self.center_key = Some(offer.center_key);
                Some(self.registration())
            }
            Message::Enrolment(Enrolment::Admission(admission)) => {
                assert_eq!(nth, 1, "an admission comes under the session, never under the code alone");
                self.credential = Some(admission.credential.clone());
                self.admission = Some(admission);
                Some(self.health())
            }
            Message::Command(Command::Ping(_)) => Some(self.health()),
            Message::Command(Command::RotateCredential(request)) => {
                match &self.rotated {
                    // The journal: the same request gets the same answer, one that was overtaken gets none.
                    Some((_, id, answer)) if *id == opened.header().message => return Some(answer.clone()),
                    Some((sequence, ..)) if opened.sequence() < *sequence => return None,
                    _ => {}
                }
                let ours = EphemeralSecret::generate(&mut self.numbers);
                let halves = Halves { appliance: ours.public(), center: request.center_key };
                let present = self.credential.clone().unwrap();
                let next =
                    rotation::next(&request.rotation, &present, &ours, &request.center_key, halves).unwrap();
                self.next = Some(next);
                let answer = mailfmt::message::report::RotationAnswer {
                    rotation: request.rotation,
                    appliance_key: ours.public(),
                };
                let answer = self.report(Report::CredentialRotated(answer));
                self.rotated = Some((opened.sequence(), opened.header().message, answer.clone()));
                Some(answer)
            }
            _ => None,
        }
    }

    pub(crate) fn agent(&self) -> AgentId {
        self.admission.as_ref().unwrap().agent.clone()
    }
}

pub(crate) fn device(serial: &str) -> InventoryDevice {
    InventoryDevice {
        id: Some(DeviceId {
            vendor: "Kyocera".to_owned(),
            model: "ECOSYS P2040dw".to_owned(),
            serial: serial.to_owned(),
        }),
        address: format!("10.0.0.{}", serial.len()),
        mac: None,
        state: DeviceState::Present,
    }
}

/// Lets center and box talk until nobody has anything to say.
pub(crate) fn talk(center: &mut Center, site: &mut Site, first: Option<Vec<u8>>) {
    let mut waiting: Vec<Vec<u8>> = first.into_iter().collect();
    for _ in 0..40 {
        for raw in waiting.drain(..) {
            center.read(&raw);
        }
        let mails = center.send();
        if mails.is_empty() {
            return;
        }
        waiting.extend(mails.iter().filter_map(|mail| site.take(mail)));
    }
    panic!("they talk for ever");
}

/// A box that went through all of it.
pub(crate) fn enrolled(center: &mut Center, code: &ProvisionalCode, number: u64) -> Site {
    let mut site = Site::new(code, number);
    let hello = site.hello();
    talk(center, &mut site, Some(hello));
    assert!(site.admission.is_some(), "not admitted");
    site
}
