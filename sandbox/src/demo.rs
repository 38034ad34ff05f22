//! The demo: the scene of Fig. 15 and 16 of JP 2003-435644, played by the real programs.
//!
//! Seventeen appliances with recorded printers; a fault, counters, then an update that thirteen take at once and four
//! only after they are mended.

pub(crate) mod mail;
mod scene;

use clap::Args;
use mail::MailArguments;
use sandbox::world::{end_in_order_when_interrupted, is_interrupted};
use scene::Scene;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How to play the scene.
#[derive(Args)]
pub(crate) struct DemoArguments {
    /// Leave everything running to play with, until Enter is pressed or the demo is ended.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    mail: MailArguments,
}

/// Plays the scene and prints the last line of JSON.
pub(crate) fn run(arguments: &DemoArguments) -> anyhow::Result<()> {
    let start = Instant::now();
    end_in_order_when_interrupted()?;
    let mut scene = Scene::set(&arguments.mail)?;
    let played = play(&mut scene);
    if played.is_ok() && arguments.keep {
        keep(&scene);
    } else if played.is_err() && !is_interrupted() {
        eprintln!("{}", scene.stage.logs());
    }
    drop(scene);
    let (last_line, report) = played?;
    println!("\nThe report as a page: {}", report.display());
    println!("All of it took {:.0} s.", start.elapsed().as_secs_f64());
    println!("{last_line}");
    Ok(())
}

fn play(scene: &mut Scene) -> anyhow::Result<(String, PathBuf)> {
    scene.a_new_box_enrols()?;
    scene.start_everything()?;
    scene.a_fault_comes_and_goes()?;
    scene.counters_are_asked_for()?;
    scene.trouble_before_the_update()?;
    let first = scene.update_all()?;
    scene.mend_the_four()?;
    let after = scene.retry_the_failed()?;
    // The scene's folder goes with it; the report stays for whoever wants to look at it.
    let (_, report) =
        tempfile::Builder::new().prefix("version-comparison.").suffix(".html").tempfile()?.keep()?;
    scene.write_report(&report)?;
    // Written by hand, because the order of the keys is part of what is promised.
    let line = format!(
        "{{\"demo\":{{\"appliances\":{},\"updated\":{},\"failed\":{},\"after_retry\":{}}}}}",
        first.total, first.updated, first.failed, after.updated
    );
    Ok((line, report))
}

/// Leaves everything running until Enter or Ctrl-C.
fn keep(scene: &Scene) {
    println!("\nEverything still runs. Try, in another terminal:\n{}", scene.things_to_try());
    let entered = Arc::new(AtomicBool::new(false));
    if std::io::stdin().is_terminal() {
        println!("Press Enter to end it.");
        let entered = Arc::clone(&entered);
        std::thread::spawn(move || {
            let read = std::io::stdin().lock().read_line(&mut String::new());
            entered.store(read.is_ok(), Ordering::Relaxed);
        });
    } else {
        println!("End it with Ctrl-C.");
    }
    while !is_interrupted() && !entered.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
    }
}
