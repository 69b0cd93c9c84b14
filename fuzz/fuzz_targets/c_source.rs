//! See `c_source` in `crates/fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (taut_parser_checks::target("c_source").run)(bytes));
