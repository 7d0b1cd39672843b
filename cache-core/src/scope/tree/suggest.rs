//! Names in messages: shown safely, and the one that was probably meant.
//!
//! (1) A shown name is escaped and at most 64 characters long: it may come from a request.
//! (2) Nothing is suggested beyond an edit distance of 2, nor for names longer than 64 bytes.
//! Cost: failures only; the work is bounded by (2).

use std::fmt::Write;

const LONGEST: usize = 64;

/// A name, escaped and shortened for a message.
pub(in crate::scope) fn shown(name: &str) -> String {
    let mut text = String::new();
    for (place, c) in name.chars().enumerate() {
        if place == LONGEST {
            text.push('…');
            break;
        }
        if c.is_control() || c.is_whitespace() || super::super::path::is_invisible(c) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}", c.escape_unicode());
        } else {
            text.push(c);
        }
    }
    if text.is_empty() { "(empty)".into() } else { text }
}

/// The known name nearest to a wrong one, if it is near.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    let name: Vec<char> = name.chars().collect();
    known
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (distance(&name, candidate), candidate))
        // One that shares no letter is not near, however short both are.
        .filter(|&(distance, candidate)| {
            distance <= 2 && distance < name.len().max(candidate.chars().count())
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, removals and replacements between two names (Levenshtein's distance, row by row).
fn distance(name: &[char], candidate: &str) -> usize {
    let mut row: Vec<usize> = (0..=name.len()).collect();
    for (above, wanted) in candidate.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (place, &given) in name.iter().enumerate() {
            let replaced = diagonal + usize::from(given != wanted);
            diagonal = row[place + 1];
            row[place + 1] = replaced.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[name.len()]
}
