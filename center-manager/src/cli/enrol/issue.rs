//! `center-manager enrol issue`.

use super::fleet;
use crate::cli::appliance::check_tags;
use crate::cli::print::{self, Format};
use crate::cli::{Context, Exit, WrongUse, operator};
use crate::db::Db;
use crate::db::enrolment::NewCode;
use crate::enrolment::sheet::Sheet;
use crate::home;
use crate::report::minute;
use crate::system::{SystemRandom, now};
use anyhow::{Context as _, ensure};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use mailfmt::AgentId;
use mailfmt::enrolment::{CodeId, ProvisionalCode};
use mailfmt::trust::{RootFingerprint, SignedRoot};
use std::io::Write;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Most uses of one code.
pub(super) const USES_MAX: u32 = 10_000;

/// Longest life of a code, in days.
pub(super) const DAYS_MAX: u32 = 90;

/// Longest name of a customer, in characters.
const CUSTOMER_MAX: usize = 200;

/// For whom, and how.
#[derive(Debug, Args)]
pub struct IssueArgs {
    /// The customer in whose name it is issued.
    #[arg(long, value_name = "NAME", required_unless_present = "csv")]
    pub customer: Option<String>,
    /// How many appliances it lets in: 1 for a site with one monitor, more for terminals that each have their own.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(USES_MAX)))]
    pub uses: u32,
    /// Days until it expires.
    #[arg(long, value_name = "D", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    pub days: u32,
    /// Tag that its appliances get; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// The enrolled box takes over id and history of this appliance, whose box is gone.
    #[arg(long, value_name = "AGENT")]
    pub replaces: Option<AgentId>,
    /// Write the sheet for the site too: HTML if it ends in .html, text if in .txt; with --csv a folder for one each.
    #[arg(long, value_name = "FILE")]
    pub sheet: Option<PathBuf>,
    /// Who issues it; the user of this system if not given.
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
    /// Issue those of a CSV file with a line of names: customer, and if wanted uses, days, tags (separated by spaces),
    /// replaces.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["customer", "uses", "days", "replaces"], requires = "output")]
    pub csv: Option<PathBuf>,
    /// With --csv: file for the codes, CSV or, if it ends in .json, JSON.
    #[arg(long, value_name = "FILE", requires = "csv")]
    pub output: Option<PathBuf>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What shall be issued.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) customer: String,
    pub(super) uses: u32,
    pub(super) days: u32,
    pub(super) tags: Vec<String>,
    pub(super) replaces: Option<AgentId>,
}

/// What stands on every sheet of a center.
pub(super) struct Letterhead {
    pub(super) address: String,
    pub(super) fingerprint: Option<RootFingerprint>,
}

impl Letterhead {
    pub(super) fn of(context: &Context) -> anyhow::Result<Self> {
        let roots = context.home.roots().ok();
        let newest = roots.as_ref().and_then(|(chain, _)| chain.last());
        Ok(Self {
            address: context.settings()?.address,
            fingerprint: newest.and_then(SignedRoot::fingerprint),
        })
    }
}

/// What was issued; the code stands here and nowhere else.
#[derive(serde::Serialize)]
pub(super) struct Issued<'a> {
    pub(super) id: CodeId,
    #[serde(serialize_with = "as_text")]
    pub(super) code: Zeroizing<String>,
    pub(super) customer: &'a str,
    pub(super) center_address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) root_fingerprint: Option<RootFingerprint>,
    pub(super) uses: u32,
    pub(super) expires: Timestamp,
    pub(super) tags: &'a [String],
    pub(super) replaces: Option<&'a AgentId>,
}

fn as_text<S: serde::Serializer>(code: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code)
}

impl<'a> Issued<'a> {
    pub(super) fn of(new: &'a NewCode, center: &'a Letterhead) -> Self {
        Self {
            id: new.code.id(),
            code: new.code.expose(),
            customer: &new.customer,
            center_address: &center.address,
            root_fingerprint: center.fingerprint,
            uses: new.uses,
            expires: new.expires,
            tags: &new.tags,
            replaces: new.replaces.as_ref(),
        }
    }
}

pub(super) fn run(args: &IssueArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    if args.csv.is_some() {
        return fleet::run(args, context, out);
    }
    let wish = Wish {
        customer: args.customer.clone().context("give --customer")?,
        uses: args.uses,
        days: args.days,
        tags: args.tags.clone(),
        replaces: args.replaces.clone(),
    };
    wish.check()?;
    let center = Letterhead::of(context)?;
    let kind = args.sheet.as_deref().map(SheetKind::of).transpose()?;
    let mut db = context.db()?;
    warn(context, &db, &wish)?;
    let new = wish.code(&operator(args.by.as_deref()), now())?;
    if let (Some(path), Some(kind)) = (&args.sheet, kind) {
        // Before the code counts: without its sheet it would be lost.
        kind.write(path, &new, &center)?;
    }
    if let Err(error) = db.issue_codes(std::slice::from_ref(&new), now()) {
        args.sheet
            .as_ref()
            .map(std::fs::remove_file)
            .transpose()
            .context("the sheet of a code that was not issued stays")?;
        return Err(error.into());
    }
    let issued = Issued::of(&new, &center);
    match args.format {
        Format::Json => print::json(out, &issued)?,
        Format::Text => {
            writeln!(out, "Code              {}", issued.code.as_str())?;
            writeln!(out, "Center's address  {}", center.address)?;
            writeln!(out, "Number            {}", issued.id)?;
            if let Some(roots) = center.fingerprint {
                writeln!(
                    out,
                    "Roots             {roots} (the box shows the same, or was not answered by this center)"
                )?;
            }
            writeln!(
                out,
                "Lets in           {} until {} UTC",
                match (&new.replaces, new.uses) {
                    (Some(agent), _) => format!("the successor of {agent}"),
                    (None, 1) => "one appliance".to_owned(),
                    (None, uses) => format!("{uses} appliances"),
                },
                minute(new.expires)
            )?;
            writeln!(out, "It is not shown again. On site: monitor-appliance enrol")?;
            if let Some(path) = &args.sheet {
                writeln!(out, "Sheet: {} (secret: print it and delete it)", path.display())?;
            }
        }
    }
    Ok(Exit::Done)
}

impl Wish {
    /// What cannot be meant is found before anything is issued.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let customer = self.customer.trim();
        ensure!(
            !customer.is_empty() && customer.chars().count() <= CUSTOMER_MAX,
            WrongUse(format!("customer: a name has 1 to {CUSTOMER_MAX} characters"))
        );
        ensure!(
            self.replaces.is_none() || self.uses == 1,
            WrongUse("replaces: only a code with one use can replace an appliance".to_owned())
        );
        check_tags(&self.tags).context("tags")
    }

    pub(super) fn code(self, by: &str, now: Timestamp) -> anyhow::Result<NewCode> {
        Ok(NewCode {
            code: ProvisionalCode::generate(&mut SystemRandom),
            customer: self.customer.trim().to_owned(),
            tags: self.tags,
            replaces: self.replaces,
            uses: self.uses,
            expires: now.checked_add(SignedDuration::from_hours(i64::from(self.days).saturating_mul(24)))?,
            by: by.to_owned(),
        })
    }
}

/// What the operator should know before the service person drives out.
fn warn(context: &Context, db: &Db, wish: &Wish) -> anyhow::Result<()> {
    if let Some(agent) = &wish.replaces {
        db.appliance(agent)?;
    }
    if let Err(error) = context.home.roots() {
        tracing::warn!(
            error = crate::serve::chain(&error),
            "enrolled appliances get no roots and will take no command"
        );
    }
    Ok(())
}

/// How a sheet is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SheetKind {
    Html,
    Text,
}

impl SheetKind {
    fn of(path: &Path) -> anyhow::Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("html" | "htm") => Ok(Self::Html),
            Some("txt") => Ok(Self::Text),
            _ => Err(WrongUse(format!("{} ends neither in .html nor in .txt", path.display())).into()),
        }
    }

    /// Writes the sheet of a code; one that exists is not overwritten.
    pub(super) fn write(self, path: &Path, new: &NewCode, center: &Letterhead) -> anyhow::Result<()> {
        let sheet = Sheet {
            code: &new.code,
            customer: &new.customer,
            address: &center.address,
            uses: new.uses,
            expires: new.expires,
            by: &new.by,
            replaces: new.replaces.as_ref(),
            fingerprint: center.fingerprint,
        };
        let text = match self {
            Self::Html => sheet.html(),
            Self::Text => sheet.text(),
        };
        Ok(home::write_secret(path, text.as_bytes())?)
    }
}
