//! Guessing what a mistyped word was meant to be.

/// The candidate nearest to `word`, if one is near enough: at most a third of the word's letters
/// (and at least one) inserted, deleted, replaced or swapped with their neighbour; a difference in
/// case only is always near. Ties go to the candidate that comes first in byte order.
pub fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    const LONGEST: usize = 128;
    let letters: Vec<char> = word.chars().take(LONGEST + 1).collect();
    if letters.is_empty() || letters.len() > LONGEST {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if candidate == word || candidate.is_empty() || candidate.len() > 4 * LONGEST {
            continue;
        }
        let limit = (letters.len() / 3).max(1);
        let distance = if candidate.eq_ignore_ascii_case(word) {
            Some(0)
        } else {
            distance_within(&letters, &candidate.chars().collect::<Vec<_>>(), limit)
        };
        // A word of which no letter is left is no hint.
        let distance = distance.filter(|d| *d == 0 || *d < letters.len());
        if let Some(distance) = distance
            && best.is_none_or(|best| (distance, candidate) < best)
        {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Edits (with swaps of neighbours) from `a` to `b`, if they are at most `limit`.
fn distance_within(a: &[char], b: &[char], limit: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
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
        if row.iter().all(|d| *d > limit) {
            return None;
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|d| *d <= limit)
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

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
        check("x", None);
        check("", None);
        check("install", None);
    }
}
