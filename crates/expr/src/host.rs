//! The host interface: what an evaluation may use beside its arguments.

use std::rc::Rc;

use taut_value::{
    ActionDescription, Artifact, EntityName, Id, Map, Str, TargetResult, Tree, TreeOverlay, Value,
};

/// The kind of an expression, which determines the constructs that exist in it beside the pure ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
// A list and not a set of flags: there are exactly these kinds of places where expressions are written.
pub enum Context {
    /// Only the pure constructs.
    Pure,
    /// A string field of a target: also `outs`, `runfiles`.
    Field,
    /// A configuration transition of a rule: also `FIELD`, `CALL_EXPRESSION`.
    Transition,
    /// The defining expression of a rule: everything but `outs`, `runfiles`.
    Rule,
}

/// The result of a dependency. Each aspect has a method of its own, so that the host can record which of them a value
/// depends on.
pub trait Offer {
    /// Its artifacts.
    fn artifacts(&self) -> &Map;

    /// Its runfiles.
    fn runfiles(&self) -> &Map;

    /// What it provides under a name.
    fn provided(&self, provider: &str) -> Option<&Value>;
}

impl Offer for TargetResult {
    fn artifacts(&self) -> &Map {
        &self.artifacts
    }

    fn runfiles(&self) -> &Map {
        &self.runfiles
    }

    fn provided(&self, provider: &str) -> Option<&Value> {
        self.provides.get(provider)
    }
}

/// Why a value is not a name.
pub struct NoName {
    /// The message.
    pub message: String,
    /// The message of the reference.
    pub reference: String,
}

/// The host of an evaluation. The methods with a default are called only in contexts that have the constructs
/// concerned.
// A trait, so that the evaluator has no access to targets, files or the engine, and runs in tests
// without them.
pub trait Host {
    /// The context, which determines the constructs that exist.
    fn context(&self) -> Context;

    /// How long a value may be in messages, in bytes of its JSON text.
    fn log_limit(&self) -> usize {
        320
    }

    /// `FIELD`: the value of a field; `None` if there is no such field here.
    fn field(&mut self, _name: &str) -> Option<Value> {
        None
    }

    /// The names that [`Host::field`] knows, for suggestions.
    fn field_names(&self) -> Vec<Str> {
        Vec::new()
    }

    /// `DEP_ARTIFACTS` and the like: the result of a dependency; `None` if it is not declared in this transition.
    fn dependency(&mut self, _name: &EntityName, _transition: &Map) -> Option<Rc<dyn Offer>> {
        None
    }

    /// `outs`, `runfiles`: as [`Host::dependency`], for a name in the form in which the target's author writes it.
    ///
    /// # Errors
    /// The value is not a name.
    fn reference(&mut self, _reference: &Value, _transition: &Map) -> Result<Option<Rc<dyn Offer>>, NoName> {
        Ok(None)
    }

    /// Whether the rule is tainted with a word, so that its actions may use it for `may_fail` and
    /// `no_cache`.
    fn is_tainted_with(&self, _word: &str) -> bool {
        false
    }

    /// Whether the language is taut's and not the reference's. In taut's language an `ACTION` may have a depfile; the
    /// reference ignores it. An output that no action can make is an error; in the reference the action fails after it
    /// has run.
    fn is_extended(&self) -> bool {
        false
    }

    /// `ACTION`: takes a definition and, if it has one, the output that is its depfile; returns the definition's id.
    /// Called in the order of evaluation.
    fn define_action(&mut self, action: ActionDescription, _depfile: Option<Str>) -> Id {
        action.id()
    }

    /// `BLOB`: takes a file's content, returns the known artifact. Called in the order of evaluation.
    // No default can serve: which hash names a content is a matter of the store, which is not known here.
    fn define_blob(&mut self, _content: &Str) -> Artifact {
        unreachable!("only rules define blobs, and their hosts say how")
    }

    /// `SYMLINK`: takes a link's text, returns the known artifact. Called in the order of evaluation.
    fn define_symlink(&mut self, _target: &Str) -> Artifact {
        unreachable!("only rules define links, and their hosts say how")
    }

    /// `TREE` and the parts of overlays. Called in the order of evaluation.
    fn define_tree(&mut self, _tree: Tree) {}

    /// `TREE_OVERLAY`, `DISJOINT_TREE_OVERLAY`. Called in the order of evaluation.
    fn define_overlay(&mut self, _overlay: TreeOverlay) {}
}

/// A host that offers nothing.
pub struct Pure;

impl Host for Pure {
    fn context(&self) -> Context {
        Context::Pure
    }
}
