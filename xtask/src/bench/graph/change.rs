//! Changes of a graph: of sources, commands and targets.

use super::{Graph, Shape, put};
use anyhow::{Context as _, Result};
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::Path;
use std::time::SystemTime;

impl Graph {
    /// Makes a tenth of the targets depend on the variable `V` of the configuration; not in the ninja file, since ninja
    /// has no configurations.
    pub(crate) fn configure(&mut self) {
        self.configured = true;
    }

    /// Gives all targets a rule of the project; or edits that rule, without effect.
    pub(crate) fn rule(&mut self) {
        self.ruled = Some(self.ruled.map_or(0, |edits| edits + 1));
    }

    /// The source that is edited, and its content.
    fn edited(&self) -> &(String, String) {
        &self.sources[self.edited]
    }

    /// Changes one source so that outputs change; `round` makes each change a different one.
    pub(crate) fn edit(&self, root: &Path, round: usize) -> Result<()> {
        let (path, content) = self.edited();
        // Each change has the number of its round, so that no cache knows the result of an earlier round.
        let changed = match self.shape {
            Shape::C if path.ends_with(".h") => content.replace(" = ", &format!(" = {round} + ")),
            Shape::C => format!("{content}\nint edited_{round};\n"),
            Shape::Headers => content.replace("return x +", &format!("return {round} + x +")),
            _ => format!("{}\n", 1_000_000 + round),
        };
        fs::write(root.join(path), changed)?;
        Ok(())
    }

    /// Gives one source a new modification time, and nothing else.
    pub(crate) fn touch(&self, root: &Path) -> Result<()> {
        let path = root.join(&self.edited().0);
        // To the present: for tools that go by times the file is newer than its output.
        fs::File::options().append(true).open(path)?.set_modified(SystemTime::now())?;
        Ok(())
    }

    /// Restores the initial content of the edited source.
    pub(crate) fn restore(&self, root: &Path) -> Result<()> {
        let (path, content) = self.edited();
        put(&root.join(path), content)
    }

    /// Changes a tenth of the sources.
    pub(crate) fn revise(&self, root: &Path, round: usize) -> Result<()> {
        self.change(root, Some(round), &self.revised())
    }

    /// Changes the sources that a branch changes; `None`: restores their initial content.
    pub(crate) fn switch(&self, root: &Path, round: Option<usize>) -> Result<()> {
        self.change(root, round, &self.of_branch())
    }

    fn change(&self, root: &Path, round: Option<usize>, which: &[usize]) -> Result<()> {
        for &number in which {
            let (path, content) = &self.sources[number];
            let changed = match round {
                None => content.clone(),
                Some(round) if self.is_c() => format!("{content}\nint revised_{number}_{round};\n"),
                Some(round) => format!("{}\n", 2_000_000 + round * 7 + number),
            };
            put(&root.join(path), &changed)?;
        }
        Ok(())
    }

    /// The sources, by number, that are not headers: text appended to a header would be defined several times.
    fn without_headers(&self) -> Vec<usize> {
        (0..self.sources.len()).filter(|at| !self.sources[*at].0.ends_with(".h")).collect()
    }

    /// A tenth of the sources.
    fn revised(&self) -> Vec<usize> {
        self.without_headers().into_iter().skip(3).step_by(10).collect()
    }

    /// Some of the last quarter of the sources: a branch does not change what everything depends on.
    fn of_branch(&self) -> Vec<usize> {
        let all = self.without_headers();
        all[all.len() / 4 * 3..].iter().copied().step_by(12).collect()
    }

    /// The number of the step in the middle.
    fn middle_step(&self) -> usize {
        self.steps.len() / 2
    }

    /// How many steps a change of these sources and steps invalidates.
    fn invalidated_count(&self, reads: impl Fn(&str) -> bool, starts: impl Fn(usize) -> bool) -> usize {
        let mut is_reached = vec![false; self.steps.len()];
        // Steps come after those that they need, except for those that were added later.
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

    /// The number of steps that an edit of the source invalidates.
    pub(crate) fn cone_of_source(&self) -> usize {
        let edited = &self.edited().0;
        self.invalidated_count(|path| path == edited, |_| false)
    }

    /// The number of steps that a change of the middle command invalidates, including its own.
    pub(crate) fn cone_of_command(&self) -> usize {
        let middle = self.middle_step();
        self.invalidated_count(|_| false, |number| number == middle)
    }

    /// The number of steps that a change of a tenth of the sources invalidates.
    pub(crate) fn cone_of_revision(&self) -> usize {
        self.cone_of_sources(&self.revised())
    }

    /// The number of steps that the sources of a branch invalidate.
    pub(crate) fn cone_of_branch(&self) -> usize {
        self.cone_of_sources(&self.of_branch())
    }

    fn cone_of_sources(&self, which: &[usize]) -> usize {
        let changed: HashSet<&str> = which.iter().map(|&at| self.sources[at].0.as_str()).collect();
        self.invalidated_count(|path| changed.contains(path), |_| false)
    }

    /// Appends a suffix to the command that reads the edited source.
    pub(crate) fn note_reader(&mut self, note: &str) -> Result<()> {
        let edited = self.edited().0.clone();
        let reader = self.steps.iter_mut().find(|step| step.sources.contains(&edited));
        note.clone_into(&mut reader.context("no step reads the edited source")?.note);
        Ok(())
    }

    /// Appends a suffix without effect to the command in the middle.
    pub(crate) fn note(&mut self, note: &str) {
        let middle = self.middle_step();
        note.clone_into(&mut self.steps[middle].note);
    }

    /// Adds a step with a source of its own to the module in the middle, and to the request.
    pub(crate) fn add(&mut self) {
        let (number, middle) = (self.steps.len(), self.middle_step());
        let module = self.steps[middle].module;
        let (suffix, content) =
            if self.is_c() { (".c", format!("int added{number};\n")) } else { ("", format!("{number}\n")) };
        let path = format!("m{module}/added{number}{suffix}");
        self.sources.push((path.clone(), content));
        let steps = if self.is_c() { Vec::new() } else { self.steps[middle].steps.clone() };
        self.push(steps, vec![path]);
        self.steps[number].module = module;
        // If one step collects everything, it needs the new one.
        match self.tops[..] {
            [top] => self.steps[top].steps.push(number),
            _ => self.tops.push(number),
        }
    }

    /// Writes the build description, and sources that do not exist; existing sources stay.
    pub(crate) fn describe(&self, root: &Path, ninja: bool) -> Result<()> {
        // Only added sources can be missing; checking all others would take longer than the build.
        for (path, content) in self.sources.iter().rev().take_while(|(path, _)| !root.join(path).exists()) {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap_or(root))?;
            put(&path, content)?;
        }
        if ninja { self.write_ninja_file(root) } else { self.write_target_files(root) }
    }

    /// The description files and all sources: the files that a null build checks.
    pub(crate) fn files(&self) -> Vec<String> {
        let modules: BTreeSet<usize> = self.steps.iter().map(|step| step.module).collect();
        let described = modules.into_iter().map(|module| format!("m{module}/TARGETS"));
        described
            .chain(["TARGETS".to_owned()])
            .chain(self.sources.iter().map(|(path, _)| path.clone()))
            .collect()
    }
}
