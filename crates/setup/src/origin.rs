//! From places in the configuration of a set-up to places in the description: an error about a root is shown at the
//! source that a person wrote for it.

use taut_syntax::{JsonPath, Location, Node, json::PathStep};

use crate::{
    description::{Description, LAYERS},
    problem::place,
};

impl Description {
    /// The place in this description that determines a value of the configuration. That is the value that was taken
    /// over, or the field of the root's source; without such a field, the nearest value around it.
    pub fn written(&self, path: &JsonPath) -> Location {
        let root = self.document().root();
        let [PathStep::Key(top), rest @ ..] = path.steps() else { return self.file() };
        let [PathStep::Key(name), rest @ ..] = rest else {
            return root.get(top).map_or_else(|| self.file(), place);
        };
        let entry = root.get(top).and_then(|all| all.get(name));
        let Some(entry) = entry else { return self.file() };
        match rest {
            [] => place(entry),
            // `workspace_root` and the three layers: all that is not taken over as it is.
            [PathStep::Key(key), item @ ..] if key.ends_with("_root") => {
                // A layer is the root of the repository that it names.
                let named = LAYERS.contains(&&**key).then(|| entry.get(key)?.as_str()).flatten();
                let source = self.resolve(named.unwrap_or(name)).ok().map(|(_, source)| source);
                source.map_or_else(|| place(entry), |source| place(field(source, item)))
            }
            taken_over => place(deepest(entry, taken_over)),
        }
    }

    fn file(&self) -> Location {
        Location::file(self.document().label().clone())
    }
}

/// The field of a source that determines an item of its root.
fn field<'d>(source: Node<'d>, item: &[PathStep]) -> Node<'d> {
    let [PathStep::Index(index), below @ ..] = item else { return source };
    let type_name = source.get("type").and_then(Node::as_str).unwrap_or_default();
    let key = match (type_name, index) {
        // Item 0 of a root is its scheme, which the type determines; the others are positions in
        // `just-repository-config(5)`.
        (_, 0) => "type",
        ("file", _) => "path",
        ("git", 1) => "commit",
        ("git", _) => "repository",
        ("git tree", 1) => "id",
        ("git tree", _) => "cmd",
        ("archive" | "zip" | "foreign file", 1) => "content",
        ("archive" | "zip" | "foreign file", _) => "fetch",
        ("distdir", _) => "repositories",
        ("computed" | "tree structure", 1) => "repo",
        ("computed", 2 | 3) => "target",
        ("computed", 4) => "config",
        _ => "pragma",
    };
    source.get(key).map_or(source, |node| deepest(node, below))
}

/// The value at a path, or the innermost one on the way that exists.
fn deepest<'d>(mut node: Node<'d>, path: &[PathStep]) -> Node<'d> {
    for step in path {
        let next = match step {
            PathStep::Key(key) => node.get(key),
            PathStep::Index(index) => node.item(*index as usize),
        };
        let Some(next) = next else { break };
        node = next;
    }
    node
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use taut_syntax::Dialect;

    use super::*;

    const TEXT: &str = r#"{ "main": "m", "repositories":
{ "m": {"repository": {"type": "file", "path": "d"}, "bindings": {"l": "lib"}, "rule_root": "rules"}
, "lib": {"repository": "same"}
, "same": {"repository": {"type": "git", "commit": "c", "repository": "r"}}
, "rules": {"repository": {"type": "computed", "repo": "lib", "target": ["", "t"], "config": {"V": [1]}}}
}}"#;

    #[test]
    fn places_of_the_configuration_are_those_of_what_determines_them() {
        let document = Description::parse(Dialect::Strict, Path::new("repos.json"), TEXT.into()).unwrap();
        let description =
            Description::of(Dialect::Strict, document, Path::new("repos.json"), Path::new("/"), None)
                .unwrap();
        let key = |path: &[&str]| path.iter().fold(JsonPath::root(), |path, key| path.key(key));
        let repository = |path: &[&str]| key(&[&["repositories"], path].concat());
        let source = |name: &str, field: &[&str]| repository(&[&[name, "repository"], field].concat());
        for (generated, written) in [
            (key(&["main"]), Some(key(&["main"]))),
            (repository(&["m"]), Some(repository(&["m"]))),
            (repository(&["m", "bindings", "l"]), Some(repository(&["m", "bindings", "l"]))),
            (repository(&["m", "bindings", "no"]), Some(repository(&["m", "bindings"]))),
            (repository(&["m", "workspace_root"]), Some(source("m", &[]))),
            (repository(&["m", "workspace_root"]).index(1), Some(source("m", &["path"]))),
            // Named by another repository, and as a layer.
            (repository(&["lib", "workspace_root"]).index(1), Some(source("same", &["commit"]))),
            (repository(&["lib", "workspace_root"]).index(2), Some(source("same", &["repository"]))),
            (repository(&["m", "rule_root"]).index(1), Some(source("rules", &["repo"]))),
            (repository(&["m", "rule_root"]).index(3), Some(source("rules", &["target"]))),
            (
                repository(&["m", "rule_root"]).index(4).key("V").index(0),
                Some(source("rules", &["config", "V"]).index(0)),
            ),
            (repository(&["std"]), None),
            (JsonPath::root(), None),
        ] {
            let expected = written
                .map_or_else(|| Location::file("repos.json"), |path| Location::value("repos.json", path));
            assert_eq!(description.written(&generated), expected, "{generated}");
        }
    }
}
