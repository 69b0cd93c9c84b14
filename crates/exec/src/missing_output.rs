//! What is found at the path of a missing output: most often nothing, beside a name with another spelling, or something
//! of another kind.

use std::fmt;

use taut_value::Str;

/// A declared output that was not produced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MissingOutput {
    /// Its path, as in the definition.
    pub path: Str,
    /// What is there.
    pub found: ActualEntry,
}

/// What is at the path of an output that is missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ActualEntry {
    /// Nothing; paths of things with similar names in the same directory, if there are any.
    Nothing {
        /// The paths, in order.
        similar: Vec<String>,
    },
    /// A directory where a file was expected.
    Directory,
    /// A file where a directory was expected.
    File,
}

impl fmt::Display for MissingOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.found {
            ActualEntry::Nothing { similar } if similar.is_empty() => write!(f, "{path}"),
            ActualEntry::Nothing { similar } => write!(f, "{path}; there is {}", similar.join(", ")),
            ActualEntry::Directory => write!(f, "{path} is a directory (out_dirs is for those)"),
            ActualEntry::File => write!(f, "{path} is a file (outs is for those)"),
        }
    }
}

/// How many similar names are reported.
const MAX_SIMILAR: usize = 3;

/// The names that a missing name may be a misspelling of: those that differ in case only, in their extension only, or
/// in a letter or two.
pub(crate) fn similar(name: &str, there: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut similar: Vec<(usize, String)> = there
        .into_iter()
        .filter_map(|other| distance(name, &other).map(|distance| (distance, other)))
        .collect();
    similar.sort();
    similar.truncate(MAX_SIMILAR);
    similar.into_iter().map(|(_, name)| name).collect()
}

/// The distance of two names (Levenshtein); `None` for more than a misspelling explains.
fn distance(a: &str, b: &str) -> Option<usize> {
    // Case first: no other difference is as certainly a misspelling, however long the name.
    if a.to_lowercase() == b.to_lowercase() {
        return Some(0);
    }
    let stem = |name: &str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
    let (a_stem, b_stem) = (stem(a), stem(b));
    if !a_stem.is_empty() && a_stem == b_stem {
        return Some(1);
    }
    // Names are short; only the beginning of longer ones is compared.
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(256).collect(), b.chars().take(256).collect());
    // In short names a single letter makes another name.
    let allowed = (a.len() / 4).clamp(1, 2);
    if a.len().abs_diff(b.len()) > allowed {
        return None;
    }
    // One row of the usual table suffices (Wagner and Fischer): `diagonal` keeps the value that is overwritten.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    // One is added, so the two certain cases above sort in front.
    Some(row[b.len()] + 1).filter(|distance| *distance <= allowed + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_names_are_similar_and_other_names_are_not() {
        let find = |name: &str, there: &[&str]| similar(name, there.iter().map(|name| (*name).to_owned()));
        assert_eq!(find("Out.txt", &["log", "out.txt", "other"]), ["out.txt"]);
        assert_eq!(find("main.o", &["main.obj", "manifest"]), ["main.obj"]);
        assert_eq!(find("libfoo.a", &["libfo.a", "libbar.a"]), ["libfo.a"]);
        assert!(find("o", &["p.txt", "abc"]).is_empty());
        assert!(find("out", &[]).is_empty());
    }
}
