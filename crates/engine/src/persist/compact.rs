//! Writing a file anew: what is known now, and nothing that was replaced.
//!
//! Only tasks that have runs, and those that runs mention; and nothing of which it was found some days ago, and
//! again today, that nothing wanted in as many days is made from it.

use std::collections::HashMap;
use std::io;

use super::stored::{Stored, StoredEdge, StoredRun};
use super::writer::{Image, Outcome, Writer};
use crate::intern::BuildMix;

/// No number yet.
const NONE: u32 = u32::MAX;

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the file of traces is damaged")
}

impl Stored {
    /// The tasks that a task's kept runs read.
    fn reads(&self, task: u32, mut each: impl FnMut(u32)) -> Option<()> {
        if let Some(runs) = self.changed_runs(task) {
            runs.iter().flat_map(|run| run.edges.iter()).for_each(|edge| each(edge.dep));
            return Some(());
        }
        let Some((_, mut views)) = self.views(task) else { return Some(()) };
        for view in views.by_ref() {
            for edge in view.edges() {
                each(edge?.dep);
            }
        }
        views.is_over().then_some(())
    }

    fn all_wanted(&self) -> HashMap<u32, u32, BuildMix> {
        let mut wanted: HashMap<u32, u32, BuildMix> =
            self.snapshot.iter().flat_map(|snapshot| snapshot.wanted()).collect();
        wanted.extend(&self.wanted);
        wanted
    }

    /// The tasks that those asked for since `day` are made from.
    fn wanted_since(&self, wanted: &HashMap<u32, u32, BuildMix>, day: u32) -> Option<Vec<bool>> {
        let mut is_wanted = vec![false; self.tasks() as usize];
        let roots = wanted.iter().filter(|(_, last)| **last >= day);
        let mut pending: Vec<u32> = roots.map(|(node, _)| *node).collect();
        while let Some(node) = pending.pop() {
            if !std::mem::replace(is_wanted.get_mut(node as usize)?, true) {
                self.reads(node, |dep| pending.push(dep))?;
            }
        }
        Some(is_wanted)
    }

    /// The file as it is to be, told on the day `today`, if what is unwanted is kept for some days.
    ///
    /// # Errors
    /// Something in the file is not what it should be, or there is too much.
    pub(super) fn compact(&self, today: u32, days: u32) -> io::Result<Image> {
        let since = today.saturating_sub(days);
        let wanted = self.all_wanted();
        let is_wanted = self.wanted_since(&wanted, since).ok_or_else(damaged)?;
        let unwanted: HashMap<u32, u32, BuildMix> =
            self.snapshot.iter().flat_map(|snapshot| snapshot.unwanted()).collect();
        let unwanted_since = |task: u32| unwanted.get(&task).copied().unwrap_or(today);
        let mut pen = Pen {
            stored: self,
            writer: Writer::default(),
            numbers: vec![NONE; self.tasks() as usize],
            olds: Vec::new(),
        };
        let is_kept = |task: &u32| is_wanted[*task as usize] || unwanted_since(*task) >= since;
        let kept: Vec<u32> = (0..self.tasks()).filter(is_kept).filter(|task| self.has_runs(*task)).collect();
        // Leaves side by side: what a process looks at of them, and of nothing else, lies together.
        let (leaves, others): (Vec<u32>, Vec<u32>) = kept.into_iter().partition(|task| self.is_leaf(*task));
        let kept = [leaves, others].concat();
        for task in &kept {
            pen.task(*task).ok_or_else(damaged)?;
        }
        for task in &kept {
            pen.runs(*task).ok_or_else(damaged)?;
            let number = pen.numbers[*task as usize];
            if !is_wanted[*task as usize] {
                pen.writer.leave(number, unwanted_since(*task));
            }
            if let Some(day) = wanted.get(task) {
                pen.writer.want(number, *day);
            }
        }
        let old = match &self.snapshot {
            Some(snapshot) => snapshot.kinships().ok_or_else(damaged)?,
            None => Vec::new(),
        };
        let new =
            self.kin.iter().flat_map(|((rule, kin), tasks)| tasks.iter().map(|task| (*kin, *rule, *task)));
        for (kin, rule, task) in old.into_iter().chain(new) {
            let number = pen.numbers.get(task as usize).copied().ok_or_else(damaged)?;
            if (number as usize) < kept.len() {
                let rule = pen.writer.rule(self.rules.get(rule as usize).ok_or_else(damaged)?);
                pen.writer.kin(kin, rule, number);
            }
        }
        let Pen { writer, olds, .. } = pen;
        let image = writer.finish(|task, seq| self.hash(*olds.get(task as usize)?, seq));
        if self.is_damaged() { Err(damaged()) } else { image }
    }
}

/// Copies tasks.
struct Pen<'s> {
    stored: &'s Stored,
    writer: Writer,
    /// The new numbers of the old tasks, and the other way round.
    numbers: Vec<u32>,
    olds: Vec<u32>,
}

impl Pen<'_> {
    /// The new number of a task.
    fn task(&mut self, task: u32) -> Option<u32> {
        let known = *self.numbers.get(task as usize)?;
        if known != NONE {
            return Some(known);
        }
        let rule = self.stored.rules.get(self.stored.rule(task)? as usize)?;
        let rule = self.writer.rule(rule);
        let mut read = Some(());
        let number = self.writer.task(rule, |out| read = self.stored.key(task, out));
        self.numbers[task as usize] = number;
        self.olds.push(task);
        read.map(|()| number)
    }

    fn runs(&mut self, task: u32) -> Option<()> {
        self.writer.begin_runs();
        let number = self.task(task)?;
        let facets = self.stored.facets(task)?;
        for run in self.stored.runs(task)? {
            let mut edges = Vec::with_capacity(run.edges.len());
            for edge in &*run.edges {
                let dep = self.task(edge.dep)?;
                let seq = self.writer.version(dep, edge.seq);
                if edge.bits & 4 != 0 && !self.writer.has_looks(dep, seq) {
                    let facets = self.stored.facets(edge.dep)?;
                    if let Some(Some(looks)) = facets.get(edge.seq as usize) {
                        self.writer.looks(dep, seq, looks);
                    }
                }
                edges.push(StoredEdge { dep, seq, ..*edge });
            }
            let seq = self.writer.version(number, run.seq);
            if let Some(Some(looks)) = facets.get(run.seq as usize) {
                self.writer.looks(number, seq, looks);
            }
            let StoredRun { version, traits, fail, value, witness, .. } = &run;
            let (version, traits) = (*version, *traits);
            let (fail, value, witness) = (fail.as_deref(), value.as_deref(), witness.as_deref());
            self.writer.run(&Outcome { version, seq, traits, fail, value, witness }, &edges);
        }
        Some(())
    }
}
