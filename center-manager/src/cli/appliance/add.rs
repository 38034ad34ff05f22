//! `center-manager appliance add` and `introduce`.

use super::Exit;
use crate::cli::print::{self, Format};
use crate::cli::{Context, WrongUse};
use crate::db::Db;
use crate::db::appliances::NewAppliance;
use crate::home;
use crate::settings::is_mail_address;
use crate::system::{SystemRandom, now};
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use mailfmt::crypto::Credential;
use mailfmt::package::ReleasePublicKey;
use mailfmt::{AgentId, Introduction};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Most appliances added at once.
const COUNT_MAX: u32 = 100_000;

/// Whom to add.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its mail address. With --count: a pattern in which {n} stands for the number and {agent} for the id.
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
    /// Folder for the introduction files; introductions/ of the home if not given.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Whom to introduce again.
#[derive(Debug, Args)]
pub struct IntroduceArgs {
    /// Agent id.
    pub agent: AgentId,
    /// Folder for the introduction file; introductions/ of the home if not given.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
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
    context.home.release_public_keys()?;
    if let Some(folder) = &args.out {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let appliances = complete(wishes, &db.agent_ids_given()?)?;
    db.add_appliances(&appliances, now())?;
    let added = introduce_all(&appliances, args.out.as_deref(), context)?;
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
    let added = introduce_all(&[appliance], args.out.as_deref(), context)?;
    print(&added, args.format, out)
}

fn credential(db: &Db, agent: &AgentId) -> anyhow::Result<Credential> {
    let found = db.credentials()?.into_iter().find(|(known, _)| known == agent);
    found.map(|(_, credential)| credential).context("it has no credential")
}

fn from_pattern(args: &AddArgs) -> anyhow::Result<Vec<Wish>> {
    let pattern = args.address.as_deref().context("give --address")?;
    let many = args.count > 1;
    if many && !pattern.contains("{n}") && !pattern.contains("{agent}") {
        let hint = "with --count the address needs {n} or {agent} in it, so that each appliance has its own";
        return Err(WrongUse(hint.to_owned()).into());
    }
    check_tags(&args.tags)?;
    Ok((1..=args.count)
        .map(|number| Wish {
            agent: args.agent.clone(),
            address: pattern.replace("{n}", &number.to_string()),
            customer: args.customer.replace("{n}", &number.to_string()),
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
pub(super) fn check_tags(tags: &[String]) -> anyhow::Result<()> {
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

/// Gives ids and credentials.
fn complete(wishes: Vec<Wish>, given: &[AgentId]) -> anyhow::Result<Vec<NewAppliance>> {
    let wished = wishes.iter().filter_map(|wish| wish.agent.as_ref());
    let mut last = given.iter().chain(wished).filter_map(number_of).max().unwrap_or(0);
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

/// The number in an id of the usual form.
fn number_of(agent: &AgentId) -> Option<u64> {
    let digits = agent.as_str().strip_prefix("AGENT")?;
    (digits.len() >= 7 && digits.len() <= 18).then(|| digits.parse().ok()).flatten()
}

fn introduce_all(
    appliances: &[NewAppliance],
    folder: Option<&Path>,
    context: &Context,
) -> anyhow::Result<Vec<Added>> {
    let settings = context.settings()?;
    let folder = folder.map_or_else(|| context.home.introductions(), Path::to_owned);
    let release_keys: Vec<ReleasePublicKey> = context.home.release_public_keys()?;
    if release_keys.is_empty() {
        tracing::warn!(
            "no release key in {}: these appliances will install nothing",
            context.home.keys().display()
        );
    }
    let mut added = Vec::with_capacity(appliances.len());
    for appliance in appliances {
        let introduction = Introduction {
            agent: appliance.agent.clone(),
            center: settings.center.clone(),
            center_address: settings.address.clone(),
            credential: appliance.credential.clone(),
            release_keys: release_keys.clone(),
        };
        let text = zeroize::Zeroizing::new(toml::to_string(&introduction)?);
        let path = folder.join(format!("{}.toml", appliance.agent));
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
