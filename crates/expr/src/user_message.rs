//! The message that the author of a rule wrote: as people read it, and as the reference quotes it.

use taut_value::Value;

use crate::abbreviate::{abbreviate, abbreviate_json};

/// A message in both forms.
pub(crate) struct UserMessage {
    /// A text without quotation marks; of a list, its items one after the other; of one in it, an enumeration.
    pub plain: String,
    /// JSON.
    pub quoted: String,
}

impl UserMessage {
    /// The message that a value is, cut after about `limit` bytes.
    pub(crate) fn new(value: &Value, limit: usize) -> UserMessage {
        let quoted = abbreviate_json(value, limit);
        let plain = match value {
            Value::Null => Some("the rule fails without a message".to_owned()),
            // Texts that are cut show that best as JSON.
            _ if quoted.len() >= limit => None,
            Value::List(items) => Some(joined(items.iter(), " ", |item| match item {
                Value::List(inner) if !inner.is_empty() => {
                    joined(inner.iter(), ", ", |item| plain(item, limit))
                }
                other => plain(other, limit),
            })),
            other => Some(plain(other, limit)),
        };
        UserMessage { plain: plain.filter(|text| !text.is_empty()).unwrap_or_else(|| quoted.clone()), quoted }
    }

    /// The message in place of one whose expression has an error itself.
    pub(crate) fn not_evaluating(expression: &str) -> UserMessage {
        UserMessage {
            plain: format!("the message of the rule cannot be evaluated: {expression}"),
            quoted: format!("[non evaluating term] {expression}"),
        }
    }
}

fn joined<'v>(items: impl Iterator<Item = &'v Value>, by: &str, shown: impl Fn(&Value) -> String) -> String {
    items.map(shown).collect::<Vec<_>>().join(by)
}

/// A text as it is, another value as JSON.
fn plain(value: &Value, limit: usize) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.to_string(),
        other => abbreviate(other, limit),
    }
}

/// Whether a text can be shown as it is.
fn is_plain(text: &str) -> bool {
    // Control characters would act on the terminal that shows the message.
    text.chars().all(|c| c == '\n' || !c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_lists_are_shown_without_quotation_marks() {
        let text = |text: &str| Value::string(text);
        for (value, plain, quoted) in [
            (text("no \"a\""), "no \"a\"", r#""no \"a\"""#),
            (text("a\u{1b}"), "\"a\\u001b\"", "\"a\\u001b\""),
            (text(""), "\"\"", "\"\""),
            (Value::list([text("one of"), Value::list([text("b")])]), "one of b", r#"["one of",["b"]]"#),
            (Value::Number(1.0), "1", "1.0"),
        ] {
            let message = UserMessage::new(&value, 100);
            assert_eq!((&*message.plain, &*message.quoted), (plain, quoted));
        }
        assert_eq!(UserMessage::new(&text("long"), 5).plain, "\"l...");
    }
}
