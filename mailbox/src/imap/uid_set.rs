//! UIDs as sets for a command line (RFC 3501 section 9, `sequence-set`). Pure.

/// Longest set, in octets: command lines should stay under 1,000 (RFC 2683 section 3.2.1.5).
const SET_OCTETS_MAX: usize = 900;

/// Writes the UIDs as ranges, in as many sets as are needed. Order and repetitions do not matter.
pub(super) fn uid_sets(uids: &[u32]) -> Vec<String> {
    let mut uids = uids.to_vec();
    uids.sort_unstable();
    uids.dedup();
    let mut sets: Vec<String> = Vec::new();
    for run in uids.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
        let range = match run {
            [one] => one.to_string(),
            [first, .., last] => format!("{first}:{last}"),
            [] => continue,
        };
        match sets.last_mut() {
            Some(set) if set.len() + range.len() < SET_OCTETS_MAX => {
                set.push(',');
                set.push_str(&range);
            }
            _ => sets.push(range),
        }
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_a_range() {
        assert_eq!(uid_sets(&[7, 5, 6, 6, 9]), ["5:7,9"]);
        assert_eq!(uid_sets(&[u32::MAX]), ["4294967295"]);
        assert!(uid_sets(&[]).is_empty());
    }

    #[test]
    fn many_holes_make_several_short_sets() {
        let uids: Vec<u32> = (0..1000).map(|n| 1_000_000 + n * 2).collect();
        let sets = uid_sets(&uids);
        assert!(sets.len() > 1 && sets.iter().all(|set| set.len() <= SET_OCTETS_MAX));
        let back: Vec<u32> =
            sets.iter().flat_map(|set| set.split(',')).map(|uid| uid.parse().unwrap()).collect();
        assert_eq!(back, uids);
    }
}
