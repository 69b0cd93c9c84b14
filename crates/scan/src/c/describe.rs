//! Targets of the rules in the box from libraries and programs, and notes about what is not known.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Kind,
    commands::GeneratedHeader,
    condition::Truth,
    includes::Includes,
    kind,
    libraries::{Libraries, Library, Program, is_test},
    staging::{Staging, TargetFiles},
    system::Origin,
};
use crate::{
    names::Names,
    paths,
    proposal::{Builds, Proposal},
    target::{Rule, Target},
    tree::Tree,
};

/// Adds the targets of all libraries and programs.
pub(crate) fn describe(
    tree: &Tree,
    includes: &[Includes],
    all: &Libraries,
    names: &mut Names,
    proposal: &mut Proposal,
) {
    let staging = Staging { tree, includes, all };
    // Programs first: their names are typed.
    // All names before any target is written: targets refer to each other in both directions.
    let programs: Vec<String> = all.programs.iter().map(|program| name_of(tree, program, names)).collect();
    let libraries: Vec<String> =
        all.libraries.iter().map(|library| names.of_library(&library.directory, library.package)).collect();
    let mut writer = Writer {
        tree,
        includes,
        names,
        libraries,
        packages: BTreeMap::new(),
        generated: BTreeMap::new(),
        doubtful: BTreeSet::new(),
        proposal,
    };
    let units: Vec<TargetFiles> = (0..all.libraries.len()).map(|number| staging.library(number)).collect();
    let of_programs: Vec<TargetFiles> = all.programs.iter().map(|program| staging.program(program)).collect();
    // Notes are about what is in a target: other files of the tree may be for another system.
    let reached: BTreeSet<usize> =
        units.iter().chain(&of_programs).flat_map(|unit| unit.reached.iter().copied()).collect();
    for (number, library) in all.libraries.iter().enumerate() {
        writer.note_defined_twice(number, library);
    }
    // Before anything is written: whether a target is in `default` depends on all that it uses.
    writer.doubt(&units);
    for ((program, name), unit) in all.programs.iter().zip(&programs).zip(&of_programs) {
        writer.program(program, name, unit);
    }
    for (number, unit) in units.iter().enumerate() {
        writer.library(number, &all.libraries[number], unit);
    }
    writer.packages();
    writer.generated();
    note_left_out(tree, all, proposal);
    note_missing(tree, includes, &reached, proposal);
    note_unknown(tree, includes, &reached, proposal);
}

/// How many files a note names.
const MAX_SHOWN: usize = 3;

/// "a, b and c".
fn with_and(words: &[String]) -> String {
    match words {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        _ => words.join(", "),
    }
}

fn name_of(tree: &Tree, program: &Program, names: &mut Names) -> String {
    let path = tree.path(program.source);
    if let Some(name) = &program.name {
        return names.of_file(name, path);
    }
    match paths::stem(path) {
        "main" => {
            let name = names.of_directory(paths::parent(path));
            names.of_file(&name, path)
        }
        stem => names.of_file(stem, path),
    }
}

/// Whether a path is that of an example or experiment, which not each build makes.
fn is_aside(path: &str) -> bool {
    let names = paths::parent(path).split('/').chain([paths::stem(path)]);
    let is_word = |word: &str| {
        // Singular or plural.
        let word = word.strip_suffix('s').unwrap_or(word);
        matches!(
            word,
            "example" | "demo" | "sample" | "experiment" | "fuzz" | "fuzzer" | "fuzzing" | "contrib"
        )
    };
    names.flat_map(|name| name.split(['-', '_', '.'])).any(is_word)
}

struct Writer<'a> {
    tree: &'a Tree,
    includes: &'a [Includes],
    names: &'a mut Names,
    /// The names of the libraries.
    libraries: Vec<String>,
    /// The target of each library of the system that pkg-config is asked for.
    packages: BTreeMap<&'static str, String>,
    /// The target of each header that a script makes.
    generated: BTreeMap<GeneratedHeader, String>,
    /// Libraries that may not build.
    doubtful: BTreeSet<usize>,
    proposal: &'a mut Proposal,
}

/// What the files of a target need of the system.
#[derive(Default)]
struct System {
    words: BTreeSet<&'static str>,
    packages: BTreeSet<&'static str>,
}

impl Writer<'_> {
    /// Finds the libraries that may not build: something that they include is missing, or they use such a library.
    fn doubt(&mut self, units: &[TargetFiles]) {
        for (number, unit) in units.iter().enumerate() {
            if self.lacks_something(unit) {
                self.doubtful.insert(number);
            }
        }
        loop {
            // What uses a doubtful library is doubtful, too: until nothing more is found.
            let uses = |unit: &TargetFiles| {
                unit.deps.iter().chain(&unit.private_deps).any(|dep| self.doubtful.contains(dep))
            };
            let more: Vec<usize> = (0..units.len())
                .filter(|number| !self.doubtful.contains(number) && uses(&units[*number]))
                .collect();
            if more.is_empty() {
                return;
            }
            self.doubtful.extend(more);
        }
    }

    /// Notes that several sources of a library define one function, so it may not build.
    fn note_defined_twice(&mut self, number: usize, library: &Library) {
        // The one that most sources define.
        let Some((function, sources)) = library.defined_twice.iter().max_by_key(|(_, of)| of.len()) else {
            return;
        };
        self.doubtful.insert(number);
        let shown = sources.iter().take(MAX_SHOWN).map(|file| self.tree.path(*file));
        let mut files: Vec<String> = shown.map(str::to_owned).collect();
        files.extend((sources.len() > MAX_SHOWN).then(|| format!("{} more", sources.len() - MAX_SHOWN)));
        let more = match library.defined_twice.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        self.proposal.note(format!(
            "{}: {} define the same function, {function}{more}, and which one is meant depends on the program. Leave all but \
             one out, or list them in \"srcs\" of the programs.",
            self.libraries[number],
            with_and(&files),
        ));
    }

    fn lacks_something(&self, unit: &TargetFiles) -> bool {
        let lacks = |file: &usize| {
            let includes = &self.includes[*file];
            !includes.missing.is_empty() || !includes.unknown.is_empty()
        };
        !unit.ambiguous.is_empty() || unit.reached.iter().any(lacks)
    }

    fn system(&self, unit: &TargetFiles) -> System {
        let mut all = System::default();
        for (origin, is_compiled) in unit.reached.iter().flat_map(|file| &self.includes[*file].system) {
            match origin {
                // Whatever the condition: a word for the linker too many does no harm.
                Origin::Standard(words) => all.words.extend(*words),
                // On a condition that is not known, the library may not be needed, or not be there.
                Origin::Package(package) if *is_compiled == Truth::Yes => drop(all.packages.insert(package)),
                Origin::Package(_) => {}
            }
        }
        all
    }

    fn paths(&self, files: impl IntoIterator<Item = usize>) -> Vec<String> {
        files.into_iter().map(|file| self.tree.path(file).to_owned()).collect()
    }

    /// Headers that a target is compiled with: files, and targets of those that scripts make.
    fn private_headers(&mut self, unit: &TargetFiles) -> Vec<String> {
        let mut all = self.paths(unit.private_headers.iter().copied());
        for header in unit.reached.iter().flat_map(|file| &self.includes[*file].generated) {
            let names = &mut self.names;
            let path = &header.path;
            let name = self
                .generated
                .entry(header.clone())
                .or_insert_with(|| names.take(paths::name(path), &[format!("made {path}")]));
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        all
    }

    /// Macros that the sources of a target are compiled with.
    fn passed(&self, unit: &TargetFiles) -> BTreeSet<String> {
        let all = unit.reached.iter().flat_map(|file| &self.includes[*file].passed);
        all.map(|(name, value)| format!("{name}={value}")).collect()
    }

    fn deps(&mut self, libraries: &BTreeSet<usize>, packages: &BTreeSet<&'static str>) -> Vec<String> {
        let mut all: Vec<String> = libraries.iter().map(|library| self.libraries[*library].clone()).collect();
        for package in packages {
            let names = &mut self.names;
            let name = self
                .packages
                .entry(package)
                .or_insert_with(|| names.take(package, &[format!("{package}-system")]));
            all.push(name.clone());
        }
        all
    }

    fn program(&mut self, program: &Program, name: &str, unit: &TargetFiles) {
        let path = self.tree.path(program.source).to_owned();
        let mut system = self.system(unit);
        // The `main` of GoogleTest is in a library of its own.
        if program.needs_main {
            system.packages.insert("gtest_main");
        }
        let rule = Rule::InTheBox("cc", if program.is_test { "test" } else { "binary" });
        let target = Target::new(name, rule)
            .texts("name", [name])
            .texts("srcs", self.paths(unit.sources.iter().copied()))
            .texts("private hdrs", self.private_headers(unit))
            .texts("defines", self.passed(unit))
            .texts("include dirs", unit.private_directories.iter().cloned())
            .texts("deps", self.deps(&unit.deps, &system.packages))
            .texts("libs", system.words);
        self.note_ambiguous(name, unit);
        if !program.is_certain {
            self.proposal.note(format!(
                "{path}: its main is compiled on a condition that could not be decided; it is a program here."
            ));
        }
        let is_doubtful = self.lacks_something(unit)
            || unit.deps.iter().any(|dep| self.doubtful.contains(dep))
            || program.needs_another
            || is_aside(&path);
        let builds = if is_doubtful { Builds::Perhaps } else { Builds::Surely };
        let kind = if program.is_test { "test" } else { "program" };
        let from = match program.more.len() {
            0 => path,
            1 => format!("{path} and 1 other source"),
            count => format!("{path} and {count} other sources"),
        };
        self.proposal.add(kind, target, from, builds);
    }

    fn library(&mut self, number: usize, library: &Library, unit: &TargetFiles) {
        let name = self.libraries[number].clone();
        let system = self.system(unit);
        let has_sources = !unit.sources.is_empty();
        // Of libz.a the name is z.
        let short = name.strip_prefix("lib").filter(|rest| rest.starts_with(|c: char| c.is_alphanumeric()));
        let file_name = short.unwrap_or(&name);
        // What users of a package need comes with the library that includes its headers.
        let target = Target::new(&name, Rule::InTheBox("cc", "library"))
            .texts("name", has_sources.then_some(file_name))
            .texts("srcs", self.paths(unit.sources.iter().copied()))
            .texts("hdrs", self.paths(unit.headers.iter().copied()))
            .texts("private hdrs", self.private_headers(unit))
            .texts("private defines", self.passed(unit))
            .texts("include dirs", unit.base.clone())
            .texts("private include dirs", unit.private_directories.iter().cloned())
            .texts("deps", self.deps(&unit.deps, &system.packages))
            .texts("private deps", self.deps(&unit.private_deps, &BTreeSet::new()))
            .texts("libs", system.words);
        self.note_ambiguous(&name, unit);
        let shown =
            |directory: &str| if directory.is_empty() { ".".to_owned() } else { directory.to_owned() };
        if !library.merged.is_empty() {
            let others: Vec<String> = library.merged.iter().map(|directory| shown(directory)).collect();
            self.proposal.note(format!(
                "{} and {} include each other's headers: they are one library, {name}.",
                shown(&library.directory),
                others.join(", ")
            ));
        }
        let of = |count: usize, what: &str| {
            (count > 0).then(|| format!("{count} {what}{}", if count == 1 { "" } else { "s" }))
        };
        let counts: Vec<String> = [of(unit.sources.len(), "source"), of(library.headers.len(), "header")]
            .into_iter()
            .flatten()
            .collect();
        let from = format!("{}: {}", shown(&library.directory), counts.join(", "));
        // What is for tests or examples only is built with these.
        let is_for_others =
            is_test(&format!("{}/x", library.directory)) || is_aside(&format!("{}/x", library.directory));
        let builds =
            if is_for_others || self.doubtful.contains(&number) { Builds::Perhaps } else { Builds::Surely };
        self.proposal.add("library", target, from, builds);
    }

    fn note_ambiguous(&mut self, name: &str, unit: &TargetFiles) {
        for spelled in &unit.ambiguous {
            self.proposal.note(format!(
                "{name}: several files fit the name {spelled} in its sources; say which by \"include dirs\"."
            ));
        }
    }

    /// Adds the headers that scripts make, each by its script.
    fn generated(&mut self) {
        for (GeneratedHeader { path, script }, name) in &self.generated {
            let script = self.tree.path(*script);
            let directory = paths::parent(script);
            // In its own directory, since it writes the header beside itself (`commands.rs`).
            let call = format!("sh ./{}", quoted_for_shell(paths::name(script)));
            let call = match directory {
                "" => call,
                directory => format!("cd {} && {call}", quoted_for_shell(directory)),
            };
            let target = Target::new(name, Rule::InTheBox("", "genrule"))
                .texts("outs", [path.clone()])
                .texts("srcs", [script])
                .texts("cmds", [call]);
            self.proposal.add_part(target);
            self.proposal.note(format!(
                "{path}: {script} makes it, in the target {}. Add what the script reads to \"srcs\".",
                taut_value::quoted(name)
            ));
        }
    }

    /// Adds the libraries of the system that are in use.
    fn packages(&mut self) {
        for (package, name) in &self.packages {
            let rule = Rule::InTheBox("cc", "system library");
            let target = Target::new(name, rule).texts("pkg-config", [*package]);
            self.proposal.add_package(package, target);
        }
    }
}

/// A word as a shell reads it.
fn quoted_for_shell(word: &str) -> String {
    // Quoted only where that is needed: the command is read by people in the targets file.
    let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "._-/+".contains(c));
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// Notes the sources that are in no target.
fn note_left_out(tree: &Tree, all: &Libraries, proposal: &mut Proposal) {
    for file in &all.amalgamations {
        proposal.note(format!(
            "{}: it includes sources of other directories, and is in no target.",
            tree.path(*file)
        ));
    }
    let mut unlisted: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (file, list) in &all.unlisted {
        unlisted.entry(*list).or_default().push(tree.path(*file));
    }
    for (list, files) in unlisted {
        proposal.note(format!(
            "{}: it lists the sources of its programs, but not {}, which is in no target.",
            tree.path(list),
            files.join(", ")
        ));
    }
}

/// Notes each `#include` of a macro whose value is not known.
fn note_unknown(tree: &Tree, includes: &[Includes], reached: &BTreeSet<usize>, proposal: &mut Proposal) {
    for &file in reached {
        for (line, name) in &includes[file].unknown {
            proposal.note(format!(
                "{}:{line}: what is included here is the value of the macro {name}, which is not known. Define it in \
                 \"private defines\" or \"defines\", and add the file to \"private hdrs\".",
                tree.path(file)
            ));
        }
    }
}

/// Notes each name that is included but not there, with the first place.
fn note_missing(tree: &Tree, includes: &[Includes], reached: &BTreeSet<usize>, proposal: &mut Proposal) {
    let mut places: BTreeMap<(&str, bool), Vec<(usize, u32)>> = BTreeMap::new();
    for &file in reached {
        for include in &includes[file].missing {
            // By name: one missing header is one note, however many files include it.
            places.entry((&include.spelled, include.is_quoted)).or_default().push((file, include.line));
        }
    }
    let mut by_prefix: BTreeMap<(&str, &str), Vec<Renamed<'_>>> = BTreeMap::new();
    // The same header may be included by several names.
    let mut by_template: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for ((spelled, is_quoted), places) in places {
        let (file, line) = places[0];
        let more = match places.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let at = format!("{}:{line}{more}", tree.path(file));
        if let Some((header, directory, prefix)) = by_another_name(tree, file, spelled) {
            let (open, close) = if is_quoted { ('"', '"') } else { ('<', '>') };
            let renamed = Renamed { at, written: format!("{open}{spelled}{close}"), header };
            // One library serves all with these names.
            by_prefix.entry((directory, prefix)).or_default().push(renamed);
            continue;
        }
        if let Some(template) = template(tree, file, spelled) {
            let (open, close) = if is_quoted { ('"', '"') } else { ('<', '>') };
            by_template.entry(template).or_default().push(format!("{at}: {open}{spelled}{close}"));
            continue;
        }
        proposal.note(match is_quoted {
            true => format!(
                "{at}: \"{spelled}\" is not there. If a command makes it, write a genrule, and add that to \"hdrs\" or \
                 \"private hdrs\" of the target."
            ),
            false => format!(
                "{at}: <{spelled}> is neither here nor known. If a library of the system has it, write a target of the \
                 rule \"system library\", and add that to \"deps\"."
            ),
        });
    }
    for (template, places) in by_template {
        proposal.note(format!(
            "{} is not there, but {template}, from which another build makes it. Copy what that build has made, or make the \
             header by a genrule, and add it to \"hdrs\" or \"private hdrs\" of the target.",
            with_and(&places)
        ));
    }
    for ((directory, prefix), all) in by_prefix {
        note_renamed(directory, prefix, &all, proposal);
    }
}

/// The file from which another build makes a header: `config.h.in` with Autoconf or Meson, with CMake also
/// `config.h.cmake` and the like. The nearest of several.
fn template<'t>(tree: &'t Tree, from: usize, spelled: &str) -> Option<&'t str> {
    let name = paths::name(spelled);
    let endings = ["in", "cmake", "cmake.in", "in.cmake", "cmakein", "meson"];
    let all = endings.iter().flat_map(|ending| tree.named(&format!("{name}.{ending}")));
    let near = |path: &&str| {
        std::cmp::Reverse(paths::in_common(paths::parent(tree.path(from)), paths::parent(path)))
    };
    all.map(|file| tree.path(*file)).min_by_key(near)
}

/// A header that is included by a name which it does not have in the tree.
struct Renamed<'t> {
    /// The first place, and how many more there are.
    at: String,
    /// The name with its quotes or brackets.
    written: String,
    header: &'t str,
}

/// Notes headers that a library with another `include prefix` would give the names by which they are included.
fn note_renamed(directory: &str, prefix: &str, all: &[Renamed<'_>], proposal: &mut Proposal) {
    let places: Vec<String> = all.iter().map(|one| format!("{}: {}", one.at, one.written)).collect();
    let headers: BTreeSet<&str> = all.iter().map(|one| one.header).collect();
    let headers: Vec<String> = headers.into_iter().map(taut_value::quoted).collect();
    // The rules compare paths by their text, so the directory of the module itself is not written.
    let directories = match directory {
        "" => String::new(),
        directory => format!(", \"include dirs\": [{}]", taut_value::quoted(directory)),
    };
    proposal.note(format!(
        "{} {} elsewhere. If {} meant, write a library with \"hdrs\": [{}]{directories} and \"include prefix\": [{}], and \
         add it to \"deps\", beside the library of the sources.",
        with_and(&places),
        if places.len() == 1 { "is not there, but a file of that name is" } else { "are not there, but files of these names are" },
        if places.len() == 1 { "that is" } else { "these are" },
        headers.join(", "),
        taut_value::quoted(prefix),
    ));
}

/// The header that is probably meant by a name whose first directories are not in the tree, as if a build had copied
/// it. Returns its path, the directory to which the rest of the name is relative, and the first directories.
fn by_another_name<'t>(tree: &'t Tree, from: usize, spelled: &'t str) -> Option<(&'t str, &'t str, &'t str)> {
    // The longest end of the name first: it says most about which file is meant.
    let ends = spelled.match_indices('/').map(|(at, _)| spelled.split_at(at));
    let is_header = |file: &&usize| kind(tree.path(**file)) == Some(Kind::Header);
    let headers: Vec<usize> = tree.named(paths::name(spelled)).iter().filter(is_header).copied().collect();
    ends.filter(|(prefix, _)| !prefix.is_empty()).find_map(|(prefix, rest)| {
        let rest = rest.trim_start_matches('/');
        let fitting = headers.iter().filter_map(|file| {
            let path = tree.path(*file);
            Some((path, paths::without_suffix(path, rest)?))
        });
        // The nearest, as for a name that is there (`includes.rs`).
        let near = |path: &str| paths::in_common(paths::parent(tree.path(from)), paths::parent(path));
        let (path, directory) =
            fitting.min_by_key(|(path, directory)| (std::cmp::Reverse(near(path)), directory.len()))?;
        Some((path, directory, prefix))
    })
}
