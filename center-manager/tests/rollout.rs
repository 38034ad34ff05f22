//! Rollouts by their behaviour: Fig. 14 step by step, the table of Fig. 16, and what holds for any order of events.
#![allow(clippy::unwrap_used, reason = "a test ends where it finds something unexpected")]

mod hours;
mod world;

use center_manager::report::{self, Picture, Point, WaveRow};
use center_manager::rollout::retrying::Policy;
use center_manager::rollout::{
    Failure, Finding, Mode, PostKind, TargetEvent, TransportOutcome, Verdict, next_wake,
};
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

mod whatever_happens {
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
            What::NotDone(kind) => {
                TargetEvent::NotDone { answers: message(kind)?, reason: "unknown".to_owned() }
            }
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
            for _ in 0..10 * (retries + 1) {
                world.later(24 * 60);
                world.mail_is_accepted();
            }
            prop_assert_eq!(world.decided(), 3);
            prop_assert!(world.rollout.finished.is_some());
            for target in world.targets.values() {
                prop_assert!(target.attempt <= retries + 1);
            }
        }
    }
}
