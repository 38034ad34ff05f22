use super::*;
use mailfmt::crypto::{ChannelKey, Direction};
use mailfmt::{AgentId, CenterId};
use proptest::prelude::*;

fn random(seed: u64) -> impl FnMut(&mut [u8]) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |buffer: &mut [u8]| {
        for octet in buffer {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *octet = state.to_be_bytes()[0];
        }
    }
}

fn first() -> Credential {
    Credential::from_bytes([7; 32])
}

fn request(rotation: u8, seed: u64) -> (RotateRequest, EphemeralSecret) {
    let half = EphemeralSecret::generate(&mut random(seed));
    (RotateRequest { rotation: Nonce::from_bytes([rotation; 16]), center_key: half.public() }, half)
}

#[test]
fn the_same_request_gets_the_same_answer_and_a_newer_one_another() {
    let held = Held { current: first(), next: None };
    let (one, _) = request(1, 1);
    let next = held.agree(&one, 5, &mut random(50)).unwrap();
    let held = Held { next: Some(next.clone()), ..held };
    assert_eq!(held.agree(&one, 9, &mut random(51)).unwrap(), next, "also under another message id");
    let (two, _) = request(2, 2);
    assert_eq!(
        held.agree(&two, 4, &mut random(52)),
        Err(RotationRefused::Overtaken),
        "a late, older request"
    );
    let newer = held.agree(&two, 6, &mut random(53)).unwrap();
    assert_ne!(newer.credential, next.credential);
    assert_eq!(newer.answer(), RotationAnswer { rotation: two.rotation, appliance_key: newer.appliance_key });
}

#[test]
fn a_half_that_is_no_key_changes_nothing() {
    let weak = EphemeralPublic::try_from("0".repeat(64)).unwrap();
    let request = RotateRequest { rotation: Nonce::from_bytes([1; 16]), center_key: weak };
    let held = Held { current: first(), next: None };
    assert_eq!(held.agree(&request, 1, &mut random(1)), Err(RotationRefused::Weak(WeakKey)));
}

#[test]
fn who_knows_the_old_credential_and_hears_everything_does_not_learn_the_next() {
    let held = Held { current: first(), next: None };
    let (request, _) = request(1, 1);
    let next = held.agree(&request, 1, &mut random(50)).unwrap();
    // What is heard: both halves and the rotation; what is known: the old credential. A half of his own does not help.
    for seed in 100..120 {
        let own = EphemeralSecret::generate(&mut random(seed));
        for halves in [
            Halves { appliance: next.appliance_key, center: request.center_key },
            Halves { appliance: own.public(), center: request.center_key },
            Halves { appliance: next.appliance_key, center: own.public() },
        ] {
            for theirs in [request.center_key, next.appliance_key] {
                let guess =
                    mailfmt::rotation::next(&request.rotation, &first(), &own, &theirs, halves).unwrap();
                assert_ne!(guess, next.credential);
            }
        }
    }
    assert_ne!(
        held.settled().current,
        next.credential,
        "and nothing is settled before the center has used it"
    );
}

/// The center's side as `mailfmt::rotation` describes it.
#[derive(Clone)]
struct Center {
    current: Credential,
    previous: Option<Credential>,
    pending: Option<(RotateRequest, EphemeralSecret)>,
    sequence: u64,
    rotations: u8,
}

#[derive(Clone, Debug)]
enum Mail {
    Request { under: Credential, sequence: u64, request: RotateRequest },
    ToAppliance { under: Credential },
    Answer { under: Credential, answer: RotationAnswer },
    ToCenter { under: Credential },
}

struct World {
    center: Center,
    held: Held,
    to_appliance: Vec<Mail>,
    to_center: Vec<Mail>,
    seed: u64,
}

impl World {
    fn new() -> Self {
        let center = Center { current: first(), previous: None, pending: None, sequence: 0, rotations: 0 };
        let held = Held { current: first(), next: None };
        Self { center, held, to_appliance: Vec::new(), to_center: Vec::new(), seed: 1 }
    }

    fn begin(&mut self) {
        self.seed += 1;
        self.center.rotations = self.center.rotations.wrapping_add(1);
        self.center.pending = Some(request(self.center.rotations, self.seed));
        self.ask();
    }

    /// The center's outbox repeats what was not answered.
    fn ask(&mut self) {
        self.center.sequence += 1;
        if let Some((request, _)) = &self.center.pending {
            let (under, sequence) = (self.center.current.clone(), self.center.sequence);
            self.to_appliance.push(Mail::Request { under, sequence, request: request.clone() });
        }
    }

    fn speak(&mut self) {
        self.to_appliance.push(Mail::ToAppliance { under: self.center.current.clone() });
        self.to_center.push(Mail::ToCenter { under: self.held.current.clone() });
    }

    /// A mail arrives at the appliance. `cut` is how many durable steps it lives to see: the mail stays in the mailbox then.
    fn arrive(&mut self, mail: &Mail, cut: Option<u8>) {
        let (Mail::Request { under, .. } | Mail::ToAppliance { under }) = mail else { return };
        if *under != self.held.current {
            if self.held.next.as_ref().is_none_or(|next| next.credential != *under) {
                return;
            }
            if cut == Some(0) {
                return;
            }
            // Current replaced, and killed before the next one is removed: reading filters it out.
            self.held = self.held.clone().settled();
        }
        let Mail::Request { sequence, request, .. } = mail else { return };
        self.seed += 1;
        let Ok(next) = self.held.agree(request, *sequence, &mut random(self.seed)) else { return };
        if cut == Some(1) {
            return;
        }
        self.held.next = Some(next.clone());
        if cut == Some(2) {
            return;
        }
        self.to_center.push(Mail::Answer { under: self.held.current.clone(), answer: next.answer() });
    }

    fn arrive_at_center(&mut self, mail: &Mail) {
        let (Mail::Answer { under, .. } | Mail::ToCenter { under }) = mail else { return };
        let center = &mut self.center;
        if *under == center.current {
            center.previous = None;
        } else if center.previous.as_ref() != Some(under) {
            return;
        }
        let Mail::Answer { answer, under } = mail else { return };
        let fits = center.pending.as_ref().is_some_and(|(request, _)| request.rotation == answer.rotation);
        if !fits || *under != center.current {
            return;
        }
        let Some((request, half)) = center.pending.take() else { return };
        let halves = Halves { appliance: answer.appliance_key, center: request.center_key };
        let next =
            mailfmt::rotation::next(&answer.rotation, &center.current, &half, &answer.appliance_key, halves)
                .unwrap();
        center.previous = Some(std::mem::replace(&mut center.current, next));
    }

    fn is_heard(&self) -> bool {
        let taken = [Some(&self.held.current), self.held.next.as_ref().map(|next| &next.credential)];
        let center = [Some(&self.center.current), self.center.previous.as_ref()];
        taken.contains(&Some(&self.center.current)) && center.contains(&Some(&self.held.current))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Mails lost, doubled, delayed, kills between any two durable steps, rotations begun before the last was over: there is
    /// always a credential that the other side takes, in both directions, and in the end both have the same.
    #[test]
    fn there_is_no_moment_in_which_neither_key_works(
        steps in proptest::collection::vec((0..8u8, any::<proptest::sample::Index>(), 0..3u8), 1..60)
    ) {
        let mut world = World::new();
        for (step, which, cut) in steps {
            match step {
                0 => world.begin(),
                1 => world.speak(),
                2 => world.ask(),
                // Delivered and kept: it comes again.
                3 | 4 if !world.to_appliance.is_empty() => {
                    let mail = which.get(&world.to_appliance).clone();
                    world.arrive(&mail, (step == 4).then_some(cut));
                }
                5 | 6 if !world.to_center.is_empty() => {
                    let mail = which.get(&world.to_center).clone();
                    world.arrive_at_center(&mail);
                }
                7 if !world.to_appliance.is_empty() => {
                    let lost = which.index(world.to_appliance.len());
                    world.to_appliance.remove(lost);
                }
                _ => {}
            }
            prop_assert!(world.is_heard(), "after step {step}");
        }
        world.begin();
        for _ in 0..3 {
            world.ask();
            world.speak();
            for mail in std::mem::take(&mut world.to_appliance) { world.arrive(&mail, None) }
            for mail in std::mem::take(&mut world.to_center) { world.arrive_at_center(&mail) }
        }
        prop_assert_eq!(&world.held.current, &world.center.current);
        prop_assert!(world.held.next.is_none() && world.center.previous.is_none());
        prop_assert!(world.held.current != first());
    }
}

#[test]
fn after_a_rotation_the_old_credential_opens_nothing() {
    let (agent, center) = (AgentId::new("AGENT0000001").unwrap(), CenterId::new("CENTER").unwrap());
    let held = Held { current: first(), next: None };
    let (request, _) = request(1, 1);
    let next = held.agree(&request, 1, &mut random(50)).unwrap();
    let held = Held { next: Some(next), ..held }.settled();
    let key = |credential: &Credential| -> ChannelKey {
        credential.channel(Direction::ToAppliance, &agent, &center)
    };
    let message = mailfmt::Message::Command(mailfmt::Command::Ping(Default::default()));
    let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let id = mailfmt::MessageId::from_bytes([1; 16]);
    let header = mailfmt::envelope::Header::new(&message, center.clone().into(), id, now, now);
    let sealed = mailfmt::envelope::seal(
        &header,
        &message,
        &[mailfmt::envelope::Addressee { key: &key(&held.current), sequence: 1 }],
        &mut random(3),
    )
    .unwrap();
    let limits = mailfmt::Limits::default();
    assert!(mailfmt::envelope::open(&sealed, &key(&held.current), &limits, now).is_ok());
    assert!(mailfmt::envelope::open(&sealed, &key(&first()), &limits, now).is_err());
}
