//! The graphs that are built, in both formats.
//!
//! Except for the C tree, an action reads one number from each input and writes their sum plus
//! one: a single shell without further processes, so that what is measured is the tool. The
//! sum makes a changed source change everything above it, so no tool gains by cutting off.

mod change;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use taut_testkit::Rng;

/// How many targets share a module, as the targets of a directory do.
const MODULE: usize = 50;

/// The kinds of graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Ten layers; every target depends on three to five of the layer below.
    Layered,
    /// All targets depend on sources only.
    Wide,
    /// A chain; a tenth of the size, for nothing in it runs in parallel.
    Deep,
    /// C sources with headers of their own module and of earlier ones, then a program; a
    /// tenth of the size, for compilers are slow.
    C,
    /// C sources that see many headers, since headers include headers that include headers; a tenth
    /// of the size.
    Headers,
}

impl Shape {
    pub(crate) const ALL: [Self; 5] = [Self::Layered, Self::Wide, Self::Deep, Self::C, Self::Headers];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Layered => "layered",
            Self::Wide => "wide",
            Self::Deep => "deep",
            Self::C => "c",
            Self::Headers => "headers",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shape| shape.name() == name)
    }

    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

/// One step: a name, which is also its output's, inputs and the shell command.
struct Step {
    name: String,
    /// Earlier steps, by number.
    steps: Vec<usize>,
    /// Source files, by path.
    sources: Vec<String>,
    /// What is appended to the command, to no effect; empty: nothing.
    note: String,
}

/// A graph of steps; the last one is what everything else is for.
pub(crate) struct Graph {
    pub(crate) shape: Shape,
    pub(crate) size: usize,
    steps: Vec<Step>,
    /// The step that everything else is for.
    top: usize,
    /// Path and content of the sources.
    sources: Vec<(String, String)>,
    /// Whether a tenth of the targets depend on a configuration variable.
    configured: bool,
    /// Whether all targets are of one rule that the project defines; how often that was edited.
    ruled: Option<usize>,
}

impl Graph {
    /// The graph of this shape and nominal size; always the same.
    pub(crate) fn new(shape: Shape, size: usize) -> Self {
        let (steps, sources) = Default::default();
        let mut graph = Self { shape, size, steps, top: 0, sources, configured: false, ruled: None };
        match shape {
            Shape::Layered => graph.layered(size),
            Shape::Wide => graph.wide(size),
            Shape::Deep => graph.deep((size / 10).max(2)),
            Shape::C => graph.c((size / 10).max(2)),
            Shape::Headers => graph.headers((size / 10).max(2)),
        }
        graph.top = graph.steps.len() - 1;
        graph
    }

    /// How many actions a cold build runs.
    pub(crate) fn actions(&self) -> usize {
        self.steps.len()
    }

    fn layered(&mut self, size: usize) {
        let mut rng = Rng::new(size as u64);
        let width = (size / 10).max(1);
        for number in 0..size {
            let layer = number / width;
            let (mut steps, mut sources) = (Vec::new(), Vec::new());
            if layer == 0 {
                sources.push(self.number(number));
            } else {
                for _ in 0..3 + rng.below(3) {
                    steps.push((layer - 1) * width + rng.below(width));
                }
                steps.sort_unstable();
                steps.dedup();
            }
            self.push(steps, sources);
        }
        self.sum_of(size.saturating_sub(width)..size);
    }

    fn wide(&mut self, size: usize) {
        for number in 0..size {
            let source = self.number(number);
            self.push(Vec::new(), vec![source]);
        }
        self.sum_of(0..size);
    }

    fn deep(&mut self, size: usize) {
        let source = self.number(0);
        self.push(Vec::new(), vec![source]);
        for number in 1..size {
            self.push(vec![number - 1], Vec::new());
        }
    }

    /// One last step that collects; its inputs are listed in a file, not on a command line.
    fn sum_of(&mut self, steps: std::ops::Range<usize>) {
        self.push(steps.collect(), Vec::new());
    }

    fn number(&mut self, number: usize) -> String {
        let path = format!("{}/s{number}", module(self.steps.len()));
        self.sources.push((path.clone(), format!("{number}\n")));
        path
    }

    fn push(&mut self, steps: Vec<usize>, sources: Vec<String>) {
        let name = format!("t{}", self.steps.len());
        self.steps.push(Step { name, steps, sources, note: String::new() });
    }

    fn c(&mut self, files: usize) {
        let mut main = String::from("#include <stdio.h>\n");
        let mut sum = String::new();
        for number in 0..files {
            let group = number / 10;
            let header = format!("{}/h{group}.h", module(number));
            if number % 10 == 0 {
                let text = format!(
                    "#ifndef H{group}\n#define H{group}\nstruct s{group} {{ int a, b; }};\n\
                     int f{group}(struct s{group} *s);\n#endif\n"
                );
                self.sources.push((header.clone(), text));
            }
            let earlier = group.saturating_sub(1);
            let other = format!("{}/h{earlier}.h", module(earlier * 10));
            let path = format!("{}/c{number}.c", module(number));
            self.sources.push((path.clone(), c_file(number, group, &header, &other)));
            let _ = writeln!(main, "int g{number}(int);");
            let _ = writeln!(sum, "  x += g{number}(x);");
            let mut sources = vec![path, header];
            if group > 0 {
                sources.push(other);
            }
            self.push(Vec::new(), sources);
        }
        let _ = write!(main, "int main(void) {{\n  int x = 1;\n{sum}  printf(\"%d\\n\", x);\n}}\n");
        let path = format!("{}/main.c", module(files));
        self.sources.push((path.clone(), main));
        self.push(Vec::new(), vec![path]);
        self.push((0..=files).collect(), Vec::new());
    }

    /// Each header includes two of those before it, so that a source sees all that its header leads to.
    fn headers(&mut self, files: usize) {
        let mut seen: Vec<Vec<usize>> = Vec::new();
        for number in 0..files {
            let below: Vec<usize> =
                [number.checked_sub(1), (number > 2).then_some(number / 2)].into_iter().flatten().collect();
            let header = |number: usize| format!("{}/h{number}.h", module(number));
            let includes: String = below.iter().map(|n| format!("#include \"{}\"\n", header(*n))).collect();
            let text = format!(
                "#ifndef H{number}\n#define H{number}\n{includes}static inline int f{number}(int x) {{ return x + {number}; }}\n#endif\n"
            );
            self.sources.push((header(number), text));
            let mut all: Vec<usize> = below.iter().flat_map(|n| seen[*n].clone()).chain([number]).collect();
            all.sort_unstable();
            all.dedup();
            let path = format!("{}/c{number}.c", module(number));
            let text = format!(
                "#include \"{}\"\nint g{number}(int x);\nint g{number}(int x) {{ return f{number}(x); }}\n",
                header(number)
            );
            self.sources.push((path.clone(), text));
            let sources = [path].into_iter().chain(all.iter().map(|n| header(*n))).collect();
            seen.push(all);
            self.push(Vec::new(), sources);
        }
        self.sum_of(0..files);
    }

    /// Changes one source so that outputs change; `round` tells one change from another.
    pub(crate) fn edit(&self, root: &Path, round: usize) -> Result<()> {
        let (path, content) = self.middle()?;
        let changed = match self.shape {
            Shape::C => format!("{content}\nint edited_{round};\n"),
            Shape::Headers => content.replace("return x +", &format!("return {round} + x +")),
            _ => format!("{}\n", 1_000_000 + round),
        };
        fs::write(root.join(path), changed)?;
        Ok(())
    }

    /// The shell command of a step, with inputs where `place` says they are.
    fn command(&self, number: usize, place: &dyn Fn(&Step) -> String) -> String {
        let step = &self.steps[number];
        let note = if step.note.is_empty() { String::new() } else { format!("; {}", step.note) };
        self.bare_command(step, place) + &note
    }

    fn bare_command(&self, step: &Step, place: &dyn Fn(&Step) -> String) -> String {
        let out = place(step);
        let inputs = || step.steps.iter().map(|&n| place(&self.steps[n]));
        match (self.shape, step.sources.first()) {
            (Shape::C, Some(source)) => return format!("cc -O1 -I. -c {source} -o {out}"),
            (Shape::C, None) => return format!("cc {} -o {out}", inputs().collect::<Vec<_>>().join(" ")),
            (Shape::Headers, Some(source)) => return format!("cc -O0 -I. -c {source} -o {out}"),
            (Shape::Headers, None) => {
                return format!("cat {} > {out}", inputs().collect::<Vec<_>>().join(" "));
            }
            _ => {}
        }
        let inputs: Vec<String> = inputs().chain(step.sources.iter().cloned()).collect();
        format!(
            "s=1; for i in {}; do read x < $i; s=$(((s+x)%1000003)); done; echo $s > {out}",
            inputs.join(" ")
        )
    }

    fn write_sources(&self, root: &Path) -> Result<()> {
        for (path, content) in &self.sources {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap_or(root))?;
            put(&path, content)?;
        }
        Ok(())
    }

    /// Writes the graph as target files; the first target is the last step.
    pub(crate) fn write_targets(&self, root: &Path) -> Result<()> {
        fs::create_dir_all(root)?;
        put(&root.join("ROOT"), "")?;
        self.write_sources(root)?;
        self.write_target_files(root)
    }

    /// The target files alone; those that are right stay untouched.
    fn write_target_files(&self, root: &Path) -> Result<()> {
        let mut files: Vec<Map<String, Value>> = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            files.resize_with(files.len().max(number / MODULE + 1), Map::new);
            let deps: Vec<Value> = step
                .steps
                .iter()
                .map(|&n| json!([module(n), self.steps[n].name]))
                .chain(step.sources.iter().map(|path| json!(["", path])))
                .collect();
            let mut target = json!({
                "type": "generic",
                "deps": deps,
                "outs": [step.name],
                "cmds": [self.command(number, &|step| step.name.clone())],
            });
            if matches!(self.shape, Shape::C | Shape::Headers) {
                target["env"] = json!({"type": "'", "$1": {"PATH": "/usr/bin:/bin"}});
            }
            if self.configured && number.is_multiple_of(10) {
                let command = target["cmds"][0].clone();
                let other = json!({"type": "join", "$1": [command, "; : ", {"type": "var", "name": "V"}]});
                let variable = json!({"type": "var", "name": "V"});
                let command = target["cmds"][0].clone();
                target["cmds"] = json!([{"type": "if", "cond": variable, "then": other, "else": command}]);
                target["arguments_config"] = json!(["V"]);
            }
            if self.ruled.is_some() {
                target["type"] = json!(["", "step"]);
            }
            files[number / MODULE].insert(step.name.clone(), target);
        }
        for (number, targets) in files.into_iter().enumerate() {
            let dir = root.join(format!("m{number}"));
            fs::create_dir_all(&dir)?;
            put(&dir.join("TARGETS"), &Value::Object(targets).to_string())?;
        }
        let last = self.top;
        let all =
            json!({"": {"type": "install", "files": {"result": [module(last), self.steps[last].name]}}});
        put(&root.join("TARGETS"), &all.to_string())?;
        if let Some(edits) = self.ruled {
            put(&root.join("RULES"), &json!({"step": rule(edits)}).to_string())?;
        }
        Ok(())
    }

    /// Writes the graph as a ninja file.
    pub(crate) fn write_ninja(&self, root: &Path) -> Result<()> {
        fs::create_dir_all(root)?;
        self.write_sources(root)?;
        self.write_ninja_file(root)
    }

    /// The ninja file alone.
    fn write_ninja_file(&self, root: &Path) -> Result<()> {
        let mut text = String::from("rule run\n  command = $cmd\n");
        if let Some(edits) = self.ruled {
            let _ = writeln!(text, "# edit {edits}");
        }
        for (number, step) in self.steps.iter().enumerate() {
            let inputs: Vec<String> = step
                .steps
                .iter()
                .map(|&n| format!("out/{}", self.steps[n].name))
                .chain(step.sources.iter().cloned())
                .collect();
            let command = self.command(number, &|step| format!("out/{}", step.name));
            let _ = writeln!(
                text,
                "build out/{}: run {}\n  cmd = {}",
                step.name,
                inputs.join(" "),
                command.replace('$', "$$")
            );
        }
        put(&root.join("build.ninja"), &text)
    }
}

/// A rule like `generic`; each edit says the same in other words.
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

/// Writes a file, unless it has this content.
fn put(path: &Path, content: &str) -> Result<()> {
    if fs::read(path).ok().as_deref() != Some(content.as_bytes()) {
        fs::write(path, content).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// The module of the step with this number.
fn module(number: usize) -> String {
    format!("m{}", number / MODULE)
}

fn c_file(number: usize, group: usize, header: &str, other: &str) -> String {
    let definition = if number.is_multiple_of(10) {
        format!("int f{group}(struct s{group} *s) {{ return s->a + s->b; }}\n")
    } else {
        String::new()
    };
    let mut text = format!(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\
         #include \"{header}\"\n#include \"{other}\"\n{definition}"
    );
    for part in 0..20 {
        let _ = writeln!(
            text,
            "static int p{part}(int n, const char *s) {{\n  int r = {part};\n  for (int i = 0; i < n; i++) \
             r = r * 31 + s[i % (int)(strlen(s) + 1)];\n  return r;\n}}"
        );
    }
    let calls: Vec<String> = (0..20).map(|part| format!("p{part}(n, \"{number}\")")).collect();
    let _ = writeln!(
        text,
        "int g{number}(int n);\nint g{number}(int n) {{\n  struct s{group} s = {{n, {number}}};\n  \
         return f{group}(&s) + {};\n}}",
        calls.join(" + ")
    );
    text
}
