//! The event logs of a workspace, read: what the last call with work to do did, and why.
//!
//! A log is read line by line. What follows the last end of a line was not written to its end, and is passed over, as
//! are lines of kinds that this program does not know. A log without its last line is of a call that was killed: its
//! reasons are not known, so there is nothing to explain, but `explain` mentions the call.

use std::collections::{HashMap, HashSet};

use taut_digest::ObjectInfo;
use taut_exec::{Lacked, Missed};
use taut_repos::RepoConfig;
use taut_store::Store;
use taut_syntax::json::{Document, Kind as JsonKind, Node};
use taut_value::{Id, Map, NamedTarget, ReferenceType, Str, Value};

use super::MAX_LOG_BYTES;
use super::directory::{Kind, LogDirectory, Name, Workspace};
use super::fields::VERSION;
use super::tasks::{cause_of, id_of, new_targets_of};
use crate::history::{ActionEnd, BuildEnd, EarlierRun, Logged, Record, RecordedTask};
use crate::{RecordedReason, Subject, Targets};

/// How much of a log is read at most: more than is ever written.
const MAX_READ_BYTES: u64 = 2 * MAX_LOG_BYTES;

/// How much of a log is read for its first line, which has the request.
const MAX_HEAD_BYTES: u64 = 4 << 20;

/// How many earlier logs are read to name actions that were up to date.
const MAX_EARLIER_LOGS: usize = 32;

/// How many logs of all checkouts are searched for runs of actions.
const MAX_COMPARED_LOGS: usize = 32;

/// How many bytes of them together.
const MAX_COMPARED_BYTES: u64 = 64 << 20;

/// What is in front of the first output in the line of an action.
const OUTPUTS: &str = "\"outputs\":{";

/// The beginning of a text that starts with [`OUTPUTS`], up to the end of the first key.
fn with_first_key(text: &[u8]) -> &[u8] {
    // A scan for the quotation mark in place of the parser: this decides whether the line is worth being parsed.
    let mut is_escaped = false;
    let is_end = |byte: &u8| match (std::mem::take(&mut is_escaped), byte) {
        (true, _) => false,
        (false, b'\\') => {
            is_escaped = true;
            false
        }
        (false, byte) => *byte == b'"',
    };
    let begin = OUTPUTS.len() + 1;
    let end = text.get(begin..).and_then(|rest| rest.iter().position(is_end));
    end.map_or(text, |end| &text[..begin + end + 1])
}

/// The logs of a workspace.
#[derive(Debug)]
pub struct EventLogs {
    pub(super) directory: LogDirectory,
    workspace: Workspace,
}

impl EventLogs {
    /// The logs in a store, of calls with these repositories.
    ///
    /// # Errors
    /// Nothing can be kept there.
    pub fn of(store: &Store, repositories: &RepoConfig) -> taut_store::Result<EventLogs> {
        let mut workspace = [0; 16];
        workspace.copy_from_slice(&EventLogs::mark(repositories).as_bytes()[..16]);
        Ok(EventLogs { directory: LogDirectory::of(store)?, workspace })
    }

    /// What the names of the logs of these repositories have in common, and no others.
    pub fn mark(repositories: &RepoConfig) -> String {
        let mut digits = Id::of(repositories.identity()).to_hex();
        digits.truncate(16);
        digits
    }

    /// The logs of calls with work to do, latest first.
    pub(super) fn work(&self) -> impl Iterator<Item = Name> {
        let workspace = self.workspace;
        let names = self.directory.names().into_iter();
        names.filter(move |name| name.kind == Kind::Work && name.workspace == workspace)
    }

    /// Whether there is any, be it one that can be read or not.
    pub(crate) fn has_any(&self) -> bool {
        self.work().next().is_some()
    }

    /// The calls with work to do whose logs can be read, latest first: a damaged log does not hide the one before it.
    /// Each is read when it is asked for, since logs are large.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        let names: Vec<Name> = self.work().take(MAX_EARLIER_LOGS).collect();
        (0..names.len()).filter_map(move |at| {
            let Parsed(mut record) = parse(&self.directory.read(&names[at], MAX_READ_BYTES)?)?;
            // Its first line suffices: the rest of that log may be damaged.
            let before =
                names[at + 1..].iter().find_map(|name| self.call(name)).map(|call| call.configuration);
            record.before = before.filter(|before| *before != record.configuration);
            Some(record)
        })
    }

    /// Names the up-to-date actions of a call by what the logs of earlier calls have of them.
    pub(crate) fn name_up_to_date(&self, record: &mut Record) {
        let mut known: HashMap<Id, Logged> = HashMap::new();
        let mut names = self.work().take(MAX_EARLIER_LOGS);
        // Latest first: there most of them are named, and no more logs are read than needed.
        while !record.name_up_to_date(&known)
            && let Some(name) = names.next()
        {
            let parsed = self.directory.read(&name, MAX_READ_BYTES).and_then(|bytes| parse(&bytes));
            let named = parsed.into_iter().flat_map(|Parsed(record)| record.named);
            known.extend(named.filter(|(_, logged)| logged.origin.is_some()));
        }
    }

    /// The latest call of those before the last one with work to do that has an action whose id begins like this.
    pub(crate) fn earlier_with_action(&self, prefix: &str) -> Option<Record> {
        // One log after the other: they are large, and the first few will do.
        let mut earlier = self.work().skip(1).take(MAX_EARLIER_LOGS);
        earlier.find_map(|name| {
            let Parsed(record) = parse(&self.directory.read(&name, MAX_READ_BYTES)?)?;
            record.named.keys().any(|id| id.to_hex().starts_with(prefix)).then_some(record)
        })
    }

    /// Earlier runs of actions with these outputs, latest first, by outputs. Of calls that began before the time
    /// `began`, in all checkouts that use the build root.
    pub(crate) fn runs_before(
        &self,
        began: u64,
        outs: &HashSet<&[Str]>,
    ) -> HashMap<Vec<Str>, Vec<EarlierRun>> {
        // A line has its outputs by path: by the first one it is known whether it has to be parsed.
        let key = |path: &Str| {
            let mut key = String::from(OUTPUTS);
            taut_value::escape_into(path, &mut key);
            key.into_bytes()
        };
        let firsts: HashSet<Vec<u8>> = outs.iter().filter_map(|outs| Some(key(outs.first()?))).collect();
        let is_wanted = |line: &[u8]| {
            let line = std::str::from_utf8(line).unwrap_or_default();
            line.find(OUTPUTS).is_some_and(|at| firsts.contains(with_first_key(&line.as_bytes()[at..])))
        };
        let (mut left, mut runs) = (MAX_COMPARED_BYTES, HashMap::<Vec<Str>, Vec<EarlierRun>>::new());
        let names = self.directory.names().into_iter().filter(|name| name.micros < began);
        for name in names.take(MAX_COMPARED_LOGS) {
            let Some(log) = self.directory.read(&name, left) else { continue };
            left = left.saturating_sub(log.len() as u64);
            let mut lines = log.split(|byte| *byte == b'\n');
            let call = lines.next().and_then(|line| Document::parse("log", line.to_vec()).ok());
            let Some(Call { when, command, targets, .. }) = call.and_then(|line| Call::of(line.root()))
            else {
                continue;
            };
            // Tested as bytes first: of many megabytes of lines few have these outputs, and parsing is what costs.
            for line in lines.filter(|line| line.starts_with(br#"{"event":"action","#) && is_wanted(line)) {
                let Ok(line) = Document::parse("log", line.to_vec()) else { continue };
                let logged = logged_of(line.root());
                // Without the digest of its message there is nothing that it could be compared by.
                if logged.inputs.is_none() || !outs.contains(&logged.outs[..]) {
                    continue;
                }
                let is_of_workspace = name.workspace == self.workspace;
                let (command, targets) = (command.clone(), targets.clone());
                let run = EarlierRun { when, command, targets, is_of_workspace, logged };
                runs.entry(run.logged.outs.clone()).or_default().push(run);
            }
            if left == 0 {
                break;
            }
        }
        runs
    }

    /// The call that a log is of.
    fn call(&self, name: &Name) -> Option<Call> {
        let head = self.directory.read(name, MAX_HEAD_BYTES)?;
        let line = head.split(|byte| *byte == b'\n').next()?;
        Call::of(Document::parse("log", line.to_vec()).ok()?.root())
    }

    /// The last call since then that started an action and has not ended: it was killed, or still runs.
    pub(crate) fn unfinished(&self) -> Option<Call> {
        let names = self.directory.names().into_iter().filter(|name| name.workspace == self.workspace);
        // Only those after the latest call with work, which is the one that `explain` is about.
        let mut later = names.take_while(|name| name.kind == Kind::Other);
        later.find_map(|name| {
            let bytes = self.directory.read(&name, MAX_READ_BYTES)?;
            let mut lines = bytes.split(|byte| *byte == b'\n');
            let call = Call::of(Document::parse("log", lines.next()?.to_vec()).ok()?.root())?;
            let (mut has_started, mut has_ended) = (false, false);
            for line in lines {
                // A line begins with the kind of its event (`Line::begin`), so none has to be parsed.
                has_started |= line.starts_with(br#"{"event":"action_started""#);
                has_ended |= line.starts_with(br#"{"event":"summary""#);
            }
            (has_started && !has_ended).then_some(call)
        })
    }

    /// What the last calls with work to do were for, latest first, each once: the targets, and their configuration.
    pub fn requests(&self) -> impl Iterator<Item = (Targets, Map)> {
        let mut seen = Vec::new();
        let calls = self.work().take(MAX_EARLIER_LOGS).filter_map(|name| self.call(&name));
        calls.filter_map(move |call| {
            let request = (call.targets, call.configuration);
            let is_new = !seen.contains(&request);
            seen.push(request.clone());
            is_new.then_some(request)
        })
    }

    /// Marks the present moment, for [`EventLogs::excess`].
    pub fn now(&self) -> LogNames {
        LogNames(self.directory.names().iter().map(ToString::to_string).collect())
    }

    /// Whether a call since then did something that a repetition had no need to do, and what: everything but what runs
    /// each time, and what follows from that. The logs since then are removed.
    pub fn excess(&self, since: &LogNames) -> Option<String> {
        let mut excess = None;
        for name in self.directory.names() {
            if name.workspace != self.workspace || since.0.contains(&name.to_string()) {
                continue;
            }
            // The others did nothing that could be too much, but their logs are removed, too.
            if name.kind == Kind::Work {
                let record = self.directory.read(&name, MAX_READ_BYTES).and_then(|bytes| parse(&bytes));
                excess = excess.or(record.and_then(|Parsed(record)| record.excess()));
            }
            self.directory.remove(&name);
        }
        excess
    }
}

/// The logs that were there at some time.
pub struct LogNames(HashSet<String>);

/// A log that was read.
#[derive(Debug, PartialEq)]
pub struct Parsed(pub(crate) Record);

impl Parsed {
    /// How many tasks it has the reasons of, how many actions the ends, and how many lines were left out.
    pub fn counts(&self) -> (usize, usize, u64) {
        (self.0.done.len(), self.0.actions.len(), self.0.left_out)
    }
}

/// The call that a log is of.
pub(crate) struct Call {
    pub(crate) when: u64,
    pub(crate) began: u64,
    pub(crate) command: Str,
    pub(crate) targets: Targets,
    pub(crate) configuration: Map,
}

impl Call {
    /// From the first line.
    fn of(line: Node<'_>) -> Option<Call> {
        if line.get("event")?.as_str()? != "call" || line.get("schema")?.as_number()? != VERSION as f64 {
            return None;
        }
        let targets: Option<Vec<NamedTarget>> = line.get("targets")?.as_list()?.map(named).collect();
        let configuration = line.get("configuration")?;
        let Value::Map(configuration) = taut_expr::json_to_value(configuration) else { return None };
        let time = line.get("time")?.as_number()?;
        Some(Call {
            when: time as u64,
            // A double has times of this century to a quarter of a microsecond, so rounding restores the number that
            // was written.
            began: (time * 1e6).round() as u64,
            command: line.get("command")?.as_str()?.into(),
            targets: Targets::new(targets?)?,
            configuration,
        })
    }
}

/// `["@",repository,module,name]`, or with the word of a reference third.
fn named(node: Node<'_>) -> Option<NamedTarget> {
    let words: Vec<&str> = node.as_list()?.map(|word| word.as_str()).collect::<Option<_>>()?;
    match *words.as_slice() {
        ["@", repository, module, name] => Some(NamedTarget::new(repository, module, name)),
        ["@", repository, marker, module, name] => {
            let reference = ReferenceType::from_marker(marker)?;
            Some(NamedTarget::new(repository, module, name).with_reference(reference))
        }
        _ => None,
    }
}

/// Reads the log of a call that ended; `None` if that is not what the bytes are.
pub fn parse(bytes: &[u8]) -> Option<Parsed> {
    // What is behind the last line feed was not written to its end.
    let end = bytes.iter().rposition(|byte| *byte == b'\n')?;
    let mut lines = bytes[..end].split(|byte| *byte == b'\n');
    let call = Call::of(Document::parse("log", lines.next()?.to_vec()).ok()?.root())?;
    let mut reader = LogReader::new(call);
    for line in lines {
        // A damaged line costs what it has, and no more.
        let Ok(document) = Document::parse("log", line.to_vec()) else { continue };
        let line = document.root();
        if line.kind() == JsonKind::Object {
            reader.line(line);
        }
    }
    reader.finish()
}

/// What the lines of a log up to some place have.
struct LogReader {
    record: Record,
    /// Whether there was the last line of a call that ended.
    is_whole: bool,
    /// The actions whose cause has a line.
    have_reasons: HashSet<Id>,
    /// The actions that ended, each once.
    in_order: Vec<Id>,
}

impl LogReader {
    fn new(call: Call) -> LogReader {
        let Call { when, began, command, targets, configuration } = call;
        let (ended, before) = (BuildEnd::InExecution, None);
        let (analysed, roots, done, actions, named, left_out) = Default::default();
        let record = Record {
            when,
            began,
            command,
            targets,
            configuration,
            before,
            ended,
            analysed,
            roots,
            done,
            actions,
            named,
            left_out,
        };
        let (have_reasons, in_order) = Default::default();
        LogReader { record, is_whole: false, have_reasons, in_order }
    }

    /// Adds what a line has. Lines of events that are not known are passed over: a later version may write more.
    fn line(&mut self, line: Node<'_>) {
        let record = &mut self.record;
        match line.get("event").and_then(|event| event.as_str()) {
            Some("action") => self.action(line),
            Some("root") => {
                let text = |key| line.get(key).and_then(|text| text.as_str()).map(Str::from);
                if let (Some(what), Some(from)) = (text("what"), text("from")) {
                    let ran = line.get("ran").and_then(number).unwrap_or_default();
                    record.roots.push((what, from, ran));
                }
            }
            Some("unbuilt") => name_unbuilt(record, line),
            Some("new_targets") => {
                let fresh = new_targets_of(line).unwrap_or_default().into_iter();
                record.done.extend(fresh.map(|subject| RecordedTask { subject, why: RecordedReason::New }));
            }
            Some("cause") => self.cause(line),
            // Repeated steps have several of these lines: the call ended as the last of them did.
            Some("build_finished") => {
                let is_complete = line.get("complete").is_some_and(|is| is.source() == "true");
                record.ended = if is_complete { BuildEnd::Well } else { BuildEnd::InExecution };
            }
            Some("analysis_failed") => record.ended = BuildEnd::InAnalysis,
            // An unreadable number still says that something is missing.
            Some("cut") => record.left_out = line.get("lines").and_then(number).unwrap_or(1),
            Some("summary") => {
                record.analysed = line.get("analysed").and_then(number).unwrap_or_default();
                match line.get("status").and_then(|status| status.as_str()) {
                    Some("interrupted") => record.ended = BuildEnd::Interrupted,
                    // A test failed: all that was to be built was.
                    Some("build_failed") if record.ended == BuildEnd::Well => {
                        record.ended = BuildEnd::InExecution
                    }
                    _ => {}
                }
                self.is_whole = true;
            }
            _ => {}
        }
    }

    /// Adds the end of an action.
    fn action(&mut self, line: Node<'_>) {
        name_action(&mut self.record, line);
        let how = match line.get("end").and_then(|end| end.as_str()) {
            Some("ran") => ActionEnd::Ran,
            Some("cached") => ActionEnd::Cached,
            Some("unread") => ActionEnd::Unread,
            Some("failed") => ActionEnd::Failed,
            Some("unfinished") => ActionEnd::Unfinished,
            _ => return,
        };
        if let Some(id) = line.get("action").and_then(id_of)
            // If steps were repeated, the last end counts, at the place of the first.
            && self.record.actions.insert(id, how).is_none()
        {
            self.in_order.push(id);
        }
    }

    /// Adds the reason for which a task was executed.
    fn cause(&mut self, line: Node<'_>) {
        let Some((subject, why)) = cause_of(line) else { return };
        if let Subject::Action(id) = &subject {
            self.have_reasons.insert(*id);
            name_origin(&mut self.record, *id, line);
        }
        self.record.done.push(RecordedTask { subject, why });
    }

    /// The log, if it has its last line.
    fn finish(self) -> Option<Parsed> {
        let LogReader { mut record, is_whole, have_reasons, in_order } = self;
        // What ran without a line about its cause ran for the first time (`tasks.rs`).
        let is_fresh =
            |id: &Id| record.actions.get(id) == Some(&ActionEnd::Ran) && !have_reasons.contains(id);
        let fresh: Vec<Id> = in_order.into_iter().filter(is_fresh).collect();
        let fresh = fresh.into_iter().map(Subject::Action);
        record.done.extend(fresh.map(|subject| RecordedTask { subject, why: RecordedReason::New }));
        is_whole.then_some(Parsed(record))
    }
}

/// Records what a line has of an action, and the actions that it needs.
fn name_action(record: &mut Record, line: Node<'_>) {
    let Some(id) = line.get("action").and_then(id_of) else { return };
    name_origin(record, id, line);
    let logged = logged_of(line);
    // By their ids alone at first: `name_up_to_date` looks for the rest in earlier logs.
    for needed in &logged.needs {
        record.named.entry(*needed).or_default();
    }
    let known = record.named.entry(id).or_default();
    *known = Logged { origin: known.origin.take(), ..logged };
}

/// What the line of an action has of it, without its origin.
fn logged_of(line: Node<'_>) -> Logged {
    let outs = line.get("outputs").into_iter().flat_map(|outs| outs.entries());
    let text = |key| line.get(key).and_then(|text| text.as_str()).map(Str::from);
    Logged {
        origin: None,
        outs: outs.map(|(path, _)| path.into()).collect(),
        needs: ids_of(line, "needs"),
        missed: line.get("missed").and_then(missed_of),
        lacked: line.get("missed").and_then(|missed| missed.get("lacked")).map(lacked_of),
        executed_by: text("executed_by"),
        cache: text("cache"),
        is_from_server: text("from").is_some_and(|from| &*from == "remote"),
        inputs: text("inputs"),
    }
}

/// The messages of an action at a server that had no result for it.
fn missed_of(node: Node<'_>) -> Option<Missed> {
    let object = |key| node.get(key)?.as_str()?.parse::<ObjectInfo>().ok();
    Some(Missed {
        action: object("action")?,
        command: object("command")?,
        inputs: object("inputs")?,
        is_incomplete: node.get("incomplete").is_some(),
    })
}

/// What a server did not have of an action before.
fn lacked_of(node: Node<'_>) -> Lacked {
    let inputs = node.get("inputs").and_then(|inputs| inputs.as_list()).into_iter().flatten();
    Lacked {
        command: node.get("command").and_then(|is| is.as_bool()).unwrap_or(false),
        inputs: inputs.filter_map(|path| Some(path.as_str()?.to_string())).collect(),
        has_more: node.get("more").is_some(),
    }
}

/// Records the actions that needed what has no result.
fn name_unbuilt(record: &mut Record, line: Node<'_>) {
    for (place, id) in ids_of(line, "actions").into_iter().enumerate() {
        match place {
            0 => name_origin(record, id, line),
            _ => drop(record.named.entry(id).or_default()),
        }
    }
}

/// Records the origin that a line has of an action.
fn name_origin(record: &mut Record, id: Id, line: Node<'_>) {
    let logged: &mut Logged = record.named.entry(id).or_default();
    let origin = line.get("origin").and_then(|origin| origin.as_str()).and_then(|origin| {
        // From the end: a target's name may have the mark, too.
        let (target, number) = origin.rsplit_once('#')?;
        Some((target.into(), number.parse().ok()?))
    });
    logged.origin = origin.or(logged.origin.take());
}

fn ids_of(line: Node<'_>, key: &str) -> Vec<Id> {
    line.get(key).and_then(|ids| ids.as_list()).into_iter().flatten().filter_map(id_of).collect()
}

fn number(node: Node<'_>) -> Option<u64> {
    // Counts stay far below 2^53, up to which a double has each whole number.
    Some(node.as_number()? as u64)
}
