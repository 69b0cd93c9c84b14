//! `--junit`: the results as XML in the form of JUnit's Ant task, which CI systems read.
//!
//! One suite for each module; a test is a case with its time in seconds. Elements and attributes are those that
//! Jenkins, GitLab and GitHub's actions know: `testsuites`, `testsuite`, `testcase`, `failure`, `error`, `system-out`,
//! `system-err`. Characters that XML 1.0 does not allow are replaced by U+FFFD.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use taut_driver::{TestReport, Verdict};
use taut_store::Store;
use taut_value::EntityName;

use super::lines::{Lines, outputs};
use crate::output::Stream;

/// How much of an output is in the file, in bytes.
const MAX_OUTPUT: usize = 1 << 20;

/// The file for these results.
pub(super) fn text(reports: &[Arc<TestReport>], lines: &Lines, store: &Store) -> String {
    let mut suites: BTreeMap<String, Vec<&TestReport>> = BTreeMap::new();
    for report in reports {
        let name = lines.name(&report.test);
        let suite = match &report.test.target.name {
            EntityName::Named(_) => name.rsplit_once(':').map_or("", |(module, _)| module).to_owned(),
            EntityName::Anonymous(_) => String::new(),
        };
        suites.entry(suite).or_default().push(report);
    }
    let all: Vec<&TestReport> = reports.iter().map(|report| &**report).collect();
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    text += &format!("<testsuites name=\"taut test\"{}>\n", figures(&all));
    for (name, reports) in &suites {
        let name = if name.is_empty() { "." } else { name };
        text += &format!("  <testsuite name=\"{}\"{}>\n", escaped(name), figures(reports));
        for report in reports {
            case(report, name, lines, store, &mut text);
        }
        text += "  </testsuite>\n";
    }
    text + "</testsuites>\n"
}

/// The attributes that count.
fn figures(reports: &[&TestReport]) -> String {
    let number = |is: fn(Verdict) -> bool| reports.iter().filter(|report| is(report.verdict)).count();
    let failures = number(|verdict| matches!(verdict, Verdict::Failed | Verdict::TimedOut));
    let errors = number(|verdict| matches!(verdict, Verdict::NotBuilt | Verdict::Interrupted));
    let time: Duration = reports.iter().map(|report| report.runs.duration).sum();
    format!(
        " tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"0\" time=\"{:.3}\"",
        reports.len(),
        time.as_secs_f64()
    )
}

fn case(report: &TestReport, suite: &str, lines: &Lines, store: &Store, text: &mut String) {
    let name = lines.name(&report.test);
    let short = name.rsplit_once(':').map_or(&*name, |(_, name)| name);
    let time = report.runs.duration.as_secs_f64();
    *text += &format!(
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{time:.3}\"",
        escaped(suite),
        escaped(short)
    );
    let words = escaped(&lines.words(report));
    let mut inner = String::new();
    match report.verdict {
        Verdict::Passed | Verdict::Cached => {}
        Verdict::Flaky => {
            let log = log(report, store);
            // As Maven's Surefire writes it; readers that do not know it take the test for passed.
            inner += &format!("      <flakyFailure message=\"{words}\">{log}</flakyFailure>\n");
        }
        Verdict::Failed | Verdict::TimedOut => {
            let kind = if report.verdict == Verdict::TimedOut { "timeout" } else { "failure" };
            let log = log(report, store);
            inner += &format!("      <failure type=\"{kind}\" message=\"{words}\">{log}</failure>\n");
        }
        Verdict::NotBuilt | Verdict::Interrupted => {
            inner += &format!("      <error type=\"not run\" message=\"{words}\"/>\n");
        }
    }
    *text += &match inner.is_empty() {
        true => "/>\n".to_owned(),
        false => format!(">\n{inner}    </testcase>\n"),
    };
}

/// What the failed runs printed, one after the other.
fn log(report: &TestReport, store: &Store) -> String {
    let mut log = String::new();
    for run in &report.runs.failures {
        let shard = &report.test.shards[run.shard];
        for digest in outputs(shard, run) {
            let left = MAX_OUTPUT.saturating_sub(log.len());
            if let Some(stream) = Stream::open(store, &digest).filter(|_| left > 0) {
                log += &stream.beginning(left);
            }
        }
    }
    // Text and not CDATA: an output may have `]]>`, and control characters are not allowed in either.
    escaped(&log)
}

/// A text within an element or an attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            // Not allowed in `]]>`.
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            // A reader would make line feeds of it, and of attributes blanks of all three.
            '\r' => escaped += "&#13;",
            '\n' => escaped += "&#10;",
            '\t' => escaped += "&#9;",
            // XML 1.0, section 2.2: no other control characters, no surrogates, not these two.
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn whatever_a_test_prints_is_well_formed() {
        let text = "a<b>&\"]]>\u{0}\u{1b}[31m\t\r\n\u{ffff}é";
        let expected = "a&lt;b&gt;&amp;&quot;]]&gt;\u{fffd}\u{fffd}[31m&#9;&#13;&#10;\u{fffd}é";
        assert_eq!(escaped(text), expected);
    }
}
