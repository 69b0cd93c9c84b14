//! Makes a JSON value smaller while it keeps a property.
//!
//! Greedy, without knowledge of the value's meaning: it removes an entry, replaces the whole by a part, or shortens a
//! string. The caller's test rejects values that are meaningless.

use serde_json::Value;

/// The smallest value found that is still `interesting`, after at most `tries` calls of the test.
///
/// `value` itself must be interesting; it is returned if nothing smaller is.
pub fn shrink(value: Value, tries: usize, mut interesting: impl FnMut(&Value) -> bool) -> Value {
    let mut best = value;
    let mut left = tries;
    'again: loop {
        for candidate in smaller(&best) {
            if left == 0 {
                return best;
            }
            left -= 1;
            if interesting(&candidate) {
                best = candidate;
                // From the beginning: a step that lost the property before may keep it now.
                continue 'again;
            }
        }
        return best;
    }
}

/// All values one step smaller, the greatest steps first.
fn smaller(value: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    match value {
        Value::Array(items) => {
            found.extend((0..items.len()).map(|skip| {
                let rest = items.iter().enumerate().filter(|(n, _)| *n != skip);
                Value::Array(rest.map(|(_, item)| item.clone()).collect())
            }));
            found.extend(items.iter().cloned());
            for (number, item) in items.iter().enumerate() {
                found.extend(smaller(item).into_iter().map(|new| {
                    let mut items = items.clone();
                    items[number] = new;
                    Value::Array(items)
                }));
            }
        }
        Value::Object(entries) => {
            found.extend(entries.keys().map(|skip| {
                let rest = entries.iter().filter(|(key, _)| *key != skip);
                Value::Object(rest.map(|(key, value)| (key.clone(), value.clone())).collect())
            }));
            found.extend(entries.values().cloned());
            for (key, entry) in entries {
                found.extend(smaller(entry).into_iter().map(|new| {
                    let mut entries = entries.clone();
                    entries.insert(key.clone(), new);
                    Value::Object(entries)
                }));
            }
        }
        Value::String(text) if text.chars().count() > 1 => {
            // Halves, since each try may be a call of two tools; what is left of a long name after a few is short
            // enough.
            let half = text.chars().count() / 2;
            found.push(Value::String(text.chars().take(half).collect()));
            found.push(Value::String(text.chars().skip(half).collect()));
        }
        _ => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use super::shrink;
    use serde_json::json;

    #[test]
    fn shrinking_keeps_only_the_relevant_part() {
        let start = json!({"a": [1, {"deep": ["x", "needle", "y"]}, 2], "b": "other"});
        let found = shrink(start, 1000, |value| value.to_string().contains("needle"));
        assert_eq!(found, json!("needle"));
    }

    #[test]
    fn without_tries_the_value_is_unchanged() {
        assert_eq!(shrink(json!([1, 2]), 0, |_| true), json!([1, 2]));
    }
}
