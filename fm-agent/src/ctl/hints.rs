//! What somebody may have meant: alarm ids of the catalogue near one that it does not have.

use fm_common::catalogue;

/// Hints in one message at most.
const MOST: usize = 3;
/// Changes of one character that may lie between what was written and what was meant.
const NEAR: usize = 2;

/// What to say about an alarm id that the catalogue does not have; nothing when it has it.
pub(super) fn alarm_id(id: &str) -> Option<String> {
    if catalogue::find(id).is_some() {
        return None;
    }
    let near = near(id, catalogue::entries().iter().map(|entry| entry.id));
    let told = format!("the alarm catalogue has no '{}'", super::table::shown(id));
    if near.is_empty() {
        return Some(told);
    }
    Some(format!("{told}; near it: {}", near.join(", ")))
}

/// The nearest of the known words, nearest first.
fn near<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let word: Vec<char> = word.chars().take(32).collect();
    let mut found: Vec<(usize, &str)> = known
        .map(|known| (distance(&word, known), known))
        .filter(|(distance, _)| *distance <= NEAR)
        .collect();
    found.sort_unstable();
    found.into_iter().take(MOST).map(|(_, known)| known).collect()
}

/// How many characters must be put in, taken out, exchanged or swapped with their neighbour.
fn distance(from: &[char], to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before = Vec::new();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, c) in from.iter().enumerate() {
        let mut next = vec![index + 1];
        for (place, other) in to.iter().enumerate() {
            let exchanged = row[place] + usize::from(c != other);
            let mut least = exchanged.min(row[place + 1] + 1).min(next[place] + 1);
            if index > 0 && place > 0 && *c == to[place - 1] && from[index - 1] == *other {
                let two_before: &Vec<usize> = &before;
                least = least.min(two_before[place - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_changes_of_one_character() {
        let distance = |from: &str, to| super::distance(&from.chars().collect::<Vec<_>>(), to);
        for (from, to, changes) in [
            ("100.101", "100.101", 0),
            ("100.11", "100.101", 1),
            ("100.1O1", "100.101", 1),
            ("100.110", "100.101", 1),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(from, to), changes, "{from} {to}");
        }
    }

    #[test]
    fn a_near_miss_is_told_and_a_hit_is_not() {
        assert_eq!(alarm_id("100.103"), None);
        let hint = alarm_id("100.1O3").unwrap();
        assert!(hint.contains("'100.1O3'") && hint.contains("100.103"), "{hint}");
        let hint = alarm_id("nothing like it").unwrap();
        assert!(!hint.contains("near"), "{hint}");
    }
}
