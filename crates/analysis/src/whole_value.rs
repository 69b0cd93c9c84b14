//! Values in messages of the reference, which shows all of them.

use taut_syntax::{Kind, Node};
use taut_value::{JsonWriter, Value, deep};

/// How much of a value is shown in the reference's messages.
// The reference has no limit; values that share their parts may be exponentially large as text.
const MAX_SHOWN_BYTES: usize = 1 << 16;

/// A value in a message of the reference.
pub(crate) fn whole(value: &Value) -> String {
    value.to_json_beyond(MAX_SHOWN_BYTES)
}

/// The same for a value as it was read from a file: an integer has all its digits and no decimal point.
// Without a limit: nothing of a file is shared.
pub fn whole_as_read(json: Node<'_>) -> String {
    let mut writer = JsonWriter::compact();
    write_as_read(json, &mut writer);
    writer.finish()
}

fn write_as_read(json: Node<'_>, w: &mut JsonWriter) {
    match json.kind() {
        Kind::List => deep(|| {
            w.list(|w| json.items().for_each(|item| write_as_read(item, w)));
        }),
        Kind::Object => deep(|| {
            let mut entries: Vec<_> = json.entries().collect();
            entries.sort_by_key(|(key, _)| *key);
            w.object(|w| entries.iter().for_each(|(key, item)| write_as_read(*item, w.key(key))));
        }),
        Kind::Number => match integer(json.source()) {
            Some(integer) => drop(w.integer(integer)),
            None => drop(w.number(json.as_number().unwrap_or_default())),
        },
        Kind::String => drop(w.string(json.as_str().unwrap_or_default())),
        Kind::Bool => drop(w.bool(json.as_bool().unwrap_or_default())),
        Kind::Null => drop(w.null()),
    }
}

/// The integer, if a number is one for the reference: written as such, and no longer than 64 bits.
fn integer(number: &str) -> Option<i128> {
    let integer: i128 = number.parse().ok()?;
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&integer).then_some(integer)
}
