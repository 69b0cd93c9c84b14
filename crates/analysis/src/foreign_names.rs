//! Names of rules that people bring from other build systems (`cc_binary`, `py_library`, `sh_test`), or use for the library of
//! rules in the binary without its exact words (`["cc", "program"]`): which rule of that library is meant.

use taut_repos::{EmbeddedRoot, SourceRoot};
use taut_syntax::{Diagnostic, quoted_list};
use taut_value::NamedTarget;

use crate::Workspace;

/// The rules for what a language makes, with other words for it. The first word is the one that rules have.
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
const OTHERS: [(&str, &[&str]); 5] = [
    ("genrule", &["genrule", "rule", "custom", "run_command", "custom_target", "run_binary"]),
    ("files", &["files", "filegroup", "file_group", "export_file", "exports_files", "data"]),
    ("copy", &["copy", "copy_file", "copy_files", "copy_to_directory"]),
    ("archive", &["archive", "pkg_tar", "pkg_zip", "tar", "zip", "tarball"]),
    ("suite", &["suite", "test_suite"]),
];

/// Module and name of the rules that are probably meant; several if only the language is missing.
fn meant(module: &str, name: &str) -> Vec<(&'static str, &'static str)> {
    let name = name.to_lowercase();
    if let Some((rule, _)) = OTHERS.iter().find(|(_, names)| names.contains(&name.as_str())) {
        return vec![("", rule)];
    }
    let module = module.to_lowercase();
    let words: Vec<&str> = module
        .split(['/', '_', '-', ' '])
        .chain(name.split(['_', '-', ' ']))
        .filter(|word| !word.is_empty())
        .collect();
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

/// The error about a rule that is not known, with the rules that may be meant, if the repository can use them.
pub(crate) fn with_meant(problem: Diagnostic, workspace: &Workspace, name: &NamedTarget) -> Diagnostic {
    let identity = EmbeddedRoot.identity();
    let is_library = |global: &str| {
        let found = workspace.repositories.repositories.get(global);
        found.is_some_and(|repository| repository.rule_root.source.identity() == identity)
    };
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
    let written = |(module, rule): &(&str, &str)| quoted_list(&["@", local, module, rule]);
    match &all[..] {
        [one] => problem.suggest(Some(written(one))),
        several => {
            let several: Vec<String> = several.iter().map(written).collect();
            problem.help(format!("the rules in the box have {}", several.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
