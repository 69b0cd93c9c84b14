//! Which files belong together: a library for each directory with sources, programs for sources with `main`.
//!
//! A header belongs to the source of its name that includes it, wherever that is (`api/net.h` and `impl/net.c`); else
//! to the sources in its directory; in a directory without sources, to a source of its name nearby, or with the other
//! headers there. Directories that need each other become one library, since libraries depend on each other in one
//! direction only. A directory needs another one if it includes a header whose source is there. Where it includes only
//! others, as one that defines macros, and would be needed itself, it gets these headers, and does not depend on the
//! library.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Kind,
    condition::Truth,
    facts::FileFacts,
    includes::Includes,
    kind, lists,
    package_sources::{self, Part},
};
use crate::{edges::reaches, paths, tree::Tree};

/// A library.
#[derive(Clone, Default, Debug)]
pub(crate) struct Library {
    /// Its directory, or the first of several.
    pub(crate) directory: String,
    /// The other directories that became one library with it.
    pub(crate) merged: Vec<String>,
    pub(crate) sources: Vec<usize>,
    /// Headers, and other files that its sources include.
    pub(crate) headers: Vec<usize>,
    /// The headers among them that users may include.
    pub(crate) public: BTreeSet<usize>,
    /// The directory to which the public names of headers are relative.
    pub(crate) base: String,
    /// The library of the system that only these of the sources of the directory need (`package_sources.rs`).
    pub(crate) package: Option<&'static str>,
    /// Functions that several sources define, each once for the same sources, with these.
    pub(crate) defined_twice: Vec<(String, Vec<usize>)>,
}

/// A program.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) source: usize,
    pub(crate) is_test: bool,
    /// The test has no `main`: that of GoogleTest is linked.
    pub(crate) needs_main: bool,
    /// The condition of `main` is not known.
    pub(crate) is_certain: bool,
    /// The library of its directory.
    pub(crate) library: Option<usize>,
    /// Other sources that are its own, since a build file names them for it and not for all programs of the directory.
    pub(crate) more: Vec<usize>,
    /// Whether a build file lists its sources.
    pub(crate) is_listed: bool,
    /// Whether it includes the header of another program's main source, so it may need what is in that.
    pub(crate) needs_another: bool,
    /// What a build file calls it.
    pub(crate) name: Option<String>,
}

/// All libraries and programs.
#[derive(Default, Debug)]
pub(crate) struct Libraries {
    pub(crate) libraries: Vec<Library>,
    pub(crate) programs: Vec<Program>,
    /// Sources that are in no target, since they include others.
    pub(crate) amalgamations: Vec<usize>,
    /// Sources that are in no target, since the build file with the other sources does not list them; with that file.
    pub(crate) unlisted: Vec<(usize, usize)>,
    /// The library of each file.
    pub(crate) owner: Vec<Option<usize>>,
    /// The libraries that each one may depend on: what it includes, without cycles.
    pub(crate) uses: Vec<BTreeSet<usize>>,
}

/// Divides the sources and headers of a tree.
pub(crate) fn divide(tree: &Tree, facts: &[FileFacts], includes: &[Includes]) -> Libraries {
    let mut programs: Vec<Program> =
        (0..tree.len()).filter_map(|file| program(tree, file, facts, includes)).collect();
    let of_programs: BTreeSet<usize> = programs.iter().map(|program| program.source).collect();
    let tests = programs.iter().filter(|program| program.is_test).map(|program| program.source).collect();
    // Sources that others include are treated like headers from here on.
    let parts = included_sources(tree, includes, &tests);
    let mut division =
        Division { tree, owner: vec![None; tree.len()], libraries: Vec::new(), of: BTreeMap::new() };
    let modules = facts.iter().enumerate().filter(|(_, facts)| facts.is_module).map(|(file, _)| file);
    // What is compiled in another target, or in none.
    let elsewhere: BTreeSet<usize> = modules.chain(of_programs.union(&parts).copied()).collect();
    let mut amalgamations = Vec::new();
    for file in 0..tree.len() {
        if !is_source(tree, file) || elsewhere.contains(&file) {
            continue;
        }
        if is_amalgamation(tree, includes, file) {
            amalgamations.push(file);
        } else {
            let library = division.library_of(paths::parent(tree.path(file)));
            division.libraries[library].sources.push(file);
            division.owner[file] = Some(library);
        }
    }
    // Before headers are given: a header follows its source.
    let unlisted = division.follow_lists(&mut programs);
    let more = programs.iter().flat_map(|program| program.more.iter().copied());
    let of_none = unlisted.iter().map(|(file, _)| *file);
    let left_out = amalgamations.iter().copied().chain(of_programs).chain(more).chain(of_none).collect();
    division.add_headers(includes, &parts, &left_out);
    let of_programs = programs.iter().flat_map(|program| program.more.iter().copied());
    // In no library, and not of this program: such a program may need them all the same.
    let homeless: BTreeSet<usize> = of_programs.chain(unlisted.iter().map(|(file, _)| *file)).collect();
    let mains: BTreeSet<usize> = programs.iter().map(|program| program.source).collect();
    for program in programs.iter_mut().filter(|program| !program.is_listed && !homeless.is_empty()) {
        match implementations(tree, includes, program.source, &homeless, &mains) {
            Some(more) => program.more = more,
            None => program.needs_another = true,
        }
    }
    // After headers are given, since a part takes its own headers along.
    division.split_by_package(facts, includes);
    let Division { owner, libraries, of, .. } = division;
    let mut all = Libraries { libraries, programs, amalgamations, unlisted, owner, uses: Vec::new() };
    // Last of all divisions, since it gives libraries new numbers.
    let merged = merge_cycles(tree, &mut all, includes);
    for library in &mut all.libraries {
        library.defined_twice = defined_twice(&library.sources, facts);
    }
    for program in &mut all.programs {
        let directory = paths::parent(tree.path(program.source));
        program.library = of.get(directory).map(|library| merged[*library]);
    }
    all
}

fn is_source(tree: &Tree, file: usize) -> bool {
    matches!(kind(tree.path(file)), Some(Kind::C | Kind::Cxx | Kind::Assembler))
}

/// The program or test that a source is.
fn program(tree: &Tree, file: usize, facts: &[FileFacts], includes: &[Includes]) -> Option<Program> {
    if !is_source(tree, file) || facts[file].is_module {
        return None;
    }
    let is_test = is_test(tree.path(file));
    let main = facts[file].main.or_else(|| main_of_header(tree, file, facts, includes));
    let is_of = |package| {
        let origin = super::system::Origin::Package(package);
        includes[file].system.iter().any(|(of, _)| *of == origin)
    };
    // Only of tests: another source without `main` that includes the header is a helper.
    let needs_main = main.is_none() && is_test && (is_of("gtest") || is_of("gmock"));
    if main.is_none() && !needs_main {
        return None;
    }
    let is_certain = main.is_none_or(|(_, is_compiled)| is_compiled == Truth::Yes);
    Some(Program {
        source: file,
        is_test,
        needs_main,
        is_certain,
        library: None,
        more: Vec::new(),
        is_listed: false,
        needs_another: false,
        name: None,
    })
}

/// The `main` that a header brings along which the source includes, directly or through others, as those of small test
/// frameworks do.
fn main_of_header(
    tree: &Tree,
    file: usize,
    facts: &[FileFacts],
    includes: &[Includes],
) -> Option<(u32, Truth)> {
    let (mut left, mut seen) = (vec![file], BTreeSet::new());
    while let Some(from) = left.pop() {
        let files = includes[from].files.iter().map(|link| link.file);
        for header in files.filter(|of| kind(tree.path(*of)) == Some(Kind::Header)) {
            // Of one on a condition, a macro of the source usually decides: the others that include the header have
            // none.
            if let Some((line, Truth::Yes)) = facts[header].main {
                return Some((line, Truth::Yes));
            }
            left.extend(seen.insert(header).then_some(header));
        }
    }
    None
}

/// Whether a path is that of a test: by its name, or by that of a directory.
pub(crate) fn is_test(path: &str) -> bool {
    let is_word = |word: &str| matches!(word, "test" | "tests" | "unittest" | "unittests");
    let is_named_so = |part: &str| part.split(['_', '-', '.']).any(is_word);
    let stem = paths::stem(path);
    is_named_so(stem)
        // As in projects that name files after classes: `FooTest.cc`.
        || stem.ends_with("Test")
        || stem.ends_with("Tests")
        || paths::parent(path).split('/').any(|part| is_named_so(part) || part == "t")
}

/// Sources that others of their directory include: these are not compiled by themselves. A test may include the source
/// that it tests, and a source with a header of its own is one also where a part of it is included elsewhere.
fn included_sources(tree: &Tree, includes: &[Includes], tests: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut all = BTreeSet::new();
    for file in (0..tree.len()).filter(|file| !tests.contains(file)) {
        // A source of another directory has a target of its own there.
        let is_near = |of: &usize| paths::parent(tree.path(*of)) == paths::parent(tree.path(file));
        let files = includes[file].files.iter().map(|link| link.file);
        // Also where it would be included on another system: then it is one of several, and not for this one.
        let files = files.chain(includes[file].elsewhere.iter().copied());
        all.extend(
            files.filter(|of| is_source(tree, *of) && is_near(of) && !has_own_header(tree, includes, *of)),
        );
    }
    all
}

/// Whether a source includes a header of its name.
fn has_own_header(tree: &Tree, includes: &[Includes], file: usize) -> bool {
    let mut files = includes[file].files.iter().map(|link| tree.path(link.file));
    files.any(|path| kind(path) == Some(Kind::Header) && paths::stem(path) == paths::stem(tree.path(file)))
}

/// Whether a source includes those of another directory: it is another way to compile these, all at once.
fn is_amalgamation(tree: &Tree, includes: &[Includes], file: usize) -> bool {
    let is_far = |of: usize| paths::parent(tree.path(of)) != paths::parent(tree.path(file));
    includes[file].files.iter().any(|link| is_source(tree, link.file) && is_far(link.file))
}

/// Functions that several of these sources define; of those with the same sources the first.
fn defined_twice(sources: &[usize], facts: &[FileFacts]) -> Vec<(String, Vec<usize>)> {
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for file in sources {
        for name in &facts[*file].functions {
            by_name.entry(name).or_default().push(*file);
        }
    }
    let mut seen = BTreeSet::new();
    let twice = by_name.into_iter().filter(|(_, sources)| sources.len() > 1);
    twice
        .filter(|(_, sources)| seen.insert(sources.clone()))
        .map(|(name, of)| (name.to_owned(), of))
        .collect()
}

/// Of some sources, those named like a header that the program includes (directly or through others) or that the source
/// itself includes. Sources that are listed for one program may be needed by another one, which no build file lists.
/// `None` if one of these headers is that of the main source of another program.
fn implementations(
    tree: &Tree,
    includes: &[Includes],
    program: usize,
    sources: &BTreeSet<usize>,
    mains: &BTreeSet<usize>,
) -> Option<Vec<usize>> {
    let mut found = BTreeSet::new();
    let (mut left, mut seen) = (vec![program], BTreeSet::from([program]));
    while let Some(file) = left.pop() {
        for link in &includes[file].files {
            let header = tree.path(link.file);
            let of_header = ["c", "cc", "cpp", "cxx", "c++", "C"].into_iter().filter_map(|ending| {
                let name = format!("{}.{ending}", paths::stem(header));
                tree.find(&paths::join(paths::parent(header), &name)?)
            });
            // Another one of this name: `config.c` that includes `server.h` need not be that of `config.h`.
            let of_header = of_header.filter(|source| {
                includes[*source].files.is_empty() || has_own_header(tree, includes, *source)
            });
            let of_header: Vec<usize> = of_header.collect();
            if of_header.iter().any(|source| *source != program && mains.contains(source)) {
                return None;
            }
            found.extend(of_header.iter().copied().filter(|source| sources.contains(source)));
            left.extend(of_header.into_iter().chain([link.file]).filter(|file| seen.insert(*file)));
        }
    }
    Some(found.into_iter().collect())
}

/// Directories that are named after the headers in them.
pub(crate) fn is_of_headers(part: &str) -> bool {
    matches!(part, "include" | "includes" | "inc" | "headers" | "public")
}

/// The directory above one for headers.
fn project(directory: &str) -> Option<&str> {
    let all = std::iter::once(directory).chain(paths::above(directory));
    all.filter(|above| is_of_headers(paths::name(above))).last().map(paths::parent)
}

struct Division<'t> {
    tree: &'t Tree,
    owner: Vec<Option<usize>>,
    libraries: Vec<Library>,
    /// The library of a directory.
    of: BTreeMap<String, usize>,
}

impl Division<'_> {
    fn library_of(&mut self, directory: &str) -> usize {
        *self.of.entry(directory.to_owned()).or_insert_with(|| {
            self.libraries.push(Library { directory: directory.to_owned(), ..Library::default() });
            self.libraries.len() - 1
        })
    }

    /// Divides the sources of a directory as its build file does, if that lists them: those of all its programs stay a
    /// library, others belong to the program that they are listed for. So do sources stay that are listed for something
    /// else. Returns those that are not listed at all, each with the build file.
    fn follow_lists(&mut self, programs: &mut [Program]) -> Vec<(usize, usize)> {
        let mut unlisted = Vec::new();
        for (directory, lists) in lists::of_tree(self.tree) {
            let is_here = |program: &&mut Program| {
                paths::parent(self.tree.path(program.source)) == directory && !program.is_test
            };
            let mut here: Vec<&mut Program> = programs.iter_mut().filter(is_here).collect();
            let mains: BTreeSet<usize> = here.iter().map(|program| program.source).collect();
            for program in &mut here {
                let of_it = lists.lists.iter().filter(|list| list.sources.contains(&program.source));
                program.name = match of_it.filter_map(|list| list.name.clone()).collect::<BTreeSet<_>>() {
                    names if names.len() == 1 => names.into_iter().next(),
                    _ => None,
                };
            }
            let Some(&number) = self.of.get(&directory) else { continue };
            let all: BTreeSet<usize> = self.libraries[number].sources.iter().copied().collect();
            let mut own: Vec<(&mut Program, BTreeSet<usize>)> = Vec::new();
            for program in here {
                // A list of several programs is that of none.
                let is_its =
                    |list: &&lists::List| list.sources.intersection(&mains).copied().eq([program.source]);
                // A variable and the rule that uses it are two lists of one program: the longer one has all.
                let longest = lists.lists.iter().filter(is_its).max_by_key(|list| list.sources.len());
                let sources: BTreeSet<usize> =
                    longest.into_iter().flat_map(|list| list.sources.intersection(&all).copied()).collect();
                if !sources.is_empty() {
                    own.push((program, sources));
                }
            }
            let Some((_, first)) = own.first() else { continue };
            // What all programs of a directory are linked with is its library.
            let common = own.iter().fold(first.clone(), |common, (_, sources)| &common & sources);
            let of_programs: BTreeSet<usize> =
                own.iter().flat_map(|(_, sources)| sources.iter().copied()).collect();
            let elsewhere: BTreeSet<usize> = lists
                .lists
                .iter()
                .filter(|list| list.sources.is_disjoint(&mains))
                .flat_map(|list| list.sources.iter().copied())
                .filter(|file| all.contains(file) && !of_programs.contains(file))
                .collect();
            let left: BTreeSet<usize> = all
                .iter()
                .copied()
                .filter(|file| !of_programs.contains(file) && !elsewhere.contains(file))
                .collect();
            // A pattern may mean them.
            let left = if lists.has_patterns { BTreeSet::new() } else { left };
            for (program, sources) in own {
                program.is_listed = true;
                program.more = sources.difference(&common).copied().collect();
                for file in &program.more {
                    self.owner[*file] = None;
                }
            }
            for file in &left {
                self.owner[*file] = None;
                unlisted.push((*file, lists.file));
            }
            let sources = &mut self.libraries[number].sources;
            sources.retain(|file| {
                (!of_programs.contains(file) || common.contains(file)) && !left.contains(file)
            });
        }
        unlisted
    }

    /// Gives each header, and whatever else is included, to a library. Headers that only programs of their directory
    /// include stay without.
    fn add_headers(&mut self, includes: &[Includes], parts: &BTreeSet<usize>, programs: &BTreeSet<usize>) {
        let mut includers: Vec<Vec<usize>> = vec![Vec::new(); self.tree.len()];
        for (file, of_file) in includes.iter().enumerate() {
            for link in &of_file.files {
                includers[link.file].push(file);
            }
        }
        self.add_implemented(includes);
        let mut by_directory: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (file, from) in includers.iter().enumerate() {
            let path = self.tree.path(file);
            let is_header = kind(path) == Some(Kind::Header) || parts.contains(&file) || !from.is_empty();
            if is_header && self.owner[file].is_none() && !programs.contains(&file) {
                by_directory.entry(paths::parent(path)).or_default().push(file);
            }
        }
        // Before libraries of headers are added below.
        let with_sources = self.of.clone();
        for (directory, headers) in &by_directory {
            if let Some(&library) = with_sources.get(*directory) {
                headers.iter().for_each(|file| self.give(*file, library));
                continue;
            }
            let matched: Vec<Option<usize>> = headers.iter().map(|file| self.source_of(*file)).collect();
            // In this order, from the strongest evidence to the weakest: headers of the same directory, the one
            // library of the project, the only user.
            let rest = self
                .only_library(&matched)
                .or_else(|| self.library_beside(directory, headers, includes))
                .or_else(|| self.only_user(directory, headers, &includers));
            let mut left = Vec::new();
            for (&file, matched) in headers.iter().zip(matched) {
                match matched.or(rest) {
                    Some(library) => self.give(file, library),
                    None => left.push(file),
                }
            }
            let is_local = |file: &usize| {
                let near = |from: &usize| paths::parent(self.tree.path(*from)) == *directory;
                programs.iter().any(near) && includers[*file].iter().all(near)
            };
            if left.iter().all(is_local) {
                continue;
            }
            // Headers without sources: with those of the directory above, if that has such headers, too.
            let has_headers =
                |above: &&str| by_directory.contains_key(*above) && !with_sources.contains_key(*above);
            let top = paths::above(directory).take_while(has_headers).last().unwrap_or(directory).to_owned();
            let library = self.library_of(&top);
            left.into_iter().for_each(|file| self.give(file, library));
        }
    }

    /// Gives headers to the library of the source that has their name and includes them, wherever that is, if it is the
    /// only one.
    fn add_implemented(&mut self, includes: &[Includes]) {
        let mut by: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (number, library) in self.libraries.iter().enumerate() {
            for &source in &library.sources {
                let path = self.tree.path(source);
                let of_name = includes[source].files.iter().map(|link| link.file).filter(|file| {
                    let header = self.tree.path(*file);
                    kind(header) == Some(Kind::Header) && paths::stem(header) == paths::stem(path)
                });
                // One beside the source comes first: another one of this name may be that of another source.
                let is_beside = |file: &usize| paths::parent(self.tree.path(*file)) == paths::parent(path);
                let of_name: Vec<usize> = of_name.collect();
                let own: Vec<usize> = of_name.iter().copied().filter(is_beside).collect();
                for header in if own.is_empty() { of_name } else { own } {
                    by.entry(header).or_default().insert(number);
                }
            }
        }
        for (header, libraries) in by {
            // Several may implement a part of it each: then its directory decides.
            if let (1, Some(&library)) = (libraries.len(), libraries.first()) {
                self.give(header, library);
            }
        }
    }

    /// Makes libraries of their own of sources that alone need a library of the system.
    fn split_by_package(&mut self, facts: &[FileFacts], includes: &[Includes]) {
        for number in 0..self.libraries.len() {
            // Again, since a library may have sources for several libraries of the system.
            while let Some(Part { package, sources, headers }) = package_sources::part_of(
                self.tree,
                facts,
                includes,
                &self.libraries[number].sources,
                &self.libraries[number].headers,
            ) {
                let new = self.libraries.len();
                sources.iter().chain(&headers).for_each(|file| self.owner[*file] = Some(new));
                let old = &mut self.libraries[number];
                old.sources.retain(|file| !sources.contains(file));
                old.headers.retain(|file| !headers.contains(file));
                self.libraries.push(Library {
                    directory: self.libraries[number].directory.clone(),
                    package: Some(package),
                    sources: sources.into_iter().collect(),
                    headers: headers.into_iter().collect(),
                    ..Library::default()
                });
            }
        }
    }

    fn give(&mut self, file: usize, library: usize) {
        self.owner[file] = Some(library);
        self.libraries[library].headers.push(file);
    }

    /// The library with the source of the same project that has the name of the header; of several, the nearest.
    fn source_of(&self, header: usize) -> Option<usize> {
        let path = self.tree.path(header);
        let directory = paths::parent(path);
        let project = project(directory).unwrap_or(directory);
        let candidates = ["c", "cc", "cpp", "cxx", "c++", "C"]
            .into_iter()
            .flat_map(|ending| self.tree.named(&format!("{}.{ending}", paths::stem(path))).iter().copied());
        let owned = candidates
            .filter(|file| paths::is_within(self.tree.path(*file), project))
            .filter_map(|file| Some((file, self.owner[file]?)));
        // Of a header `net.h` in `include` and sources `a/net.c` and `b/net.c`, the one with the longest common path is
        // meant.
        owned
            .min_by_key(|(file, _)| std::cmp::Reverse(paths::in_common(path, self.tree.path(*file))))
            .map(|(_, of)| of)
    }

    /// The one library that headers of a directory were given to.
    fn only_library(&self, matched: &[Option<usize>]) -> Option<usize> {
        let all: BTreeSet<usize> = matched.iter().flatten().copied().collect();
        if all.len() == 1 { all.first().copied() } else { None }
    }

    /// For a directory of headers like `p/include` the one library with sources below `p`, apart from tests; of several
    /// the one whose sources include the headers.
    fn library_beside(&self, directory: &str, headers: &[usize], includes: &[Includes]) -> Option<usize> {
        let project = project(directory)?;
        let is_of_project = |library: &Library| {
            let at = &library.directory;
            !library.sources.is_empty() && paths::is_within(at, project) && !is_test(&format!("{at}/x"))
        };
        let all: Vec<usize> =
            (0..self.libraries.len()).filter(|of| is_of_project(&self.libraries[*of])).collect();
        let includes_some = |of: &usize| {
            let mut links = self.libraries[*of].sources.iter().flat_map(|source| &includes[*source].files);
            links.any(|link| headers.contains(&link.file))
        };
        let users: Vec<usize> = all.iter().copied().filter(includes_some).collect();
        match (all.as_slice(), users.as_slice()) {
            ([one], _) | (_, [one]) => Some(*one),
            _ => None,
        }
    }

    /// The library of a directory above, if nothing else uses these headers.
    fn only_user(&self, directory: &str, headers: &[usize], includers: &[Vec<usize>]) -> Option<usize> {
        let (top, library) = paths::above(directory).find_map(|above| Some((above, *self.of.get(above)?)))?;
        let is_own = |from: &usize| {
            let at = paths::parent(self.tree.path(*from));
            at == top || paths::is_within(at, directory)
        };
        headers.iter().flat_map(|file| &includers[*file]).all(is_own).then_some(library)
    }
}

/// Makes one library of those that need each other; returns the new number of each.
fn merge_cycles(tree: &Tree, all: &mut Libraries, includes: &[Includes]) -> Vec<usize> {
    let count = all.libraries.len();
    let (mut needs, mut includes_of) = (vec![BTreeSet::new(); count], vec![BTreeSet::new(); count]);
    for (file, of_file) in includes.iter().enumerate() {
        let Some(from) = all.owner[file] else { continue };
        for link in &of_file.files {
            let Some(to) = all.owner[link.file].filter(|to| *to != from) else { continue };
            includes_of[from].insert(to);
            if all.has_source_of(tree, to, link.file) {
                needs[from].insert(to);
            }
        }
    }
    // By needs alone, not by all includes: a directory that only takes a header with macros from another one does not
    // have to be linked with it.
    let cycle_of = cycles(&needs);
    // The first of a cycle, in the order of paths, gives it its name.
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|library| {
        let directory = &all.libraries[*library].directory;
        (directory.split('/').count(), directory.clone())
    });
    let mut number = BTreeMap::new();
    let mut new = vec![0; count];
    let mut libraries: Vec<Library> = Vec::new();
    for library in order {
        let old = std::mem::take(&mut all.libraries[library]);
        let at = *number.entry(cycle_of[library]).or_insert(libraries.len());
        new[library] = at;
        match libraries.get_mut(at) {
            None => libraries.push(old),
            Some(first) => {
                if old.directory != first.directory {
                    first.merged.push(old.directory);
                }
                first.sources.extend(old.sources);
                first.headers.extend(old.headers);
            }
        }
    }
    for library in &mut libraries {
        library.sources.sort_unstable();
        library.headers.sort_unstable();
    }
    all.libraries = libraries;
    for owner in all.owner.iter_mut().flatten() {
        *owner = new[*owner];
    }
    all.uses = acyclic(&renumbered(&needs, &new), &renumbered(&includes_of, &new));
    new
}

/// The edges between the new numbers, without those of a node to itself.
fn renumbered(edges: &[BTreeSet<usize>], new: &[usize]) -> Vec<BTreeSet<usize>> {
    let mut all = vec![BTreeSet::new(); new.iter().max().map_or(0, |last| last + 1)];
    for (from, to) in edges.iter().enumerate() {
        all[new[from]].extend(to.iter().map(|to| new[*to]).filter(|to| *to != new[from]));
    }
    all
}

/// Edges that have no cycle, and the others as far as they make none.
fn acyclic(edges: &[BTreeSet<usize>], others: &[BTreeSet<usize>]) -> Vec<BTreeSet<usize>> {
    let mut all = edges.to_vec();
    // In the order of the libraries, so that the same tree always gives the same targets. Which of several edges closes
    // a cycle depends on the order, and that one is left out.
    for (from, to) in others.iter().enumerate().flat_map(|(from, to)| to.iter().map(move |to| (from, *to))) {
        if !reaches(&all, to, from) {
            all[from].insert(to);
        }
    }
    all
}

impl Libraries {
    /// Whether a library has the source of a header: then what includes the header needs the library.
    fn has_source_of(&self, tree: &Tree, library: usize, header: usize) -> bool {
        let stem = paths::stem(tree.path(header));
        let mut sources = self.libraries[library].sources.iter();
        sources.any(|source| paths::stem(tree.path(*source)) == stem)
    }
}

/// For each node the number of the cycle (strongly connected component) that it is in: Tarjan's algorithm with a stack
/// of its own.
// Not recursive, as the depth of includes is not bounded.
fn cycles(uses: &[BTreeSet<usize>]) -> Vec<usize> {
    let count = uses.len();
    let (mut index, mut low, mut cycle) = (vec![usize::MAX; count], vec![0; count], vec![usize::MAX; count]);
    let (mut next, mut found, mut open) = (0, 0, Vec::new());
    for start in 0..count {
        if index[start] != usize::MAX {
            continue;
        }
        // Each node on the way with the edges that were not followed yet: the frames of the recursive form.
        let mut path: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut enter = Some(start);
        loop {
            if let Some(node) = enter.take() {
                (index[node], low[node]) = (next, next);
                next += 1;
                open.push(node);
                path.push((node, uses[node].iter().copied().collect()));
            }
            let Some((node, rest)) = path.last_mut() else { break };
            let node = *node;
            match rest.pop() {
                Some(to) if index[to] == usize::MAX => enter = Some(to),
                Some(to) if cycle[to] == usize::MAX => low[node] = low[node].min(index[to]),
                Some(_) => {}
                None => {
                    path.pop();
                    if let Some((above, _)) = path.last() {
                        low[*above] = low[*above].min(low[node]);
                    }
                    if low[node] == index[node] {
                        while let Some(member) = open.pop() {
                            cycle[member] = found;
                            if member == node {
                                break;
                            }
                        }
                        found += 1;
                    }
                }
            }
        }
    }
    cycle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_found() {
        let uses = |edges: &[(usize, usize)]| {
            let mut all = vec![BTreeSet::new(); 5];
            for (from, to) in edges {
                all[*from].insert(*to);
            }
            cycles(&all)
        };
        let found = uses(&[(0, 1), (1, 2), (2, 0), (2, 3), (3, 4)]);
        assert!(found[0] == found[1] && found[1] == found[2], "{found:?}");
        assert!(found[2] != found[3] && found[3] != found[4], "{found:?}");
    }

    #[test]
    fn tests_are_known_by_their_paths() {
        for path in [
            "a_test.c",
            "test-a.c",
            "test.c",
            "tests/a.c",
            "a.test.cc",
            "FooTest.cc",
            "t/a.c",
            "test_lib/a.c",
        ] {
            assert!(is_test(path), "{path}");
        }
        for path in ["latest.c", "testing.c", "attest/a.c", "contest.cc"] {
            assert!(!is_test(path), "{path}");
        }
    }
}
