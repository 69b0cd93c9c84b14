//! Which file each `#include` means.
//!
//! A name in quotes is looked up from the directory of the file first. Everything else is found by the end of its path: the
//! directory before that end is one that a build would pass by `-I`. If several files fit, the one that is nearest to the
//! file with the `#include` is taken. Names of the standard libraries mean these, unless they are in quotes.

use std::collections::BTreeSet;

use super::{
    commands::{GeneratedHeader, made},
    condition::Truth,
    facts::{FileFacts, Include},
    system::{self, Origin},
};
use crate::{paths, tree::Tree};

/// The includes of a file that are compiled, or may be.
#[derive(Default, Debug)]
pub(crate) struct Includes {
    pub(crate) files: Vec<Link>,
    /// Files that it would include on a condition that does not hold here.
    pub(crate) elsewhere: Vec<usize>,
    /// Lines with names that are not in the tree, but known to be of a library.
    pub(crate) system: Vec<(Origin, Truth)>,
    /// What is neither in the tree nor known, though it is surely compiled.
    pub(crate) missing: Vec<Include>,
    /// What is not in the tree, but made by a script that is.
    pub(crate) made: Vec<GeneratedHeader>,
    /// Macros that have to be passed to the compiler.
    pub(crate) passed: Vec<(String, String)>,
    /// Lines with a macro of which no value in the tree names a file that is there.
    pub(crate) unknown: Vec<(u32, String)>,
}

/// An `#include` of a file of the tree.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) file: usize,
    pub(crate) spelled: String,
    pub(crate) is_quoted: bool,
    /// The directory to which the name is relative, if that is not the directory of the file.
    // What a build would pass by `-I`.
    pub(crate) root: Option<String>,
}

impl Link {
    /// The directory `d` with `d/spelled` as the path of the file, if the name is written so.
    pub(crate) fn base(&self, tree: &Tree) -> Option<String> {
        paths::without_suffix(tree.path(self.file), &self.spelled).map(str::to_owned)
    }
}

/// Resolves the includes of all files.
pub(crate) fn resolve(tree: &Tree, facts: &[FileFacts]) -> Vec<Includes> {
    facts.iter().enumerate().map(|(index, facts)| of_file(tree, index, facts)).collect()
}

fn of_file(tree: &Tree, from: usize, facts: &FileFacts) -> Includes {
    let mut all = Includes { passed: facts.passed.clone(), ..Includes::default() };
    let mut resolved = BTreeSet::new();
    for include in &facts.includes {
        if include.is_compiled == Truth::No {
            // Remembered, since a source that another system includes is not compiled by itself
            // (`included_sources`).
            all.elsewhere.extend(find(tree, from, include).map(|link| link.file));
            continue;
        }
        let origin = system::origin(&include.spelled);
        let in_tree = match (include.is_quoted, &origin) {
            // Of a standard library: no file of the tree is meant, even if one has this name.
            (false, Some(Origin::Standard(_))) => None,
            _ => find(tree, from, include),
        };
        if in_tree.is_some() || origin.is_some() {
            resolved.insert(include.line);
        }
        match (in_tree, origin) {
            // A file of the tree comes before a library of the system: projects that bring one along mean their own.
            (Some(link), _) => all.files.push(link),
            (None, Some(origin)) => all.system.push((origin, include.is_compiled)),
            (None, None) if include.is_compiled == Truth::Yes => {
                match Some(&include.spelled)
                    .filter(|_| include.is_quoted)
                    .and_then(|spelled| made(tree, from, spelled))
                {
                    Some(made) => all.made.push(made),
                    None => all.missing.push(include.clone()),
                }
            }
            (None, None) => {}
        }
    }
    all.unknown.extend(facts.computed.iter().filter(|(line, _)| !resolved.contains(line)).cloned());
    all
}

fn find(tree: &Tree, from: usize, include: &Include) -> Option<Link> {
    let link =
        |file, root| Link { file, spelled: include.spelled.clone(), is_quoted: include.is_quoted, root };
    let directory = paths::parent(tree.path(from));
    if include.is_quoted {
        // As compilers do; the C standard leaves it to them (6.10.2).
        let relative = paths::join(directory, &include.spelled).and_then(|path| tree.find(&path));
        if let Some(file) = relative {
            return Some(link(file, None));
        }
    }
    let candidates = tree.named(paths::name(&include.spelled)).iter().filter_map(|&file| {
        let root = paths::without_suffix(tree.path(file), &include.spelled)?;
        Some((file, root))
    });
    // The nearest, then the one highest up, then the first. In angle brackets a file of the own directory is meant last.
    let (file, root) = candidates.min_by_key(|(file, root)| {
        let near = paths::in_common(directory, paths::parent(tree.path(*file)));
        (!include.is_quoted && *root == directory, std::cmp::Reverse(near), root.len(), *file)
    })?;
    Some(link(file, Some(root.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SourceFile, c::facts};

    fn tree(files: &[(&str, &str)]) -> Tree {
        let file = |(path, text): &(&str, &str)| SourceFile {
            path: (*path).to_owned(),
            is_executable: false,
            content: text.as_bytes().to_vec(),
        };
        Tree::new(files.iter().map(file).collect())
    }

    #[test]
    fn a_name_means_the_nearest_file_that_ends_so() {
        let tree = tree(&[
            (
                "a/src/a.c",
                "#include \"a.h\"\n#include <x/x.h>\n#include <string.h>\n#include <odd.h>\n#include \"zlib.h\"",
            ),
            ("a/src/a.h", ""),
            ("a/include/x/x.h", ""),
            ("b/include/x/x.h", ""),
            ("string.h", ""),
        ]);
        let all = resolve(&tree, &facts::of_tree(&tree));
        let of = &all[tree.find("a/src/a.c").unwrap()];
        let files: Vec<_> =
            of.files.iter().map(|link| (tree.path(link.file), link.root.as_deref())).collect();
        assert_eq!(files, [("a/src/a.h", None), ("a/include/x/x.h", Some("a/include"))]);
        assert_eq!(of.system.len(), 2, "{:?}", of.system);
        assert_eq!(of.missing.iter().map(|include| include.spelled.as_str()).collect::<Vec<_>>(), ["odd.h"]);
    }
}
