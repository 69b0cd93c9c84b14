//! A task with a new hash in every build. So a task that reads it executes in each build. Its readers are actions that
//! must not be cached, and actions that failed and may fail.

use taut_engine::{Cx, Fail, Key, Policy, Rule};

/// Its key.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EachTime;

impl Key for EachTime {
    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(bytes: &[u8]) -> Option<EachTime> {
        bytes.is_empty().then_some(EachTime)
    }
}

/// Its rule: the value equals no other.
pub struct EachTimeRule;

impl Rule for EachTimeRule {
    type Key = EachTime;
    type Value = ();
    const NAME: &'static str = "each time";

    fn policy(&self, _: &EachTime) -> Policy {
        Policy::always()
    }

    async fn value(&self, _: &EachTime, _: Cx) -> Result<(), Fail> {
        // `content_hash` is the default, `None`, so each execution is a new version.
        Ok(())
    }
}
