//! Scans: who is asked what, how often, and who is found.

use super::*;

/// Stands at an address and counts what comes, by SNMP version and community; never answers.
struct Listener {
    asked: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    async fn start(bind: &str) -> Self {
        let socket = UdpSocket::bind(bind).await.unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((length, _)) = socket.recv_from(&mut buffer).await {
                let octets = buffer[..length].to_vec();
                let what = match CommunityMessage::decode(octets.into(), DecodeConfig::default()) {
                    Ok(message) => {
                        let (version, community, _) = message.value.into_parts();
                        format!("{version:?} {}", String::from_utf8_lossy(community.as_bytes()))
                    }
                    Err(_) => "v3".to_owned(),
                };
                heard.lock().unwrap().push(what);
            }
        });
        Self { asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_printers_are_found_and_an_excluded_address_is_not_asked() {
    let site = Site::new(1).await;
    let mut printers = Vec::new();
    for host in 2..=21 {
        printers.push(site.printer(host).await);
    }
    let excluded = Listener::start(&site.at(30)).await;
    let empty = Listener::start(&site.at(31)).await;
    let mut range = site.range(1, 40);
    range.excludes.push(format!("{}", address(1, 30)).parse().unwrap());
    let furthest = AtomicUsize::new(0);
    let told = |progress: ScanProgress| {
        assert!(progress.asked <= progress.of && progress.found <= 20);
        furthest.fetch_max(progress.asked, Ordering::SeqCst);
    };
    let scan = look_with(&[range], &pace(), &told).await;
    assert_eq!(serials(&scan), (2..=21).map(serial).collect());
    assert!(scan.found.iter().all(|device| device.kind.is_watched() && device.identity.vendor.is_some()));
    assert_eq!((scan.asked, scan.finished, furthest.load(Ordering::SeqCst)), (39, true, 39));
    assert_eq!(excluded.asked(), Vec::<String>::new());
    assert_eq!(empty.asked(), ["V2c public", "V1 public"], "nobody is asked more often than that");
    let first = &scan.found[0];
    assert_eq!(
        (first.address.as_str(), first.identity.serial.as_deref()),
        (site.at(2).as_str(), Some("SERIAL0002"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_a_scan_finds_is_who_a_full_reading_finds() {
    let reader = SnmpReader::bind().await.unwrap();
    for recording in recordings() {
        let printer = Printer::start(Arc::clone(&recording), PrinterSettings::default()).await.unwrap();
        let community = Secret::new("public");
        let target = DeviceTarget {
            address: printer.address().to_string(),
            credential: SnmpCredential::V2c { community },
        };
        let limits = ReadLimits::default();
        let short = reader.read_identity(&target, &limits).await.unwrap();
        let full = reader.read_full(&target, &limits).await.unwrap();
        assert!(DeviceKind::of(&short).is_watched(), "{}", recording.name());
        assert_eq!(
            interpret(&short, &Profiles::built_in()).identity,
            interpret(&full, &Profiles::built_in()).identity,
            "{}",
            recording.name()
        );
        printer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_community_is_silence_and_the_right_one_is_found_among_several() {
    let site = Site::new(2).await;
    let settings = PrinterSettings { community: "secret".to_owned(), ..site.settings(2) };
    let _printer = site.start(2, settings, &serial(2)).await;
    let scan = look(&[site.range(2, 2)]).await;
    assert_eq!((scan.found.len(), scan.refused.len()), (0, 0));

    let v2c = |community: &str| SnmpAccess::V2c { community: Secret::new(community) };
    let range = RangeEntry { credentials: vec![v2c("public"), v2c("secret")], ..site.range(2, 2) };
    let scan = look(&[range]).await;
    assert_eq!(serials(&scan), BTreeSet::from([serial(2)]));
    assert_eq!(scan.found[0].access, v2c("secret"));
}

/// Passes datagrams on to a printer and back, and counts.
struct Relay {
    /// Datagrams that name the user.
    tries: Arc<AtomicUsize>,
    /// Most questions that waited for their answer at the same time.
    waiting_most: Arc<AtomicUsize>,
}

impl Relay {
    async fn start(at: (Ipv4Addr, u16), printer: &Printer) -> Self {
        let front = UdpSocket::bind(at).await.unwrap();
        let back = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        back.connect(printer.address()).await.unwrap();
        let (tries, waiting_most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let relay = Self { tries: Arc::clone(&tries), waiting_most: Arc::clone(&waiting_most) };
        tokio::spawn(async move {
            let (mut question, mut answer) = ([0; 4096], [0; 4096]);
            let (mut waiting, mut asker) = (0_usize, None);
            loop {
                tokio::select! {
                    Ok((length, from)) = front.recv_from(&mut question) => {
                        asker = Some(from);
                        waiting += 1;
                        waiting_most.fetch_max(waiting, Ordering::SeqCst);
                        let named = question[..length].windows(7).any(|octets| octets == b"monitor");
                        tries.fetch_add(usize::from(named), Ordering::SeqCst);
                        back.send(&question[..length]).await.unwrap();
                    }
                    Ok(length) = back.recv(&mut answer) => {
                        waiting = waiting.saturating_sub(1);
                        front.send_to(&answer[..length], asker.unwrap()).await.unwrap();
                    }
                }
            }
        });
        relay
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_sent_once_and_never_two_questions_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(13).await;
    let user = V3User::auth("monitor", async_snmp::AuthProtocol::Sha256, PASSWORD).unwrap();
    let user = user.with_privacy(async_snmp::PrivProtocol::Aes128, PASSWORD).unwrap();
    let printer =
        site.start(102, PrinterSettings { user: Some(user), ..site.settings(102) }, &serial(2)).await;
    let relay = Relay::start((address(13, 2), site.port), &printer).await;
    let wrong = v3_user(folder.path(), "a wrong password");
    let scan = look(&[RangeEntry { credentials: vec![wrong], ..site.range(2, 2) }]).await;
    assert_eq!((scan.found.len(), scan.refused), (0, vec![site.at(2)]));
    assert_eq!(relay.tries.load(Ordering::SeqCst), 1);

    let scan = look(&[site.range(2, 2)]).await;
    assert_eq!(serials(&scan), BTreeSet::from([serial(2)]));
    assert_eq!(relay.tries.load(Ordering::SeqCst), 1, "a community was taken: no user was tried");
    assert_eq!(relay.waiting_most.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_user_is_told_as_refused_and_the_next_one_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(3).await;
    let user = V3User::auth("monitor", async_snmp::AuthProtocol::Sha256, PASSWORD).unwrap();
    let user = user.with_privacy(async_snmp::PrivProtocol::Aes128, PASSWORD).unwrap();
    let settings = PrinterSettings { community: "secret".to_owned(), user: Some(user), ..site.settings(2) };
    let _printer = site.start(2, settings, &serial(2)).await;

    let wrong = v3_user(folder.path(), "a wrong password");
    let right = v3_user(folder.path(), PASSWORD);
    let range = RangeEntry { credentials: vec![wrong.clone()], ..site.range(2, 3) };
    let scan = look(&[range]).await;
    assert_eq!((scan.found.len(), scan.refused), (0, vec![site.at(2)]));

    let range = RangeEntry { credentials: vec![wrong, right.clone()], ..site.range(2, 3) };
    let scan = look(&[range]).await;
    assert_eq!(serials(&scan), BTreeSet::from([serial(2)]));
    assert_eq!((&scan.found[0].access, scan.refused.len()), (&right, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_general_call_finds_a_printer_with_one_question() {
    let site = Site::new(4).await;
    let settings = PrinterSettings {
        bind: format!("0.0.0.0:{}", site.port).parse().unwrap(),
        ..PrinterSettings::default()
    };
    let _printer = site.start(2, settings, &serial(2)).await;
    let call = |excludes: &[&str]| RangeEntry {
        excludes: excludes.iter().map(|text| text.parse().unwrap()).collect(),
        ..RangeEntry::new(format!("broadcast:127.255.255.255:{}", site.port).parse().unwrap())
    };
    let scan = look(&[call(&[])]).await;
    assert_eq!(serials(&scan), BTreeSet::from([serial(2)]), "{:?}", scan.problems);
    let scan = look(&[call(&["127.0.0.0/16"])]).await;
    assert_eq!(scan.found.len(), 0, "it answered, and is excluded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_ends_at_its_deadline_with_what_was_found() {
    let site = Site::new(5).await;
    let _printer = site.printer(1).await;
    let pace = Discovery {
        parallel: 4,
        deadline: Duration::from_millis(1500),
        ..Discovery { answer_wait: Duration::from_secs(1), ..pace() }
    };
    let begun = Instant::now();
    let scan = look_with(&[site.range(1, 200)], &pace, &|_| {}).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(!scan.finished);
    assert_eq!(serials(&scan), BTreeSet::from([serial(1)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_with_two_addresses_is_found_once() {
    let site = Site::new(6).await;
    let recording = Arc::clone(&site.recordings[0]);
    let mut ways = Vec::new();
    for host in [2, 3] {
        let printer = Printer::start(Arc::clone(&recording), site.settings(host)).await.unwrap();
        printer.set_serial("SAME");
        ways.push(printer);
    }
    let scan = look(&[site.range(1, 5)]).await;
    let [device] = scan.found.as_slice() else { panic!("{:?}", scan.found) };
    assert_eq!((device.address.as_str(), &device.more_addresses), (site.at(2).as_str(), &vec![site.at(3)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_printer_is_told_two_wrong_credentials_an_hour_whatever_is_restarted_and_found_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    let site = Site::new(14).await;
    let user = V3User::auth("monitor", async_snmp::AuthProtocol::Sha256, PASSWORD).unwrap();
    let user = user.with_privacy(async_snmp::PrivProtocol::Aes128, PASSWORD).unwrap();
    let settings =
        PrinterSettings { community: "nobody knows".to_owned(), user: Some(user), ..site.settings(2) };
    let printer = site.start(2, settings, &serial(2)).await;
    let v2c = |community: &str| SnmpAccess::V2c { community: Secret::new(community) };
    let right = v3_user(folder.path(), PASSWORD);
    let credentials =
        vec![v2c("public"), v2c("private"), v3_user(folder.path(), "a wrong password"), right.clone()];
    let range = RangeEntry { credentials, ..site.range(2, 2) };
    let mut found = Vec::new();
    for hour in 0..3 {
        let later = SignedDuration::from_mins(62 * hour);
        for _ in 0..2 {
            let scan = look_later(&store, later, std::slice::from_ref(&range)).await;
            assert!(scan.problems.is_empty(), "{:?}", scan.problems);
            found = scan.found;
        }
        let tally = printer.take_tally();
        assert!(tally.wrong_credentials <= 2, "{} in hour {hour}", tally.wrong_credentials);
        assert_eq!(tally.outstanding_max, 1);
    }
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].access, right);
    look_later(&store, SignedDuration::from_hours(4), &[range]).await;
    assert_eq!(printer.take_tally().wrong_credentials, 0, "the one that was good last comes first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_tried_that_cannot_be_kept() {
    let site = Site::new(15).await;
    let printer = site.printer(2).await;
    let reader = SnmpReader::bind().await.unwrap();
    let layout = Layout::new(Path::new("/nowhere"));
    let around = Surroundings {
        reader: &reader,
        profiles: &Profiles::none(),
        credential: &|access| credential(&layout, access).map_err(|error| error.to_string()),
        known: &|_| None,
        keep: &|_| Box::pin(async { Err("the disk is full".to_owned()) }),
        now: &|| monitor_appliance::context::system_clock().wall,
        progress: &|_| {},
    };
    let scan = scan(&around, &order(&[site.range(1, 5)], &pace(), |_| false), TryBook::default()).await;
    assert_eq!((scan.found.len(), scan.problems.as_slice()), (0, &["the disk is full".to_owned()][..]));
    assert_eq!(printer.tally().requests, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_printer_that_speaks_only_the_old_version_is_found_with_it() {
    let site = Site::new(16).await;
    let printer = site.printer(2).await;
    let relay = OldVersion::start((address(16, 3), site.port), &printer).await;
    let scan = look(&[site.range(3, 3)]).await;
    assert_eq!(serials(&scan), BTreeSet::from([serial(2)]));
    assert_eq!(scan.found[0].access, SnmpAccess::V1 { community: Secret::new("public") });
    drop(relay);
}

/// Passes only SNMPv1 on to a printer.
struct OldVersion(tokio::task::JoinHandle<()>);

impl OldVersion {
    async fn start(at: (Ipv4Addr, u16), printer: &Printer) -> Self {
        let front = UdpSocket::bind(at).await.unwrap();
        let back = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        back.connect(printer.address()).await.unwrap();
        Self(tokio::spawn(async move {
            let (mut question, mut answer) = ([0; 4096], [0; 4096]);
            let mut asker = None;
            loop {
                tokio::select! {
                    Ok((length, from)) = front.recv_from(&mut question) => {
                        let message = CommunityMessage::decode(question[..length].to_vec().into(), DecodeConfig::default());
                        let old = message.is_ok_and(|message| message.value.into_parts().0 == async_snmp::Version::V1);
                        if old {
                            asker = Some(from);
                            back.send(&question[..length]).await.unwrap();
                        }
                    }
                    Ok(length) = back.recv(&mut answer) => {
                        front.send_to(&answer[..length], asker.unwrap()).await.unwrap();
                    }
                }
            }
        }))
    }
}

impl Drop for OldVersion {
    fn drop(&mut self) {
        self.0.abort();
    }
}
