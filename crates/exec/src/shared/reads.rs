//! Results by what actions read, in a shared cache: as in [`crate::reads`], with keys of the standard form.

use std::{collections::BTreeSet, sync::Arc};

use taut_digest::{Digest, Hash};
use taut_proto::ActionResult;
use taut_service::{Buffer, Receiver};
use taut_store::Result;

use super::{
    CacheStep, Shared, message,
    packed::{Latest, Packed},
    standard::from_wire,
};
use crate::{
    Execution, RunKey, RunResult,
    reads::{DepfileInputs, MAX_LISTS, RecordedAction, list_text, parse_list, result_of_lists},
};

/// No list of inputs is longer, in bytes.
const MAX_LIST_BYTES: u64 = 16 << 20;

/// What an action read, to be stored.
pub(super) struct Reads {
    /// The key of the lists.
    first: Digest,
    /// The key of the result, for this list.
    second: Digest,
    list: Vec<u8>,
}

impl Shared {
    /// A key: the digest of the action in which only some inputs count; `None` if it has no standard form.
    fn key(
        &self,
        execution: &Execution,
        names: &DepfileInputs<'_>,
        read: &BTreeSet<taut_value::Str>,
        salt: Vec<u8>,
    ) -> Result<Option<Digest>> {
        let Some(standard) = self.standard() else { return Ok(None) };
        // Stored, since its name is looked up like any other.
        let empty = self.store.put_blob(b"", false)?;
        let Some(inputs) = standard.stage(&names.masked(read, empty))? else { return Ok(None) };
        // Other keys than those of whole actions, of the first kind and of the second: `salt` is different for each
        // list.
        let salt = [b"reads\0", &self.salt[..], b"\0\0", &salt].concat();
        Ok(Some(message::describe(execution, names.action, &inputs, &salt).action))
    }

    fn first(&self, execution: &Execution, names: &DepfileInputs<'_>) -> Result<Option<Digest>> {
        self.key(execution, names, &BTreeSet::new(), names.salt())
    }

    /// The result of a run with other inputs that read the same of them.
    pub(super) async fn by_reads(
        &self,
        execution: &Execution,
        key: &RunKey,
        names: &DepfileInputs<'_>,
    ) -> Result<Option<RunResult>> {
        let Some(first) = self.first(execution, names)? else { return Ok(None) };
        for (list, read) in self.lists(&first).await {
            let salt = names.salt_of_list(&list);
            let Some(second) = self.key(execution, names, &read, salt)? else { continue };
            // A miss under one list says nothing about the others.
            if let Ok(ran) = self.result(execution, key, &second).await? {
                return Ok(Some(RunResult { by_reads: true, ..ran }));
            }
        }
        Ok(None)
    }

    /// The lists under a key, with their hashes.
    async fn lists(&self, first: &Digest) -> Vec<(Hash, BTreeSet<taut_value::Str>)> {
        let result = match self.service.results.look_up(*first).await {
            Ok(result) => result.unwrap_or_default(),
            Err(error) => {
                self.note_failure(&error, CacheStep::LookUp);
                return Vec::new();
            }
        };
        let digests = result.output_files.iter().filter_map(|file| from_wire(file.digest.as_ref()?));
        // From a server that may say anything: neither the number of lists nor their length is taken from it unbounded.
        let digests = digests.filter(|digest| digest.size <= MAX_LIST_BYTES).take(MAX_LISTS);
        let buffers: Vec<(Digest, Arc<Buffer>)> = digests.map(|digest| (digest, Arc::default())).collect();
        let wanted = buffers.iter().map(|(digest, buffer)| (*digest, buffer.clone() as Arc<dyn Receiver>));
        if self.get(wanted.collect()).await.is_none() {
            return Vec::new();
        }
        let lists = buffers.into_iter();
        lists.filter_map(|(digest, buffer)| Some((digest.hash, parse_list(buffer.take())?))).collect()
    }

    /// What a run read, for the thread that stores results.
    pub(super) fn reads(
        &self,
        execution: &Execution,
        recorded: &RecordedAction<'_>,
    ) -> Result<Option<Reads>> {
        let RecordedAction { names, read } = recorded;
        let list = list_text(read).into_bytes();
        let salt = names.salt_of_list(&super::standard::digest_of(&list).hash);
        let (first, second) = (self.first(execution, names)?, self.key(execution, names, read, salt)?);
        Ok(first.zip(second).map(|(first, second)| Reads { first, second, list }))
    }
}

impl Reads {
    /// Adds what is to be stored: the list, and the result under the second key. What is under the first key depends on
    /// what is there ([`Latest`]).
    pub(super) fn pack(self, result: &ActionResult, packed: &mut Packed) {
        let Reads { first, second, list } = self;
        let list = packed.add(list);
        packed.results.push((second, result.clone()));
        packed.latest.push(Latest { key: first, new: list, as_result: result_of_lists });
    }
}
