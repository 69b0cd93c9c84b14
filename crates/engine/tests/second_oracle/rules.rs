//! The case as rules of the engine, by its public interface.

use super::case::{Case, Kind, Place, Task, What};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use taut_engine::{
    Agreement, Cancel, Content, Curr, Cx, Deep, Fail, Failure, Hash, HashCx, Interned, Policy, Rule, Store,
};

/// What a failure that was read counts as.
pub(crate) const FAILED: u64 = 77;
/// What a hash counts as from which the value cannot be derived.
pub(crate) const OPAQUE: u64 = 5;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Zero(pub usize);

impl fmt::Display for Zero {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} is zero", self.0)
    }
}

impl Failure for Zero {
    fn hash(&self) -> Option<Hash> {
        Some(Hash::from(self.0 as u64))
    }

    fn encode(&self) -> Option<Vec<u8>> {
        Some((self.0 as u64).to_le_bytes().to_vec())
    }
}

/// Mixes what was read into what was read before.
pub(crate) fn mix(sum: u64, read: u64) -> u64 {
    sum.wrapping_mul(3).wrapping_add(read).wrapping_add(1)
}

/// The outside world.
#[derive(Default)]
pub(crate) struct World {
    /// `None`: fails for now.
    pub(crate) leaves: Vec<Option<u64>>,
    /// How often a leaf changed in a way that changes its witness.
    pub(crate) times: Vec<u64>,
    /// What lies in the files of tasks.
    pub(crate) files: HashMap<usize, u64>,
    /// Cancels after this many more requests for values.
    pub(crate) cancel: Option<(usize, Cancel)>,
}

impl World {
    pub(crate) fn new(leaves: &[u64]) -> World {
        let times = vec![0; leaves.len()];
        World { leaves: leaves.iter().copied().map(Some).collect(), times, ..World::default() }
    }

    /// Cancels, if it is time.
    fn is_asked(world: &Mutex<World>) {
        let cancel = match &mut world.lock().unwrap().cancel {
            Some((0, cancel)) => Some(cancel.clone()),
            Some((more, _)) => {
                *more -= 1;
                None
            }
            None => None,
        };
        cancel.iter().for_each(Cancel::cancel);
    }
}

/// Whether a leaf leaves evidence of what it saw.
pub(crate) fn has_witness(leaf: usize) -> bool {
    leaf.is_multiple_of(2)
}

/// The leaves.
pub(crate) struct Leaves(pub(crate) Arc<Mutex<World>>);

impl Rule for Leaves {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "L";

    fn policy(&self, _: &u64) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        let leaf = *key as usize;
        World::is_asked(&self.0);
        let (value, time) = {
            let world = self.0.lock().unwrap();
            (world.leaves[leaf], world.times[leaf])
        };
        if has_witness(leaf) {
            cx.witness(time.to_le_bytes());
        }
        value.ok_or_else(|| Fail::transient("not now".to_owned()))
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn agrees(&self, key: &u64, witness: &[u8], _: Hash) -> Agreement {
        let time = self.0.lock().unwrap().times[*key as usize];
        if witness == time.to_le_bytes() { Agreement::Yes } else { Agreement::No }
    }

    fn encode_value(&self, _: &u64, value: &u64) -> Option<Vec<u8>> {
        Some(value.to_le_bytes().to_vec())
    }

    fn decode_value(&self, _: &u64, bytes: &[u8]) -> Option<u64> {
        bytes.try_into().ok().map(u64::from_le_bytes)
    }
}

/// What a task mentions.
#[derive(Debug)]
pub(crate) struct Note(pub(crate) u64);

/// The content for a task named and a sum.
pub(crate) fn note(dep: usize, sum: u64) -> u64 {
    dep as u64 * 1_000 + sum % 3
}

impl Interned for Note {
    const NAME: &'static str = "N";

    fn hash(&self) -> Hash {
        Hash::from(self.0)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.0.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Note> {
        bytes.try_into().ok().map(|bytes| Note(u64::from_le_bytes(bytes)))
    }
}

/// All tasks but the leaves.
pub(crate) struct Tasks {
    pub(crate) case: Arc<Case>,
    pub(crate) world: Arc<Mutex<World>>,
}

/// What was collected, as a number: tasks in order, each once, and contents.
pub(crate) fn summed(tasks: impl Iterator<Item = usize>, notes: &BTreeSet<u64>) -> u64 {
    let mut seen = BTreeSet::new();
    let tasks = tasks.filter(|task| seen.insert(*task)).fold(1, |sum, task| mix(sum, task as u64));
    notes.iter().fold(tasks, |sum, note| mix(sum, *note)) % 10_007
}

/// Whether a task is stored nowhere.
pub(crate) fn is_nowhere(case: &Case, task: usize) -> bool {
    task.checked_sub(case.leaves.len()).is_some_and(|at| case.tasks[at].place == Place::Nowhere)
}

type Asked<T> = Pin<Box<dyn Future<Output = Result<T, Fail>> + Send>>;

/// Whether the value of a task can be derived from its hash.
pub(crate) fn hash_is_value(case: &Case, task: usize) -> bool {
    match task.checked_sub(case.leaves.len()) {
        None => true,
        Some(at) => case.tasks[at].kind != Kind::Unhashed && case.tasks[at].place != Place::Nowhere,
    }
}

fn number(hash: Option<Hash>) -> u64 {
    let hash = hash.expect("a task whose hash is its value has a hash");
    u64::from_le_bytes(hash.0[..8].try_into().expect("eight bytes"))
}

impl Tasks {
    fn task(&self, key: usize) -> &Task {
        &self.case.tasks[key - self.case.leaves.len()]
    }

    fn is_leaf(&self, key: usize) -> bool {
        key < self.case.leaves.len()
    }

    fn get(&self, cx: &Cx, dep: usize) -> Asked<u64> {
        match self.is_leaf(dep) {
            true => Box::pin(cx.get::<Leaves>(dep as u64)),
            false => Box::pin(cx.get::<Tasks>(dep as u64)),
        }
    }

    fn start(&self, cx: &Cx, dep: usize) -> Asked<u64> {
        match self.is_leaf(dep) {
            true => Box::pin(cx.start::<Leaves>(dep as u64)),
            false => Box::pin(cx.start::<Tasks>(dep as u64)),
        }
    }

    fn order(&self, cx: &Cx, dep: usize) -> Asked<()> {
        match self.is_leaf(dep) {
            true => Box::pin(cx.order::<Leaves>(dep as u64)),
            false => Box::pin(cx.order::<Tasks>(dep as u64)),
        }
    }

    /// The hash of another task, as a number.
    async fn look(&self, cx: &Cx, dep: usize) -> u64 {
        let asked: Asked<Option<Hash>> = match self.is_leaf(dep) {
            true => Box::pin(cx.hash_of::<Leaves>(dep as u64)),
            false => Box::pin(cx.hash_of::<Tasks>(dep as u64)),
        };
        match asked.await {
            Err(_) => FAILED,
            Ok(hash) if hash_is_value(&self.case, dep) => number(hash),
            Ok(_) => OPAQUE,
        }
    }

    /// What lies below some tasks, as a number.
    async fn collect(&self, cx: &Cx, deps: &[usize]) -> Result<u64, Fail> {
        for dep in deps {
            self.look(cx, *dep).await;
        }
        let roots =
            deps.iter().filter(|dep| !is_nowhere(&self.case, **dep)).map(|dep| match self.is_leaf(*dep) {
                true => cx.task::<Leaves>(*dep as u64),
                false => cx.task::<Tasks>(*dep as u64),
            });
        let below = cx.collect_two::<Tasks, Content<Note>>(roots.collect()).await;
        let (tasks, notes) = below.ok_or_else(|| Fail::transient("it is not known".to_owned()))?;
        let notes = notes.into_iter().map(|note| number(Some(note))).collect();
        Ok(summed(tasks.into_iter().map(|task| task as usize), &notes))
    }

    /// Runs a task's script. `apart`: by hashes wherever these are enough.
    async fn script(&self, key: usize, cx: &Cx, apart: bool) -> Result<u64, Fail> {
        let task = self.task(key);
        let mut sum = 0;
        for step in &task.steps {
            if step.conditional && sum % 2 == 1 {
                continue;
            }
            let deps = || step.deps.iter().copied();
            match step.what {
                What::Value | What::Start if apart => {
                    for dep in &step.deps {
                        sum = mix(
                            sum,
                            match hash_is_value(&self.case, *dep) {
                                true => self.look(cx, *dep).await,
                                false => self.get(cx, *dep).await.unwrap_or(FAILED),
                            },
                        );
                    }
                }
                What::Value => {
                    let (leaves, tasks): (Vec<usize>, Vec<usize>) =
                        deps().partition(|dep| self.is_leaf(*dep));
                    let keys = |deps: Vec<usize>| deps.into_iter().map(|dep| dep as u64).collect();
                    let leaves = cx.all::<Leaves>(keys(leaves)).await;
                    for read in leaves.into_iter().chain(cx.all::<Tasks>(keys(tasks)).await) {
                        sum = mix(sum, read.unwrap_or(FAILED));
                    }
                }
                What::Start => {
                    let mut started: Vec<_> = deps().map(|dep| self.start(cx, dep)).collect();
                    let mut reads = Vec::new();
                    while let Some(last) = started.pop() {
                        reads.push(last.await.unwrap_or(FAILED));
                    }
                    sum = reads.into_iter().rev().fold(sum, mix);
                }
                What::Collect => sum = mix(sum, self.collect(cx, &step.deps).await?),
                What::Hash => {
                    for dep in &step.deps {
                        sum = mix(sum, self.look(cx, *dep).await);
                    }
                }
                What::Begun => {
                    for dep in deps() {
                        // What is stored nowhere is executed for each request, and it is not known when.
                        let is_nowhere = !self.is_leaf(dep) && self.task(dep).place == Place::Nowhere;
                        let started = (!is_nowhere).then(|| self.start(cx, dep));
                        // Sometimes the request is dropped first.
                        let started = started.filter(|_| dep.is_multiple_of(2));
                        let _ = self.order(cx, dep).await;
                        drop(started);
                    }
                }
                What::Order => {
                    for dep in deps() {
                        // What came of it must not matter: a run that does not mention it is replayed.
                        let _ = self.order(cx, dep).await;
                    }
                }
                What::Mention => deps().for_each(|dep| {
                    cx.mention(Note(note(dep, sum)));
                }),
                What::Depend => deps().for_each(|dep| match self.is_leaf(dep) {
                    true => cx.depend::<Leaves>(dep as u64),
                    false => cx.depend::<Tasks>(dep as u64),
                }),
            }
        }
        let result = sum % task.modulus;
        if task.fails && result == 0 { Err(Fail::task(Zero(key))) } else { Ok(result) }
    }
}

impl Rule for Tasks {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "T";

    fn policy(&self, key: &u64) -> Policy {
        let task = self.task(*key as usize);
        let policy = match task.constructive {
            true => Policy::constructive(task.runs),
            false => Policy::verifying(task.runs),
        };
        let policy = if task.fixed { policy.with_fixed_reads() } else { policy };
        let policy = Policy {
            deep: match (task.only, task.deep) {
                (true, _) => Deep::Only,
                (_, true) => Deep::First,
                _ => Deep::No,
            },
            ..policy
        };
        policy.stored(match task.place {
            Place::Memory => Store::Memory,
            Place::File => Store::File,
            Place::Nowhere => Store::None,
        })
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        let key = *key as usize;
        World::is_asked(&self.world);
        let value = self.script(key, &cx, false).await?;
        if self.task(key).place == Place::File {
            self.world.lock().unwrap().files.insert(key, value);
        }
        Ok(value)
    }

    fn content_hash(&self, key: &u64, value: &u64) -> Option<Hash> {
        let unhashed = self.task(*key as usize).kind == Kind::Unhashed;
        (!unhashed).then(|| Hash::from(*value))
    }

    fn hash(&self, key: &u64, cx: HashCx<Self>) -> impl Future<Output = Result<Hash, Fail>> + Send {
        let key = *key as usize;
        let own: Pin<Box<dyn Future<Output = Result<Hash, Fail>> + Send + '_>> = match self.task(key).kind {
            Kind::Apart => Box::pin(async move { self.script(key, &cx, true).await.map(Hash::from) }),
            Kind::FromValue => Box::pin(async move { cx.value().await.map(Hash::from) }),
            _ => Box::pin(cx.by_store()),
        };
        own
    }

    fn share_key(&self, key: &u64) -> Option<u64> {
        self.case.share_key(*key as usize).map(|share_key| share_key as u64)
    }

    fn serves(&self, _: &u64, _: &u64, _: &u64) -> bool {
        // They do the same.
        true
    }

    fn encode_value(&self, _: &u64, value: &u64) -> Option<Vec<u8>> {
        Some(value.to_le_bytes().to_vec())
    }

    fn decode_value(&self, _: &u64, bytes: &[u8]) -> Option<u64> {
        bytes.try_into().ok().map(u64::from_le_bytes)
    }

    fn decode_failure(&self, bytes: &[u8]) -> Option<Arc<dyn Failure>> {
        let task = u64::from_le_bytes(bytes.try_into().ok()?);
        Some(Arc::new(Zero(task as usize)))
    }

    fn curr(&self, key: &u64) -> Curr<u64> {
        match self.world.lock().unwrap().files.get(&(*key as usize)).copied() {
            None => Curr::None,
            Some(value) => Curr::There { value, hash: Box::new(move || Some(Hash::from(value))) },
        }
    }
}
