//! A multi-repository description: a file `repos.json`, as `just-mr-repository-config(5)` has it.
//!
//! It says where the contents of each repository come from; a ready configuration (`just-repository-config(5)`) says
//! where they are. What a repository is made from is read when it is needed (`parse.rs`), since only the
//! repositories that the main one reaches have to be right.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use taut_expr::json_to_value;
use taut_syntax::{
    Diagnostic, Dialect, Document, Kind, Location, Node, did_you_mean, json::reference_error, quoted,
};
use taut_sys::Named;

use crate::problem::{Problem, meant, missing, place, text};

/// A description of repositories, with the places of everything in its file.
#[derive(Debug)]
// The document is kept and read on demand: of a description with thousands of repositories, a call reaches few.
pub struct Description {
    document: Arc<Document>,
    path: PathBuf,
    base: PathBuf,
    absent: Option<BTreeSet<String>>,
    /// The repositories that need no description.
    provided: BTreeSet<String>,
    /// Where chains of repositories that are made from others end that were followed so far (`last_of`).
    // Chains share their ends: without it a description of one long chain takes quadratic time.
    last: Mutex<HashMap<String, Arc<str>>>,
    /// What was probably meant by names that are not described.
    // Thousands of repositories may refer to one such name, and each search looks at all names.
    meant: Mutex<HashMap<String, Option<Arc<str>>>>,
}

/// How many unknown names get a suggestion.
// Each is compared with all names of the description, which may have thousands of both.
const MAX_GUESSES: usize = 100;

/// The keys of the layers of a repository: what they name is another repository, whose root is taken.
pub(crate) const LAYERS: [&str; 3] = ["target_root", "rule_root", "expression_root"];

/// The keys that a configuration has from the description as they are.
pub(crate) const TAKEN_OVER: [&str; 4] =
    ["bindings", "target_file_name", "rule_file_name", "expression_file_name"];

impl Description {
    /// Reads a description that is written in a dialect. Relative directories in it are relative to `base`; `absent` is
    /// a file with a list of the repositories that are absent, which then are these and no others.
    ///
    /// # Errors
    /// A file cannot be read, is not JSON, or has another form.
    pub fn read(
        dialect: Dialect,
        path: &Path,
        base: &Path,
        absent: Option<&Path>,
    ) -> Result<Description, Problem> {
        let shown = path.display();
        let content = Named::read(path).map_err(|error| {
            let message = match error.is_not_found() {
                true => format!("there is no repository description {shown}"),
                false => format!("the repository description cannot be read: {error}"),
            };
            Diagnostic::error(message).reference(format!("Cannot read config file {shown}."))
        })?;
        Description::of(dialect, Description::parse(dialect, path, content)?, path, base, absent)
    }

    /// The same of a document that was read from the file.
    ///
    /// # Errors
    /// The list of absent repositories cannot be read, or has another form.
    pub fn of(
        dialect: Dialect,
        document: Arc<Document>,
        path: &Path,
        base: &Path,
        absent: Option<&Path>,
    ) -> Result<Description, Problem> {
        let absent = absent.map(|path| read_absent(dialect, path)).transpose()?;
        let (path, base, provided) = (path.to_owned(), base.to_owned(), BTreeSet::new());
        Ok(Description {
            document,
            path,
            base,
            absent,
            provided,
            last: Mutex::default(),
            meant: Mutex::default(),
        })
    }

    /// The description where a repository of this name is there without being described: that of the rules in the
    /// binary. One that is described is that.
    pub fn with_provided(mut self, name: &str) -> Description {
        self.provided.insert(name.to_owned());
        self
    }

    /// Whether there is something about a repository of this name.
    pub(crate) fn describes(&self, name: &str) -> bool {
        self.repositories().is_ok_and(|all| all.get(name).is_some())
    }

    /// Whether a repository is there though it is not described.
    pub(crate) fn is_provided(&self, name: &str) -> bool {
        // Described repositories have priority, so that adding one to the binary never changes a description.
        self.provided.contains(name) && !self.describes(name)
    }

    /// Parses the text of a description.
    ///
    /// # Errors
    /// It is not a JSON object.
    pub fn parse(dialect: Dialect, path: &Path, content: Vec<u8>) -> Result<Arc<Document>, Problem> {
        let shown = path.display();
        let document =
            Document::parse_as(dialect, path.to_string_lossy(), content.clone()).map_err(|error| {
                let step = format!("Parsing config file {shown} failed with error:");
                Diagnostic::from(error).reference(reference_error(&content)).below(&step)
            })?;
        // Checked here: look-ups by key in another value find nothing, and would be reported as something else.
        if document.root().kind() != Kind::Object {
            let message = "a repository description is a JSON object";
            let reference = format!("Config file {shown} does not contain a JSON object.");
            return Err(Diagnostic::error(message).reference(reference).at(place(document.root())).into());
        }
        Ok(Arc::new(document))
    }

    /// Whether JSON is a description of repositories, and no ready configuration: one of its repositories has the key
    /// `repository`, which no configuration has. Both words may be misspelt, so that it is reported as what it is meant
    /// to be.
    pub fn is_description(document: &Document) -> bool {
        let root = document.root();
        let is = |key: &str, word: &str| key == word || meant(key, [word]).is_some();
        let has_source = |entry: Node<'_>| entry.entries().any(|(key, _)| is(key, "repository"));
        // The right key has precedence over one that looks like it.
        let all = root
            .get("repositories")
            .or_else(|| root.entries().find(|(key, _)| is(key, "repositories")).map(|(_, all)| all));
        all.is_some_and(|all| all.entries().any(|(_, entry)| has_source(entry)))
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What relative directories are relative to.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The document.
    pub fn document(&self) -> &Arc<Document> {
        &self.document
    }

    /// The repositories, as they are written.
    ///
    /// # Errors
    /// There are none, or they are not a map.
    pub fn repositories(&self) -> Result<Node<'_>, Problem> {
        let root = self.document.root();
        let Some(all) = root.get("repositories") else {
            let problem = Diagnostic::error("the description has no \"repositories\"")
                .reference("Config: Mandatory key \"repositories\" missing");
            return Err(missing(problem, root, "repositories")
                .help("\"repositories\": {\"\": {\"repository\": {\"type\": \"file\", \"path\": \".\"}}}")
                .into());
        };
        if all.kind() != Kind::Object {
            return Err(Diagnostic::error("\"repositories\" is a map from names to descriptions")
                .reference("Config: Value for key \"repositories\" is not a map")
                .at(place(all))
                .into());
        }
        Ok(all)
    }

    /// The names of all repositories, in the order of their bytes.
    ///
    /// # Errors
    /// As for [`Description::repositories`].
    pub fn names(&self) -> Result<Vec<&str>, Problem> {
        Ok(self.repositories()?.entries().map(|(name, _)| name).collect())
    }

    /// The main repository that the description names, if it names one.
    ///
    /// # Errors
    /// It is not a string.
    pub fn main(&self) -> Result<Option<&str>, Problem> {
        let Some(main) = self.document.root().get("main").filter(|main| !main.is_null()) else {
            return Ok(None);
        };
        main.as_str().map(Some).ok_or_else(|| {
            let reference = format!("Unsupported value {} for field \"main\" in configuration.", text(main));
            let problem = Diagnostic::error("\"main\" is the name of a repository, a string");
            problem.reference(reference).at(place(main)).into()
        })
    }

    /// The entry of a repository.
    ///
    /// # Errors
    /// It does not exist, or it is not an object.
    pub fn entry(&self, name: &str) -> Result<Node<'_>, Problem> {
        let all = self.repositories()?;
        let Some(entry) = all.get(name) else {
            return Err(self.unknown(name));
        };
        if entry.kind() != Kind::Object {
            return Err(Diagnostic::error(format!(
                "the description of repository {} is not an object",
                quoted(name)
            ))
            .reference(format!("Config: Config entry for repository {} is not a map", quoted(name)))
            .at(place(entry))
            .into());
        }
        Ok(entry)
    }

    /// The error for a repository that is not described. It is located at the main repository's name, if that is the
    /// one, else at `repositories`. A caller that knows the place of the name sets that.
    pub(crate) fn unknown(&self, name: &str) -> Problem {
        let root = self.document.root();
        let known = root.get("repositories");
        let label = self.document.label().clone();
        let main = root.get("main").filter(|main| main.as_str() == Some(name));
        // The most specific place that is known to name it.
        let at = match (main, known) {
            (Some(main), _) => place(main),
            (None, Some(all)) => Location::key(label, all.path()),
            (None, None) => Location::file(label),
        };
        Diagnostic::error(format!("there is no repository {} in the description", quoted(name)))
            .reference(format!("Config: Missing config entry for repository {}", quoted(name)))
            .at(at)
            .suggest(self.meant_by(name).as_deref())
            .into()
    }

    /// The described repository that was probably meant by a name that is not described.
    fn meant_by(&self, name: &str) -> Option<Arc<str>> {
        let mut meant = self.meant.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = meant.get(name) {
            return found.clone();
        }
        if meant.len() >= MAX_GUESSES {
            return None;
        }
        let known = self.document.root().get("repositories");
        let names = known.iter().flat_map(|all| all.entries()).map(|(name, _)| name);
        let found: Option<Arc<str>> = did_you_mean(name, names).map(Into::into);
        meant.insert(name.to_owned(), found.clone());
        found
    }

    /// The type of what a repository is made from, if it has one that is a string.
    ///
    /// # Errors
    /// The names of other repositories that it is made from lead to none.
    pub fn type_of(&self, name: &str) -> Result<Option<&str>, Problem> {
        let (_, node) = self.resolve(name)?;
        Ok(node.get("type").and_then(Node::as_str))
    }

    /// The place of what the entry of a repository itself says of its source, which may be the name of another one.
    pub(crate) fn place_of_source(&self, name: &str) -> Result<Location, Problem> {
        let entry = self.entry(name)?;
        Ok(place(entry.get("repository").unwrap_or(entry)))
    }

    /// The last repository to which the names lead that repositories have in place of a source, from this one on; in a
    /// cycle, the last before it begins again.
    fn last_of(&self, name: &str) -> Arc<str> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // A loop and not recursion: the chain is as long as the description makes it.
        let mut chain: Vec<&str> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut at = name;
        let end = loop {
            if let Some(end) = last.get(at) {
                break end.clone();
            }
            if let Some(begin) = places.get(at) {
                // The chain from here on is a cycle, in which each is the last of the one after it.
                let cycle = chain.split_off(*begin);
                let end: Arc<str> = cycle.last().copied().unwrap_or(at).into();
                let before = cycle.iter().copied().cycle().skip(cycle.len() - 1);
                last.extend(cycle.iter().zip(before).map(|(one, before)| ((*one).to_owned(), before.into())));
                break end;
            }
            places.insert(at, chain.len());
            chain.push(at);
            let next = self.named_source(at).and_then(Node::as_str);
            match next.filter(|next| self.repositories().is_ok_and(|all| all.get(next).is_some())) {
                Some(next) => at = next,
                None => break at.into(),
            }
        };
        last.extend(chain.into_iter().map(|name| (name.to_owned(), end.clone())));
        end
    }

    /// What the entry of a repository says of its source.
    fn named_source(&self, name: &str) -> Option<Node<'_>> {
        self.entry(name).ok()?.get("repository")
    }

    /// The object that describes the source of a repository, and the name of the repository that has it.
    pub(crate) fn resolve(&self, name: &str) -> Result<(String, Node<'_>), Problem> {
        let last = self.last_of(name);
        let at = &*last;
        let entry = match self.entry(at) {
            Err(problem) if at != name => {
                let why = format!("Description of repository {at} is not a map");
                return Err(self.resolving(name, *problem, &why));
            }
            other => other?,
        };
        let Some(source) = entry.get("repository").filter(|source| !source.is_null()) else {
            let problem = Diagnostic::error(format!("repository {} has no \"repository\"", quoted(at)));
            let problem = missing(problem, entry, "repository")
                .help("\"repository\": {\"type\": \"file\", \"path\": \"directory\"}");
            let is_missing = entry.get("repository").is_none();
            if at != name && is_missing {
                let why = format!("Key \"repository\" missing for repository {at}");
                return Err(self.resolving(name, problem, &why));
            }
            // Null and a missing key are two messages in the reference, of which the latter only counts for the
            // repository itself.
            let reference = match at == name && is_missing {
                true => format!("Config: Mandatory key \"repository\" missing for repository {}", quoted(at)),
                false => format!("Config: Repository {} resolves to a non-map description", quoted(name)),
            };
            return Err(problem.reference(reference).into());
        };
        let Some(next) = source.as_str() else {
            if source.kind() == Kind::Object {
                return Ok((at.to_owned(), source));
            }
            let message = format!(
                "what repository {} is made from is an object, or the name of another repository",
                quoted(at)
            );
            let reference = format!("Config: Repository {} resolves to a non-map description", quoted(name));
            return Err(Diagnostic::error(message).reference(reference).at(place(source)).into());
        };
        // Here rather than in the next step, where the place that names it is no longer known.
        if self.repositories()?.get(next).is_none() {
            let mut problem = self.unknown(next);
            problem.location = Some(place(source));
            let why = format!("ExpressionTypeError: Map does not contain key '{next}'.");
            return Err(self.resolving(name, *problem, &why));
        }
        let message = format!(
            "repository {} is made from itself: its \"repository\" leads back to {}",
            quoted(name),
            quoted(next)
        );
        let reference = format!("Config: Found cyclic dependency for repository {}", quoted(name));
        Err(Diagnostic::error(message).reference(reference).at(place(source)).into())
    }

    /// An error about a repository that another one is made from. The reference says why, and takes each of them for a
    /// cycle.
    fn resolving(&self, name: &str, problem: Diagnostic, why: &str) -> Problem {
        let reference = format!("Config: Found cyclic dependency for repository {}", quoted(name));
        problem
            .reference(reference)
            .after_message(&format!("Config: While resolving dependencies:\n{why}"))
            .note(format!("repository {} is made from what that is made from", quoted(name)))
            .into()
    }

    /// The whole description, as it is written.
    pub(crate) fn value(&self) -> taut_value::Value {
        json_to_value(self.document.root())
    }

    /// Whether a repository is absent by the file that lists them; `None` without such a file.
    pub(crate) fn absent(&self) -> Option<&BTreeSet<String>> {
        self.absent.as_ref()
    }
}

/// The names in a file of absent repositories.
fn read_absent(dialect: Dialect, path: &Path) -> Result<BTreeSet<String>, Problem> {
    let shown = path.display();
    let content = Named::read(path).map_err(|error| {
        Diagnostic::error(format!("the list of absent repositories cannot be read: {error}"))
            .reference(format!("Not file specifying the absent repositories: {shown}"))
    })?;
    let document = Document::parse_as(dialect, path.to_string_lossy(), content.clone()).map_err(|error| {
        let step = format!("Parsing absent-repos file {shown} failed with error:");
        Diagnostic::from(error).reference(reference_error(&content)).below(&step)
    })?;
    let root = document.root();
    let Some(names) = root.as_list() else {
        let reference =
            format!("Expected {shown} to contain a list of repository names, but found {}", root.source());
        let problem = Diagnostic::error("absent repositories are a list of names");
        return Err(problem.reference(reference).at(place(root)).into());
    };
    let name = |name: Node<'_>| {
        name.as_str().map(str::to_owned).ok_or_else(|| {
            let reference = format!(
                "Repositories names have to be strings, but found entry {} in {shown}",
                name.source()
            );
            let problem = Diagnostic::error("the name of a repository is a string");
            Problem::from(problem.reference(reference).at(place(name)))
        })
    };
    names.map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_was_meant_to_be_is_searched_once() {
        let (strict, path) = (Dialect::Strict, Path::new("repos.json"));
        let text = r#"{"repositories": {"main": {}, "zlib": {}}}"#;
        let document = Description::parse(strict, path, text.into()).unwrap();
        let description = Description::of(strict, document, path, Path::new("/"), None).unwrap();
        for _ in 0..3 {
            assert_eq!(description.unknown("zlb").suggestion.as_deref(), Some("zlib"));
            assert_eq!(description.unknown("else").suggestion, None);
        }
        let searched = description.meant.lock().unwrap();
        assert_eq!((searched.len(), searched["zlb"].as_deref(), &searched["else"]), (2, Some("zlib"), &None));
    }
}
