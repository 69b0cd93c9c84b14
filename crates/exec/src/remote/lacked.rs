//! What servers did not have before this build. If a server had no result of an action, and no other run of it is known
//! that it could be compared with, then what the server lacked names what is different.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use taut_digest::{Digest, ObjectInfo, ObjectType};
use taut_proto::{Command, Message as _};
use taut_service::{Cas, wait};
use taut_store::Store;
use taut_value::Str;

use super::{Transfers, claims::Key, inputs::key};
use crate::Missed;

/// How many objects of a build are kept.
// About a megabyte. A server that lacks more is new to the project, and then almost everything is new to it.
const MAX_OBJECTS: usize = 20_000;

/// How many inputs of an action are named.
const MAX_INPUTS: usize = 12;

/// What a server did not have of an action before the build that had it executed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lacked {
    /// The command with its environment, properties and outputs.
    pub command: bool,
    /// Files and links among the inputs, by their paths: the first ones.
    pub inputs: Vec<String>,
    /// Whether there are more inputs than these.
    pub has_more: bool,
}

/// What a server lacked in this build; `None` if that is too much.
pub(super) struct LackedObjects(Mutex<Option<HashSet<Key>>>);

impl Default for LackedObjects {
    fn default() -> LackedObjects {
        LackedObjects(Mutex::new(Some(HashSet::new())))
    }
}

impl LackedObjects {
    pub(super) fn add(&self, objects: impl Iterator<Item = ObjectInfo>) {
        let mut all = self.lock();
        let Some(known) = &mut *all else { return };
        known.extend(objects.map(|object| key(&object)));
        if known.len() > MAX_OBJECTS {
            *all = None;
        }
    }

    /// What follows is of another build.
    pub(super) fn clear(&self) {
        *self.lock() = Some(HashSet::new());
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashSet<Key>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transfers {
    /// What a server lacked of an action; `None` if that is not known.
    pub(super) fn lacked(
        &self,
        server: usize,
        missed: &Missed,
        inputs: &[(Str, ObjectInfo)],
    ) -> Option<Lacked> {
        // Of an action that had a result, it says nothing.
        if missed.is_incomplete {
            return None;
        }
        let all = self.lacked[server].lock();
        let known = all.as_ref()?;
        let mut lacked = Lacked { command: known.contains(&key(&missed.command)), ..Lacked::default() };
        let mut pending: Vec<(String, ObjectInfo)> =
            inputs.iter().rev().map(|(path, object)| (path.to_string(), *object)).collect();
        while let Some((path, object)) = pending.pop() {
            if !known.contains(&key(&object)) {
                continue;
            }
            if object.object_type == ObjectType::Tree {
                pending.extend(entries(&self.store, &path, &object).into_iter().rev());
            } else if lacked.inputs.len() < MAX_INPUTS {
                lacked.inputs.push(path);
            } else {
                lacked.has_more = true;
                break;
            }
        }
        Some(lacked)
    }
}

/// What is in a directory of inputs, by path. It is for people: what cannot be read is left out.
fn entries(store: &Store, path: &str, tree: &ObjectInfo) -> Vec<(String, ObjectInfo)> {
    let hash = &tree.digest.hash;
    // What was sent from here is here; nothing is fetched for an explanation.
    let is_here = store.has_bytes_of_tree(hash).unwrap_or(false);
    let entries = if is_here { store.read_tree(hash).ok().flatten() } else { None };
    let below = |name: &[u8]| match path {
        "" | "." => String::from_utf8_lossy(name).into_owned(),
        _ => format!("{path}/{}", String::from_utf8_lossy(name)),
    };
    let object = |hash, object_type| ObjectInfo { digest: Digest { hash, size: 0 }, object_type };
    let entries = entries.into_iter().flatten();
    entries.map(|(name, entry)| (below(&name), object(entry.hash, entry.object_type))).collect()
}

/// A part of a command beside its words and outputs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CommandPart {
    /// A variable of the environment, by its name.
    Variable(String),
    /// A property of the platform, by its name.
    Property(String),
}

/// The variables and properties of a command that a server lacked, each with whether the server has the same command
/// without it; `None` if the command cannot be read.
pub fn command_parts(store: &Store, server: &dyn Cas, missed: &Missed) -> Option<Vec<(CommandPart, bool)>> {
    let bytes = store.read(&missed.command.digest.hash, missed.command.object_type).ok()??;
    let command = Command::decode(&*bytes).ok()?;
    let mut parts = Vec::new();
    for (at, variable) in command.environment_variables.iter().enumerate() {
        let mut without = command.clone();
        without.environment_variables.remove(at);
        parts.push((CommandPart::Variable(variable.name.clone()), without));
    }
    let properties = command.platform.iter().flat_map(|platform| &platform.properties);
    for (at, property) in properties.enumerate() {
        let mut without = command.clone();
        without.platform.as_mut()?.properties.remove(at);
        parts.push((CommandPart::Property(property.name.clone()), without));
    }
    let name = |without: &Command| {
        let bytes = without.encode_to_vec();
        let digest = Digest { hash: store.hash_function().blob(&bytes), size: bytes.len() as u64 };
        store.name_at_servers(&digest, false)
    };
    let parts: Vec<(CommandPart, Digest)> =
        parts.into_iter().map(|(part, without)| (part, name(&without))).collect();
    // One call. If it is not answered, nothing is known to be there.
    let names: Vec<Digest> = parts.iter().map(|(_, name)| *name).collect();
    let missing = wait(server.missing(names.clone())).unwrap_or(names);
    Some(parts.into_iter().map(|(part, name)| (part, !missing.contains(&name))).collect())
}
