//! Which sources the command of an action compiles, and how. Rules are not asked: what counts is a word that names a
//! compiler and sources behind it, in a command or in a script that a shell runs.

use taut_value::ActionDescription;

use super::shell::{self, Command, Environment, Word};

/// One call of a compiler.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Compile {
    /// The directory in which it runs, in that of the action.
    pub(super) directory: String,
    pub(super) program: String,
    /// What concerns compiling, in order.
    pub(super) arguments: Vec<Argument>,
    /// Whether the call only compiles: otherwise it links, too.
    pub(super) has_mode: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Argument {
    /// What names no file.
    Plain(String),
    /// A source that is compiled.
    Source(String),
    /// An option with a directory in which names are looked up; one for each directory that it becomes.
    Includes { option: String, directory: String },
    /// An option with a directory that has to be one.
    Root { option: String, directory: String, is_joined: bool },
    /// An option with a file; without a blank between them if it is joined.
    File { option: String, path: String, is_joined: bool },
}

impl Compile {
    pub(super) fn sources(&self) -> impl Iterator<Item = &str> {
        self.arguments.iter().filter_map(|argument| match argument {
            Argument::Source(path) => Some(path.as_str()),
            _ => None,
        })
    }
}

/// What an action compiles.
#[derive(Default, PartialEq, Eq, Debug)]
pub(super) struct Compiles {
    pub(super) all: Vec<Compile>,
    /// Whether something that may compile could not be read, or not all of it.
    pub(super) is_partial: bool,
}

/// The files that a command may read.
pub(super) trait Files {
    /// The names of files that a pattern matches, in the order of a shell.
    fn matching(&self, directory: &str, pattern: &str) -> Vec<String>;

    /// Whether there is such an input.
    fn is_input(&self, directory: &str, path: &str) -> bool;

    /// The text of a script, if it is known before anything is built.
    fn script(&self, directory: &str, path: &str) -> Option<String>;
}

impl Compiles {
    pub(super) fn of(action: &ActionDescription, files: &dyn Files) -> Compiles {
        let variables = action.env.iter().filter_map(|(name, value)| {
            let text = value.as_str()?;
            Some((name.to_string(), text.to_string()))
        });
        let environment = Environment { variables: variables.collect(), is_whole: true };
        let words = action.command.iter().map(|word| Word::known(word)).collect();
        let directory = if action.cwd.is_empty() { ".".to_owned() } else { action.cwd.to_string() };
        // By endings, since that is all there is before the action has run.
        let is_object = |path: &str| {
            let ending = path.rsplit_once('.').map(|(_, ending)| ending);
            matches!(ending, Some("o" | "obj" | "lo" | "a" | "so" | "pcm" | "gch" | "pch"))
        };
        let makes_objects = action.outs.iter().any(|path| is_object(path));
        let mut reader = Reader { files, makes_objects, found: Compiles::default() };
        reader.command(Command { directory: Some(directory), words }, &environment, 0);
        reader.found
    }
}

/// Scripts that call scripts are read so deep.
// A script may call itself.
const MAX_SCRIPTS: usize = 8;

struct Reader<'f> {
    files: &'f dyn Files,
    /// Whether outputs of the action look like those of compilers.
    makes_objects: bool,
    found: Compiles,
}

impl Reader<'_> {
    fn command(&mut self, command: Command, environment: &Environment, depth: usize) {
        let Command { directory, words } = command;
        let Some(program) = words.first() else { return };
        if !program.is_known {
            // `$CC -c a.c`: it says what it is by its words.
            let is_compile = |word: &Word| word.text == "-c" || is_source(&word.text);
            self.found.is_partial |= words[1..].iter().any(is_compile);
            return;
        }
        match name_of(&program.text) {
            // They may have the name of a compiler as an argument, and run nothing.
            "echo" | "printf" | "which" | "type" | "test" | "[" | "[[" => return,
            // They compile what their own descriptions say, which are not read here.
            "make" | "gmake" | "ninja" | "cmake" | "meson" => {
                self.found.is_partial = true;
                return;
            }
            _ => {}
        }
        // Each word, not only the first: launchers such as `env`, `ccache` or `nice` stand in front.
        for (place, word) in words.iter().enumerate() {
            if is_shell(&word.text) {
                return self.shell(directory, &words, place, environment, depth);
            }
            if is_compiler(&word.text) {
                return self.compiler(directory, &words[place..]);
            }
        }
        let Some(directory) = directory else { return };
        if self.files.is_input(&directory, &program.text) {
            self.script(directory, &words, environment, depth, true);
        }
    }

    /// A shell at a place of a command: its script is the next word, or a file.
    fn shell(
        &mut self,
        directory: Option<String>,
        words: &[Word],
        shell: usize,
        environment: &Environment,
        depth: usize,
    ) {
        let mut environment = environment.clone();
        for word in &words[..shell] {
            // `env NAME=VALUE sh …`: what is between the launcher and the shell sets variables of the script.
            if let Some((name, value)) = word.text.split_once('=') {
                match word.is_known {
                    true => environment.variables.insert(name.to_owned(), value.to_owned()),
                    false => environment.variables.remove(name),
                };
                environment.is_whole &= word.is_known;
            }
        }
        let mut place = shell + 1;
        let mut is_text = false;
        while let Some(option) = words.get(place).filter(|word| word.text.starts_with(['-', '+'])) {
            place += 1;
            if option.text == "--" {
                break;
            }
            let is_long = option.text.starts_with("--");
            // `-c` may be one of several letters, as in `-ec`.
            is_text |= !is_long && option.text.contains('c');
            // `-o pipefail`, also as `-euo pipefail`.
            place += usize::from(!is_long && option.text.ends_with('o'));
        }
        let Some(script) = words.get(place) else { return };
        match (is_text, directory) {
            (true, directory) if script.is_known => {
                let name = [words[shell].clone()];
                // The word behind the script is `$0` (POSIX, sh): the arguments begin with it.
                let arguments = if place + 1 < words.len() { &words[place + 1..] } else { &name[..] };
                self.text(&script.text, directory, &environment, arguments, depth);
            }
            (false, Some(directory)) if script.is_known => {
                self.script(directory, &words[place..], &environment, depth, false);
            }
            _ => self.found.is_partial = true,
        }
    }

    /// A script in a file, with its arguments.
    fn script(
        &mut self,
        directory: String,
        words: &[Word],
        environment: &Environment,
        depth: usize,
        is_program: bool,
    ) {
        let text = self.files.script(&directory, &words[0].text);
        let is_script = |text: &String| {
            let first = text.lines().next().unwrap_or("");
            // Also `#!/usr/bin/env bash`, where the shell is a word of its own.
            first.starts_with("#!") && first.split([' ', '/']).any(is_shell)
        };
        match text.filter(|text| !is_program || is_script(text)) {
            Some(text) => self.text(&text, Some(directory), environment, words, depth),
            // Most programs compile nothing: a report about each would hide those that matter.
            None => self.found.is_partial |= self.makes_objects,
        }
    }

    fn text(
        &mut self,
        script: &str,
        directory: Option<String>,
        environment: &Environment,
        arguments: &[Word],
        depth: usize,
    ) {
        if depth == MAX_SCRIPTS {
            self.found.is_partial = true;
            return;
        }
        // What a script within a script has from the outer one is not followed.
        let inner = Environment { is_whole: false, ..environment.clone() };
        for command in shell::commands(script, directory, environment, arguments) {
            self.command(command, &inner, depth + 1);
        }
    }

    /// A call of a compiler.
    fn compiler(&mut self, directory: Option<String>, words: &[Word]) {
        let mut call = Call::default();
        let mut rest = words[1..].iter();
        while let Some(word) = rest.next() {
            let takes = OptionArgument::of(&word.text);
            if !word.is_known {
                // A word that is not known may hide a source or an option, unless it is visibly
                // about what is written.
                call.is_partial |= !is_output(&word.text);
            } else if word.is_pattern && !word.text.starts_with('-') {
                let names = directory.as_ref().map(|directory| self.files.matching(directory, &word.text));
                let names = names.unwrap_or_default();
                // A pattern without a match may match what another command of the script generates.
                call.is_partial |= names.is_empty();
                names.into_iter().for_each(|name| call.operand(name));
            } else if takes == OptionArgument::Nothing {
                call.word(&word.text);
            } else if let Some(value) = rest.next() {
                match value.is_known {
                    true => call.option(&word.text, takes, &value.text),
                    false => call.is_partial |= takes != OptionArgument::Output,
                }
            }
        }
        // Rules ask compilers for their version or their directories; such a call compiles nothing.
        if call.only_looks {
            return;
        }
        if call.number_of_sources == 0 {
            // A link, unless what it compiles is in words that are not known.
            self.found.is_partial |= match call.has_other_operands {
                true => false,
                false => call.has_mode || call.is_partial || call.has_response_file,
            };
            return;
        }
        self.found.is_partial |= call.is_partial;
        // Without a directory, relative paths in the call cannot be resolved.
        let Some(directory) = directory else {
            self.found.is_partial = true;
            return;
        };
        let program = words[0].text.clone();
        let Call { arguments, has_mode, .. } = call;
        self.found.all.push(Compile { directory, program, arguments, has_mode });
    }
}

/// What is known from the words of a call so far.
#[derive(Default)]
struct Call {
    arguments: Vec<Argument>,
    number_of_sources: usize,
    /// Objects, assembler, libraries, the standard input.
    has_other_operands: bool,
    has_response_file: bool,
    has_mode: bool,
    /// Whether it only preprocesses, or only prints something.
    only_looks: bool,
    /// Of `-x`.
    language: Option<String>,
    is_partial: bool,
}

impl Call {
    /// An option with its value in a word of its own.
    fn option(&mut self, option: &str, takes: OptionArgument, value: &str) {
        let (option, value) = (option.to_owned(), value.to_owned());
        match takes {
            OptionArgument::Nothing | OptionArgument::Output | OptionArgument::OfLink => {}
            OptionArgument::Language => {
                self.set_language(&value);
                self.arguments.extend([Argument::Plain(option), Argument::Plain(value)]);
            }
            OptionArgument::Text => self.arguments.extend([Argument::Plain(option), Argument::Plain(value)]),
            OptionArgument::Includes => self.arguments.push(Argument::Includes { option, directory: value }),
            OptionArgument::Root => {
                self.arguments.push(Argument::Root { option, directory: value, is_joined: false });
            }
            OptionArgument::File => {
                self.arguments.push(Argument::File { option, path: value, is_joined: false })
            }
        }
    }

    fn set_language(&mut self, language: &str) {
        // `-x none` returns to the endings of names (GCC, "Overall Options").
        self.language = Some(language.to_owned()).filter(|language| language != "none");
    }

    fn word(&mut self, word: &str) {
        if let Some(path) = word.strip_prefix('@') {
            self.has_response_file = true;
            let (option, path) = ("@".to_owned(), path.to_owned());
            self.arguments.push(Argument::File { option, path, is_joined: true });
            return;
        }
        if word == "-" {
            self.has_other_operands = true;
            return;
        }
        if !word.starts_with('-') {
            return self.operand(word.to_owned());
        }
        let joined = |options: &[&str]| {
            let found = options.iter().find_map(|option| Some((*option, word.strip_prefix(option)?)));
            found.map(|(option, value)| (option.to_owned(), value.to_owned()))
        };
        match word {
            "-c" | "-S" | "-fsyntax-only" => self.has_mode = true,
            "-E" | "-M" | "-MM" | "-###" | "--version" | "--help" => self.only_looks = true,
            _ => {}
        }
        self.only_looks |= word.starts_with("-print-") || word.starts_with("-dumpversion");
        // After the tests above: `-M` decides that nothing is compiled, although the word itself is dropped.
        if is_left_out(word) || is_output(word) {
            return;
        }
        let argument = if let Some((option, directory)) = joined(&INCLUDES) {
            Argument::Includes { option, directory }
        } else if let Some((option, directory)) = joined(&["--sysroot=", "-isysroot", "-B"]) {
            Argument::Root { option, directory, is_joined: true }
        } else if let Some(language) = word.strip_prefix("-x") {
            self.set_language(language);
            Argument::Plain(word.to_owned())
        } else {
            match word.split_once('=') {
                // Such as `-fprofile-use=FILE`: the value becomes the path of an input if it names one, and
                // stays as it is otherwise. A macro (`-DNAME=VALUE`) is never a file.
                Some((option, path)) if !word.starts_with("-D") => {
                    Argument::File { option: format!("{option}="), path: path.to_owned(), is_joined: true }
                }
                _ => Argument::Plain(word.to_owned()),
            }
        };
        self.arguments.push(argument);
    }

    fn operand(&mut self, path: String) {
        let is_compiled = match &self.language {
            Some(language) => is_language(language),
            None => is_source(&path) || is_header(&path),
        };
        match is_compiled {
            true => {
                self.number_of_sources += 1;
                self.arguments.push(Argument::Source(path));
            }
            false => self.has_other_operands = true,
        }
    }
}

/// The last part of a path.
fn name_of(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

fn is_shell(word: &str) -> bool {
    matches!(name_of(word), "sh" | "bash" | "dash" | "ksh" | "zsh")
}

/// Whether a word names a compiler of C or C++: `cc`, `c++`, `gcc`, `g++`, `clang`, `clang++` and some others, in a
/// directory or not, with a machine in front or not, and with a version behind or not.
fn is_compiler(word: &str) -> bool {
    let name = name_of(word);
    // From the end: `x86_64-linux-gnu-gcc-12` has the machine in front and the version behind.
    let unversioned = match name.rsplit_once('-') {
        Some((front, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => front,
        _ => name,
    };
    let last = unversioned.rsplit('-').next().unwrap_or(unversioned);
    let others = ["icx", "icpx", "tcc", "emcc", "em++", "nvcc", "hipcc", "mpicc", "mpicxx", "mpic++"];
    matches!(last, "cc" | "c++" | "gcc" | "g++" | "clang" | "clang++" | "c99" | "c89")
        || others.contains(&last)
}

fn ending(path: &str) -> Option<&str> {
    name_of(path).rsplit_once('.').map(|(_, ending)| ending)
}

/// Whether a file is one that compilers take for C, C++, or a language beside them.
pub(super) fn is_source(path: &str) -> bool {
    // The endings that GCC's manual lists for C, C++ and Objective-C ("Overall Options"), with those of modules,
    // CUDA, HIP and OpenCL.
    const ENDINGS: [&str; 18] = [
        "c", "cc", "cp", "cpp", "cxx", "c++", "C", "CPP", "cppm", "ixx", "i", "ii", "m", "mm", "M", "cu",
        "hip", "cl",
    ];
    ending(path).is_some_and(|ending| ENDINGS.contains(&ending))
}

/// Whether a file is a header; a compiler that is given one makes it a precompiled one.
pub(super) fn is_header(path: &str) -> bool {
    const ENDINGS: [&str; 9] = ["h", "hh", "hp", "hpp", "hxx", "h++", "H", "tcc", "inc"];
    ending(path).is_some_and(|ending| ENDINGS.contains(&ending))
}

/// Whether `-x` names a language that is looked at: assembler is not.
fn is_language(language: &str) -> bool {
    ["c", "objective-c", "cuda", "hip"].iter().any(|begin| language.starts_with(begin))
}

/// What the next word is for an option.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OptionArgument {
    /// A word of its own.
    Nothing,
    Text,
    Language,
    Includes,
    Root,
    File,
    /// What is written.
    Output,
    /// What only a linker needs.
    OfLink,
}

/// Options with a directory of includes.
const INCLUDES: [&str; 6] = ["-I", "-iquote", "-isystem", "-idirafter", "-iframework", "-F"];

impl OptionArgument {
    // Only options whose value is the next word; joined forms such as `-DNAME` are words of their
    // own (`Call::word`).
    fn of(word: &str) -> OptionArgument {
        match word {
            "-o" | "--output" | "-MF" | "-MT" | "-MQ" | "-MJ" | "-dumpbase" | "-dumpdir" | "-aux-info" => {
                OptionArgument::Output
            }
            "-x" => OptionArgument::Language,
            "-D" | "-U" | "-A" | "-arch" | "-target" | "-Xclang" | "--param" | "-Xpreprocessor" => {
                OptionArgument::Text
            }
            "-isysroot" | "--sysroot" | "-B" => OptionArgument::Root,
            "-include" | "-imacros" | "-include-pch" => OptionArgument::File,
            "-l" | "-L" | "-T" | "-u" | "-z" | "-e" | "-Xlinker" | "-Xassembler" | "-framework" => {
                OptionArgument::OfLink
            }
            _ if INCLUDES.contains(&word) => OptionArgument::Includes,
            _ => OptionArgument::Nothing,
        }
    }
}

/// Whether a word is an option with what is written.
fn is_output(word: &str) -> bool {
    // `-ofile`; but clang has options such as `-objcmt-migrate-all`.
    (word.starts_with("-o") && !word.starts_with("-objc"))
        || ["--output=", "-MF", "-MT", "-MQ", "-MJ", "-Wp,-M"].iter().any(|option| word.starts_with(option))
}

/// Options that only concern the output of a compiler or the linker, or that name the directory of the action or files
/// in it.
fn is_left_out(word: &str) -> bool {
    const PREFIXES: [&str; 13] = [
        "-ffile-prefix-map=",
        "-fdebug-prefix-map=",
        "-fmacro-prefix-map=",
        "-frandom-seed=",
        "-fdebug-compilation-dir=",
        "-save-temps",
        "-l",
        "-L",
        "-Wl,",
        "-Wa,",
        "-shared",
        "-static",
        "-fuse-ld=",
    ];
    const FLAGS: [&str; 12] = [
        "-M",
        "-MM",
        "-MD",
        "-MMD",
        "-MP",
        "-MG",
        "-s",
        "-pie",
        "-no-pie",
        "-rdynamic",
        "-nostartfiles",
        "-nodefaultlibs",
    ];
    FLAGS.contains(&word) || PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use taut_value::Str;

    use super::*;

    /// Inputs at the top, and scripts with their texts.
    struct Given(&'static [(&'static str, &'static str)]);

    impl Files for Given {
        fn matching(&self, _: &str, pattern: &str) -> Vec<String> {
            let (begin, end) = pattern.split_once('*').unwrap();
            let names = self.0.iter().map(|(name, _)| (*name).to_owned());
            names.filter(|name| name.starts_with(begin) && name.ends_with(end)).collect()
        }

        fn is_input(&self, _: &str, path: &str) -> bool {
            self.script("", path).is_some()
        }

        fn script(&self, _: &str, path: &str) -> Option<String> {
            let path = path.strip_prefix("./").unwrap_or(path);
            self.0.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned())
        }
    }

    const FILES: Given = Given(&[
        ("a.c", ""),
        ("b.c", ""),
        ("build.sh", "#!/bin/sh -e\ncc -c $1 -o a.o\n"),
        ("compile.py", "#!/usr/bin/python3\n"),
    ]);

    /// The sources of each call, and whether something could not be read.
    fn sources(words: &[&str]) -> (Vec<String>, bool) {
        let mut action = ActionDescription::default();
        action.command = words.iter().map(|word| Str::from(*word)).collect();
        action.outs = vec![Str::from("a.o")];
        let found = Compiles::of(&action, &FILES);
        let calls = found.all.iter().map(|call| call.sources().collect::<Vec<_>>().join(" "));
        (calls.collect(), found.is_partial)
    }

    #[track_caller]
    fn check(words: &[&str], expected: &[&str]) {
        assert_eq!(
            sources(words),
            (expected.iter().map(|text| (*text).to_owned()).collect(), false),
            "{words:?}"
        );
    }

    #[track_caller]
    fn check_partial(words: &[&str], expected: &[&str]) {
        assert_eq!(
            sources(words),
            (expected.iter().map(|text| (*text).to_owned()).collect(), true),
            "{words:?}"
        );
    }

    #[test]
    fn compilers_are_recognised_by_name() {
        for (word, expected) in [
            ("cc", true),
            ("/usr/bin/c++", true),
            ("aarch64-linux-gnu-g++-12", true),
            ("clang-18", true),
            ("x86_64-w64-mingw32-gcc", true),
            ("ar", false),
            ("ccache", false),
            ("cc1", false),
            ("clang-tidy", false),
            ("sh", false),
        ] {
            assert_eq!(is_compiler(word), expected, "{word}");
        }
    }

    #[test]
    fn each_source_that_a_compiler_is_given_is_compiled() {
        check(&["env", "A=b", "cc", "-c", "a.c", "-o", "b.c"], &["a.c"]);
        check(&["c++", "-include", "x.cc", "-c", "-o", "o", "d/y.cc"], &["d/y.cc"]);
        check(&["cc", "a.c", "b.c", "x.o", "-lm", "-o", "a"], &["a.c b.c"]);
        check(&["ccache", "cc", "-shared", "-fPIC", "a.c", "-oa.so"], &["a.c"]);
        check(&["cc", "-x", "c", "-c", "a.data", "-x", "none", "b.c"], &["a.data b.c"]);
        check(&["c++", "a.hpp", "-o", "a.hpp.gch"], &["a.hpp"]);
    }

    #[test]
    fn links_and_assembly_compile_nothing() {
        check(&["cc", "a.o", "b.o", "-o", "a"], &[]);
        check(&["cc", "-c", "a.s"], &[]);
        check(&["cc", "-E", "a.c"], &[]);
        check(&["cc", "-x", "assembler-with-cpp", "-c", "a.c"], &[]);
        check(&["ar", "rcs", "a.a", "cc.c"], &[]);
        check(&["sh", "-c", "echo cc -c a.c"], &[]);
        check(&["sh", "-c", "cc -c a.c -o a.o", "b.c"], &["a.c"]);
    }

    #[test]
    fn scripts_are_read_as_a_shell_reads_them() {
        check(&["sh", "-c", "cc -O1 -c d/a.c -o a.o\n"], &["d/a.c"]);
        check(&["sh", "-ec", "cc -c \"$1\" -o a.o && cc -c 'b c.c'", "sh", "a.c"], &["a.c", "b c.c"]);
        check(&["bash", "-euo", "pipefail", "-c", "cc *.c -o a"], &["a.c b.c"]);
        check(&["env", "F=a.c", "sh", "-c", "mkdir x; cc -c $F"], &["a.c"]);
        check(&["sh", "-c", "sh -c 'cc -c a.c'"], &["a.c"]);
        check(&["sh", "build.sh", "b.c"], &["b.c"]);
        check(&["./build.sh", "b.c"], &["b.c"]);
        check(
            &["sh", "-c", "for f in a b; do cc -c $f.c -o ${f}.o; done; cc a.o b.o -o a $(libs)"],
            &["a.c", "b.c"],
        );
    }

    #[test]
    fn what_cannot_be_read_is_counted() {
        check_partial(&["sh", "-c", "cc -c a.c $(flags)"], &["a.c"]);
        check_partial(&["sh", "-c", "$(which cc) -c a.c"], &[]);
        check_partial(&["sh", "-c", "ls *.c | xargs cc -c"], &[]);
        check_partial(&["sh", "-c", "cd $(dir) && cc -c a.c"], &[]);
        check_partial(&["sh", "-c", "cc -c x*.c"], &[]);
        check_partial(&["cc", "@a.rsp"], &[]);
        check_partial(&["make", "a.o"], &[]);
        check_partial(&["./compile.py", "a.c"], &[]);
        check_partial(&["sh", "none.sh", "a.c"], &[]);
        // An output is of no interest.
        check(&["sh", "-c", "cc -c a.c -o $(name) -MF$(name)"], &["a.c"]);
    }
}
