//! Rollouts in waves: what goes out when, what stops it, and what a person does.

use super::*;

fn course(waves: &str, pause_minutes: u32) -> Course {
    Course::parse(waves, pause_minutes * 60, false).unwrap()
}

fn center(appliances: usize, course: Course) -> Center {
    Center::on_course(Db::in_memory().unwrap(), appliances, course)
}

impl Center {
    fn wave(&self, wave: u32) -> Vec<usize> {
        let targets = self.targets();
        let of = |number: &usize| targets[&agent(*number)].wave == wave;
        (1..=targets.len()).filter(of).collect()
    }

    fn ordered(&self) -> usize {
        self.targets().values().filter(|target| target.mails().0.is_some()).count()
    }

    fn order_of(&self, number: usize) -> MessageId {
        self.targets()[&agent(number)].mails().0.unwrap().message
    }

    fn ask_of(&self, number: usize) -> MessageId {
        self.targets()[&agent(number)].mails().1.unwrap().message
    }

    /// The mail server takes the order and the question to these, and they answer: well, or not at all.
    fn play(&mut self, numbers: &[usize], silent: usize) {
        for number in numbers {
            self.transport(self.order_of(*number), *number, &TransportOutcome::Accepted);
        }
        self.later(10);
        for number in numbers {
            self.transport(self.ask_of(*number), *number, &TransportOutcome::Accepted);
        }
        for number in &numbers[silent..] {
            let nonce = self.nonce(*number);
            self.good_answer(*number, nonce);
        }
        self.later(1);
    }

    fn stand(&self) -> Stand {
        self.db.rollout(self.id).unwrap().stand
    }

    fn deeds(&self) -> Vec<String> {
        let deeds = self.db.deeds(100).unwrap();
        deeds
            .into_iter()
            .map(|deed| format!("{} {} {}", deed.who, deed.what, deed.detail).trim().to_owned())
            .collect()
    }
}

#[test]
fn the_next_wave_goes_out_when_the_one_before_is_updated_and_its_pause_is_over() {
    let mut center = center(6, course("2,100%", 60));
    center.tick().unwrap();
    let (first, second) = (center.wave(0), center.wave(1));
    assert_eq!((first.len(), second.len(), center.ordered()), (2, 4, 2));
    center.play(&first, 0);
    assert_eq!((center.ordered(), center.stand().released), (2, 1));
    center.later(58);
    assert_eq!(center.ordered(), 2, "the pause is not over");
    center.later(2);
    center.tick().unwrap();
    assert_eq!(center.ordered(), 6);
    center.play(&second, 0);
    let (counts, finished) = center.db.rollout_counts(center.id).unwrap();
    assert_eq!((counts.updated, finished), (6, Some(center.now)));
    assert_eq!(
        center.deeds(),
        [
            "anna start 1.0.02-0 to 6 appliances, course own",
            "daemon wave proven wave 1 of 2",
            "daemon wave released wave 2 of 2",
            "daemon finished"
        ]
    );
}

#[test]
fn silence_is_an_error_and_enough_of_it_stops_the_rollout() {
    let mut center = center(40, course("20,100%", 0));
    center.tick().unwrap();
    let first = center.wave(0);
    center.play(&first, 3);
    assert!(center.stand().sends(), "the silent may still answer, and the others are not enough to go on");
    center.later(30);
    let Mode::Stopped { reason, .. } = center.stand().mode else { panic!("{:?}", center.stand()) };
    assert_eq!(reason, "3 of 20 appliances in error");
    center.later(600);
    assert_eq!(center.ordered(), 20, "nobody else gets the package");
    let (counts, finished) = center.db.rollout_counts(center.id).unwrap();
    assert_eq!((counts.updated, counts.failed, counts.pending, finished.is_some()), (17, 3, 20, true));
}

#[test]
fn a_rollout_that_stopped_itself_goes_on_when_a_person_forgives_the_errors() {
    let mut center = center(40, course("20,100%", 0));
    center.tick().unwrap();
    let first = center.wave(0);
    center.play(&first, 3);
    center.later(30);
    center.does(Act::GoOn, "three sites are closed").unwrap();
    for _ in 0..3 {
        center.later(1);
    }
    assert_eq!(center.ordered(), 20, "17 of 20 are fewer than 90 %");
    assert!(matches!(center.stand().mode, Mode::Paused { between_waves: true, .. }));
    center.does(Act::GoOn, "").unwrap();
    center.later(1);
    assert_eq!(center.ordered(), 40);
    assert!(center.deeds().contains(&"anna resume three sites are closed".to_owned()));
}

#[test]
fn a_mail_that_came_back_says_nothing_about_the_package() {
    let mut center = center(8, course("4,100%", 0));
    center.tick().unwrap();
    let first = center.wave(0);
    let gone = TransportOutcome::Bounced { reason: "no such user".to_owned() };
    for number in &first[..3] {
        center.transport(center.order_of(*number), *number, &gone);
    }
    center.play(&first[3..], 0);
    center.later(1);
    center.later(1);
    assert_eq!(center.ordered(), 8, "all that could be reached are updated");
}

#[test]
fn a_paused_rollout_follows_what_is_out_and_sends_nothing_more() {
    let mut center = center(4, course("2,100%", 0));
    center.tick().unwrap();
    center.does(Act::Pause, "stock-taking").unwrap();
    let first = center.wave(0);
    center.play(&first, 0);
    center.later(600);
    assert_eq!((center.ordered(), center.db.rollout_counts(center.id).unwrap().0.updated), (2, 2));
    assert!(center.db.rollout(center.id).unwrap().finished.is_none());
    let again = center.does(Act::Pause, "");
    assert!(matches!(again, Err(ConductError::Halted { how: "paused", .. })));
    center.does(Act::GoOn, "").unwrap();
    for _ in 0..3 {
        center.later(1);
    }
    assert_eq!(center.ordered(), 4);
}

#[test]
fn a_person_releases_the_next_wave_before_its_time() {
    let mut center = center(4, course("2,3,100%", 600));
    center.tick().unwrap();
    center.does(Act::ReleaseNext, "").unwrap();
    center.tick().unwrap();
    assert_eq!((center.ordered(), center.stand().released), (3, 2));
    center.does(Act::ReleaseNext, "").unwrap();
    let third = center.does(Act::ReleaseNext, "");
    assert!(matches!(third, Err(ConductError::LastWave { .. })));
}

#[test]
fn a_wave_with_a_hold_waits_for_a_look() {
    let mut center = center(4, Course::parse("2,100%", 0, true).unwrap());
    center.tick().unwrap();
    let first = center.wave(0);
    center.play(&first, 0);
    center.later(1);
    let Mode::Paused { reason, between_waves: true, .. } = center.stand().mode else {
        panic!("{:?}", center.stand())
    };
    assert_eq!(reason, "a look at wave 1 was asked for");
    center.does(Act::GoOn, "looks good").unwrap();
    center.later(1);
    assert_eq!(center.ordered(), 4);
}

#[test]
fn the_failed_of_a_wave_are_tried_again_before_a_person_is_asked() {
    let mut center = center(20, course("10,100%", 0));
    center.retries(1);
    center.tick().unwrap();
    let first = center.wave(0);
    center.play(&first, 2);
    center.later(30);
    assert!(center.stand().sends(), "8 of 10 are fewer than 90 %, but the silent two are asked once more");
    let rollout = center.db.rollout(center.id).unwrap();
    let tally = tallies(&rollout, &center.targets(), center.now)[0];
    assert_eq!(tally, Tally { updated: 8, errors: 2, again: 2, open: 0 }, "they count as errors meanwhile");
    for number in &first[..2] {
        let nonce = center.nonce(*number);
        center.good_answer(*number, nonce);
    }
    center.later(1);
    center.later(1);
    center.later(1);
    assert_eq!(center.ordered(), 20);
}

#[test]
fn rounds_under_way_count_as_errors_and_stop_the_rollout() {
    let mut center = center(20, course("10,100%", 0));
    center.retries(3);
    center.tick().unwrap();
    let first = center.wave(0);
    center.play(&first, 3);
    center.later(30);
    assert!(center.stand().is_stopped(), "{:?}", center.stand());
    let mails = center.recipients().len();
    center.later(24 * 60);
    assert_eq!(center.recipients().len(), mails, "and in a stopped rollout nothing follows by itself");
}

#[test]
fn a_wave_does_not_wait_for_ever_for_those_that_stay_silent() {
    let mut center = center(20, course("10,100%", 0));
    center.retries(2);
    center.tick().unwrap();
    let first = center.wave(0);
    center.play(&first, 2);
    for _ in 0..6 {
        center.later(30);
        for number in &first[..2] {
            for message in [center.order_of(*number)].into_iter().chain(center.messages_of(*number).1) {
                center.transport(message, *number, &TransportOutcome::Accepted);
            }
        }
    }
    let Mode::Paused { reason, between_waves: true, .. } = center.stand().mode else {
        panic!("{:?}", center.stand())
    };
    assert_eq!(reason, "8 of 10 appliances of wave 1 are updated, fewer than 90 %");
}

#[test]
fn a_stop_calls_back_what_has_not_begun_and_only_that() {
    let mut center = center(4, Course::at_once());
    center.tick().unwrap();
    for number in 1..=4 {
        center.transport(center.order_of(number), number, &TransportOutcome::Accepted);
    }
    let package = center.inspection.id;
    let order = center.order_of(1);
    let said = UpdateResultReport {
        package,
        target: SoftwareVersion::new("1.0.02-0").unwrap(),
        running: SoftwareVersion::new("1.0.02-0").unwrap(),
        outcome: UpdateOutcome::Installed,
        output: String::new(),
    };
    let origin = center.origin(1, Some(order));
    center.db.write(|tx| on_update_result(tx, &origin, &said)).unwrap();
    center.does(Act::Stop, "it eats paper").unwrap();
    center.later(1);
    assert_eq!(center.recipients().last(), Some(&("recall".to_owned(), 3)));
    center.later(1);
    assert_eq!(center.recipients().len(), 2, "it is called back once");
    assert!(center.history(2).contains(&"called back".to_owned()));
    assert!(!center.history(1).contains(&"called back".to_owned()));
}

#[test]
fn a_person_tries_the_failed_of_a_stopped_rollout_again_and_nobody_else() {
    let mut center = center(8, course("4,100%", 0));
    center.tick().unwrap();
    let first = center.wave(0);
    center.play(&first, 4);
    center.later(30);
    assert!(center.stand().is_stopped());
    let again = retry(&mut center.db, center.id, &[], "anna", center.now, &mut center.random).unwrap();
    assert_eq!(again.len(), 4);
    center.later(1);
    assert_eq!(center.recipients().last(), Some(&("update".to_owned(), 4)));
    center.play(&first, 0);
    center.later(30);
    assert_eq!((center.ordered(), center.db.rollout_counts(center.id).unwrap().0.updated), (4, 4));
}

#[test]
fn a_rollout_from_before_there_were_waves_is_one_wave() {
    let mut center = center(3, Course::at_once());
    center
        .db
        .write(|tx| tx.execute("UPDATE rollout SET course = NULL, stand = NULL", []).map_err(DbError::from))
        .unwrap();
    center.tick().unwrap();
    assert_eq!(center.ordered(), 3);
}
