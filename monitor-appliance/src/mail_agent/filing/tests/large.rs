//! A large mail that is read in pieces leads to what it leads to in memory.

use super::super::super::spool::{Spool, room_for};
use super::*;
use mailfmt::message::PackagePart;

fn noise(octets: usize) -> Vec<u8> {
    let mut state = 1u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(octets)
    .collect()
}

impl Site {
    fn file_in_pieces(&self, raw: &[u8]) -> Filed {
        let mut spool = Spool::begin(&self.context).unwrap();
        raw.chunks(65_537).for_each(|piece| (spool.sink())(piece).unwrap());
        let spooled = spool.finish().unwrap();
        let mut junk = Discarded::default();
        match file_large(&mut self.store(), &self.context, &self.keys, &spooled, &mut junk).unwrap() {
            LargeFiled::Filed(filed) => filed,
            LargeFiled::Unclear => panic!("unclear"),
        }
    }
}

#[test]
fn a_large_order_to_update_leaves_the_same_package_and_nothing_in_the_spool() {
    let mut site = Site::new();
    let (enclosure, content_key, order) = package_of(noise(900_000));
    let mail = site.mail(&Message::Command(Command::Update(order.clone())), &enclosure);
    assert_eq!(site.file_in_pieces(&mail), Filed::Accepted);
    let written = std::fs::read(site.context.layout.package_file(&order.package)).unwrap();
    assert_eq!(enclose(&written, &content_key), enclosure);
    assert_eq!(site.store().update_orders_open().unwrap().len(), 1);
    assert_eq!(std::fs::read_dir(site.context.layout.spool_dir()).unwrap().count(), 0);
    assert_eq!(site.file(&mail), Filed::Repeat, "both ways journal the same message");
}

#[test]
fn a_large_order_whose_package_is_another_one_waits_for_a_whole_copy() {
    let mut site = Site::new();
    let (mut enclosure, _, order) = package_of(noise(300_000));
    enclosure[200_000] ^= 1;
    let mail = site.mail(&Message::Command(Command::Update(order.clone())), &enclosure);
    assert_eq!(site.file_in_pieces(&mail), Filed::Junk);
    let answers = site.answers();
    let [Report::UpdateResult(result)] = answers.as_slice() else { panic!("{answers:?}") };
    assert!(matches!(&result.outcome, UpdateOutcome::Waiting { reason } if reason.contains("not the one")));
    assert!(!site.context.layout.package_file(&order.package).exists());
}

#[test]
fn a_large_part_is_kept_as_it_came() {
    let mut site = Site::new();
    let octets = noise(500_000);
    let part = PackagePart { enclosure: Digest::of(b"whole"), number: 1, of: 3, sha256: Digest::of(&octets) };
    let mail = site.mail(&Message::Command(Command::Part(part)), &octets);
    assert_eq!(site.file_in_pieces(&mail), Filed::Accepted);
    let path = site.context.layout.part_file(&part.enclosure, &part.sha256);
    assert_eq!(std::fs::read(path).unwrap(), octets);
}

#[test]
fn damaged_cut_and_foreign_mail_comes_to_the_same_either_way() {
    let (enclosure, _, order) = package_of(noise(300_000));
    let mut ways = Vec::new();
    for in_pieces in [true, false] {
        let mut site = Site::new();
        let mail = site.mail(&Message::Command(Command::Update(order.clone())), &enclosure);
        let mut forged = mail.clone();
        let place = forged.windows(5).position(|window| window == b"TUZFM").unwrap() + 400;
        forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
        let cut = mail[..200_000].to_vec();
        let foreign = mail.iter().copied().skip(40_000).collect::<Vec<u8>>();
        let filed: Vec<Filed> = [forged, cut, foreign, noise(600_000)]
            .iter()
            .map(|raw| if in_pieces { site.file_in_pieces(raw) } else { site.file(raw) })
            .collect();
        ways.push((filed, site.answers()));
    }
    assert_eq!(ways[0], ways[1]);
    assert_eq!(ways[0].0[0], Filed::Junk, "a forged envelope is never answered");
}

#[test]
fn what_a_kill_leaves_in_the_spool_is_gone_at_the_next_start() {
    let site = Site::new();
    let mut spool = Spool::begin(&site.context).unwrap();
    (spool.sink())(&noise(10_000)).unwrap();
    let path = site.context.layout.spool_dir().join("attachment");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    std::mem::forget(spool);
    Spool::clean(&site.context).unwrap();
    assert!(!site.context.layout.spool_dir().exists());
}

#[test]
fn whether_there_is_room_is_known_before_a_mail_is_fetched() {
    let site = Site::new();
    assert!(room_for(&site.context, 1_000).is_ok());
    assert!(room_for(&site.context, u64::MAX / 4).is_err());
}
