//! A leaf for the length of values in messages. Only targets with messages read it, so another limit invalidates those
//! and no others.

use taut_engine::{Agreement, Cx, Fail, Hash, Key, Policy, Rule};

/// Identifies the limit.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LogLimit;

impl Key for LogLimit {
    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(bytes: &[u8]) -> Option<LogLimit> {
        bytes.is_empty().then_some(LogLimit)
    }
}

/// Provides the limit, in bytes.
pub struct LogLimitRule(pub usize);

impl LogLimitRule {
    fn hash(&self) -> Hash {
        // The number itself: with so few bits there is nothing to hash.
        Hash::from(self.0 as u64)
    }
}

impl Rule for LogLimitRule {
    type Key = LogLimit;
    type Value = usize;
    const NAME: &'static str = "log limit";

    fn policy(&self, _: &LogLimit) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, _: &LogLimit, cx: Cx) -> Result<usize, Fail> {
        // Nothing to keep: the hash has the limit, and `agrees` compares it with the present one.
        cx.witness(Vec::new());
        Ok(self.0)
    }

    fn content_hash(&self, _: &LogLimit, _: &usize) -> Option<Hash> {
        Some(self.hash())
    }

    fn agrees(&self, _: &LogLimit, _: &[u8], hash: Hash) -> Agreement {
        if hash == self.hash() { Agreement::Yes } else { Agreement::No }
    }
}
