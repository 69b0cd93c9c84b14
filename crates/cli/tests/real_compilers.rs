//! Projects for real compilers, edited at random: after each edit the result is that of a build from nothing. Some
//! compilers read files that they do not report, or report them in an unusual form. And a tree with deep headers, where
//! an edit never runs more actions than ninja would with the dependency files that the compiler writes.
//!
//! Headers that shadow others, that come and go, and `__has_include` are in `depfile.rs`.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
};

use taut_testkit::{Rng, Tool, Workspace, processed};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

/// How many edits each project gets.
fn edits() -> usize {
    std::env::var("TAUT_DEPFILE_EDITS").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

/// What an installation has, by path, and how many actions ran; nothing if the build failed.
type Installed = Option<BTreeMap<String, Vec<u8>>>;

fn install(root: &Path, build_root: &Path, out: &Path, words: &[&str]) -> (Installed, usize) {
    let (build_root, out_word) = (build_root.display().to_string(), out.display().to_string());
    let _ = fs::remove_dir_all(out);
    let fixed = ["install", "p", "-o", &out_word, "--local-build-root", &build_root];
    let done = taut().run(root, [&fixed, words].concat());
    if done.code != 0 {
        assert_eq!(done.code, 1, "a compiler may refuse it, nothing else: {}", done.stderr);
        return (None, 0);
    }
    let (actions, not_run) = processed(&done.stderr).unwrap_or_default();
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    };
    (Some(fs::read_dir(out).unwrap().map(|entry| read(entry.unwrap())).collect()), actions - not_run)
}

/// A file that is edited, and its content by a number.
type Edited = (&'static str, fn(usize) -> String);

/// A project with one target `p`, some of whose files are edited: each has contents that are taken by turns.
struct Project {
    workspace: Workspace,
    edited: Vec<Edited>,
    /// Options of each call.
    words: Vec<String>,
}

impl Project {
    fn new(targets: &str, fixed: &[(&str, &str)], edited: &[Edited]) -> Project {
        let workspace = Workspace::new();
        workspace.file("TARGETS", targets);
        for (name, text) in fixed {
            workspace.file(name, text);
        }
        for (name, text) in edited {
            workspace.file(name, text(0));
        }
        Project { workspace, edited: edited.to_vec(), words: Vec::new() }
    }

    /// Edits files at random, and compares with builds from nothing. Gives the number of different results.
    #[track_caller]
    fn edit_at_random(&self, seed: u64) -> usize {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let mut random = Rng::new(seed);
        let mut results: BTreeSet<Vec<Vec<u8>>> = BTreeSet::new();
        let (root, out) = (self.workspace.root(), self.workspace.beside("out"));
        let mut done = vec!["as it is".to_owned()];
        for edit in 0..=edits() {
            if edit > 0 {
                // Each file in turn, so that none is left out; what it gets is by chance.
                let (name, text) = self.edited[edit % self.edited.len()];
                let number = random.below(3) + 1;
                self.workspace.file(name, text(number));
                done.push(format!("{name}: {number}"));
            }
            let (kept, _) = install(&root, &self.workspace.build_root(), &out, &words);
            let nothing = tempfile::tempdir().unwrap();
            let (fresh, _) = install(&root, nothing.path(), &out, &words);
            assert!(kept == fresh, "it is not the result of a build from nothing after {done:?}");
            results.extend(fresh.map(|files| files.into_values().collect()));
        }
        results.len()
    }
}

const C_MAIN: &str = "#include \"pch.h\"\n#include \"late.h\"\nint main(void) { printf(\"%d %d %d\\n\", P, D, L); return 0; }\n";

#[test]
fn precompiled_headers_of_c() {
    let project = Project::new(
        r#"{ "p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.c"],
                   "private hdrs": ["pch.h", "deep.h", "late.h", "gch"]}
           , "gch": {"type": ["@", "std", "", "genrule"], "outs": ["pch.h.gch"], "srcs": ["pch.h", "deep.h"],
               "cmds": ["gcc -g -O0 -o pch.h.gch pch.h"]}}"#,
        &[("main.c", C_MAIN)],
        &[
            ("pch.h", |n| format!("#include <stdio.h>\n#include \"deep.h\"\n#define P {n}\n")),
            ("deep.h", |n| format!("#define D {n}\n")),
            ("late.h", |n| format!("#define L {n}\n")),
        ],
    );
    assert!(project.edit_at_random(1) > 2);
}

#[test]
fn precompiled_headers_of_cxx() {
    let project = Project::new(
        r#"{ "p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.cc"],
                   "private hdrs": ["pch.hpp", "deep.hpp", "gch"]}
           , "gch": {"type": ["@", "std", "", "genrule"], "outs": ["pch.hpp.gch"], "srcs": ["pch.hpp", "deep.hpp"],
               "cmds": ["g++ -g -O0 -x c++-header -o pch.hpp.gch pch.hpp"]}}"#,
        &[(
            "main.cc",
            "#include \"pch.hpp\"\nint main() { std::printf(\"%d\\n\", value<P>()); return 0; }\n",
        )],
        &[
            ("pch.hpp", |n| format!("#include <cstdio>\n#include \"deep.hpp\"\nenum {{ P = {n} }};\n")),
            ("deep.hpp", |n| format!("template <int N> int value() {{ return N * 10 + {n}; }}\n")),
        ],
    );
    assert!(project.edit_at_random(2) > 2);
}

#[test]
fn profiles() {
    let project = Project::new(
        r#"{ "p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.c"], "private hdrs": ["trained", "n.h"],
                   "cflags": ["-O2", "-g0", "-fprofile-use", "-Wno-missing-profile"]}
           , "trained": {"type": ["@", "std", "", "genrule"], "outs": ["main.c.gcda"], "srcs": ["main.c", "n.h", "train.txt"],
               "cmds": ["cc -O2 -frandom-seed=1 -fprofile-generate -c main.c -o main.o", "cc -fprofile-generate main.o -o main",
                        "./main < train.txt > /dev/null", "mv ./*.gcda main.c.gcda"]}}"#,
        &[(
            "main.c",
            "#include <stdio.h>\n#include \"n.h\"\n\
            static int __attribute__((noinline)) odd(int c) { return c * 7 % 5 + N; }\n\
            static int __attribute__((noinline)) even(int c) { return c * 3 % 11 - N; }\n\
            int main(void) { int c, sum = 0; while ((c = getchar()) != EOF) { if (c == 'x') sum += odd(c); else sum -= even(c); }\n\
            printf(\"%d\\n\", sum); return 0; }\n",
        )],
        &[("train.txt", |n| ["x", "y", "xy", ""][n].repeat(5000)), ("n.h", |n| format!("#define N {n}\n"))],
    );
    assert!(project.edit_at_random(3) > 2);
}

#[test]
fn files_that_the_assembler_reads() {
    let project = Project::new(
        r#"{ "p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.c", "more.S", "plain.s"],
                   "private hdrs": ["one.bin", "two.bin", "three.bin", "part.inc"]}}"#,
        &[
            (
                "main.c",
                "__asm__(\".pushsection .rodata\\n.globl one\\none: .incbin \\\"one.bin\\\"\\n.byte 0\\n.popsection\");\n\
                        #include <stdio.h>\nextern const char one[], two[], three[];\n\
                        int main(void) { printf(\"%s %s %s\\n\", one, two, three); return 0; }\n",
            ),
            (
                "more.S",
                "#define FILE \"two.bin\"\n.section .rodata\n.globl two\ntwo: .incbin FILE\n.byte 0\n.section .note.GNU-stack,\"\",@progbits\n",
            ),
            ("plain.s", ".include \"part.inc\"\n.section .note.GNU-stack,\"\",@progbits\n"),
        ],
        &[
            ("one.bin", |n| format!("one{n}")),
            ("two.bin", |n| format!("two{n}")),
            ("three.bin", |n| format!("three{n}")),
            ("part.inc", |n| {
                format!(".section .rodata\n.globl three\nthree: .incbin \"three.bin\"\n.byte 48+{n}, 0\n")
            }),
        ],
    );
    assert!(project.edit_at_random(4) > 2);
}

/// The compiler reports none of these, and only the first one is named by the command.
#[test]
fn files_that_options_are_read_from() {
    let project = Project::new(
        r#"{ "p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.c"],
                   "private hdrs": ["opts", "more", "tl/specs"], "cflags": ["@opts", "-Btl/"]}}"#,
        &[("main.c", "int main(void) { return 16 * M + S; }\n"), ("opts", "@more\n")],
        &[("more", |n| format!("-DM={n}\n")), ("tl/specs", |n| format!("*cc1_options:\n+ -DS={n}\n\n"))],
    );
    assert!(project.edit_at_random(8) > 2);
}

/// The same where a script in between has the options, be it a program or named by the command.
#[test]
fn files_that_a_script_reads_options_from() {
    for (cmd, is_program) in [("[\"sh\", \"wrap\"]", false), ("[\"./compile\"]", true)] {
        let rules = r##"{"compiled": {"target_fields": ["deps"], "expression": {"type": "RESULT", "artifacts":
          {"type": "ACTION", "outs": ["o", "o.d"], "depfile": "o.d", "cmd": CMD, "env": {"type": "'", "$1": {"PATH": "/usr/local/bin:/usr/bin:/bin"}},
           "inputs": {"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "deps"}, "body":
             {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}}}}}"##;
        let project = Project::new(
            r#"{"p": {"type": "compiled", "deps": ["main.c", "wrap", "compile", "more"]}}"#,
            &[
                ("RULES", &rules.replace("CMD", cmd)),
                ("main.c", "int main(void) { return M; }\n"),
                ("wrap", "gcc -MD -MF o.d -g0 -c main.c -o o @more\n"),
                ("compile", ""),
            ],
            &[("more", |n| format!("-DM={n}\n"))],
        );
        if is_program {
            project.workspace.executable("compile", "#!/bin/sh\n. ./wrap\n");
        }
        assert!(project.edit_at_random(9) > 2, "{cmd}");
    }
}

/// Files of options that end like source texts, named by other ones, or by a command that is in another directory.
#[test]
fn files_of_options_that_look_like_sources() {
    let rules = r##"{"compiled": {"target_fields": ["deps"], "expression": {"type": "RESULT", "artifacts":
      {"type": "ACTION", "outs": ["o", "o.d"], "depfile": "o.d", "cmd": ["sh", "-c", "COMMAND && echo o: main.c > o.d"],
       "env": {"type": "'", "$1": {"PATH": "/usr/local/bin:/usr/bin:/bin"}},
       "inputs": {"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "deps"}, "body":
         {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}}}}}"##;
    for command in [
        "gcc @sub/opts -g0 -c main.c -o o",
        "(cd sub && gcc @opts.def -I. -g0 -c ../main.c -o ../o)",
        "(cd sub && gcc $(cat all.def) -g0 -c ../main.c -o ../o)",
    ] {
        let is_inside = command.contains("cd sub");
        let project = Project::new(
            r#"{"p": {"type": "compiled", "deps": ["main.c", "sub/opts", "sub/opts.def", "sub/all.def", "sub/more.inc"]}}"#,
            &[
                ("RULES", &rules.replace("COMMAND", command)),
                ("sub/TARGETS", "{}"),
                ("main.c", "int main(void) { return M; }\n"),
                ("sub/opts", "@sub/more.inc\n"),
                ("sub/opts.def", if is_inside { "@more.inc\n" } else { "" }),
                ("sub/all.def", "@./more.inc\n"),
            ],
            &[("sub/more.inc", |n| format!("-DM={n}\n"))],
        );
        assert!(project.edit_at_random(12) > 2, "{command}");
    }
}

#[test]
fn generated_headers() {
    let project = Project::new(
        r##"{ "p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.c", "more.cc"], "private hdrs": ["gen", "own.h"]}
           , "gen": {"type": ["@", "std", "", "genrule"], "outs": ["gen.h", "gen/more.h"], "srcs": ["gen.txt", "more.txt"],
               "cmds": ["mkdir -p gen", "echo \"#define G $(cat gen.txt)\" > gen.h", "echo \"#define M $(cat more.txt)\" > gen/more.h"]}}"##,
        &[
            (
                "main.c",
                "#include \"gen.h\"\n#include \"own.h\"\nint more(void);\nint main(void) { return G + O + more(); }\n",
            ),
            ("more.cc", "#include \"gen/more.h\"\nextern \"C\" int more() { return M; }\n"),
        ],
        &[
            ("gen.txt", |n| n.to_string()),
            ("more.txt", |n| n.to_string()),
            ("own.h", |n| format!("#include \"gen/more.h\"\n#define O (M * {n})\n")),
        ],
    );
    assert!(project.edit_at_random(5) > 2);
}

/// Names as they are written in make syntax, in a shell and in C: none of them may be misread.
#[test]
fn headers_with_odd_names() {
    const NAMES: [&str; 6] = ["a b.h", "c$d.h", "e#f.h", "g:h.h", "i%j.h", "k\\l  m.h"];
    let mut main = String::new();
    for name in NAMES {
        main += &format!("#include \"{name}\"\n");
    }
    main += "int main(void) { return V0 + V1 * 4 + V2 * 16 + V3 * 64 + V4 * 3 + V5 * 5; }\n";
    let headers = NAMES.map(taut_json).join(", ");
    let targets = format!(
        r#"{{"p": {{"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.c", "main 2.cc"], "private hdrs": [{headers}]}}}}"#
    );
    let second = main.replace("int main(void)", "int second()");
    let project = Project::new(
        &targets,
        &[("main.c", &main), ("main 2.cc", &second)],
        &[
            ("a b.h", |n| format!("#define V0 {n}\n")),
            ("c$d.h", |n| format!("#define V1 {n}\n")),
            ("e#f.h", |n| format!("#define V2 {n}\n")),
            ("g:h.h", |n| format!("#define V3 {n}\n")),
            ("i%j.h", |n| format!("#define V4 {n}\n")),
            ("k\\l  m.h", |n| format!("#define V5 {n}\n")),
        ],
    );
    assert!(project.edit_at_random(6) > 2);
}

fn taut_json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// It compiles, and writes no dependency file, an empty one, or one that is cut off.
#[test]
fn compilers_that_write_no_dependency_file() {
    for (n, instead) in [":", ": > \"$d\"", "printf 'x: main.c' > \"$d\""].into_iter().enumerate() {
        let mut project = Project::new(
            r#"{"p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.c"], "private hdrs": ["a.h", "b.h"]}}"#,
            &[("main.c", "#include \"a.h\"\nint main(void) { return A; }\n")],
            &[
                ("a.h", |n| format!("#include \"b.h\"\n#define A (B + {n})\n")),
                ("b.h", |n| format!("#define B {n}\n")),
            ],
        );
        let script = "#!/bin/sh\n\
            d=\n\
            n=$#\n\
            while [ $n -gt 0 ]; do\n\
              case $1 in -MD|-MMD) ;; -MF) d=$2; shift; n=$((n - 1)) ;; *) set -- \"$@\" \"$1\" ;; esac\n\
              shift; n=$((n - 1))\n\
            done\n\
            cc \"$@\" || exit 1\n\
            if [ -n \"$d\" ]; then INSTEAD; fi\n";
        let compiler = project.workspace.beside("plain-cc");
        fs::write(&compiler, script.replace("INSTEAD", instead)).unwrap();
        fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).unwrap();
        project.words = vec!["-D".to_owned(), format!("CC={}", compiler.display())];
        assert!(project.edit_at_random(7 + n as u64) > 1, "{instead}");
    }
}

#[test]
fn check_outs_that_share_a_build_root() {
    let files: [Edited; 4] = [
        ("a.h", |n| format!("#define A {n}\n")),
        ("b.h", |n| format!("#if __has_include(\"a.h\")\n#include \"a.h\"\n#endif\n#define B {n}\n")),
        ("early/c.h", |n| format!("#define C {n}\n")),
        ("late/c.h", |n| format!("#define C ({n} + 10)\n")),
    ];
    let describe = |workspace: &Workspace| {
        let there =
            files.map(|(name, _)| name).into_iter().filter(|name| workspace.root().join(name).exists());
        let headers: Vec<String> = there.map(|name| format!("\"{name}\"")).collect();
        let targets = r#"{"p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.c", "more.cc"],
            "private hdrs": [HEADERS], "include dirs": ["early", "late"]}}"#;
        workspace.file("TARGETS", targets.replace("HEADERS", &headers.join(", ")));
    };
    let both = [Workspace::new(), Workspace::new()];
    for workspace in &both {
        workspace.file(
            "main.c",
            "#include \"b.h\"\n#include <c.h>\nint more(void);\nint main(void) { return B + C + more(); }\n",
        );
        workspace.file("more.cc", "#include <c.h>\nextern \"C\" int more() { return C; }\n");
        for (name, text) in files {
            workspace.file(name, text(0));
        }
    }
    let shared = both[0].beside("shared");
    let mut random = Rng::new(11);
    for edit in 0..edits() * 2 {
        let workspace = &both[random.below(2)];
        let (name, text) = files[random.below(files.len())];
        // Few contents, so that one check-out often gets what the other one has had.
        match random.below(4) {
            0 if workspace.root().join(name).exists() => workspace.remove(name),
            n => workspace.file(name, text(n)),
        };
        describe(workspace);
        let out = workspace.beside("out");
        let (kept, _) = install(&workspace.root(), &shared, &out, &[]);
        let nothing = tempfile::tempdir().unwrap();
        let (fresh, _) = install(&workspace.root(), nothing.path(), &out, &[]);
        assert!(kept == fresh, "edit {edit}: {name}");
    }
}

/// Layers of headers, each of which includes two of the next layer.
const LAYERS: usize = 5;
const WIDTH: usize = 5;
const LIBRARIES: usize = 3;
const SOURCES: usize = 4;

fn header(layer: usize, place: usize, value: usize, remark: usize) -> String {
    let mut text = format!("#pragma once\n#define H_{layer}_{place} {value}\n");
    if layer + 1 < LAYERS {
        for next in [place, (place + 1) % WIDTH] {
            text += &format!("#include \"h_{}_{next}.h\"\n", layer + 1);
        }
    }
    // At the end, so that no line of code moves.
    text + &format!("// {remark}\n")
}

/// What the compiler says that each source reads of the workspace.
fn depfiles(root: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut read = BTreeMap::new();
    for library in 0..LIBRARIES {
        for source in 0..SOURCES {
            let name = format!("s_{library}_{source}.cc");
            let done =
                Command::new("c++").args(["-MM", "-I", ".", &name]).current_dir(root).output().unwrap();
            assert!(done.status.success(), "{done:?}");
            let text = String::from_utf8(done.stdout).unwrap().replace("\\\n", " ");
            let (_, names) = text.split_once(':').unwrap();
            read.insert(name, names.split_whitespace().map(str::to_owned).collect());
        }
    }
    read
}

/// ninja runs what a changed file is in the dependency file of, and all that is made from that.
#[test]
fn after_edits_of_deep_headers_no_more_actions_run_than_ninja_would_run_with_dependency_files() {
    let workspace = Workspace::new();
    let root = workspace.root();
    let mut headers: BTreeMap<(usize, usize), (usize, usize)> = BTreeMap::new();
    let mut all = Vec::new();
    for layer in 0..LAYERS {
        for place in 0..WIDTH {
            headers.insert((layer, place), (0, 0));
            let name = format!("h_{layer}_{place}.h");
            workspace.file(&name, header(layer, place, 0, 0));
            all.push(format!("\"{name}\""));
        }
    }
    let mut targets = Vec::new();
    let mut calls = String::new();
    for library in 0..LIBRARIES {
        let mut names = Vec::new();
        for source in 0..SOURCES {
            let (layer, place) = ((library + source) % 3, (library * 2 + source) % WIDTH);
            let name = format!("s_{library}_{source}.cc");
            workspace.file(
                &name,
                format!("#include \"h_{layer}_{place}.h\"\nint f_{library}_{source}() {{ return H_{layer}_{place}; }}\n"),
            );
            names.push(format!("\"{name}\""));
            calls += &format!("int f_{library}_{source}();\n");
        }
        targets.push(format!(
            r#""l{library}": {{"type": ["@", "std", "cc", "library"], "name": ["l{library}"], "srcs": [{}], "hdrs": [{}]}}"#,
            names.join(", "),
            all.join(", ")
        ));
    }
    let sum: Vec<String> =
        (0..LIBRARIES * SOURCES).map(|n| format!("f_{}_{}()", n / SOURCES, n % SOURCES)).collect();
    workspace.file("main.cc", format!("{calls}int main() {{ return {}; }}\n", sum.join(" + ")));
    targets.push(
        r#""p": {"type": ["@", "std", "cc", "binary"], "name": ["p"], "srcs": ["main.cc"], "deps": ["l0", "l1", "l2"]}"#.to_owned(),
    );
    workspace.file("TARGETS", format!("{{{}}}", targets.join(",\n")));
    let (out, build_root) = (workspace.beside("out"), workspace.build_root());
    let (built, _) = install(&root, &build_root, &out, &[]);
    assert!(built.is_some());
    let mut random = Rng::new(5);
    let (mut ours, mut ninjas) = (0, 0);
    for edit in 0..edits() * 3 {
        let (layer, place) = (random.below(LAYERS), random.below(WIDTH));
        let (value, remark) = headers.get_mut(&(layer, place)).unwrap();
        let what = match random.below(4) {
            // As an editor does that saves without a change.
            0 => "nothing",
            1 => {
                *remark += 1;
                "a remark"
            }
            _ => {
                *value += 1;
                "a value"
            }
        };
        let name = format!("h_{layer}_{place}.h");
        workspace.file(&name, header(layer, place, *value, *remark));
        let read = depfiles(&root);
        let compiled: Vec<&String> =
            read.iter().filter(|(_, names)| names.contains(&name)).map(|(name, _)| name).collect();
        let archived: BTreeSet<&str> = compiled.iter().map(|name| &name[..3]).collect();
        let ninja = compiled.len() + archived.len() + usize::from(!compiled.is_empty());
        let (built, ran) = install(&root, &build_root, &out, &[]);
        assert!(built.is_some());
        assert!(ran <= ninja, "edit {edit}, {what} in {name}: {ran} actions ran, {ninja} with ninja");
        (ours, ninjas) = (ours + ran, ninjas + ninja);
        if what == "a remark" {
            assert!(ran <= compiled.len(), "objects are as before, so nothing is linked");
        }
    }
    assert!(ours > 0 && ours < ninjas, "{ours} of {ninjas}");
}
