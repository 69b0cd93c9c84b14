//! The newest commits of branches: a description with other commits.

use std::{collections::BTreeMap, fmt};

use taut_fetch::{Cause, without_password};
use taut_syntax::{Diagnostic, Diagnostics, quoted};
use taut_value::{Map, Str, Value};

use crate::{
    description::Description, event::Event, newest::Branch, parse::Reader, problem::Problem,
    session::Session, source::Source,
};

impl Session<'_> {
    /// The text of a description in which some repositories have the newest commits of their branches, as the reference
    /// writes it.
    ///
    /// # Errors
    /// One is not described, is not of type `git`, or its branch cannot be asked for.
    pub fn update(&self, description: &Description, names: &[String]) -> Result<String, Diagnostics> {
        let one = |problem: Problem| -> Diagnostics { (*problem).into() };
        let mut value = description.value();
        // Without names the description is printed as it is, even if it has no repositories.
        if !names.is_empty() {
            description.repositories().map_err(one)?;
        }
        // First all names are checked, then servers are asked: a wrong name costs no waiting.
        let mut branches = BTreeMap::new();
        // The reference finds only when it has the new commits that an entry has no place for one.
        let mut without_place: Option<Diagnostic> = None;
        for name in names {
            let source = description.source_for(name, Reader::Update).map_err(one)?;
            let Source::Git(git) = &source.source else {
                let message = format!(
                    "repository {} is of type {}; only those of type \"git\" can be updated",
                    quoted(name),
                    quoted(source.source.type_name())
                );
                let reference =
                    format!("Config: Argument {} is not the name of a \"git\" type repository", quoted(name));
                return Err(Diagnostic::error(message).reference(reference).at(source.place()).into());
            };
            let (owner, _) = description.resolve(name).map_err(one)?;
            if owner != *name {
                let problem = of_another(name, &owner).at(description.place_of_source(name).map_err(one)?);
                if self.options.is_strict {
                    return Err(problem.into());
                }
                without_place.get_or_insert(problem);
            }
            branches.insert(name.clone(), (git.clone(), source));
        }
        if !names.is_empty() {
            self.observer.event(Event::Branches(names.len()));
        }
        let mut problems: Vec<Diagnostic> = Vec::new();
        let _running = self.cancellation.begin();
        let asked = branches.values().map(|(git, _)| Branch::of(git, description.base())).collect();
        let newest =
            self.newest(asked).map_err(|error| Diagnostics::from(Diagnostic::error(error.to_string())))?;
        for (name, (git, source)) in &branches {
            let branch = Branch::of(git, description.base());
            let url = &branch.url;
            match newest.get(&branch).expect("all of them were asked for") {
                Ok(commit) => value = with_commit(&value, name, &commit.to_hex()),
                Err(cause) => {
                    let message = not_determined(name, &git.branch, cause);
                    let problem = Diagnostic::error(message).at(source.field("repository"));
                    let why = match cause {
                        Cause::NotContained(_) => format!(
                            "While doing commit update via tmp repo:\nCould not find branch {} for remote {}",
                            git.branch,
                            without_password(&git.repository)
                        ),
                        cause => cause.to_string(),
                    };
                    let reference = format!("While updating commit from remote:\n{why}");
                    problems.push(problem.reference(reference).note(asked_at(url)));
                }
            }
        }
        problems.extend(without_place.filter(|_| problems.is_empty()));
        match problems.is_empty() {
            true => Ok(format!("{}\n", value.to_json_pretty(2))),
            false => Err(problems.into_iter().collect()),
        }
    }
}

/// The message about a branch whose newest commit is not known.
pub(crate) fn not_determined(repository: &str, branch: &str, cause: &dyn fmt::Display) -> String {
    let (of, branch) = (quoted(repository), quoted(branch));
    format!("the newest commit of branch {branch} for repository {of} cannot be determined: {cause}")
}

/// The note with the server that was asked for it.
pub(crate) fn asked_at(url: &str) -> String {
    format!("it was asked for at {}", without_password(url))
}

/// The error for a repository that is made from what another one is made from: the commit is written there.
fn of_another(name: &str, owner: &str) -> Diagnostic {
    let message = format!(
        "repository {} has no commit of its own: it is made from what repository {} is made from",
        quoted(name),
        quoted(owner)
    );
    let reference = "Updating configuration fields failed with:\n[json.exception.type_error.305] cannot use operator[] \
                     with a string argument with string";
    Diagnostic::error(message).reference(reference).help(format!("update {}", quoted(owner)))
}

/// A description in which one repository, which has a source of its own, has another commit.
fn with_commit(value: &Value, name: &str, commit: &str) -> Value {
    let with = |map: Option<&Value>, key: &str, value: Value| {
        let map = map.and_then(Value::as_map).cloned().unwrap_or_default();
        Value::Map(map.union(&Map::from_entries(vec![(Str::from(key), value)])))
    };
    fn get<'v>(value: Option<&'v Value>, key: &str) -> Option<&'v Value> {
        value?.as_map()?.get(key)
    }
    let repositories = get(Some(value), "repositories");
    let entry = get(repositories, name);
    let source = with(get(entry, "repository"), "commit", Value::string(commit));
    let entry = with(entry, "repository", source);
    let repositories = with(repositories, name, entry);
    with(Some(value), "repositories", repositories)
}
