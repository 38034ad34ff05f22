//! The sandbox's printers and post office by themselves, for trying things by hand.

use anyhow::Context as _;
use clap::Args;
use sandbox::post_office::{PostOffice, Settings};
use sandbox::printers::{Office, Printer, PrinterSettings, Recording, control};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Which printers, and where they can be changed.
#[derive(Args)]
pub(crate) struct PrintersArguments {
    /// Folder of recordings, one folder per device with a walk.snmprec.
    #[arg(long, default_value = "testdata/printers")]
    recordings: PathBuf,
    /// How many printers of each recording.
    #[arg(long, default_value_t = 1)]
    each: u32,
    /// Where to listen for changes (one JSON object per line; see the documentation of `printers::control`).
    #[arg(long, default_value = "127.0.0.1:0")]
    control: SocketAddr,
}

/// Which mailboxes.
#[derive(Args)]
pub(crate) struct PostOfficeArguments {
    /// A mailbox, ADDRESS:PASSWORD; may be given several times.
    #[arg(long = "mailbox")]
    mailboxes: Vec<String>,
    /// Where to write the certificate of its own authority (PEM).
    #[arg(long)]
    ca_file: Option<PathBuf>,
}

/// Runs printers until Ctrl-C.
pub(crate) async fn printers(arguments: PrintersArguments) -> anyhow::Result<()> {
    let office = Arc::new(Office::new());
    for recording in Recording::all_in(&arguments.recordings)? {
        for number in 1..=arguments.each {
            let printer = Printer::start(Arc::clone(&recording), PrinterSettings::default()).await?;
            let name = format!("{}-{number}", recording.name());
            println!("{name} {}", printer.address());
            office.add(&name, printer)?;
        }
    }
    let control = control::serve(arguments.control, office).await?;
    println!("control {}", control.address());
    tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")
}

/// Runs a post office until Ctrl-C.
pub(crate) async fn post_office(arguments: PostOfficeArguments) -> anyhow::Result<()> {
    let office = PostOffice::start(Settings { ca_file: arguments.ca_file, ..Settings::default() }).await?;
    for mailbox in &arguments.mailboxes {
        let (address, password) = mailbox.split_once(':').context("--mailbox needs ADDRESS:PASSWORD")?;
        office.add_mailbox(address, password);
    }
    let ports = office.ports();
    println!(
        "smtp {}\nsmtps {}\npop3 {}\npop3s {}\nimap {}\nimaps {}",
        ports.smtp, ports.smtps, ports.pop3, ports.pop3s, ports.imap, ports.imaps
    );
    tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")?;
    office.stop().await;
    Ok(())
}
