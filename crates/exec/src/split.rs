//! Splitting stages, so that what many actions have in common is done once.
//!
//! A thousand actions on two thousand headers would have two million reads of one task by another, and a
//! thousand times the same tree to put together. So a stage is split: a directory in which a lot lies becomes
//! a [`StageKey`], by its content, wherever it lies and whatever action it is for. What is split off is not counted for
//! the directory above it, so a directory that holds little but large ones is no task. The same content is
//! always split the same way.

use std::ops::Range;

use taut_value::path::is_normal;
use taut_value::{Map, SharedArtifact, Str, Value, deep};

use crate::stage_key::{Look, NESTED, Parts, StageKey};

/// How much must lie in a directory, directly or in small directories, for it to be a task.
const SHARED: usize = 16;

/// Splits a stage: paths to artifacts. `Err`: the path of what is none.
pub(crate) fn split(stage: &Map) -> Result<Parts, Str> {
    let mut all = Vec::with_capacity(stage.len());
    for (path, value) in stage.iter() {
        let Value::Artifact(artifact) = value else { return Err(path.clone()) };
        all.push((path, artifact));
    }
    let mut splitter = Splitter { all: &all, entries: Vec::new(), below: Vec::new() };
    splitter.directory(0..all.len(), 0);
    let Splitter { mut entries, mut below, .. } = splitter;
    // What is written in another way might lie in a directory that was split off.
    let mut paths = entries.iter().map(|at| all[*at].0.as_str()).chain(below.iter().map(|(path, _)| *path));
    if !below.is_empty() && !paths.all(is_normal) {
        (entries, below) = ((0..all.len()).collect(), Vec::new());
    }
    let entries = entries.into_iter().map(|at| (all[at].0.clone(), all[at].1.clone())).collect();
    let below = below.into_iter().map(|(path, key)| (path.into(), key)).collect();
    Ok(Parts { entries, below })
}

/// Walks through a stage; what is not split off (yet) waits in the order in which it lies there.
struct Splitter<'s> {
    /// By path; sorted.
    all: &'s [(&'s Str, &'s SharedArtifact)],
    /// Places in `all`.
    entries: Vec<usize>,
    below: Vec<(&'s str, StageKey)>,
}

impl<'s> Splitter<'s> {
    /// Splits what lies in a directory, whose path has `skip` bytes with its slash. Returns how many tasks
    /// lie in each other.
    fn directory(&mut self, range: Range<usize>, skip: usize) -> u8 {
        let mut nested = 0;
        let mut at = range.start;
        while at < range.end {
            let all = self.all;
            let path: &'s str = all[at].0.as_str();
            let below_skip = path[skip..].find('/').map(|slash| skip + slash + 1);
            // What lies in one directory lies together.
            let is_in = |place: usize, end: usize| {
                all[place].0.as_bytes().get(skip..end) == Some(&path.as_bytes()[skip..end])
            };
            let end = match below_skip {
                Some(end) if at + SHARED <= range.end && is_in(at + SHARED - 1, end) => end,
                _ => {
                    self.entries.push(at);
                    at += 1;
                    continue;
                }
            };
            let (first_entry, first_below) = (self.entries.len(), self.below.len());
            let places = at..range.end;
            let beyond = at
                + all[places].partition_point(|(other, _)| {
                    other.as_bytes().get(skip..end) == Some(&path.as_bytes()[skip..end])
                });
            let nested_here = deep(|| self.directory(at..beyond, end));
            let weight = self.entries.len() - first_entry + self.below.len() - first_below;
            let is_task = weight >= SHARED && nested_here < NESTED;
            let key = if is_task { self.split_off(first_entry, first_below, end) } else { None };
            nested = nested.max(nested_here + u8::from(key.is_some()));
            self.below.extend(key.map(|key| (&path[..end - 1], key)));
            at = beyond;
        }
        nested
    }

    /// Makes a task of what was found last, if it can be one.
    fn split_off(&mut self, first_entry: usize, first_below: usize, skip: usize) -> Option<StageKey> {
        let entries: Vec<(&str, &SharedArtifact)> = self.entries[first_entry..]
            .iter()
            .map(|at| (&self.all[*at].0[skip..], self.all[*at].1))
            .collect();
        let below: Vec<(&str, &StageKey)> =
            self.below[first_below..].iter().map(|(path, key)| (&path[skip..], key)).collect();
        let key = StageKey::of(&Look { entries, below })?;
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

    /// What the parts say, put together again.
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
    fn what_is_split_off_is_not_counted_above() {
        let mut all: Vec<String> = (0..4).flat_map(|d| files(&format!("include/d{d}/"), 20)).collect();
        all.extend(files("include/small/", 4));
        assert_eq!(below(&parts(&all)), ["include/d0", "include/d1", "include/d2", "include/d3"]);
        all.extend(files("include/", 10));
        let parts = parts(&all);
        assert_eq!(below(&parts), ["include"]);
        assert_eq!(below(parts.below[0].1.parts()), ["d0", "d1", "d2", "d3"]);
    }

    #[test]
    fn the_same_content_is_one_task_wherever_it_lies_and_only_the_same() {
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
    fn names_around_a_directory_do_not_confuse() {
        let mut all = files("a/", 16);
        all.extend(["a.b", "a0", "a-", "é/x"].map(str::to_owned));
        all.extend(files("a-/b/", 17));
        assert_eq!(below(&parts(&all)), ["a-/b", "a"]);
    }

    #[test]
    fn what_may_be_no_directory_is_not_split() {
        let large = files("a/b/", 20);
        for odd in ["a/b", "a", "./a/b/x", "a//b/x", "a/b/", "a/b/c/", "../a", "."] {
            let all = [large.clone(), vec![odd.to_owned()]].concat();
            let parts = parts(&all);
            // A file beside a directory of its name is seen where both lie.
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
    fn depth_is_data() {
        assert_eq!(parts(&files(&"d/".repeat(100_000), 20)).below.len(), 1);
        // Large directories in each other: keys do not grow with the depth.
        let all: Vec<String> = (0..60).flat_map(|depth| files(&"d/".repeat(depth), 16)).collect();
        assert_eq!(parts(&all).entries.len(), (60 - usize::from(NESTED)) * 16);
    }

    #[test]
    fn what_is_no_artifact_is_named() {
        let stage: Map = [("a", artifact("a")), ("b", Value::Null)].into_iter().collect();
        assert_eq!(split(&stage).unwrap_err().as_str(), "b");
    }
}
