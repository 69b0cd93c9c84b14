//! JSON of a configuration as the reference prints it: without white space, keys sorted, of equal keys the last one.
//!
//! Unlike values of the description language, which have no integers, numbers stay as they are: `1` is not `1.0`.

use taut_syntax::{Kind, Node};
use taut_value::{JsonWriter, deep, format_number};

/// The text of a value. Two values have the same text if the reference takes them for equal and of the same types.
pub fn plain_json(node: Node<'_>) -> String {
    let mut out = String::new();
    write(node, &mut out);
    out
}

fn write(node: Node<'_>, out: &mut String) {
    match node.kind() {
        Kind::Null => out.push_str("null"),
        Kind::Bool => out.push_str(if node.as_bool() == Some(true) { "true" } else { "false" }),
        Kind::Number => number(node, out),
        Kind::String => string(node.as_str().unwrap_or_default(), out),
        // `deep` adds stack where needed: a configuration may be nested to any depth.
        Kind::List => deep(|| {
            out.push('[');
            for (at, item) in node.items().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                write(item, out);
            }
            out.push(']');
        }),
        Kind::Object => deep(|| {
            out.push('{');
            // The entries of a node are sorted by the bytes of their keys, and each key is there once.
            for (at, (key, value)) in node.entries().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                string(key, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }),
    }
}

// The reference's library (nlohmann) keeps these three kinds of numbers apart, and prints a double as such.
/// An integer of 64 bits as such, everything else as a double.
fn number(node: Node<'_>, out: &mut String) {
    let text = node.source();
    match (text.parse::<i64>(), text.parse::<u64>()) {
        (Ok(number), _) => out.push_str(&number.to_string()),
        (_, Ok(number)) => out.push_str(&number.to_string()),
        _ => format_number(node.as_number().unwrap_or_default(), out),
    }
}

fn string(text: &str, out: &mut String) {
    let mut writer = JsonWriter::compact();
    writer.string(text);
    out.push_str(&writer.finish());
}

#[cfg(test)]
mod tests {
    use taut_syntax::Document;

    use super::*;

    #[test]
    fn texts_are_those_of_the_reference() {
        let text = r#" {"b": [1, -0, 1.0, 1e2, 18446744073709551615, 18446744073709551616, -9223372036854775809],
            "a": {"x": null, "\u00e4\"": "\n\u0001/"}, "b2": [], "c": {}, "a": {"y" : true, "x": false}} "#;
        let document = Document::parse("", text).unwrap();
        assert_eq!(
            plain_json(document.root()),
            r#"{"a":{"x":false,"y":true},"b":[1,0,1.0,100.0,18446744073709551615,1.8446744073709552e+19,-9.223372036854776e+18],"b2":[],"c":{}}"#
        );
    }

    #[test]
    fn nesting_of_any_depth_is_written() {
        let depth = 200_000;
        let text = "[".repeat(depth) + &"]".repeat(depth);
        let document = Document::parse("", text.clone()).unwrap();
        assert_eq!(plain_json(document.root()), text);
    }
}
