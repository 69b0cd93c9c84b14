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

    /// The source in the middle that is no header.
    fn middle(&self) -> Result<&(String, String)> {
        let sources = || self.sources.iter().filter(|(path, _)| !path.ends_with(".h"));
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
                (Some(round), Shape::C) => format!("{content}\nint revised_{number}_{round};\n"),
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

    /// Appends something to the command in the middle; it comes to the same.
    pub(crate) fn note(&mut self, note: &str) {
        let middle = self.middle_step();
        note.clone_into(&mut self.steps[middle].note);
    }

    /// Adds a step with a source of its own, needed by the last step.
    pub(crate) fn add(&mut self) {
        let number = self.steps.len();
        let path = format!("{}/added{number}", module(number));
        let content =
            if self.shape == Shape::C { format!("int added{number};\n") } else { format!("{number}\n") };
        let path = if self.shape == Shape::C { format!("{path}.c") } else { path };
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
