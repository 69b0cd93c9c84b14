//! What builds had a server execute, for builds on other machines that ask why it had no result for them.
//!
//! At the end of a build, a blob with a line for each of these actions is stored at the server: the key of its outputs
//! (`latest`) and the digest of its `Action` message. The result under one key has such blobs of the latest builds. So
//! it is three calls a build, however many actions there are; the messages themselves are at the server anyway. Only
//! servers of the standard protocol that take results can have this; it is for people, and what goes wrong with it is
//! passed over.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use taut_digest::{Digest, Hash};
use taut_proto::{self as proto, Action, ActionResult, Message, OutputFile};
use taut_service::{ActionCache, Blob, Buffer, Cas, Receiver, Result};
use taut_value::ActionDescription;

use super::{
    latest::of_action,
    standard::{digest_of, from_wire, to_wire},
};

/// The key of the builds. What follows changes with the meaning.
const SALT: &[u8] = b"taut executed 1";

const SHA256_BYTES: usize = 32;

/// How many builds are kept.
const MAX_BUILDS: usize = 64;

/// How many actions of one build.
const MAX_ACTIONS: usize = 10_000;

/// No list of actions is longer, in bytes: two hashes and a number in each line.
// `MAX_ACTIONS` lines of two SHA-256 in hexadecimal and a size fit.
const MAX_LIST_BYTES: u64 = 2 << 20;

/// What a server has executed in this build.
#[derive(Default)]
pub(crate) struct ExecutedActions(Mutex<Vec<(Digest, Digest)>>);

impl ExecutedActions {
    /// Adds an action with the digest of its message.
    pub(crate) fn add(&self, action: &ActionDescription, digest: Digest) {
        // Of SHA-1: servers of the native protocol.
        if digest.hash.as_bytes().len() != SHA256_BYTES {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MAX_ACTIONS {
            all.push((of_action(action, digest).key, digest));
        }
    }

    /// Reports them to the server, if it takes results.
    ///
    /// # Errors
    /// It does not, or does not answer.
    pub(crate) async fn report(&self, cas: &dyn Cas, results: &dyn ActionCache) -> Result<()> {
        let executed = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if executed.is_empty() {
            return Ok(());
        }
        results.takes_results().await?;
        // Lines of text, not a message: so the blob can be read with the tools of any server.
        let mut list = String::new();
        for (key, action) in executed {
            let _ = writeln!(list, "{} {} {}", key.hash, action.hash, action.size);
        }
        let new = digest_of(list.as_bytes());
        let blob = Blob { digest: new, source: Arc::new(list.into_bytes()) };
        for answer in cas.put(vec![blob]).await? {
            answer?;
        }
        // Read, add, write, without a lock: two builds that end at once may lose one entry, which only an explanation
        // would miss.
        let there = results.look_up(key()).await?.unwrap_or_default().output_files;
        let older = there.into_iter().filter_map(|file| file.digest).filter(|older| *older != to_wire(&new));
        let builds = std::iter::once(to_wire(&new)).chain(older).take(MAX_BUILDS);
        results.store(key(), result_of_builds(builds)).await
    }
}

fn key() -> Digest {
    digest_of(&Action { salt: SALT.to_vec(), ..Action::default() }.encode_to_vec())
}

fn result_of_builds(builds: impl Iterator<Item = proto::Digest>) -> ActionResult {
    let file = |(number, digest)| OutputFile {
        path: format!("build-{number}"),
        digest: Some(digest),
        is_executable: false,
    };
    ActionResult { output_files: builds.enumerate().map(file).collect(), ..ActionResult::default() }
}

/// The latest actions with outputs of this key that a server has executed, each once, as builds have reported.
///
/// # Errors
/// It does not answer.
pub(crate) async fn executed(
    cas: &dyn Cas,
    results: &dyn ActionCache,
    outputs: &Digest,
) -> Result<Vec<Digest>> {
    let builds = results.look_up(key()).await?.unwrap_or_default().output_files;
    let builds = builds.iter().filter_map(|file| from_wire(file.digest.as_ref()?));
    // From a server that may say anything: neither their number nor their length is taken from it unbounded.
    let builds = builds.filter(|digest| digest.size <= MAX_LIST_BYTES).take(MAX_BUILDS);
    let lists: Vec<(Digest, Arc<Buffer>)> = builds.map(|digest| (digest, Arc::default())).collect();
    let wanted = lists.iter().map(|(digest, buffer)| (*digest, buffer.clone() as Arc<dyn Receiver>));
    let answers = cas.get(wanted.collect()).await?;
    let mut found = Vec::new();
    for ((_, buffer), _) in lists.iter().zip(answers).filter(|(_, answer)| answer.is_ok()) {
        let text = String::from_utf8(buffer.take()).unwrap_or_default();
        for (of, action) in text.lines().filter_map(parse) {
            if of == outputs.hash && !found.contains(&action) {
                found.push(action);
            }
        }
    }
    Ok(found)
}

fn parse(line: &str) -> Option<(Hash, Digest)> {
    let mut words = line.split(' ');
    let mut hash = || Hash::from_hex(words.next()?).ok().filter(|hash| hash.as_bytes().len() == SHA256_BYTES);
    let (outputs, action) = (hash()?, hash()?);
    Some((outputs, Digest { hash: action, size: words.next()?.parse().ok()? }))
}

#[cfg(test)]
mod tests {
    use taut_digest::HashFunction;
    use taut_service::{Memory, wait};

    use super::*;

    fn action(out: &str) -> ActionDescription {
        let mut action = ActionDescription::default();
        action.outs = vec![out.into()];
        action
    }

    /// The bytes are what `docs/store.md` says.
    #[test]
    fn the_key_of_builds_is_specified() {
        assert_eq!(key(), digest_of(b"\x4a\x0ftaut executed 1"));
    }

    #[test]
    fn the_latest_actions_with_the_same_outputs_are_found() {
        let memory = Memory::new(HashFunction::Sha256);
        let of = |text: &str| digest_of(text.as_bytes());
        for number in 0..MAX_BUILDS + 3 {
            let executed = ExecutedActions::default();
            executed.add(&action("o"), of(&number.to_string()));
            executed.add(&action("other"), of("other"));
            wait(executed.report(&memory, &memory)).unwrap();
            // What was reported is not reported again.
            let before = memory.result(&key().hash);
            wait(executed.report(&memory, &memory)).unwrap();
            assert_eq!(memory.result(&key().hash), before);
        }
        let outputs = of_action(&action("o"), of("")).key;
        let found = wait(executed(&memory, &memory, &outputs)).unwrap();
        let expected: Vec<Digest> = (3..MAX_BUILDS + 3).rev().map(|number| of(&number.to_string())).collect();
        assert_eq!(found, expected);
        // Lists that are lost or no lists are passed over.
        let lists: Vec<Hash> = memory.blobs();
        lists.iter().for_each(|list| memory.remove(list));
        memory.insert(lists[0], b"0 1 2\nx\n".to_vec());
        assert_eq!(wait(executed(&memory, &memory, &outputs)).unwrap(), []);
    }
}
