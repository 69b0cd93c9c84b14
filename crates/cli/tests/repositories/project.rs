//! A project of several repositories, and the tool in it.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

/// A directory with the tool under its names, a home directory and a workspace.
pub(crate) struct Project {
    scratch: tempfile::TempDir,
}

/// What a call printed.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// # Panics
    /// The call failed.
    #[track_caller]
    pub(crate) fn success(self) -> Answer {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self
    }

    /// # Panics
    /// A text is not in standard error.
    #[track_caller]
    pub(crate) fn says(&self, texts: &[&str]) -> &Answer {
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is not in\n{}", self.stderr);
        }
        self
    }
}

impl Project {
    pub(crate) fn new() -> Project {
        let scratch = tempfile::Builder::new().prefix("taut-test-").tempdir().unwrap();
        let project = Project { scratch };
        for name in ["bin", "home", "work"] {
            fs::create_dir(project.path(name)).unwrap();
        }
        for name in ["taut", "just", "just-mr"] {
            symlink(env!("CARGO_BIN_EXE_taut"), project.path("bin").join(name)).unwrap();
        }
        project.file("ROOT", "");
        project
    }

    /// A path beside the workspace.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().canonicalize().unwrap().join(name)
    }

    /// The workspace.
    pub(crate) fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// Writes a file of the workspace.
    pub(crate) fn file(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.work().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Calls the tool in the workspace.
    pub(crate) fn taut<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) -> Answer {
        self.call("taut", &self.work(), words)
    }

    /// Calls the tool by a name in a directory.
    pub(crate) fn call<W: AsRef<OsStr>>(
        &self,
        name: &str,
        directory: &Path,
        words: impl IntoIterator<Item = W>,
    ) -> Answer {
        let mut command = Command::new(self.path("bin").join(name));
        command.args(words).current_dir(directory);
        self.run(command)
    }

    /// Runs a command for a shell in the workspace.
    #[track_caller]
    pub(crate) fn shell(&self, command: &str) -> Answer {
        let mut shell = Command::new("sh");
        shell.arg("-ec").arg(command).current_dir(self.work());
        self.run(shell).success()
    }

    pub(crate) fn run(&self, mut command: Command) -> Answer {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        command.env("PATH", path).env("HOME", self.path("home")).env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "a").env(format!("GIT_{role}_EMAIL"), "a@example.org");
        }
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(name);
        }
        let output = command.output().unwrap();
        Answer {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            // Texts are compared; under the name `just-mr` messages have colours in files, too.
            stderr: taut_testkit::without_colors(&String::from_utf8_lossy(&output.stderr)),
        }
    }
}

/// Whether git is installed.
pub(crate) fn has_git() -> bool {
    Command::new("git").arg("--version").output().is_ok()
}
