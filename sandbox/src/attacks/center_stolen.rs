//! Attacks of somebody who has the center's home: database, credentials, command key and mail passwords. Root and release
//! keys were moved out before.

use super::field::{Field, NEW};
use super::findings::Findings;
use super::writer::ping;
use super::{Adversary, Attack, Means};
use crate::random;
use anyhow::Context as _;
use jiff::SignedDuration;
use mailfmt::message::command::TrustRoots;
use mailfmt::package::{MAGIC, build, inspect, sign};
use mailfmt::trust::{DowngradePermit, Role, Root, SignedPermit, SignedRoot, SigningKey, TrustedRoot};
use mailfmt::{Command, Limits, Message, Report};

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        threat: "arbitrary software",
        adversary: Adversary::Center,
        tried: "packages unsigned, signed by himself, by the command key, under a borrowed key id, with a flipped bit in each part",
        means: Means::Field(arbitrary_software),
    },
    Attack {
        threat: "rollback",
        adversary: Adversary::Center,
        tried: "an old package with a good signature, alone and with permits of his own",
        means: Means::Field(rollback),
    },
    Attack {
        threat: "mix-and-match, half a package",
        adversary: Adversary::Center,
        tried: "the manifest of one package over the content of another, another than ordered, the end cut off",
        means: Means::Field(mix_and_match),
    },
    Attack {
        threat: "key compromise: the center's keys",
        adversary: Adversary::Center,
        tried: "roots that trust himself; then a new root takes his command key away",
        means: Means::Field(online_keys),
    },
];

/// Everything of a package behind its manifest's signatures can be taken apart here.
pub(super) fn parts(package: &[u8]) -> anyhow::Result<(&[u8], &[u8], &[u8])> {
    let rest = package.strip_prefix(MAGIC).context("the magic")?;
    let (length, rest) = rest.split_first_chunk::<4>().context("the manifest's length")?;
    let (manifest, rest) = rest.split_at(u32::from_be_bytes(*length).try_into()?);
    let (count, _) = rest.split_first().context("the number of signatures")?;
    let (signatures, content) = rest.split_at(1 + usize::from(*count) * 72);
    Ok((manifest, signatures, content.get(8..).context("the content")?))
}

/// A package of these parts.
pub(super) fn assembled(manifest: &[u8], signatures: &[u8], content: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut package = MAGIC.to_vec();
    package.extend(u32::try_from(manifest.len())?.to_be_bytes());
    package.extend(manifest);
    package.extend(signatures);
    package.extend(u64::try_from(content.len())?.to_be_bytes());
    package.extend(content);
    Ok(package)
}

fn arbitrary_software(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let limits = Limits::default();
    let center = field.center_of(1)?;
    let draft = field.evil_draft(2)?;
    let unsigned = build(&draft, &limits)?;
    let own = SigningKey::generate(&mut random());
    let by_himself = sign(&unsigned, &own, &limits)?;
    let by_command_key = sign(&unsigned, &field.key("command")?, &limits)?;
    // The id of the real release key over a signature of his own.
    let genuine = field.signed(&draft)?;
    let (manifest, his, content) = parts(&by_himself)?;
    let borrowed_id = parts(&genuine)?.1.get(..9).context("the key id")?;
    let borrowed = [borrowed_id, his.get(9..).context("his signature")?].concat();
    let borrowed = assembled(manifest, &borrowed, content)?;
    for (package, reason) in [
        (&unsigned, "the package is not signed"),
        (&by_himself, "no valid signature by a trusted release key"),
        (&by_command_key, "no valid signature by a trusted release key"),
        (&borrowed, "no valid signature by a trusted release key"),
    ] {
        let end = field.order(1, &center, package)?;
        findings.reason(&end, reason);
    }
    // A genuine package, changed at sixty places.
    for step in 0..60 {
        let mut changed = genuine.clone();
        let place = step * (genuine.len() - 1) / 59;
        if let Some(octet) = changed.get_mut(place) {
            *octet ^= 1 << (step % 8);
        }
        let end = field.order(1, &center, &changed)?;
        let refused = end.starts_with("refused: ") || end.contains("Unreadable");
        findings.must(refused, format!("with bit {} of octet {place} flipped: {end}", step % 8));
    }
    findings.note("60 packages with a flipped bit refused");
    Ok(())
}

/// A permit to go back with this package.
fn permit(field: &Field, package: &[u8], key: &SigningKey) -> anyhow::Result<SignedPermit> {
    let introduction = field.introduction(1)?;
    let inspected = inspect(package, &Limits::default())?;
    let permit = DowngradePermit {
        center: introduction.center.clone(),
        agents: vec![introduction.agent.clone()],
        package: inspected.id,
        from: crate::world::FIRST_VERSION.parse()?,
        to: NEW.parse()?,
        expires: super::forge::now() + SignedDuration::from_hours(1),
    };
    Ok(SignedPermit::unsigned(&permit)?.sign(key)?)
}

fn rollback(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let center = field.center_of(1)?;
    let draft = field.evil_draft(0)?;
    let old = field.signed(&draft)?;
    let end = field.order(1, &center, &old)?;
    findings.reason(&end, "older than 1 which was installed already");
    for key in [SigningKey::generate(&mut random()), field.key("command")?] {
        let permit = permit(field, &old, &key)?;
        let end = field.order_with(1, &center, &old, |order, _| order.permit = Some(permit))?;
        findings.reason(&end, "signed by 0 release keys");
    }
    Ok(())
}

fn mix_and_match(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let center = field.center_of(1)?;
    let (one, other) = (field.evil_draft(2)?, field.evil_draft(3)?);
    let (one, other) = (field.signed(&one)?, field.signed(&other)?);
    let (manifest, signatures, _) = parts(&one)?;
    let (_, _, content) = parts(&other)?;
    let mixed = assembled(manifest, signatures, content)?;
    let end = field.order_with(1, &center, &mixed, |_, _| {})?;
    findings.reason(&end, "the content is not the one that was signed");
    // One is ordered, the other comes.
    let inspected = inspect(&one, &Limits::default())?;
    let end = field.order_with(1, &center, &other, |order, _| order.package = inspected.id)?;
    findings.reason(&end, "the package inside is");
    let end = field.order_with(1, &center, &one, |_, enclosure| enclosure.truncate(enclosure.len() - 10))?;
    findings.reason(&end, "octets");
    // The chunks of an enclosure belong to their places and their key.
    let end = field.order_with(1, &center, &one, |order, enclosure| {
        enclosure.rotate_left(16);
        order.enclosure = mailfmt::Digest::of(enclosure);
    })?;
    findings.must(end.starts_with("refused: "), format!("chunks moved: {end}"));
    findings.note("chunks in another order are refused");
    Ok(())
}

/// The chain of roots that the center has.
fn chain(field: &Field) -> anyhow::Result<Vec<SignedRoot>> {
    Ok(serde_json::from_slice(&std::fs::read(field.stage.center.home().join("keys/roots.json"))?)?)
}

/// The next root after the newest, changed and signed.
pub(super) fn next_root(
    field: &Field,
    keys: &[&SigningKey],
    change: impl FnOnce(&mut Root),
) -> anyhow::Result<SignedRoot> {
    let mut root = TrustedRoot::first(&chain(field)?)?.root().clone();
    root.version += 1;
    change(&mut root);
    let mut signed = SignedRoot::unsigned(&root)?;
    for key in keys {
        signed = signed.sign(key)?;
    }
    Ok(signed)
}

/// A mail that brings these roots.
pub(super) fn bringing(roots: Vec<SignedRoot>) -> Message {
    Message::Command(Command::TrustRoots(TrustRoots { roots }))
}

fn online_keys(field: &mut Field, findings: &mut Findings) -> anyhow::Result<()> {
    let center = field.center_of(1)?;
    let own = SigningKey::generate(&mut random());
    let command = field.key("command")?;
    let all_to_himself = |root: &mut Root| {
        root.root = Role::of(own.public());
        root.release = Role::of(own.public());
    };
    for signers in [vec![&own], vec![&command], vec![&own, &command]] {
        let root = next_root(field, &signers, all_to_himself)?;
        field.lay_before_appliance(1, &[center.mail(&bringing(vec![root]))?])?;
        let refused = field.reports(1)?.into_iter().find_map(|report| match report {
            Report::Refused(refused) => Some(refused.reason),
            _ => None,
        });
        findings.reason(&refused.unwrap_or_default(), "0 root keys of root 1");
    }
    let draft = field.evil_draft(2)?;
    let package = sign(&build(&draft, &Limits::default())?, &own, &Limits::default())?;
    let end = field.order(1, &center, &package)?;
    findings.reason(&end, "no valid signature by a trusted release key");
    // The drill: the root role takes his command key away.
    let (root_key, new_command) = (field.key("root")?, SigningKey::generate(&mut random()));
    let root = next_root(field, &[&root_key], |root| root.command = Role::of(new_command.public()))?;
    let news = field.credential_of(1)?.signing(&new_command);
    field.lay_before_appliance(1, &[news.mail(&bringing(vec![root]))?])?;
    let stolen = center.mail(&ping())?;
    findings.reason(&field.judged(1, &stolen)?, "not signed by a command key");
    findings.answers(field.lay_before_appliance(1, &[stolen])?);
    findings.must(field.judged(1, &news.mail(&ping())?)? == "accepted", "the new key is not taken");
    Ok(())
}
