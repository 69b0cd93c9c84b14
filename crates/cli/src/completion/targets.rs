//! Names of targets and files, as they are typed.
//!
//! Only directories are listed, and one targets file is read: that of the module in the word, or else of the module of
//! the working directory. So this takes the same short time in every workspace.

use std::{collections::BTreeMap, path::Path};

use taut_driver::find_workspace_root;
use taut_syntax::json::{Dialect, Document, Kind, Node};
use taut_sys::{Dir, FileKind, Named};
use taut_value::path::{join, normal_path};

use super::{Candidate, repositories::Description};

/// What a word may become in a call in a directory, with the values of its options; and some that does not begin like
/// it.
pub(super) fn candidates(word: &str, cwd: &Path, values: &BTreeMap<&str, String>) -> Vec<Candidate> {
    let Some(word) = word.strip_prefix('@') else {
        return NameContext::of(cwd, values).map(|place| place.candidates(word)).unwrap_or_default();
    };
    let Some(description) = Description::of(cwd, values) else { return Vec::new() };
    let bindings = description.bindings().into_iter();
    let Some((local, path)) = word.split_once("//") else {
        return bindings.map(|(local, _)| Candidate::new(format!("@{local}//"), "repository")).collect();
    };
    let name = bindings.into_iter().find_map(|(known, name)| (known == local).then_some(name));
    // Of a repository that is not a directory no more is known without its contents.
    let Some((root, file)) = name.and_then(|name| description.directory(&name)) else {
        return vec![Candidate::new(format!("@{local}//..."), "all targets")];
    };
    let Ok(root) = Dir::of_user(&root) else { return Vec::new() };
    let found = NameContext { root, file, cwd: String::new() }.candidates(&format!("//{path}"));
    found.into_iter().map(|found| Candidate { text: format!("@{local}{}", found.text), ..found }).collect()
}

/// Whether a word names a target, or is a pattern of targets below a directory that exists.
pub(super) fn is_target(word: &str, cwd: &Path) -> bool {
    let values = BTreeMap::new();
    if !word.starts_with('@')
        && let Some(path) = word.strip_suffix("...")
    {
        let is_directory = |place: NameContext| {
            Named::stat(&place.root.path().join(path.trim_start_matches("//")))
                .is_ok_and(|stat| stat.is_dir())
        };
        return NameContext::of(cwd, &values).is_some_and(is_directory);
    }
    candidates(word, cwd, &values).iter().any(|one| one.text == word && one.help != FILE && !one.is_open())
}

/// What files are.
const FILE: &str = "file";

/// Where names are looked up.
struct NameContext {
    /// The workspace root, open.
    root: Dir,
    /// The name of targets files.
    file: String,
    /// The working directory below the root.
    cwd: String,
}

impl NameContext {
    /// The place of a call in a directory, with the values of its options; `None` if there is no workspace.
    fn of(cwd: &Path, values: &BTreeMap<&str, String>) -> Option<NameContext> {
        let root = match values.get("workspace_root") {
            Some(root) => cwd.join(root),
            None => find_workspace_root(cwd).ok()?,
        };
        let targets = values.get("target_root").map_or(root.clone(), |root| cwd.join(root));
        let below = |root: &Path| -> Option<String> {
            let (cwd, root) = (taut_sys::canonical(cwd).ok()?, taut_sys::canonical(root).ok()?);
            Some(cwd.strip_prefix(root).ok()?.to_str()?.to_owned())
        };
        Some(NameContext {
            root: Dir::of_user(&targets).ok()?,
            file: values.get("target_file_name").cloned().unwrap_or_else(|| "TARGETS".to_owned()),
            // Outside of the workspace, names are those of the root module.
            cwd: below(&root).unwrap_or_default(),
        })
    }

    /// What a word may become, and some that does not begin like it.
    fn candidates(&self, word: &str) -> Vec<Candidate> {
        if let Some((module, _)) = word.split_once(':') {
            let path = module.strip_prefix("//").unwrap_or(module);
            let named = |(name, help)| Candidate::new(format!("{module}:{name}"), help);
            return self.targets(path).into_iter().map(named).collect();
        }
        let (lead, path) = match word.strip_prefix("//") {
            Some(path) => ("//", path),
            None => ("", word),
        };
        let (above, begun) = path.split_at(path.rfind('/').map_or(0, |at| at + 1));
        let mut found = self.modules(lead, above, begun);
        if !above.is_empty() || !lead.is_empty() || begun.starts_with('.') {
            found.push(Candidate::new(format!("{lead}{above}..."), "all targets below"));
        }
        if lead.is_empty() {
            found.extend(self.files(above, begun));
        }
        if word == begun {
            let here = self.targets(&self.module()).into_iter();
            found.extend(here.map(|(name, help)| Candidate::new(name, help)));
        }
        found
    }

    /// Modules, and directories that may have some, by their path from the root.
    fn modules(&self, lead: &str, above: &str, begun: &str) -> Vec<Candidate> {
        let mut found = Vec::new();
        // A module is named by its path from the root, so such a word can only be a path of a file.
        if above.starts_with("./") || above.starts_with("../") {
            return found;
        }
        for (name, kind) in self.list(above, begun) {
            if kind == FileKind::Directory {
                if self.has_targets(&format!("{above}{name}")) {
                    found.push(Candidate::new(format!("{lead}{above}{name}:"), "module"));
                }
                found.push(Candidate::new(format!("{lead}{above}{name}/"), ""));
            }
        }
        found
    }

    /// Files and directories, by their path from the working directory.
    fn files(&self, above: &str, begun: &str) -> Vec<Candidate> {
        let listed = self.list(&join(&self.cwd, above), begun).into_iter();
        listed
            .filter(|(name, _)| *name != self.file)
            .map(|(name, kind)| match kind {
                FileKind::Directory => Candidate::new(format!("{above}{name}/"), ""),
                _ => Candidate::new(format!("{above}{name}"), FILE),
            })
            .collect()
    }

    /// The module that the working directory is in.
    fn module(&self) -> String {
        let mut module = self.cwd.as_str();
        // As a build finds it: the nearest directory upwards with a targets file.
        while !module.is_empty() && !self.has_targets(module) {
            module = module.rsplit_once('/').map_or("", |(above, _)| above);
        }
        module.to_owned()
    }

    fn has_targets(&self, module: &str) -> bool {
        let stat = |path: &Path| Named::stat(&self.root.path().join(path));
        stat(&Path::new(module).join(&self.file)).is_ok_and(|stat| stat.is_file())
    }

    /// What in a directory begins in a way, by the path of the directory from the root. Hidden names have to be begun.
    fn list(&self, path: &str, begun: &str) -> Vec<(String, FileKind)> {
        let path = normal_path(path);
        // A path that leads out of the workspace is one of files elsewhere.
        let listed = Dir::of_user(&self.root.path().join(&*path)).and_then(|directory| directory.list());
        let listed = listed.unwrap_or_default().into_iter();
        let named = listed.filter_map(|(name, kind)| Some((name.into_string().ok()?, kind)));
        named
            .filter(|(name, _)| name.starts_with(begun) && (begun.starts_with('.') || !name.starts_with('.')))
            .collect()
    }

    /// The targets of a module, each with its type.
    fn targets(&self, module: &str) -> Vec<(String, String)> {
        let path = self.root.path().join(module).join(&self.file);
        let read = Named::read(&path)
            .ok()
            // A file that is being edited is often malformed for a moment: then nothing is offered,
            // and no error is shown.
            .and_then(|content| Document::parse_as(Dialect::Extended, "", content).ok());
        let Some(document) = read.filter(|document| document.root().kind() == Kind::Object) else {
            return Vec::new();
        };
        let named = document.root().entries().filter(|(name, _)| is_typed_plainly(name));
        named.map(|(name, target)| (name.to_owned(), type_of(target).unwrap_or_default())).collect()
    }
}

/// Whether a name can be typed behind a colon as it is.
fn is_typed_plainly(name: &str) -> bool {
    // Such a name would be read as another one; it can be typed in the long form only.
    !name.is_empty() && !name.contains(':') && !name.starts_with('"')
}

/// The type of a target in a few words: `cc library` for `["@", "std", "cc", "library"]`.
fn type_of(target: Node<'_>) -> Option<String> {
    let rule = target.get("type")?;
    if let Some(name) = rule.as_str() {
        return Some(name.to_owned());
    }
    let words: Vec<&str> = rule.as_list()?.filter_map(Node::as_str).collect();
    let words = match &words[..] {
        ["@", _, rest @ ..] => rest,
        all => all,
    };
    Some(words.join(" ").trim().to_owned())
}
