//! Which rule of the library in the binary is meant by a name from another build system (`cc_binary`, `py_library`,
//! `sh_test`), or by a similar name (`["cc", "program"]`).

use taut_repos::{EmbeddedRoot, Repository, SourceRoot};
use taut_syntax::{Diagnostic, did_you_mean, quoted_list};
use taut_value::{NamedTarget, quoted};

use crate::Workspace;

/// The rules for what a language makes, with other words for it. The first word is the one that rules have.
// Data, in place of a measure of similarity: `cc_binary` and `program` have no letters in common
// that would lead from one to the other.
const KINDS: [(&str, &[&str]); 4] = [
    ("binary", &["binary", "program", "executable", "exe", "bin", "app"]),
    ("library", &["library", "lib", "shared", "static", "headers", "module", "package"]),
    ("test", &["test", "tests", "unittest", "gtest", "pytest"]),
    ("script", &["script", "scripts"]),
];

/// The modules, with other words for them, and which kinds of rules each has.
const MODULES: [(&str, &[&str], &[&str]); 5] = [
    ("cc", &["cc", "c", "cxx", "cpp", "c++", "gcc", "clang"], &["binary", "library", "test"]),
    ("python", &["python", "py", "python3"], &["binary", "library", "test"]),
    ("rust", &["rust", "rs"], &["binary", "library", "test"]),
    ("shell", &["shell", "sh", "bash"], &["script", "test"]),
    ("proto", &["proto", "protobuf"], &["library"]),
];

/// Rules of the module at the top, with other names for them.
const TOP_MODULE_RULES: [(&str, &[&str]); 5] = [
    ("genrule", &["genrule", "rule", "custom", "run_command", "custom_target", "run_binary"]),
    ("files", &["files", "filegroup", "file_group", "export_file", "exports_files", "data"]),
    ("copy", &["copy", "copy_file", "copy_files", "copy_to_directory"]),
    ("archive", &["archive", "pkg_tar", "pkg_zip", "tar", "zip", "tarball"]),
    ("suite", &["suite", "test_suite"]),
];

/// Fields, with names that other build systems have for the same.
const FIELDS: [(&str, &[&str]); 13] = [
    ("srcs", &["sources", "source", "source_files", "files", "main"]),
    ("hdrs", &["headers", "header_files", "public_headers", "exported_headers"]),
    ("private hdrs", &["private_headers", "textual_hdrs"]),
    ("deps", &["dependencies", "depends", "requires", "link_with", "link_libraries"]),
    ("private deps", &["implementation_deps", "private_dependencies"]),
    ("cmds", &["command", "commands"]),
    ("outs", &["outputs"]),
    ("defines", &["definitions", "macros", "local_defines", "preprocessor_flags"]),
    ("include dirs", &["includes", "include", "incdirs", "include_directories", "include_path"]),
    ("cflags", &["copts", "c_args", "compiler_flags", "compile_options", "compile_flags"]),
    ("cxxflags", &["cxxopts", "cpp_args", "cppflags"]),
    ("ldflags", &["linkopts", "link_args", "linker_flags", "link_options"]),
    ("data", &["resources", "runtime_deps"]),
];

/// The field that is probably meant, of those that a rule has: one that is written a little differently, or as another
/// build system or another rule has it.
pub(crate) fn field<'k>(name: &str, known: impl Iterator<Item = &'k str> + Clone) -> Option<&'k str> {
    let words = name.to_lowercase().replace(['-', '_'], " ");
    // A field that the rule does not have would not help, however well the names fit.
    let of_rule = |wanted: &str| known.clone().find(|known| *known == wanted);
    let foreign = || {
        let (field, _) =
            FIELDS.iter().find(|(_, names)| names.contains(&words.replace(' ', "_").as_str()))?;
        of_rule(field)
    };
    // Before similar words: a program has `deps` for what a library has `private deps` for, not `private hdrs`.
    of_rule(&words)
        .or_else(|| of_rule(words.strip_prefix("private ")?))
        .or_else(|| of_rule(&format!("private {words}")))
        .or_else(|| did_you_mean(name, known.clone()))
        .or_else(foreign)
}

/// Whether a key of a definition without "type" is probably meant as it.
pub(crate) fn is_meant_as_type(key: &str) -> bool {
    did_you_mean(key, ["type"]).is_some() || matches!(key, "rule" | "kind" | "rule_type")
}

/// Module and name of the rules that are probably meant; several if only the language is missing.
fn meant(module: &str, name: &str) -> Vec<(&'static str, &'static str)> {
    let name = name.to_lowercase();
    // Before the words are looked at one by one: `test_suite` would otherwise be a test.
    if let Some((rule, _)) = TOP_MODULE_RULES.iter().find(|(_, names)| names.contains(&name.as_str())) {
        return vec![("", rule)];
    }
    let module = module.to_lowercase();
    // The module counts as words in front: `["cc", "program"]` and `cc_program` mean the same.
    let words: Vec<&str> = module
        .split(['/', '_', '-', ' '])
        .chain(name.split(['_', '-', ' ']))
        .filter(|word| !word.is_empty())
        .collect();
    // From the end: `cc_test_library` is a library.
    let kind = words.iter().rev().find_map(|word| KINDS.iter().find(|(_, words)| words.contains(word)));
    let Some((kind, _)) = kind else { return Vec::new() };
    let language = words.iter().find_map(|word| MODULES.iter().find(|(_, words, _)| words.contains(word)));
    let Some((module, _, kinds)) = language else {
        // Another language has no rules here: only a word by itself may stand for any.
        let is_plain = words.iter().all(|word| KINDS.iter().any(|(_, words)| words.contains(word)));
        let having = MODULES.iter().filter(|(_, _, kinds)| is_plain && kinds.contains(kind));
        return having.map(|(module, ..)| (*module, *kind)).collect();
    };
    match *kind {
        // A program of a shell is a script, and so is what others may use of it.
        "binary" | "library" if *module == "shell" => vec![("shell", "script")],
        kind if kinds.contains(&kind) => vec![(module, kind)],
        _ => Vec::new(),
    }
}

/// How the advice begins that lists rules of the library, as they are written.
pub const RULES_IN_THE_BOX: &str = "the rules in the box have ";

/// How a name that is written as it is typed and shown (`@std//cc:binary`) is written in a targets file.
fn as_written(name: &str) -> Option<Vec<&str>> {
    if let Some((local, rest)) = name.strip_prefix('@').and_then(|rest| rest.split_once("//")) {
        let (module, name) = rest.split_once(':')?;
        return Some(vec!["@", local, module, name]);
    }
    let (module, name) = name.split_once(':')?;
    Some(vec![module.trim_start_matches('/'), name])
}

/// Whether a repository has the rules in the binary, which are in no file that can be opened.
pub(crate) fn is_in_the_box(workspace: &Workspace, repository: &str) -> bool {
    let found = workspace.repositories.repositories.get(repository);
    found.is_some_and(|found| found.rule_root.source.identity() == EmbeddedRoot.identity())
}

/// The error about a rule that is not known, with the rules that may be meant, if the repository can use them.
pub(crate) fn with_meant(problem: Diagnostic, workspace: &Workspace, name: &NamedTarget) -> Diagnostic {
    let is_library = |global: &str| is_in_the_box(workspace, global);
    if let Some(words) = as_written(&name.name) {
        let written = quoted_list(&words);
        let bindings = workspace.repository(&name.repository).map(|repository| &repository.bindings);
        let is_known = match (&words[..], bindings) {
            (["@", local, module, rule], Ok(bindings)) => {
                bindings.get(*local).is_some_and(|global| is_library(global))
                    && meant(module, rule) == [(*module, *rule)]
            }
            _ => false,
        };
        return match is_known {
            true => problem.suggest(Some(written)),
            false => problem.help(format!("in a file of targets or rules this is written {written}")),
        };
    }
    let all = meant(&name.module, &name.name);
    if problem.suggestion.is_some() || all.is_empty() {
        return problem;
    }
    if is_library(&name.repository) {
        return match all[..] {
            [(module, rule)] if (module, rule) != (&*name.module, &*name.name) => {
                problem.suggest(Some(quoted_list(&[module, rule])))
            }
            _ => problem,
        };
    }
    let Ok(repository) = workspace.repository(&name.repository) else { return problem };
    let Some(local) =
        repository.bindings.iter().find_map(|(local, global)| is_library(global).then_some(local))
    else {
        return problem;
    };
    // A repository of this name that the workspace has itself: the suggestion would lead to it again.
    let is_hidden = |repository: &Repository| repository.bindings.get(local) == Some(&name.repository);
    if workspace.repositories.repositories.values().any(is_hidden) {
        let (local, global) = (quoted(local), quoted(&name.repository));
        return problem
            .help(format!("the rules in the box are hidden: {local} is bound to repository {global}"));
    }
    let written = |(module, rule): &(&str, &str)| quoted_list(&["@", local, module, rule]);
    match &all[..] {
        [one] => problem.suggest(Some(written(one))),
        several => {
            let several: Vec<String> = several.iter().map(written).collect();
            problem.help(format!("{RULES_IN_THE_BOX}{}", several.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_other_build_systems_lead_to_ours() {
        let known = ["srcs", "hdrs", "private hdrs", "deps", "cflags"];
        for (name, expected) in [
            ("headers", Some("hdrs")),
            ("Private-Headers", Some("private hdrs")),
            ("private_hdrs", Some("private hdrs")),
            ("private deps", Some("deps")),
            ("cflag", Some("cflags")),
            ("copts", Some("cflags")),
            ("linkopts", None),
            ("frobnicate", None),
        ] {
            assert_eq!(field(name, known.into_iter()), expected, "{name}");
        }
        assert_eq!(field("hdrs", ["private hdrs"].into_iter()), Some("private hdrs"));
    }

    #[test]
    fn names_of_other_build_systems_lead_to_ours() {
        for ((module, name), expected) in [
            (("", "cc_binary"), &[("cc", "binary")][..]),
            (("", "cxx_library"), &[("cc", "library")]),
            (("", "cc_shared_library"), &[("cc", "library")]),
            (("", "py_test"), &[("python", "test")]),
            (("", "python_binary"), &[("python", "binary")]),
            (("", "sh_binary"), &[("shell", "script")]),
            (("", "sh_test"), &[("shell", "test")]),
            (("", "rust_library"), &[("rust", "library")]),
            (("", "proto_library"), &[("proto", "library")]),
            (("", "py_proto_library"), &[("python", "library")]),
            (("", "filegroup"), &[("", "files")]),
            (("", "test_suite"), &[("", "suite")]),
            (("", "pkg_tar"), &[("", "archive")]),
            (("CC", "binary"), &[("cc", "binary")]),
            (("cc", "program"), &[("cc", "binary")]),
            (("CC/test", "test"), &[("cc", "test")]),
            (("", "binary"), &[("cc", "binary"), ("python", "binary"), ("rust", "binary")]),
            (("", "java_library"), &[]),
            (("", "go_test"), &[]),
            (("", "frobnicate"), &[]),
            (("proto", "binary"), &[]),
        ] {
            assert_eq!(meant(module, name), expected, "{module} {name}");
        }
    }
}
