//! Deep traces: a result and the terminal inputs of everything it was made from.
//!
//! Where all tasks in between are functions of what they read, a result follows from what the leaves saw:
//! whoever finds that each of them would see the same again has the result, without a look at any task in
//! between. That is the cheapest derivation there is for a root, and it needs nothing else to be kept. As
//! bytes it outlives the process; damaged bytes are no trace.

use crate::graph::core::Core;
use crate::graph::fail::guarded;
use crate::graph::ids::Seq;
use crate::graph::node::Node;
use crate::persist::StoredLeaf;
use crate::sync::lock;
use crate::{Agreement, Build, Engine, Hash, KeyRef, Rule};

/// What a leaf saw, as far as a later process needs to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terminal {
    /// The rule's name and version.
    pub rule: (String, u32),
    /// The key, as [`crate::Key::encode`] has it.
    pub key: Vec<u8>,
    /// What the leaf left with [`crate::Cx::witness`].
    pub witness: Vec<u8>,
    /// The hash it came to.
    pub hash: Hash,
}

/// A result, and what it follows from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeepTrace {
    /// What the leaves saw; sorted by rule and key.
    pub terminals: Vec<Terminal>,
    /// The result, in whatever form the one who keeps it gave it.
    pub value: Vec<u8>,
}

/// Whether a deep trace holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It does; with better witnesses from now on if `refreshed`.
    Holds {
        /// Whether the trace should be kept again, as it is now.
        refreshed: bool,
    },
    /// It does not: this leaf, by rule and key in bytes, sees something else.
    Differs {
        /// The place of the leaf in [`DeepTrace::terminals`].
        terminal: usize,
    },
}

impl Build {
    /// The tasks that look at the outside world, as far as what this build was asked for needs them.
    pub fn leaves(&self) -> Vec<KeyRef> {
        let core = self.core();
        let (settled, below) = self.settled_and_below().unwrap_or_else(|| (self.settled(true).0, Vec::new()));
        let leaves = settled.into_iter().filter(|(node, _)| core.node(*node).policy.leaf);
        let leaves = leaves.map(|(node, _)| core.key_ref(node));
        let below = below.into_iter().filter_map(|leaf| {
            let rule = core.rule_named(&leaf.rule)?;
            let key = rule.decode(&leaf.key)?;
            Some(KeyRef { rule: rule.name(), key, bytes: leaf.key, debug: rule.debug() })
        });
        leaves.chain(below).collect()
    }

    /// The terminal inputs of everything that this build was asked for so far. `None` if one of them left no
    /// witness, or failed in a way that is no property of what it saw.
    pub fn terminals(&self) -> Option<Vec<Terminal>> {
        let core = self.core();
        let (settled, below) = self.settled_and_below()?;
        let mut terminals = Vec::with_capacity(below.len());
        for (id, seq) in settled {
            let node = core.node(id);
            if node.policy.leaf {
                terminals.push(terminal(core, node, seq)?);
            }
        }
        for StoredLeaf { rule, key, witness, hash } in below {
            let rule = core.rule_named(&rule)?;
            let rule = (rule.name().to_owned(), rule.version());
            terminals.push(Terminal { rule, key, witness: witness?, hash });
        }
        terminals.sort_by(|a, b| (&a.rule, &a.key).cmp(&(&b.rule, &b.key)));
        Some(terminals)
    }
}

fn terminal(core: &Core, node: &Node, seq: Seq) -> Option<Terminal> {
    let rule = core.rule(node);
    let hist = lock(&node.hist);
    let run = hist.runs.iter().find(|run| run.seq == seq)?;
    Some(Terminal {
        rule: (rule.name().to_owned(), rule.version()),
        key: rule.encode(&node.key),
        witness: run.witness()?.to_vec(),
        hash: hist.hash_of(seq)?,
    })
}

impl Engine {
    /// Whether a leaf's rule confirms, by a look at the world as it is now, what the leaf's latest kept run came to.
    /// Then nothing has to be declared of it ([`crate::Begin::changed`]), and what is made from it stands.
    pub fn confirms<R: Rule>(&self, key: &R::Key) -> bool {
        let core = self.core();
        let Some(id) = core.find_known::<R>(key).filter(|id| core.node(*id).policy.leaf) else {
            return false;
        };
        core.fetch_history(id);
        let node = core.node(id);
        let rule = core.rule(node);
        let saw = || {
            let hist = lock(&node.hist);
            let run = hist.runs.first().filter(|run| run.version == rule.version())?;
            Some((run.witness()?.clone(), hist.hash_of(run.seq)?))
        };
        let Some((witness, hash)) = saw() else { return false };
        let agreement = guarded(|| Some(rule.agrees(&node.key, &witness, hash)));
        matches!(agreement, Ok(Some(Agreement::Yes | Agreement::YesBy(_))))
    }

    /// Whether every leaf of the trace would see the same again. Stops at the first that would not.
    pub fn agrees(&self, trace: &mut DeepTrace) -> Verdict {
        let mut refreshed = false;
        for (place, terminal) in trace.terminals.iter_mut().enumerate() {
            let rule =
                self.core().rule_named(&terminal.rule.0).filter(|rule| rule.version() == terminal.rule.1);
            let agreement = rule.and_then(|rule| {
                let key = rule.decode(&terminal.key)?;
                Some(rule.agrees(&key, &terminal.witness, terminal.hash))
            });
            match agreement {
                Some(Agreement::Yes) => {}
                Some(Agreement::YesBy(witness)) => {
                    terminal.witness = witness;
                    refreshed = true;
                }
                Some(Agreement::No) | None => return Verdict::Differs { terminal: place },
            }
        }
        Verdict::Holds { refreshed }
    }
}

/// Marks the bytes of a deep trace, and their format.
const MAGIC: &[u8; 16] = b"taut deep trace1";

impl DeepTrace {
    /// The trace as bytes. `seal` hashes bytes with a function of which nobody finds collisions by accident.
    pub fn encode(&self, seal: impl Fn(&[u8]) -> Hash) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.terminals.len() * 160 + self.value.len());
        put(&mut body, &self.value);
        let mut last = (String::new(), 0);
        for terminal in &self.terminals {
            // Neighbours mostly share rule and much of the key.
            if terminal.rule == last {
                body.push(0);
            } else {
                body.push(1);
                put(&mut body, terminal.rule.0.as_bytes());
                body.extend(terminal.rule.1.to_le_bytes());
                last.clone_from(&terminal.rule);
            }
            put(&mut body, &terminal.key);
            put(&mut body, &terminal.witness);
            body.extend(terminal.hash.0);
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(seal(&body).0);
        bytes.extend(body);
        bytes
    }

    /// The trace that [`DeepTrace::encode`] wrote; `None` for all other bytes.
    pub fn decode(bytes: &[u8], seal: impl Fn(&[u8]) -> Hash) -> Option<DeepTrace> {
        let (sealed, body) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<32>()?;
        if seal(body).0 != *sealed {
            return None;
        }
        let mut rest = body;
        let mut trace = DeepTrace { terminals: Vec::new(), value: take(&mut rest)?.to_vec() };
        let mut rule = (&b""[..], 0);
        while !rest.is_empty() {
            let (key, witness, hash) = take_terminal(&mut rest, &mut rule)?;
            let rule = (std::str::from_utf8(rule.0).ok()?.to_owned(), rule.1);
            trace.terminals.push(Terminal { rule, key: key.to_vec(), witness: witness.to_vec(), hash });
        }
        Some(trace)
    }

    /// What an encoded trace says of one leaf, without a look at its seal or at the rest: a hint whether the trace is
    /// worth decoding.
    pub fn terminal_of(bytes: &[u8], rule: &(String, u32), key: &[u8]) -> Option<Terminal> {
        let (_, mut rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<32>()?;
        take(&mut rest)?;
        let mut here = (&b""[..], 0);
        while !rest.is_empty() {
            let (its_key, witness, hash) = take_terminal(&mut rest, &mut here)?;
            if its_key == key && here == (rule.0.as_bytes(), rule.1) {
                return Some(Terminal {
                    rule: rule.clone(),
                    key: key.to_vec(),
                    witness: witness.to_vec(),
                    hash,
                });
            }
        }
        None
    }
}

/// Key, witness and hash of the next terminal; its rule is the one before unless it names another.
fn take_terminal<'b>(rest: &mut &'b [u8], rule: &mut (&'b [u8], u32)) -> Option<(&'b [u8], &'b [u8], Hash)> {
    let (kind, after) = rest.split_first()?;
    *rest = after;
    if *kind == 1 {
        let name = take(rest)?;
        let (version, after) = rest.split_first_chunk::<4>()?;
        *rest = after;
        *rule = (name, u32::from_le_bytes(*version));
    }
    let (key, witness) = (take(rest)?, take(rest)?);
    let (hash, after) = rest.split_first_chunk::<32>()?;
    *rest = after;
    Some((key, witness, Hash(*hash)))
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

fn take<'b>(from: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (len, rest) = from.split_first_chunk::<8>()?;
    let (bytes, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
    *from = rest;
    Some(bytes)
}
