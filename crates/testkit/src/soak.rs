//! The number of cases of random tests: few with every change, many in long runs.

/// `count`, multiplied by the environment variable `TAUT_SOAK`.
pub fn times(count: usize) -> usize {
    let factor = std::env::var("TAUT_SOAK").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1);
    count * factor
}
