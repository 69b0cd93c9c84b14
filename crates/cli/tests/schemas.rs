//! The JSON schemas in `schemas/`: what is right passes, what is wrong does not.
//!
//! The validator knows just the keywords that the schemas use, and refuses others, so that a misspelt one
//! does not pass as a schema for anything. A validator from a registry (boon, jsonschema) would
//! bring more than seventy crates along.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{collections::BTreeMap, fs, path::Path};

use taut_setup::Description;
use taut_syntax::json::{Document, Kind, Node};

/// Schemas by file name.
struct Schemas(BTreeMap<String, Document>);

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn parse(name: &str, text: impl Into<String>) -> Document {
    Document::parse(name, text.into()).unwrap_or_else(|_| panic!("{name} is not JSON"))
}

fn is_of_type(value: Node<'_>, name: &str) -> bool {
    match name {
        "object" => value.kind() == Kind::Object,
        "array" => value.kind() == Kind::List,
        "string" => value.as_str().is_some(),
        "null" => value.kind() == Kind::Null,
        "boolean" => value.as_bool().is_some(),
        other => panic!("the schemas use no type {other}"),
    }
}

/// One string, or a list of them.
fn strings(node: Node<'_>) -> Vec<&str> {
    match node.as_str() {
        Some(one) => vec![one],
        None => node.items().map(|item| item.as_str().expect("a string")).collect(),
    }
}

impl Schemas {
    fn read() -> Schemas {
        let files =
            fs::read_dir(root().join("schemas")).expect("the schemas").map(|file| file.unwrap().path());
        let read = |path: std::path::PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let document = parse(&name, fs::read_to_string(&path).unwrap());
            (name, document)
        };
        Schemas(files.map(read).collect())
    }

    fn accepts(&self, kind: &str, text: &str) -> bool {
        let file = format!("{kind}.schema.json");
        let document = parse(kind, text);
        self.valid(&file, self.0[&file].root(), document.root())
    }

    /// Whether a value fits a schema in `file`.
    fn valid(&self, file: &str, schema: Node<'_>, value: Node<'_>) -> bool {
        let fits = |schema: Node<'_>| self.valid(file, schema, value);
        let has = |key: &str| value.kind() == Kind::Object && value.get(key).is_some();
        let items = || (value.kind() == Kind::List).then(|| value.items()).into_iter().flatten();
        let entries = || (value.kind() == Kind::Object).then(|| value.entries()).into_iter().flatten();
        schema.entries().all(|(keyword, is)| match keyword {
            "$schema" | "title" | "description" | "then" | "else" => true,
            "$ref" => {
                let file = if is.as_str() == Some("#") { file } else { is.as_str().expect("a file") };
                self.valid(file, self.0[file].root(), value)
            }
            "type" => strings(is).iter().any(|name| is_of_type(value, name)),
            "enum" | "const" => value.as_str().is_some_and(|word| strings(is).contains(&word)),
            "required" => value.kind() != Kind::Object || strings(is).iter().all(|key| has(key)),
            "properties" => {
                entries().all(|(key, inner)| is.get(key).is_none_or(|schema| self.valid(file, schema, inner)))
            }
            "additionalProperties" => {
                let named = schema.get("properties");
                let mut others =
                    entries().filter(|(key, _)| named.and_then(|named| named.get(key)).is_none());
                others.all(|(_, inner)| self.valid(file, is, inner))
            }
            "items" if is.kind() == Kind::List => {
                items().zip(is.items()).all(|(item, schema)| self.valid(file, schema, item))
            }
            "items" => items().all(|item| self.valid(file, is, item)),
            "minItems" => {
                value.kind() != Kind::List || value.len() as f64 >= is.as_number().expect("a number")
            }
            "maxItems" => {
                value.kind() != Kind::List || value.len() as f64 <= is.as_number().expect("a number")
            }
            "minLength" => {
                value.as_str().is_none_or(|text| text.len() as f64 >= is.as_number().expect("a number"))
            }
            "maxLength" => {
                value.as_str().is_none_or(|text| text.len() as f64 <= is.as_number().expect("a number"))
            }
            "allOf" => is.items().all(fits),
            "anyOf" => is.items().any(fits),
            "not" => !fits(is),
            "if" => schema.get(if fits(is) { "then" } else { "else" }).is_none_or(fits),
            other => panic!("{file} uses {other:?}, which the validator does not know"),
        })
    }
}

fn kind_of(path: &str) -> Option<&'static str> {
    match path.rsplit('/').next() {
        Some("TARGETS") => Some("targets"),
        Some("RULES") => Some("rules"),
        Some("EXPRESSIONS") => Some("expressions"),
        _ => None,
    }
}

/// The definitions of a file that are not accepted.
fn refused(schemas: &Schemas, path: &str, text: &str) -> Vec<String> {
    let (Some(kind), Ok(document)) = (kind_of(path), Document::parse(path, text.to_owned())) else {
        return Vec::new();
    };
    if document.root().kind() != Kind::Object {
        return vec![path.to_owned()];
    }
    let wrong = |(name, definition): &(&str, Node<'_>)| {
        let name = name.replace('\\', "\\\\").replace('"', "\\\"");
        !schemas.accepts(kind, &format!("{{\"{name}\": {}}}", definition.source()))
    };
    document.root().entries().filter(wrong).map(|(name, _)| name.to_owned()).collect()
}

/// Definitions in the recorded cases that are wrong, on purpose, in a way that a schema can see.
const WRONG: &str = "export expr,export nothing,config list,vars word,vars number,no outs,no list,no rule,env literal,twice,reserved,\
no expression,bad implicit,bad import,cyclic,bad rule,bad files,no type,list,untyped,c";

#[test]
fn of_the_recorded_cases_only_wrong_definitions_are_refused() {
    let schemas = Schemas::read();
    let mut found = Vec::new();
    let cases = fs::read_dir(root().join("crates/cli/tests/cases")).expect("the cases");
    for case in cases.map(|case| case.unwrap().path()) {
        let document = parse("case", fs::read_to_string(case).unwrap());
        for (path, content) in document.root().get("files").into_iter().flat_map(|files| files.entries()) {
            let text = content.as_str().unwrap_or(content.source());
            found.extend(refused(&schemas, path, text));
        }
    }
    let mut wrong: Vec<&str> = WRONG.split(',').collect();
    // A list in place of a file.
    found.retain(|name| kind_of(name).is_none());
    found.sort();
    wrong.sort_unstable();
    assert_eq!(found, wrong);
}

#[test]
fn the_examples_and_the_manual_are_accepted() {
    let schemas = Schemas::read();
    let mut checked = 0;
    let mut directories = vec![root().join("examples")];
    while let Some(directory) = directories.pop() {
        for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                directories.push(path);
            } else if kind_of(&path.to_string_lossy()).is_some() {
                let text = fs::read_to_string(&path).unwrap();
                assert_eq!(refused(&schemas, &path.to_string_lossy(), &text), [""; 0], "{}", path.display());
                checked += 1;
            }
        }
    }
    for (path, text) in descriptions_in_the_manual() {
        // Which of the two it is, as the tool decides it.
        let document = parse(&path, text.clone());
        let kind = if Description::is_description(&document) { "repos" } else { "repositories" };
        assert!(schemas.accepts(kind, &text), "{path}: {text}");
        checked += 1;
    }
    let manual = fs::read_to_string(root().join("docs/language.md")).unwrap();
    for block in manual.split("```json file=").skip(1) {
        let (path, rest) = block.split_once('\n').expect("a block");
        let text = rest.split("```").next().expect("its content");
        assert_eq!(refused(&schemas, path, text), [""; 0], "{text}");
        checked += 1;
    }
    for line in manual.lines().filter(|line| line.starts_with('{')) {
        if let Some((expression, value)) = line.split_once(" → ")
            && !value.starts_with("error")
        {
            assert!(schemas.accepts("expression", expression), "{expression}");
            checked += 1;
        }
    }
    assert!(checked > 80, "only {checked}");
}

/// The descriptions and configurations of repositories in the manual, by page. What a reader fills in is filled in.
fn descriptions_in_the_manual() -> Vec<(String, String)> {
    let id = "0123456789012345678901234567890123456789";
    let pages = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut found = Vec::new();
    for page in pages.filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        for block in fs::read_to_string(&page).unwrap().split("```json").skip(1) {
            let (_, rest) = block.split_once('\n').expect("a block");
            let mut text = rest.split("```").next().expect("its content").to_owned();
            for name in ["CONTENT", "COMMIT", "TREE"] {
                text = text.replace(&format!("\"{name}\""), &format!("\"{id}\""));
            }
            let is_of_repositories = Document::parse("", text.clone())
                .is_ok_and(|it| it.root().get("repositories").is_some_and(|all| all.kind() == Kind::Object));
            if is_of_repositories {
                found.push((page.display().to_string(), text));
            }
        }
    }
    assert!(found.len() > 6, "only {}", found.len());
    found
}

/// What an `if` of a schema asks of `type`, and the properties that its `then` names, sorted.
fn cases(schema: Node<'_>) -> BTreeMap<String, Vec<String>> {
    let all = schema.get("allOf").expect("cases").items();
    let case = |case: Node<'_>| {
        let kind = case.get("if")?.get("properties")?.get("type")?.get("const")?.as_str()?;
        let named = case.get("then")?.get("properties");
        let mut named: Vec<String> =
            named.into_iter().flat_map(|named| named.entries()).map(|(name, _)| name.to_owned()).collect();
        named.sort();
        Some((kind.to_owned(), named))
    };
    all.filter_map(case).collect()
}

fn words(list: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = list.iter().map(|word| (*word).to_owned()).collect();
    words.sort();
    words
}

fn sorted(list: Node<'_>) -> Vec<String> {
    words(&strings(list))
}

#[test]
fn constructs_and_their_parts_are_those_that_the_evaluator_knows() {
    let schemas = Schemas::read();
    let object = schemas.0["expression.schema.json"].root();
    let object = object.get("else").and_then(|other| other.get("then")).expect("the schema of constructs");
    let known: BTreeMap<String, Vec<String>> = (taut_expr::vocabulary().iter())
        .map(|(construct, parts)| ((*construct).to_owned(), words(parts)))
        .collect();
    assert_eq!(cases(object), known);
    let listed = object.get("properties").and_then(|p| p.get("type")?.get("enum")).expect("the list");
    assert_eq!(sorted(listed), known.into_keys().collect::<Vec<_>>());
}

#[test]
fn builtin_rules_fields_and_keys_are_those_that_analysis_knows() {
    use taut_analysis::vocabulary;
    let schemas = Schemas::read();
    let entry = |kind: &str| {
        schemas.0[&format!("{kind}.schema.json")].root().get("additionalProperties").expect("entries")
    };
    let known: BTreeMap<String, Vec<String>> = (vocabulary::builtin_rules().iter())
        .map(|(rule, fields)| ((*rule).to_owned(), words(fields)))
        .collect();
    assert_eq!(cases(entry("targets")), known);
    let kind =
        entry("targets").get("properties").and_then(|p| p.get("type")?.get("anyOf")?.item(0)?.get("enum"));
    assert_eq!(sorted(kind.expect("the list")), known.into_keys().collect::<Vec<_>>());
    let keys = |kind: &str| -> Vec<String> {
        let properties = entry(kind).get("properties").expect("keys");
        properties.entries().map(|(key, _)| key.to_owned()).collect()
    };
    assert_eq!(keys("rules"), words(vocabulary::RULE));
    assert_eq!(keys("expressions"), words(vocabulary::FUNCTION));
}

#[test]
fn types_and_keys_of_repositories_are_those_that_the_set_up_knows() {
    use taut_setup::{DESCRIPTION_FIELDS, ENTRY, PRAGMA, SOURCES};

    let schemas = Schemas::read();
    let keys = |object: Node<'_>| -> Vec<String> {
        object.get("properties").expect("keys").entries().map(|(key, _)| key.to_owned()).collect()
    };
    let known = |fields: taut_setup::Fields| words(&fields.iter().map(|(key, _)| *key).collect::<Vec<_>>());
    let description = schemas.0["repos.schema.json"].root();
    assert_eq!(keys(description), known(DESCRIPTION_FIELDS));
    let all = description.get("properties").and_then(|of| of.get("repositories")).expect("repositories");
    let entry = all.get("additionalProperties").expect("entries");
    assert_eq!(keys(entry), known(ENTRY));
    let source = entry.get("properties").and_then(|of| of.get("repository")?.get("anyOf")?.item(1));
    let source = source.expect("an object");
    assert_eq!(keys(source), ["pragma", "type"]);
    let pragma = source.get("properties").and_then(|of| of.get("pragma")).expect("the pragma");
    assert_eq!(keys(pragma), known(PRAGMA));
    let types = source.get("properties").and_then(|of| of.get("type")?.get("enum")).expect("the list");
    assert_eq!(sorted(types), words(&SOURCES.map(|(of, _)| of)));
    let of_types: BTreeMap<String, Vec<String>> = (SOURCES.iter())
        .map(|(of, fields)| {
            // Those of all types are not repeated for each.
            let own = known(fields).into_iter().filter(|key| !["pragma", "type"].contains(&&**key));
            ((*of).to_owned(), own.collect())
        })
        .collect();
    assert_eq!(cases(source), of_types);
}

#[test]
fn mistakes_are_refused() {
    let schemas = Schemas::read();
    let right_and_wrong = [
        ("targets", r#"{"t": {"type": "generic", "outs": ["x"]}}"#, r#"{"t": {"type": "generic"}}"#),
        ("targets", r#"{"t": {"type": ["m", "r"], "f": []}}"#, r#"{"t": {"f": []}}"#),
        ("targets", r#"{"t": {"type": "r"}}"#, r#"{"t": {"type": "r", "f": {"x": []}}}"#),
        ("targets", r#"{"t": {"type": ["@", "r", "m", "n"]}}"#, r#"{"t": {"type": ["FILE", null, "f"]}}"#),
        (
            "targets",
            r#"{"t": {"type": "install", "files": {"a": "b"}}}"#,
            r#"{"t": {"type": "install", "files": ["b"]}}"#,
        ),
        (
            "targets",
            r#"{"t": {"type": "export", "target": ["./", "m", "n"]}}"#,
            r#"{"t": {"type": "export", "target": ["a", "b", "c"]}}"#,
        ),
        (
            "targets",
            r#"{"t": {"type": "tree", "tainted": ["test"]}}"#,
            r#"{"t": {"type": "tree", "arguments_config": "A"}}"#,
        ),
        ("rules", r#"{"r": {"expression": []}}"#, r#"{"r": {}}"#),
        (
            "rules",
            r#"{"r": {"expression": [], "implicit": {"f": ["x"]}}}"#,
            r#"{"r": {"expression": [], "implicit": {"f": "x"}}}"#,
        ),
        (
            "rules",
            r#"{"r": {"expression": {"type": "RESULT"}}}"#,
            r#"{"r": {"expression": {"type": "RESLT"}}}"#,
        ),
        (
            "rules",
            r#"{"r": {"expression": {"type": "FIELD", "name": "x"}}}"#,
            r#"{"r": {"expression": {"type": "FIELD"}}}"#,
        ),
        (
            "rules",
            r#"{"r": {"expression": 1, "anonymous": {"a": {"target": "t", "provider": "p", "rule_map": {}}}}}"#,
            r#"{"r": {"expression": 1, "anonymous": {"a": {"target": "t", "provider": "p"}}}}"#,
        ),
        (
            "expressions",
            r#"{"e": {"vars": ["x"], "expression": 1}}"#,
            r#"{"e": {"vars": "x", "expression": 1}}"#,
        ),
        (
            "expressions",
            r#"{"e": {"imports": {"a": "b"}, "expression": 1}}"#,
            r#"{"e": {"imports": ["b"], "expression": 1}}"#,
        ),
        ("expression", r#"{"type": "'", "$1": {"a": 1}}"#, r#"{"a": 1}"#),
        ("expression", r#"{"type": "cond", "cond": [[1, 2]]}"#, r#"{"type": "cond", "cond": [[1]]}"#),
        ("expression", r#"{"type": "let*", "body": 1}"#, r#"{"type": "let*", "bindings": []}"#),
        (
            "repos",
            r#"{"repositories": {"a": {"repository": "b", "note": 1}, "b": {"repository": {"type": "file", "path": "."}}}}"#,
            r#"{"repositories": {"b": {"repository": {"type": "file"}}}}"#,
        ),
        (
            "repos",
            r#"{"repositories": {"a": {"repository": {"type": "file", "path": ".", "pragma": {"to_git": true}}}}}"#,
            r#"{"repositories": {"a": {"repository": {"type": "file", "path": ".", "pragma": {"to_git": 1}}}}}"#,
        ),
        (
            "repos",
            r#"{"repositories": {"a": {"repository": {"type": "computed", "repo": "a", "target": ["", "t"]}}}}"#,
            r#"{"repositories": {"a": {"repository": {"type": "computed", "repo": "a", "target": ["t"]}}}}"#,
        ),
        ("repos", r#"{"repositories": {}}"#, r#"{"main": "a"}"#),
        ("repositories", r#"{"main": "m"}"#, r#"{"main": 1}"#),
        (
            "repositories",
            r#"{"repositories": {"m": {"workspace_root": ["file", "/x"], "bindings": {"a": "m"}}}}"#,
            r#"{"repositories": {"m": {"workspace_root": ["fiel", "/x"]}}}"#,
        ),
        (
            "repositories",
            r#"{"repositories": {"m": {"bindings": {}}}}"#,
            r#"{"repositories": {"m": {"bindings": {"a": 1}}}}"#,
        ),
    ];
    for (kind, right, wrong) in right_and_wrong {
        assert!(schemas.accepts(kind, right), "{right}");
        assert!(!schemas.accepts(kind, wrong), "{wrong}");
    }
}
