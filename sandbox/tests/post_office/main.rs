//! The post office from outside: what clients of each protocol see, on a good day and under every scripted fault.

mod client;
mod delivery_faults;
mod imap;
mod kept;
mod link_faults;
mod load;
mod logins;
mod noticing;
mod pop3;
mod round_trip;
mod smtp;
mod tokens;

use std::collections::HashMap;
use std::time::Duration;

use sandbox::post_office::{PostOffice, Rule, Settings};

const ALICE: &str = "alice@site.example";
const BOB: &str = "bob@site.example";
const SECRET: &str = "s3cret";
/// How long a test waits for what must come.
const SOON: Duration = Duration::from_secs(20);

/// A post office with mailboxes for Alice and Bob and any mailbox at `demand.example`.
async fn office() -> PostOffice {
    let settings = Settings {
        on_demand: HashMap::from([("demand.example".to_owned(), SECRET.to_owned())]),
        ..Settings::default()
    };
    let office = PostOffice::start(settings).await.expect("free ports on loopback");
    office.add_mailbox(ALICE, SECRET);
    office.add_mailbox(BOB, SECRET);
    office
}

async fn office_with(faults: Vec<Rule>) -> PostOffice {
    let office = office().await;
    office.set_faults(faults);
    office
}

/// What was handed in, behind the post office's own header lines.
fn handed_in(raw: &[u8]) -> &[u8] {
    let text = raw.windows(2).enumerate().filter(|(_, two)| *two == b"\r\n").map(|(at, _)| at + 2);
    let begins = std::iter::once(0).chain(text);
    let ours = |line: &[u8]| {
        line.starts_with(b"Return-Path:") || line.starts_with(b"Received:") || line.starts_with(b"\t")
    };
    let start = begins.into_iter().find(|at| !ours(&raw[*at..])).expect("a line that was handed in");
    &raw[start..]
}
