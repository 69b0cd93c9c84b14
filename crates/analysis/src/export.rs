//! What the target-level cache has of an export target.

use taut_digest::{ObjectInfo, ObjectType};
use taut_value::{Decoder, Encoder};

use crate::CacheKey;

/// What the target-level cache has of an export target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Export {
    /// It has no key: the content of its repository is not fixed.
    NotEligible,
    /// There is no entry under its key: it was analysed, and is cached once it is built.
    Uncached(CacheKey),
    /// Its result was taken from an entry, the file with the result.
    Cached(CacheKey, ObjectInfo),
}

impl Export {
    /// Its key, if it has one.
    pub fn key(&self) -> Option<&CacheKey> {
        match self {
            Export::NotEligible => None,
            Export::Uncached(key) | Export::Cached(key, _) => Some(key),
        }
    }

    /// The bytes are specified in docs/store.md: 0, no export target; 1, not eligible; 2, the object of the key; 3,
    /// that and the entry.
    pub(crate) fn encode(export: Option<&Export>, e: &mut Encoder) {
        e.number(match export {
            None => 0,
            Some(Export::NotEligible) => 1,
            Some(Export::Uncached(_)) => 2,
            Some(Export::Cached(..)) => 3,
        });
        if let Some(key) = export.and_then(Export::key) {
            e.object(&key.object());
        }
        if let Some(Export::Cached(_, entry)) = export {
            e.object(entry);
        }
    }

    /// Decodes [`Export::encode`].
    pub(crate) fn decode(d: &mut Decoder<'_>) -> Option<Option<Export>> {
        let key = |d: &mut Decoder<'_>| -> Option<CacheKey> {
            // The text of a key is stored as a file; anything else is damage.
            let ObjectInfo { digest, object_type: ObjectType::File } = d.object()? else { return None };
            Some(CacheKey(digest))
        };
        Some(match d.number()? {
            0 => None,
            1 => Some(Export::NotEligible),
            2 => Some(Export::Uncached(key(d)?)),
            3 => Some(Export::Cached(key(d)?, d.object()?)),
            _ => return None,
        })
    }
}
