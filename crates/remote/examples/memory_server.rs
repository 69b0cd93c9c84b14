//! A server that answers from memory, as a process of its own, for measurements: `cargo xtask bench remote` and `bench
//! remote-execution` start it.
//!
//! Without words it is a cache; with `native` or `standard` it pretends to execute, in that protocol, as many actions
//! at a time and each as long as the next two words say (number, milliseconds). It prints its address. For each line on
//! standard input it prints how often each method was called since the line before, as JSON; it ends with standard
//! input.
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a tool for measurements")]

use std::{collections::BTreeMap, io::Write as _, time::Duration};

use taut_digest::HashFunction;
use taut_remote::server::{Offer, Server, SimulatedExecution};

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse().ok());
    let simulated = SimulatedExecution {
        cores: number(1).unwrap_or(1_000) as usize,
        takes: Duration::from_millis(number(2).unwrap_or(0)),
    };
    let executing = |naming| Offer { simulated: Some(simulated), ..Offer::executing(naming, Vec::new()) };
    let offer = match words.first().map(String::as_str) {
        Some("native") => executing(HashFunction::GitSha1),
        Some("standard") => executing(HashFunction::Sha256),
        _ => Offer::default(),
    };
    let server = Server::start(Offer { max_batch_bytes: 4 << 20, ..offer })?;
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
