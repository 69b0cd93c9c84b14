//! Targets, rules and expressions files: parsed as a whole, but read entry by entry.
//!
//! The hash of an entry contains no spans, white space or documentation, so that formatting a file, changing one of its
//! entries, or changing documentation does not invalidate tasks that read another entry.

use std::sync::Arc;

use taut_engine::{Cx, Fail, Hash, Key, Part, Policy, Rule, Trace};
use taut_repos::{DirRule, Entry, FileRule, Listing, RootPath};
use taut_syntax::{
    Diagnostic, Diagnostics, Document, JsonPath, Kind, Location, Node, Note, Span, did_you_mean,
};
use taut_value::{Decoder, Encoder, Id, Str};

use crate::{
    Workspace,
    problem::{fail, once, settle},
};

/// Identifies a file with entries.
pub type ModuleKey = RootPath;

/// A parsed file.
#[derive(Debug)]
pub struct Module {
    document: Document,
}

/// One entry of a file.
#[derive(Clone, Debug)]
pub struct ModuleEntry {
    module: Arc<Module>,
    name: Str,
}

impl Module {
    /// The names of all entries, in byte order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.document.root().entries().map(|(name, _)| name)
    }

    /// The name of the file in messages.
    pub fn label(&self) -> &Arc<str> {
        self.document.label()
    }

    /// All entries: a map by name.
    pub fn json(&self) -> Node<'_> {
        self.document.root()
    }

    /// The location of the value at a path in the file.
    pub(crate) fn value_location(&self, path: JsonPath) -> Location {
        Location::value(self.label().clone(), path)
    }

    /// The location of the key that a path ends with.
    pub(crate) fn key_location(&self, path: JsonPath) -> Location {
        Location::key(self.label().clone(), path)
    }
}

impl ModuleEntry {
    /// The definition.
    pub fn json(&self) -> Node<'_> {
        self.module.document.root().get(&self.name).expect("an entry exists in its module")
    }

    /// The path of the definition in its file.
    pub fn path(&self) -> JsonPath {
        JsonPath::root().key(&*self.name)
    }

    /// Warnings about keys that occur twice: the entry's own key, and those within it.
    pub fn warnings(&self) -> Diagnostics {
        let document = &self.module.document;
        if document.duplicates().is_empty() {
            return Diagnostics::none();
        }
        // Of a key that is written twice the last definition counts, so its key is the place.
        let key = document.root().key_span(&self.name).expect("an entry exists in its module");
        let entry = Span { start: key.start, end: self.json().span().end };
        Diagnostic::of_duplicates(document, entry).collect()
    }

    /// Its name.
    pub fn name(&self) -> &Str {
        &self.name
    }

    /// The name of the file in messages.
    pub fn label(&self) -> &Arc<str> {
        self.module.label()
    }

    /// Line and column, from 1, of its name in the file.
    pub fn position(&self) -> (usize, usize) {
        let document = &self.module.document;
        let start = document.root().key_span(&self.name).map_or(0, |key| key.start as usize);
        // Counted when a message needs it: the position is in no hash and in no record.
        let before = &document.text()[..start];
        let line = before.rfind('\n').map_or(0, |end| end + 1);
        (before.matches('\n').count() + 1, before[line..].chars().count() + 1)
    }

    /// The location of the definition or one of its fields.
    pub fn location(&self, field: Option<&str>) -> Location {
        let path = self.path();
        match field {
            Some(field) => self.value_location(path.key(field)),
            None => self.key_location(path),
        }
    }

    /// The location of the value at a path in the file of this entry.
    pub(crate) fn value_location(&self, path: JsonPath) -> Location {
        self.module.value_location(path)
    }

    /// The location of the key that a path in the file of this entry ends with.
    pub(crate) fn key_location(&self, path: JsonPath) -> Location {
        self.module.key_location(path)
    }
}

/// For a module that does not exist, an existing one with a similar name.
async fn similar_module(place: &RootPath, cx: &Cx) -> Option<String> {
    let (module, _) = place.path.rsplit_once('/')?;
    let (parent, name) = module.rsplit_once('/').unwrap_or(("", module));
    let parent_place = RootPath { root: place.root, path: parent.into() };
    // A read like any other: if a directory appears there, the failure is invalidated, and its suggestion with it.
    let listing = cx.get::<DirRule>(parent_place).await.ok()?;
    let Listing::Entries(entries) = &*listing else { return None };
    // The directory is there, and lacks only the file: then no other one was meant.
    if entries.iter().any(|listed| listed.name.as_str() == name) {
        return None;
    }
    let directories = entries.iter().filter(|listed| listed.entry == Entry::Directory);
    let meant = did_you_mean(name, directories.map(|listed| listed.name.as_str()))?;
    Some(if parent.is_empty() { meant.to_owned() } else { format!("{parent}/{meant}") })
}

fn missing(place: &RootPath) -> String {
    format!("JSON file {} does not exist.", place.path)
}

/// The failure of a module as its dependents report it: `change` gets the error of a missing file, and a similar module
/// that exists, if there is one.
pub(crate) fn if_missing(
    failure: Fail,
    place: &RootPath,
    change: impl Fn(Diagnostic, Option<String>) -> Diagnostic,
) -> Fail {
    settle(failure, |mut diagnostic| {
        // By its text, since failures of modules are all diagnostics; one about another file has another path in it.
        if diagnostic.location.is_some() || diagnostic.message != missing(place) {
            return diagnostic;
        }
        let meant = diagnostic.suggestion.take();
        change(diagnostic, meant)
    })
}

/// Parses files. A missing file is an error.
pub struct ModuleRule(pub Arc<Workspace>);

impl Rule for ModuleRule {
    type Key = ModuleKey;
    type Value = Arc<Module>;
    const NAME: &'static str = "module";

    /// As many runs as the targets of the module keep: after switching back to an earlier content, the hashes of its
    /// entries are known.
    fn policy(&self, _: &RootPath) -> Policy {
        // Only hashes are kept: where a value is needed the text is parsed again, since messages need its spans.
        Policy::verifying(4)
    }

    async fn value(&self, place: &RootPath, cx: Cx) -> Result<Arc<Module>, Fail> {
        let label = || format!("file {}", place.label(&self.0.repositories.roots));
        self.parsed(place, cx).await.map_err(|failure| once(failure, label))
    }
}

impl ModuleRule {
    async fn parsed(&self, place: &RootPath, cx: Cx) -> Result<Arc<Module>, Fail> {
        let Workspace { repositories, .. } = &*self.0;
        let label = place.label(&repositories.roots);
        let Some(content) = cx.get::<FileRule>(place.clone()).await? else {
            let missing = Diagnostic::error(missing(place))
                .reference(missing(place))
                .note(Note::at("looked for", Location::file(label)));
            return Err(fail(missing.suggest(similar_module(place, &cx).await)));
        };
        let document =
            Document::parse_as(repositories.dialect, label, content.to_vec()).map_err(|error| {
                let reference = taut_syntax::json::reference_error(&content);
                let diagnostic = Diagnostic::from(error).reference(reference);
                fail(diagnostic.below(&format!("JSON file {} does not contain valid JSON:", place.path)))
            })?;
        if document.root().kind() != Kind::Object {
            let problem = Diagnostic::error(format!("JSON in {} is not an object.", place.path))
                .help("a file maps names to definitions: {\"name\": {\"type\": …}}");
            return Err(fail(
                problem.at(Location::value(place.label(&repositories.roots), JsonPath::root())),
            ));
        }
        Ok(Arc::new(Module { document }))
    }
}

/// The entry with a name, or its absence.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EntryPart(pub Str);

impl Key for EntryPart {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.0.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<EntryPart> {
        std::str::from_utf8(bytes).ok().map(|name| EntryPart(name.into()))
    }
}

impl Part for EntryPart {
    type Of = ModuleRule;
    type Value = Option<ModuleEntry>;
    const NAME: &'static str = "entry";

    fn project(&self, module: &Arc<Module>) -> Option<ModuleEntry> {
        let entry = || ModuleEntry { module: module.clone(), name: self.0.clone() };
        module.document.root().get(&self.0).map(|_| entry())
    }

    fn content_hash(&self, entry: &Option<ModuleEntry>) -> Hash {
        // No entry has this hash: SHA-256 is never zero in practice.
        let Some(entry) = entry else { return Hash::from(0) };
        let canonical = defining_hash(entry.json());
        // Warnings define nothing, but have to be reported again when they change.
        hash_with_messages(canonical, entry.warnings().iter().map(|warning| warning.message.as_str()))
    }
}

/// The names of the entries of files, in byte order. Unlike a part of a file, they are kept: a task that asks for those
/// of many files reads the files that changed.
pub struct NamesRule;

impl Rule for NamesRule {
    type Key = ModuleKey;
    type Value = Arc<[Str]>;
    const NAME: &'static str = "names";

    fn policy(&self, _: &RootPath) -> Policy {
        KEEP_VALUES
    }

    async fn value(&self, place: &RootPath, cx: Cx) -> Result<Arc<[Str]>, Fail> {
        Ok(cx.get::<ModuleRule>(place.clone()).await?.names().map(Str::from).collect())
    }

    fn content_hash(&self, _: &RootPath, names: &Arc<[Str]>) -> Option<Hash> {
        Some(Hash(Id::of(encoded(names)).0))
    }

    fn encode_value(&self, _: &RootPath, names: &Arc<[Str]>) -> Option<Vec<u8>> {
        Some(encoded(names))
    }

    fn decode_value(&self, _: &RootPath, bytes: &[u8]) -> Option<Arc<[Str]>> {
        let mut d = Decoder::new(bytes);
        let names = d.texts()?;
        d.is_done().then(|| names.into())
    }
}

/// The names as [`Encoder::texts`] writes them.
fn encoded(names: &[Str]) -> Vec<u8> {
    let mut e = Encoder::new();
    e.texts(names.iter());
    e.finish()
}

/// The hash of a definition with the messages of its warnings, each as the number of its bytes (eight, little endian)
/// and these; without warnings, that of the definition. The locations of warnings are not included, so re-formatting
/// changes no hash.
fn hash_with_messages<'m>(canonical: [u8; 32], messages: impl Iterator<Item = &'m str>) -> Hash {
    let mut pieces = canonical.to_vec();
    for message in messages {
        pieces.extend((message.len() as u64).to_le_bytes());
        pieces.extend(message.as_bytes());
    }
    Hash(if pieces.len() == canonical.len() { canonical } else { Id::of(pieces).0 })
}

/// The keys of documentation, by type of target. Rules and expressions have
/// documentation, too; it is left out where they are hashed with all their imports.
// By type, since in targets of user-defined rules a field may have any of these names.
const DOCUMENTATION_KEYS: [(&str, &[&str]); 2] =
    [("configure", &["doc"]), ("export", &["config_doc", "doc"])];

/// The hash of a definition without its documentation.
fn defining_hash(entry: Node<'_>) -> [u8; 32] {
    let is_object = entry.kind() == Kind::Object;
    let of_type = is_object.then(|| entry.get("type")).flatten().and_then(Node::as_str);
    let documentation = DOCUMENTATION_KEYS
        .iter()
        .find(|(name, _)| Some(*name) == of_type)
        .map(|(_, documentation)| *documentation);
    match documentation {
        None => entry.canonical_hash(),
        Some(documentation) => {
            // Marks the form, so that it is not mistaken for the hash of another definition.
            let mut pieces = b"without documentation".to_vec();
            for (key, value) in entry.entries().filter(|(key, _)| !documentation.contains(key)) {
                // Hashed keys all have the same length, so pieces need no separators.
                pieces.extend(Id::of(key).0);
                pieces.extend(value.canonical_hash());
            }
            Id::of(pieces).0
        }
    }
}

/// The policy of tasks whose value is expensive to compute and cheap to keep.
pub(crate) const KEEP_VALUES: Policy = Policy { trace: Trace::Constructive, ..Policy::verifying(4) };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_an_entry_with_warnings_is_stable() {
        let hash = |messages: &[&str]| Id(hash_with_messages([7; 32], messages.iter().copied()).0).to_hex();
        assert_eq!(hash(&[]), "07".repeat(32));
        assert_eq!(
            hash(&["key \"a\" occurs twice"]),
            "d5c039b15840307711d34a6cdbb9de9efcc33df80a40d8ebf96f51f4354a107b"
        );
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
    }
}
