use super::*;
use proptest::prelude::*;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
}

fn tally(updated: u32, errors: u32, open: u32) -> Tally {
    Tally { updated, errors, again: 0, open }
}

fn stand(released: u32) -> Stand {
    Stand { released, ..Stand::begun(at(0)) }
}

fn agents(count: u32) -> BTreeSet<AgentId> {
    (1..=count).map(|number| AgentId::new(&format!("AGENT{number:07}")).unwrap()).collect()
}

#[test]
fn the_default_course_touches_one_percent_or_ten_at_worst() {
    let course = Course::named("default").unwrap();
    for (total, touched) in [(5, 5), (10, 10), (17, 10), (999, 10), (1_000, 10), (1_050, 10), (10_000, 100)] {
        assert_eq!(course.blast_radius(total), touched, "of {total}");
    }
    assert_eq!(course.sizes(10_000), [100, 400, 1_000, 2_500, 6_000]);
    assert_eq!(course.sizes(17), [10, 7], "waves that would reach nobody new are left out");
}

#[test]
fn every_name_is_a_course_and_its_last_wave_takes_all() {
    for (name, _) in NAMED {
        let course = Course::named(name).unwrap();
        assert_eq!(course.sizes(1_234).iter().sum::<u32>(), 1_234, "{name}");
    }
    assert_eq!(Course::named("no-such-course"), None);
}

#[test]
fn waves_of_ones_own_are_numbers_and_percentages() {
    let course = Course::parse("10, 5%,25%,100%", 60, false).unwrap();
    assert_eq!(course.sizes(1_000), [10, 40, 200, 750]);
    for wrong in ["", "10,,20", "0", "101%", "0%", "-1", "ten", "1.5%"] {
        let error = Course::parse(wrong, 60, false).unwrap_err().to_string();
        assert!(error.contains("100%"), "{wrong}: {error}");
    }
}

#[test]
fn who_comes_first_is_another_draw_in_each_rollout() {
    let course = Course::named("default").unwrap();
    let agents = agents(1_000);
    let first = |draw: &[u8]| {
        let waves = course.waves_of(&agents, draw);
        waves.into_iter().filter(|(_, wave)| *wave == 0).map(|(agent, _)| agent).collect::<Vec<_>>()
    };
    assert_eq!(first(b"1").len(), 10);
    assert_eq!(first(b"1"), first(b"1"));
    assert_ne!(first(b"1"), first(b"2"));
}

#[test]
fn a_wave_goes_on_at_its_success_threshold_and_after_its_pause() {
    let course = Course::parse("10,100%", 3_600, false).unwrap();
    let waves = |first| [first, tally(0, 0, 90)];
    assert_eq!(gate(&course, &stand(1), &waves(tally(8, 0, 2)), at(0)), Gate::Wait { until: None });
    assert_eq!(gate(&course, &stand(1), &waves(tally(9, 0, 1)), at(0)), Gate::Meet);
    let met = Stand { met: Some(at(0)), ..stand(1) };
    assert_eq!(gate(&course, &met, &waves(tally(9, 0, 1)), at(59)), Gate::Wait { until: Some(at(60)) });
    assert_eq!(gate(&course, &met, &waves(tally(9, 0, 1)), at(60)), Gate::Release);
}

#[test]
fn too_few_successes_without_enough_errors_wait_for_a_person() {
    let course = Course::parse("10,100%", 0, false).unwrap();
    let gate = gate(&course, &stand(1), &[tally(8, 2, 0), tally(0, 0, 90)], at(0));
    let Gate::Hold { reason } = gate else { panic!("{gate:?}") };
    assert_eq!(reason, "8 of 10 appliances of wave 1 are updated, fewer than 90 %");
}

#[test]
fn errors_of_the_last_wave_stop_it_as_well() {
    let course = Course::parse("10,100%", 0, false).unwrap();
    let tallies = [tally(10, 0, 0), tally(10, 3, 77)];
    assert!(matches!(gate(&course, &stand(2), &tallies, at(0)), Gate::Stop { .. }));
}

#[test]
fn errors_that_a_person_has_seen_do_not_stop_it_again() {
    let course = Course::parse("20,100%", 0, false).unwrap();
    let tallies = [tally(18, 2, 0), tally(0, 1, 19)];
    assert!(matches!(gate(&course, &stand(2), &tallies, at(0)), Gate::Stop { .. }));
    let forgiven = Stand { forgiven: 2, ..stand(2) };
    assert_eq!(gate(&course, &forgiven, &tallies, at(0)), Gate::Wait { until: None });
}

#[test]
fn a_wave_that_nobody_can_reach_teaches_nothing_and_holds_nothing_up() {
    let course = Course::parse("3,100%", 0, false).unwrap();
    assert_eq!(gate(&course, &stand(1), &[tally(0, 0, 0), tally(0, 0, 9)], at(0)), Gate::Meet);
}

proptest! {
    #[test]
    fn every_target_is_in_exactly_one_wave_and_none_is_empty(
        total in 1_u32..400,
        reaches in prop::collection::vec((any::<bool>(), 1_u32..120), 1..8),
    ) {
        let text: Vec<_> = reaches
            .iter()
            .map(|(percent, number)| if *percent { format!("{}%", (*number).min(100)) } else { number.to_string() })
            .collect();
        let course = Course::parse(&text.join(","), 0, false).unwrap();
        let sizes = course.sizes(total);
        prop_assert!(sizes.iter().all(|size| *size > 0));
        prop_assert_eq!(sizes.iter().sum::<u32>(), total);
        prop_assert_eq!(course.fitted(total).waves.len(), sizes.len());
        let waves = course.waves_of(&agents(total), b"draw");
        for (nth, size) in sizes.iter().enumerate() {
            prop_assert_eq!(waves.values().filter(|wave| **wave as usize == nth).count(), *size as usize);
        }
    }

    #[test]
    fn it_never_releases_a_wave_while_it_is_halted(
        updated in 0_u32..20, errors in 0_u32..20, open in 0_u32..20, stopped in any::<bool>(),
    ) {
        let course = Course::parse("20,100%", 0, false).unwrap();
        let mode = if stopped {
            Mode::Stopped { at: at(0), reason: String::new() }
        } else {
            Mode::Paused { at: at(0), reason: String::new(), between_waves: true }
        };
        let stand = Stand { mode, met: Some(at(0)), ..stand(1) };
        let gate = gate(&course, &stand, &[tally(updated, errors, open), tally(0, 0, 5)], at(99));
        prop_assert_eq!(gate, Gate::Wait { until: None });
    }
}
