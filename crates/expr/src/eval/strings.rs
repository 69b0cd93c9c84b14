//! Text and numbers in text.

use taut_value::{List, Str, Value};

use super::{Evaluated, bounds::MAX_ITEMS};
use crate::error::EvalError;

/// The integer at the beginning of a text, as C's `atol` reads it: after white space, with a sign; 0 without digits,
/// the nearest representable one if it is too large.
pub(super) fn leading_integer(text: &str) -> i64 {
    // The characters of C's `isspace` in the C locale.
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
    // Cannot overflow: the digits saturate at `i64::MAX`.
    if negative { -value } else { value }
}

pub(super) fn range(argument: &Value) -> Evaluated {
    let length = match argument {
        Value::Number(number) if *number > 0.0 => number.round() as i64,
        Value::String(text) => leading_integer(text),
        _ => 0,
    };
    if !(0..=MAX_ITEMS as i64).contains(&length) {
        let error = EvalError::plain(format!("range cannot have {length} entries"));
        // The reference reports the exception of the C++ library.
        return Err(error.reference_as("vector::reserve"));
    }
    Ok((0..length).map(|i| Value::string(i.to_string())).collect::<List>().into())
}

/// Strings, concatenated with a separator.
pub(super) fn join<'w>(words: impl IntoIterator<Item = &'w Str> + Clone, separator: &str) -> String {
    let length = |word: &Str| word.len() + separator.len();
    let mut text = String::with_capacity(words.clone().into_iter().map(length).sum());
    for (index, word) in words.into_iter().enumerate() {
        if index > 0 {
            text.push_str(separator);
        }
        text.push_str(word);
    }
    text
}

/// Strings, quoted as words of a shell command.
pub(super) fn join_quoted(words: &[Str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
    words.join(" ")
}

/// The text with `prefix` before each of its characters that occur in `chars`.
pub(super) fn escape(text: &str, chars: &str, prefix: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // By characters; the reference goes by bytes (docs/differences.md).
    for c in text.chars() {
        if chars.contains(c) {
            out.push_str(prefix);
        }
        out.push(c);
    }
    out
}

/// A target's name, or the last item of a list that is one, with a suffix; `None` if the value is neither.
pub(super) fn concat_target_name(name: &Value, append: &str) -> Option<Value> {
    match name {
        Value::String(name) => Some(Value::string(format!("{name}{append}"))),
        Value::List(items) => {
            let mut words: Vec<String> = Vec::with_capacity(items.len());
            for item in items.iter() {
                words.push(item.as_str()?.to_string());
            }
            words.last_mut().into_iter().for_each(|last| last.push_str(append));
            Some(Value::list(words.into_iter().map(Value::string)))
        }
        _ => None,
    }
}
