//! A table of attacks on file names, and the decoy directory that they aim at.
//!
//! All code that writes, reads or removes files is tested against every row, with the attack made before it, during it,
//! or by an action. The target of an attack is always a decoy in a temporary directory, which is compared afterwards:
//! no test aims at a path of the machine.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

/// An attack on a name. The script is run by `sh`; `$1` is the name, `$2` the decoy, an absolute path.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// For messages.
    pub name: &'static str,
    /// The script that carries it out. It may fail if this name cannot be attacked in this way.
    pub script: &'static str,
    /// Whether only root can do it, in a mount namespace of its own.
    pub needs_mount: bool,
}

const fn attack(name: &'static str, script: &'static str) -> Attack {
    Attack { name, script, needs_mount: false }
}

/// All attacks.
pub const ATTACKS: &[Attack] = &[
    attack("link to a directory", r#"rm -rf "$1"; ln -s "$2" "$1""#),
    attack("link to a file", r#"rm -rf "$1"; ln -s "$2/file" "$1""#),
    attack("link to what is not there", r#"rm -rf "$1"; ln -s "$2/new" "$1""#),
    attack("link to itself", r#"rm -rf "$1"; ln -s "$(basename "$1")" "$1""#),
    attack("moved away, and a link in its place", r#"mv "$1" "$1.away"; ln -s "$2" "$1""#),
    attack("hard link to a file", r#"rm -rf "$1"; ln "$2/file" "$1""#),
    attack("fifo", r#"rm -rf "$1"; mkfifo "$1""#),
    attack("file", r#"rm -rf "$1"; echo planted > "$1""#),
    attack("empty directory", r#"rm -rf "$1"; mkdir "$1""#),
    attack(
        "directory with links",
        r#"rm -rf "$1"; mkdir "$1"; ln -s "$2" "$1/in"; ln -s "$2" "$1/a"; ln "$2/file" "$1/hard""#,
    ),
    attack(
        // Names that a script or a careless loop takes for an option, two names, broken text, a path, or a pattern.
        "directory with odd names",
        "rm -rf \"$1\"; mkdir \"$1\"; touch \"$1/-rf\" \"$1/new\nline\" \"$1/$(printf 'caf\\351')\" \"$1/ \" \"$1/...\"; mkdir \"$1/*\"",
    ),
    attack("no permissions", r#"chmod 000 "$1""#),
    attack("removed", r#"rm -rf "$1""#),
    // A mount point is a directory to `lstat`, and of the same device where both sides are on one file system: only
    // mount ids and `openat2` tell.
    Attack { name: "mount point", script: r#"mkdir -p "$1"; mount --bind "$2" "$1""#, needs_mount: true },
    Attack {
        name: "mounted file",
        script: r#"rm -rf "$1"; touch "$1"; mount --bind "$2/file" "$1""#,
        needs_mount: true,
    },
];

impl Attack {
    /// Carries it out from outside.
    pub fn plant(&self, at: &Path, decoy: &Decoy) {
        // The script may fail: then the name cannot be attacked in this way, and stays as it is.
        let _ = Command::new("sh").args(["-c", self.script, "sh"]).arg(at).arg(decoy.path()).output();
    }
}

/// A directory outside of everything that a tool may change.
#[derive(Debug)]
pub struct Decoy {
    dir: tempfile::TempDir,
    before: BTreeMap<PathBuf, String>,
}

impl Default for Decoy {
    fn default() -> Decoy {
        Decoy::new()
    }
}

impl Decoy {
    /// A decoy with files, links and directories of several modes, all of them old.
    ///
    /// # Panics
    /// If the file system refuses.
    #[must_use]
    pub fn new() -> Decoy {
        let dir = tempfile::Builder::new().prefix("taut-decoy-").tempdir().expect("a temporary directory");
        let make = || -> io::Result<()> {
            let at = |name: &str| dir.path().join(name);
            fs::create_dir_all(at("sub/deep"))?;
            fs::create_dir(at("root"))?;
            // The same names as in the workspaces of tests: a tool that is led out to this directory would overwrite or
            // remove them.
            for (name, mode) in [("file", 0o644), ("secret", 0o600), ("a", 0o755), ("out", 0o644)] {
                fs::write(at(name), format!("precious {name}\n"))?;
                fs::set_permissions(at(name), fs::Permissions::from_mode(mode))?;
            }
            fs::write(at("sub/deep/file"), "precious\n")?;
            fs::write(at("root/out"), "precious\n")?;
            std::os::unix::fs::symlink("file", at("link"))?;
            // Old, so that a file that is written again has another time of modification, however coarse the clock
            // is.
            let old = SystemTime::now() - Duration::from_secs(1_000_000);
            for name in ["file", "secret", "a", "out", "sub/deep/file", "root/out"] {
                fs::File::open(at(name))?.set_modified(old)?;
            }
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))
        };
        make().expect("a decoy");
        let before = seen(dir.path()).expect("a decoy");
        Decoy { dir, before }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Fails if anything in it was changed, removed or added.
    ///
    /// # Panics
    /// If so; `what` is the operation under test, for the message.
    #[track_caller]
    pub fn assert_untouched(&self, what: &str) {
        // A decoy that has become unreadable counts as empty, so it differs from before.
        let now = seen(self.path()).unwrap_or_default();
        assert_eq!(now, self.before, "{what}: the outside was touched");
    }
}

/// Everything below a directory, itself included, except what reading it or another hard link alters.
fn seen(root: &Path) -> io::Result<BTreeMap<PathBuf, String>> {
    let mut seen = BTreeMap::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(path) = pending.pop() {
        let full = root.join(&path);
        let meta = fs::symlink_metadata(&full)?;
        // Left out are the access time, which reading alters, and the count of links and the time of change, which a
        // hard link to the file alters.
        let what = format!("{} {:o} {} {}", meta.ino(), meta.mode(), meta.uid(), meta.mtime());
        let content = if meta.is_dir() {
            for entry in fs::read_dir(&full)? {
                pending.push(path.join(entry?.file_name()));
            }
            String::new()
        } else if meta.is_symlink() {
            fs::read_link(&full)?.display().to_string()
        } else {
            String::from_utf8_lossy(&fs::read(&full)?).into_owned()
        };
        seen.insert(path, format!("{what} {content}"));
    }
    Ok(seen)
}

/// A thread that exchanges names with links to a decoy as fast as it can, until this is dropped.
#[derive(Debug)]
pub struct Exchange {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Exchange {
    /// Exchanges the paths that `find` finds; they may come and go.
    ///
    /// # Panics
    /// If no thread can be started.
    pub fn begin(decoy: &Decoy, find: impl Fn() -> Vec<PathBuf> + Send + 'static) -> Exchange {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, decoy) = (stop.clone(), decoy.path().to_owned());
        let thread = std::thread::spawn(move || {
            let mut exchanges = 0;
            while !stopped.load(SeqCst) {
                for path in find() {
                    exchanges += u64::from(exchange(&path, &decoy));
                }
                // On a machine with one processor the tool under test has to run in between.
                std::thread::yield_now();
            }
            exchanges
        });
        Exchange { stop, thread: Some(thread) }
    }

    /// Ends it; returns the number of exchanges.
    ///
    /// # Panics
    /// If the thread has panicked.
    pub fn end(mut self) -> u64 {
        self.stop.store(true, SeqCst);
        self.thread.take().map_or(0, |thread| thread.join().expect("the exchange goes well"))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Not waited for: a test that fails should end at once, and the thread ends after its round.
        self.stop.store(true, SeqCst);
    }
}

/// Replaces what is at a path by a link, and restores it.
fn exchange(path: &Path, decoy: &Path) -> bool {
    let mut away = path.as_os_str().as_bytes().to_vec();
    away.extend(b".exchanged");
    let away = PathBuf::from(std::ffi::OsStr::from_bytes(&away));
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink()) || fs::rename(path, &away).is_err() {
        return false;
    }
    let linked = std::os::unix::fs::symlink(decoy, path).is_ok();
    // A moment in which the tool can use the name; a short one, or the tool would meet the link at its first step
    // each time.
    for _ in 0..20 {
        std::hint::spin_loop();
    }
    if linked {
        let _ = fs::remove_file(path);
    }
    let _ = fs::rename(&away, path);
    linked
}

/// Whether this process is root and can create a mount namespace.
#[must_use]
pub fn can_mount() -> bool {
    // Tried, since no property of the process shows it: containers forbid it to root too.
    let tried = Command::new("unshare").args(["--mount", "--propagation", "private", "true"]).output();
    tried.is_ok_and(|output| output.status.success()) && is_root()
}

/// Whether this process is root.
#[must_use]
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}
