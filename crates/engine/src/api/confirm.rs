//! Verifying a leaf by its witness, outside of a build. Used to watch the world: what is confirmed need not be
//! declared.

use crate::graph::fail::guarded;
use crate::sync::lock;
use crate::{Agreement, Engine, Rule};

impl Engine {
    /// Whether a leaf's rule confirms, by the world as it is now, the result of the leaf's latest kept run.
    /// Then no change has to be declared of it ([`crate::Begin::changed`]), and its dependents stay clean.
    pub fn confirms<R: Rule>(&self, key: &R::Key) -> bool {
        let core = self.core();
        let Some(id) = core.find_known::<R>(key).filter(|id| core.node(*id).policy.leaf) else {
            return false;
        };
        core.fetch_history(id);
        let node = core.node(id);
        let rule = core.rule(node);
        let saw = || {
            let hist = lock(&node.hist);
            let run = hist.runs.first().filter(|run| run.version == rule.version())?;
            Some((run.witness()?.clone(), hist.hash_of(run.seq)?))
        };
        let Some((witness, hash)) = saw() else { return false };
        let agreement = guarded(|| Some(rule.agrees(&node.key, &witness, hash)));
        matches!(agreement, Ok(Some(Agreement::Yes | Agreement::YesBy(_))))
    }
}
