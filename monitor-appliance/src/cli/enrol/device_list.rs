//! Looks around on the LAN and shows what was found; a person may correct it.

use super::super::device::parse_entry;
use super::super::device::scan::look;
use super::super::questions::Questions;
use super::super::snmp_user::{self, SnmpUserArguments};
use super::super::table::{clean, table};
use mailfmt::message::report::{DeviceState, InventoryDevice};
use monitor_appliance::device_watch::{credential, device_id, read_once};
use monitor_appliance::discovery::{self, AddressRange, FoundDevice, local_ranges};
use monitor_appliance::profile::Profiles;
use monitor_appliance::settings::{DeviceEntry, Discovery, RangeEntry, SecondWaySettings, SnmpAccess};
use monitor_appliance::snmp::{DeviceTarget, Secret};
use monitor_appliance::{Layout, Store};

#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Devices")]
pub(super) struct DeviceArguments {
    /// Where to look for devices, such as 192.168.1.0/24 or 192.168.1.10-20; the networks of this box if not given.
    #[arg(long = "range", value_name = "RANGE")]
    ranges: Vec<AddressRange>,
    /// Addresses that are not asked.
    #[arg(long = "exclude", value_name = "RANGE")]
    excludes: Vec<AddressRange>,
    /// SNMP community to try; `public` if not given.
    #[arg(long = "community", value_name = "WORD")]
    communities: Vec<String>,
    /// Look for no devices.
    #[arg(long, conflicts_with_all = ["ranges", "excludes"])]
    no_scan: bool,
    /// A device by hand; may be given several times.
    #[arg(long = "device", value_name = "ADDRESS[,COMMUNITY]", value_parser = parse_entry)]
    devices: Vec<DeviceEntry>,
    #[command(flatten)]
    user: SnmpUserArguments,
}

impl DeviceArguments {
    /// Takes what stands in a file; an error names the key.
    pub(super) fn take_over(
        &mut self,
        no_scan: bool,
        ranges: &[String],
        excludes: &[String],
        communities: Vec<String>,
        devices: &[String],
    ) -> Result<(), (&'static str, String)> {
        let read = |key: &'static str, texts: &[String]| {
            let parse =
                |text: &String| text.parse::<AddressRange>().map_err(|error| (key, error.to_string()));
            texts.iter().map(parse).collect::<Result<Vec<_>, _>>()
        };
        self.no_scan = no_scan;
        self.ranges.extend(read("ranges", ranges)?);
        self.excludes.extend(read("excludes", excludes)?);
        self.communities.extend(communities);
        for text in devices {
            self.devices.push(parse_entry(text).map_err(|error| ("devices", error))?);
        }
        Ok(())
    }

    /// The SNMPv3 user of a file.
    pub(super) fn take_user(&mut self, user: SnmpUserArguments) {
        self.user = user;
    }

    fn accesses(&self, user: Option<&SnmpAccess>) -> Vec<SnmpAccess> {
        let access = |word: &str| SnmpAccess::V2c { community: Secret::new(word) };
        let communities = match self.communities.as_slice() {
            [] => vec![access("public")],
            words => words.iter().map(|word| access(word)).collect(),
        };
        communities.into_iter().chain(user.cloned()).collect()
    }

    fn entry(&self, range: AddressRange, user: Option<&SnmpAccess>) -> RangeEntry {
        let (excludes, credentials) = (self.excludes.clone(), self.accesses(user));
        RangeEntry { excludes, credentials, ..RangeEntry::new(range) }
    }
}

/// What is registered, and what the settings will say.
pub(super) struct DeviceList {
    pub(super) devices: Vec<InventoryDevice>,
    pub(super) entries: Vec<DeviceEntry>,
    pub(super) ranges: Vec<RangeEntry>,
}

/// Scans, shows, asks whether to go on with it.
pub(super) async fn look_around(
    layout: &Layout,
    arguments: &DeviceArguments,
    questions: &Questions,
) -> anyhow::Result<DeviceList> {
    let mut user = arguments.user.access(layout)?;
    let mut ranges = ranges(arguments, user.as_ref(), questions)?;
    loop {
        let found = scan(layout, &ranges).await?;
        let mut devices: Vec<InventoryDevice> = found.iter().map(registered).collect();
        for entry in &arguments.devices {
            devices.push(by_hand(layout, entry).await);
        }
        eprint!("{}", shown(&devices));
        if !questions.possible() || questions.confirm("Register these devices?", true)? {
            return Ok(DeviceList { devices, entries: arguments.devices.clone(), ranges });
        }
        if user.is_none() {
            user = snmp_user::ask(layout, questions)?;
        }
        ranges = ask_ranges(arguments, user.as_ref(), questions)?;
    }
}

fn ranges(
    arguments: &DeviceArguments,
    user: Option<&SnmpAccess>,
    questions: &Questions,
) -> anyhow::Result<Vec<RangeEntry>> {
    if arguments.no_scan {
        return Ok(Vec::new());
    }
    if !arguments.ranges.is_empty() {
        return Ok(arguments.ranges.iter().map(|range| arguments.entry(range.clone(), user)).collect());
    }
    let own = local_ranges();
    if !questions.possible() {
        return Ok(own.into_iter().map(|range| arguments.entry(range, user)).collect());
    }
    let names: Vec<String> = own.iter().map(ToString::to_string).collect();
    if !own.is_empty() && questions.confirm(&format!("Look for devices in {}?", names.join(" and ")), true)? {
        return Ok(own.into_iter().map(|range| arguments.entry(range, user)).collect());
    }
    ask_ranges(arguments, user, questions)
}

fn ask_ranges(
    arguments: &DeviceArguments,
    user: Option<&SnmpAccess>,
    questions: &Questions,
) -> anyhow::Result<Vec<RangeEntry>> {
    let prompt = "Where to look for devices, such as 192.168.1.0/24; empty when done";
    let check = |text: &str| text.parse::<AddressRange>().map(drop).map_err(|error| error.to_string());
    let mut ranges = Vec::new();
    while let Some(text) = questions.ask_more(prompt, check)? {
        ranges.extend(text.parse::<AddressRange>().ok().map(|range| arguments.entry(range, user)));
    }
    Ok(ranges)
}

/// Those that are to be watched, of all that answer.
async fn scan(layout: &Layout, ranges: &[RangeEntry]) -> anyhow::Result<Vec<FoundDevice>> {
    let order = discovery::order(ranges, &Discovery::default(), |_| false);
    if order.targets.is_empty() && order.calls.is_empty() && order.announced.is_empty() {
        return Ok(Vec::new());
    }
    // What is tried now is not tried again too soon, neither by a second look nor by the daemon later.
    let store = Store::open(&layout.store_file())?;
    let scan = look(&order, layout, Some(store)).await?;
    for problem in &scan.problems {
        eprintln!("{}", clean(problem));
    }
    if !scan.refused.is_empty() {
        eprintln!(
            "At {} somebody speaks SNMP and takes none of the credentials; give --community or --snmp-user.",
            scan.refused.join(", ")
        );
    }
    if !scan.finished {
        eprintln!("The scan was ended at its time limit; further devices register by themselves later.");
    }
    let (wanted, others): (Vec<_>, Vec<_>) = scan.found.into_iter().partition(|device| device.wanted);
    if !others.is_empty() {
        eprintln!("{} computers and other devices answer too; they are not registered.", others.len());
    }
    Ok(wanted)
}

fn registered(found: &FoundDevice) -> InventoryDevice {
    InventoryDevice {
        id: found.id(),
        address: found.address.clone(),
        mac: found.identity.mac.clone(),
        state: DeviceState::Present,
    }
}

/// A device that does not answer is registered by its address alone; it tells who it is later.
async fn by_hand(layout: &Layout, entry: &DeviceEntry) -> InventoryDevice {
    let mut device =
        InventoryDevice { id: None, address: entry.address.clone(), mac: None, state: DeviceState::Present };
    let Ok(credential) = credential(layout, &entry.access) else { return device };
    let target = DeviceTarget { address: entry.address.clone(), credential };
    match read_once(&target, &Profiles::built_in(), &SecondWaySettings::default()).await {
        Ok(reading) => {
            device.id = device_id(&reading.identity);
            device.mac = reading.identity.mac;
        }
        Err(error) => eprintln!("{} does not answer now: {error}", entry.address),
    }
    device
}

fn shown(devices: &[InventoryDevice]) -> String {
    let rows = devices.iter().map(|device| {
        let [vendor, model, serial] = match &device.id {
            Some(id) => [id.vendor.clone(), id.model.clone(), id.serial.clone()],
            None => ["-".to_owned(), "-".to_owned(), "not told".to_owned()],
        };
        [device.address.clone(), vendor, model, serial]
    });
    format!("{}{} devices\n", table(["address", "vendor", "model", "serial"], rows), devices.len())
}
