//! The results of a tool for a request, in a form that can be compared: exit codes, standard output, every dump,
//! counts, the installed tree. Texts on standard error are not compared.
//!
//! Two tools get the same request with the same scratch directory, one after the other, since some outputs contain the
//! path where they are installed.

use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use taut_testkit::{Tool, listing};

const DUMPS: &[&str] = &[
    "graph",
    "plain-graph",
    "artifacts-to-build",
    "actions",
    "anonymous",
    "blobs",
    "export-targets",
    "nodes",
    "provides",
    "result",
    "targets",
    "targets-graph",
    "trees",
    "vars",
];

/// A request for one target.
pub(crate) struct Question<'a> {
    /// The directory in which the tool is called.
    pub(crate) dir: &'a Path,
    /// The directory for build roots, dumps and installed files.
    pub(crate) scratch: &'a Path,
    /// Options: configuration, repositories.
    pub(crate) options: &'a [String],
    pub(crate) target: &'a [String],
    /// A rule to describe; the target and the rule are described if there is one.
    pub(crate) rule: Option<&'a str>,
    /// Whether to build and install after analysis.
    pub(crate) build: bool,
}

/// The results, by request.
pub(crate) struct Answers {
    pub(crate) exit: i32,
    pub(crate) by_question: BTreeMap<String, String>,
    /// What was installed, by path; empty unless built, with exit code 0 or 2.
    pub(crate) tree: BTreeMap<String, String>,
    pub(crate) log: String,
}

impl Question<'_> {
    /// Calls a tool; `label` distinguishes its build root from those of others.
    ///
    /// # Errors
    ///
    /// If the scratch directory cannot be used.
    pub(crate) fn ask(&self, tool: &Tool, label: &str) -> Result<Answers> {
        let dumps = self.scratch.join(format!("{label}-dumps"));
        // Dumps of an earlier question would stand for those that this call does not write.
        let _ = fs::remove_dir_all(&dumps);
        fs::create_dir_all(&dumps)?;
        let build_root = self.scratch.join(format!("{label}-root")).display().to_string();
        let mut common = vec!["--local-build-root".to_owned(), build_root, "--plain-log".to_owned()];
        common.extend_from_slice(self.options);
        let mut by_question = BTreeMap::new();

        let mut words = vec!["analyse".to_owned()];
        words.extend(common.clone());
        for dump in DUMPS {
            words.extend([format!("--dump-{dump}"), dumps.join(dump).display().to_string()]);
        }
        words.extend_from_slice(self.target);
        let ran = tool.run(self.dir, &words);
        by_question.insert("analyse: exit".to_owned(), ran.code.to_string());
        by_question.insert("analyse: stdout".to_owned(), ran.stdout);
        let (mut exit, mut log, mut tree) = (ran.code, ran.stderr, BTreeMap::new());
        for dump in DUMPS {
            // Whether a dump is written at all is a part of the answer.
            let text = fs::read_to_string(dumps.join(dump)).unwrap_or_else(|_| "not there".to_owned());
            by_question.insert(format!("analyse: --dump-{dump}"), with_provides(dump, text));
        }
        for style in [&[][..], &["--json"], &["--rule"], &["--rule", "--json"]] {
            let Some(rule) = self.rule else { break };
            let mut words = vec!["describe".to_owned()];
            words.extend(common.clone());
            words.extend(style.iter().map(|word| (*word).to_owned()));
            // A rule is written like a target.
            words.extend(if style.contains(&"--rule") {
                vec![rule.to_owned()]
            } else {
                self.target.to_vec()
            });
            let ran = tool.run(self.dir, &words);
            by_question
                .insert(format!("describe {}", style.join(" ")), format!("{}\n{}", ran.code, ran.stdout));
            log += &ran.stderr;
        }
        if self.build {
            let out = self.scratch.join("out");
            let mut words = vec!["install".to_owned(), "-s".to_owned()];
            words.extend(common);
            // One action at a time, so that those before a failure are the same in both tools.
            words.extend(["-J", "1", "--dump-artifacts", "-", "-o"].map(str::to_owned));
            words.push(out.display().to_string());
            words.extend_from_slice(self.target);
            let ran = tool.run(self.dir, &words);
            by_question.insert("install: exit".to_owned(), ran.code.to_string());
            by_question.insert("install: stdout".to_owned(), ran.stdout);
            by_question.insert("install: counts".to_owned(), counts(&ran.stderr));
            log += &ran.stderr;
            // With 2 all is installed, and something failed that was allowed to.
            if matches!(ran.code, 0 | 2) {
                tree = listing(&out).unwrap_or_default();
            }
            exit = ran.code;
            let _ = fs::remove_dir_all(&out);
        }
        Ok(Answers { exit, by_question, tree, log })
    }
}

impl Answers {
    /// The difference between these results, the reference's, and `ours`, as text; `None` if they are equal.
    pub(crate) fn difference(&self, ours: &Self) -> Option<String> {
        let mut text = String::new();
        let answers = ours.questions();
        for (question, their) in self.questions() {
            let our = answers.get(&question).map_or("", String::as_str);
            if our != their {
                text += &format!("## {question}\n\nreference:\n{their}\n\ntaut:\n{our}\n\n");
            }
        }
        if text.is_empty() {
            return None;
        }
        text += &format!("## reference's log\n\n{}\n\n", unexpected_lines(&self.log));
        text += &format!("## taut's log\n\n{}\n", unexpected_lines(&ours.log));
        Some(text)
    }

    fn questions(&self) -> BTreeMap<String, String> {
        let tree: Value = self.tree.iter().map(|(path, what)| json!([path, what])).collect();
        let mut questions = self.by_question.clone();
        questions.insert("install: tree".to_owned(), format!("{tree:#}"));
        questions
    }
}

/// The text of a dump. Source trees have no provides, which the reference shows as `null`: one of the documented
/// differences.
fn with_provides(dump: &str, text: String) -> String {
    match dump {
        "provides" if text.trim() == "null" => "{}\n".to_owned(),
        "result" => text.replace(",\"provides\":null,", ",\"provides\":{},"),
        _ => text,
    }
}

/// The unexpected lines of a log.
fn unexpected_lines(log: &str) -> String {
    log.lines().filter(|line| !line.contains("INFO: Dumping ")).map(|l| format!("{l}\n")).collect()
}

/// The lines of a log that are compared: the numbers of actions and of actions that ran.
fn counts(log: &str) -> String {
    log.lines()
        .filter(|line| line.contains("Discovered ") || line.contains("Processed "))
        .map(|line| format!("{line}\n"))
        .collect()
}
