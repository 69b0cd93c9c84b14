//! Results of actions, brought into the youngest generation of the store with all that they are made from, and with what
//! the action cache knows of them.
//!
//! Runs that are replayed without a look at their objects do not do that; who knows that garbage was collected asks here
//! for every action.

use std::sync::Arc;

use taut_engine::{Cx, Fail, Key, Policy, Rule};
use taut_value::Id;

use crate::{ActionKey, ActionRule, Execution, action::digest_of, transient};

/// Names an action by its definition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct KeepKey(pub Id);

impl Key for KeepKey {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.0.0);
    }

    fn decode(bytes: &[u8]) -> Option<KeepKey> {
        bytes.try_into().ok().map(|id| KeepKey(Id(id)))
    }
}

/// Keeps results of actions.
pub struct KeepRule(pub Arc<Execution>);

impl Rule for KeepRule {
    type Key = KeepKey;
    type Value = ();
    const NAME: &'static str = "keep";

    fn policy(&self, _: &KeepKey) -> Policy {
        Policy::always()
    }

    async fn value(&self, KeepKey(id): &KeepKey, cx: Cx) -> Result<(), Fail> {
        let execution = &*self.0;
        // The value counts only with its objects, which move up when they are looked for.
        cx.get::<ActionRule>(ActionKey(*id)).await?;
        let (_, _, digest) = digest_of(execution, id, &cx).await?;
        execution.store.cached_action(&digest).map_err(transient)?;
        Ok(())
    }
}
