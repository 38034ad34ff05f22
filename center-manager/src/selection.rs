//! Which appliances are meant: named ones, or what a search finds. Pure.

use crate::db::appliances::Appliance;
use mailfmt::{AgentId, SoftwareVersion};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Which appliances are meant. Ids and tags add up; customer, version and hardware narrow down what they (or, without
/// them, the whole fleet) give.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// These ids.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub agents: BTreeSet<AgentId>,
    /// All that have one of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Only those of one of these customers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub customers: Vec<String>,
    /// Only those that run one of these versions, as far as it is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<SoftwareVersion>,
    /// Only those on one of these kinds of hardware.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hardware: Vec<String>,
}

impl Selection {
    /// Whether nothing was said: then it means the whole fleet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an appliance is meant.
    #[must_use]
    pub fn means(&self, appliance: &Appliance) -> bool {
        let named = self.agents.is_empty() && self.tags.is_empty()
            || self.agents.contains(&appliance.agent)
            || appliance.tags.iter().any(|tag| self.tags.contains(tag));
        let one_of = |wanted: &[String], has: &str| {
            wanted.is_empty() || wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(has))
        };
        let runs = |version: &SoftwareVersion| self.running.contains(version);
        named
            && one_of(&self.customers, &appliance.customer)
            && one_of(&self.hardware, &appliance.hardware)
            && (self.running.is_empty() || appliance.software.as_ref().is_some_and(runs))
    }

    /// In words, for previews and logs.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut words = Vec::new();
        match self.agents.len() {
            0 => {}
            1..=3 => words.extend(self.agents.iter().map(ToString::to_string)),
            count => words.push(format!("{count} named ones")),
        }
        words.extend(self.tags.iter().map(|tag| format!("tag {tag}")));
        let mut text = if words.is_empty() { "all".to_owned() } else { words.join(" or ") };
        let mut narrow = |what: &str, values: Vec<String>| {
            if !values.is_empty() {
                text.push_str(&format!(", {what} {}", values.join(" or ")));
            }
        };
        narrow("customer", self.customers.clone());
        narrow("running", self.running.iter().map(ToString::to_string).collect());
        narrow("hardware", self.hardware.clone());
        text
    }

    /// The same with what another one names besides.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.agents.extend(other.agents);
        self.tags.extend(other.tags);
        self.customers.extend(other.customers);
        self.running.extend(other.running);
        self.hardware.extend(other.hardware);
        self
    }
}

/// What is wrong with a list of ids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// A line that is no line of a table.
    #[error("line {line}: {why}")]
    Csv {
        /// From 1.
        line: u64,
        /// Why not.
        why: String,
    },
    /// What stands where an id should.
    #[error("line {line}: {text:?} is no agent id, such as AGENT0000001")]
    NoId {
        /// From 1.
        line: u64,
        /// What stands there.
        text: String,
    },
    /// No id at all.
    #[error("there is no agent id in it")]
    Empty,
}

/// Ids from text: one in a line, or a table of comma-separated values (RFC 4180) with them in the column `agent`,
/// `agent id` or `agent_id`, or in the first one.
///
/// # Errors
/// [`ListError`], with the line.
pub fn ids_from_list(text: &str) -> Result<BTreeSet<AgentId>, ListError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut column = 0;
    let mut ids = BTreeSet::new();
    for (nth, record) in reader.records().enumerate() {
        let record = record.map_err(|error| ListError::Csv {
            line: error.position().map_or(0, csv::Position::line),
            why: error.to_string(),
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let is_name =
            |cell: &str| ["agent", "agent id", "agent_id"].iter().any(|name| cell.eq_ignore_ascii_case(name));
        if nth == 0
            && let Some(found) = record.iter().position(is_name)
        {
            column = found;
            continue;
        }
        let cell = record.get(column).unwrap_or_default();
        if cell.is_empty() && record.len() <= 1 {
            continue;
        }
        let no_id = || ListError::NoId { line, text: cell.chars().take(40).collect() };
        ids.insert(AgentId::new(cell).map_err(|_| no_id())?);
    }
    if ids.is_empty() { Err(ListError::Empty) } else { Ok(ids) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::appliances::ApplianceState;
    use jiff::Timestamp;

    fn appliance(number: u32, tag: &str, customer: &str, version: &str, hardware: &str) -> Appliance {
        Appliance {
            agent: AgentId::new(&format!("AGENT{number:07}")).unwrap(),
            address: String::new(),
            customer: customer.to_owned(),
            tags: vec![tag.to_owned()],
            state: ApplianceState::Active,
            added: Timestamp::UNIX_EPOCH,
            last_heard: None,
            software: SoftwareVersion::new(version).ok(),
            version_checked: None,
            version_nonce: None,
            hardware: hardware.to_owned(),
            suspension: None,
        }
    }

    fn found(selection: &Selection) -> Vec<u32> {
        let fleet = [
            appliance(1, "north", "aaa Trading", "1.0.00-1", "x86_64"),
            appliance(2, "north", "bbb Logistics", "1.0.01-0", "aarch64"),
            appliance(3, "south", "aaa Trading", "1.0.01-0", "x86_64"),
            appliance(4, "south", "bbb Logistics", "", "x86_64"),
        ];
        (1..)
            .zip(&fleet)
            .filter(|(_, appliance)| selection.means(appliance))
            .map(|(number, _)| number)
            .collect()
    }

    fn texts(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    #[test]
    fn nothing_said_means_all() {
        assert_eq!(found(&Selection::default()), [1, 2, 3, 4]);
    }

    #[test]
    fn ids_and_tags_add_up_and_the_rest_narrows_down() {
        let four = AgentId::new("AGENT0000004").unwrap();
        let named = Selection { agents: [four].into(), tags: texts("north"), ..Selection::default() };
        assert_eq!(found(&named), [1, 2, 4]);
        assert_eq!(found(&Selection { customers: texts("AAA trading"), ..Selection::default() }), [1, 3]);
        let hardware = Selection { hardware: texts("x86_64"), ..named };
        assert_eq!(found(&hardware), [1, 4]);
        assert_eq!(hardware.in_words(), "AGENT0000004 or tag north, hardware x86_64");
    }

    #[test]
    fn an_appliance_of_an_unknown_version_runs_none_of_those_asked_for() {
        let running = vec![SoftwareVersion::new("1.0.01-0").unwrap()];
        assert_eq!(found(&Selection { running, ..Selection::default() }), [2, 3]);
    }

    #[test]
    fn a_list_is_a_table_or_one_id_in_a_line() {
        let ids =
            |text| ids_from_list(text).map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>());
        let both = ["AGENT0000001".to_owned(), "AGENT0000002".to_owned()];
        assert_eq!(ids("AGENT0000002\n\nAGENT0000001\nAGENT0000001\n").unwrap(), both);
        assert_eq!(
            ids("customer,agent id,town\r\n\"aaa, Trading\",AGENT0000001,Ulm\r\nbbb,AGENT0000002\r\n")
                .unwrap(),
            both
        );
        assert_eq!(ids("AGENT0000001,Ulm\nAGENT0000002,\"Bad\nUrach\"\n").unwrap(), both);
    }

    #[test]
    fn what_is_no_id_is_named_with_its_line() {
        assert_eq!(
            ids_from_list("agent\nAGENT0000001\nnobody?\n").unwrap_err().to_string(),
            "line 3: \"nobody?\" is no agent id, such as AGENT0000001"
        );
        assert_eq!(ids_from_list("agent\n").unwrap_err(), ListError::Empty);
    }
}
