//! The check of `cargo xtask tidy` for cycles of imports: files of a crate that need each other can only be understood
//! all together.
//!
//! A file imports another one if it names something by a path that leads there. What a file uses of the modules above
//! it does not count, since a module may be divided into files that add to its types.

use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::Visit;

/// A module of a crate, as the names that lead to it.
type Module = Vec<String>;

/// The cycles among these sources, each as the names of its files.
///
/// # Errors
///
/// If a file cannot be read, or is not Rust.
pub(crate) fn violations(root: &Path, sources: &[PathBuf]) -> Result<Vec<String>> {
    let mut crates: BTreeMap<PathBuf, BTreeMap<Module, (String, syn::File)>> = BTreeMap::new();
    for file in sources {
        let name = file.strip_prefix(root)?;
        let Some((source_dir, module)) = place(name) else { continue };
        let text = std::fs::read_to_string(file)?;
        let parsed = syn::parse_file(&text).with_context(|| format!("{} is not Rust", name.display()))?;
        let modules = crates.entry(source_dir).or_default();
        modules.insert(module, (name.to_string_lossy().into_owned(), parsed));
    }
    Ok(crates.values().flat_map(cycles).collect())
}

/// The source directory of a file, and its module.
fn place(file: &Path) -> Option<(PathBuf, Module)> {
    let mut names: Vec<String> = file.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let source = names.iter().position(|name| name == "src")?;
    let mut module = names.split_off(source + 1);
    // A program of its own.
    if module.first().is_some_and(|first| first == "bin") {
        return None;
    }
    let last = module.pop()?;
    match last.strip_suffix(".rs")? {
        "lib" | "main" if module.is_empty() => {}
        "mod" => {}
        name => module.push(name.to_owned()),
    }
    Some((names.into_iter().collect(), module))
}

/// The cycles in a crate.
fn cycles(modules: &BTreeMap<Module, (String, syn::File)>) -> Vec<String> {
    // The closure of each module: crates are small, and a cycle is exactly two modules that reach each other.
    let imports: BTreeMap<&Module, BTreeSet<&Module>> =
        modules.iter().map(|(module, (_, file))| (module, imports(module, file, modules))).collect();
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        imports.keys().map(|module| (*module, reached(module, &imports))).collect();
    let mut found = BTreeSet::new();
    for (module, from_here) in &reached {
        // The files that are reached from here and from which this one is reached.
        let cycle: Vec<&str> = (from_here.iter())
            .filter(|other| reached[*other].contains(*module))
            .map(|other| &*modules[*other].0)
            .collect();
        if !cycle.is_empty() {
            // A set, as each file of a cycle finds the same list.
            found.insert(format!("these files import each other: {}", cycle.join(", ")));
        }
    }
    found.into_iter().collect()
}

fn reached<'m>(
    from: &'m Module,
    imports: &BTreeMap<&'m Module, BTreeSet<&'m Module>>,
) -> BTreeSet<&'m Module> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        open.extend(imports[module].iter().copied().filter(|next| reached.insert(*next)));
    }
    reached
}

/// The modules that a file imports.
fn imports<'m>(
    module: &Module,
    file: &syn::File,
    modules: &'m BTreeMap<Module, (String, syn::File)>,
) -> BTreeSet<&'m Module> {
    let mut paths = Paths { module: module.clone(), found: Vec::new() };
    paths.visit_file(file);
    // What is behind the module in a path is an item of it.
    let longest = |path: &Module| (0..=path.len()).rev().find_map(|n| modules.get_key_value(&path[..n]));
    let found = paths.found.iter().filter_map(longest).map(|(imported, _)| imported);
    // Modules above are left out (see the top), and this one itself.
    found.filter(|imported| !module.starts_with(imported)).collect()
}

/// Collects the paths in a file, each from the root of the crate.
struct Paths {
    /// The module of the code that is visited.
    module: Module,
    found: Vec<Module>,
}

impl Paths {
    /// Notes a path. One that does not say where it begins may begin at a module below this one.
    fn note(&mut self, names: &[String]) {
        let mut at = self.module.clone();
        let mut names = names;
        if names.first().is_some_and(|name| name == "crate") {
            (at, names) = (Module::new(), &names[1..]);
        }
        while let Some((first, rest)) = names.split_first() {
            match first.as_str() {
                "super" => drop(at.pop()),
                "self" => {}
                _ => break,
            }
            names = rest;
        }
        at.extend_from_slice(names);
        self.found.push(at);
    }

    fn note_use(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.note_use(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.note(&with(&name.ident)),
            syn::UseTree::Rename(name) => self.note(&with(&name.ident)),
            // The names in a glob are not known here, but the imported module is.
            syn::UseTree::Glob(_) => self.note(before),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.note_use(before, item));
            }
        }
    }
}

impl<'a> Visit<'a> for Paths {
    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.note_use(&[], &item.tree);
        }
    }

    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            // `super` within a module in the file means the file.
            self.module.push(item.ident.to_string());
            syn::visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        // A single name leads to no other file, or was imported by a `use`, which counts.
        if names.len() > 1 && path.leading_colon.is_none() {
            self.note(&names);
        }
        syn::visit::visit_path(self, path);
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    let is_test = |attribute: &syn::Attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    };
    attributes.iter().any(is_test)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)]) -> Vec<String> {
        let parsed = files.iter().map(|(name, text)| {
            let (_, module) = place(Path::new(name)).unwrap();
            (module, ((*name).to_owned(), syn::parse_file(text).unwrap()))
        });
        cycles(&parsed.collect())
    }

    #[test]
    fn files_that_import_each_other_are_a_cycle() {
        let a = ("crates/x/src/a.rs", "use crate::{b::B, c};");
        let b = ("crates/x/src/b.rs", "fn f() { super::c::f() }");
        let c = ("crates/x/src/c.rs", "struct S(crate::a::A);");
        let all = "crates/x/src/a.rs, crates/x/src/b.rs, crates/x/src/c.rs";
        assert_eq!(check(&[a, b, c]), [format!("these files import each other: {all}")]);
        assert_eq!(check(&[a, b, ("crates/x/src/c.rs", "")]), [] as [&str; 0]);
    }

    #[test]
    fn a_module_and_its_parts_are_no_cycle() {
        let whole = ("crates/x/src/a.rs", "mod b; pub use b::B; fn f() { b::f() }");
        let part = ("crates/x/src/a/b.rs", "use super::A; impl A { fn g() { crate::a::f() } }");
        assert_eq!(check(&[whole, part]), [] as [&str; 0]);
        let other = ("crates/x/src/c.rs", "use crate::a::A;");
        let part = ("crates/x/src/a/b.rs", "use crate::c;");
        assert_eq!(check(&[whole, part, other]).len(), 1);
    }

    #[test]
    fn what_only_tests_import_does_not_count() {
        let a = ("crates/x/src/a.rs", "use crate::b;");
        let b = ("crates/x/src/b.rs", "#[cfg(test)] mod tests { use crate::a; }");
        assert_eq!(check(&[a, b]), [] as [&str; 0]);
    }
}
