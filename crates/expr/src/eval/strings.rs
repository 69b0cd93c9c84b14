//! Text and numbers in text.

use taut_value::{List, Str, Value};

use super::{Evaluated, list_of, plain, string_of};
use crate::abbreviate;

/// The integer that a text starts with, as C's `atol` reads it: after white space, with a sign; 0 if
/// there is none, the nearest one that fits if it is too large.
pub(super) fn leading_integer(text: &str) -> i64 {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let value = digits
        .bytes()
        .take_while(u8::is_ascii_digit)
        .fold(0_i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -value } else { value }
}

/// The most items that `range` makes.
const LONGEST_RANGE: i64 = 100_000_000;

pub(super) fn range(argument: &Value) -> Evaluated {
    let length = match argument {
        Value::Number(number) if *number > 0.0 => number.round() as i64,
        Value::String(text) => leading_integer(text),
        _ => 0,
    };
    if !(0..=LONGEST_RANGE).contains(&length) {
        return plain(format!("range cannot have {length} entries"));
    }
    Ok((0..length).map(|i| Value::string(i.to_string())).collect::<List>().into())
}

/// Strings put together. `quote` makes each a word of the shell, `lone` allows a string for the list.
pub(super) fn join(list: &Value, separator: &str, quote: bool, lone: bool, limit: usize) -> Evaluated {
    let append = |out: &mut String, text: &str| {
        if quote {
            out.push('\'');
            out.push_str(&text.replace('\'', "'\\''"));
            out.push('\'');
        } else {
            out.push_str(text);
        }
    };
    let mut out = String::new();
    match list {
        Value::String(text) if lone => append(&mut out, text),
        Value::List(items) => {
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(separator);
                }
                append(&mut out, string_of(item)?);
            }
        }
        other => {
            let or = if lone { " or a single string" } else { "" };
            let found = abbreviate(other, limit);
            return plain(format!("Join expects a list of strings{or}, but got: {found}."));
        }
    }
    Ok(Value::string(out))
}

/// The text with `prefix` before each of its characters that occur in `chars`.
pub(super) fn escape(text: &Str, chars: &Value, prefix: &Value) -> Evaluated {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Both are looked at only when they are needed, so an empty text hides their errors.
        if string_of(chars)?.contains(c) {
            out.push_str(string_of(prefix)?);
        }
        out.push(c);
    }
    Ok(Value::string(out))
}

/// A target's name, or the last item of a list that names one, with something appended.
pub(super) fn concat_target_name(name: &Value, append: &Str, limit: usize) -> Evaluated {
    match name {
        Value::String(name) => return Ok(Value::string(format!("{name}{append}"))),
        Value::List(items) if items.iter().all(|item| item.as_str().is_some()) => {
            let mut items: Vec<Value> = list_of(name)?.to_vec();
            if let Some(last) = items.last_mut() {
                *last = Value::string(format!("{}{append}", string_of(last)?));
            }
            return Ok(Value::List(items.into()));
        }
        _ => {}
    }
    plain(format!("Unsupported expression for concat: {}.", abbreviate(name, limit)))
}
