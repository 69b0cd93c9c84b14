//! Mutation of JSON values: one part is removed or replaced.

use crate::Rng;
use serde_json::{Value, json};

/// The value with one of its parts removed, replaced by something of another kind, or by another part.
pub fn mutated(rng: &mut Rng, value: &Value) -> Value {
    let mut changed = value.clone();
    let places = count(value);
    // A part from elsewhere often means something in the new place, which a fixed literal seldom does.
    let other = nth(value, rng.below(places)).cloned().unwrap_or_default();
    let literals = [
        json!(null),
        json!([]),
        json!({}),
        json!(""),
        json!("a"),
        json!(0),
        json!(["a"]),
        json!([["a"]]),
        json!({"type": "'", "$1": {}}),
    ];
    let new = match rng.below(3) {
        0 => None,
        1 => Some(rng.pick(&literals).clone()),
        _ => Some(other),
    };
    let mut place = rng.below(places);
    change(&mut changed, &mut place, new);
    changed
}

fn count(value: &Value) -> usize {
    1 + parts(value).map(count).sum::<usize>()
}

fn parts(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(entries) => Box::new(entries.values()),
        _ => Box::new(std::iter::empty()),
    }
}

/// The part of that number, in the order in which they are written.
fn nth(value: &Value, number: usize) -> Option<&Value> {
    let mut left = number;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        if left == 0 {
            return Some(value);
        }
        left -= 1;
        let mut below: Vec<&Value> = parts(value).collect();
        below.reverse();
        open.extend(below);
    }
    None
}

/// Replaces the part of that number; without a new value, removes it from what it is in.
fn change(value: &mut Value, place: &mut usize, new: Option<Value>) -> bool {
    if *place == 0 {
        // The whole is in nothing that it could be removed from; it becomes `null`.
        *value = new.unwrap_or_default();
        return true;
    }
    *place -= 1;
    match value {
        Value::Array(items) => {
            for index in 0..items.len() {
                if *place == 0 && new.is_none() {
                    items.remove(index);
                    return true;
                }
                if change(&mut items[index], place, new.clone()) {
                    return true;
                }
            }
        }
        Value::Object(entries) => {
            let keys: Vec<String> = entries.keys().cloned().collect();
            for key in keys {
                if *place == 0 && new.is_none() {
                    entries.remove(&key);
                    return true;
                }
                if change(entries.get_mut(&key).expect("an entry"), place, new.clone()) {
                    return true;
                }
            }
        }
        _ => {}
    }
    false
}

#[cfg(test)]
mod tests {
    use super::mutated;
    use crate::Rng;
    use serde_json::json;

    #[test]
    fn every_part_can_be_mutated_and_most_mutations_change_the_value() {
        let value = json!({"a": [1, {"b": "c"}], "d": null});
        let changed: Vec<_> = (0..200).map(|seed| mutated(&mut Rng::new(seed), &value)).collect();
        assert!(changed.iter().filter(|other| **other != value).count() > 150);
        assert!(changed.iter().any(|other| other["a"][1]["b"] != "c" && other["a"][1].is_object()));
        assert!(changed.iter().any(|other| other.get("d").is_none() && other["a"] == value["a"]));
    }
}
