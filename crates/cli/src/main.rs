//! The `taut` binary; called as `just` it takes exactly that tool's command line.

fn main() {}
