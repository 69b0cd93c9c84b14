//! The tree of the artifacts of an export target, as a task that is named by content.
//!
//! The key has everything that the tree follows from: the key of the repository (its canonical description, `repos`),
//! the target, the configuration, what results of actions depend on besides, and how descriptions are written. So a
//! recorded run is good wherever the same content is asked for, in whatever workspace; only the tree has to be in the
//! git repository of the build root. A null build finds it there without looking at the target.

use std::{fmt, sync::Arc};

use taut_analysis::module_file;
use taut_digest::{Hash, HashFunction};
use taut_engine::{Cx, Fail, Key, Policy, Rule};
use taut_repos::{ContentFixed, RepoConfig, RootContent, UnresolvedRoot};
use taut_syntax::{Diagnostic, Document, JsonPath, Kind, Location, did_you_mean, json::reference_error};
use taut_value::{Encoder, NamedTarget, named_as_typed, quoted};

use crate::{
    BuiltTarget, NotBuilt, Request,
    blocking_work::on_thread,
    root_definition::configuration_of,
    root_failure::RootFailure,
    root_tree,
    root_work::{Work, lock},
};

/// An export target of a content-fixed repository in a configuration.
#[derive(Clone)]
pub(crate) struct TreeKey {
    /// What it is named by, in the encoding of [`Encoder`]: the bytes of the repository key, module, name, the id of
    /// the configuration, the bytes of the context, whether comments and trailing commas are read in descriptions.
    pub(crate) bytes: Arc<[u8]>,
    /// How it is asked for now.
    asked: Arc<ComputedTreeInput>,
}

struct ComputedTreeInput {
    root: UnresolvedRoot,
    request: Request,
}

impl TreeKey {
    /// The key of a root whose repository is the main one of `part`; there is such a repository.
    ///
    /// # Errors
    /// The repository is not content-fixed.
    pub(crate) fn new(
        unresolved: &UnresolvedRoot,
        part: &RepoConfig,
        context: &[u8],
    ) -> Result<TreeKey, RootFailure> {
        let root = &unresolved.root;
        let RootContent::Artifacts { module, target, configuration } = &root.taken else {
            unreachable!("a tree structure is computed by a rule of its own")
        };
        let key = ContentFixed::of(part).key(&root.repository, HashFunction::GitSha1);
        let key = key.ok_or_else(|| RootFailure::not_content_fixed(root, part))?;
        let named = NamedTarget::new(root.repository.clone(), module.clone(), target.clone());
        let configuration = configuration_of(configuration);
        let mut e = Encoder::new();
        // Each piece has its length or a fixed one, so different keys have different bytes.
        e.bytes(key.as_bytes());
        e.text(&named.module);
        e.text(&named.name);
        e.id(&configuration.id());
        e.bytes(context);
        // What one dialect accepts may be an error in the other, and the root is not there then.
        e.bool(part.dialect.is_extended());
        let request = Request { repositories: part.clone(), targets: named.into(), configuration };
        let asked = Arc::new(ComputedTreeInput { root: unresolved.clone(), request });
        Ok(TreeKey { bytes: e.finish().into(), asked })
    }
}

impl fmt::Debug for TreeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.asked.root.root, f)
    }
}

impl PartialEq for TreeKey {
    fn eq(&self, other: &TreeKey) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for TreeKey {}

impl std::hash::Hash for TreeKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl Key for TreeKey {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(&*self.bytes);
    }

    // The bytes do not have the repositories. The task is found by them when the root is asked for again.
    fn decode(_: &[u8]) -> Option<TreeKey> {
        None
    }
}

/// Builds targets, and imports their artifacts as trees.
pub(crate) struct ComputedTreeRule(pub(crate) Arc<Work>);

impl Rule for ComputedTreeRule {
    type Key = TreeKey;
    type Value = Hash;
    const NAME: &'static str = "computed tree";

    fn policy(&self, _: &TreeKey) -> Policy {
        // One run: the value follows from the key, so there is never another one to keep.
        Policy::constructive(1)
    }

    async fn value(&self, key: &TreeKey, _: Cx) -> Result<Hash, Fail> {
        let (work, key) = (self.0.clone(), key.clone());
        // The build is a session with threads of its own: a thread of this engine must not wait for it.
        // Failures are transient: the result of a build that failed does not follow from the key.
        on_thread(move || compute(&work, &key)).await.map_err(Fail::transient)
    }

    fn content_hash(&self, _: &TreeKey, tree: &Hash) -> Option<taut_engine::Hash> {
        Some(taut_engine::Hash(taut_value::Id::of(tree.as_bytes()).0))
    }

    fn encode_value(&self, _: &TreeKey, tree: &Hash) -> Option<Vec<u8>> {
        Some(tree.as_bytes().to_vec())
    }

    /// Refuses a tree that is not in the git repository: the run is not good then, and the tree is computed again.
    fn decode_value(&self, _: &TreeKey, bytes: &[u8]) -> Option<Hash> {
        Hash::from_bytes(bytes).filter(|tree| self.0.has_tree(tree))
    }
}

fn compute(work: &Work, key: &TreeKey) -> Result<Hash, RootFailure> {
    let ComputedTreeInput { root, request } = &*key.asked;
    // A tree that is known is a recorded run, for which this is not called.
    if !work.computer.computes {
        return Err(RootFailure::not_known());
    }
    let main = &request.repositories.repositories[&root.root.repository];
    // Of an absent root of targets, the build says so.
    if !main.target_root.source.is_absent() {
        check_target(request)?;
    }
    let built = work.with_permit(|jobs| work.computer.targets.build(root, request, jobs));
    let built: BuiltTarget = built.map_err(|why| match why {
        NotBuilt::Stopped => RootFailure::Stopped,
        NotBuilt::Failed { log } => {
            let target = named_as_typed(request.targets.first());
            let problem = Diagnostic::error(format!("{target} cannot be built, so there is no root"));
            RootFailure::of(problem.reference(RootFailure::see_log(&log)))
        }
    })?;
    // Only imports exclude each other; builds of targets run at the same time.
    let _importing = lock(&work.importing);
    let writer = work.writer().map_err(|error| RootFailure::of(Diagnostic::error(error.to_string())))?;
    let tree = root_tree::import(&work.computer.store, writer, &built.results.artifacts)
        .map_err(|why| RootFailure::of(Diagnostic::error(why)))?;
    work.note_built(&key.bytes, built);
    Ok(tree)
}

/// Whether the target is an export target, as far as that can be seen in its file. The build finds everything else.
fn check_target(request: &Request) -> Result<(), RootFailure> {
    const STEP: &str = "While searching for target description:";
    let target = request.targets.first();
    let repositories = &request.repositories;
    let repository = &repositories.repositories[&target.repository];
    // As the reference does: the file is looked at before any build, and errors in it have messages of their own.
    let place = module_file(&repository.target_root, &target.module, &repository.target_file_name);
    let label = place.label(&repositories.roots);
    let content = place.read(&repositories.roots);
    let content =
        content.map_err(|error| RootFailure::of(Diagnostic::error(error.to_string()).below(STEP)))?;
    let content = content.ok_or_else(|| {
        let missing = Diagnostic::error(format!("There is no file {label}, which would define the target"));
        let missing = missing.reference(format!("JSON file {} does not exist.", place.path));
        RootFailure::of(missing.below(STEP))
    })?;
    let document =
        Document::parse_as(repositories.dialect, label.clone(), content.clone()).map_err(|error| {
            let problem = Diagnostic::from(error).reference(reference_error(&content));
            let problem = problem.below(&format!("JSON file {} does not contain valid JSON:", place.path));
            RootFailure::of(problem.below(STEP))
        })?;
    let targets = document.root();
    let typed = named_as_typed(target);
    if targets.kind() != Kind::Object {
        let problem = Diagnostic::error(format!("JSON in {} is not an object.", place.path));
        let problem = problem.at(Location::value(label, JsonPath::root()));
        return Err(RootFailure::of(problem.below(STEP)));
    }
    let Some(definition) = targets.get(&target.name) else {
        let problem = Diagnostic::error(format!("{typed} is not a target that is defined in {label}"));
        let meant = did_you_mean(&target.name, targets.entries().map(|(name, _)| name));
        let problem = problem.reference("Not referring to a defined target");
        return Err(RootFailure::of(match meant {
            Some(meant) => problem.help(format!("did you mean {}?", quoted(meant))),
            None => problem,
        }));
    };
    let at = JsonPath::root().key(&*target.name);
    let is_object = definition.kind() == Kind::Object;
    let Some(kind) = is_object.then(|| definition.get("type")).flatten() else {
        let problem = Diagnostic::error(format!("{typed} has no \"type\""));
        let shown = taut_repos::plain_json(definition);
        let problem = problem.reference(format!("No type specified in target-description {shown}"));
        return Err(RootFailure::of(problem.at(Location::key(label, at))));
    };
    if kind.as_str() != Some("export") {
        let shown = taut_repos::plain_json(kind);
        let problem = Diagnostic::error(format!("{typed} is not an export target, but of type {shown}"));
        let problem = problem.reference(format!("Target not an export target, but of type {shown}"));
        let problem = problem.at(Location::value(label, at.key("type")));
        let example = format!("{{\"type\": \"export\", \"target\": {}}}", quoted(&target.name));
        return Err(RootFailure::of(problem.help(format!("roots are computed from targets like {example}"))));
    }
    if let Some(variables) = definition.get("flexible_config") {
        let name = &target.name;
        let at = Location::value(label, at.key("flexible_config"));
        let wrong = |reference: String| {
            let problem = Diagnostic::error(format!("\"flexible_config\" of {typed} is a list of strings"));
            RootFailure::of(problem.reference(reference).at(at.clone()))
        };
        let Some(items) = variables.as_list() else {
            return Err(wrong(format!("Field flexible_config in export target {name} is not a list")));
        };
        if items.into_iter().any(|item| item.as_str().is_none()) {
            return Err(wrong(format!(
                "List entry in flexible_config of export target {name} is not a string"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use std::path::Path;

    use taut_repos::Overrides;

    use super::*;

    /// docs/store.md: keys of `computed tree`.
    #[test]
    fn keys_are_written_as_specified() {
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("repos.json");
        let text = r#"{"main": "m", "repositories": {
            "m": {"workspace_root": ["computed", "b", "./d", "t", {"V": 1}]},
            "b": {"workspace_root": ["git tree", "7366bd62ca918e6b3ba54ce2465022746b692a62", "/p"]}}}"#;
        std::fs::write(&file, text).unwrap();
        let config = RepoConfig::read(Some(&file), &Overrides::default(), Path::new("/")).unwrap();
        let root = config.computed_roots("m").remove(0);
        let key = TreeKey::new(&root, &config.part("b"), b"c").unwrap();
        let repository = ContentFixed::of(&config).key("b", HashFunction::GitSha1).unwrap();
        let configuration: taut_value::Map = [("V", taut_value::Value::Number(1.0))].into_iter().collect();
        let id = configuration.id();
        assert_eq!(
            *key.bytes,
            [&b"\x14"[..], repository.as_bytes(), b"\x00\x01d\x00\x01t", &id.0, b"\x01c\x00"].concat()
        );
        let mut written = Vec::new();
        key.encode(&mut written);
        assert_eq!(*written, *key.bytes);
    }
}
