//! `center-manager rollout`.

use super::{Context, Exit};
use clap::Subcommand;
use std::io::Write;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum RolloutCommand {}

pub(super) fn run(command: &RolloutCommand, _context: &Context, _out: &mut dyn Write) -> anyhow::Result<Exit> {
    match *command {}
}
