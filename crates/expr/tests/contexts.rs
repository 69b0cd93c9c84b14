//! The constructs of each context, their use of the host, and the order of definitions.

use std::rc::Rc;

use taut_digest::{Digest, HashFunction, ObjectType};
use taut_expr::{Context, Expr, Host, Imports, NoName, Offer, evaluate, json_to_value};
use taut_syntax::Document;
use taut_value::{ActionDescription, Artifact, Id, Map, Str, TargetResult, Tree, Value};

struct Recording(Context, Vec<String>);

impl Host for Recording {
    fn context(&self) -> Context {
        self.0
    }
    fn field(&mut self, name: &str) -> Option<Value> {
        (name == "f").then(|| Value::string("field"))
    }
    fn reference(&mut self, reference: &Value, transition: &Map) -> Result<Option<Rc<dyn Offer>>, NoName> {
        match reference.as_str().map(|name| name.as_str()) {
            Some("dep") if transition.is_empty() => {
                let stage = |path| [(path, Value::Null)].into_iter().collect();
                Ok(Some(Rc::new(TargetResult::new(stage("out"), stage("run"), Map::default()))))
            }
            Some(_) => Ok(None),
            None => Err(NoName { message: "not a name".into(), reference: "no name".into() }),
        }
    }
    fn define_action(&mut self, action: ActionDescription, _: Option<Str>) -> Id {
        self.1.push(format!("action {}", action.command[0]));
        action.id()
    }
    fn define_blob(&mut self, content: &Str) -> Artifact {
        self.1.push(format!("blob {content}"));
        let hash = HashFunction::GitSha1.blob(content.as_bytes());
        Artifact::known(Digest { hash, size: content.len() as u64 }, ObjectType::File)
    }
    fn define_tree(&mut self, tree: Tree) {
        self.1.push(format!("tree of {}", tree.stage().len()));
    }
}

fn run(context: Context, text: &str) -> (Result<Value, String>, Vec<String>) {
    let document = Document::parse("f", text).expect("valid JSON");
    let mut host = Recording(context, Vec::new());
    let value = evaluate(&Expr::compile(document.root()), &Map::default(), &Imports::new(), &mut host);
    (value.map_err(|error| error.message.clone()), host.1)
}

fn check(context: Context, text: &str, expected: Result<&str, &str>) {
    let expected = expected
        .map(|text| json_to_value(Document::parse("expected", text).expect("valid JSON").root()))
        .map_err(str::to_owned);
    assert_eq!(run(context, text).0, expected, "{text}");
}

#[test]
fn constructs_exist_in_their_contexts_only() {
    let field = r#"{"type":"FIELD","name":"f"}"#;
    let unknown = |name: &str| format!("Unknown syntactical construct {name}");
    for context in [Context::Rule, Context::Transition] {
        check(context, field, Ok("\"field\""));
    }
    for context in [Context::Pure, Context::Field] {
        check(context, field, Err(&unknown("FIELD")));
        check(context, r#"{"type":"CALL_EXPRESSION","name":"f"}"#, Err(&unknown("CALL_EXPRESSION")));
    }
    for context in [Context::Pure, Context::Field, Context::Transition] {
        check(context, r#"{"type":"ACTION"}"#, Err(&unknown("ACTION")));
        check(context, r#"{"type":"BLOB"}"#, Err(&unknown("BLOB")));
    }
    for context in [Context::Pure, Context::Rule, Context::Transition] {
        check(context, r#"{"type":"outs","dep":"dep"}"#, Err(&unknown("outs")));
    }
}

#[test]
fn fields_can_read_declared_dependencies() {
    let undeclared = "Reference to undeclared dependency \"other\" in transition {}";
    check(Context::Field, r#"{"type":"outs","dep":"dep"}"#, Ok(r#"["out"]"#));
    check(Context::Field, r#"{"type":"runfiles","dep":"dep"}"#, Ok(r#"["run"]"#));
    check(Context::Field, r#"{"type":"outs","dep":"other"}"#, Err(undeclared));
    check(Context::Field, r#"{"type":"outs","dep":1}"#, Err("not a name"));
    check(Context::Field, r#"{"type":"outs"}"#, Err("\"outs\" lacks \"dep\""));
}

#[test]
fn definitions_are_made_in_the_order_of_evaluation() {
    let text = r#"[{"type":"BLOB","data":"first"},
        {"type":"ACTION","outs":["o"],"cmd":["run"],"cwd":"w","inputs":
            {"type":"singleton_map","key":"i","value":{"type":"BLOB","data":"input"}}}]"#;
    let (value, made) = run(Context::Rule, text);
    assert!(value.is_ok());
    assert_eq!(made, ["blob first", "blob input", "tree of 0", "action run"]);
}

#[test]
fn paths_of_actions_that_lead_outwards_are_errors() {
    for out in ["../o", "/o", "a/../../o"] {
        let text = format!(r#"{{"type":"ACTION","outs":["{out}"],"cmd":["c"]}}"#);
        let message = format!(
            "\"outs\" of \"ACTION\" has to be a list of non-upwards relative paths, but contains \"{out}\""
        );
        check(Context::Rule, &text, Err(&message));
    }
}
