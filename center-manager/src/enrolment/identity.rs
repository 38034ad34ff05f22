//! Who a box is that registers: a new appliance, one that moved, or the successor of another box.

use mailfmt::AgentId;

/// An appliance that was not removed and whose box told the same hardware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownBox {
    /// Its id.
    pub agent: AgentId,
    /// Its customer.
    pub customer: String,
    /// Whether it is suspended.
    pub suspended: bool,
}

/// Who registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A new appliance. If the box served another customer before, under which id.
    New {
        /// That appliance.
        known_elsewhere: Option<AgentId>,
    },
    /// The same box again: keeps id and history.
    Moved(AgentId),
    /// Takes over id and history of this one, by the operator's choice.
    Replaces(AgentId),
    /// The box of an appliance that is suspended: only the operator lets it in again.
    Suspended(AgentId),
}

/// Says who a box is: `replaces` is what the operator said when issuing the code, `same_hardware` are the appliances
/// whose box told the same hardware, the last heard first.
#[must_use]
pub fn identify(replaces: Option<&AgentId>, same_hardware: &[KnownBox], customer: &str) -> Identity {
    if let Some(agent) = replaces {
        return Identity::Replaces(agent.clone());
    }
    match same_hardware.iter().find(|known| known.customer == customer) {
        Some(known) if known.suspended => Identity::Suspended(known.agent.clone()),
        Some(known) => Identity::Moved(known.agent.clone()),
        None => Identity::New { known_elsewhere: same_hardware.first().map(|known| known.agent.clone()) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::agent;

    fn known(number: u32, customer: &str, suspended: bool) -> KnownBox {
        KnownBox { agent: agent(number), customer: customer.to_owned(), suspended }
    }

    #[test]
    fn the_same_box_at_the_same_customer_keeps_its_id() {
        let boxes = [known(7, "bbb", false), known(3, "aaa", false)];
        assert_eq!(identify(None, &boxes, "aaa"), Identity::Moved(agent(3)));
        assert_eq!(identify(None, &[], "aaa"), Identity::New { known_elsewhere: None });
    }

    #[test]
    fn a_box_of_another_customer_gets_a_new_id_and_that_is_told() {
        let boxes = [known(7, "bbb", true)];
        assert_eq!(identify(None, &boxes, "aaa"), Identity::New { known_elsewhere: Some(agent(7)) });
    }

    #[test]
    fn the_operators_choice_to_replace_comes_before_what_the_hardware_says() {
        let boxes = [known(3, "aaa", true)];
        assert_eq!(identify(Some(&agent(9)), &boxes, "aaa"), Identity::Replaces(agent(9)));
    }

    #[test]
    fn a_code_does_not_let_the_box_of_a_suspended_appliance_in_again() {
        assert_eq!(identify(None, &[known(3, "aaa", true)], "aaa"), Identity::Suspended(agent(3)));
    }
}
