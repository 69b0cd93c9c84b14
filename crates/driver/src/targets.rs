//! The targets of a request: at least one, and what several are together.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use taut_analysis::{AnalysedTarget, Config, ConfiguredTarget, DefinitionNames, Dependencies, StrSet};
use taut_expr::stage::files_above;
use taut_syntax::Diagnostics;
use taut_value::{Encoder, EntityName, Map, NamedTarget, Str, TargetResult, Value, as_typed, path::normal};

use crate::ReachedTarget;

/// The requested targets: at least one, each once, in the order in which they were named.
// A list, not a set: messages and results follow the order of the command line.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Targets(Vec<NamedTarget>);

impl From<NamedTarget> for Targets {
    fn from(target: NamedTarget) -> Targets {
        Targets(vec![target])
    }
}

impl Targets {
    /// Some targets; `None` if the list is empty.
    pub fn new(named: impl IntoIterator<Item = NamedTarget>) -> Option<Targets> {
        // Named twice, a target would be in results and messages twice.
        let mut seen = HashSet::new();
        let targets: Vec<NamedTarget> =
            named.into_iter().filter(|target| seen.insert(target.clone())).collect();
        (!targets.is_empty()).then_some(Targets(targets))
    }

    /// The one that was named first: where only one can be meant.
    pub fn first(&self) -> &NamedTarget {
        &self.0[0]
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &NamedTarget> {
        self.0.iter()
    }

    /// All of them in a configuration.
    pub fn in_configuration(&self, configuration: &Map) -> Vec<ConfiguredTarget> {
        let configured = |target: &NamedTarget| ConfiguredTarget {
            name: EntityName::Named(target.clone()),
            config: Config::new(configuration.clone()),
        };
        self.iter().map(configured).collect()
    }

    /// Their names as messages show them.
    pub fn names(&self) -> String {
        joined(self.iter().map(|target| EntityName::Named(target.clone()).to_json()))
    }

    /// Their number, and each of them.
    pub(crate) fn encode(&self, e: &mut Encoder) {
        e.number(self.0.len() as u64);
        self.iter().for_each(|target| e.named(target));
    }

    /// What [`Targets::encode`] wrote.
    pub(crate) fn decode(d: &mut taut_value::Decoder<'_>) -> Option<Targets> {
        let named: Option<Vec<NamedTarget>> = (0..d.number()?).map(|_| d.named()).collect();
        Targets::new(named?)
    }
}

/// Texts about targets as one; of many, those about the first ones, and how many are left out.
pub(crate) fn joined_first(texts: impl ExactSizeIterator<Item = String>) -> String {
    const MAX_SHOWN: usize = 5;
    let left_out = texts.len().saturating_sub(MAX_SHOWN);
    // The number of one left out would not be shorter.
    if left_out <= 1 {
        return joined(texts);
    }
    format!("{} and {left_out} more targets", joined(texts.take(MAX_SHOWN)))
}

/// Texts about several targets as one.
pub fn joined(texts: impl IntoIterator<Item = String>) -> String {
    texts.into_iter().collect::<Vec<_>>().join(", ")
}

/// What targets are together: one is what it is; several offer the artifacts and runfiles of each of them, and provide
/// nothing to rules. Where two of them have different things at one path, or one has something below what another has,
/// each of the things is at the path `//TARGET/PATH` instead ([`ambiguous`]).
pub(crate) fn union_of_targets(requested: &[ReachedTarget]) -> Arc<AnalysedTarget> {
    if let [one] = requested {
        return one.analysed.clone();
    }
    let of = |stage: fn(&TargetResult) -> &Map| merged(requested, stage);
    let artifacts = of(|result| &result.artifacts);
    let runfiles = of(|result| &result.runfiles);
    let each = || requested.iter().map(|reached| &*reached.analysed);
    let words = |set: fn(&AnalysedTarget) -> &StrSet| -> StrSet { each().flat_map(set).cloned().collect() };
    let targets = |list: fn(&Dependencies) -> &Vec<ConfiguredTarget>| {
        each().flat_map(|analysed| list(&analysed.dependencies)).cloned().collect()
    };
    Arc::new(AnalysedTarget {
        result: TargetResult::new(artifacts, runfiles, Map::default()),
        defined: DefinitionNames {
            actions: each().flat_map(|analysed| &analysed.defined.actions).copied().collect(),
            blobs: each().flat_map(|analysed| &analysed.defined.blobs).copied().collect(),
            trees: each().flat_map(|analysed| &analysed.defined.trees).copied().collect(),
            overlays: each().flat_map(|analysed| &analysed.defined.overlays).copied().collect(),
        },
        vars: words(|analysed| &analysed.vars),
        tainted: words(|analysed| &analysed.tainted),
        dependencies: Dependencies {
            declared: targets(|all| &all.declared),
            implicit: targets(|all| &all.implicit),
            anonymous: targets(|all| &all.anonymous),
        },
        warnings: Diagnostics::merge(each().map(|analysed| &analysed.warnings)),
        is_defined: each().any(|analysed| analysed.is_defined),
        provides_null: false,
        export: None,
    })
}

/// What all targets have, by path: what several have at one path, however it is written, is there once.
fn merged(requested: &[ReachedTarget], stage: fn(&TargetResult) -> &Map) -> Map {
    let mut places: BTreeMap<Str, Vec<Entry<'_>>> = BTreeMap::new();
    for of in requested {
        for (path, value) in stage(&of.analysed.result).iter() {
            places.entry(normal(path)).or_default().push(Entry { of, path, value });
        }
    }
    // By definition: whether the contents are equal is known only when both are built.
    let (mut shared, mut separate): (Vec<_>, Vec<_>) =
        places.into_iter().partition(|(_, entries)| entries.iter().all(|one| one.value == entries[0].value));
    // A file that another target has something below cannot be in one directory with that.
    let files: BTreeSet<Str> = files_above(shared.iter().map(|(path, _)| path)).cloned().collect();
    // Everything is below the whole directory.
    let is_alone = shared.len() == 1;
    let is_file = |path: &Str| files.contains(path) || (path.as_str() == "." && !is_alone);
    separate.extend(shared.extract_if(.., |(path, _)| is_file(path)));
    let shared = shared.into_iter().map(|(path, entries)| (path, entries[0].value.clone()));
    let separate = separate.into_iter().flat_map(|(_, entries)| entries);
    shared.chain(separate.map(|entry| (entry.path_of_target().into(), entry.value.clone()))).collect()
}

/// What one of the targets has at a path.
struct Entry<'r> {
    of: &'r ReachedTarget,
    path: &'r Str,
    value: &'r Value,
}

impl Entry<'_> {
    /// The path that no other target has.
    fn path_of_target(&self) -> String {
        format!("{AMBIGUOUS}{}/{}", as_typed(&self.of.target.name), self.path)
    }
}

/// What a path begins with if it is one target's alone. No path of an artifact begins so, since they are relative.
const AMBIGUOUS: &str = "//";

/// Those of some paths of a result at which several targets have different things, as the path that each of them has
/// for it: `//src:lua/bin/lua`. There is nothing like it in a directory, so they cannot be installed.
pub fn ambiguous<'p>(paths: impl IntoIterator<Item = &'p str>) -> Vec<&'p str> {
    paths.into_iter().filter(|path| path.starts_with(AMBIGUOUS)).collect()
}
