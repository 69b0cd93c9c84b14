//! The number of system calls of a null build and of several edits, counted by `strace`; since that slows the tool
//! down, nothing else is measured meanwhile.

use super::super::rival::Rival;
use super::Bench;
use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Stdio};

/// How often system calls were made, by name.
type Counts = Vec<(String, u64)>;

/// How many edits are counted: recorded states of earlier edits must not be checked again.
const EDITS: usize = 5;

impl Bench<'_> {
    /// Counts the calls of a null build, and of several edits, of each tool.
    pub(super) fn syscalls(&mut self, report: &mut Vec<Value>) -> Result<()> {
        let answers = Command::new("strace").arg("--version").output();
        if !answers.is_ok_and(|output| output.status.success()) {
            println!("  -- system calls: strace is not installed here");
            return Ok(());
        }
        println!(
            "  -- system calls of a null build, and of {EDITS} edits in a row, with those of their actions"
        );
        // On new copies: the number of states that tools have recorded makes edits differ.
        let before = std::mem::replace(&mut self.copy, self.rounds);
        for rival in self.rivals {
            rival.write(&self.graph, &self.dir(rival))?;
            self.build(rival, &self.dir(rival), &[])?;
            // The first call after a cold build finishes its clean-up.
            self.build(rival, &self.dir(rival), &[])?;
            for edit in 0..=EDITS {
                if edit > 0 {
                    self.changes += 1;
                    self.graph.edit(&rival.source(&self.dir(rival)), self.changes)?;
                }
                let counts = self.traced(rival)?;
                let all: u64 = counts.iter().map(|(_, count)| count).sum();
                let most: Vec<String> =
                    counts.iter().take(6).map(|(name, count)| format!("{name} {count}")).collect();
                let what = if edit == 0 { "null".to_owned() } else { format!("edit {edit}") };
                println!("  syscalls {:6} {what:6} {all:9}: {}", rival.name(), most.join(", "));
                let by_name: serde_json::Map<String, Value> =
                    counts.into_iter().map(|(name, count)| (name, json!(count))).collect();
                report.push(json!({
                    "graph": self.graph.shape.name(), "size": self.graph.size, "phase": "syscalls",
                    "tool": rival.name(), "edit": edit, "all": all, "by_name": by_name,
                }));
            }
        }
        self.copy = before;
        Ok(())
    }

    /// One build under `strace`.
    fn traced(&self, rival: &Rival) -> Result<Counts> {
        let list = self.scratch.path().join("syscalls");
        let command = self.command(rival, &self.dir(rival), &[])?;
        let mut traced = Command::new("strace");
        // Also of child processes, and counts only.
        traced.args(["-f", "-c", "-o"]).arg(&list).arg(command.get_program()).args(command.get_args());
        if let Some(dir) = command.get_current_dir() {
            traced.current_dir(dir);
        }
        let output = traced.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            bail!("{command:?} fails under strace\n{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(counts(&fs::read_to_string(&list)?))
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
