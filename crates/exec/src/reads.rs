//! Results of actions by what they read: two look-ups in the action cache, for actions with a depfile.
//!
//! The first key has the command and the *names* of the inputs, and leads to lists of what earlier runs read. The second
//! key has, for one of these lists, the contents of what it names as well, and leads to the result. So an input that was
//! not read may have another content, but an input more or less, which could shadow another one, makes a new key. Both
//! keys are digests of `Action` messages with a salt, and both values are `ActionResult` messages (docs/store.md).
//!
//! Of inputs whose reading a depfile does not tell, the content is part of both keys: links, trees, programs, what is no
//! source text by its name (precompiled headers, profiles), and whatever is named by the command or its environment.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType};
use taut_proto::{ActionResult, OutputFile};
use taut_value::{ActionDescription, Str, path::normal_path, quoted};

use crate::{
    Execution, RunResult,
    depfile::prerequisites,
    inputs,
    message::{rebased, salted_digest},
    run_result::RunKey,
    trees,
};

/// How many lists are kept for a command with names of inputs. Another list arises where a header decides which others
/// are included.
pub(crate) const MAX_LISTS: usize = 4;

/// Directives of the assembler that read a file, also from a C source; the case of letters does not matter there.
const ASSEMBLER_READS: [&[u8]; 2] = [b".incbin", b".include"];

/// How the names of source texts end. Compilers report each one that they read, and nothing else reliably: GCC names neither
/// a precompiled header (`x.h.gch`) nor the header that it was made from, and no profile (`x.gcda`).
const SOURCE_ENDINGS: [&str; 44] = [
    "c", "cc", "cpp", "cxx", "c++", "m", "mm", "h", "hh", "hpp", "hxx", "h++", "inc", "inl", "ipp", "tpp",
    "txx", "tcc", "ixx", "def", "i", "ii", "s", "sx", "asm", "cu", "cuh", "cl", "f", "for", "f77", "f90",
    "f95", "f03", "f08", "rs", "proto", "go", "d", "di", "swift", "zig", "pyx", "pxd",
];

/// An action with a depfile, and its inputs one by one.
pub(crate) struct DepfileInputs<'k> {
    pub(crate) action: &'k ActionDescription,
    depfile: &'k Str,
    objects: Vec<(Str, ObjectInfo)>,
}

/// An action that ran, and which of its inputs it read.
pub(crate) struct RecordedAction<'k> {
    pub(crate) names: DepfileInputs<'k>,
    pub(crate) read: BTreeSet<Str>,
}

impl DepfileInputs<'_> {
    /// The inputs, of which the files are `empty` that neither are in the set nor always count.
    pub(crate) fn masked(&self, read: &BTreeSet<Str>, empty: Digest) -> Vec<(Str, ObjectInfo)> {
        let mask = |(path, info): &(Str, ObjectInfo)| {
            let counts = read.contains(path) || always_counts(self.action, path, info);
            (path.clone(), if counts { *info } else { ObjectInfo { digest: empty, ..*info } })
        };
        self.objects.iter().map(mask).collect()
    }

    /// What makes the first key that of no action. The number, here and below, is raised when a key gets another meaning:
    /// nothing is found under the old ones then.
    pub(crate) fn salt(&self) -> Vec<u8> {
        format!("taut depfile names 2\0{}", self.depfile).into_bytes()
    }

    /// The same for the second key, of a list that has this hash.
    pub(crate) fn salt_of_list(&self, list: &Hash) -> Vec<u8> {
        // With the list, since a file that is empty and one that does not count look the same in the tree.
        format!("taut depfile contents 2\0{}\0{list}", self.depfile).into_bytes()
    }
}

/// A list of what was read, as bytes.
pub(crate) fn list_text(read: &BTreeSet<Str>) -> String {
    read.iter().flat_map(|path| [path.as_str(), "\0"]).collect()
}

/// Reads such bytes; `None` if they are not text.
pub(crate) fn parse_list(bytes: Vec<u8>) -> Option<BTreeSet<Str>> {
    let text = String::from_utf8(bytes).ok()?;
    Some(text.split_terminator('\0').map(Str::from).collect())
}

/// The result under the first key: lists by their digests.
pub(crate) fn result_of_lists(lists: &mut dyn Iterator<Item = taut_proto::Digest>) -> ActionResult {
    let output_files = lists
        .take(MAX_LISTS)
        .enumerate()
        .map(|(number, digest)| OutputFile {
            path: format!("read-{number}"),
            digest: Some(digest),
            is_executable: false,
        })
        .collect();
    ActionResult { output_files, ..ActionResult::default() }
}

/// What a depfile says.
enum DepfileContent {
    /// The inputs that it names.
    Read(BTreeSet<Str>),
    /// What was read is not known.
    Unclear,
    /// It names this, which is in the action's directory, and no input.
    Stranger(String),
}

/// Whether a file is a source text by its name: by its ending, or since it has none, like headers of C++.
fn is_source_text(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some((_, ending)) = name.rsplit_once('.') else { return true };
    SOURCE_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Whether a text has a directive by which the assembler reads another file, be it written in several adjacent strings of C.
fn reads_by_assembler(content: &[u8]) -> bool {
    let mut joined = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first == b'"' {
            let blank = more.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            if more.get(blank) == Some(&b'"') {
                // The end of one string and the begin of the next.
                rest = &more[blank + 1..];
                continue;
            }
        }
        joined.push(first.to_ascii_lowercase());
    }
    ASSEMBLER_READS.iter().any(|directive| memchr::memmem::find(&joined, directive).is_some())
}

/// Whether the content of an input counts however the depfile looks.
fn always_counts(action: &ActionDescription, path: &str, info: &ObjectInfo) -> bool {
    // A depfile names neither the program nor what is passed by other options than those for headers.
    info.object_type != ObjectType::File || !is_source_text(path) || {
        let relative = rebased(path, &action.cwd);
        let names = |text: &str| text.contains(path) || text.contains(&relative);
        action.command.iter().any(|word| names(word))
            || action.env.values().any(|value| value.as_str().is_some_and(|text| names(text)))
    }
}

impl Execution {
    /// `None` for an action without a depfile.
    pub(crate) fn names<'k>(&self, key: &'k RunKey) -> taut_store::Result<Option<DepfileInputs<'k>>> {
        let Some(depfile) = &key.depfile else { return Ok(None) };
        let objects = inputs::one_by_one(&self.store, &key.action.inputs, &key.inputs)?;
        self.names_of(&key.action, depfile, objects)
    }

    fn names_of<'k>(
        &self,
        action: &'k ActionDescription,
        depfile: &'k Str,
        objects: Vec<(Str, ObjectInfo)>,
    ) -> taut_store::Result<Option<DepfileInputs<'k>>> {
        // Fewer if a tree is lost.
        if objects.len() != action.inputs.len() {
            return Ok(None);
        }
        Ok(Some(DepfileInputs { action, depfile, objects }))
    }

    /// The first key.
    fn key_of_names(&self, names: &DepfileInputs<'_>) -> taut_store::Result<Option<Hash>> {
        self.masked(names, &BTreeSet::new(), names.salt())
    }

    /// The digest of the action in which the files are empty that neither are in the set nor always count.
    fn masked(
        &self,
        names: &DepfileInputs<'_>,
        read: &BTreeSet<Str>,
        salt: Vec<u8>,
    ) -> taut_store::Result<Option<Hash>> {
        let empty = Digest { hash: self.store.hash_function().blob(b""), size: 0 };
        match trees::digest_of_stage(&self.store, &names.masked(read, empty)) {
            Ok(tree) => Ok(Some(salted_digest(self, names.action, &tree, salt))),
            Err(trees::TreeError::Store(error)) => Err(error),
            // The ordinary way has the same error, with its message.
            Err(_) => Ok(None),
        }
    }

    /// The second key for a list that is stored under a hash.
    fn key_of_list(
        &self,
        names: &DepfileInputs<'_>,
        list: &Hash,
        read: &BTreeSet<Str>,
    ) -> taut_store::Result<Option<Hash>> {
        self.masked(names, read, names.salt_of_list(list))
    }

    /// The lists of what earlier runs read, the latest first, with their hashes.
    fn lists(&self, names: &DepfileInputs<'_>) -> taut_store::Result<Vec<(Digest, BTreeSet<Str>)>> {
        let Some(key) = self.key_of_names(names)? else { return Ok(Vec::new()) };
        let Some(result) = self.store.cached_action(&key)? else { return Ok(Vec::new()) };
        let mut lists = Vec::new();
        for file in result.output_files.iter().take(MAX_LISTS) {
            let Some(digest) = file.digest.as_ref().and_then(|digest| self.store.from_wire(digest)) else {
                continue;
            };
            let list = self.store.read(&digest.hash, ObjectType::File)?.and_then(parse_list);
            // A list that is damaged or lost is none.
            lists.extend(list.map(|list| (digest, list)));
        }
        Ok(lists)
    }

    /// The result of an earlier run that read the same contents; `None` if there is none.
    pub(crate) fn cached_by_reads(&self, key: &RunKey) -> taut_store::Result<Option<RunResult>> {
        let Some(names) = self.names(key)? else { return Ok(None) };
        for (list, read) in self.lists(&names)? {
            let Some(second) = self.key_of_list(&names, &list.hash, &read)? else { continue };
            if let Some(ran) = self.cached(names.action, &second)? {
                return Ok(Some(RunResult { by_reads: true, ..ran }));
            }
        }
        Ok(None)
    }

    /// The inputs without whose content no earlier result of an action would be used, by what its run read; `None` if there
    /// is no such result, so that all inputs count. `objects`: all inputs, one by one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn counting_inputs(
        &self,
        action: &ActionDescription,
        depfile: &Str,
        objects: Vec<(Str, ObjectInfo)>,
    ) -> taut_store::Result<Option<BTreeSet<Str>>> {
        let Some(names) = self.names_of(action, depfile, objects)? else { return Ok(None) };
        for (list, read) in self.lists(&names)? {
            let Some(second) = self.key_of_list(&names, &list.hash, &read)? else { continue };
            if self.cached(action, &second)?.is_some() {
                let always = names.objects.iter().filter(|(path, info)| always_counts(action, path, info));
                return Ok(Some(read.into_iter().chain(always.map(|(path, _)| path.clone())).collect()));
            }
        }
        Ok(None)
    }

    /// Records what a successful run read. The result is stored under both keys if its depfile says what that is.
    pub(crate) fn record_reads<'k>(
        &self,
        key: &'k RunKey,
        ran: &RunResult,
        result: &ActionResult,
    ) -> taut_store::Result<Option<RecordedAction<'k>>> {
        let Some(names) = self.names(key)? else { return Ok(None) };
        let DepfileContent::Read(read) = self.reported(&names, ran)? else { return Ok(None) };
        let list = self.store.put_blob(list_text(&read).as_bytes(), false)?;
        let (first, second) = (self.key_of_names(&names)?, self.key_of_list(&names, &list.hash, &read)?);
        let Some((first, second)) = first.zip(second) else { return Ok(None) };
        self.store.cache_action(&second, result)?;
        // The list comes last, and leads to a result that is there.
        let older = self.lists(&names)?.into_iter().map(|(digest, _)| digest);
        let lists = std::iter::once(list).chain(older.filter(|older| *older != list));
        let lists = result_of_lists(&mut lists.map(|list| self.store.to_wire(&list, false)));
        self.store.cache_action(&first, &lists)?;
        Ok(Some(RecordedAction { names, read }))
    }

    /// What is wrong with the depfile of an action that succeeded: it names what is no input.
    pub(crate) fn wrong_depfile(&self, key: &RunKey, ran: &RunResult) -> taut_store::Result<Option<String>> {
        let Some(names) = self.names(key)? else { return Ok(None) };
        Ok(match self.reported(&names, ran)? {
            DepfileContent::Stranger(path) => Some(format!(
                "the depfile {} names {}, which is no input of the action",
                quoted(names.depfile),
                quoted(&path)
            )),
            DepfileContent::Read(_) | DepfileContent::Unclear => None,
        })
    }

    fn reported(&self, names: &DepfileInputs<'_>, ran: &RunResult) -> taut_store::Result<DepfileContent> {
        let Some(info) = ran
            .outputs
            .get(names.depfile)
            .filter(|info| matches!(info.object_type, ObjectType::File | ObjectType::Executable))
        else {
            return Ok(DepfileContent::Unclear);
        };
        let Some(text) = self.store.read(&info.digest.hash, info.object_type)? else {
            return Ok(DepfileContent::Unclear);
        };
        let inputs = names.objects.iter().map(|(path, info)| (path.as_str(), info.object_type)).collect();
        Ok(match prerequisites(&text) {
            Ok(paths) => match reported(&paths, &normal_path(&names.action.cwd), &inputs, &|path| {
                self.sources.has(Path::new(path))
            }) {
                DepfileContent::Read(read) if self.may_read_more(names, &read)? => DepfileContent::Unclear,
                reported => reported,
            },
            Err(_) => DepfileContent::Unclear,
        })
    }

    /// Whether the assembler may have read files, which no compiler reports: a file that was read has such a directive.
    fn may_read_more(&self, names: &DepfileInputs<'_>, read: &BTreeSet<Str>) -> taut_store::Result<bool> {
        for (path, info) in &names.objects {
            let is_read = read.contains(path) || always_counts(names.action, path, info);
            if !is_read || info.object_type != ObjectType::File {
                continue;
            }
            // A file that is lost by now says nothing.
            let Some(content) = self.store.read(&info.digest.hash, ObjectType::File)? else {
                return Ok(true);
            };
            if reads_by_assembler(&content) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Where a name leads.
enum NamePath {
    Input(Str),
    /// Into an input that is a tree, which always counts.
    InTree,
    /// To a link or through one, so which inputs are read is not clear.
    Link,
    /// To a directory that has inputs.
    Directory,
    /// To nothing that the action has as an input.
    Nowhere,
    /// Out of the action's directory.
    Outside,
}

/// Follows a name from a directory of the action, component by component, since `..` behind a link is not what it seems.
fn place<'n>(
    cwd: &'n str,
    name: impl Iterator<Item = &'n str>,
    inputs: &BTreeMap<&str, ObjectType>,
) -> NamePath {
    if inputs.contains_key(".") {
        return NamePath::InTree;
    }
    let mut at: Vec<&str> = Vec::new();
    let mut found = NamePath::Nowhere;
    for component in cwd.split('/').chain(name) {
        match component {
            "" | "." => continue,
            ".." if at.is_empty() => return NamePath::Outside,
            ".." => drop(at.pop()),
            component => at.push(component),
        }
        let here = at.join("/");
        found = match inputs.get(here.as_str()) {
            Some(ObjectType::Symlink) => return NamePath::Link,
            Some(ObjectType::Tree) => return NamePath::InTree,
            Some(_) => NamePath::Input(Str::from(here)),
            None => NamePath::Nowhere,
        };
    }
    let below = at.iter().flat_map(|name| [*name, "/"]).collect::<String>();
    let is_directory =
        inputs.range(below.as_str()..).next().is_some_and(|(path, _)| path.starts_with(&below));
    if is_directory { NamePath::Directory } else { found }
}

/// What names of a depfile say about inputs. `cwd`: the working directory, normalised; `is_source`: whether an absolute path
/// leads into the directories that sources are taken from.
fn reported(
    names: &[String],
    cwd: &str,
    inputs: &BTreeMap<&str, ObjectType>,
    is_source: &dyn Fn(&str) -> bool,
) -> DepfileContent {
    let (mut read, mut is_unclear) = (BTreeSet::new(), false);
    for name in names {
        let mut is_outside = name.starts_with('/');
        if !is_outside {
            match place(cwd, name.split('/'), inputs) {
                NamePath::Input(path) => drop(read.insert(path)),
                NamePath::InTree => {}
                NamePath::Link | NamePath::Directory => is_unclear = true,
                // An error even if something else is unclear: it must not depend on that.
                NamePath::Nowhere => return DepfileContent::Stranger(name.clone()),
                NamePath::Outside => is_outside = true,
            }
        }
        if is_outside {
            // Most likely a header of the tool chain. But it may be an input by its whole path, and where the action ran is
            // not recorded: so each input counts whose path is the end of the name.
            let components: Vec<&str> = name.split('/').collect();
            let mut is_known = false;
            for start in 0..components.len() {
                for from in ["", cwd] {
                    match place(from, components[start..].iter().copied(), inputs) {
                        NamePath::Input(path) => {
                            is_known = true;
                            read.insert(path);
                        }
                        NamePath::Link => (is_known, is_unclear) = (true, true),
                        NamePath::InTree => is_known = true,
                        // A directory of the tool chain's headers may have the name of a file elsewhere. What is read
                        // of a directory are names, and these are in the keys.
                        NamePath::Directory | NamePath::Nowhere | NamePath::Outside => {}
                    }
                }
            }
            // A source that was read past the inputs: an edit of it would not be noticed.
            if !is_known && is_source(name) {
                return DepfileContent::Stranger(name.clone());
            }
        }
    }
    if is_unclear { DepfileContent::Unclear } else { DepfileContent::Read(read) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inputs that names lead to; "?" if that is unclear, "!" before a name that is no input.
    fn read(cwd: &str, names: &[&str]) -> Vec<String> {
        let inputs = [
            ("a.h", ObjectType::File),
            ("dir/b.h", ObjectType::File),
            ("link", ObjectType::Symlink),
            ("sub/c.h", ObjectType::File),
            ("tree", ObjectType::Tree),
            ("vector/d.h", ObjectType::File),
        ];
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let is_source = |path: &str| path.starts_with("/workspace/");
        match reported(&names, cwd, &inputs.into_iter().collect(), &is_source) {
            DepfileContent::Read(read) => read.iter().map(ToString::to_string).collect(),
            DepfileContent::Unclear => vec!["?".to_owned()],
            DepfileContent::Stranger(name) => vec![format!("!{name}")],
        }
    }

    #[test]
    fn names_lead_to_inputs() {
        assert_eq!(read(".", &["a.h", "./dir/../dir//b.h", "a.h"]), ["a.h", "dir/b.h"]);
        assert_eq!(read("sub", &["c.h", "../a.h"]), ["a.h", "sub/c.h"]);
        assert_eq!(read(".", &["tree/x.h", "tree"]), [""; 0]);
        assert_eq!(read(".", &["link", "a.h"]), ["?"]);
        assert_eq!(read(".", &["link/../a.h"]), ["?"]);
        assert_eq!(read(".", &["dir"]), ["?"]);
        assert_eq!(read(".", &["a.h", "dir", "b.h"]), ["!b.h"]);
        assert_eq!(read("sub", &["a.h"]), ["!a.h"]);
    }

    #[test]
    fn names_outside_are_of_the_tool_chain_or_end_as_inputs_do() {
        assert_eq!(read(".", &["/usr/include/stdio.h", "/usr/include/c++/14/vector", "../x"]), [""; 0]);
        assert_eq!(read(".", &["/build/7/dir/b.h", "/proc/self/cwd/a.h"]), ["a.h", "dir/b.h"]);
        assert_eq!(read("sub", &["/proc/self/cwd/c.h"]), ["sub/c.h"]);
        assert_eq!(read(".", &["/build/link/x.h"]), ["?"]);
        assert_eq!(read(".", &["/workspace/a.h"]), ["a.h"]);
        assert_eq!(read(".", &["/workspace/other.h"]), ["!/workspace/other.h"]);
    }

    #[test]
    fn only_source_texts_are_reported_reliably() {
        for path in ["a.c", "dir.d/a.H", "vector", "x/a.hpp"] {
            assert!(is_source_text(path), "{path}");
        }
        for path in ["a.h.gch", "m.c.gcda", "data.bin", "a.profdata", "x.c/a.pcm"] {
            assert!(!is_source_text(path), "{path}");
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
}
