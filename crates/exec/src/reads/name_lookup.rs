//! What the names in a depfile lead to: inputs, files of the system, or neither.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::{Path, PathBuf},
};

use taut_digest::ObjectType;
use taut_sys::normal;
use taut_value::Str;

use crate::system_dirs::SystemDirs;

/// The content of a depfile.
pub(super) enum DepfileContent {
    /// The inputs that it names.
    Read(BTreeSet<Str>),
    /// What was read is not known.
    Unclear,
    /// It names this, which is not an input; and if that is a file outside of the action's directory, what the name
    /// leads to.
    Stranger(String, Option<PathBuf>),
}

/// Where a name leads.
#[derive(Debug)]
enum NamePath {
    Input(Str),
    /// Into an input that is a tree, which always counts.
    InTree,
    /// To a link or through one, or back out of a tree, so which inputs are read is not clear.
    Unclear,
    /// To a directory that has inputs.
    Directory,
    /// To nothing that the action has as an input.
    Nowhere,
    /// Out of the action's directory: to this absolute path, or if it went out by `..`, to one that ends like this.
    Outside(PathBuf),
}

/// How many links a name may lead through, as the system has it.
const MAX_LINKS: usize = 40;

/// The begin of a name by which a process reaches its own directory, wherever that is.
const OWN_DIRECTORY: [&str; 2] = ["/proc/self/cwd", "/proc/thread-self/cwd"];

/// What the names in a depfile are looked up in.
pub(super) struct NameLookup<'a> {
    /// The working directory, normalised.
    pub(super) cwd: &'a str,
    pub(super) inputs: BTreeMap<&'a str, ObjectType>,
    /// Where those inputs lead that are links.
    pub(super) links: BTreeMap<&'a str, String>,
    /// The action's directory while it ran, if it is known.
    pub(super) ran_in: Option<&'a Path>,
    /// Whether the action saw the files of this machine under the same names: it ran here, and no launcher was in
    /// between.
    pub(super) is_seen_here: bool,
    pub(super) system: SystemDirs<'a>,
}

impl NameLookup<'_> {
    /// Follows a name from a directory of the action, component by component, since `..` behind a link is not what it
    /// seems.
    fn place(&self, from: &str, name: &str) -> NamePath {
        if self.inputs.contains_key(".") {
            return NamePath::InTree;
        }
        let mut left: VecDeque<String> = from.split('/').chain(name.split('/')).map(str::to_owned).collect();
        let mut at: Vec<String> = Vec::new();
        let (mut links, mut is_unclear) = (0, false);
        // How many components lead to the tree that the name is in.
        let mut tree = None;
        while let Some(component) = left.pop_front() {
            match component.as_str() {
                "" | "." => continue,
                ".." if at.is_empty() => return NamePath::Outside(root_path(&mut left)),
                ".." => {
                    at.pop();
                    if tree.is_some_and(|depth| at.len() < depth) {
                        (tree, is_unclear) = (None, true);
                    }
                    continue;
                }
                _ => at.push(component),
            }
            if tree.is_some() {
                continue;
            }
            let here = at.join("/");
            match self.inputs.get(here.as_str()) {
                Some(ObjectType::Symlink) => {
                    is_unclear = true;
                    links += 1;
                    let Some(target) = self.links.get(here.as_str()).filter(|_| links <= MAX_LINKS) else {
                        return NamePath::Unclear;
                    };
                    // What an absolute target leads to is a question of the machine, not of the inputs.
                    if target.starts_with('/') {
                        left.push_front(target.clone());
                        return NamePath::Outside(root_path(&mut left));
                    }
                    at.pop();
                    // A link is replaced by its target, as the kernel resolves paths (path_resolution(7)).
                    target.split('/').rev().for_each(|component| left.push_front(component.to_owned()));
                }
                Some(ObjectType::Tree) => tree = Some(at.len()),
                _ => {}
            }
        }
        if is_unclear {
            return NamePath::Unclear;
        }
        if tree.is_some() {
            return NamePath::InTree;
        }
        let here = at.join("/");
        if self.inputs.contains_key(here.as_str()) {
            return NamePath::Input(Str::from(here));
        }
        // Inputs have no entries for directories: one exists if a path begins with its name and a slash, and the map
        // is sorted.
        let below = at.iter().flat_map(|name| [name, "/"]).collect::<String>();
        let first = self.inputs.range(below.as_str()..).next();
        if first.is_some_and(|(path, _)| path.starts_with(&below)) {
            NamePath::Directory
        } else {
            NamePath::Nowhere
        }
    }

    /// Where a name leads that leads out of the action's directory. `relative`: if it is relative to the working
    /// directory, what is; `end`: as in [`NamePath::Outside`].
    fn outside(&self, name: &str, relative: &str, end: &Path) -> Outside {
        let path = match self.ran_in {
            _ if relative.starts_with('/') => PathBuf::from(relative),
            Some(ran_in) => ran_in.join(self.cwd).join(relative),
            // Where the directory was on the other machine is not known, nor so how many `..` lead to its root. A name
            // that goes on with a directory of the system is taken to lead there, as compilers write it.
            None if self.system.has(&normal(end)) => return Outside::System,
            None => return Outside::Unknown(PathBuf::from(name)),
        };
        let inside = |path: &Path| {
            let below = path.strip_prefix(self.ran_in?).ok()?;
            match self.place("", below.to_str()?) {
                NamePath::Outside(_) => None,
                place => Some(Outside::Inside(place)),
            }
        };
        if let Some(inside) = inside(&path) {
            return inside;
        }
        // The directory of the action may be reached by another name than the one it was made under, for example
        // through a link in the build root's path.
        let real = self.system.real_path(&path);
        let shown = real.clone().unwrap_or_else(|| normal(&path));
        if let Some(inside) = inside(&shown) {
            return inside;
        }
        match real {
            _ if self.system.has(&shown) => Outside::System,
            Some(real) if self.is_seen_here => Outside::Stranger(real),
            // On another machine, what is a link here need not be one.
            _ if self.ran_in.is_none() && self.system.has(&normal(&path)) => Outside::System,
            _ if self.ran_in.is_none() => Outside::Unknown(normal(&path)),
            _ => Outside::Unknown(shown),
        }
    }

    /// The inputs whose path is the end of a name: it may be such an input by its whole path, in a place that is not
    /// known.
    fn with_end_of(&self, name: &str) -> Vec<NamePath> {
        let components: Vec<&str> = name.split('/').collect();
        // Longest first is of no importance: all that match are taken, since which one was meant is not known.
        let ends = (0..components.len()).map(|start| components[start..].join("/"));
        let places = ends.flat_map(|end| ["", self.cwd].map(|from| self.place(from, &end)));
        // A directory of the tool chain's headers may have the name of a file elsewhere. What is read of a directory
        // are names, and these are in the keys.
        places
            .filter(|place| !matches!(place, NamePath::Directory | NamePath::Nowhere | NamePath::Outside(_)))
            .collect()
    }

    /// The inputs that the names mean.
    pub(super) fn reported(&self, names: &[String]) -> DepfileContent {
        let (mut read, mut is_unclear) = (BTreeSet::new(), false);
        for name in names {
            let own = OWN_DIRECTORY.iter().find_map(|own| Path::new(name).strip_prefix(own).ok()?.to_str());
            let place = match own {
                Some(below) => self.place(self.cwd, below),
                None if name.starts_with('/') => NamePath::Outside(PathBuf::from(name)),
                None => self.place(self.cwd, name),
            };
            let places = match place {
                NamePath::Outside(end) => match self.outside(name, own.unwrap_or(name), &end) {
                    Outside::Inside(place) => vec![place],
                    Outside::System if self.is_seen_here => Vec::new(),
                    Outside::System => self.with_end_of(name),
                    Outside::Stranger(real) => return DepfileContent::Stranger(name.clone(), Some(real)),
                    Outside::Unknown(real) => {
                        let ends = self.with_end_of(name);
                        if ends.is_empty() {
                            return DepfileContent::Stranger(name.clone(), Some(real));
                        }
                        ends
                    }
                },
                place => vec![place],
            };
            for place in places {
                match place {
                    NamePath::Input(path) => drop(read.insert(path)),
                    NamePath::InTree => {}
                    NamePath::Unclear | NamePath::Directory => is_unclear = true,
                    // An error even if something else is unclear: it must not depend on that.
                    NamePath::Nowhere | NamePath::Outside(_) => {
                        return DepfileContent::Stranger(name.clone(), None);
                    }
                }
            }
        }
        if is_unclear { DepfileContent::Unclear } else { DepfileContent::Read(read) }
    }
}

/// The path that has these components, from the root.
fn root_path(components: &mut VecDeque<String>) -> PathBuf {
    Path::new("/").join(components.make_contiguous().join("/").trim_start_matches('/'))
}

/// Where a name leads that seems to lie outside of the action's directory.
enum Outside {
    /// Into the action's directory, after all.
    Inside(NamePath),
    /// To a file of the system.
    System,
    /// To another file of this machine.
    Stranger(PathBuf),
    /// To nothing that is there on this machine; or it does not mean here what it meant to the action. With what the
    /// name would lead to; the name itself if it is one from the action's directory, and it is not known where that
    /// was.
    Unknown(PathBuf),
}
