//! Writing a graph: target files for taut and the reference, a ninja file for the others.

use super::{Graph, GraphStep, Shape, put};
use anyhow::Result;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

impl Graph {
    /// The shell command of a step; the functions map steps to outputs and sources to paths.
    fn command(
        &self,
        step: &GraphStep,
        place: &dyn Fn(&GraphStep) -> String,
        source_place: &dyn Fn(&GraphStep, &str) -> String,
    ) -> String {
        let out = place(step);
        let steps: Vec<String> = step.steps.iter().map(|&n| place(&self.steps[n])).collect();
        let command = match (self.shape, step.sources.first()) {
            (Shape::C, Some(source)) => format!("cc -O1 -I. -c {source} -o {out}"),
            (Shape::C, None) => format!("cc {} -o {out}", steps.join(" ")),
            (Shape::Headers, Some(source)) => format!("cc -O0 -I. -c {source} -o {out}"),
            (Shape::Headers, None) => format!("cat {} > {out}", steps.join(" ")),
            _ => {
                let sources = step.sources.iter().map(|path| source_place(step, path));
                let inputs: Vec<String> = steps.into_iter().chain(sources).collect();
                format!(
                    // `read` and arithmetic are built into the shell, so that no further process starts.
                    "s=1; for i in {}; do read x < $i; s=$(((s+x)%1000003)); done; echo $s > {out}",
                    inputs.join(" ")
                )
            }
        };
        if step.note.is_empty() { command } else { format!("{command}; {}", step.note) }
    }

    /// The name of a source in a target file: its file name if it belongs to the module. C sources need their whole
    /// paths, which `#include` uses.
    fn name_of_source<'s>(&self, step: &GraphStep, path: &'s str) -> Option<&'s str> {
        let own = format!("m{}/", step.module);
        path.strip_prefix(&own).filter(|_| !self.is_c())
    }

    /// Whether the actions are compilers.
    pub(super) fn is_c(&self) -> bool {
        matches!(self.shape, Shape::C | Shape::Headers)
    }

    pub(super) fn write_sources(&self, root: &Path) -> Result<()> {
        for (path, content) in &self.sources {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap_or(root))?;
            put(&path, content)?;
        }
        Ok(())
    }

    /// Writes the graph as target files; the default target is the request.
    pub(crate) fn write_targets(&self, root: &Path) -> Result<()> {
        fs::create_dir_all(root)?;
        put(&root.join("ROOT"), "")?;
        self.write_sources(root)?;
        self.write_target_files(root)
    }

    /// Writes the target files only; those with the right content stay untouched.
    pub(super) fn write_target_files(&self, root: &Path) -> Result<()> {
        let mut files: Vec<Map<String, Value>> = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            files.resize_with(files.len().max(step.module + 1), Map::new);
            let of_source = |path: &String| match self.name_of_source(step, path) {
                Some(name) => json!(name),
                None => json!(["", path]),
            };
            let deps: Vec<Value> = step
                .steps
                .iter()
                .map(|&n| self.reference(n))
                .chain(step.sources.iter().map(of_source))
                .collect();
            let source_place =
                |step: &GraphStep, path: &str| self.name_of_source(step, path).unwrap_or(path).to_owned();
            let command = self.command(step, &|step| step.name.clone(), &source_place);
            let mut target = json!({
                "type": "generic",
                "deps": deps,
                "outs": [step.name],
                "cmds": [command],
            });
            // The others need no program but the shell, which the launcher finds.
            if self.is_c() {
                target["env"] = json!({"type": "'", "$1": {"PATH": "/usr/bin:/bin"}});
            }
            if self.configured && number.is_multiple_of(10) {
                let command = target["cmds"][0].clone();
                // `:` takes the variable and does nothing: another command with the same output.
                let other = json!({"type": "join", "$1": [command, "; : ", {"type": "var", "name": "V"}]});
                let variable = json!({"type": "var", "name": "V"});
                let command = target["cmds"][0].clone();
                target["cmds"] = json!([{"type": "if", "cond": variable, "then": other, "else": command}]);
                target["arguments_config"] = json!(["V"]);
            }
            if self.ruled.is_some() {
                target["type"] = json!(["", "step"]);
            }
            files[step.module].insert(step.name.clone(), target);
        }
        for (number, targets) in files.into_iter().enumerate() {
            let dir = root.join(format!("m{number}"));
            fs::create_dir_all(&dir)?;
            put(&dir.join("TARGETS"), &Value::Object(targets).to_string())?;
        }
        let results: Map<String, Value> =
            self.tops.iter().map(|&top| (self.steps[top].name.clone(), self.reference(top))).collect();
        // Of this name, since taut builds the whole workspace where no target has it; just takes the only target.
        let all = json!({"default": {"type": "install", "files": results}});
        put(&root.join("TARGETS"), &all.to_string())?;
        if let Some(edits) = self.ruled {
            put(&root.join("RULES"), &json!({"step": rule(edits)}).to_string())?;
        }
        Ok(())
    }

    /// The name of a step in target files of other modules.
    fn reference(&self, number: usize) -> Value {
        let step = &self.steps[number];
        json!([format!("m{}", step.module), step.name])
    }

    /// Writes the graph as a ninja file.
    pub(crate) fn write_ninja(&self, root: &Path) -> Result<()> {
        fs::create_dir_all(root)?;
        self.write_sources(root)?;
        self.write_ninja_file(root)
    }

    /// Writes the ninja file only.
    pub(super) fn write_ninja_file(&self, root: &Path) -> Result<()> {
        let mut text = String::from("rule run\n  command = $cmd\n");
        if let Some(edits) = self.ruled {
            // ninja has no rules that are evaluated, so an edit of one is the nearest that its file
            // can have: a comment.
            let _ = writeln!(text, "# edit {edits}");
        }
        let out = |step: &GraphStep| format!("out/{}", step.name);
        for step in &self.steps {
            let inputs: Vec<String> =
                step.steps.iter().map(|&n| out(&self.steps[n])).chain(step.sources.iter().cloned()).collect();
            let command = self.command(step, &out, &|_, path| path.to_owned());
            let _ = writeln!(
                text,
                "build out/{}: run {}\n  cmd = {}",
                step.name,
                inputs.join(" "),
                // To ninja only this character is special in a command.
                command.replace('$', "$$")
            );
        }
        // The same request as for the other tools.
        let tops: Vec<String> = self.tops.iter().map(|&top| out(&self.steps[top])).collect();
        let _ = writeln!(text, "build all: phony {}\ndefault all", tops.join(" "));
        put(&root.join("build.ninja"), &text)
    }
}

/// A rule like `generic`; each edit changes its text but not its meaning.
fn rule(edits: usize) -> Value {
    let field = |name: &str| json!({"type": "FIELD", "name": name});
    let artifacts = json!({"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "dep"}});
    let inputs = json!({
        "type": "map_union",
        "$1": {"type": "foreach", "var": "dep", "range": field("deps"), "body": artifacts},
    });
    let command = json!(["sh", "-c", {"type": "join", "separator": "\n", "$1": field("cmds")}]);
    let action = json!({"type": "ACTION", "inputs": inputs, "outs": field("outs"), "cmd": command});
    let edit = json!([["edit", edits.to_string()], ["made", action]]);
    json!({
        "target_fields": ["deps"],
        "string_fields": ["outs", "cmds"],
        "expression": {
            "type": "let*",
            "bindings": edit,
            "body": {"type": "RESULT", "artifacts": {"type": "var", "name": "made"}},
        },
    })
}
