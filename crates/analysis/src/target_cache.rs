//! The target-level cache as analysis sees it: results of export targets by a key, looked up before the exported target
//! is analysed.
//!
//! An entry is a leaf of the engine: what lies under a key is outside of it, and may appear (another build wrote it),
//! vanish (garbage collection) or be damaged. A hit has other artifacts than a miss, known objects in place of outputs
//! of actions, so the two are different values, and the leaf decides which of them is good. The hash of the leaf is the
//! name of the entry: comparing it reads a few bytes, and neither the result nor a file of the repository.
//!
//! Analysis does not use the store; `driver` implements [`TargetCache`].

use std::sync::Arc;

use taut_digest::{Digest, Hash as ContentHash, HashFunction, ObjectInfo, ObjectType};
use taut_engine::{Agreement, Cx, Fail, Hash, Key, Policy, Rule};
use taut_syntax::Document;
use taut_value::{Id, JsonWriter, NamedTarget, Value};

use crate::{CachedTarget, Config, cached_target::read_entry};

/// Where results of export targets are looked up.
pub trait TargetCache: Send + Sync {
    /// The entry under a key, if there is one that can be used: the file with the result.
    fn entry(&self, key: &CacheKey) -> Option<ObjectInfo>;

    /// The text of an entry.
    fn text(&self, entry: &ObjectInfo) -> Option<Vec<u8>>;

    /// Called if the entry under a key cannot be used.
    fn report_damaged(&self, key: &CacheKey, why: &str);
}

/// No cache: nothing is found.
pub struct NoTargetCache;

impl TargetCache for NoTargetCache {
    fn entry(&self, _: &CacheKey) -> Option<ObjectInfo> {
        None
    }

    fn text(&self, _: &ObjectInfo) -> Option<Vec<u8>> {
        None
    }

    fn report_damaged(&self, _: &CacheKey, _: &str) {}
}

/// The key of an export target: the digest of a text with all that determines its result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CacheKey(pub Digest);

impl CacheKey {
    /// The key whose text is this.
    pub fn of(text: &str, function: HashFunction) -> CacheKey {
        CacheKey(Digest { hash: function.blob(text.as_bytes()), size: text.len() as u64 })
    }

    /// As an object: the text is a file of the CAS.
    pub fn object(&self) -> ObjectInfo {
        ObjectInfo { digest: self.0, object_type: ObjectType::File }
    }
}

/// The text that the key is the digest of, in the reference's format: the key of the repository, the name in it, and
/// the configuration restricted to the flexible variables. `None` if the configuration is longer than 1 GiB as text.
pub fn key_text(repository: &ContentHash, target: &NamedTarget, config: &Config) -> Option<String> {
    // Values share parts, so a configuration of a few kilobytes can have a text without end; such a target is not
    // cached.
    const MAX_BYTES: usize = 1 << 30;
    let config = Value::Map(config.map().clone()).to_json_within(MAX_BYTES)?;
    let mut name = JsonWriter::compact();
    name.strings([&target.module, &target.name]);
    let mut writer = JsonWriter::pretty(2);
    writer.object(|w| {
        // The configuration as text inside of the text, as the reference has it (docs/store.md).
        w.key("effective_config").string(config);
        w.key("repo_key").string(repository.to_hex());
        w.key("target_name").string(name.finish());
    });
    Some(writer.finish())
}

/// The key of the repository that the text of a key names.
pub fn repository_of_key(text: &[u8]) -> Option<ContentHash> {
    let document = Document::parse("", text.to_vec()).ok()?;
    ContentHash::from_hex(document.root().get("repo_key")?.as_str()?).ok()
}

/// The bytes are specified in docs/store.md: the hash, then the size of the text.
impl Key for CacheKey {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.0.hash.as_bytes());
        out.extend(self.0.size.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<CacheKey> {
        let (hash, size) = bytes.split_last_chunk::<8>()?;
        Some(CacheKey(Digest { hash: ContentHash::from_bytes(hash)?, size: u64::from_le_bytes(*size) }))
    }
}

/// An entry that was found.
#[derive(Clone, Debug)]
pub struct CacheEntry {
    /// The file with it.
    pub object: ObjectInfo,
    /// Its content.
    pub target: CachedTarget,
}

/// Looks up entries of the target-level cache.
pub struct CacheEntryRule(pub Arc<dyn TargetCache>);

/// The hash of a lookup without a result. No entry has it: SHA-256 is never zero in practice.
fn absent() -> Hash {
    Hash::from(0)
}

impl CacheEntryRule {
    /// Whether this is the hash of a lookup that found nothing.
    pub fn is_absent(hash: Hash) -> bool {
        hash == absent()
    }
}

fn hash_of(entry: Option<&ObjectInfo>) -> Hash {
    match entry {
        None => absent(),
        Some(object) => Hash(Id::of(object.to_string()).0),
    }
}

impl Rule for CacheEntryRule {
    type Key = CacheKey;
    type Value = Option<Arc<CacheEntry>>;
    const NAME: &'static str = "cache entry";

    fn policy(&self, _: &CacheKey) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, key: &CacheKey, cx: Cx) -> Result<Option<Arc<CacheEntry>>, Fail> {
        // Empty, since `agrees` compares the hash alone; but set, since without a witness `agrees` is not called.
        cx.witness(Vec::new());
        let Some(object) = self.0.entry(key) else { return Ok(None) };
        let text = self.0.text(&object).ok_or_else(|| "the file with its result is damaged".to_owned());
        match text.and_then(|text| read_entry(&text)) {
            Ok(target) => Ok(Some(Arc::new(CacheEntry { object, target }))),
            Err(why) => {
                // A damaged entry counts as absent, with the hash of an absent one: each later build looks it up again
                // until it is replaced.
                self.0.report_damaged(key, &why);
                Ok(None)
            }
        }
    }

    fn content_hash(&self, _: &CacheKey, entry: &Option<Arc<CacheEntry>>) -> Option<Hash> {
        Some(hash_of(entry.as_ref().map(|entry| &entry.object)))
    }

    fn agrees(&self, key: &CacheKey, _: &[u8], hash: Hash) -> Agreement {
        // One small file is read for this, and not the result.
        if hash_of(self.0.entry(key).as_ref()) == hash { Agreement::Yes } else { Agreement::No }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text and its hash are those of just 1.6.5.
    #[test]
    fn keys_are_those_of_the_reference() {
        let repository = ContentHash::from_hex("b5063705e0d87dc2b1eb26a1fd345c29ae1d2f70").unwrap();
        let config = [("ARCH", Value::string("x86")), ("OTHER", Value::Null)].into_iter().collect();
        let text = key_text(&repository, &NamedTarget::new("lib", "", "eb"), &Config::new(config)).unwrap();
        let expected = r#"{
  "effective_config": "{\"ARCH\":\"x86\",\"OTHER\":null}",
  "repo_key": "b5063705e0d87dc2b1eb26a1fd345c29ae1d2f70",
  "target_name": "[\"\",\"eb\"]"
}"#;
        assert_eq!(text, expected);
        let object = CacheKey::of(&text, HashFunction::GitSha1).object();
        assert_eq!(object.to_string(), "[d1d2c3ad2e430aba7f87a3e7e3e279a9560a0f13:153:f]");
        assert_eq!(repository_of_key(text.as_bytes()), Some(repository));
        assert_eq!(repository_of_key(b"{}"), None);
        assert_eq!(repository_of_key(b"{"), None);
    }

    #[test]
    fn keys_are_written_as_specified() {
        let hash = ContentHash::from_hex("d1d2c3ad2e430aba7f87a3e7e3e279a9560a0f13").unwrap();
        let key = CacheKey(Digest { hash, size: 258 });
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        assert_eq!(bytes, [hash.as_bytes(), &[2, 1, 0, 0, 0, 0, 0, 0]].concat());
        assert_eq!(CacheKey::decode(&bytes), Some(key));
        assert!((0..bytes.len()).all(|end| CacheKey::decode(&bytes[..end]).is_none()));
    }
}
