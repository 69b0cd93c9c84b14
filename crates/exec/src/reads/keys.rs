//! The two keys of results by what was read, and what the action cache of the build root has under them.

use std::collections::BTreeSet;

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType};
use taut_proto::{ActionResult, OutputFile};
use taut_store::{Result, Store};
use taut_value::{ActionDescription, Str};

use crate::{
    RunResult,
    message::{Demands, messages},
    result_message::cached_result,
    trees,
};

/// What the keys begin with. The numbers are raised when a key gets another meaning: nothing is found under the old
/// ones then.
const SALT_OF_NAMES: &str = "taut depfile names 4";
const SALT_OF_CONTENTS: &str = "taut depfile contents 4";

/// How many lists are kept for a command with names of inputs. Another list arises where a header decides which others
/// are included.
pub(crate) const MAX_LISTS: usize = 4;

/// An input of an action with a depfile.
pub(super) struct Input {
    pub(super) path: Str,
    pub(super) info: ObjectInfo,
    /// Whether its content counts however the depfile looks.
    pub(super) always_counts: bool,
}

/// An action with a depfile, and its inputs one by one.
pub struct DepfileInputs<'k> {
    pub(crate) action: &'k ActionDescription,
    pub(super) depfile: &'k Str,
    pub(super) inputs: Vec<Input>,
}

impl DepfileInputs<'_> {
    /// The inputs, of which the files are `empty` that neither are in the set nor always count.
    pub(crate) fn masked(&self, read: &BTreeSet<Str>, empty: Digest) -> Vec<(Str, ObjectInfo)> {
        let mask = |Input { path, info, always_counts }: &Input| {
            let counts = *always_counts || read.contains(path);
            (path.clone(), if counts { *info } else { ObjectInfo { digest: empty, ..*info } })
        };
        self.inputs.iter().map(mask).collect()
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

/// Results by what was read, of actions that run at one place.
pub(crate) struct KeptReads<'a> {
    pub(crate) store: &'a Store,
    pub(crate) demands: Demands<'a>,
    /// The id of the server that executes them, if one does: its results are no others'. A server itself has them
    /// without that, as its clients may have different names for it.
    pub(crate) server: Option<&'a str>,
}

impl KeptReads<'_> {
    /// The digest of the action in which the files are empty that neither are in the set nor always count.
    fn key(
        &self,
        names: &DepfileInputs<'_>,
        read: &BTreeSet<Str>,
        mut salt: Vec<u8>,
    ) -> Result<Option<Digest>> {
        if let Some(server) = self.server {
            salt.push(0);
            salt.extend(server.as_bytes());
        }
        // An empty file represents any content, so the key keeps the names; which files are masked follows from the
        // salt. It is stored, since a directory of the standard protocol has the sizes of what is in it.
        let empty = self.store.put_blob(b"", false)?;
        match trees::digest_of_stage(self.store, &names.masked(read, empty)) {
            Ok(tree) => Ok(Some(messages(self.store, self.demands, names.action, &tree, salt)[0].0)),
            Err(trees::TreeError::Store(error)) => Err(error),
            // The ordinary way has the same error, with its message.
            Err(_) => Ok(None),
        }
    }

    /// The first key.
    pub(crate) fn first(&self, names: &DepfileInputs<'_>) -> Result<Option<Digest>> {
        self.key(names, &BTreeSet::new(), names.salt())
    }

    /// The second key for a list that has this hash.
    pub(crate) fn second(
        &self,
        names: &DepfileInputs<'_>,
        list: &Hash,
        read: &BTreeSet<Str>,
    ) -> Result<Option<Digest>> {
        self.key(names, read, names.salt_of_list(list))
    }

    /// The lists of what earlier runs read, the latest first, with their digests.
    fn lists(&self, first: &Digest) -> Result<Vec<(Digest, BTreeSet<Str>)>> {
        let Some(result) = self.store.cached_action(&first.hash)? else { return Ok(Vec::new()) };
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

    /// The result of an earlier run that read the same contents, with what it read.
    pub(crate) fn result(&self, names: &DepfileInputs<'_>) -> Result<Option<(BTreeSet<Str>, RunResult)>> {
        let Some(first) = self.first(names)? else { return Ok(None) };
        // Each list is a different guess of what would be read; the first whose contents agree is right, as the
        // command is deterministic in what it reads.
        for (list, read) in self.lists(&first)? {
            let Some(second) = self.second(names, &list.hash, &read)? else { continue };
            if let Some(ran) = cached_result(self.store, names.action, &second.hash)? {
                return Ok(Some((read, RunResult { by_reads: true, ..ran })));
            }
        }
        Ok(None)
    }

    /// Keeps the result of a run with what it read. Whether the inputs have keys.
    pub(crate) fn add(
        &self,
        names: &DepfileInputs<'_>,
        read: &BTreeSet<Str>,
        result: &ActionResult,
    ) -> Result<bool> {
        // The list is stored before the results that name it.
        let list = self.store.put_blob(list_text(read).as_bytes(), false)?;
        let (first, second) = (self.first(names)?, self.second(names, &list.hash, read)?);
        let Some((first, second)) = first.zip(second) else { return Ok(false) };
        self.store.cache_action(&second.hash, result)?;
        // The list comes last, and leads to a result that is there.
        let older = self.lists(&first)?.into_iter().map(|(digest, _)| digest);
        let lists = std::iter::once(list).chain(older.filter(|older| *older != list));
        let lists = result_of_lists(&mut lists.map(|list| self.store.to_wire(&list, false)));
        self.store.cache_action(&first.hash, &lists)?;
        Ok(true)
    }
}
