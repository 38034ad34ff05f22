//! Whatever happens in whatever order, every target comes to one verdict.

use super::*;
use center_manager::rollout::Target;
use mailfmt::Nonce;
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Happening {
    minutes: i64,
    to: usize,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Transport(PostKind, TransportOutcome),
    Installer { answers_order: bool, skew_mins: i64, outcome: UpdateOutcome },
    NotDone(PostKind),
    Version { nonce: WhichNonce, skew_mins: i64, finding: Finding },
}

#[derive(Debug, Clone, Copy)]
enum WhichNonce {
    None,
    Current,
    First,
    Foreign,
}

fn happening() -> impl Strategy<Value = Happening> {
    let kind = || prop_oneof![Just(PostKind::Order), Just(PostKind::Ask)];
    let reason = || "busy".to_owned();
    let transport = prop_oneof![
        6 => Just(TransportOutcome::Accepted),
        1 => Just(TransportOutcome::Delayed { reason: reason() }),
        1 => Just(TransportOutcome::Bounced { reason: reason() }),
    ];
    let outcome = prop_oneof![
        Just(UpdateOutcome::Installed),
        Just(UpdateOutcome::Waiting { reason: reason() }),
        Just(UpdateOutcome::Refused { reason: reason() }),
        Just(UpdateOutcome::Undone { reason: reason() }),
    ];
    let nonce = prop_oneof![
        Just(WhichNonce::None),
        Just(WhichNonce::Current),
        Just(WhichNonce::First),
        Just(WhichNonce::Foreign)
    ];
    let finding = prop_oneof![Just(Finding::Same), Just(other("1.0.00-1")), Just(mixed())];
    let skew = || prop_oneof![4 => -90i64..90, 1 => Just(-5_000_000i64), 1 => Just(5_000_000i64)];
    let what = prop_oneof![
        4 => (kind(), transport).prop_map(|(kind, outcome)| What::Transport(kind, outcome)),
        1 => (any::<bool>(), skew(), outcome).prop_map(|(answers_order, skew_mins, outcome)| {
            What::Installer { answers_order, skew_mins, outcome }
        }),
        1 => kind().prop_map(What::NotDone),
        3 => (nonce, skew(), finding)
            .prop_map(|(nonce, skew_mins, finding)| What::Version { nonce, skew_mins, finding }),
    ];
    (0i64..400, 1usize..=3, what).prop_map(|(minutes, to, what)| Happening { minutes, to, what })
}

fn event(world: &World, target: &Target, what: &What) -> Option<TargetEvent> {
    let (order, ask) = target.mails();
    let message = |kind: &PostKind| match kind {
        PostKind::Order => order.map(|order| order.message),
        PostKind::Ask => ask.map(|ask| ask.message),
        PostKind::Recall => None,
    };
    let created = |skew: &i64| world.now + SignedDuration::from_mins(*skew);
    Some(match what {
        What::Transport(kind, outcome) => {
            TargetEvent::Transport { message: message(kind)?, outcome: outcome.clone() }
        }
        What::Installer { answers_order, skew_mins, outcome } => TargetEvent::Result {
            answers: message(&PostKind::Order).filter(|_| *answers_order),
            created: created(skew_mins),
            outcome: outcome.clone(),
        },
        What::NotDone(kind) => TargetEvent::NotDone { answers: message(kind)?, reason: "unknown".to_owned() },
        What::Version { nonce, skew_mins, finding } => TargetEvent::Version {
            nonce: match nonce {
                WhichNonce::None => None,
                WhichNonce::Current => Some(ask?.nonce),
                WhichNonce::First => Some(*target.nonces.first()?),
                WhichNonce::Foreign => Some(Nonce::from_bytes([0xff; 16])),
            },
            created: created(skew_mins),
            finding: finding.clone(),
        },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_target_ends_with_one_verdict_and_only_a_matching_report_makes_a_success(
        happenings in proptest::collection::vec(happening(), 0..60),
        retries in 0u32..3,
    ) {
        let mut world = World::new(3, retries);
        let mut matching = [false; 4];
        for Happening { minutes, to, what } in &happenings {
            world.later(*minutes);
            let target = world.targets[&agent(*to)].clone();
            let Some(event) = event(&world, &target, what) else { continue };
            let current = world.nonce(&agent(*to));
            world.hear(&agent(*to), &event);
            world.step();
            if let TargetEvent::Version { nonce, created, finding } = &event {
                matching[*to] |= *finding == Finding::Same;
                let newer = target.answer.as_ref().is_none_or(|answer| !answer.asked || answer.created <= *created);
                if current.is_some() && *nonce == current && newer {
                    // However late: the answer to our question decides, and corrects.
                    let updated = world.verdict(&agent(*to)) == Some(&Verdict::Updated);
                    prop_assert_eq!(updated, *finding == Finding::Same);
                }
            }
            for (number, matching) in matching.iter().enumerate().skip(1) {
                let updated = world.verdict(&agent(number)) == Some(&Verdict::Updated);
                prop_assert!(!updated || *matching, "{} without a matching report", agent(number));
            }
        }
        // A mail server may try for five days, and windows come once a day.
        // Orders that were lost on their way use up no round, but three more at most.
        let attempts = if retries == 0 { 1 } else { retries + 1 + 3 };
        for _ in 0..10 * attempts {
            world.later(24 * 60);
            world.mail_is_accepted();
        }
        prop_assert_eq!(world.decided(), 3);
        prop_assert!(world.rollout.finished.is_some());
        for target in world.targets.values() {
            prop_assert!(target.attempt <= attempts);
        }
    }
}
