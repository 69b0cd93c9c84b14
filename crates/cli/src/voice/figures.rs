//! Numbers and times in messages.

use std::time::Duration;

use taut_value::ActionDescription;

/// The first signal's exit code, as a shell gives it, is one more than this.
const SIGNALS: i32 = 128;

/// A number of things: `1 action`, `3 actions`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A time: `0.03 s`, `3.4 s`, `2 min 03 s`.
pub(crate) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        // Two digits behind the point below a second, one above: more would be noise.
        ..1.0 => format!("{seconds:.2} s"),
        1.0..60.0 => format!("{seconds:.1} s"),
        _ => format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60),
    }
}

/// A time that was set, not measured: most often whole seconds.
pub(crate) fn set_time(time: Duration) -> String {
    if time.as_secs() < 60 && time.subsec_nanos() == 0 {
        format!("{} s", time.as_secs())
    } else {
        seconds(time)
    }
}

/// How long an action may run, and the option that says so; `limit` is that of the option.
pub(crate) fn time_limit(limit: Duration, action: &ActionDescription) -> String {
    let scaled = match action.timeout_scale {
        1.0 => String::new(),
        scale => format!(", scaled by {scale}"),
    };
    let shown = set_time(action.time_limit(limit));
    format!("time limit of {shown} (--action-timeout {}{scaled})", limit.as_secs())
}

/// An exit code in words; if it represents a signal, with the signal.
pub(crate) fn exit_code(code: i32) -> String {
    match code - SIGNALS {
        // A program may also exit with such a code by itself; the code alone does not distinguish that.
        // The numbers of Linux, real-time signals included.
        signal @ 1..=64 => match name_of_signal(signal) {
            Some(name) => format!("exit code {code}: signal {signal}, {name}"),
            None => format!("exit code {code}: signal {signal}"),
        },
        _ => format!("exit code {code}"),
    }
}

// The signals by which failing programs are killed; others are shown by number.
fn name_of_signal(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

/// The first of many texts, and how many more there are.
pub(crate) fn some_of<T: AsRef<str>>(all: &[T], limit: usize) -> String {
    first_texts_of(all, all.len(), limit)
}

/// The same of a longer list that begins with these. The last one is not left out alone, since a number is not shorter.
pub(crate) fn first_texts_of<T: AsRef<str>>(all: &[T], number: usize, limit: usize) -> String {
    let limit = if number == limit + 1 && all.len() == number { number } else { limit.min(all.len()) };
    let shown: Vec<&str> = all.iter().take(limit).map(AsRef::as_ref).collect();
    match number.saturating_sub(limit) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A number of bytes as people read it.
pub(crate) fn size(bytes: u64) -> String {
    // Powers of 1024 with the units that say so (IEC 80000-13).
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return count(bytes as usize, "byte");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < units.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", units[unit])
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
    fn exit_codes_of_signals_say_which() {
        assert_eq!(exit_code(1), "exit code 1");
        assert_eq!(exit_code(137), "exit code 137: signal 9, SIGKILL");
        assert_eq!(exit_code(128 + 40), "exit code 168: signal 40");
        assert_eq!(exit_code(255), "exit code 255");
    }

    #[test]
    fn a_time_limit_has_the_option_that_says_so() {
        let mut action = ActionDescription::default();
        action.timeout_scale = 1.0;
        let shown = |action: &ActionDescription| time_limit(Duration::from_secs(2), action);
        assert_eq!(shown(&action), "time limit of 2 s (--action-timeout 2)");
        action.timeout_scale = 1.5;
        assert_eq!(shown(&action), "time limit of 3 s (--action-timeout 2, scaled by 1.5)");
    }

    #[test]
    fn lists_are_cut() {
        assert_eq!(some_of(&["a", "b", "c"], 3), "a, b, c");
        assert_eq!(some_of(&["a", "b", "c"], 2), "a, b, c");
        assert_eq!(some_of(&["a", "b", "c", "d"], 2), "a, b and 2 more");
        assert_eq!(first_texts_of(&["a", "b", "c"], 9, 2), "a, b and 7 more");
        assert_eq!((count(1, "action"), count(0, "action")), ("1 action".into(), "0 actions".into()));
    }

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_fits() {
        for (bytes, shown) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1536, "1.5 KiB"),
            (5 << 20, "5.0 MiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }
}
