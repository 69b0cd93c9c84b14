//! What tests share: fixtures, a real binary to run, one suite per trait.
