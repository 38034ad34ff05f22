//! What a person sees of a rollout: the live view, and for every row that is no success a reason and a command that can be
//! typed as it stands.
#![allow(clippy::unwrap_used, reason = "a test ends where it finds something unexpected")]

#[allow(dead_code, reason = "not every test needs all of the world")]
mod world;

use center_manager::cli::Cli;
use center_manager::db::events::Event;
use center_manager::report::{Live, MailUse, Mark, Watched, in_one_line, lines};
use center_manager::rollout::{
    Ask, Course, Failure, Mode, Order, PartsSent, Progress, Stand, Target, TargetState, Transport, Verdict,
};
use clap::Parser as _;
use jiff::SignedDuration;
use mailfmt::message::report::UpdateOutcome;
use mailfmt::{MessageId, Nonce};
use std::collections::BTreeSet;
use std::path::Path;
use world::{World, agent, other, time, version};

/// Compares with a checked-in file; `UPDATE_EXPECTED=1` writes it anew, to be read like code.
fn check(found: &str, file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected").join(file);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&path).unwrap_or_default(), "differs from {}", path.display());
}

fn event(world: &World, number: usize, what: &str, detail: &str) -> Event {
    Event { at: world.now, agent: agent(number), what: what.to_owned(), detail: detail.to_owned() }
}

fn live(world: &World, events: &[Event], mail: &[MailUse]) -> Live {
    let watched =
        Watched { rollout: &world.rollout, targets: &world.targets, events, mail, daemon_late: false };
    Live::of(&watched, world.now)
}

fn released(world: &mut World, waves: u32) {
    let stand =
        Stand { released: waves, released_at: Some(world.now), met: None, ..world.rollout.stand.clone() };
    world.rollout.stand = stand;
}

/// 40 appliances in waves of 4, 16 and 20: the first is through, in the second all kinds of things happened.
fn second_wave() -> World {
    let mut world = World::new(40, 0);
    world.rollout.course = Course::parse("4,50%,100%", 3_600, false).unwrap();
    for (nth, target) in world.targets.values_mut().enumerate() {
        target.wave = if nth < 4 {
            0
        } else if nth < 20 {
            1
        } else {
            2
        };
    }
    world.until_asked();
    for number in 1..=4 {
        world.answers(&agent(number), center_manager::rollout::Finding::Same);
    }
    world.step();
    world.now += SignedDuration::from_mins(60);
    released(&mut world, 2);
    world.step();
    world.mail_is_accepted();
    world.later(10);
    world.mail_is_accepted();
    for number in 5..=12 {
        world.answers(&agent(number), center_manager::rollout::Finding::Same);
    }
    world.installer_says(&agent(13), UpdateOutcome::Waiting { reason: "outside of its hours".to_owned() });
    world.answers(&agent(14), other("1.0.00-1"));
    world.step();
    world
}

#[test]
fn a_terminal_of_eighty_columns_shows_waves_ladders_errors_and_what_to_type() {
    let world = second_wave();
    let events = [
        event(&world, 14, "failed", "other version 1.0.00-1"),
        event(&world, 12, "updated", ""),
        event(&world, 13, "waiting", "outside of its hours"),
    ];
    let account =
        |what, span_secs, used, most| MailUse { account: "main".to_owned(), what, span_secs, used, most };
    let mail = [account("mails", 60, 12, 30), account("recipients", 86_400, 240, 10_000)];
    let live = live(&world, &events, &mail);
    check(&(lines(&live, 80, 40).join("\n") + "\n"), "watch-80.txt");
    check(&(lines(&live, 60, 18).join("\n") + "\n"), "watch-60.txt");
    assert_eq!(in_one_line(&live), "12 updated, 1 failed, 27 open, 40 in all; wave 2 of 3; running");
}

#[test]
fn no_line_is_wider_and_no_picture_higher_than_the_terminal() {
    let world = second_wave();
    let hostile = "\u{1b}[2J\u{202e}漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字".repeat(4);
    let events: Vec<_> = (1..40).map(|number| event(&world, number, "bounced", &hostile)).collect();
    let live = live(&world, &events, &[]);
    for (width, height) in [(40, 10), (79, 23), (80, 40), (200, 60), (1_000, 200)] {
        let drawn = lines(&live, width, height);
        assert!(drawn.len() <= height, "{} lines in {height}", drawn.len());
        for line in &drawn {
            assert!(console::measure_text_width(line) <= width, "{line:?} is wider than {width}");
            assert!(!line.contains('\u{1b}') && !line.contains('\u{202e}'), "{line:?}");
        }
    }
}

#[test]
fn what_the_next_wave_waits_for_is_told_in_every_mode_with_a_command() {
    let mut world = second_wave();
    let told = |world: &World| live(world, &[], &[]).next_wave;
    assert_eq!(
        told(&world).words,
        "wave 3 waits until 15 of 16 appliances of wave 2 are updated (90 %); 8 are"
    );
    for number in 13..=20 {
        world.answers(&agent(number), center_manager::rollout::Finding::Same);
    }
    world.step();
    let pause = told(&world);
    assert_eq!(pause.at, Some(world.now + SignedDuration::from_hours(1)));
    assert_eq!(pause.next.as_deref(), Some("center-manager rollout next 1"));
    for mode in [
        Mode::Paused { at: world.now, reason: "a look".to_owned(), between_waves: true },
        Mode::Stopped { at: world.now, reason: String::new() },
    ] {
        world.rollout.stand.mode = mode;
        let next = told(&world).next.unwrap();
        assert_eq!(next, "center-manager rollout resume 1");
        assert!(typed(&next));
    }
    world.rollout.stand.mode = Mode::Running;
    released(&mut world, 3);
    assert_eq!(told(&world).words, "none; the last wave is out");
}

/// Whether a line can be typed as it stands.
fn typed(line: &str) -> bool {
    Cli::try_parse_from(line.split_whitespace()).map_err(|error| panic!("{line}: {error}")).is_ok()
}

fn transports() -> Vec<Transport> {
    let (at, accepted, reason) =
        (time("2002-11-04T09:00:00Z"), time("2002-11-04T09:00:00Z"), "full".to_owned());
    let all = vec![
        Transport::Queued { since: at },
        Transport::Accepted { at },
        Transport::Delayed { accepted, reason: reason.clone() },
        Transport::Bounced { at, reason },
        Transport::Heard { accepted, at },
    ];
    for transport in &all {
        // A new rung has to come into the list above.
        match transport {
            Transport::Queued { .. }
            | Transport::Accepted { .. }
            | Transport::Delayed { .. }
            | Transport::Bounced { .. }
            | Transport::Heard { .. } => {}
        }
    }
    all
}

fn progresses() -> Vec<Progress> {
    let (at, reason) = (time("2002-11-04T09:05:00Z"), || "no room".to_owned());
    let all = vec![
        Progress::Ordered,
        Progress::Waiting { reason: reason(), at },
        Progress::InstalledSaid { at, created: at },
        Progress::Refused { reason: reason(), at },
        Progress::Undone { reason: reason(), at },
    ];
    for progress in &all {
        match progress {
            Progress::Ordered
            | Progress::Waiting { .. }
            | Progress::InstalledSaid { .. }
            | Progress::Refused { .. }
            | Progress::Undone { .. } => {}
        }
    }
    all
}

fn failures() -> Vec<Failure> {
    let reason = || "no room".to_owned();
    let all = vec![
        Failure::Silent,
        Failure::OtherVersion { version: version("1.0.00-1") },
        Failure::MixedModules { modules: vec![mailfmt::ModuleName::new("mail-agent").unwrap()] },
        Failure::Refused { reason: reason() },
        Failure::Undone { reason: reason() },
        Failure::WindowMissed { reason: reason() },
        Failure::Undeliverable { reason: reason() },
        Failure::Suspended,
    ];
    for failure in &all {
        match failure {
            Failure::Silent
            | Failure::OtherVersion { .. }
            | Failure::MixedModules { .. }
            | Failure::Refused { .. }
            | Failure::Undone { .. }
            | Failure::Undeliverable { .. }
            | Failure::WindowMissed { .. }
            | Failure::Suspended => {}
        }
    }
    all
}

/// Every state that a target without success can be in.
fn states() -> Vec<TargetState> {
    let at = time("2002-11-04T09:00:00Z");
    let mut states = vec![TargetState::Planned];
    for transport in transports() {
        for progress in progresses() {
            for (parts, recalled) in
                [(None, None), (Some(PartsSent { of: 5, sent: 2, at }), None), (None, Some(at))]
            {
                let message = MessageId::from_bytes([1; 16]);
                let order = Order {
                    message,
                    at,
                    transport: transport.clone(),
                    progress: progress.clone(),
                    parts,
                    recalled,
                    settle_secs: None,
                    mail_delay_secs: None,
                };
                let ask =
                    Ask { message, nonce: Nonce::from_bytes([2; 16]), at, transport: transport.clone() };
                states.push(TargetState::Ordered { order: order.clone() });
                states.push(TargetState::Asked { order: order.clone(), ask: ask.clone() });
                for failure in failures() {
                    let verdict = Verdict::Failed { failure };
                    let (order, ask) = (Some(order.clone()), Some(ask.clone()));
                    states.push(TargetState::Decided { order, ask, verdict, at });
                }
            }
        }
    }
    for failure in failures() {
        let verdict = Verdict::Failed { failure };
        states.push(TargetState::Decided { order: None, ask: None, verdict, at });
    }
    states
}

#[test]
fn every_state_without_success_has_a_reason_in_words_and_a_command_that_can_be_typed() {
    let at = time("2002-11-04T09:00:00Z");
    let modes = [
        Mode::Running,
        Mode::Paused { at, reason: "a look".to_owned(), between_waves: false },
        Mode::Stopped { at, reason: "3 of 40 appliances in error".to_owned() },
    ];
    let mut seen = 0;
    let mut commands = BTreeSet::new();
    for mode in modes {
        for (expired, removed, attempt, wave) in [
            (false, false, 1, 0),
            (true, false, 1, 0),
            (false, true, 1, 0),
            (false, false, 2, 0),
            (false, false, 1, 1),
        ] {
            let mut world = World::new(1, 0);
            let fleet: Vec<_> = world.fleet().into_values().collect();
            world.rollout.stand.mode = mode.clone();
            if expired {
                world.rollout.package_expires = world.now;
            }
            for state in states() {
                let target = Target { state, removed, attempt, wave, ..Target::new(agent(1), 0) };
                world.targets.insert(agent(1), target);
                let report = world.report(&fleet);
                let row = &report.rows[0];
                assert_ne!(row.mark, Mark::Updated);
                let reason = row.reason.as_ref().unwrap_or_else(|| panic!("no reason: {row:?}"));
                assert!(reason.cause.ends_with('.') && reason.cause.len() > 10, "{reason:?}");
                assert!(reason.next.starts_with("center-manager "), "{reason:?}");
                assert!(!commands.insert(reason.next.clone()) || typed(&reason.next));
                assert!(!row.mail.is_empty() && !row.update.is_empty(), "{row:?}");
                assert_eq!(row.failure.is_some(), row.mark == Mark::Failed);
                seen += 1;
            }
        }
    }
    assert!(seen > 10_000, "{seen}");
}
