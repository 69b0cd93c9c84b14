//! Inputs that a command may read without reporting it, so that their content always counts.
//!
//! Compilers report source texts that they read, and nothing else reliably: neither programs, precompiled headers and
//! profiles nor what gives them options. So whatever is named by the command or its environment counts, and what is
//! named by a file that may hold options, however deep (`@FILE` in `@FILE`, a script that calls a compiler, `INCLUDE`
//! in a script of the linker). A name is that of the file, since a command may change its directory.
//!
//! All of this follows from contents that count themselves, so it is equal wherever a key is. In doubt a content
//! counts: that costs only reuse.

use taut_digest::{ObjectInfo, ObjectType};
use taut_store::Result;
use taut_value::{ActionDescription, Str};

use super::keys::Input;
use crate::{Execution, message::rebased};

/// Directives of the assembler that read a file, also from a C source; the case of letters does not matter there.
const ASSEMBLER_READS: [&[u8]; 2] = [b".incbin", b".include"];

/// How the names of source texts end. Compilers report each one that they read, and nothing else reliably: GCC names
/// neither a precompiled header (`x.h.gch`) nor the header that it was made from, and no profile (`x.gcda`).
const SOURCE_ENDINGS: [&str; 44] = [
    "c", "cc", "cpp", "cxx", "c++", "m", "mm", "h", "hh", "hpp", "hxx", "h++", "inc", "inl", "ipp", "tpp",
    "txx", "tcc", "ixx", "def", "i", "ii", "s", "sx", "asm", "cu", "cuh", "cl", "f", "for", "f77", "f90",
    "f95", "f03", "f08", "rs", "proto", "go", "d", "di", "swift", "zig", "pyx", "pxd",
];

/// How the names of files end that are not text.
const BINARY_ENDINGS: [&str; 10] = ["o", "a", "so", "lo", "obj", "gch", "pch", "pcm", "gcda", "bc"];

/// What makes GCC read files that it neither reports nor names: `@FILE` is recognised apart
/// ([`takes_options_from_files`]). `-B` and `--prefix` are one option, and like these variables they say where a file
/// `specs` is searched.
const OPTIONS_FROM_FILES: [&str; 5] = ["-B", "--prefix", "-specs", "GCC_EXEC_PREFIX", "LIBRARY_PATH"];

/// After these words, the file that is named may hold options or commands, also if it ends like a source text: options
/// of compilers and linkers, a command of scripts of the linker, and what runs a script or puts a file into a command.
const BEFORE_TEXTS: [&str; 12] = [
    "-T", "-dT", "-script", "--script", "-specs", "--specs", "INCLUDE", "sh", "bash", "dash", "source", "cat",
];

/// Files that are longer are not searched, nor more bytes in all.
const MAX_SCRIPT_BYTES: u64 = 1 << 20;
const MAX_SEARCHED_BYTES: u64 = 4 << 20;

/// What follows the last dot of a file's name; `None` for names without one, which headers of C++ have, and files of
/// options.
pub(super) fn ending(path: &str) -> Option<&str> {
    file_name(path).rsplit_once('.').map(|(_, ending)| ending)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether files whose names end like this are source texts.
pub(super) fn is_source_ending(ending: &str) -> bool {
    SOURCE_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Whether a command line, a script or the value of a variable may make a compiler read options from files. In doubt it
/// does: that costs only reuse.
pub(super) fn takes_options_from_files(text: &[u8]) -> bool {
    // `$@` is the arguments of a script.
    memchr::memchr_iter(b'@', text).any(|at| at == 0 || text[at - 1] != b'$')
        || OPTIONS_FROM_FILES.iter().any(|part| memchr::memmem::find(text, part.as_bytes()).is_some())
}

/// Whether a text has a directive by which the assembler reads another file, be it written in several adjacent strings
/// of C.
pub(super) fn reads_by_assembler(content: &[u8]) -> bool {
    let mut joined = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        // Only adjacent literals are joined; comments and macros between them are not, which no compiler output has.
        if *first == b'"' {
            let blank = more.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            if more.get(blank) == Some(&b'"') {
                // The end of one string and the begin of the next.
                rest = &more[blank + 1..];
                continue;
            }
        }
        // Searched in the whole text, also in comments: a false hit costs a run, a missed one would give a stale
        // result.
        joined.push(first.to_ascii_lowercase());
    }
    ASSEMBLER_READS.iter().any(|directive| memchr::memmem::find(&joined, directive).is_some())
}

/// How a text names a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Named {
    Not,
    /// As anything.
    Somehow,
    /// As one that may hold options or commands.
    AsText,
}

/// Whether a byte separates words, or is put around them.
fn is_between(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"\"'`=,:;()[]{}<>|&\0".contains(&byte)
}

fn is_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-+".contains(&byte) || !byte.is_ascii()
}

/// How a text names a file that has one of these paths.
pub(super) fn named_in(text: &[u8], path: &str, rebased: &str) -> Named {
    let whole = [path, rebased].iter().any(|path| memchr::memmem::find(text, path.as_bytes()).is_some());
    let mut found = if whole { Named::Somehow } else { Named::Not };
    let name = file_name(path).as_bytes();
    for at in memchr::memmem::find_iter(text, name) {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        // A path in a word goes on before the name; of an option that is written together with it, the begin is not a
        // name.
        let begin = before.iter().rposition(|byte| is_between(*byte)).map_or(0, |last| last + 1);
        let (earlier, prefix) = before.split_at(begin);
        // A full stop may end a sentence of a script.
        let is_ended = match after {
            [b'.', next, ..] => !is_in_name(*next),
            [next, ..] => *next == b'.' || !is_in_name(*next),
            [] => true,
        };
        let is_begun = prefix.last().is_none_or(|last| !is_in_name(*last)) || prefix.starts_with(b"-");
        let is_word = is_begun && is_ended;
        if !whole && !is_word {
            continue;
        }
        let end = earlier.iter().rposition(|byte| !is_between(*byte)).map_or(0, |last| last + 1);
        let start = earlier[..end].iter().rposition(|byte| is_between(*byte)).map_or(0, |last| last + 1);
        let program = earlier[start..end].rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        // The command of shells, and not the directory: that is a word of its own, or the value of an option.
        let is_sourced = program == b"."
            && earlier[end..].starts_with(b" ")
            && earlier[..start].trim_ascii_end().last().is_none_or(|last| b";&|(\0".contains(last));
        let is_text = prefix.contains(&b'@')
            || [&b"-T"[..], b"-dT"].iter().any(|option| prefix.starts_with(option))
            || BEFORE_TEXTS.iter().any(|word| program == word.as_bytes())
            || is_sourced;
        found = found.max(if is_text { Named::AsText } else { Named::Somehow });
        if found == Named::AsText {
            break;
        }
    }
    found
}

/// Which inputs count, while texts are searched for their names.
struct Search<'a> {
    objects: &'a [(Str, ObjectInfo)],
    rebased: Vec<String>,
    named: Vec<Named>,
    /// Whether the command may read options from inputs without an ending.
    has_option_files: bool,
    /// The inputs whose texts are to be searched.
    pending: Vec<usize>,
}

impl Search<'_> {
    fn search(&mut self, text: &[u8]) {
        self.has_option_files |= takes_options_from_files(text);
        for (number, (path, info)) in self.objects.iter().enumerate() {
            match info.object_type {
                // By its name alone, since it may be found by PATH. What it does itself is not known, nor what it
                // calls.
                ObjectType::Executable if !self.has_option_files => {
                    self.has_option_files = memchr::memmem::find(text, file_name(path).as_bytes()).is_some();
                }
                ObjectType::File if self.named[number] != Named::AsText => {
                    let named = match named_in(text, path, &self.rebased[number]) {
                        Named::Somehow if !ending(path).is_some_and(is_source_ending) => Named::AsText,
                        named => named,
                    };
                    if named == Named::AsText && !ending(path).is_some_and(is_binary_ending) {
                        self.pending.push(number);
                    }
                    self.named[number] = self.named[number].max(named);
                }
                _ => {}
            }
        }
    }
}

fn is_binary_ending(ending: &str) -> bool {
    BINARY_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

impl Execution {
    /// The inputs of an action, each with whether its content counts whatever the depfile says.
    pub(super) fn counted(
        &self,
        action: &ActionDescription,
        objects: Vec<(Str, ObjectInfo)>,
    ) -> Result<Vec<Input>> {
        // A depfile names neither the program nor what is passed by other options than those for headers.
        let by_kind = |(path, info): &(Str, ObjectInfo)| {
            info.object_type != ObjectType::File
                || ending(path).is_some_and(|ending| !is_source_ending(ending))
        };
        // The search is only made if something depends on it.
        let (named, has_option_files) = match objects.iter().all(by_kind) {
            true => (vec![Named::Not; objects.len()], false),
            false => self.named(action, &objects)?,
        };
        let input = |((path, info), named): ((Str, ObjectInfo), Named)| {
            let by_kind = by_kind(&(path.clone(), info));
            let always_counts =
                by_kind || named != Named::Not || (has_option_files && ending(&path).is_none());
            Input { path, info, always_counts }
        };
        Ok(objects.into_iter().zip(named).map(input).collect())
    }

    /// How the command names each input, also by files that it names; and whether it may read options from others.
    fn named(&self, action: &ActionDescription, objects: &[(Str, ObjectInfo)]) -> Result<(Vec<Named>, bool)> {
        let mut search = Search {
            objects,
            rebased: objects.iter().map(|(path, _)| rebased(path, &action.cwd)).collect(),
            named: vec![Named::Not; objects.len()],
            has_option_files: false,
            pending: Vec::new(),
        };
        // Words next to each other, as an option and its value may be two.
        let words: Vec<&str> = action.command.iter().map(Str::as_str).collect();
        search.search(words.join("\0").as_bytes());
        for (name, value) in action.env.iter() {
            let value = value.as_str().map_or("", |text| text);
            search.search(format!("{name}={value}").as_bytes());
        }
        let mut searched = 0;
        while let Some(number) = search.pending.pop() {
            let (path, info) = &objects[number];
            searched += info.digest.size;
            if info.digest.size > MAX_SCRIPT_BYTES || searched > MAX_SEARCHED_BYTES {
                search.has_option_files = true;
                continue;
            }
            match self.content_here(action, path, info)? {
                Some(content) => search.search(&content),
                // Small, and here from now on.
                None => match self.store.read(&info.digest.hash, info.object_type)? {
                    Some(content) => search.search(&content),
                    None => search.has_option_files = true,
                },
            }
        }
        Ok((search.named, search.has_option_files))
    }

    /// The content of an input, if it is on this machine: in the store, or as a source. Nothing is fetched, and nothing
    /// stored.
    pub(super) fn content_here(
        &self,
        action: &ActionDescription,
        path: &Str,
        info: &ObjectInfo,
    ) -> Result<Option<Vec<u8>>> {
        let (hash, object_type) = (&info.digest.hash, info.object_type);
        if let Some(content) = self.store.read_here(hash, object_type)? {
            return Ok(Some(content));
        }
        let input = action.inputs.get(path).and_then(|value| value.as_artifact());
        // A source that a server has need not be in the store.
        let content = input.and_then(|artifact| self.source_content(artifact));
        Ok(content.filter(|content| self.store.hash_function().blob(content) == *hash))
    }
}
