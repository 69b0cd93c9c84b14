//! Actions with a depfile: what runs again after an edit, what is an error, and that results are those of builds from
//! nothing.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    process::Command,
};

use taut_testkit::{Rng, Tool, ToolResult, Workspace, processed};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

fn just() -> Tool {
    taut().called("just")
}

/// How many actions a successful build ran.
#[track_caller]
fn ran(built: ToolResult) -> usize {
    let (actions, not_run) = processed(&built.exits(0).stderr).expect("a line with counts");
    actions - not_run
}

/// A rule with one action on all files of `deps`: a script, its depfile, and what its working directory is.
fn scripted(script: &str, depfile: &str, cwd: &str) -> Workspace {
    let workspace = Workspace::new();
    let rules = r#"{"made": {"target_fields": ["deps"], "string_fields": ["n"], "expression": {"type": "RESULT", "artifacts":
      {"type": "ACTION", "outs": ["o/out", "o/out.d"], "depfile": DEPFILE, "cwd": "CWD", "cmd": ["sh", "-c", "SCRIPT"],
       "inputs": {"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "deps"}, "body":
         {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}}}}}"#;
    let rules = rules.replace("DEPFILE", depfile).replace("CWD", cwd).replace("SCRIPT", script);
    workspace.file("RULES", rules);
    workspace.file(
        "TARGETS",
        r#"{"t": {"type": "made", "deps": [["GLOB", null, "[a-z]"], ["TREE", null, "tree"], "sub/s"]}}"#,
    );
    workspace.file("tree/x", "x").file("sub/s", "s").file("sub/TARGETS", "{}").file("a", "a").file("b", "b");
    workspace
}

const READS_A: &str = "cat a > o/out; echo 'o/out: a' > o/out.d";

#[test]
fn what_was_not_read_may_change() {
    let workspace = scripted(READS_A, "\"o/out.d\"", "");
    let build = |workspace: &Workspace| ran(workspace.run(&taut(), ["build", "t"]));
    assert_eq!(build(&workspace), 1);
    workspace.file("b", "other");
    assert_eq!(build(&workspace), 0);
    workspace.file("sub/s", "other");
    assert_eq!(build(&workspace), 0);
    let shown = workspace.run(&taut(), ["explain"]).exits(0).stdout;
    assert!(shown.contains("none of the inputs that it read has changed"), "{shown}");
    workspace.file("a", "other");
    assert_eq!(build(&workspace), 1);
    // A name more and one less, another kind.
    workspace.file("c", "");
    assert_eq!(build(&workspace), 1);
    workspace.executable("b", "other");
    assert_eq!(build(&workspace), 1);
    workspace.remove("c");
    assert_eq!(build(&workspace), 1);
    // The content of a program and of a tree counts.
    workspace.executable("b", "third");
    assert_eq!(build(&workspace), 1);
    workspace.file("tree/x", "y");
    assert_eq!(build(&workspace), 1);
    // Back to what was there: an earlier run.
    workspace.file("tree/x", "x");
    assert_eq!(build(&workspace), 0);
}

#[test]
fn what_the_command_names_always_counts() {
    let workspace = scripted("cat a b > o/out; echo 'o/out: a' > o/out.d", "\"o/out.d\"", "");
    assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 1);
    workspace.file("b", "other");
    assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 1);
}

#[test]
fn a_depfile_that_says_nothing_means_that_all_was_read() {
    for script in [
        "cp a o/out; echo 'o/out: a $(shell ls)' > o/out.d",
        "cp a o/out; echo hello > o/out.d",
        "cp a o/out; : > o/out.d",
        "cp a o/out; printf 'o/out: a' > o/out.d",
        "cp a o/out",
    ] {
        let workspace = scripted(script, "\"o/out.d\"", "");
        assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 1, "{script}");
        workspace.file("sub/s", "other");
        assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 1, "{script}");
        assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 0, "{script}");
    }
}

#[test]
fn what_is_no_input_is_an_error_and_the_tool_chain_is_none() {
    let workspace =
        scripted("cp a o/out; echo 'o/out: a /usr/include/stdio.h o/gone.h' > o/out.d", "\"o/out.d\"", "");
    for _ in 0..2 {
        let failed = workspace.run(&taut(), ["build", "t"]).exits(1).stderr;
        for part in [":t", "o/out", "\"o/out.d\" names \"o/gone.h\", which is not an input of the action"] {
            assert!(failed.contains(part), "{part}: {failed}");
        }
    }
    // The reference ignores the key.
    workspace.run(&just(), ["build", "t"]).exits(0);
    let workspace = scripted("cp a o/out; echo 'o/out: a /usr/include/stdio.h' > o/out.d", "\"o/out.d\"", "");
    assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 1);
}

#[test]
fn after_a_depfile_that_names_no_input_nothing_starts() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{"t": {"type": "r"}}"#);
    // Again and again, since a second action would not start each time.
    for round in 0..20 {
        let rules = r#"{"r": {"expression": {"type": "RESULT", "artifacts": {"type": "map_union", "$1":
          {"type": "foreach", "range": {"type": "range", "$1": "8"}, "body":
            {"type": "to_subdir", "subdir": {"type": "var", "name": "_"}, "$1":
              {"type": "ACTION", "outs": ["x", "d"], "depfile": "d",
               "cmd": ["sh", "-c", "echo ROUND > x; echo x: other.h > d"],
               "env": {"type": "singleton_map", "key": "N", "value": {"type": "var", "name": "_"}}}}}}}}}"#;
        workspace.file("RULES", rules.replace("ROUND", &round.to_string()));
        let errors = workspace.run(&taut(), ["build", "-J", "1", "t"]).exits(1).stderr;
        assert_eq!(errors.matches("names \"other.h\", which is not an input").count(), 1, "{errors}");
    }
}

#[test]
fn a_depfile_that_is_no_output_is_an_error_of_analysis_with_its_place() {
    for (depfile, why) in [
        ("\"x.d\"", "\"depfile\" of \"ACTION\" has to be one of the outs, but is \"x.d\""),
        ("7", "\"depfile\" of \"ACTION\" has to be a string, but is a number: 7"),
        (r#"{"type": "fail", "msg": "no depfile"}"#, "no depfile"),
    ] {
        let workspace = scripted(READS_A, depfile, "");
        let failed = workspace.run(&taut(), ["analyse", "t"]).exits(8).stderr;
        for part in [why, "in target :t, TARGETS:1:2", "RULES:2:"] {
            assert!(failed.contains(part), "{part}: {failed}");
        }
        workspace.run(&just(), ["build", "t"]).exits(0);
    }
}

#[test]
fn adding_or_removing_the_key_takes_effect_at_once() {
    let workspace = scripted(READS_A, "null", "");
    let build = || ran(workspace.run(&taut(), ["build", "t"]));
    let rules = fs::read_to_string(workspace.root().join("RULES")).unwrap();
    let with_key = rules.replace("\"depfile\": null, ", "\"depfile\": \"o/out.d\", ");
    let without_key = rules.replace("\"depfile\": null, ", "");
    assert!(with_key != rules && without_key != rules);
    let mut contents = 0..;
    let mut edit = |name: &str| workspace.file(name, contents.next().unwrap().to_string()).root();
    workspace.file("RULES", &without_key);
    assert_eq!(build(), 1);
    edit("b");
    assert_eq!(build(), 1);
    for _ in 0..2 {
        // The action is the same one, so nothing runs; the next run says what it read.
        workspace.file("RULES", &with_key);
        assert_eq!(build(), 0);
        edit("a");
        assert_eq!(build(), 1);
        edit("b");
        assert_eq!(build(), 0);
        // From here on every input counts, whatever earlier runs have reported.
        workspace.file("RULES", &without_key);
        assert_eq!(build(), 0);
        edit("b");
        assert_eq!(build(), 1);
    }
    // Together with another edit.
    workspace.file("RULES", &with_key);
    edit("b");
    assert_eq!(build(), 0);
    workspace.file("RULES", &without_key);
    edit("b");
    assert_eq!(build(), 1);
}

#[test]
fn what_if_knows_what_was_not_read() {
    let workspace = scripted(READS_A, "\"o/out.d\"", "");
    let would = |paths: &[&str]| {
        let answer = workspace.run(&taut(), [&["what-if", "--of", "t"], paths].concat()).exits(0).stdout;
        let (_, run) = answer.split_once("\nrun at most ").expect("a line with the actions that run");
        (run[..1].parse::<usize>().unwrap(), run.contains("did not read"))
    };
    // Nothing is known before the first build.
    assert_eq!(would(&["b"]), (1, false));
    assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 1);
    assert_eq!(would(&["b"]), (0, true));
    assert_eq!(would(&["a"]), (1, false));
    assert_eq!(would(&["a", "b"]), (1, false));
    // The content of a tree counts, a new file is a new name, and what is in a directory may go.
    assert_eq!(would(&["tree/x"]), (1, false));
    assert_eq!(would(&["c"]), (1, false));
    assert_eq!(would(&["sub"]), (1, false));
    assert_eq!(would(&["sub/s"]), (0, true));
    workspace.executable("b", "program");
    assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 1);
    assert_eq!(would(&["b"]), (1, false));
    // The answer is what happens.
    workspace.file("sub/s", "other");
    assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 0);
    let answer = workspace.run(&taut(), ["what-if", "sub/s", "--of", "t"]).stdout;
    assert!(
        answer.contains("1 action has sub/s among its inputs and did not read it, as its depfile says."),
        "{answer}"
    );
}

#[test]
fn a_test_does_not_run_again_for_what_it_did_not_read() {
    let workspace = Workspace::new();
    workspace.file(
        "RULES",
        r#"{"test": {"target_fields": ["deps"], "tainted": ["test"], "expression": {"type": "RESULT", "artifacts":
             {"type": "ACTION", "outs": ["result", "stdout", "read.d"], "depfile": "read.d",
              "cmd": ["sh", "-c", "echo PASS > result; cat a > stdout; echo 'result: a' > read.d"],
              "may_fail": ["test"], "inputs": {"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "deps"},
                "body": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}}}}}"#,
    );
    workspace.file("TARGETS", r#"{"t": {"type": "test", "tainted": ["test"], "deps": ["a", "b"]}}"#);
    workspace.file("a", "1").file("b", "1");
    let is_cached = || {
        let answer = workspace.run(&taut(), ["test", "t"]).exits(0).stderr;
        assert!(answer.contains(":t passed"), "{answer}");
        answer.contains(":t passed (cached)")
    };
    assert!(!is_cached());
    workspace.file("b", "2");
    assert!(is_cached());
    workspace.file("a", "2");
    assert!(!is_cached());
    // Of builds as well, and the other way round.
    workspace.file("b", "3");
    assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 0);
    workspace.file("a", "3");
    assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 1);
    workspace.file("b", "4");
    assert!(is_cached());
}

#[test]
fn of_targets_that_define_the_same_action_one_with_a_depfile_is_enough() {
    let workspace = scripted(READS_A, "\"o/out.d\"", "");
    let rules = fs::read_to_string(workspace.root().join("RULES")).unwrap();
    let other = rules.replace("\"made\"", "\"also made\"").replace("\"depfile\": \"o/out.d\", ", "");
    workspace.file("RULES", format!("{},{}", &rules[..rules.len() - 1], &other[1..]));
    let targets = fs::read_to_string(workspace.root().join("TARGETS")).unwrap();
    let other = targets.replace("\"t\"", "\"u\"").replace("\"made\"", "\"also made\"");
    workspace.file("TARGETS", format!("{},{}", &targets[..targets.len() - 1], &other[1..]));
    let build = |words: &[&str]| ran(workspace.run(&taut(), [&["build"], words].concat()));
    assert_eq!(build(&["t", "u"]), 1);
    workspace.file("b", "1");
    assert_eq!(build(&["t", "u"]), 0);
    workspace.file("b", "2");
    // By itself, the other one reads everything.
    assert_eq!(build(&["u"]), 1);
    workspace.file("b", "3");
    assert_eq!(build(&["t"]), 0);
}

#[test]
fn names_are_relative_to_the_working_directory() {
    let script = "cat ../a s > o/out; printf 'o/out: ../a \\\\\\\\\\\\n s\\\\n' > o/out.d";
    let workspace = scripted(script, "\"sub/o/out.d\"", "sub");
    let rules = fs::read_to_string(workspace.root().join("RULES")).unwrap();
    workspace.file("RULES", rules.replace("\"o/out\", \"o/out.d\"", "\"sub/o/out\", \"sub/o/out.d\""));
    assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 1);
    workspace.file("b", "other");
    assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 0);
    workspace.file("sub/s", "other");
    assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 1);
}

#[test]
fn the_key_changes_no_identity() {
    let dump = |depfile: &str, tool: &Tool| {
        let workspace = scripted(READS_A, depfile, "");
        workspace.run(tool, ["analyse", "t", "--dump-graph", "graph.json"]).exits(0);
        fs::read_to_string(workspace.root().join("graph.json")).unwrap()
    };
    let without = dump("null", &taut());
    assert!(without.contains("o/out.d"));
    assert_eq!(dump("\"o/out.d\"", &taut()), without);
    assert_eq!(dump("\"o/out.d\"", &just()), without);
}

/// Describes the program, with all headers that there are.
fn describe(workspace: &Workspace, sources: &str) {
    let mut headers = vec![r#"["GLOB", null, "*.h"]"#.to_owned()];
    for directory in ["early", "late"] {
        let mut names: Vec<String> = fs::read_dir(workspace.root().join(directory))
            .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
            .unwrap_or_default();
        names.sort();
        headers.extend(names.iter().map(|name| format!("\"{directory}/{name}\"")));
    }
    let targets = r#"{"p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": [SOURCES],
      "private hdrs": [HEADERS], "include dirs": ["early", "late"]}}"#;
    workspace.file("TARGETS", targets.replace("SOURCES", sources).replace("HEADERS", &headers.join(", ")));
}

/// What the assembler reads is in no depfile.
#[test]
fn a_source_that_the_assembler_may_read_files_for_depends_on_all() {
    let workspace = Workspace::new();
    workspace.file(
        "main.c",
        "#include <stdio.h>\n#include \"data.h\"\nint main(void) { fputs(data, stdout); return 0; }\n",
    );
    workspace.file("data.h", "extern const char data[];\n__asm__(\".pushsection .rodata\\n.globl data\\ndata: .incbin \\\"data.txt\\\"\\n.byte 0\\n.popsection\\n\");\n");
    workspace.file("data.txt", "one");
    workspace.file(
        "TARGETS",
        r#"{"p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.c"], "private hdrs": ["data.h", "data.txt"]}}"#,
    );
    assert_eq!(built(&workspace).1, "one");
    workspace.file("data.txt", "two");
    assert_eq!(built(&workspace).1, "two");
    let shouted = "extern const char data[];\n__asm__(\".pushsection .rodata\\n.globl data\\ndata: .INC\" \"BIN \\\"data.txt\\\"\\n.byte 0\\n.popsection\\n\");\n";
    workspace.file("data.h", shouted);
    assert_eq!(built(&workspace).1, "two");
    workspace.file("data.txt", "three");
    assert_eq!(built(&workspace).1, "three");
}

/// GCC names neither a precompiled header nor the header that it was made from.
#[test]
fn a_precompiled_header_always_counts() {
    let workspace = Workspace::new();
    workspace.file("main.c", "#include \"pch.h\"\nint main(void) { printf(\"%d\", V); return 0; }\n");
    workspace.file("pch.h", "#include <stdio.h>\n#define V 1\n");
    workspace.file(
        "TARGETS",
        r#"{ "p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.c"], "private hdrs": ["pch.h", "gch"]}
           , "gch": {"type": ["@", "std", "", "genrule"], "outs": ["pch.h.gch"], "srcs": ["pch.h"],
               "cmds": ["gcc -g -O0 -o pch.h.gch pch.h"]}}"#,
    );
    assert_eq!(built(&workspace).1, "1");
    workspace.file("pch.h", "#include <stdio.h>\n#define V 2\n");
    assert_eq!(built(&workspace).1, "2");
}

#[test]
fn a_source_that_is_read_past_the_inputs_is_an_error() {
    let workspace = Workspace::new();
    workspace.file("secret.h", "#define V 1\n");
    workspace.file(
        "TARGETS",
        r#"{"p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.c"]}}"#,
    );
    // By its path, and by one through a link.
    symlink(workspace.root(), workspace.beside("link")).unwrap();
    for header in [workspace.root().join("secret.h"), workspace.beside("link").join("secret.h")] {
        let header = header.display().to_string();
        workspace.file("main.c", format!("#include \"{header}\"\nint main(void) {{ return V; }}\n"));
        let failed = workspace.run(&taut(), ["build", "p"]);
        assert_eq!(failed.code, 1, "{}", failed.stderr);
        assert!(failed.stderr.contains("which is not an input of the action"), "{}", failed.stderr);
        assert!(failed.stderr.contains(&header), "{}", failed.stderr);
    }
}

/// A program that includes a header of a directory outside of the workspace, by the flags of the call.
fn with_header_outside() -> Workspace {
    let workspace = Workspace::new();
    fs::create_dir_all(workspace.beside("far/include")).unwrap();
    fs::write(workspace.beside("far/include/far.h"), "#define V 1\n").unwrap();
    workspace.file(
        "main.c",
        "#include <stdio.h>\n#include <far.h>\nint main(void) { printf(\"%d\", V); return 0; }\n",
    );
    workspace.file(
        "TARGETS",
        r#"{"p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.c"]}}"#,
    );
    workspace
}

#[test]
fn a_header_outside_of_the_workspace_is_an_error_that_says_what_to_do() {
    let workspace = with_header_outside();
    symlink("far", workspace.beside("near")).unwrap();
    // By its path, through a link, and by a way that begins in a directory of the system.
    let far = workspace.beside("far/include").display().to_string();
    let near = workspace.beside("near/include").display().to_string();
    let from_system = format!("/usr/include/../..{far}");
    for directory in [&far, &near, &from_system] {
        let failed =
            workspace.run(&taut(), ["build", "p", "-D", &format!(r#"{{"CFLAGS": ["-I{directory}"]}}"#)]);
        let message = failed.exits(1).stderr;
        for part in
            [&format!("names \"{directory}/far.h\""), "which is not an input of the action", "SYSTEM_DIRS"]
        {
            assert!(message.contains(part), "{part}: {message}");
        }
        let is_elsewhere = directory != &far;
        assert_eq!(message.contains(&format!("({far}/far.h)")), is_elsewhere, "{message}");
    }
    // As part of the tool chain it is like a header of the system.
    let variables = format!(r#"{{"CFLAGS": ["-I{near}"], "SYSTEM_DIRS": "/decoy:{far}"}}"#);
    workspace.run(&taut(), ["build", "p", "-D", &variables]).exits(0);
    let relative = workspace.run(&taut(), ["build", "p", "-D", "SYSTEM_DIRS=far/include"]).exits(1).stderr;
    assert!(
        relative.contains("A directory of the system is an absolute path, not \"far/include\""),
        "{relative}"
    );
    workspace.file(
        "TARGETS",
        r#"{"p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.c"], "tool chain": ["mine"]},
            "mine": {"type": ["@", "std", "cc", "tool chain"], "cflags": ["-IFAR"], "system dirs": ["FAR"],
              "build types": ["plain"], "default build type": ["plain"]},
            "plain": {"type": ["@", "std", "cc", "build type"], "name": ["plain"]}}"#
            .replace("FAR", &far),
    );
    workspace.run(&taut(), ["build", "p"]).exits(0);
    // An input of the same name is another file.
    workspace.file("far.h", "");
    workspace.file(
        "TARGETS",
        r#"{"p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.c"], "private hdrs": ["far.h"]}}"#,
    );
    workspace.run(&taut(), ["build", "p", "-D", &format!(r#"{{"CFLAGS": ["-I{far}"]}}"#)]).exits(1);
}

#[test]
fn headers_that_the_compiler_searches_by_itself_or_pkg_config_names_are_of_the_tool_chain() {
    let workspace = with_header_outside();
    let far = workspace.beside("far/include").display().to_string();
    // A compiler that has a directory of headers somewhere.
    let compiler = workspace.beside("far/compiler");
    fs::write(&compiler, format!("#!/bin/sh\nexec cc -isystem {far} \"$@\"\n")).unwrap();
    fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).unwrap();
    workspace.run(&taut(), ["build", "p", "-D", &format!("CC={}", compiler.display())]).exits(0);
    if Command::new("pkg-config").arg("--version").output().is_err() {
        return;
    }
    for flags in [format!("-I{far}"), format!("-DNAME -isystem {far}")] {
        fs::write(
            workspace.beside("far/far.pc"),
            format!("Name: far\nDescription: -\nVersion: 1\nCflags: {flags}\n"),
        )
        .unwrap();
        workspace.file(
            "TARGETS",
            r#"{"p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.c"], "deps": ["far"]},
                "far": {"type": ["@", "std", "cc", "system library"], "pkg-config": ["far"]}}"#,
        );
        let path = format!("PKG_CONFIG_PATH={}", workspace.beside("far").display());
        let out = workspace.beside("out").display().to_string();
        workspace.run(&taut(), ["install", "p", "-o", &out, "-D", &path]).exits(0);
        assert_eq!(Command::new(workspace.beside("out/p")).output().unwrap().stdout, b"1");
        fs::remove_dir_all(workspace.build_root()).unwrap();
    }
}

/// Rules of others, which call a compiler as they like.
#[test]
fn a_rule_of_a_user_needs_no_list_for_the_headers_of_the_system() {
    let compile = |flags: &str| format!("cc -MD -MF o/out.d -Iinc -I$PWD/sub {flags} -c main.c -o o/out");
    let build = |flags: &str, more: &str| {
        let workspace = scripted(&compile(flags), "\"o/out.d\"", "");
        let rules = fs::read_to_string(workspace.root().join("RULES")).unwrap();
        let env = r#""env": {"type": "'", "$1": {"PATH": "/usr/local/bin:/usr/bin:/bin"}}, "outs""#;
        workspace.file("RULES", rules.replace("\"outs\"", env));
        workspace.file(
            "main.c",
            "#include <stdio.h>\n#include <stddef.h>\n#include <a.h>\n#include <s.h>\nint v = V + W;\n",
        );
        workspace.file("inc/a.h", "#define V 1\n").file("sub/s.h", "#define W 1\n").file("sub/unused.h", "");
        fs::create_dir(workspace.beside("far")).unwrap();
        fs::write(workspace.beside("far/far.h"), "").unwrap();
        workspace.file("mine.system-dirs", format!("{}\n", workspace.beside("far").display()));
        let deps = format!(r#""main.c", "inc/a.h", "sub/s.h", "sub/unused.h"{more}"#);
        workspace.file("TARGETS", format!(r#"{{"t": {{"type": "made", "deps": [{deps}]}}}}"#));
        workspace
    };
    let workspace = build("", "");
    assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 1);
    workspace.file("sub/unused.h", "//");
    assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 0);
    // By its whole path in the directory of the action.
    workspace.file("sub/s.h", "#define W 2\n");
    assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 1);
    let workspace = build("-include ../far.h", "");
    workspace.file("sub/unused.h", "");
    let flags = |workspace: &Workspace| format!("-include {}/far.h", workspace.beside("far").display());
    let rules = fs::read_to_string(workspace.root().join("RULES")).unwrap();
    workspace.file("RULES", rules.replace("-include ../far.h", &flags(&workspace)));
    let failed = workspace.run(&taut(), ["build", "t"]).exits(1).stderr;
    assert!(failed.contains("far.h\", which is not an input of the action"), "{failed}");
    let targets = fs::read_to_string(workspace.root().join("TARGETS")).unwrap();
    workspace.file("TARGETS", targets.replace("\"main.c\"", "\"main.c\", \"mine.system-dirs\""));
    assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 1);
}

/// `..` behind the name of a tree leads to other inputs.
#[test]
fn an_input_that_is_named_through_a_tree_counts() {
    let script = "cat tree/../a > o/out; echo 'o/out: tree/../a' > o/out.d";
    let workspace = scripted(script, "\"o/out.d\"", "");
    assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 1);
    workspace.file("a", "other");
    assert_eq!(ran(workspace.run(&taut(), ["build", "t"])), 1);
}

fn project() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("main.c", "#include <stdio.h>\n#include \"a.h\"\nint more(void);\nint main(void) { printf(\"%d %d\\n\", A, more()); return 0; }\n");
    workspace.file("more.cpp", "#include <vector>\n#include <v.h>\n#if __has_include(\"may be.h\")\n#include \"may be.h\"\n#else\n#define MAY 0\n#endif\n#define NAME \"c$#.h\"\n#include NAME\nextern \"C\" int more() { return std::vector<int>(V).size() + MAY + C; }\n");
    workspace.file("a.h", "#define A 1\n").file("late/v.h", "#define V 1\n").file("c$#.h", "#define C 0\n");
    workspace.file("unused.h", "").file("early/unused.h", "");
    describe(&workspace, r#""main.c", "more.cpp""#);
    workspace
}

/// What the program prints after a build, and how many actions ran.
#[track_caller]
fn built(workspace: &Workspace) -> (usize, String) {
    let out = workspace.beside("out").display().to_string();
    let count = ran(workspace.run(&taut(), ["install", "p", "-o", &out]));
    let output = Command::new(workspace.beside("out/p")).output().unwrap();
    (count, String::from_utf8(output.stdout).unwrap())
}

#[test]
fn only_what_read_a_header_is_compiled_again() {
    let workspace = project();
    let after = |workspace: &Workspace| {
        describe(workspace, r#""main.c", "more.cpp""#);
        built(workspace)
    };
    let is = |count: usize, text: &str| (count, format!("{text}\n"));
    // Two tools, two sources, a link.
    assert_eq!(after(&workspace), is(5, "1 1"));
    workspace.file("a.h", "#define A 2\n");
    assert_eq!(after(&workspace), is(2, "2 1"));
    workspace.file("unused.h", "#error\n");
    assert_eq!(after(&workspace), is(0, "2 1"));
    workspace.file("c$#.h", "#define C 10\n");
    assert_eq!(after(&workspace), is(2, "2 11"));
    // A header shadows another one, appears, or is removed. Names are seen by both sources.
    workspace.file("early/v.h", "#define V 5\n");
    assert_eq!(after(&workspace), is(3, "2 15"));
    workspace.file("may be.h", "#define MAY 100\n");
    assert_eq!(after(&workspace), is(3, "2 115"));
    workspace.file("may be.h", "#define MAY 200\n");
    assert_eq!(after(&workspace), is(2, "2 215"));
    workspace.file("early/a.h", "#define A 3\n");
    assert_eq!(after(&workspace).1, "2 215\n");
    workspace.remove("a.h");
    assert_eq!(after(&workspace).1, "3 215\n");
    workspace.remove("early/v.h");
    assert_eq!(after(&workspace).1, "3 211\n");
    workspace.remove("early/a.h");
    describe(&workspace, r#""main.c", "more.cpp""#);
    let out = workspace.beside("out").display().to_string();
    let failed = workspace.run(&taut(), ["install", "p", "-o", &out]).exits(1).stderr;
    assert!(failed.contains("a.h"), "{failed}");
}

#[test]
fn check_outs_that_share_a_build_root_share_what_was_read() {
    let (one, two) = (project(), project());
    let root = one.beside("shared").display().to_string();
    let build = |workspace: &Workspace| {
        ran(taut().run(&workspace.root(), ["build", "--local-build-root", &root, "p"]))
    };
    assert_eq!(build(&one), 5);
    two.file("unused.h", "int other;\n");
    assert_eq!(build(&two), 0);
    two.file("a.h", "#define A 7\n");
    assert_eq!(build(&two), 2);
    one.file("a.h", "#define A 7\n").file("early/unused.h", "int third;\n");
    assert_eq!(build(&one), 0);
}

/// Edits at random of sources and headers, each compared with a build from nothing.
#[test]
fn results_are_those_of_builds_from_nothing() {
    let edits = std::env::var("TAUT_DEPFILE_EDITS").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let mut random = Rng::new(7);
    let workspace = project();
    let names = ["a.h", "b.h", "early/a.h", "early/b.h", "late/a.h", "late/b.h", "late/v.h"];
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for name in names {
        files.insert(name, String::new());
    }
    let (mut ran_here, mut ran_fresh) = (0, 0);
    for edit in 0..edits {
        let fresh = Workspace::new();
        let name = names[random.below(names.len())];
        // Guards would hide an inclusion that is cyclic: a header includes only later ones, by computed names.
        let text = match random.below(5) {
            0 => None,
            1 => Some(format!("enum {{ E_{}_{edit} = {edit} }};\n", name.replace(['/', '.'], "_"))),
            2 if name.ends_with("a.h") => {
                Some("#define H <b.h>\n#if __has_include(H)\n#include H\n#endif\n".to_owned())
            }
            3 => Some("#if __has_include(\"v.h\")\n#define SEEN 1\n#endif\n".to_owned()),
            _ => Some(format!("#ifndef N\n#define N {}\n#endif\n", random.below(4))),
        };
        match text {
            Some(text) => drop(files.insert(name, text)),
            None => drop(files.remove(name)),
        }
        for name in names {
            for place in [&workspace, &fresh] {
                match files.get(name) {
                    Some(text) => drop(place.file(name, text)),
                    None if place.root().join(name).exists() => drop(place.remove(name)),
                    None => {}
                }
            }
        }
        let source = |number: usize| {
            let include = ["a", "b", "v"][number % 3];
            format!(
                "#if __has_include(<{include}.h>)\n#include <{include}.h>\n#endif\n#ifndef N\n#define N 9\n#endif\n#ifndef SEEN\n#define SEEN 0\n#endif\n#ifdef __cplusplus\nextern \"C\"\n#endif\nint f{number}(void) {{ return N * 10 + SEEN; }}\n"
            )
        };
        for place in [&workspace, &fresh] {
            place.file("main.c", "#include <stdio.h>\nint f0(void); int f1(void); int f2(void);\nint main(void) { printf(\"%d %d %d\\n\", f0(), f1(), f2()); return 0; }\n");
            for number in 0..3 {
                place.file(if number == 2 { "s2.cpp" } else { ["s0.c", "s1.c"][number] }, source(number));
            }
        }
        for header in ["c$#.h", "unused.h", "early/unused.h"] {
            fresh.file(header, fs::read(workspace.root().join(header)).unwrap());
        }
        for place in [&workspace, &fresh] {
            describe(place, r#""main.c", "s0.c", "s1.c", "s2.cpp""#);
        }
        let ((count, text), (all, wanted)) = (built(&workspace), built(&fresh));
        (ran_here, ran_fresh) = (ran_here + count, ran_fresh + all);
        assert_eq!(text, wanted, "after edit {edit} of {name}: {files:?}");
        let program = |place: &Workspace| fs::read(place.beside("out/p")).unwrap();
        assert!(program(&workspace) == program(&fresh), "after edit {edit} of {name}: {files:?}");
    }
    assert!(ran_here * 2 < ran_fresh, "{ran_here} of {ran_fresh} actions");
}
