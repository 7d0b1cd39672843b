//! "Did you mean": the known word nearest to a misspelled one.
//!
//! Distance: insertion, deletion, substitution and the swap of neighbours cost 1 each (optimal string alignment).
//! A word is near within a third of its length, and within 2. Cost: the product of the two lengths.

/// The nearest of the known words, the first of equals.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let reach = (word.chars().count().div_ceil(3)).min(2);
    let near = known.into_iter().map(|known| (distance(word, known), known)).filter(|(far, _)| *far <= reach);
    near.min_by_key(|(far, _)| *far).map(|(_, known)| known)
}

/// The end of a message about an unknown word: a suggestion, or all that is known.
pub(crate) fn or_known<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => {
            let known: Vec<_> = known.into_iter().map(|known| format!("`{known}`")).collect();
            if known.is_empty() { String::new() } else { format!("; known: {}", known.join(", ")) }
        }
    }
}

fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut older = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let substituted = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = substituted.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(older[j - 2] + 1);
            }
        }
        older = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_with_a_slip_finds_the_one_meant() {
        let known = ["global", "org", "user", "session"];
        assert_eq!(nearest("usr", known), Some("user"));
        assert_eq!(nearest("sesion", known), Some("session"));
        assert_eq!(nearest("ogr", known), Some("org"));
        assert_eq!(nearest("tenant", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn word_far_from_all_lists_what_is_known() {
        assert_eq!(or_known("x", ["a_b", "c_d"]), "; known: `a_b`, `c_d`");
        assert_eq!(or_known("x", []), "");
    }
}
