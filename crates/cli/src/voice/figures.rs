//! Numbers and times in messages.

use std::time::Duration;

/// A number of things: `1 action`, `3 actions`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A time: `0.03 s`, `3.4 s`, `2 min 03 s`.
pub(crate) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..1.0 => format!("{seconds:.2} s"),
        1.0..60.0 => format!("{seconds:.1} s"),
        _ => format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60),
    }
}

/// The first of many texts, and how many more there are.
pub(crate) fn some_of<T: AsRef<str>>(all: &[T], limit: usize) -> String {
    let shown: Vec<&str> = all.iter().take(limit).map(AsRef::as_ref).collect();
    match all.len().saturating_sub(limit) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_as_many_digits_as_matter() {
        for (millis, text) in
            [(0, "0.00 s"), (34, "0.03 s"), (3_440, "3.4 s"), (59_900, "59.9 s"), (123_000, "2 min 03 s")]
        {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn lists_are_cut() {
        assert_eq!(some_of(&["a", "b", "c"], 3), "a, b, c");
        assert_eq!(some_of(&["a", "b", "c"], 2), "a, b and 1 more");
        assert_eq!((count(1, "action"), count(0, "action")), ("1 action".into(), "0 actions".into()));
    }
}
