//! See `deep_trace` in `crates/fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (taut_parser_checks::target("deep_trace").run)(bytes));
