//! `center-manager appliance add` and `introduce`.

use super::Exit;
use crate::cli::print::{self, Format};
use crate::cli::{Context, WrongUse};
use crate::db::Db;
use crate::db::appliances::{Appliance, NewAppliance};
use crate::home::{self, Home};
use crate::settings::is_mail_address;
use crate::system::{SystemRandom, now};
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use mailfmt::crypto::Credential;
use mailfmt::{AgentId, Introduction};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Most appliances added at once.
const COUNT_MAX: u32 = 100_000;

/// Whom to add.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its mail address. With --count: a pattern in which {number} counts from 1 and {agent} is the id.
    #[arg(long, required_unless_present = "from_csv")]
    pub address: Option<String>,
    /// Customer, or other remarks.
    #[arg(long, default_value = "")]
    pub customer: String,
    /// Agent id; the next free one of AGENT0000001, AGENT0000002 ... if not given.
    #[arg(long, conflicts_with_all = ["count", "from_csv"])]
    pub agent: Option<AgentId>,
    /// Tag; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// How many to add.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(COUNT_MAX)))]
    pub count: u32,
    /// Add those of a CSV file with a line of names: address, and if wanted customer, agent, tags (separated by spaces).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["address", "count", "customer"])]
    pub from_csv: Option<PathBuf>,
    /// File for the introduction, or a folder for one file each (AGENT0000001.toml ...); introductions/ of the home
    /// if not given.
    #[arg(long, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Whom to introduce again.
#[derive(Debug, Args)]
pub struct IntroduceArgs {
    /// Agent id.
    pub agent: AgentId,
    /// File for the introduction, or a folder for it; introductions/ of the home if not given.
    #[arg(long, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What was added.
#[derive(serde::Serialize)]
struct Added {
    agent: AgentId,
    address: String,
    customer: String,
    introduction: PathBuf,
}

/// One line of a CSV file.
#[derive(Debug, serde::Deserialize)]
struct Line {
    address: String,
    #[serde(default)]
    customer: String,
    #[serde(default)]
    agent: Option<AgentId>,
    #[serde(default)]
    tags: String,
}

/// An appliance before it has an id and a credential.
struct Wish {
    agent: Option<AgentId>,
    address: String,
    customer: String,
    tags: Vec<String>,
}

pub(super) fn run(args: &AddArgs, context: &Context, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let wishes = match &args.from_csv {
        Some(file) => from_csv(file, &args.tags)?,
        None => from_pattern(args)?,
    };
    let mut db = context.db()?;
    // What may fail fails before anything is added.
    context.settings()?;
    context.home.roots()?;
    let appliances = complete(wishes, &db.agent_ids_given()?)?;
    one_mailbox_each(&appliances, &db.appliances()?)?;
    let place = Place::of(args.output.as_deref(), appliances.len(), &context.home)?;
    place.is_free(&appliances)?;
    db.add_appliances(&appliances, now())?;
    let added = introduce_all(&appliances, &place, context)?;
    print(&added, args.format, out)
}

pub(super) fn introduce(
    args: &IntroduceArgs,
    context: &Context,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let db = context.db()?;
    let appliance = db.appliance(&args.agent)?;
    let appliance = NewAppliance {
        credential: credential(&db, &args.agent)?,
        agent: appliance.agent,
        address: appliance.address,
        customer: appliance.customer,
        tags: appliance.tags,
    };
    let place = Place::of(args.output.as_deref(), 1, &context.home)?;
    let added = introduce_all(&[appliance], &place, context)?;
    print(&added, args.format, out)
}

fn credential(db: &Db, agent: &AgentId) -> anyhow::Result<Credential> {
    let found = db.credentials()?.into_iter().find(|(known, _)| known == agent);
    found.map(|(_, credential)| credential).context("it has no credential")
}

fn from_pattern(args: &AddArgs) -> anyhow::Result<Vec<Wish>> {
    let pattern = args.address.as_deref().context("give --address")?;
    let many = args.count > 1;
    if many && !pattern.contains("{number}") && !pattern.contains("{agent}") {
        let hint =
            "with --count the address needs {number} or {agent} in it, so that each appliance has its own";
        return Err(WrongUse(hint.to_owned()).into());
    }
    check_tags(&args.tags)?;
    Ok((1..=args.count)
        .map(|number| Wish {
            agent: args.agent.clone(),
            address: pattern.replace("{number}", &number.to_string()),
            customer: args.customer.replace("{number}", &number.to_string()),
            tags: args.tags.clone(),
        })
        .collect())
}

fn from_csv(file: &Path, tags: &[String]) -> anyhow::Result<Vec<Wish>> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let mut wishes = Vec::new();
    for line in reader.deserialize() {
        let line: Line = line.with_context(|| format!("in {}", file.display()))?;
        let mut all = tags.to_vec();
        all.extend(line.tags.split_whitespace().map(ToOwned::to_owned));
        check_tags(&all)?;
        wishes.push(Wish { agent: line.agent, address: line.address, customer: line.customer, tags: all });
        ensure!(wishes.len() <= COUNT_MAX as usize, "more than {COUNT_MAX} appliances in {}", file.display());
    }
    ensure!(!wishes.is_empty(), "{} names no appliance", file.display());
    Ok(wishes)
}

/// Tags are words: they stand in lists separated by spaces.
pub(in crate::cli) fn check_tags(tags: &[String]) -> anyhow::Result<()> {
    for tag in tags {
        ensure!(
            !tag.is_empty()
                && tag.len() <= 40
                && tag.chars().all(|c| c.is_alphanumeric() || "-_.:/".contains(c)),
            "{tag:?} is no tag; a tag is 1 to 40 letters, digits and -_.:/"
        );
    }
    Ok(())
}

/// Two appliances at one mailbox would throw each other's mail away.
fn one_mailbox_each(new: &[NewAppliance], known: &[Appliance]) -> anyhow::Result<()> {
    let mut owners: BTreeMap<String, &AgentId> =
        known.iter().map(|known| (known.address.to_ascii_lowercase(), &known.agent)).collect();
    for new in new {
        if let Some(owner) = owners.insert(new.address.to_ascii_lowercase(), &new.agent) {
            bail!(
                "{} is the mail address of {owner} already; each appliance needs its own mailbox",
                new.address
            );
        }
    }
    Ok(())
}

/// Gives ids and credentials.
fn complete(wishes: Vec<Wish>, given: &[AgentId]) -> anyhow::Result<Vec<NewAppliance>> {
    let wished = wishes.iter().filter_map(|wish| wish.agent.as_ref());
    let mut last = given.iter().chain(wished).filter_map(crate::enrolment::number_of).max().unwrap_or(0);
    let mut appliances = Vec::with_capacity(wishes.len());
    for wish in wishes {
        let agent = match wish.agent {
            Some(agent) => agent,
            None => {
                last += 1;
                AgentId::new(&format!("AGENT{last:07}"))?
            }
        };
        let address = wish.address.replace("{agent}", agent.as_str());
        if !is_mail_address(&address) {
            bail!("{address:?} is no mail address");
        }
        let credential = Credential::generate(&mut SystemRandom);
        appliances.push(NewAppliance {
            agent,
            address,
            customer: wish.customer,
            tags: wish.tags,
            credential,
        });
    }
    Ok(appliances)
}

/// Where introductions are written.
enum Place {
    File(PathBuf),
    Folder(PathBuf),
}

impl Place {
    /// What `--output` means, as `cp` would take it: a folder where there is one, for several appliances and with a
    /// slash at the end, else the name of the file. The folder exists afterwards.
    fn of(output: Option<&Path>, count: usize, home: &Home) -> anyhow::Result<Self> {
        let place = match output {
            None => Self::Folder(home.introductions()),
            Some(path)
                if count > 1 || path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/") =>
            {
                Self::Folder(path.to_owned())
            }
            Some(path) => Self::File(path.to_owned()),
        };
        let folder = match &place {
            Self::Folder(folder) => Some(folder.as_path()),
            Self::File(file) => file.parent().filter(|parent| !parent.as_os_str().is_empty()),
        };
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(place)
    }

    /// An introduction is never overwritten: it may be the only one with its credential.
    fn is_free(&self, appliances: &[NewAppliance]) -> anyhow::Result<()> {
        for appliance in appliances {
            let file = self.file(&appliance.agent);
            ensure!(!file.exists(), "{} is there already; choose another --output", file.display());
        }
        Ok(())
    }

    fn file(&self, agent: &AgentId) -> PathBuf {
        match self {
            Self::File(file) => file.clone(),
            Self::Folder(folder) => folder.join(format!("{agent}.toml")),
        }
    }
}

fn introduce_all(
    appliances: &[NewAppliance],
    place: &Place,
    context: &Context,
) -> anyhow::Result<Vec<Added>> {
    let settings = context.settings()?;
    let (roots, _) = context.home.roots()?;
    let mut added = Vec::with_capacity(appliances.len());
    for appliance in appliances {
        let introduction = Introduction {
            agent: appliance.agent.clone(),
            center: settings.center.clone(),
            center_address: settings.address.clone(),
            credential: appliance.credential.clone(),
            roots: roots.clone(),
        };
        let text = zeroize::Zeroizing::new(toml::to_string(&introduction)?);
        let path = place.file(&appliance.agent);
        home::write_secret(&path, text.as_bytes()).with_context(|| {
            format!(
                "{} is added, but has no introduction yet; `center-manager appliance introduce {0}` writes it",
                appliance.agent
            )
        })?;
        added.push(Added {
            agent: appliance.agent.clone(),
            address: appliance.address.clone(),
            customer: appliance.customer.clone(),
            introduction: path,
        });
    }
    Ok(added)
}

fn print(added: &[Added], format: Format, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match format {
        Format::Json => print::json(out, added)?,
        Format::Text => {
            let names = ["agent id", "mail address", "introduction (secret: carry it over and delete it)"];
            let rows = added.iter().map(|added| {
                vec![added.agent.to_string(), added.address.clone(), added.introduction.display().to_string()]
            });
            print::table(out, &names, rows)?;
        }
    }
    Ok(Exit::Done)
}
