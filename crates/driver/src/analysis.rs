//! Analysis of a request as a task: what the targets offer union_of_targets, and how much there is below them.
//!
//! Its traces are deep: while all directories and target files are unchanged it is replayed, and no target is looked
//! at, however many there are. After a change, the targets that it invalidates are analysed, and the counts are
//! collected anew over the numbers of the engine's file, which loads no target.

use std::{collections::BTreeMap, fmt, sync::Arc};

use taut_analysis::{AnalysedTarget, Export, Finding, StrSet, TargetRule, located, relative};
use taut_engine::{Build, Content, Cx, Fail, Failure, Hash, Policy, Rule};
use taut_graph::{Definition, DefinitionKey, Kind};
use taut_repos::Roots;
use taut_syntax::Diagnostics;
use taut_value::{Artifact, Decoder, Encoder, Id, TargetResult};

use crate::{
    Exports, Request, WantedArtifacts,
    analysis_setup::{analyse_targets, diagnostics},
    exports::exported,
    full_analysis::{Analysis, analyse_all},
    reached::{Order, ReachedTarget},
    request_key::RequestKey,
    targets::union_of_targets,
};

/// How much there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Actions, each once.
    pub actions: usize,
    /// Trees.
    pub trees: usize,
    /// Overlays of trees.
    pub overlays: usize,
    /// Contents that the description holds.
    pub blobs: usize,
    /// Configured targets: those that are defined, and source files that others name.
    pub targets: usize,
}

/// The result of the analysis of a request.
#[derive(Clone, Debug)]
pub struct Analysed {
    /// What the targets offer together.
    pub result: TargetResult,
    /// The variables that they depend on.
    pub vars: StrSet,
    /// What they are tainted with.
    pub tainted: StrSet,
    /// How much there is below them.
    pub counts: Counts,
    /// The export targets below them.
    pub exports: Exports,
    /// The artifacts of those export targets whose results are to be cached.
    exported: Vec<Artifact>,
    /// All warnings, each once, in the order of the targets; files are named relative to the roots.
    warnings: Diagnostics,
}

impl Analysed {
    /// What is to be built.
    pub fn wanted(&self) -> WantedArtifacts {
        WantedArtifacts::of(&self.result, &self.exported)
    }

    /// All warnings, each once, in the order of the targets.
    pub fn warnings(&self, roots: &Roots) -> Diagnostics {
        located(&self.warnings, roots)
    }

    /// The same from all targets, where what is below them cannot be collected.
    fn of_whole(whole: &Analysis, request: &Request) -> Analysed {
        let warnings = relative(&whole.warnings(), &request.repositories.roots);
        let counts = Counts { targets: whole.reached.len(), ..count(whole.definitions()) };
        let (exports, exported) = (whole.exports(), whole.exported());
        let AnalysedTarget { result, vars, tainted, .. } = &*whole.analysed;
        let (result, vars, tainted) = (result.clone(), vars.clone(), tainted.clone());
        Analysed { result, vars, tainted, counts, exports, exported, warnings }
    }

    /// The result, the variables, the taint, the five counts, the export targets (three counts and the bytes of their
    /// list), the number of artifacts of those and each, the bytes of the warnings.
    fn encode(&self) -> Option<Vec<u8>> {
        let mut e = Encoder::new();
        // `false` for a value that is nested too deeply to be decoded: then there is no record of this request.
        let is_whole = e.result(&self.result);
        e.texts(self.vars.iter());
        e.texts(self.tainted.iter());
        let Counts { actions, trees, overlays, blobs, targets } = self.counts;
        [actions, trees, overlays, blobs, targets].into_iter().for_each(|count| e.number(count as u64));
        self.exports.encode(&mut e);
        e.number(self.exported.len() as u64);
        self.exported.iter().for_each(|artifact| e.artifact(artifact));
        e.bytes(&self.warnings.encode());
        is_whole.then(|| e.finish())
    }

    fn decode(bytes: &[u8]) -> Option<Analysed> {
        let mut d = Decoder::new(bytes);
        let result = d.result()?;
        let vars = d.texts()?.into_iter().collect();
        let tainted = d.texts()?.into_iter().collect();
        let mut count = || usize::try_from(d.number()?).ok();
        let counts = Counts {
            actions: count()?,
            trees: count()?,
            overlays: count()?,
            blobs: count()?,
            targets: count()?,
        };
        let exports = Exports::decode(&mut d)?;
        let exported: Option<Vec<Artifact>> = (0..d.number()?).map(|_| d.artifact()).collect();
        let exported = exported?;
        let warnings = Diagnostics::decode(d.bytes()?)?;
        d.is_done().then_some(Analysed { result, vars, tainted, counts, exports, exported, warnings })
    }
}

/// Analyses requests.
pub(crate) struct AnalysisRule;

/// The closure of a request cannot be collected, since cached build state turned out to be damaged meanwhile. The
/// caller takes another way then, so there is no message.
#[derive(Debug)]
pub(crate) struct NotCollected;

impl fmt::Display for NotCollected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Failure for NotCollected {}

/// Analyses the targets of a request, as a task of its own.
///
/// # Errors
/// Everything that is wrong with the description; at least one diagnostic.
pub(crate) fn analyse_request(build: &Build, request: &Request) -> Result<Arc<Analysed>, Diagnostics> {
    build.get::<AnalysisRule>(RequestKey::of(request)).or_else(|fail| {
        // The targets are settled by now: this collects the errors of all of them.
        analyse_targets(build, request)?;
        match fail.downcast_ref::<NotCollected>() {
            Some(_) => Ok(Arc::new(Analysed::of_whole(&analyse_all(build, request)?, request))),
            None => Err(diagnostics(fail, build, &request.repositories)),
        }
    })
}

impl Rule for AnalysisRule {
    type Key = RequestKey;
    type Value = Arc<Analysed>;
    const NAME: &'static str = "analysis";

    fn policy(&self, _: &RequestKey) -> Policy {
        // By leaves only: counts and warnings depend on all targets below, not only on what the requested ones offer.
        Policy::deep(4).only_by_leaves()
    }

    async fn value(&self, request: &RequestKey, cx: Cx) -> Result<Arc<Analysed>, Fail> {
        let targets = request.targets.in_configuration(&request.configuration);
        let answers = cx.all::<TargetRule>(targets.clone()).await;
        let mut reached = Vec::with_capacity(targets.len());
        for (target, answer) in targets.iter().zip(answers) {
            // The first failure only; `analyse_request` collects those of the other targets.
            reached.push(ReachedTarget { target: target.clone(), analysed: answer? });
        }
        let whole = union_of_targets(&reached);
        let roots: Vec<_> = targets.into_iter().map(|target| cx.task::<TargetRule>(target)).collect();
        // One walk for both kinds of contents and the count: it is over all tasks below.
        let below =
            cx.collect_two_and_count::<Content<Definition>, Content<Finding>, TargetRule>(roots).await;
        let (definitions, names, targets) = below.ok_or_else(|| Fail::transient(NotCollected))?;
        let counts = count(definitions.into_iter().map(DefinitionKey));
        let mut findings = Vec::with_capacity(names.len());
        for name in names {
            // `call`: a content follows from its name, so it is not a dependency.
            findings.push(cx.call::<Content<Finding>>(name).await?);
        }
        let exports = Exports::of(findings.iter().filter_map(|finding| match &**finding {
            Finding::Export(target, export) => Some((target.clone(), *export)),
            Finding::Warnings(..) => None,
        }));
        // Cached ones need no artifacts here: their entries exist, with all that they refer to.
        let uncached = exports.list().into_iter().filter(|(_, export)| matches!(export, Export::Uncached(_)));
        let mut targets_to_cache = Vec::new();
        for answer in cx.all::<TargetRule>(uncached.map(|(target, _)| target).collect()).await {
            targets_to_cache.push(answer?);
        }
        // Wanted as a whole, whatever the request needs of them: an entry of the cache has all artifacts.
        let exported = exported(targets_to_cache.iter().map(|analysed| &**analysed));
        let (counts, warnings) = (Counts { targets, ..counts }, in_order(&findings));
        let AnalysedTarget { result, vars, tainted, .. } = &*whole;
        let (result, vars, tainted) = (result.clone(), vars.clone(), tainted.clone());
        Ok(Arc::new(Analysed { result, vars, tainted, counts, exports, exported, warnings }))
    }

    fn content_hash(&self, _: &RequestKey, analysed: &Arc<Analysed>) -> Option<Hash> {
        // Without an encoding there is no hash: then the value counts as new whenever this was executed.
        analysed.encode().map(|bytes| Hash(Id::of(bytes).0))
    }

    fn encode_value(&self, _: &RequestKey, analysed: &Arc<Analysed>) -> Option<Vec<u8>> {
        analysed.encode()
    }

    fn decode_value(&self, _: &RequestKey, bytes: &[u8]) -> Option<Arc<Analysed>> {
        Analysed::decode(bytes).map(Arc::new)
    }
}

fn count(definitions: impl IntoIterator<Item = DefinitionKey>) -> Counts {
    let mut counts = Counts::default();
    for definition in definitions {
        match definition.kind() {
            Some(Kind::Action) => counts.actions += 1,
            Some(Kind::Tree) => counts.trees += 1,
            Some(Kind::Overlay) => counts.overlays += 1,
            Some(Kind::Blob) => counts.blobs += 1,
            None => {}
        }
    }
    counts
}

/// Warnings in the order of the targets that they are about.
fn in_order(findings: &[Arc<Finding>]) -> Diagnostics {
    let mut warnings: BTreeMap<Order, &Diagnostics> = BTreeMap::new();
    for finding in findings {
        if let Finding::Warnings(target, diagnostics) = &**finding {
            // By target, so warnings of one that was reached twice occur once, and in the same order in each build.
            warnings.insert(Order::of(target), diagnostics);
        }
    }
    Diagnostics::merge(warnings.into_values())
}

#[cfg(test)]
mod tests {
    use taut_syntax::{Diagnostic, Location};
    use taut_value::{Map, Str, Value};

    use super::*;

    #[test]
    fn values_are_written_as_specified() {
        let info = "[4e3dffe834ac70600a7cb71fbc1f6a694c9d041f:12:x]".parse().unwrap();
        let stage: Map = [("a", Value::artifact(taut_value::Artifact::Known(info)))].into_iter().collect();
        let warnings: Diagnostics = Diagnostic::warning("w").at(Location::file("\u{0}0/TARGETS")).into();
        let encoded_warnings = warnings.encode();
        let analysed = Analysed {
            result: TargetResult::new(stage.clone(), stage, [("p", Value::Null)].into_iter().collect()),
            vars: [Str::from("V")].into_iter().collect(),
            tainted: [Str::from("test")].into_iter().collect(),
            counts: Counts { actions: 300, trees: 2, overlays: 3, blobs: 4, targets: 6 },
            exports: Exports::default(),
            exported: vec![taut_value::Artifact::Known(info)],
            warnings,
        };
        let bytes = analysed.encode().unwrap();
        let hash = b"\x4e\x3d\xff\xe8\x34\xac\x70\x60\x0a\x7c\xb7\x1f\xbc\x1f\x6a\x69\x4c\x9d\x04\x1f";
        let artifacts = [&b"\x00\x00\x01\x00\x01a\x05\x01x\x14"[..], hash, b"\x0c"].concat();
        let runfiles_and_provides = b"\x01\x00\x01\x00\x01p\x00";
        let rest = b"\x01\x00\x01V\x01\x00\x04test\xac\x02\x02\x03\x04\x06\x00\x00\x00\x00\x01";
        let exported = [&b"\x01x\x14"[..], hash, b"\x0c"].concat();
        let parts = [
            &artifacts[..],
            runfiles_and_provides,
            rest,
            &exported,
            &[encoded_warnings.len() as u8],
            &encoded_warnings,
        ];
        assert_eq!(bytes, parts.concat());
        let read = Analysed::decode(&bytes).unwrap();
        assert_eq!((read.encode().unwrap(), read.counts), (bytes.clone(), analysed.counts));
        assert!((0..bytes.len()).all(|end| Analysed::decode(&bytes[..end]).is_none()));
    }
}
