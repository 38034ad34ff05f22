//! What the operator orders: commands of every kind that is answered, with a small real package for updates.

use super::dice::Dice;
use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use mailfmt::crypto::ContentKey;
use mailfmt::message::command::PingRequest;
use mailfmt::message::{CounterRequest, UpdateOrder, VersionRequest};
use mailfmt::package::{
    Manifest, ModuleFile, ModuleKind, PackageDraft, SigningKey, build, enclose, inspect, sign,
};
use mailfmt::{Command, Digest, Limits, Nonce};
use std::sync::Arc;

/// The file of its one module.
pub(crate) const MODULE: &[u8] = b"#!/bin/sh\n";

/// A package with the octets that follow its orders.
pub(crate) struct Package {
    /// The order to install it.
    pub(crate) order: UpdateOrder,
    /// What it brings.
    pub(crate) manifest: Manifest,
    /// What follows the envelope of an order.
    pub(crate) enclosure: Arc<[u8]>,
}

impl Package {
    pub(crate) fn make(now: Timestamp) -> anyhow::Result<Self> {
        let (mut random, limits) = (crate::random(), Limits::default());
        let draft = PackageDraft {
            target: "1.0.02-0".parse()?,
            rom: None,
            release_counter: 2,
            created: now,
            expires: now + SignedDuration::from_hours(24 * 365),
            script: b"#!/bin/sh\nexit 0\n".to_vec(),
            script_time_limit_secs: 5,
            modules: vec![ModuleFile {
                name: "refresh".parse()?,
                version: "1.0.00".parse()?,
                date: jiff::civil::date(2026, 1, 1),
                kind: ModuleKind::Script,
                file: MODULE.to_vec(),
                carried: true,
            }],
            applies: Default::default(),
            rules: Default::default(),
        };
        let key = SigningKey::generate(&mut random);
        let package = sign(&build(&draft, &limits)?, &key, &limits)?;
        let content_key = ContentKey::generate(&mut random);
        let inspection = inspect(&package, &limits)?;
        let enclosure = enclose(&package, &content_key);
        let order = UpdateOrder {
            package: inspection.id,
            target: draft.target,
            enclosure: Digest::of(&enclosure),
            enclosure_octets: u64::try_from(enclosure.len()).context("a small package")?,
            content_key,
            permit: None,
            parts: None,
            approval: None,
        };
        Ok(Self { order, manifest: inspection.manifest, enclosure: enclosure.into() })
    }

    /// Any command.
    pub(crate) fn any_command(&self, dice: &mut Dice) -> Command {
        match dice.below(20) {
            0..=7 => Command::Counters(CounterRequest::default()),
            8..=12 => Command::Ping(PingRequest::default()),
            13..=17 => Command::Version(VersionRequest { nonce: Nonce::generate(&mut crate::random()) }),
            _ => Command::Update(self.order.clone()),
        }
    }
}
