//! Facts from the files of another build: the script that generates a header, and macros of the compiler's command line
//! that select a header.
//!
//! Scripts and makefiles are searched, not parsed: a script generates a header if it redirects output to that name; a
//! makefile passes a macro if it contains `-DNAME="file"` in some spelling.

use std::collections::BTreeSet;

use crate::{paths, tree::Tree};

/// A header that a script generates in its own directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct GeneratedHeader {
    /// The path of the header.
    pub(crate) path: String,
    /// The script.
    pub(crate) script: usize,
}

/// The script that generates a header. The header is not in the tree; the script is in the directory in which the
/// header is looked up first.
pub(crate) fn generated(tree: &Tree, from: usize, spelled: &str) -> Option<GeneratedHeader> {
    let path = paths::join(paths::parent(tree.path(from)), spelled)?;
    let (directory, name) = (paths::parent(&path), paths::name(&path));
    // Only that directory: a script in another one may as well generate another file of the same name.
    let mut scripts = tree.with_ending("sh").filter(|script| paths::parent(tree.path(*script)) == directory);
    let script = scripts.find(|script| redirects_to(&tree.text(*script), name))?;
    Some(GeneratedHeader { path, script })
}

/// Whether a script redirects output to a file of this name.
// A name that is passed to another program does not count: whether that writes the file is not known here.
fn redirects_to(script: &str, name: &str) -> bool {
    script.match_indices(name).any(|(at, _)| {
        let ends = script[at + name.len()..].chars().next();
        // The operand of a redirection, with or without quotation marks and a path to the current directory.
        let before = script[..at].trim_end_matches(['"', '\'']);
        let before = before.strip_suffix("./").unwrap_or(before).trim_end_matches([' ', '\t']);
        before.ends_with('>') && ends.is_none_or(|c| c.is_whitespace() || "\"';)".contains(c))
    })
}

/// Whether a file is a build description that may pass macros to the compiler.
pub(crate) fn is_makefile(path: &str) -> bool {
    let name = paths::name(path);
    matches!(name, "Makefile" | "makefile" | "GNUmakefile" | "CMakeLists.txt" | "meson.build")
        || name.starts_with("Makefile.")
        || paths::ending(path) == "mk"
}

/// Whether a file describes another build, so that its content has to be read.
pub(crate) fn is_build_file(path: &str) -> bool {
    is_makefile(path) || matches!(paths::name(path), "configure.ac" | "configure.in")
}

/// Whether a macro announces a configured header, one with what the build has found out about the system:
/// `HAVE_CONFIG_H` of Autoconf, and names of the same form.
fn is_configured_header_macro(name: &str) -> bool {
    name.starts_with("HAVE_") && name.ends_with("CONFIG_H")
}

/// The macros that announce a configured header, as a build passes them to the compiler in and below a directory.
pub(crate) struct ConfiguredHeaderMacros {
    directory: String,
    macros: BTreeSet<String>,
}

impl ConfiguredHeaderMacros {
    /// The macros of each build file of the tree.
    pub(crate) fn of_tree(tree: &Tree) -> Vec<ConfiguredHeaderMacros> {
        let build_files = (0..tree.len()).filter(|index| is_build_file(tree.path(*index)));
        let all = build_files.map(|index| ConfiguredHeaderMacros {
            directory: paths::parent(tree.path(index)).to_owned(),
            macros: configured_header_macros(&tree.text(index)),
        });
        all.filter(|of| !of.macros.is_empty()).collect()
    }

    /// The macros with which the file is compiled.
    pub(crate) fn of_file(all: &[ConfiguredHeaderMacros], path: &str) -> BTreeSet<String> {
        let is_above = |of: &&ConfiguredHeaderMacros| paths::is_within(path, &of.directory);
        all.iter().filter(is_above).flat_map(|of| of.macros.iter().cloned()).collect()
    }
}

/// The macros by which a build file announces a configured header.
fn configured_header_macros(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    // Autoconf passes `HAVE_CONFIG_H` by itself: `configure.ac` only names the header. `-DNAME` is one word here.
    let words =
        words.map(|word| match word.strip_prefix('D').filter(|rest| is_configured_header_macro(rest)) {
            Some(name) => name,
            None if word.starts_with("AC_CONFIG_HEADER") || word == "AM_CONFIG_HEADER" => "HAVE_CONFIG_H",
            None => word,
        });
    words.filter(|word| is_configured_header_macro(word)).map(str::to_owned).collect()
}

/// A macro that names a file, for what is compiled in and below a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MacroInclude {
    pub(crate) directory: String,
    pub(crate) name: String,
    /// The value, with its quotation marks or angle brackets.
    pub(crate) value: String,
}

/// All such macros in the makefiles of a tree.
pub(crate) fn macro_includes(tree: &Tree) -> Vec<MacroInclude> {
    let makefiles = (0..tree.len()).filter(|index| is_makefile(tree.path(*index)));
    makefiles
        .flat_map(|index| {
            let directory = paths::parent(tree.path(index)).to_owned();
            let all = macros(&tree.text(index)).into_iter();
            all.map(move |(name, value)| MacroInclude { directory: directory.clone(), name, value })
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Names and values of `-DNAME=\"file\"`, `-DNAME='"file"'`, `-DNAME=<file>`.
fn macros(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    // Anywhere in the file, in a rule, a variable or a call: which targets a makefile passes it to is not determined.
    for (at, _) in text.match_indices("-D") {
        let rest = &text[at + 2..];
        let Some((name, value)) = rest.split_once('=') else { continue };
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        // Before the value are a shell's quotation marks, or a backslash in front of those that are part of it.
        let value = value.trim_start_matches(['\'', '\\']);
        let end = match value.chars().next() {
            Some('"') => '"',
            Some('<') => '>',
            _ => continue,
        };
        let Some((inside, _)) = value[1..].split_once(end) else { continue };
        let inside = inside.trim_end_matches('\\');
        let is_file =
            !inside.is_empty() && inside.chars().all(|c| c.is_alphanumeric() || "._-+/".contains(c));
        if is_name && is_file {
            let open = value.chars().next().unwrap_or('"');
            found.push((name.to_owned(), format!("{open}{inside}{end}")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_makes_what_it_writes_to() {
        for (script, expected) in [
            ("echo x > a.h\n", true),
            ("echo x >> a.h", true),
            ("echo x >\"a.h\"; exit", true),
            ("{ echo x; } > ./a.h", true),
            ("cat a.h", false),
            ("echo x > ba.h", false),
            ("echo x > a.hpp", false),
            ("echo 'a.h' > b.h", false),
        ] {
            assert_eq!(redirects_to(script, "a.h"), expected, "{script}");
        }
    }

    #[test]
    fn a_build_that_makes_a_header_of_its_configuration_is_known() {
        for (text, expected) in [
            ("AC_CONFIG_HEADERS([a.h])", &["HAVE_CONFIG_H"][..]),
            ("AM_CONFIG_HEADER(a.h)", &["HAVE_CONFIG_H"]),
            ("add_definitions(-DHAVE_CONFIG_H)", &["HAVE_CONFIG_H"]),
            ("compile_definitions(x PRIVATE HAVE_FOO_CONFIG_H=1)", &["HAVE_FOO_CONFIG_H"]),
            ("AC_CONFIG_FILES([Makefile]) AC_CHECK_HEADERS([config.h])", &[]),
            ("-DHAVE_CONFIG_HPP", &[]),
        ] {
            assert_eq!(
                configured_header_macros(text).iter().map(String::as_str).collect::<Vec<_>>(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn macros_that_name_a_file_are_found_in_makefiles() {
        for (text, expected) in [
            (r#"CFLAGS += -O2 -DCONF=\"conf.h\" -DB"#, Some(("CONF", "\"conf.h\""))),
            (r#"-DCONF='"a/conf.h"'"#, Some(("CONF", "\"a/conf.h\""))),
            (r#"-DCONF="<conf.h>""#, None),
            (r#"-DCONF=<conf.h>"#, Some(("CONF", "<conf.h>"))),
            (r#"-DCONF=1"#, None),
            (r#"-DDIR=\"$(prefix)/x\""#, None),
            ("-D", None),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(macros(text), expected, "{text}");
        }
    }
}
