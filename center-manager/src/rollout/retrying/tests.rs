//! The decision, cause by cause.

use super::*;
use mailfmt::{ModuleName, SoftwareVersion};

const HALF_HOUR: SignedDuration = SignedDuration::from_mins(30);

fn now() -> Timestamp {
    "2002-11-04T09:00:00Z".parse().unwrap()
}

fn history() -> History {
    History {
        rounds: 0,
        lost: 0,
        order_heard: true,
        called_back: false,
        reformed: false,
        on_its_way_until: None,
        mails_left: 100,
        expires: now() + SignedDuration::from_hours(24 * 90),
        draw: 0,
    }
}

fn refused(reason: &str) -> Failure {
    Failure::Refused { reason: reason.to_owned() }
}

fn undeliverable(reason: &str) -> Failure {
    Failure::Undeliverable { reason: reason.to_owned() }
}

fn other_version() -> Failure {
    Failure::OtherVersion { version: SoftwareVersion::new("1.0.01-1").unwrap() }
}

fn on(cause: &Failure, history: &History) -> Next {
    next(cause, history, &Policy::USUAL, now())
}

fn at(wait: SignedDuration, how: How) -> Next {
    Next::At { at: now() + wait, how }
}

fn never(why: Why) -> Next {
    Next::Never { why }
}

const PACKAGE: How = How::Package { whole: false };
const DAY: SignedDuration = SignedDuration::from_hours(24);

#[test]
fn every_cause_has_its_own_next_step() {
    let undone = |reason: &str| Failure::Undone { reason: reason.to_owned() };
    let mixed = Failure::MixedModules { modules: vec![ModuleName::new("device-watch").unwrap()] };
    let table = [
        (Failure::Silent, at(HALF_HOUR, How::Question)),
        (other_version(), at(HALF_HOUR, How::Package { whole: true })),
        (mixed, at(HALF_HOUR, How::Package { whole: true })),
        (Failure::Suspended, at(SignedDuration::ZERO, PACKAGE)),
        (refused("the new release needs 4096 octets of disk, 17 are free"), at(DAY, PACKAGE)),
        (refused("No space left on device (os error 28)"), at(DAY, PACKAGE)),
        (
            refused("given up after waiting since 2002-11-01T00:00:00Z: device-watch is at work"),
            at(DAY, PACKAGE),
        ),
        (refused("no valid signature by a trusted release key (signed by 17ab)"), never(Why::Trust)),
        (refused("the package is not signed; sign it"), never(Why::Trust)),
        (
            refused("the package has release counter 2, older than 3 which was installed already"),
            never(Why::Trust),
        ),
        (refused("the package is not the one that was ordered"), never(Why::Trust)),
        (refused("the package was revoked by root 3"), never(Why::Trust)),
        (refused("the package is for a-100, this appliance is b-200"), never(Why::Unfit)),
        (refused("something that nobody has thought of"), never(Why::Unfit)),
        (undone("device-watch did not come up"), never(Why::WentBack)),
        (undone("given up after waiting since 2002-11-01T00:00:00Z: the counters"), at(DAY, PACKAGE)),
        (undeliverable("550 5.1.1 no such user"), never(Why::Address)),
        (undeliverable("the domain does not exist or takes no mail: 5.1.2"), never(Why::Address)),
        (undeliverable("552 5.3.4 message too big"), at(HALF_HOUR, PACKAGE)),
        (undeliverable("5.6.1 a filter does not let the attachment through"), at(HALF_HOUR, PACKAGE)),
        (undeliverable("452 4.2.2 mailbox full"), at(DAY, PACKAGE)),
        (undeliverable("5.4.7 delivery time expired"), at(DAY, PACKAGE)),
        (undeliverable("550 5.7.1 relaying denied"), never(Why::MailRefused)),
        (undeliverable("our mail server did not take the mail within 24 h"), never(Why::StillQueued)),
    ];
    for (cause, expected) in table {
        assert_eq!(on(&cause, &history()), expected, "{cause}");
    }
}

#[test]
fn pauses_double_up_to_a_day_and_never_fall_below_what_was_set() {
    let policy = Policy { rounds: 100, ..Policy::USUAL };
    let wait =
        |rounds, draw| match next(&other_version(), &History { rounds, draw, ..history() }, &policy, now()) {
            Next::At { at, .. } => now().duration_until(at),
            next @ Next::Never { .. } => panic!("{next:?}"),
        };
    let hours = [0, 1, 2, 3, 5, 6, 99].map(|rounds| wait(rounds, 0).as_mins());
    assert_eq!(hours, [30, 60, 120, 240, 960, 1440, 1440]);
    for draw in [1, 1000, u16::MAX] {
        let with_jitter = wait(1, draw);
        assert!((60..=75).contains(&with_jitter.as_mins()), "{with_jitter}");
    }
}

#[test]
fn a_silent_one_is_asked_and_where_its_order_may_be_lost_gets_the_package_every_second_time() {
    let how = |rounds, order_heard| match on(&Failure::Silent, &History { rounds, order_heard, ..history() })
    {
        Next::At { how, .. } => how,
        next @ Next::Never { .. } => panic!("{next:?}"),
    };
    assert_eq!([0, 1, 2].map(|rounds| how(rounds, false)), [How::Question, PACKAGE, How::Question]);
    assert_eq!([0, 1, 2].map(|rounds| how(rounds, true)), [How::Question; 3]);
}

#[test]
fn an_order_that_was_lost_on_its_way_is_sent_again_without_using_up_a_round_a_few_times() {
    let lost = |rounds, lost| History { rounds, lost, order_heard: false, ..history() };
    assert_eq!(on(&other_version(), &lost(0, 0)), at(HALF_HOUR, PACKAGE), "as it was");
    assert!(matches!(on(&other_version(), &lost(3, 2)), Next::At { how: PACKAGE, .. }));
    assert_eq!(on(&other_version(), &lost(3, 3)), never(Why::RoundsUsed), "its word may be what is lost");
    assert_eq!(on(&Failure::Silent, &lost(3, 0)), never(Why::RoundsUsed), "silence shows nothing");
    let mut tried = Tried::default();
    for _ in 0..5 {
        tried.begin_round(other_version(), false);
    }
    assert_eq!((tried.lost, tried.rounds), (3, 2));
}

#[test]
fn no_second_mail_before_a_delayed_one_has_expired() {
    let until = now() + SignedDuration::from_hours(100);
    let late = History { on_its_way_until: Some(until), ..history() };
    assert_eq!(on(&Failure::Silent, &late), Next::At { at: until, how: How::Question });
    let long_ago = History { on_its_way_until: Some(now() - DAY), ..history() };
    assert_eq!(on(&Failure::Silent, &long_ago), at(HALF_HOUR, How::Question));
}

#[test]
fn the_form_of_a_mail_is_changed_once() {
    let too_large = undeliverable("552 5.3.4 message too big");
    assert_eq!(on(&too_large, &History { reformed: true, ..history() }), never(Why::FormTried));
    let mut tried = Tried::default();
    tried.begin_round(Failure::Silent, true);
    assert!(!tried.reformed);
    tried.begin_round(too_large, true);
    assert!(tried.reformed);
    tried.begin_anew();
    assert_eq!((tried.reformed, tried.rounds), (false, 0), "a person may look at the way and begin anew");
}

#[test]
fn rounds_mails_and_the_packages_expiry_end_it() {
    let cause = other_version();
    assert_eq!(on(&cause, &History { rounds: 3, ..history() }), never(Why::RoundsUsed));
    assert_eq!(on(&cause, &History { mails_left: 1, ..history() }), never(Why::MailsUsed));
    assert!(
        matches!(on(&Failure::Silent, &History { mails_left: 1, ..history() }), Next::At { .. }),
        "one question"
    );
    assert_eq!(on(&cause, &History { expires: now() + HALF_HOUR, ..history() }), never(Why::Expires));
    assert_eq!(next(&cause, &history(), &Policy::NOTHING, now()), never(Why::NotWanted));
}

#[test]
fn who_was_called_back_gets_the_package_again_without_a_round() {
    let back = History { called_back: true, rounds: 3, mails_left: 0, ..history() };
    let told = refused("called back by the center before it began");
    assert_eq!(on(&told, &back), at(SignedDuration::ZERO, PACKAGE));
    assert_eq!(on(&told, &history()), never(Why::Unfit));
}

#[test]
fn only_what_is_not_trusted_is_an_alarm() {
    assert!(alarms(&refused("no valid signature by a trusted release key (signed by 17ab)")));
    assert!(!alarms(&refused("the package expired at 2002-11-01T00:00:00Z")));
    assert!(!alarms(&Failure::Silent));
}
