//! What analysis yields for a target: its result, what it defines and what it asked for.

use std::sync::Arc;

use taut_syntax::Diagnostics;
use taut_value::{ActionDescription, Decoder, Encoder, EntityName, Id, Str, TargetResult, Tree, TreeOverlay};

use crate::{Config, ConfiguredTarget, StrSet, Workspace, target::MOST_NODES};

/// A configured target, analysed.
#[derive(Clone, Debug)]
pub struct AnalysedTarget {
    /// What it offers to others.
    pub result: TargetResult,
    /// The actions it defines, in the order of evaluation.
    pub actions: Vec<Arc<ActionDescription>>,
    /// The contents it defines, in the order of evaluation.
    pub blobs: Vec<Str>,
    /// The trees it defines, in the order of evaluation.
    pub trees: Vec<Tree>,
    /// The overlays it defines, in the order of evaluation.
    pub overlays: Vec<TreeOverlay>,
    /// The configuration variables it depends on, directly or through others.
    pub vars: StrSet,
    /// What it is tainted with.
    pub tainted: StrSet,
    /// The targets it asked for.
    pub dependencies: Dependencies,
    /// What is not wrong, but probably not meant.
    pub warnings: Diagnostics,
    /// Whether it is a target that descriptions define, not a source file.
    pub is_defined: bool,
    /// Whether it is an export target.
    pub is_export: bool,
}

/// The configured targets that a target asked for, by how it came to.
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

/// What is hashed, so written that it could be read again.
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

/// Values longer than this are not kept beyond the process: what is large is mostly what was collected from
/// others, and keeping it with each collector would take more room than all the rest.
const LONGEST: usize = 1 << 14;

impl AnalysedTarget {
    /// Stands for all of it.
    pub(crate) fn id(&self) -> Id {
        let mut pieces = Pieces(Vec::with_capacity(1024));
        // By its parts, which are known by id anyway; the id of the whole is that of its JSON text.
        for part in [&self.result.artifacts, &self.result.runfiles, &self.result.provides] {
            pieces.id(part.id());
        }
        pieces.list(&self.actions, |p, action| p.id(action.id()));
        pieces.list(&self.blobs, |p, blob| p.text(blob));
        pieces.list(&self.trees, |p, tree| p.id(tree.id()));
        pieces.list(&self.overlays, |p, overlay| p.id(overlay.id()));
        pieces.list(self.vars.iter(), |p, var| p.text(var));
        pieces.list(self.tainted.iter(), |p, word| p.text(word));
        let Dependencies { declared, implicit, anonymous } = &self.dependencies;
        for targets in [declared, implicit, anonymous] {
            pieces.list(targets, |p, target| {
                match &target.name {
                    EntityName::Named(named) => {
                        p.0.push(named.reference as u8);
                        for text in [&named.repository, &named.module, &named.name] {
                            p.text(text);
                        }
                    }
                    EntityName::Anonymous(anonymous) => {
                        p.0.push(u8::MAX);
                        p.id(anonymous.rule_map.id());
                        p.id(anonymous.node.id());
                    }
                }
                p.id(target.config.map().id());
            });
        }
        if !self.warnings.is_empty() {
            pieces.bytes(&self.warnings.encode());
        }
        pieces.0.extend([u8::from(self.is_defined), u8::from(self.is_export)]);
        Id::of(pieces.0)
    }

    /// All of it as bytes; `None` if it is not worth keeping, or comes with warnings, which are to be found
    /// anew.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        if !self.warnings.is_empty() {
            return None;
        }
        let mut e = Encoder::limited(LONGEST, MOST_NODES);
        let mut good = e.result(&self.result);
        e.number(self.actions.len() as u64);
        good &= self.actions.iter().all(|action| e.action(action));
        e.texts(&self.blobs);
        e.number(self.trees.len() as u64);
        good &= self.trees.iter().all(|tree| e.map(tree.stage()));
        e.number(self.overlays.len() as u64);
        self.overlays.iter().for_each(|overlay| e.overlay(overlay));
        for words in [&self.vars, &self.tainted] {
            e.texts(words.iter());
        }
        let Dependencies { declared, implicit, anonymous } = &self.dependencies;
        for targets in [declared, implicit, anonymous] {
            e.number(targets.len() as u64);
            good &= targets.iter().all(|target| e.name(&target.name) && e.map(target.config.map()));
        }
        e.bool(self.is_defined);
        e.bool(self.is_export);
        let bytes = e.finish();
        (good && bytes.len() <= LONGEST).then_some(bytes)
    }

    /// From bytes; what is defined in it is known from now on.
    pub(crate) fn decode(bytes: &[u8], workspace: &Workspace) -> Option<AnalysedTarget> {
        let mut d = Decoder::new(bytes);
        let definitions = &workspace.definitions;
        let result = d.result()?;
        let mut actions = Vec::new();
        for _ in 0..d.number()? {
            actions.push(definitions.add_action(d.action()?));
        }
        let blobs = d.texts()?;
        for blob in &blobs {
            definitions.add_blob(workspace.hash_function.blob(blob.as_bytes()), blob);
        }
        let mut trees = Vec::new();
        for _ in 0..d.number()? {
            trees.push(d.tree()?);
        }
        trees.iter().for_each(|tree| definitions.add_tree(tree));
        let mut overlays = Vec::new();
        for _ in 0..d.number()? {
            overlays.push(d.overlay()?);
        }
        overlays.iter().for_each(|overlay| definitions.add_overlay(overlay));
        let (vars, tainted) = (d.texts()?.into_iter().collect(), d.texts()?.into_iter().collect());
        let mut targets = || -> Option<Vec<ConfiguredTarget>> {
            let count = d.number()?;
            let target = |_| Some(ConfiguredTarget { name: d.name()?, config: Config::new(d.map()?) });
            (0..count).map(target).collect()
        };
        let dependencies = Dependencies { declared: targets()?, implicit: targets()?, anonymous: targets()? };
        let (is_defined, is_export) = (d.bool()?, d.bool()?);
        let warnings = Diagnostics::none();
        d.is_done().then_some(AnalysedTarget {
            result,
            actions,
            blobs,
            trees,
            overlays,
            vars,
            tainted,
            dependencies,
            warnings,
            is_defined,
            is_export,
        })
    }
}

#[cfg(test)]
mod tests {
    use taut_syntax::Diagnostic;
    use taut_value::{Map, NamedTarget, ReferenceType, Value};

    use super::*;

    #[test]
    fn the_hash_of_a_target_stays_what_it_is() {
        let artifacts: Map = [("a", Value::string("x"))].into_iter().collect();
        let named = NamedTarget::new("r", "m", "n").with_reference(ReferenceType::Glob);
        let config = Config::new([("V", Value::Bool(true))].into_iter().collect());
        let below = ConfiguredTarget { name: EntityName::Named(named), config };
        let target = |warnings: Diagnostics| AnalysedTarget {
            result: TargetResult::new(artifacts.clone(), Map::default(), Map::default()),
            actions: vec![Arc::new(ActionDescription::default())],
            blobs: vec!["blob".into()],
            trees: vec![Tree::new(Map::default())],
            overlays: Vec::new(),
            vars: [Str::from("V")].into_iter().collect(),
            tainted: [Str::from("test")].into_iter().collect(),
            dependencies: Dependencies { declared: vec![below.clone()], ..Default::default() },
            warnings,
            is_defined: true,
            is_export: false,
        };
        let hex = |warnings| target(warnings).id().to_hex();
        assert_eq!(
            hex(Diagnostics::none()),
            "a9ec585698e1e1fb13cd01e30eaaf004e6b55f54f9a988fe77dc9aa87f46f5f4"
        );
        assert_eq!(
            hex(Diagnostic::warning("careful").into()),
            "89c7e75b278cdf4f9aaeea1e058cb1869ad514638310e71e309dd6ebb9403af5"
        );
    }
}
