//! Guessing what a mistyped word was meant to be.

use std::borrow::Cow;

use crate::quoted;

/// What was probably meant, as it is shown: a text in quotes, a list as it is to be written.
pub fn suggested(meant: &str) -> Cow<'_, str> {
    if meant.starts_with("[\"") { meant.into() } else { quoted(meant).to_string().into() }
}

/// How many letters of a word may be wrong.
fn edits(letters: usize) -> usize {
    match letters {
        0..=5 => 1,
        6..=11 => 2,
        _ => 3,
    }
}

/// The candidate nearest to `word`, if one is near enough: few letters, by the length of the word, are inserted,
/// deleted, replaced or swapped with their neighbour. People seldom miss the first letter, so another one is a typing
/// error only in a word of some length in which nothing else is wrong. A difference in case only is always near. Ties
/// go to the candidate that comes first in byte order.
pub fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // The comparison is quadratic in the length, and what is longer is hardly a name that was typed.
    const MAX_CHARS: usize = 128;
    let letters: Vec<char> = word.chars().take(MAX_CHARS + 1).collect();
    if letters.is_empty() || letters.len() > MAX_CHARS {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        // In bytes here: a character has four at most.
        if candidate == word || candidate.is_empty() || candidate.len() > 4 * MAX_CHARS {
            continue;
        }
        let distance = if candidate.eq_ignore_ascii_case(word) {
            Some(0)
        } else {
            let other: Vec<char> = candidate.chars().collect();
            let found = distance_within(&letters, &other, edits(letters.len()));
            found.filter(|distance| begins_alike(&letters, &other) || (*distance == 1 && letters.len() > 3))
        };
        if let Some(distance) = distance
            && best.is_none_or(|best| (distance, candidate) < best)
        {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The candidates that contain `word`, or that `word` contains, without regard to case. None for a short word, since it
/// occurs in many by chance.
pub fn containing<'c>(
    word: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> impl Iterator<Item = &'c str> {
    const MIN_BYTES: usize = 3;
    let word = word.to_lowercase();
    candidates.filter(move |candidate| {
        let candidate = candidate.to_lowercase();
        let shorter = word.len().min(candidate.len());
        shorter >= MIN_BYTES && (candidate.contains(&*word) || word.contains(&*candidate))
    })
}

/// Whether the first letters are the same, or swapped with their neighbours.
fn begins_alike(a: &[char], b: &[char]) -> bool {
    a.first() == b.first() || matches!((a, b), ([a, b, ..], [c, d, ..]) if (a, b) == (d, c))
}

/// Edits (with swaps of neighbours) from `a` to `b`, if they are at most `limit`.
fn distance_within(a: &[char], b: &[char], limit: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    // Three rows of the table suffice (optimal string alignment; Damerau, 1964): a swap looks two rows back.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        // No later row gets smaller. That holds with swaps, too: two rows back is at most one less than the row
        // between.
        if row.iter().all(|d| *d > limit) {
            return None;
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|d| *d <= limit)
}

#[cfg(test)]
mod tests {
    use super::{containing, did_you_mean, suggested};

    #[test]
    fn similar_words_are_suggested_and_others_are_not() {
        let words = ["install", "generic", "tree", "tree_overlay", "export"];
        let check = |word, meant: Option<&str>| assert_eq!(did_you_mean(word, words), meant, "{word}");
        check("instal", Some("install"));
        check("genreic", Some("generic"));
        check("Tree", Some("tree"));
        check("tere", Some("tree"));
        check("treeoverlay", Some("tree_overlay"));
        check("library", None);
        check("nstall", Some("install"));
        check("eport", Some("export"));
        check("x", None);
        check("", None);
        check("install", None);
    }

    #[test]
    fn words_that_merely_end_alike_are_no_typing_errors_of_each_other() {
        let words = ["cflags", "a.c", "cc_binary", "outs", "deps"];
        for word in ["ldflags", "b.c", "cc_library", "hdrs", "srcs"] {
            assert_eq!(did_you_mean(word, words), None, "{word}");
        }
        assert_eq!(did_you_mean("clfags", words), Some("cflags"));
        assert_eq!(did_you_mean("eps", words), None);
    }

    #[test]
    fn names_that_contain_a_word_are_found_in_any_case() {
        let names = ["libNet", "ne", "net-client", "other"];
        let found = |word| containing(word, names.into_iter()).collect::<Vec<_>>();
        assert_eq!(found("net"), ["libNet", "net-client"]);
        assert_eq!(found("net-clients"), ["net-client"]);
        assert!(found("ne").is_empty());
    }

    #[test]
    fn names_of_several_words_are_shown_as_they_are_written() {
        assert_eq!(suggested("a"), "\"a\"");
        assert_eq!(suggested(r#"["m", "a"]"#), r#"["m", "a"]"#);
    }
}
