use super::*;

const MAIL: Facts<'static> = Facts {
    service: Service::Smtp,
    sender: Some("center@office.example"),
    recipient: Some("box7@site.example"),
    size: Some(1000),
    attempt: 0,
};

fn luck(number: u64) -> Luck {
    Luck::of(42, "box7@site.example", number)
}

fn delivery(rules: &[Rule]) -> Delivery {
    match decide(rules, MAIL, luck(0)).outcome {
        Outcome::Delivered(delivery) => delivery,
        other => panic!("not delivered: {other:?}"),
    }
}

#[test]
fn without_rules_every_mail_arrives_once_and_whole() {
    assert_eq!(delivery(&[]), Delivery::PLAIN);
    assert_eq!(turn_away(&[], MAIL, luck(0)), None);
    assert_eq!(link(&[], Facts::of_connection(Service::Imap, None), luck(0)), Link::default());
    assert_eq!(spoil(b"abc", &Delivery::PLAIN), None);
}

#[test]
fn a_rule_touches_only_whom_it_names() {
    let lose = Rule::always(Fault::Lose);
    for (rule, hit) in [
        (lose.clone().to("BOX7@site.example"), true),
        (lose.clone().to("box8@site.example"), false),
        (lose.clone().to("@Site.example"), true),
        (lose.clone().to("@example"), false),
        (lose.clone().sent_by("@office.example"), true),
        (lose.clone().sent_by("center@office.example").to("@other.example"), false),
        (lose.clone().on(Service::Pop3), false),
        (lose.clone().on(Service::Smtp), true),
        (lose.clone().with_chance(0.0), false),
    ] {
        let lost = decide(std::slice::from_ref(&rule), MAIL, luck(0)).outcome == Outcome::Lost;
        assert_eq!(lost, hit, "{rule:?}");
    }
}

#[test]
fn a_chance_is_kept_and_the_same_seed_decides_the_same() {
    let rules = [Rule::always(Fault::Lose).with_chance(0.3)];
    let run = |seed: u64| -> Vec<bool> {
        (0..10_000)
            .map(|number| decide(&rules, MAIL, Luck::of(seed, "box7", number)).outcome == Outcome::Lost)
            .collect()
    };
    let lost = run(1).iter().filter(|lost| **lost).count();
    assert!((2_700..3_300).contains(&lost), "{lost} of 10000 lost");
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn another_rule_at_the_end_does_not_change_the_luck_of_the_first() {
    let one = vec![Rule::always(Fault::Lose).with_chance(0.5)];
    let mut two = one.clone();
    two.push(Rule::always(Fault::Copies { extra: 1 }).with_chance(0.5));
    for number in 0..200 {
        let lost = |rules: &[Rule]| decide(rules, MAIL, luck(number)).outcome == Outcome::Lost;
        assert_eq!(lost(&one), lost(&two), "mail {number}");
    }
}

#[test]
fn delays_stay_between_their_bounds_and_differ() {
    let rules = [Rule::always(Fault::Delay { at_least_ms: 10, at_most_ms: 20 })];
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..500 {
        let Outcome::Delivered(delivery) = decide(&rules, MAIL, luck(number)).outcome else {
            panic!("a delayed mail is delivered")
        };
        assert!((10..=20).contains(&delivery.delay.as_millis()));
        seen.insert(delivery.delay);
    }
    assert_eq!(seen.len(), 11, "every delay from 10 to 20 ms occurs");
    let backwards = [Rule::always(Fault::Delay { at_least_ms: u64::MAX, at_most_ms: 0 })];
    assert!(delivery(&backwards).delay > Duration::from_secs(1));
}

#[test]
fn greylisting_turns_away_the_first_attempts_only() {
    let rules = [Rule::always(Fault::Greylist { tries: 2 })];
    let code = |attempt| turn_away(&rules, Facts { attempt, ..MAIL }, luck(0)).map(|refusal| refusal.code);
    assert_eq!([code(0), code(1), code(2), code(3)], [Some(451), Some(451), None, None]);
}

#[test]
fn a_size_limit_speaks_at_once_when_the_size_is_declared_and_at_the_end_otherwise() {
    let rules = [Rule::always(Fault::SizeLimit { octets: 999 })];
    assert_eq!(turn_away(&rules, MAIL, luck(0)).map(|refusal| refusal.code), Some(552));
    assert_eq!(turn_away(&rules, Facts { size: None, ..MAIL }, luck(0)), None);
    assert!(matches!(decide(&rules, MAIL, luck(0)).outcome, Outcome::Refused(Refusal { code: 552, .. })));
    let wider = [Rule::always(Fault::SizeLimit { octets: 1000 })];
    assert_eq!(delivery(&wider), Delivery::PLAIN);
}

#[test]
fn a_mail_may_be_lost_and_the_answer_too() {
    let rules = [Rule::always(Fault::Lose), Rule::always(Fault::DieBeforeReply).first(1)];
    assert_eq!(decide(&rules, MAIL, luck(0)), Fate { outcome: Outcome::Lost, dies_before_reply: true });
    let again = Facts { attempt: 1, ..MAIL };
    assert_eq!(decide(&rules, again, luck(0)), Fate { outcome: Outcome::Lost, dies_before_reply: false });
}

#[test]
fn damage_changes_exactly_one_letter_behind_the_header() {
    let raw = b"Subject: x\r\n\r\nab\r\ncd\r\n".as_slice();
    let mut changed = 0;
    for number in 0..200 {
        let spoiled = spoil(raw, &Delivery { damage: Some(number), ..Delivery::PLAIN }).expect("spoiled");
        assert_eq!(spoiled.len(), raw.len());
        assert_eq!(spoiled[..14], raw[..14], "the header stays");
        let differing: Vec<_> = (0..raw.len()).filter(|at| spoiled[*at] != raw[*at]).collect();
        assert!(differing.len() <= 1);
        changed += differing.len();
    }
    assert!(changed >= 80, "line ends are spared, letters are not");
}

#[test]
fn truncation_keeps_the_beginning_and_never_more_than_there_is() {
    let cut = |keep| spoil(b"abcdef", &Delivery { keep: Some(keep), ..Delivery::PLAIN }).expect("spoiled");
    assert_eq!(cut(4), b"abcd");
    assert_eq!(cut(0), b"");
    assert_eq!(cut(u64::MAX), b"abcdef");
    let both = Delivery { keep: Some(0), damage: Some(7), ..Delivery::PLAIN };
    assert_eq!(spoil(b"abcdef", &both).expect("spoiled"), b"");
}

#[test]
fn a_fault_of_one_mailbox_begins_at_its_login() {
    let rules = [
        Rule::always(Fault::DropAfter { octets: 5000 }).to("box7@site.example").on(Service::Pop3),
        Rule::always(Fault::Outage(Outage::Hang)).sent_by("center@office.example").on(Service::Smtp),
    ];
    let at = |service, login| link(&rules, Facts::of_connection(service, login), luck(0));
    assert_eq!(at(Service::Pop3, None), Link::default());
    assert_eq!(at(Service::Pop3, Some("box7@site.example")).drop_after, Some(5000));
    assert_eq!(at(Service::Imap, Some("box7@site.example")), Link::default());
    assert_eq!(at(Service::Smtp, Some("center@office.example")).outage, Some(Outage::Hang));
    assert_eq!(at(Service::Smtp, Some("box7@site.example")).outage, None);
}

#[test]
fn only_an_outage_for_everyone_closes_the_door() {
    let refuse = Rule::always(Fault::Outage(Outage::Refuse));
    assert!(refuses_all(std::slice::from_ref(&refuse), Service::Imap));
    assert!(!refuses_all(&[refuse.clone().on(Service::Pop3)], Service::Imap));
    assert!(!refuses_all(&[refuse.clone().with_chance(0.5)], Service::Imap));
    assert!(!refuses_all(&[refuse.to("box7@site.example")], Service::Imap));
}

#[test]
fn a_script_can_be_written_as_a_file() {
    #[derive(serde::Deserialize)]
    struct Script {
        rule: Vec<Rule>,
    }
    let script: Script = toml::from_str(
        r#"
        [[rule]]
        fault = "lose"
        chance = 0.01
        when = { recipient = "@site.example" }
        [[rule]]
        fault = { delay = { at-least-ms = 100, at-most-ms = 2000 } }
        [[rule]]
        fault = { outage = "hang" }
        when = { service = "imap" }
        [[rule]]
        fault = { reject = { code = 550, text = "5.7.1 No", at = "data" } }
        "#,
    )
    .expect("a valid script");
    assert_eq!(script.rule[0], Rule::always(Fault::Lose).with_chance(0.01).to("@site.example"));
    assert_eq!(script.rule[1].fault, Fault::Delay { at_least_ms: 100, at_most_ms: 2000 });
    assert_eq!(script.rule[2], Rule::always(Fault::Outage(Outage::Hang)).on(Service::Imap));
    let Fault::Reject { at, .. } = script.rule[3].fault else { panic!("a refusal") };
    assert_eq!(at, Stage::Data);
}
