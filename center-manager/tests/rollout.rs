//! Rollouts by their behaviour: Fig. 14 step by step, the table of Fig. 16, and what holds for any order of events.
#![allow(clippy::unwrap_used, reason = "a test ends where it finds something unexpected")]

mod hours;
mod rounds;
mod whatever_happens;
mod world;

use center_manager::report::{self, Picture, Point, WaveRow};
use center_manager::rollout::{Failure, Finding, PostKind, TargetEvent, TransportOutcome, Verdict};
use jiff::SignedDuration;
use mailfmt::message::UpdateOrder;
use mailfmt::message::report::UpdateOutcome;
use mailfmt::{AgentId, Command, Digest};
use std::path::Path;
use world::{World, agent, mixed, other, time, version};

/// Compares with a checked-in file; `UPDATE_EXPECTED=1` writes it anew, to be read like code.
fn check(found: &str, file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected").join(file);
    let found = format!("{}\n", found.trim_end());
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&path).unwrap_or_default(), "differs from {}", path.display());
}

/// What the page shows beside the table, with something in every chart.
fn picture() -> Picture {
    let point = |minute: i64, sent, updated, failed| Point {
        at: time("2002-11-04T09:00:00Z") + SignedDuration::from_mins(minute),
        sent,
        updated,
        failed,
    };
    let wave = |wave, updated, failed, silent| WaveRow {
        wave,
        appliances: updated + failed + silent,
        updated,
        failed,
        silent,
        released: true,
        ..WaveRow::default()
    };
    Picture {
        waves: vec![wave(1, 4, 0, 0), wave(2, 9, 2, 2)],
        points: vec![point(0, 17, 0, 0), point(13, 17, 13, 2), point(43, 17, 13, 4)],
        before: (1..=16).map(|number| (agent(number), version("1.0.00-1"))).collect(),
    }
}

fn failure(world: &World, agent: &AgentId) -> Failure {
    match world.verdict(agent) {
        Some(Verdict::Failed { failure }) => failure.clone(),
        verdict => panic!("{agent} has {verdict:?}"),
    }
}

fn refused(reason: &str) -> UpdateOutcome {
    UpdateOutcome::Refused { reason: reason.to_owned() }
}

/// Fig. 16: of 17 appliances two stay silent, one says 1.0.02-1 and one 1.0.01-1.
fn figure_16() -> (World, Vec<center_manager::db::rollouts::Known>) {
    let mut world = World::new(17, 0);
    let mut fleet = world.fleet();
    world.until_asked();
    world.now += SignedDuration::from_mins(3);
    for number in 1..=17 {
        let agent = agent(number);
        let says = match number {
            4 | 9 => continue,
            12 => "1.0.02-1",
            15 => "1.0.01-1",
            _ => "1.0.02-0",
        };
        let same = version(says) == world.rollout.release.version;
        world.answers(&agent, if same { Finding::Same } else { other(says) });
        let known = fleet.get_mut(&agent).unwrap();
        (known.software, known.checked) = (Some(version(says)), Some(world.now));
    }
    world.step();
    (world, fleet.into_values().collect())
}

#[test]
fn silent_and_deviating_appliances_are_marked_failed() {
    let (mut world, fleet) = figure_16();
    assert_eq!(world.rollout.finished, None, "two may still answer");
    world.later(30);
    assert_eq!((world.decided(), world.updated()), (17, 13));
    assert_eq!(world.rollout.finished, Some(world.now));
    let report = world.report(&fleet);
    assert_eq!(report.summary(), "13 of 17 updated, 4 failed");
    check(&report::table(&report), "figure-16.txt");
    check(&report::csv(&report), "figure-16.csv");
    check(&report.json(), "figure-16.json");
    check(&report::html(&report, &picture()), "figure-16.html");
}

#[test]
fn every_row_without_success_tells_one_cause_and_the_next_command() {
    let mut world = World::new(14, 0);
    let mut fleet: Vec<_> = world.fleet().into_values().collect();
    let said = |text: &str| text.to_owned();
    world.step();
    for number in 2..=14 {
        world.transport(&agent(number), PostKind::Order, TransportOutcome::Accepted);
    }
    let full = said("452 4.2.2 mailbox full, trying until Thursday");
    world.transport(
        &agent(2),
        PostKind::Order,
        TransportOutcome::Bounced { reason: said("550 5.1.1 no such user") },
    );
    world.transport(&agent(3), PostKind::Order, TransportOutcome::Delayed { reason: full });
    world.later(10);
    for number in 4..=14 {
        world.transport(&agent(number), PostKind::Ask, TransportOutcome::Accepted);
    }
    let waiting = || UpdateOutcome::Waiting { reason: "counters are being sent".to_owned() };
    world.installer_says(&agent(4), waiting());
    world.installer_says(&agent(5), UpdateOutcome::Installed);
    world.installer_says(&agent(6), refused("the package expired at 2002-11-01T00:00:00Z"));
    world.installer_says(
        &agent(7),
        UpdateOutcome::Undone { reason: said("the install script ended with code 1") },
    );
    world.installer_says(&agent(8), waiting());
    world.installer_says(&agent(9), UpdateOutcome::Installed);
    for number in 6..=10 {
        world.answers(&agent(number), other("1.0.00-1"));
    }
    world.answers(&agent(11), mixed());
    world.answers(&agent(13), Finding::Same);
    world.answers(&agent(14), Finding::Same);
    world.step();
    check(&report::table(&world.report(&fleet)), "reasons-open.txt");
    world.later(24 * 60);
    // What the last one says a day later makes no difference to the rollout, but the operator wants to know.
    fleet[13].checked = Some(world.now + SignedDuration::from_hours(1));
    fleet[12].software = Some(version("1.0.02-0"));
    let report = world.report(&fleet);
    assert_eq!((report.counts.updated, report.counts.failed, report.counts.pending), (2, 12, 0));
    for row in &report.rows {
        let told = row
            .reason
            .as_ref()
            .is_some_and(|reason| reason.cause.ends_with('.') && reason.next.starts_with("center-manager "));
        assert!(told || row.mark == report::Mark::Updated, "{row:?}");
    }
    check(&report::table(&report), "reasons.txt");
}

#[test]
fn hostile_text_stays_text_in_every_form() {
    let (mut world, mut fleet) = figure_16();
    world.later(30);
    fleet[0].customer = "<script>alert('x')</script>\u{1b}[2J\u{202e}\"&quot;".to_owned();
    fleet[0].address = "\"><img src=x onerror=alert(1)>@example.com".to_owned();
    fleet[1].customer = "=HYPERLINK(\"http://example.com\")".to_owned();
    fleet[2].customer = "Line\nbreak, \"quotes\" and | bars".to_owned();
    let report = world.report(&fleet);

    let html = report::html(&report, &picture());
    assert_eq!(html.matches("<script>").count(), 1, "only our own script");
    assert!(!html.contains("<img") && !html.contains("alert('x')"));
    assert!(html.contains("&#60;script&#62;"));
    assert!(!html.contains("script-src 'unsafe-inline'") && html.contains("script-src 'sha256-"));
    assert!(!html.contains('\u{1b}') && !html.contains('\u{202e}'));
    for outside in ["http:", "https:", "src=", "href=", "url(", "@import"] {
        let ours = html.replace("=HYPERLINK(&#34;http://example.com&#34;)", "").replace("src=x onerror", "");
        assert!(!ours.contains(outside), "the page needs {outside}");
    }

    let table = report::table(&report);
    assert!(!table.contains('\u{1b}') && !table.contains('\u{202e}'));
    assert_eq!(table.lines().filter(|line| line.contains("Line break")).count(), 1);

    let csv = report::csv(&report);
    assert!(csv.contains("'=HYPERLINK"));
    assert_eq!(csv.lines().count(), 18, "one line per target and the head");
}

#[test]
fn while_answers_are_awaited_the_table_says_until_when() {
    let (world, fleet) = figure_16();
    check(&report::table(&world.report(&fleet)), "figure-16-waiting.txt");
}

#[test]
fn one_mail_reaches_all_and_is_followed_by_one_question() {
    let mut world = World::new(17, 0);
    world.step();
    assert_eq!(world.posts.len(), 1);
    assert_eq!((world.posts[0].kind, world.posts[0].agents.len()), (PostKind::Order, 17));
    world.later(60);
    assert_eq!(world.posts.len(), 1, "the settle time begins when the mail server has the mail");
    world.mail_is_accepted();
    world.later(9);
    assert_eq!(world.posts.len(), 1, "the settle time is not over");
    world.later(1);
    assert_eq!(world.posts.len(), 2);
    assert_eq!((world.posts[1].kind, world.posts[1].agents.len()), (PostKind::Ask, 17));
    assert_ne!(world.posts[0].message, world.posts[1].message);
}

#[test]
fn the_installers_word_makes_no_success() {
    let mut world = World::new(1, 0);
    world.until_asked();
    world.installer_says(&agent(1), UpdateOutcome::Installed);
    world.later(30);
    assert_eq!(failure(&world, &agent(1)), Failure::Silent);
}

#[test]
fn the_installers_word_explains_a_failure() {
    let mut world = World::new(3, 0);
    world.until_asked();
    world.installer_says(&agent(1), refused("expired"));
    world.installer_says(&agent(2), UpdateOutcome::Undone { reason: "script failed".to_owned() });
    world.installer_says(&agent(3), UpdateOutcome::Undone { reason: "trial failed".to_owned() });
    world.answers(&agent(1), other("1.0.00-1"));
    world.answers(&agent(2), other("1.0.00-1"));
    world.later(30);
    assert_eq!(failure(&world, &agent(1)), Failure::Refused { reason: "expired".to_owned() });
    assert_eq!(failure(&world, &agent(2)), Failure::Undone { reason: "script failed".to_owned() });
    assert_eq!(failure(&world, &agent(3)), Failure::Undone { reason: "trial failed".to_owned() });
}

#[test]
fn who_refuses_the_differences_gets_whole_files_at_once_and_only_once() {
    let mut world = World::new(3, 0);
    let whole = UpdateOrder { package: Digest::from([9; 32]), ..world.rollout.order.clone() };
    world.rollout.whole = Some(whole.clone());
    world.step();
    world.mail_is_accepted();
    world.installer_says(&agent(2), refused("device-watch travels as a difference"));
    world.step();
    let sent = world.posts.last().unwrap();
    assert_eq!((&sent.command, sent.agents.as_slice()), (&Command::Update(whole), [agent(2)].as_slice()));
    world.mail_is_accepted();
    world.installer_says(&agent(2), refused("not for this hardware"));
    world.later(10);
    world.mail_is_accepted();
    world.answers(&agent(1), Finding::Same);
    world.answers(&agent(2), other("1.0.00-1"));
    world.answers(&agent(3), Finding::Same);
    world.later(30);
    assert_eq!(failure(&world, &agent(2)), Failure::Refused { reason: "not for this hardware".to_owned() });
    assert_eq!(world.posts.iter().filter(|post| post.kind == PostKind::Order).count(), 2);
}

#[test]
fn the_target_version_out_of_other_modules_is_no_success() {
    let mut world = World::new(1, 0);
    world.until_asked();
    world.answers(&agent(1), mixed());
    world.step();
    assert!(matches!(failure(&world, &agent(1)), Failure::MixedModules { .. }));
}

#[test]
fn a_bounce_ends_the_attempt_without_a_question() {
    let mut world = World::new(2, 3);
    world.step();
    world.mail_is_accepted();
    let reason = "550 no such user".to_owned();
    world.transport(&agent(1), PostKind::Order, TransportOutcome::Bounced { reason: reason.clone() });
    world.later(10);
    assert_eq!(failure(&world, &agent(1)), Failure::Undeliverable { reason });
    assert_eq!(world.posts[1].agents, [agent(2)], "only the other one is asked");
    assert_eq!(world.targets[&agent(1)].attempt, 1, "and it is not tried again by itself");
}

#[test]
fn a_mail_that_never_leaves_ends_as_undeliverable() {
    let mut world = World::new(1, 0);
    world.step();
    world.later(24 * 60 - 1);
    assert_eq!(world.decided(), 0);
    world.later(1);
    assert!(matches!(failure(&world, &agent(1)), Failure::Undeliverable { .. }));
}

#[test]
fn an_unasked_report_of_the_target_after_the_order_is_a_success() {
    let mut world = World::new(2, 0);
    let (early, late) = (world.now - SignedDuration::from_secs(1), world.now + SignedDuration::from_secs(1));
    world.until_asked();
    world.hear(&agent(1), &TargetEvent::Version { nonce: None, created: early, finding: Finding::Same });
    world.hear(&agent(2), &TargetEvent::Version { nonce: None, created: late, finding: Finding::Same });
    world.step();
    assert_eq!(world.verdict(&agent(1)), None, "made before the order");
    assert_eq!(world.verdict(&agent(2)), Some(&Verdict::Updated));
}

#[test]
fn an_unasked_report_of_another_version_decides_nothing() {
    let mut world = World::new(1, 0);
    world.until_asked();
    let created = world.now;
    world.hear(&agent(1), &TargetEvent::Version { nonce: None, created, finding: other("1.0.00-1") });
    world.step();
    assert_eq!(world.verdict(&agent(1)), None);
}

#[test]
fn a_late_answer_corrects_the_verdict_of_a_finished_rollout() {
    let (mut world, _) = figure_16();
    world.later(30);
    assert_eq!(world.updated(), 13);
    let finished = world.rollout.finished;
    world.later(5 * 24 * 60);
    world.answers(&agent(4), Finding::Same);
    world.answers(&agent(9), other("1.0.00-1"));
    world.step();
    assert_eq!(world.verdict(&agent(4)), Some(&Verdict::Updated));
    assert_eq!(failure(&world, &agent(9)), Failure::OtherVersion { version: version("1.0.00-1") });
    assert_eq!(world.rollout.finished, finished, "it stays finished");
}

#[test]
fn an_appliance_that_went_back_is_not_saved_by_its_older_mail() {
    let mut world = World::new(1, 1);
    world.until_asked();
    let created = world.now - SignedDuration::from_mins(5);
    world.answers(&agent(1), other("1.0.00-1"));
    world.step();
    assert_eq!(world.targets[&agent(1)].attempt, 2);
    // Written in between, while the new version was on trial; the mail comes only now.
    world.hear(&agent(1), &TargetEvent::Version { nonce: None, created, finding: Finding::Same });
    world.step();
    assert_eq!(world.verdict(&agent(1)), None);
}

#[test]
fn an_appliance_whose_clock_is_ten_years_ahead_can_still_fail_and_succeed() {
    let mut world = World::new(1, 0);
    world.until_asked();
    let ahead = world.now + SignedDuration::from_hours(10 * 365 * 24);
    world.hear(&agent(1), &TargetEvent::Version { nonce: None, created: ahead, finding: Finding::Same });
    world.step();
    assert_eq!(world.verdict(&agent(1)), Some(&Verdict::Updated));
    world.answers(&agent(1), other("1.0.00-1"));
    world.step();
    assert_eq!(failure(&world, &agent(1)), Failure::OtherVersion { version: version("1.0.00-1") });
}

#[test]
fn an_appliance_that_had_to_wait_is_asked_again_when_its_installer_is_done() {
    let mut world = World::new(2, 0);
    world.until_asked();
    world.installer_says(&agent(1), UpdateOutcome::Waiting { reason: "counters are being sent".to_owned() });
    world.answers(&agent(1), other("1.0.00-1"));
    world.answers(&agent(2), Finding::Same);
    world.step();
    assert_eq!(failure(&world, &agent(1)), Failure::OtherVersion { version: version("1.0.00-1") });
    assert!(world.rollout.finished.is_some());
    let old = world.nonce(&agent(1));
    world.later(50);
    world.installer_says(&agent(1), UpdateOutcome::Installed);
    world.step();
    assert_eq!(
        world.posts.last().map(|post| (post.kind, post.agents.clone())),
        Some((PostKind::Ask, vec![agent(1)]))
    );
    assert_ne!(world.nonce(&agent(1)), old);
    world.mail_is_accepted();
    world.answers(&agent(1), Finding::Same);
    world.step();
    assert_eq!((world.updated(), world.rollout.finished), (2, Some(world.now)));
}

#[test]
fn an_installer_that_is_done_and_silent_is_asked_again_only_once() {
    let mut world = World::new(1, 0);
    world.until_asked();
    world.later(5);
    world.installer_says(&agent(1), UpdateOutcome::Installed);
    for _ in 0..5 {
        world.later(30);
        world.mail_is_accepted();
        world.installer_says(&agent(1), UpdateOutcome::Installed);
    }
    assert_eq!(failure(&world, &agent(1)), Failure::Silent);
    assert_eq!(world.posts.len(), 3, "the order and two questions");
}

#[test]
fn an_answer_to_the_first_question_counts_after_the_second() {
    let mut world = World::new(1, 1);
    world.until_asked();
    let (nonce, created) = (world.nonce(&agent(1)), world.now);
    world.later(30);
    assert_ne!(world.nonce(&agent(1)), nonce, "it was asked again");
    world.hear(&agent(1), &TargetEvent::Version { nonce, created, finding: Finding::Same });
    world.step();
    assert_eq!(world.verdict(&agent(1)), Some(&Verdict::Updated));
    assert!(world.rollout.finished.is_some());
}
