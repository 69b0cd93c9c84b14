//! Which sources build files name together: those of one program, or of one library.
//!
//! Sources do not say which of two functions of one name a program is linked with. A makefile does, if it lists the
//! objects of each program: `PROG_OBJ=main.o net.o` and `prog: $(PROG_OBJ)`. Makefiles are not understood as a whole:
//! variables that are set unconditionally are replaced by their values, and the words of each value and of each rule
//! are a list, if they are names of sources or objects of the directory. Of CMake and Meson the words between brackets
//! are.

use std::collections::{BTreeMap, BTreeSet};

use super::commands::is_makefile;
use crate::{paths, tree::Tree};

/// Sources that are named together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct List {
    pub(crate) sources: BTreeSet<usize>,
    /// What is made of them, if that is a program by its name.
    pub(crate) name: Option<String>,
    /// Whether that is a library by its name.
    pub(crate) is_library: bool,
}

/// The sources that the build files of a directory list.
#[derive(Default, Debug)]
pub(crate) struct Lists {
    pub(crate) lists: Vec<List>,
    /// The build file, for messages.
    pub(crate) file: usize,
    /// Whether sources may be named by a pattern, so that one that is not named may be built all the same.
    pub(crate) has_patterns: bool,
}

/// The lists of each directory with build files, of sources in it.
pub(crate) fn of_tree(tree: &Tree) -> BTreeMap<String, Lists> {
    let mut all: BTreeMap<String, Lists> = BTreeMap::new();
    for file in (0..tree.len()).filter(|file| is_makefile(tree.path(*file))) {
        let text = tree.text(file);
        let directory = paths::parent(tree.path(file));
        let name = paths::name(tree.path(file));
        let named = match name {
            "CMakeLists.txt" | "meson.build" => of_calls(&text),
            _ => of_makefile(&text),
        };
        let lists = named.into_iter().filter_map(|(words, target)| {
            let sources: BTreeSet<usize> =
                words.iter().filter_map(|word| source(tree, directory, word)).collect();
            let name = target.as_deref().map(paths::name);
            let is_library = name
                .is_some_and(|name| matches!(paths::ending(name), "a" | "la" | "lo") || name.contains(".so"));
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
            let name = name.filter(|name| !name.is_empty() && name.chars().all(is_plain)).map(str::to_owned);
            (!sources.is_empty()).then_some(List { sources, name, is_library })
        });
        let of = all.entry(directory.to_owned()).or_insert_with(|| Lists { file, ..Lists::default() });
        of.lists.extend(lists);
        of.has_patterns |= has_patterns(&text);
    }
    all
}

/// Whether sources are named by a pattern; not in the commands of a rule, as `rm *.o`.
// Any pattern in the file counts: whether it is about these sources would need an interpreter of makefiles.
fn has_patterns(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.starts_with('\t'));
    lines.any(|line| ["wildcard", "GLOB", "*.c", "*.o"].iter().any(|pattern| line.contains(pattern)))
}

/// The source that a word refers to: by its own path, or by the path of its object file.
fn source(tree: &Tree, directory: &str, word: &str) -> Option<usize> {
    const ENDINGS: [&str; 8] = ["c", "cc", "cpp", "cxx", "c++", "C", "S", "s"];
    let ending = paths::ending(word);
    if !ENDINGS.contains(&ending) && !matches!(ending, "o" | "obj" | "lo") {
        return None;
    }
    if ENDINGS.contains(&ending)
        && let Some(file) = paths::join(directory, word).and_then(|path| tree.find(&path))
    {
        return Some(file);
    }
    // Of an object; in whatever directory it is made, it is one of a source here.
    let stem = &word[..word.len() - ending.len() - 1];
    [stem, paths::name(stem)].into_iter().find_map(|stem| {
        ENDINGS.iter().find_map(|ending| tree.find(&paths::join(directory, &format!("{stem}.{ending}"))?))
    })
}

/// So deep are variables in each other.
// Makefiles that people write nest variables two or three deep; one that contains itself ends here.
const MAX_DEPTH: usize = 16;

/// So many words a value has at most.
// More than any project lists in one value.
const MAX_WORDS: usize = 10_000;

/// The lists in a makefile, each with what is made of it.
fn of_makefile(text: &str) -> Vec<(Vec<String>, Option<String>)> {
    // Continued lines first, as make does.
    let text = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    let mut rules: Vec<(String, String)> = Vec::new();
    let mut conditions = 0_usize;
    for line in text.lines() {
        let line = line.split_once('#').map_or(line, |(line, _)| line);
        let first = line.split_whitespace().next().unwrap_or_default();
        match first {
            "ifeq" | "ifneq" | "ifdef" | "ifndef" => conditions += 1,
            "endif" => conditions = conditions.saturating_sub(1),
            _ => {}
        }
        // What holds on a condition is not what each build has.
        if conditions > 0
            || line.starts_with('\t')
            || matches!(first, "endif" | "else" | "include" | "-include")
        {
            continue;
        }
        match assignment(line) {
            // Values are kept as they are written and expanded at the end, as make does it for `=`.
            Some((name, "+=", value)) => {
                let all = variables.entry(name.to_owned()).or_default();
                *all = format!("{all} {value}");
            }
            Some((name, "?=", value)) => {
                variables.entry(name.to_owned()).or_insert_with(|| value.to_owned());
            }
            Some((name, _, value)) => drop(variables.insert(name.to_owned(), value.to_owned())),
            None => {
                if let Some((targets, needed)) = line.split_once(':') {
                    rules.push((targets.to_owned(), needed.trim_start_matches(':').to_owned()));
                }
            }
        }
    }
    let words = |text: &str| -> Vec<String> {
        let value = expanded(text, &variables, MAX_DEPTH);
        value.split_whitespace().take(MAX_WORDS).map(str::to_owned).collect()
    };
    let mut all: Vec<(Vec<String>, Option<String>)> =
        variables.values().map(|value| (words(value), None)).collect();
    let rules: Vec<(Vec<String>, Vec<String>)> =
        rules.iter().map(|(targets, needed)| (words(targets), words(needed))).collect();
    for (targets, needed) in &rules {
        // A rule for several targets does not list the sources of one.
        let [target] = targets.as_slice() else { continue };
        // With the objects of the static libraries that are made here.
        let archives = needed.iter().filter(|word| paths::ending(word) == "a");
        let of_archives = archives.flat_map(|archive| {
            rules.iter().filter(move |(targets, _)| targets.contains(archive)).flat_map(|(_, needed)| needed)
        });
        let sources = needed.iter().chain(of_archives).cloned().collect();
        all.push((sources, Some(target.clone())));
    }
    all
}

/// A line `NAME = value`: the name, the operator and the value.
fn assignment(line: &str) -> Option<(&str, &str, &str)> {
    let line = line.trim_start_matches("export ").trim_start_matches("override ");
    let at = line.find('=')?;
    let (before, value) = (&line[..at], line[at + 1..].trim());
    // `::=` and `:=` expand at once, `+=` appends, `?=` sets a default, `!=` runs a command.
    let operator = ["::", ":", "+", "?", "!"].into_iter().find(|sign| before.ends_with(sign)).unwrap_or("");
    let name = before[..before.len() - operator.len()].trim();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    is_name.then_some((
        name,
        if operator == "+" {
            "+="
        } else if operator == "?" {
            "?="
        } else {
            "="
        },
        value,
    ))
}

/// A text with the values of its variables; what is not known is left out.
fn expanded(text: &str, variables: &BTreeMap<String, String>, depth: usize) -> String {
    let mut all = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        all += &rest[..at];
        rest = &rest[at + 1..];
        let close = match rest.chars().next() {
            Some('(') => ')',
            Some('{') => '}',
            Some(other) => {
                rest = &rest[other.len_utf8()..];
                continue;
            }
            None => break,
        };
        let open = rest.chars().next();
        let mut nested = 0_usize;
        let end = rest.char_indices().find(|(_, c)| {
            nested += usize::from(Some(*c) == open);
            nested -= usize::from(*c == close);
            nested == 0
        });
        let Some((end, _)) = end else { break };
        let inside = &rest[1..end];
        rest = &rest[end + 1..];
        // A variable may contain itself, or double with each step.
        if depth == 0 || all.len() > MAX_WORDS * 16 {
            continue;
        }
        // `$(call f,words)`: the words. `$(OBJ:.o=.c)`: a name and an ending that does not matter.
        let is_call = inside.split_once(char::is_whitespace).is_some();
        let value = match is_call {
            true => expanded(inside.rsplit_once(',').map_or("", |(_, last)| last), variables, depth - 1),
            false => {
                let name = inside.split_once(':').map_or(inside, |(name, _)| name);
                let name = expanded(name, variables, depth - 1);
                let value = variables.get(&name).map_or("", String::as_str);
                expanded(value, variables, depth - 1)
            }
        };
        all += &value;
    }
    all + rest
}

/// The words of calls like `add_executable(prog a.c b.c)` and `executable('prog', ['a.c', 'b.c'])`.
fn of_calls(text: &str) -> Vec<(Vec<String>, Option<String>)> {
    let mut all = Vec::new();
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    let lines: Vec<&str> =
        text.lines().map(|line| line.split_once('#').map_or(line, |(line, _)| line)).collect();
    let text = lines.join("\n");
    let mut rest = text.as_str();
    while let Some(at) = rest.find('(') {
        let before = rest[..at].trim_end();
        let start = before.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
        let function = before[start..].to_ascii_lowercase();
        rest = &rest[at + 1..];
        let end = rest.find(')').unwrap_or(rest.len());
        let inside = expanded(&rest[..end], &variables, MAX_DEPTH);
        let is_between = |c: char| c.is_whitespace() || "\"',[]".contains(c);
        let mut words = inside.split(is_between).filter(|word| !word.is_empty()).take(MAX_WORDS);
        match function.as_str() {
            "set" => {
                let name = words.next().unwrap_or_default().to_owned();
                let value: Vec<&str> = words.collect();
                variables.insert(name, value.join(" "));
            }
            "add_executable" | "executable" | "add_library" | "library" | "static_library"
            | "shared_library" | "both_libraries" => {
                let name = words.next().map(str::to_owned);
                let is_library = function.contains("librar");
                let words = words.map(str::to_owned).collect();
                all.push((words, name.map(|name| if is_library { format!("lib{name}.a") } else { name })));
            }
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(all: Vec<(Vec<String>, Option<String>)>) -> Vec<String> {
        let line = |(words, target): (Vec<String>, Option<String>)| {
            format!("{}: {}", target.unwrap_or_default(), words.join(" "))
        };
        all.into_iter().map(line).filter(|line| line.contains('.')).collect()
    }

    #[test]
    fn makefiles_list_objects_by_variables_and_rules() {
        let text = "NAME=prog$(SUFFIX)\nOBJ = main.o \\\n net.o # c\nOBJ += io.o\nLIB:=lib$(X).a\nX?=z\n\
                    ifeq ($(A),b)\nOBJ += odd.o\nendif\n$(NAME): $(OBJ) $(LIB)\n\t$(CC) -o $@ no.o\n\
                    $(LIB): $(patsubst %.c,%.o,$(SRC:.x=.c))\nSRC=a.c b.c\nLOOP=$(LOOP)\n";
        assert_eq!(
            shown(of_makefile(text)),
            [
                ": libz.a",
                ": main.o net.o io.o",
                ": a.c b.c",
                "prog: main.o net.o io.o libz.a a.c b.c",
                "libz.a: a.c b.c",
            ]
        );
        for odd in ["$", "$(", "=", ":", "a = $(a) $(a)\n", "${a:", "$(b $(c,d)", "x: $é"] {
            of_makefile(odd);
        }
    }

    #[test]
    fn calls_of_other_build_files_list_sources() {
        let text = "set(SRC a.c\n b.c) # c\nadd_executable(prog main.c ${SRC})\nADD_LIBRARY(z STATIC z.c)\n\
                    e = executable('tool', ['t.c', 'u.c'], install: true)\nadd_executable(";
        assert_eq!(
            shown(of_calls(text)),
            ["prog: main.c a.c b.c", "libz.a: STATIC z.c", "tool: t.c u.c install: true",]
        );
    }
}
