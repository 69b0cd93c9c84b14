//! `init --from-sources`: writes a targets file for the sources of a directory.
//!
//! Nothing that exists is overwritten. What is proposed is printed with what could not be decided, so that the rest can
//! be done by hand.

use std::{cell::Cell, path::Path};

use taut_driver::find_workspace_root;
use taut_scan::{Machine, Proposal, Summary, propose};
use taut_sys::{Dir, if_exists};

use super::{
    RUSTC, change_directory, packages, shown,
    sources::{self, Sources, TARGETS},
};
use crate::{
    exit::Exit,
    standard_streams::{eprint_error, print},
};

/// Marks the directory as a workspace.
const ROOT: &str = "ROOT";

/// Proposes targets for the directory.
pub(super) fn run(directory: &Path) -> Exit {
    match write(directory) {
        Ok(report) => print(report.as_bytes()),
        Err(text) => {
            eprint_error(&text);
            Exit::Environment
        }
    }
}

fn write(directory: &Path) -> Result<String, String> {
    let of_directory = |error: taut_sys::Error| error.to_string();
    let top = Dir::of_user(directory).map_err(of_directory)?;
    let targets = shown(directory, TARGETS);
    if if_exists(top.at(TARGETS).lstat()).map_err(of_directory)?.is_some() {
        return Err(format!("{targets} exists, and is not overwritten: nothing is written"));
    }
    let path = top.real_path().map_err(of_directory)?;
    let project = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let Sources { files, unreadable, mut notes } = sources::read(&top).map_err(of_directory)?;
    let is_asked = Cell::new(false);
    let has_package = |library: &str| {
        is_asked.set(true);
        packages::has(library)
    };
    // The libraries of the system are asked for through a function, so that what is proposed can be tested without
    // any.
    let proposal = propose(files, &project, &Machine { unreadable: &unreadable, has_package: &has_package });
    if is_asked.get() && !packages::is_installed() {
        notes.push(
            "There is no pkg-config, which the rules in the box ask for libraries of the system: install it."
                .to_owned(),
        );
    }
    if proposal.is_empty() {
        return Err(format!(
            "there are no sources in {} for which the rules in the box make something: nothing is written",
            directory.display()
        ));
    }
    let mut written = Vec::new();
    let mut create = |name: &str, content: &str| {
        let made = top.at(name).create_new(0o644).and_then(|mut file| file.write_all(content.as_bytes()));
        made.map_err(|error| format!("cannot write {}: {error}", shown(directory, name)))?;
        written.push(shown(directory, name));
        Ok::<(), String>(())
    };
    if find_workspace_root(&path).is_err() {
        // Only where no workspace is above: a ROOT below one would cut the directory off.
        create(ROOT, "")?;
    }
    create(TARGETS, &proposal.targets_file())?;
    Ok(report(directory, &proposal, &written, &notes))
}

/// The files that were written, the proposed targets, the open questions, and the next commands.
fn report(directory: &Path, proposal: &Proposal, written: &[String], notes: &[String]) -> String {
    let mut text = String::from("Written:\n");
    for path in written {
        text += &format!("  {path}\n");
    }
    text += "Proposed:\n";
    text += &list(proposal.summaries());
    if !(notes.is_empty() && proposal.notes().is_empty()) {
        text += "To be decided:\n";
        for note in notes.iter().chain(proposal.notes()) {
            text += &format!("  {note}\n");
        }
    }
    text += "Next:\n";
    text += &change_directory(directory);
    let more = if proposal.has_rust() { RUSTC } else { "" };
    text += &match proposal.has_default() {
        true => format!("  taut build{more}\n"),
        // Nothing surely builds: all of it shows what is missing.
        false => format!("  taut build ...{more}\n"),
    };
    if proposal.has_tests() {
        text += &format!("  taut test tests{more}\n");
    }
    if proposal.has_default() {
        text += &format!("  taut install -o out{more}\n");
    }
    text
}

/// So many targets of a kind are listed.
const MAX_LISTED_TARGETS: usize = 12;

/// A line for each target.
fn list(summaries: &[Summary]) -> String {
    let mut shown: Vec<&Summary> = Vec::new();
    let mut more: Vec<(&str, usize)> = Vec::new();
    for kind in ["program", "library", "script", "test"] {
        let of_kind: Vec<&Summary> = summaries.iter().filter(|summary| summary.kind == kind).collect();
        // A line that represents one more would not be shorter.
        let count = if of_kind.len() <= MAX_LISTED_TARGETS + 1 { of_kind.len() } else { MAX_LISTED_TARGETS };
        shown.extend(&of_kind[..count]);
        more.push((kind, of_kind.len() - count));
    }
    let width = shown.iter().map(|summary| summary.name.chars().count()).max().unwrap_or(0).min(30);
    let mut text = String::new();
    for (kind, more) in more {
        for summary in shown.iter().filter(|summary| summary.kind == kind) {
            text += &format!("  {kind:7} {:width$}  {}\n", summary.name, summary.from);
        }
        if more > 0 {
            text += &format!("  {kind:7} … and {more} more\n");
        }
    }
    text
}
