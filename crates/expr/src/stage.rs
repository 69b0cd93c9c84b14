//! Stages: maps from path to artifact, and conflicts between their entries.

use rustc_hash::FxHashMap;
use taut_value::{
    Map, Str, Value,
    path::{is_normal, normal_path},
};

/// The stage with all paths normalised.
///
/// # Errors
/// A path that two different artifacts would have.
pub fn normalise(stage: &Map) -> Result<Map, Str> {
    if stage.keys().all(|path| is_normal(path)) {
        return Ok(stage.clone());
    }
    let mut seen: FxHashMap<Str, &Value> = FxHashMap::default();
    for (path, artifact) in stage.iter() {
        let path = if is_normal(path) { path.clone() } else { normal_path(path).into() };
        if let Some(other) = seen.insert(path.clone(), artifact)
            && other != artifact
        {
            return Err(path);
        }
    }
    // A map is sorted, so the order of the hash table does not matter.
    Ok(Map::from_entries(seen.into_iter().map(|(path, artifact)| (path, artifact.clone())).collect()))
}

/// The stage with all paths normalised; of entries with equal paths, the first one as written, by bytes, counts.
pub fn normalise_first(stage: &Map) -> Map {
    if stage.keys().all(|path| is_normal(path)) {
        return stage.clone();
    }
    // In reverse, since of equal keys in a new map the last one counts.
    stage.iter().rev().map(|(path, artifact)| (normal_path(path), artifact.clone())).collect()
}

/// The first path, in byte order of the entries, at which a stage cannot form a directory: `.` beside other entries, an
/// absolute path, one that starts with `..`, the same path written in two ways, or the path of an entry that another
/// entry needs as a directory. Linear in the stage's text.
pub fn tree_conflict(stage: &Map) -> Option<Str> {
    match stage.keys().all(|path| is_normal(path)) {
        true => normal_tree_conflict(stage),
        false => any_tree_conflict(stage),
    }
}

/// As [`tree_conflict`], if all paths are normal.
fn normal_tree_conflict(stage: &Map) -> Option<Str> {
    files_above(stage.keys()).next().cloned()
}

/// Those of some paths that others of them need as directories, each as often as one does. The paths are normalised and
/// in byte order. Linear in their text.
pub fn files_above<'p>(paths: impl IntoIterator<Item = &'p Str>) -> impl Iterator<Item = &'p Str> {
    // In byte order, the paths that begin with another path follow it without a gap, so the paths that are prefixes of
    // the present one form a stack, of rarely more than one element.
    let mut above: Vec<&Str> = Vec::new();
    paths.into_iter().flat_map(move |path| {
        // What is not a prefix of this path cannot be one of the following paths, either: they are sorted.
        while above.pop_if(|other| !path.starts_with(other.as_str())).is_some() {}
        let directory = |other: &&Str| path.as_bytes().get(other.len()) == Some(&b'/');
        let files: Vec<&Str> = above.iter().copied().rev().filter(directory).collect();
        above.push(path);
        files
    })
}

fn any_tree_conflict(stage: &Map) -> Option<Str> {
    // By rolling hashes: to look each prefix of a deep path up as a text would take time quadratic in its length.
    let mut blocked: FxHashMap<u64, Vec<&str>> = FxHashMap::default();
    let mut prefixes: Vec<(u64, usize)> = Vec::new();
    for (path, _) in stage.iter() {
        if (path.as_str() == "." && stage.len() > 1) || path.starts_with('/') {
            return Some(path.clone());
        }
        // Only the first element counts, as in the reference (`tree_conflict`): `a/../..` is accepted here.
        if path.split('/').next() == Some("..") {
            return Some(path.clone());
        }
        prefix_hashes(path, &mut prefixes);
        let (whole, _) = prefixes.pop().unwrap_or_default();
        if blocked.get(&whole).is_some_and(|others| others.iter().any(|other| same_path(other, path))) {
            return Some(path.clone());
        }
        // The longest one first, as the reference goes from a path to its parents.
        for (hash, end) in prefixes.iter().rev() {
            let above = &path[..*end];
            if blocked.get(hash).is_some_and(|others| others.iter().any(|other| same_path(other, above))) {
                return Some(above.into());
            }
        }
        blocked.entry(whole).or_default().push(path);
    }
    None
}

fn same_path(a: &str, b: &str) -> bool {
    // As paths of C++ compare, which the reference uses: repeated slashes mean nothing, one at the end does.
    a == b || (elements(a).eq(elements(b)) && a.ends_with('/') == b.ends_with('/'))
}

fn elements(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|element| !element.is_empty())
}

/// A rolling hash of each prefix of the path that ends with an element, and the end of that prefix. The last hash
/// covers the whole path, including a trailing slash.
fn prefix_hashes(path: &str, out: &mut Vec<(u64, usize)>) {
    // FNV-1a: each prefix continues the hash of the one before. Equal hashes are compared as paths by the caller.
    const PRIME: u64 = 0x0100_0000_01b3;
    out.clear();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let bytes = path.as_bytes();
    for (i, byte) in bytes.iter().enumerate() {
        if *byte == b'/' {
            if i > 0 && bytes[i - 1] != b'/' {
                out.push((hash, i));
                hash = (hash ^ u64::from(b'/')).wrapping_mul(PRIME);
            }
        } else {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }
    out.push((hash, path.len()));
}

/// Whether an empty directory at `cwd` has to be added to a stage for that directory to exist, and can be added: no
/// entry is at, below or above it.
pub fn needs_directory(stage: &Map, cwd: &str) -> bool {
    if matches!(cwd, "" | ".") {
        return false;
    }
    // Two paths that agree in all elements of the shorter one are equal, or one is above the other.
    let cwd: Vec<&str> = elements(cwd).collect();
    !stage
        .keys()
        .any(|path| path.is_empty() || path.as_str() == "." || elements(path).zip(&cwd).all(|(a, b)| a == *b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(paths: &[&str]) -> Map {
        paths.iter().map(|path| (*path, Value::Null)).collect()
    }

    #[test]
    fn a_file_cannot_be_a_directory() {
        let check = |paths: &[&str], conflict: Option<&str>| {
            assert_eq!(tree_conflict(&stage(paths)).as_deref(), conflict, "{paths:?}");
        };
        check(&["a", "b/c", "b/d"], None);
        check(&["x", "x/y"], Some("x"));
        check(&["x", "x-1", "x/y"], Some("x"));
        check(&["x", "x!/a", "x/y/z"], Some("x"));
        check(&[".", "a"], Some("."));
        check(&["."], None);
        check(&["/a"], Some("/a"));
        check(&["../a"], Some("../a"));
        check(&["a//b", "a/b"], Some("a/b"));
        check(&["..a"], None);
        check(&["a", "a-", "a-/b", "a.", "a/b"], Some("a-"));
        check(&["a/b", "a/b!/c", "a/b.c/d", "a/b/c"], Some("a/b"));
    }

    #[test]
    fn normal_paths_are_recognised() {
        for path in ["a", "a/b", ".a", "..a/b", "a/...", "a./b..", "ü/ö"] {
            assert!(is_normal(path), "{path}");
            assert_eq!(normal_path(path), path);
        }
        for path in ["", "/", "/a", "a/", "a//b", ".", "..", "./a", "../a", "a/.", "a/..", "a/./b", "a/../b"]
        {
            assert!(!is_normal(path), "{path}");
        }
    }

    #[test]
    fn both_algorithms_for_conflicts_agree() {
        let names = ["a", "a-", "a.b", "b", "a!", "0"];
        let paths = names.iter().flat_map(|a| {
            let below = names.iter().map(move |b| format!("{a}/{b}"));
            below.chain([(*a).to_owned()])
        });
        let paths: Vec<String> = paths.collect();
        for a in &paths {
            for b in &paths {
                for c in &paths {
                    let stage = stage(&[a, b, c]);
                    assert_eq!(normal_tree_conflict(&stage), any_tree_conflict(&stage), "{stage:?}");
                }
            }
        }
    }

    #[test]
    fn normalising_merges_equal_entries_and_refuses_different_ones() {
        assert_eq!(normalise(&stage(&["a//b", "./a/b", "c/"])), Ok(stage(&["a/b", "c"])));
        let mixed: Map = [("a", Value::Null), ("./a", Value::Bool(true))].into_iter().collect();
        assert_eq!(normalise(&mixed), Err("a".into()));
    }

    #[test]
    fn normalise_first_keeps_the_first_of_colliding_entries() {
        let mixed: Map =
            [("a", Value::Null), ("./a", Value::Bool(true)), ("", Value::Null)].into_iter().collect();
        let first: Map = [("a", Value::Bool(true)), (".", Value::Null)].into_iter().collect();
        assert_eq!(normalise_first(&mixed), first);
    }

    #[test]
    fn a_deep_path_is_checked_in_linear_time() {
        let deep = "d/".repeat(100_000);
        assert_eq!(tree_conflict(&stage(&[&format!("{deep}x"), &format!("{deep}y")])), None);
        assert_eq!(tree_conflict(&stage(&["d", &format!("{deep}y")])).as_deref(), Some("d"));
    }

    #[test]
    fn a_working_directory_is_added_if_no_entry_implies_it() {
        assert!(needs_directory(&stage(&["a"]), "b"));
        assert!(!needs_directory(&stage(&["b/c"]), "b"));
        assert!(!needs_directory(&stage(&["b"]), "b/c"));
        assert!(!needs_directory(&stage(&["."]), "b"));
        assert!(!needs_directory(&stage(&[]), "."));
    }
}
