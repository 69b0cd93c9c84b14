//! Where the file tells of tasks, for who remembers many of them from one call to the next.
//!
//! To ask for a task by its key takes the key, a look into an index and a node. Who remembers that task 17 of the
//! file had a certain hash can ask for the hash at 17 instead: a look into a table. It is told only what the build
//! has found out anyway; nothing is decided for it.
//!
//! Only what the file begins with has places: that part never changes, and copies of it are told apart from no
//! other, while what is added to a file and to a copy of it goes by the same numbers.

use super::Persist;
use super::walk::Look;
use crate::Hash;
use crate::graph::core::Core;
use crate::graph::ids::NodeId;
use crate::schedule::inner::Inner;
use crate::sync::lock;

/// Names what a file of kept runs begins with. Places in one mean nothing in another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileId(pub [u8; 16]);

impl Core {
    /// The file that the engine goes by, if there is one that can be read. Another process or a commit may put
    /// another one in its place.
    pub(crate) fn file(&self) -> Option<FileId> {
        let persist = self.persist()?;
        let mut state = lock(&persist.state);
        state.stored(&*persist.file);
        state.file.map(|header| FileId(header.number))
    }

    /// The place of a task in that file, if it has one that this process knows.
    pub(crate) fn place_of(&self, node: NodeId) -> Option<u32> {
        self.persist()?.place_of(self, node)
    }
}

impl Persist {
    fn place_of(&self, core: &Core, node: NodeId) -> Option<u32> {
        let mut state = lock(&self.state);
        let places = state.stored(&*self.file).begins_with();
        let known = number_of(core, &state.numbers, state.generation, node);
        known.filter(|place| *place < places)
    }
}

/// The number of a task in the file of a generation, by what this process noted in `numbers` or was told of the task.
pub(super) fn number_of(core: &Core, numbers: &[u32], generation: u64, node: NodeId) -> Option<u32> {
    let noted = numbers.get(node as usize).and_then(|number| number.checked_sub(1));
    let place = || lock(&core.node(node).hist).place();
    noted.or_else(|| Some(place().filter(|place| place.generation == generation)?.number))
}

impl Inner {
    /// The hashes of the tasks at these places of a file, as far as this build found them good by what the file
    /// says alone. `None` for all others: they changed, or nobody asked, or it is another file.
    pub(crate) fn hashes_at(&self, file: FileId, places: &[u32]) -> Vec<Option<Hash>> {
        let nothing = || vec![None; places.len()];
        let Some(persist) = self.engine.persist() else { return nothing() };
        let generation = {
            let state = lock(&persist.state);
            if state.file.is_none_or(|header| header.number != file.0) {
                return nothing();
            }
            state.generation
        };
        let Some(stored) = persist.told(generation) else { return nothing() };
        let walk = &mut *lock(&persist.walk);
        let Some(look) = Look::again(self, &stored, generation, walk) else { return nothing() };
        let is_place = |place: &u32| *place < stored.begins_with();
        let hash = |place: &u32| look.hash(Some(*place).filter(is_place)?);
        let hashes = places.iter().map(hash).collect();
        if stored.is_damaged() {
            persist.condemn(generation);
            return nothing();
        }
        hashes
    }
}
