//! Explanations of a path: a source, and what was done because of it, or what is built under that name.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use taut_value::{Artifact, Id, Map, Tree};

use super::words::{capitalized, many};
use super::{DefinedAction, Explainer, MAX_SHOWN, Rank};
use crate::history::{ActionEnd, Subject, source_file};

impl Explainer<'_> {
    /// Explains what lies at a path: a source, or what is built under that name.
    pub(super) fn path(&mut self, typed: &str, full: &Path) -> bool {
        let place: taut_value::Str = full.to_string_lossy().as_ref().into();
        // One path may be known in each of these roles: as an input, as a description, or by its listing.
        let sources =
            [Subject::Source(place.clone()), Subject::File(place.clone()), Subject::Directory(place.clone())];
        let mut known = false;
        for source in sources {
            if self.why(&source).is_some() {
                known = true;
                self.because_of(&source);
            }
        }
        if !known && self.is_source(full) {
            known = true;
            let shown = self.shown(full.to_string_lossy().as_ref());
            let above = full.parent().unwrap_or(full).to_string_lossy();
            let above = Subject::Directory(above.as_ref().into());
            // Of what was read for the first time nothing is recorded: there is much of it in a first build.
            if self.why(&above).is_some() {
                self.say(format!("{shown} was unchanged, unless it was new; its directory changed:"));
                self.because_of(&above);
            } else if let Some(readers) = self.first_readers(full) {
                self.say(format!(
                    "Whether {shown} changed is not known, since no earlier run of an action that reads it is recorded."
                ));
                self.actions(&readers, MAX_SHOWN);
            } else {
                self.say(format!("{shown} was unchanged: nothing ran because of it."));
            }
        }
        // Paths of outputs are normal, unlike those that a shell completes.
        let path = typed.trim_start_matches("./");
        let makes = |d: &DefinedAction<'_>| {
            d.action.outs.iter().chain(&d.action.out_dirs).any(|out| out.as_str() == path)
        };
        let mut named: Vec<Id> =
            self.defined.iter().filter(|(_, defined)| makes(defined)).map(|(id, _)| *id).collect();
        let logged =
            self.record.named.iter().filter(|(_, logged)| logged.outs.iter().any(|out| &**out == path));
        named.extend(logged.map(|(id, _)| *id).filter(|id| !self.defined.contains_key(id)));
        // From hash tables: sorted, so that the text is the same in each call.
        named.sort_unstable_by_key(|id| id.0);
        self.first_what_ran(&mut named);
        let staged = self.analysis.and_then(|analysis| {
            let wanted = analysis.wanted();
            let mut all = wanted.artifacts.into_iter().chain(wanted.runfiles);
            all.find(|(at, _)| at.as_str() == path).map(|(_, artifact)| artifact)
        });
        let ids = match (&staged, named.is_empty()) {
            // The requested result has precedence over other actions with an output of this name.
            (Some(Artifact::Action { id, .. }), _) => vec![*id],
            (_, false) => named,
            (Some(Artifact::Local { path, repository }), _) => {
                let file = source_file(self.repositories, repository, path);
                return known || file.is_some_and(|file| self.path("", &file));
            }
            (Some(Artifact::Tree(id) | Artifact::TreeOverlay(id)), _) => {
                let tree = Subject::Tree(*id);
                if self.why(&tree).is_some() {
                    let again = if self.is_first(&tree) { "" } else { " again" };
                    self.done_since(
                        &format!("{path} is a tree of other artifacts, and was assembled{again}"),
                        &tree,
                    );
                } else {
                    self.say(format!("{path} is a tree of other artifacts, none of which changed."));
                }
                return true;
            }
            (Some(Artifact::Known(info)), _) => {
                self.say(format!(
                    "{path} is {info}, a content given in the description: no action makes it."
                ));
                return true;
            }
            (None, true) => return known,
        };
        self.actions(&ids, MAX_SHOWN);
        true
    }

    /// The actions that read a source, if all of them did so for the first time: then there was no earlier content to
    /// compare it with.
    fn first_readers(&self, source: &Path) -> Option<Vec<Id>> {
        let trees: Vec<&Tree> = self.analysis.iter().flat_map(|analysis| analysis.trees()).collect();
        let mut with_it: HashSet<Id> = HashSet::new();
        let reads = |stage: &Map, with_it: &HashSet<Id>| {
            stage.iter().filter_map(|(_, value)| value.as_artifact()).any(|artifact| match artifact {
                Artifact::Local { path, repository } => {
                    source_file(self.repositories, repository, path).as_deref() == Some(source)
                }
                Artifact::Tree(id) | Artifact::TreeOverlay(id) => with_it.contains(id),
                _ => false,
            })
        };
        // Trees lie in trees, and are in no order here: until no further one has it.
        loop {
            let before = with_it.len();
            for tree in &trees {
                if reads(tree.stage(), &with_it) {
                    with_it.insert(tree.id());
                }
            }
            if with_it.len() == before {
                break;
            }
        }
        let readers = self.defined.iter().filter(|(_, defined)| reads(&defined.action.inputs, &with_it));
        let mut readers: Vec<Id> = readers.map(|(id, _)| *id).collect();
        let are_first = readers.iter().all(|id| self.is_first(&Subject::Action(*id)));
        self.first_what_ran(&mut readers);
        Some(readers).filter(|readers| are_first && !readers.is_empty())
    }

    /// Whether a file is a source of the present description.
    fn is_source(&self, full: &Path) -> bool {
        let reached = self.analysis.iter().flat_map(|analysis| &analysis.reached);
        let results = reached.flat_map(|reached| reached.analysed.result.artifacts.iter());
        let mut locals = results.filter_map(|(_, value)| match value.as_artifact()? {
            Artifact::Local { path, repository } => source_file(self.repositories, repository, path),
            _ => None,
        });
        let inputs = self.defined.values().flat_map(|d| d.action.inputs.iter());
        // What lies below a directory that is a source as a whole.
        let trees = self.analysis.iter().flat_map(|analysis| analysis.trees());
        let mut inputs = inputs.chain(trees.flat_map(|tree| tree.stage().iter()));
        locals.any(|file| file == full)
            || inputs.any(|(_, value)| match value.as_artifact() {
                Some(Artifact::Local { path, repository }) => {
                    source_file(self.repositories, repository, path).as_deref() == Some(full)
                }
                _ => false,
            })
            || self.repositories.repositories.values().any(|repository| {
                let named = |root: &taut_repos::Root, name: &str| {
                    root.directory().is_some_and(|root| full.starts_with(root))
                        && full.file_name().is_some_and(|file| *file == *name)
                        && taut_sys::Named::stat(full).is_ok_and(|stat| stat.is_file())
                };
                named(&repository.target_root, &repository.target_file_name)
                    || named(&repository.rule_root, &repository.rule_file_name)
                    || named(&repository.expression_root, &repository.expression_file_name)
            })
    }

    /// What was done because something at the end of chains had changed.
    pub(super) fn because_of(&mut self, source: &Subject) {
        let (mut targets, mut actions, mut trees, mut others) = (Vec::new(), Vec::new(), 0, 0);
        // Chains share links: where one leads is computed once for each, else this would be quadratic.
        let mut leads: HashMap<Subject, bool> = HashMap::new();
        for done in &self.record.done {
            let mut links = Vec::new();
            let mut link = Some(done.subject.clone());
            let found = loop {
                let Some(at) = link.take() else { break false };
                if let Some(known) = leads.get(&at) {
                    break *known;
                }
                // Ends a cycle of links, until the answer is known.
                leads.insert(at.clone(), false);
                if touches(&at, source) {
                    links.push(at);
                    break true;
                }
                link = self.next(&at);
                links.push(at);
            };
            leads.extend(links.into_iter().map(|link| (link, found)));
            if !found {
                continue;
            }
            match &done.subject {
                Subject::Target { .. } => targets.push(self.words(&done.subject)),
                Subject::Action(id) => actions.push(*id),
                Subject::Tree(_) => trees += 1,
                subject if subject == source => {}
                _ => others += 1,
            }
        }
        let what = capitalized(&self.words(source));
        if targets.is_empty() && actions.is_empty() {
            if trees > 0 {
                let was = if trees == 1 { "was" } else { "were" };
                let trees = format!("{} {was}", many(trees, "tree"));
                self.say(format!(
                    "{what} changed: {trees} assembled again; no target was analysed and no action ran because of that."
                ));
                return;
            }
            let read = if others > 0 { ", but not in what was read of it" } else { "" };
            self.say(format!(
                "{what} changed{read}: no target was analysed and no action ran because of that."
            ));
            return;
        }
        self.say(format!("{what} changed. Because of that"));
        self.listed("target", "analysed again", targets.len(), &targets);
        self.first_what_ran(&mut actions);
        let cached = actions.iter().position(|id| self.rank(id) == Rank::FromCache).unwrap_or(actions.len());
        let words = |id: &Id| {
            let end = match self.record.actions.get(id) {
                Some(ActionEnd::Unread) => ", did not run: none of the inputs that it read has changed",
                Some(ActionEnd::Cached) => ", from cache",
                Some(ActionEnd::Failed) => ", failed",
                _ => "",
            };
            format!("{}{end}", self.action_words(id))
        };
        // Of actions that did not run only the number says something, unless there are no others.
        let shown = if cached == 0 || self.is_verbose { actions.len() } else { cached };
        let mut lines: Vec<String> = actions[..shown].iter().map(words).collect();
        // A line about one left out would not be shorter.
        if let [one] = &actions[shown..] {
            lines.push(words(one));
        }
        let left_out = actions.len() - lines.len();
        self.listed("action", "invalidated", actions.len(), &lines);
        if left_out > 0 {
            self.say(format!("    and {} from cache: -v shows which", many(left_out, "action")));
        }
    }

    /// Says how much was done, with lines about some of it: all of them only if the call is verbose.
    fn listed(&mut self, kind: &str, verb: &str, count: usize, lines: &[String]) {
        if count == 0 {
            return;
        }
        let was = if count == 1 { "was" } else { "were" };
        self.say(format!("  {} {was} {verb}:", many(count, kind)));
        let shown = if self.is_verbose { lines.len() } else { lines.len().min(MAX_SHOWN) };
        lines[..shown].iter().for_each(|line| self.say(format!("    {line}")));
        if shown < lines.len() {
            self.say(format!("    and {} more: -v shows which", lines.len() - shown));
        }
    }
}

/// Whether a link of a chain is about a source: entries are about their file.
fn touches(link: &Subject, source: &Subject) -> bool {
    link == source || matches!((link, source), (Subject::Entry { file, .. }, Subject::File(of)) if file == of)
}
