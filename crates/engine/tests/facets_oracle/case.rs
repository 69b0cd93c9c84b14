//! A case: a program of leaves and tasks, and a history of builds; at random, and reduced.

use std::fmt;

use taut_engine::Deep;

/// A value: the first two numbers are facets, the third is seen only by readers of the whole.
pub(super) type Value = [u64; 3];

/// What of a value is looked at: its facets, as bits, and the bit of the whole.
pub(super) type Look = u8;
pub(super) const WHOLE: Look = 4;

/// What a failure that was read counts as.
pub(super) const FAILED: u64 = 77;
/// What a hash counts as that does not determine the value.
pub(super) const OPAQUE: u64 = 5;
/// The content of a leaf that fails.
pub(super) const BROKEN: u64 = 12;

/// How the tasks of a step are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum How {
    Facets,
    Value,
    Hash,
    Depend,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Step {
    pub(super) how: How,
    pub(super) reads: Vec<(usize, Look)>,
    /// Skipped if what was seen so far is odd.
    pub(super) conditional: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Task {
    pub(super) steps: Vec<Step>,
    /// The three numbers of the result are what was seen, modulo these.
    pub(super) moduli: Value,
    /// Fails if the first number is zero.
    pub(super) fails: bool,
    pub(super) content_hash: bool,
    pub(super) has_facets: bool,
    pub(super) runs: u8,
    pub(super) constructive: bool,
    pub(super) stored: bool,
    pub(super) deep: Deep,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Leaf {
    /// What it is at first.
    pub(super) content: u64,
    pub(super) has_witness: bool,
    pub(super) runs: u8,
}

/// A new process.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Restart {
    /// The one before has committed.
    Committed,
    /// The one before has not committed what it did since its last commit.
    Killed,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Build {
    pub(super) restart: Option<Restart>,
    /// Leaves with their new content, and whether the change is declared; otherwise a scan or a new process finds it.
    pub(super) changes: Vec<(usize, u64, bool)>,
    /// All leaves are declared changed.
    pub(super) all: bool,
    /// A task that is declared changed.
    pub(super) touch: Option<usize>,
    pub(super) scan: bool,
    pub(super) evict: bool,
    /// Requested one after the other.
    pub(super) roots: Vec<usize>,
    pub(super) by_hash: bool,
    pub(super) jobs: usize,
    /// Commits afterwards.
    pub(super) commit: bool,
}

/// Tasks below `leaves.len()` are leaves; the others read tasks with smaller numbers only.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Case {
    pub(super) leaves: Vec<Leaf>,
    pub(super) tasks: Vec<Task>,
    pub(super) builds: Vec<Build>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, leaf) in self.leaves.iter().enumerate() {
            writeln!(f, "{at}: {leaf:?}")?;
        }
        for (at, task) in self.tasks.iter().enumerate() {
            writeln!(f, "{}: {task:?}", self.leaves.len() + at)?;
        }
        self.builds.iter().try_for_each(|build| writeln!(f, "{build:?}"))
    }
}

impl Case {
    pub(super) fn task(&self, key: usize) -> Option<&Task> {
        key.checked_sub(self.leaves.len()).map(|at| &self.tasks[at])
    }

    pub(super) fn is_leaf(&self, key: usize) -> bool {
        key < self.leaves.len()
    }

    /// Whether the hash determines the value.
    pub(super) fn has_content_hash(&self, key: usize) -> bool {
        self.task(key).is_none_or(|task| task.content_hash && task.stored)
    }
}

fn cut<T>(all: &mut Vec<T>, at: usize) {
    all.remove(at);
}

/// A sequence of numbers that follows from the seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn index(&mut self, bound: usize) -> usize {
        self.below(bound as u64) as usize
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.index(all.len())]
    }

    fn step(&mut self, below: usize) -> Step {
        let how = self.of(&[How::Facets, How::Facets, How::Facets, How::Facets, How::Value, How::Hash]);
        let how = if self.percent(4) { How::Depend } else { how };
        let count = 1 + self.index(3);
        // Mostly tasks just below, so that there is some depth.
        let mut dep =
            || if self.percent(40) { below - 1 - self.index(below.min(3)) } else { self.index(below) };
        let deps: Vec<usize> = (0..count).map(|_| dep()).collect();
        let reads = deps.into_iter().map(|dep| (dep, self.of(&[0, 1, 1, 2, 2, 3, WHOLE]))).collect();
        Step { how, reads, conditional: self.percent(40) }
    }

    fn task(&mut self, below: usize, has_deep: bool) -> Task {
        let steps = (0..self.index(4)).map(|_| self.step(below)).collect();
        let (deep, runs) = (self.percent(25), 1 + self.below(3) as u8);
        Task {
            steps,
            moduli: [0; 3].map(|_| self.of(&[1, 2, 2, 3, 7])),
            fails: self.percent(12),
            content_hash: self.percent(88),
            has_facets: self.percent(85),
            runs: if self.percent(5) { 0 } else { runs },
            constructive: self.percent(70),
            stored: self.percent(96),
            deep: if deep && has_deep { self.of(&[Deep::First, Deep::Only]) } else { Deep::No },
        }
    }

    /// Another content for a leaf, as a rule with one number changed.
    fn change(&mut self, now: u64) -> u64 {
        let [a, b, c] = [now % 3, now / 3 % 2, now / 6 % 2];
        match self.below(20) {
            0 => BROKEN,
            1..3 => self.below(BROKEN),
            3..9 => (a + 1 + self.below(2)) % 3 + b * 3 + c * 6,
            9..15 => a + (1 - b) * 3 + c * 6,
            _ => a + b * 3 + (1 - c) * 6,
        }
    }

    fn build(&mut self, (leaves, all): (usize, usize), history: &mut [Vec<u64>]) -> Build {
        let mut changes = Vec::new();
        for _ in 0..self.of(&[0, 1, 1, 1, 2]) {
            let leaf = self.index(leaves);
            // Often back to what was there before.
            let back = self.percent(35);
            let content =
                if back { self.of(&history[leaf]) } else { self.change(*history[leaf].last().unwrap()) };
            history[leaf].push(content);
            changes.push((leaf, content, self.percent(25)));
        }
        let task = |random: &mut Random| leaves + random.index(all - leaves);
        let mut roots: Vec<usize> = (0..self.of(&[0, 0, 0, 1, 2])).map(|_| self.index(all)).collect();
        roots.push(if self.percent(80) {
            all - 1 - self.index((all - leaves).min(2))
        } else {
            self.index(all)
        });
        if let Some((leaf, ..)) = changes.first().filter(|_| self.percent(15)) {
            roots.insert(0, *leaf);
        }
        Build {
            restart: self
                .percent(60)
                .then(|| self.of(&[Restart::Committed, Restart::Committed, Restart::Killed])),
            changes,
            all: self.percent(3),
            touch: self.percent(5).then(|| task(self)),
            scan: self.percent(15),
            evict: self.percent(10),
            roots,
            by_hash: self.percent(10),
            jobs: 1 + self.index(3),
            commit: self.percent(25),
        }
    }
}

impl Case {
    pub(super) fn random(seed: u64) -> Case {
        let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let (leaves, tasks) = (1 + random.index(3), 1 + random.index(8));
        let leaf = |random: &mut Random| Leaf {
            content: random.below(BROKEN),
            has_witness: random.percent(85),
            runs: random.of(&[1, 3]),
        };
        let has_deep = random.percent(40);
        let leaves: Vec<Leaf> = (0..leaves).map(|_| leaf(&mut random)).collect();
        let tasks: Vec<Task> = (0..tasks).map(|at| random.task(leaves.len() + at, has_deep)).collect();
        let mut history: Vec<Vec<u64>> = leaves.iter().map(|leaf| vec![leaf.content]).collect();
        let size = (leaves.len(), leaves.len() + tasks.len());
        let builds = (0..2 + random.index(9)).map(|_| random.build(size, &mut history)).collect();
        Case { leaves, tasks, builds }
    }

    /// This case with something less, most of it first.
    pub(super) fn smaller(&self) -> Vec<Case> {
        let mut all = Vec::new();
        let mut try_with = |change: &dyn Fn(&mut Case)| {
            let mut case = self.clone();
            change(&mut case);
            if case != *self {
                all.push(case);
            }
        };
        for at in (0..self.builds.len()).rev() {
            try_with(&|case| cut(&mut case.builds, at));
        }
        for at in (0..self.tasks.len()).rev() {
            try_with(&|case| case.remove_task(at));
            try_with(&|case| case.tasks[at].steps.clear());
            for step in 0..self.tasks[at].steps.len() {
                try_with(&|case| cut(&mut case.tasks[at].steps, step));
                try_with(&|case| case.tasks[at].steps[step].conditional = false);
                for read in 0..self.tasks[at].steps[step].reads.len() {
                    try_with(&|case| cut(&mut case.tasks[at].steps[step].reads, read));
                    try_with(&|case| case.tasks[at].steps[step].reads[read].1 = 0);
                }
            }
            try_with(&|case| case.tasks[at].fails = false);
            try_with(&|case| case.tasks[at].content_hash = true);
            try_with(&|case| case.tasks[at].has_facets = true);
            try_with(&|case| case.tasks[at].stored = true);
            try_with(&|case| case.tasks[at].constructive = true);
            try_with(&|case| case.tasks[at].deep = Deep::No);
            try_with(&|case| case.tasks[at].runs = 1);
            try_with(&|case| case.tasks[at].moduli = [1; 3]);
        }
        for at in 0..self.builds.len() {
            try_with(&|case| case.builds[at].restart = None);
            for root in 1..self.builds[at].roots.len() {
                try_with(&|case| cut(&mut case.builds[at].roots, root - 1));
            }
            for change in 0..self.builds[at].changes.len() {
                try_with(&|case| cut(&mut case.builds[at].changes, change));
            }
            try_with(&|case| case.builds[at].all = false);
            try_with(&|case| case.builds[at].touch = None);
            try_with(&|case| case.builds[at].scan = false);
            try_with(&|case| case.builds[at].evict = false);
            try_with(&|case| case.builds[at].by_hash = false);
            try_with(&|case| case.builds[at].commit = false);
            try_with(&|case| case.builds[at].jobs = 1);
        }
        for at in 0..self.leaves.len() {
            try_with(&|case| case.leaves[at] = Leaf { runs: 1, ..case.leaves[at] });
            try_with(&|case| case.leaves[at] = Leaf { has_witness: true, ..case.leaves[at] });
        }
        all
    }

    /// Removes a task; whatever read it or requests it has the one before it in its place.
    fn remove_task(&mut self, at: usize) {
        if self.tasks.len() == 1 {
            return;
        }
        self.tasks.remove(at);
        let key = self.leaves.len() + at;
        let rename = |other: &mut usize| *other -= usize::from(*other >= key);
        let reads = self.tasks.iter_mut().flat_map(|task| &mut task.steps).flat_map(|step| &mut step.reads);
        reads.for_each(|(dep, _)| rename(dep));
        let first = self.leaves.len();
        for build in &mut self.builds {
            build.roots.iter_mut().for_each(rename);
            build.touch.iter_mut().for_each(|task| {
                rename(task);
                *task = (*task).max(first);
            });
        }
    }
}
