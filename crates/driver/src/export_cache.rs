//! The target-level cache of a store, where analysis looks results of export targets up.
//!
//! A lookup is a task of the engine (`analysis/src/target_cache.rs`); `added_exports.rs` adds what a build made.

use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::{Arc, Mutex, PoisonError},
};

use taut_analysis::{CacheKey, NoTargetCache, TargetCache, entry_references, repository_of_key};
use taut_digest::{Hash, ObjectInfo};
use taut_store::{Formats, Lookup, References, Store};
use taut_value::JsonWriter;

use crate::Backend;

/// The target-level cache for builds with certain properties; or none.
#[derive(Clone, Default)]
pub struct ExportCache(Option<Arc<Stored>>);

struct Stored {
    cache: taut_store::TargetCache,
    // By key: one entry may be looked up several times, and is reported once, in a stable order.
    problems: Mutex<BTreeMap<CacheKey, String>>,
}

/// An entry that could not be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryProblem {
    /// Its key.
    pub key: CacheKey,
    /// Why.
    pub why: String,
}

/// What the text of an entry refers to.
fn references(text: &[u8]) -> Option<References> {
    let (objects, implied) = entry_references(text).ok()?;
    Some(References { objects, implied })
}

/// Where actions run, as the reference describes it: the properties that they require of the platform; the address of
/// the server, if it is not this machine; and which go elsewhere.
pub fn backend_description(properties: &[(String, String)], at: &Backend) -> String {
    // Sorted, so that the text does not depend on the order of the options; of a name given twice the later
    // value.
    let properties: BTreeMap<String, String> = properties.iter().cloned().collect();
    let write = |w: &mut JsonWriter, properties: &BTreeMap<String, String>| {
        w.object(|w| {
            for (name, value) in properties {
                w.key(name).string(value);
            }
        });
    };
    let mut writer = JsonWriter::pretty(2);
    writer.object(|w| {
        // Left out if it is empty, as in the reference: the text is hashed into the names of
        // entries, so each byte counts.
        if !at.dispatch.is_empty() {
            w.key("endpoint dispatch list").list(|w| {
                for (properties, address) in &at.dispatch {
                    w.list(|w| {
                        write(w, properties);
                        w.string(address);
                    });
                }
            });
        }
        write(w.key("platform_properties"), &properties);
        match &at.address {
            Some(address) => w.key("remote_address").string(address),
            None => w.key("remote_address").null(),
        };
    });
    writer.finish()
}

impl ExportCache {
    /// No cache: nothing is found, and nothing is added.
    pub fn none() -> ExportCache {
        ExportCache(None)
    }

    /// The cache of a store, for actions with these properties that are executed there.
    pub fn of(store: &Store, properties: &[(String, String)], at: &Backend) -> ExportCache {
        let formats = Formats { result: references, key: repository_of_key };
        let cache = taut_store::TargetCache::new(store, backend_description(properties, at), formats);
        ExportCache(Some(Arc::new(Stored { cache, problems: Mutex::default() })))
    }

    pub(crate) fn lookups(&self) -> Arc<dyn TargetCache> {
        match &self.0 {
            Some(stored) => stored.clone(),
            None => Arc::new(NoTargetCache),
        }
    }

    /// The entries that could not be used so far, each once; returned once.
    pub fn take_problems(&self) -> Vec<EntryProblem> {
        let problems = self.0.iter().flat_map(|stored| {
            std::mem::take(&mut *stored.problems.lock().unwrap_or_else(PoisonError::into_inner))
        });
        problems.map(|(key, why)| EntryProblem { key, why }).collect()
    }

    /// Whether there is one.
    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Whether there is an entry under a key.
    pub(crate) fn has(&self, key: &Hash) -> bool {
        let lookup = |stored: &Arc<Stored>| stored.cache.lookup(key);
        self.0.as_ref().is_some_and(|stored| matches!(lookup(stored), Ok(Lookup::Entry(_))))
    }

    /// Adds an entry: the text of its key, that of the key of its repository, and its own.
    ///
    /// # Errors
    /// Why it cannot be added.
    pub(crate) fn add(&self, key: &str, repository: Option<&str>, text: &str) -> taut_store::Result<()> {
        match &self.0 {
            Some(stored) => stored.cache.put(key, repository, text).map(drop),
            None => Ok(()),
        }
    }

    /// Puts objects of some entries together that garbage collection has split. `keys` is only called if there is any.
    ///
    /// # Errors
    /// The build root cannot be read or written to.
    pub(crate) fn put_together(&self, keys: impl FnOnce() -> Vec<CacheKey>) -> taut_store::Result<()> {
        match &self.0 {
            Some(stored) if stored.cache.has_split()? => {
                // Only after garbage collection: to list the keys of a request costs more than to
                // ask whether anything was split.
                keys().iter().try_for_each(|key| stored.cache.put_together(&key.0.hash))
            }
            _ => Ok(()),
        }
    }

    /// Removes the entries with lost objects. Returns whether there was one.
    pub(crate) fn remove_incomplete(&self, keys: impl IntoIterator<Item = CacheKey>) -> bool {
        let Some(stored) = &self.0 else { return false };
        // What cannot be removed is looked up again, and the build fails with the reason.
        let removed = keys
            .into_iter()
            .filter(|key| stored.cache.remove_incomplete(&key.0.hash).is_ok_and(|removed| removed));
        removed.count() > 0
    }
}

impl Stored {
    fn note(&self, key: &CacheKey, why: impl Display) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems.entry(*key).or_insert_with(|| why.to_string());
    }
}

impl TargetCache for Stored {
    fn entry(&self, key: &CacheKey) -> Option<ObjectInfo> {
        match self.cache.lookup(&key.0.hash) {
            Ok(Lookup::Entry(value)) => return Some(value),
            Ok(Lookup::Absent) => {}
            Ok(Lookup::Damaged(why)) => self.note(key, why),
            // Reported, and the build goes on as if there were no entry.
            Err(error) => self.note(key, error),
        }
        None
    }

    fn text(&self, entry: &ObjectInfo) -> Option<Vec<u8>> {
        self.cache.text(entry).ok()?
    }

    fn report_damaged(&self, key: &CacheKey, why: &str) {
        self.note(key, why);
    }
}

/// How results of export targets are added to the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WriteStrategy {
    /// All that they refer to is brought to this machine; nothing else is needed while actions run here.
    #[default]
    Write,
    /// They are not added.
    Disable,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of just 1.6.5, by the hashes that name its shards.
    #[test]
    fn the_description_of_where_actions_run_is_that_of_the_reference() {
        let shard = |properties: &[(&str, &str)]| {
            let owned: Vec<(String, String)> =
                properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            taut_digest::HashFunction::GitSha1
                .blob(backend_description(&owned, &Backend::default()).as_bytes())
                .to_hex()
        };
        assert_eq!(shard(&[]), "c8bb729ea6f15c30f396d8d002b1956b0c12229c");
        assert_eq!(shard(&[("z", "b"), ("a", "c:d")]), "e188b85c7b6eefd1ecbe69b92a9e83c3539f253f");
    }
}
