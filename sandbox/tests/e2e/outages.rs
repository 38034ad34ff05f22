//! Outages on every way that mail goes, one after the other in one world: each begins while something has to be said, and when
//! it is over everything was said once, without a person.

mod gate;

use super::play::{ONE_AT_A_TIME, all_receipted, eager, jams_become, reports, tell, text};
use anyhow::{Context as _, ensure};
use gate::{Gate, Weather};
use mailfmt::message::DeviceId;
use mailfmt::message::FaultClass;
use mailfmt::message::report::FaultReport;
use mailfmt::{MessageId, Report};
use monitor_appliance::Context;
use sandbox::post_office::{PostOffice, Settings};
use sandbox::world::{Door, MailSite, PATIENCE, Part, Protection, Stage, entries, eventually};
use std::path::Path;
use std::process::Command;
use std::sync::PoisonError;
use tokio::runtime::Runtime;

/// A post office behind gates, one before each service.
struct Town {
    runtime: Runtime,
    /// SMTP, POP3 and IMAP.
    gates: [Gate; 3],
    /// Another post office: other passwords, another authority.
    stranger: PostOffice,
    office: PostOffice,
    mail: MailSite,
    /// Where the authority's certificate lies.
    _folder: tempfile::TempDir,
}

impl Town {
    fn build(protection: Protection, agents: u32) -> anyhow::Result<Self> {
        let runtime = Runtime::new()?;
        let folder = tempfile::tempdir()?;
        let (office, mut mail) = runtime.block_on(MailSite::own(folder.path(), agents))?;
        let stranger = runtime.block_on(PostOffice::start(Settings::default()))?;
        for address in (1..=agents).map(|number| mail.agent_address(number)).chain([mail.center_address()]) {
            stranger.add_mailbox(&address, "another password");
        }
        let ports = ports(&office, protection);
        let gates = runtime.block_on(async {
            anyhow::Ok([
                Gate::before(ports[0]).await?,
                Gate::before(ports[1]).await?,
                Gate::before(ports[2]).await?,
            ])
        })?;
        let door = |gate: &Gate| Door { port: gate.port, protection };
        (mail.smtp, mail.pop3, mail.imap) = (door(&gates[0]), door(&gates[1]), door(&gates[2]));
        Ok(Self { runtime, gates, stranger, office, mail, _folder: folder })
    }

    /// The same weather at all gates; each gate's own where it matters.
    fn set(&self, weather: impl Fn(usize) -> Weather) {
        let _entered = self.runtime.enter();
        for (nth, gate) in self.gates.iter().enumerate() {
            gate.set(weather(nth));
        }
    }

    /// Connections that have come to each gate.
    fn came(&self) -> [usize; 3] {
        self.gates.each_ref().map(Gate::came)
    }

    /// Waits until somebody has run against every gate since `before`: both sides send, one appliance fetches by POP3 and one by
    /// IMAP.
    fn is_felt(&self, before: [usize; 3]) -> anyhow::Result<()> {
        let felt = eventually("connections at every gate", PATIENCE, || {
            let felt = self.came().iter().zip(before).all(|(came, before)| *came > before);
            Ok(felt.then_some(()))
        });
        felt.with_context(|| format!("SMTP, POP3, IMAP: {:?} after {before:?}", self.came()))
    }
}

fn ports(office: &PostOffice, protection: Protection) -> [u16; 3] {
    let ports = office.ports();
    match protection {
        Protection::Tls => [ports.smtps, ports.pop3s, ports.imaps],
        Protection::Starttls | Protection::Plain => [ports.smtp, ports.pop3, ports.imap],
    }
}

/// Sites 1 (POP3) and 2 (IMAP) live through each weather: something has to be said before, and is said after it.
fn live_through(
    town: &Town,
    stage: &mut Stage,
    weathers: &[(&str, &dyn Fn(usize) -> Weather)],
) -> anyhow::Result<()> {
    stage.start()?;
    stage.hear_from_all()?;
    let (mut all, mut open) = (0, 0);
    for (name, weather) in weathers {
        println!("{name}");
        // Whoever was connected comes again at once.
        let before = town.came();
        town.set(weather);
        for number in [1, 2] {
            if open == 0 {
                stage.printer(number, 1)?.jam();
            } else {
                stage.printer(number, 1)?.clear_jam();
            }
        }
        (all, open) = if open == 0 { (all + 1, 1) } else { (all, 0) };
        for number in [1, 2] {
            eventually("a report that waits", PATIENCE, || {
                Ok((stage.unreceipted(number)? > 0).then_some(()))
            })?;
        }
        town.is_felt(before).with_context(|| format!("while {name}"))?;
        town.set(|_| Weather::Clear);
        for number in [1, 2] {
            jams_become(stage, number, all, open).with_context(|| format!("after {name}"))?;
        }
    }
    for number in [1, 2] {
        all_receipted(stage, number)?;
        let told = reports(stage, number, "fault")?.len();
        ensure!(told == all, "{told} reports of {all} jams of site {number}");
    }
    Ok(())
}

fn in_town(protection: Protection, story: impl FnOnce(&Town, &mut Stage) -> anyhow::Result<()>) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let town = Town::build(protection, 2).unwrap();
    let cast: [Part; 2] = [eager(1), eager(2)];
    let mut stage = Stage::set(&cast, Some(town.mail.clone())).unwrap();
    tell(&mut stage, |stage| story(&town, stage));
}

#[test]
fn servers_that_end_connections_fall_silent_or_talk_nonsense_are_outlived() {
    in_town(Protection::Plain, |town, stage| {
        live_through(
            town,
            stage,
            &[
                ("connections end at once", &|_| Weather::Closed),
                ("silence comes in the middle of a line", &|_| Weather::SilentAfter(60)),
                ("nonsense is answered", &|_| Weather::Nonsense),
            ],
        )
    });
}

#[test]
fn lines_that_crawl_hang_in_the_handshake_or_show_a_wrong_certificate_are_outlived() {
    in_town(Protection::Tls, |town, stage| {
        let wrong = ports(&town.stranger, Protection::Tls);
        live_through(
            town,
            stage,
            &[
                ("the certificate is another authority's", &|nth| Weather::Elsewhere(wrong[nth])),
                ("silence comes in the handshake", &|_| Weather::SilentAfter(90)),
                ("one octet comes a second", &|_| Weather::Slow),
                ("silence comes in the session", &|_| Weather::SilentAfter(2_500)),
            ],
        )
    });
}

/// Puts so many reports into an appliance's outbox, as its modules would have done in a week without mail.
fn pile_up(root: &Path, count: usize) -> anyhow::Result<()> {
    let context = Context::load(root)?;
    let mut store = context.open_store()?;
    let device = DeviceId { vendor: "Acme".into(), model: "P1".into(), serial: "S1".into() };
    store.change(|change| {
        for number in 0..count {
            let report = FaultReport {
                device: device.clone(),
                episode: MessageId::generate(&mut sandbox::random()).to_string(),
                class: FaultClass::UserClearable,
                code: "cover-open".to_owned(),
                group: "cover".to_owned(),
                severity: "critical".to_owned(),
                description: format!("number {number}"),
                since: context.now(),
            };
            change.enqueue(&context.outgoing(Report::Fault(report), None))?;
        }
        Ok::<_, monitor_appliance::store::StoreError>(())
    })?;
    Ok(())
}

#[test]
fn a_week_of_backlog_on_both_sides_is_worked_off_once() {
    const WAITING: usize = 1_500;
    in_town(Protection::Plain, |town, stage| {
        stage.start()?;
        stage.hear_from_all()?;
        let before = reports(stage, 1, "fault")?.len();
        // First they pile up at the appliance, then in the center's mailbox.
        stage.center.stop();
        town.set(|_| Weather::Closed);
        stage.site(1)?.stop();
        pile_up(&stage.site(1)?.root.clone(), WAITING)?;
        let came = town.gates[0].came();
        stage.site(1)?.start()?;
        eventually("tries of the appliance", PATIENCE, || Ok((town.gates[0].came() > came).then_some(())))?;
        let center = stage.mail.center_address();
        ensure!(town.office.mailbox_len(&center) == 0, "nothing came through so far");
        town.set(|_| Weather::Clear);
        eventually("every mail in the center's mailbox", PATIENCE, || {
            Ok((town.office.mailbox_len(&center) >= WAITING).then_some(()))
        })?;
        stage.center.start()?;
        eventually("every report at the center", PATIENCE, || {
            let agent = stage.sites[0].agent();
            let list =
                stage.center.json(&["reports", "--agent", &agent, "--kind", "fault", "--last", "100000"])?;
            let found = entries(&list).count();
            ensure!(found <= before + WAITING, "{found} reports are filed of {WAITING}");
            Ok((found == before + WAITING).then_some(()))
        })?;
        all_receipted(stage, 1)
    });
}

/// Runs a command that must succeed.
fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new(program).args(arguments).status()?;
    ensure!(status.success(), "{program} {arguments:?} ended with {status}");
    Ok(())
}

/// A small file system of its own over a folder, with what was in it; gone when this is dropped.
struct SmallDisk {
    folder: String,
}

impl SmallDisk {
    fn over(folder: &Path, octets: u64) -> anyhow::Result<Self> {
        let aside = folder.with_extension("aside");
        let (folder, aside) = (folder.display().to_string(), aside.display().to_string());
        run("cp", &["-a", &folder, &aside])?;
        run("mount", &["-t", "tmpfs", "-o", &format!("size={octets},mode=700"), "small", &folder])?;
        let disk = Self { folder };
        run("cp", &["-a", &format!("{aside}/."), &disk.folder])?;
        Ok(disk)
    }

    fn ballast(&self) -> std::path::PathBuf {
        Path::new(&self.folder).join("ballast")
    }

    /// Fills it to the last octet.
    fn fill(&self) -> anyhow::Result<()> {
        let filled = Command::new("dd")
            .args(["if=/dev/zero", &format!("of={}", self.ballast().display()), "bs=4096"])
            .stderr(std::process::Stdio::null())
            .status()?;
        ensure!(!filled.success(), "the small disk is not full");
        Ok(())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--lazy", &self.folder]).status();
    }
}

/// Octets of all files below a folder.
fn octets_below(folder: &Path) -> anyhow::Result<u64> {
    let out = Command::new("du").args(["-sB1", &folder.display().to_string()]).output()?;
    let text = String::from_utf8(out.stdout)?;
    Ok(text.split_whitespace().next().context("du names a size")?.parse()?)
}

/// The states of the faults that a site has told of.
fn told_faults(stage: &mut Stage, number: u32) -> anyhow::Result<Vec<String>> {
    let told = stage.site(number)?.json(&["outbox"])?;
    let faults = entries(&told).filter(|report| text(report, "kind") == "fault");
    Ok(faults.map(|report| text(report, "state").to_owned()).collect())
}

#[test]
fn a_disk_that_is_full_on_either_side_loses_nothing_and_doubles_nothing() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can mount a small disk");
        return;
    }
    in_town(Protection::Plain, |_, stage| {
        let home = stage.center.home().to_owned();
        let center_disk = SmallDisk::over(&home, octets_below(&home)? + (6 << 20))?;
        let root = stage.site(1)?.root.clone();
        let site_disk = SmallDisk::over(&root, octets_below(&root)? + (12 << 20))?;
        stage.start()?;
        stage.hear_from_all()?;

        // The center's disk is full: what comes stays in the mailbox, and is not answered.
        center_disk.fill()?;
        stage.printer(1, 1)?.jam();
        stage.printer(2, 1)?.jam();
        // What is free within its database still takes a report or two.
        eventually("reports that wait since the center says that its disk is full", PATIENCE, || {
            let told = [1, 2].into_iter().map(|number| Ok(!told_faults(stage, number)?.is_empty()));
            let told = told.collect::<anyhow::Result<Vec<_>>>()?.into_iter().all(|told| told);
            let waiting = stage.unreceipted(1)? + stage.unreceipted(2)?;
            Ok((told && waiting > 0 && stage.center.log().contains("full")).then_some(()))
        })?;
        for number in [1, 2] {
            let receipted = told_faults(stage, number)?.iter().filter(|state| *state == "receipted").count();
            let filed = reports(stage, number, "fault")?.len();
            ensure!(receipted <= filed, "site {number} got a receipt for what is not filed");
        }
        std::fs::remove_file(center_disk.ballast())?;
        for number in [1, 2] {
            jams_become(stage, number, 1, 1)?;
            all_receipted(stage, number)?;
        }

        // An appliance's disk is full: a command stays in its mailbox and is carried out once, later.
        site_disk.fill()?;
        stage.center.run(&["counters", "request", "--all"])?;
        eventually("the answer of the other site", PATIENCE, || {
            Ok((reports(stage, 2, "counters")?.len() == 1).then_some(()))
        })?;
        ensure!(reports(stage, 1, "counters")?.is_empty(), "what could not be stored was answered");
        std::fs::remove_file(site_disk.ballast())?;
        eventually("the answer of the site whose disk was full", PATIENCE, || {
            Ok((!reports(stage, 1, "counters")?.is_empty()).then_some(()))
        })?;
        for number in [1, 2] {
            all_receipted(stage, number)?;
            ensure!(reports(stage, number, "counters")?.len() == 1, "site {number} answered twice");
        }
        stage.printer(1, 1)?.clear_jam();
        jams_become(stage, 1, 1, 0)?;
        stage.center.stop();
        stage.sites.iter_mut().for_each(sandbox::world::Site::stop);
        Ok(())
    });
}
