//! `center-manager versions`.

use super::{Context, Exit};
use clap::Subcommand;
use std::io::Write;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum VersionsCommand {}

pub(super) fn run(command: &VersionsCommand, _context: &Context, _out: &mut dyn Write) -> anyhow::Result<Exit> {
    match *command {}
}
