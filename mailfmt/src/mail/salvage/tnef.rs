//! Transport Neutral Encapsulation (MS-OXTNEF): the `winmail.dat` into which some servers pack a mail's attachments.

/// `0x223E9F78`, little-endian.
const SIGNATURE: &[u8] = &[0x78, 0x9f, 0x3e, 0x22];
/// `attAttachData`: the octets of an attachment.
const ATTACH_DATA: u32 = 0x0006_800f;
/// `attBody`: the mail's text.
const BODY: u32 = 0x0002_800c;
/// Attributes looked at.
const ATTRIBUTES_MAX: usize = 1_000;

/// Texts and attachments in their order; empty where the octets are no TNEF. What is cut gives what stands before the cut.
pub(super) fn contents(octets: &[u8]) -> Vec<&[u8]> {
    let mut contents = Vec::new();
    let Some(mut rest) = octets.strip_prefix(SIGNATURE).and_then(|rest| rest.get(2..)) else {
        return contents;
    };
    for _ in 0..ATTRIBUTES_MAX {
        // Level (1), identifier (4), length (4), the value, its checksum (2).
        let Some((head, behind)) = rest.split_first_chunk::<9>() else { break };
        let [_, a, b, c, d, e, f, g, h] = *head;
        let (identifier, length) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let Some((value, behind)) =
            usize::try_from(length).ok().and_then(|length| behind.split_at_checked(length))
        else {
            break;
        };
        if matches!(identifier, ATTACH_DATA | BODY) {
            contents.push(value);
        }
        let Some(behind) = behind.get(2..) else { break };
        rest = behind;
    }
    contents
}
