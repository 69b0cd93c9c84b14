//! The case as rules of the engine, and a file of kept runs in memory.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use taut_engine::{
    Agreement, Cx, Facets, Fail, Failure, Hash, Policy, Rule, Store, TraceFile, TraceRead, TraceWrite,
};

use super::case::{BROKEN, Case, FAILED, How, Look, OPAQUE, Step, Task, Value, WHOLE};

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Zero(pub(super) usize);

impl fmt::Display for Zero {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} fails", self.0)
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

pub(super) fn mix(sum: u64, seen: u64) -> u64 {
    sum.wrapping_mul(3).wrapping_add(seen).wrapping_add(1)
}

pub(super) fn number_of(value: Value) -> u64 {
    value[0] + value[1] * 100 + value[2] * 10_000
}

pub(super) fn value_of(number: u64) -> Value {
    [number % 100, number / 100 % 100, number / 10_000]
}

/// The value of a leaf with this content.
pub(super) fn content(key: usize, content: u64) -> Result<Value, Zero> {
    if content == BROKEN { Err(Zero(key)) } else { Ok([content % 3, content / 3 % 2, content / 6 % 2]) }
}

/// The result of a task that has seen this.
pub(super) fn result(task: &Task, key: usize, sum: u64) -> Result<Value, Zero> {
    let [a, b, c] = task.moduli;
    let value = [sum % a, sum / 2 % b, sum / 5 % c];
    if task.fails && value[0] == 0 { Err(Zero(key)) } else { Ok(value) }
}

/// The rules: the case, and what the leaves contain now.
#[derive(Clone)]
pub(super) struct World(pub(super) Arc<Case>, pub(super) Arc<Mutex<Vec<u64>>>);

pub(super) struct Leaves(pub(super) World);

impl Rule for Leaves {
    type Key = u64;
    type Value = Value;
    const NAME: &'static str = "L";

    fn policy(&self, key: &u64) -> Policy {
        Policy { runs: self.0.0.leaves[*key as usize].runs, ..Policy::leaf() }
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<Value, Fail> {
        let now = self.0.1.lock().unwrap()[*key as usize];
        if self.0.0.leaves[*key as usize].has_witness {
            cx.witness(now.to_le_bytes());
        }
        content(*key as usize, now).map_err(Fail::task)
    }

    fn content_hash(&self, _: &u64, value: &Value) -> Option<Hash> {
        Some(Hash::from(number_of(*value)))
    }

    fn facets(&self, _: &u64, value: &Value) -> Vec<Hash> {
        value[..2].iter().map(|number| Hash::from(*number)).collect()
    }

    fn agrees(&self, key: &u64, witness: &[u8], _: Hash) -> Agreement {
        match witness == self.0.1.lock().unwrap()[*key as usize].to_le_bytes() {
            true => Agreement::Yes,
            false => Agreement::No,
        }
    }

    fn decode_failure(&self, bytes: &[u8]) -> Option<Arc<dyn Failure>> {
        bytes.try_into().ok().map(|bytes| Arc::new(Zero(u64::from_le_bytes(bytes) as usize)) as _)
    }
}

pub(super) struct Tasks(pub(super) World);

impl Tasks {
    fn task(&self, key: u64) -> &Task {
        self.0.0.task(key as usize).expect("no leaf")
    }

    async fn hash_of(&self, cx: &Cx, dep: usize) -> u64 {
        let hash = match self.0.0.is_leaf(dep) {
            true => cx.hash_of::<Leaves>(dep as u64).await,
            false => cx.hash_of::<Tasks>(dep as u64).await,
        };
        match hash {
            Err(_) => FAILED,
            Ok(Some(hash)) if self.0.0.has_content_hash(dep) => {
                u64::from_le_bytes(*hash.0.first_chunk().expect("eight bytes"))
            }
            Ok(_) => OPAQUE,
        }
    }

    async fn step(&self, cx: &Cx, step: &Step, mut sum: u64) -> u64 {
        let (leaves, tasks): (Vec<_>, Vec<_>) =
            step.reads.iter().copied().partition(|(dep, _)| self.0.0.is_leaf(*dep));
        let keys = |reads: &[(usize, Look)]| reads.iter().map(|(dep, _)| *dep as u64).collect::<Vec<_>>();
        match step.how {
            How::Facets => {
                let of_leaves = cx.facets::<Leaves>(keys(&leaves)).await;
                let of_tasks = cx.facets::<Tasks>(keys(&tasks)).await;
                let looks = leaves.iter().chain(&tasks).map(|(_, look)| *look);
                for (value, look) in of_leaves.into_iter().chain(of_tasks).zip(looks) {
                    let Ok(value) = value else {
                        sum = mix(sum, FAILED);
                        continue;
                    };
                    sum = mix(sum, 9);
                    for facet in (0..2).filter(|facet| look & 1 << facet != 0) {
                        sum = mix(sum, value.at(Facets::of(facet))[facet]);
                    }
                    if look & WHOLE != 0 {
                        sum = mix(sum, number_of(*value.whole()));
                    } else if look == 0 {
                        value.at(Facets::NONE);
                    }
                }
            }
            How::Value => {
                let of_leaves = cx.all::<Leaves>(keys(&leaves)).await;
                for value in of_leaves.into_iter().chain(cx.all::<Tasks>(keys(&tasks)).await) {
                    sum = mix(sum, value.map_or(FAILED, number_of));
                }
            }
            How::Hash => {
                for (dep, _) in &step.reads {
                    sum = mix(sum, self.hash_of(cx, *dep).await);
                }
            }
            How::Depend => step.reads.iter().for_each(|(dep, _)| match self.0.0.is_leaf(*dep) {
                true => cx.depend::<Leaves>(*dep as u64),
                false => cx.depend::<Tasks>(*dep as u64),
            }),
        }
        sum
    }
}

impl Rule for Tasks {
    type Key = u64;
    type Value = Value;
    const NAME: &'static str = "T";

    fn policy(&self, key: &u64) -> Policy {
        let Task { runs, constructive, stored, deep, .. } = *self.task(*key);
        let policy = if constructive { Policy::constructive(runs) } else { Policy::verifying(runs) };
        let store = if stored { Store::Memory } else { Store::None };
        Policy { deep, ..policy }.stored(store)
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<Value, Fail> {
        let task = self.task(*key);
        let mut sum = 0;
        for step in &task.steps {
            if !(step.conditional && sum % 2 == 1) {
                sum = self.step(&cx, step, sum).await;
            }
        }
        result(task, *key as usize, sum).map_err(Fail::task)
    }

    fn content_hash(&self, key: &u64, value: &Value) -> Option<Hash> {
        self.task(*key).content_hash.then(|| Hash::from(number_of(*value)))
    }

    fn facets(&self, key: &u64, value: &Value) -> Vec<Hash> {
        let facets = if self.task(*key).has_facets { &value[..2] } else { &[] };
        facets.iter().map(|number| Hash::from(*number)).collect()
    }

    fn encode_value(&self, _: &u64, value: &Value) -> Option<Vec<u8>> {
        Some(number_of(*value).to_le_bytes().to_vec())
    }

    fn decode_value(&self, _: &u64, bytes: &[u8]) -> Option<Value> {
        bytes.try_into().ok().map(|bytes| value_of(u64::from_le_bytes(bytes)))
    }

    fn decode_failure(&self, bytes: &[u8]) -> Option<Arc<dyn Failure>> {
        bytes.try_into().ok().map(|bytes| Arc::new(Zero(u64::from_le_bytes(bytes) as usize)) as _)
    }
}

type Bytes = Arc<Mutex<Vec<u8>>>;

/// A file of kept runs in memory: it outlives engines.
#[derive(Clone, Default)]
pub(super) struct InMemory(Arc<Mutex<Option<Bytes>>>);

struct Reading(Bytes);

impl TraceFile for InMemory {
    fn open(&self) -> io::Result<Box<dyn TraceRead>> {
        let file = self.0.lock().unwrap().clone().ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Reading(file)))
    }

    fn lock(&self) -> io::Result<Box<dyn TraceWrite + '_>> {
        Ok(Box::new(self.clone()))
    }
}

impl TraceRead for Reading {
    fn length(&mut self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let file = self.0.lock().unwrap();
        let rest = file.get(at as usize..).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl TraceWrite for InMemory {
    fn append(&mut self, end: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.0.lock().unwrap().clone().ok_or(io::ErrorKind::NotFound)?;
        let mut file = file.lock().unwrap();
        file.truncate(end as usize);
        file.extend(bytes);
        Ok(())
    }

    fn replace(&mut self, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut bytes = Vec::new();
        write(&mut bytes)?;
        *self.0.lock().unwrap() = Some(Arc::new(Mutex::new(bytes)));
        Ok(())
    }
}
