//! Analysis of a request as far as a build has to know: what is wanted, how much there is, and a census of who
//! was reached.
//!
//! With the census of an earlier call, the values of those that are as they were counted then are not looked at. Who
//! that is, the file of runs tells by number; only those whom the change reached are asked for by key.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use taut_analysis::{AnalysedTarget, ConfiguredTarget, TargetRule};
use taut_digest::HashFunction;
use taut_engine::{Build, Engine, Hash, Key};
use taut_syntax::Diagnostics;
use taut_value::{Artifact, Id, Map};

use crate::analyse::{Order, asked, diagnostics};
use crate::census::{Census, Counted, Counts, Definition, Draft, Kind, NOWHERE, Stored, short};
use crate::targets::together;
use crate::{Reached, Request, Wanted};

/// What a build has to know of a description.
pub struct Survey {
    /// The targets, in the configuration without variables that are null.
    pub targets: Vec<ConfiguredTarget>,
    /// What they are together.
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

impl Member {
    fn is_among(&self, of_old: &[bool]) -> bool {
        matches!(self, Member::Old(member) if of_old[*member as usize])
    }

    fn target(&self, old: &Census) -> Option<ConfiguredTarget> {
        match self {
            Member::Old(member) => ConfiguredTarget::decode(old.key(*member)),
            Member::New(target) => Some(target.clone()),
        }
    }
}

/// Who was reached so far.
struct Walk<'c> {
    old: &'c Census,
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
        let (key, old) = (key_of(target), self.old);
        let all = || (0..old.members() as u32).map(|member| (old.key(member), member)).collect();
        if let Some(member) = self.by_key.get_or_insert_with(all).get(&*key).copied() {
            return self.old(member);
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

/// Of each target of a census, whether it is known without asking for it to be as it was counted.
fn as_counted(build: &Build, census: &Census) -> Vec<bool> {
    let Stored { file, places } = census.stored();
    let hashes = file.map(|file| build.hashes_at(file, places)).unwrap_or_default();
    let hash = |member: u32| hashes.get(member as usize).copied().flatten();
    let members = 0..census.members() as u32;
    members.map(|member| hash(member).is_some_and(|hash| is_as_counted(census, member, &hash))).collect()
}

/// Whether a target with this hash is as it was counted, and nothing of it has to be told.
fn is_as_counted(census: &Census, member: u32, hash: &Hash) -> bool {
    let counted = census.counted(member);
    counted.hash == short(&hash.0) && !counted.warns
}

/// Analyses the targets of a request, and counts who was reached. `old`: the census of an earlier call.
pub(crate) fn survey(
    build: &Build,
    request: &Request,
    hash_function: HashFunction,
    old: Option<&Census>,
) -> Result<Survey, Diagnostics> {
    let told = |fail| diagnostics(fail, build, &request.repositories);
    let requested = asked(build, request)?;
    let analysed = together(&requested)?;
    let (nobody, by_key, fresh, pending) = Default::default();
    let old = old.unwrap_or(&nobody);
    let mut as_counted = as_counted(build, old);
    let numbers = vec![None; old.members()];
    let mut walk = Walk { old, numbers, by_key, fresh, pending, count: 0 };
    for of in &requested {
        walk.target(&of.target);
    }
    let mut draft = Draft::new(old);
    // Whether every target can be found by its key.
    let mut is_whole = true;
    let mut warnings: BTreeMap<Order, Diagnostics> = BTreeMap::new();
    // In the order of their numbers; all known by now. A whole layer at once, since each question takes a way
    // through the engine.
    while !walk.pending.is_empty() {
        let layer = std::mem::take(&mut walk.pending);
        let asked: Vec<&Member> = layer.iter().filter(|member| !member.is_among(&as_counted)).collect();
        let targets: Option<Vec<ConfiguredTarget>> = asked.iter().map(|member| member.target(old)).collect();
        // Whoever is in a census was found by its key when it was taken.
        let Some(targets) = targets else { return survey(build, request, hash_function, None) };
        let hashes = build.hashes_of::<TargetRule>(targets.iter().cloned());
        let hashes = hashes.into_iter().map(|hash| hash.map_err(told)).collect::<Result<Vec<_>, _>>()?;
        for (member, hash) in asked.iter().zip(&hashes) {
            if let (Member::Old(member), Some(hash)) = (member, hash) {
                as_counted[*member as usize] = is_as_counted(old, *member, hash);
            }
        }
        let changed = asked.iter().zip(targets.into_iter().zip(hashes));
        let changed = changed.filter(|(member, _)| !member.is_among(&as_counted)).map(|(_, asked)| asked);
        let changed: Vec<(ConfiguredTarget, Option<Hash>)> = changed.collect();
        let values = build.all::<TargetRule>(changed.iter().map(|(target, _)| target.clone()));
        let mut changed = changed.into_iter().zip(values);
        for member in &layer {
            if let Member::Old(member) = member
                && as_counted[*member as usize]
            {
                draft.keep(*member, old.dependencies(*member).iter().map(|dep| walk.old(*dep)));
                continue;
            }
            let ((target, hash), value) = changed.next().expect("one answer for one question");
            let value = value.map_err(told)?;
            let below: Vec<u32> = value.dependencies.iter().map(|dep| walk.target(dep)).collect();
            let key = key_of(&target);
            is_whole &= ConfiguredTarget::decode(&key).is_some() && hash.is_some();
            let hash = hash.map(|hash| short(&hash.0)).unwrap_or_default();
            let warns = !value.warnings.is_empty();
            let effective =
                ConfiguredTarget { name: target.name.clone(), config: target.config.prune(&value.vars) };
            if warns {
                warnings.insert(Order::of(&effective), value.warnings.clone());
            }
            let export = value.is_export.then(|| {
                short(&Id::of([effective.name.id().0, effective.config.map().id().0].as_flattened()).0)
            });
            draft.count(key, Counted { hash, export, warns }, below, definitions(&value, hash_function));
        }
    }
    let (census, has_all_parts) = draft.finish();
    let counts = census.counts();
    let targets = requested.into_iter().map(Reached::without_nulls).map(|of| of.target).collect();
    let warnings = Diagnostics::merge(warnings.values());
    let wanted = Wanted::of(&analysed.result);
    let census = (is_whole && has_all_parts).then(|| Arc::new(census));
    Ok(Survey { targets, analysed, warnings, counts, wanted, census })
}

/// Where the engine's file tells of the targets of a census, by what the census or this process knows.
pub(crate) fn stored(engine: &Engine, census: &Census) -> Stored {
    let Stored { file, places } = census.stored();
    let now = engine.file();
    let is_same_file = now.is_some() && now == *file;
    let known =
        |member: u32| places.get(member as usize).copied().filter(|place| is_same_file && *place != NOWHERE);
    let place = |member: u32| {
        let look = || engine.place_of::<TargetRule>(&ConfiguredTarget::decode(census.key(member))?);
        known(member).or_else(look).unwrap_or(NOWHERE)
    };
    let members = 0..census.members() as u32;
    let places: Vec<u32> = if now.is_some() { members.map(place).collect() } else { Vec::new() };
    // Places are those of one file.
    if engine.file() == now { Stored { file: now, places } } else { Stored::default() }
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
