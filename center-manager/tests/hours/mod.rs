//! Rollouts whose sites begin only at their hours: the center waits for the last of them.

use super::*;
use center_manager::rollout::Openings;
use mailfmt::conditions::{Conditions, WINDOW_MISSED};
use mailfmt::message::ConditionalOrder;
use world::time;

/// A rollout that begins on a Monday at 09:00 UTC, under a window on Wednesdays from 20:00 to 22:00.
fn on_wednesdays(appliances: usize) -> World {
    let mut world = World::new(appliances, 0);
    let windows = vec!["We 20:00-22:00".parse().unwrap()];
    world.rollout.openings =
        Openings { ordered: Conditions { windows, ..Conditions::default() }, package: None };
    world
}

#[test]
fn the_order_says_when_it_may_begin_in_a_kind_that_older_appliances_refuse() {
    let mut world = on_wednesdays(1);
    world.step();
    let Command::UpdateWhen(ConditionalOrder { order, conditions }) = &world.posts[0].command else {
        panic!("{:?}", world.posts)
    };
    assert_eq!((order, conditions), (&world.rollout.order, &world.rollout.openings.ordered));
}

#[test]
fn a_site_that_waits_for_its_window_is_not_asked_and_not_silent() {
    let mut world = on_wednesdays(2);
    world.step();
    world.mail_is_accepted();
    // Wednesday 20:00 twelve hours behind UTC, the hour by which clocks change, and the settle time.
    world.now = time("2002-11-07T09:09:59Z");
    world.step();
    assert_eq!(world.posts.len(), 1, "nobody was asked before the last zone's window was open");
    assert_eq!(world.decided(), 0);
    world.now = time("2002-11-07T09:10:00Z");
    world.step();
    world.mail_is_accepted();
    world.answers(&agent(1), Finding::Same);
    world.later(30);
    assert_eq!(world.verdict(&agent(1)), Some(&Verdict::Updated));
    assert_eq!(failure(&world, &agent(2)), Failure::Silent, "from then on silence counts as ever");
}

#[test]
fn a_site_that_says_it_is_done_is_asked_without_waiting_for_the_others() {
    let mut world = on_wednesdays(2);
    world.step();
    world.mail_is_accepted();
    world.now = time("2002-11-06T12:00:00Z");
    world.installer_says(&agent(1), UpdateOutcome::Installed);
    world.step();
    let last = world.posts.last().unwrap();
    assert_eq!((last.kind, last.agents.as_slice()), (PostKind::Ask, [agent(1)].as_slice()));
}

#[test]
fn a_missed_window_is_shown_with_the_next_command_and_not_held_against_the_package() {
    let mut world = on_wednesdays(1);
    world.step();
    world.mail_is_accepted();
    let reason = format!("{WINDOW_MISSED}: ordered only We 20:00-22:00, this site's hours 03:00-04:00");
    world.installer_says(&agent(1), refused(&reason));
    world.later(10);
    world.mail_is_accepted();
    world.answers(&agent(1), other("1.0.00-1"));
    world.step();
    let failure = failure(&world, &agent(1));
    assert_eq!(failure, Failure::WindowMissed { reason: reason.clone() });
    assert!(!failure.speaks_of_the_package());
    let known: Vec<_> = world.fleet().into_values().collect();
    let report = world.report(&known);
    let told = report.rows[0].reason.as_ref().unwrap();
    assert_eq!(told.cause, format!("It never began: {reason}."));
    assert!(told.next.starts_with("center-manager rollout start --package "), "{}", told.next);
    assert!(told.next.ends_with("--agents AGENT0000001"), "{}", told.next);
}
