//! Results of actions by what they read: two look-ups in the action cache, for actions with a depfile.
//!
//! The first key has the command and the *names* of the inputs, and leads to lists of what earlier runs read. The second
//! key has, for one of these lists, the contents of what it names as well, and leads to the result. So an input that was
//! not read may have another content, but an input more or less, which could shadow another one, makes a new key. Both
//! keys are digests of `Action` messages with a salt, and both values are `ActionResult` messages (docs/store.md).
//!
//! Of inputs whose reading a depfile does not tell, the content is part of both keys: links, trees, programs, what is no
//! source text by its name (precompiled headers, profiles), and whatever is named by the command or its environment. Of
//! files without an ending as well, if the command may read options from some of them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::{Path, PathBuf},
};

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType};
use taut_proto::{ActionResult, OutputFile};
use taut_sys::normal;
use taut_value::{ActionDescription, Str, path::normal_path, quoted};

use crate::{
    Execution, RunResult,
    depfile::prerequisites,
    inputs,
    message::{action_digest, rebased, salted_digest},
    run_result::RunKey,
    system_dirs::{self, SystemDirs},
    trees,
};

/// What the keys begin with. The numbers are raised when a key gets another meaning: nothing is found under the old ones then.
const SALT_OF_NAMES: &str = "taut depfile names 3";
const SALT_OF_CONTENTS: &str = "taut depfile contents 3";

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

/// What makes GCC read files that it neither reports nor names: `@FILE` is recognised apart ([`takes_options_from_files`]).
/// `-B` and `--prefix` are one option, and like these variables they say where a file `specs` is searched.
const OPTIONS_FROM_FILES: [&str; 5] = ["-B", "--prefix", "-specs", "GCC_EXEC_PREFIX", "LIBRARY_PATH"];

/// Scripts that are longer are not searched, and may read anything.
const MAX_SCRIPT_BYTES: u64 = 1 << 20;

/// An action with a depfile, and its inputs one by one.
pub(crate) struct DepfileInputs<'k> {
    pub(crate) action: &'k ActionDescription,
    depfile: &'k Str,
    objects: Vec<(Str, ObjectInfo)>,
    /// Whether the command may read options from inputs without an ending, which no depfile names then.
    has_option_files: bool,
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
            let counts = read.contains(path) || self.always_counts(path, info);
            (path.clone(), if counts { *info } else { ObjectInfo { digest: empty, ..*info } })
        };
        self.objects.iter().map(mask).collect()
    }

    /// Whether the content of an input counts however the depfile looks.
    fn always_counts(&self, path: &str, info: &ObjectInfo) -> bool {
        // A depfile names neither the program nor what is passed by other options than those for headers.
        info.object_type != ObjectType::File
            || match ending(path) {
                Some(ending) => !is_source_ending(ending),
                None => self.has_option_files,
            }
            || is_named(self.action, &[path, &rebased(path, &self.action.cwd)])
    }

    /// What makes the first key that of no action.
    pub(crate) fn salt(&self) -> Vec<u8> {
        format!("{SALT_OF_NAMES}\0{}", self.depfile).into_bytes()
    }

    /// The same for the second key, of a list that has this hash.
    pub(crate) fn salt_of_list(&self, list: &Hash) -> Vec<u8> {
        // With the list, since a file that is empty and one that does not count look the same in the tree.
        format!("{SALT_OF_CONTENTS}\0{}\0{list}", self.depfile).into_bytes()
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
            // The path is for people that look at the cache; only the order counts.
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
    /// It names this, which is no input; and if that is a file outside of the action's directory, what the name leads to.
    Stranger(String, Option<PathBuf>),
}

/// What follows the last dot of a file's name; `None` for names without one, which headers of C++ have, and files of options.
fn ending(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map(|(_, ending)| ending)
}

/// Whether files whose names end like this are source texts.
fn is_source_ending(ending: &str) -> bool {
    SOURCE_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Whether a command line, a script or the value of a variable may make a compiler read options from files. In doubt it
/// does: that costs only reuse.
fn takes_options_from_files(text: &[u8]) -> bool {
    // `$@` is the arguments of a script.
    memchr::memchr_iter(b'@', text).any(|at| at == 0 || text[at - 1] != b'$')
        || OPTIONS_FROM_FILES.iter().any(|part| memchr::memmem::find(text, part.as_bytes()).is_some())
}

/// Whether the command or its environment has one of the names.
fn is_named(action: &ActionDescription, names: &[&str]) -> bool {
    // A plain search: a name inside of another word makes the content count, which is only less reuse.
    let has = |text: &str| names.iter().any(|name| text.contains(name));
    action.command.iter().any(|word| has(word))
        || action.env.values().any(|value| value.as_str().is_some_and(|text| has(text)))
}

/// Whether an input lists directories of the system.
fn is_list(path: &str, info: &ObjectInfo) -> bool {
    system_dirs::is_list(path) && info.object_type == ObjectType::File
}

/// Whether a text has a directive by which the assembler reads another file, be it written in several adjacent strings of C.
fn reads_by_assembler(content: &[u8]) -> bool {
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
        // Then no key can be made, and the action is looked up by its digest only.
        if objects.len() != action.inputs.len() {
            return Ok(None);
        }
        let has_option_files = self.has_option_files(action, &objects)?;
        Ok(Some(DepfileInputs { action, depfile, objects, has_option_files }))
    }

    /// Whether an action may read options from inputs without an ending: its command or environment says so, or a script
    /// that it has as an input. The answer follows from what is in both keys.
    fn has_option_files(
        &self,
        action: &ActionDescription,
        objects: &[(Str, ObjectInfo)],
    ) -> taut_store::Result<bool> {
        // The search is only made if something depends on it.
        if !objects.iter().any(|(path, info)| info.object_type == ObjectType::File && ending(path).is_none())
        {
            return Ok(false);
        }
        let environment = action
            .env
            .iter()
            .flat_map(|(name, value)| [Some(name.as_str()), value.as_str().map(|text| &**text)])
            .flatten();
        if action
            .command
            .iter()
            .map(|word| &**word)
            .chain(environment)
            .any(|text| takes_options_from_files(text.as_bytes()))
        {
            return Ok(true);
        }
        for (path, info) in objects {
            let may_be_script = match info.object_type {
                // By its name alone, since it may be found by PATH. What it does itself is not known, nor what it calls.
                ObjectType::Executable => {
                    let name = path.rsplit('/').next().unwrap_or(path);
                    if is_named(action, &[name]) {
                        return Ok(true);
                    }
                    false
                }
                ObjectType::File => {
                    !ending(path).is_some_and(is_source_ending)
                        && is_named(action, &[path, &rebased(path, &action.cwd)])
                }
                _ => false,
            };
            if !may_be_script {
                continue;
            }
            if info.digest.size > MAX_SCRIPT_BYTES {
                return Ok(true);
            }
            let content = self.store.read(&info.digest.hash, info.object_type)?;
            if content.is_none_or(|content| takes_options_from_files(&content)) {
                return Ok(true);
            }
        }
        Ok(false)
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
        // An empty file represents any content, so the key keeps the names; which files are masked follows from the
        // salt.
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
            // A list that is damaged or lost counts as absent.
            lists.extend(list.map(|list| (digest, list)));
        }
        Ok(lists)
    }

    /// The result of an earlier run that read the same contents, if there was one.
    pub(crate) fn cached_by_reads(&self, key: &RunKey) -> taut_store::Result<Option<RunResult>> {
        let Some(names) = self.names(key)? else { return Ok(None) };
        // Each list is a different guess of what would be read; the first whose contents agree is right, as the
        // command is deterministic in what it reads.
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
                let always = names.objects.iter().filter(|(path, info)| names.always_counts(path, info));
                return Ok(Some(read.into_iter().chain(always.map(|(path, _)| path.clone())).collect()));
            }
        }
        Ok(None)
    }

    /// Whether the action cache has a result of an action, by its digest or by what an earlier run read. `objects`: all inputs,
    /// one by one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn has_result(
        &self,
        action: &ActionDescription,
        depfile: Option<&Str>,
        objects: Vec<(Str, ObjectInfo)>,
    ) -> taut_store::Result<bool> {
        let tree = match trees::digest_of_stage(&self.store, &objects) {
            Ok(tree) => tree,
            Err(trees::TreeError::Store(error)) => return Err(error),
            // Such an action fails before it runs.
            Err(_) => return Ok(false),
        };
        if self.cached(action, &action_digest(self, action, &tree))?.is_some() {
            return Ok(true);
        }
        let Some(depfile) = depfile else { return Ok(false) };
        Ok(self.counting_inputs(action, depfile, objects)?.is_some())
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
        // The list is stored before the results that name it.
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

    /// Fetches what [`Execution::wrong_depfile`] reads of a result that was made elsewhere. Returns how many bytes came.
    pub(crate) async fn fetch_depfile(&self, key: &RunKey, ran: &RunResult) -> taut_store::Result<u64> {
        let Some(names) = self.names(key)? else { return Ok(0) };
        let lists = names.objects.iter().filter(|(path, info)| is_list(path, info)).map(|(_, info)| info);
        let read: Vec<ObjectInfo> =
            ran.outputs.get(names.depfile).into_iter().chain(lists).copied().collect();
        self.store.fetch(&read).await
    }

    /// What is wrong with the depfile of an action that succeeded: it names what is no input.
    pub(crate) fn wrong_depfile(&self, key: &RunKey, ran: &RunResult) -> taut_store::Result<Vec<String>> {
        let Some(names) = self.names(key)? else { return Ok(Vec::new()) };
        let DepfileContent::Stranger(name, outside) = self.reported(&names, ran)? else {
            return Ok(Vec::new());
        };
        let (depfile, shown) = (quoted(names.depfile), quoted(&name));
        let is_elsewhere = outside.as_ref().filter(|real| real.as_os_str() != name.as_str());
        let real = is_elsewhere.map_or_else(String::new, |real| format!(" ({})", real.display()));
        let mut wrong =
            vec![format!("the depfile {depfile} names {shown}{real}, which is no input of the action")];
        wrong.extend(outside.map(|_| system_dirs::HELP.to_owned()));
        Ok(wrong)
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
        // Not an error of the build: without lists the action is only run more often.
        let Ok(paths) = prerequisites(&text) else { return Ok(DepfileContent::Unclear) };
        let (mut links, mut lists) = (BTreeMap::new(), Vec::new());
        for (path, info) in &names.objects {
            if info.object_type == ObjectType::Symlink {
                let target = self.store.read(&info.digest.hash, info.object_type)?;
                links
                    .extend(target.and_then(|target| Some((path.as_str(), String::from_utf8(target).ok()?))));
            } else if is_list(path, info) {
                lists.extend(self.store.read(&info.digest.hash, info.object_type)?);
            }
        }
        let inputs = names.objects.iter().map(|(path, info)| (path.as_str(), info.object_type)).collect();
        let lookup = NameLookup {
            cwd: &normal_path(&names.action.cwd),
            inputs,
            links,
            ran_in: ran.ran_in.as_deref(),
            is_seen_here: ran.is_seen_here,
            system: SystemDirs::new(&lists, &*self.sources),
        };
        Ok(match lookup.reported(&paths) {
            DepfileContent::Read(read) if self.may_read_more(names, &read)? => DepfileContent::Unclear,
            reported => reported,
        })
    }

    /// Whether the assembler may have read files, which no compiler reports: a file that was read has such a directive.
    fn may_read_more(&self, names: &DepfileInputs<'_>, read: &BTreeSet<Str>) -> taut_store::Result<bool> {
        for (path, info) in &names.objects {
            let is_read = read.contains(path) || names.always_counts(path, info);
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
#[derive(Debug)]
enum NamePath {
    Input(Str),
    /// Into an input that is a tree, which always counts.
    InTree,
    /// To a link or through one, or back out of a tree, so which inputs are read is not clear.
    Unclear,
    /// To a directory that has inputs.
    Directory,
    /// To nothing that the action has as an input.
    Nowhere,
    /// Out of the action's directory: to this absolute path, or if it went out by `..`, to one that ends like this.
    Outside(PathBuf),
}

/// How many links a name may lead through, as the system has it.
const MAX_LINKS: usize = 40;

/// The begin of a name by which a process reaches its own directory, wherever that is.
const OWN_DIRECTORY: [&str; 2] = ["/proc/self/cwd", "/proc/thread-self/cwd"];

/// What the names in a depfile are looked up in.
struct NameLookup<'a> {
    /// The working directory, normalised.
    cwd: &'a str,
    inputs: BTreeMap<&'a str, ObjectType>,
    /// Where those inputs lead that are links.
    links: BTreeMap<&'a str, String>,
    /// The action's directory while it ran, if it is known.
    ran_in: Option<&'a Path>,
    /// Whether the action saw the files of this machine under the same names: it ran here, and no launcher was in between.
    is_seen_here: bool,
    system: SystemDirs<'a>,
}

impl NameLookup<'_> {
    /// Follows a name from a directory of the action, component by component, since `..` behind a link is not what it seems.
    fn place(&self, from: &str, name: &str) -> NamePath {
        if self.inputs.contains_key(".") {
            return NamePath::InTree;
        }
        let mut left: VecDeque<String> = from.split('/').chain(name.split('/')).map(str::to_owned).collect();
        let mut at: Vec<String> = Vec::new();
        let (mut links, mut is_unclear) = (0, false);
        // How many components lead to the tree that the name is in.
        let mut tree = None;
        while let Some(component) = left.pop_front() {
            match component.as_str() {
                "" | "." => continue,
                ".." if at.is_empty() => return NamePath::Outside(root_path(&mut left)),
                ".." => {
                    at.pop();
                    if tree.is_some_and(|depth| at.len() < depth) {
                        (tree, is_unclear) = (None, true);
                    }
                    continue;
                }
                _ => at.push(component),
            }
            if tree.is_some() {
                continue;
            }
            let here = at.join("/");
            match self.inputs.get(here.as_str()) {
                Some(ObjectType::Symlink) => {
                    is_unclear = true;
                    links += 1;
                    let Some(target) = self.links.get(here.as_str()).filter(|_| links <= MAX_LINKS) else {
                        return NamePath::Unclear;
                    };
                    // What an absolute target leads to is a question of the machine, not of the inputs.
                    if target.starts_with('/') {
                        left.push_front(target.clone());
                        return NamePath::Outside(root_path(&mut left));
                    }
                    at.pop();
                    // A link is replaced by its target, as the kernel resolves paths (path_resolution(7)).
                    target.split('/').rev().for_each(|component| left.push_front(component.to_owned()));
                }
                Some(ObjectType::Tree) => tree = Some(at.len()),
                _ => {}
            }
        }
        if is_unclear {
            return NamePath::Unclear;
        }
        if tree.is_some() {
            return NamePath::InTree;
        }
        let here = at.join("/");
        if self.inputs.contains_key(here.as_str()) {
            return NamePath::Input(Str::from(here));
        }
        // Inputs have no entries for directories: one exists if a path begins with its name and a slash, and the map
        // is sorted.
        let below = at.iter().flat_map(|name| [name, "/"]).collect::<String>();
        let first = self.inputs.range(below.as_str()..).next();
        if first.is_some_and(|(path, _)| path.starts_with(&below)) {
            NamePath::Directory
        } else {
            NamePath::Nowhere
        }
    }

    /// Where a name leads that leads out of the action's directory. `relative`: if it is relative to the working directory,
    /// what is; `end`: as in [`NamePath::Outside`].
    fn outside(&self, name: &str, relative: &str, end: &Path) -> Outside {
        let path = match self.ran_in {
            _ if relative.starts_with('/') => PathBuf::from(relative),
            Some(ran_in) => ran_in.join(self.cwd).join(relative),
            // Where the directory was on the other machine is not known, nor so how many `..` lead to its root. A name
            // that goes on with a directory of the system is taken to lead there, as compilers write it.
            None if self.system.has(&normal(end)) => return Outside::System,
            None => return Outside::Unknown(PathBuf::from(name)),
        };
        let inside = |path: &Path| {
            let below = path.strip_prefix(self.ran_in?).ok()?;
            match self.place("", below.to_str()?) {
                NamePath::Outside(_) => None,
                place => Some(Outside::Inside(place)),
            }
        };
        if let Some(inside) = inside(&path) {
            return inside;
        }
        // The directory of the action may be reached by another name than the one it was made under, for example
        // through a link in the build root's path.
        let real = self.system.real_path(&path);
        let shown = real.clone().unwrap_or_else(|| normal(&path));
        if let Some(inside) = inside(&shown) {
            return inside;
        }
        match real {
            _ if self.system.has(&shown) => Outside::System,
            Some(real) if self.is_seen_here => Outside::Stranger(real),
            // On another machine, what is a link here need not be one.
            _ if self.ran_in.is_none() && self.system.has(&normal(&path)) => Outside::System,
            _ if self.ran_in.is_none() => Outside::Unknown(normal(&path)),
            _ => Outside::Unknown(shown),
        }
    }

    /// The inputs whose path is the end of a name: it may be such an input by its whole path, in a place that is not known.
    fn with_end_of(&self, name: &str) -> Vec<NamePath> {
        let components: Vec<&str> = name.split('/').collect();
        // Longest first is of no importance: all that match are taken, since which one was meant is not known.
        let ends = (0..components.len()).map(|start| components[start..].join("/"));
        let places = ends.flat_map(|end| ["", self.cwd].map(|from| self.place(from, &end)));
        // A directory of the tool chain's headers may have the name of a file elsewhere. What is read of a directory are
        // names, and these are in the keys.
        places
            .filter(|place| !matches!(place, NamePath::Directory | NamePath::Nowhere | NamePath::Outside(_)))
            .collect()
    }

    /// What the names say about inputs.
    fn reported(&self, names: &[String]) -> DepfileContent {
        let (mut read, mut is_unclear) = (BTreeSet::new(), false);
        for name in names {
            let own = OWN_DIRECTORY.iter().find_map(|own| Path::new(name).strip_prefix(own).ok()?.to_str());
            let place = match own {
                Some(below) => self.place(self.cwd, below),
                None if name.starts_with('/') => NamePath::Outside(PathBuf::from(name)),
                None => self.place(self.cwd, name),
            };
            let places = match place {
                NamePath::Outside(end) => match self.outside(name, own.unwrap_or(name), &end) {
                    Outside::Inside(place) => vec![place],
                    Outside::System if self.is_seen_here => Vec::new(),
                    Outside::System => self.with_end_of(name),
                    Outside::Stranger(real) => return DepfileContent::Stranger(name.clone(), Some(real)),
                    Outside::Unknown(real) => {
                        let ends = self.with_end_of(name);
                        if ends.is_empty() {
                            return DepfileContent::Stranger(name.clone(), Some(real));
                        }
                        ends
                    }
                },
                place => vec![place],
            };
            for place in places {
                match place {
                    NamePath::Input(path) => drop(read.insert(path)),
                    NamePath::InTree => {}
                    NamePath::Unclear | NamePath::Directory => is_unclear = true,
                    // An error even if something else is unclear: it must not depend on that.
                    NamePath::Nowhere | NamePath::Outside(_) => {
                        return DepfileContent::Stranger(name.clone(), None);
                    }
                }
            }
        }
        if is_unclear { DepfileContent::Unclear } else { DepfileContent::Read(read) }
    }
}

/// The path that has these components, from the root.
fn root_path(components: &mut VecDeque<String>) -> PathBuf {
    Path::new("/").join(components.make_contiguous().join("/").trim_start_matches('/'))
}

/// Where a name leads that seems to lie outside of the action's directory.
enum Outside {
    /// Into the action's directory, after all.
    Inside(NamePath),
    /// To a file of the system.
    System,
    /// To another file of this machine.
    Stranger(PathBuf),
    /// To nothing that is there on this machine; or it does not mean here what it meant to the action. With what the name
    /// would lead to; the name itself if it is one from the action's directory, and it is not known where that was.
    Unknown(PathBuf),
}

#[cfg(test)]
mod tests;
