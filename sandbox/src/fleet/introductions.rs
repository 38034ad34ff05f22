//! Getting appliances introduced by a center.

use crate::world::{Center, MailSite};
use anyhow::Context as _;
use mailfmt::Introduction;
use std::fmt::Write as _;
use std::path::Path;

/// Adds `count` appliances to a center that has none yet, with the mailboxes of `mail`, and reads what it wrote for
/// each. The list and the introductions lie in `folder` meanwhile.
///
/// # Errors
/// As `center-manager appliance add`, and when a file cannot be written or read.
pub fn introduce(
    center: &Center,
    mail: &MailSite,
    count: u32,
    folder: &Path,
) -> anyhow::Result<Vec<Introduction>> {
    let mut lines = "address,customer\n".to_owned();
    for number in 1..=count {
        writeln!(lines, "{},customer {number}", mail.agent_address(number))?;
    }
    let (list, out) = (folder.join("appliances.csv"), folder.join("introductions"));
    std::fs::write(&list, lines).with_context(|| format!("cannot write {}", list.display()))?;
    let arguments =
        ["appliance", "add", "--from-csv", &list.to_string_lossy(), "--output", &out.to_string_lossy()];
    center.run(&arguments)?;
    (1..=count)
        .map(|number| {
            let path = out.join(format!("AGENT{number:07}.toml"));
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            // The file holds a credential: of an error only the place is told.
            toml::from_str(&text).ok().with_context(|| format!("{} is no introduction", path.display()))
        })
        .collect()
}
