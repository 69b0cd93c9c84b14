//! The target-level cache of a store, for analysis to look results up, and for a build to add those that it made.
//!
//! A lookup is a task of the engine (`analysis/src/target_cache.rs`). Entries are added when a build is complete and its
//! results are delivered, each after those that it implies: the engine has all that is in them by then, so nothing is built
//! for it. An entry that is added is another result of its lookup, so the next build takes the target from the cache.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Display,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use taut_analysis::{
    AnalysedTarget, CacheEntryRule, CacheKey, ConfiguredTarget, Export, NoTargetCache, RepositoryKeyRule,
    RepositoryName, TargetCache, TargetRule, entry_references, entry_text, key_text,
};
use taut_digest::{Hash, ObjectInfo};
use taut_exec::{ArtifactKey, ArtifactRule};
use taut_store::{Lookup, References, Store};
use taut_value::{Artifact, EntityName, JsonWriter};

use crate::{Analysed, Session};

/// The target-level cache for builds with certain properties; or none.
#[derive(Clone, Default)]
pub struct ExportCache(Option<Arc<Stored>>);

struct Stored {
    cache: taut_store::TargetCache,
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

/// Where actions run, as the reference describes it: the properties that they require of the platform; without an
/// address, since it is this machine.
fn backend(properties: &[(String, String)]) -> String {
    let properties: BTreeMap<&str, &str> =
        properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut writer = JsonWriter::pretty(2);
    writer.object(|w| {
        w.key("platform_properties").object(|w| {
            for (name, value) in properties {
                w.key(name).string(value);
            }
        });
        w.key("remote_address").null();
    });
    writer.finish()
}

impl ExportCache {
    /// No cache: nothing is found, and nothing is added.
    pub fn none() -> ExportCache {
        ExportCache(None)
    }

    /// That of a store, for actions with these properties.
    pub fn of(store: &Store, properties: &[(String, String)]) -> ExportCache {
        let cache = taut_store::TargetCache::new(store, backend(properties), references);
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

    /// Removes those of some entries of which objects are lost. Returns whether there was any.
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
            Ok(Lookup::Damaged) => self.note(key, "its file names no result"),
            Err(error) => self.note(key, error),
        }
        None
    }

    fn text(&self, entry: &ObjectInfo) -> Option<Vec<u8>> {
        self.cache.text(entry).ok()?
    }

    fn is_damaged(&self, key: &CacheKey, why: &str) {
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

/// What was added to the target-level cache.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Added {
    /// How many results of export targets were to be added.
    pub targets: usize,
    /// Those that could not be, and why.
    pub problems: Vec<EntryProblem>,
}

/// An export target that is to be added.
struct Addition {
    key: CacheKey,
    name: ConfiguredTarget,
    analysed: Arc<AnalysedTarget>,
    implied: Rc<BTreeSet<Hash>>,
}

impl Session {
    /// The entries of the target-level cache that could not be used in this build; returned once.
    pub fn take_entry_problems(&self) -> Vec<EntryProblem> {
        self.exports.take_problems()
    }

    /// Removes the entries of export targets of which objects are lost, so that these are analysed and built again.
    /// Returns whether there was any.
    pub(crate) fn remove_incomplete_entries(&self, analysed: &Analysed) -> bool {
        let cached = analysed.exports.list().into_iter().filter_map(|(_, export)| match export {
            Export::Cached(key, _) => Some(key),
            _ => None,
        });
        self.exports.remove_incomplete(cached)
    }

    /// Adds the results of those export targets to the target-level cache that can be cached and are not; all that a
    /// request wants is built by now.
    pub fn cache_exports(&self, analysed: &Analysed) -> Added {
        let mut added = Added::default();
        let Some(stored) = self.exports.0.as_ref().filter(|_| self.writes_exports) else { return added };
        if analysed.exports.uncached == 0 {
            return added;
        }
        for addition in self.additions(analysed) {
            added.targets += 1;
            match self.add(stored, &addition) {
                Ok(()) => self.new_entries.lock().unwrap_or_else(PoisonError::into_inner).push(addition.key),
                Err(why) => added.problems.push(EntryProblem { key: addition.key, why }),
            }
        }
        added
    }

    fn add(&self, stored: &Stored, addition: &Addition) -> Result<(), String> {
        let Addition { key, name, analysed, implied } = addition;
        let known = |artifact: &Artifact| match artifact {
            Artifact::Known(info) => Some(*info),
            other => {
                let built = self.build.get::<ArtifactRule>(ArtifactKey(other.clone())).ok()?;
                (!built.failed).then_some(built.info)
            }
        };
        let text = entry_text(&analysed.result, implied, &known);
        let text = text.ok_or_else(|| "an artifact of it is not built".to_owned())?;
        let EntityName::Named(named) = &name.name else { return Err("it has no name".to_owned()) };
        let repository = RepositoryName(named.repository.clone());
        let repository = self.build.get::<RepositoryKeyRule>(repository).ok().flatten();
        let key_text = repository.and_then(|repository| key_text(&repository, named, &name.config));
        let function = self.execution.store.hash_function();
        let key_text = key_text.filter(|text| CacheKey::of(text, function) == *key);
        let key_text = key_text.ok_or_else(|| "its key has changed meanwhile".to_owned())?;
        stored.cache.put(&key_text, &text).map(drop).map_err(|error| error.to_string())
    }

    /// The export targets that are to be added, each after those below it, with the keys of these.
    fn additions(&self, analysed: &Analysed) -> Vec<Addition> {
        enum Step {
            Open(ConfiguredTarget),
            Close(ConfiguredTarget, Arc<AnalysedTarget>),
        }
        let exports = analysed.exports.list().into_iter();
        let uncached = exports.filter(|(_, export)| matches!(export, Export::Uncached(_)));
        let mut steps: Vec<Step> = uncached.map(|(target, _)| Step::Open(target)).collect();
        steps.reverse();
        let nothing: Rc<BTreeSet<Hash>> = Rc::default();
        // What changes inside a key are hashes that were not computed yet.
        #[allow(clippy::mutable_key_type)]
        let mut implied: HashMap<ConfiguredTarget, Rc<BTreeSet<Hash>>> = HashMap::new();
        let (mut additions, mut keys) = (Vec::new(), BTreeSet::new());
        while let Some(step) = steps.pop() {
            match step {
                Step::Open(target) if implied.contains_key(&target) => {}
                Step::Open(target) => {
                    // All are settled by now.
                    let Ok(analysed) = self.build.get::<TargetRule>(target.clone()) else { continue };
                    implied.insert(target.clone(), nothing.clone());
                    let below: Vec<Step> = analysed.dependencies.iter().cloned().map(Step::Open).collect();
                    steps.push(Step::Close(target, analysed));
                    steps.extend(below);
                }
                Step::Close(target, analysed) => {
                    let below = analysed.dependencies.iter().filter_map(|dependency| implied.get(dependency));
                    let mut all = joined(below, &nothing);
                    match &analysed.export {
                        Some(Export::Uncached(key)) => {
                            Rc::make_mut(&mut all).insert(key.0.hash);
                            if keys.insert(*key) {
                                let config = target.config.prune(&analysed.vars);
                                let name = ConfiguredTarget { name: target.name.clone(), config };
                                let (key, implied) = (*key, all.clone());
                                additions.push(Addition { key, name, analysed: analysed.clone(), implied });
                            }
                        }
                        Some(Export::Cached(key, _)) => {
                            if let Ok(Some(entry)) = self.build.get::<CacheEntryRule>(*key) {
                                all = Rc::new(entry.target.implied.clone());
                            }
                        }
                        Some(Export::NotEligible) | None => {}
                    }
                    implied.insert(target, all);
                }
            }
        }
        additions
    }
}

/// The union of some sets; the same set where all are equal to it.
fn joined<'s>(
    sets: impl Iterator<Item = &'s Rc<BTreeSet<Hash>>>,
    nothing: &Rc<BTreeSet<Hash>>,
) -> Rc<BTreeSet<Hash>> {
    let mut all = nothing.clone();
    for set in sets.filter(|set| !set.is_empty()) {
        if all.is_empty() {
            all = set.clone();
        } else if !Rc::ptr_eq(&all, set) && !set.is_subset(&all) {
            Rc::make_mut(&mut all).extend(set.iter().copied());
        }
    }
    all
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
            taut_digest::HashFunction::GitSha1.blob(backend(&owned).as_bytes()).to_hex()
        };
        assert_eq!(shard(&[]), "c8bb729ea6f15c30f396d8d002b1956b0c12229c");
        assert_eq!(shard(&[("z", "b"), ("a", "c:d")]), "e188b85c7b6eefd1ecbe69b92a9e83c3539f253f");
    }
}
