//! The files of each target, so that its sources find what they include.
//!
//! A compile action has the files of its own target at their paths, and the public headers of dependencies below one
//! directory, by their public names. That is not where they lie in the tree, so an `#include` that leads to another
//! library by a relative path, or by another name than most, finds nothing. Here the search of a compiler is imitated
//! for each source; where it fails, the header becomes a file of the target itself. At last all that the sources
//! include may be, and then the action sees the tree as it is.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    includes::{Includes, Link},
    libraries::{Libraries, Library, Program},
};
use crate::{paths, tree::Tree};

/// What a target consists of.
#[derive(Clone, Default, Debug)]
pub(crate) struct TargetFiles {
    pub(crate) sources: Vec<usize>,
    pub(crate) headers: BTreeSet<usize>,
    pub(crate) private_headers: BTreeSet<usize>,
    /// The directory of `include dirs` of a library.
    pub(crate) base: Option<String>,
    /// Directories in which only the sources of the target find files.
    pub(crate) private_directories: BTreeSet<String>,
    /// Libraries that users of the target need, too.
    pub(crate) deps: BTreeSet<usize>,
    pub(crate) private_deps: BTreeSet<usize>,
    /// All that the sources include, of whatever library, directly or through others, and the sources.
    pub(crate) reached: BTreeSet<usize>,
    /// Names that mean other files here than in the tree.
    pub(crate) ambiguous: BTreeSet<String>,
}

/// Where public headers of dependencies are, for the imitated search.
// A name that no directory of a tree has, as a rule: the search is imitated, and nothing is written there.
const PUBLIC: &str = ".include";

pub(crate) struct Staging<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) includes: &'a [Includes],
    pub(crate) all: &'a Libraries,
}

impl Staging<'_> {
    /// The target of a library.
    pub(crate) fn library(&self, number: usize) -> TargetFiles {
        let library = &self.all.libraries[number];
        let headers = library.headers.iter().copied();
        let (public, private) = headers.partition(|file| library.public.contains(file));
        let mut unit = TargetFiles {
            sources: library.sources.clone(),
            headers: public,
            private_headers: private,
            base: (!library.base.is_empty() && !library.public.is_empty()).then(|| library.base.clone()),
            deps: self.public_deps(number),
            ..TargetFiles::default()
        };
        let own = library.sources.iter().chain(&library.headers);
        unit.private_deps = self.libraries_of(own.copied());
        unit.private_deps.retain(|other| self.all.uses[number].contains(other) && !unit.deps.contains(other));
        self.complete(&mut unit, Some(number));
        unit
    }

    /// The target of a program or test.
    pub(crate) fn program(&self, program: &Program) -> TargetFiles {
        let sources = [&[program.source][..], &program.more].concat();
        let mut unit = TargetFiles { sources, ..TargetFiles::default() };
        let loose = self.closure(unit.sources.iter().copied(), |file| self.all.owner[file].is_none());
        unit.deps = self.libraries_of(loose.iter().copied());
        // A program may declare the functions of its directory itself.
        let of_directory = program.library.filter(|library| !self.all.libraries[*library].sources.is_empty());
        // As makefiles do it: all programs of a directory are linked with its objects.
        unit.deps.extend(of_directory);
        unit.private_headers = loose.into_iter().filter(|file| !unit.sources.contains(file)).collect();
        self.complete(&mut unit, None);
        unit
    }

    /// The libraries of what these files include.
    fn libraries_of(&self, files: impl Iterator<Item = usize>) -> BTreeSet<usize> {
        files
            .flat_map(|file| &self.includes[file].files)
            .filter_map(|link| self.all.owner[link.file])
            .collect()
    }

    /// The libraries that the public headers of one include.
    fn public_deps(&self, number: usize) -> BTreeSet<usize> {
        let mut all = self.libraries_of(self.all.libraries[number].public.iter().copied());
        all.retain(|other| self.all.uses[number].contains(other));
        all
    }

    /// The files, and what they include, directly or through others, if it fits.
    fn closure(
        &self,
        files: impl IntoIterator<Item = usize>,
        fits: impl Fn(usize) -> bool,
    ) -> BTreeSet<usize> {
        let mut all: BTreeSet<usize> = files.into_iter().collect();
        let mut left: Vec<usize> = all.iter().copied().collect();
        while let Some(file) = left.pop() {
            for link in &self.includes[file].files {
                if fits(link.file) && all.insert(link.file) {
                    left.push(link.file);
                }
            }
        }
        all
    }

    /// The public headers of libraries and of those that these make public, by their names.
    fn public(&self, libraries: impl Iterator<Item = usize>) -> BTreeMap<String, usize> {
        let mut left: Vec<usize> = libraries.collect();
        let mut seen: BTreeSet<usize> = left.iter().copied().collect();
        let mut files = BTreeMap::new();
        while let Some(number) = left.pop() {
            self.add_public(&self.all.libraries[number], &mut files);
            left.extend(self.public_deps(number).into_iter().filter(|other| seen.insert(*other)));
        }
        files
    }

    fn add_public(&self, library: &Library, files: &mut BTreeMap<String, usize>) {
        for header in &library.public {
            files.insert(format!("{PUBLIC}/{}", library.public_name(self.tree, *header)), *header);
        }
    }

    /// Adds files and directories until each source finds what it includes.
    fn complete(&self, unit: &mut TargetFiles, own: Option<usize>) {
        unit.reached = self.closure(unit.sources.iter().copied(), |_| true);
        let libraries = unit.deps.iter().chain(&unit.private_deps).copied();
        let mut public = self.public(libraries);
        if let Some(own) = own {
            self.add_public(&self.all.libraries[own], &mut public);
        }
        // Each round adds files or directories, of which there are finitely many, so the loop ends.
        let mut is_whole = false;
        loop {
            let missed = self.missed(unit, &public);
            let mut changed = false;
            for (at, link) in &missed {
                // A public header of another library misses something. Its place in the stage cannot be changed from
                // here, so the target gets all that its sources include under the paths of the tree.
                if at.starts_with(PUBLIC) {
                    // Once: from then on the target has all that its sources include.
                    changed |= !is_whole;
                    is_whole = true;
                } else {
                    changed |= unit.add(link);
                }
            }
            if is_whole && changed {
                for file in unit.reached.clone() {
                    for link in &self.includes[file].files {
                        unit.add(link);
                    }
                }
            }
            if !changed {
                unit.ambiguous = missed.into_iter().map(|(_, link)| link.spelled.clone()).collect();
                return;
            }
        }
    }

    /// The includes by which a compiler would find nothing, or another file; each with the place of the file that has
    /// it.
    fn missed(&self, unit: &TargetFiles, public: &BTreeMap<String, usize>) -> Vec<(String, &Link)> {
        // The action of a source does not have the other sources, unless these are among the headers, too.
        let own = unit.headers.iter().chain(&unit.private_headers);
        let mut places: BTreeMap<&str, usize> = own.map(|file| (self.tree.path(*file), *file)).collect();
        // Where the rules of the box stage them, below one directory.
        places.extend(public.iter().map(|(place, file)| (place.as_str(), *file)));
        let roots: Vec<&str> =
            unit.base.iter().chain(&unit.private_directories).map(String::as_str).chain([PUBLIC]).collect();
        let mut left: Vec<(String, usize)> =
            unit.sources.iter().map(|file| (self.tree.path(*file).to_owned(), *file)).collect();
        // By place, not by file: one file at two places searches from two directories.
        let mut seen: BTreeSet<String> = left.iter().map(|(place, _)| place.clone()).collect();
        let mut missed = Vec::new();
        while let Some((place, file)) = left.pop() {
            for link in &self.includes[file].files {
                let directory = paths::parent(&place);
                // As compilers search: for a name in quotes first the directory of the file that has it, and the
                // directory in which the compiler runs; then, for either kind, the directories of the options.
                let first = if link.is_quoted { &[directory, ""][..] } else { &[] };
                let mut tried = first.iter().chain(&roots).filter_map(|at| paths::join(at, &link.spelled));
                match tried.find_map(|path| Some((*places.get(path.as_str())?, path))) {
                    Some((found, path)) if found == link.file => {
                        if seen.insert(path.clone()) {
                            left.push((path, found));
                        }
                    }
                    _ => missed.push((place.clone(), link)),
                }
            }
        }
        missed
    }
}

impl TargetFiles {
    /// Makes a file one of the target, so that this `#include` in another one finds it. False if that was so before.
    fn add(&mut self, link: &Link) -> bool {
        let is_new = !self.headers.contains(&link.file) && self.private_headers.insert(link.file);
        let directory = match link.root.as_deref() {
            // The directory of the module is searched for names in quotes.
            Some("") if link.is_quoted => None,
            Some("") => Some("."),
            root => root,
        };
        let is_searched = |directory: &&str| self.base.as_deref() == Some(*directory);
        let directory = directory.filter(|directory| !is_searched(directory));
        directory.is_some_and(|directory| self.private_directories.insert(directory.to_owned())) || is_new
    }
}
