//! Files that are read from disk: repository configurations, and the files of a project.

use std::fs;
use std::path::Path;

use taut_digest::HashFunction;
use taut_driver::{
    Analyser, AnalysisOptions, DescribeOptions, ExportCache, NoComputedRoots, Sink, Traces,
    UnresolvedRequest, Words,
};
use taut_repos::{Overrides, RepoConfig};
use taut_syntax::{Dialect, diagnostic::Renderer};

use crate::text::{shown, split};

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("ROOT"), "").expect("written");
    directory
}

/// The options of a call under the name `taut`, where all that is accepted is read.
fn overrides() -> Overrides {
    Overrides { dialect: Dialect::Extended, ..Overrides::default() }
}

/// Repository configurations.
pub(crate) fn repositories(bytes: &[u8]) {
    let directory = directory();
    fs::write(directory.path().join("repos.json"), bytes).expect("written");
    let file = Path::new("repos.json");
    match RepoConfig::read(Some(file), &overrides(), directory.path()) {
        Ok(config) => assert!(config.repositories.contains_key(&config.main)),
        Err(error) => shown(&error.problem, bytes),
    }
}

/// A targets file, a rules file and an expressions file, with `--- rules` and `--- expressions` between them: target
/// `t` is analysed and described, and errors are rendered.
pub(crate) fn project(bytes: &[u8]) {
    analysed(bytes);
}

/// Whether the target could be analysed.
fn analysed(bytes: &[u8]) -> bool {
    let (targets, rest) = split(bytes, b"\n--- rules\n");
    let (rules, expressions) = split(rest, b"\n--- expressions\n");
    // Expressions that take long are skipped: they are valid, but would take the test too long.
    let text = String::from_utf8_lossy(bytes);
    let loops = ["foreach", "foldl", "zip_with"].iter().map(|word| text.matches(word).count());
    if bytes.len() > 8000 || loops.sum::<usize>() > 6 || text.contains("\"range\"") && text.contains("000") {
        return false;
    }
    let directory = directory();
    for (file, content) in [("TARGETS", targets), ("RULES", rules), ("EXPRESSIONS", expressions)] {
        fs::write(directory.path().join(file), content).expect("written");
    }
    fs::write(directory.path().join("src.txt"), "source").expect("written");
    let words = Words { target: vec!["t".to_owned()], overrides: overrides(), ..Words::default() };
    let unresolved = match UnresolvedRequest::new(&words, directory.path(), &NoComputedRoots) {
        Ok(unresolved) => unresolved,
        Err(error) => {
            shown(&error.problem, bytes);
            return false;
        }
    };
    // One worker, so that the same input takes the same way each time.
    let options = AnalysisOptions { jobs: 1, log_limit: 80, hash_function: HashFunction::GitSha1 };
    let sources = |label: &str| fs::read(label).ok();
    let sources = Files(&sources);
    let analyser = Analyser::new(&unresolved.repositories, options, &Traces::none(), &ExportCache::none());
    let request = analyser.request(&unresolved).expect("a plain word names a target");
    let no_sinks: Vec<std::sync::Arc<dyn Sink>> = Vec::new();
    let analysis = analyser.analyse(&request, &no_sinks, false);
    match &analysis {
        Ok(analysis) => {
            analysis.result.to_json();
        }
        Err(problems) => {
            assert!(problems.has_errors());
            let mut renderer = Renderer::new(&sources, false);
            problems.iter().for_each(|problem| drop(renderer.render(problem)));
        }
    }
    for rule in [false, true] {
        // Described in every form, also if its analysis has failed.
        for json in [false, true] {
            let _ = analyser.describe(&request, DescribeOptions { rule, json, as_reference: false });
        }
    }
    analysis.is_ok()
}

struct Files<'f>(&'f dyn Fn(&str) -> Option<Vec<u8>>);

impl taut_syntax::diagnostic::Sources for Files<'_> {
    fn text(&self, label: &str) -> Option<std::sync::Arc<str>> {
        String::from_utf8((self.0)(label)?).ok().map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::analysed;

    #[test]
    fn the_corpus_contains_valid_projects() {
        assert!(analysed(include_bytes!("../../../fuzz/corpus/project/rules.txt")));
        assert!(analysed(include_bytes!("../../../fuzz/corpus/project/nodes.txt")));
        assert!(!analysed(include_bytes!("../../../fuzz/corpus/project/cycle.txt")));
    }
}
