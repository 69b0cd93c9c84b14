//! Formats that people write.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use taut::options::CommandLine;
use taut_analysis::{NameContext, artifacts_of, entry_references, entry_text, parse_name, read_entry};
use taut_driver::cas::parse_object_id;
use taut_driver::event_log;
use taut_driver::graph::NamedGraph;
use taut_expr::{Expr, Imports, Pure, abbreviate, evaluate, json_to_value};
use taut_repos::{Overrides, RepoConfig};
use taut_syntax::{Diagnostic, Document, Kind, Node, diagnostic::Renderer};
use taut_value::{Artifact, EntityName, Map, Value};

/// A source of the text of one document.
pub(crate) struct OneFile(pub(crate) String);

impl taut_syntax::diagnostic::Sources for OneFile {
    fn text(&self, _: &str) -> Option<Arc<str>> {
        Some(self.0.as_str().into())
    }
}

/// Renders a diagnostic.
pub(crate) fn shown(diagnostic: &Diagnostic, text: &[u8]) {
    let text = OneFile(String::from_utf8_lossy(text).into_owned());
    let shown = Renderer::new(&text, false).render(diagnostic);
    assert!(shown.contains(diagnostic.message.lines().next().unwrap_or_default()), "{shown}");
}

/// A document, if the bytes are one; otherwise the error is rendered.
fn parsed(bytes: &[u8]) -> Option<Document> {
    match Document::parse("file", bytes) {
        Ok(document) => Some(document),
        Err(error) => {
            shown(&error.into(), bytes);
            None
        }
    }
}

/// Visits every value without recursion.
pub(crate) fn visit(root: Node<'_>, mut each: impl FnMut(Node<'_>)) {
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        each(node);
        match node.kind() {
            Kind::List => open.extend(node.items()),
            Kind::Object => open.extend(node.entries().map(|(_, value)| value)),
            _ => {}
        }
    }
}

/// An event log: bytes behind the last line end change nothing, and a log that is cut at a line has no more entries.
pub(crate) fn event_log(bytes: &[u8]) {
    let parsed = event_log::parse(bytes);
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    assert_eq!(event_log::parse(&bytes[..end]), parsed);
    if let Some(whole) = parsed {
        let torn = [&bytes[..end], b"{\"event\":\"act"].concat();
        assert_eq!(event_log::parse(&torn).as_ref(), Some(&whole));
        let (tasks, actions, _) = whole.counts();
        let lines = bytes.split(|byte| *byte == b'\n').count();
        assert!(
            actions <= lines && tasks <= bytes.len(),
            "{tasks} tasks and {actions} actions in {lines} lines"
        );
    }
}

/// JSON: a document that is written and parsed again is equal, and every value is found at its span and path.
pub(crate) fn json(bytes: &[u8]) {
    let Some(document) = parsed(bytes) else { return };
    let mut visited = 0;
    visit(document.root(), |node| {
        visited += 1;
        // Each of these checks takes time in the size of the document.
        if visited < 100 {
            let again = document.at(&node.path()).expect("a value at its path");
            assert_eq!(again.span(), node.span());
        }
        let alone = Document::parse("part", node.source().as_bytes()).ok();
        if visited < 100 {
            assert_eq!(alone.expect("a value alone").root().kind(), node.kind());
        }
    });
    for duplicate in document.duplicates() {
        // The last of equal keys counts, as in the JSON library of the reference.
        assert!(duplicate.ignored.start < duplicate.used.start);
    }
    let value = json_to_value(document.root());
    let text = value.to_json();
    let again = Document::parse("again", text.as_bytes()).expect("what is written is JSON");
    let again = json_to_value(again.root());
    assert_eq!(again, value);
    assert_eq!(again.to_json(), text);
    abbreviate(&value, 40);
}

/// Expressions: all are compiled, and evaluated if that takes little time.
pub(crate) fn expression(bytes: &[u8]) {
    let Some(document) = parsed(bytes) else { return };
    let expr = Expr::compile(document.root());
    expr.misspelt_variables(&["X".into()]);
    let text = document.text();
    // A guess at what is slow: loops in loops multiply.
    let loops = ["foreach", "foldl", "zip_with", "`"].iter().map(|word| text.matches(word).count());
    if text.len() > 4000 || loops.sum::<usize>() > 3 || text.contains("\"range\"") && text.contains("000") {
        return;
    }
    let env: Map =
        [("X", Value::string("x")), ("L", Value::list([Value::Number(1.0)]))].into_iter().collect();
    match evaluate(&expr, &env, &Imports::new(), &mut Pure) {
        Ok(value) => {
            value.to_json();
        }
        Err(error) => shown(&error.into_diagnostic(), bytes),
    }
}

/// Names: an accepted name is inside its repository, and names itself when written in full.
pub(crate) fn name(bytes: &[u8]) {
    static CONFIG: OnceLock<RepoConfig> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("repos.json");
        let root = format!("[\"file\", {:?}]", directory.path());
        let text = format!(
            "{{\"main\": \"m\", \"repositories\": {{\"m\": {{\"workspace_root\": {root}, \
             \"bindings\": {{\"m\": \"m\", \"o\": \"other\"}}}}, \"other\": {{\"workspace_root\": {root}}}}}}}"
        );
        std::fs::write(&file, text).expect("written");
        RepoConfig::read(Some(&file), &Overrides::default(), directory.path()).expect("a configuration")
    });
    let Some(document) = parsed(bytes) else { return };
    let context = NameContext { repositories: config, repository: &config.main, module: "a/b" };
    let name = match parse_name(&json_to_value(document.root()), context) {
        Ok(name) => name,
        Err(why) => return shown(&why.of_json(document.root()), bytes),
    };
    let outside =
        name.module.split('/').any(|part| matches!(part, "." | "..")) || name.module.starts_with('/');
    assert!(!outside, "{name:?}");
    let written = EntityName::Named(name.clone()).to_json();
    let written = Document::parse("name", written.as_bytes()).expect("JSON");
    // The written form has the global name, which is parsed as a local one: it can only be read back if there is a
    // binding of that name.
    if name.repository == config.main {
        let context = NameContext { repositories: config, repository: &config.main, module: &name.module };
        if let Ok(again) = parse_name(&json_to_value(written.root()), context) {
            assert_eq!(again, name);
        }
    }
}

/// Identifiers of objects, as users type them.
pub(crate) fn object_id(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(object) = parse_object_id(text) {
        assert_eq!(parse_object_id(&object.to_string()), Some(object));
    }
}

/// Words of a command line, one per line.
pub(crate) fn command_line(bytes: &[u8]) {
    // No word of a process has a zero byte.
    let words = bytes.split(|byte| *byte == b'\n').filter(|word| !word.contains(&0));
    let words =
        std::iter::once(OsString::from("taut")).chain(words.map(|word| OsString::from_vec(word.to_vec())));
    let _ = CommandLine::parse_words("taut", &words.collect::<Vec<_>>());
}

/// Lines that are to be completed: an answer is lines, and what is before the cursor decides alone.
pub(crate) fn completion(bytes: &[u8]) {
    let Ok(line) = std::str::from_utf8(bytes) else { return };
    // The default of bash for `COMP_WORDBREAKS`.
    let breaks = " \t\n\"'@><=;|&(:";
    // Nothing is in this directory, so that the answer is the same on every machine.
    let nowhere = Path::new("/nonexistent");
    let answer = taut::complete_line(line, breaks, nowhere);
    assert!(answer.is_empty() || answer.ends_with('\n'));
    assert_eq!(taut::complete_line(line, breaks, nowhere), answer);
}

/// Graph files: a graph that is written and read again is equal. A second part is a stage of it.
pub(crate) fn graph(bytes: &[u8]) {
    let (graph, stage) = split(bytes, b"\n--- stage\n");
    let Ok(graph) = NamedGraph::read("graph", graph.to_vec()) else { return };
    let text = graph.graph.to_json(true);
    let again = NamedGraph::read("again", text.clone().into_bytes()).expect("a graph");
    assert_eq!(again.graph.to_json(true), text);
    let ids = |graph: &NamedGraph| -> BTreeMap<_, _> {
        graph.graph.actions.iter().map(|(id, action)| (*id, action.description.id())).collect()
    };
    assert_eq!(ids(&again), ids(&graph));
    let _ = graph.stage("stage", stage.to_vec());
}

pub(crate) fn cache_entry(bytes: &[u8]) {
    let references = entry_references(bytes);
    let Ok(entry) = read_entry(bytes) else { return };
    let (objects, _) = references.expect("what can be read can be kept");
    let known = |artifact: &Artifact| match artifact {
        Artifact::Known(info) => Some(*info),
        _ => None,
    };
    let artifacts = artifacts_of(&entry.result);
    assert!(artifacts.iter().all(|artifact| known(artifact).is_some_and(|info| objects.contains(&info))));
    let text = entry_text(&entry.result, entry.provides_null, &entry.implied, &known)
        .expect("all artifacts are known");
    let again = read_entry(text.as_bytes()).expect("an entry");
    assert_eq!(again.result, entry.result);
    assert_eq!(again.implied, entry.implied);
    assert_eq!(entry_text(&again.result, again.provides_null, &again.implied, &known), Some(text));
}

/// The parts before and after a separator.
pub(crate) fn split<'b>(bytes: &'b [u8], separator: &[u8]) -> (&'b [u8], &'b [u8]) {
    match bytes.windows(separator.len()).position(|window| window == separator) {
        Some(at) => (&bytes[..at], &bytes[at + separator.len()..]),
        None => (bytes, b""),
    }
}

/// A depfile: names are not empty, and are read again when they are written as compilers do.
pub(crate) fn depfile(bytes: &[u8]) {
    let Ok(names) = taut_exec::prerequisites(bytes) else { return };
    let mut text = "a.o:".to_owned();
    for name in &names {
        assert!(!name.is_empty() && !name.contains(['\n', '\0']), "{name:?}");
        text.push_str(" \\\n ");
        let mut backslashes = 0;
        for character in name.chars() {
            match character {
                // Backslashes are doubled only before a blank, as GCC writes them and make reads them.
                ' ' | '\t' => text.push_str(&"\\".repeat(backslashes + 1)),
                '#' | ':' if backslashes == 0 => text.push('\\'),
                // Written in no way that is read.
                '#' | ':' => return,
                '$' => text.push('$'),
                _ => {}
            }
            text.push(character);
            backslashes = if character == '\\' { backslashes + 1 } else { 0 };
        }
        text.push_str(&"\\".repeat(backslashes));
    }
    // A separator behind the last name, since it may end with a backslash.
    text.push_str(" \n");
    assert_eq!(taut_exec::prerequisites(text.as_bytes()).as_ref(), Ok(&names), "{text}");
}

/// What is read from a source in C or C++: there are no more parts than bytes.
pub(crate) fn c_source(bytes: &[u8]) {
    assert!(taut_scan::read_c(bytes) <= bytes.len());
}
