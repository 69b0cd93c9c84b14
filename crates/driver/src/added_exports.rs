//! Results of export targets that are added to the target-level cache.
//!
//! That is done when a build is complete and its results are delivered, each after those that it implies: the engine
//! has all that is in them by then, so nothing is built for it. An entry that is added is another result of its lookup,
//! so the next build takes the target from the cache.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    rc::Rc,
    sync::{Arc, PoisonError},
};

use taut_analysis::{
    AnalysedTarget, CacheEntryRule, CacheKey, ConfiguredTarget, Export, RepositoryKeyRule, RepositoryName,
    TargetRule, entry_text, key_text,
};
use taut_digest::Hash;
use taut_exec::{ArtifactKey, ArtifactRule};
use taut_repos::ContentFixed;
use taut_value::{Artifact, EntityName};

use crate::{Analysed, EntryProblem, Exports, Session};

/// What was added to the target-level cache.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Added {
    /// How many results of export targets were to be added.
    pub targets: usize,
    /// The targets that could not be added, and why.
    pub problems: Vec<EntryProblem>,
}

/// An export target that is to be added.
struct Addition {
    key: CacheKey,
    name: ConfiguredTarget,
    analysed: Arc<AnalysedTarget>,
    // Shared: a chain of targets has one set as long as nothing is added to it.
    implied: Rc<BTreeSet<Hash>>,
}

/// The keys of those that were taken from the cache.
fn cached_keys(exports: &Exports) -> Vec<CacheKey> {
    let key = |export: Export| match export {
        Export::Cached(key, _) => Some(key),
        _ => None,
    };
    exports.list().into_iter().filter_map(|(_, export)| key(export)).collect()
}

impl Session {
    /// The entries of the target-level cache that could not be used in this build; returned once.
    pub fn take_entry_problems(&self) -> Vec<EntryProblem> {
        self.exports.take_problems()
    }

    /// Removes the entries of export targets with lost objects, so that these targets are analysed and built again.
    /// Returns whether there was any.
    pub(crate) fn remove_incomplete_entries(&self, exports: &Exports) -> bool {
        self.exports.remove_incomplete(cached_keys(exports))
    }

    /// Puts the objects of export targets that were taken from the cache together if garbage collection has split them.
    /// No build needs that, but the reference does it; so that it fails is not an error.
    pub fn put_cached_exports_together(&self, analysed: &Analysed) {
        // Without it the next collection may remove a part of an entry, which then is made again.
        let _ = self.exports.put_together(|| cached_keys(&analysed.exports));
    }

    /// Adds the results of those export targets to the target-level cache that can be cached and are not; all that a
    /// request wants is built by now.
    pub fn cache_exports(&self, analysed: &Analysed) -> Added {
        let mut added = Added::default();
        if !self.writes_exports || !self.exports.is_there() || analysed.exports.uncached == 0 {
            return added;
        }
        // Whether entries are there that were implied so far.
        // Each key is looked up once: entries near the top imply most of those below.
        let mut are_there: HashMap<Hash, bool> = HashMap::new();
        // What the keys of repositories are made from is described once.
        let fixed = ContentFixed::of(&self.repositories);
        for mut addition in self.additions(analysed) {
            added.targets += 1;
            let own = addition.key.0.hash;
            // An entry that was lost below one that is there is not analysed again for this: it is not implied, either.
            let mut is_there = |key: &Hash| *are_there.entry(*key).or_insert_with(|| self.exports.has(key));
            Rc::make_mut(&mut addition.implied).retain(|key| *key == own || is_there(key));
            let result = self.add(&addition, &fixed);
            // An entry that could not be added must not be implied by those that come after it.
            are_there.insert(own, result == Ok(true));
            match result {
                Ok(false) => {}
                Ok(true) => {
                    self.new_entries.lock().unwrap_or_else(PoisonError::into_inner).push(addition.key)
                }
                Err(why) => added.problems.push(EntryProblem { key: addition.key, why }),
            }
        }
        added
    }

    /// Whether it was added: not if the session no longer knows what it built. Another build makes the entry.
    fn add(&self, addition: &Addition, fixed: &ContentFixed) -> Result<bool, String> {
        let Addition { key, name, analysed, implied } = addition;
        // Noted while the text is written, as only that walks over all artifacts.
        let all = RefCell::new(Vec::new());
        let known = |artifact: &Artifact| {
            let info = match artifact {
                Artifact::Known(info) => *info,
                other => {
                    let built = self.build.get::<ArtifactRule>(ArtifactKey(other.clone())).ok()?;
                    (!built.failed).then_some(built.info)?
                }
            };
            all.borrow_mut().push(info);
            Some(info)
        };
        // All artifacts were wanted by the request, so nothing is built for this.
        let text = entry_text(&analysed.result, analysed.provides_null, implied, &known);
        let Some(text) = text else { return Ok(false) };
        let EntityName::Named(named) = &name.name else { unreachable!("an export target has a name") };
        let repository = RepositoryName(named.repository.clone());
        let repository = self.build.get::<RepositoryKeyRule>(repository).ok().flatten();
        // The text is not kept with the key. It is made again, and has to lead to the same key.
        let key_text = repository.and_then(|repository| key_text(&repository, named, &name.config));
        let function = self.execution.store.hash_function();
        let key_text = key_text.filter(|text| CacheKey::of(text, function) == *key);
        let Some(key_text) = key_text else { return Ok(false) };
        // An entry refers to objects of the build root.
        self.execution.store.bring(&all.into_inner()).map_err(|error| error.to_string())?;
        let repository = fixed.description(&named.repository);
        self.exports
            .add(&key_text, repository.as_deref(), &text)
            .map(|()| true)
            .map_err(|error| error.to_string())
    }

    /// The export targets that are to be added, each after those below it, with the keys of these.
    fn additions(&self, analysed: &Analysed) -> Vec<Addition> {
        enum ExportStep {
            Open(ConfiguredTarget),
            Close(ConfiguredTarget, Arc<AnalysedTarget>),
        }
        let exports = analysed.exports.list().into_iter();
        let uncached = exports.filter(|(_, export)| matches!(export, Export::Uncached(_)));
        // A stack of its own: chains of targets are as long as a description makes them.
        let mut steps: Vec<ExportStep> = uncached.map(|(target, _)| ExportStep::Open(target)).collect();
        steps.reverse();
        let nothing: Rc<BTreeSet<Hash>> = Rc::default();
        // What changes inside a key are hashes that were not computed yet.
        #[allow(clippy::mutable_key_type)]
        let mut implied: HashMap<ConfiguredTarget, Rc<BTreeSet<Hash>>> = HashMap::new();
        let (mut additions, mut keys) = (Vec::new(), BTreeSet::new());
        while let Some(step) = steps.pop() {
            match step {
                ExportStep::Open(target) if implied.contains_key(&target) => {}
                ExportStep::Open(target) => {
                    // All are settled by now.
                    let Ok(analysed) = self.build.get::<TargetRule>(target.clone()) else { continue };
                    // Marks it as visited. What it implies is set when it is closed, before those above it are.
                    // Targets form no cycles, or analysis would have failed: one that is met again is closed by then.
                    implied.insert(target.clone(), nothing.clone());
                    let below: Vec<ExportStep> =
                        analysed.dependencies.iter().cloned().map(ExportStep::Open).collect();
                    steps.push(ExportStep::Close(target, analysed));
                    steps.extend(below);
                }
                ExportStep::Close(target, analysed) => {
                    let below = analysed.dependencies.iter().filter_map(|dependency| implied.get(dependency));
                    let mut all = joined(below, &nothing);
                    match &analysed.export {
                        Some(Export::Uncached(key)) => {
                            Rc::make_mut(&mut all).insert(key.0.hash);
                            // Several configurations that agree on the flexible variables have one key.
                            if keys.insert(*key) {
                                let config = target.config.prune(&analysed.vars);
                                let name = ConfiguredTarget { name: target.name.clone(), config };
                                let (key, implied) = (*key, all.clone());
                                additions.push(Addition { key, name, analysed: analysed.clone(), implied });
                            }
                        }
                        Some(Export::Cached(key, _)) => {
                            // Nothing below it was analysed: its entry has what it implies.
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
