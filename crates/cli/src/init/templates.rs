//! The templates of `init`: the files of `templates/`, in the binary.

/// A path in the project, and the content of the file.
type File = (&'static str, &'static str);

/// The names of the templates.
pub(crate) const NAMES: [&str; 6] = ["c", "c++", "python", "rust", "shell", "mixed"];

/// Marks the directory as a workspace.
const ROOT: File = ("ROOT", "");

/// The files of a template; an empty list for a name that is not among [`NAMES`].
// In the binary, so that `init` works wherever the binary was copied to. Each file is named one by
// one: `include_str!` takes no directories, and a file that is removed breaks the build.
pub(super) fn files(name: &str) -> &'static [File] {
    match name {
        "c" => &[
            ROOT,
            ("TARGETS", include_str!("../../templates/c/TARGETS")),
            ("greet.c", include_str!("../../templates/c/greet.c")),
            ("greet.h", include_str!("../../templates/c/greet.h")),
            ("greet_test.c", include_str!("../../templates/c/greet_test.c")),
            ("main.c", include_str!("../../templates/c/main.c")),
        ],
        "c++" => &[
            ROOT,
            ("TARGETS", include_str!("../../templates/c++/TARGETS")),
            ("greet.cc", include_str!("../../templates/c++/greet.cc")),
            ("greet.h", include_str!("../../templates/c++/greet.h")),
            ("greet_test.cc", include_str!("../../templates/c++/greet_test.cc")),
            ("main.cc", include_str!("../../templates/c++/main.cc")),
        ],
        "python" => &[
            ROOT,
            ("TARGETS", include_str!("../../templates/python/TARGETS")),
            ("main.py", include_str!("../../templates/python/main.py")),
            ("src/greet/__init__.py", include_str!("../../templates/python/src/greet/__init__.py")),
            ("tests/test_greet.py", include_str!("../../templates/python/tests/test_greet.py")),
        ],
        "rust" => &[
            ROOT,
            ("TARGETS", include_str!("../../templates/rust/TARGETS")),
            ("greet.rs", include_str!("../../templates/rust/greet.rs")),
            ("main.rs", include_str!("../../templates/rust/main.rs")),
        ],
        "shell" => &[
            ROOT,
            ("TARGETS", include_str!("../../templates/shell/TARGETS")),
            ("hello.sh", include_str!("../../templates/shell/hello.sh")),
            ("hello_test.sh", include_str!("../../templates/shell/hello_test.sh")),
        ],
        "mixed" => &[
            ROOT,
            ("TARGETS", include_str!("../../templates/mixed/TARGETS")),
            ("greet.c", include_str!("../../templates/mixed/greet.c")),
            ("greet.h", include_str!("../../templates/mixed/greet.h")),
            ("greet_test.c", include_str!("../../templates/mixed/greet_test.c")),
            ("hello_test.sh", include_str!("../../templates/mixed/hello_test.sh")),
            ("main.c", include_str!("../../templates/mixed/main.c")),
            ("shout.py", include_str!("../../templates/mixed/shout.py")),
            ("words.txt", include_str!("../../templates/mixed/words.txt")),
        ],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use taut_sys::{Dir, FileKind};

    use super::*;

    fn add(directory: &Dir, path: &Path, all: &mut BTreeSet<String>) {
        for (name, kind) in directory.list().unwrap() {
            let below = path.join(&name);
            match kind {
                FileKind::Directory => add(&directory.at(&name).open_dir().unwrap(), &below, all),
                _ => drop(all.insert(below.to_str().unwrap().to_owned())),
            }
        }
    }

    #[test]
    fn all_files_of_the_source_tree_are_in_the_table() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let mut there = BTreeSet::new();
        add(&Dir::of_user(&top).unwrap(), Path::new(""), &mut there);
        let mut listed = BTreeSet::new();
        for name in NAMES {
            let files = files(name).iter().filter(|file| **file != ROOT);
            listed.extend(files.map(|(path, _)| format!("{name}/{path}")));
        }
        assert_eq!(listed, there);
    }
}
