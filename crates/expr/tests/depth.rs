//! Nesting is limited by memory only: 100,000 levels of every construct that nests.

use taut_expr::{Expr, Imports, Pure, evaluate};
use taut_syntax::Document;
use taut_value::{Map, Value};

const LEVELS: usize = 100_000;

fn evaluated(text: String) -> Result<Value, taut_expr::EvalError> {
    let document = Document::parse("f", text).expect("valid JSON");
    evaluate(&Expr::compile(document.root()), &Map::default(), &Imports::new(), &mut Pure)
}

fn nested(open: &str, innermost: &str, close: &str) -> String {
    format!("{}{innermost}{}", open.repeat(LEVELS), close.repeat(LEVELS))
}

#[test]
fn deep_lists_evaluate_and_print() {
    let value = evaluated(nested("[", "{\"type\":\"empty_map\"}", "]")).expect("lists of lists");
    assert_eq!(value.to_json(), nested("[", "{}", "]"));
}

#[test]
fn deep_constructs_evaluate() {
    let text = nested(r#"{"type":"let*","bindings":[["x",1]],"body":"#, r#"{"type":"var","name":"x"}"#, "}");
    assert_eq!(evaluated(text), Ok(Value::Number(1.0)));
    let text = nested(r#"{"type":"var","name":"x","default":"#, "7", "}");
    assert_eq!(evaluated(text), Ok(Value::Number(7.0)));
    let text = nested(r#"{"type":"if","cond":true,"then":"#, "7", "}");
    assert_eq!(evaluated(text), Ok(Value::Number(7.0)));
    let text = nested(r#"{"type":"++","$1":[["#, "0", "]]}");
    assert_eq!(evaluated(text).map(|value| value.as_list().map(|list| list.len())), Ok(Some(1)));
}

#[test]
fn deep_quasi_quotations_expand() {
    let text = format!("{{\"type\":\"`\",\"$1\":{}}}", nested("[{\"a\":", "{\"type\":\",\",\"$1\":1}", "}]"));
    assert_eq!(evaluated(text).map(|value| value.to_json()), Ok(nested("[{\"a\":", "1.0", "}]")));
}

#[test]
fn an_error_far_inside_is_reported_briefly() {
    let text = nested(r#"{"type":"if","cond":true,"then":"#, r#"{"type":"nope"}"#, "}");
    let error = evaluated(text).expect_err("no such construct");
    assert_eq!(error.message, "Unknown syntactical construct nope");
    let diagnostic = error.into_diagnostic();
    assert!(diagnostic.chain.len() < 20);
    assert_eq!(
        diagnostic.location.map(
            |at| matches!(at.place, taut_syntax::LocationPart::Value(path) if path.steps().len() == LEVELS + 1)
        ),
        Some(true)
    );
}
