//! Return paths of the center's own for every message: `subaddress`.

use super::SettingsError;
use mailfmt::mail::returned::TAG_CHARACTERS;

/// Characters that mail servers put between an address and its detail (RFC 5233; `recipient_delimiter` of Postfix).
const SEPARATORS: [&str; 5] = ["+", "-", "_", "=", "."];

/// Checks it together with the center's address, which grows by it.
///
/// # Errors
/// [`SettingsError::Range`].
pub(super) fn check(value: Option<&str>, address: &str) -> Result<Option<char>, SettingsError> {
    let Some(value) = value else { return Ok(None) };
    let refused = |allowed: String| {
        Err(SettingsError::Range { key: "subaddress".to_owned(), value: format!("{value:?}"), allowed })
    };
    if !SEPARATORS.contains(&value) {
        return refused(format!("one of {}, as the mail server of {address} has it", SEPARATORS.join(" ")));
    }
    let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
    let most = 64usize.saturating_sub(TAG_CHARACTERS.saturating_add(1));
    if local.len() > most {
        return refused(format!("only with an address of at most {most} characters before the @"));
    }
    Ok(value.chars().next())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn only_a_separator_of_mail_servers_is_taken_and_only_where_the_address_has_room_for_a_tag() {
        assert_eq!(check(None, "center@c.example").unwrap(), None);
        assert_eq!(check(Some("+"), "center@c.example").unwrap(), Some('+'));
        let error = check(Some("@"), "center@c.example").unwrap_err().to_string();
        assert!(error.contains("subaddress") && error.contains("one of + -"), "{error}");
        let error = check(Some("+"), &format!("{}@c.example", "a".repeat(24))).unwrap_err().to_string();
        assert!(error.contains("at most 23 characters"), "{error}");
    }
}
