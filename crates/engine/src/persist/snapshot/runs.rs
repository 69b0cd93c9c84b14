//! The encoding of runs in the snapshot, as 32-bit words. By far the most runs read version 0 of some tasks, as values:
//! the encoding has short forms for these, which are read without any decoding.

use super::tasks::{Tasks, Words};
use crate::Facets;
use crate::persist::stored_run::{StoredEdge, StoredRun};

/// The fields of the first word of a run.
pub(crate) mod run {
    /// How many tasks it read; all ones: the next word is the number.
    // The widths: few tasks read more than four thousand others, and a file rarely has more than 63 versions of
    // rules.
    pub(crate) const COUNT: u32 = 0xfff;
    /// The place of the rule's version among the versions; all ones: the next word is the version.
    pub(crate) const CODE: u32 = 0x3f;
    pub(crate) const CODE_AT: u32 = 12;
    /// All values of version 0, all asked for together: a word for each task.
    pub(crate) const TOGETHER: u32 = 0 << 18;
    /// The same, asked for one after the other.
    pub(crate) const EACH: u32 = 1 << 18;
    /// Two words for each, three if only some facets were read: the task, its version and `StoredEdge::bits`, the
    /// facets.
    pub(crate) const FULL: u32 = 2 << 18;
    /// The reads of the run before with other versions: a byte for each.
    pub(crate) const SAME: u32 = 3 << 18;
    pub(crate) const KIND: u32 = 3 << 18;
    /// A word has the version of the result; else it is version 0.
    pub(crate) const SEQ: u32 = 1 << 20;
    /// A word each has the place of the failure, the value, the witness among the blobs.
    pub(crate) const FAIL: u32 = 1 << 21;
    pub(crate) const VALUE: u32 = 1 << 22;
    pub(crate) const WITNESS: u32 = 1 << 23;
    /// `StoredRun::LEAF`, `StoredRun::TIMES`, `StoredRun::VERIFIED_BY_LEAVES`, `StoredRun::INTERNED`.
    pub(crate) const TRAITS_AT: u32 = 24;
    pub(crate) const TRAITS: u32 = 0xf;
    /// [`SAME`], with a word for each version.
    pub(crate) const WIDE: u32 = 1 << 28;
    /// A word has the place of the leaf set, after those of [`FAIL`], [`VALUE`] and [`WITNESS`].
    // Bits 30 and 31 are free.
    pub(crate) const LEAVES: u32 = 1 << 29;
}

/// The bits of [`StoredEdge::bits`] in a word with the version.
// Four, for the four constants of `StoredEdge`; the other 28 are the version.
pub(crate) const BITS: u32 = 4;

/// Where in a run the edges are, as written.
#[derive(Clone, Copy)]
enum Base<'s> {
    /// Whether they were asked for together.
    Plain(Words<'s>, bool),
    Full(Words<'s>),
}

/// One kept run, without its blobs.
#[derive(Clone, Copy)]
pub(crate) struct RunView<'s> {
    pub(crate) version: u32,
    pub(crate) seq: u32,
    /// `StoredRun::LEAF`, `StoredRun::TIMES`, `StoredRun::VERIFIED_BY_LEAVES`.
    pub(crate) traits: u8,
    /// The places of failure, value, witness and leaves among the blobs.
    pub(crate) blobs: [Option<u32>; 4],
    count: usize,
    base: Base<'s>,
    seqs: Option<(Words<'s>, bool)>,
}

/// The kept runs of a task, latest use first; ends early where they cannot be decoded.
pub(crate) struct Runs<'s> {
    words: Words<'s>,
    codes: &'s [u32],
    before: Option<Base<'s>>,
    /// The rest cannot be decoded.
    // An iterator cannot return an error in the end, so callers ask `is_over`.
    is_broken: bool,
}

impl<'s> Runs<'s> {
    /// The runs in these words, if the words can be read; `codes` are the versions of rules.
    pub(super) fn new(words: Option<Words<'s>>, codes: &'s [u32]) -> Runs<'s> {
        Runs { words: words.unwrap_or(&[]), codes, before: None, is_broken: words.is_none() }
    }
}

fn take<'s>(words: &mut Words<'s>, count: usize) -> Option<Words<'s>> {
    let (taken, rest) = words.split_at_checked(count)?;
    *words = rest;
    Some(taken)
}

fn word(words: &mut Words<'_>) -> Option<u32> {
    let (first, rest) = words.split_first()?;
    *words = rest;
    Some(u32::from_le_bytes(*first))
}

impl<'s> Runs<'s> {
    /// Whether all of them were decoded.
    pub(crate) fn is_over(&self) -> bool {
        self.words.is_empty() && !self.is_broken
    }

    fn run(&mut self) -> Option<RunView<'s>> {
        let words = &mut self.words;
        let head = word(words)?;
        let count = match head & run::COUNT {
            run::COUNT => word(words)?,
            count => count,
        } as usize;
        let version = match (head >> run::CODE_AT) & run::CODE {
            run::CODE => word(words)?,
            code => *self.codes.get(code as usize)?,
        };
        let seq = if head & run::SEQ == 0 { 0 } else { word(words)? };
        let mut blobs = [None; 4];
        for (blob, bit) in blobs.iter_mut().zip([run::FAIL, run::VALUE, run::WITNESS, run::LEAVES]) {
            if head & bit != 0 {
                *blob = Some(word(words)?);
            }
        }
        // `take` fails where the chunk ends, so a wrong count cannot lead out of it.
        let mut seqs = None;
        let base = match head & run::KIND {
            run::TOGETHER => Base::Plain(take(words, count)?, true),
            run::EACH => Base::Plain(take(words, count)?, false),
            run::FULL => {
                let partial = word(words)? as usize;
                Base::Full(take(words, count.checked_mul(2)?.checked_add(partial)?)?)
            }
            _ => {
                // The first run of a task has none before it, so it cannot be of this kind.
                let wide = head & run::WIDE != 0;
                let length = if wide { count } else { count.div_ceil(4) };
                seqs = Some((take(words, length)?, wide));
                self.before?
            }
        };
        // Also of a run that is `SAME` itself: a chain of such runs has the reads of the first one.
        self.before = Some(base);
        let traits = ((head >> run::TRAITS_AT) & run::TRAITS) as u8;
        Some(RunView { version, seq, traits, blobs, count, base, seqs })
    }
}

impl<'s> Iterator for Runs<'s> {
    type Item = RunView<'s>;

    fn next(&mut self) -> Option<RunView<'s>> {
        if self.words.is_empty() || self.is_broken {
            return None;
        }
        let next = self.run();
        // Nothing that follows can be decoded; `is_over` stays false, by which callers notice.
        self.is_broken = next.is_none();
        next
    }
}

/// What a run read, in order.
pub(crate) struct Edges<'s> {
    words: Words<'s>,
    kind: Kind<'s>,
    at: usize,
    count: usize,
}

enum Kind<'s> {
    Together,
    Each,
    Full,
    Narrow(Words<'s>, u8),
    Wide(Words<'s>, u8),
}

impl<'s> RunView<'s> {
    pub(crate) fn edges(&self) -> Edges<'s> {
        let (words, bare) = match self.base {
            Base::Plain(words, together) => (words, 1 + u8::from(together)),
            Base::Full(words) => (words, 0),
        };
        let kind = match (self.seqs, bare) {
            (Some((seqs, false)), bare) => Kind::Narrow(seqs, bare),
            (Some((seqs, true)), bare) => Kind::Wide(seqs, bare),
            (None, 0) => Kind::Full,
            (None, 1) => Kind::Each,
            (None, _) => Kind::Together,
        };
        Edges { words, kind, at: 0, count: self.count }
    }
}

impl Edges<'_> {
    /// Whether none is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.count
    }

    // `bare`: 0 with versions and bits, 1 without, 2 without and in one group.
    fn edge(&mut self, bare: u8) -> Option<StoredEdge> {
        let dep = word(&mut self.words)?;
        let whole = Facets::WHOLE;
        if bare > 0 {
            // In the short forms the kind determines where groups end: after each read, or after the last one.
            let ends = bare == 1 || self.at + 1 == self.count;
            return Some(StoredEdge {
                dep,
                seq: 0,
                bits: if ends { StoredEdge::ENDS_GROUP } else { 0 },
                facets: whole,
            });
        }
        let packed = word(&mut self.words)?;
        let (seq, bits) = (packed >> BITS, (packed & ((1 << BITS) - 1)) as u8);
        let facets = match bits & StoredEdge::HAS_FACETS {
            0 => whole,
            _ => Facets(u16::try_from(word(&mut self.words)?).ok()?),
        };
        Some(StoredEdge { dep, seq, bits, facets })
    }
}

impl Iterator for Edges<'_> {
    /// `None` in place of a read that cannot be decoded.
    type Item = Option<StoredEdge>;

    #[inline]
    fn next(&mut self) -> Option<Option<StoredEdge>> {
        if self.at == self.count {
            return None;
        }
        let edge = match self.kind {
            Kind::Together => self.edge(2),
            Kind::Each => self.edge(1),
            Kind::Full => self.edge(0),
            Kind::Narrow(seqs, bare) => {
                let seq = seqs.get(self.at / 4).map(|word| u32::from(word[self.at % 4]));
                self.edge(bare).and_then(|edge| Some(StoredEdge { seq: seq?, ..edge }))
            }
            Kind::Wide(seqs, bare) => {
                let seq = seqs.get(self.at).map(|word| u32::from_le_bytes(*word));
                self.edge(bare).and_then(|edge| Some(StoredEdge { seq: seq?, ..edge }))
            }
        };
        self.at += 1;
        Some(edge)
    }
}

/// The reads of a plain latest run, encoded as `kind` says.
#[derive(Clone, Copy)]
pub(crate) struct Plain<'s> {
    pub(crate) seq: u32,
    pub(crate) kind: u32,
    words: Words<'s>,
}

impl Plain<'_> {
    /// The next read, which stays the next one: the task, its version and `StoredEdge::bits`. `Some(None)`: there is no
    /// next one; `None`: it cannot be decoded.
    #[inline]
    // Looking and going on are two steps, since the walk may have to decide the task of this read first, and then
    // looks again.
    pub(crate) fn read(&self) -> Option<Option<(u32, u32, u32)>> {
        let Some(dep) = self.words.first() else { return Some(None) };
        let (seq, bits) = match self.kind {
            run::FULL => {
                let packed = u32::from_le_bytes(*self.words.get(1)?);
                (packed >> BITS, packed & ((1 << BITS) - 1))
            }
            run::EACH => (0, u32::from(StoredEdge::ENDS_GROUP)),
            _ => (0, 0),
        };
        Some(Some((u32::from_le_bytes(*dep), seq, bits)))
    }

    /// Goes on to the read after one with these bits.
    #[inline]
    pub(crate) fn pass(&mut self, bits: u32) {
        let facets = bits & u32::from(StoredEdge::HAS_FACETS) != 0;
        let stride = if self.kind == run::FULL { 2 } else { 1 } + usize::from(facets);
        self.words = self.words.get(stride..).unwrap_or(&[]);
    }

    /// The facets of the next read, if it has these bits.
    #[inline]
    pub(crate) fn facets(&self, bits: u32) -> Option<Facets> {
        match bits & u32::from(StoredEdge::HAS_FACETS) {
            0 => Some(Facets::WHOLE),
            _ => Some(Facets(u32::from_le_bytes(*self.words.get(2)?) as u16)),
        }
    }
}

/// The tasks of a snapshot as columns of numbers, by which most of them are verified.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'s> {
    pub(super) tasks: &'s Tasks,
    pub(super) codes: &'s [u32],
}

impl<'s> Columns<'s> {
    /// The rule of a task, and the words of its runs.
    #[inline]
    pub(crate) fn task(&self, task: u32) -> Option<(u16, Words<'s>)> {
        self.tasks.runs(task)
    }

    /// The latest of a task's runs, if it has this version of the rule and is *plain*: it has reads and nothing else.
    #[inline]
    pub(crate) fn plain(&self, runs: Words<'s>, version: u32) -> Option<Plain<'s>> {
        self.latest(runs, version, StoredRun::LEAF | StoredRun::TIMES | StoredRun::VERIFIED_BY_LEAVES)
    }

    /// The same, if the task has none of these traits.
    #[inline]
    pub(crate) fn latest(&self, runs: Words<'s>, version: u32, traits: u8) -> Option<Plain<'s>> {
        let mut words = runs;
        let head = word(&mut words)?;
        let (kind, count) = (head & run::KIND, head & run::COUNT);
        let code = (head >> run::CODE_AT) & run::CODE;
        // A failure has to be decoded before it can be replayed, so its run is never plain.
        let special = run::FAIL | u32::from(traits) << run::TRAITS_AT;
        // What is rare takes the way that can decode everything; here no branch is spent on it.
        if head & special != 0 || count == run::COUNT || code == run::CODE || kind == run::SAME {
            return None;
        }
        if *self.codes.get(code as usize)? != version {
            return None;
        }
        let seq = if head & run::SEQ == 0 { 0 } else { word(&mut words)? };
        for bit in [run::VALUE, run::WITNESS, run::LEAVES] {
            if head & bit != 0 {
                word(&mut words)?;
            }
        }
        // The product cannot overflow, since a plain run has fewer reads than `COUNT`; the word is any number.
        let count = if kind == run::FULL { word(&mut words)?.saturating_add(count * 2) } else { count };
        Some(Plain { seq, kind, words: words.get(..count as usize)? })
    }
}
