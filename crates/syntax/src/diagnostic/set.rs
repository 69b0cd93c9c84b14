//! Sets of diagnostics that are merged at every target of a graph.
//!
//! A set is a shared tree of smaller sets, so that the cost of a merge is that of its parts, not of their elements: in
//! a chain of targets with a warning each, the set of every target contains those of all before it. Each diagnostic's
//! id is computed once, a union's from those of its parts; only showing them walks the tree, and visits each shared
//! part once. Rejected: flat lists, which take quadratic time and memory there.

use std::{collections::HashSet, fmt, hash::Hash, sync::Arc};

use sha2::{Digest, Sha256};

use super::{Diagnostic, Frame, Severity};

type Id = [u8; 32];

/// Several independent problems, in the order in which they were found, each once. Cheap to clone, to merge and to
/// compare; equal if they were merged from equal parts in the same way.
#[derive(Clone, Default)]
pub struct Diagnostics(Option<Arc<Node>>);

struct Node {
    id: Id,
    has_errors: bool,
    /// Whether the chain of one of them does not end at a target yet.
    unsettled: bool,
    /// Whether one of them has no location.
    has_no_location: bool,
    content: Content,
}

enum Content {
    One(Diagnostic),
    Many(Vec<Diagnostics>),
    /// Problems of dependencies, with a line above the reference's texts. The problems themselves are shared by all
    /// ways that lead to them, and occur once in the whole set, on the first way.
    Below(Arc<str>, Diagnostics),
}

/// A line above the texts of the reference, and those above it.
struct ReferenceLine {
    line: Arc<str>,
    above: Option<Arc<ReferenceLine>>,
}

impl Diagnostics {
    /// No problem.
    pub fn none() -> Diagnostics {
        Diagnostics(None)
    }

    /// Whether there is no problem.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// A hash by which sets are compared.
    pub fn id(&self) -> [u8; 32] {
        self.0.as_ref().map_or([0; 32], |node| node.id)
    }

    /// Whether one of them is an error. Takes constant time.
    pub fn has_errors(&self) -> bool {
        self.0.as_ref().is_some_and(|node| node.has_errors)
    }

    /// Whether one of them is not attributed to a target yet. Takes constant time.
    pub fn is_unsettled(&self) -> bool {
        self.0.as_ref().is_some_and(|node| node.unsettled)
    }

    /// Whether one of them has no location yet. Takes constant time.
    pub fn has_no_location(&self) -> bool {
        self.0.as_ref().is_some_and(|node| node.has_no_location)
    }

    /// The problems, each once, in the order in which they were found. Walks the whole set.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Diagnostic> + Clone {
        let mut found = Vec::new();
        self.walk(
            |_| true,
            |part| {
                if let Some(Node { content: Content::One(diagnostic), .. }) = part.0.as_deref() {
                    found.push(diagnostic);
                }
            },
        );
        found.into_iter()
    }

    /// The problems as [`Diagnostics::iter`] has them, with all lines above the texts of the reference.
    pub fn referenced(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let mut seen: HashSet<Id> = HashSet::new();
        let mut pending: Vec<(&Diagnostics, Option<Arc<ReferenceLine>>)> = vec![(self, None)];
        while let Some((part, above)) = pending.pop() {
            let Some(node) = part.0.as_deref() else { continue };
            if !seen.insert(node.id) {
                continue;
            }
            match &node.content {
                Content::Many(parts) => pending.extend(parts.iter().rev().map(|part| (part, above.clone()))),
                Content::Below(line, part) => {
                    let step = ReferenceLine { line: line.clone(), above };
                    pending.push((part, Some(Arc::new(step))));
                }
                Content::One(diagnostic) => {
                    let mut diagnostic = diagnostic.clone();
                    // From the innermost line outwards: each call of `below` adds a line on top.
                    let mut next = above;
                    while let Some(step) = next {
                        diagnostic = diagnostic.below(&step.line);
                        next = step.above.clone();
                    }
                    found.push(diagnostic);
                }
            }
        }
        found
    }

    /// The problems with one more line above the reference's texts. Takes time only for those that are not attributed
    /// to a target yet.
    #[must_use]
    pub fn below(&self, line: &str) -> Diagnostics {
        let Some(node) = self.0.as_deref() else { return Diagnostics::none() };
        // What is not attributed yet belongs to the current target: its texts get the line at once.
        // What is settled is shared, and only wrapped.
        if node.unsettled {
            let mut parts = Vec::new();
            self.walk(
                |node| node.unsettled,
                |part| {
                    parts.push(match part.0.as_deref() {
                        Some(Node { content: Content::One(diagnostic), unsettled: true, .. }) => {
                            diagnostic.clone().below(line).into()
                        }
                        _ => part.below(line),
                    });
                },
            );
            return Diagnostics::merge(&parts);
        }
        let mut hasher = Sha256::new();
        // The word keeps these ids apart from those of unions, which are hashes of ids only.
        hasher.update(b"below");
        hasher.update(line);
        hasher.update(node.id);
        Diagnostics(Some(Arc::new(Node {
            id: hasher.finalize().into(),
            has_errors: node.has_errors,
            unsettled: false,
            has_no_location: node.has_no_location,
            content: Content::Below(line.into(), self.clone()),
        })))
    }

    /// Visits, in order and each once, the single problems and those parts for which `open` is false.
    fn walk<'d>(&'d self, open: impl Fn(&Node) -> bool, mut visit: impl FnMut(&'d Diagnostics)) {
        let mut seen: HashSet<Id> = HashSet::new();
        let mut pending = vec![self];
        while let Some(part) = pending.pop() {
            let Some(node) = part.0.as_deref() else { continue };
            if !seen.insert(node.id) {
                continue;
            }
            match &node.content {
                // Reversed, as the last one pushed is visited first, and the order is that in which problems were
                // found.
                Content::Many(parts) if open(node) => pending.extend(parts.iter().rev()),
                Content::Below(_, part) if open(node) => pending.push(part),
                _ => visit(part),
            }
        }
    }

    /// All problems of several sets, each once, where it occurs first.
    pub fn merge<'a>(sets: impl IntoIterator<Item = &'a Diagnostics>) -> Diagnostics {
        let mut seen: HashSet<Id> = HashSet::new();
        let filled = sets.into_iter().filter(|set| !set.is_empty() && seen.insert(set.id()));
        let mut parts: Vec<Diagnostics> = filled.cloned().collect();
        // A union of one set is that set, so chains without problems of their own add no nodes.
        if parts.len() < 2 {
            return parts.pop().unwrap_or_default();
        }
        // The id of a union is the hash of its parts' ids: sets that were merged in another order count as
        // different, which at worst invalidates too much.
        let mut hasher = Sha256::new();
        parts.iter().for_each(|part| hasher.update(part.id()));
        Diagnostics(Some(Arc::new(Node {
            id: hasher.finalize().into(),
            has_errors: parts.iter().any(Diagnostics::has_errors),
            unsettled: parts.iter().any(Diagnostics::is_unsettled),
            has_no_location: parts.iter().any(Diagnostics::has_no_location),
            content: Content::Many(parts),
        })))
    }

    /// These problems with other names for files.
    #[must_use]
    pub fn with_files_named(&self, name: impl Fn(&Arc<str>) -> Arc<str>) -> Diagnostics {
        self.referenced().into_iter().map(|diagnostic| diagnostic.with_files_named(&name)).collect()
    }

    /// These problems with one more step of their chains.
    pub fn within(&self, frame: &Frame) -> Diagnostics {
        self.referenced().into_iter().map(|diagnostic| diagnostic.within(frame.clone())).collect()
    }

    /// The problems with a change to those that are not attributed to a target yet. Parts without such a problem are
    /// shared, and not visited.
    pub fn settle(&self, change: impl Fn(Diagnostic) -> Diagnostic) -> Diagnostics {
        let mut parts = Vec::new();
        self.walk(
            |node| node.unsettled,
            |part| {
                parts.push(match part.0.as_deref() {
                    Some(Node { content: Content::One(diagnostic), unsettled: true, .. }) => {
                        change(diagnostic.clone()).into()
                    }
                    _ => part.clone(),
                });
            },
        );
        Diagnostics::merge(&parts)
    }
}

impl Drop for Node {
    /// Without recursion, since chains of targets can have any length.
    fn drop(&mut self) {
        let parts = |node: &mut Node| match &mut node.content {
            Content::One(_) => Vec::new(),
            Content::Many(parts) => std::mem::take(parts),
            Content::Below(_, part) => vec![std::mem::take(part)],
        };
        let mut pending = parts(self);
        while let Some(Diagnostics(part)) = pending.pop() {
            // If threads drop the last references at the same time, exactly one of them gets the node.
            if let Some(mut node) = part.and_then(Arc::into_inner) {
                pending.append(&mut parts(&mut node));
            }
        }
    }
}

impl PartialEq for Diagnostics {
    fn eq(&self, other: &Diagnostics) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Diagnostics {}

impl Hash for Diagnostics {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Diagnostics {
        // Without the reference's text, which has the way to the problem: on several ways it is one problem.
        let mut bytes = Vec::new();
        match &diagnostic.reference {
            None => diagnostic.encode(&mut bytes),
            Some(_) => Diagnostic { reference: None, ..diagnostic.clone() }.encode(&mut bytes),
        }
        Diagnostics(Some(Arc::new(Node {
            id: Sha256::digest(bytes).into(),
            has_errors: diagnostic.severity == Severity::Error,
            unsettled: !diagnostic.is_settled(),
            has_no_location: diagnostic.location.is_none(),
            content: Content::One(diagnostic),
        })))
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(diagnostics: I) -> Diagnostics {
        let all: Vec<Diagnostics> = diagnostics.into_iter().map(Diagnostics::from).collect();
        Diagnostics::merge(&all)
    }
}
