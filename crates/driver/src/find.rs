//! Lookup of an object by a path of the results, for `--print-to-stdout`.

use taut_store::Store;
use taut_value::path::{normal_path, relative};

use crate::{
    Results,
    cas::{PathLookup, below},
};

/// What [`find`] found.
pub struct Located {
    /// The object, or the last one on the way to it, and where the way ends.
    pub found: PathLookup,
    /// The artifact from which the way begins, and the way, unless the path is that of an artifact.
    pub from: Option<(String, String)>,
}

/// The object at a path of the result, or the last one on the way there: from the first artifact whose path leads
/// there, down its trees. `None` if no artifact leads there, or the store cannot tell.
pub fn find(store: &Store, results: &Results, path: &str) -> Option<Located> {
    let all = || results.artifacts.iter().chain(&results.runfiles);
    let wanted = steps(path);
    // A path as it is written has priority over a way through trees.
    if let Some((_, built)) = all().find(|(known, _)| steps(known) == wanted) {
        return Some(Located { found: PathLookup { object: built.info, ends: None }, from: None });
    }
    let normal = normal_path(path);
    let normal = normal.trim_start_matches('/');
    let normal = if normal.is_empty() { "." } else { normal };
    let (start, built, rest) = all().find_map(|(known, built)| {
        let rest = relative(normal, known).filter(|rest| rest != ".." && !rest.starts_with("../"))?;
        Some((known, built, rest))
    })?;
    let found = below(store, built.info, &rest).ok()?;
    Some(Located { found, from: Some((start.to_string(), rest)) })
}

/// What makes two paths the same place at first sight: however many slashes separate the elements.
fn steps(path: &str) -> Vec<&str> {
    let mut steps: Vec<&str> = path.split('/').collect();
    let ends = steps.len();
    let mut at = 0;
    steps.retain(|step| {
        at += 1;
        !step.is_empty() || at == 1 || at == ends
    });
    steps
}
