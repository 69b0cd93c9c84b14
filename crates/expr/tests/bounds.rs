//! Limits of computed values: a value that grows without bound is an error with a location, and is not made.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use taut_expr::{Context, Expr, Host, Imports, evaluate, json_to_value};
use taut_syntax::Document;
use taut_value::{EntityName, Map, Str, Value};

struct Alone;

impl Host for Alone {
    fn context(&self) -> Context {
        Context::Pure
    }
    fn field(&mut self, _: &str) -> Option<Value> {
        None
    }
    fn field_names(&self) -> Vec<Str> {
        Vec::new()
    }
    fn dependency(&mut self, _: &EntityName, _: &Map) -> Option<std::rc::Rc<dyn taut_expr::Offer>> {
        None
    }
    fn is_tainted_with(&self, _: &str) -> bool {
        false
    }
    fn define_blob(&mut self, _: &Str) -> taut_value::Artifact {
        unreachable!("no rule")
    }
    fn define_symlink(&mut self, _: &Str) -> taut_value::Artifact {
        unreachable!("no rule")
    }
}

/// The expression where `x` is a string of 1 MiB and `y` one of 200 MiB.
fn with_long_strings(expression: &str) -> String {
    let (x, items) = ("x".repeat(1 << 20), r#"{"type": "var", "name": "x"}, "#.repeat(200));
    let y = format!(r#"{{"type": "join", "$1": [{}]}}"#, items.trim_end_matches(", "));
    let expression = expression.replace('X', r#"{"type": "var", "name": "x"}"#);
    let expression = expression.replace('Y', r#"{"type": "var", "name": "y"}"#);
    format!(r#"{{"type": "let*", "bindings": [["x", "{x}"], ["y", {y}]], "body": {expression}}}"#)
}

/// Sixty steps, each computed from the previous value (`X`), and a last one (with `X` as well).
fn sixty_steps(first: &str, step: &str, last: &str) -> String {
    let of = |text: &str, number| text.replace('X', &format!(r#"{{"type": "var", "name": "x{number}"}}"#));
    let mut bindings = vec![format!(r#"["x0", {first}]"#)];
    bindings.extend((1..=60).map(|number| format!(r#"["x{number}", {}]"#, of(step, number - 1))));
    format!(r#"{{"type": "let*", "bindings": [{}], "body": {}}}"#, bindings.join(", "), of(last, 60))
}

fn error_of(expression: &str) -> String {
    let document = Document::parse("RULES", expression).expect("valid JSON");
    let value = evaluate(&Expr::compile(document.root()), &Map::default(), &Imports::default(), &mut Alone);
    let error = value.expect_err("there is no value");
    assert!(error.location.is_some(), "the error has a location: {error}");
    error.message.clone()
}

const TOO_LONG: &str = " bytes; at most 268435456 are possible";

#[test]
fn a_string_that_doubles_sixty_times_is_an_error() {
    let message = error_of(&sixty_steps(r#""x""#, r#"{"type": "join", "$1": [X, X]}"#, "X"));
    assert_eq!(message, format!("the string would have 536870912{TOO_LONG}"));
}

#[test]
fn all_constructs_that_make_strings_have_the_same_limit() {
    for expression in [
        r#"{"type": "join", "$1": [Y, Y]}"#,
        r#"{"type": "join", "$1": ["a", "b", "c"], "separator": Y}"#,
        r#"{"type": "join_cmd", "$1": [Y, Y]}"#,
        r#"{"type": "change_ending", "$1": Y, "ending": Y}"#,
        r#"{"type": "escape_chars", "$1": X, "chars": "x", "escape_prefix": X}"#,
        r#"{"type": "concat_target_name", "$1": Y, "$2": Y}"#,
        r#"{"type": "concat_target_name", "$1": "a", "$2": [Y, Y]}"#,
    ] {
        let message = error_of(&with_long_strings(expression));
        let is_reported = message.starts_with("the string would have ") && message.ends_with(TOO_LONG);
        assert!(is_reported, "{expression}: {message}");
    }
}

#[test]
fn a_shared_value_is_encoded_only_if_its_text_is_within_the_limit() {
    let message = error_of(&sixty_steps("1", "[X, X]", r#"{"type": "json_encode", "$1": X}"#));
    assert!(message.starts_with("the string would have ") && message.ends_with(TOO_LONG), "{message}");
}

#[test]
fn a_list_that_grows_a_thousandfold_sixty_times_is_an_error() {
    let first = r#"{"type": "range", "$1": 1000}"#;
    let thousand = format!(r#"{{"type": "++", "$1": [{}]}}"#, vec!["X"; 1000].join(", "));
    let message = error_of(&sixty_steps(first, &thousand, "X"));
    assert_eq!(message, "the list would have 1000000000 entries; at most 100000000 are possible");
}

#[test]
fn paths_that_double_sixty_times_are_an_error() {
    let step =
        r#"{"type": "to_subdir", "$1": X, "subdir": {"type": "join", "$1": {"type": "keys", "$1": X}}}"#;
    let message =
        error_of(&sixty_steps(r#"{"type": "singleton_map", "key": "d", "value": null}"#, step, "X"));
    assert!(
        message.starts_with("all paths together would have ") && message.ends_with(TOO_LONG),
        "{message}"
    );
}

#[test]
fn large_values_within_the_limits_are_computed() {
    let document = r#"{"type": "json_encode", "$1": {"type": "range", "$1": 100000}}"#;
    let document = Document::parse("RULES", document).expect("valid JSON");
    let value = evaluate(&Expr::compile(document.root()), &Map::default(), &Imports::default(), &mut Alone);
    let text = value.expect("a value");
    let read = json_to_value(Document::parse("text", text.as_str().unwrap().as_str()).unwrap().root());
    assert_eq!(read.as_list().map(|list| list.len()), Some(100_000));
}
