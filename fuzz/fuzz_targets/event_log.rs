//! See `event_log` in `crates/fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (taut_parser_checks::target("event_log").run)(bytes));
