//! The number of cases of random tests: few with every change, many in long runs.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// How many cases run at once with every change, and in long runs. Most of them wait for something.
const AT_ONCE: (usize, usize) = (4, 32);

/// `count`, multiplied by the environment variable `TAUT_SOAK`.
pub fn times(count: usize) -> usize {
    count * number("TAUT_SOAK").unwrap_or(1) as usize
}

/// The seeds of a test: [`times`] `count` of them from 0 on, or `TAUT_SEEDS` of them from `TAUT_SEED` on.
pub fn seeds(count: usize) -> Range<u64> {
    let first = number("TAUT_SEED").unwrap_or(0);
    first..first + number("TAUT_SEEDS").unwrap_or(times(count) as u64)
}

/// Runs a case for each seed, several at a time, and names all those that fail.
///
/// # Panics
///
/// If a case does.
pub fn for_seeds(seeds: &Range<u64>, case: impl Fn(u64) + Sync) {
    let is_long = number("TAUT_SEEDS").is_some();
    let (next, over, failed) = (AtomicU64::new(seeds.start), AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..if is_long { AT_ONCE.1 } else { AT_ONCE.0 } {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    // What failed was printed by the hook. The other seeds go on: in a long run each one counts.
                    if catch_unwind(AssertUnwindSafe(|| case(seed))).is_err() {
                        failed.lock().expect("nothing panics with the lock held").push(seed);
                    }
                    let over = over.fetch_add(1, Relaxed) + 1;
                    if is_long && over.is_multiple_of(50) {
                        println!("{over} of {} seeds are over", seeds.end - seeds.start);
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().expect("nothing panics with the lock held");
    failed.sort_unstable();
    assert!(failed.is_empty(), "these seeds failed: {failed:?}; TAUT_SEED=N TAUT_SEEDS=1 runs one again");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_has_its_case_and_all_that_fail_are_named() {
        let ran = Mutex::new(Vec::new());
        for_seeds(&(3..40), |seed| ran.lock().unwrap().push(seed));
        let mut ran = ran.into_inner().unwrap();
        ran.sort_unstable();
        assert_eq!(ran, (3..40).collect::<Vec<_>>());
        let failing = catch_unwind(|| for_seeds(&(0..20), |seed| assert!(seed % 7 != 3, "{seed}")));
        let why = failing.unwrap_err();
        assert!(why.downcast_ref::<String>().unwrap().contains("[3, 10, 17]"));
    }
}
