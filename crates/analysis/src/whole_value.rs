//! Values in messages of the reference, which shows all of them.

use taut_value::Value;

/// How much of a value is shown in the reference's messages.
// The reference has no limit; values that share their parts may be exponentially large as text.
const MAX_SHOWN_BYTES: usize = 1 << 16;

/// A value in a message of the reference.
pub(crate) fn whole(value: &Value) -> String {
    value.to_json_beyond(MAX_SHOWN_BYTES)
}

/// The same of a value that was read from a file, where whole numbers have no decimal point.
pub(crate) fn whole_as_read(value: &Value) -> String {
    taut_expr::abbreviate(value, MAX_SHOWN_BYTES)
}
