//! Changes of a graph: of its sources, of its commands, of what belongs to it.

use super::{Graph, Shape, module, put};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;
use std::time::SystemTime;

impl Graph {
    /// Lets a tenth of the targets depend on the variable `V` of the configuration; not in the ninja file, which
    /// knows no configurations.
    pub(crate) fn configure(&mut self) {
        self.configured = true;
    }

    /// Lets all targets be of a rule of the project; or edits that rule, to no effect.
    pub(crate) fn rule(&mut self) {
        self.ruled = Some(self.ruled.map_or(0, |edits| edits + 1));
    }

    /// The source in the middle; a header only where these are what matters: what the others define would be
    /// defined twice.
    pub(super) fn middle(&self) -> Result<&(String, String)> {
        let is_of_kind = |path: &str| path.ends_with(".h") == (self.shape == Shape::Headers);
        let sources = || self.sources.iter().filter(|(path, _)| is_of_kind(path));
        let middle = sources().count() / 2;
        sources().nth(middle).context("a graph without sources")
    }

    /// Gives the source in the middle a new modification time, and nothing else.
    pub(crate) fn touch(&self, root: &Path) -> Result<()> {
        let path = root.join(&self.middle()?.0);
        fs::File::options().append(true).open(path)?.set_modified(SystemTime::now())?;
        Ok(())
    }

    /// Gives the source in the middle the content that it had at first.
    pub(crate) fn restore(&self, root: &Path) -> Result<()> {
        let (path, content) = self.middle()?;
        put(&root.join(path), content)
    }

    /// Changes a tenth of the sources, as another revision does; back at first with `None`.
    pub(crate) fn revise(&self, root: &Path, round: Option<usize>) -> Result<()> {
        for (number, (path, content)) in self.sources.iter().enumerate().filter(|(at, _)| at % 10 == 3) {
            let changed = match (round, self.shape) {
                (None, _) => content.clone(),
                (Some(round), Shape::C | Shape::Headers) => {
                    format!("{content}\nint revised_{number}_{round};\n")
                }
                (Some(round), _) => format!("{}\n", 2_000_000 + round * 7 + number),
            };
            if !path.ends_with(".h") {
                put(&root.join(path), &changed)?;
            }
        }
        Ok(())
    }

    /// The number of the step in the middle.
    fn middle_step(&self) -> usize {
        self.steps.len() / 2
    }

    /// How many steps are reached by a change of these sources and steps.
    fn cone(&self, reads: impl Fn(&str) -> bool, starts: impl Fn(usize) -> bool) -> usize {
        let mut is_reached = vec![false; self.steps.len()];
        // Steps come after those that they need, but for those that were added later.
        loop {
            let before = is_reached.iter().filter(|reached| **reached).count();
            for (number, step) in self.steps.iter().enumerate() {
                is_reached[number] |= starts(number)
                    || step.sources.iter().any(|path| reads(path))
                    || step.steps.iter().any(|below| is_reached[*below]);
            }
            let after = is_reached.iter().filter(|reached| **reached).count();
            if after == before {
                return after;
            }
        }
    }

    /// The steps above the source in the middle.
    pub(crate) fn cone_of_source(&self) -> Result<usize> {
        let middle = &self.middle()?.0;
        Ok(self.cone(|path| path == middle, |_| false))
    }

    /// The command in the middle and the steps above.
    pub(crate) fn cone_of_command(&self) -> usize {
        let middle = self.middle_step();
        self.cone(|_| false, |number| number == middle)
    }

    /// The steps above a tenth of the sources.
    pub(crate) fn cone_of_revision(&self) -> usize {
        let revised: std::collections::HashSet<&str> = (self.sources.iter().enumerate())
            .filter(|(at, (path, _))| at % 10 == 3 && !path.ends_with(".h"))
            .map(|(_, (path, _))| path.as_str())
            .collect();
        self.cone(|path| revised.contains(path), |_| false)
    }

    /// Appends something to the command that reads the source in the middle.
    pub(crate) fn note_reader(&mut self, note: &str) -> Result<()> {
        let middle = self.middle()?.0.clone();
        let reader = self.steps.iter_mut().find(|step| step.sources.contains(&middle));
        note.clone_into(&mut reader.context("a source that nobody reads")?.note);
        Ok(())
    }

    /// Appends something to the command in the middle; it comes to the same.
    pub(crate) fn note(&mut self, note: &str) {
        let middle = self.middle_step();
        note.clone_into(&mut self.steps[middle].note);
    }

    /// Adds a step with a source of its own, needed by the last step.
    pub(crate) fn add(&mut self) {
        let number = self.steps.len();
        let path = format!("{}/added{number}", module(number));
        let is_c = matches!(self.shape, Shape::C | Shape::Headers);
        let content = if is_c { format!("int added{number};\n") } else { format!("{number}\n") };
        let path = if is_c { format!("{path}.c") } else { path };
        self.sources.push((path.clone(), content));
        self.push(Vec::new(), vec![path]);
        let top = self.top;
        self.steps[top].steps.push(number);
    }

    /// Writes what says how to build, and sources that are not there; sources that are there stay.
    pub(crate) fn describe(&self, root: &Path, ninja: bool) -> Result<()> {
        for (path, content) in self.sources.iter().filter(|(path, _)| !root.join(path).exists()) {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap_or(root))?;
            put(&path, content)?;
        }
        if ninja { self.write_ninja_file(root) } else { self.write_target_files(root) }
    }

    /// The source files, by path.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|(path, _)| path.as_str())
    }
}
