//! The guarantees of process handling, one test each; each test runs real processes.
//!
//! A test harness of its own: this binary is also the process helper, which has to be alone in its process, and
//! also plays the builds that are killed or are called in unusual ways.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

mod callers;
mod ends;
mod fixture;
mod killed;
mod starts;

use taut_sys::process::helper_main_if_requested;

fn main() {
    helper_main_if_requested();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if let [role, directory] = words[..]
        && let Some((_, play)) = killed::ROLES.iter().chain(callers::ROLES).find(|(name, _)| *name == role)
    {
        return play(directory.as_ref());
    }
    let tests = starts::TESTS.iter().chain(ends::TESTS).chain(killed::TESTS).chain(callers::TESTS);
    std::process::exit(taut_testkit::run_tests(tests));
}

/// Functions with their names.
type Named<F> = &'static [(&'static str, F)];

/// A list of functions with their names.
#[macro_export]
macro_rules! named {
    ($($function:ident),* $(,)?) => { &[$((stringify!($function), $function)),*] };
}
