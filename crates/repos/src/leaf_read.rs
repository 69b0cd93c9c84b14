//! Reading a path of a root in a leaf, and comparing it with the evidence of an earlier build: both together read the
//! file once.
//!
//! If the evidence of a leaf no longer holds, the file has to be read to compare its content. If the content has
//! changed, the task runs, which would read the same file again: so the content is handed over to it, with its
//! evidence.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

use taut_engine::{Agreement, Cx};

use crate::{Observation, Result, SourceRoot, Symlinks};

/// Contents that were read by a comparison and had changed, for the tasks that run next.
#[derive(Debug)]
// Bounded by what one build finds changed; emptied when the next begins.
pub struct Handover<K, T>(Mutex<HashMap<K, HandedContent<T>>>);

#[derive(Debug)]
struct HandedContent<T> {
    content: T,
    witness: Vec<u8>,
}

impl<K, T> Default for Handover<K, T> {
    fn default() -> Handover<K, T> {
        Handover(Mutex::default())
    }
}

impl<K: Eq + Hash, T> Handover<K, T> {
    fn give(&self, key: K, content: T, witness: Vec<u8>) {
        let handed = HandedContent { content, witness };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, handed);
    }

    fn take(&self, key: &K) -> Option<HandedContent<T>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // In a first build nothing is compared: the check saves hashing each key.
        if all.is_empty() { None } else { all.remove(key) }
    }

    /// Drops the contents, since another build begins.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A read of a path below a root.
#[derive(Clone, Copy)]
pub struct LeafRead<'p> {
    /// The root.
    pub root: &'p dyn SourceRoot,
    /// The path below the root.
    pub path: &'p str,
    /// Whether a link there is followed.
    pub symlinks: Symlinks,
}

impl LeafRead<'_> {
    /// Reads the path in a task, and records its evidence as the task's witness; uses the content that was handed over
    /// if the path is still unchanged. Returns also whether it did not change during the read.
    ///
    /// # Errors
    /// The path cannot be looked at.
    pub fn read_with_witness<K: Eq + Hash, T, E>(
        self,
        cx: &Cx,
        (handover, key): (&Handover<K, T>, &K),
        mut read: impl FnMut() -> std::result::Result<T, E>,
    ) -> Result<(std::result::Result<T, E>, bool)> {
        let LeafRead { root, path, symlinks } = self;
        if let Some(HandedContent { content, witness }) = handover.take(key)
            // The comparison may be some time ago: the path could have changed since.
            && root.holds_in_process(path, symlinks, &witness)
        {
            cx.witness(witness);
            return Ok((Ok(content), true));
        }
        let mut content = None;
        let Observation { witness, is_steady } =
            root.observe(path, symlinks, &mut || content = Some(read()))?;
        if let Some(witness) = witness {
            // The evidence belongs to what was read: a later change makes the next build read again.
            cx.witness(witness);
        }
        // If the root did not call `read`, it is called here. The evidence is older than the content then, which is
        // safe.
        Ok((content.unwrap_or_else(read), is_steady))
    }

    /// Whether the task that recorded this evidence would have the same result now. The path is read, and compared by
    /// `is_same`, only if the evidence no longer holds; if the content is the same all the same, the agreement has the
    /// new evidence.
    pub fn agrees<K: Eq + Hash + Clone, T, E>(
        self,
        witness: &[u8],
        (handover, key): (&Handover<K, T>, &K),
        mut read: impl FnMut() -> std::result::Result<T, E>,
        is_same: impl FnOnce(&T) -> bool,
    ) -> Agreement {
        let mut content = None;
        // A read that fails does not agree: the task runs, reads again, and reports the error.
        let read = &mut || content = read().ok();
        match self.root.observe_unless(self.path, self.symlinks, witness, read) {
            Ok(None) => Agreement::Yes,
            Ok(Some(Observation { witness: Some(now), is_steady: true })) => match content {
                Some(content) if !is_same(&content) => {
                    handover.give(key.clone(), content, now);
                    Agreement::No
                }
                // The witness is written again only if it differs: the engine's file grows with each `YesBy`.
                Some(_) if now == witness => Agreement::Yes,
                Some(_) => Agreement::YesBy(now),
                None => Agreement::No,
            },
            // A path that changes while it is read, or cannot be looked at: the task decides.
            _ => Agreement::No,
        }
    }
}
