//! How often a test tries, where more is better: few times with every change, many times now and then.

/// `count`, or as many times that as `TAUT_SOAK` says.
pub fn times(count: usize) -> usize {
    let factor = std::env::var("TAUT_SOAK").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1);
    count * factor
}
