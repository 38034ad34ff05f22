use super::*;
use std::path::Path;
use std::process::{Command, Stdio};

/// The mail of RFC 8463 appendix A.
const FOOTBALL: &str = "From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\n\
    Subject: Is dinner ready?\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
    Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\n\
    Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

/// A PKCS#8 file with the private key of RFC 8463 appendix A.2.
fn football_key() -> DkimKey {
    let seed = STANDARD.decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=").unwrap();
    let prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode([prefix.as_slice(), &seed].concat())
    );
    DkimKey::parse(&pem).unwrap()
}

fn settings(selector: &str) -> DkimSettings {
    DkimSettings { domain: "center.example".into(), selector: selector.into(), key_file: None }
}

/// A key by openssl; `None` where there is no openssl.
fn rsa_pem(bits: u32) -> Option<String> {
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    made.status.success().then(|| String::from_utf8(made.stdout).unwrap())
}

fn our_mail() -> Vec<u8> {
    crate::sample::Posting::of(
        1,
        mailfmt::Report::Refused(mailfmt::message::report::RefusedReport {
            kind: "dance".into(),
            reason: "no legs".into(),
        }),
    )
    .raw()
}

#[test]
fn the_signature_of_the_standard_comes_out_octet_for_octet() {
    let key = football_key();
    assert_eq!(key.record(), "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    let mail = canonical::Mail::read(FOOTBALL.as_bytes()).unwrap();
    assert_eq!(STANDARD.encode(mail.body_hash()), "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
    let names = ["from", "to", "subject", "date", "message-id", "from", "subject", "date"];
    let own = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n \
        q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : date;\r\n \
        bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=";
    let signature = key.sign(&mail.signed_octets(&names, own.as_bytes()));
    assert_eq!(
        STANDARD.encode(signature),
        "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
    );
}

#[test]
fn the_field_is_well_formed_and_from_is_signed_once_more_than_it_is_there() {
    let signer = Signer::new(&settings("monitor1"), football_key());
    let raw = our_mail();
    let signed = sign(&raw, &[signer], crate::sample::now());
    let text = String::from_utf8(signed.clone()).unwrap();
    assert!(signed.ends_with(&raw), "the mail itself is untouched");
    assert!(text.starts_with("DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"));
    assert!(
        text.contains("h=from:from:to:subject:date:message-id:auto-submitted:mime-version:content-type;"),
        "{text}"
    );
    assert!(text.lines().take(6).all(|line| line.len() <= 100), "{text}");
    assert_eq!(
        mailfmt::mail::classify(&signed, &mailfmt::Limits::default()),
        mailfmt::mail::classify(&raw, &mailfmt::Limits::default())
    );
}

#[test]
fn a_new_key_is_read_back_and_a_weak_or_foreign_one_is_refused() {
    let pem = DkimKey::new_ed25519().unwrap();
    assert_eq!(DkimKey::parse(&pem).unwrap().algorithm(), Algorithm::Ed25519);
    assert!(DkimKey::parse("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----").is_none());
    assert!(DkimKey::parse("").is_none());
    match (rsa_pem(2048), rsa_pem(1024)) {
        (Some(strong), Some(weak)) => {
            assert_eq!(DkimKey::parse(&strong).unwrap().algorithm(), Algorithm::Rsa);
            assert!(DkimKey::parse(&weak).is_none(), "RFC 8301 wants 2048 bits");
        }
        _ => eprintln!("SKIPPED: RSA keys (no openssl on this machine)"),
    }
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dkim.pem");
    std::fs::write(&path, DkimKey::new_ed25519().unwrap().as_bytes()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = DkimKey::load(&path).unwrap_err();
    assert!(
        matches!(error, DkimKeyError::TooOpen { mode: 0o644, .. }) && error.to_string().contains("chmod 600")
    );
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(format!("{:?}", DkimKey::load(&path).unwrap()), "<secret>");
}

#[test]
fn the_domain_must_be_that_of_the_center_or_one_above_it() {
    let fault = |domain: &str, selector: &str, address: &str| {
        DkimSettings { domain: domain.into(), selector: selector.into(), key_file: None }.fault(address)
    };
    assert_eq!(fault("center.example", "s1", "monitor@center.example"), None);
    assert_eq!(fault("Example.com", "s1.mail", "monitor@center.example.com"), None);
    for (domain, selector) in [
        ("other.example", "s1"),
        ("ter.example", "s1"),
        ("mail.center.example", "s1"),
        ("center.example", ""),
        ("center.example", "a b"),
        ("center.example;", "s1"),
    ] {
        assert!(fault(domain, selector, "monitor@center.example").is_some(), "{domain} {selector}");
    }
}

/// `dkimpy`, which is another implementation (Debian's `python3-dkim`).
fn verified_by_dkimpy(signed: &[u8], records: &[(String, String)]) -> Option<Vec<bool>> {
    const PROGRAM: &str = "import sys, json, dkim\n\
        mail, records = sys.argv[1:3]\n\
        records = {name.rstrip('.'): text for name, text in json.loads(records)}\n\
        look = lambda name, timeout=5: records.get(name.decode().rstrip('.'), '').encode()\n\
        octets = open(mail, 'rb').read()\n\
        print(json.dumps([bool(dkim.DKIM(octets).verify(idx=n, dnsfunc=look)) for n in range(len(records))]))\n";
    let python = ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        let probe = Command::new(python).args(["-c", "import dkim, nacl"]).stderr(Stdio::null()).status();
        probe.is_ok_and(|status| status.success())
    })?;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mail");
    std::fs::write(&path, signed).unwrap();
    let output = Command::new(python)
        .args(["-c", PROGRAM])
        .arg(Path::new(&path))
        .arg(serde_json::to_string(records).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn another_implementation_verifies_both_kinds_and_none_after_a_change() {
    let Some(rsa) = rsa_pem(2048) else {
        eprintln!("SKIPPED: another_implementation_verifies_both_kinds_and_none_after_a_change (no openssl)");
        return;
    };
    let signers = [
        Signer::new(&settings("rsa1"), DkimKey::parse(&rsa).unwrap()),
        Signer::new(&settings("ed1"), DkimKey::parse(&DkimKey::new_ed25519().unwrap()).unwrap()),
    ];
    let records: Vec<_> = signers.iter().map(|signer| (signer.record_name(), signer.record())).collect();
    let signed = sign(&our_mail(), &signers, crate::sample::now());
    let Some(verified) = verified_by_dkimpy(&signed, &records) else {
        eprintln!(
            "SKIPPED: another_implementation_verifies_both_kinds_and_none_after_a_change (no python3-dkim)"
        );
        return;
    };
    assert_eq!(verified, [true, true], "{}", String::from_utf8_lossy(&signed));
    let text = String::from_utf8(signed).unwrap();
    let refolded = text.replacen("Subject: ", "Subject:\r\n  ", 1);
    assert_eq!(
        verified_by_dkimpy(refolded.as_bytes(), &records).unwrap(),
        [true, true],
        "folding does no harm"
    );
    for changed in [
        text.replacen("Subject: ", "Subject: [list] ", 1),
        text.replacen("Nothing needs", "Something needs", 1),
        text.replacen("MIME-Version", "From: x@evil.example\r\nMIME-Version", 1),
    ] {
        assert_ne!(changed, text);
        // dkimpy answers a further From with an error of its own; what matters is that it does not say yes.
        let verified = std::panic::catch_unwind(|| verified_by_dkimpy(changed.as_bytes(), &records).unwrap());
        assert!(!verified.is_ok_and(|verified| verified.contains(&true)), "{changed}");
    }
}
