//! Targets for Python: a library for each package and for loose modules of a directory, programs, tests.
//!
//! Dependencies are the packages and modules of the tree that are imported by their names.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    edges::reaches,
    names::Names,
    paths,
    proposal::{Builds, Proposal},
    target::{Field, Rule, Target},
    tree::Tree,
};

/// Files that are tools of the project, not parts of it.
// For setuptools, nox, invoke and Sphinx.
const TOOLS: [&str; 4] = ["setup.py", "noxfile.py", "tasks.py", "conf.py"];

/// Files that modules read, by their endings.
// `typed` is the marker `py.typed` of PEP 561.
const DATA: [&str; 11] = ["cfg", "csv", "html", "ini", "json", "pyi", "sql", "toml", "txt", "typed", "yaml"];

pub(crate) fn propose(tree: &Tree, names: &mut Names, proposal: &mut Proposal) {
    let files: Vec<usize> =
        tree.with_ending("py").filter(|file| !TOOLS.contains(&paths::name(tree.path(*file)))).collect();
    if files.is_empty() {
        return;
    }
    let texts: BTreeMap<usize, ModuleText> =
        files.iter().map(|file| (*file, ModuleText::read(&tree.text(*file)))).collect();
    let mut project = Project { tree, texts, libraries: Vec::new() };
    // Tests first, then what lies in directories for tests: the rest is what is delivered.
    let (tests, others): (Vec<usize>, Vec<usize>) = files.iter().partition(|file| is_test(tree.path(**file)));
    let (support, others): (Vec<usize>, Vec<usize>) = others.into_iter().partition(|file| {
        paths::parent(tree.path(*file)).split('/').any(|part| matches!(part, "test" | "tests"))
    });
    // Packages before loose modules: what is in a package belongs to it, whatever it does.
    project.add_packages(&others, names);
    let loose: Vec<usize> =
        others.iter().copied().filter(|file| project.package_of(tree.path(*file)).is_none()).collect();
    let programs = project.add_modules(&loose, &files, names);
    project.write_libraries(proposal);
    project.write_programs(&programs, names, proposal);
    project.write_tests(&tests, &support, names, proposal);
    project.note_others(proposal);
}

fn is_test(path: &str) -> bool {
    let stem = paths::stem(path);
    // The patterns by which pytest collects files.
    stem.starts_with("test_") || stem.ends_with("_test")
}

/// Facts from the text of a module.
struct ModuleText {
    /// The first components of the names of imported modules.
    imports: BTreeSet<String>,
    /// It does something if it is executed.
    is_program: bool,
    /// It has functions that pytest calls, or uses pytest.
    is_for_pytest: bool,
}

impl ModuleText {
    fn read(text: &str) -> ModuleText {
        let mut imports = BTreeSet::new();
        let mut has_functions = false;
        // Line by line, not by a parser: a proposal may miss an import that is written over several lines, or take
        // one from a text, and its reader sees that in the targets file.
        for line in text.lines() {
            has_functions |= line.starts_with("def test") || line.starts_with("async def test");
            let mut words = line.split_whitespace();
            match words.next() {
                Some("from") => {
                    let module = words.next().unwrap_or_default();
                    // `from . import x`: the module has no name before the dot, and is dropped below.
                    if words.next() == Some("import") {
                        imports.insert(module.split('.').next().unwrap_or_default().to_owned());
                    }
                }
                Some("import") => {
                    let line = line.split('#').next().unwrap_or_default().trim_start();
                    let modules = line["import".len()..].split(',');
                    let first =
                        |module: &str| module.trim().split(['.', ' ']).next().unwrap_or_default().to_owned();
                    imports.extend(modules.map(first));
                }
                _ => {}
            }
        }
        // What is left of lines of text that begin with these words.
        imports.retain(|name| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_'));
        // Functions at the top level are collected by pytest only; unittest runs methods of classes.
        let is_for_pytest = imports.contains("pytest") || (has_functions && !imports.contains("unittest"));
        let is_program = text.starts_with("#!")
            || text.lines().any(|line| line.starts_with("if __name__ ==") && line.contains("__main__"));
        ModuleText { imports, is_program, is_for_pytest }
    }
}

/// A library: a package, or modules of a directory.
struct Library {
    name: String,
    /// The directory of the files.
    directory: String,
    /// The directory that is searched for imports.
    root: String,
    /// The names by which it is imported.
    modules: BTreeSet<String>,
    files: Vec<usize>,
    is_package: bool,
}

struct Project<'t> {
    tree: &'t Tree,
    texts: BTreeMap<usize, ModuleText>,
    libraries: Vec<Library>,
}

impl Project<'_> {
    fn is_package(&self, directory: &str) -> bool {
        !directory.is_empty() && self.tree.find(&format!("{directory}/__init__.py")).is_some()
    }

    /// The directory of the outermost package that a path is in.
    fn top_package<'p>(&self, path: &'p str) -> Option<&'p str> {
        paths::above(path).take_while(|directory| self.is_package(directory)).last()
    }

    /// The library of the package that a path is in.
    fn package_of(&self, path: &str) -> Option<usize> {
        let top = self.top_package(path)?;
        self.libraries.iter().position(|library| library.is_package && library.directory == top)
    }

    fn add_packages(&mut self, files: &[usize], names: &mut Names) {
        let tree = self.tree;
        // One library for a package with all below it: inside, modules import each other in any direction.
        let tops: BTreeSet<&str> =
            files.iter().filter_map(|file| self.top_package(tree.path(*file))).collect();
        for top in tops {
            let is_data = |path: &str| DATA.contains(&paths::ending(path));
            let is_part = |file: &usize| {
                let path = tree.path(*file);
                paths::is_within(path, top) && (files.contains(file) || is_data(path))
            };
            self.libraries.push(Library {
                name: names.take(paths::name(top), &[format!("{}-py", paths::name(top)), top.to_owned()]),
                directory: top.to_owned(),
                root: paths::parent(top).to_owned(),
                modules: BTreeSet::from([paths::name(top).to_owned()]),
                files: (0..tree.len()).filter(is_part).collect(),
                is_package: true,
            });
        }
    }

    /// Adds a library for the modules of each directory; returns the programs among the files.
    fn add_modules(&mut self, loose: &[usize], all: &[usize], names: &mut Names) -> Vec<usize> {
        let mut directories: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut programs = Vec::new();
        for &file in loose {
            let path = self.tree.path(file);
            let stem = paths::stem(path);
            let is_program = self.texts[&file].is_program || stem == "__main__" || stem == "main";
            if is_program {
                programs.push(file);
            }
            // A script that others import is both: a program, and a module of the library of its directory.
            let is_imported =
                || all.iter().any(|other| *other != file && self.texts[other].imports.contains(stem));
            if !is_program || is_imported() {
                directories.entry(paths::parent(path)).or_default().push(file);
            }
        }
        for (directory, files) in directories {
            self.libraries.push(Library {
                name: names.take(
                    &format!("{}-modules", names.of_directory(directory)),
                    &[format!("{directory}-modules")],
                ),
                directory: directory.to_owned(),
                root: directory.to_owned(),
                modules: files.iter().map(|file| paths::stem(self.tree.path(*file)).to_owned()).collect(),
                files,
                is_package: false,
            });
        }
        programs
    }

    /// The libraries that a file imports; of several with one name, the nearest.
    fn deps(&self, file: usize, own: Option<usize>) -> BTreeSet<usize> {
        let near =
            |library: &usize| paths::in_common(self.tree.path(file), &self.libraries[*library].directory);
        let of_name = |name: &String| {
            let fits = |library: &usize| self.libraries[*library].modules.contains(name);
            (0..self.libraries.len())
                .filter(fits)
                // Of equally near ones the first.
                .max_by_key(|library| (near(library), std::cmp::Reverse(*library)))
        };
        self.texts
            .get(&file)
            .into_iter()
            .flat_map(|text| &text.imports)
            .filter_map(of_name)
            .filter(|of| Some(*of) != own)
            .collect()
    }

    fn named(&self, libraries: &BTreeSet<usize>) -> Vec<String> {
        libraries.iter().map(|library| self.libraries[*library].name.clone()).collect()
    }

    fn paths(&self, files: &[usize]) -> Vec<String> {
        files.iter().map(|file| self.tree.path(*file).to_owned()).collect()
    }

    fn write_libraries(&self, proposal: &mut Proposal) {
        // Imports may be cyclic, dependencies may not: a library depends only on those that do not need it.
        let mut uses: Vec<BTreeSet<usize>> = Vec::new();
        for (number, library) in self.libraries.iter().enumerate() {
            let deps: BTreeSet<usize> =
                library.files.iter().flat_map(|file| self.deps(*file, Some(number))).collect();
            // In the order of the libraries, so that the same tree always drops the same one.
            let (kept, dropped) = deps.into_iter().partition(|dep| !reaches(&uses, *dep, number));
            let dropped: BTreeSet<usize> = dropped;
            if !dropped.is_empty() {
                proposal.note(format!(
                    "{} imports {}, which imports it: what uses one of them has to name both in \"deps\".",
                    library.name,
                    self.named(&dropped).join(", ")
                ));
            }
            uses.push(kept);
        }
        for (library, deps) in self.libraries.iter().zip(&uses) {
            let target = Target::new(&library.name, Rule::InTheBox("python", "library"))
                .texts("srcs", self.paths(&library.files))
                .texts("strip", (!library.root.is_empty()).then_some(library.root.as_str()))
                .texts("deps", self.named(deps));
            let count = library.files.len();
            let files = format!("{count} file{}", if count == 1 { "" } else { "s" });
            let at = if library.directory.is_empty() { "." } else { &library.directory };
            proposal.add("library", target, format!("{at}: {files}"), Builds::Surely);
        }
    }

    fn write_programs(&self, programs: &[usize], names: &mut Names, proposal: &mut Proposal) {
        let rule = Rule::InTheBox("python", "binary");
        for &file in programs {
            let path = self.tree.path(file);
            let name = match paths::stem(path) {
                "main" | "__main__" => names.of_directory(paths::parent(path)),
                stem => stem.to_owned(),
            };
            let name = names.of_file(&name, path);
            let deps = self.deps(file, None);
            let target = Target::new(&name, rule)
                .texts("name", [&name])
                .texts("main", [path])
                .texts("deps", self.named(&deps));
            proposal.add("program", target, path.to_owned(), Builds::Surely);
        }
        for library in self.libraries.iter().filter(|library| library.is_package) {
            // A package that `python -m` can execute.
            let path = format!("{}/__main__.py", library.directory);
            if self.tree.find(&path).is_none() {
                continue;
            }
            let package = paths::name(&library.directory);
            let name = names.take(&format!("{package}-program"), &[format!("{}-program", library.directory)]);
            // Executed as a part of the package, since it may import from it by `from .`.
            let main = names.take(&format!("{name}-main"), &[]);
            let text = format!(
                "import runpy\nrunpy.run_module(\"{package}\", run_name=\"__main__\", alter_sys=True)\n"
            );
            proposal.add_part(
                Target::new(&main, Rule::BuiltIn("file_gen"))
                    .with("name", Field::Text(format!("{main}.py")))
                    .with("data", Field::Text(text)),
            );
            let target = Target::new(&name, rule)
                .texts("name", [package])
                .texts("main", [main])
                .texts("deps", [&library.name]);
            proposal.add("program", target, path, Builds::Surely);
        }
    }

    fn write_tests(&self, tests: &[usize], support: &[usize], names: &mut Names, proposal: &mut Proposal) {
        // The directory from which the package is imported: a path in the stage begins there.
        let root_of = |path: &str| {
            self.package_of(path).map(|package| self.libraries[package].root.as_str()).unwrap_or("")
        };
        let mut directories: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for &file in support {
            directories.entry(paths::parent(self.tree.path(file))).or_default().push(file);
        }
        let mut helpers = Vec::new();
        for (directory, files) in directories {
            let name = names.take(
                &format!("{}-support", names.of_directory(directory)),
                &[format!("{directory}-support")],
            );
            let deps: BTreeSet<usize> = files.iter().flat_map(|file| self.deps(*file, None)).collect();
            // The package of a file in the directory: that of the directory itself, if it is one.
            let root = root_of(&format!("{directory}/x"));
            let target = Target::new(&name, Rule::InTheBox("python", "library"))
                .texts("srcs", self.paths(&files))
                .texts("strip", (!root.is_empty()).then_some(root))
                .texts("deps", self.named(&deps));
            proposal.add_part(target);
            helpers.push((directory, name));
        }
        let mut with_pytest = 0;
        for &file in tests {
            let path = self.tree.path(file);
            let name = names.of_file(paths::stem(path), path);
            let mut deps = self.deps(file, None);
            deps.extend(self.package_of(path));
            let mut source = path.to_owned();
            let root = root_of(path);
            if !root.is_empty() {
                // A test in a package imports from it as the package is imported, so its path begins at the same
                // directory.
                source = names.take(&format!("{name}-file"), &[]);
                let group = Target::new(&source, Rule::InTheBox("", "files"));
                proposal.add_part(group.texts("srcs", [path]).texts("strip", [root]));
            }
            let is_for_pytest = self.texts[&file].is_for_pytest;
            with_pytest += usize::from(is_for_pytest);
            let near = helpers.iter().filter(|(directory, _)| paths::is_within(path, directory));
            let target = Target::new(&name, Rule::InTheBox("python", "test"))
                .texts("name", [&name])
                .texts("srcs", [source])
                .texts("framework", is_for_pytest.then_some("pytest"))
                .texts("deps", self.named(&deps).into_iter().chain(near.map(|(_, name)| name.clone())));
            proposal.add("test", target, path.to_owned(), Builds::Surely);
        }
        if with_pytest > 0 {
            proposal.note("Tests use pytest, which has to be installed for python3, or for what the variable PYTHON names.".to_owned());
        }
    }

    /// Notes what is imported but neither here nor in the standard library.
    fn note_others(&self, proposal: &mut Proposal) {
        let own: BTreeSet<&str> = self
            .texts
            .keys()
            .flat_map(|file| {
                let path = self.tree.path(*file);
                [paths::stem(path), paths::name(paths::parent(path))]
            })
            .collect();
        let is_other = |name: &&String| {
            let name = name.as_str();
            name != "pytest"
                && !own.contains(name)
                && !STANDARD.split_ascii_whitespace().any(|module| module == name)
        };
        let others: BTreeSet<&str> =
            self.texts.values().flat_map(|text| &text.imports).filter(is_other).map(String::as_str).collect();
        if !others.is_empty() {
            let others: Vec<&str> = others.into_iter().collect();
            proposal.note(format!("Python modules that are imported, but not here: {}.", others.join(", ")));
        }
    }
}

/// The modules of Python 3 that are used most.
const STANDARD: &str = "
    __future__ abc argparse array ast asyncio atexit base64 binascii bisect builtins bz2 calendar cmath cmd code codecs
    collections colorsys compileall concurrent configparser contextlib contextvars copy copyreg cProfile csv ctypes curses
    dataclasses datetime dbm decimal difflib dis doctest email encodings ensurepip enum errno faulthandler fcntl filecmp
    fileinput fnmatch fractions ftplib functools gc getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac html
    http imaplib importlib inspect io ipaddress itertools json keyword linecache locale logging lzma mailbox marshal math
    mimetypes mmap modulefinder multiprocessing netrc numbers operator optparse os pathlib pdb pickle pickletools pkgutil
    platform plistlib poplib posix posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc queue quopri random re
    readline reprlib resource rlcompleter runpy sched secrets select selectors shelve shlex shutil signal site smtplib
    socket socketserver sqlite3 ssl stat statistics string stringprep struct subprocess symtable sys sysconfig syslog
    tarfile tempfile termios test textwrap threading time timeit tkinter token tokenize tomllib trace traceback tracemalloc
    tty turtle types typing unicodedata unittest urllib uuid venv warnings wave weakref webbrowser wsgiref xml xmlrpc
    zipapp zipfile zipimport zlib zoneinfo";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_and_frameworks_are_read_from_lines() {
        let text = ModuleText::read(
            "import os, a.b as c # d\n    from e.f import g\nfrom . import h\nfrom nowhere\ndef test_x(): pass\n",
        );
        assert_eq!(text.imports.iter().collect::<Vec<_>>(), ["a", "e", "os"]);
        assert!(text.is_for_pytest && !text.is_program);
        assert!(!ModuleText::read("import unittest\ndef tests(): pass").is_for_pytest);
        assert!(ModuleText::read("if __name__ == '__main__':\n    main()").is_program);
    }
}
