//! The expression cases in `tests/cases`: the semantics of the language by example.
//!
//! Each `FILE.json` is a list of expressions, each `FILE.exp` has a line for each: the value's JSON text,
//! or `ERROR`, followed by the message of the rule's author, if there is one. The expected lines come
//! from the reference (its version is in `VERSION`; `scripts/expression-cases.py` asks it). The texts of
//! all errors, which differ from the reference's, are in `errors.txt`.
//!
//! The expressions are part of a rule with the fields `words` (`["v","w"]`) and `deps` (the source file
//! `f.txt` and the target `lib`), tainted with `test`, which can call `f` and `fail`.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{collections::BTreeMap, fs, path::Path, rc::Rc, sync::Arc};

use taut_digest::{Digest, HashFunction, ObjectType};
use taut_expr::{Context, Expr, Function, Host, Imports, Offer, evaluate, json_to_value};
use taut_syntax::{Document, diagnostic::render};
use taut_value::{Artifact, EntityName, Id, JsonMode, Map, NamedTarget, Str, TargetResult, Value};

struct Rule {
    file: EntityName,
    lib: EntityName,
}

fn known(content: &str, object_type: ObjectType) -> Artifact {
    let hash = HashFunction::GitSha1.blob(content.as_bytes());
    Artifact::known(Digest { hash, size: content.len() as u64 }, object_type)
}

fn one(key: &str, value: Value) -> Map {
    [(key, value)].into_iter().collect()
}

impl Host for Rule {
    fn context(&self) -> Context {
        Context::Rule
    }

    fn field(&mut self, name: &str) -> Option<Value> {
        match name {
            "words" => Some(value(r#"["v","w"]"#)),
            "deps" => Some(Value::list([Value::Name(self.file.clone()), Value::Name(self.lib.clone())])),
            _ => None,
        }
    }

    fn field_names(&self) -> Vec<Str> {
        vec!["deps".into(), "words".into()]
    }

    fn dependency(&mut self, name: &EntityName, transition: &Map) -> Option<Rc<dyn Offer>> {
        if !transition.is_empty() {
            return None;
        }
        if *name == self.file {
            let file = Artifact::Local { path: "f.txt".into(), repository: "".into() };
            let stage = one("f.txt", Value::artifact(file));
            return Some(Rc::new(TargetResult::new(stage.clone(), stage, Map::default())));
        }
        let artifacts = one("l", Value::artifact(known("lib", ObjectType::File)));
        let provides = value(r#"{"p":["provided"],"null":null}"#).as_map().cloned().expect("a map");
        let result = TargetResult::new(artifacts, Map::default(), provides);
        (*name == self.lib).then(|| Rc::new(result) as Rc<dyn Offer>)
    }

    fn is_tainted_with(&self, word: &str) -> bool {
        word == "test"
    }

    fn define_blob(&mut self, content: &Str) -> Artifact {
        known(content, ObjectType::File)
    }

    fn define_symlink(&mut self, target: &Str) -> Artifact {
        known(target, ObjectType::Symlink)
    }
}

fn value(text: &str) -> Value {
    json_to_value(Document::parse("value", text).expect("valid JSON").root())
}

fn imports() -> Imports {
    let function = |vars: &[&str], body: &str| {
        let body = Document::parse("EXPRESSIONS", body).expect("valid JSON");
        let vars = vars.iter().map(|var| Str::from(*var)).collect();
        let closure = Id::of(body.root().canonical_hash());
        Arc::new(Function { vars, imports: BTreeMap::new(), body: Expr::compile(body.root()), closure })
    };
    let f = function(&["a", "X"], r#"{"type":"env","vars":["a","X","L"]}"#);
    [("f".into(), f), ("fail".into(), function(&[], r#"{"type":"fail","msg":"called"}"#))]
        .into_iter()
        .collect()
}

/// Intended differences from the reference: the expression and taut's value.
const DIFFERENT: &[(&str, &str)] = &[
    // The reference fails on these as items of the outermost list of a quasi-quotation.
    (r#"{"type": "`", "$1": [{"a": 1}]}"#, r#"[{"a":1.0}]"#),
    (r#"{"type": "`", "$1": [{"type": ","}]}"#, "[null]"),
];

fn cases(name: &str) -> (Document, Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    let text = fs::read_to_string(path.with_extension("json")).expect("the cases");
    let expected = fs::read_to_string(path.with_extension("exp")).expect("the expected values");
    let document = Document::parse(format!("{name}.json"), text).expect("valid JSON");
    (document, expected.lines().map(str::to_owned).collect())
}

const FILES: [&str; 10] =
    ["conditions", "errors", "lists", "maps", "paths", "quoting", "rules", "strings", "values", "variables"];

#[test]
fn expressions_have_the_values_of_the_reference() {
    let environment = value(r#"{"X":"ex","N":null,"L":["a","b","a"],"M":{"a":1,"b":null},"F":false}"#);
    let environment = environment.as_map().expect("a map");
    let imports = imports();
    let mut wrong = String::new();
    let mut errors = String::new();
    for file in FILES {
        let (document, expected) = cases(file);
        assert_eq!(document.root().len(), expected.len(), "{file}");
        let sources = |_: &str| Some(document.text().clone());
        for (case, expected) in document.root().items().zip(&expected) {
            let name = |name: &str| EntityName::Named(NamedTarget::new("", "", name));
            let mut host = Rule { file: name("f.txt"), lib: name("lib") };
            let got = match evaluate(&Expr::compile(case), environment, &imports, &mut host) {
                Ok(value) => value.to_json_mode(JsonMode::AllButNodes),
                Err(error) => {
                    let diagnostic = error.into_diagnostic();
                    errors.push_str(&render(&diagnostic, &sources, false));
                    errors.push_str("\n\n");
                    let text = diagnostic.reference.unwrap_or_default();
                    let first = text.lines().find(|line| line.starts_with("UserError: "));
                    let context = text.lines().find(|line| line.starts_with("In Context "));
                    context.or(first).map_or_else(|| "ERROR".into(), |line| format!("ERROR {line}"))
                }
            };
            let ours = DIFFERENT.iter().find(|(text, _)| *text == case.source());
            let wanted = ours.map_or(expected.as_str(), |(_, ours)| ours);
            if got != wanted {
                wrong
                    .push_str(&format!("{file}: {}\n  expected {wanted}\n  got      {got}\n", case.source()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    expect_test::expect_file!["cases/errors.txt"].assert_eq(&errors);
}

/// The examples of the manual: in each block `expr`, a line is an expression and its value.
#[test]
fn examples_of_the_manual_have_the_values_shown_there() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/language.md");
    let manual = fs::read_to_string(manual).expect("the manual");
    let blocks = manual.split("```expr\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let environment = value(r#"{"X":"ex","N":null,"L":["a","b","a"],"M":{"a":1,"b":null}}"#);
    let environment = environment.as_map().expect("a map");
    let imports = imports();
    let mut wrong = String::new();
    let mut shown = 0;
    for line in blocks.flat_map(str::lines) {
        let (expression, expected) = line.split_once(" → ").expect("an expression, an arrow, a value");
        let document = Document::parse("manual", expression).expect(expression);
        let name = |name: &str| EntityName::Named(NamedTarget::new("", "", name));
        let mut host = Rule { file: name("f.txt"), lib: name("lib") };
        let got = match evaluate(&Expr::compile(document.root()), environment, &imports, &mut host) {
            Ok(value) => value.to_json_mode(JsonMode::AllButNodes),
            Err(_) if expected == "error" => expected.to_owned(),
            Err(error) => format!("error: {}", error.message.lines().next().unwrap_or_default()),
        };
        if got != expected {
            wrong.push_str(&format!("{expression}\n  expected {expected}\n  got      {got}\n"));
        }
        shown += 1;
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(shown > 80, "the manual has only {shown} examples");
}
