//! The hosts of expressions in rules: what they can ask for.

use std::{collections::BTreeMap, rc::Rc};

use rustc_hash::FxHashMap;
use taut_digest::ObjectType;
use taut_engine::Cx;
use taut_expr::{Context, Host, Offer};
use taut_graph::Depfile;
use taut_value::{ActionDescription, Artifact, EntityName, Id, Map, Str, Tree, TreeOverlay, Value};

use crate::{Workspace, defined::DefinitionNames};

/// Targets by field, in the order in which they are written.
pub(crate) type FieldTargets = BTreeMap<Str, Vec<EntityName>>;

/// The host of transition expressions.
pub(crate) struct TransitionHost<'h> {
    pub(crate) fields: &'h BTreeMap<Str, Value>,
    pub(crate) limit: usize,
}

impl Host for TransitionHost<'_> {
    fn context(&self) -> Context {
        Context::Transition
    }

    fn log_limit(&self) -> usize {
        self.limit
    }

    fn field(&mut self, name: &str) -> Option<Value> {
        self.fields.get(name).cloned()
    }

    fn field_names(&self) -> Vec<Str> {
        self.fields.keys().cloned().collect()
    }
}

/// The host of a defining expression; it collects the definitions.
pub(crate) struct RuleHost<'h> {
    pub(crate) workspace: &'h Workspace,
    pub(crate) cx: &'h Cx,
    pub(crate) strings: &'h BTreeMap<Str, Value>,
    pub(crate) targets: &'h FieldTargets,
    // By name and transition: an expression asks for a dependency by both.
    pub(crate) results: FxHashMap<(EntityName, Map), Rc<dyn Offer>>,
    pub(crate) tainted: &'h [Str],
    pub(crate) defined: DefinitionNames,
}

impl Host for RuleHost<'_> {
    fn context(&self) -> Context {
        Context::Rule
    }

    fn log_limit(&self) -> usize {
        self.workspace.log_limit
    }

    fn field(&mut self, name: &str) -> Option<Value> {
        let targets = |names: &Vec<EntityName>| Value::list(names.iter().cloned().map(Value::Name));
        // No field is in both: `check_fields` has refused such a rule.
        self.strings.get(name).cloned().or_else(|| self.targets.get(name).map(targets))
    }

    fn field_names(&self) -> Vec<Str> {
        self.strings.keys().chain(self.targets.keys()).cloned().collect()
    }

    fn dependency(&mut self, name: &EntityName, transition: &Map) -> Option<Rc<dyn Offer>> {
        self.results.get(&(name.clone(), transition.clone())).cloned()
    }

    fn is_tainted_with(&self, word: &str) -> bool {
        self.tainted.iter().any(|known| known.as_str() == word)
    }

    fn is_extended(&self) -> bool {
        self.workspace.repositories.dialect.is_extended()
    }

    fn define_action(&mut self, action: ActionDescription, depfile: Option<Str>) -> Id {
        let id = self.defined.action(self.cx, action);
        if let Some(path) = depfile {
            // Beside the definition, not in it: the identity of an action is the reference's, which has no depfiles.
            self.cx.mention(Depfile { action: id, path });
        }
        id
    }

    fn define_blob(&mut self, content: &Str) -> Artifact {
        self.defined.blob(self.workspace, self.cx, content, ObjectType::File)
    }

    fn define_symlink(&mut self, target: &Str) -> Artifact {
        self.defined.blob(self.workspace, self.cx, target, ObjectType::Symlink)
    }

    fn define_tree(&mut self, tree: Tree) {
        self.defined.tree(self.cx, tree);
    }

    fn define_overlay(&mut self, overlay: TreeOverlay) {
        self.defined.overlay(self.cx, overlay);
    }
}
