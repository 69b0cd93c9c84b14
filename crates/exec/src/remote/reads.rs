//! Results that a server has by what was read (`crate::reads`), for other checkouts and machines: looked up before an
//! action is executed, and stored at the end of a build, all at once.
//!
//! The keys are in the form of the store, which is that of the server's protocol. A server that takes no results has
//! none: `just execute`, and so the native protocol, is not asked.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use taut_digest::{Digest, HashFunction, ObjectType};
use taut_engine::Fail;
use taut_proto::ActionResult;
use taut_service::{Blob, Buffer, Executed, Receiver};
use taut_store::Store;
use taut_value::Str;

use super::{Endpoint, RemoteExecutor, RemoteRun, look_ups::LookUps};
use crate::{
    DepfileInputs, ResultSource, RunResult,
    reads::{KeptReads, MAX_LISTS, list_text, parse_list, result_of_lists},
    result_message::as_message,
};

/// No list of inputs is longer, in bytes.
const MAX_LIST_BYTES: u64 = 16 << 20;

/// How many results are stored at a time.
const MAX_BATCH: usize = 256;

/// A result to be stored by what was read.
struct PendingResult {
    first: Digest,
    second: Digest,
    list: Digest,
    text: Arc<Vec<u8>>,
    result: Arc<ActionResult>,
}

/// Results by what was read, of one server.
#[derive(Default)]
pub(super) struct ServerReads {
    look_ups: LookUps,
    /// Whether it was seen to take results.
    // Relaxed: set before the first action is executed, and what misses it is not stored.
    takes_results: AtomicBool,
    pending: Mutex<Vec<PendingResult>>,
}

impl ServerReads {
    /// Whether the server is asked for the next action.
    async fn is_next_asked(&self, endpoint: &Endpoint, naming: HashFunction) -> bool {
        let takes_results = endpoint.results.takes_results().await.is_ok();
        self.takes_results.store(takes_results, Relaxed);
        // Of the standard protocol, it may take results of others.
        (takes_results || naming == HashFunction::Sha256) && self.look_ups.is_next_asked()
    }

    /// Notes a result, to be stored at the end of the build.
    pub(super) fn add(
        &self,
        keys: &KeptReads<'_>,
        names: &DepfileInputs<'_>,
        read: &BTreeSet<Str>,
        result: &Arc<ActionResult>,
    ) -> taut_store::Result<()> {
        if !self.takes_results.load(Relaxed) {
            return Ok(());
        }
        let text = list_text(read).into_bytes();
        let list = Digest { hash: keys.store.hash_function().blob(&text), size: text.len() as u64 };
        let (first, second) = (keys.first(names)?, keys.second(names, &list.hash, read)?);
        if let Some((first, second)) = first.zip(second) {
            let at_server = |digest| keys.store.name_at_servers(&digest, false);
            let (first, second) = (at_server(first), at_server(second));
            let one = PendingResult { first, second, list, text: Arc::new(text), result: result.clone() };
            self.pending.lock().unwrap_or_else(PoisonError::into_inner).push(one);
        }
        Ok(())
    }

    /// Stores what was noted. What is under a first key is read, added to and written, without a lock: two builds that
    /// end at once may lose one list, which costs a run.
    ///
    /// # Errors
    /// The server does not answer, or takes no results.
    pub(super) async fn store(&self, endpoint: &Endpoint, store: &Store) -> taut_service::Result<()> {
        let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        for some in pending.chunks(MAX_BATCH) {
            let lists: HashMap<Digest, Blob> = (some.iter())
                .map(|one| {
                    let digest = store.name_at_servers(&one.list, false);
                    (digest, Blob { digest, source: one.text.clone() })
                })
                .collect();
            for answer in endpoint.cas.put(lists.into_values().collect()).await? {
                answer?;
            }
            // Each step for all at once; they wait for the answers only then. A list leads to a result that is there.
            let stored: Vec<_> =
                some.iter().map(|one| endpoint.results.store(one.second, (*one.result).clone())).collect();
            for answer in stored {
                answer.await?;
            }
            let there: Vec<_> = some.iter().map(|one| endpoint.results.look_up(one.first)).collect();
            let mut stored = Vec::new();
            for (one, there) in some.iter().zip(there) {
                let (there, new) = (there.await?, store.to_wire(&one.list, false));
                let older = there.clone().unwrap_or_default().output_files.into_iter();
                let older = older.filter_map(|file| file.digest).filter(|older| *older != new);
                let result = result_of_lists(&mut std::iter::once(new.clone()).chain(older));
                if there.is_none_or(|there| there.output_files != result.output_files) {
                    stored.push(endpoint.results.store(one.first, result));
                }
            }
            for answer in stored {
                answer.await?;
            }
        }
        Ok(())
    }
}

impl RemoteExecutor {
    /// The result that a server has of a run with other inputs that read the same of them. It is recorded here, too.
    pub(super) async fn by_reads(
        &self,
        run: &RemoteRun<'_>,
        names: &DepfileInputs<'_>,
    ) -> Result<Option<RunResult>, Fail> {
        let (number, endpoint, store) = (run.number, run.endpoint, &self.setup.store);
        let reads = &self.reads[number];
        if !reads.is_next_asked(endpoint, store.hash_function()).await {
            return Ok(None);
        }
        let in_store = |error| self.transfers.failed_in_store(error);
        let there = self.kept_there();
        let Some(first) = there.first(names).map_err(in_store)? else { return Ok(None) };
        for (list, read) in self.lists(endpoint, &first).await {
            let Some(second) = there.second(names, &list.hash, &read).map_err(in_store)? else { continue };
            let answer = endpoint.results.look_up(store.name_at_servers(&second, false)).await;
            // A server that does not answer is an error of the execution, which is asked for next.
            let Ok(Some(result)) = answer else { continue };
            if result.exit_code != 0 {
                continue;
            }
            let executed = Executed { result, was_cached: true, ..Executed::default() };
            let ran = self.transfers.taken(number, run.key, &executed).await?;
            let Some(ran) = ran.filter(RunResult::is_complete) else { continue };
            let result = as_message(store, names.action, &ran).map_err(in_store)?;
            self.kept_here(number).add(names, &read, &result).map_err(in_store)?;
            reads.look_ups.count_hit();
            self.count_hit(number);
            return Ok(Some(RunResult { taken_from: ResultSource::RemoteCache, by_reads: true, ..ran }));
        }
        reads.look_ups.count_miss();
        Ok(None)
    }

    /// The lists that a server has under a key; none if it does not answer.
    async fn lists(&self, endpoint: &Endpoint, first: &Digest) -> Vec<(Digest, BTreeSet<Str>)> {
        let store = &self.setup.store;
        let answer = endpoint.results.look_up(store.name_at_servers(first, false)).await;
        let Ok(Some(result)) = answer else { return Vec::new() };
        let digests = result.output_files.iter().filter_map(|file| store.from_wire(file.digest.as_ref()?));
        // From a server that may say anything: neither the number of lists nor their length is taken from it unbounded.
        let digests = digests.filter(|digest| digest.size <= MAX_LIST_BYTES).take(MAX_LISTS);
        let mut lists = Vec::new();
        for digest in digests {
            // The lists of some actions are equal, and those of earlier builds are here.
            let here = store.read_here(&digest.hash, ObjectType::File).ok().flatten();
            let text = match here {
                Some(text) => text,
                None => {
                    let buffer: Arc<Buffer> = Arc::default();
                    let name = store.name_at_servers(&digest, false);
                    let wanted = vec![(name, buffer.clone() as Arc<dyn Receiver>)];
                    let answer = endpoint.cas.get(wanted).await;
                    // What is damaged or lost counts as absent.
                    if !answer.is_ok_and(|answers| answers.iter().all(Result::is_ok)) {
                        continue;
                    }
                    store.count_fetched(digest.size);
                    buffer.take()
                }
            };
            lists.extend(parse_list(text).map(|read| (digest, read)));
        }
        lists
    }
}
