//! Suspended, readmitted, rotated, copied, put back: what becomes of an appliance after it was let in.

use crate::center::{Center, Mail, Site, enrolled, random, talk};
use center_manager::clones::OnClone;
use center_manager::db::appliances::ApplianceState;
use center_manager::db::filed::Filed;
use center_manager::db::outbox::{NewMail, Priority};
use center_manager::db::rotations::{RotationState, RotationTerms};
use center_manager::db::{DbError, standing::Move};
use center_manager::intake::Discard;
use jiff::SignedDuration;
use mailfmt::message::report::{AlarmReport, RefusedReport};
use mailfmt::{Command, Message, MessageId, Report};
use proptest::prelude::*;

fn one() -> (Center, Site) {
    let mut center = Center::new();
    let code = center.issue(1);
    let site = enrolled(&mut center, &code, 1);
    (center, site)
}

fn rotate(center: &mut Center, site: &Site) {
    let expires = center.now + SignedDuration::from_hours(24 * 7);
    let terms = RotationTerms { by: "kim", now: center.now, expires };
    center
        .db
        .begin_rotations(&[site.agent()], terms, &mut random(center.now.as_millisecond().cast_unsigned()))
        .unwrap();
}

fn ping(center: &mut Center, site: &Site, id: u8) -> Result<(), DbError> {
    let now = center.now;
    let mail = NewMail {
        message: &Message::Command(Command::Ping(Default::default())),
        id: MessageId::from_bytes([id; 16]),
        in_reply_to: None,
        package: None,
        priority: Priority::Command,
        created: now,
        expires: now + SignedDuration::from_hours(24 * 60),
        not_before: now,
    };
    center.db.enqueue(&mail, &[site.agent()]).map(drop)
}

fn state(center: &Center, site: &Site) -> RotationState {
    center.db.rotations(&site.agent(), 1).unwrap()[0].state
}

#[test]
fn a_suspended_appliance_is_neither_filed_nor_answered_nor_written_to() {
    let (mut center, mut site) = one();
    ping(&mut center, &site, 1).unwrap();
    center.db.suspend_appliance(&site.agent(), "does not pay", center.now).unwrap();
    assert_eq!(center.read(&site.health()), Filed::Discarded(Discard::Suspended));
    assert!(center.send().is_empty(), "no receipt, and the ping waits");
    assert!(matches!(ping(&mut center, &site, 2), Err(DbError::Suspended { .. })));
    let appliance = center.db.appliance(&site.agent()).unwrap();
    let suspension = appliance.suspension.unwrap();
    assert_eq!(appliance.state, ApplianceState::Suspended);
    assert_eq!((suspension.turned_away, suspension.reason.as_str()), (1, "does not pay"));
    assert_eq!(suspension.last, Some(center.now));

    assert!(center.db.readmit_appliance(&site.agent(), center.now).unwrap());
    assert!(matches!(center.read(&site.health()), Filed::New { .. }));
    let sent = center.send();
    assert_eq!(sent.len(), 2, "the receipt, and the ping that waited");
    assert_eq!(center.db.appliance(&site.agent()).unwrap().state, ApplianceState::Active);
}

#[test]
fn a_moved_appliance_gets_what_waits_for_it_at_its_new_address() {
    let (mut center, site) = one();
    ping(&mut center, &site, 1).unwrap();
    let to = Move { address: Some("new@site.example".to_owned()), ..Move::default() };
    center.db.move_appliance(&site.agent(), &to).unwrap();
    assert_eq!(center.send()[0].to, "new@site.example");
}

#[test]
fn a_rotation_ends_with_both_on_a_new_credential_and_the_old_one_dead() {
    let (mut center, mut site) = one();
    let old = site.credential.clone().unwrap();
    rotate(&mut center, &site);
    talk(&mut center, &mut site, None);
    assert_ne!(site.credential, Some(old.clone()), "it was heard under the new one");
    assert_eq!(state(&center, &site), RotationState::Done, "without waiting for the next report");
    assert!(matches!(center.read(&site.health()), Filed::New { .. }));
    let alarm =
        AlarmReport { alarm: "x".to_owned(), description: String::new(), since: center.now, over: false };
    let report = site.report_under(&old, Report::Alarm(alarm));
    assert_eq!(center.read(&report), Filed::Discarded(Discard::WrongKey));
}

#[test]
fn a_rotation_that_nobody_answers_leaves_everything_as_it_was() {
    let (mut center, mut site) = one();
    rotate(&mut center, &site);
    center.send();
    center.later(24 * 8);
    assert_eq!(state(&center, &site), RotationState::Expired);
    assert!(matches!(center.read(&site.health()), Filed::New { .. }));
}

#[test]
fn an_appliance_that_cannot_rotate_keeps_its_credential() {
    let (mut center, mut site) = one();
    rotate(&mut center, &site);
    let request = center.send().remove(0);
    let mailfmt::mail::Classified::Ours { attachment } =
        mailfmt::mail::classify(&request.raw, &Default::default())
    else {
        panic!("not ours")
    };
    let id = mailfmt::envelope::peek(&attachment, &Default::default()).unwrap().header.message;
    let refused = RefusedReport { kind: "rotate-credential".to_owned(), reason: "not supported".to_owned() };
    let raw = site.report_answering(Report::Refused(refused), Some(id));
    assert!(matches!(center.read(&raw), Filed::New { .. }));
    assert_eq!(state(&center, &site), RotationState::Refused);
    assert!(matches!(center.read(&site.health()), Filed::New { .. }));
}

#[test]
fn a_newer_rotation_takes_the_place_of_one_under_way() {
    let (mut center, mut site) = one();
    rotate(&mut center, &site);
    let first = center.send();
    let late_answer = site.take(&first[0]).unwrap();
    center.later(1);
    rotate(&mut center, &site);
    center.read(&late_answer);
    talk(&mut center, &mut site, None);
    assert!(matches!(center.read(&site.health()), Filed::New { .. }));
    let states: Vec<_> =
        center.db.rotations(&site.agent(), 9).unwrap().iter().map(|line| line.state).collect();
    assert_eq!(states, [RotationState::Done, RotationState::Replaced]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Mails of both directions are lost, doubled, delayed and reordered while rotations are begun at random moments: what one
    /// side sends under its present key the other side always takes, at every moment.
    #[test]
    fn at_no_moment_of_a_rotation_do_both_sides_lack_a_common_key(steps in proptest::collection::vec((0u8..7, any::<u16>()), 1..60)) {
        let (mut center, mut site) = one();
        let (mut to_site, mut to_center) = (Vec::<Mail>::new(), Vec::<Vec<u8>>::new());
        let mut id = 10u8;
        for (step, choice) in steps {
            let pick = |length: usize| (length > 0).then(|| usize::from(choice) % length);
            center.now += SignedDuration::from_secs(1);
            match step {
                0 => rotate(&mut center, &site),
                1 => {
                    id = id.wrapping_add(1).max(10);
                    let _ = ping(&mut center, &site, id);
                }
                2 => to_site.extend(center.send()),
                3 => {
                    let health = site.health();
                    to_center.push(health);
                }
                // Any mail may be the next one; whether it is then gone or comes again is chance too.
                4 => if let Some(nth) = pick(to_site.len()) {
                    let mail = if choice % 3 == 0 { to_site[nth].clone() } else { to_site.remove(nth) };
                    to_center.extend(site.take(&mail));
                },
                5 => if let Some(nth) = pick(to_center.len()) {
                    let raw = if choice % 3 == 0 { to_center[nth].clone() } else { to_center.remove(nth) };
                    center.read(&raw);
                },
                _ => if choice % 2 == 0 {
                    pick(to_site.len()).map(|nth| to_site.remove(nth));
                } else {
                    pick(to_center.len()).map(|nth| to_center.remove(nth));
                },
            }
            // The center takes what the box would say now.
            let probe = site.credential.clone().unwrap();
            let keys = center.db.appliance_keys().unwrap().remove(0);
            let takes = |credential: &mailfmt::crypto::Credential| keys.present == *credential
                || keys.others.iter().any(|(_, other)| other == credential);
            prop_assert!(takes(&probe), "the center does not take what the box writes");
            // The box takes what the center would say now.
            prop_assert!(
                site.credential.as_ref() == Some(&keys.present) || site.next.as_ref() == Some(&keys.present),
                "the box does not take what the center writes"
            );
        }
    }
}

#[test]
fn a_copied_box_is_told_as_soon_as_both_go_on() {
    let (mut center, mut site) = one();
    let before = site.sequence;
    site.starts(1000, 0, before);
    center.read(&site.health());
    let common = site.sequence;
    // Copied here. The copy starts again; the original goes on.
    center.read(&site.health());
    center.read(&site.health());
    let original = (site.sequence, site.follows, site.begins);
    site.starts(2000, 0, common);
    center.read(&site.health());
    let alarms = center.db.alarms(Some(&site.agent()), false).unwrap();
    assert_eq!((alarms.len(), alarms[0].kind.as_str()), (1, "restored"), "so far it may be a backup");
    assert_eq!(center.db.forks(&site.agent()).unwrap().len(), 1);
    // The original speaks again, after the copy began.
    (site.sequence, site.follows, site.begins) = original;
    site.made += SignedDuration::from_hours(1);
    center.now += SignedDuration::from_hours(3);
    center.read(&site.health());
    let kinds: Vec<_> = center
        .db
        .alarms(Some(&site.agent()), false)
        .unwrap()
        .iter()
        .map(|alarm| alarm.kind.clone())
        .collect();
    assert_eq!(kinds, ["restored", "cloned"]);
    assert_eq!(
        center.db.appliance(&site.agent()).unwrap().state,
        ApplianceState::Active,
        "told, not shut out"
    );
}

/// The alarms of an appliance that are not over.
fn alarms(center: &Center, site: &Site) -> Vec<String> {
    center.db.alarms(Some(&site.agent()), false).unwrap().into_iter().map(|alarm| alarm.kind).collect()
}

#[test]
fn a_box_that_is_put_back_within_the_second_in_which_it_began_is_told_all_the_same() {
    // The epoch of the second life has the same name; its random beginning lies before or behind the first one's.
    for skipped in [10, 90] {
        let (mut center, mut site) = one();
        center.read(&site.health());
        let common = site.sequence;
        site.starts(1000, 50, common);
        center.read(&site.health());
        site.starts(1000, skipped, common);
        center.read(&site.health());
        assert_eq!(alarms(&center, &site), ["restored"], "{skipped}");
        for _ in 0..3 {
            site.made += SignedDuration::from_hours(1);
            center.now += SignedDuration::from_hours(1);
            center.read(&site.health());
        }
        assert_eq!(alarms(&center, &site), ["restored"], "{skipped}: only one box speaks");
    }
}

#[test]
fn two_boots_that_take_turns_are_two_boxes_and_are_shut_out_where_it_is_wanted_so() {
    let (mut center, mut site) = one();
    center.rules.on_clone = OnClone::Suspend;
    center.read(&site.health());
    let first = std::mem::replace(&mut site.boot, "boot-of-the-copy".to_owned());
    center.read(&site.health());
    assert!(center.db.alarms(Some(&site.agent()), false).unwrap().is_empty(), "a restart is no copy");
    site.boot = first;
    center.read(&site.health());
    let alarms = center.db.alarms(Some(&site.agent()), false).unwrap();
    assert_eq!((alarms.len(), alarms[0].kind.as_str()), (1, "cloned"));
    assert!(alarms[0].description.contains("Two boxes report as AGENT0000001"), "{}", alarms[0].description);
    let appliance = center.db.appliance(&site.agent()).unwrap();
    assert_eq!(appliance.suspension.unwrap().reason, "two boxes report under its id");
    assert_eq!(center.read(&site.health()), Filed::Discarded(Discard::Suspended));
    center.db.readmit_appliance(&site.agent(), center.now).unwrap();
    assert!(matches!(center.read(&site.health()), Filed::New { .. }));
    assert_eq!(
        center.db.appliance(&site.agent()).unwrap().state,
        ApplianceState::Active,
        "looked into: forgotten"
    );
}

#[test]
fn a_box_that_restarts_and_reports_late_is_never_taken_for_two() {
    let (mut center, mut site) = one();
    let before = site.sequence;
    site.starts(1000, 0, before);
    let mut reports = Vec::new();
    for round in 0..5u32 {
        site.boot = format!("boot {round}");
        reports.extend([site.health(), site.health(), site.health()]);
        let follows = site.sequence;
        site.starts(2000 + round * 1000, 0, follows);
    }
    // Delivered the wrong way round.
    reports.reverse();
    for raw in &reports {
        assert!(matches!(center.read(raw), Filed::New { .. }));
    }
    assert!(center.db.alarms(None, false).unwrap().is_empty());
}

#[test]
fn what_an_appliance_finds_wrong_stands_among_the_alarms_until_it_says_that_it_is_over() {
    let (mut center, mut site) = one();
    let alarm = |site: &mut Site, over| {
        let since = crate::center::start();
        site.report(Report::Alarm(AlarmReport {
            alarm: "clock-wrong".to_owned(),
            description: "the clock is ten years ahead\u{1b}[2J".to_owned(),
            since,
            over,
        }))
    };
    let raw = alarm(&mut site, false);
    assert!(matches!(center.read(&raw), Filed::New { .. }));
    let alarms = center.db.alarms(Some(&site.agent()), false).unwrap();
    assert_eq!(alarms[0].description, "the clock is ten years ahead [2J");
    let raw = alarm(&mut site, true);
    center.read(&raw);
    assert!(center.db.alarms(Some(&site.agent()), false).unwrap().is_empty());
    assert!(center.db.alarms(Some(&site.agent()), true).unwrap()[0].over.is_some());
}
