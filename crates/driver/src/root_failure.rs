//! Why roots cannot be computed, as errors at their places in the repository configuration.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    path::Path,
    sync::Arc,
};

use taut_digest::Hash;
use taut_engine::Failure;
use taut_repos::{ComputedRoot, Obstacle, RepoConfig, RootCycle, UnresolvedRoot};
use taut_syntax::{Diagnostic, Diagnostics};
use taut_value::quoted;

use crate::{SetupError, SetupFailure, root_definition::shown};

/// Why a root cannot be computed, though all below it are.
#[derive(Clone, Debug)]
pub(crate) enum RootFailure {
    /// The reason, with a location in the target's files, if it has one there; and a warning of the reference before
    /// it.
    Problem(Box<Diagnostic>, Option<Box<Diagnostic>>),
    /// The call is to end.
    Stopped,
}

impl fmt::Display for RootFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RootFailure::Problem(problem, _) => f.write_str(&problem.message),
            RootFailure::Stopped => f.write_str("interrupted"),
        }
    }
}

impl Failure for RootFailure {}

/// What the reference says where a service would be needed.
fn no_service(root: &ComputedRoot) -> String {
    format!("No serve end point is given to compute {root}")
}

/// How a directory becomes a git tree.
pub(crate) const TO_GIT_HELP: &str =
    "in a description of repositories, \"pragma\": {\"to_git\": true} makes one of a directory";

const ABSENT_HELP: &str = "without \"absent\" it is computed here; services that have roots (--remote-serve-address) are not supported yet";

impl RootFailure {
    pub(crate) fn of(problem: Diagnostic) -> RootFailure {
        RootFailure::Problem(Box::new(problem), None)
    }

    /// The same after a warning of the reference.
    pub(crate) fn after(self, warning: Diagnostic) -> RootFailure {
        match self {
            RootFailure::Problem(problem, _) => RootFailure::Problem(problem, Some(Box::new(warning))),
            RootFailure::Stopped => RootFailure::Stopped,
        }
    }

    /// The reference's text about a failed build whose messages are elsewhere.
    pub(crate) fn see_log(log: &str) -> String {
        format!("Build failed, see {log} for details")
    }

    /// A tree structure of what is not a tree.
    pub(crate) fn no_tree(root: &ComputedRoot, source: &Path) -> RootFailure {
        let repository = quoted(&root.repository);
        let message = format!(
            "The workspace root of repository {repository} is not a git tree but {}, so it has no tree structure",
            source.display()
        );
        let reference = format!("Failed to get the hash of the referenced git tree for {root}");
        RootFailure::of(Diagnostic::error(message).reference(reference))
    }

    /// A tree structure that is wanted as absent.
    pub(crate) fn structure_without_service(root: &ComputedRoot) -> RootFailure {
        let message = "The root is to be absent, but there is no service that has it";
        RootFailure::of(Diagnostic::error(message).reference(no_service(root)).help(ABSENT_HELP))
    }

    /// The error that the tree of an absent root is not on this machine.
    pub(crate) fn tree_is_absent(root: &ComputedRoot, tree: &Hash) -> RootFailure {
        let message = format!("Tree {} of repository {} is absent", tree.to_hex(), quoted(&root.repository));
        RootFailure::of(Diagnostic::error(message).reference(no_service(root)))
    }

    /// A root that is wanted as absent.
    pub(crate) fn without_service(root: &ComputedRoot) -> RootFailure {
        let message = "The root is to be absent, but there is no service that has it";
        let reference = format!("Requested root {root} to be absent, without providing serve endpoint");
        RootFailure::of(Diagnostic::error(message).reference(reference).help(ABSENT_HELP))
    }

    /// A repository whose content may change.
    pub(crate) fn not_content_fixed(root: &ComputedRoot, part: &RepoConfig) -> RootFailure {
        let repository = quoted(&root.repository);
        let message =
            format!("Repository {repository} is not content-fixed, so nothing can be computed from it");
        let reference = format!("Repository {repository} is not content-fixed");
        let mut problem = Diagnostic::error(message).reference(reference);
        if let Some(Obstacle { repository, root, shown, .. }) = Obstacle::of(part, &root.repository) {
            problem = problem.note(format!(
                "the {root} of repository {} is the directory {}, whose content may change",
                quoted(&repository),
                shown.display()
            ));
        }
        problem = problem.help(
            "roots of these repositories have to be git trees: [\"git tree\", \"id\", \"path of a git repository\"]",
        );
        problem = problem.help(TO_GIT_HELP);
        RootFailure::of(problem)
    }

    /// Something that is not known, and is not to be computed.
    pub(crate) fn not_known() -> RootFailure {
        let problem = Diagnostic::error("The root was not computed yet");
        RootFailure::of(problem.help("build a target of the repository first: this call runs nothing"))
    }
}

/// The roots that cannot be computed.
#[derive(Debug)]
pub struct RootsFailed {
    /// The errors; empty if the call is to end.
    pub problems: Diagnostics,
    /// Whether the call is to end.
    pub is_stopped: bool,
    /// Whether something that a root is computed from was missing or damaged.
    pub has_lost_roots: bool,
    /// The configuration with the roots that were computed: the errors may be about their files.
    pub repositories: RepoConfig,
}

impl RootsFailed {
    /// Roots that need each other.
    pub(crate) fn cycle(found: &RootCycle, places: &[Arc<UnresolvedRoot>]) -> RootsFailed {
        let RootCycle { before, roots: cycle } = found;
        // The reference draws it so (`DetectAndReportCycle`): the way that leads there first, then the cycle with a
        // line beside it.
        let mut reference = "Cycle detected in computed roots:".to_owned();
        before.iter().for_each(|root| reference += &format!("\n    {root}"));
        for (at, root) in cycle.iter().enumerate() {
            reference += &format!("\n{} {root}", if at == 0 { ".->" } else { "|  " });
        }
        reference += &format!("\n`-- {}", cycle[0]);
        let mut problem = Diagnostic::error(match cycle.len() {
            1 => "The root is computed from itself".to_owned(),
            count => format!("The roots are computed from each other, {count} in a cycle"),
        });
        problem = problem.reference(reference);
        let place = |root: &ComputedRoot| places.iter().find(|place| place.root == *root);
        problem.location = place(&cycle[0]).map(|place| place.place.clone());
        for (at, root) in cycle.iter().enumerate().skip(1) {
            let text = format!("which needs {}", shown(root));
            problem = match place(root) {
                Some(place) => problem.note(taut_syntax::Note::at(text, place.place.clone())),
                None => problem.note(text),
            };
            // The last note closes the cycle, so that it reads as one from any of its members.
            if at + 1 == cycle.len() {
                problem = problem.note(format!("which needs {} again", shown(&cycle[0])));
            }
        }
        RootsFailed {
            problems: problem.into(),
            is_stopped: false,
            has_lost_roots: false,
            repositories: RepoConfig::default(),
        }
    }

    /// What failed by itself, each once, below the roots that need it.
    pub(crate) fn of(
        failures: BTreeMap<ComputedRoot, RootFailure>,
        config: &RepoConfig,
        roots: &[Arc<UnresolvedRoot>],
    ) -> RootsFailed {
        let (mut problems, mut is_stopped) = (Vec::new(), false);
        let dependents = Dependents::of(config, roots);
        for (root, failure) in failures {
            let RootFailure::Problem(problem, warning) = failure else {
                is_stopped = true;
                continue;
            };
            let problem = dependents.located(&root, *problem);
            problems.push(problem.after_warnings(warning.as_deref().into_iter()));
        }
        // A signal ends builds that would not have failed.
        if is_stopped {
            problems.clear();
        }
        let problems = problems.into_iter().collect();
        RootsFailed { problems, is_stopped, has_lost_roots: false, repositories: RepoConfig::default() }
    }

    /// The same with the configuration that its errors are about, which knows what of its roots is lost.
    pub(crate) fn showing(self, repositories: RepoConfig) -> RootsFailed {
        let has_lost_roots = self.has_lost_roots || repositories.roots.has_lost();
        RootsFailed { repositories, has_lost_roots, ..self }
    }
}

/// The first root that needs a root, along a shortest path from the requested ones.
struct Dependents {
    places: HashMap<ComputedRoot, Arc<UnresolvedRoot>>,
    above: HashMap<ComputedRoot, ComputedRoot>,
}

impl Dependents {
    fn of(config: &RepoConfig, roots: &[Arc<UnresolvedRoot>]) -> Dependents {
        let mut places: HashMap<_, _> = roots.iter().map(|root| (root.root.clone(), root.clone())).collect();
        let mut above = HashMap::new();
        // Breadth first, so that the way that is shown is a shortest one.
        let mut open: VecDeque<ComputedRoot> = roots.iter().map(|root| root.root.clone()).collect();
        while let Some(root) = open.pop_front() {
            for below in config.computed_roots(&root.repository) {
                // Only the first way to a root is kept, which makes it a shortest one.
                if !places.contains_key(&below.root) {
                    places.insert(below.root.clone(), below.clone());
                    above.insert(below.root.clone(), root.clone());
                    open.push_back(below.root.clone());
                }
            }
        }
        Dependents { places, above }
    }

    /// A problem of a root at its place in the configuration, with the steps that led there.
    fn located(&self, root: &ComputedRoot, problem: Diagnostic) -> Diagnostic {
        let Some(place) = self.places.get(root) else { return problem };
        let mut problem = problem.below(&format!("While materializing {root}:"));
        let note = format!("it is needed for the {}, which is {}", place.what, shown(root));
        problem = match problem.location.is_none() {
            true => {
                let note = format!("the {} is {}", place.what, shown(root));
                problem.at(place.place.clone()).note(note)
            }
            false => problem.note(taut_syntax::Note::at(note, place.place.clone())),
        };
        // From the inside out: the reference's text nests each step in the one above it, and our
        // notes follow the same order.
        let mut below = root;
        while let Some(above) = self.above.get(below) {
            problem = problem.below(&format!("While materializing {above}:"));
            let place = &self.places[above];
            let note = format!("which is needed for the {}: {}", place.what, shown(above));
            problem = problem.note(taut_syntax::Note::at(note, place.place.clone()));
            below = above;
        }
        problem.below("While materializing top-level computed roots:")
    }
}

impl From<RootsFailed> for SetupError {
    fn from(failed: RootsFailed) -> SetupError {
        let mut problems = failed.problems.iter().cloned();
        match problems.next() {
            // A set-up error has one main problem; the others are attached to it.
            Some(problem) if !failed.is_stopped => SetupError {
                others: problems.collect(),
                has_lost_roots: failed.has_lost_roots,
                failure: SetupFailure::Roots,
                ..SetupError::from(problem)
            },
            _ => SetupError::reported(),
        }
    }
}
