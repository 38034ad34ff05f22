use super::*;
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn window(span_secs: u32, most: u32) -> Window {
    Window { span_secs, most }
}

fn exchange_online() -> Bounds {
    Bounds::of(&mailbox::provider::named("microsoft365").unwrap().limits)
}

#[test]
fn the_bounds_are_those_that_the_provider_publishes() {
    let bounds = exchange_online();
    assert_eq!(bounds.mails, [window(60, 30)]);
    assert_eq!(bounds.recipients, [window(86_400, 10_000)]);
    assert_eq!(
        (bounds.recipients_per_mail, bounds.received.as_slice()),
        (Some(500), [window(3_600, 3_600)].as_slice())
    );
    assert!(!Bounds::default().bounds_sending());
}

#[test]
fn a_mail_waits_until_the_window_has_room() {
    let bounds = Bounds { mails: vec![window(60, 2)], ..Bounds::default() };
    let mut spent = Spent::default();
    for second in [0, 10] {
        assert_eq!(spent.free_at(&bounds, 1, at(second)), at(second));
        spent.note(at(second), 1);
    }
    let free = spent.free_at(&bounds, 1, at(20));
    assert!(free > at(60) && free < at(61), "{free}");
    assert_eq!(spent.free_at(&bounds, 1, at(90)), at(90));
}

#[test]
fn recipients_are_counted_over_all_mails() {
    let bounds = Bounds { recipients: vec![window(100, 10)], ..Bounds::default() };
    let spent = Spent::of(vec![(at(5), 4), (at(0), 5)]);
    assert_eq!(spent.free_at(&bounds, 1, at(6)), at(6));
    assert!(spent.free_at(&bounds, 2, at(6)) > at(100));
    assert!(spent.free_at(&bounds, 7, at(6)) > at(105));
}

#[test]
fn ten_thousand_commands_leave_exchange_online_in_twenty_mails() {
    let bounds = exchange_online();
    let each = SignedDuration::from_secs(2);
    let times = schedule(&bounds, &Spent::default(), std::iter::repeat_n(500, 20), each, at(0));
    assert_eq!(times.last(), Some(&at(40)));
    let single = schedule(&bounds, &Spent::default(), std::iter::repeat_n(1, 10_000), each, at(0));
    let hours = single.last().unwrap().duration_since(at(0)).as_secs_f64() / 3_600.0;
    assert!((5.5..5.8).contains(&hours), "{hours}");
}

#[test]
fn a_clock_that_was_set_back_does_not_free_what_is_spent() {
    let bounds = Bounds { mails: vec![window(60, 1)], ..Bounds::default() };
    let mut spent = Spent::default();
    spent.note(at(1_000), 1);
    spent.note(at(0), 1);
    assert!(spent.free_at(&bounds, 1, at(0)) > at(1_060));
}

fn most_in_any(mails: &[(i64, u32)], span: i64, weigh: impl Fn(u32) -> u32) -> u32 {
    let in_window = |begin: i64| {
        let seen = mails.iter().filter(|(at, _)| (begin..=begin + span).contains(at));
        seen.map(|(_, recipients)| weigh(*recipients)).sum()
    };
    mails.iter().map(|(at, _)| in_window(*at)).max().unwrap_or(0)
}

proptest! {
    #[test]
    fn no_sliding_window_ever_holds_more_than_is_allowed(
        mails in prop::collection::vec((0_i64..40, 1_u32..6), 1..60),
        short in 1_u32..5, long in 5_u32..20, people in 6_u32..30,
    ) {
        let bounds = Bounds {
            mails: vec![window(10, short), window(100, long)],
            recipients: vec![window(50, people)],
            ..Bounds::default()
        };
        let (mut spent, mut now) = (Spent::default(), 0);
        let mut handed = Vec::new();
        for (pause, recipients) in mails {
            now += pause;
            let free = spent.free_at(&bounds, recipients, at(now));
            // To the next whole second.
            now = now.max((free.as_millisecond() + 999).div_euclid(1_000) - 1_800_000_000);
            spent.note(at(now), recipients);
            handed.push((now, recipients));
            spent.forget(&bounds, at(now));
        }
        prop_assert!(most_in_any(&handed, 10, |_| 1) <= short);
        prop_assert!(most_in_any(&handed, 100, |_| 1) <= long);
        prop_assert!(most_in_any(&handed, 50, |recipients| recipients) <= people);
    }
}
