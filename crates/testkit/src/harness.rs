//! A harness for tests whose binary is also something else, such as the process helper, which has to be alone in its
//! process: `harness = false`, and a list of tests.

/// Runs the tests whose names contain one of the words of the command line, or all, one after the other; returns the
/// exit code. The last line has the form of that of the usual harness, which tools read.
#[must_use]
pub fn run_tests<'t>(tests: impl IntoIterator<Item = &'t (&'t str, fn())>) -> i32 {
    // The usual options, as `--nocapture`, mean nothing here.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part));
    let (mut passed, mut failed, mut left_out) = (0, 0, 0);
    for (name, test) in tests {
        if !is_wanted(name) {
            left_out += 1;
            continue;
        }
        // As in the usual harness, a test that fails does not keep the others from running.
        let is_good = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if is_good { "ok" } else { "FAILED" });
        if is_good { passed += 1 } else { failed += 1 }
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {left_out} filtered out"
    );
    i32::from(failed > 0)
}
