//! The center's sending over several connections at once: everything goes out once, the urgent first, and after a crash only what
//! had no outcome yet goes out again, under the same message id.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what went wrong")]

use center_manager::db::Db;
use center_manager::db::appliances::NewAppliance;
use center_manager::db::outbox::{NewMail, Priority};
use center_manager::home::{self, Home};
use center_manager::serve::Daemon;
use center_manager::settings::SettingsFile;
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::Credential;
use mailfmt::message::command::PingRequest;
use mailfmt::{AgentId, CenterId, Message, MessageId, Receipt};
use sandbox::post_office::{PostOffice, Settings};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tempfile::TempDir;

const CENTER: &str = "center@center.example";
const PASSWORD: &str = "secret";
const APPLIANCES: u32 = 60;
/// Results are noted in groups of so many; a crash loses one group and what is on its way at most.
const UNNOTED_MAX: usize = 64 + 4;

struct World {
    office: PostOffice,
    home: Home,
    agents: Vec<AgentId>,
    _folder: TempDir,
}

fn address(number: u32) -> String {
    format!("agent{number}@site.example")
}

fn now() -> Timestamp {
    center_manager::system::now()
}

impl World {
    async fn new() -> Self {
        let on_demand =
            ["site.example", "center.example"].map(|domain| (domain.to_owned(), PASSWORD.to_owned()));
        let settings = Settings { on_demand: HashMap::from(on_demand), ..Settings::default() };
        let office = PostOffice::start(settings).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path());
        home.create_folders().unwrap();
        home::write_secret(&home.password_file(1), PASSWORD.as_bytes()).unwrap();
        let mut random = sandbox::random();
        let agents: Vec<_> =
            (1..=APPLIANCES).map(|number| AgentId::new(&format!("AGENT{number:07}")).unwrap()).collect();
        let appliances: Vec<_> = (1..)
            .zip(&agents)
            .map(|(number, agent)| NewAppliance {
                agent: agent.clone(),
                address: address(number),
                customer: "Customer".to_owned(),
                tags: Vec::new(),
                credential: Credential::generate(&mut random),
            })
            .collect();
        Db::create(&home.database()).unwrap().add_appliances(&appliances, now()).unwrap();
        let ports = office.ports();
        let server = |port| serde_json::json!({ "host": "127.0.0.1", "port": port, "security": "plain" });
        let account = serde_json::from_value(serde_json::json!({
            "name": "main", "address": CENTER, "username": CENTER, "fetch": "pop3",
            "smtp": server(ports.smtp), "fetch_server": server(ports.pop3),
        }));
        let settings = SettingsFile::new(&CenterId::new("CENTER").unwrap(), CENTER, account.unwrap());
        home::write_whole(&home.settings_file(), toml::to_string(&settings).unwrap().as_bytes()).unwrap();
        Self { office, home, agents, _folder: folder }
    }

    /// A message for every appliance.
    fn enqueue(&self, message: &Message, priority: Priority) {
        let mut db = Db::open(&self.home.database()).unwrap();
        let mut random = sandbox::random();
        for agent in &self.agents {
            let mail = NewMail {
                message,
                id: MessageId::generate(&mut random),
                in_reply_to: None,
                package: None,
                priority,
                created: now(),
                expires: now() + SignedDuration::from_hours(24),
                not_before: now(),
            };
            db.enqueue(&mail, std::slice::from_ref(agent)).unwrap();
        }
    }

    /// Message ids in the Message-ID of every mail that reached an appliance, and whether its return path is null.
    fn arrived(&self) -> Vec<(String, bool)> {
        (1..=APPLIANCES)
            .flat_map(|number| self.office.mails(&address(number)))
            .map(|mail| {
                let text = String::from_utf8(mail.to_vec()).unwrap();
                let id = text.split_once("Message-ID: <").unwrap().1.split('.').next().unwrap().to_owned();
                (id, text.contains("Return-Path: <>"))
            })
            .collect()
    }
}

fn receipt() -> Message {
    let report = MessageId::from_bytes([7; 16]);
    let (content, description) = ("fault".to_owned(), "well".to_owned());
    Message::Receipt(Receipt { report, number: 7, received: now(), content, description, latest: None })
}

fn ping() -> Message {
    Message::Command(mailfmt::Command::Ping(PingRequest {}))
}

#[tokio::test(flavor = "multi_thread")]
async fn all_go_out_once_over_several_connections_and_only_receipts_have_the_null_return_path() {
    let world = World::new().await;
    world.enqueue(&ping(), Priority::Command);
    world.enqueue(&receipt(), Priority::Receipt);
    let pass = Daemon::new(&world.home).unwrap().once().await.unwrap();
    assert_eq!(pass.sent, 120);
    assert!(world.office.wait_for_mails(&address(1), 2, Duration::from_secs(20)).await);
    let arrived = world.arrived();
    let ids: BTreeMap<_, _> = arrived.iter().cloned().collect();
    assert_eq!((arrived.len(), ids.len()), (120, 120), "each once");
    assert_eq!(arrived.iter().filter(|(_, null)| *null).count(), 60);
    let logins = world.office.stats().logins.smtp;
    assert!((2..=4).contains(&logins), "{logins} connections");
    assert_eq!(Daemon::new(&world.home).unwrap().once().await.unwrap().sent, 0, "all is noted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_mails_are_not_worth_a_second_connection() {
    let world = World::new().await;
    let mail_of_one = |agents: &[AgentId]| {
        let mut db = Db::open(&world.home.database()).unwrap();
        let message = ping();
        let mail = NewMail {
            message: &message,
            id: MessageId::generate(&mut sandbox::random()),
            in_reply_to: None,
            package: None,
            priority: Priority::Command,
            created: now(),
            expires: now() + SignedDuration::from_hours(24),
            not_before: now(),
        };
        db.enqueue(&mail, agents).unwrap();
    };
    for agent in &world.agents[..5] {
        mail_of_one(std::slice::from_ref(agent));
    }
    let pass = Daemon::new(&world.home).unwrap().once().await.unwrap();
    assert_eq!((pass.sent, world.office.stats().logins.smtp), (5, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_only_what_had_no_outcome_goes_out_again_under_the_same_id() {
    let world = World::new().await;
    for _ in 0..3 {
        world.enqueue(&receipt(), Priority::Receipt);
    }
    let mut daemon = Daemon::new(&world.home).unwrap();
    // Dropped in the middle: some mails are out, some of these are noted.
    let began = async {
        while world.office.stats().accepted < 30 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        pass = daemon.once() => { pass.unwrap(); }
        () = began => {}
    }
    drop(daemon);
    Daemon::new(&world.home).unwrap().once().await.unwrap();
    let mut count = BTreeMap::<String, usize>::new();
    for (id, _) in world.arrived() {
        *count.entry(id).or_default() += 1;
    }
    assert_eq!(count.len(), 180, "nothing is lost");
    assert!(count.values().all(|times| *times <= 2));
    let twice = count.values().filter(|times| **times == 2).count();
    assert!(twice <= UNNOTED_MAX, "{twice} went out twice");
}
