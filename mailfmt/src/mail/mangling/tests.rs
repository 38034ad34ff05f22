use super::*;
use mail_parser::MessageParser;

const OURS: &str = "From: center@center.example\r\nSubject: [EXTERN] Device monitor command\r\n\
    Message-ID: <33333333333333333333333333333333.2@center.example>\r\nAuto-Submitted: auto-generated\r\n";
const TEXT: &str = "This mail was written by a service center for a device monitor.\r\n\
    It asks the monitor to do something. The attached file is encrypted;\r\n\
    the monitor reads and deletes this mail. Nothing needs to be done.\r\n";

fn told(raw: &str) -> Option<Mangled> {
    mangled(&MessageParser::default().parse(raw.as_bytes()).unwrap(), None)
}

fn how(raw: &str) -> Mangling {
    told(raw).unwrap_or_else(|| panic!("not ours: {raw}")).how
}

#[test]
fn a_mail_of_ours_without_its_attachment_is_told_with_message_and_sender() {
    let mangled = told(&format!("{OURS}\r\n{TEXT}")).unwrap();
    assert_eq!(mangled.how, Mangling::Stripped);
    assert_eq!(mangled.message, Some(MessageId::from_bytes([0x33; 16])));
    assert_eq!(mangled.from.as_deref(), Some("center@center.example"));
}

#[test]
fn what_the_gateway_says_tells_what_it_did() {
    let part = |note: &str| format!("{OURS}MIME-Version: 1.0\r\n\r\n{TEXT}\r\n{note}\r\n");
    assert_eq!(how(&part("The attachment message.bin was removed by policy.")), Mangling::Stripped);
    assert_eq!(how(&part("Der Anhang wurde entfernt.")), Mangling::Stripped);
    assert_eq!(
        how(&part("message.bin has been quarantined. Ask your administrator.")),
        Mangling::Quarantined
    );
    assert_eq!(told(&part("The file was removed: banned")).unwrap().detail, "the file was removed: banned");
    assert_eq!(
        how(
            "From: portal@gw.example\r\nSubject: Device monitor report\r\n\r\nYou have received a secure message. Open the portal.\r\n"
        ),
        Mangling::Encrypted
    );
    assert_eq!(
        how(&format!(
            "{OURS}MIME-Version: 1.0\r\nContent-Type: message/partial; id=x; number=1; total=3\r\n\r\n{TEXT}"
        )),
        Mangling::Fragment
    );
    let zip = format!(
        "{OURS}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n{TEXT}\r\n--x\r\n\
         Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\nUEsDBBQAAAAIAA==\r\n--x--\r\n"
    );
    assert_eq!(how(&zip), Mangling::Packed);
    assert_eq!(
        how("From: quarantine@gw.example\r\nSubject: Quarantine\r\nAuto-Submitted: auto-generated\r\n\r\n\
             A message was quarantined.\r\nSubject: Device monitor report\r\n"),
        Mangling::Quarantined
    );
}

#[test]
fn answers_of_people_and_mail_programs_are_none_of_ours() {
    for raw in [
        format!(
            "From: a@site.example\r\nSubject: Automatic reply: Device monitor report\r\nIn-Reply-To: <1@x>\r\nAuto-Submitted: auto-replied\r\n\r\nBack soon.\r\n> {TEXT}"
        ),
        format!(
            "From: a@site.example\r\nSubject: Re: Device monitor report\r\nReferences: <1@x>\r\n\r\nWhat is this?\r\n> {TEXT}"
        ),
        "From: a@site.example\r\nSubject: hello\r\n\r\nHello.\r\n".to_owned(),
    ] {
        assert_eq!(told(&raw), None, "{raw}");
    }
}
