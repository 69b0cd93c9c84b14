//! Why something ran in the last build that executed something, or what spared it.
//!
//! The record says what ran and the first thing that was different for it; that is followed down to what
//! somebody changed. What is not in the record was spared; for what it could have been (an output, an action of
//! some target), the description is analysed in memory, as the last build had it, as far as it still is so.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use taut_analysis::{Config, ConfiguredTarget, TargetRule};
use taut_engine::Engine;
use taut_repos::RepoConfig;
use taut_value::{ActionDescription, Artifact, EntityName, Id, Map, NamedTarget, Value};

use super::{Ended, History, How, Record, Subject, Why, source_file};
use crate::analyse::{analyse_in, begin, workspace};
use crate::{Analysis, AnalysisOptions, Reached, Request, Runs};

/// What is asked about.
#[derive(Clone, Debug)]
pub enum Question {
    /// The action whose id begins like this.
    Action(String),
    /// A target; or, if there is none of that name, what lies at this path.
    Named {
        /// The name.
        target: NamedTarget,
        /// The word as a path: as it was said, and absolute.
        path: Option<(String, PathBuf)>,
    },
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// Lines of text.
    pub text: String,
    /// Whether what was asked about is known.
    pub is_known: bool,
}

/// How many of a kind are shown at most.
const SHOWN: usize = 12;

/// How many links of a chain are shown at most.
const LINKS: usize = 24;

/// Answers a question about the last build with these repositories that executed something. `cwd`: what
/// paths are shown relative to.
pub fn explain(
    question: &Question,
    history: &History,
    repositories: &RepoConfig,
    how: AnalysisOptions,
    runs: &Runs,
    cwd: &Path,
) -> Explanation {
    let Some(record) = history.read() else {
        let text = match history.is_there() {
            false => "Nothing is known of any build here that executed something.\n",
            true => {
                "What was kept of the last call that executed something was damaged; the next one leaves it anew.\n"
            }
        };
        return Explanation { text: text.to_owned(), is_known: false };
    };
    let request = Request {
        repositories: repositories.clone(),
        target: record.target.clone(),
        configuration: record.configuration.clone(),
    };
    let engine = runs.open(taut_analysis::register(Engine::builder(), &workspace(&request, how)));
    // Whatever is wrong with the description is told by who builds it.
    let analysis = analyse_in(&begin(engine.begin(), how.jobs), &request).ok();
    let mut teller = Teller::new(&record, &engine, analysis.as_ref(), repositories, cwd);
    teller.heading(&request);
    let is_known = teller.answer(question);
    Explanation { text: teller.text, is_known }
}

struct Teller<'r> {
    record: &'r Record,
    /// Knows the kept runs.
    engine: &'r Engine,
    analysis: Option<&'r Analysis>,
    repositories: &'r RepoConfig,
    cwd: &'r Path,
    /// What was done, but for what was new.
    done: HashMap<&'r Subject, &'r Why>,
    /// The actions of the description as it is now.
    defined: HashMap<Id, Defined<'r>>,
    text: String,
}

/// An action, with who defines it.
struct Defined<'a> {
    action: &'a Arc<ActionDescription>,
    name: &'a EntityName,
    place: usize,
}

impl<'r> Teller<'r> {
    fn new(
        record: &'r Record,
        engine: &'r Engine,
        analysis: Option<&'r Analysis>,
        repositories: &'r RepoConfig,
        cwd: &'r Path,
    ) -> Teller<'r> {
        let mut done = HashMap::new();
        for known in &record.done {
            done.entry(&known.subject).or_insert(&known.why);
        }
        let mut defined = HashMap::new();
        for reached in analysis.iter().flat_map(|analysis| &analysis.reached) {
            for (place, action) in reached.analysed.actions.iter().enumerate() {
                let name = &reached.target.name;
                defined.entry(action.id()).or_insert(Defined { action, name, place });
            }
        }
        Teller { record, engine, analysis, repositories, cwd, done, defined, text: String::new() }
    }

    /// Why something was done, if it was.
    fn why(&self, subject: &Subject) -> Option<Why> {
        let known = self.done.get(subject).map(|why| (*why).clone());
        known.or_else(|| self.record.new.contains(&subject.fingerprint()).then_some(Why::New))
    }

    fn say(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref());
        self.text.push('\n');
    }

    fn heading(&mut self, request: &Request) {
        let record = self.record;
        let ended = match record.ended {
            Ended::Well => "it succeeded",
            Ended::InAnalysis => "analysis failed",
            Ended::InExecution => "it failed",
        };
        let (ago, target) = (ago(record.when), request.target_text());
        self.say(format!(
            "The last call that executed something: {} {target}, {ago}; {ended}.",
            record.command
        ));
        let (ran, cached, failed) =
            (record.count(How::Ran), record.count(How::Cached), record.count(How::Failed));
        let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        self.say(format!(
            "{} analysed, {} run{failed}, {cached} known to the action cache.\n",
            many(record.analysed as usize, "target"),
            many(ran, "action"),
        ));
    }

    fn answer(&mut self, question: &Question) -> bool {
        match question {
            Question::Action(prefix) => {
                let prefix = prefix.to_ascii_lowercase();
                let known = self.record.actions.keys().chain(self.defined.keys());
                let mut ids: Vec<Id> = known.copied().filter(|id| id.to_hex().starts_with(&prefix)).collect();
                ids.sort_unstable_by_key(|id| id.0);
                ids.dedup();
                self.actions(&ids, usize::MAX);
                if ids.is_empty() {
                    self.say(format!("No action is known whose id begins with {prefix}."));
                }
                !ids.is_empty()
            }
            Question::Named { target, path } => {
                let path = path.as_ref();
                let known = self.target(target) || path.is_some_and(|(said, full)| self.path(said, full));
                if !known {
                    let name = EntityName::Named(target.clone()).to_json();
                    let or = path.map(|(said, _)| format!(", and nothing at {said}")).unwrap_or_default();
                    let meant = self.meant(target).map(|meant| format!(" Did you mean {meant:?}?"));
                    self.say(format!("That call had no target {name}{or}.{}", meant.unwrap_or_default()));
                }
                known
            }
        }
    }

    /// What is named like a target, of all that the call had in its module, or made.
    fn meant(&self, target: &NamedTarget) -> Option<String> {
        let of_module = |reached: &'r Reached| {
            let name = reached.target.name.as_named()?;
            let is_near = (&name.repository, &name.module) == (&target.repository, &target.module);
            (is_near && name.name != target.name).then_some(name.name.as_str())
        };
        let targets = self.analysis.iter().flat_map(|analysis| &analysis.reached).filter_map(of_module);
        let outputs = self.defined.values().flat_map(|defined| &defined.action.outs).map(|out| out.as_str());
        taut_syntax::did_you_mean(&target.name, targets.chain(outputs)).map(str::to_owned)
    }

    /// Tells of a target in all its configurations; `false` if there is none of that name.
    fn target(&mut self, target: &NamedTarget) -> bool {
        let name = EntityName::Named(target.clone());
        let json = name.to_json();
        let mut variants: Vec<Subject> = Vec::new();
        for done in &self.record.done {
            if matches!(&done.subject, Subject::Target { name, .. } if **name == *json) {
                variants.push(done.subject.clone());
            }
        }
        let mut actions = BTreeSet::new();
        let reached = self.analysis.iter().flat_map(|analysis| &analysis.reached);
        let mut spared = 0;
        for reached in reached.filter(|reached| reached.target.name == name && reached.analysed.is_defined) {
            actions.extend(reached.analysed.actions.iter().map(|action| action.id().0));
            let subject = Subject::target(&reached.target);
            let full = Subject::Target { name: json.as_str().into(), config: self.record_config() };
            if let Some(new) = [subject, full].into_iter().find(|s| self.why(s).is_some()) {
                if !variants.contains(&new) {
                    variants.push(new);
                }
            } else {
                spared += 1;
            }
        }
        if variants.is_empty() && spared == 0 {
            return false;
        }
        for variant in &variants {
            let why = self.why(variant).unwrap_or(Why::New);
            let again = if why == Why::New { "for the first time" } else { "again" };
            self.say(format!("{} was analysed {again}:", capital(&self.words(variant))));
            self.chain(variant);
        }
        if variants.is_empty() {
            self.say(match self.kin(&name) {
                Some(kin) => format!(
                    "Target {json} was not analysed: it is the same as {kin}, since it depends on no variable that \
                     differs."
                ),
                None => format!(
                    "Target {json} was not analysed again: everything it had read is as it was, so its recorded \
                     run holds."
                ),
            });
        }
        let actions: Vec<Id> = actions.into_iter().map(Id).collect();
        if !actions.is_empty() {
            self.say(format!("\nIt defines {}.", many(actions.len(), "action")));
            self.actions(&actions, SHOWN);
        }
        true
    }

    /// The target of the same name whose result one in the call's configuration took over, if it did.
    fn kin(&self, name: &EntityName) -> Option<String> {
        let config = Config::new(self.record.configuration.clone());
        let key = ConfiguredTarget { name: name.clone(), config };
        let reads = self.engine.reads_of(self.engine.task::<TargetRule>(key))?;
        let [read] = reads.as_slice() else { return None };
        let key = self.engine.key_of(*read);
        let kin = key.downcast::<ConfiguredTarget>().filter(|kin| kin.name == *name)?;
        Some(kin.to_string())
    }

    /// The configuration of the call, as targets have it.
    fn record_config(&self) -> taut_value::Str {
        let set = self.record.configuration.iter().filter(|(_, value)| !matches!(value, Value::Null));
        let set: Map = set.map(|(name, value)| (name.clone(), value.clone())).collect();
        Value::Map(set).to_json().into()
    }

    /// Tells of what lies at a path: a source, or what is built under that name.
    fn path(&mut self, said: &str, full: &Path) -> bool {
        let place: taut_value::Str = full.to_string_lossy().as_ref().into();
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
            self.say(format!("{shown} was as it had been: nothing ran because of it."));
        }
        let path = said.trim_start_matches("./");
        let makes =
            |d: &Defined<'_>| d.action.outs.iter().chain(&d.action.out_dirs).any(|out| out.as_str() == path);
        let mut named: Vec<Id> =
            self.defined.iter().filter(|(_, defined)| makes(defined)).map(|(id, _)| *id).collect();
        named.sort_unstable_by_key(|id| id.0);
        let staged = self.analysis.and_then(|analysis| {
            let wanted = analysis.wanted();
            let mut all = wanted.artifacts.into_iter().chain(wanted.runfiles);
            all.find(|(at, _)| at.as_str() == path).map(|(_, artifact)| artifact)
        });
        let ids = match (&staged, named.is_empty()) {
            (Some(Artifact::Action { id, .. }), _) => vec![*id],
            (_, false) => named,
            (Some(Artifact::Local { path, repository }), _) => {
                let file = source_file(self.repositories, repository, path);
                return known || file.is_some_and(|file| self.path("", &file));
            }
            (Some(Artifact::Tree(id) | Artifact::TreeOverlay(id)), _) => {
                let tree = Subject::Tree(*id);
                if self.why(&tree).is_some() {
                    self.say(format!("{path} is put together from other artifacts, and was so again:"));
                    self.chain(&tree);
                } else {
                    self.say(format!("{path} is put together from other artifacts, none of which changed."));
                }
                return true;
            }
            (Some(Artifact::Known(info)), _) => {
                self.say(format!(
                    "{path} is {info}, a content that the description holds: nothing has to run."
                ));
                return true;
            }
            (None, true) => return known,
        };
        self.actions(&ids, SHOWN);
        true
    }

    /// Whether a file is a source of the present description.
    fn is_source(&self, full: &Path) -> bool {
        let reached = self.analysis.iter().flat_map(|analysis| &analysis.reached);
        let results = reached.flat_map(|reached| reached.analysed.result.artifacts.iter());
        let mut locals = results.filter_map(|(_, value)| match value.as_artifact()? {
            Artifact::Local { path, repository } => source_file(self.repositories, repository, path),
            _ => None,
        });
        let mut inputs = self.defined.values().flat_map(|d| d.action.inputs.iter());
        locals.any(|file| file == full)
            || inputs.any(|(_, value)| match value.as_artifact() {
                Some(Artifact::Local { path, repository }) => {
                    source_file(self.repositories, repository, path).as_deref() == Some(full)
                }
                _ => false,
            })
            || self.repositories.repositories.values().any(|repository| {
                let named = |root: &taut_repos::Root, name: &str| {
                    full.starts_with(root.path.as_str())
                        && full.file_name().is_some_and(|file| *file == *name)
                        && full.is_file()
                };
                named(&repository.target_root, &repository.target_file_name)
                    || named(&repository.rule_root, &repository.rule_file_name)
                    || named(&repository.expression_root, &repository.expression_file_name)
            })
    }

    /// What was done because something at the end of chains had changed.
    fn because_of(&mut self, source: &Subject) {
        let (mut targets, mut actions, mut others) = (Vec::new(), Vec::new(), 0);
        // Where chains lead is found once for each link.
        let mut leads: HashMap<Subject, bool> = HashMap::new();
        for done in &self.record.done {
            let mut links = Vec::new();
            let mut link = Some(done.subject.clone());
            let found = loop {
                let Some(at) = link.take() else { break false };
                if let Some(known) = leads.get(&at) {
                    break *known;
                }
                // Against going round, until the answer is there.
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
                Subject::Action(id) => {
                    let known = self.record.actions.get(id) == Some(&How::Cached);
                    let known = if known { ", known to the action cache" } else { "" };
                    actions.push(format!("{}{known}", self.action_words(id)));
                }
                subject if subject == source => {}
                _ => others += 1,
            }
        }
        let what = capital(&self.words(source));
        if targets.is_empty() && actions.is_empty() {
            let read = if others > 0 { ", but what was read of it is as it was" } else { "" };
            self.say(format!(
                "{what} had changed{read}: no target was analysed and no action ran because of that."
            ));
            return;
        }
        self.say(format!("{what} had changed. Because of that"));
        for (kind, verb, all) in [("target", "analysed again", targets), ("action", "wanted again", actions)]
        {
            if all.is_empty() {
                continue;
            }
            let was = if all.len() == 1 { "was" } else { "were" };
            self.say(format!("  {} {was} {verb}:", many(all.len(), kind)));
            all.iter().take(SHOWN).for_each(|name| self.text.push_str(&format!("    {name}\n")));
            if all.len() > SHOWN {
                self.say(format!("    and {} more", all.len() - SHOWN));
            }
        }
    }

    fn actions(&mut self, ids: &[Id], most: usize) {
        for id in ids.iter().take(most) {
            let subject = Subject::Action(*id);
            let words = capital(&self.action_words(id));
            let is_new = self.record.new.contains(&subject.fingerprint());
            let end = self.record.actions.get(id).or(is_new.then_some(&How::Ran));
            match (end, self.why(&subject)) {
                (None, None) => {
                    self.say(format!(
                        "{words} did not run: its recorded run was replayed, since all its inputs are as they were."
                    ));
                    continue;
                }
                (Some(How::Cached), why) => {
                    let looked = if why == Some(Why::New) { "" } else { " again" };
                    self.say(format!(
                        "{words} was looked at{looked}, but did not run: the action cache knew a run of the same \
                         command on the same contents. It was looked at"
                    ));
                }
                (Some(How::Failed), _) => self.say(format!("{words} ran, and failed:")),
                (Some(How::Ran), _) => self.say(format!("{words} ran:")),
                (None, Some(_)) => self.say(format!("{words} was to run, but did not get to it:")),
            }
            self.chain(&subject);
        }
        if ids.len() > most {
            let hint = "name one as %ID to see it";
            self.say(format!("And {} more actions; {hint}.", ids.len() - most));
        }
    }

    /// From something that was done down to what had changed; each with why it was done, if it was.
    fn follow(&self, subject: &Subject) -> Vec<(Subject, Option<Why>)> {
        let (mut links, mut seen) = (Vec::new(), HashSet::new());
        let mut next = Some(subject.clone());
        while let Some(subject) = next.take().filter(|subject| seen.insert(subject.clone())) {
            next = self.next(&subject);
            let why = self.why(&of_action(&subject));
            links.push((subject, why));
        }
        links
    }

    /// What came before something in a chain.
    fn next(&self, subject: &Subject) -> Option<Subject> {
        match *self.done.get(&of_action(subject))? {
            Why::Read { what, .. } => Some(what.clone()),
            Why::Redefined { target, .. } => Some(target.clone()),
            _ => None,
        }
    }

    /// Tells why something was done: each line is the reason for the one above.
    fn chain(&mut self, subject: &Subject) {
        let mut lines: Vec<String> = Vec::new();
        let mut changed: Option<String> = None;
        for (subject, why) in self.follow(subject) {
            if let Some(changed) = changed.take() {
                lines.push(format!("since {} {changed}", self.words(&subject)));
            }
            match why {
                Some(Why::New) => lines.push(match (&subject, &self.record.before) {
                    (Subject::Target { .. }, Some(before)) => different(before, &self.record.configuration),
                    _ => "since nothing like it is known from before".to_owned(),
                }),
                Some(Why::Always) => {
                    lines.push("since it runs each time: it may fail, or is not to be cached".into())
                }
                Some(Why::Program) => {
                    lines.push("since this is another taut, which does it differently".into())
                }
                Some(Why::Lost) => {
                    lines.push("since its result, though known to be the same, is no longer stored".into());
                }
                Some(Why::Changed) | None => {}
                Some(Why::Read { what, was, is }) => {
                    let verb = match &what {
                        Subject::Target { .. } => "came out differently",
                        Subject::Output { .. } | Subject::Tree(_) | Subject::Inputs(_) => "differs",
                        Subject::Rule(_) | Subject::Expression(_) => "is defined differently",
                        _ => "changed",
                    };
                    changed = Some(match (was, is) {
                        (Some(was), Some(is)) => format!("{verb}: {was} before, now {is}"),
                        (None, Some(is)) => format!("{verb}: it is {is} now"),
                        _ => verb.to_owned(),
                    });
                }
                Some(Why::Redefined { difference, .. }) => {
                    lines.extend(difference.iter().map(|line| format!("- {line}")));
                    changed = Some("defines it anew".to_owned());
                }
            }
        }
        let left_out = lines.len().saturating_sub(LINKS);
        if left_out > 1 {
            let half = LINKS / 2;
            lines.splice(half..half + left_out, [format!("… {left_out} more reasons of that kind …")]);
        }
        let mut depth = 0;
        for line in lines {
            // What differs belongs to the line above it.
            let indent = if line.starts_with('-') {
                depth + 1
            } else {
                depth += 1;
                depth
            };
            let indent = "  ".repeat(indent.min(12));
            self.say(format!("{indent}{}", line.replace('\n', &format!("\n{indent}"))));
        }
    }

    fn action_words(&self, id: &Id) -> String {
        let hex = id.to_hex();
        let short = &hex[..12];
        let Some(defined) = self.defined.get(id) else {
            return format!("action %{short}, which is no longer defined,");
        };
        let mut outs = defined.action.outs.iter().chain(&defined.action.out_dirs);
        let first = outs.next().map(|out| out.to_string()).unwrap_or_default();
        let more = outs.count();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("action %{short} ({}#{}: {first}{more})", defined.name.to_json(), defined.place)
    }

    fn words(&self, subject: &Subject) -> String {
        match subject {
            Subject::Target { name, config } if config.as_str() == "{}" => format!("target {name}"),
            Subject::Target { name, config } => format!("target [{name},{config}]"),
            Subject::Action(id) => self.action_words(id),
            Subject::Output { action, path } => format!("{path}, made by {},", self.action_words(action)),
            Subject::Source(path) => format!("the source file {}", self.shown(path)),
            Subject::File(path) => format!("the file {}", self.shown(path)),
            Subject::Directory(path) => format!("what lies in the directory {}", self.shown(path)),
            Subject::Entry { file, name } => format!("the entry {name:?} of {}", self.shown(file)),
            Subject::Rule(name) => format!("rule {name}"),
            Subject::Expression(name) => format!("expression {name}"),
            Subject::Tree(id) => format!("tree {}", &id.to_hex()[..12]),
            Subject::Inputs(_) => "a directory among the inputs".to_owned(),
            Subject::Other(text) => text.to_string(),
        }
    }

    fn shown(&self, path: &str) -> String {
        let below = Path::new(path).strip_prefix(self.cwd).ok().filter(|below| !below.as_os_str().is_empty());
        below.map_or_else(|| path.to_owned(), |below| below.display().to_string())
    }
}

/// An output is as its action is.
fn of_action(subject: &Subject) -> Subject {
    match subject {
        Subject::Output { action, .. } => Subject::Action(*action),
        other => other.clone(),
    }
}

/// Whether a link of a chain is about a source: entries are about their file.
fn touches(link: &Subject, source: &Subject) -> bool {
    link == source || matches!((link, source), (Subject::Entry { file, .. }, Subject::File(of)) if file == of)
}

/// How two configurations differ.
fn different(was: &Map, is: &Map) -> String {
    let mut text =
        String::from("since nothing like it is known in this configuration; the call before had another:");
    let names: BTreeSet<&str> = was.iter().chain(is.iter()).map(|(name, _)| name.as_str()).collect();
    let shown = |map: &Map, name: &str| map.get(name).map_or_else(|| "unset".to_owned(), Value::to_json);
    for name in names.into_iter().filter(|name| was.get(name) != is.get(name)) {
        let _ = write!(text, "\n  {name} was {}, now it is {}", shown(was, name), shown(is, name));
    }
    text
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// How long ago a time is that counts the seconds since 1970.
fn ago(when: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    match now.saturating_sub(when) {
        0..=1 => "just now".to_owned(),
        seconds @ 2..=119 => format!("{seconds} seconds ago"),
        seconds @ 120..=7_199 => format!("{} minutes ago", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{} hours ago", seconds / 3_600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}
