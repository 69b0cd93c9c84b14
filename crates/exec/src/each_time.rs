//! What is different in every build. A task that reads it runs in each build that wants it: an action that is not to be
//! cached, and one that failed as it may.

use taut_engine::{Cx, Fail, Key, Policy, Rule};

/// Names it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EachTime;

impl Key for EachTime {
    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(bytes: &[u8]) -> Option<EachTime> {
        bytes.is_empty().then_some(EachTime)
    }
}

/// Its rule: what it comes to equals no other.
pub struct EachTimeRule;

impl Rule for EachTimeRule {
    type Key = EachTime;
    type Value = ();
    const NAME: &'static str = "each time";

    fn policy(&self, _: &EachTime) -> Policy {
        Policy::always()
    }

    async fn value(&self, _: &EachTime, _: Cx) -> Result<(), Fail> {
        Ok(())
    }
}
