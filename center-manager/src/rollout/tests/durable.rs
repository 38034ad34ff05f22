//! What a rollout writes, and what a kill leaves of it.

use super::*;
use std::path::Path;

#[test]
fn a_rollout_is_read_back_as_it_was_written() {
    let center = Center::in_memory(3);
    let rollout = center.db.rollout(center.id).unwrap();
    assert_eq!(rollout.release, Release::of(&center.inspection.manifest));
    assert_eq!(rollout.timing.settle, SignedDuration::from_mins(10));
    assert_eq!((rollout.started, rollout.finished), (center.now, None));
    assert_eq!(
        rollout.order.enclosure_octets,
        u64::try_from(mailfmt::package::enclose(&package().0, &rollout.order.content_key).len()).unwrap()
    );
    assert!(
        !format!("{rollout:?}").contains(&rollout.order.content_key.expose_hex()),
        "a key is never shown"
    );
    let targets = center.targets();
    assert_eq!(
        targets.into_values().collect::<Vec<_>>(),
        (1..=3).map(agent).map(|agent| Target::new(agent, 0)).collect::<Vec<_>>()
    );
}

#[test]
fn one_mail_goes_to_all_and_a_second_tick_does_nothing() {
    let mut center = Center::in_memory(17);
    assert_eq!(center.tick().unwrap(), 1);
    assert_eq!(center.recipients(), [("update".to_owned(), 17)]);
    assert_eq!(center.tick().unwrap(), 0);
    center.until_asked(17);
    assert_eq!(center.recipients(), [("update".to_owned(), 17), ("version-request".to_owned(), 17)]);
}

#[test]
fn a_kill_at_any_write_leaves_the_rollout_before_or_after_its_steps() {
    let folder = tempfile::tempdir().unwrap();
    let mut cuts = 0;
    for writes in 0.. {
        let path = folder.path().join(format!("{writes}.db"));
        let (whole, cut) = live(&path, Some(writes));
        let (expected, _) = live(&folder.path().join(format!("{writes}-whole.db")), None);
        assert_eq!(whole, expected, "cut after {writes} writes");
        cuts += cut;
        if cut == 0 {
            break;
        }
    }
    assert!(cuts >= 20, "only {cuts} cuts were tried");
}

/// A whole rollout; every tick is cut after so many writes, the center begins again and goes on. Returns everything
/// written and how many ticks were cut.
fn live(path: &Path, writes: Option<usize>) -> (String, usize) {
    let mut center = Center::new(Db::create(path).unwrap(), 3);
    let mut cuts = 0;
    let mut tick_in_spite_of_a_cut = |center: &mut Center, first_number| {
        if let Some(writes) = writes {
            let before = center.dump();
            center.cut_after(writes);
            let cut = tick(&mut center.db, center.now, &mut counting(first_number)).is_err();
            center.db = Db::open(path).unwrap();
            if !cut {
                return;
            }
            cuts += 1;
            assert_eq!(center.dump(), before, "half a step was left");
        }
        tick(&mut center.db, center.now, &mut counting(first_number)).unwrap();
    };
    tick_in_spite_of_a_cut(&mut center, 1000);
    let order = center.messages().0.unwrap();
    (1..=3).for_each(|number| center.transport(order, number, &TransportOutcome::Accepted));
    center.now += SignedDuration::from_mins(10);
    tick_in_spite_of_a_cut(&mut center, 2000);
    let ask = center.messages().1.unwrap();
    (1..=3).for_each(|number| center.transport(ask, number, &TransportOutcome::Accepted));
    for number in 1..=2 {
        let nonce = center.nonce(number);
        center.good_answer(number, nonce);
    }
    center.now += SignedDuration::from_mins(30);
    tick_in_spite_of_a_cut(&mut center, 3000);
    assert!(center.db.rollout(center.id).unwrap().finished.is_some());
    (center.dump(), cuts)
}

#[test]
fn a_rollout_of_an_expired_package_or_to_nobody_does_not_begin() {
    let mut center = Center::in_memory(1);
    let (file, inspection) = package();
    let mut draft = Draft {
        release: Release::of(&inspection.manifest),
        order: enclose(&file, inspection.id, inspection.manifest.target.clone(), &mut center.random),
        whole: None,
        timing: center.db.rollout(center.id).unwrap().timing,
        openings: Openings::default(),
        retrying: Policy::NOTHING,
        course: Course::at_once(),
        joining: None,
        approvals: 0,
        package_expires: center.now,
        agents: [agent(1)].into(),
    };
    assert!(matches!(
        start(&mut center.db, &draft, "anna", center.now),
        Err(StartError::PackageExpired { .. })
    ));
    draft.agents.clear();
    assert!(matches!(start(&mut center.db, &draft, "anna", center.now), Err(StartError::NoTargets)));
    assert_eq!(center.db.rollouts().unwrap().len(), 1);
}
