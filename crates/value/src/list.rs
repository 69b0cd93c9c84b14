//! Lists of values.

use std::sync::{Arc, LazyLock, OnceLock};

use crate::{Id, Value, deep, value::nests};

/// A shared list of values.
///
/// Like empty maps, empty lists have no allocation: they are very common, and a shared one would make all threads
/// contend for its reference count.
#[derive(Clone, Default)]
pub struct List(Option<Arc<ListData>>);

struct ListData {
    items: Vec<Value>,
    name_free: bool,
    id: OnceLock<Id>,
}

impl List {
    /// The values.
    pub fn as_slice(&self) -> &[Value] {
        self.0.as_ref().map_or(&[], |data| &data.items)
    }

    /// The address of this list's data, which no other living data has; that of empty lists is the same for all.
    pub(crate) fn address(&self) -> usize {
        self.0.as_ref().map_or(0, |data| Arc::as_ptr(data) as usize)
    }

    pub(crate) fn is_name_free(&self) -> bool {
        self.0.as_ref().is_none_or(|data| data.name_free)
    }

    /// SHA-256 of `[` and the ids of the values.
    pub fn id(&self) -> Id {
        static EMPTY: LazyLock<Id> = LazyLock::new(|| Id::of("["));
        let Some(data) = &self.0 else { return *EMPTY };
        *data.id.get_or_init(|| {
            deep(|| {
                let mut ids = Vec::with_capacity(1 + 32 * self.len());
                ids.push(b'[');
                self.iter().for_each(|item| ids.extend_from_slice(&item.id().0));
                Id::of(ids)
            })
        })
    }
}

impl std::ops::Deref for List {
    type Target = [Value];
    fn deref(&self) -> &[Value] {
        self.as_slice()
    }
}

impl From<Vec<Value>> for List {
    fn from(items: Vec<Value>) -> Self {
        if items.is_empty() {
            return List(None);
        }
        // From the flags of the items, once: a check never walks down.
        let name_free = items.iter().all(Value::is_name_free);
        List(Some(Arc::new(ListData { items, name_free, id: OnceLock::new() })))
    }
}

impl FromIterator<Value> for List {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        List::from(items.into_iter().collect::<Vec<_>>())
    }
}

impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        // The length first, since an id that was not needed yet is expensive.
        self.address() == other.address() || (self.len() == other.len() && self.id() == other.id())
    }
}

impl Drop for ListData {
    fn drop(&mut self) {
        // Most lists have only atoms, for which the stack need not be checked.
        if self.items.iter().any(nests) {
            let items = std::mem::take(&mut self.items);
            deep(|| drop(items));
        }
    }
}
