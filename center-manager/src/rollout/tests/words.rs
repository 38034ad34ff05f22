//! What words from outside do to a rollout in the database.

use super::*;

#[test]
fn a_retry_touches_only_the_failed() {
    let mut center = Center::in_memory(5);
    center.until_asked(5);
    for number in [1, 2, 4] {
        let nonce = center.nonce(number);
        center.good_answer(number, nonce);
    }
    let nonce = center.nonce(3);
    center.answer(3, nonce, "1.0.01-1", b"device-watch 1.0.01");
    center.later(30);
    let before = center.targets();
    let agents = retry(&mut center.db, center.id, &[], "anna", center.now, &mut center.random).unwrap();
    assert_eq!(agents, [agent(3), agent(5)]);
    center.tick().unwrap();
    assert_eq!(center.recipients().last(), Some(&("update".to_owned(), 2)));
    let after = center.targets();
    for number in [1, 2, 4] {
        assert_eq!(after[&agent(number)], before[&agent(number)]);
    }
    let (counts, finished) = center.db.rollout_counts(center.id).unwrap();
    assert_eq!((counts.updated, counts.failed, counts.pending, finished), (3, 0, 2, None));
    let foreign = retry(&mut center.db, center.id, &[agent(9)], "anna", center.now, &mut center.random);
    assert!(matches!(foreign, Err(StartError::NoTarget { .. })));
}

#[test]
fn a_late_answer_corrects_a_finished_rollout_and_stands_in_the_history() {
    let mut center = Center::in_memory(1);
    center.until_asked(1);
    let nonce = center.nonce(1);
    center.later(30);
    assert_eq!(center.db.rollout_counts(center.id).unwrap().0.failed, 1);
    center.later(3 * 24 * 60);
    center.good_answer(1, nonce);
    center.tick().unwrap();
    let (counts, finished) = center.db.rollout_counts(center.id).unwrap();
    assert_eq!((counts.updated, counts.failed), (1, 0));
    assert!(finished.is_some());
    let history = center.history(1);
    assert_eq!(
        history,
        [
            "ordered",
            "accepted order",
            "asked",
            "accepted version request",
            "failed silent",
            "version-report asked for",
            "updated corrected; before: silent"
        ]
    );
}

#[test]
fn an_old_version_and_the_installers_word_in_one_batch_of_mail_make_the_center_ask_again() {
    let mut center = Center::in_memory(1);
    center.until_asked(1);
    let (nonce, order) = (center.nonce(1), center.messages().0);
    // Asked before it had installed; both mails are filed in the same moment.
    center.answer(1, nonce, "1.0.01-1", b"device-watch 1.0.01");
    let report = UpdateResultReport {
        package: center.inspection.id,
        target: center.inspection.manifest.target.clone(),
        running: center.inspection.manifest.target.clone(),
        outcome: UpdateOutcome::Installed,
        output: String::new(),
    };
    let said = center.now + SignedDuration::from_secs(2);
    let origin = Origin { created: said, ..center.origin(1, order) };
    center.db.write(|tx| on_update_result(tx, &origin, &report)).unwrap();
    center.later(1);
    assert_eq!(center.recipients().last(), Some(&("version-request".to_owned(), 1)));
    assert_eq!(center.recipients().len(), 3, "a second question");
    center.later(60);
    let nonce = center.nonce(1);
    center.answer(1, nonce, "1.0.01-1", b"device-watch 1.0.01");
    center.later(1);
    assert_eq!(center.recipients().len(), 3, "but no third: it was made after the installer spoke");
}

#[test]
fn the_right_version_line_over_other_modules_is_a_failure() {
    let mut center = Center::in_memory(1);
    center.until_asked(1);
    let nonce = center.nonce(1);
    center.answer(1, nonce, "1.0.02-0", b"device-watch, but another one");
    center.tick().unwrap();
    assert!(matches!(
        center.targets()[&agent(1)].verdict(),
        Some(Verdict::Failed { failure: Failure::MixedModules { .. } })
    ));
}

#[test]
fn a_result_finds_its_target_by_the_order_or_by_the_package() {
    let mut center = Center::in_memory(2);
    center.until_asked(2);
    let (order, _) = center.messages();
    for (number, answers, reason) in [(1, order, "no\u{1b}[2Jspace"), (2, None, "busy")] {
        let report = UpdateResultReport {
            package: center.inspection.id,
            target: center.inspection.manifest.target.clone(),
            running: SoftwareVersion::new("1.0.00-1").unwrap(),
            outcome: UpdateOutcome::Refused { reason: reason.to_owned() },
            output: String::new(),
        };
        let origin = center.origin(number, answers);
        center.db.write(|tx| on_update_result(tx, &origin, &report)).unwrap();
    }
    center.later(30);
    let failure = |number| match center.targets()[&agent(number)].verdict() {
        Some(Verdict::Failed { failure: Failure::Refused { reason } }) => reason.clone(),
        verdict => panic!("{verdict:?}"),
    };
    assert_eq!(failure(1), "no [2Jspace", "without control characters");
    assert_eq!(failure(2), "busy");
}
