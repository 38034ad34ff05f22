//! A rollout without mail and without a database: plans are carried out on values, words from outside are handed in.

use center_manager::db::rollouts::Known;
use center_manager::report::Comparison;
use center_manager::rollout::retrying::Policy;
use center_manager::rollout::{
    Course, Finding, Openings, Post, PostKind, Release, Rollout, RolloutId, Stand, Target, TargetEvent,
    TargetState, Targets, Timing, TransportOutcome, Verdict, next_wake, perform, plan,
};
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::ContentKey;
use mailfmt::message::UpdateOrder;
use mailfmt::message::report::UpdateOutcome;
use mailfmt::{AgentId, Digest, ModuleName, Nonce, SoftwareVersion};
use std::collections::BTreeMap;

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn version(text: &str) -> SoftwareVersion {
    SoftwareVersion::new(text).expect("a version")
}

pub(crate) fn agent(number: usize) -> AgentId {
    AgentId::new(&format!("AGENT{number:07}")).unwrap()
}

pub(crate) fn other(text: &str) -> Finding {
    Finding::OtherVersion { version: version(text) }
}

pub(crate) fn mixed() -> Finding {
    Finding::MixedModules { modules: vec![ModuleName::new("device-watch").unwrap()] }
}

type Numbers = Box<dyn FnMut(&mut [u8])>;

/// Numbers that only look random, so that every run is the same.
pub(crate) fn counting() -> impl FnMut(&mut [u8]) {
    let mut next = 0u64;
    move |buffer: &mut [u8]| {
        for chunk in buffer.chunks_mut(8) {
            next += 1;
            chunk.copy_from_slice(&next.to_be_bytes()[8 - chunk.len()..]);
        }
    }
}

pub(crate) struct World {
    pub(crate) rollout: Rollout,
    pub(crate) targets: Targets,
    pub(crate) now: Timestamp,
    pub(crate) posts: Vec<Post>,
    random: Numbers,
}

impl World {
    /// So many appliances, settle time 10 min, answers within 30 min, mail within 24 h.
    pub(crate) fn new(appliances: usize, retries: u32) -> Self {
        let started = time("2002-11-04T09:00:00Z");
        let mut random = counting();
        let hash = |octet| Digest::from([octet; 32]);
        let modules = [("device-watch", 1), ("mail-agent", 2)];
        let rollout = Rollout {
            id: RolloutId(1),
            release: Release {
                version: version("1.0.02-0"),
                modules: modules.map(|(name, octet)| (ModuleName::new(name).unwrap(), hash(octet))).into(),
            },
            order: UpdateOrder {
                package: hash(7),
                target: version("1.0.02-0"),
                enclosure: hash(8),
                enclosure_octets: 4096,
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
            openings: Openings::default(),
            course: Course::at_once(),
            stand: Stand::begun(started),
            joining: None,
            consent: None,
            retrying: Policy { rounds: retries, mails_per_target: 1000, first_pause: SignedDuration::ZERO },
            package_expires: started + SignedDuration::from_hours(24 * 365),
            started,
            finished: None,
        };
        let targets = (1..=appliances).map(|number| (agent(number), Target::new(agent(number), 0))).collect();
        Self { rollout, targets, now: started, posts: Vec::new(), random: Box::new(random) }
    }

    /// Plans and carries out. Whatever the world is: after that the plan is empty until something is heard or the wake
    /// time has come, and not a moment longer.
    pub(crate) fn step(&mut self) {
        for step in plan(&self.rollout, &self.targets, self.now) {
            let post = perform(&step, &mut self.rollout, &mut self.targets, self.now, &mut self.random);
            self.posts.extend(post);
        }
        assert_eq!(
            plan(&self.rollout, &self.targets, self.now),
            [],
            "an unchanged world gives an empty plan"
        );
        match next_wake(&self.rollout, &self.targets) {
            Some(wake) => {
                let before = wake - SignedDuration::from_secs(1);
                assert_eq!(
                    plan(&self.rollout, &self.targets, before.max(self.now)),
                    [],
                    "nothing before the wake time"
                );
                assert_ne!(plan(&self.rollout, &self.targets, wake), [], "something at the wake time");
            }
            None => {
                let later = self.now + SignedDuration::from_hours(24 * 300);
                assert_eq!(plan(&self.rollout, &self.targets, later), [], "nothing without a wake time");
            }
        }
    }

    pub(crate) fn later(&mut self, minutes: i64) {
        self.now += SignedDuration::from_mins(minutes);
        self.step();
    }

    pub(crate) fn hear(&mut self, agent: &AgentId, event: &TargetEvent) {
        self.targets.get_mut(agent).unwrap().hear(event, self.now);
    }

    /// Our mail server takes every mail written so far, for everybody.
    pub(crate) fn mail_is_accepted(&mut self) {
        for post in self.posts.clone() {
            for agent in &post.agents {
                self.transport(agent, post.kind, TransportOutcome::Accepted);
            }
        }
    }

    /// A mail server speaks about the target's current mail of that kind.
    pub(crate) fn transport(&mut self, agent: &AgentId, kind: PostKind, outcome: TransportOutcome) {
        let (order, ask) = self.targets[agent].mails();
        let message = match kind {
            PostKind::Order => order.map(|order| order.message),
            PostKind::Ask => ask.map(|ask| ask.message),
            PostKind::Recall => None,
        };
        if let Some(message) = message {
            self.hear(agent, &TargetEvent::Transport { message, outcome });
        }
    }

    pub(crate) fn installer_says(&mut self, agent: &AgentId, outcome: UpdateOutcome) {
        let answers = self.targets[agent].mails().0.map(|order| order.message);
        self.hear(agent, &TargetEvent::Result { answers, created: self.now, outcome });
    }

    /// The appliance answers the version request of its present attempt.
    pub(crate) fn answers(&mut self, agent: &AgentId, finding: Finding) {
        let nonce = self.nonce(agent);
        assert!(nonce.is_some(), "{agent} was not asked");
        self.hear(agent, &TargetEvent::Version { nonce, created: self.now, finding });
    }

    pub(crate) fn nonce(&self, agent: &AgentId) -> Option<Nonce> {
        self.targets[agent].mails().1.map(|ask| ask.nonce)
    }

    pub(crate) fn verdict(&self, agent: &AgentId) -> Option<&Verdict> {
        self.targets[agent].verdict()
    }

    pub(crate) fn updated(&self) -> usize {
        self.targets.values().filter(|target| target.verdict().is_some_and(Verdict::is_updated)).count()
    }

    pub(crate) fn decided(&self) -> usize {
        self.targets.values().filter(|target| matches!(target.state, TargetState::Decided { .. })).count()
    }

    /// Up to the moment when everybody was asked and our mail server took the questions.
    pub(crate) fn until_asked(&mut self) {
        self.step();
        self.mail_is_accepted();
        self.later(10);
        self.mail_is_accepted();
    }

    pub(crate) fn report(&self, known: &[Known]) -> Comparison {
        Comparison::of(&self.rollout, &self.targets, known, self.now)
    }

    /// The fleet of Fig. 15: all at 1.0.00-1, checked the day before.
    pub(crate) fn fleet(&self) -> BTreeMap<AgentId, Known> {
        let customers =
            ["aaa Trading", "bbb Printing", "ccc Insurance", "ddd Foods", "eee Motors", "fff Clinic"];
        let known = |(index, agent): (usize, &AgentId)| {
            let customer = customers[index % customers.len()];
            let known = Known {
                agent: agent.clone(),
                address: format!("agent{}@{}.co.jp", index + 1, &customer[..3]),
                customer: customer.to_owned(),
                software: Some(version("1.0.00-1")),
                checked: Some(time("2002-11-03T15:26:00Z")),
            };
            (agent.clone(), known)
        };
        self.targets.keys().enumerate().map(known).collect()
    }
}
