//! Mail that came back, laid before a real center and a real appliance: how many mails they send because of it.

use super::field::Field;

/// Lays the mails before the center and before an appliance, all of them twice, and lets both do what they will. Answers how many
/// mails were read, and how many left meanwhile.
///
/// # Errors
/// When the field cannot be set up, or mails are left in a mailbox.
pub fn answered(mails: &[Vec<u8>]) -> anyhow::Result<(u64, u64)> {
    let field = Field::new()?;
    let address = field.stage.mail.agent_address(1);
    // What speaks of the appliance speaks of this one.
    let mails: Vec<Vec<u8>> =
        mails.iter().map(|raw| replaced(raw, b"agent@site.example", address.as_bytes())).collect();
    let before = field.handed_in()?;
    let mut read = 0u64;
    for _ in 0..2 {
        let (_, _) = field.lay_before_center(&mails)?;
        field.lay_before_appliance(1, &mails)?;
        read += 2 * u64::try_from(mails.len())?;
    }
    // Whatever was decided late goes out now.
    field.center_turn()?;
    field.appliance_turn(1)?;
    Ok((read, field.handed_in()? - before))
}

fn replaced(raw: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        let (before, behind) = rest.split_at(at);
        result.extend(before);
        result.extend(to);
        rest = behind.get(from.len()..).unwrap_or_default();
    }
    result.extend(rest);
    result
}
