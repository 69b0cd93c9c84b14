//! What the words of a command line mean, as a task: which targets they name, given the files of the workspace.
//!
//! So the files that are read for it (targets files, listings of directories) are leaves like any others. Each is
//! looked at once in a call, whether for the meaning of words or for analysis; and while they are unchanged, nothing is
//! read and no directory is searched.

use std::{path::Path, sync::Arc};

use taut_analysis::{NO_TARGETS_FILE, NamesRule, Workspace, module_file, no_workspace_root};
use taut_engine::{Cx, Fail, Hash, Key, Policy, Rule};
use taut_repos::{DirRule, Entry, FileRule, Listing, RepoConfig, Repository, RootName, RootPath};
use taut_syntax::json::{Document, Kind, reference_error};
use taut_syntax::{Diagnostic, JsonPath, Location, Note, quoted};
use taut_value::path::{is_non_upwards, join, normal_path};
use taut_value::{Decoder, Encoder, Id, NamedTarget, Str};

use crate::{
    SetupError, Targets,
    target_words::{TypedName, is_one_name, named, pattern, typed_name, unknown_repository},
    targets_below::{BelowKey, BelowRule},
};

/// The target that a call without words is about, in the nearest module that has one of this name.
const DEFAULT_TARGET_NAME: &str = "default";

/// Words that name targets, where they are read.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct WordsKey {
    /// The main repository, by its global name.
    pub(crate) main: Str,
    /// The words, without brackets.
    pub(crate) words: Vec<Str>,
    /// The working directory as a path from the root of the main repository, if it lies below.
    pub(crate) here: Option<Str>,
    /// The root of the main repository, if it is a directory and a word may be an absolute path below it.
    pub(crate) workspace: Option<Str>,
    /// Whether words have more forms than those of the reference.
    pub(crate) has_typed_names: bool,
}

impl WordsKey {
    /// The words.
    pub(crate) fn words(&self) -> Vec<String> {
        self.words.iter().map(Str::to_string).collect()
    }
}

impl Key for WordsKey {
    /// The main repository (*bytes*); the number of words and each (*bytes*); for the working directory and for the
    /// root a bool, whether there is one, and if so its path (*bytes*); a bool, whether words have more forms than
    /// those of the reference.
    fn encode(&self, out: &mut Vec<u8>) {
        let mut e = Encoder::new();
        e.bytes(self.main.as_bytes());
        e.number(self.words.len() as u64);
        self.words.iter().for_each(|word| e.bytes(word.as_bytes()));
        for path in [&self.here, &self.workspace] {
            e.bool(path.is_some());
            path.iter().for_each(|path| e.bytes(path.as_bytes()));
        }
        e.bool(self.has_typed_names);
        out.extend(e.finish());
    }

    fn decode(bytes: &[u8]) -> Option<WordsKey> {
        fn text(d: &mut Decoder<'_>) -> Option<Str> {
            Some(std::str::from_utf8(d.bytes()?).ok()?.into())
        }
        fn path(d: &mut Decoder<'_>) -> Option<Option<Str>> {
            if d.bool()? { text(d).map(Some) } else { Some(None) }
        }
        let mut d = Decoder::new(bytes);
        let main = text(&mut d)?;
        let words: Option<Vec<Str>> = (0..d.number()?).map(|_| text(&mut d)).collect();
        let (words, here, workspace, has_typed_names) = (words?, path(&mut d)?, path(&mut d)?, d.bool()?);
        d.is_done().then_some(WordsKey { main, words, here, workspace, has_typed_names })
    }
}

/// Finds the targets that words name.
pub(crate) struct WordsRule(pub(crate) Arc<Workspace>);

impl Rule for WordsRule {
    type Key = WordsKey;
    type Value = Arc<Targets>;
    const NAME: &'static str = "words";
    const VERSION: u32 = 1;

    fn policy(&self, _: &WordsKey) -> Policy {
        Policy::deep(4)
    }

    async fn value(&self, key: &WordsKey, cx: Cx) -> Result<Arc<Targets>, Fail> {
        let files = Files { cx: &cx, repositories: &self.0.repositories };
        let (module, is_at_module) = files.current_module(key.here.as_deref()).await;
        Reader { files, key, module, is_at_module }.targets().await.map(Arc::new)
    }

    fn content_hash(&self, _: &WordsKey, targets: &Arc<Targets>) -> Option<Hash> {
        Some(Hash(Id::of(encoded(targets)).0))
    }

    fn encode_value(&self, _: &WordsKey, targets: &Arc<Targets>) -> Option<Vec<u8>> {
        Some(encoded(targets))
    }

    fn decode_value(&self, _: &WordsKey, bytes: &[u8]) -> Option<Arc<Targets>> {
        let mut d = Decoder::new(bytes);
        let targets = Targets::decode(&mut d)?;
        d.is_done().then(|| Arc::new(targets))
    }
}

fn encoded(targets: &Targets) -> Vec<u8> {
    let mut e = Encoder::new();
    targets.encode(&mut e);
    e.finish()
}

/// The failure of words. It is not recorded: what is wrong is found again by the next call.
fn wrong(error: impl Into<SetupError>) -> Fail {
    Fail::transient(error.into())
}

/// The files by which words are understood.
struct Files<'c> {
    cx: &'c Cx,
    repositories: &'c RepoConfig,
}

impl Files<'_> {
    fn main(&self) -> &Repository {
        &self.repositories.repositories[&self.repositories.main]
    }

    fn targets_file(&self, module: &str) -> RootPath {
        let main = self.main();
        module_file(&main.target_root, module, &main.target_file_name)
    }

    /// Whether a module of the main repository has a targets file.
    async fn is_module(&self, module: &str) -> bool {
        // Without the content, which is not read if the file is as it was. One that cannot be read is there: the error
        // is for analysis to report.
        let hash = self.cx.hash_of::<FileRule>(self.targets_file(module)).await;
        !matches!(hash, Ok(Some(hash)) if FileRule::is_absence(hash))
    }

    /// The names of the targets of a module of the main repository; of a module without a targets file, or with one
    /// that is malformed, none.
    async fn names(&self, module: &str) -> Arc<[Str]> {
        if !self.is_module(module).await {
            return Arc::default();
        }
        self.cx.get::<NamesRule>(self.targets_file(module)).await.unwrap_or_default()
    }

    /// Whether there is a source file, or a link, at a path from the root.
    async fn is_file(&self, path: &str) -> bool {
        let path = normal_path(path);
        if !is_non_upwards(&path) {
            return false;
        }
        let (above, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let place = RootPath { root: self.main().workspace_root.name, path: above.into() };
        let Some(Ok(listing)) = self.cx.facets::<DirRule>(vec![place]).await.pop() else { return false };
        matches!(listing.at(Listing::facet_of(name)).get(name), Some(Entry::File | Entry::Symlink))
    }

    /// Whether there is no directory at a path from a root.
    async fn is_absent(&self, root: RootName, path: &str) -> bool {
        let listing = self.cx.get::<DirRule>(RootPath { root, path: path.into() }).await;
        listing.is_ok_and(|listing| matches!(*listing, Listing::Absent))
    }

    /// The module that a directory lies in: the nearest directory upwards that has a targets file; the root module if
    /// no directory has one. And whether it is the directory itself.
    async fn current_module(&self, here: Option<&str>) -> (Str, bool) {
        let Some(here) = here else { return (Str::default(), true) };
        let mut module = here;
        // From the bottom up, as for a build system that is called in a directory of its module; each test is a read
        // of this task.
        while !module.is_empty() && !self.is_module(module).await {
            module = module.rsplit_once('/').map_or("", |(above, _)| above);
        }
        (module.into(), module == here)
    }
}

/// Reads words.
struct Reader<'c> {
    files: Files<'c>,
    key: &'c WordsKey,
    /// The module that the working directory lies in.
    module: Str,
    /// Whether the working directory is that of the module, and not one below it.
    is_at_module: bool,
}

impl Reader<'_> {
    async fn targets(&self) -> Result<Targets, Fail> {
        let words = self.key.words();
        if !self.key.has_typed_names {
            return self.as_reference(&words).await.map(Targets::from);
        }
        match &words[..] {
            [] => self.without_words().await,
            // Without a look at any file: analysis finds out whether there is such a target, and
            // says so otherwise.
            [word] if self.is_plain(word) => Ok(self.in_module(word).into()),
            [word] => Ok(match self.one(word).await? {
                Some(targets) => targets,
                None => self.in_module(word).into(),
            }),
            several if is_one_name(several) => self.as_reference(several).await.map(Targets::from),
            // Two words are module and name to the reference; only where there is no such module they may be two
            // targets.
            [module, _] if self.is_module(module).await => self.as_reference(&words).await.map(Targets::from),
            several => self.several(several).await,
        }
    }

    /// Whether a word can only be a name in the module: a target, or a file beside its targets file.
    fn is_plain(&self, word: &str) -> bool {
        self.is_at_module && !word.contains(['/', ':']) && !word.ends_with("...")
    }

    /// Whether a word is a module, by its path from the root: one with a targets file. The root module always is.
    async fn is_module(&self, module: &str) -> bool {
        let module = normal_path(module);
        module == "." || (is_non_upwards(&module) && self.files.is_module(&module).await)
    }

    /// One target, by the forms that the reference has.
    async fn as_reference(&self, words: &[String]) -> Result<NamedTarget, Fail> {
        let repositories = self.files.repositories;
        match words {
            [] => self.first_target().await,
            [name] => Ok(self.in_module(name)),
            // On the command line a module may be written as a path from the root.
            [module, name] => Ok(self.main(module, name)),
            others => named(repositories, &self.module, others).map_err(wrong),
        }
    }

    fn main(&self, module: &str, name: &str) -> NamedTarget {
        NamedTarget::new(self.key.main.clone(), module, name)
    }

    fn in_module(&self, name: &str) -> NamedTarget {
        self.main(&self.module, name)
    }

    /// The target named `default` of the module, else all targets of the workspace.
    async fn without_words(&self) -> Result<Targets, Fail> {
        if self.files.main().target_root.source.is_absent() {
            return Ok(self.in_module("").into());
        }
        if self.files.names(&self.module).await.iter().any(|name| name.as_str() == DEFAULT_TARGET_NAME) {
            return Ok(self.in_module(DEFAULT_TARGET_NAME).into());
        }
        match self.below(BelowKey::all(&self.key.main)).await? {
            Some(all) => Ok(all),
            // The error says what is missing here.
            None => self.as_reference(&[]).await.map(Targets::from),
        }
    }

    /// All targets below a directory, if there is any.
    async fn below(&self, key: BelowKey) -> Result<Option<Targets>, Fail> {
        let repository = key.repository.clone();
        let below = self.files.cx.get::<BelowRule>(key).await?;
        Ok(Targets::new(below.targets(&repository)))
    }

    /// What one word names; `None` if it may only be the name of a target of the module, which analysis decides.
    async fn one(&self, word: &str) -> Result<Option<Targets>, Fail> {
        // What the module has under the whole word wins, so a word that `just` accepts has the same meaning here.
        if self.is_in_module(word).await {
            return Ok(Some(self.in_module(word).into()));
        }
        // A path with dots is one from the working directory, before it is anything else.
        if !is_canonical(word)
            && let Some(file) = self.file(word).await
        {
            return Ok(Some(file.into()));
        }
        if let Some(pattern) = pattern(word, &self.module) {
            return self.matching(word, &pattern).await.map(Some);
        }
        if let Some(typed) = typed_name(word) {
            let target = typed.target(self.files.repositories).map_err(wrong)?;
            return Ok(Some(target.into()));
        }
        match self.file(word).await {
            Some(file) => Ok(Some(file.into())),
            None => unknown_repository(word, self.files.repositories)
                .map_or(Ok(None), |problem| Err(wrong(problem))),
        }
    }

    /// Whether the module has a target of this name, or a file. Asked only for names that could be read in another way.
    /// A file has one name in its module, its path without dots: `./c.c` and `../c.c` name no file.
    async fn is_in_module(&self, name: &str) -> bool {
        self.files.names(&self.module).await.iter().any(|known| known.as_str() == name)
            || (is_canonical(name) && self.files.is_file(&join(&self.module, name)).await)
    }

    async fn matching(&self, word: &str, pattern: &TypedName) -> Result<Targets, Fail> {
        let begin = pattern.target(self.files.repositories).map_err(wrong)?;
        let (repository, directory) = (begin.repository.clone(), begin.module.clone());
        let is_all = directory.is_empty() && repository == self.key.main;
        let key = BelowKey { repository: repository.clone(), directory: directory.clone(), is_named: true };
        if let Some(found) = self.below(key).await? {
            return Ok(found);
        }
        // As if a target is named that is not there.
        let none = |problem: Diagnostic| wrong(SetupError::of_names(problem));
        if is_all {
            return Err(none(Diagnostic::error("No module of the workspace defines a target")));
        }
        let problem = Diagnostic::error(format!("No module has a target that matches {}", quoted(&word)));
        let root = self.files.repositories.repositories.get(&repository).map(|it| it.workspace_root.name);
        Err(none(match root {
            Some(root) if self.files.is_absent(root, &directory).await => {
                problem.note(format!("there is no directory {directory}"))
            }
            _ => problem,
        }))
    }

    /// Several words that are not a target name of the reference's: each names targets.
    async fn several(&self, words: &[String]) -> Result<Targets, Fail> {
        let mut all = Vec::new();
        let mut is_any_known = false;
        for word in words {
            let targets = self.one(word).await?;
            is_any_known |= targets.is_some();
            // As a single word: analysis decides, and says what is wrong with it.
            all.extend(targets.unwrap_or_else(|| self.in_module(word).into()).iter().cloned());
        }
        match Targets::new(all) {
            Some(all) if is_any_known => Ok(all),
            // No word is a target by itself, so they are one name, whose form the error explains.
            _ => self.as_reference(words).await.map(Targets::from),
        }
    }

    /// A source file by its path from the working directory, or in a module below by that from the root.
    async fn file(&self, word: &str) -> Option<NamedTarget> {
        let path = match Path::new(word).is_absolute() {
            true => {
                let workspace = self.key.workspace.as_deref()?;
                Path::new(word).strip_prefix(workspace).ok()?.to_str()?.to_owned()
            }
            false => join(self.key.here.as_deref()?, word),
        };
        let path = normal_path(&path);
        if !self.files.is_file(&path).await {
            return None;
        }
        // Of the nearest module upwards, so that a target of this name is preferred to the file.
        let (mut module, mut name) = path.rsplit_once('/').unwrap_or(("", &path));
        while !module.is_empty() && !self.files.is_module(module).await {
            module = module.rsplit_once('/').map_or("", |(above, _)| above);
            name = path[module.len()..].trim_start_matches('/');
        }
        Some(self.main(module, name))
    }

    /// The target that is meant if none is named: the first one, by the bytes of their names.
    async fn first_target(&self) -> Result<NamedTarget, Fail> {
        let Reader { files: Files { cx, repositories }, module, .. } = self;
        let main = self.files.main();
        if main.target_root.source.is_absent() {
            // What its first target is cannot be seen. The reference asks a service for this one.
            return Ok(NamedTarget::new(repositories.main.clone(), "", ""));
        }
        let directory = if module.is_empty() { "." } else { module.as_str() };
        // The reference's messages have the path with `.` for the root module.
        let name = format!("{directory}/{}", main.target_file_name);
        let place = self.files.targets_file(module);
        let file = place.full(&repositories.roots);
        // The file itself, not `NamesRule`: of a malformed file the error is to be reported here,
        // with its place.
        let content = (cx.get::<FileRule>(place.clone()).await)
            .map_err(|fail| wrong(SetupError::new(fail.to_string())))?;
        let Some(content) = content else {
            let problem = match self.files.is_absent(main.workspace_root.name, "").await {
                true => no_workspace_root(&main.workspace_root),
                false => {
                    let note = Note::at("looked for", Location::file(&*file.to_string_lossy()));
                    Diagnostic::error(NO_TARGETS_FILE).note(note).help(A_TARGETS_FILE)
                }
            };
            return Err(wrong(problem.reference(format!("Expected file at {name}."))));
        };
        let label: Arc<str> = file.to_string_lossy().into();
        let document =
            Document::parse_as(repositories.dialect, label.clone(), content.to_vec()).map_err(|error| {
                let step = format!("While searching for the default target in {name}:");
                let reference = format!("Failed to parse json with error {}", reference_error(&content));
                wrong(Diagnostic::from(error).reference(reference).below(&step))
            })?;
        if document.root().kind() != Kind::Object {
            let problem = Diagnostic::error(format!("Invalid content in target file {name}."));
            let problem = problem.at(Location::value(label, JsonPath::root()));
            return Err(wrong(problem.help(A_TARGETS_FILE)));
        }
        match document.root().entries().next() {
            // Entries are sorted by their bytes.
            Some((first, _)) => Ok(NamedTarget::new(repositories.main.clone(), module.clone(), first)),
            None => {
                let problem =
                    Diagnostic::error(format!("{} defines no targets", place.path)).help(A_TARGETS_FILE);
                Err(wrong(problem.reference(format!("Missing target descriptions in file {name}."))))
            }
        }
    }
}

/// Whether a word is a path as the names of files in a module are written: normal, and not upwards.
fn is_canonical(word: &str) -> bool {
    is_non_upwards(word) && normal_path(word) == word
}

const A_TARGETS_FILE: &str = "a file maps names to definitions: {\"name\": {\"type\": …}}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_specified() {
        let key = WordsKey {
            main: "r".into(),
            words: vec!["a:b".into(), "".into()],
            here: Some("d".into()),
            workspace: None,
            has_typed_names: true,
        };
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        assert_eq!(bytes, b"\x01r\x02\x03a:b\x00\x01\x01d\x00\x01");
        assert!((0..bytes.len()).all(|end| WordsKey::decode(&bytes[..end]).is_none()));
        assert_eq!(WordsKey::decode(&bytes), Some(key));
    }
}
