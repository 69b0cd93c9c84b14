//! The texts of reports, as the reference prints them: scripts look for these lines.
//!
//! Functions from data to text; the callers decide about level and destination.

use std::sync::Arc;

use taut_digest::ObjectInfo;
use taut_value::{ActionDescription, EntityName, JsonMode, JsonWriter, Map, Value};

/// An artifact that was built, as reports show it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Built {
    /// Logical path, or the path where it was installed.
    pub path: String,
    /// What was built.
    pub object: ObjectInfo,
    /// Whether it comes from an action that failed and was allowed to.
    pub failed: bool,
}

/// A target in a configuration, without variables that are null. Of a configuration of more than `limit` bytes
/// only so many levels are shown as fit; what is below them is `*`.
pub fn configured(name: &EntityName, configuration: &Map, limit: usize) -> String {
    // To a target, a variable that is null and one that is not set are the same.
    let set = configuration.iter().filter(|(_, value)| !matches!(value, Value::Null));
    let set = Value::Map(set.map(|(variable, value)| (variable.clone(), value.clone())).collect());
    format!("[{},{}]", name.to_json(), set.to_json_abbreviated(limit))
}

/// The line about what analysis found.
pub fn discovered(actions: usize, overlays: usize, trees: usize, blobs: usize) -> String {
    format!("Discovered {actions} actions, {overlays} tree overlays, {trees} trees, {blobs} blobs")
}

/// The line about how many actions were processed.
pub fn processed(actions: usize, cache_hits: usize) -> String {
    format!("Processed {actions} actions, {cache_hits} cache hits.")
}

/// The line about export targets and where their results come from; `None` without export targets. `served` is counted
/// only with a target-serving service.
pub fn export_targets(
    cached: usize,
    served: Option<usize>,
    uncached: usize,
    not_eligible: usize,
) -> Option<String> {
    if cached + served.unwrap_or(0) + uncached + not_eligible == 0 {
        return None;
    }
    let served = served.map(|served| format!("{served} served, ")).unwrap_or_default();
    Some(format!(
        "Export targets found: {cached} cached, {served}{uncached} uncached, {not_eligible} not eligible for caching"
    ))
}

/// The line about what the targets are tainted with.
pub fn tainted(strings: &[&str]) -> String {
    let mut writer = JsonWriter::compact();
    writer.strings(strings);
    format!("Target tainted {}.", writer.finish())
}

/// The list of artifacts: a heading, and a line for each artifact in the given order.
pub fn artifacts(heading: &str, built: &[Built], omitted_runfiles: usize) -> String {
    let mut text = heading.to_owned();
    for Built { path, object, failed } in built {
        text.push_str(&format!("\n  {path} {object}{}", if *failed { " FAILED" } else { "" }));
    }
    if omitted_runfiles > 0 {
        text.push_str(&format!("\n({omitted_runfiles} runfiles omitted.)"));
    }
    text
}

/// The result of a target or of the inputs of an action, as `analyse` shows it.
pub fn result_of(subject: &str, artifacts: &Map, provides: &Map, runfiles: &Map) -> String {
    let mut text = format!("Result of {subject}: {{");
    // The reference expands one level more of what is provided.
    let parts = [("artifacts", artifacts, 1), ("provides", provides, 2), ("runfiles", runfiles, 1)];
    for (place, (name, map, levels)) in parts.into_iter().enumerate() {
        text.push_str(if place == 0 { "\n  " } else { ",\n  " });
        text.push_str(&format!("\"{name}\": "));
        expand(&Value::Map(map.clone()), levels, 2, &mut text);
    }
    text.push_str("\n}");
    text
}

/// Appends a value: the outer `levels` levels with one entry a line, the rest compact. An expanded
/// container has its closing bracket on a line of its own even if it is empty.
fn expand(value: &Value, levels: usize, indent: usize, text: &mut String) {
    let entries: Vec<(Option<&str>, &Value)> = match value {
        Value::Map(map) if levels > 0 => map.iter().map(|(key, value)| (Some(key.as_str()), value)).collect(),
        Value::List(list) if levels > 0 => list.as_slice().iter().map(|value| (None, value)).collect(),
        _ => {
            text.push_str(&value.to_json_mode(JsonMode::All));
            return;
        }
    };
    let (open, close) = if matches!(value, Value::Map(_)) { ('{', '}') } else { ('[', ']') };
    text.push(open);
    for (place, (key, value)) in entries.into_iter().enumerate() {
        text.push_str(if place == 0 { "\n" } else { ",\n" });
        text.extend(std::iter::repeat_n(' ', indent + 2));
        if let Some(key) = key {
            taut_value::escape_into(key, text);
            text.push_str(": ");
        }
        expand(value, levels - 1, indent + 2, text);
    }
    text.push('\n');
    text.extend(std::iter::repeat_n(' ', indent));
    text.push(close);
}

/// The content of `--dump-actions`: a list of the actions as graph files have them, without origins, but
/// with the lists in them on one line each.
pub fn actions(actions: &[Arc<ActionDescription>]) -> String {
    let mut text = "[".to_owned();
    for (place, action) in actions.iter().enumerate() {
        let mut writer = JsonWriter::pretty(2);
        writer.object(|w| action.write_fields(w, |_| {}));
        text.push_str(if place == 0 { "\n  " } else { ",\n  " });
        // Text within strings has no line breaks of its own, so lines are the structure.
        let mut in_list = false;
        for (number, line) in writer.finish().lines().enumerate() {
            let ends_list = in_list && line.trim_start().starts_with(']');
            if in_list {
                text.push_str(line.trim_start());
            } else {
                text.push_str(if number == 0 { "" } else { "\n  " });
                text.push_str(line);
            }
            in_list = !ends_list && (in_list || line.ends_with('['));
        }
    }
    text + "\n]\n"
}

/// The content of `--dump-artifacts`: an object from paths to what was built (null if there is nothing),
/// ending in a line feed.
pub fn dump_artifacts(built: &[Built]) -> String {
    // As the reference's JSON library writes an object that nothing was put into.
    if built.is_empty() {
        return "null\n".to_owned();
    }
    let mut writer = JsonWriter::pretty(2);
    writer.object(|w| {
        for Built { path, object, .. } in built {
            self::object(w.key(path), object);
        }
    });
    writer.finish() + "\n"
}

/// An object as dumps have it.
pub fn object(w: &mut JsonWriter, object: &ObjectInfo) {
    w.object(|w| {
        // In alphabetical order, as the reference's JSON library writes keys.
        w.key("file_type").string(object.object_type.as_str());
        w.key("id").string(object.digest.hash.to_hex());
        w.key("size").integer(object.digest.size);
    });
}

/// The lines between which the outputs of an action are shown, below its id: one before standard output, one before
/// standard error. `command` is as [`in_environment`] has it.
pub fn heads_of_output(command: &str, stdout: bool, stderr: bool) -> (String, String) {
    match (stdout, stderr) {
        (false, false) => Default::default(),
        (true, false) => (format!("Stdout of command {command}\n"), String::new()),
        (false, true) => (String::new(), format!("Stderr of command {command}\n")),
        // With both streams there is one heading and two labels, otherwise the label is part of the heading.
        (true, true) => (format!("Output of command {command}\nStdout:\n"), "\nStderr:\n".to_owned()),
    }
}

/// The message that an action failed, with the targets that define it; `command` is as [`in_environment`] has it.
pub fn failed_command(command: &str, origins: &[String]) -> String {
    format!("Failed to execute command {command}{}", requested_by(origins))
}

/// The targets that requested something, one a line; nothing without targets.
pub fn requested_by(origins: &[String]) -> String {
    if origins.is_empty() {
        return String::new();
    }
    let lines: String = origins.iter().map(|origin| format!("\n - {origin}")).collect();
    format!("\nrequested by{lines}")
}

/// A command and its environment.
pub fn in_environment(command: &[impl AsRef<str>], environment: &Map) -> String {
    let mut words = JsonWriter::compact();
    words.strings(command);
    format!("{} in environment {}", words.finish(), Value::Map(environment.clone()).to_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All expected texts are the reference's (just 1.6.5).
    #[test]
    fn a_result_is_expanded_to_a_fixed_depth() {
        let json = r#"{"e":[],"k":{"a":{"b":[1,{"c":2}]},"e":{},"l":[]},"l":[1,[2,[3]],{"x":{"y":1}}],"m":{},"n":null,"s":"t"}"#;
        let document = taut_syntax::json::Document::parse("", json).unwrap();
        let provides = taut_driver::json_to_value(document.root());
        let file = "[c1b0730e0133447badcfd47fd144e254807b06e1:1:f]".parse::<ObjectInfo>().unwrap();
        let artifact = Value::artifact(taut_value::Artifact::Known(file));
        let artifacts = [("a/b", artifact)].into_iter().collect();
        let text = result_of("target T", &artifacts, provides.as_map().unwrap(), &Map::default());
        let expected = r#"Result of target T: {
  "artifacts": {
    "a/b": {"data":{"file_type":"f","id":"c1b0730e0133447badcfd47fd144e254807b06e1","size":1},"type":"KNOWN"}
  },
  "provides": {
    "e": [
    ],
    "k": {
      "a": {"b":[1.0,{"c":2.0}]},
      "e": {},
      "l": []
    },
    "l": [
      1.0,
      [2.0,[3.0]],
      {"x":{"y":1.0}}
    ],
    "m": {
    },
    "n": null,
    "s": "t"
  },
  "runfiles": {
  }
}"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn artifacts_are_listed_below_a_heading() {
        let object = "[4e3dffe834ac70600a7cb71fbc1f6a694c9d041f:12:f]".parse().unwrap();
        let built = [
            Built { path: "a".into(), object, failed: false },
            Built { path: "b".into(), object, failed: true },
        ];
        assert_eq!(
            artifacts("Artifacts built, logical paths are:", &built, 1),
            format!(
                "Artifacts built, logical paths are:\n  a {object}\n  b {object} FAILED\n(1 runfiles omitted.)"
            )
        );
        assert_eq!(
            dump_artifacts(&built[..1]),
            "{\n  \"a\": {\n    \"file_type\": \"f\",\n    \"id\": \"4e3dffe834ac70600a7cb71fbc1f6a694c9d041f\",\n    \"size\": 12\n  }\n}\n"
        );
    }

    #[test]
    fn what_an_action_prints_is_shown_with_its_command() {
        let command = ["sh", "-c", "echo a; echo b >&2; touch z\n"];
        let none = Map::default();
        let in_none = in_environment(&command, &none);
        let shown = "command [\"sh\",\"-c\",\"echo a; echo b >&2; touch z\\n\"] in environment {}";
        assert_eq!(in_none, shown["command ".len()..]);
        let heads = |stdout, stderr| heads_of_output(&in_none, stdout, stderr);
        assert_eq!(heads(true, true), (format!("Output of {shown}\nStdout:\n"), "\nStderr:\n".to_owned()));
        assert_eq!(heads(true, false), (format!("Stdout of {shown}\n"), String::new()));
        assert_eq!(heads(false, true), (String::new(), format!("Stderr of {shown}\n")));
        assert_eq!(
            failed_command(&in_none, &["[[\"@\",\"\",\"\",\"x\"],{}]#0".into()]),
            format!("Failed to execute {shown}\nrequested by\n - [[\"@\",\"\",\"\",\"x\"],{{}}]#0")
        );
    }

    #[test]
    fn export_targets_are_counted_only_if_there_are_any() {
        assert_eq!(export_targets(0, None, 0, 0), None);
        assert_eq!(
            export_targets(0, None, 0, 1).as_deref(),
            Some("Export targets found: 0 cached, 0 uncached, 1 not eligible for caching")
        );
        assert_eq!(
            export_targets(1, Some(2), 3, 4).as_deref(),
            Some("Export targets found: 1 cached, 2 served, 3 uncached, 4 not eligible for caching")
        );
    }
}
