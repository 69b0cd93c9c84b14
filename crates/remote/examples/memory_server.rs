//! A cache that answers from memory, as a process of its own, for measurements: `cargo xtask bench remote` starts it.
//!
//! It prints its address. For each line on standard input it prints how often each method was called since the line before,
//! as JSON; it ends with standard input.
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a tool for measurements")]

use std::{collections::BTreeMap, io::Write as _};

use taut_remote::server::{Offer, Server};

fn main() -> std::io::Result<()> {
    let server = Server::start(Offer { max_batch_bytes: 4 << 20, ..Offer::default() })?;
    println!("{}", server.address());
    let mut before: BTreeMap<&'static str, u64> = BTreeMap::new();
    for line in std::io::stdin().lines() {
        line?;
        let now = server.calls();
        let since = now.iter().map(|(name, count)| (name, count - before.get(name).unwrap_or(&0)));
        let parts: Vec<String> = since.map(|(name, count)| format!("\"{name}\":{count}")).collect();
        println!("{{{}}}", parts.join(","));
        std::io::stdout().flush()?;
        before = now;
    }
    Ok(())
}
