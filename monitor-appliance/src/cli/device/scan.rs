//! `monitor-appliance device scan`: looks for devices on the LAN.

use crate::cli::Output;
use crate::cli::snmp_user::protocol;
use crate::cli::table::{clean, table};
use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use monitor_appliance::context::system_clock;
use monitor_appliance::device_watch::credential;
use monitor_appliance::discovery::{
    AddressRange, Announced, DeviceKind, FoundDevice, Scan, ScanOrder, ScanProgress, Surroundings, TryBook,
    address_text, local_calls, local_ranges, order, scan,
};
use monitor_appliance::inventory::{self, Registered};
use monitor_appliance::profile::edge;
use monitor_appliance::settings::{Discovery, RangeEntry, SettingsError, SnmpAccess, check_credentials};
use monitor_appliance::snmp::{AuthProtocol, PrivacyProtocol, Secret, SnmpReader};
use monitor_appliance::store::SharedStore;
use monitor_appliance::{Context, Layout, Settings, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ScanArguments {
    /// Where to look, instead of the settings: 192.168.1.0/24, 192.168.1.10-20, one address, or broadcast:192.168.1.255
    /// for a general call; `:PORT` behind it where it is not 161. Without settings: the networks of this machine.
    #[arg(long = "range", value_name = "RANGE", value_parser = AddressRange::to_ask)]
    ranges: Vec<AddressRange>,
    /// Also make a general call: one question that all devices of a network hear; without ADDRESS in the networks of this
    /// machine. Instead of the settings, like --range.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "", require_equals = true, value_parser = call)]
    broadcast: Option<Call>,
    /// Also listen to printers that announce themselves (multicast DNS). Instead of the settings, like --range.
    #[arg(long)]
    mdns: bool,
    /// What not to ask, written in the same way.
    #[arg(long = "exclude", value_name = "RANGE")]
    excludes: Vec<AddressRange>,
    /// Communities to try, SNMPv2c first and then SNMPv1; default `public`.
    #[arg(long = "community", value_name = "COMMUNITY")]
    communities: Vec<String>,
    /// SNMPv3 user to try where no community is taken.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Its authentication, such as sha256.
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol::<AuthProtocol>, requires_all = ["user", "auth_password_file"])]
    auth: Option<AuthProtocol>,
    /// File with its authentication password, mode 0600.
    #[arg(long, value_name = "FILE", requires = "auth")]
    auth_password_file: Option<PathBuf>,
    /// Its encryption, such as aes128.
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol::<PrivacyProtocol>, requires_all = ["auth", "privacy_password_file"])]
    privacy: Option<PrivacyProtocol>,
    /// File with its encryption password, mode 0600.
    #[arg(long, value_name = "FILE", requires = "privacy")]
    privacy_password_file: Option<PathBuf>,
    /// Also watch computers and other devices, not only printers.
    #[arg(long)]
    others: bool,
    /// Watch what is found from now on.
    #[arg(long)]
    add: bool,
    /// Most questions a second; default as in the settings, or 200.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=2000))]
    per_second: Option<u32>,
    /// Ends the scan after so many seconds, with what was found until then.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=43_200))]
    deadline: Option<u64>,
}

/// Where a general call goes; nowhere in particular without an address.
#[derive(Debug, Clone)]
struct Call(Option<AddressRange>);

fn call(text: &str) -> Result<Call, String> {
    if text.is_empty() {
        return Ok(Call(None));
    }
    let range: AddressRange = format!("broadcast:{text}").parse().map_err(|error| format!("{error}"))?;
    Ok(Call(Some(range)))
}

/// What was found.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) struct Shown {
    devices: Vec<Row>,
    /// Addresses where somebody takes none of the credentials.
    refused: Vec<String>,
    /// Who announces itself and does not answer.
    announced: Vec<Announced>,
    problems: Vec<String>,
    ranges: Vec<String>,
    asked: usize,
    left_out: u32,
    /// Silent addresses that are told no further credential within the hour.
    spared: usize,
    finished: bool,
    added: Option<Added>,
}

#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
struct Row {
    address: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    more_addresses: Vec<String>,
    vendor: Option<String>,
    model: Option<String>,
    serial: Option<String>,
    mac: Option<String>,
    kind: DeviceKind,
    /// SNMP version and user; never a community.
    credential: String,
    announced: Option<Announced>,
}

#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
struct Added {
    new: Vec<String>,
    moved: Vec<(String, String)>,
    known: Vec<String>,
    unwanted: Vec<String>,
    too_many: Vec<String>,
}

pub(in crate::cli) async fn run(root: &Path, arguments: &ScanArguments) -> anyhow::Result<Shown> {
    let layout = Layout::new(root);
    // One may look around before anything is set up.
    let settings = match Settings::load(&layout.settings_file()) {
        Ok(settings) => Some(settings),
        Err(SettingsError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).context("the settings cannot be used"),
    };
    if arguments.add && settings.is_none() {
        bail!(
            "nothing is set up in {}: --add has nowhere to add to; run `monitor-appliance setup`",
            root.display()
        );
    }
    let ranges = ranges(arguments, settings.as_ref())?;
    let mut pace = settings.as_ref().map_or_else(Discovery::default, |settings| settings.discovery.clone());
    if let Some(per_second) = arguments.per_second {
        pace.per_second = per_second;
    }
    if let Some(seconds) = arguments.deadline {
        pace.deadline = std::time::Duration::from_secs(seconds);
    }
    let order = order(&ranges, &pace, |_| false);
    let store = layout.store_file().exists().then(|| Store::open(&layout.store_file())).transpose()?;
    let scan = look(&order, &layout, store).await?;
    let added = match settings {
        Some(settings) if arguments.add => Some(add(layout, settings, &scan)?),
        _ => None,
    };
    Ok(Shown {
        devices: scan.found.iter().map(row).collect(),
        refused: scan.refused,
        announced: scan.announced,
        problems: scan.problems,
        ranges: ranges.iter().map(|range| range.range.to_string()).collect(),
        asked: scan.asked,
        left_out: scan.left_out,
        spared: scan.spared,
        finished: scan.finished,
        added: added.map(|Registered { new, moved, known, unwanted, too_many }| Added {
            new,
            moved,
            known,
            unwanted,
            too_many,
        }),
    })
}

/// Carries out a scan with a progress bar where somebody watches. What was tried is remembered in the store, if there is one.
pub(in crate::cli) async fn look(
    order: &ScanOrder,
    layout: &Layout,
    store: Option<Store>,
) -> anyhow::Result<Scan> {
    let reader = SnmpReader::bind().await?;
    let wire = |access: &SnmpAccess| {
        credential(layout, access).map_err(|error| format!("an SNMPv3 password cannot be used: {error}"))
    };
    let bar = bar();
    let progress = |told: ScanProgress| {
        bar.set_length(u64::try_from(told.of).unwrap_or(u64::MAX));
        bar.set_position(u64::try_from(told.asked).unwrap_or(u64::MAX));
        let again = if told.pass > 1 { ", asking the silent ones once more" } else { "" };
        bar.set_message(format!("found {}{again}", told.found));
    };
    let now = || system_clock().wall;
    let tries = store.as_ref().map(Store::credential_tries).transpose()?.unwrap_or_default();
    let store = store.map(SharedStore::new);
    let (profiles, _) = edge::in_use(layout);
    let around = Surroundings {
        reader: &reader,
        profiles: &profiles,
        credential: &wire,
        known: &|_| None,
        keep: &|tries| match &store {
            Some(store) => store.keep_tries(tries),
            None => Box::pin(async { Ok(()) }),
        },
        now: &now,
        progress: &progress,
    };
    let scan = scan(&around, order, TryBook::of(tries, now())).await;
    bar.finish_and_clear();
    Ok(scan)
}

/// A bar on standard error; it draws nothing where that is no terminal.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{elapsed_precise} [{wide_bar}] {pos}/{len} addresses, {msg}")
        .expect("the template names only what indicatif knows");
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style);
    bar.set_message("found 0");
    bar
}

fn ranges(arguments: &ScanArguments, settings: Option<&Settings>) -> anyhow::Result<Vec<RangeEntry>> {
    let given = credentials(arguments);
    check_credentials("--community and --user", &given)?;
    let calls =
        arguments.broadcast.clone().map(|Call(call)| call.map_or_else(local_calls, |call| vec![call]));
    if calls.as_ref().is_some_and(Vec::is_empty) && arguments.ranges.is_empty() && !arguments.mdns {
        bail!(
            "this machine is in no network of at most 1,024 addresses: give one, such as --broadcast=192.168.1.255"
        );
    }
    let announced = arguments.mdns.then(|| "mdns".parse::<AddressRange>()).transpose()?;
    let given_ranges: Vec<AddressRange> =
        arguments.ranges.iter().cloned().chain(calls.into_iter().flatten()).chain(announced).collect();
    let mut ranges: Vec<RangeEntry> = if given_ranges.is_empty() {
        let of_settings = settings.map(|settings| settings.ranges.clone()).unwrap_or_default();
        if of_settings.is_empty() {
            local_ranges().into_iter().map(RangeEntry::new).collect()
        } else {
            of_settings
        }
    } else {
        given_ranges.into_iter().map(RangeEntry::new).collect()
    };
    if ranges.is_empty() {
        bail!("no range to look in: give one, such as --range 192.168.1.0/24");
    }
    for range in &mut ranges {
        range.excludes.extend(arguments.excludes.iter().cloned());
        range.others |= arguments.others;
        if !given.is_empty() {
            range.credentials.clone_from(&given);
        }
    }
    Ok(ranges)
}

fn credentials(arguments: &ScanArguments) -> Vec<SnmpAccess> {
    let community = |text: &String| SnmpAccess::V2c { community: Secret::new(text.as_str()) };
    // Found later, by a daemon that stands in another folder.
    let file = |file: &Option<PathBuf>| {
        file.as_ref().map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone()))
    };
    let user = arguments.user.clone().map(|user| SnmpAccess::V3 {
        user,
        auth: arguments.auth.zip(file(&arguments.auth_password_file)),
        privacy: arguments.privacy.zip(file(&arguments.privacy_password_file)),
    });
    arguments.communities.iter().map(community).chain(user).collect()
}

fn add(layout: Layout, settings: Settings, scan: &Scan) -> anyhow::Result<Registered> {
    let context = Context::new(layout, settings, Arc::new(system_clock));
    let now = context.now();
    let mut store = context.open_store()?;
    Ok(store.change(|change| inventory::register(change, scan, &context.settings, now))?)
}

fn row(device: &FoundDevice) -> Row {
    let identity = device.identity.clone();
    Row {
        address: device.address.clone(),
        more_addresses: device.more_addresses.clone(),
        vendor: identity.vendor,
        model: identity.model,
        serial: identity.serial,
        mac: identity.mac,
        kind: device.kind,
        credential: match &device.access {
            SnmpAccess::V1 { .. } => "v1".to_owned(),
            SnmpAccess::V2c { .. } => "v2c".to_owned(),
            SnmpAccess::V3 { user, .. } => format!("v3 {user}"),
        },
        announced: device.announced.clone(),
    }
}

impl Output for Shown {
    fn text(&self) -> String {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let rows = self.devices.iter().map(|device| {
            let mut address = device.address.clone();
            for more in &device.more_addresses {
                address += &format!(", {more}");
            }
            [
                address,
                or_dash(&device.vendor),
                or_dash(&device.model),
                or_dash(&device.serial),
                device.kind.to_string(),
                device.credential.clone(),
            ]
        });
        let mut text = if self.devices.is_empty() {
            String::new()
        } else {
            table(["address", "vendor", "model", "serial number", "kind", "read by"], rows) + "\n"
        };
        text += &format!("{}\n", self.summary());
        for address in &self.refused {
            text += &format!("{address}: speaks SNMP and takes none of the credentials\n");
        }
        for one in &self.announced {
            let addresses: Vec<String> = one.addresses.iter().map(|address| address_text(*address)).collect();
            let model = one.model.as_deref().unwrap_or("a device");
            text += &format!(
                "{}: announces itself as {} ({}) and does not answer SNMP\n",
                addresses.join(", "),
                clean(&one.name),
                clean(model)
            );
        }
        if self.spared > 0 {
            text += &format!(
                "At {} silent addresses no further credential is tried within the hour: printers lock themselves after a few \
                 wrong ones.\n",
                self.spared
            );
        }
        for problem in &self.problems {
            text += &format!("{}\n", clean(problem));
        }
        if self.left_out > 0 {
            text += &format!("{} addresses were left out: too many for one scan\n", self.left_out);
        }
        if !self.finished {
            text += "The time was over before all addresses were asked: give more with --deadline.\n";
        }
        match &self.added {
            Some(added) => text += &added.text(),
            None if self.devices.is_empty() => {
                text += "Printers answer only with SNMP switched on, and only to their community: try --community.\n";
            }
            None => text += "Nothing was changed; --add watches them from now on.\n",
        }
        text
    }
}

impl Shown {
    fn summary(&self) -> String {
        let count =
            |wanted: fn(DeviceKind) -> bool| self.devices.iter().filter(|device| wanted(device.kind)).count();
        let many =
            |count: usize, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
        format!(
            "Found {} ({}, {}, {} other) at {} in {}.",
            many(self.devices.len(), "device", "devices"),
            many(count(DeviceKind::is_watched), "printer", "printers"),
            many(count(|kind| kind == DeviceKind::Computer), "computer", "computers"),
            count(|kind| kind == DeviceKind::Other),
            many(self.asked, "address", "addresses"),
            self.ranges.join(", ")
        )
    }
}

impl Added {
    fn text(&self) -> String {
        let mut text = format!(
            "{} new, {} moved, {} known before; all of them are watched.\n",
            self.new.len(),
            self.moved.len(),
            self.known.len()
        );
        for (from, to) in &self.moved {
            text += &format!("{from} -> {to}\n");
        }
        if !self.unwanted.is_empty() {
            text += &format!(
                "Not watched, since they are no printers: {} (--others)\n",
                self.unwanted.join(", ")
            );
        }
        if !self.too_many.is_empty() {
            text += &format!("Not watched, since there are too many: {}\n", self.too_many.join(", "));
        }
        text
    }
}
