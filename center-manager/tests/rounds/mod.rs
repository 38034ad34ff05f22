//! What is tried again: by itself, by a person, and what ends it.

use super::*;
use center_manager::rollout::retrying::Policy;
use center_manager::rollout::{Mode, next_wake};

#[test]
fn the_failed_are_retried_together_and_nobody_else() {
    let mut world = World::new(17, 1);
    world.rollout.retrying = Policy { rounds: 1, ..Policy::USUAL };
    world.until_asked();
    for number in (1..=17).filter(|number| ![4, 9].contains(number)) {
        let finding = if number == 12 { other("1.0.02-1") } else { Finding::Same };
        world.answers(&agent(number), finding);
    }
    world.step();
    let wait = SignedDuration::from_mins(40);
    world.later(30);
    assert_eq!(world.posts.len(), 2, "nothing follows at once");
    assert_eq!(next_wake(&world.rollout, &world.targets).map(|wake| wake > world.now), Some(true));
    world.now += wait;
    world.step();
    world.later(30);
    let (question, order) = (world.posts[2].clone(), world.posts[3].clone());
    assert_eq!((order.kind, order.urgent, &order.agents[..]), (PostKind::Order, false, &[agent(12)][..]));
    let silent = [agent(4), agent(9)];
    assert_eq!((question.kind, question.urgent, &question.agents[..]), (PostKind::Ask, true, &silent[..]));
    world.mail_is_accepted();
    world.answers(&agent(4), Finding::Same);
    world.answers(&agent(9), Finding::Same);
    world.later(10);
    world.mail_is_accepted();
    world.answers(&agent(12), Finding::Same);
    world.step();
    assert_eq!((world.updated(), world.targets[&agent(12)].attempt), (17, 2));
    assert_eq!(world.posts.len(), 5, "two packages and three questions in all");
    assert!(world.rollout.finished.is_some());
}

#[test]
fn another_version_gets_whole_files_where_there_are_some() {
    let mut world = World::new(1, 1);
    let whole = UpdateOrder { package: Digest::from([9; 32]), ..world.rollout.order.clone() };
    world.rollout.whole = Some(whole.clone());
    world.until_asked();
    world.installer_says(&agent(1), UpdateOutcome::Waiting { reason: "busy".to_owned() });
    world.answers(&agent(1), other("1.0.00-1"));
    world.step();
    assert_eq!(world.posts.last().map(|post| &post.command), Some(&Command::Update(whole)));
}

#[test]
fn a_late_success_calls_an_automatic_round_off() {
    let mut world = World::new(2, 3);
    world.rollout.retrying = Policy::USUAL;
    world.until_asked();
    let nonce = world.nonce(&agent(1));
    world.answers(&agent(1), other("1.0.00-1"));
    world.answers(&agent(2), Finding::Same);
    world.step();
    assert!(world.rollout.finished.is_none(), "a round is to come");
    world.later(20);
    let created = world.now;
    world.hear(&agent(1), &TargetEvent::Version { nonce, created, finding: Finding::Same });
    for _ in 0..50 {
        world.later(60);
    }
    assert_eq!(world.updated(), 2);
    assert_eq!(world.posts.len(), 2, "no second order");
    assert!(world.rollout.finished.is_some());
}

#[test]
fn who_was_called_back_gets_the_package_again_when_the_rollout_goes_on() {
    let mut world = World::new(3, 0);
    world.until_asked();
    world.rollout.stand.mode = Mode::Stopped { at: world.now, reason: String::new() };
    world.step();
    for number in 1..=3 {
        world.installer_says(&agent(number), refused("called back by the center before it began"));
        world.answers(&agent(number), other("1.0.00-1"));
    }
    world.step();
    assert!(world.rollout.finished.is_some());
    world.rollout.finished = None;
    world.rollout.stand.mode = Mode::Running;
    world.later(60);
    let again = world.posts.last().unwrap();
    assert_eq!((again.kind, again.agents.len()), (PostKind::Order, 3));
}

#[test]
fn the_mails_of_a_rollout_end_its_rounds() {
    let mut world = World::new(10, 3);
    world.rollout.retrying.mails_per_target = 3;
    world.until_asked();
    for number in 1..=10 {
        world.answers(&agent(number), other("1.0.00-1"));
    }
    for _ in 0..20 {
        world.later(30);
        world.mail_is_accepted();
        for number in 1..=10 {
            if world.targets[&agent(number)].verdict().is_none() && world.nonce(&agent(number)).is_some() {
                world.answers(&agent(number), other("1.0.00-1"));
            }
        }
    }
    let mails: usize = world.posts.iter().map(|post| post.agents.len()).sum();
    assert_eq!(mails, 30, "three for each, ten of them for second attempts of five");
    assert!(world.rollout.finished.is_some(), "and it ends");
    let begun = world.targets.values().filter(|target| target.attempt == 2).count();
    assert_eq!(begun, 5);
}

#[test]
fn a_row_says_when_it_is_tried_again_and_why_not() {
    let mut world = World::new(3, 3);
    let fleet: Vec<_> = world.fleet().into_values().collect();
    world.rollout.retrying = Policy::USUAL;
    world.until_asked();
    world.installer_says(&agent(1), refused("no valid signature by a trusted release key (signed by 17ab)"));
    world.answers(&agent(1), other("1.0.00-1"));
    world.answers(&agent(2), other("1.0.00-1"));
    world.answers(&agent(3), Finding::Same);
    world.step();
    let report = world.report(&fleet);
    let causes: Vec<_> =
        report.rows.iter().map(|row| row.reason.as_ref().map(|reason| reason.cause.clone())).collect();
    let [Some(first), Some(second), None] = causes.as_slice() else { panic!("{causes:?}") };
    assert!(first.ends_with("Not again by itself: what it does not trust is not sent again."), "{first}");
    assert!(second.contains("the package is sent again by itself, round 1 of 3."), "{second}");
    let waits = report.rows.iter().map(|row| row.next_try.is_some()).collect::<Vec<_>>();
    assert_eq!(waits, [false, true, false]);
}
