//! A throw-away workspace with a build root of its own.
//!
//! Every fixture has its own build root: tests run in parallel, and none may depend on results that another one cached.

use crate::{StartedTool, Tool, ToolResult};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A directory with a `ROOT` marker and, beside it, a build root; both vanish on drop.
#[derive(Debug)]
pub struct Workspace {
    dir: tempfile::TempDir,
}

impl Workspace {
    /// An empty workspace.
    ///
    /// # Panics
    ///
    /// This and all other methods panic if the file system refuses; a test cannot go on.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it creates a directory")]
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("taut-test-").tempdir().expect("a temporary directory");
        let new = Self { dir };
        // The marker by which a tool finds the root of a workspace.
        new.file("ROOT", "");
        new
    }

    /// The workspace root.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("src")
    }

    /// The local build root that [`run`](Self::run) passes.
    #[must_use]
    pub fn build_root(&self) -> PathBuf {
        self.dir.path().join("build-root")
    }

    /// A path beside workspace and build root, for installations and dumps.
    #[must_use]
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of the workspace, with its directories.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.place(path);
        fs::write(&path, content).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        self
    }

    /// Writes a file of the workspace that can be executed.
    pub fn executable(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        self.file(path, content);
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.root().join(path), mode).expect("permissions");
        self
    }

    /// Creates a symbolic link in the workspace.
    pub fn link(&self, path: &str, target: &str) -> &Self {
        symlink(target, self.place(path)).expect("a symbolic link");
        self
    }

    /// Removes a file of the workspace.
    pub fn remove(&self, path: &str) -> &Self {
        fs::remove_file(self.root().join(path)).expect("a file to remove");
        self
    }

    /// Calls `tool` in the workspace root. `args` begin with the subcommand, after which
    /// the build root is inserted (where the subcommand takes one).
    pub fn run<S: AsRef<OsStr>>(&self, tool: &Tool, args: impl IntoIterator<Item = S>) -> ToolResult {
        tool.run(&self.root(), self.args(args))
    }

    /// As [`run`](Self::run), but started without waiting for its end.
    pub fn start<S: AsRef<OsStr>>(&self, tool: &Tool, args: impl IntoIterator<Item = S>) -> StartedTool {
        tool.command(&self.root()).args(self.args(args)).spawn().expect("the tool starts").into()
    }

    fn args<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Vec<std::ffi::OsString> {
        let mut words: Vec<_> = args.into_iter().map(|s| s.as_ref().to_owned()).collect();
        // `do` is followed by the subcommand.
        let at = 1 + usize::from(words.first().is_some_and(|word| word == "do"));
        let takes_build_root = |word: &OsStr| {
            !["complete-words", "init", "man", "version", "--version"].iter().any(|other| word == *other)
        };
        if words.get(at - 1).is_some_and(|word| takes_build_root(word)) {
            words.insert(at, self.build_root().into());
            words.insert(at, "--local-build-root".into());
        }
        words
    }

    /// The lines of the event log of the last call of taut that kept one.
    #[must_use]
    pub fn last_log(&self) -> Vec<serde_json::Value> {
        let epochs = fs::read_dir(self.build_root().join("taut")).expect("a directory of taut");
        let logs =
            epochs.map(|epoch| epoch.expect("an entry").path().join("events")).filter(|logs| logs.is_dir());
        let logs = logs.flat_map(|logs| fs::read_dir(logs).expect("a directory of logs"));
        // Their names begin with the time.
        let last = logs.map(|log| log.expect("an entry").path()).max().expect("a log");
        let text = fs::read_to_string(last).expect("a log as text");
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The events of that log with a name.
    #[must_use]
    pub fn events(&self, name: &str) -> Vec<serde_json::Value> {
        self.last_log().into_iter().filter(|line| line["event"] == name).collect()
    }

    /// How many actions the build of that log ran.
    #[must_use]
    pub fn actions_run(&self) -> u64 {
        let finished = self.events("build_finished");
        finished[0]["ran"].as_u64().expect("a build that has ended")
    }

    /// Installs a target beside the workspace, with more words on the command line.
    #[track_caller]
    pub fn install<S: AsRef<OsStr>>(
        &self,
        tool: &Tool,
        words: impl IntoIterator<Item = S>,
        target: &str,
    ) -> Installed {
        let to = self.beside("installed");
        let first = [OsStr::new("install"), OsStr::new("-o"), to.as_os_str()].map(OsStr::to_owned);
        let words = words.into_iter().map(|word| word.as_ref().to_owned());
        let call = first.into_iter().chain(words).chain([OsStr::new(target).to_owned()]);
        let ran = self.run(tool, call);
        // Nothing may be there if the call failed.
        Installed { ran, files: listing(&to).unwrap_or_default() }
    }

    fn place(&self, path: &str) -> PathBuf {
        let path = self.root().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("a directory");
        }
        path
    }
}

/// What an installation did.
#[derive(Debug)]
pub struct Installed {
    /// The call, whether or not it succeeded.
    pub ran: ToolResult,
    /// What is installed, as a [`listing`]; nothing if nothing is.
    pub files: BTreeMap<String, String>,
}

impl Installed {
    /// Checks that the call succeeded.
    #[track_caller]
    #[must_use]
    pub fn succeeded(self) -> Self {
        Self { ran: self.ran.exits(0), ..self }
    }
}

/// The content of `dir`, as text to compare: for each entry its relative path and `file`, `exec` or `link` with the
/// content, or `dir` for a directory.
///
/// Files are shown with their permission bits, since installation fixes them.
///
/// # Errors
///
/// If something below `dir` cannot be read.
pub fn listing(dir: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            let meta = fs::symlink_metadata(&path)?;
            let name = path.strip_prefix(dir).unwrap_or(&path);
            let name = name.to_string_lossy().into_owned();
            let text = if meta.is_dir() {
                open.push(path);
                "dir".to_owned()
            } else if meta.is_symlink() {
                format!("link {}", fs::read_link(&path)?.display())
            } else {
                let content = fs::read(&path)?;
                // With the bits for set-user-id and the like, which nothing installed may have.
                let mode = meta.permissions().mode() & 0o7777;
                format!("file {mode:o} {}", String::from_utf8_lossy(&content))
            };
            found.insert(name, text);
        }
    }
    Ok(found)
}

/// The paths of the files below a directory, links included.
///
/// # Panics
/// A directory cannot be read.
pub fn files_below(dir: &Path) -> BTreeSet<PathBuf> {
    let (mut found, mut open) = (BTreeSet::new(), vec![dir.to_owned()]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("a directory") {
            let entry = entry.expect("an entry");
            let is_directory = entry.file_type().expect("its type").is_dir();
            if is_directory {
                open.push(entry.path());
            } else {
                found.insert(entry.path());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Workspace, listing};
    use crate::Tool;

    #[test]
    fn a_listing_shows_kind_permissions_and_content() {
        let ws = Workspace::new();
        ws.file("a", "text").executable("d/x", "#!/bin/sh\n").link("d/l", "../a");
        let found = listing(&ws.root()).unwrap();
        let found: Vec<_> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            found,
            [
                ("ROOT", "file 644 "),
                ("a", "file 644 text"),
                ("d", "dir"),
                ("d/l", "link ../a"),
                ("d/x", "file 755 #!/bin/sh\n"),
            ]
        );
    }

    #[test]
    fn the_build_root_follows_the_subcommand() {
        let ws = Workspace::new();
        let ran = ws.run(&Tool::at("/bin/echo"), ["build", "-J", "1"]);
        let expected = format!("build --local-build-root {} -J 1\n", ws.build_root().display());
        assert_eq!(ran.stdout, expected);
        assert_eq!(ws.run(&Tool::at("/bin/echo"), ["version"]).stdout, "version\n");
        assert_eq!(ws.run(&Tool::at("/bin/echo"), ["init", "new"]).stdout, "init new\n");
        let expected = format!("do build --local-build-root {} t\n", ws.build_root().display());
        assert_eq!(ws.run(&Tool::at("/bin/echo"), ["do", "build", "t"]).stdout, expected);
    }
}
