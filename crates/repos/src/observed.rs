//! Reading a place of a root in a leaf, and comparing it with the evidence of an earlier call: together they look once.
//!
//! A leaf of which the evidence does not hold has to be read to be compared. Where it turns out to be different, the task
//! runs, which reads the same again: so what was read is handed over, with its evidence.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

use taut_engine::{Agreement, Cx};

use crate::{Look, Observed, Result, SourceRoot};

/// What was read to be compared and was different, for the tasks that read it next.
#[derive(Debug)]
pub struct Handover<K, T>(Mutex<HashMap<K, Handed<T>>>);

#[derive(Debug)]
struct Handed<T> {
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
        let handed = Handed { content, witness };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, handed);
    }

    fn take(&self, key: &K) -> Option<Handed<T>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // In a first build nothing is compared: then no key is hashed.
        if all.is_empty() { None } else { all.remove(key) }
    }

    /// Another build begins.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A place as leaves look at it.
#[derive(Clone, Copy)]
pub struct Seen<'p> {
    /// The root that it lies in.
    pub root: &'p dyn SourceRoot,
    /// Where in the root.
    pub path: &'p str,
    /// Whether a link there is followed.
    pub look: Look,
}

impl Seen<'_> {
    /// Reads it in a task, and leaves the evidence of it; takes what was handed over if it still looks the same. Tells
    /// whether it held still.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn observed<K: Eq + Hash, T, E>(
        self,
        cx: &Cx,
        (handover, key): (&Handover<K, T>, &K),
        mut read: impl FnMut() -> std::result::Result<T, E>,
    ) -> Result<(std::result::Result<T, E>, bool)> {
        let Seen { root, path, look } = self;
        if let Some(Handed { content, witness }) = handover.take(key)
            && root.looks_the_same(path, look, &witness)
        {
            cx.witness(witness);
            return Ok((Ok(content), true));
        }
        let mut content = None;
        let Observed { witness, is_steady } = root.observe(path, look, &mut || content = Some(read()))?;
        if let Some(witness) = witness {
            cx.witness(witness);
        }
        Ok((content.unwrap_or_else(read), is_steady))
    }

    /// Whether a task that left this evidence of it would come to the same again; `is_same` compares what was read, which
    /// is only done where the evidence does not hold.
    pub fn agrees<K: Eq + Hash + Clone, T, E>(
        self,
        witness: &[u8],
        (handover, key): (&Handover<K, T>, &K),
        mut read: impl FnMut() -> std::result::Result<T, E>,
        is_same: impl FnOnce(&T) -> bool,
    ) -> Agreement {
        let mut content = None;
        let read = &mut || content = read().ok();
        match self.root.observe_unless(self.path, self.look, witness, read) {
            Ok(None) => Agreement::Yes,
            Ok(Some(Observed { witness: Some(now), is_steady: true })) => match content {
                Some(content) if !is_same(&content) => {
                    handover.give(key.clone(), content, now);
                    Agreement::No
                }
                Some(_) if now == witness => Agreement::Yes,
                Some(_) => Agreement::YesBy(now),
                None => Agreement::No,
            },
            _ => Agreement::No,
        }
    }
}
