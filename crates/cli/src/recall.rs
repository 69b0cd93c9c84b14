//! What a call told, kept so that the same call can tell it again without doing anything again.
//!
//! A report holds the messages as they were, and references to what lies in the store: objects that were
//! built, and what actions said. It is used only if all of what it follows from is as it was, and if the
//! objects it promises are there.

use taut_digest::{Digest, ObjectInfo, ObjectType};
use taut_driver::{Built, Meaning, Request, RequestKey, Results, Runs, Shown, Traces};
use taut_store::Store;
use taut_syntax::json::{Document, Node};
use taut_value::{JsonWriter, Str};

use crate::{
    log::{Level, Log, Said},
    options,
};

/// What an action said when it ran.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Output {
    /// The action, as messages name it.
    pub(crate) name: String,
    /// Its command and environment, as messages show them.
    pub(crate) command: String,
    pub(crate) stdout: Option<Digest>,
    pub(crate) stderr: Option<Digest>,
}

/// What was told of analysis.
#[derive(Default, PartialEq, Debug)]
pub(crate) struct Told {
    /// The messages, in order.
    pub(crate) said: Vec<Said>,
    /// What the target is tainted with.
    pub(crate) tainted: Vec<String>,
    /// How many actions there are.
    pub(crate) actions: usize,
    /// Whether some of them run each time.
    pub(crate) runs_each_time: bool,
    /// What was asked for, if that is a text.
    pub(crate) text: String,
}

/// What a successful build came to.
#[derive(Default, PartialEq, Debug)]
pub(crate) struct Report {
    /// What actions said, in the order of their names.
    pub(crate) outputs: Vec<Output>,
    /// How many actions were processed.
    pub(crate) actions: usize,
    pub(crate) artifacts: Vec<(Str, ObjectInfo)>,
    pub(crate) runfiles: Vec<(Str, ObjectInfo)>,
}

/// Where runs of tasks are kept. `meaning`: what tasks take for granted, besides the repositories.
pub(crate) fn runs(
    request: &Request,
    analysis: &options::Analysis,
    store: &Store,
    meaning: &Meaning,
) -> Runs {
    if analysis.no_trace {
        return Runs::none();
    }
    let limit = analysis.expression_log_limit;
    Runs::of(store, &meaning.clone().with_log_limit(limit), request)
}

/// Where the reports of a request are, and under which name. `meaning`: what the report depends on, besides
/// the request and what its files say.
pub(crate) fn place(
    request: &Request,
    analysis: &options::Analysis,
    store: &Store,
    log: &Log,
    meaning: &Meaning,
) -> Option<(Traces, RequestKey)> {
    if analysis.no_trace
        || analysis.request_action_input.is_some()
        || analysis.profile.is_some()
        || log.is_collecting()
    {
        return None;
    }
    let limit = analysis.expression_log_limit;
    // Warnings name files relative to the working directory.
    let here = std::env::current_dir().unwrap_or_default();
    let meaning = meaning.clone().with_log_limit(limit);
    let key = RequestKey::new(&meaning, request, Shown { color: log.color(), here: &here })?;
    Some((Traces::of(store), key))
}

/// Tells what went wrong with what outlives calls, in one line.
pub(crate) fn tell_trouble(trouble: Option<String>, log: &Log) {
    if let Some(text) = trouble {
        log.say(Level::Warn, text);
    }
}

impl Told {
    /// As bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = JsonWriter::compact();
        writer.object(|w| {
            w.key("said").list(|w| {
                for Said { level, name, text } in &self.said {
                    w.list(|w| {
                        w.integer(*level as i64).string(text);
                        if let Some(name) = name {
                            w.string(name);
                        }
                    });
                }
            });
            w.key("tainted").strings(&self.tainted);
            w.key("actions").integer(self.actions as i64);
            w.key("runs each time").integer(i64::from(self.runs_each_time));
            w.key("text").string(&self.text);
        });
        writer.finish().into_bytes()
    }

    /// From the bytes that [`Told::encode`] made.
    pub(crate) fn decode(bytes: Vec<u8>) -> Option<Told> {
        let document = Document::parse("told", bytes).ok()?;
        let root = document.root();
        let text = |node: Node<'_>| node.as_str().map(str::to_owned);
        let said = root.get("said")?.as_list()?.map(|said| {
            let level = Level::from_number(said.item(0)?.as_number()? as u64);
            let name = said.item(2).and_then(text);
            Some(Said { level, name, text: text(said.item(1)?)? })
        });
        Some(Told {
            said: said.collect::<Option<_>>()?,
            tainted: root.get("tainted")?.as_list()?.map(text).collect::<Option<_>>()?,
            actions: root.get("actions")?.as_number()? as usize,
            runs_each_time: root.get("runs each time")?.as_number()? != 0.0,
            text: text(root.get("text")?)?,
        })
    }
}

impl Report {
    /// The report's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let digest = |w: &mut JsonWriter, digest: &Option<Digest>| {
            let info = digest.map(|digest| ObjectInfo { digest, object_type: ObjectType::File });
            w.string(info.map(|info| info.to_string()).unwrap_or_default());
        };
        let objects = |w: &mut JsonWriter, objects: &[(Str, ObjectInfo)]| {
            w.list(|w| {
                for (path, info) in objects {
                    w.string(path.as_str()).string(info.to_string());
                }
            });
        };
        let mut writer = JsonWriter::compact();
        writer.object(|w| {
            w.key("outputs").list(|w| {
                for Output { name, command, stdout, stderr } in &self.outputs {
                    w.list(|w| {
                        w.string(name).string(command);
                        digest(w, stdout);
                        digest(w, stderr);
                    });
                }
            });
            w.key("actions").integer(self.actions as i64);
            objects(w.key("artifacts"), &self.artifacts);
            objects(w.key("runfiles"), &self.runfiles);
        });
        writer.finish().into_bytes()
    }

    /// The report with these bytes.
    pub(crate) fn decode(bytes: Vec<u8>) -> Option<Report> {
        let document = Document::parse("report", bytes).ok()?;
        let root = document.root();
        let text = |node: Node<'_>| node.as_str().map(str::to_owned);
        let info = |node: Node<'_>| node.as_str()?.parse::<ObjectInfo>().ok();
        let digest = |node: Node<'_>| match node.as_str()? {
            "" => Some(None),
            _ => Some(Some(info(node)?.digest)),
        };
        let objects = |field: &str| -> Option<Vec<(Str, ObjectInfo)>> {
            let items: Vec<Node<'_>> = root.get(field)?.as_list()?.collect();
            items.chunks(2).map(|pair| Some((pair.first()?.as_str()?.into(), info(*pair.get(1)?)?))).collect()
        };
        let outputs = root.get("outputs")?.as_list()?.map(|output| {
            Some(Output {
                name: text(output.item(0)?)?,
                command: text(output.item(1)?)?,
                stdout: digest(output.item(2)?)?,
                stderr: digest(output.item(3)?)?,
            })
        });
        Some(Report {
            outputs: outputs.collect::<Option<_>>()?,
            actions: root.get("actions")?.as_number()? as usize,
            artifacts: objects("artifacts")?,
            runfiles: objects("runfiles")?,
        })
    }

    /// Whether the store has everything that the report promises.
    pub(crate) fn is_backed_by(&self, store: &Store) -> bool {
        let said = self.outputs.iter().flat_map(|output| [output.stdout, output.stderr]).flatten();
        let said = said.map(|digest| ObjectInfo { digest, object_type: ObjectType::File });
        let promised = self.artifacts.iter().chain(&self.runfiles).map(|(_, info)| *info);
        said.chain(promised)
            .all(|info| store.contains(&info.digest.hash, info.object_type).is_ok_and(|there| there))
    }

    /// What was built.
    pub(crate) fn results(&self) -> Results {
        let sound = |objects: &[(Str, ObjectInfo)]| {
            let built =
                |(path, info): &(Str, ObjectInfo)| (path.clone(), Built { info: *info, failed: false });
            objects.iter().map(built).collect()
        };
        Results { artifacts: sound(&self.artifacts), runfiles: sound(&self.runfiles) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_as_bytes() {
        let info: ObjectInfo = "[4e3dffe834ac70600a7cb71fbc1f6a694c9d041f:12:f]".parse().unwrap();
        let told = Told {
            said: vec![
                Said { level: Level::Warn, name: None, text: "a\n\"b\"\u{1b}[0m".into() },
                Said { level: Level::Info, name: Some("n".into()), text: String::new() },
            ],
            tainted: vec!["test".into()],
            actions: 7,
            runs_each_time: true,
            text: "a\n \u{0}b".into(),
        };
        assert_eq!(Told::decode(told.encode()), Some(told));
        assert_eq!(Told::decode(b"{}".to_vec()), None);
        let report = Report {
            outputs: vec![Output {
                name: "action:1".into(),
                command: "[\"sh\"] in environment {}".into(),
                stdout: None,
                stderr: Some(info.digest),
            }],
            actions: 3,
            artifacts: vec![("a/b".into(), info), ("c".into(), info)],
            runfiles: Vec::new(),
        };
        assert_eq!(Report::decode(report.encode()), Some(report));
        assert_eq!(Report::decode(b"{}".to_vec()), None);
        assert_eq!(Report::decode(b"".to_vec()), None);
    }
}
