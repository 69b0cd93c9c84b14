//! What there is of the repositories of a description, without setting them up.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use taut_digest::{Hash, ObjectType, TreeEntry};
use taut_fetch::without_password;
use taut_git::{HashOnly, TreeBuilder};
use taut_syntax::{Diagnostic, Diagnostics};
use taut_value::{EntityName, NamedTarget, configured_with_json};

use crate::{
    anchors::is_directory,
    cache::TreeMap,
    description::{Description, LAYERS},
    locations::local_path,
    needs::{Named, Needs},
    newest::Branch,
    problem::Problem,
    reachable::referenced,
    session::Session,
    set_up::{Request, at_hand_of, tasks},
    source::{Content, Distdir, Source},
    trees::{has_tree, own_key},
    update::{asked_at, not_determined},
};

/// What there is of a repository.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Its type.
    pub type_name: &'static str,
    /// What fixes its content: a commit, the id of an archive, file or tree; nothing for a directory.
    pub pinned: Option<String>,
    /// Where its content comes from: a URL without a password, a path, a command, other repositories.
    pub from: String,
    /// The repositories that use it, by a binding or as a layer or root.
    pub used_by: BTreeSet<String>,
    /// Whether its root is there.
    pub presence: Presence,
    /// What a newer commit of its branch is, if servers were asked: `Some(None)` if the pinned one is the newest.
    pub newest: Option<BranchState>,
}

/// Whether the root of a repository is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// It is: a build needs nothing for it.
    Present,
    /// What it is made from is on this machine: neither a set-up nor a build needs the network for it.
    Offline,
    /// It has to be fetched, or made.
    Missing,
    /// The description says that only the id of its tree is needed.
    Absent,
}

impl Presence {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Presence::Present => "present",
            Presence::Offline => "offline",
            Presence::Missing => "missing",
            Presence::Absent => "absent",
        }
    }
}

/// The answer of a server about the branch of a repository.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BranchState {
    /// The commit is its newest one.
    Same,
    /// Another commit is.
    Other(String),
    /// It cannot be asked; the cause.
    Unknown(String),
}

impl Session<'_> {
    /// The state of repositories. Nothing is fetched; with `asks`, servers of git repositories are asked for the newest
    /// commits of their branches.
    ///
    /// # Errors
    /// What is wrong with the description.
    pub fn status(
        &self,
        description: &Description,
        request: &Request<'_>,
        asks: bool,
    ) -> Result<Vec<Status>, Diagnostics> {
        let one = |problem: Problem| -> Diagnostics { (*problem).into() };
        let _running = self.cancellation.begin();
        let (_, _, reached) = self.reach(description, request).map_err(one)?;
        let (tasks, problems) = tasks(self, description, &reached, None);
        if !problems.is_empty() {
            return Err(problems.into_iter().collect());
        }
        let users = users(description, &reached.included).map_err(one)?;
        let branches = tasks.iter().filter_map(|task| match &task.of.source {
            Source::Git(git) if asks => Some(Branch::of(git, description.base())),
            _ => None,
        });
        // Without a place for temporary files nothing was asked; each branch then gets that as its reason.
        let newest = self.newest(branches.collect()).unwrap_or_default();
        tasks.iter().for_each(|task| self.note_contents(&task.of.source));
        let mut all: Vec<Status> = Vec::new();
        let mut made_from: BTreeMap<String, String> = BTreeMap::new();
        for task in tasks {
            let source = &task.of.source;
            let presence = match source {
                // First, as a set-up would not make it either.
                _ if source.is_absent() && !self.options.fetch_absent => Presence::Absent,
                Source::File(directory) if !is_directory(&directory.path) => Presence::Missing,
                Source::File(_) => Presence::Present,
                Source::Computed(_) | Source::TreeStructure(_) => {
                    made_from.extend(source.referenced().map(|from| (task.name.clone(), from.to_owned())));
                    Presence::Missing
                }
                // The look-up of the set-up itself, so that both agree.
                _ if at_hand_of(self, &task).map_err(one)? => Presence::Present,
                _ if self.is_offline(source, description) => Presence::Offline,
                _ => Presence::Missing,
            };
            let newest = match source {
                Source::Git(git) if asks => {
                    let branch = Branch::of(git, description.base());
                    let newest = match newest.get(&branch) {
                        Some(Ok(newest)) if *newest == git.commit => BranchState::Same,
                        Some(Ok(newest)) => BranchState::Other(newest.to_hex()),
                        Some(Err(cause)) => BranchState::Unknown(cause.to_string()),
                        None => BranchState::Unknown("there is no place for temporary files".to_owned()),
                    };
                    if let BranchState::Unknown(cause) = &newest {
                        let warning = Diagnostic::warning(not_determined(&task.name, &git.branch, cause))
                            .reference("")
                            .at(task.of.field("repository"));
                        self.warn(warning.note(asked_at(&branch.url)));
                    }
                    Some(newest)
                }
                _ => None,
            };
            all.push(Status {
                type_name: source.type_name(),
                pinned: pinned(source),
                from: from(source),
                used_by: users.get(&task.name).cloned().unwrap_or_default(),
                presence,
                newest,
                name: task.name,
            });
        }
        // Only now: what a root is made from may come later in the list.
        find_offline(&mut all, description, &made_from);
        Ok(all)
    }

    /// Whether a root can be made from what is on this machine.
    fn is_offline(&self, source: &Source, description: &Description) -> bool {
        // Maps and git repositories of the build root, where older generations or just-mr may have it. A status is not
        // a place for their errors: the set-up reports them.
        let own = source.identity().map(|identity| own_key(&identity));
        let is_mapped = |map, key: &str| {
            let mut generations = std::iter::once(0).chain(self.cache.older().map(|(number, _)| number));
            generations.any(|number| matches!(self.cache.get(number, map, key), Ok(Some(_))))
        };
        if own.is_some_and(|key| is_mapped(TreeMap::Root, &key)) {
            return true;
        }
        let in_git = |has: &dyn Fn(&taut_git::Repository) -> bool| {
            let youngest = self.cache.has_git().then(|| self.cache.git());
            let older = self.cache.older().map(|(_, path)| path);
            youngest.into_iter().chain(older).any(|path| has(&taut_git::Repository::new(path)))
        };
        let is_content = |path: &Path, content: &Content| {
            taut_sys::Named::of_user(path).is_ok_and(
                |named| matches!(crate::contents::hash_of(named.at()), Ok(Some(id)) if id == content.id),
            )
        };
        let has_as_described = |content: &Content| {
            let distfiles = self.options.distdirs.iter().map(|directory| directory.join(&content.distfile));
            let urls = std::iter::once(&content.fetch).chain(&content.mirrors);
            let files = urls.filter_map(|url| url.strip_prefix("file://").map(PathBuf::from));
            self.store.contains(&content.id, ObjectType::File).unwrap_or(false)
                || in_git(&|repository| matches!(repository.header(&content.id), Ok(Some(_))))
                || distfiles.chain(files).any(|path| is_content(&path, content))
        };
        let has = |content: &Content| {
            has_as_described(content) || self.described_otherwise(content).iter().any(has_as_described)
        };
        match source {
            Source::Archive(archive) => {
                is_mapped(TreeMap::Archive(archive.kind), &archive.content.id.to_hex())
                    || has(&archive.content)
            }
            Source::ForeignFile(file) => has(&file.content),
            Source::Distdir(distdir) => distdir.files.values().all(|file| has(&file.content)),
            Source::Git(commit) => {
                let has_commit = |repository: &taut_git::Repository| {
                    matches!(repository.tree_of_commit(&commit.commit), Ok(Some(_)))
                };
                let checkout = self.checkout(source, description.base());
                let urls = std::iter::once(&commit.repository).chain(&commit.mirrors);
                let paths = urls.filter_map(|url| local_path(url)).map(|path| description.base().join(path));
                is_mapped(TreeMap::Commit, &commit.commit.to_hex())
                    || checkout.is_some_and(|of| has_commit(&taut_git::Repository::new(of.path)))
                    || in_git(&has_commit)
                    || paths.into_iter().any(|path| has_commit(&taut_git::Repository::new(path)))
            }
            Source::GitTree(tree) => {
                self.store.contains(&tree.id, ObjectType::Tree).unwrap_or(false)
                    || in_git(&|repository| has_tree(repository, &tree.id))
            }
            _ => false,
        }
    }
}

/// Which repositories use which.
fn users(
    description: &Description,
    included: &BTreeSet<String>,
) -> Result<BTreeMap<String, BTreeSet<String>>, Problem> {
    let mut users: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for name in included {
        let entry = description.entry(name)?;
        let bound = entry.get("bindings");
        let bound = bound.iter().flat_map(|bindings| bindings.entries()).map(|(_, node)| node);
        let layers = LAYERS.iter().filter_map(|layer| entry.get(layer));
        let source = entry.get("repository");
        let roots = source.and_then(|source| source.get("repo"));
        let archives = source.and_then(|source| source.get("repositories"));
        let archives = archives.iter().flat_map(|list| list.items());
        // All the ways in which an entry can name another repository, as written: a status should
        // not need sources that can be read.
        let nodes = bound.chain(layers).chain(source).chain(roots).chain(archives);
        for used in nodes.filter_map(|node| node.as_str()) {
            users.entry(used.to_owned()).or_default().insert(name.clone());
        }
    }
    Ok(users)
}

/// Finds the roots that a build makes without a network: all that they are made from is here, or made in this way
/// itself. So those that lead back to themselves are not among them. `made_from`: the repositories that roots are made
/// from.
fn find_offline(all: &mut [Status], description: &Description, made_from: &BTreeMap<String, String>) {
    let is_made = |status: &Status| made_from.contains_key(&status.name);
    let is_here = |status: &Status| matches!(status.presence, Presence::Present | Presence::Offline);
    let names = all.iter().map(|status| status.name.as_str()).collect();
    let needs =
        Needs::of(names, |name| Named::by(description, name, made_from.get(name).map(String::as_str)));
    let lacking = all.iter().filter(|status| !is_made(status) && !is_here(status));
    let satisfied = needs.satisfied(lacking.map(|status| status.name.as_str()));
    let offline: Vec<bool> =
        all.iter().map(|status| is_made(status) && satisfied.contains(status.name.as_str())).collect();
    for (status, _) in all.iter_mut().zip(offline).filter(|(_, is_offline)| *is_offline) {
        status.presence = Presence::Offline;
    }
}

/// The repositories of a list that reach none that `lacks` something, neither by bindings, nor as layers or for their
/// roots.
pub fn complete(
    all: &[Status],
    description: &Description,
    lacks: impl Fn(&Status) -> bool,
) -> BTreeSet<String> {
    let names = all.iter().map(|status| status.name.as_str());
    let made_from: BTreeMap<&str, String> =
        names.clone().filter_map(|name| Some((name, referenced(description, name)?))).collect();
    let needs = Needs::of(names.collect(), |name| {
        Named::by(description, name, made_from.get(name).map(String::as_str))
    });
    let lacking = all.iter().filter(|status| lacks(status)).map(|status| status.name.as_str());
    needs.complete(lacking).into_iter().map(str::to_owned).collect()
}

/// The id of the tree of archives, by their names and ids.
fn tree_of(distdir: &Distdir) -> Option<Hash> {
    let mut tree = TreeBuilder::new();
    for (name, file) in &distdir.files {
        tree.put(&[name], TreeEntry { hash: file.content.id, object_type: ObjectType::File }).ok()?;
    }
    tree.write(&mut HashOnly).ok()
}

/// What fixes the content of a root.
fn pinned(source: &Source) -> Option<String> {
    Some(match source {
        // Nothing, or what another repository comes to.
        Source::File(_) | Source::Computed(_) | Source::TreeStructure(_) => return None,
        Source::Distdir(distdir) => tree_of(distdir)?.to_hex(),
        Source::Git(git) => git.commit.to_hex(),
        Source::GitTree(tree) => tree.id.to_hex(),
        Source::Archive(archive) => archive.content.id.to_hex(),
        Source::ForeignFile(file) => file.content.id.to_hex(),
    })
}

fn from(source: &Source) -> String {
    match source {
        Source::File(directory) => directory.path.display().to_string(),
        Source::Git(git) => format!("{} ({})", without_password(&git.repository), git.branch),
        Source::GitTree(tree) => tree.shown_command(),
        Source::Archive(archive) => without_password(&archive.content.fetch),
        Source::ForeignFile(file) => without_password(&file.content.fetch),
        Source::Distdir(distdir) => distdir.files.keys().cloned().collect::<Vec<_>>().join(", "),
        Source::Computed(computed) => {
            let named = NamedTarget::new(&*computed.repository, &*computed.module, &*computed.name);
            configured_with_json(&EntityName::Named(named), &computed.config)
        }
        Source::TreeStructure(structure) => structure.repository.clone(),
    }
}
