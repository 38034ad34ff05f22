use super::*;

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn later(hours: i64) -> Timestamp {
    now() + SignedDuration::from_hours(hours)
}

/// The forms of so many sendings that nobody answers.
fn unanswered(way: &Way, sendings: usize) -> Vec<Form> {
    let mut tried = Tried::default();
    std::iter::repeat_with(|| {
        let form = way.next(tried, now());
        tried = tried.and(form);
        form
    })
    .take(sendings)
    .collect()
}

fn armoured() -> Way {
    Way::default().learn(&Sign::CameArmoured, now()).unwrap()
}

#[test]
fn what_nobody_answers_is_tried_in_the_other_form_and_then_in_both_by_turns() {
    use Form::{Armoured as A, Opaque as O};
    assert_eq!(unanswered(&Way::default(), 7), [O, O, A, A, O, A, O]);
    assert_eq!(unanswered(&armoured(), 7), [A, A, O, O, A, O, A]);
}

#[test]
fn armoured_text_that_is_answered_after_attachments_were_not_is_kept_to() {
    let tried = Tried { opaque: 2, armoured: 1, last: Form::Armoured };
    let way = Way::default().learn(&Sign::Arrived(tried), now()).unwrap();
    assert_eq!((way.form, way.since), (Form::Armoured, Some(now())));
    assert!(way.reason.contains("2 sendings"), "{}", way.reason);
    assert_eq!(way.next(Tried::default(), later(1)), Form::Armoured);
    assert_eq!(way.learn(&Sign::CameArmoured, later(1)), None, "nothing new");
}

#[test]
fn an_attachment_is_tried_again_after_a_week_and_kept_to_when_it_gets_through() {
    let way = armoured();
    assert_eq!(way.next(Tried::default(), later(7 * 24 - 1)), Form::Armoured);
    assert_eq!(way.next(Tried::default(), later(7 * 24)), Form::Opaque);
    let probing = way.learn(&Sign::Probed, later(7 * 24)).unwrap();
    assert_eq!(probing.next(Tried::default(), later(7 * 24)), Form::Armoured, "one message at a time");
    let tried = Tried::default().and(Form::Opaque);
    assert_eq!(probing.next(tried, later(7 * 24)), Form::Armoured, "the second sending is sure");
    let back = probing.learn(&Sign::Arrived(tried), later(7 * 24)).unwrap();
    assert_eq!((back.form, back.probe), (Form::Opaque, None));
}

#[test]
fn two_sides_that_both_went_over_to_armour_find_back() {
    let back = armoured().learn(&Sign::Arrived(Tried::default().and(Form::Opaque)), later(200)).unwrap();
    assert_eq!(back.learn(&Sign::CameArmoured, later(201)), None, "ours got through an hour ago");
    assert!(back.learn(&Sign::CameArmoured, later(230)).is_some());
}

#[test]
fn a_stripped_mail_and_a_refused_content_bring_the_armour_at_once() {
    let way = Way::default().learn(&Sign::Mangled(Mangling::Stripped), now()).unwrap();
    assert!(
        way.form == Form::Armoured && way.reason.contains("attachment stripped by a gateway"),
        "{}",
        way.reason
    );
    let way = Way::default().learn(&Sign::Rejected("550 5.7.1 attachments are not allowed"), now()).unwrap();
    assert!(way.reason.contains("attachments are not allowed"), "{}", way.reason);
}

#[test]
fn proofs_are_not_written_down_with_every_answer() {
    let tried = Tried::default().and(Form::Opaque);
    let way = Way::default().learn(&Sign::Arrived(tried), now()).unwrap();
    assert_eq!(way.proven, Some(now()));
    let soon = now() + SignedDuration::from_mins(59);
    assert_eq!(way.learn(&Sign::Arrived(tried), soon), None);
    assert!(way.learn(&Sign::Arrived(tried), later(1)).is_some());
}

#[test]
fn refusals_of_content_are_told_from_those_of_addresses() {
    for (status, words) in [
        (Some("5.7.1"), "Message rejected: attachment type not allowed"),
        (Some("5.6.1"), "media not supported"),
        (None, "552 virus found"),
        (Some("5.7.1"), "Command rejected"),
        (Some("5.7.0"), "This message contains SPAM"),
    ] {
        assert!(is_about_content(status, words), "{words}");
    }
    for (status, words) in [
        (Some("5.1.1"), "no such mailbox"),
        (Some("5.7.1"), "relaying denied"),
        (Some("5.2.2"), "mailbox full"),
        (Some("5.3.4"), "message size exceeds limit"),
        (None, ""),
    ] {
        assert!(!is_about_content(status, words), "{words}");
    }
}
