//! Development commands: `cargo xtask ci | tidy | bench | soak`.

fn main() {}
