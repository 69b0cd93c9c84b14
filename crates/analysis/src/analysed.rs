//! The result of analysing a target: what it offers, what it defines, and its dependencies.

use taut_digest::Hash;
use taut_repos::Roots;
use taut_syntax::Diagnostics;
use taut_value::{Decoder, Encoder, EntityName, Id, TargetResult};

use crate::{
    Config, ConfiguredTarget, DefinitionNames, Export, StrSet,
    finding::{located, relative},
};

/// A configured target, analysed.
#[derive(Clone, Debug)]
pub struct AnalysedTarget {
    /// What it offers to its dependents.
    pub result: TargetResult,
    /// The definitions that it makes.
    pub defined: DefinitionNames,
    /// The configuration variables that it depends on, directly or through dependencies.
    pub vars: StrSet,
    /// The words that it is tainted with.
    pub tainted: StrSet,
    /// Its dependencies.
    pub dependencies: Dependencies,
    /// Warnings: what is valid, but probably not meant.
    pub warnings: Diagnostics,
    /// Whether it is defined by a description, not a source file.
    pub is_defined: bool,
    /// Whether what it provides is `null` in the reference, where it is an empty map here: that of a source tree,
    /// however often configured or exported. It is written so to entries of the target-level cache.
    pub provides_null: bool,
    /// What the target-level cache has of it, if it is an export target.
    pub export: Option<Export>,
}

/// The dependencies of a target, by origin.
#[derive(Clone, Debug, Default)]
pub struct Dependencies {
    /// Named in the target's definition.
    pub declared: Vec<ConfiguredTarget>,
    /// Named by the rule.
    pub implicit: Vec<ConfiguredTarget>,
    /// Made from nodes.
    pub anonymous: Vec<ConfiguredTarget>,
}

impl Dependencies {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &ConfiguredTarget> {
        self.declared.iter().chain(&self.implicit).chain(&self.anonymous)
    }
}

/// Bytes to be hashed. Each text has its length in front, so that different sequences have different bytes.
// Apart from `Encoder`, which writes what can be decoded: these bytes only have to be unambiguous.
struct Pieces(Vec<u8>);

impl Pieces {
    fn id(&mut self, id: Id) {
        self.0.extend(id.0);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend((bytes.len() as u64).to_le_bytes());
        self.0.extend(bytes);
    }

    fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        mut item: impl FnMut(&mut Self, T),
    ) {
        let items = items.into_iter();
        self.0.extend((items.len() as u64).to_le_bytes());
        items.for_each(|next| item(self, next));
    }
}

// The bits of the number with which a target is written (docs/store.md, Targets).
const IS_DEFINED: u8 = 1;
const PROVIDES_NULL: u8 = 2;

impl AnalysedTarget {
    fn flags(&self) -> u8 {
        u8::from(self.is_defined) * IS_DEFINED + u8::from(self.provides_null) * PROVIDES_NULL
    }

    /// The hash of all of it, without the locations of roots: it is the same in every checkout.
    pub(crate) fn id(&self, roots: &Roots) -> Id {
        let mut pieces = Pieces(Vec::with_capacity(1024));
        // By its parts, whose ids are computed in any case; the id of the whole result would need its JSON text.
        for part in [&self.result.artifacts, &self.result.runfiles, &self.result.provides] {
            pieces.id(part.id());
        }
        let DefinitionNames { actions, blobs, trees, overlays } = &self.defined;
        pieces.list(actions, |p, action| p.id(*action));
        pieces.list(blobs, |p, blob| p.bytes(blob.as_bytes()));
        pieces.list(trees, |p, tree| p.id(*tree));
        pieces.list(overlays, |p, overlay| p.id(*overlay));
        pieces.list(self.vars.iter(), |p, var| p.text(var));
        pieces.list(self.tainted.iter(), |p, word| p.text(word));
        let Dependencies { declared, implicit, anonymous } = &self.dependencies;
        for targets in [declared, implicit, anonymous] {
            pieces.list(targets, |p, target| {
                match &target.name {
                    EntityName::Named(named) => {
                        // The number is part of recorded hashes: variants of `ReferenceType` keep theirs.
                        p.0.push(named.reference as u8);
                        for text in [&named.repository, &named.module, &named.name] {
                            p.text(text);
                        }
                    }
                    EntityName::Anonymous(anonymous) => {
                        // No kind of reference has this number.
                        p.0.push(u8::MAX);
                        p.id(anonymous.rule_map.id());
                        p.id(anonymous.node.id());
                    }
                }
                p.id(target.config.map().id());
            });
        }
        if !self.warnings.is_empty() {
            // A target without warnings, which is nearly every one, has no piece for them; the flag byte follows in
            // either case.
            pieces.bytes(&relative(&self.warnings, roots).encode());
        }
        pieces.0.push(self.flags());
        let mut export = Encoder::new();
        Export::encode(self.export.as_ref(), &mut export);
        // The last piece, so it needs no length in front.
        pieces.0.extend(export.finish());
        Id::of(pieces.0)
    }

    /// All of it as bytes (docs/store.md, Targets), without the locations of roots; `None` if something is nested too
    /// deeply to be decoded.
    pub(crate) fn encode(&self, roots: &Roots) -> Option<Vec<u8>> {
        let mut e = Encoder::new();
        // Written in the order that docs/store.md specifies; `decode` reads in the same order.
        let mut good = e.result(&self.result);
        let DefinitionNames { actions, blobs, trees, overlays } = &self.defined;
        for ids in [actions, trees, overlays] {
            e.number(ids.len() as u64);
            ids.iter().for_each(|id| e.id(id));
        }
        e.number(blobs.len() as u64);
        blobs.iter().for_each(|hash| e.bytes(hash.as_bytes()));
        for words in [&self.vars, &self.tainted] {
            e.texts(words.iter());
        }
        let Dependencies { declared, implicit, anonymous } = &self.dependencies;
        for targets in [declared, implicit, anonymous] {
            e.number(targets.len() as u64);
            // `false` for what is nested too deeply: such a target is analysed again in each process.
            good &= targets.iter().all(|target| e.name(&target.name) && e.map(target.config.map()));
        }
        e.number(self.flags().into());
        Export::encode(self.export.as_ref(), &mut e);
        e.bytes(&relative(&self.warnings, roots).encode());
        good.then(|| e.finish())
    }

    /// Decodes [`AnalysedTarget::encode`].
    pub(crate) fn decode(bytes: &[u8], roots: &Roots) -> Option<AnalysedTarget> {
        let mut d = Decoder::new(bytes);
        let result = d.result()?;
        let mut ids = || -> Option<Vec<Id>> { (0..d.number()?).map(|_| d.id()).collect() };
        let (actions, trees, overlays) = (ids()?, ids()?, ids()?);
        let blobs: Option<Vec<Hash>> = (0..d.number()?).map(|_| Hash::from_bytes(d.bytes()?)).collect();
        let defined = DefinitionNames { actions, blobs: blobs?, trees, overlays };
        let (vars, tainted) = (d.texts()?.into_iter().collect(), d.texts()?.into_iter().collect());
        let mut targets = || -> Option<Vec<ConfiguredTarget>> {
            let count = d.number()?;
            let target = |_| Some(ConfiguredTarget { name: d.name()?, config: Config::new(d.map()?) });
            (0..count).map(target).collect()
        };
        let dependencies = Dependencies { declared: targets()?, implicit: targets()?, anonymous: targets()? };
        // Unknown bits are those of a newer version, or damage: the run does not count.
        let flags = d.number().filter(|flags| *flags <= (IS_DEFINED | PROVIDES_NULL).into())?;
        let is = |flag: u8| flags & u64::from(flag) != 0;
        let (is_defined, provides_null) = (is(IS_DEFINED), is(PROVIDES_NULL));
        let export = Export::decode(&mut d)?;
        let warnings = located(&Diagnostics::decode(d.bytes()?)?, roots);
        d.is_done().then_some(AnalysedTarget {
            result,
            defined,
            vars,
            tainted,
            dependencies,
            warnings,
            is_defined,
            provides_null,
            export,
        })
    }
}

#[cfg(test)]
mod tests {
    use taut_syntax::Diagnostic;
    use taut_value::{Map, NamedTarget, ReferenceType, Str, Value};

    use super::*;

    #[test]
    fn the_hash_of_a_target_is_stable() {
        let artifacts: Map = [("a", Value::string("x"))].into_iter().collect();
        let named = NamedTarget::new("r", "m", "n").with_reference(ReferenceType::Glob);
        let config = Config::new([("V", Value::Bool(true))].into_iter().collect());
        let below = ConfiguredTarget { name: EntityName::Named(named), config };
        let target = |warnings: Diagnostics| AnalysedTarget {
            result: TargetResult::new(artifacts.clone(), Map::default(), Map::default()),
            defined: DefinitionNames {
                actions: vec![Id::of("action")],
                blobs: vec![taut_digest::HashFunction::GitSha1.blob(b"blob")],
                trees: vec![Id::of("tree")],
                overlays: Vec::new(),
            },
            vars: [Str::from("V")].into_iter().collect(),
            tainted: [Str::from("test")].into_iter().collect(),
            dependencies: Dependencies { declared: vec![below.clone()], ..Default::default() },
            warnings,
            is_defined: true,
            provides_null: false,
            export: None,
        };
        let hex = |warnings| target(warnings).id(&Roots::default()).to_hex();
        assert_eq!(
            hex(Diagnostics::none()),
            "a07af81e833a7aac02902e10d3b7167fa655d0ad1b898974fd13caa0d64c2acc"
        );
        assert_eq!(
            hex(Diagnostic::warning("careful").into()),
            "780ba766e1c164aca5e4ea53e3b0549fd5db94fc70c7793091055b4d3d51c53f"
        );
    }
}
