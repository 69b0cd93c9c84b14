//! A task that is different in every build. A task that reads it runs in each build that wants it: an action that must
//! not be cached, and one that failed and is allowed to.

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
