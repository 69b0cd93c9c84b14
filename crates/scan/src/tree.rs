//! The files of a directory, by path and by name.

use std::{borrow::Cow, collections::BTreeMap};

use crate::paths;

/// A file.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its path, from the directory that is scanned.
    pub path: String,
    /// Whether it may be executed.
    pub is_executable: bool,
    /// Its content; empty if it is not needed ([`is_read`](crate::is_read)).
    pub content: Vec<u8>,
}

/// All files, in the order of their paths.
pub(crate) struct Tree {
    files: Vec<SourceFile>,
    // An index, since an `#include` names the end of a path.
    by_name: BTreeMap<String, Vec<usize>>,
}

impl Tree {
    pub(crate) fn new(mut files: Vec<SourceFile>) -> Tree {
        // The order of a directory differs from machine to machine, that of targets must not. Sorted, `find` is a
        // bisection.
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, file) in files.iter().enumerate() {
            by_name.entry(paths::name(&file.path).to_owned()).or_default().push(index);
        }
        Tree { files, by_name }
    }

    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    pub(crate) fn file(&self, index: usize) -> &SourceFile {
        &self.files[index]
    }

    pub(crate) fn path(&self, index: usize) -> &str {
        &self.files[index].path
    }

    pub(crate) fn text(&self, index: usize) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.files[index].content)
    }

    pub(crate) fn find(&self, path: &str) -> Option<usize> {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()
    }

    /// The files with this last component.
    pub(crate) fn named(&self, name: &str) -> &[usize] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// The files with this ending.
    pub(crate) fn with_ending<'t>(&'t self, ending: &'t str) -> impl Iterator<Item = usize> + 't {
        (0..self.len()).filter(move |index| paths::ending(self.path(*index)) == ending)
    }
}
