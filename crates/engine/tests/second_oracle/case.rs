//! A case: a program of tasks, and what happens to it from build to build. As text, for the corpus; at random; and
//! in smaller versions of itself, for shrinking.

use std::fmt;

/// What a task does next.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Step {
    pub(crate) what: What,
    pub(crate) deps: Vec<usize>,
    /// Left out if the sum so far is odd.
    pub(crate) conditional: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// Reads values, all at once.
    Value,
    /// Reads hashes, one after the other.
    Hash,
    /// Starts all, then awaits the values, the last first.
    Start,
    /// Starts each, does not await it, and waits without depending: the same as `Order`.
    Begun,
    /// Waits, but does not depend.
    Order,
    /// Depends on hashes, without looking.
    Depend,
    /// Mentions contents: one for each task named and the sum so far.
    Mention,
    /// Reads hashes, one after the other, and collects what lies below; sees nothing else of them.
    Collect,
}

/// How a task gets its hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// It is that of the value.
    Content,
    /// It has none: the build's number is taken.
    Unhashed,
    /// By a function that reads hashes where it can, and never its own value.
    Apart,
    /// By a function that asks for the task's own value.
    FromValue,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Memory,
    File,
    Nowhere,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Task {
    pub(crate) kind: Kind,
    pub(crate) place: Place,
    pub(crate) runs: u8,
    pub(crate) constructive: bool,
    /// The result is the sum modulo this.
    pub(crate) modulus: u64,
    /// A result of zero is a failure.
    pub(crate) fails: bool,
    /// What it asks for is promised to follow from its key: no step is conditional.
    pub(crate) fixed: bool,
    /// It is verified by the leaves below it.
    pub(crate) deep: bool,
    /// And in no other way.
    pub(crate) only: bool,
    /// It does what this lower task does, and they are siblings.
    pub(crate) twin: Option<usize>,
    pub(crate) steps: Vec<Step>,
}

impl Task {
    /// A task with this one's policy, as far as it may have one, that does what another one does.
    fn twin_of(self, other: &Task, number: usize) -> Task {
        let twin = Some(other.twin.unwrap_or(number));
        // A rule with shared values leaves the hash to the value.
        let kind = if other.kind == Kind::Unhashed { Kind::Unhashed } else { Kind::Content };
        Task {
            kind,
            runs: self.runs,
            constructive: self.constructive,
            place: self.place,
            deep: self.deep,
            only: false,
            twin,
            ..other.clone()
        }
    }
}

/// What happens before a build.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Event {
    /// The leaf is something else, and that is declared.
    Change(usize, u64),
    /// The leaf fails for now, and that it changed is declared.
    Flaky(usize),
    /// From now on the task's value is set.
    Set(usize, u64),
    /// The leaf is something else, with the same witness; all leaves are declared changed.
    ChangeAll(usize, u64),
    /// Any task is declared changed.
    Touch(usize),
    /// All tasks but the leaves are declared changed.
    TouchAll,
    Scan,
    /// All values in memory go.
    Evict,
    /// The file of a task is overwritten.
    Tamper(usize, u64),
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Build {
    /// The process ends, and another one begins with the file of traces.
    pub(crate) restart: bool,
    pub(crate) events: Vec<Event>,
    pub(crate) root: usize,
    pub(crate) by_hash: bool,
    pub(crate) jobs: usize,
    /// A what-if build with these suspects.
    pub(crate) what_if: Option<Vec<usize>>,
}

/// Tasks are numbers: leaves first; each reads only lower ones.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Case {
    pub(crate) leaves: Vec<u64>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) builds: Vec<Build>,
}

/// Random numbers (SplitMix64).
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.roll(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }
}

impl Case {
    pub(crate) fn random(seed: u64) -> Case {
        let dice = &mut Dice(seed.wrapping_mul(0xd134_2543_de82_ef95));
        let leaves: Vec<u64> = (0..1 + dice.roll(3)).map(|_| dice.roll(4) as u64).collect();
        let count = 1 + dice.roll(8);
        let mut tasks: Vec<Task> = Vec::new();
        let has_twins = dice.one_in(4);
        for at in 0..count {
            let task = Case::task(dice, leaves.len(), leaves.len() + at);
            let of = dice.roll(at.max(1));
            let twin = has_twins && at > 0 && dice.one_in(2);
            tasks.push(if twin { task.twin_of(&tasks[of], leaves.len() + of) } else { task });
        }
        let all = leaves.len() + tasks.len();
        let builds = (0..1 + dice.roll(9)).map(|_| Case::build(dice, leaves.len(), all)).collect();
        let mut case = Case { leaves, tasks, builds };
        case.match_twins();
        case.make_consistent();
        case
    }

    fn task(dice: &mut Dice, leaves: usize, below: usize) -> Task {
        let fixed = dice.one_in(4);
        let only = dice.one_in(4);
        let collects = if only { What::Collect } else { What::Value };
        let steps = (0..dice.roll(4)).map(|_| {
            let what = dice.pick(&[
                What::Value,
                What::Value,
                What::Value,
                What::Hash,
                What::Start,
                What::Begun,
                What::Order,
                What::Depend,
                What::Mention,
                collects,
                collects,
            ]);
            let mut deps: Vec<usize> = (0..1 + dice.roll(3)).map(|_| dice.roll(below)).collect();
            // Leaves are of another rule, and asked for first.
            deps.sort_by_key(|dep| *dep >= leaves);
            Step { what, deps, conditional: dice.one_in(2) && !fixed }
        });
        Task {
            steps: steps.collect(),
            kind: dice.pick(&[
                Kind::Content,
                Kind::Content,
                Kind::Content,
                Kind::Unhashed,
                Kind::Apart,
                Kind::FromValue,
            ]),
            place: dice.pick(&[
                Place::Memory,
                Place::Memory,
                Place::Memory,
                Place::Memory,
                Place::File,
                Place::File,
                Place::Nowhere,
            ]),
            runs: dice.roll(4) as u8,
            constructive: dice.one_in(2),
            modulus: dice.pick(&[2, 3, 5, 1000]),
            fails: dice.one_in(4),
            fixed,
            deep: only || dice.one_in(4),
            only,
            twin: None,
        }
    }

    /// Whether tasks share their values: which of them then run depends on the order in which they are asked for.
    pub(crate) fn has_twins(&self) -> bool {
        self.tasks.iter().any(|task| task.twin.is_some())
    }

    /// The share key of a task.
    pub(crate) fn share_key(&self, task: usize) -> Option<usize> {
        let twin = self.tasks[task.checked_sub(self.leaves.len())?].twin;
        let has_twin = self.tasks.iter().any(|other| other.twin == Some(task));
        twin.or_else(|| has_twin.then_some(task))
    }

    /// Makes tasks do again what those do that they share their values with.
    fn match_twins(&mut self) {
        let shared: Vec<usize> = self.tasks.iter().filter_map(|task| task.twin).collect();
        for of in shared {
            let task = &mut self.tasks[of - self.leaves.len()];
            *task = Task { twin: None, ..task.clone().twin_of(&task.clone(), of) };
        }
        for at in 0..self.tasks.len() {
            if let Some(of) = self.tasks[at].twin {
                self.tasks[at] = self.tasks[at].clone().twin_of(&self.tasks[of - self.leaves.len()], of);
            }
        }
    }

    /// Removes combinations whose answers are not determined: what is collected depends on which of the tasks with a
    /// shared value ran. It also depends on failures that were only waited for, since the run that saw one reads it.
    fn make_consistent(&mut self) {
        let has_twins = self.has_twins();
        for task in &mut self.tasks {
            task.only &= !has_twins;
            let steps = task.steps.iter_mut().filter(|step| step.what == What::Collect && !task.only);
            steps.for_each(|step| step.what = What::Value);
        }
        if self.collects() {
            let steps = self.tasks.iter_mut().flat_map(|task| &mut task.steps);
            let waits = steps.filter(|step| matches!(step.what, What::Order | What::Begun));
            waits.for_each(|step| step.what = What::Value);
        }
    }

    /// Whether any task collects.
    pub(crate) fn collects(&self) -> bool {
        self.tasks.iter().flat_map(|task| &task.steps).any(|step| step.what == What::Collect)
    }

    fn build(dice: &mut Dice, leaves: usize, all: usize) -> Build {
        let events = (0..dice.roll(4)).map(|_| {
            let (leaf, value) = (dice.roll(leaves), dice.roll(4) as u64);
            match dice.roll(20) {
                0..8 => Event::Change(leaf, value),
                8 => Event::Flaky(leaf),
                9 => Event::Set(leaf, value),
                10 => Event::Touch(dice.roll(all)),
                11 => Event::Scan,
                12..14 => Event::Evict,
                14 => Event::Set(dice.roll(all), value),
                15..17 => Event::ChangeAll(leaf, value),
                17 => Event::TouchAll,
                _ => Event::Tamper(dice.roll(all), value),
            }
        });
        Build {
            events: events.collect(),
            restart: dice.one_in(5),
            root: if dice.one_in(3) { all - 1 } else { dice.roll(all) },
            by_hash: dice.one_in(5),
            jobs: 1 + dice.roll(3),
            what_if: dice.one_in(6).then(|| (0..dice.roll(3)).map(|_| dice.roll(all)).collect()),
        }
    }

    /// Takes out a task, if nothing names it.
    fn remove(&mut self, at: usize) {
        let gone = self.leaves.len() + at;
        let mut numbers: Vec<&mut usize> = Vec::new();
        for task in &mut self.tasks {
            numbers.extend(task.steps.iter_mut().flat_map(|step| &mut step.deps));
            numbers.extend(&mut task.twin);
        }
        for build in &mut self.builds {
            numbers.push(&mut build.root);
            numbers.extend(build.what_if.iter_mut().flatten());
            numbers.extend(build.events.iter_mut().filter_map(|event| match event {
                Event::Touch(task) | Event::Tamper(task, _) | Event::Set(task, _) => Some(task),
                _ => None,
            }));
        }
        if numbers.iter().any(|number| **number == gone) {
            return;
        }
        numbers.into_iter().filter(|number| **number > gone).for_each(|number| *number -= 1);
        self.tasks.remove(at);
    }

    /// Cases that are a little smaller.
    pub(crate) fn smaller(&self) -> Vec<Case> {
        let mut all = Vec::new();
        let mut with = |change: &dyn Fn(&mut Case)| {
            let mut case = self.clone();
            change(&mut case);
            case.match_twins();
            case.make_consistent();
            let leaves = case.leaves.len();
            let steps = case.tasks.iter_mut().flat_map(|task| &mut task.steps);
            steps.for_each(|step| step.deps.sort_by_key(|dep| *dep >= leaves));
            if case != *self {
                all.push(case);
            }
        };
        for at in 0..self.builds.len() {
            with(&|case| {
                case.builds.remove(at);
            });
        }
        for at in 0..self.tasks.len() {
            with(&|case| case.remove(at));
        }
        for at in 0..self.builds.len() {
            with(&|case| case.builds[at].restart = false);
            with(&|case| case.builds[at].what_if = None);
            with(&|case| case.builds[at].jobs = 1);
            with(&|case| case.builds[at].by_hash = false);
            for root in 0..self.builds[at].root {
                with(&|case| case.builds[at].root = root);
            }
            for event in 0..self.builds[at].events.len() {
                with(&|case| {
                    case.builds[at].events.remove(event);
                });
            }
        }
        for at in 0..self.tasks.len() {
            let task = &self.tasks[at];
            for step in 0..task.steps.len() {
                with(&|case| {
                    case.tasks[at].steps.remove(step);
                });
                with(&|case| case.tasks[at].steps[step].conditional = false);
                with(&|case| case.tasks[at].steps[step].what = What::Value);
                for dep in 0..task.steps[step].deps.len() {
                    if task.steps[step].deps.len() > 1 {
                        with(&|case| {
                            case.tasks[at].steps[step].deps.remove(dep);
                        });
                    }
                    with(&|case| case.tasks[at].steps[step].deps[dep] = 0);
                }
            }
            with(&|case| case.tasks[at].twin = None);
            with(&|case| case.tasks[at].fails = false);
            with(&|case| case.tasks[at].fixed = false);
            with(&|case| case.tasks[at].only = false);
            with(&|case| case.tasks[at].deep = case.tasks[at].only);
            with(&|case| case.tasks[at].kind = Kind::Content);
            with(&|case| case.tasks[at].place = Place::Memory);
            with(&|case| case.tasks[at].runs = 1);
            with(&|case| case.tasks[at].constructive = false);
            with(&|case| case.tasks[at].modulus = 1000);
        }
        all
    }
}

fn words(numbers: &[usize]) -> String {
    numbers.iter().map(|number| format!(" {number}")).collect()
}

impl fmt::Display for Case {
    /// One line for the leaves, one for each task, one for each build.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "leaves{}", words(&self.leaves.iter().map(|leaf| *leaf as usize).collect::<Vec<_>>()))?;
        for (at, task) in self.tasks.iter().enumerate() {
            let Task { kind, place, runs, constructive, modulus, fails, fixed, deep, only, twin, steps } =
                task;
            let trace = if *constructive { "constructive" } else { "verifying" };
            write!(f, "task {} {kind:?} {place:?} {trace} {runs} modulo {modulus}", self.leaves.len() + at)?;
            f.write_str(if *fails { " fails" } else { "" })?;
            f.write_str(if *fixed { " fixed" } else { "" })?;
            f.write_str(if *deep { " deep" } else { "" })?;
            f.write_str(if *only { " only" } else { "" })?;
            if let Some(of) = twin {
                write!(f, " twin {of}")?;
            }
            for step in steps {
                let condition = if step.conditional { " if-even" } else { "" };
                write!(f, " ;{condition} {:?}{}", step.what, words(&step.deps))?;
            }
            writeln!(f)?;
        }
        for Build { restart, events, root, by_hash, jobs, what_if } in &self.builds {
            write!(f, "build {root}{} jobs {jobs}", if *by_hash { " hash" } else { "" })?;
            f.write_str(if *restart { " restart" } else { "" })?;
            if let Some(suspects) = what_if {
                write!(f, " what-if{}", words(suspects))?;
            }
            for event in events {
                match event {
                    Event::Change(leaf, value) => write!(f, " ; change {leaf} {value}")?,
                    Event::Flaky(leaf) => write!(f, " ; flaky {leaf}")?,
                    Event::Set(leaf, value) => write!(f, " ; set {leaf} {value}")?,
                    Event::ChangeAll(leaf, value) => write!(f, " ; change-all {leaf} {value}")?,
                    Event::Touch(task) => write!(f, " ; touch {task}")?,
                    Event::TouchAll => write!(f, " ; touch-all")?,
                    Event::Scan => write!(f, " ; scan")?,
                    Event::Evict => write!(f, " ; evict")?,
                    Event::Tamper(task, value) => write!(f, " ; tamper {task} {value}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Case {
    /// What `Display` wrote; lines that begin with `#` are remarks. Panics at what is not a case.
    pub(crate) fn parse(text: &str) -> Case {
        let mut case = Case { leaves: Vec::new(), tasks: Vec::new(), builds: Vec::new() };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut parts = line.split(';').map(|part| part.split_whitespace().collect::<Vec<_>>());
            let head = parts.next().unwrap_or_default();
            let number =
                |word: &&str| -> usize { word.parse().unwrap_or_else(|_| panic!("{word} in {line}")) };
            let after = |name: &str| head.iter().position(|word| *word == name).map(|at| &head[at + 1..]);
            match head[0] {
                "leaves" => case.leaves = head[1..].iter().map(|word| number(word) as u64).collect(),
                "task" => {
                    let named = |names: &[&str]| names.iter().position(|name| head.contains(name));
                    let kinds = [Kind::Content, Kind::Unhashed, Kind::Apart, Kind::FromValue];
                    let places = [Place::Memory, Place::File, Place::Nowhere];
                    let runs = after("verifying").or(after("constructive")).expect("runs are given");
                    case.tasks.push(Task {
                        kind: kinds[named(&["Content", "Unhashed", "Apart", "FromValue"]).expect("a kind")],
                        place: places[named(&["Memory", "File", "Nowhere"]).expect("a place")],
                        runs: number(&runs[0]) as u8,
                        constructive: head.contains(&"constructive"),
                        modulus: number(&after("modulo").expect("a modulus")[0]) as u64,
                        fails: head.contains(&"fails"),
                        fixed: head.contains(&"fixed"),
                        deep: head.contains(&"deep"),
                        only: head.contains(&"only"),
                        twin: after("twin").map(|of| number(&of[0])),
                        steps: parts.map(|part| step(&part)).collect(),
                    });
                }
                "build" => case.builds.push(Build {
                    root: number(&head[1]),
                    by_hash: head.contains(&"hash"),
                    restart: head.contains(&"restart"),
                    jobs: number(&after("jobs").expect("jobs are given")[0]),
                    what_if: after("what-if").map(|suspects| suspects.iter().map(number).collect()),
                    events: parts.map(|part| event(&part)).collect(),
                }),
                other => panic!("no line begins with {other}"),
            }
        }
        case
    }
}

fn step(words: &[&str]) -> Step {
    let conditional = words[0] == "if-even";
    let words = &words[usize::from(conditional)..];
    let what = match words[0] {
        "Value" => What::Value,
        "Hash" => What::Hash,
        "Start" => What::Start,
        "Begun" => What::Begun,
        "Order" => What::Order,
        "Depend" => What::Depend,
        "Mention" => What::Mention,
        "Collect" => What::Collect,
        other => panic!("no step is called {other}"),
    };
    Step { what, conditional, deps: words[1..].iter().map(|word| word.parse().expect("a task")).collect() }
}

fn event(words: &[&str]) -> Event {
    let number = |at: usize| -> usize { words[at].parse().expect("a number") };
    match words[0] {
        "change" => Event::Change(number(1), number(2) as u64),
        "flaky" => Event::Flaky(number(1)),
        "set" => Event::Set(number(1), number(2) as u64),
        "change-all" => Event::ChangeAll(number(1), number(2) as u64),
        "touch" => Event::Touch(number(1)),
        "touch-all" => Event::TouchAll,
        "scan" => Event::Scan,
        "evict" => Event::Evict,
        "tamper" => Event::Tamper(number(1), number(2) as u64),
        other => panic!("no event is called {other}"),
    }
}
