//! `init --from-sources`: trees of sources, the targets that are proposed for them, and that these build.
//!
//! A file in `from_sources/` begins with the files of a tree, each as its path in backticks and a block. What is below
//! the line `# Proposed` is written by the test (with `UPDATE_EXPECT=1`): the report, the targets file, how the build
//! and the tests end, and what the installed programs print. Random projects follow, which have to build, too.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fmt::Write as _,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use taut_testkit::{Rng, Tool, ToolResult, listing};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

/// The first line of what is written by the test.
const PROPOSED: &str = "# Proposed";

/// A directory that vanishes on drop, with a project of a name that is the same in each run.
struct Project {
    top: tempfile::TempDir,
}

impl Project {
    fn new() -> Project {
        let top = tempfile::Builder::new().prefix("taut-sources-").tempdir().unwrap();
        fs::create_dir(top.path().join("project")).unwrap();
        Project { top }
    }

    fn path(&self) -> PathBuf {
        self.top.path().join("project")
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes the files that a document has at its beginning.
    fn write_all(&self, document: &str) {
        let mut lines = document.lines();
        while let Some(line) = lines.next() {
            let Some((path, rest)) = line.strip_prefix('`').and_then(|line| line.split_once('`')) else {
                continue;
            };
            assert!(lines.next().is_some_and(|line| line.starts_with("```")), "a block after {line}");
            let content: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            self.write(path, &content.iter().map(|line| format!("{line}\n")).collect::<String>());
            if rest.contains("executable") {
                let mode = fs::Permissions::from_mode(0o755);
                fs::set_permissions(self.path().join(path), mode).unwrap();
            }
        }
    }

    /// Calls taut. All projects of one call of the test share a build root no more than their sources do.
    fn taut(&self, words: &[&str]) -> ToolResult {
        taut().run(&self.path(), words)
    }

    fn build(&self, words: &[&str]) -> ToolResult {
        let root = self.top.path().join("build-root").display().to_string();
        let rustc = rustc();
        let (command, rest) = words.split_first().unwrap();
        self.taut(&[&[*command, "--local-build-root", &root, "-D", &rustc], rest].concat())
    }
}

/// The compiler itself: that of rustup needs an environment that actions do not have.
fn rustc() -> String {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    format!("RUSTC={}/bin/rustc", String::from_utf8(output.stdout).unwrap().trim_end())
}

fn block(title: &str, text: &str) -> String {
    format!("\n{title}\n```\n{text}```\n")
}

/// The document with what is made of its files now.
fn with_proposal(document: &str) -> String {
    let files = document.split(PROPOSED).next().unwrap();
    let project = Project::new();
    project.write_all(files);
    let report = project.taut(&["init", "--from-sources"]).exits(0).stdout;
    let mut text = format!("{files}{PROPOSED}\n{}", block("`$ taut init --from-sources`", &report));
    text += &block("`TARGETS`", &fs::read_to_string(project.path().join("TARGETS")).unwrap());
    let analysed = project.build(&["analyse", "..."]);
    assert_eq!(analysed.code, 0, "{}", analysed.stderr);
    for command in [&["build"][..], &["build", "..."], &["test", "tests"], &["install", "-o", "out"]] {
        let words = format!("  taut {}", command.join(" "));
        // `...` is all that is proposed; what may not build is in the report.
        if report.contains(&words) || command.contains(&"...") {
            let ran = project.build(command);
            let _ = writeln!(text, "\n`$ taut {}` exits with {}", command.join(" "), ran.code);
            let is_expected = ran.code == 0 || report.contains("To be decided:");
            assert!(is_expected, "taut {}\n{}\n{text}", command.join(" "), ran.stderr);
        }
    }
    let programs = project.path().join("out/bin");
    if programs.is_dir() {
        let mut names: Vec<_> =
            fs::read_dir(&programs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            let output = Command::new(programs.join(&name)).current_dir(project.path()).output().unwrap();
            let printed = String::from_utf8(output.stdout).unwrap();
            text += &block(&format!("`$ out/bin/{}`", name.display()), &printed);
        }
    }
    text
}

/// Whether the rules find Python where they look for it.
fn has_python() -> bool {
    ["/usr/local/bin", "/usr/bin", "/bin"].iter().any(|path| Path::new(path).join("python3").exists())
}

#[test]
fn what_is_proposed_for_a_tree_builds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/from_sources");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 8);
    for file in files {
        let document = fs::read_to_string(&file).unwrap();
        if has_python() || !document.contains(".py`") {
            expect_test::expect_file![file].assert_eq(&with_proposal(&document));
        }
    }
}

/// Directories of random projects.
const DIRECTORIES: [&str; 8] = ["", "src", "include/p", "lib/a", "lib/b", "lib/b/include", "app", "a b/c"];

/// How a source in one directory may include a header: by a relative path, by the path from the top, or by the end of
/// it, as a build with many `-I` would allow.
fn spelled(rng: &mut Rng, from: &str, header: &str) -> String {
    let parts: Vec<&str> = header.split('/').collect();
    match rng.below(3) {
        0 => {
            let up = from.split('/').filter(|part| !part.is_empty()).count();
            format!("\"{}{header}\"", "../".repeat(up))
        }
        1 => format!("\"{header}\""),
        _ => format!("<{}>", parts[rng.below(parts.len())..].join("/")),
    }
}

/// Writes modules with headers that include each other, cycles among them, and programs that use some of them.
fn write_random(project: &Project, rng: &mut Rng) -> usize {
    let path = |directory: &str, name: &str| match directory {
        "" => name.to_owned(),
        _ => format!("{directory}/{name}"),
    };
    let count = 2 + rng.below(6);
    let headers: Vec<(&str, String)> = (0..count)
        .map(|number| {
            let directory = *rng.pick(&DIRECTORIES);
            (directory, path(directory, &format!("m{number}.h")))
        })
        .collect();
    let some_headers = |rng: &mut Rng, from: &str| {
        let chosen: Vec<usize> = (0..count).filter(|_| rng.below(3) == 0).collect();
        let lines: Vec<String> = chosen
            .iter()
            .map(|number| format!("#include {}\n", spelled(rng, from, &headers[*number].1)))
            .collect();
        (chosen, lines.concat())
    };
    for (number, (directory, header)) in headers.iter().enumerate() {
        let (_, lines) = some_headers(rng, directory);
        project.write(header, &format!("#pragma once\n{lines}int f{number}(int);\n"));
        // Some sources lie elsewhere than their header.
        let place = if rng.below(3) == 0 { *rng.pick(&DIRECTORIES) } else { directory };
        let (chosen, lines) = some_headers(rng, place);
        let calls: Vec<String> = chosen.iter().map(|number| format!(" + f{number}(n / 2)")).collect();
        let own = spelled(rng, place, header);
        let text = format!(
            "#include {own}\n{lines}int f{number}(int n) {{ return n ? 1{} : 0; }}\n",
            calls.concat()
        );
        project.write(&path(place, &format!("m{number}.c")), &text);
    }
    let programs = 1 + rng.below(3);
    for number in 0..programs {
        let directory = *rng.pick(&DIRECTORIES);
        let (chosen, lines) = some_headers(rng, directory);
        let calls: Vec<String> = chosen.iter().map(|number| format!(" + f{number}(1)")).collect();
        let text = format!("{lines}int main(void) {{ return (0{}) < 0; }}\n", calls.concat());
        project.write(&path(directory, &format!("p{number}.c")), &text);
    }
    programs
}

#[test]
fn random_projects_build_with_what_is_proposed() {
    let factor: u64 = std::env::var("TAUT_SOAK").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    for seed in 0..6 * factor {
        let project = Project::new();
        let programs = write_random(&project, &mut Rng::new(seed));
        let report = project.taut(&["init", "--from-sources"]).exits(0).stdout;
        let targets = fs::read_to_string(project.path().join("TARGETS")).unwrap();
        let built = project.build(&["build", "..."]);
        assert_eq!(built.code, 0, "seed {seed}\n{report}{targets}{}", built.stderr);
        project.build(&["install", "-o", "out"]).exits(0);
        let installed = fs::read_dir(project.path().join("out/bin")).map_or(0, Iterator::count);
        assert_eq!(installed, programs, "seed {seed}\n{report}{targets}");
    }
}

#[test]
fn a_targets_file_is_never_overwritten() {
    let project = Project::new();
    project.write("main.c", "int main(void) { return 0; }\n");
    project.write("TARGETS", "mine");
    let before = listing(&project.path()).unwrap();
    let refused = project.taut(&["init", "--from-sources"]).exits(16);
    assert!(
        refused.stderr.contains("TARGETS exists, and is not overwritten: nothing is written"),
        "{}",
        refused.stderr
    );
    assert_eq!((refused.stdout.as_str(), listing(&project.path()).unwrap()), ("", before));
}

#[test]
fn a_directory_below_that_is_described_is_left_as_it_is() {
    let project = Project::new();
    project.write("main.c", "int main(void) { return 0; }\n");
    project.write("other/main.c", "int main(void) { return 1; }\n");
    project.write("other/TARGETS", "{}");
    let written = project.taut(&["init", "--from-sources"]).exits(0);
    assert!(
        written.stdout.contains("  other: it has a file TARGETS, and is left as it is.\n"),
        "{}",
        written.stdout
    );
    assert!(!fs::read_to_string(project.path().join("TARGETS")).unwrap().contains("other"));
    project.build(&["build"]).exits(0);
}

#[test]
fn without_sources_nothing_is_written() {
    let project = Project::new();
    project.write("README", "");
    project.write(".hidden/main.c", "int main(void) { return 0; }\n");
    project.write("made/CACHEDIR.TAG", "");
    project.write("made/main.c", "int main(void) { return 0; }\n");
    let before = listing(&project.path()).unwrap();
    let refused = project.taut(&["init", "--from-sources"]).exits(16);
    assert!(refused.stderr.contains("there are no sources in ."), "{}", refused.stderr);
    let refused = project.taut(&["init", "--from-sources", "missing"]).exits(16);
    assert!(refused.stderr.contains("missing"), "{}", refused.stderr);
    assert_eq!(listing(&project.path()).unwrap(), before);
}

#[test]
fn links_are_not_followed() {
    let project = Project::new();
    project.write("main.c", "#include \"a.h\"\nint main(void) { return A; }\n");
    std::os::unix::fs::symlink("/dev/zero", project.path().join("a.h")).unwrap();
    std::os::unix::fs::symlink("..", project.path().join("up")).unwrap();
    let written = project.taut(&["init", "--from-sources"]).exits(0);
    assert!(
        written.stdout.contains("  a.h: it is a symbolic link, which is not followed.\n"),
        "{}",
        written.stdout
    );
}

#[test]
fn what_a_link_that_leads_outwards_makes_unreadable_is_not_in_default() {
    let project = Project::new();
    project.write("good.c", "int main(void) { return 0; }\n");
    project.write("uses.c", "#include \"lib/lib.h\"\nint main(void) { return lib(); }\n");
    project.write("lib/lib.c", "#include \"lib.h\"\nint lib(void) { return 0; }\n");
    project.write("lib/lib.h", "int lib(void);\n");
    project.write("lib/lib_test.c", "#include \"lib.h\"\nint main(void) { return lib(); }\n");
    project.write("tool/run.py", "print(1)\n");
    for (name, target) in [("lib/.away", "/decoy"), ("tool/up", "../good.c"), ("inside", "good.c")] {
        std::os::unix::fs::symlink(target, project.path().join(name)).unwrap();
    }
    let written = project.taut(&["init", "--from-sources"]).exits(0).stdout;
    for part in [
        "lib/.away: the symbolic link leads outwards, to \"/decoy\"",
        "tool/up: ",
        "no file of tool can be a source",
    ] {
        assert!(written.contains(part), "{part}: {written}");
    }
    assert!(!written.contains("inside: "), "{written}");
    assert_eq!(written.matches("repos.json").count(), 1, "{written}");
    assert!(!written.contains("taut test"), "{written}");
    project.build(&["build"]).exits(0);
    project.build(&["build", "..."]).exits(8);
    // With what the note says, all of it builds.
    let help =
        written.lines().find(|line| line.trim_start().starts_with("{\"main\"")).expect("a description");
    project.write("repos.json", help);
    project.build(&["build", "..."]).exits(0);
    // In the top directory: then nothing is certain.
    let project = Project::new();
    project.write("good.c", "int main(void) { return 0; }\n");
    std::os::unix::fs::symlink("/decoy", project.path().join("away")).unwrap();
    let written = project.taut(&["init", "--from-sources"]).exits(0).stdout;
    assert!(written.contains("no file of the top directory can be a source"), "{written}");
    assert!(!written.contains("taut install"), "{written}");
}

/// Of the libraries with known headers: one that pkg-config finds here, with one of its headers, and one that it does
/// not find.
fn packages() -> [Option<(&'static str, &'static str)>; 2] {
    const KNOWN: [(&str, &str); 10] = [
        ("zlib", "zlib.h"),
        ("openssl", "openssl/ssl.h"),
        ("sqlite3", "sqlite3.h"),
        ("expat", "expat.h"),
        ("liblzma", "lzma.h"),
        ("libuv", "uv.h"),
        ("jansson", "jansson.h"),
        ("libarchive", "archive.h"),
        ("spdlog", "spdlog/spdlog.h"),
        ("benchmark", "benchmark/benchmark.h"),
    ];
    // As actions of the rules in the box ask.
    let is_found = |(package, _): &&(&str, &str)| {
        let asked = Command::new("env")
            .args(["-i", "PATH=/usr/local/bin:/usr/bin:/bin", "pkg-config", "--cflags", "--libs", package])
            .output();
        asked.is_ok_and(|asked| asked.status.success())
    };
    [KNOWN.iter().find(is_found).copied(), KNOWN.iter().find(|of| !is_found(of)).copied()]
}

#[test]
fn what_needs_a_library_that_pkg_config_does_not_find_is_not_in_default() {
    let [found, missing] = packages();
    let project = Project::new();
    project.write("plain.c", "int main(void) { return 0; }\n");
    // A machine that has all of them has nothing to be left out.
    let Some((package, header)) = missing else { return };
    project.write(
        "tool/tool.c",
        &format!(
            "#include <{header}>\n#include \"../store/store.h\"\nint main(void) {{ return store(); }}\n"
        ),
    );
    project.write("tool/tool_test.c", &format!("#include <{header}>\nint main(void) {{ return 0; }}\n"));
    project.write("store/store.c", "#include \"store.h\"\nint store(void) { return 0; }\n");
    project.write("store/store.h", "int store(void);\n");
    if let Some((_, header)) = found {
        project.write("here.c", &format!("#include <{header}>\nint main(void) {{ return 0; }}\n"));
    }
    let written = project.taut(&["init", "--from-sources"]).exits(0).stdout;
    let note = written.split("To be decided:").nth(1).expect("a note");
    assert!(note.contains(&format!("\n    {package}, for tool, tool_test: ")), "{written}");
    assert!(note.contains(&format!("pkgconfig({package})")), "{written}");
    assert!(!written.contains("taut test"), "{written}");
    project.build(&["build"]).exits(0);
    project.build(&["install", "-o", "out"]).exits(0);
    let installed = |path: &str| project.path().join("out").join(path).exists();
    assert!(installed("bin/plain") && !installed("bin/tool"), "{written}");
    assert_eq!(installed("bin/here"), found.is_some(), "{written}");
    // Its only user is left out, and the library builds without that.
    assert!(installed("lib/store"), "{written}");
}

#[test]
fn units_of_modules_are_in_no_target() {
    let project = Project::new();
    project.write("src/plain.cc", "int plain() { return 0; }\n");
    project.write("src/unit.cc", "module;\n#include <vector>\nexport module unit;\n");
    project.write("src/other.cpp", "#define A\nexport module other;\n");
    project.write("src/called.cc", "int module(int);\nint called() { return module(1); }\n");
    let written = project.taut(&["init", "--from-sources"]).exits(0).stdout;
    for unit in ["src/unit.cc", "src/other.cpp"] {
        assert!(written.contains(&format!("\n  {unit}: C++20 modules are not supported")), "{written}");
    }
    assert!(written.contains("src: 2 sources"), "{written}");
    project.build(&["build"]).exits(0);
}

#[test]
fn default_makes_also_what_only_headers_use() {
    let project = Project::new();
    project.write("base/base.c", "#include \"base.h\"\nint base(void) { return 0; }\n");
    project.write("base/base.h", "int base(void);\n");
    project
        .write("adapt/adapt.h", "#include \"../base/base.h\"\nstatic int adapt(void) { return base(); }\n");
    project.write("upper/upper.c", "#include \"../base/base.h\"\nint upper(void) { return base(); }\n");
    project.taut(&["init", "--from-sources"]).exits(0);
    project.build(&["install", "-o", "out"]).exits(0);
    for made in ["lib/base/libbase.a", "lib/upper/libupper.a"] {
        assert!(project.path().join("out").join(made).is_file(), "{made}");
    }
}

#[test]
fn sources_that_alone_need_a_library_of_the_system_are_a_library_of_their_own() {
    let Some((package, header)) = packages()[1] else { return };
    let project = Project::new();
    project.write("net/net.c", "#include \"net.h\"\nint net(void) { return 0; }\n");
    project.write("net/net.h", "int net(void);\n");
    project.write("net/secure.c", &format!("#include <{header}>\n#include \"net.h\"\n#include \"net_secure.h\"\nint secure(void) {{ return net(); }}\n"));
    project.write("net/net_secure.h", "int secure(void);\n");
    project.write("a/a.c", "#include \"../net/net.h\"\n#ifdef SECURE\n#include \"../net/net_secure.h\"\n#endif\nint main(void) { return net(); }\n");
    project.write("b/b.c", "#include \"../net/net_secure.h\"\nint main(void) { return secure(); }\n");
    let written = project.taut(&["init", "--from-sources"]).exits(0).stdout;
    assert!(written.contains(&format!("{package}, for b, net-{package}: ")), "{written}");
    project.build(&["install", "-o", "out"]).exits(0);
    let installed = |path: &str| project.path().join("out/bin").join(path).exists();
    assert!(installed("a") && !installed("b"), "{written}");
    // If a program has the name of a function without the header, the sources belong together.
    let project = Project::new();
    project.write("net/net.c", "#include \"net.h\"\nint net(void) { return 0; }\n");
    project.write("net/net.h", "int net(void);\nint secure(void);\n");
    project.write(
        "net/secure.c",
        &format!("#include <{header}>\n#include \"net.h\"\nint secure(void) {{ return net(); }}\n"),
    );
    project.write("a/a.c", "#include \"../net/net.h\"\nint main(void) { return secure(); }\n");
    let written = project.taut(&["init", "--from-sources"]).exits(0).stdout;
    assert!(!written.contains("library net-"), "{written}");
}

#[test]
fn the_next_commands_go_where_the_files_are_also_through_links() {
    let project = Project::new();
    project.write("deep/inner/main.c", "int main(void) { return 0; }\n");
    project.write("deep/main.c", "int main(void) { return 0; }\n");
    std::os::unix::fs::symlink("deep/inner", project.path().join("link")).unwrap();
    // For a shell, `link/..` is where the link is; the directory that was read is another one.
    let written = project.taut(&["init", "--from-sources", "link/.."]).exits(0).stdout;
    let place = fs::canonicalize(project.path().join("deep")).unwrap();
    assert!(written.contains(&format!("\n  cd {}\n", place.display())), "{written}");
    assert!(place.join("TARGETS").is_file());
    let made = project.taut(&["init", "--template", "shell", "link/../new"]).exits(0).stdout;
    assert!(made.contains(&format!("\n  cd {}\n", place.join("new").display())), "{made}");
    // Where both are the same, the path is as it was typed.
    let made = project.taut(&["init", "--template", "shell", "deep/../plain"]).exits(0).stdout;
    assert!(made.contains("\n  cd deep/../plain\n"), "{made}");
}

#[test]
fn the_library_that_a_note_describes_gives_headers_the_names_by_which_they_are_included() {
    let project = Project::new();
    project.write("src/api/shape.h", "#include <geometry/unit.h>\nint shape(void);\n");
    project.write("src/api/unit.h", "#define UNIT 1\n");
    project.write("src/shape.c", "#include \"api/shape.h\"\nint shape(void) { return UNIT; }\n");
    project.write("draw.c", "#include \"geometry/shape.h\"\nint main(void) { return shape() - UNIT; }\n");
    let notes = project.taut(&["init", "--from-sources"]).exits(0).stdout;
    let fields = notes.split_once("write a library with ").unwrap().1;
    let fields = fields.split_once(", and add it").unwrap().0.replace(" and ", ", ");
    project.build(&["build", "draw"]).exits(1);
    let targets = project.path().join("TARGETS");
    let proposed = fs::read_to_string(&targets).unwrap();
    let names = format!("{{ \"names\": {{\"type\": [\"@\", \"std\", \"cc\", \"library\"], {fields}}}\n,");
    let own = "\"srcs\": [\"src/shape.c\"]";
    let draw = "\"srcs\": [\"draw.c\"]";
    let followed = proposed
        .replacen('{', &names, 1)
        .replace(own, &format!("{own}, \"deps\": [\"names\"]"))
        .replace(draw, &format!("{draw}, \"deps\": [\"names\", \"project\"]"));
    fs::write(&targets, followed).unwrap();
    project.build(&["build", "draw"]).exits(0);
}

#[test]
fn tests_of_other_projects_are_described_but_not_among_the_tests() {
    let project = Project::new();
    for directory in ["deps/a", "third_party/b", "x/vendor/c", "own", "depsy"] {
        let name = directory.rsplit('/').next().unwrap();
        project.write(&format!("{directory}/{name}_test.c"), "int main(void) { return 0; }\n");
        project.write(&format!("{directory}/{name}_sh_test.sh"), "true\n");
    }
    let written = project.taut(&["init", "--from-sources"]).exits(0).stdout;
    assert!(written.contains("vendor/c/c_test.c"), "{written}");
    let tested = project.build(&["test", "tests"]).exits(0).stderr;
    assert!(tested.contains("4 tests: 4 passed"), "{tested}");
}

#[test]
fn names_that_are_no_text_are_left_out() {
    let project = Project::new();
    project.write("main.c", "int main(void) { return 0; }\n");
    project.write("a\u{1b}[2J\n.c", "int main(void) { return 0; }\n");
    let name = std::ffi::OsStr::from_bytes(b"b\xff.c");
    fs::write(project.path().join(name), "").unwrap();
    let written = project.taut(&["init", "--from-sources"]).exits(0).stdout;
    assert_eq!(written.matches("its name is not text, so it is left out.").count(), 2, "{written}");
    assert!(!written.contains('\u{1b}'), "{written}");
    project.build(&["build", "..."]).exits(0);
}

#[test]
fn the_template_is_no_option_beside_it_and_the_reference_has_neither() {
    let project = Project::new();
    assert_ne!(project.taut(&["init", "--from-sources", "--template", "c"]).code, 0);
    assert_ne!(taut().called("just").run(&project.path(), ["init", "--from-sources"]).code, 0);
    assert!(listing(&project.path()).unwrap().is_empty());
}
