//! Protection of the few places that recurse over user data.

/// Runs one level of a recursion over user data, continuing on a fresh stack segment when the current
/// one is nearly used up. Depth is then bounded by memory only.
#[inline]
pub fn deep<R>(level: impl FnOnce() -> R) -> R {
    // 64 KiB have to be enough for all that runs until the next call of this function. A segment of 1 MiB has room
    // for many levels, so segments are seldom made.
    stacker::maybe_grow(64 * 1024, 1024 * 1024, level)
}
