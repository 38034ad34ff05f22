//! `rollout-blast`: how many appliances a bad package touches before the rollout stops itself. A thousand rollouts with the
//! default course, each planned and carried out by the center's own functions in virtual time, without mail between.
//!
//! An appliance takes the package at once and answers the question for its version; a box on which the package is bad
//! takes it back and says so, as ours do. One box of a hundred is off and silent.

use super::Figure;
use anyhow::{Context as _, ensure};
use center_manager::rollout::retrying::Policy;
use center_manager::rollout::{
    Course, Finding, Mode, PostKind, Release, Rollout, RolloutId, Stand, Target, TargetEvent, Targets,
    Timing, TransportOutcome, next_wake, perform, plan,
};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::ContentKey;
use mailfmt::message::UpdateOrder;
use mailfmt::message::report::UpdateOutcome;
use mailfmt::{AgentId, Digest, ModuleName, SoftwareVersion};
use std::collections::{BTreeMap, BTreeSet};

const FLEET: u32 = 10_000;
/// Boxes of a thousand that are off.
const OFF_PER_MILLE: u64 = 10;

/// The finaliser of splitmix64: every box of every rollout has its own number, in whatever order they are asked.
pub(super) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// What a box does with the package.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nature {
    Good,
    /// The package breaks it: it goes back to the release before.
    Bad,
    Off,
}

/// The fleet of one rollout: what each box is like follows from the seed.
struct Fleet {
    seed: u64,
    bad_per_mille: u64,
}

impl Fleet {
    fn nature(&self, agent: &AgentId) -> Nature {
        let number: u64 = agent.as_str().trim_start_matches("AGENT").parse().unwrap_or_default();
        let drawn = mix(self.seed ^ mix(number)) % 1_000;
        // Off and bad are drawn apart, so that a box may be both; then it is off.
        match (mix(drawn ^ mix(self.seed) ^ number) % 1_000 < OFF_PER_MILLE, drawn < self.bad_per_mille) {
            (true, _) => Nature::Off,
            (false, true) => Nature::Bad,
            (false, false) => Nature::Good,
        }
    }
}

/// How a rollout ended.
struct End {
    /// Targets that were sent the package.
    touched: u32,
    /// Whether it stopped itself.
    stopped: bool,
}

/// Measures.
///
/// # Errors
/// When a rollout comes to no end.
pub(super) fn run(now: Timestamp) -> anyhow::Result<Vec<Figure>> {
    let rollouts: u64 = std::env::var("BLAST_ROLLOUTS").map_or(Ok(1_000), |count| count.parse())?;
    ensure!(rollouts >= 10, "fewer than ten rollouts tell nothing");
    let base = now.as_millisecond().unsigned_abs();
    let agents: BTreeSet<AgentId> =
        (1..=FLEET).map(|number| AgentId::new(&format!("AGENT{number:07}"))).collect::<Result<_, _>>()?;
    eprintln!(
        "  seed {base}; {rollouts} rollouts to {FLEET} appliances each, {OFF_PER_MILLE} of 1000 are off"
    );
    let bar = ProgressBar::new(rollouts + 2).with_style(
        ProgressStyle::with_template("  [{bar:40}] {pos} of {len} rollouts, {elapsed}")?
            .progress_chars("=> "),
    );
    let (mut in_time, mut most) = (0_u32, 0_u32);
    for nth in 0..rollouts {
        let end = one(&agents, &Fleet { seed: mix(base ^ nth), bad_per_mille: 50 }, now)?;
        // 15 % of the fleet are not reached: the third wave was not released.
        if end.stopped && end.touched * 100 < FLEET * 15 {
            in_time += 1;
        }
        most = most.max(end.touched);
        bar.inc(1);
    }
    let all_bad = one(&agents, &Fleet { seed: mix(base), bad_per_mille: 1_000 }, now)?;
    ensure!(all_bad.stopped, "a rollout of a package that is bad for all went on");
    bar.inc(1);
    let (mut held_up, controls) = (0_u32, rollouts / 10);
    for nth in 0..controls {
        let end = one(&agents, &Fleet { seed: mix(!base ^ nth), bad_per_mille: 0 }, now)?;
        held_up += u32::from(end.stopped);
    }
    bar.finish_and_clear();
    eprintln!(
        "  a package that is bad for 5 %: {most} boxes at most; a good one stopped in {held_up} of {controls}"
    );
    let share = |count: u32, of: u64| f64::from(count) * 100.0 / u32::try_from(of).map_or(1.0, f64::from);
    let figure = |figure, value, unit, against: String| Figure {
        bench: "rollout-blast",
        figure,
        value,
        unit,
        against,
    };
    Ok(vec![
        figure(
            "stopped_before_15_percent",
            share(in_time, rollouts),
            "% of rollouts of a package that is bad for 5 %",
            format!("limit: 99; all at once would touch {FLEET}"),
        ),
        figure(
            "touched_max",
            f64::from(all_bad.touched),
            "appliances, package bad for all",
            format!("limit: {} (the greater of 10 and 1 % of {FLEET})", (FLEET / 100).max(10)),
        ),
        figure(
            "good_stopped_percent",
            share(held_up, controls),
            "% of rollouts of a good package that needed a person",
            format!("{controls} rollouts in which {OFF_PER_MILLE} of 1000 boxes are off"),
        ),
    ])
}

/// One rollout from its start to its end, or until it waits for a person.
fn one(agents: &BTreeSet<AgentId>, fleet: &Fleet, started: Timestamp) -> anyhow::Result<End> {
    let mut number = fleet.seed;
    let mut random = move |buffer: &mut [u8]| {
        for chunk in buffer.chunks_mut(8) {
            number = mix(number);
            chunk.copy_from_slice(&number.to_be_bytes()[8 - chunk.len()..]);
        }
    };
    let target = SoftwareVersion::new("1.0.02-0")?;
    let course = Course::named("default").context("there is a default course")?;
    let waves = course.waves_of(agents, &fleet.seed.to_be_bytes());
    let mut rollout = Rollout {
        id: RolloutId(1),
        release: Release {
            version: target.clone(),
            modules: BTreeMap::from([(ModuleName::new("device-watch")?, Digest::of(b"a module"))]),
        },
        order: UpdateOrder {
            package: Digest::of(b"a package"),
            target,
            enclosure: Digest::of(b"an enclosure"),
            enclosure_octets: 5_000_000,
            content_key: ContentKey::generate(&mut random),
            permit: None,
            parts: None,
            approval: None,
        },
        whole: None,
        timing: Timing {
            settle: SignedDuration::from_mins(10),
            answer_timeout: Timing::ANSWER_TIMEOUT,
            delivery_limit: Timing::DELIVERY_LIMIT,
            command_life: SignedDuration::from_hours(7 * 24),
        },
        openings: Default::default(),
        retrying: Policy::NOTHING,
        course: course.fitted(FLEET),
        stand: Stand::begun(started),
        joining: None,
        consent: None,
        package_expires: started + SignedDuration::from_hours(24 * 90),
        started,
        finished: None,
    };
    let mut targets: Targets =
        waves.into_iter().map(|(agent, wave)| (agent.clone(), Target::new(agent, wave))).collect();
    let mut now = started;
    while rollout.finished.is_none() && matches!(rollout.stand.mode, Mode::Running) {
        let steps = plan(&rollout, &targets, now);
        if steps.is_empty() {
            let wake = next_wake(&rollout, &targets).context("nothing will ever happen again")?;
            ensure!(wake > now, "the rollout wakes at {wake} and has nothing to do");
            now = wake;
        }
        for step in steps {
            let Some(post) = perform(&step, &mut rollout, &mut targets, now, &mut random) else { continue };
            for agent in &post.agents {
                let Some(target) = targets.get_mut(agent) else { continue };
                let accepted = TransportOutcome::Accepted;
                target.hear(&TargetEvent::Transport { message: post.message, outcome: accepted }, now);
                if let Some(event) = answer(fleet.nature(agent), post.kind, target, now) {
                    target.hear(&event, now);
                }
            }
        }
    }
    let touched = targets.values().filter(|target| target.first_ordered.is_some()).count();
    Ok(End { touched: u32::try_from(touched)?, stopped: matches!(rollout.stand.mode, Mode::Stopped { .. }) })
}

/// What the appliance says to a mail.
fn answer(nature: Nature, kind: PostKind, target: &Target, now: Timestamp) -> Option<TargetEvent> {
    let (order, ask) = target.mails();
    match (nature, kind) {
        (Nature::Off, _) | (_, PostKind::Recall) => None,
        (_, PostKind::Order) => Some(TargetEvent::Result {
            answers: order.map(|order| order.message),
            created: now,
            outcome: match nature {
                Nature::Bad => UpdateOutcome::Undone { reason: "device-watch did not come up".to_owned() },
                Nature::Good | Nature::Off => UpdateOutcome::Installed,
            },
        }),
        (_, PostKind::Ask) => Some(TargetEvent::Version {
            nonce: ask.map(|ask| ask.nonce),
            created: now,
            finding: match nature {
                Nature::Bad => Finding::OtherVersion { version: SoftwareVersion::new("1.0.01-0").ok()? },
                Nature::Good | Nature::Off => Finding::Same,
            },
        }),
    }
}
