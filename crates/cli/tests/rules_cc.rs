//! The rules for C and C++ in the binary: what is compiled again after an edit, what a source can include, and that
//! what is made depends on sources and tool chain only.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{fs, path::Path, process::Command};

use taut_testkit::{Tool, ToolResult, Workspace, processed};

const TARGETS: &str = r#"{
  "hello": {"type": ["@", "std", "cc", "binary"], "name": ["hello"], "srcs": ["main.c"], "deps": ["greet"]},
  "greet": {"type": ["@", "std", "cc", "library"], "name": ["greet"], "srcs": ["greet.c", "words.c"], "hdrs": ["greet.h"],
    "private hdrs": ["words.h"]}
}"#;

const MAIN: &str = "#include <greet.h>\n#include <stdio.h>\nint main(void) { puts(greet()); return 0; }\n";
const GREET: &str =
    "#include \"greet.h\"\n#include \"words.h\"\nconst char *greet(void) { return WORD __FILE__; }\n";
const WORDS: &str = "#include \"words.h\"\nconst char *word(void) { return WORD; }\n";

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

fn project() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("TARGETS", TARGETS).file("main.c", MAIN).file("greet.c", GREET).file("words.c", WORDS);
    workspace.file("greet.h", "const char *greet(void);\n").file("words.h", "#define WORD \"hello from \"\n");
    workspace
}

/// Builds a target into `out` beside the workspace; `more` are further words.
#[track_caller]
fn install(workspace: &Workspace, target: &str, more: &[&str]) -> ToolResult {
    let out = workspace.beside("out").display().to_string();
    workspace.run(&taut(), [&["install", target, "-o", &out][..], more].concat())
}

/// How many actions a successful build ran.
#[track_caller]
fn ran(built: ToolResult) -> usize {
    let (actions, not_run) = processed(&built.clone().exits(0).stderr).expect("a line with counts");
    actions - not_run
}

/// What a program that was installed prints.
#[track_caller]
fn output(workspace: &Workspace, program: &str) -> String {
    let output = Command::new(workspace.beside("out").join(program)).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn only_what_can_see_an_edit_is_compiled_again() {
    let workspace = project();
    // Two programs are looked for; three sources, an archive, a program.
    assert_eq!(ran(install(&workspace, "hello", &[])), 7);
    assert_eq!(output(&workspace, "hello"), "hello from greet.c\n");
    assert_eq!(ran(install(&workspace, "hello", &[])), 0);
    // A private header: the sources of the library, the archive, the program.
    workspace.file("words.h", "#define WORD \"good day from \"\n");
    assert_eq!(ran(install(&workspace, "hello", &[])), 4);
    assert_eq!(output(&workspace, "hello"), "good day from greet.c\n");
    // Another configuration: all sources, the archive, the program. Then a public header: the two sources that include
    // it are compiled, though nothing that counts has changed. The objects are the same.
    workspace.file("greet.h", "const char * greet(void);\n");
    assert_eq!(ran(install(&workspace, "hello", &["-D", r#"{"BUILD_TYPE": "release"}"#])), 5);
    workspace.file("greet.h", "const char *greet (void);\n");
    assert_eq!(ran(install(&workspace, "hello", &["-D", r#"{"BUILD_TYPE": "release"}"#])), 2);
    // A source: itself, the archive, the program.
    workspace.file("words.c", WORDS.replace("WORD;", "\"other\";"));
    assert_eq!(ran(install(&workspace, "hello", &["-D", r#"{"BUILD_TYPE": "release"}"#])), 3);
    // A source that is not used by what is asked for, and comes and goes.
    workspace.file("unused.c", "");
    assert_eq!(ran(install(&workspace, "hello", &["-D", r#"{"BUILD_TYPE": "release"}"#])), 0);
}

#[test]
fn a_source_can_include_only_what_it_may() {
    let workspace = project();
    workspace.file("main.c", MAIN.replace("<greet.h>", "\"words.h\""));
    let failed = install(&workspace, "hello", &[]).exits(1);
    assert!(failed.stderr.contains("words.h: No such file or directory"), "{}", failed.stderr);
    // A header of a private dependency of the library.
    workspace.file("main.c", MAIN.replace("<greet.h>", "<low.h>"));
    workspace.file("low.h", "#define LOW 1\n").file(
        "TARGETS",
        TARGETS
            .replace("\"hdrs\": [\"greet.h\"]", "\"hdrs\": [\"greet.h\"], \"private deps\": [\"low\"]")
            .replacen('{', r#"{"low": {"type": ["@", "std", "cc", "library"], "hdrs": ["low.h"]},"#, 1),
    );
    let failed = install(&workspace, "hello", &[]).exits(1);
    assert!(failed.stderr.contains("low.h: No such file or directory"), "{}", failed.stderr);
    // The library itself may, and passes on what is in `deps`.
    workspace.file("greet.c", format!("#include <low.h>\n{GREET}"));
    workspace.file("main.c", MAIN);
    install(&workspace, "hello", &[]).exits(0);
    let targets = fs::read_to_string(workspace.root().join("TARGETS")).unwrap();
    workspace.file("TARGETS", targets.replace("private deps", "deps"));
    workspace.file("main.c", format!("#include <low.h>\n{MAIN}"));
    install(&workspace, "hello", &[]).exits(0);
}

/// All objects that a build stored, and the installed files, by name and content.
fn made(workspace: &Workspace, target: &str, more: &[&str]) -> Vec<String> {
    let dump = workspace.beside("artifacts.json").display().to_string();
    let mut all = Vec::new();
    for at in [target, "greet"] {
        install(workspace, at, &[more, &["--dump-artifacts", &dump]].concat()).exits(0);
        all.push(fs::read_to_string(&dump).unwrap().replace(&*workspace.beside("").to_string_lossy(), ""));
    }
    all
}

#[test]
fn equal_sources_give_equal_files_anywhere() {
    // Debug information, and the name of a file in a text.
    let (one, other) = (project(), project());
    let cxx = r#"{"hello": {"type": ["@", "std", "cc", "binary"], "name": ["hello"], "srcs": ["main.cc"], "deps": ["greet"]},
      "greet": {"type": ["@", "std", "cc", "library"], "name": ["greet"], "srcs": ["greet.cc"], "linkage": ["shared"]}}"#;
    let main =
        "const char *greet();\nnamespace { struct S { S() { greet(); } } s; }\nint main() { return 0; }\n";
    for workspace in [&one, &other] {
        workspace.file("main.cc", main).file("greet.cc", "const char *greet() { return __FILE__; }\n");
        workspace.file("cxx/TARGETS", cxx);
        for name in ["main.cc", "greet.cc"] {
            fs::copy(workspace.root().join(name), workspace.root().join("cxx").join(name)).unwrap();
        }
    }
    for more in [&[][..], &["-D", r#"{"BUILD_TYPE": "release"}"#]] {
        assert_eq!(made(&one, "hello", more), made(&other, "hello", more));
    }
    let out = |workspace: &Workspace| workspace.beside("out").display().to_string();
    for workspace in [&one, &other] {
        workspace
            .run(&taut(), ["install", "cxx", "hello", "-o", &format!("{}/cxx", out(workspace))])
            .exits(0);
    }
    let names = ["hello", "cxx/hello", "cxx/libgreet.so"];
    for name in names {
        let [a, b] = [&one, &other].map(|workspace| fs::read(workspace.beside("out").join(name)).unwrap());
        assert_eq!(a, b, "{name}");
        // No directory of an action: all are below the build root.
        let text = String::from_utf8_lossy(&a);
        for part in ["build-root", "taut-test-", "/proc/self/cwd"] {
            assert!(!text.contains(part), "{name} has {part}");
        }
        assert!(name != "hello" || text.contains("hello from greet.c"));
    }
}

#[test]
fn without_a_compiler_the_message_says_what_to_do() {
    let workspace = project();
    for (define, expected) in [
        (
            r#"{"CC": "no-such-cc"}"#,
            "There is no no-such-cc in /usr/local/bin:/usr/bin:/bin, which is needed to compile C.",
        ),
        (r#"{"TARGET": "no-such-machine"}"#, "There is no no-such-machine-gcc in "),
        (r#"{"AR": "/no/such/ar"}"#, "There is no /no/such/ar in "),
    ] {
        let failed = install(&workspace, "hello", &["-D", define]).exits(1);
        assert!(failed.stderr.contains(expected), "{}", failed.stderr);
        assert!(failed.stderr.contains("-D '{\""), "{}", failed.stderr);
    }
    let failed = install(&workspace, "hello", &["-D", r#"{"BUILD_TYPE": "fast"}"#]).exits(8);
    let expected = "It has address, debug, release, thread, undefined.";
    assert!(failed.stderr.contains(expected), "{}", failed.stderr);
    let failed = install(&workspace, "hello", &["-D", r#"{"CFLAGS": "-O2"}"#]).exits(8);
    let expected =
        "the variable CFLAGS is a list of strings, one for each flag: -D '{\"CFLAGS\": [\"-O2\"]}'";
    assert!(failed.stderr.contains(expected), "{}", failed.stderr);
    install(&workspace, "hello", &["-D", r#"{"CFLAGS": ["-O2"]}"#]).exits(0);
}

#[test]
fn flags_of_the_configuration_and_the_target_are_used() {
    let workspace = project();
    let main = "#include <stdio.h>\nint main(void) { printf(\"%d %d %s\\n\", A, B, C); return 0; }\n";
    workspace.file("main.c", main).file(
        "TARGETS",
        r#"{"hello": {"type": ["@", "std", "cc", "binary"], "name": ["hello"], "srcs": ["main.c"], "defines": ["C=\"a b\""],
            "cflags": ["-DB=2"]}}"#,
    );
    install(&workspace, "hello", &["-D", r#"{"CFLAGS": ["-DA=1"]}"#]).exits(0);
    assert_eq!(output(&workspace, "hello"), "1 2 a b\n");
    install(&workspace, "hello", &["-D", r#"{"CFLAGS": ["-DA=3"]}"#]).exits(0);
    assert_eq!(output(&workspace, "hello"), "3 2 a b\n");
}

#[test]
fn shared_libraries_are_found_where_they_are_installed() {
    let workspace = project();
    let shared = |targets: &str| {
        targets.replace(
            "\"name\": [\"greet\"]",
            r#""name": ["greet"], "linkage": ["shared"], "version": ["1.2.3"]"#,
        )
    };
    workspace.file("TARGETS", shared(TARGETS));
    install(&workspace, "hello", &[]).exits(0);
    assert_eq!(output(&workspace, "hello"), "hello from greet.c\n");
    assert!(workspace.beside("out/libgreet.so.1").exists());
    // The library alone, with the links that linkers and programs look for.
    install(&workspace, "greet", &[]).exits(0);
    let link = |name: &str| fs::read_link(workspace.beside("out").join(name)).unwrap();
    assert_eq!(link("libgreet.so"), Path::new("libgreet.so.1"));
    assert_eq!(link("libgreet.so.1"), Path::new("libgreet.so.1.2.3"));
    assert!(workspace.beside("out/greet.h").exists());
    // With a version of one number the file itself has the name that programs look for.
    workspace.file("TARGETS", shared(TARGETS).replace("1.2.3", "4"));
    for target in ["hello", "greet"] {
        install(&workspace, target, &[]).exits(0);
        assert!(fs::symlink_metadata(workspace.beside("out/libgreet.so.4")).unwrap().is_file(), "{target}");
    }
    assert_eq!(output(&workspace, "hello"), "hello from greet.c\n");
    assert_eq!(link("libgreet.so"), Path::new("libgreet.so.4"));
    workspace.file(
        "TARGETS",
        TARGETS.replace("\"name\": [\"greet\"]", r#""name": ["greet"], "linkage": ["dynamic"]"#),
    );
    let failed = install(&workspace, "hello", &[]).exits(8);
    assert!(failed.stderr.contains("the field \"linkage\" is"), "{}", failed.stderr);
}

/// A program, the shared library with a version that it uses, and targets of several rules that put both together.
fn program_with_versioned_library() -> Workspace {
    let workspace = project();
    let shared = TARGETS
        .replace(r#""name": ["greet"]"#, r#""name": ["greet"], "linkage": ["shared"], "version": ["1.2.3"]"#);
    let both = r#"
      "files": {"type": ["@", "std", "", "files"], "srcs": ["hello", "greet"], "dir": ["bin"]},
      "tar": {"type": ["@", "std", "", "archive"], "name": ["x.tar"], "srcs": ["hello", "greet"], "dir": ["bin"]},
      "zip": {"type": ["@", "std", "", "archive"], "name": ["x.zip"], "srcs": ["hello", "greet"], "dir": ["bin"]},
      "test": {"type": ["@", "std", "shell", "test"], "name": ["test"], "src": ["test.sh"], "data": ["hello", "greet"]},
      "genrule": {"type": ["@", "std", "", "genrule"], "outs": ["printed"], "tools": ["hello"], "srcs": ["greet"],
        "cmds": ["./hello > printed"]},
      "dirs": {"type": "install", "dirs": [["hello", "bin"], ["greet", "bin"]]}}"#;
    workspace.file("TARGETS", shared.trim_end().trim_end_matches('}').to_owned() + "," + both);
    workspace.file("test.sh", "test \"$(./hello)\" = 'hello from greet.c'\n");
    workspace
}

/// Runs a shell command in `out` beside the workspace.
#[track_caller]
fn in_out(workspace: &Workspace, command: &str) {
    let ran =
        Command::new("sh").args(["-ec", command]).current_dir(workspace.beside("out")).output().unwrap();
    assert!(ran.status.success(), "{command}: {ran:?}");
}

#[test]
fn files_with_a_program_and_its_versioned_library_have_both() {
    let workspace = program_with_versioned_library();
    install(&workspace, "files", &[]).exits(0);
    assert_eq!(output(&workspace, "bin/hello"), "hello from greet.c\n");
}

#[test]
fn archives_with_a_program_and_its_versioned_library_have_both() {
    let workspace = program_with_versioned_library();
    install(&workspace, "tar", &[]).exits(0);
    in_out(&workspace, "tar -xf x.tar; test \"$(bin/hello)\" = 'hello from greet.c'");
    install(&workspace, "zip", &[]).exits(0);
    in_out(&workspace, "test -s x.zip");
}

#[test]
fn tests_with_a_program_and_its_versioned_library_as_data_run() {
    let workspace = program_with_versioned_library();
    let tested = workspace.run(&taut(), ["test", "test"]).exits(0);
    assert!(tested.stderr.contains("1 test: 1 passed in "), "{}", tested.stderr);
}

#[test]
fn genrules_run_a_program_whose_versioned_library_is_a_source() {
    let workspace = program_with_versioned_library();
    install(&workspace, "genrule", &[]).exits(0);
    assert_eq!(fs::read_to_string(workspace.beside("out/printed")).unwrap(), "hello from greet.c\n");
}

#[test]
fn directories_with_a_program_and_its_versioned_library_are_installed() {
    let workspace = program_with_versioned_library();
    install(&workspace, "dirs", &[]).exits(0);
    assert_eq!(output(&workspace, "bin/hello"), "hello from greet.c\n");
}

#[test]
fn a_shared_library_brings_the_static_ones_that_it_uses() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{
        "app": {"type": ["@", "std", "cc", "binary"], "name": ["app"], "srcs": ["app.c"], "deps": ["outer"]},
        "outer": {"type": ["@", "std", "cc", "library"], "name": ["outer"], "srcs": ["outer.c"], "hdrs": ["outer.h"],
          "linkage": ["shared"], "private deps": ["inner", "other"]},
        "inner": {"type": ["@", "std", "cc", "library"], "name": ["inner"], "srcs": ["inner.c"], "hdrs": ["inner.h"]},
        "other": {"type": ["@", "std", "cc", "library"], "name": ["other"], "srcs": ["other.c"], "hdrs": ["other.h"],
          "linkage": ["shared"]}}"#);
    workspace.file(
        "app.c",
        "#include <outer.h>\n#include <stdio.h>\nint main(void) { printf(\"%d\\n\", outer()); return 0; }\n",
    );
    workspace.file(
        "outer.c",
        "#include <inner.h>\n#include <other.h>\nint outer(void) { return inner() + other(); }\n",
    );
    workspace.file("outer.h", "int outer(void);\n");
    for (name, value) in [("inner", 40), ("other", 2)] {
        workspace.file(&format!("{name}.c"), format!("int {name}(void) {{ return {value}; }}\n"));
        workspace.file(&format!("{name}.h"), format!("int {name}(void);\n"));
    }
    install(&workspace, "app", &[]).exits(0);
    assert_eq!(output(&workspace, "app"), "42\n");
    assert!(workspace.beside("out/libother.so").exists() && !workspace.beside("out/libinner.a").exists());
}

#[test]
fn headers_have_the_names_that_the_library_gives_them() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{
        "app": {"type": ["@", "std", "cc", "binary"], "name": ["app"], "srcs": ["app.cc"], "deps": ["one", "two"]},
        "one": {"type": ["@", "std", "cc", "library"], "name": ["one"], "srcs": ["src/one.c"], "hdrs": ["include/one/api.h"],
          "include dirs": ["include"], "private hdrs": ["lib/private/detail.h"], "private include dirs": ["lib"],
          "defines": ["ONE=1"], "private defines": ["HIDDEN=20"]},
        "two": {"type": ["@", "std", "cc", "library"], "hdrs": ["api.h"], "include prefix": ["two"]}}"#);
    workspace.file("app.cc", "#include <one/api.h>\n#include <two/api.h>\n#include <iostream>\nint main() { std::cout << ONE + one() + TWO << std::endl; }\n\
        #ifdef HIDDEN\n#error \"seen\"\n#endif\n");
    workspace.file(
        "src/one.c",
        "#include <one/api.h>\n#include <private/detail.h>\nint one(void) { return HIDDEN + DETAIL; }\n",
    );
    workspace.file("include/one/api.h", "#ifdef __cplusplus\nextern \"C\"\n#endif\nint one(void);\n");
    workspace.file("lib/private/detail.h", "#define DETAIL 300\n").file("api.h", "#define TWO 4000\n");
    install(&workspace, "app", &[]).exits(0);
    assert_eq!(output(&workspace, "app"), "4321\n");
    // Without the prefix, a second header with the name of the first.
    let targets = fs::read_to_string(workspace.root().join("TARGETS")).unwrap();
    workspace
        .file("TARGETS", targets.replace("\"include prefix\": [\"two\"]", "\"include prefix\": [\"one\"]"));
    let failed = install(&workspace, "app", &[]).exits(8);
    assert!(failed.stderr.contains("two of them have the same name"), "{}", failed.stderr);
    assert!(failed.stderr.contains("one/api.h"), "{}", failed.stderr);
}

#[test]
fn generated_sources_and_headers_are_used_as_others_are() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{
        "app": {"type": ["@", "std", "cc", "binary"], "name": ["app"], "srcs": ["app.c", "made"], "deps": ["version"]},
        "made": {"type": ["@", "std", "", "genrule"], "outs": ["made.c", "made.h"], "srcs": ["made.txt"], "cmds": [
          "echo 'int made(void);' > made.h",
          "echo '#include \"made.h\"' > made.c",
          "echo \"int made(void) { return $(cat made.txt); }\" >> made.c"]},
        "version": {"type": ["@", "std", "cc", "library"], "hdrs": ["version.h"]},
        "version.h": {"type": "file_gen", "name": "version.h", "data": "\u0023define VERSION 7\n"}}"#);
    workspace.file("made.txt", "5");
    workspace.file("app.c", "#include \"made.h\"\n#include <version.h>\n#include <stdio.h>\nint main(void) { printf(\"%d\\n\", made() * VERSION); return 0; }\n");
    install(&workspace, "app", &[]).exits(0);
    assert_eq!(output(&workspace, "app"), "35\n");
}

#[test]
fn libraries_of_the_system_are_found_by_pkg_config() {
    if Command::new("pkg-config").arg("--version").output().is_err() {
        return;
    }
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{
        "app": {"type": ["@", "std", "cc", "binary"], "name": ["app"], "srcs": ["app.c"], "deps": ["far"]},
        "far": {"type": ["@", "std", "cc", "system library"], "pkg-config": ["taut-far >= 2"], "libs": ["-lm"]}}"#);
    workspace.file("app.c", "#include <math.h>\n#include <stdio.h>\nint main(int c, char **v) { printf(\"%s %.0f\\n\", FAR, floor(c + 0.5)); return 0; }\n");
    let failed = install(&workspace, "app", &[]).exits(1);
    assert!(
        failed.stderr.contains("pkg-config does not find the library taut-far >= 2."),
        "{}",
        failed.stderr
    );
    let dir = workspace.beside("pc");
    fs::create_dir(&dir).unwrap();
    let description =
        "Name: far\nDescription: for a test\nVersion: 2.1\nCflags: -DFAR=\\\"far\\\"\nLibs: -lm\n";
    fs::write(dir.join("taut-far.pc"), description).unwrap();
    let path = format!(r#"{{"PKG_CONFIG_PATH": "{}"}}"#, dir.display());
    install(&workspace, "app", &["-D", &path]).exits(0);
    assert_eq!(output(&workspace, "app"), "far 1\n");
}

#[test]
fn tools_are_built_for_the_machine_that_builds() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{
        "app": {"type": ["@", "std", "cc", "binary"], "name": ["app"], "srcs": ["app.c", "made"]},
        "made": {"type": ["@", "std", "", "genrule"], "outs": ["made.h"], "tools": ["gen"], "cmds": ["./gen > made.h"]},
        "gen": {"type": ["@", "std", "cc", "binary"], "name": ["gen"], "srcs": ["gen.c"]}}"#);
    let show =
        |head: &str| format!("{head}#include <stdio.h>\n#ifndef MACHINE\n#define MACHINE \"host\"\n#endif\n");
    workspace.file(
        "gen.c",
        show("") + "int main(void) { puts(\"#define GEN \\\"\" MACHINE \"\\\"\"); return 0; }\n",
    );
    workspace.file(
        "app.c",
        show("#include \"made.h\"\n") + "int main(void) { puts(MACHINE \" by \" GEN); return 0; }\n",
    );
    // A compiler for another machine, as far as this test can see.
    let bin = workspace.beside("bin");
    fs::create_dir(&bin).unwrap();
    let compiler = bin.join("other-machine-gcc");
    fs::write(&compiler, "#!/bin/sh\nexec cc -DMACHINE='\"other\"' \"$@\"\n").unwrap();
    fs::set_permissions(&compiler, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let define = format!(r#"{{"TARGET": "other-machine", "PATH": "{}:/usr/bin:/bin"}}"#, bin.display());
    install(&workspace, "app", &["-D", &define]).exits(0);
    assert_eq!(output(&workspace, "app"), "other by host\n");
    install(&workspace, "app", &[]).exits(0);
    assert_eq!(output(&workspace, "app"), "host by host\n");
}

#[test]
fn a_workspace_can_have_a_tool_chain_of_its_own() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{
        "app": {"type": ["@", "std", "cc", "binary"], "name": ["app"], "srcs": ["app.c"], "tool chain": ["mine"]},
        "mine": {"type": ["@", "std", "cc", "tool chain"], "cc": ["cc"], "cflags": ["-DWORD=\"mine\""],
          "build types": ["tiny"], "default build type": ["tiny"]},
        "tiny": {"type": ["@", "std", "cc", "build type"], "name": ["tiny"], "cflags": ["-Os", "-DTYPE=\"tiny\""]},
        "wrong": {"type": ["@", "std", "cc", "binary"], "name": ["app"], "srcs": ["app.c"], "tool chain": ["app.c"]}}"#);
    workspace.file("app.c", "#include <stdio.h>\nint main(void) { puts(WORD \" \" TYPE); return 0; }\n");
    install(&workspace, "app", &[]).exits(0);
    assert_eq!(output(&workspace, "app"), "mine tiny\n");
    let failed = install(&workspace, "wrong", &[]).exits(8);
    assert!(failed.stderr.contains("is not a tool chain"), "{}", failed.stderr);
}

#[test]
fn a_tool_chain_has_the_usual_build_types_unless_it_names_others() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{
        "app": {"type": ["@", "std", "cc", "binary"], "name": ["app"], "srcs": ["app.c"], "tool chain": ["mine"]},
        "mine": {"type": ["@", "std", "cc", "tool chain"], "cc": ["cc"]}}"#);
    workspace.file("app.c", "#include <stdio.h>\nint main(void) {\n#ifdef NDEBUG\n  puts(\"release\");\n#else\n  puts(\"debug\");\n#endif\n  return 0; }\n");
    install(&workspace, "app", &[]).exits(0);
    assert_eq!(output(&workspace, "app"), "debug\n");
    install(&workspace, "app", &["-D", "BUILD_TYPE=release"]).exits(0);
    assert_eq!(output(&workspace, "app"), "release\n");
}

#[test]
fn an_unknown_value_of_a_setting_has_a_suggestion() {
    let workspace = project();
    let meant = |words: &[&str], target: &str| {
        let failed = install(&workspace, target, words).exits(8).stderr;
        failed.lines().find_map(|line| line.split_once("did you mean ")).map(|(_, rest)| rest.to_owned())
    };
    assert_eq!(meant(&["-D", "BUILD_TYPE=addres"], "hello").as_deref(), Some("\"address\"?"));
    assert_eq!(meant(&["-D", "BUILD_TYPE=fast"], "hello"), None);
    let failed = install(&workspace, "hello", &["-D", "BUILD_TYPE="]).exits(8).stderr;
    let empty = "error: the tool chain has no build type with an empty name (variable BUILD_TYPE, or field \"default build type\"). It has ";
    assert!(failed.contains(empty), "{failed}");
    for (field, expected) in [(r#""linkage": ["sharde"]"#, "shared"), (r#""linkage": ["Static"]"#, "static")]
    {
        workspace.file(
            "TARGETS",
            format!(r#"{{"x": {{"type": ["@", "std", "cc", "library"], "name": ["x"], "srcs": ["words.c"], "private hdrs": ["words.h"], {field}}}}}"#),
        );
        assert_eq!(meant(&[], "x").as_deref(), Some(&*format!("\"{expected}\"?")), "{field}");
    }
}

/// Assembler that the compiler preprocesses is compiled again for what it reads, and for nothing else that it can
/// include.
#[test]
fn assembler_sources_depend_on_what_they_include() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{
        "app": {"type": ["@", "std", "cc", "binary"], "name": ["app"], "srcs": ["app.c", "number.S", "plain.s"],
          "private hdrs": ["number.h", "other.h", "inner.inc"]}}"#);
    workspace
        .file("app.c", "#include <stdio.h>\nextern const int number;\nint main(void) { printf(\"%d\\n\", number); return 0; }\n")
        .file("number.h", "#define NUMBER 1\n")
        .file("other.h", "#define OTHER 1\n")
        .file("inner.inc", "")
        .file("plain.s", "\t.section .note.GNU-stack,\"\",%progbits\n")
        .file("number.S", "#include \"number.h\"\n\t.section .rodata\n\t.globl number\nnumber:\n\t.long NUMBER\n\t.section .note.GNU-stack,\"\",%progbits\n");
    install(&workspace, "app", &[]).exits(0);
    assert_eq!(output(&workspace, "app"), "1\n");
    // Of the assembler without preprocessor nothing reports what it reads, so that is assembled again.
    workspace.file("other.h", "#define OTHER 2\n");
    assert_eq!(ran(install(&workspace, "app", &[])), 1);
    workspace.file("number.h", "#define NUMBER 2\n");
    install(&workspace, "app", &[]).exits(0);
    assert_eq!(output(&workspace, "app"), "2\n");
    // What the assembler includes is in no depfile: a source that does so depends on all that it can read.
    let source = fs::read_to_string(workspace.root().join("number.S")).unwrap();
    workspace.file("number.S", format!("{source}\t.include \"inner.inc\"\n"));
    install(&workspace, "app", &[]).exits(0);
    workspace.file("inner.inc", "\t.globl more\n\t.set more, 1\n");
    assert!(ran(install(&workspace, "app", &[])) >= 2);
}

#[test]
fn the_command_of_a_failed_compilation_is_shown_without_options_for_colours() {
    let workspace = project();
    workspace.file("words.c", "int word(void) { return }\n");
    let failed = install(&workspace, "hello", &[]).exits(1).stderr;
    assert!(failed.contains("  cc "), "{failed}");
    assert!(!failed.contains("-fdiagnostics-color"), "{failed}");
    let verbose = install(&workspace, "hello", &["-v"]).exits(1).stderr;
    assert!(verbose.contains("-fdiagnostics-color=always"), "{verbose}");
}

#[test]
fn wrong_fields_are_errors_that_say_what_is_meant() {
    let workspace = project();
    for (definition, expected) in [
        (r#"{"type": ["@", "std", "cc", "binary"], "srcs": ["main.c"]}"#, "the field \"name\" is missing."),
        (
            r#"{"type": ["@", "std", "cc", "binary"], "name": ["a", "b"], "srcs": ["main.c"]}"#,
            "the field \"name\" has more than one string: a, b",
        ),
        (r#"{"type": ["@", "std", "cc", "binary"], "name": ["a"]}"#, "a program needs sources"),
        (
            r#"{"type": ["@", "std", "cc", "binary"], "name": ["a"], "srcs": ["main.c"], "deps": ["greet.c"]}"#,
            "\"private deps\" take targets of the rules `library` and `system library` of std/cc",
        ),
        (
            r#"{"type": ["@", "std", "cc", "library"], "name": ["a"], "srcs": ["m.cppm"]}"#,
            "C++20 modules are not supported by these rules: m.cppm",
        ),
    ] {
        workspace.file("m.cppm", "").file("TARGETS", format!(r#"{{"x": {definition}}}"#));
        let failed = install(&workspace, "x", &[]).exits(8);
        assert!(failed.stderr.contains(expected), "{}", failed.stderr);
        assert!(failed.stderr.contains("TARGETS:1:2"), "{}", failed.stderr);
    }
}

#[test]
fn what_is_no_library_is_named_wherever_it_is_a_dependency() {
    let workspace = project();
    workspace.file("main.h", "");
    for wrong in ["greet.c", "made", "app"] {
        for consumer in [
            r#"{"type": ["@", "std", "cc", "binary"], "name": ["a"], "srcs": ["main.c"], "deps": ["WRONG"]}"#,
            r#"{"type": ["@", "std", "cc", "library"], "name": ["a"], "srcs": ["words.c"], "deps": ["WRONG"]}"#,
            r#"{"type": ["@", "std", "cc", "library"], "hdrs": ["main.h"], "deps": ["WRONG"]}"#,
            r#"{"type": ["@", "std", "cc", "library"], "name": ["a"], "srcs": ["words.c"], "private deps": ["WRONG"]}"#,
        ] {
            let consumer = consumer.replace("WRONG", wrong);
            workspace.file(
                "TARGETS",
                format!(
                    r#"{{"x": {consumer},
                "made": {{"type": ["@", "std", "", "genrule"], "outs": ["out.h"], "cmds": ["touch out.h"]}},
                "app": {{"type": ["@", "std", "cc", "binary"], "name": ["app"], "srcs": ["main.c"]}}}}"#
                ),
            );
            let failed = install(&workspace, "x", &[]).exits(8).stderr;
            let expected = format!(
                "take targets of the rules `library` and `system library` of std/cc (sources belong in \"srcs\", files for a \
                 test in \"data\"), not :{wrong}\n"
            );
            assert!(failed.contains(&expected), "{consumer}: {failed}");
        }
    }
}

/// Else equal sources would not give equal objects.
#[test]
fn a_compilation_has_no_date() {
    let workspace = Workspace::new();
    workspace
        .file("main.c", "#include <stdio.h>\nint main(void) { return puts(__DATE__ \" \" __TIME__) < 0; }\n")
        .file(
            "TARGETS",
            r#"{"app": {"type": ["@", "std", "cc", "binary"], "name": ["app"], "srcs": ["main.c"]}}"#,
        );
    install(&workspace, "app", &[]).exits(0);
    assert_eq!(output(&workspace, "app"), "Jan  1 1970 00:00:00\n");
}

#[test]
fn public_headers_of_one_name_in_a_library_are_reported_as_such() {
    let workspace = Workspace::new();
    for (headers, directories, expected) in [
        (r#""a.h", "inc1/a.h""#, r#""inc1""#, ", one below the \"include dirs\" and one outside of them"),
        (r#""inc1/a.h", "inc2/a.h""#, r#""inc1", "inc2""#, " below the \"include dirs\""),
    ] {
        for (at, header) in ["a.h", "inc1/a.h", "inc2/a.h"].into_iter().enumerate() {
            workspace.file(header, format!("#define A {at}\n"));
        }
        workspace.file(
            "TARGETS",
            format!(
                r#"{{"x": {{"type": ["@", "std", "cc", "library"], "hdrs": [{headers}], "include dirs": [{directories}]}}}}"#
            ),
        );
        let failed = install(&workspace, "x", &[]).exits(8).stderr;
        assert!(failed.contains(&format!("two public headers have the same name{expected}")), "{failed}");
        assert!(failed.contains("TARGETS:1:2"), "{failed}");
    }
}

/// That a source has to do with modules is known when a compiler reads it.
#[test]
fn a_source_that_exports_or_imports_a_module_is_reported_as_out_of_scope() {
    let workspace = Workspace::new();
    workspace.file("m.cc", "export module m;\nexport int f() { return 1; }\n");
    workspace.file("i.cc", "import m;\nint main() { return f(); }\n");
    workspace.file("typo.cc", "modul m;\nint main() { return 0; }\n");
    for (source, flags, is_of_modules) in [
        ("m.cc", "", true),
        ("i.cc", "", true),
        ("i.cc", r#""-std=c++20""#, true),
        ("i.cc", r#""-std=c++20", "-fmodules-ts""#, true),
        ("typo.cc", "", false),
    ] {
        let targets = r#"{"x": {"type": ["@", "std", "cc", "binary"], "name": ["x"], "srcs": ["SRC"], "cxxflags": [FLAGS]}}"#;
        workspace.file("TARGETS", targets.replace("SRC", source).replace("FLAGS", flags));
        let failed = install(&workspace, "x", &[]).exits(1).stderr;
        let is_reported = failed.contains("help: C++20 modules are not supported by the rules in the box");
        assert_eq!(is_reported, is_of_modules, "{source} {flags}: {failed}");
    }
}

#[test]
fn sanitizers_are_build_types() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{"app": {"type": ["@", "std", "cc", "test"], "tainted": ["test"], "name": ["app"], "srcs": ["app.c"]}}"#);
    workspace.file(
        "app.c",
        "#include <limits.h>\nint main(int c, char **v) { int i = INT_MAX; i += c; return i == 0; }\n",
    );
    install(&workspace, "app", &[]).exits(0);
    let define = ["-D", r#"{"BUILD_TYPE": "undefined"}"#];
    let failed = install(&workspace, "app", &define);
    // The library of the sanitizer may not be installed.
    if !failed.stderr.contains("cannot find") {
        assert!(failed.exits(1).stderr.contains("signed integer overflow"));
    }
}

#[test]
fn tests_run_beside_their_data_and_keep_what_they_print() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{
        "t": {"type": ["@", "std", "cc", "test"], "tainted": ["test"], "name": ["t"], "srcs": ["t.c"], "data": ["data/in.txt"],
          "args": ["data/in.txt", "two words"], "env": ["WORD=a b"]}}"#);
    let test = |code: &str| {
        format!(
            "#include <stdio.h>\n#include <stdlib.h>\nint main(int c, char **v) {{ FILE *f = fopen(v[1], \"r\"); char s[9] = \"\"; \
        fputs(\"to stderr\", stderr); printf(\"%d %s %s %s\", c, v[2], getenv(\"WORD\"), fgets(s, 9, f)); return {code}; }}\n"
        )
    };
    workspace.file("t.c", test("0")).file("data/in.txt", "in");
    install(&workspace, "t", &[]).exits(0);
    let out = |name: &str| fs::read_to_string(workspace.beside("out").join(name)).unwrap();
    assert_eq!([out("result"), out("stdout"), out("stderr")], ["PASS\n", "3 two words a b in", "to stderr"]);
    assert_eq!(out("t/result"), "PASS\n");
    workspace.file("t.c", test("3"));
    let failed = install(&workspace, "t", &[]).exits(1);
    for text in ["3 two words a b in", "to stderr", "The test ended with exit code 3."] {
        assert!(failed.stderr.contains(text), "{}", failed.stderr);
    }
    install(&workspace, "t", &["-D", r#"{"TEST_MAY_FAIL": true}"#]).exits(2);
    assert_eq!([out("result"), out("stdout"), out("stderr")], ["FAIL\n", "3 two words a b in", "to stderr"]);
    workspace.file("t.c", test("*(volatile int *)0"));
    let failed = install(&workspace, "t", &[]).exits(1);
    assert!(failed.stderr.contains("The test was ended by signal 11."), "{}", failed.stderr);
    let launched =
        install(&workspace, "t", &["-D", r#"{"TEST_LAUNCHER": ["sh", "-c", "echo launched", "sh"]}"#]);
    launched.exits(0);
    assert_eq!(out("stdout"), "launched\n");
}

#[test]
fn the_rules_make_the_same_as_files_of_a_repository_under_the_name_just() {
    let workspace = project();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules").canonicalize().unwrap();
    let [root, rules] = [workspace.root(), rules].map(|path| path.display().to_string());
    let shared = TARGETS.replace("\"hdrs\"", "\"linkage\": [\"shared\"], \"hdrs\"");
    workspace.file("shared/TARGETS", shared);
    for name in ["main.c", "greet.c", "words.c", "greet.h", "words.h"] {
        fs::copy(workspace.root().join(name), workspace.root().join("shared").join(name)).unwrap();
    }
    workspace.file("repos.json", format!(r#"{{"main": "", "repositories": {{
        "": {{"workspace_root": ["file", "{root}"], "bindings": {{"std": "std"}}}}, "std": {{"workspace_root": ["file", "{rules}"]}}}}}}"#));
    let dump = |tool: &Tool, module: &str, more: &[&str], cache: &str| {
        let cache = workspace.beside(cache).display().to_string();
        let words = ["build", "--local-build-root", &cache, module, "hello", "--dump-artifacts", "-"];
        tool.run(&workspace.root(), [&words[..], more].concat()).exits(0).stdout
    };
    for module in ["", "shared"] {
        let built = dump(&taut(), module, &[], "one");
        assert!(built.contains("hello"), "{built}");
        let tools = [Some(taut().called("just")), Tool::reference()];
        for (number, tool) in tools.iter().flatten().enumerate() {
            let other = dump(tool, module, &["-C", "repos.json"], &format!("other{number}"));
            assert_eq!(other, built, "{module}");
        }
    }
}

#[test]
fn a_program_may_have_the_name_of_the_directory_of_its_sources() {
    let workspace = Workspace::new();
    let targets =
        r#"{"app": {"type": ["@", "std", "cc", "binary"], "name": ["app"], "srcs": ["app/main.c"]}}"#;
    workspace.file("TARGETS", targets);
    workspace.file("app/main.c", "#include <stdio.h>\nint main(void) { puts(__FILE__); return 0; }\n");
    install(&workspace, "app", &[]).exits(0);
    assert_eq!(output(&workspace, "app"), "app/main.c\n");
}
