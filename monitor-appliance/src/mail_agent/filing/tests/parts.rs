//! A package that comes in parts: in any order, doubled, damaged, too late, or not at all.

use super::*;
use crate::store::{UpdateOrderRow, Wanted};
use mailfmt::message::PackagePart;
use mailfmt::message::report::PartsMissingReport;
use mailfmt::parts::{Parity, Parts};
use std::path::PathBuf;

/// A package in parts, and the mails that bring it.
struct Consignment {
    order: UpdateOrder,
    enclosure: Vec<u8>,
    parts: Parts,
    order_mail: Vec<u8>,
    part_mails: Vec<Vec<u8>>,
}

fn part_of(parts: &Parts, enclosure: &[u8], number: u32) -> (PackagePart, Vec<u8>) {
    let part = PackagePart {
        enclosure: Digest::of(enclosure),
        number,
        of: parts.shape().parts(),
        sha256: parts.cutting().hash(number).unwrap(),
    };
    (part, parts.part(enclosure, number).unwrap().to_vec())
}

fn consign(site: &mut Site, parity: Option<Parity>) -> Consignment {
    // Does not shrink, so that there is something to cut.
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let (enclosure, _, order) = package_of((0..3_000).map(|_| next()).collect());
    let parts = Parts::cut(&enclosure, 600, parity, &Limits::default()).unwrap();
    let order = UpdateOrder { parts: Some(parts.cutting().clone()), ..order };
    let order_mail = site.command(Command::Update(order.clone()));
    let part_mails = (1..=parts.shape().parts())
        .map(|number| {
            let (part, octets) = part_of(&parts, &enclosure, number);
            site.mail(&Message::Command(Command::Part(part)), &octets)
        })
        .collect();
    Consignment { order, enclosure, parts, order_mail, part_mails }
}

fn set(site: &mut Site, change: impl FnOnce(&mut Settings)) {
    change(Arc::make_mut(&mut site.context.settings));
}

impl Site {
    /// The same appliance so many seconds later.
    fn later(&self, seconds: i64) -> Context {
        let then = now().saturating_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
        let clock = Arc::new(move || Reading::of_wall(then));
        Context::new(Layout::new(self.home.path()), (*self.context.settings).clone(), clock)
    }

    fn orders(&self) -> Vec<UpdateOrderRow> {
        let mut orders = self.store().update_orders_newest(10).unwrap();
        orders.reverse();
        orders
    }

    fn state(&self) -> UpdateState {
        self.orders().pop().unwrap().state
    }

    fn here(&self) -> u32 {
        match self.state() {
            UpdateState::Collecting { parts } => parts.here,
            other => panic!("{other:?}"),
        }
    }

    fn parts_dir(&self, consigned: &Consignment) -> PathBuf {
        self.context.layout.parts_dir(&consigned.order.enclosure)
    }

    fn is_complete(&self, consigned: &Consignment) {
        assert_eq!(self.state(), UpdateState::Received);
        let file = std::fs::read(self.context.layout.package_file(&consigned.order.package)).unwrap();
        assert_eq!(enclose(&file, &consigned.order.content_key), consigned.enclosure);
        assert!(!self.parts_dir(consigned).exists(), "the parts are cleared away");
        assert_eq!(self.store().order_in_parts(self.orders()[0].command).unwrap(), None, "no key is kept");
    }
}

#[test]
fn parts_come_in_any_order_and_twice_and_make_the_package() {
    let mut site = Site::new();
    let consigned = consign(&mut site, None);
    let last = consigned.part_mails.len() - 1;
    assert!(last >= 4, "{last}");
    assert_eq!(site.file(&consigned.order_mail), Filed::Accepted);
    for (nth, mail) in consigned.part_mails.iter().enumerate().rev() {
        assert_eq!(site.here() as usize, last - nth);
        assert_eq!(site.file(mail), Filed::Accepted);
        assert_eq!(site.file(mail), Filed::Repeat);
    }
    site.is_complete(&consigned);
    assert!(site.answers().is_empty());
    assert_eq!(
        site.file(&consigned.part_mails[0]),
        Filed::Repeat,
        "nothing is kept of an order that is over"
    );
    assert!(!site.parts_dir(&consigned).exists());
}

#[test]
fn parts_that_come_before_their_order_are_kept_for_it() {
    let mut site = Site::new();
    let consigned = consign(&mut site, None);
    let (early, rest) = consigned.part_mails.split_at(2);
    for mail in early {
        assert_eq!(site.file(mail), Filed::Accepted);
        assert_eq!(site.file(mail), Filed::Repeat);
    }
    site.file(&consigned.order_mail);
    assert_eq!(site.here(), 2);
    rest.iter().for_each(|mail| assert_eq!(site.file(mail), Filed::Accepted));
    site.is_complete(&consigned);

    let mut site = Site::new();
    let consigned = consign(&mut site, None);
    consigned.part_mails.iter().for_each(|mail| assert_eq!(site.file(mail), Filed::Accepted));
    site.file(&consigned.order_mail);
    site.is_complete(&consigned);
}

#[test]
fn of_packages_without_an_order_only_a_few_parts_are_kept() {
    let mut site = Site::new();
    let mut kept = 0;
    for kind in 0..20u8 {
        let octets = vec![kind; 600];
        let part =
            PackagePart { enclosure: Digest::of(&[kind]), number: 1, of: 9, sha256: Digest::of(&octets) };
        let mail = site.mail(&Message::Command(Command::Part(part)), &octets);
        kept += u32::from(site.file(&mail) == Filed::Accepted);
    }
    assert_eq!(kept, 4);
    // Nor more octets than one package may have.
    let mut site = Site::new();
    set(&mut site, |settings| settings.limits.package_octets = 1_000);
    let consigned = consign(&mut site, None);
    assert_eq!(site.file(&consigned.part_mails[0]), Filed::Accepted);
    assert_eq!(site.file(&consigned.part_mails[1]), Filed::Junk);
    // And no part that cannot be one.
    let (part, octets) = part_of(&consigned.parts, &consigned.enclosure, 1);
    for (number, of) in [(0, 9), (10, 9), (1, 100_000)] {
        let part = PackagePart { number, of, enclosure: Digest::of(b"another"), ..part };
        let mail = site.mail(&Message::Command(Command::Part(part)), &octets);
        assert_eq!(site.file(&mail), Filed::Junk);
    }
}

#[test]
fn a_damaged_part_is_dropped_and_an_intact_copy_of_the_same_mail_is_taken() {
    let mut site = Site::new();
    let consigned = consign(&mut site, None);
    site.file(&consigned.order_mail);
    let (part, mut octets) = part_of(&consigned.parts, &consigned.enclosure, 1);
    octets[17] ^= 1;
    let damaged = site.mail(&Message::Command(Command::Part(part)), &octets);
    assert_eq!(site.file(&damaged), Filed::Junk);
    assert_eq!((site.here(), site.parts_dir(&consigned).exists()), (0, false));
    assert_eq!(site.file(&consigned.part_mails[0]), Filed::Accepted);
    assert_eq!(site.here(), 1);
}

#[test]
fn a_part_that_the_order_does_not_name_is_not_kept() {
    let mut site = Site::new();
    let consigned = consign(&mut site, None);
    site.file(&consigned.order_mail);
    let (part, octets) = part_of(&consigned.parts, &consigned.enclosure, 1);
    let elsewhere = site.mail(&Message::Command(Command::Part(PackagePart { number: 2, ..part })), &octets);
    assert_eq!(site.file(&elsewhere), Filed::Junk);
    let another = PackagePart { sha256: Digest::of(b"another"), ..part };
    let mail = site.mail(&Message::Command(Command::Part(another)), b"another");
    assert_eq!(site.file(&mail), Filed::Junk);
    assert!(!site.parts_dir(&consigned).exists());
}

fn questions(site: &Site) -> Vec<PartsMissingReport> {
    let question = |report| if let Report::PartsMissing(question) = report { Some(question) } else { None };
    site.answers().into_iter().filter_map(question).collect()
}

fn pursue_at(site: &Site, seconds: i64) {
    pursue(&mut site.store(), &site.later(seconds)).unwrap();
}

/// The center has everything that was said so far.
fn receive_all(site: &Site) {
    let mut store = site.store();
    for row in store.outbox_waiting(100).unwrap() {
        store.change(|change| change.settle(row.message, 1, now())).unwrap();
    }
}

#[test]
fn only_the_missing_parts_are_asked_for_again_and_again_and_then_the_update_is_refused() {
    let mut site = Site::new();
    set(&mut site, |settings| settings.update.part_asks_max = 2);
    let consigned = consign(&mut site, None);
    site.file(&consigned.order_mail);
    for (nth, mail) in consigned.part_mails.iter().enumerate() {
        if nth != 1 && nth != 3 {
            site.file(mail);
        }
    }
    let wait = 5 * 60;
    pursue_at(&site, wait - 1);
    assert!(questions(&site).is_empty());
    pursue_at(&site, wait);
    let asked = questions(&site);
    let of = u32::try_from(consigned.part_mails.len()).unwrap();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].missing.as_slice(), asked[0].here, asked[0].of), ([2, 4].as_slice(), of - 2, of));

    // While the center has not heard the question it is not put again, nor is anything given up.
    pursue_at(&site, 100 * wait);
    assert_eq!(questions(&site).len(), 1);
    receive_all(&site);
    site.file(&consigned.part_mails[1]);
    pursue_at(&site, 200 * wait);
    let asked = questions(&site);
    assert_eq!(asked[0].missing, [4], "what has come meanwhile is not asked for");
    receive_all(&site);
    pursue_at(&site, 280 * wait);
    let answers = site.answers();
    let [Report::UpdateResult(result)] = answers.as_slice() else { panic!("{answers:?}") };
    let UpdateOutcome::Refused { reason } = &result.outcome else { panic!("{result:?}") };
    assert!(reason.contains("asked for 2 times"), "{reason}");
    assert!(!site.parts_dir(&consigned).exists());
    assert_eq!(site.store().parts_wanted(consigned.order.enclosure).unwrap(), Wanted::NoMore);
}

#[test]
fn an_order_that_expires_is_given_up_with_its_parts() {
    let mut site = Site::new();
    let consigned = consign(&mut site, None);
    site.file(&consigned.order_mail);
    site.file(&consigned.part_mails[0]);
    pursue_at(&site, 24 * 3600);
    assert!(matches!(site.state(), UpdateState::Refused { reason } if reason.contains("expired")));
    assert!(!site.parts_dir(&consigned).exists());
}

#[test]
fn a_parity_part_stands_for_a_lost_one_without_a_question() {
    let mut site = Site::new();
    let consigned = consign(&mut site, Some(Parity { group: 8, extra: 1 }));
    site.file(&consigned.order_mail);
    for mail in consigned.part_mails.iter().skip(1) {
        assert_eq!(site.file(mail), Filed::Accepted);
    }
    site.is_complete(&consigned);
    pursue_at(&site, 24 * 3600);
    assert!(site.answers().is_empty());
}

#[test]
fn a_package_for_which_there_is_no_room_is_refused_before_its_parts_come() {
    let mut site = Site::new();
    set(&mut site, |settings| settings.update.disk_reserve = u64::MAX / 4);
    let consigned = consign(&mut site, None);
    assert_eq!(site.file(&consigned.order_mail), Filed::Accepted);
    let answers = site.answers();
    let [Report::UpdateResult(result)] = answers.as_slice() else { panic!("{answers:?}") };
    assert!(
        matches!(&result.outcome, UpdateOutcome::Refused { reason } if reason.contains("octets of disk"))
    );
    assert_eq!(site.file(&consigned.part_mails[0]), Filed::Junk);
    assert!(!site.parts_dir(&consigned).exists());
}

#[test]
fn an_order_that_makes_no_sense_is_refused_with_the_reason() {
    let mut site = Site::new();
    let consigned = consign(&mut site, None);
    let mut order = consigned.order.clone();
    if let Some(cutting) = &mut order.parts {
        cutting.hashes.pop();
    }
    let mail = site.command(Command::Update(order));
    site.file(&mail);
    let answers = site.answers();
    let [Report::UpdateResult(result)] = answers.as_slice() else { panic!("{answers:?}") };
    assert!(matches!(&result.outcome, UpdateOutcome::Refused { reason } if reason.contains("hashes")));
}

#[test]
fn a_newer_order_for_the_same_package_takes_over_what_has_come() {
    let mut site = Site::new();
    let consigned = consign(&mut site, None);
    site.file(&consigned.order_mail);
    let (first, rest) = consigned.part_mails.split_first().unwrap();
    site.file(first);
    let again = site.command(Command::Update(consigned.order.clone()));
    site.file(&again);
    let orders = site.orders();
    assert!(matches!(&orders[0].state, UpdateState::Refused { reason } if reason.contains("newer order")));
    assert_eq!(site.here(), 1);
    rest.iter().for_each(|mail| assert_eq!(site.file(mail), Filed::Accepted));
    assert_eq!(site.state(), UpdateState::Received);
}

#[test]
fn a_part_that_rots_on_the_disk_is_asked_for_once_more() {
    let mut site = Site::new();
    let consigned = consign(&mut site, None);
    site.file(&consigned.order_mail);
    let (last, rest) = consigned.part_mails.split_last().unwrap();
    rest.iter().for_each(|mail| assert_eq!(site.file(mail), Filed::Accepted));
    let hash = consigned.parts.cutting().hash(1).unwrap();
    std::fs::write(site.context.layout.part_file(&consigned.order.enclosure, &hash), b"rotten").unwrap();
    site.file(last);
    pursue_at(&site, 0);
    assert_eq!(site.here() as usize, consigned.part_mails.len() - 1);
    assert_eq!(site.file(&consigned.part_mails[0]), Filed::Accepted);
    site.is_complete(&consigned);
}

/// The store as it was before; what a kill leaves that comes before the transaction is durable.
fn set_back(site: &Site, before: &[(PathBuf, Option<Vec<u8>>)]) {
    for (path, content) in before {
        match content {
            Some(content) => std::fs::write(path, content).unwrap(),
            None => drop(std::fs::remove_file(path)),
        }
    }
    assert!(site.store().check().unwrap().is_empty());
}

fn store_files(site: &Site) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let store = site.context.layout.store_file();
    ["", "-wal", "-shm"]
        .map(|suffix| PathBuf::from(format!("{}{suffix}", store.display())))
        .map(|path| (path.clone(), std::fs::read(&path).ok()))
        .to_vec()
}

#[test]
fn whatever_a_kill_takes_from_the_store_the_disk_tells_it_again() {
    let mut site = Site::new();
    let consigned = consign(&mut site, None);
    site.file(&consigned.order_mail);
    let (last, rest) = consigned.part_mails.split_last().unwrap();
    for (nth, mail) in (1u32..).zip(rest) {
        let before = store_files(&site);
        site.file(mail);
        set_back(&site, &before);
        // The mail was not deleted and comes again, or only the next pass looks at the disk.
        if nth % 2 == 0 {
            assert_eq!(site.file(mail), Filed::Repeat);
        } else {
            pursue_at(&site, 0);
        }
        pursue_at(&site, 0);
        assert_eq!(site.here(), nth);
    }
    let before = store_files(&site);
    site.file(last);
    site.is_complete(&consigned);
    set_back(&site, &before);
    // The parts are cleared away already, and so the last of them are asked for; the package is not lost, but not believed
    // either.
    pursue_at(&site, 0);
    assert_eq!(site.here(), 0);
    consigned.part_mails.iter().for_each(|mail| assert_eq!(site.file(mail), Filed::Accepted));
    site.is_complete(&consigned);
}

#[test]
fn a_kill_after_the_package_is_complete_leaves_nothing_behind() {
    let mut site = Site::new();
    let consigned = consign(&mut site, None);
    site.file(&consigned.order_mail);
    let (last, rest) = consigned.part_mails.split_last().unwrap();
    rest.iter().for_each(|mail| assert_eq!(site.file(mail), Filed::Accepted));
    let (part, octets) = part_of(&consigned.parts, &consigned.enclosure, part_number(rest) + 1);
    // Just the file, as a process leaves it that is killed before it looks at it.
    let path = site.context.layout.part_file(&part.enclosure, &part.sha256);
    std::fs::write(path, octets).unwrap();
    pursue_at(&site, 0);
    site.is_complete(&consigned);
    assert_eq!(site.file(last), Filed::Repeat);

    // And as one leaves it that is killed between the end of the wait and the note of it.
    let row = site.orders().remove(0);
    let mut again = Site::new();
    let consigned = consign(&mut again, None);
    again.file(&consigned.order_mail);
    again.file(&consigned.part_mails[0]);
    let open = again.orders().remove(0);
    let refused = UpdateState::Refused { reason: "gone".into() };
    again.store().change(|change| change.move_update(&open, &refused, now())).unwrap();
    pursue_at(&again, 0);
    assert!(!again.parts_dir(&consigned).exists());
    assert_eq!(again.store().orders_in_parts().unwrap(), []);
    assert_eq!(row.state, UpdateState::Received);
}

fn part_number(mails: &[Vec<u8>]) -> u32 {
    u32::try_from(mails.len()).unwrap()
}
