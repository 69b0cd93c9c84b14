//! How many system calls a null build makes, counted by `strace`; that slows down what it counts, so that
//! nothing else is measured meanwhile.

use super::Bench;
use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Stdio};

/// How often system calls were made, by name.
type Counts = Vec<(String, u64)>;

impl Bench<'_> {
    /// Counts those of a null build of each tool.
    pub(super) fn syscalls(&self, report: &mut Vec<Value>) -> Result<()> {
        let answers = Command::new("strace").arg("--version").output();
        if !answers.is_ok_and(|output| output.status.success()) {
            println!("  -- system calls: strace is not installed here");
            return Ok(());
        }
        println!("  -- system calls of a null build");
        for rival in self.rivals {
            let dir = self.dir(rival);
            // The first one after a change settles what it left.
            self.build(rival, &dir, &[])?;
            let list = self.scratch.path().join("syscalls");
            let command = self.command(rival, &dir, &[])?;
            let mut traced = Command::new("strace");
            traced.args(["-f", "-c", "-o"]).arg(&list).arg(command.get_program()).args(command.get_args());
            if let Some(dir) = command.get_current_dir() {
                traced.current_dir(dir);
            }
            let status = traced.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
            if !status.success() {
                bail!("{command:?} fails under strace");
            }
            let counts = counts(&fs::read_to_string(&list)?);
            let all: u64 = counts.iter().map(|(_, count)| count).sum();
            let most: Vec<String> =
                counts.iter().take(6).map(|(name, count)| format!("{name} {count}")).collect();
            println!("  syscalls {:6} {all:9}: {}", rival.name(), most.join(", "));
            let by_name: serde_json::Map<String, Value> =
                counts.into_iter().map(|(name, count)| (name, json!(count))).collect();
            report.push(json!({
                "graph": self.graph.shape.name(), "size": self.graph.size, "phase": "syscalls",
                "tool": rival.name(), "all": all, "by_name": by_name,
            }));
        }
        Ok(())
    }
}

/// The table that `strace -c` writes, most calls first.
fn counts(table: &str) -> Counts {
    let mut counts: Counts = (table.lines())
        .filter_map(|line| {
            // % time, seconds, µs per call, calls, errors (may be empty), name
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, _, _, calls, .., name] = fields[..] else { return None };
            Some((name.to_owned(), calls.parse().ok()?)).filter(|(name, _)| name != "total")
        })
        .collect();
    counts.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
    counts
}

#[cfg(test)]
mod tests {
    use super::counts;

    #[test]
    fn the_table_of_strace_is_read() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ------------------
 77.01    0.004530           4      1131         1 newfstatat
  0.65    0.000038           6         6           write
  0.85    0.000101          20      2000           statx
------ ----------- ----------- --------- --------- ------------------
100.00    0.011859           7      3137         1 total
";
        let expected = [("statx", 2000), ("newfstatat", 1131), ("write", 6)];
        assert_eq!(counts(table), expected.map(|(name, count)| (name.to_owned(), count)));
        assert!(counts("strace: Process 1 attached\n").is_empty());
    }
}
