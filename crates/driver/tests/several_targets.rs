//! Requests of several targets: their combined result, conflicts, and what identifies them.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{fs, sync::Arc, time::Duration};

use taut_digest::HashFunction;
use taut_driver::{
    Analyser, AnalysisOptions, BuildOptions, Built, EventLog, EventLogs, ExportCache, NoComputedRoots,
    Request, Session, Targets, Traces, UnresolvedRequest, Words, ambiguous,
    event::{Call, Event, Sink, Status},
};
use taut_store::Store;
use taut_value::NamedTarget;
use tempfile::TempDir;

const HOW: AnalysisOptions =
    AnalysisOptions { jobs: 2, log_limit: 320, hash_function: HashFunction::GitSha1 };

struct World(TempDir);

impl World {
    fn new() -> World {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("m")).unwrap();
        fs::write(top.path().join("ROOT"), "").unwrap();
        fs::write(top.path().join("source"), "s").unwrap();
        let targets = r#"{
            "a": {"type": "file_gen", "name": "out/a", "data": "A"},
            "b": {"type": "install", "files": {"b": "source"}, "deps": ["a"]},
            "other a": {"type": "file_gen", "name": "out/a", "data": "another A"},
            "above a": {"type": "file_gen", "name": "out", "data": "no directory"},
            "long way": {"type": "install", "files": {"out//a": "a"}},
            "below a": {"type": "install", "files": {"out/a/b": "source"}},
            "here": {"type": "install", "files": {".": "a"}},
            "tainted": {"type": "file_gen", "name": "t", "data": "T", "tainted": ["test"]},
            "wrong": {"type": "none such"},
            "wrong, too": {"type": "none such either"}}"#;
        fs::write(top.path().join("TARGETS"), targets).unwrap();
        fs::write(top.path().join("m/TARGETS"), r#"{"c": {"type": "file_gen", "name": "c", "data": "C"}}"#)
            .unwrap();
        World(top)
    }

    fn request(&self, names: &[(&str, &str)]) -> Request {
        let words = Words { target: vec!["a".to_owned()], ..Words::default() };
        let unresolved = UnresolvedRequest::new(&words, self.0.path(), &NoComputedRoots).unwrap();
        let named = names.iter().map(|(module, name)| NamedTarget::new("", *module, *name));
        let configuration = unresolved.configuration.clone();
        unresolved.about(Targets::new(named).unwrap(), configuration)
    }

    fn analyse(&self, names: &[(&str, &str)]) -> Result<taut_driver::Analysis, Vec<String>> {
        let request = self.request(names);
        let analysis = Analyser::new(&request.repositories, HOW, &Traces::none(), &ExportCache::none())
            .whole_analysis(&request);
        analysis.map_err(|wrong| wrong.iter().map(|diagnostic| diagnostic.message.clone()).collect())
    }

    fn store(&self) -> Store {
        Store::open(&self.0.path().join("build"), HashFunction::GitSha1).unwrap()
    }
}

fn options() -> BuildOptions {
    BuildOptions {
        jobs: 1,
        launcher: Vec::new(),
        timeout: None,
        grace: Duration::ZERO,
        properties: Vec::new(),
        keep_going: false,
        compare: false,
        write_strategy: taut_driver::WriteStrategy::Write,
        remote_cache: None,
        remote_execution: None,
    }
}

fn paths<'a, T>(all: impl IntoIterator<Item = &'a (taut_value::Str, T)>) -> Vec<&'a str>
where
    T: 'a,
{
    all.into_iter().map(|(path, _)| path.as_str()).collect()
}

#[test]
fn a_request_has_at_least_one_target_and_each_once() {
    assert_eq!(Targets::new([]), None);
    let named = ["a", "b", "a"].map(|name| NamedTarget::new("", "", name));
    let targets = Targets::new(named).unwrap();
    assert_eq!(targets.names(), r#"["@","","","a"], ["@","","","b"]"#);
    assert_eq!(targets.first().name.as_str(), "a");
}

#[test]
fn several_targets_offer_what_each_offers() {
    let world = World::new();
    let analysis = world.analyse(&[("", "b"), ("m", "c"), ("", "a"), ("", "tainted")]).unwrap();
    let wanted = analysis.wanted();
    assert_eq!(paths(&wanted.artifacts), ["b", "c", "out/a", "t"]);
    let names: Vec<String> = analysis.requested.iter().map(|of| of.target.name.to_json()).collect();
    let expected =
        [r#"["@","","","b"]"#, r#"["@","","m","c"]"#, r#"["@","","","a"]"#, r#"["@","","","tainted"]"#];
    assert_eq!(names, expected);
    // "a" is asked for, and a dependency; it is reached once, as is the source.
    assert_eq!(analysis.reached.len(), 5);
    let tainted: Vec<&str> = analysis.analysed.tainted.iter().map(|word| word.as_str()).collect();
    assert_eq!(tainted, ["test"]);
}

#[test]
fn a_request_of_one_target_has_the_result_of_that_target() {
    let analysis = World::new().analyse(&[("", "b")]).unwrap();
    assert!(Arc::ptr_eq(&analysis.analysed, &analysis.requested[0].analysed));
}

#[test]
fn what_differs_at_one_path_is_below_its_target() {
    let world = World::new();
    let paths_of = |names: &[(&str, &str)]| {
        let wanted = world.analyse(names).unwrap().wanted();
        paths(&wanted.artifacts).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let both = paths_of(&[("", "a"), ("", "other a"), ("m", "c")]);
    assert_eq!(both, ["//':other a'/out/a", "//:a/out/a", "c"]);
    assert_eq!(ambiguous(both.iter().map(String::as_str)), ["//':other a'/out/a", "//:a/out/a"]);
    // Equal things are one.
    assert_eq!(paths_of(&[("", "b"), ("", "a")]), ["b", "out/a"]);
    // What would have something below it is put aside; what is below stays.
    assert_eq!(paths_of(&[("", "a"), ("", "above a")]), ["//':above a'/out", "out/a"]);
}

#[test]
fn a_path_is_one_path_however_it_is_written() {
    let world = World::new();
    let paths_of = |names: &[(&str, &str)]| {
        let wanted = world.analyse(names).unwrap().wanted();
        paths(&wanted.artifacts).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(paths_of(&[("", "long way")]), ["out//a"]);
    assert_eq!(paths_of(&[("", "long way"), ("", "a")]), ["out/a"]);
    assert_eq!(
        paths_of(&[("", "long way"), ("", "other a")]),
        ["//':long way'/out//a", "//':other a'/out/a"]
    );
    assert_eq!(paths_of(&[("", "long way"), ("", "below a")]), ["//':long way'/out//a", "out/a/b"]);
    assert_eq!(
        paths_of(&[("", "above a"), ("", "long way"), ("", "below a")]),
        ["//':above a'/out", "//':long way'/out//a", "out/a/b"]
    );
    // The whole directory can be nothing that has others beside it.
    assert_eq!(paths_of(&[("", "here"), ("", "a")]), ["//:here/.", "out/a"]);
}

#[test]
fn all_errors_are_reported_whichever_target_they_belong_to() {
    let wrong = match World::new().analyse(&[("", "wrong"), ("", "a"), ("", "wrong, too")]) {
        Ok(_) => panic!("these are wrong"),
        Err(wrong) => wrong,
    };
    assert_eq!(wrong.len(), 2);
}

#[test]
fn all_targets_are_built_and_recorded() {
    let world = World::new();
    let (store, request) = (world.store(), world.request(&[("", "b"), ("m", "c")]));
    let traces = Traces::of(&store, &request.clone().into());
    let log = Arc::new(EventLog::new());
    let events: Arc<dyn Sink> = log.clone();
    events.event(&Event::CallBegan(Call::of("taut", "build", &request, true)));
    log.keep_in(&store);
    let session = Session::of(&request.repositories, HOW, &store, &traces, &options(), &events);
    let wanted = session.analysed(&request).unwrap().wanted();
    let results = session.result(&request, &wanted).unwrap_or_else(|failure| panic!("{failure:?}"));
    let built: Vec<(&str, Built)> =
        results.artifacts.iter().map(|(path, built)| (path.as_str(), *built)).collect();
    assert_eq!(built.iter().map(|(path, _)| *path).collect::<Vec<_>>(), ["b", "c", "out/a"]);
    session.report_end(Ok(&results));
    session.report_tasks(&request.repositories);
    events.event(&Event::CallFinished(Status::Success));
    let logs = EventLogs::of(&store, &request.repositories).unwrap();
    let (targets, configuration) = logs.requests().next().unwrap();
    assert_eq!((targets, configuration), (request.targets.clone(), request.configuration.clone()));
}

#[test]
fn the_owner_and_the_text_of_a_request_depend_on_all_targets_and_their_order() {
    let world = World::new();
    let key = |names: &[(&str, &str)]| {
        let request = world.request(names);
        (request.owner(), request.target_text())
    };
    let all = [&[("", "a")][..], &[("", "b")], &[("", "a"), ("", "b")], &[("", "b"), ("", "a")]].map(key);
    for (at, one) in all.iter().enumerate() {
        for other in &all[..at] {
            assert!(one.0 != other.0 && one.1 != other.1, "{one:?} {other:?}");
        }
    }
    assert_eq!(all[2].1, r#"[["@","","","a"],{}], [["@","","","b"],{}]"#);
}
