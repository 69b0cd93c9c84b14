//! The order of values by their JSON texts, without writing these.
//!
//! Values share their parts and may be exponentially large as text. Equal parts have equal texts, so only the path to
//! the first difference is followed.

use std::cmp::Ordering;

use crate::{Value, deep, escape_into};

/// The order of the JSON texts of two values, byte by byte. Of values that JSON does not have (artifacts, results,
/// names, nodes) only the first 4096 bytes count, and then their ids.
pub fn json_order(a: &Value, b: &Value) -> Ordering {
    if a.id() == b.id() { Ordering::Equal } else { differing(a, 0, b, 0).then_with(|| a.id().cmp(&b.id())) }
}

/// Of different values; the bytes that follow their texts decide if one text is a prefix of the other.
fn differing(a: &Value, after_a: u8, b: &Value, after_b: u8) -> Ordering {
    match (a, b) {
        (Value::List(a), Value::List(b)) => deep(|| {
            let after = |at: usize, length: usize| if at + 1 < length { b',' } else { b']' };
            for (at, (x, y)) in a.iter().zip(b.iter()).enumerate() {
                let (after_x, after_y) = (after(at, a.len()), after(at, b.len()));
                // Comparing ids costs one hash for each part, and only once, as parts keep theirs.
                if x.id() != y.id() {
                    return differing(x, after_x, y, after_y);
                }
                if after_x != after_y {
                    return after_x.cmp(&after_y);
                }
            }
            // One of them is empty.
            let first = |list: &[Value]| list.first().map_or(b']', first_byte);
            first(a).cmp(&first(b))
        }),
        (Value::Map(a), Value::Map(b)) => deep(|| {
            let after = |at: usize, length: usize| if at + 1 < length { b',' } else { b'}' };
            for (at, ((k, x), (l, y))) in a.iter().zip(b.iter()).enumerate() {
                if k != l {
                    // As escaped: a line feed is before all letters, but the backslash of its escape is behind the
                    // capital ones.
                    return text(k).cmp(&text(l));
                }
                let (after_x, after_y) = (after(at, a.len()), after(at, b.len()));
                if x.id() != y.id() {
                    return differing(x, after_x, y, after_y);
                }
                if after_x != after_y {
                    return after_x.cmp(&after_y);
                }
            }
            // One of them is empty: a quotation mark comes before a brace.
            b.is_empty().cmp(&a.is_empty()).reverse()
        }),
        (Value::String(a), Value::String(b)) => text(a).cmp(&text(b)),
        _ => {
            const MAX_COMPARED_BYTES: usize = 4096;
            let with = |value: &Value, after| {
                let mut text = value.to_json_beyond(MAX_COMPARED_BYTES).into_bytes();
                text.push(after);
                text
            };
            with(a, after_a).cmp(&with(b, after_b))
        }
    }
}

fn first_byte(value: &Value) -> u8 {
    match value {
        Value::List(_) | Value::Name(_) => b'[',
        Value::String(_) => b'"',
        Value::Number(_) | Value::Null | Value::Bool(_) => value.to_json().as_bytes()[0],
        Value::Map(_) | Value::Artifact(_) | Value::Result(_) | Value::Node(_) => b'{',
    }
}

fn text(text: &str) -> String {
    let mut out = String::new();
    escape_into(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, Value)]) -> Value {
        Value::Map(entries.iter().map(|(key, value)| (*key, value.clone())).collect())
    }

    #[test]
    fn values_are_ordered_like_their_json_texts() {
        let number = Value::Number;
        let mut values = vec![
            Value::Null,
            Value::Bool(true),
            Value::Bool(false),
            number(1.0),
            number(10.0),
            number(1.05),
            number(-1.0),
            number(1e30),
            Value::string(""),
            Value::string("a"),
            Value::string("a\n"),
            Value::string("a b"),
            Value::string("ab\""),
            Value::list([]),
            map(&[]),
        ];
        for _ in 0..2 {
            let some: Vec<Value> = values.iter().step_by(3).cloned().collect();
            values.extend(some.iter().map(|value| Value::list([value.clone()])));
            values.extend(some.iter().map(|value| Value::list([value.clone(), number(1.0)])));
            values.extend(some.iter().map(|value| map(&[("N", value.clone())])));
            values.extend(some.iter().map(|value| map(&[("N", value.clone()), ("N\n", Value::Null)])));
        }
        for a in &values {
            for b in &values {
                let (x, y) = (a.to_json(), b.to_json());
                assert_eq!(json_order(a, b), x.cmp(&y), "{x} and {y}");
            }
        }
    }

    #[test]
    fn exponentially_large_values_are_ordered() {
        let nested = |last: f64| {
            let mut value = Value::Number(last);
            for _ in 0..200 {
                value = Value::list([Value::string("x"), value.clone(), value]);
            }
            value
        };
        assert_eq!(json_order(&nested(1.0), &nested(10.0)), Ordering::Less);
        assert_eq!(json_order(&nested(2.0), &nested(2.0)), Ordering::Equal);
    }
}
