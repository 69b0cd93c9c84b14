//! Workspaces with repositories that are trees of one git repository.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use taut_testkit::{GitRepository, Tool, ToolResult, Workspace};

pub(crate) fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

/// A rule for targets of every kind of value: an action that concatenates its inputs, a tree, results, and a graph of
/// nodes that shares its parts.
pub(crate) const RULES: &str = r##"
{ "r":
  { "target_fields": ["deps"]
  , "string_fields": ["name"]
  , "config_vars": ["A", "B"]
  , "expression":
    { "type": "let*"
    , "bindings":
      [ ["name", {"type": "join", "$1": {"type": "FIELD", "name": "name"}}]
      , [ "files"
        , { "type": "map_union"
          , "$1":
            { "type": "foreach"
            , "var": "d"
            , "range": {"type": "FIELD", "name": "deps"}
            , "body": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "d"}}
            }
          }
        ]
      , [ "below"
        , { "type": "++"
          , "$1":
            { "type": "foreach"
            , "var": "d"
            , "range": {"type": "FIELD", "name": "deps"}
            , "body": {"type": "DEP_PROVIDES", "dep": {"type": "var", "name": "d"}, "provider": "node", "default": []}
            }
          }
        ]
      , [ "act"
        , { "type": "ACTION"
          , "outs": [{"type": "join", "$1": ["o-", {"type": "var", "name": "name"}]}]
          , "inputs": {"type": "var", "name": "files"}
          , "env": {"type": "singleton_map", "key": "PATH", "value": "/bin:/usr/bin"}
          , "cmd":
            [ "sh"
            , "-c"
            , { "type": "join"
              , "$1":
                [ "LC_ALL=C; export LC_ALL; cat * /dev/null >new 2>/dev/null; echo 'now "
                , {"type": "var", "name": "name"}
                , {"type": "json_encode", "$1": {"type": "var", "name": "A"}}
                , "' >>new; rm -f 'o-"
                , {"type": "var", "name": "name"}
                , "'; mv new 'o-"
                , {"type": "var", "name": "name"}
                , "'"
                ]
              }
            ]
          }
        ]
      , ["tree", {"type": "singleton_map", "key": "t", "value": {"type": "TREE", "$1": {"type": "var", "name": "act"}}}]
      , ["blob", {"type": "singleton_map", "key": "blob", "value": {"type": "BLOB", "data": {"type": "var", "name": "name"}}}]
      , [ "result"
        , { "type": "RESULT"
          , "artifacts": {"type": "var", "name": "act"}
          , "runfiles": {"type": "map_union", "$1": [{"type": "var", "name": "tree"}, {"type": "var", "name": "blob"}]}
          , "provides": {"type": "env", "vars": ["below", "A"]}
          }
        ]
      , ["leaf", {"type": "VALUE_NODE", "$1": {"type": "var", "name": "result"}}]
      , [ "inner"
        , { "type": "ABSTRACT_NODE"
          , "node_type": "n"
          , "string_fields": {"type": "singleton_map", "key": "B", "value": [{"type": "json_encode", "$1": {"type": "var", "name": "B"}}]}
          , "target_fields":
            { "type": "singleton_map"
            , "key": "deps"
            , "value": {"type": "++", "$1": [{"type": "var", "name": "below"}, [{"type": "var", "name": "leaf"}], {"type": "var", "name": "below"}]}
            }
          }
        ]
      , ["node", [{"type": "var", "name": "inner"}]]
      , [ "data"
        , [ {"type": "var", "name": "A"}, {"type": "var", "name": "B"}, 1, 1.25, -0.0, true, null, "ä\"\n\u0001", [], {"type": "empty_map"}
          , {"type": "var", "name": "act"}
          , {"type": "'", "$1": {"type": "KNOWN", "data": {"id": "4b825dc642cb6eb9a060e54bf8d69288fbee4904"}}}
          ]
        ]
      ]
    , "body":
      { "type": "RESULT"
      , "artifacts": {"type": "var", "name": "act"}
      , "runfiles": {"type": "var", "name": "tree"}
      , "provides": {"type": "env", "vars": ["data", "node", "act", "result", "name"]}
      }
    }
  }
}
"##;

/// A workspace, the directory of the main repository, beside a git repository.
pub(crate) struct Project {
    pub(crate) workspace: Workspace,
    pub(crate) git: GitRepository,
}

impl Project {
    pub(crate) fn new() -> Project {
        let workspace = Workspace::new();
        let git = GitRepository::new(workspace.beside("repository.git"));
        Project { workspace, git }
    }

    /// The tree of some files by path, with the rule above in each directory that has targets.
    pub(crate) fn tree(&self, files: &[(&str, &str)]) -> String {
        let mut directories: BTreeMap<&str, Vec<(String, String)>> = BTreeMap::new();
        for (path, content) in files {
            let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
            let entries = directories.entry(above).or_default();
            entries.push((name.to_owned(), self.git.blob(content)));
            if name == "TARGETS" {
                entries.push(("RULES".to_owned(), self.git.blob(RULES)));
            }
        }
        let below: Vec<(String, String)> = (directories.iter())
            .filter(|(above, _)| !above.is_empty())
            .map(|(above, entries)| ((*above).to_owned(), self.directory(entries, &[])))
            .collect();
        self.directory(directories.get("").map_or(&[], |entries| entries), &below)
    }

    fn directory(&self, files: &[(String, String)], below: &[(String, String)]) -> String {
        let files = files.iter().map(|(name, id)| ("100644", name.as_bytes(), id.as_str()));
        let below = below.iter().map(|(name, id)| ("40000", name.as_bytes(), id.as_str()));
        self.git.tree(&files.chain(below).collect::<Vec<_>>())
    }

    /// A root that is a tree of the git repository.
    pub(crate) fn root(&self, tree: &str) -> Value {
        json!(["git tree", tree, self.git.path()])
    }

    /// Writes the configuration: the main repository, which is the workspace and bound to all others by their names,
    /// and these.
    pub(crate) fn configure(&self, repositories: &[(&str, Value)]) {
        let mut all: serde_json::Map<String, Value> =
            repositories.iter().map(|(name, repository)| ((*name).to_owned(), repository.clone())).collect();
        let bindings: BTreeMap<&str, &str> = repositories.iter().map(|(name, _)| (*name, *name)).collect();
        all.insert("main".into(), json!({"workspace_root": ["file", "."], "bindings": bindings}));
        self.workspace.file("repos.json", json!({"main": "main", "repositories": all}).to_string());
    }

    /// Calls a tool with the configuration.
    pub(crate) fn run(&self, tool: &Tool, words: &[&str]) -> ToolResult {
        let (command, rest) = words.split_first().unwrap();
        self.workspace.run(tool, [&[*command, "-C", "repos.json"], rest].concat())
    }

    /// Builds target `all` under the name `just`, with all that is reported of export targets.
    pub(crate) fn build(&self) -> ToolResult {
        self.run(&taut().called("just"), &["build", "--log-limit", "4", "--plain-log", "all"]).exits(0)
    }

    /// Does something without the cached build state, which is as it was afterwards.
    pub(crate) fn without_state<T>(&self, act: impl FnOnce() -> T) -> T {
        let (state, aside) = (self.workspace.build_root().join("taut"), self.workspace.beside("state"));
        fs::rename(&state, &aside).unwrap();
        let done = act();
        fs::remove_dir_all(&state).unwrap();
        fs::rename(&aside, &state).unwrap();
        done
    }

    /// A directory of the youngest generation, or another one.
    pub(crate) fn store(&self, generation: usize, kind: &str) -> PathBuf {
        let below = format!("protocol-dependent/generation-{generation}/git-sha1/{kind}");
        self.workspace.build_root().join(below)
    }

    /// The files of a kind of stored thing, by their names without directories of shards.
    pub(crate) fn stored(&self, kind: &str) -> BTreeMap<String, PathBuf> {
        self.stored_in(0, kind)
    }

    pub(crate) fn stored_in(&self, generation: usize, kind: &str) -> BTreeMap<String, PathBuf> {
        let mut found = BTreeMap::new();
        let top = self.store(generation, kind);
        files(&top, &mut |path| {
            let name = path.strip_prefix(&top).unwrap().to_str().unwrap().to_owned();
            // The name of an object is that of its directory and its own.
            let parts: Vec<&str> = name.split('/').collect();
            found.insert(parts[parts.len() - 2..].concat(), path.to_owned());
        });
        found
    }

    /// The object that an entry names.
    pub(crate) fn value_of(&self, entry: &Path) -> PathBuf {
        let text = fs::read_to_string(entry).unwrap();
        let hash = &text[1..41];
        self.store(0, "casf").join(&hash[..2]).join(&hash[2..])
    }
}

/// All files below a directory.
pub(crate) fn files(directory: &Path, found: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found(&path) }
    }
}

/// The line about how many export targets were found.
pub(crate) fn exports_found(ran: &ToolResult) -> Option<&str> {
    ran.stderr.lines().find_map(|line| line.split_once("Export targets found: ")).map(|(_, found)| found)
}

/// The lines about single export targets, without their order.
pub(crate) fn lines_of_exports(ran: &ToolResult) -> Vec<&str> {
    let mut lines: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("Export target ")).collect();
    lines.sort_unstable();
    lines
}
