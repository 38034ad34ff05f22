//! The acts.

use super::mail::MailArguments;
use anyhow::Context as _;
use sandbox::printers::Printer;
use sandbox::world::{FIRST_VERSION, NewBox, PATIENCE, Part, Site, Stage, entries, eventually};
use serde_json::Value;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Enrols with a code.
const NEW: u32 = 17;
const TARGET: &str = "1.0.02-0";
/// Switched off when the update goes out.
const OFF: [u32; 2] = [4, 9];
/// Runs another build that a service person left behind.
const ELSEWHERE: u32 = 12;
/// Its install script finds something in the way.
const STUCK: u32 = 15;

const CUSTOMERS: [&str; 17] = [
    "aaa Trading",
    "bbb Industries",
    "ccc Foods",
    "ddd Logistics",
    "eee Clinic",
    "fff Law",
    "ggg Travel",
    "hhh School",
    "iii Motors",
    "jjj Bank",
    "kkk Print Shop",
    "lll Insurance",
    "mmm Hotel",
    "nnn Dental",
    "ooo Architects",
    "ppp Library",
    "qqq Town Hall",
];

/// How many targets of the rollout stand where, as the center's database says.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Counts {
    pub(crate) total: u64,
    pub(crate) updated: u64,
    pub(crate) failed: u64,
}

/// The play.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    new_devices: Vec<String>,
    /// How long it took to start everything and to hear from all: a measure of this machine.
    round: Duration,
}

impl Scene {
    /// Makes printers, mail, center and appliances; nothing runs yet but printers and post office.
    pub(crate) fn set(mail: &MailArguments) -> anyhow::Result<Self> {
        say("Setting the scene in a temporary folder.");
        let part = |(number, customer): (u32, &str)| Part {
            customer: customer.to_owned(),
            printers: 2 + number % 2,
            release: match number {
                ELSEWHERE => ("1.0.02-1", 9),
                STUCK => ("1.0.01-1", 1),
                _ => (FIRST_VERSION, 0),
            },
            ..Part::plain(number)
        };
        let cast: Vec<_> = (1..).zip(CUSTOMERS).map(part).collect();
        let printers: u32 = cast.iter().map(|part| part.printers).sum();
        let given = mail.site()?;
        let post = if given.is_some() {
            "the mail server that you named"
        } else {
            "a post office of the sandbox's own"
        };
        let mut stage = Stage::bare(u32::try_from(cast.len())?, given)?;
        let (new, introduced) = cast.split_last().context("a cast")?;
        stage.add_sites(introduced)?;
        let new_devices = stage.add_printers(NEW, new.printers)?;
        say(&format!(
            "One center, {} customers with an appliance each, {printers} printers that answer SNMP from recordings, and {post}.",
            cast.len()
        ));
        Ok(Self { stage, new_devices, round: Duration::ZERO })
    }

    /// The prologue: a new box enrols with a code on paper; the others were introduced with a file each.
    pub(crate) fn a_new_box_enrols(&mut self) -> anyhow::Result<()> {
        let customer = *CUSTOMERS.last().context("a customer")?;
        say(&format!(
            "{customer} is new: the center issues a code, which is carried there on paper. The box asks for it, finds its printers and registers them."
        ));
        let stage = &mut self.stage;
        stage.center.start()?;
        let paper = stage.issue(&["--customer", customer])?;
        println!("  $ center-manager enrol issue --customer \"{customer}\"\n    Code  {}", paper.code);
        let site = stage.new_box(NEW);
        let new = NewBox { ranges: self.new_devices.clone(), ..NewBox::plain(NEW) };
        let enrolled = stage.enrol(&site, &new, &paper)?;
        let agent = enrolled.get("agent").and_then(Value::as_str).unwrap_or_default();
        println!("  $ monitor-appliance enrol\n    enrolled as {agent} with {} devices", enrolled["devices"]);
        anyhow::ensure!(agent == site.agent(), "{enrolled}");
        stage.sites.push(site);
        Ok(())
    }

    /// Act 1: everything starts; the center asks all for their version.
    pub(crate) fn start_everything(&mut self) -> anyhow::Result<()> {
        say("The appliances start; the center asks each by mail which version it runs.");
        let begin = Instant::now();
        self.stage.sites.iter_mut().try_for_each(Site::start)?;
        self.stage.hear_from_all()?;
        self.round = begin.elapsed();
        self.show(&["versions", "show"])
    }

    /// Act 2: a jam is reported, receipted and cleared.
    pub(crate) fn a_fault_comes_and_goes(&mut self) -> anyhow::Result<()> {
        let stage = &self.stage;
        let printer = stage.printer(1, 1)?;
        let before = stage.faults(1, false)?.len();
        printer.jam();
        say(
            "Paper jams in a printer of aaa Trading. The appliance sees it at its next look and mails a report.",
        );
        let open = || stage.faults(1, false).map(|faults| faults.len());
        eventually("the jam at the center", PATIENCE, || Ok((open()? > before).then_some(())))?;
        self.show(&["faults", "--agent", "AGENT0000001"])?;
        eventually("the receipt at the appliance", PATIENCE, || {
            Ok((stage.unreceipted(1)? == 0).then_some(()))
        })?;
        say(
            "The receipt came back: nothing waits in the appliance's outbox any more. Somebody clears the jam.",
        );
        printer.clear_jam();
        eventually("the end of the jam at the center", PATIENCE, || Ok((open()? <= before).then_some(())))?;
        say("The center knows that it is over.");
        Ok(())
    }

    /// Act 3: counters grow, and are asked for by mail.
    pub(crate) fn counters_are_asked_for(&mut self) -> anyhow::Result<()> {
        let printer = self.stage.printer(1, 1)?;
        printer.print_pages(123)?;
        say("123 pages are printed there. The center asks two customers for their counters.");
        eventually("the grown counter at the center", PATIENCE, || {
            self.stage.center.run(&["counters", "request", "AGENT0000001", "AGENT0000002"])?;
            // The appliance answers from its store, which may be a few seconds old: then the center asks again.
            Ok(eventually("the answer", Duration::from_secs(5), || Ok(self.counted(&printer)?.then_some(())))
                .ok())
        })?;
        self.show(&["counters", "show", "--agent", "AGENT0000001"])
    }

    fn counted(&self, printer: &Printer) -> anyhow::Result<bool> {
        let pages = u64::from(printer.summary().pages.context("the first printer tells its life count")?);
        let counters = self.stage.center.json(&["counters", "show", "--agent", "AGENT0000001"])?;
        Ok(entries(&counters).any(|entry| entry.get("value").and_then(Value::as_u64) == Some(pages)))
    }

    /// Act 4: what goes wrong before the update.
    pub(crate) fn trouble_before_the_update(&mut self) -> anyhow::Result<()> {
        for number in OFF {
            self.stage.site(number)?.stop();
        }
        std::fs::write(self.stage.site(STUCK)?.root.join("in-the-way"), "left by a service person\n")?;
        say(
            "Two appliances are switched off, one has a file in the way of the install script, one runs another build.",
        );
        Ok(())
    }

    /// Act 5: the update goes out to all in one mail, and everybody is asked afterwards.
    pub(crate) fn update_all(&mut self) -> anyhow::Result<Counts> {
        let script = "#!/bin/sh\nset -eu\necho \"from $FROM_VERSION to $TO_VERSION\"\n\
                      if [ -e \"$STATE_DIR/in-the-way\" ]; then\n    echo \"$STATE_DIR/in-the-way must go first\" >&2\n    exit 1\nfi\n";
        // A busy machine needs longer for seventeen updates at a time.
        let settle = (self.round * 5).as_secs().clamp(15, 90).to_string();
        let rules = [
            "--settle-secs",
            &settle,
            "--trial-secs",
            "2",
            "--applies-from",
            FIRST_VERSION,
            "--applies-from",
            "1.0.01-1",
        ];
        let package = self.stage.build_package(TARGET, script, &rules)?;
        say(&format!(
            "The center builds and signs a package to {TARGET} that holds only what changed, and mails it to all."
        ));
        let center = &self.stage.center;
        center.roll_out(
            &package,
            &["--all", "--course", "at-once", "--answer-timeout", "10", "--rounds", "0"],
        )?;
        self.compared()
    }

    fn compared(&self) -> anyhow::Result<Counts> {
        let report = self.stage.finished("1")?;
        self.show(&["rollout", "report", "1"])?;
        Ok(serde_json::from_value(report.get("counts").cloned().context("the report has no counts")?)?)
    }

    /// Act 6: the two come back, the other two are mended.
    pub(crate) fn mend_the_four(&mut self) -> anyhow::Result<()> {
        for number in OFF {
            self.stage.site(number)?.start()?;
        }
        std::fs::remove_file(self.stage.site(STUCK)?.root.join("in-the-way"))?;
        let release = self.stage.first_release.clone();
        let strange = self.stage.site(ELSEWHERE)?;
        strange.stop();
        strange.reinstall(&release)?;
        strange.start()?;
        say(
            "The two are switched on again, the file is removed, and on site the strange build is replaced by the standard release.",
        );
        Ok(())
    }

    /// Act 7: only the failed are tried again.
    pub(crate) fn retry_the_failed(&mut self) -> anyhow::Result<Counts> {
        self.stage.center.run(&["rollout", "retry", "1"])?;
        say("One command retries the failed ones.");
        self.compared()
    }

    /// The report as a page.
    pub(crate) fn write_report(&self, path: &Path) -> anyhow::Result<()> {
        let path = path.to_string_lossy();
        self.stage.center.run(&["rollout", "report", "1", "--format", "html", "--output", &path]).map(|_| ())
    }

    /// Commands for who plays on.
    pub(crate) fn things_to_try(&self) -> String {
        format!(
            "  {programs}center-manager --home {home} versions show\n  {programs}center-manager --home {home} faults --all\n  \
             {programs}monitor-appliance --root {root} status\n",
            programs = self.stage.programs.path("").display(),
            home = self.stage.center.home().display(),
            root = self.stage.folder().join("site01").display(),
        )
    }

    /// Prints what one of the center's commands prints.
    fn show(&self, arguments: &[&str]) -> anyhow::Result<()> {
        println!("  $ center-manager {}", arguments.join(" "));
        for line in self.stage.center.run(arguments)?.lines() {
            println!("    {line}");
        }
        Ok(())
    }
}

/// Tells what happens, and when.
fn say(text: &str) {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    let seconds = BEGIN.get_or_init(Instant::now).elapsed().as_secs();
    println!("\n[{seconds:2} s] {text}");
}
