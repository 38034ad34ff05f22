//! Peers over the same printers, as many at once as ours: `snmpbulkwalk` of net-snmp, and prometheus-snmp-exporter with the printer module of
//! its own generator.

use super::number;
use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The Printer-MIB, which `snmpbulkwalk` reads as a whole.
const PRINTER_MIB: &str = "1.3.6.1.2.1.43";

/// Port of the exporter.
const EXPORTER_PORT: u16 = 19_116;

/// Columns that the exporter's generator puts into its module `printer_mib`, by name, type, and number of indices.
const EXPORTED: [(&str, &str, &str, usize); 13] = [
    ("prtGeneralReset", "1.3.6.1.2.1.43.5.1.1.3", "gauge", 1),
    ("prtConsoleDisable", "1.3.6.1.2.1.43.5.1.1.13", "gauge", 1),
    ("prtGeneralPrinterName", "1.3.6.1.2.1.43.5.1.1.16", "DisplayString", 1),
    ("prtGeneralSerialNumber", "1.3.6.1.2.1.43.5.1.1.17", "DisplayString", 1),
    ("prtAlertCriticalEvents", "1.3.6.1.2.1.43.5.1.1.18", "counter", 1),
    ("prtAlertAllEvents", "1.3.6.1.2.1.43.5.1.1.19", "counter", 1),
    ("prtCoverStatus", "1.3.6.1.2.1.43.6.1.1.3", "gauge", 2),
    ("prtMarkerLifeCount", "1.3.6.1.2.1.43.10.2.1.4", "counter", 2),
    ("prtMarkerPowerOnCount", "1.3.6.1.2.1.43.10.2.1.5", "counter", 2),
    ("prtMarkerSuppliesType", "1.3.6.1.2.1.43.11.1.1.5", "gauge", 2),
    ("prtMarkerSuppliesDescription", "1.3.6.1.2.1.43.11.1.1.6", "DisplayString", 2),
    ("prtMarkerSuppliesMaxCapacity", "1.3.6.1.2.1.43.11.1.1.8", "gauge", 2),
    ("prtMarkerSuppliesLevel", "1.3.6.1.2.1.43.11.1.1.9", "gauge", 2),
];

/// In which Linux tells programs their times (proc_pid_stat(5)): 100 on every architecture that we build for.
const TICKS_PER_SECOND: u64 = 100;

/// How a peer did.
pub(super) struct Peer {
    what: String,
    pub(super) per_s: f64,
    pub(super) cpu_ms: f64,
}

impl Peer {
    /// For a person.
    pub(super) fn text(&self) -> String {
        format!("{}: {:.0} printers/s, {:.2} ms of CPU each", self.what, self.per_s, self.cpu_ms)
    }

    fn of(what: String, printers: usize, time: Duration, cpu: Duration) -> Self {
        let printers = number(printers as u64);
        Self { what, per_s: printers / time.as_secs_f64(), cpu_ms: cpu.as_secs_f64() * 1e3 / printers }
    }
}

/// CPU time that a process has used so far, all threads.
pub(super) fn cpu_of(process: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Behind the name in parentheses, which may hold anything: utime and stime are the 12th and 13th field.
    let (_, fields) = stat.rsplit_once(')').context("the kernel tells no times")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks =
        || -> anyhow::Result<u64> { Ok(fields.next().context("the kernel tells no times")?.parse()?) };
    Ok(Duration::from_millis((ticks()? + ticks()?) * 1_000 / TICKS_PER_SECOND))
}

/// `snmpbulkwalk` of the whole Printer-MIB, a process per printer.
pub(super) fn bulkwalk(printers: &[SocketAddr], at_once: usize) -> anyhow::Result<Peer> {
    let version =
        Command::new("snmpbulkwalk").arg("-V").output().context("Debian's package snmp is missing")?;
    let what = format!("{} (whole Printer-MIB)", String::from_utf8_lossy(&version.stderr).trim());
    let list: String = printers.iter().map(|printer| format!("{printer}\n")).collect();
    // The shell tells the time of all processes below it; xargs keeps as many of them going as asked for.
    let script = format!(
        "TIMEFORMAT='%R %U %S'; time xargs -n 1 -P {at_once} -I ADDRESS \
         snmpbulkwalk -v 2c -c public -On -t 2 -r 2 ADDRESS {PRINTER_MIB} >/dev/null 2>&1"
    );
    let mut shell = Command::new("bash")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start bash")?;
    std::io::Write::write_all(&mut shell.stdin.take().context("bash takes no input")?, list.as_bytes())?;
    let told = shell.wait_with_output()?;
    let times = String::from_utf8_lossy(&told.stderr);
    let times: Vec<f64> = times.split_whitespace().filter_map(|time| time.parse().ok()).collect();
    let [real, user, system] = times.as_slice() else { anyhow::bail!("bash told no times: {times:?}") };
    let seconds = Duration::from_secs_f64;
    Ok(Peer::of(what, printers.len(), seconds(*real), seconds(user + system)))
}

/// The exporter, asked for every printer once.
pub(super) async fn exporter(folder: &Path, printers: &[SocketAddr], at_once: usize) -> anyhow::Result<Peer> {
    let version = Command::new("prometheus-snmp-exporter")
        .arg("--version")
        .output()
        .context("Debian's package prometheus-snmp-exporter is missing")?;
    let version = [version.stdout, version.stderr].concat();
    let version = String::from_utf8_lossy(&version).split_whitespace().nth(2).unwrap_or_default().to_owned();
    let config = folder.join("snmp.yml");
    std::fs::write(&config, module())?;
    let log = std::fs::File::create(folder.join("exporter.log"))?;
    let child = Command::new("prometheus-snmp-exporter")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{EXPORTER_PORT}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .context("cannot start prometheus-snmp-exporter")?;
    let exporter = Exporter(child);
    let begun = Instant::now();
    while tokio::net::TcpStream::connect(("127.0.0.1", EXPORTER_PORT)).await.is_err() {
        let log = || std::fs::read_to_string(folder.join("exporter.log")).unwrap_or_default();
        ensure!(begun.elapsed() < Duration::from_secs(20), "the exporter does not begin: {}", log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (cpu, begun) = (cpu_of(exporter.0.id())?, Instant::now());
    let pages = futures_util::stream::iter(printers).map(|printer| page(*printer)).buffer_unordered(at_once);
    let pages: Vec<anyhow::Result<String>> = pages.collect().await;
    let (time, cpu) = (begun.elapsed(), cpu_of(exporter.0.id())? - cpu);
    let read = pages
        .iter()
        .filter(|page| page.as_ref().is_ok_and(|page| page.contains("prtMarkerLifeCount{")))
        .count();
    if read < printers.len() {
        let first = pages
            .into_iter()
            .find(|page| !page.as_ref().is_ok_and(|page| page.contains("prtMarkerLifeCount{")));
        eprintln!(
            "  the exporter read {read} of {} printers; of the first other it said: {first:.300?}",
            printers.len()
        );
    }
    ensure!(read * 10 >= printers.len() * 9, "the exporter read only {read} of {} printers", printers.len());
    Ok(Peer::of(format!("prometheus-snmp-exporter {version}, printer_mib"), printers.len(), time, cpu))
}

struct Exporter(Child);

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn page(printer: SocketAddr) -> anyhow::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", EXPORTER_PORT)).await?;
    let request = format!(
        "GET /snmp?target={printer}&module=printer_mib HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut page = Vec::new();
    tokio::time::timeout(Duration::from_secs(60), stream.take(1 << 20).read_to_end(&mut page)).await??;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// The module as the exporter's generator writes it, for the version that Debian has.
fn module() -> String {
    use std::fmt::Write as _;
    let mut text = "printer_mib:\n  version: 2\n  auth:\n    community: public\n  walk:\n".to_owned();
    for (_, oid, _, _) in EXPORTED {
        // Writing into a text cannot fail.
        let _ = writeln!(text, "  - {oid}");
    }
    text += "  metrics:\n";
    for (name, oid, kind, indices) in EXPORTED {
        let _ = writeln!(
            text,
            "  - name: {name}\n    oid: {oid}\n    type: {kind}\n    help: {name}\n    indexes:"
        );
        let _ = writeln!(text, "    - labelname: hrDeviceIndex\n      type: gauge");
        if indices == 2 {
            let _ = writeln!(text, "    - labelname: row\n      type: gauge");
        }
    }
    text
}
