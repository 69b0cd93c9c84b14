//! What names in depfiles lead to, and which inputs count without one.

use std::path::{Path, PathBuf};

use taut_sys::normal;

use super::{
    unreported::{Named, ending, is_source_ending, named_in, takes_options_from_files},
    *,
};

/// A machine on which the file of each path is there that is below `/there`, and all links are in `/link`.
struct Machine;

impl crate::Sources for Machine {
    fn root(&self, _: &str) -> Option<&dyn taut_repos::SourceRoot> {
        None
    }

    fn has(&self, path: &Path) -> bool {
        path.starts_with("/usr/work")
    }

    fn real_path(&self, path: &Path) -> Option<PathBuf> {
        let path = normal(path);
        if let Ok(below) = path.strip_prefix("/link") {
            return Some(Path::new("/there").join(below));
        }
        ["/there", "/usr", "/stage"].iter().any(|top| path.starts_with(top)).then_some(path)
    }
}

/// The inputs that names lead to; "?" if that is unclear; "!" before a name that is not an input, with its target if
/// that is outside.
fn read_in(cwd: &str, ran_in: Option<&str>, is_seen_here: bool, names: &[&str]) -> Vec<String> {
    let inputs = [
        ("a.h", ObjectType::File),
        ("dir/b.h", ObjectType::File),
        ("link", ObjectType::Symlink),
        ("out", ObjectType::Symlink),
        ("sub/c.h", ObjectType::File),
        ("tree", ObjectType::Tree),
        ("vector/d.h", ObjectType::File),
    ];
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let lookup = NameLookup {
        cwd,
        inputs: inputs.into_iter().collect(),
        links: BTreeMap::from([("link", "dir/deep".to_owned()), ("out", "/there".to_owned())]),
        ran_in: ran_in.map(Path::new),
        is_seen_here,
        system: SystemDirs::new(&[b"/there/tool chain\n/gone/tools\nrelative\n".to_vec()], &Machine),
    };
    match lookup.reported(&names) {
        DepfileContent::Read(read) => read.iter().map(ToString::to_string).collect(),
        DepfileContent::Unclear => vec!["?".to_owned()],
        DepfileContent::Stranger(name, None) => vec![format!("!{name}")],
        DepfileContent::Stranger(name, Some(real)) => vec![format!("!{name} {}", real.display())],
    }
}

/// The same of an action that ran here.
fn read(cwd: &str, names: &[&str]) -> Vec<String> {
    read_in(cwd, Some("/stage/0"), true, names)
}

#[test]
fn names_lead_to_inputs() {
    assert_eq!(read(".", &["a.h", "./dir/../dir//b.h", "a.h"]), ["a.h", "dir/b.h"]);
    assert_eq!(read("sub", &["c.h", "../a.h"]), ["a.h", "sub/c.h"]);
    assert_eq!(read(".", &["tree/x.h", "tree", "tree/d/../x.h"]), [""; 0]);
    // Back out of a tree, perhaps by a link in it.
    assert_eq!(read(".", &["tree/../a.h"]), ["?"]);
    assert_eq!(read(".", &["link", "a.h"]), ["?"]);
    assert_eq!(read(".", &["link/../b.h", "link/../../a.h"]), ["?"]);
    assert_eq!(read(".", &["dir"]), ["?"]);
    assert_eq!(read(".", &["a.h", "dir", "b.h"]), ["!b.h"]);
    assert_eq!(read("sub", &["a.h"]), ["!a.h"]);
}

#[test]
fn names_outside_are_in_directories_of_the_system_or_an_error() {
    for name in
        ["/usr/include/stdio.h", "/usr/bin/../include/c++/14/vector", "/there/tool chain/x.h", "/dev/null"]
    {
        assert_eq!(read(".", &[name]), [""; 0], "{name}");
    }
    for (name, real) in [
        ("/there/x.h", "/there/x.h"),
        // The end of the name is that of an input.
        ("/there/a.h", "/there/a.h"),
        ("/link/dir/b.h", "/there/dir/b.h"),
        ("/usr/src/x.h", "/usr/src/x.h"),
        ("/usr/work/x.h", "/usr/work/x.h"),
        ("/usr/include/../../there/x.h", "/there/x.h"),
        ("/gone/x.h", "/gone/x.h"),
        ("../../there/x.h", "/there/x.h"),
        ("tree/../../../there/x.h", "/there/x.h"),
        ("link/../../../../there/x.h", "/there/x.h"),
        ("../1/x.h", "/stage/1/x.h"),
        ("/proc/self/cwd/../1/x.h", "/stage/1/x.h"),
    ] {
        assert_eq!(read(".", &[name]), [format!("!{name} {real}")], "{name}");
    }
}

#[test]
fn whole_paths_in_the_directory_of_the_action_are_inputs() {
    assert_eq!(
        read(".", &["/stage/0/dir/b.h", "/proc/self/cwd/a.h", "../0/sub/c.h"]),
        ["a.h", "dir/b.h", "sub/c.h"]
    );
    assert_eq!(read("sub", &["/proc/self/cwd/c.h", "/proc/7/cwd/../a.h"]), ["a.h", "sub/c.h"]);
    assert_eq!(read(".", &["/stage/0/x.h"]), ["!/stage/0/x.h"]);
    assert_eq!(read(".", &["/stage/0/link/x.h"]), ["?"]);
}

#[test]
fn where_the_action_saw_other_files_an_input_is_known_by_the_end_of_its_path() {
    // With a launcher, which may show files elsewhere.
    let launched = |names: &[&str]| read_in(".", Some("/stage/0"), false, names);
    assert_eq!(launched(&["/there/dir/b.h", "/usr/vector/d.h"]), ["dir/b.h", "vector/d.h"]);
    assert_eq!(launched(&["/there/x.h"]), ["!/there/x.h /there/x.h"]);
    // On another machine.
    let elsewhere = |names: &[&str]| read_in(".", None, false, names);
    assert_eq!(elsewhere(&["/build/7/dir/b.h", "/usr/include/stdio.h"]), ["dir/b.h"]);
    assert_eq!(elsewhere(&["/build/link/x.h"]), ["?"]);
    assert_eq!(elsewhere(&["x.h"]), ["!x.h"]);
    assert_eq!(elsewhere(&["/there/x.h", "../x.h"]), ["!/there/x.h /there/x.h"]);
    assert_eq!(elsewhere(&["/away/../x/y.h"]), ["!/away/../x/y.h /x/y.h"]);
    // In a directory of the tool chain there, by the name that the compiler has for it.
    assert_eq!(elsewhere(&["/there/tool chain/x.h", "/gone/tools/x.h"]), [""; 0]);
}

#[test]
fn names_that_leave_an_unknown_directory_are_an_error_unless_they_end_in_the_system_or_an_input() {
    let elsewhere = |cwd, name| read_in(cwd, None, false, &[name]);
    for name in [
        "../x.h",
        "../../../there/x.h",
        "../../../usr/src/x.h",
        "/proc/self/cwd/../x.h",
        "sub/../../x.h",
        "../sub/../x.h",
        "tree/../../x.h",
        "link/../../../x.h",
        "out/x.h",
    ] {
        assert_eq!(elsewhere(".", name), [format!("!{name} {name}")], "{name}");
    }
    assert_eq!(elsewhere("sub", "../x.h"), ["!../x.h"]);
    assert_eq!(elsewhere("sub", "../../x.h"), ["!../../x.h ../../x.h"]);
    for name in ["../../../usr/include/x.h", "sub/../../usr/lib/../include/x.h", "../there/tool chain/x.h"] {
        assert_eq!(elsewhere(".", name), [""; 0], "{name}");
    }
    assert_eq!(elsewhere(".", "../0/sub/c.h"), ["sub/c.h"]);
    assert_eq!(elsewhere(".", "/proc/self/cwd/../0/sub/c.h"), ["sub/c.h"]);
}

#[test]
fn only_source_texts_are_reported_reliably() {
    for path in ["a.c", "dir.d/a.H", "x/a.hpp"] {
        assert!(ending(path).is_some_and(is_source_ending), "{path}");
    }
    for path in ["a.h.gch", "m.c.gcda", "data.bin", "a.profdata", "x.c/a.pcm", "opts.rsp", "gcc.specs", "."] {
        assert!(!ending(path).is_some_and(is_source_ending), "{path}");
    }
    assert_eq!(ending("dir.d/vector"), None);
}

#[test]
fn options_that_are_read_from_files_are_found_in_words_and_scripts() {
    for text in [
        "@opts",
        "exec gcc '@opts' -c m.c",
        "-Wl,@opts",
        "-Btl/",
        "-B",
        "--prefix=tl/",
        "-specs=more",
        "--specs=more",
        "LIBRARY_PATH",
        "GCC_EXEC_PREFIX=tl/ gcc",
    ] {
        assert!(takes_options_from_files(text.as_bytes()), "{text}");
    }
    for text in ["exec gcc \"$@\"", "-fdebug-prefix-map=a=b", "-c", ""] {
        assert!(!takes_options_from_files(text.as_bytes()), "{text}");
    }
}

#[test]
fn directives_of_the_assembler_are_found_in_any_case_and_in_joined_strings() {
    for text in
        [".incbin \"f\"", "asm(\".INCBIN f\");", "asm(\".inc\" \n \"bin f\")", "asm(\"\" \".Include f\")"]
    {
        assert!(reads_by_assembler(text.as_bytes()), "{text}");
    }
    for text in ["#include \"f.h\"", "char *inc = \"bin\";", "\""] {
        assert!(!reads_by_assembler(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_file_is_named_by_its_name_however_a_command_reaches_it() {
    let named = |text: &str, path: &str| named_in(text.as_bytes(), path, path);
    for text in [
        "cd sub && gcc -include script x.c",
        "-I../sub/script",
        "'./script'",
        "a=script;",
        "(script)",
        "-iquotescript",
        "reads script.",
    ] {
        assert_eq!(named(text, "sub/script"), Named::Somehow, "{text}");
    }
    for text in ["scripts", "subscript", "script.x", "script_", "a.script", "-x description", ""] {
        assert_eq!(named(text, "sub/script"), Named::Not, "{text}");
    }
    // By its whole path in any word.
    assert_eq!(named("xsub/script.c", "sub/script"), Named::Somehow);
}

#[test]
fn a_file_that_may_hold_options_or_commands_is_known_by_what_is_in_front_of_it() {
    let named = |text: &str| named_in(text.as_bytes(), "sub/more.inc", "sub/more.inc");
    for text in [
        "gcc\0@sub/more.inc",
        "gcc\0-T\0more.inc",
        "cd sub; ld -Tmore.inc",
        "-Wl,-T,more.inc",
        "-Wl,--script=more.inc",
        "-specs=more.inc",
        "INCLUDE more.inc",
        "INCLUDE \"more.inc\"",
        "/bin/sh\0more.inc",
        "cd sub && . ./more.inc && run",
        "sh\0-c\0. sub/more.inc",
        "source more.inc",
        "'@../sub/more.inc'",
    ] {
        assert_eq!(named(text), Named::AsText, "{text}");
    }
    for text in ["gcc\0-c\0sub/more.inc", "-I\0.\0more.inc", "gcc -I . more.inc", "#include \"more.inc\""] {
        assert_eq!(named(text), Named::Somehow, "{text}");
    }
}
