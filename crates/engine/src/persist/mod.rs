//! Traces that outlive the process: bound to tasks when they are first asked for, kept by a commit.
//!
//! One append-only file, read as a whole when the engine is opened, decoded task by task. Several processes
//! may have it open: each reads what the others added before it adds its own, under a lock held for that
//! moment only. Nothing in the file is believed of a leaf but what its rule confirms ([`crate::Rule::agrees`]):
//! nobody watched the world while no process ran.
#![allow(clippy::disallowed_methods, reason = "this crate stands alone")]

mod record;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::engine::Core;
use crate::facet::Looks;
use crate::node::{Edge, Hist, Mode, NodeId, Run, Seq, Unloaded};
use crate::sync::{Arc, Mutex, lock};
use crate::{Engine, Facets, Fail, Hash, Trace};
use record::{Batch, HEADER, Kept, MAGIC, Stored, StoredEdge, StoredRun};

/// A file is written anew when it is this many times as long as it would then be.
const SLACK: u64 = 3;

/// And longer than this.
const SMALL: u64 = 1 << 16;

/// The traces that an engine was opened with, and what is new.
pub(crate) struct Persist {
    path: PathBuf,
    state: Mutex<State>,
    /// Tasks whose runs are not as the file says.
    dirty: Mutex<Vec<NodeId>>,
    /// Tasks that were asked for from outside.
    wanted: Mutex<HashSet<NodeId>>,
    /// For how many days what nobody asks for is kept.
    days: u32,
}

#[derive(Default)]
struct State {
    stored: Stored,
    /// The number of the file that was read, and how far. Names and inodes are used again; this is not.
    file: Option<[u8; 16]>,
    read_to: u64,
    /// How long the file was when it was written anew.
    compact: u64,
    /// Numbers in the file of the tasks of this process.
    numbers: HashMap<NodeId, u32>,
    /// Whether anybody has looked at the file.
    is_read: bool,
    /// How many other files there were before this one: the numbers of each are its own.
    generation: u64,
}

impl State {
    /// There is another file, or none.
    fn forget(&mut self) {
        *self = State { generation: self.generation + 1, is_read: true, ..State::default() };
    }

    /// Reads what the file has that was not read yet; everything, if it is another file.
    fn catch_up(&mut self, path: &Path) -> io::Result<()> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.forget();
                return Ok(());
            }
            other => other?,
        };
        let metadata = file.metadata()?;
        let mut header = [0; HEADER];
        let is_ours = file.read_exact(&mut header).is_ok() && header.starts_with(MAGIC);
        let number = is_ours.then(|| header[16..32].try_into().expect("16 bytes"));
        if self.file != number || metadata.len() < self.read_to {
            self.forget();
            self.file = number;
            if !is_ours {
                return Ok(());
            }
            self.read_to = HEADER as u64;
            self.compact = u64::from_le_bytes(header[32..].try_into().expect("8 bytes"));
        }
        if self.read_to > 0 && metadata.len() > self.read_to {
            file.seek(SeekFrom::Start(self.read_to))?;
            let mut bytes = Vec::with_capacity((metadata.len() - self.read_to) as usize);
            file.read_to_end(&mut bytes)?;
            match self.stored.read(&bytes) {
                Some(sound) => self.read_to += sound as u64,
                None => self.forget(),
            }
        }
        Ok(())
    }
}

impl Persist {
    /// For the file at `path`, which is read when somebody asks for what is in it.
    pub(crate) fn new(path: &Path, days: u32) -> Persist {
        let (state, dirty, wanted) = (Mutex::default(), Mutex::default(), Mutex::default());
        Persist { path: path.to_owned(), state, dirty, wanted, days }
    }

    /// Notes that a task was asked for from outside.
    pub(crate) fn want(&self, node: NodeId) {
        lock(&self.wanted).insert(node);
    }

    /// Notes that a task's runs are not as the file says.
    pub(crate) fn touch(&self, node: NodeId) {
        lock(&self.dirty).push(node);
    }

    /// Where the file tells of a task.
    pub(crate) fn find(&self, rule: &str, key: impl FnOnce() -> Vec<u8>) -> Option<Unloaded> {
        let mut state = lock(&self.state);
        if !state.is_read {
            // Whatever is wrong with the file costs what it would have saved.
            if state.catch_up(&self.path).is_err() {
                state.forget();
            }
            state.is_read = true;
        }
        if state.stored.nodes.is_empty() {
            return None;
        }
        let number = state.stored.find(rule, &key())?;
        let versions = state.stored.nodes[number as usize].hashes.len() as u32;
        Some(Unloaded { generation: state.generation, number, versions })
    }

    /// What the file tells of kin: their keys, and where.
    pub(crate) fn kin(&self, rule: &str, kin: u64) -> Vec<(Arc<[u8]>, Unloaded)> {
        let state = lock(&self.state);
        let place = |number: &u32| {
            let node = &state.stored.nodes[*number as usize];
            let versions = node.hashes.len() as u32;
            (node.key.clone(), Unloaded { generation: state.generation, number: *number, versions })
        };
        state.stored.all_kin(rule, kin).iter().map(place).collect()
    }

    fn lock_file(&self) -> io::Result<File> {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.path.with_file_name(name))?;
        file.lock()?;
        Ok(file)
    }
}

impl Core {
    /// Fetches what the file knows of a task.
    pub(crate) fn load(&self, node: NodeId, place: Unloaded) {
        let Some(persist) = &self.persist else { return };
        let (hashes, facets, stored, deps) = {
            let state = lock(&persist.state);
            if state.generation != place.generation {
                drop(state);
                return lock(&self.node(node).hist).lose(place.versions);
            }
            let known = &state.stored.nodes[place.number as usize];
            let rules: Vec<Option<u16>> =
                state.stored.rules.iter().map(|name| self.rule_number(name)).collect();
            let deps: Vec<Vec<Dep>> = (known.runs.iter())
                .map(|run| {
                    let dep = |edge: &StoredEdge| {
                        let dep = &state.stored.nodes[edge.dep as usize];
                        let versions = dep.hashes.len() as u32;
                        let place = Unloaded { generation: state.generation, number: edge.dep, versions };
                        Dep { rule: rules[dep.rule as usize], key: dep.key.clone(), place }
                    };
                    run.edges.iter().map(dep).collect()
                })
                .collect();
            (known.hashes.clone(), known.facets.clone(), known.runs.clone(), deps)
        };
        let mut runs = Vec::with_capacity(stored.len());
        for (run, deps) in stored.into_iter().zip(deps) {
            runs.extend(self.bind(node, run, deps));
        }
        let mut hist = lock(&self.node(node).hist);
        hist.remember(hashes, facets, runs);
    }

    /// A stored run in terms of this process; `None` if something in it means nothing any more.
    fn bind(&self, node: NodeId, run: StoredRun, deps: Vec<Dep>) -> Option<Run> {
        let entry = self.node(node);
        let rule = self.rule(entry);
        let mut edges = Vec::with_capacity(deps.len());
        for (edge, dep) in run.edges.iter().zip(deps) {
            let mode = if edge.bits & 1 == 0 { Mode::Value } else { Mode::Hash };
            let number = dep.rule?;
            let dep = self.rule_at(number).intern_bytes(self, number, &dep.key, dep.place)?;
            let (seq, facets) = (Seq::new(edge.seq), edge.facets);
            edges.push(Edge { dep, seq, mode, facets, ends_group: edge.bits & 2 != 0 });
        }
        let fail = match &run.fail {
            None => None,
            Some(bytes) => Some(Fail::Task(rule.decode_failure(bytes)?)),
        };
        Some(Run {
            version: run.version,
            stamp: 0,
            edges: edges.into(),
            seq: Seq::new(run.seq),
            witness: run.witness,
            fail,
            value: None,
            bytes: run.value,
        })
    }
}

/// A task that a stored run read.
struct Dep {
    /// `None` if there is no such rule any more.
    rule: Option<u16>,
    key: Arc<[u8]>,
    place: Unloaded,
}

/// What [`Engine::commit`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Committed {
    /// Of how many tasks the kept runs changed.
    pub tasks: usize,
    /// How many bytes were written.
    pub bytes: u64,
}

impl Engine {
    /// Writes what is new to the file that the engine was opened with; nothing if it has none. To be called
    /// when no build runs, after whatever the values refer to is where it will be looked for.
    ///
    /// # Errors
    /// The file cannot be written; nothing of this commit counts then, and the next one tries again.
    pub fn commit(&self) -> io::Result<Committed> {
        let core = self.core();
        let Some(persist) = &core.persist else { return Ok(Committed::default()) };
        let mut dirty = std::mem::take(&mut *lock(&persist.dirty));
        dirty.sort_unstable();
        dirty.dedup();
        if dirty.is_empty() && lock(&persist.wanted).is_empty() {
            return Ok(Committed::default());
        }
        let written = write(core, persist, &dirty);
        if written.is_err() {
            lock(&persist.dirty).extend(dirty);
        }
        written
    }
}

fn write(core: &Core, persist: &Persist, dirty: &[NodeId]) -> io::Result<Committed> {
    let _one_at_a_time = persist.lock_file()?;
    let mut state = lock(&persist.state);
    let state = &mut *state;
    state.catch_up(&persist.path)?;
    let mut batch = Batch::default();
    for node in dirty {
        keep(core, state, &mut batch, *node);
    }
    let (day, wanted) = (today(), std::mem::take(&mut *lock(&persist.wanted)));
    for node in &wanted {
        let number = number(core, state, &mut batch, *node);
        // What has no runs needs no keeping.
        if !state.stored.nodes[number as usize].runs.is_empty() {
            state.stored.want(&mut batch, number, day);
        }
    }
    let mut committed = Committed { tasks: dirty.len(), bytes: 0 };
    if batch.is_empty() {
        return Ok(committed);
    }
    let bytes = batch.seal();
    let longer = state.read_to + bytes.len() as u64;
    let appended = if state.read_to == 0 {
        begin(state, &persist.path, &bytes)
    } else if longer > SMALL && longer > SLACK * state.compact.max(SMALL / SLACK) {
        rewrite(state, persist, day)
    } else {
        append(state, &persist.path, &bytes)
    };
    match appended {
        Ok(written) => committed.bytes = written,
        Err(error) => {
            lock(&persist.wanted).extend(wanted);
            // What was added to `stored` is not in the file: it has to be read again.
            state.forget();
            state.catch_up(&persist.path)?;
            return Err(error);
        }
    }
    Ok(committed)
}

/// Days since 1970.
fn today() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs() / 86_400).unwrap_or(u32::MAX)
}

fn append(state: &mut State, path: &Path, bytes: &[u8]) -> io::Result<u64> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    // What follows is not sound, else it would have been read.
    file.set_len(state.read_to)?;
    file.seek(SeekFrom::End(0))?;
    file.write_all(bytes)?;
    state.read_to += bytes.len() as u64;
    Ok(bytes.len() as u64)
}

/// Writes the file anew, next to the old one, and puts it in its place.
fn rewrite(state: &mut State, persist: &Persist, today: u32) -> io::Result<u64> {
    let (stored, batch) = state.stored.compact(today, persist.days);
    state.stored = stored;
    // What a process calls its tasks has nothing to do with their new numbers.
    (state.numbers, state.generation) = (HashMap::new(), state.generation + 1);
    begin(state, &persist.path, &batch)
}

/// Writes a file of what is in `batch`, which is all that is known, and puts it in the place of any other.
fn begin(state: &mut State, path: &Path, batch: &[u8]) -> io::Result<u64> {
    let number = [crate::engine::nonce(), state.generation ^ crate::engine::nonce().rotate_left(32)];
    let number: [u8; 16] = std::array::from_fn(|at| number[at / 8].to_le_bytes()[at % 8]);
    let length = (HEADER + batch.len()) as u64;
    let header = [&MAGIC[..], &number, &length.to_le_bytes()].concat();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let mut file = File::create(&temporary)?;
    file.write_all(&header)?;
    file.write_all(batch)?;
    // Else the name could outlive the content.
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    state.file = Some(number);
    (state.read_to, state.compact) = (length, length);
    Ok(length)
}

/// The number of a task in the file.
fn number(core: &Core, state: &mut State, batch: &mut Batch, node: NodeId) -> u32 {
    if let Some(number) = state.numbers.get(&node) {
        return *number;
    }
    let entry = core.node(node);
    let rule = core.rule(entry);
    let number = state.stored.node(batch, rule.name(), &rule.encode(&entry.key));
    state.numbers.insert(node, number);
    number
}

/// Brings what the file says of a task's runs up to date.
fn keep(core: &Core, state: &mut State, batch: &mut Batch, node: NodeId) {
    let entry = core.node(node);
    let rule = core.rule(entry);
    let (runs, versions) = {
        let hist = lock(&entry.hist);
        let stamp = core.declared_now(entry, &hist);
        // A run before a change that was declared since is no use to anybody; nor is one that was injected.
        let fits = |run: &&Run| run.stamp >= stamp && !hist.is_injected();
        let runs: Vec<Run> = hist.runs.iter().filter(fits).cloned().collect();
        let version = |run: &Run| Some((hist.hash_of(run.seq)?, hist.facets_of(run.seq).cloned()));
        let versions: Vec<Option<(Hash, Option<Looks>)>> = runs.iter().map(version).collect();
        (runs, versions)
    };
    let number_of_node = number(core, state, batch, node);
    let made_by_itself = runs.iter().any(|run| !core.is_by_kin(node, &run.edges));
    if let Some(kin) = core.kin(node).filter(|_| made_by_itself) {
        state.stored.kin(batch, number_of_node, kin);
    }
    let mut kept = Vec::new();
    for (run, version) in runs.iter().zip(versions) {
        let Some((hash, looks)) = version else { continue };
        let fail = match &run.fail {
            None => None,
            Some(Fail::Task(failure)) => match failure.encode() {
                Some(bytes) => Some(bytes.into()),
                None => continue,
            },
            Some(_) => continue,
        };
        let mut edges = Vec::with_capacity(run.edges.len());
        for edge in &*run.edges {
            let Some((hash, looks)) = version_of(core, state, edge) else { break };
            let dep = number(core, state, batch, edge.dep);
            let seq = state.stored.seq(batch, dep, hash);
            let partial = edge.facets != Facets::WHOLE;
            if let Some(looks) = looks.filter(|_| partial) {
                state.stored.facets(batch, dep, seq, &looks);
            }
            let bits =
                u8::from(edge.mode == Mode::Hash) | u8::from(edge.ends_group) << 1 | u8::from(partial) << 2;
            edges.push(StoredEdge { dep, seq, bits, facets: edge.facets });
        }
        if edges.len() < run.edges.len() {
            continue;
        }
        let value = match &run.value {
            Some(value) if entry.policy.trace == Trace::Constructive => {
                rule.encode_value(&entry.key, value).map(Arc::from)
            }
            _ => run.bytes.clone(),
        };
        let seq = state.stored.seq(batch, number_of_node, hash);
        if let Some(looks) = looks {
            state.stored.facets(batch, number_of_node, seq, &looks);
        }
        let witness = run.witness.clone();
        kept.push(StoredRun { version: run.version, seq, edges: edges.into(), fail, value, witness });
    }
    let old = &state.stored.nodes[number_of_node as usize].runs;
    if *old == kept {
        return;
    }
    let kept = kept.into_iter().map(|run| match old.iter().position(|old| *old == run) {
        Some(at) => Kept::Old(at as u32),
        None => Kept::New(run),
    });
    let kept = kept.collect();
    state.stored.runs(batch, number_of_node, kept);
}

/// The hash of the version that was read, and what its facets look like.
fn version_of(core: &Core, state: &State, edge: &Edge) -> Option<(Hash, Option<Looks>)> {
    let hist: &Hist = &lock(&core.node(edge.dep).hist);
    match hist.unloaded() {
        None => Some((hist.hash_of(edge.seq)?, hist.facets_of(edge.seq).cloned())),
        Some(place) if place.generation == state.generation => {
            let known = &state.stored.nodes[place.number as usize];
            let looks = known.facets.get(edge.seq.index()).cloned().flatten();
            Some((*known.hashes.get(edge.seq.index())?, looks))
        }
        Some(_) => None,
    }
}
