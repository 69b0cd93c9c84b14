//! What people write about repositories: descriptions, and rc files. Nothing is set up here, so no command runs and
//! nothing is fetched.

use std::{collections::BTreeSet, fs, path::Path};

use taut_setup::{Anchors, Description, RcFiles, ReachedRepositories};
use taut_syntax::{Diagnostic, Dialect, JsonPath, Node};

use crate::text::shown;

/// A description: every repository is read and checked, every place of a configuration is one of the description, and
/// errors are rendered.
pub(crate) fn description(bytes: &[u8]) {
    let path = Path::new("file");
    let document = match Description::parse(Dialect::Extended, path, bytes.to_vec()) {
        Ok(document) => document,
        Err(problem) => return shown(&problem, bytes),
    };
    let read = Description::of(Dialect::Extended, document, path, Path::new("/base"), None)
        .expect("no file is read");
    let description = read.with_provided("std");
    let names: BTreeSet<String> = match description.names() {
        Ok(names) => names.into_iter().map(str::to_owned).collect(),
        Err(problem) => return shown(&problem, bytes),
    };
    let mut is_right = true;
    let mut wrong = |problem: &Diagnostic| {
        is_right = false;
        shown(problem, bytes);
    };
    for name in &names {
        match description.source(name) {
            // An identity is the same each time, since roots are found by it.
            Ok(of) => assert_eq!(of.source.identity(), description.source(name).unwrap().source.identity()),
            Err(problem) => wrong(&problem),
        }
        match ReachedRepositories::from(&description, name) {
            Ok((reached, remarks)) => {
                assert!(reached.set_up.contains(name) && reached.included.is_subset(&reached.set_up));
                remarks.iter().for_each(|remark| shown(&remark.finding, bytes));
            }
            Err(problem) => wrong(&problem),
        }
        let root = JsonPath::root().key("repositories").key(name).key("workspace_root");
        for item in 0..6 {
            let place = description.written(&root.index(item).key("x"));
            shown(&Diagnostic::error("here").at(place), bytes);
        }
    }
    let (errors, remarks) = description.check(&names);
    errors.iter().for_each(&mut wrong);
    remarks.iter().for_each(|remark| shown(&remark.finding, bytes));
    // What nothing is wrong with has values of the right forms.
    if is_right {
        let all = description.repositories().expect("read above");
        let names_repository = |node: Node<'_>| node.as_str().is_some();
        for (_, entry) in all.entries() {
            let bindings = entry.get("bindings").filter(|bindings| !bindings.is_null());
            assert!(
                bindings.into_iter().flat_map(|all| all.entries()).all(|(_, node)| names_repository(node))
            );
        }
    }
}

/// An rc file: it is read, merged and printed again, and what is printed is JSON that says the same.
pub(crate) fn rc(bytes: &[u8]) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("rc");
    fs::write(&file, bytes).expect("written");
    let anchors = Anchors {
        workspace: Some(directory.path().to_owned()),
        home: directory.path().to_owned(),
        cwd: directory.path().to_owned(),
        is_quiet: false,
    };
    let mut remarks = Vec::new();
    let read = RcFiles::read(Dialect::Extended, Some(&file), &anchors, &mut remarks);
    let settings = read.and_then(|files| {
        let settings = files.settings(&anchors, &mut remarks)?;
        Ok((files.dump(), settings))
    });
    match settings {
        Err(problem) => shown(&problem, bytes),
        Ok((dumped, settings)) => {
            fs::write(&file, &dumped).expect("written");
            let again = RcFiles::read(Dialect::Extended, Some(&file), &anchors, &mut Vec::new())
                .expect("it is an rc file");
            assert_eq!(again.dump(), dumped);
            // Other rc files are merged into what is printed.
            let again = again.settings(&anchors, &mut Vec::new()).expect("it is right");
            assert_eq!(format!("{again:?}"), format!("{settings:?}"));
        }
    }
    remarks.iter().for_each(|remark| shown(&remark.finding, bytes));
}
