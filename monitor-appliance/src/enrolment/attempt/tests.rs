use super::*;
use mailfmt::crypto::Credential;
use mailfmt::message::DeviceId;
use mailfmt::message::enrolment::FirstSettings;
use mailfmt::message::report::DeviceState;
use mailfmt::trust::SignedRoot;

fn at(secs: i64) -> Timestamp {
    let start: Timestamp = "2026-03-04T05:06:07Z".parse().unwrap();
    start.saturating_add(SignedDuration::from_secs(secs)).unwrap()
}

/// Numbers that repeat from run to run, and never within one.
fn counting(seed: u8) -> impl FnMut(&mut [u8]) {
    let mut next = u64::from(seed) << 32;
    move |buffer: &mut [u8]| {
        for octet in buffer {
            next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *octet = next.to_be_bytes()[0];
        }
    }
}

fn code(seed: u8) -> ProvisionalCode {
    ProvisionalCode::generate(&mut counting(seed))
}

fn order() -> Order {
    let device = |serial: &str| InventoryDevice {
        id: Some(DeviceId { vendor: "Maker".into(), model: "One".into(), serial: serial.into() }),
        address: format!("192.0.2.{serial}"),
        mac: None,
        state: DeviceState::Present,
    };
    Order {
        code: code(1),
        center_address: "center@center.example".into(),
        address: "box@site.example".into(),
        hardware: Hardware { machine: "a1".repeat(32), class: "x86_64".into() },
        software: SoftwareVersion::new("1.0.00-1").unwrap(),
        devices: vec![device("1"), device("2")],
        root_fingerprint: None,
    }
}

type Numbers = Box<dyn FnMut(&mut [u8])>;

/// The center's side: a half of its own, and the code.
struct Center {
    code: ProvisionalCode,
    half: EphemeralSecret,
    random: Numbers,
}

impl Center {
    fn new(seed: u8) -> Self {
        let half = EphemeralSecret::generate(&mut counting(seed));
        Self { code: code(1), half, random: Box::new(counting(seed ^ 0x80)) }
    }

    fn session(&self, appliance: EphemeralPublic) -> Session {
        let halves = Halves { appliance, center: self.half.public() };
        session(&self.code, &self.half, &appliance, halves).unwrap()
    }

    fn open(&self, raw: &[u8], key: &ChannelKey) -> Option<Enrolment> {
        let Classified::Ours { attachment } = classify(raw, &Limits::default()) else { return None };
        let parcel = Parcel::split(&attachment, &Limits::default()).unwrap();
        assert_eq!(parcel.claimed.header.sender, self.code.id().into());
        match open(parcel.envelope, key, &Limits::default(), at(0)).ok()?.message().unwrap() {
            Message::Enrolment(message) => Some(message),
            other => panic!("{other:?}"),
        }
    }

    fn hello(&self, raw: &[u8]) -> Option<Hello> {
        match self.open(raw, &self.code.channel(Direction::ToCenter))? {
            Enrolment::Hello(hello) => Some(hello),
            other => panic!("{other:?}"),
        }
    }

    fn registration(&self, raw: &[u8], appliance: EphemeralPublic) -> Option<Registration> {
        match self.open(raw, &self.session(appliance).channel(Direction::ToCenter))? {
            Enrolment::Registration(registration) => Some(registration),
            other => panic!("{other:?}"),
        }
    }

    fn mail(&mut self, message: Enrolment, key: &ChannelKey) -> Vec<u8> {
        let message = Message::Enrolment(message);
        let id = MessageId::generate(&mut self.random);
        let sender = mailfmt::CenterId::new("CENTER").unwrap().into();
        let header = Header::new(&message, sender, id, at(0), at(600));
        let sealed = seal(&header, &message, &[Addressee { key, sequence: 1 }], &mut self.random).unwrap();
        let letter = Letter {
            from: "center@center.example",
            to: None,
            header: &header,
            date: header.created,
            sending: 1,
        };
        compose(&letter, &sealed)
    }

    fn offer(&mut self, appliance_key: EphemeralPublic) -> Vec<u8> {
        let offer = Offer { appliance_key, center_key: self.half.public() };
        let key = self.code.channel(Direction::ToAppliance);
        self.mail(Enrolment::Offer(offer), &key)
    }

    fn admission(&mut self, appliance_key: EphemeralPublic, address: &str) -> Vec<u8> {
        self.admission_with(appliance_key, address, Vec::new())
    }

    fn admission_with(
        &mut self,
        appliance_key: EphemeralPublic,
        address: &str,
        roots: Vec<SignedRoot>,
    ) -> Vec<u8> {
        let admission = Admission {
            appliance_key,
            agent: "AGENT0000007".parse().unwrap(),
            credential: Credential::from_bytes([9; 32]),
            center: "CENTER".parse().unwrap(),
            center_addresses: vec![address.to_owned()],
            roots,
            settings: FirstSettings::default(),
            remarks: Vec::new(),
        };
        let key = self.session(appliance_key).channel(Direction::ToAppliance);
        self.mail(Enrolment::Admission(admission), &key)
    }
}

fn begun() -> Attempt {
    Attempt::begin(order(), at(0), &mut counting(2))
}

fn send(attempt: &mut Attempt, now: Timestamp) -> Vec<u8> {
    match attempt.handle(Event::Due, now, &mut counting(3)).as_slice() {
        [Action::Send(raw)] => raw.clone(),
        other => panic!("{other:?}"),
    }
}

fn mail(attempt: &mut Attempt, raw: &[u8]) -> Vec<Action> {
    attempt.handle(Event::Mail(raw), at(1), &mut counting(4))
}

/// As after a kill: only what was stored is left.
fn restarted(attempt: &Attempt) -> Attempt {
    serde_json::from_slice(&serde_json::to_vec(attempt).unwrap()).unwrap()
}

fn admitted(attempt: &Attempt) -> &Admission {
    match attempt.stage() {
        Stage::Admitted { admission, .. } => admission,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_enrolment_takes_four_mails_and_registers_everything_that_was_found() {
    let (mut attempt, mut center) = (begun(), Center::new(9));
    let hello = center.hello(&send(&mut attempt, at(0))).unwrap();
    assert_eq!(hello.reply_to, "box@site.example");
    let offer = center.offer(hello.appliance_key);
    assert_eq!(mail(&mut attempt, &offer), [Action::Store, Action::Delete]);
    let registration = center.registration(&send(&mut attempt, at(2)), hello.appliance_key).unwrap();
    assert_eq!(registration.devices, order().devices);
    assert_eq!(registration.hardware, order().hardware);
    let admission = center.admission(hello.appliance_key, "center@center.example");
    assert_eq!(mail(&mut attempt, &admission), [Action::Store, Action::Delete]);
    assert_eq!(admitted(&attempt).agent.as_str(), "AGENT0000007");
    assert_eq!(attempt.due(&Pace::default(), at(9)), None);
    assert!(attempt.handle(Event::Due, at(9), &mut counting(3)).is_empty());
}

#[test]
fn an_enrolment_that_is_killed_after_any_step_goes_on_where_it_was() {
    let (mut attempt, mut center) = (begun(), Center::new(9));
    attempt = restarted(&attempt);
    let first = center.hello(&send(&mut attempt, at(0))).unwrap();
    // Killed after the mail was handed in and before that was stored: it is sent once more.
    let mut attempt = restarted(&begun());
    let hello = center.hello(&send(&mut attempt, at(1))).unwrap();
    assert_eq!(hello, first, "the same attempt");
    mail(&mut attempt, &center.offer(hello.appliance_key));
    let mut attempt = restarted(&attempt);
    center.registration(&send(&mut attempt, at(2)), hello.appliance_key).unwrap();
    attempt.handle(Event::HandedIn, at(2), &mut counting(3));
    let mut attempt = restarted(&attempt);
    mail(&mut attempt, &center.admission(hello.appliance_key, "center@center.example"));
    assert_eq!(admitted(&restarted(&attempt)).credential, Credential::from_bytes([9; 32]));
}

#[test]
fn doubled_and_reordered_mails_change_nothing() {
    let (mut attempt, mut center) = (begun(), Center::new(9));
    let hello = center.hello(&send(&mut attempt, at(0))).unwrap();
    let (offer, admission) =
        (center.offer(hello.appliance_key), center.admission(hello.appliance_key, "center@center.example"));
    assert!(
        mail(&mut attempt, &admission).is_empty(),
        "an admission before the offer cannot be opened yet: it stays"
    );
    mail(&mut attempt, &offer);
    let after_offer = attempt.clone();
    assert_eq!(mail(&mut attempt, &offer), [Action::Delete]);
    assert_eq!(attempt, after_offer);
    mail(&mut attempt, &admission);
    let after_admission = attempt.clone();
    for again in [&offer, &admission] {
        mail(&mut attempt, again);
        assert_eq!(attempt, after_admission);
    }
}

#[test]
fn a_second_offer_with_another_half_does_not_change_the_session() {
    let (mut attempt, mut center, mut other) = (begun(), Center::new(9), Center::new(10));
    let hello = center.hello(&send(&mut attempt, at(0))).unwrap();
    mail(&mut attempt, &center.offer(hello.appliance_key));
    assert_eq!(mail(&mut attempt, &other.offer(hello.appliance_key)), [Action::Delete]);
    assert!(center.registration(&send(&mut attempt, at(1)), hello.appliance_key).is_some());
}

#[test]
fn answers_to_an_attempt_that_was_given_up_are_worth_nothing() {
    let (mut old, mut center) = (begun(), Center::new(9));
    let hello = center.hello(&send(&mut old, at(0))).unwrap();
    let replayed = [center.offer(hello.appliance_key), center.admission(hello.appliance_key, "a@b.example")];
    let mut attempt = Attempt::begin(order(), at(5), &mut counting(77));
    let before = attempt.clone();
    assert_eq!(
        mail(&mut attempt, &replayed[0]),
        [Action::Delete],
        "authentic under the code, but not for this attempt"
    );
    assert!(mail(&mut attempt, &replayed[1]).is_empty());
    assert_eq!(attempt, before);
}

#[test]
fn who_has_not_the_code_gets_no_word_in_and_reads_nothing() {
    let (mut attempt, mut stranger) = (begun(), Center::new(9));
    stranger.code = code(66);
    let raw = send(&mut attempt, at(0));
    let Classified::Ours { attachment } = classify(&raw, &Limits::default()) else { panic!() };
    assert!(
        open(&attachment, &stranger.code.channel(Direction::ToCenter), &Limits::default(), at(0)).is_err()
    );
    let own = attempt.half.0.public();
    let before = attempt.clone();
    for forged in [stranger.offer(own), stranger.admission(own, "thief@evil.example")] {
        assert!(mail(&mut attempt, &forged).is_empty());
    }
    assert_eq!(attempt, before);
}

#[test]
fn mail_that_is_none_of_ours_stays_where_it_is() {
    let mut attempt = begun();
    for raw in [
        b"Subject: lunch\r\n\r\nat noon?\r\n".to_vec(),
        b"\xff\x00".to_vec(),
        Vec::new(),
        send(&mut begun(), at(0)),
    ] {
        assert!(mail(&mut attempt, &raw).is_empty());
    }
}

#[test]
fn a_weak_half_and_a_useless_admission_are_told_and_change_nothing() {
    let (mut attempt, mut center) = (begun(), Center::new(9));
    let hello = center.hello(&send(&mut attempt, at(0))).unwrap();
    let weak: EphemeralPublic = "00".repeat(32).try_into().unwrap();
    let key = center.code.channel(Direction::ToAppliance);
    let offer = Offer { appliance_key: hello.appliance_key, center_key: weak };
    let told = mail(&mut attempt, &center.mail(Enrolment::Offer(offer), &key));
    assert!(matches!(told[..], [Action::Tell(Notice::Unusable { .. }), Action::Delete]));
    assert_eq!(*attempt.stage(), Stage::Greeting);
    mail(&mut attempt, &center.offer(hello.appliance_key));
    let told = mail(&mut attempt, &center.admission(hello.appliance_key, "no address"));
    assert!(matches!(told[..], [Action::Tell(Notice::Unusable { .. }), Action::Delete]));
    assert!(matches!(attempt.stage(), Stage::Registering { .. }));
}

#[test]
fn a_registration_names_the_offer_that_it_answers() {
    let header = |raw: &[u8]| {
        let Classified::Ours { attachment } = classify(raw, &Limits::default()) else { panic!("not ours") };
        Parcel::split(&attachment, &Limits::default()).unwrap().claimed.header
    };
    let (mut attempt, mut center) = (begun(), Center::new(9));
    let hello = center.hello(&send(&mut attempt, at(0))).unwrap();
    let offer = center.offer(hello.appliance_key);
    mail(&mut attempt, &offer);
    let registration = send(&mut restarted(&attempt), at(2));
    assert_eq!(header(&registration).in_reply_to, Some(header(&offer).message));
}

#[test]
fn somebody_else_who_has_the_code_cannot_bring_other_roots_than_the_sheet_names() {
    // What counts here is only which document it is.
    let root = |json: &str| {
        let length = u32::try_from(json.len()).unwrap().to_be_bytes();
        SignedRoot::from_octets([b"MFR1".as_slice(), &length, json.as_bytes(), &[0]].concat())
    };
    let (ours, theirs) = (root("ours"), root("theirs"));
    let order = Order { root_fingerprint: ours.fingerprint(), ..order() };
    let mut attempt = Attempt::begin(order, at(0), &mut counting(2));
    let mut center = Center::new(9);
    let hello = center.hello(&send(&mut attempt, at(0))).unwrap();
    mail(&mut attempt, &center.offer(hello.appliance_key));
    let mut attempt = restarted(&attempt);
    for roots in [Vec::new(), vec![theirs.clone()]] {
        let raw = center.admission_with(hello.appliance_key, "thief@else.example", roots);
        let told = mail(&mut attempt, &raw);
        assert!(matches!(told[..], [Action::Tell(Notice::Unusable { .. }), Action::Delete]), "{told:?}");
        assert!(matches!(attempt.stage(), Stage::Registering { .. }));
    }
    let raw = center.admission_with(hello.appliance_key, "center@center.example", vec![theirs, ours]);
    mail(&mut attempt, &raw);
    assert_eq!(admitted(&attempt).center_addresses, ["center@center.example"]);
}

#[test]
fn what_is_not_answered_is_sent_again_under_the_same_id_in_growing_pauses() {
    let (mut attempt, pace) = (begun(), Pace::default());
    let mut now = at(0);
    let mut ids = Vec::new();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        assert_eq!(attempt.due(&pace, now), Some(now));
        let raw = send(&mut attempt, now);
        let Classified::Ours { attachment } = classify(&raw, &Limits::default()) else { panic!() };
        ids.push(Parcel::split(&attachment, &Limits::default()).unwrap().claimed.header.message);
        assert_eq!(attempt.handle(Event::HandedIn, now, &mut counting(1)), [Action::Store]);
        let due = attempt.due(&pace, now).unwrap();
        pauses.push(due.duration_since(now).as_secs());
        now = due;
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(pauses, [60, 120, 240, 480, 960, 1800, 1800, 1800]);
}

#[test]
fn a_server_that_is_away_is_tried_again_soon_and_then_less_often() {
    let (mut attempt, pace) = (begun(), Pace::default());
    let mut pauses = Vec::new();
    for _ in 0..8 {
        attempt.handle(Event::NotHandedIn, at(0), &mut counting(1));
        pauses.push(attempt.due(&pace, at(0)).unwrap().duration_since(at(0)).as_secs());
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300]);
    assert_eq!(attempt.asked(), None);
    attempt.handle(Event::HandedIn, at(9), &mut counting(1));
    assert_eq!(attempt.asked(), Some(at(9)));
}

#[test]
fn a_clock_that_was_set_back_does_not_silence_an_attempt() {
    let (mut attempt, pace) = (begun(), Pace::default());
    attempt.handle(Event::HandedIn, at(1_000_000), &mut counting(1));
    assert_eq!(attempt.due(&pace, at(5)), Some(at(5)));
}

#[test]
fn a_clock_ten_years_off_hinders_no_enrolment() {
    for years in [-10, 10] {
        let (mut center, wrong) = (Center::new(9), at(years * 366 * 24 * 3600));
        let mut attempt = Attempt::begin(order(), wrong, &mut counting(2));
        // The center opens by its own, right clock.
        let hello = center.hello(&send(&mut attempt, wrong)).unwrap();
        let offer = center.offer(hello.appliance_key);
        attempt.handle(Event::Mail(&offer), wrong, &mut counting(4));
        let registration = center.registration(&send(&mut attempt, wrong), hello.appliance_key).unwrap();
        assert_eq!(registration.clock, wrong, "the center sees that the clock is wrong");
        let admission = center.admission(hello.appliance_key, "center@center.example");
        attempt.handle(Event::Mail(&admission), wrong, &mut counting(4));
        assert_eq!(attempt.admitted_at(), Some(at(0)), "and the box learns the time");
    }
}

#[test]
fn a_bounce_of_our_mail_says_that_the_address_is_wrong() {
    let mut attempt = begun();
    let id = attempt.sending.message;
    let bounce = format!(
        "From: MAILER-DAEMON@site.example\r\nTo: box@site.example\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nsorry\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; site.example\r\n\r\n\
         Final-Recipient: rfc822; centre@center.example\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 no such user\r\n\r\n\
         --b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{id}.1@site.example>\r\n\r\n--b--\r\n"
    );
    let told = mail(&mut attempt, bounce.as_bytes());
    let [Action::Tell(Notice::Bounced { diagnostic }), Action::Delete] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(diagnostic.contains("no such user"), "{diagnostic}");
    let foreign = bounce.replace(&id.to_string(), &"0".repeat(32));
    assert!(mail(&mut attempt, foreign.as_bytes()).is_empty(), "a bounce of another mail is not ours");
}

#[test]
fn secrets_of_an_attempt_are_stored_and_never_printed() {
    let attempt = begun();
    let stored = serde_json::to_string(&attempt).unwrap();
    let (code, half) = (order().code.expose(), attempt.half.0.expose_hex());
    assert!(stored.contains(code.as_str()) && stored.contains(half.as_str()), "a restart needs them");
    let printed = format!("{attempt:?}");
    assert!(!printed.contains(code.as_str()) && !printed.contains(half.as_str()), "{printed}");
}
