//! `bounces`: the shapes in `testdata/returned`, each told as its table says or not, and what a center and an appliance send when all of
//! them lie in their mailboxes.
//!
//! `right_percent`: shapes of which kind, cause, finality, recipient and message are all told as the table says. The peer,
//! flufl.bounce (which Mailman uses), knows failed addresses only: for it and for ours the share of the bounces is counted whose
//! failed address is named.

use super::{Figure, octets_f64};
use anyhow::{Context as _, ensure};
use mailfmt::Limits;
use mailfmt::mail::returned::{Kind, ReturnKey, Returned, Standing};
use mailfmt::mail::{Classified, classify};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The key of the tags in the shapes.
const TAG_KEY: [u8; 32] = [7; 32];

const SHAPES_MIN: u32 = 200;
const RIGHT_MIN: u32 = 99;

struct Shape {
    file: PathBuf,
    raw: Vec<u8>,
    /// kind, cause, final, recipient, message
    expected: [String; 5],
}

/// Reads, tells, and lays before the programs.
///
/// # Errors
/// When the shapes cannot be read or the programs are missing.
pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let shapes = shapes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/returned"))?;
    let mut right = 0usize;
    for shape in &shapes {
        let found = told(&shape.raw);
        if found == shape.expected {
            right += 1;
        } else {
            eprintln!("{}: told as {found:?}, is {:?}", shape.file.display(), shape.expected);
        }
    }
    let named: Vec<&Shape> = shapes
        .iter()
        .filter(|shape| {
            let [kind, .., recipient, _] = &shape.expected;
            kind == Kind::Bounce.as_str() && recipient != "-"
        })
        .collect();
    let ours = named
        .iter()
        .filter(|shape| {
            let ([.., found, _], [.., expected, _]) = (told(&shape.raw), &shape.expected);
            found == *expected
        })
        .count();
    let peer = match peer(&named) {
        Ok(found) => format!(
            "flufl.bounce names the failed address of {found} of {} bounces, ours of {ours}",
            named.len()
        ),
        Err(error) => format!(
            "flufl.bounce cannot be asked here ({error:#}); ours names the failed address of {ours} of {} bounces",
            named.len()
        ),
    };
    let mails: Vec<Vec<u8>> = shapes.iter().map(|shape| shape.raw.clone()).collect();
    let (read, answered) = sandbox::attacks::answered(&mails)?;
    let figure = |figure, value, unit, against| Figure { bench: "bounces", figure, value, unit, against };
    let percent = 100.0 * octets_f64(right) / octets_f64(shapes.len().max(1));
    let answered = octets_f64(usize::try_from(answered)?);
    Ok(vec![
        figure("shapes", octets_f64(shapes.len()), "mails", format!("limit: {SHAPES_MIN} or more")),
        figure("right_percent", percent, "%", format!("limit: {RIGHT_MIN} or more; {peer}")),
        figure(
            "answered",
            answered,
            "mails",
            format!("limit: 0; {read} mails read by a center and an appliance"),
        ),
    ])
}

fn shapes(folder: &Path) -> anyhow::Result<Vec<Shape>> {
    let table = folder.join("expected.csv");
    let text = std::fs::read_to_string(&table).with_context(|| format!("cannot read {}", table.display()))?;
    let shape = |line: &str| {
        let mut fields = line.splitn(7, ',').map(ToOwned::to_owned);
        let mut next = || fields.next().with_context(|| format!("too short a line: {line}"));
        let file = folder.join(format!("{}.eml", next()?));
        let expected = [next()?, next()?, next()?, next()?, next()?];
        let raw = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Shape { file, raw, expected })
    };
    text.lines().skip(1).map(shape).collect()
}

/// What our program says, in the columns of the table.
fn told(raw: &[u8]) -> [String; 5] {
    let no = || "-".to_owned();
    match classify(raw, &Limits::default()) {
        Classified::Returned(returned) => [
            returned.kind.to_string(),
            returned.cause.map_or_else(no, |cause| cause.to_string()),
            if returned.kind.is_final_failure() { "yes" } else { "no" }.to_owned(),
            recipient(&returned).unwrap_or_else(no),
            message(&returned).unwrap_or_else(no),
        ],
        other => {
            let kind = match other {
                Classified::Junk(_) => "junk",
                Classified::Mangled(_) => "mangled",
                Classified::Ours { .. } | Classified::Returned(_) => "ours",
            };
            [kind.to_owned(), no(), "no".to_owned(), no(), no()]
        }
    }
}

/// The recipient that decides what the mail is.
fn recipient(returned: &Returned) -> Option<String> {
    let with = |standing| returned.recipients.iter().find(|one| one.standing == standing);
    let decides =
        with(Standing::Failed).or_else(|| with(Standing::Delayed)).or_else(|| with(Standing::Delivered));
    decides.map(|one| one.address.clone())
}

fn message(returned: &Returned) -> Option<String> {
    let key = ReturnKey::from_bytes(TAG_KEY);
    let tagged = returned.tags.iter().find_map(|tag| key.message(tag));
    tagged.or_else(|| returned.messages.first().copied()).map(|message| message.to_string())
}

/// How many of these the peer finds the failed address of.
fn peer(shapes: &[&Shape]) -> anyhow::Result<usize> {
    const SCRIPT: &str = "
import sys, email
from flufl.bounce import scan_message
found = 0
for line in sys.stdin:
    path, address = line.rstrip('\\n').split('\\t')
    with open(path, 'rb') as file:
        try:
            named = {a.decode('utf-8', 'replace').lower() if isinstance(a, bytes) else a.lower() for a in scan_message(email.message_from_binary_file(file))}
        except Exception:
            named = set()
    found += address.lower() in named
print(found)
";
    let list: String = shapes
        .iter()
        .map(|shape| {
            let [.., address, _] = &shape.expected;
            format!("{}\t{address}\n", shape.file.display())
        })
        .collect();
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("shapes");
    std::fs::write(&input, list)?;
    let output = Command::new("python3")
        .args(["-c", SCRIPT])
        .stdin(std::fs::File::open(&input)?)
        .output()
        .context("python3 cannot be started")?;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}", error.lines().last().unwrap_or_default());
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}
