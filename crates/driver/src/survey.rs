//! Analysis of a request as far as a build has to know: what is wanted, how much there is, and a census of who
//! was reached.
//!
//! With the census of an earlier call, the values of those that are as they were counted then are not looked at:
//! only their hashes are asked for, which the engine has.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use taut_analysis::{AnalysedTarget, Config, ConfiguredTarget, TargetRule};
use taut_digest::HashFunction;
use taut_engine::{Build, Key};
use taut_syntax::Diagnostics;
use taut_value::{Artifact, EntityName, Id, Map};

use crate::analyse::{Order, diagnostics};
use crate::census::{Census, Counted, Counts, Definition, Draft, Kind, short};
use crate::{Request, Wanted};

/// What a build has to know of a description.
pub struct Survey {
    /// The target, in the configuration without variables that are null.
    pub target: ConfiguredTarget,
    /// What it is.
    pub analysed: Arc<AnalysedTarget>,
    /// All warnings, each once.
    pub warnings: Diagnostics,
    /// How much there is.
    pub counts: Counts,
    /// What is to be built.
    pub wanted: Wanted,
    pub(crate) census: Option<Arc<Census>>,
}

/// Somebody who was reached.
enum Member {
    /// By its number in the earlier census.
    Old(u32),
    New(ConfiguredTarget),
}

/// Who was reached so far.
struct Walk<'c> {
    old: Option<&'c Census>,
    /// By number in the earlier census: number in the new one.
    numbers: Vec<Option<u32>>,
    /// The earlier census by key; made when first asked for.
    by_key: Option<FxHashMap<&'c [u8], u32>>,
    fresh: FxHashMap<Vec<u8>, u32>,
    pending: Vec<Member>,
    count: u32,
}

impl<'c> Walk<'c> {
    fn next(&mut self) -> u32 {
        self.count += 1;
        self.count - 1
    }

    /// The number of somebody known from the earlier census.
    fn old(&mut self, member: u32) -> u32 {
        if let Some(number) = self.numbers[member as usize] {
            return number;
        }
        let number = self.next();
        self.numbers[member as usize] = Some(number);
        self.pending.push(Member::Old(member));
        number
    }

    /// The number of a target.
    fn target(&mut self, target: &ConfiguredTarget) -> u32 {
        let key = key_of(target);
        if let Some(old) = self.old {
            let all = || (0..old.members() as u32).map(|member| (old.key(member), member)).collect();
            if let Some(member) = self.by_key.get_or_insert_with(all).get(&*key).copied() {
                return self.old(member);
            }
        }
        if let Some(number) = self.fresh.get(&key) {
            return *number;
        }
        let number = self.next();
        self.fresh.insert(key, number);
        self.pending.push(Member::New(target.clone()));
        number
    }
}

fn key_of(target: &ConfiguredTarget) -> Vec<u8> {
    let mut key = Vec::new();
    target.encode(&mut key);
    key
}

/// Analyses the target of a request, and counts who was reached. `old`: the census of an earlier call.
pub(crate) fn survey(
    build: &Build,
    request: &Request,
    hash_function: HashFunction,
    old: Option<&Census>,
) -> Result<Survey, Diagnostics> {
    let asked = ConfiguredTarget {
        name: EntityName::Named(request.target.clone()),
        config: Config::new(request.configuration.clone()),
    };
    let told = |fail| diagnostics(fail, build, &request.repositories);
    let analysed = build.get::<TargetRule>(asked.clone()).map_err(told)?;
    let numbers = vec![None; old.map_or(0, Census::members)];
    let (by_key, fresh, pending) = Default::default();
    let mut walk = Walk { old, numbers, by_key, fresh, pending, count: 0 };
    walk.target(&asked);
    let mut draft = Draft::default();
    // Whether every target can be found by its key.
    let mut is_whole = true;
    let mut warnings: BTreeMap<Order, Diagnostics> = BTreeMap::new();
    // In the order of their numbers; all known by now. A whole layer at once, since each question takes a way
    // through the engine.
    while !walk.pending.is_empty() {
        let layer = std::mem::take(&mut walk.pending);
        let (mut members, mut targets) = (Vec::with_capacity(layer.len()), Vec::with_capacity(layer.len()));
        for member in layer {
            let target = match &member {
                Member::New(target) => Some(target.clone()),
                Member::Old(number) => {
                    let key = walk.old.map(|old| old.key(*number)).unwrap_or_default();
                    ConfiguredTarget::decode(key)
                }
            };
            // Whoever is in a census was found by its key when it was taken.
            let Some(target) = target else { return survey(build, request, hash_function, None) };
            members.push(member);
            targets.push(target);
        }
        let hashes = build.hashes_of::<TargetRule>(targets.iter().cloned());
        let hashes = hashes.into_iter().map(|hash| hash.map_err(told)).collect::<Result<Vec<_>, _>>()?;
        let as_counted = |at: usize| match (&members[at], old, hashes[at]) {
            (Member::Old(member), Some(old), Some(hash)) => {
                let counted = old.counted(*member);
                (counted.hash == short(&hash.0) && !counted.warns).then_some((old, *member, counted))
            }
            _ => None,
        };
        let others: Vec<usize> = (0..members.len()).filter(|at| as_counted(*at).is_none()).collect();
        let values = build.all::<TargetRule>(others.iter().map(|at| targets[*at].clone()));
        let mut values = values.into_iter();
        for (at, target) in targets.iter().enumerate() {
            if let Some((old, member, counted)) = as_counted(at) {
                let below: Vec<u32> = old.dependencies(member).iter().map(|dep| walk.old(*dep)).collect();
                draft.add(old.key(member).to_vec(), counted, below, old.definitions(member));
                continue;
            }
            let value = values.next().expect("one answer for one question").map_err(told)?;
            let below: Vec<u32> = value.dependencies.iter().map(|dep| walk.target(dep)).collect();
            let key = key_of(target);
            is_whole &= ConfiguredTarget::decode(&key).is_some() && hashes[at].is_some();
            let hash = hashes[at].map(|hash| short(&hash.0)).unwrap_or_default();
            let warns = !value.warnings.is_empty();
            let effective =
                ConfiguredTarget { name: target.name.clone(), config: target.config.prune(&value.vars) };
            if warns {
                warnings.insert(Order::of(&effective), value.warnings.clone());
            }
            let export = value.is_export.then(|| {
                short(&Id::of([effective.name.id().0, effective.config.map().id().0].as_flattened()).0)
            });
            draft.add(key, Counted { hash, export, warns }, below, definitions(&value, hash_function));
        }
    }
    let (census, has_all_parts) = draft.finish();
    let counts = census.counts();
    let target = ConfiguredTarget { config: asked.config.without_nulls(), name: asked.name };
    let warnings = Diagnostics::merge(warnings.values());
    let wanted = Wanted::of(&analysed.result);
    let census = (is_whole && has_all_parts).then(|| Arc::new(census));
    Ok(Survey { target, analysed, warnings, counts, wanted, census })
}

/// What a target defines.
fn definitions(target: &AnalysedTarget, hash_function: HashFunction) -> Vec<Definition> {
    let of_stage = |stage: &Map| -> Vec<[u8; 16]> {
        let artifacts = stage.values().filter_map(|value| value.as_artifact());
        artifacts.filter_map(part).collect()
    };
    let new = |kind, (place, id): (usize, &[u8]), parts| {
        let (id, place) = (short(id), place as u32);
        Definition { kind, id, is_believed: true, runs_each_time: false, place, parts }
    };
    let mut all = Vec::with_capacity(target.actions.len());
    for (at, action) in target.actions.iter().enumerate() {
        let (is_believed, runs_each_time) = (action.may_fail.is_none() && !action.no_cache, action.no_cache);
        let parts = of_stage(&action.inputs);
        let action = new(Kind::Action, (at, &action.id().0), parts);
        all.push(Definition { is_believed, runs_each_time, ..action });
    }
    for (at, tree) in target.trees.iter().enumerate() {
        all.push(new(Kind::Tree, (at, &tree.id().0), of_stage(tree.stage())));
    }
    for (at, overlay) in target.overlays.iter().enumerate() {
        let parts = overlay.trees().iter().filter_map(part).collect();
        all.push(new(Kind::Overlay, (at, &overlay.id().0), parts));
    }
    for (at, blob) in target.blobs.iter().enumerate() {
        all.push(new(Kind::Blob, (at, hash_function.blob(blob.as_bytes()).as_bytes()), Vec::new()));
    }
    all
}

/// The definition that an artifact refers to, if that is an action or a tree.
pub(crate) fn part(artifact: &Artifact) -> Option<[u8; 16]> {
    match artifact {
        Artifact::Action { id, .. } | Artifact::Tree(id) | Artifact::TreeOverlay(id) => Some(short(&id.0)),
        Artifact::Local { .. } | Artifact::Known(_) => None,
    }
}
