//! Rounds that follow by themselves, in the database: what is sent, called off, noted and learned.

use super::*;

impl Center {
    /// The states of a message for one appliance, with those of its parts.
    fn mail_states(&self, message: MessageId, number: usize) -> Vec<String> {
        let sql =
            "SELECT state FROM outbox_recipient JOIN outbox ON id = outbox WHERE message = ?1 AND agent = ?2";
        let mut statement = self.db.read().prepare(sql).unwrap();
        let rows = statement
            .query_map(rusqlite::params![&message.as_bytes()[..], agent(number).as_str()], |row| row.get(0))
            .unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    fn installed(&mut self, number: usize) {
        let report = UpdateResultReport {
            package: self.inspection.id,
            target: self.inspection.manifest.target.clone(),
            running: self.inspection.manifest.target.clone(),
            outcome: UpdateOutcome::Installed,
            output: String::new(),
        };
        let origin = self.origin(number, self.messages_of(number).0);
        self.db.write(|tx| on_update_result(tx, &origin, &report)).unwrap();
    }

    fn knows_versions(&self) {
        self.db.read().execute("UPDATE appliance SET software = '1.0.01-1'", []).unwrap();
    }

    fn settles(&self, number: usize) -> Option<u32> {
        self.targets()[&agent(number)].mails().0.unwrap().settle_secs
    }
}

#[test]
fn a_late_success_takes_the_second_order_out_of_the_outbox() {
    let mut center = Center::in_memory(2);
    center.retries(1);
    center.until_asked(2);
    let nonce = center.nonce(1);
    for number in 1..=2 {
        center.answer(number, nonce, "1.0.01-1", b"device-watch 1.0.01");
    }
    center.later(1);
    let again = center.messages().0.unwrap();
    assert_eq!(center.targets()[&agent(1)].attempt, 2);
    assert_eq!(center.mail_states(again, 1), ["queued"]);
    center.now += SignedDuration::from_mins(1);
    center.good_answer(1, nonce);
    center.later(1);
    assert_eq!(center.targets()[&agent(1)].verdict(), Some(&Verdict::Updated));
    assert_eq!(
        (center.mail_states(again, 1), center.mail_states(again, 2)),
        (vec!["expired".to_owned()], vec!["queued".to_owned()])
    );
}

#[test]
fn the_question_before_is_not_repeated_when_a_silent_one_is_asked_again_first_of_all() {
    let mut center = Center::in_memory(1);
    center.retries(1);
    center.until_asked(1);
    let first = center.messages().1.unwrap();
    center.later(30);
    let second = center.messages().1.unwrap();
    assert_ne!(first, second);
    assert_eq!(center.mail_states(first, 1), ["expired"]);
    let priority: i64 = center
        .db
        .read()
        .query_row("SELECT priority FROM outbox WHERE message = ?1", [&second.as_bytes()[..]], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(priority, 0, "before other commands");
    assert_eq!(center.targets()[&agent(1)].attempt, 1, "the package is not sent again");
}

#[test]
fn history_and_audit_log_say_what_follows_by_itself_and_why() {
    let mut center = Center::in_memory(2);
    center.db.read().execute("UPDATE rollout SET retries = 1, mails_per_target = 9", []).unwrap();
    center.until_asked(2);
    let gone = TransportOutcome::Bounced { reason: "550 5.1.1 no such user".to_owned() };
    let ask = center.messages_of(2).1.unwrap();
    center.transport(ask, 2, &gone);
    center.later(30);
    center.later(60);
    let history = center.history(1);
    let failed = history.iter().find(|line| line.starts_with("failed silent")).unwrap();
    assert!(failed.contains("; it is asked again by itself after 2002-11-04"), "{failed}");
    assert!(history.contains(&"asked again by itself; round 1 of 1".to_owned()), "{history:?}");
    let bounced = center.history(2);
    assert!(
        bounced.contains(
            &"failed undeliverable: 550 5.1.1 no such user; not again by itself: its address has to be looked at".to_owned()
        ),
        "{bounced:?}"
    );
    let deeds = center.db.deeds(100).unwrap();
    assert!(
        deeds
            .iter()
            .any(|deed| deed.what == "retry" && deed.detail == "by itself, the question to 1 appliances")
    );
}

#[test]
fn an_appliance_that_distrusts_the_package_is_an_alarm_and_gets_nothing_more() {
    let mut center = Center::in_memory(1);
    center.retries(3);
    center.until_asked(1);
    let report = UpdateResultReport {
        package: center.inspection.id,
        target: center.inspection.manifest.target.clone(),
        running: SoftwareVersion::new("1.0.01-1").unwrap(),
        outcome: UpdateOutcome::Refused {
            reason: "no valid signature by a trusted release key (signed by 17ab)".to_owned(),
        },
        output: String::new(),
    };
    let origin = center.origin(1, center.messages().0);
    center.db.write(|tx| on_update_result(tx, &origin, &report)).unwrap();
    let nonce = center.nonce(1);
    center.answer(1, nonce, "1.0.01-1", b"device-watch 1.0.01");
    center.later(1);
    let alarms = center.db.alarms(Some(&agent(1)), false).unwrap();
    assert_eq!(alarms.iter().map(|alarm| alarm.kind.as_str()).collect::<Vec<_>>(), ["update-distrusted"]);
    assert!(alarms[0].description.contains("no valid signature"), "{:?}", alarms[0]);
    center.later(48 * 60);
    assert_eq!(center.recipients().len(), 2);
}

#[test]
fn a_later_rollout_of_the_package_waits_as_long_as_the_measured_updates_took() {
    let mut center = Center::in_memory(25);
    center.knows_versions();
    center.tick().unwrap();
    assert_eq!(center.settles(1), None, "nothing was measured yet");
    let order = center.messages().0.unwrap();
    (1..=25).for_each(|number| center.transport(order, number, &TransportOutcome::Accepted));
    center.now += SignedDuration::from_mins(25);
    (1..=25).for_each(|number| center.installed(number));
    center.tick().unwrap();
    let ask = center.messages().1.unwrap();
    (1..=25).for_each(|number| center.transport(ask, number, &TransportOutcome::Accepted));
    let nonce = center.nonce(1);
    (1..=25).for_each(|number| center.good_answer(number, nonce));
    center.later(1);
    assert_eq!(center.db.rollout_counts(center.id).unwrap().0.updated, 25);

    let old = center.db.rollout(center.id).unwrap();
    let draft = Draft {
        release: old.release,
        order: old.order,
        whole: None,
        timing: old.timing,
        openings: Openings::default(),
        retrying: Policy::NOTHING,
        course: Course::at_once(),
        joining: None,
        approvals: 0,
        package_expires: old.package_expires,
        agents: [agent(1), agent(2)].into(),
    };
    center.knows_versions();
    center
        .db
        .read()
        .execute("UPDATE appliance SET software = '0.9.00-1' WHERE agent = ?1", [agent(2).as_str()])
        .unwrap();
    center.id = start(&mut center.db, &draft, "anna", center.now).unwrap();
    center.tick().unwrap();
    assert_eq!(center.settles(1), Some(25 * 60));
    assert_eq!(center.settles(2), None, "from another version it may take another time");
    let order = center.messages().0.unwrap();
    (1..=2).for_each(|number| center.transport(order, number, &TransportOutcome::Accepted));
    center.later(24);
    assert_eq!(center.messages_of(1).1, None, "the learned time is not over, the package's own is");
    assert!(center.messages_of(2).1.is_some());
    center.later(1);
    assert!(center.messages_of(1).1.is_some());
}

#[test]
fn silence_is_judged_later_where_mails_are_slow() {
    let mut center = Center::in_memory(1);
    let (now, ten_minutes) = (center.now, SignedDuration::from_mins(10));
    center
        .db
        .read()
        .execute(
            "INSERT INTO round_trip (agent, at, millis) VALUES (?1, ?2, ?3)",
            (agent(1).as_str(), now.as_millisecond(), i64::try_from(ten_minutes.as_millis()).unwrap()),
        )
        .unwrap();
    assert_eq!(center.db.mail_delay(&agent(1), now).unwrap(), Some(ten_minutes));
    center.until_asked(1);
    center.later(39);
    assert_eq!(center.targets()[&agent(1)].verdict(), None);
    center.later(1);
    assert_eq!(center.targets()[&agent(1)].verdict(), Some(&Failure::Silent.into()));
}
