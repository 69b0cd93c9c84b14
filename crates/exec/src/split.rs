//! Splitting of stages, so that directories that many actions have in common are built once.
//!
//! A thousand actions with two thousand headers would have two million dependencies, and build the same tree a thousand
//! times. So a stage is split: a directory with many entries becomes a [`StageKey`], identified by its content,
//! wherever it is and whatever action it is for. Entries that were split off do not count for the directory above, so a
//! directory that contains little but large ones is not split off. Equal contents are always split in the same way.

use std::ops::Range;

use taut_value::path::is_normal;
use taut_value::{Map, SharedArtifact, Str, Value, deep};

use crate::stage_key::{MAX_NESTING, Parts, PartsRef, StageKey};

/// How many entries a directory must have, directly or in small directories, to become a task.
// Fewer entries would save few dependencies for the cost of a task.
const MIN_TASK_ENTRIES: usize = 16;

/// Splits a stage: paths to artifacts.
///
/// # Errors
/// The path of a value that is not an artifact.
pub(crate) fn split(stage: &Map) -> Result<Parts, Str> {
    let mut all = Vec::with_capacity(stage.len());
    for (path, value) in stage.iter() {
        let Value::Artifact(artifact) = value else { return Err(path.clone()) };
        all.push((path, artifact));
    }
    let mut splitter = Splitter { all: &all, entries: Vec::new(), below: Vec::new() };
    // The top itself is never a task: it is what the caller builds.
    splitter.directory(0..all.len(), 0);
    let Splitter { mut entries, mut below, .. } = splitter;
    // A path that is not normalised might lead into a directory that was split off: then nothing is.
    let mut paths = entries.iter().map(|at| all[*at].0.as_str()).chain(below.iter().map(|(path, _)| *path));
    if !below.is_empty() && !paths.all(is_normal) {
        (entries, below) = ((0..all.len()).collect(), Vec::new());
    }
    let entries = entries.into_iter().map(|at| (all[at].0.clone(), all[at].1.clone())).collect();
    let below = below.into_iter().map(|(path, key)| (path.into(), key)).collect();
    Ok(Parts { entries, below })
}

/// The state of the walk through a stage; what is not split off (yet) stays in the order of the paths.
struct Splitter<'s> {
    /// By path; sorted.
    all: &'s [(&'s Str, &'s SharedArtifact)],
    /// Indices into `all`.
    entries: Vec<usize>,
    below: Vec<(&'s str, StageKey)>,
}

impl<'s> Splitter<'s> {
    /// Splits the entries of a directory, whose path has `skip` bytes with its slash. Returns how deep tasks are
    /// nested.
    fn directory(&mut self, range: Range<usize>, skip: usize) -> u8 {
        let mut nested = 0;
        let mut at = range.start;
        while at < range.end {
            let all = self.all;
            let path: &'s str = all[at].0.as_str();
            let below_skip = path[skip..].find('/').map(|slash| skip + slash + 1);
            // The paths of one directory are adjacent, since they are sorted.
            // Compared as bytes: `skip` and `end` need not be boundaries of characters in the other paths.
            let is_in = |index: usize, end: usize| {
                all[index].0.as_bytes().get(skip..end) == Some(&path.as_bytes()[skip..end])
            };
            // A quick test: if the entry `MIN_TASK_ENTRIES - 1` further on is in another directory, this one has too
            // few.
            let end = match below_skip {
                Some(end) if at + MIN_TASK_ENTRIES <= range.end && is_in(at + MIN_TASK_ENTRIES - 1, end) => {
                    end
                }
                _ => {
                    self.entries.push(at);
                    at += 1;
                    continue;
                }
            };
            let (first_entry, first_below) = (self.entries.len(), self.below.len());
            let indices = at..range.end;
            let beyond = at
                + all[indices].partition_point(|(other, _)| {
                    other.as_bytes().get(skip..end) == Some(&path.as_bytes()[skip..end])
                });
            let nested_here = deep(|| self.directory(at..beyond, end));
            let weight = self.entries.len() - first_entry + self.below.len() - first_below;
            let is_task = weight >= MIN_TASK_ENTRIES && nested_here < MAX_NESTING;
            let key = if is_task { self.split_off(first_entry, first_below, end) } else { None };
            nested = nested.max(nested_here + u8::from(key.is_some()));
            self.below.extend(key.map(|key| (&path[..end - 1], key)));
            at = beyond;
        }
        nested
    }

    /// Makes a task of the entries found since then, if they form a directory.
    fn split_off(&mut self, first_entry: usize, first_below: usize, skip: usize) -> Option<StageKey> {
        let entries: Vec<(&str, &SharedArtifact)> = self.entries[first_entry..]
            .iter()
            .map(|at| (&self.all[*at].0[skip..], self.all[*at].1))
            .collect();
        let below: Vec<(&str, &StageKey)> =
            self.below[first_below..].iter().map(|(path, key)| (&path[skip..], key)).collect();
        let key = StageKey::of(&PartsRef { entries, below })?;
        self.entries.truncate(first_entry);
        self.below.truncate(first_below);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use taut_value::Artifact;

    use super::*;

    fn artifact(name: &str) -> Value {
        Value::artifact(Artifact::Local { path: name.into(), repository: "".into() })
    }

    fn stage(paths: &[String]) -> Map {
        paths.iter().map(|path| (path, artifact(path))).collect()
    }

    fn files(directory: &str, count: usize) -> Vec<String> {
        (0..count).map(|number| format!("{directory}f{number:04}")).collect()
    }

    /// The parts, put together again.
    fn whole(parts: &Parts) -> Map {
        let mut all: Vec<(Str, Value)> = Vec::new();
        let mut pending = vec![(String::new(), parts.clone())];
        while let Some((above, parts)) = pending.pop() {
            let at = |path: &Str| format!("{above}{path}");
            all.extend(parts.entries.iter().map(|(path, a)| (at(path).into(), Value::Artifact(a.clone()))));
            pending.extend(parts.below.iter().map(|(path, key)| (at(path) + "/", key.parts().clone())));
        }
        Map::from_entries(all)
    }

    fn parts(paths: &[String]) -> Parts {
        let stage = stage(paths);
        let parts = split(&stage).unwrap();
        assert_eq!(whole(&parts), stage);
        parts
    }

    fn below(parts: &Parts) -> Vec<&str> {
        parts.below.iter().map(|(path, _)| path.as_str()).collect()
    }

    #[test]
    fn large_directories_are_split_off_and_small_ones_are_not() {
        let all = [files("include/x/", 16), files("src/", 15), vec!["main".to_owned()]].concat();
        let parts = parts(&all);
        assert_eq!(below(&parts), ["include/x"]);
        assert_eq!(parts.entries.len(), 16);
    }

    #[test]
    fn split_off_entries_do_not_count_for_the_directory_above() {
        let mut all: Vec<String> = (0..4).flat_map(|d| files(&format!("include/d{d}/"), 20)).collect();
        all.extend(files("include/small/", 4));
        assert_eq!(below(&parts(&all)), ["include/d0", "include/d1", "include/d2", "include/d3"]);
        all.extend(files("include/", 10));
        let parts = parts(&all);
        assert_eq!(below(&parts), ["include"]);
        assert_eq!(below(parts.below[0].1.parts()), ["d0", "d1", "d2", "d3"]);
    }

    #[test]
    fn equal_directories_are_one_task_and_different_ones_are_not() {
        let key = |directory: &str, change: bool| {
            let entries = (0..20).map(|number| {
                let name = if change && number == 7 { "changed".to_owned() } else { number.to_string() };
                (format!("{directory}{number}"), artifact(&name))
            });
            split(&entries.collect()).unwrap().below.remove(0).1
        };
        assert_eq!(key("a/", false), key("b/c/", false));
        assert_ne!(key("a/", false), key("a/", true));
    }

    #[test]
    fn names_that_sort_next_to_a_directory_are_not_taken_for_its_entries() {
        let mut all = files("a/", 16);
        all.extend(["a.b", "a0", "a-", "é/x"].map(str::to_owned));
        all.extend(files("a-/b/", 17));
        assert_eq!(below(&parts(&all)), ["a-/b", "a"]);
    }

    #[test]
    fn a_stage_that_may_form_no_directory_is_not_split() {
        let large = files("a/b/", 20);
        for odd in ["a/b", "a", "./a/b/x", "a//b/x", "a/b/", "a/b/c/", "../a", "."] {
            let all = [large.clone(), vec![odd.to_owned()]].concat();
            let parts = parts(&all);
            // A file with the name of a directory beside it is detected where both are.
            let beside = ["a/b", "a"].contains(&odd);
            assert_eq!(below(&parts).len(), usize::from(beside), "{odd}");
        }
        assert_eq!(
            below(&parts(&[files("a/b/", 20), files("a/", 20), vec!["a/b".to_owned()]].concat())),
            ["a/b"]
        );
        assert_eq!(below(&parts(&files("a/../b/", 20))), [""; 0]);
        assert_eq!(below(&parts(&files("/a/", 20))), [""; 0]);
    }

    #[test]
    fn very_deep_stages_are_split_without_recursion_limits() {
        assert_eq!(parts(&files(&"d/".repeat(100_000), 20)).below.len(), 1);
        // Large directories in each other: the nesting of keys is limited.
        let all: Vec<String> = (0..60).flat_map(|depth| files(&"d/".repeat(depth), 16)).collect();
        assert_eq!(parts(&all).entries.len(), (60 - usize::from(MAX_NESTING)) * 16);
    }

    #[test]
    fn a_value_that_is_no_artifact_is_reported_with_its_path() {
        let stage: Map = [("a", artifact("a")), ("b", Value::Null)].into_iter().collect();
        assert_eq!(split(&stage).unwrap_err().as_str(), "b");
    }
}
