//! See `description` in `crates/parser-checks`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (taut_parser_checks::target("description").run)(bytes));
