//! Values in messages: cut at a limit, and printed in time proportional to it.

use taut_value::{Value, deep};

/// The value's JSON text, cut after about `limit` bytes with `...` at the end. Takes time in proportion to the limit,
/// not to the value.
pub fn abbreviate(value: &Value, limit: usize) -> String {
    cut(value, limit, false)
}

/// As [`abbreviate`], with whole numbers in the form of JSON texts of values: `1.0`.
pub(crate) fn abbreviate_json(value: &Value, limit: usize) -> String {
    cut(value, limit, true)
}

fn cut(value: &Value, limit: usize, as_json: bool) -> String {
    let mut out = String::new();
    append(value, limit, as_json, &mut out);
    if out.len() > limit {
        out.truncate(out.floor_char_boundary(limit.saturating_sub(3)));
        out.push_str("...");
    }
    out
}

/// A value's kind, with its article.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Name(_) => "a target name",
        Value::Artifact(_) => "an artifact",
        Value::Result(_) => "a result",
        Value::Node(_) => "a node",
    }
}

fn append(value: &Value, limit: usize, as_json: bool, out: &mut String) {
    if out.len() > limit {
        return;
    }
    match value {
        Value::List(list) => deep(|| {
            out.push('[');
            for (i, item) in list.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                append(item, limit, as_json, out);
                if out.len() > limit {
                    return;
                }
            }
            out.push(']');
        }),
        Value::Map(map) => deep(|| {
            out.push('{');
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                text(key, limit, out);
                out.push(':');
                append(item, limit, as_json, out);
                if out.len() > limit {
                    return;
                }
            }
            out.push('}');
        }),
        Value::String(string) => text(string, limit, out),
        // Whole numbers without a decimal point.
        // Below 1e15 every whole number is exact in a double, and shorter than with an exponent.
        Value::Number(number) if !as_json && number.fract() == 0.0 && number.abs() < 1e15 => {
            out.push_str(&format!("{number:.0}"));
        }
        other => out.push_str(&other.to_json_beyond(limit)),
    }
}

fn text(string: &str, limit: usize, out: &mut String) {
    // Cut at or above the limit, so that with its quotation marks a cut text is too long, and `cut` marks it.
    taut_value::escape_into(&string[..string.ceil_char_boundary(limit.saturating_add(1))], out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_deep_values_are_cut() {
        let mut value = Value::Null;
        for _ in 0..100_000 {
            value = Value::list([value]);
        }
        assert_eq!(abbreviate(&value, 8), "[[[[[...");
        assert_eq!(abbreviate(&Value::string("äöü".repeat(9)), 9), "\"äö...");
        assert_eq!(abbreviate(&Value::list([Value::Null]), 320), "[null]");
        assert_eq!(abbreviate(&Value::list([Value::string("text")]), usize::MAX), "[\"text\"]");
        // A character of four bytes, wherever it is in relation to the limit.
        for before in 0..12 {
            let text = format!("{}{}", "x".repeat(before), "\u{1f980}".repeat(9));
            assert!(abbreviate(&Value::string(&*text), 9).ends_with("..."), "{before}");
            let map: taut_value::Map = [(&*text, Value::Null)].into_iter().collect();
            assert!(abbreviate(&Value::Map(map), 9).ends_with("..."), "{before}");
        }
    }
}
