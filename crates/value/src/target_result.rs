//! The result of a target: what it offers to its dependents.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use crate::{Id, JsonSize, JsonWriter, Map, deep};

/// Artifacts, runfiles and provided data of a target. Shared and immutable.
#[derive(Clone)]
pub struct TargetResult(Arc<ResultData>);

/// The three parts of a [`TargetResult`].
pub struct ResultData {
    /// Path to artifact: what the target produces.
    pub artifacts: Map,
    /// Path to artifact: what its dependents need at run time.
    pub runfiles: Map,
    /// Any values, by provider name.
    pub provides: Map,
    id: OnceLock<Id>,
}

impl TargetResult {
    /// A result of the given parts.
    pub fn new(artifacts: Map, runfiles: Map, provides: Map) -> Self {
        TargetResult(Arc::new(ResultData { artifacts, runfiles, provides, id: OnceLock::new() }))
    }

    /// A result whose runfiles are its artifacts, and that provides nothing.
    pub fn of_artifacts(artifacts: Map) -> Self {
        TargetResult::new(artifacts.clone(), artifacts, Map::default())
    }

    /// Whether no name occurs in any part.
    pub fn is_name_free(&self) -> bool {
        [&self.artifacts, &self.runfiles, &self.provides].into_iter().all(Map::is_name_free)
    }

    /// SHA-256 of `=` and the JSON text, in which nodes are written as their ids. If the text would be longer than 1
    /// GiB, which the reference cannot handle, SHA-256 of `==` and the ids of its parts.
    pub fn id(&self) -> Id {
        const DIRECT_TEXT_BYTES: usize = 1 << 22;
        const MAX_TEXT_BYTES: u64 = 1 << 30;
        *self.0.id.get_or_init(|| {
            deep(|| {
                // Written without measuring first: nearly all texts are short, and measuring needs the id of each
                // part.
                let mut writer = JsonWriter::limited(DIRECT_TEXT_BYTES);
                writer.result(self);
                if !writer.is_full() {
                    return Id::of(format!("={}", writer.finish()));
                }
                if JsonSize::default().result(self) <= MAX_TEXT_BYTES {
                    return Id::of(format!("={}", self.to_json()));
                }
                // JSON of a result begins with a brace, so `==` never begins the other form, and the two cannot
                // collide.
                let parts = [&self.artifacts, &self.provides, &self.runfiles];
                Id::of(["==".as_bytes(), parts.map(|part| part.id().0).as_flattened()].concat())
            })
        })
    }

    /// Minimal JSON text: `artifact_stage`, `provides`, `runfiles`.
    pub fn to_json(&self) -> String {
        let mut writer = JsonWriter::compact();
        writer.result(self);
        writer.finish()
    }
}

impl std::ops::Deref for TargetResult {
    type Target = ResultData;
    fn deref(&self) -> &ResultData {
        &self.0
    }
}

impl PartialEq for TargetResult {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.id() == other.id()
    }
}

impl Eq for TargetResult {}

impl fmt::Debug for TargetResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut writer = JsonWriter::limited(1 << 16);
        writer.result(self);
        f.write_str(&writer.finish())
    }
}
