//! What differs between an action that a server had no result of and the nearest one that it knows.
//!
//! Everything that goes into the key is compared: the messages `Action` and `Command`, and the directories of inputs,
//! which are fetched as far as they differ. Nothing of it is used for a build. Of a shared cache, both are in the
//! standard form; of two actions that servers executed, in that of the store ([`differences`]).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use taut_digest::{Digest, ObjectInfo, ObjectType, TreeEntry};
use taut_proto::{Action, Command, Directory, Message, Platform};
use taut_service::{Buffer, Receiver, wait};
use taut_store::Store;

use super::{
    NoResult, SharedService, StandardAction,
    executed::executed,
    latest::{MAX_ACTIONS, key_of_outputs},
    standard::{Standard, digest_of, from_wire},
};
use crate::{RunKey, trees};

/// No message of an action or a directory is longer, in bytes.
// It is held in memory, and the size comes from a server.
const MAX_MESSAGE_BYTES: u64 = 16 << 20;

/// How many inputs are looked for that differ.
const MAX_INPUTS: usize = 100;

/// An action that ran since a server had no result of it. Of a shared cache, the objects are in the store; of a server
/// that executed it, at that server, and the messages in the form of the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Missed {
    /// Its `Action` message; for a shared cache in the standard form.
    pub action: ObjectInfo,
    /// Its `Command` message.
    pub command: ObjectInfo,
    /// Its inputs as a tree.
    pub inputs: ObjectInfo,
    /// Whether there was an incomplete result.
    pub is_incomplete: bool,
}

impl Missed {
    /// Keeps what is known of an action that ran since the cache had no result. It is for people: what cannot be kept
    /// is not.
    pub(crate) fn keep(store: &Store, key: &RunKey, described: &StandardAction) -> Option<Missed> {
        let is_incomplete = described.answer? == NoResult::Incomplete;
        let message = |bytes: &[u8]| {
            let digest = store.put_blob(bytes, false).ok()?;
            Some(ObjectInfo { digest, object_type: ObjectType::File })
        };
        let [action, command] = &described.messages;
        let (action, command) = (message(action)?, message(command)?);
        let inputs = trees::from_stage(store, &key.inputs).ok()?;
        let inputs = ObjectInfo { digest: inputs, object_type: ObjectType::Tree };
        Some(Missed { action, command, inputs, is_incomplete })
    }
}

/// What a cache knows instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nearest {
    /// Whether it has a result by now.
    pub has_result: bool,
    /// How the nearest action with the same outputs differs; `None` if it knows none, or only this one.
    pub differences: Option<Vec<Difference>>,
    /// Whether it knows this action: results of it were there.
    pub is_known: bool,
}

/// Something that is not the same in both.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Difference {
    /// The words of the command.
    Command {
        /// Of the action that ran here.
        here: Vec<String>,
        /// Of the one that the cache knows.
        there: Vec<String>,
    },
    /// A variable of the environment.
    Variable(Values),
    /// A property of the platform.
    Property(Values),
    /// The kind of machine, operating system and processor, or the words in front of each command.
    Machine(Values),
    /// The time limit in seconds.
    TimeLimit(Values),
    /// A file, link or directory among the inputs.
    Input {
        /// Where it is.
        path: String,
        /// The actions that have it.
        presence: Presence,
    },
    /// Something in this directory of inputs; the cache does not have its list.
    Unlisted {
        /// Where it is.
        path: String,
    },
}

/// Which of two actions have something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// Both, with other content or of another kind.
    Both,
    /// The one that ran here.
    Here,
    /// The one that the cache knows.
    There,
}

/// A name and two values; each may be missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Values {
    /// What has these values.
    pub name: String,
    /// Of the action that ran here.
    pub here: Option<String>,
    /// Of the one that the cache knows.
    pub there: Option<String>,
}

/// The messages of an action.
struct Messages {
    action: Action,
    command: Command,
}

/// Asks a cache for the nearest action to one that it had no result of; `None` if too little of that one is left in the
/// store.
///
/// # Errors
/// The cache does not answer, or the store cannot be read.
pub fn nearest(service: &SharedService, store: &Store, missed: &Missed) -> Result<Option<Nearest>, String> {
    nearest_by(KnownBy::Results, service, store, missed)
}

/// The same of a server of the standard protocol that executes, by what builds have reported that it executed for them.
/// `passed_over`: actions that are not compared.
///
/// # Errors
/// As for [`nearest`].
pub fn nearest_executed(
    service: &SharedService,
    store: &Store,
    missed: &Missed,
    passed_over: &[Digest],
) -> Result<Option<Nearest>, String> {
    nearest_by(KnownBy::Builds { passed_over }, service, store, missed)
}

/// What leads to actions with the same outputs.
enum KnownBy<'p> {
    /// Stored results of them.
    Results,
    /// What builds had a server execute, without some.
    Builds { passed_over: &'p [Digest] },
}

fn nearest_by(
    by: KnownBy<'_>,
    service: &SharedService,
    store: &Store,
    missed: &Missed,
) -> Result<Option<Nearest>, String> {
    let local = |error: taut_store::Error| error.to_string();
    let read = |object: &ObjectInfo| store.read(&object.digest.hash, object.object_type).map_err(local);
    let (Some(action), Some(command)) = (read(&missed.action)?, read(&missed.command)?) else {
        return Ok(None);
    };
    let own = digest_of(&action);
    let (Ok(action), Ok(command)) = (Action::decode(&*action), Command::decode(&*command)) else {
        return Ok(None);
    };
    let here = Messages { action, command };
    let what = if matches!(by, KnownBy::Results) { "remote cache" } else { "server" };
    let asked = |error: taut_service::Error| format!("{what} {}: {error}", service.name);
    let has_result = wait(service.results.look_up(own)).map_err(asked)?.is_some();
    let Command { output_files, output_directories, working_directory, .. } = here.command.clone();
    let key = key_of_outputs(output_files, output_directories, working_directory);
    let known: Vec<Digest> = match by {
        KnownBy::Results => {
            let known = wait(service.results.look_up(key)).map_err(asked)?.unwrap_or_default();
            let known = known.output_files.iter().filter_map(|file| from_wire(file.digest.as_ref()?));
            known.take(MAX_ACTIONS).collect()
        }
        KnownBy::Builds { passed_over } => {
            let known = wait(executed(&*service.cas, &*service.results, &key)).map_err(asked)?;
            known.into_iter().filter(|action| !passed_over.contains(action)).take(MAX_ACTIONS).collect()
        }
    };
    let is_known = known.contains(&own);
    let mut there = CacheDirectories { service, directories: HashMap::new() };
    let mut local = None;
    let mut best: Option<Vec<Difference>> = None;
    for digest in known.into_iter().filter(|digest| *digest != own) {
        let Some(other) = there.messages(digest) else { continue };
        let mut found = differences_of_messages(&here, &other);
        let roots = [&here, &other].map(|of| of.action.input_root_digest.as_ref().and_then(from_wire));
        if let [Some(root), Some(other_root)] = roots
            && root != other_root
        {
            if local.is_none() {
                local = Some(directories_here(store, &missed.inputs).map_err(|error| error.to_string())?);
            }
            let local = local.as_ref();
            let mut list = |side, digest: &Digest| match side {
                Side::Here => local?.get(digest).map(entries),
                Side::There => there.directory(*digest).as_ref().map(entries),
            };
            inputs(&mut list, [root, other_root], &mut found);
        }
        // The fewest differences: the latest action is the first, and wins where several are equally near.
        if best.as_ref().is_none_or(|best| found.len() < best.len()) {
            best = Some(found);
        }
    }
    Ok(Some(Nearest { has_result, differences: best, is_known }))
}

/// Messages of the cache; each directory is fetched once.
struct CacheDirectories<'s> {
    service: &'s SharedService,
    directories: HashMap<Digest, Option<Directory>>,
}

impl CacheDirectories<'_> {
    /// A message; `None` if it cannot be had.
    fn message<M: Message + Default>(&self, digest: Digest) -> Option<M> {
        if digest.size > MAX_MESSAGE_BYTES {
            return None;
        }
        let buffer: Arc<Buffer> = Arc::default();
        let wanted = vec![(digest, buffer.clone() as Arc<dyn Receiver>)];
        wait(self.service.cas.get(wanted)).ok()?.pop()?.ok()?;
        M::decode(&*buffer.take()).ok()
    }

    fn messages(&self, digest: Digest) -> Option<Messages> {
        let action: Action = self.message(digest)?;
        let command = self.message(from_wire(action.command_digest.as_ref()?)?)?;
        Some(Messages { action, command })
    }

    fn directory(&mut self, digest: Digest) -> Option<Directory> {
        if !self.directories.contains_key(&digest) {
            let directory = self.message(digest);
            self.directories.insert(digest, directory);
        }
        self.directories[&digest].clone()
    }
}

/// The directories of a tree of the store, by their standard names.
fn directories_here(store: &Store, root: &ObjectInfo) -> taut_store::Result<HashMap<Digest, Directory>> {
    let directories = Standard::open(store)?.directories_of(&root.digest.hash)?.unwrap_or_default();
    let named =
        directories.iter().filter_map(|bytes| Some((digest_of(bytes), Directory::decode(&**bytes).ok()?)));
    Ok(named.collect())
}

fn differences_of_messages(here: &Messages, there: &Messages) -> Vec<Difference> {
    let mut found = Vec::new();
    let words = [here, there].map(|of| of.command.arguments.clone());
    if words[0] != words[1] {
        let [here, there] = words;
        found.push(Difference::Command { here, there });
    }
    let environment = |of: &Messages| -> BTreeMap<String, String> {
        let variables = of.command.environment_variables.iter();
        variables.map(|variable| (variable.name.clone(), variable.value.clone())).collect()
    };
    found.extend(values(&environment(here), &environment(there)).map(Difference::Variable));
    let properties = |platform: &Option<Platform>| -> BTreeMap<String, String> {
        let properties = platform.iter().flat_map(|platform| &platform.properties);
        properties.map(|property| (property.name.clone(), property.value.clone())).collect()
    };
    let [of_here, of_there] = [here, there].map(|of| properties(&of.command.platform));
    found.extend(values(&of_here, &of_there).map(Difference::Property));
    let limit = |of: &Messages| -> BTreeMap<String, String> {
        let limit = of.action.timeout.iter();
        let seconds = limit.map(|limit| format!("{}", limit.seconds as f64 + f64::from(limit.nanos) / 1e9));
        seconds.map(|seconds| (String::new(), seconds)).collect()
    };
    found.extend(values(&limit(here), &limit(there)).map(Difference::TimeLimit));
    found.extend(values(&machine(&here.action.salt), &machine(&there.action.salt)).map(Difference::Machine));
    found
}

/// What the salt of an action says, by name ([`super::message::salt`]).
fn machine(salt: &[u8]) -> BTreeMap<String, String> {
    // The inverse of `salt`; a salt of another program is shown as it is.
    let text = String::from_utf8_lossy(salt).replace("taut 1\0", "");
    let (machine, launcher) = text.split_once("\0launcher").unwrap_or((&text, "\0env\0--"));
    let named =
        [("machine", machine.to_owned()), ("launcher", launcher.replace('\0', " ").trim().to_owned())];
    named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn values<'m>(
    here: &'m BTreeMap<String, String>,
    there: &'m BTreeMap<String, String>,
) -> impl Iterator<Item = Values> + 'm {
    let names: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    names.into_iter().filter(|name| here.get(*name) != there.get(*name)).map(|name| Values {
        name: name.clone(),
        here: here.get(name).cloned(),
        there: there.get(name).cloned(),
    })
}

/// How two actions differ that servers executed, or were to; `None` if too little is left of one of them.
///
/// # Errors
/// The store cannot be read, or a server behind it does not answer.
pub fn differences(
    store: &Store,
    here: &Missed,
    there: &Missed,
) -> taut_store::Result<Option<Vec<Difference>>> {
    let messages = |of: &Missed| -> taut_store::Result<Option<Messages>> {
        let [action, command] =
            [of.action, of.command].map(|object| store.read(&object.digest.hash, object.object_type));
        let (Some(action), Some(command)) = (action?, command?) else { return Ok(None) };
        let decoded = (Action::decode(&*action), Command::decode(&*command));
        let (Ok(action), Ok(command)) = decoded else { return Ok(None) };
        Ok(Some(Messages { action, command }))
    };
    let (Some(mine), Some(other)) = (messages(here)?, messages(there)?) else { return Ok(None) };
    let mut found = differences_of_messages(&mine, &other);
    let roots = [here.inputs.digest, there.inputs.digest];
    if roots[0] != roots[1] {
        let mut failed = None;
        let mut list = |tree: &Digest| match store.read_tree(&tree.hash) {
            Ok(entries) => Some(entries_of_tree(entries?)),
            Err(error) => {
                failed.get_or_insert(error);
                None
            }
        };
        inputs(&mut |_, tree| list(tree), roots, &mut found);
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(Some(found))
}

/// An entry of a directory, as far as it is compared.
#[derive(PartialEq)]
enum Entry {
    /// A file by its hash, or a link by its target, or by the hash of that.
    Leaf(ObjectType, Vec<u8>),
    Directory(Digest),
}

type Entries = BTreeMap<String, Entry>;

/// Which of the two actions a directory is of.
enum Side {
    Here,
    There,
}

fn entries(directory: &Directory) -> Entries {
    let files = directory.files.iter().map(|file| {
        let object_type = if file.is_executable { ObjectType::Executable } else { ObjectType::File };
        let hash = file.digest.as_ref().and_then(from_wire).map(|digest| digest.hash.as_bytes().to_vec());
        (file.name.clone(), Entry::Leaf(object_type, hash.unwrap_or_default()))
    });
    let links = directory
        .symlinks
        .iter()
        .map(|link| (link.name.clone(), Entry::Leaf(ObjectType::Symlink, link.target.clone().into_bytes())));
    let below = directory
        .directories
        .iter()
        .filter_map(|below| Some((below.name.clone(), Entry::Directory(from_wire(below.digest.as_ref()?)?))));
    files.chain(links).chain(below).collect()
}

fn entries_of_tree(entries: BTreeMap<Vec<u8>, TreeEntry>) -> Entries {
    let entry = |entry: TreeEntry| match entry.object_type {
        ObjectType::Tree => Entry::Directory(Digest { hash: entry.hash, size: 0 }),
        object_type => Entry::Leaf(object_type, entry.hash.as_bytes().to_vec()),
    };
    let name = |name: Vec<u8>| String::from_utf8_lossy(&name).into_owned();
    entries.into_iter().map(|(of, what)| (name(of), entry(what))).collect()
}

/// Adds how two directories of inputs differ that have different names. Without recursion: one side may be anything.
fn inputs(
    list: &mut dyn FnMut(Side, &Digest) -> Option<Entries>,
    roots: [Digest; 2],
    found: &mut Vec<Difference>,
) {
    let limit = found.len() + MAX_INPUTS;
    // Equal directories have equal digests, so only the paths down to differences are fetched.
    let mut pending = vec![(String::new(), roots)];
    while let Some((above, [mine, other])) = pending.pop() {
        if found.len() >= limit {
            return;
        }
        let (Some(mine), Some(other)) = (list(Side::Here, &mine), list(Side::There, &other)) else {
            found.push(Difference::Unlisted { path: above });
            continue;
        };
        let names: BTreeSet<&String> = mine.keys().chain(other.keys()).collect();
        let mut below = Vec::new();
        for name in names {
            let path = if above.is_empty() { name.clone() } else { format!("{above}/{name}") };
            let presence = match (mine.get(name), other.get(name)) {
                (Some(mine), Some(other)) if mine == other => continue,
                (Some(Entry::Directory(mine)), Some(Entry::Directory(other))) => {
                    below.push((path, [*mine, *other]));
                    continue;
                }
                (Some(_), Some(_)) => Presence::Both,
                (Some(_), None) => Presence::Here,
                (None, _) => Presence::There,
            };
            found.push(Difference::Input { path, presence });
        }
        // The first of them next.
        pending.extend(below.into_iter().rev());
    }
}
