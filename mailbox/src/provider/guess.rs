//! Which provider an address is at. A table, nothing else: a domain of one's own may lie anywhere.

use super::{Provider, all};

/// The provider whose own domain the address has; `None` for a domain of one's own.
#[must_use]
pub fn guess(address: &str) -> Option<&'static Provider> {
    let (_, domain) = address.rsplit_once('@')?;
    let domain = domain.trim_end_matches('.');
    all().iter().find(|provider| {
        provider.domains.iter().any(|own| match own.strip_prefix("*.") {
            Some(above) => {
                let begins = domain.len().checked_sub(above.len());
                begins.and_then(|begins| domain.split_at_checked(begins)).is_some_and(|(below, end)| {
                    below.len() > 1 && below.ends_with('.') && end.eq_ignore_ascii_case(above)
                })
            }
            None => own.eq_ignore_ascii_case(domain),
        })
    })
}
