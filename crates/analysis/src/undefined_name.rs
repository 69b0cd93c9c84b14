//! Suggestions for a name that its module does not define: a target of that name in another module, or what a name in
//! the form of command lines means. Targets files do not have that form (`src/lib:geo`, `//src/lib:geo`, `:geo`,
//! `@std//cc:debug`).

use taut_engine::Cx;
use taut_repos::{DirRule, Entry, Listing, Repository, RootPath};
use taut_syntax::{did_you_mean, quoted_list};
use taut_value::path::{is_non_upwards, join, normal_path};
use taut_value::{NamedTarget, Str};

use crate::{ModuleRule, Workspace, module_file};

/// How many directories below a module are searched at most for a target that is not in it.
// The failure depends on each listing, so each costs a check in later builds.
const MAX_DIRECTORIES: usize = 200;

/// How many targets of a module are listed at most.
const MAX_LISTED: usize = 12;

/// What a name in the form of command lines may refer to.
#[derive(PartialEq, Eq, Debug)]
struct Interpretations<'n> {
    /// The local name of the repository.
    repository: Option<&'n str>,
    /// Modules and names, as paths from the root, likelier ones first.
    meant: Vec<(Str, &'n str)>,
}

/// The interpretations of a name in the form of command lines; none for a plain name.
fn interpretations<'n>(written: &'n str, module: &str) -> Interpretations<'n> {
    let (repository, rest) = match written.strip_prefix('@').and_then(|rest| rest.split_once("//")) {
        Some((repository, rest)) => (Some(repository), rest),
        None => (None, written),
    };
    // A name behind `@repository//` is always one from the root of that repository.
    let is_absolute = repository.is_some() || rest.starts_with('/');
    let rest = rest.trim_start_matches('/');
    let mut meant: Vec<(Str, &'n str)> = Vec::new();
    let mut add = |path: &str, name: &'n str| {
        let (root, here) = (normal_path(path), normal_path(&join(module, path)));
        let places = match (is_absolute, path.is_empty()) {
            (true, _) => vec![root],
            // `:name`, without a path, is of this module first; a path is one from the root first.
            (false, true) => vec![here, root],
            (false, false) => vec![root, here],
        };
        for place in places {
            let place: Str = if place == "." { Str::default() } else { place.as_str().into() };
            let is_inside = place.is_empty() || is_non_upwards(&place);
            if is_inside && !name.is_empty() && !meant.contains(&(place.clone(), name)) {
                meant.push((place, name));
            }
        }
    };
    match (rest.split_once(':'), rest.rsplit_once('/')) {
        (Some((path, name)), _) => add(path, name),
        (None, Some((above, name))) => {
            add(above, name);
            // The name of a module may mean the target of the same name in it.
            add(rest, name);
        }
        (None, None) if is_absolute => add(rest, rest),
        (None, None) => {}
    }
    Interpretations { repository, meant }
}

/// The target or file that was probably meant by an undefined name.
pub(crate) struct Suggestion {
    /// How a targets file of the module refers to it: a plain name, or a list in JSON.
    pub(crate) written: String,
    /// The target or file itself.
    target: NamedTarget,
    /// Whether the name is another form of the same name, and not only a similar one.
    pub(crate) is_same: bool,
}

/// Finds what was probably meant by an undefined name.
pub(crate) async fn suggested(workspace: &Workspace, cx: &Cx, named: &NamedTarget) -> Option<Suggestion> {
    let own = workspace.repository(&named.repository).ok()?;
    let Interpretations { repository, meant } = interpretations(&named.name, &named.module);
    let global = match repository {
        Some(local) => own.bindings.get(local)?,
        None => &named.repository,
    };
    let of = workspace.repository(global).ok()?;
    let written = |module: &str, name: &str| match repository {
        Some(local) => quoted_list(&["@", local, module, name]),
        None if module == named.module.as_str() => name.to_owned(),
        None => quoted_list(&[module, name]),
    };
    let found = |module: &str, name: &str, is_same: bool| {
        let target = NamedTarget::new(global.clone(), module, name);
        Some(Suggestion { written: written(module, name), target, is_same })
    };
    // A name that is there, at whichever place, before one that only resembles it.
    for (module, name) in &meant {
        if has(cx, of, module, name).await {
            return found(module, name, true);
        }
    }
    for (module, name) in &meant {
        let targets = targets(cx, of, module).await;
        if let Some(name) = did_you_mean(name, targets.iter().map(String::as_str)) {
            return found(module, name, false);
        }
    }
    // A name with a path says where it is meant to be, so other modules are not searched.
    if !meant.is_empty() || repository.is_some() {
        return None;
    }
    let name = named.name.as_str();
    for module in near(cx, own, &named.module).await {
        if targets(cx, own, &module).await.iter().any(|target| target == name) {
            return found(&module, name, false);
        }
    }
    None
}

/// The target that was probably meant by a name of neither a target nor a file.
pub async fn target_meant(workspace: &Workspace, cx: &Cx, named: &NamedTarget) -> Option<NamedTarget> {
    Some(suggested(workspace, cx, named).await?.target)
}

/// The suggestion for a target of a module that does not exist: the target of that name in a module with the same last
/// component (`src/lib` for `lib`).
pub(crate) async fn in_similar_module(workspace: &Workspace, cx: &Cx, named: &NamedTarget) -> Option<String> {
    let own = workspace.repository(&named.repository).ok()?;
    let last = |module: &str| module.rsplit('/').next().map(str::to_owned);
    let directory = last(&named.module)?;
    for module in near(cx, own, "").await {
        if last(&module).as_ref() == Some(&directory) && has(cx, own, &module, &named.name).await {
            return Some(quoted_list(&[module.as_str(), named.name.as_str()]));
        }
    }
    None
}

/// The words of a message between the path of a module and its targets.
pub const IS_MODULE: &str = " is a module; its ";

/// The message for a name that is the path of a module, with the targets of that module.
pub(crate) async fn if_module(workspace: &Workspace, cx: &Cx, named: &NamedTarget) -> Option<String> {
    let own = workspace.repository(&named.repository).ok()?;
    let path = named.name.trim_matches('/');
    let places = [normal_path(&join(&named.module, path)), normal_path(path)];
    for place in places.into_iter().filter(|place| is_non_upwards(place)) {
        let targets = targets(cx, own, &place).await;
        let shown = targets.iter().take(MAX_LISTED).map(|name| quoted_list(&[place.as_str(), name]));
        let shown = shown.collect::<Vec<_>>().join(", ");
        match targets.len() {
            0 => {}
            1 => return Some(format!("{place}{IS_MODULE}only target is {shown}")),
            2..=MAX_LISTED => return Some(format!("{place}{IS_MODULE}targets are {shown}")),
            all => {
                return Some(format!("{place}{IS_MODULE}targets are {shown} and {} more", all - MAX_LISTED));
            }
        }
    }
    None
}

/// The directories above a module, those below it, and those below the root: nearer ones first.
async fn near(cx: &Cx, repository: &Repository, module: &str) -> Vec<String> {
    let mut near: Vec<String> = Vec::new();
    let mut above = module;
    while !above.is_empty() {
        above = above.rsplit_once('/').map_or("", |(above, _)| above);
        near.push(above.to_owned());
    }
    near.extend(below(cx, repository, module).await);
    if !module.is_empty() {
        near.extend(below(cx, repository, "").await);
    }
    near
}

/// The directories below a module, level by level, without hidden ones.
async fn below(cx: &Cx, repository: &Repository, module: &str) -> Vec<String> {
    let mut found = vec![module.to_owned()];
    let mut next = 0;
    // Breadth first, so the limit cuts off what is far away.
    while next < found.len() && found.len() <= MAX_DIRECTORIES {
        let directory = found[next].clone();
        next += 1;
        let place = RootPath { root: repository.target_root.name, path: directory.as_str().into() };
        // Read through the engine: if a target appears there, the failure is invalidated and the message made anew.
        if let Ok(listing) = cx.get::<DirRule>(place).await
            && let Listing::Entries(entries) = &*listing
        {
            let inside = entries.iter().filter(|listed| listed.entry == Entry::Directory);
            let inside = inside.filter(|listed| !listed.name.starts_with('.'));
            found.extend(inside.map(|listed| normal_path(&join(&directory, &listed.name)).to_string()));
        }
    }
    found.truncate(MAX_DIRECTORIES);
    // Without the module itself.
    found.split_off(1)
}

/// The names of the targets of a module; none if there is no such module.
async fn targets(cx: &Cx, repository: &Repository, module: &str) -> Vec<String> {
    let file = module_file(&repository.target_root, module, &repository.target_file_name);
    let found = cx.get::<ModuleRule>(file).await;
    found.map(|module| module.names().map(str::to_owned).collect()).unwrap_or_default()
}

/// Whether a module has a target of a name, or a file that can be named in it.
async fn has(cx: &Cx, repository: &Repository, module: &str, name: &str) -> bool {
    let file = module_file(&repository.target_root, module, &repository.target_file_name);
    let Ok(found) = cx.get::<ModuleRule>(file).await else { return false };
    if found.names().any(|target| target == name) {
        return true;
    }
    // `../name` is a file of another module, which cannot be named so.
    if !is_non_upwards(name) {
        return false;
    }
    let path = normal_path(&join(module, name));
    let (directory, base) = path.rsplit_once('/').unwrap_or(("", &path));
    let place = RootPath { root: repository.workspace_root.name, path: directory.into() };
    let listing = cx.get::<DirRule>(place).await;
    listing.is_ok_and(|listing| matches!(listing.get(base), Some(Entry::File | Entry::Symlink)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_they_are_typed_lead_to_modules_and_names() {
        for (written, module, repository, meant) in [
            ("src/lib:geo", "test", None, &[("src/lib", "geo"), ("test/src/lib", "geo")][..]),
            ("//src/lib:geo", "test", None, &[("src/lib", "geo")]),
            (":geo", "test", None, &[("test", "geo"), ("", "geo")]),
            ("//:geo", "test", None, &[("", "geo")]),
            ("//src/lib", "test", None, &[("src", "lib"), ("src/lib", "lib")]),
            ("//lib", "test", None, &[("lib", "lib")]),
            ("../lib/a.h", "src/app", None, &[("src/lib", "a.h"), ("src/lib/a.h", "a.h")]),
            ("../../../a.h", "src/app", None, &[]),
            ("@std//cc:debug", "test", Some("std"), &[("cc", "debug")]),
            ("@std/cc/debug", "", None, &[("@std/cc", "debug"), ("@std/cc/debug", "debug")]),
            ("geo", "test", None, &[]),
            ("src/lib:", "test", None, &[]),
        ] {
            let expected: Vec<(Str, &str)> =
                meant.iter().map(|(module, name)| ((*module).into(), *name)).collect();
            assert_eq!(
                interpretations(written, module),
                Interpretations { repository, meant: expected },
                "{written}"
            );
        }
    }
}
