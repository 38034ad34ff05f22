//! A fleet of codes from a CSV file: all of them, or none.

use super::issue::{DAYS_MAX, IssueArgs, Issued, Letterhead, SheetKind, USES_MAX, Wish};
use crate::cli::{Context, Exit, operator};
use crate::db::enrolment::NewCode;
use crate::home;
use crate::system::now;
use anyhow::{Context as _, bail, ensure};
use csv::StringRecord;
use mailfmt::AgentId;
use std::io::Write;
use std::path::Path;
use zeroize::Zeroizing;

/// Most codes issued at once.
const CODES_MAX: usize = 10_000;

/// The columns that may stand in the file; the first one must.
const COLUMNS: [&str; 5] = ["customer", "uses", "days", "tags", "replaces"];

pub(super) fn run(args: &IssueArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let (Some(file), Some(output)) = (&args.csv, &args.output) else { bail!("give --csv and --output") };
    let octets = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let wishes = wishes(&octets, &args.tags).with_context(|| format!("in {}", file.display()))?;
    let center = Letterhead::of(context)?;
    let mut db = context.db()?;
    let (by, time) = (operator(args.by.as_deref()), now());
    let codes =
        wishes.into_iter().map(|wish| wish.code(&by, time)).collect::<anyhow::Result<Vec<NewCode>>>()?;
    let text = match output.extension().and_then(|extension| extension.to_str()) {
        Some("json") => as_json(&codes, &center)?,
        _ => as_csv(&codes, &center)?,
    };
    // The files come first: a code that nobody can read helps nobody, and a file of codes that do not count harms nobody.
    home::write_secret(output, &text)?;
    if let Some(folder) = &args.sheet {
        write_sheets(folder, &codes, &center)?;
    }
    db.issue_codes(&codes, time).with_context(|| {
        format!("no code was issued; what {} holds is worth nothing, delete it", output.display())
    })?;
    writeln!(
        out,
        "{} codes issued; they stand in {} (secret) and nowhere else",
        codes.len(),
        output.display()
    )?;
    if let Some(folder) = &args.sheet {
        writeln!(out, "Their sheets are in {} (secret: print and delete them)", folder.display())?;
    }
    Ok(Exit::Done)
}

/// Reads the lines; an error names line and field.
fn wishes(octets: &[u8], tags: &[String]) -> anyhow::Result<Vec<Wish>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(octets);
    let names = reader.headers().context("line 1: no line of names")?.clone();
    for name in &names {
        ensure!(
            COLUMNS.contains(&name),
            "line 1: there is no column {name:?}; there are {}",
            COLUMNS.join(", ")
        );
    }
    ensure!(names.iter().any(|name| name == "customer"), "line 1: the column customer is missing");
    let mut wishes = Vec::new();
    for record in reader.records() {
        let record = record.context("the file cannot be understood")?;
        let line = record.position().map_or(0, csv::Position::line);
        let wish = wish(&names, &record, tags).with_context(|| format!("line {line}"))?;
        wishes.push(wish);
        ensure!(wishes.len() <= CODES_MAX, "more than {CODES_MAX} lines");
    }
    ensure!(!wishes.is_empty(), "there is no line with a customer");
    Ok(wishes)
}

fn wish(names: &StringRecord, record: &StringRecord, tags: &[String]) -> anyhow::Result<Wish> {
    ensure!(record.len() <= names.len(), "{} fields, but only {} names", record.len(), names.len());
    let field = |name: &str| {
        let place = names.iter().position(|known| known == name)?;
        record.get(place).filter(|value| !value.is_empty())
    };
    let number = |name: &'static str, default: u32, most: u32| -> anyhow::Result<u32> {
        let Some(text) = field(name) else { return Ok(default) };
        let value = text.parse().ok().filter(|value| (1..=most).contains(value));
        value.with_context(|| format!("{name}: {text:?} is no number from 1 to {most}"))
    };
    let replaces = field("replaces").map(AgentId::new).transpose().context("replaces")?;
    let mut all = tags.to_vec();
    all.extend(field("tags").unwrap_or_default().split_whitespace().map(ToOwned::to_owned));
    let wish = Wish {
        customer: field("customer").unwrap_or_default().to_owned(),
        uses: number("uses", 1, USES_MAX)?,
        days: number("days", 7, DAYS_MAX)?,
        tags: all,
        replaces,
    };
    wish.check()?;
    Ok(wish)
}

fn as_json(codes: &[NewCode], center: &Letterhead) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let issued: Vec<_> = codes.iter().map(|new| Issued::of(new, center)).collect();
    Ok(Zeroizing::new(serde_json::to_vec_pretty(&issued)?))
}

fn as_csv(codes: &[NewCode], center: &Letterhead) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::new());
    let names = [
        "customer",
        "code",
        "center_address",
        "number",
        "uses",
        "expires",
        "tags",
        "replaces",
        "root_fingerprint",
    ];
    let rows = codes.iter().map(|new| {
        let issued = Issued::of(new, center);
        vec![
            issued.customer.to_owned(),
            issued.code.to_string(),
            center.address.clone(),
            issued.id.to_string(),
            issued.uses.to_string(),
            issued.expires.to_string(),
            issued.tags.join(" "),
            issued.replaces.map(ToString::to_string).unwrap_or_default(),
            issued.root_fingerprint.map(|roots| roots.to_string()).unwrap_or_default(),
        ]
    });
    crate::cli::print::csv(&mut *text, &names, rows)?;
    Ok(text)
}

fn write_sheets(folder: &Path, codes: &[NewCode], center: &Letterhead) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for new in codes {
        SheetKind::Html.write(&folder.join(format!("{}.html", new.code.id())), new, center)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        format!("{:#}", wishes(text.as_bytes(), &[]).unwrap_err())
    }

    #[test]
    fn a_line_says_for_whom_and_the_rest_has_defaults() {
        let text = "customer,uses,tags\naaa Trading,,\n\"Bbb, Ltd\",12,tokyo pilot\n";
        let wishes = wishes(text.as_bytes(), &["fleet".to_owned()]).unwrap();
        assert_eq!((wishes[0].uses, wishes[0].days, wishes[0].tags.len()), (1, 7, 1));
        assert_eq!((wishes[1].customer.as_str(), wishes[1].uses), ("Bbb, Ltd", 12));
        assert_eq!(wishes[1].tags, ["fleet", "tokyo", "pilot"]);
    }

    #[test]
    fn an_error_names_line_and_field() {
        assert_eq!(
            refused("customer,uses\naaa,1\nbbb,0\n"),
            "line 3: uses: \"0\" is no number from 1 to 10000"
        );
        assert_eq!(refused("customer,days\naaa,week\n"), "line 2: days: \"week\" is no number from 1 to 90");
        assert!(refused("customer,uses\n,3\n").starts_with("line 2: customer:"));
        assert!(refused("customer,replaces\naaa,AGENT 1\n").starts_with("line 2: replaces:"));
        assert!(refused("customer,uses,replaces\naaa,2,AGENT0000001\n").starts_with("line 2: replaces:"));
        assert!(refused("customer,tags\naaa,a=b\n").starts_with("line 2: tags:"));
        assert!(refused("customer\naaa,1\n").starts_with("line 2: 2 fields"));
        assert!(refused("name\naaa\n").starts_with("line 1: there is no column \"name\""));
        assert!(refused("uses\n1\n").starts_with("line 1: the column customer is missing"));
    }
}
