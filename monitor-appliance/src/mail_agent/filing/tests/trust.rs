//! Whose word counts: signatures, roots, rotation, replays, the center's history, fresh words.

use super::*;
use crate::store::AlarmRow;
use crate::trust;
use crate::update::UpdateState;
use jiff::SignedDuration;
use mailfmt::exchange::{EphemeralSecret, Halves};
use mailfmt::message::command::{RotateRequest, TrustRoots};
use mailfmt::message::receipt::Latest;
use mailfmt::message::report::AlarmReport;
use mailfmt::trust::{Role, Root, SignedRoot};

fn signer(seed: u8) -> SigningKey {
    SigningKey::generate(&mut |buffer: &mut [u8]| buffer.fill(seed))
}

/// Roots 1 to `count`; the command key of root N is that of seed 100 + N.
fn chain(count: u8) -> Vec<SignedRoot> {
    let root = |version: u8| Root {
        version: u64::from(version),
        center: "CENTER".parse().unwrap(),
        created: now(),
        expires: "2036-01-01T00:00:00Z".parse().unwrap(),
        root: Role::of(signer(1).public()),
        release: Role::of(signer(2).public()),
        command: Role::of(signer(100 + version).public()),
        revoked_packages: Default::default(),
        release_counter_reset: None,
        approval: None,
    };
    (1..=count)
        .map(|version| SignedRoot::unsigned(&root(version)).unwrap().sign(&signer(1)).unwrap())
        .collect()
}

/// A site that trusts root 1, and a center that signs.
fn rooted() -> Site {
    let mut site = Site::new();
    let context = &site.context;
    trust::replace(&context.layout, &context.settings.center, &chain(1)).unwrap();
    site.keys = Keyring::load(context).unwrap();
    site.signer = Some(signer(101));
    site
}

fn ping() -> Command {
    Command::Ping(PingRequest::default())
}

fn root_version(site: &Site) -> u64 {
    trust::read(&site.context.layout, &site.context.settings.center).unwrap().root().version
}

#[test]
fn a_command_under_the_right_credential_but_without_a_signature_is_junk_and_not_answered() {
    let mut site = rooted();
    for forger in [None, Some(signer(1)), Some(signer(2)), Some(signer(50))] {
        site.signer = forger;
        let mail = site.command(ping());
        assert_eq!(site.file(&mail), Filed::Junk);
    }
    assert!(site.answers().is_empty());
    assert_eq!(site.store().tally(Tally::Junk).unwrap(), 4);
    site.signer = Some(signer(101));
    let mail = site.command(ping());
    assert_eq!(site.file(&mail), Filed::Accepted);
}

#[test]
fn twenty_missed_roots_are_caught_up_from_one_mail_and_the_old_command_key_counts_no_more() {
    let mut site = rooted();
    let all = chain(21);
    site.signer = Some(signer(121));
    let mail = site.command(ping());
    assert_eq!(site.file(&mail), Filed::Junk, "nobody knows this key yet");
    let mail = site.command(Command::TrustRoots(TrustRoots { roots: all[1..].to_vec() }));
    assert_eq!(site.file(&mail), Filed::Accepted);
    assert_eq!(site.file(&mail), Filed::Repeat);
    assert_eq!(root_version(&site), 21);
    let answers = site.answers();
    let [Report::Health(health)] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!(health.standing.as_ref().map(|standing| standing.root_version), Some(21));
    let mail = site.command(ping());
    assert_eq!(site.file(&mail), Filed::Accepted);
    site.signer = Some(signer(101));
    let mail = site.command(ping());
    assert_eq!(site.file(&mail), Filed::Junk, "the command key that was replaced");
}

#[test]
fn roots_that_do_not_follow_are_refused_with_the_reason_and_change_nothing() {
    let mut site = rooted();
    let all = chain(3);
    let mail = site.command(Command::TrustRoots(TrustRoots { roots: all[2..].to_vec() }));
    assert_eq!(site.file(&mail), Filed::Accepted);
    let answers = site.answers();
    let [Report::Refused(refused)] = answers.as_slice() else { panic!("{answers:?}") };
    assert!(refused.reason.contains("root 2 is missing"), "{}", refused.reason);
    assert_eq!(root_version(&site), 1);
}

#[test]
fn old_roots_do_not_bring_an_old_command_key_back() {
    let mut site = rooted();
    let all = chain(3);
    let mail = site.command(Command::TrustRoots(TrustRoots { roots: all[1..].to_vec() }));
    site.file(&mail);
    // The thief of command key 1 replays the way to root 2, and its own root 1.
    site.signer = Some(signer(101));
    for roots in [&all[..1], &all[1..2]] {
        let mail = site.command(Command::TrustRoots(TrustRoots { roots: roots.to_vec() }));
        assert_eq!(site.file(&mail), Filed::Junk);
    }
    assert_eq!(root_version(&site), 3);
}

/// The center's half of a rotation.
fn request(site: &mut Site, rotation: u8) -> (RotateRequest, EphemeralSecret, Vec<u8>) {
    let half = EphemeralSecret::generate(&mut |buffer: &mut [u8]| buffer.fill(rotation));
    let request = RotateRequest { rotation: Nonce::from_bytes([rotation; 16]), center_key: half.public() };
    let mail = site.command(Command::RotateCredential(request.clone()));
    (request, half, mail)
}

/// What the center derives from the newest answer.
fn agreed(site: &Site, request: &RotateRequest, half: &EphemeralSecret) -> Credential {
    let answers = site.answers();
    let Some(Report::CredentialRotated(answer)) = answers.last() else { panic!("{answers:?}") };
    assert_eq!(answer.rotation, request.rotation);
    let halves = Halves { appliance: answer.appliance_key, center: request.center_key };
    let old = site.context.credential().unwrap();
    mailfmt::rotation::next(&request.rotation, &old, half, &answer.appliance_key, halves).unwrap()
}

fn seal_under(site: &mut Site, credential: &Credential) {
    let settings = &site.context.settings;
    site.sealing = credential.channel(Direction::ToAppliance, &settings.agent, &settings.center);
}

#[test]
fn a_credential_is_rotated_by_mail_and_the_old_one_then_opens_nothing() {
    let mut site = rooted();
    let (request, half, mail) = request(&mut site, 1);
    assert_eq!(site.file(&mail), Filed::Accepted);
    assert_eq!(site.file(&mail), Filed::Repeat, "a doubled mail");
    let next = agreed(&site, &request, &half);
    let under_the_old = site.command(ping());
    assert_eq!(site.file(&under_the_old), Filed::Accepted, "the answer is not there yet");
    let old = site.sealing.clone();
    seal_under(&mut site, &next);
    let under_the_new = site.command(ping());
    assert_eq!(site.file(&under_the_new), Filed::Accepted);
    assert_eq!(site.context.credential().unwrap(), next);
    assert!(!site.context.layout.next_credential_file().exists());
    let told = site.answers().iter().filter(|report| matches!(report, Report::Health(_))).count();
    assert_eq!(told, 3, "two answers, and one by which the center learns that it may forget the old one");
    site.sealing = old;
    let late = site.command(ping());
    assert_eq!(site.file(&late), Filed::Junk, "the old credential is worth nothing");
}

#[test]
fn a_rotation_whose_answer_was_lost_is_asked_again_and_gets_the_same_answer() {
    let mut site = rooted();
    let (request, half, mail) = request(&mut site, 1);
    site.file(&mail);
    let next = agreed(&site, &request, &half);
    // The center was put back and asks again, under another message id.
    let mail = site.command(Command::RotateCredential(request.clone()));
    assert_eq!(site.file(&mail), Filed::Accepted);
    assert_eq!(agreed(&site, &request, &half), next);
}

#[test]
fn an_older_rotation_that_was_late_does_not_replace_a_newer_one() {
    let mut site = rooted();
    let (_, _, late) = request(&mut site, 1);
    let (newer, half, mail) = request(&mut site, 2);
    assert_eq!(site.file(&mail), Filed::Accepted);
    let next = agreed(&site, &newer, &half);
    assert_eq!(site.file(&late), Filed::Accepted);
    assert!(matches!(site.answers().last(), Some(Report::Refused(_))));
    seal_under(&mut site, &next);
    let mail = site.command(ping());
    assert_eq!(site.file(&mail), Filed::Accepted);
}

#[test]
fn a_rotation_waits_while_the_script_of_an_update_may_run() {
    let mut site = rooted();
    let (_, _, mail) = request(&mut site, 1);
    let order = NewUpdateOrder {
        package: Digest::of(b"package"),
        target: "1.0.02-0".parse().unwrap(),
        command: MessageId::from_bytes([0xaa; 16]),
        received: now(),
    };
    let mut store = site.store();
    store.change(|change| change.order_update(&order)).unwrap();
    let row = store.update_orders_open().unwrap().remove(0);
    let verified = UpdateState::Verified { wait: None };
    store.change(|change| change.move_update(&row, &verified, now())).unwrap();
    assert_eq!(site.file(&mail), Filed::Later);
    assert!(!site.context.layout.next_credential_file().exists());
    let row = store.update_orders_open().unwrap().remove(0);
    let refused = UpdateState::Refused { reason: "no".into() };
    store.change(|change| change.move_update(&row, &refused, now())).unwrap();
    assert_eq!(site.file(&mail), Filed::Accepted);
}

/// The site's folder as it is, put back later.
fn backup(site: &Site) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(site.home.path(), copy.path());
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn after_a_restore_nothing_old_is_carried_out_and_no_number_is_given_twice() {
    let mut site = rooted();
    let mail = site.command(ping());
    site.file(&mail);
    let image = backup(&site);
    let after = site.command(Command::Counters(CounterRequest::default()));
    site.file(&after);
    let given: Vec<u64> = site.store().outbox_newest(10).unwrap().iter().map(|row| row.sequence).collect();

    std::fs::remove_dir_all(site.home.path()).unwrap();
    std::fs::create_dir(site.home.path()).unwrap();
    copy_folder(image.path(), site.home.path());
    let (layout, settings) = (site.context.layout.clone(), Settings::clone(&site.context.settings));
    let later = now() + SignedDuration::from_mins(20);
    site.context = Context::new(layout, settings, Arc::new(move || Reading::of_wall(later)));
    site.keys = Keyring::load(&site.context).unwrap();
    assert_eq!(site.file(&mail), Filed::Repeat, "known from before the backup");
    // What the journal has forgotten with the restore is older than anything that the center now says.
    site.created = now() - SignedDuration::from_hours(36 * 24);
    let forgotten = site.command(ping());
    site.created = now();
    let fresh = site.command(ping());
    assert_eq!(site.file(&fresh), Filed::Accepted);
    assert_eq!(site.file(&forgotten), Filed::Refused);
    let store = site.store();
    let rows = store.outbox_newest(2).unwrap();
    let new: Vec<u64> = rows.iter().map(|row| row.sequence).collect();
    assert!(new.iter().all(|new| given.iter().all(|given| given < new)), "{given:?} {new:?}");
    let follows = store.origin(&site.context.settings.center, new[1]).unwrap().follows.unwrap();
    assert!(given.iter().any(|number| *number > follows), "so the center sees that something was forgotten");
}

fn alarms(site: &Site) -> Vec<AlarmReport> {
    let alarm = |report| if let Report::Alarm(alarm) = report { Some(alarm) } else { None };
    site.answers().into_iter().filter_map(alarm).collect()
}

/// Epoch of a center that started two hours before now.
const ONE_O_CLOCK: u64 = 25 * 3_600;

#[test]
fn a_center_that_was_put_back_from_a_backup_is_told_once() {
    let mut site = rooted();
    (site.epoch, site.created) = ((ONE_O_CLOCK, 0), now() - SignedDuration::from_mins(90));
    let mail = site.command(ping());
    site.file(&mail);
    (site.epoch, site.created) = ((ONE_O_CLOCK + 7_000, 0), now());
    for _ in 0..3 {
        let mail = site.command(ping());
        assert_eq!(site.file(&mail), Filed::Accepted, "its commands count all the same");
    }
    let told = alarms(&site);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].alarm, "center-forked");
    assert!(told[0].description.contains("restore"), "{}", told[0].description);
    assert_eq!(site.store().alarms().unwrap().len(), 1);
}

#[test]
fn two_centers_under_the_same_keys_are_told_as_such() {
    let mut site = rooted();
    for epoch in [ONE_O_CLOCK, ONE_O_CLOCK + 3_600, ONE_O_CLOCK] {
        site.epoch = (epoch, 0);
        let mail = site.command(ping());
        assert_eq!(site.file(&mail), Filed::Accepted);
    }
    let told = alarms(&site);
    assert!(told.last().is_some_and(|alarm| alarm.description.contains("two centers")), "{told:?}");
}

fn receipt(site: &mut Site, at: Timestamp) -> Vec<u8> {
    let receipt = Receipt {
        report: MessageId::from_bytes([0xee; 16]),
        number: 1,
        received: at,
        content: "health".into(),
        description: String::new(),
        latest: Some(Latest { at, software: None, release_counter: 0 }),
    };
    site.mail(&Message::Receipt(receipt), b"")
}

#[test]
fn only_a_younger_word_counts_as_fresh_and_none_from_the_future() {
    let mut site = rooted();
    let fresh = |site: &Site| site.store().moment(Moment::Fresh).unwrap();
    for (told, after) in [(-50, -50), (-20, -20), (-30, -20), (900, 0)] {
        let at = |hours| now() + SignedDuration::from_hours(hours);
        let mail = receipt(&mut site, at(told));
        site.file(&mail);
        assert_eq!(fresh(&site), Some(at(after)), "told {told}");
    }
    site.signer = None;
    let mut forged = rooted();
    forged.signer = None;
    let mail = receipt(&mut forged, now());
    assert_eq!(forged.file(&mail), Filed::Junk);
    assert_eq!(fresh(&forged), None);
}

#[test]
fn a_fresh_word_ends_the_alarm() {
    let mut site = rooted();
    let since = now() - SignedDuration::from_hours(24 * 30);
    let alarm = AlarmRow { name: NOTHING_FRESH.into(), description: "nothing".into(), since };
    site.store().change(|change| change.raise_alarm(&alarm)).unwrap();
    let mail = receipt(&mut site, since);
    site.file(&mail);
    assert_eq!(site.store().alarms().unwrap(), [alarm], "an old word that was held back is not fresh");
    let mail = receipt(&mut site, now());
    site.file(&mail);
    assert!(site.store().alarms().unwrap().is_empty());
    let told = alarms(&site);
    assert!(matches!(told.as_slice(), [AlarmReport { over: true, .. }]), "{told:?}");
}

/// What somebody with the center's keys, or a center whose clock was set far ahead, can leave behind.
fn poisoned() -> Site {
    let mut site = rooted();
    let far = "2999-01-01T00:00:00Z".parse().unwrap();
    (site.created, site.epoch) = (far, (2_000_000_000, 0));
    let rotation = request(&mut site, 1).2;
    assert_eq!(site.file(&rotation), Filed::Accepted);
    let mail = receipt(&mut site, far);
    site.file(&mail);
    (site.created, site.epoch) = (now(), (ONE_O_CLOCK, 0));
    let mail = site.command(ping());
    assert_eq!(site.file(&mail), Filed::Expired, "it believes that centuries have passed");
    site
}

#[test]
fn a_new_command_key_undoes_what_the_old_one_said_about_the_time() {
    let mut site = poisoned();
    // Whoever has the old key may even be the one who sends the roots.
    site.created = "2999-01-01T00:00:00Z".parse().unwrap();
    let mail = site.command(Command::TrustRoots(TrustRoots { roots: chain(2) }));
    assert_eq!(site.file(&mail), Filed::Accepted);
    site.created = now();
    let mail = site.command(ping());
    assert_eq!(site.file(&mail), Filed::Junk, "the old key counts no more");
    site.signer = Some(signer(102));
    let mail = site.command(ping());
    assert_eq!(site.file(&mail), Filed::Accepted);
    assert_eq!(site.store().moment(Moment::Fresh).unwrap(), None, "its word of news goes with it");
    // A rotation that the thief began does not stand in the way of ours.
    let (request, half, mail) = request(&mut site, 2);
    assert_eq!(site.file(&mail), Filed::Accepted);
    let next = agreed(&site, &request, &half);
    seal_under(&mut site, &next);
    let mail = site.command(ping());
    assert_eq!(site.file(&mail), Filed::Accepted);
    assert_eq!(site.context.credential().unwrap(), next);
}

#[test]
fn a_new_root_under_the_same_command_key_forgets_nothing() {
    let mut site = poisoned();
    let mut second = chain(2)[1].peek().unwrap();
    second.command.keys.push(signer(101).public());
    let second = SignedRoot::unsigned(&second).unwrap().sign(&signer(1)).unwrap();
    let mail = site.command(Command::TrustRoots(TrustRoots { roots: vec![second] }));
    assert_eq!(site.file(&mail), Filed::Accepted, "a newer root is taken whatever the clock says");
    let mail = site.command(ping());
    assert_eq!(site.file(&mail), Filed::Expired, "what the key has said may be played back");
}

#[test]
fn a_time_far_ahead_of_the_box_does_not_make_every_certificate_of_a_mail_server_invalid_for_ever() {
    let mut site = poisoned();
    let floor = |site: &Site| {
        let time = crate::mail_agent::tls_clock(&site.context)();
        assert!(!time.proven);
        time.floor.unwrap()
    };
    assert!(floor(&site) > (now() + SignedDuration::from_hours(24 * 365)).into(), "what was told counts");
    let (layout, settings) = (site.context.layout.clone(), Settings::clone(&site.context.settings));
    let since_boot = crate::clock::PATIENCE;
    let reading = Reading { since_boot, boot: "two".into(), ..Reading::of_wall(now()) };
    site.context = Context::new(layout, settings, Arc::new(move || reading.clone()));
    assert_eq!(floor(&site), now().into(), "but not for longer than a day without a proof");
}
