//! How messages name targets.

use std::{
    borrow::Cow,
    sync::{Mutex, PoisonError},
};

use taut_driver::{Request, event::Origin};
use taut_value::{EntityName, Map, NamedTarget, Str, Value};

/// How many targets of a request messages name, if there are more.
const MAX_TARGETS: usize = 3;

/// How messages name targets: the main repository's without the repository.
#[derive(Default)]
// Set before most messages are written; the lock only lets any thread read it.
pub(crate) struct Names(Mutex<Str>);

impl Names {
    /// From now on, this is the main repository.
    pub(crate) fn set_main(&self, repository: &Str) {
        // Once the repositories are known, and again with each further request of the call: until then, messages name
        // targets in full.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = repository.clone();
    }

    /// The main repository.
    pub(crate) fn main(&self) -> Str {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A text in which names as JSON are replaced by what one types.
    pub(crate) fn in_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        taut_value::names_as_typed(text, &self.main())
    }

    /// A target as one types it.
    pub(crate) fn typed(&self, name: &EntityName, configuration: &Map) -> String {
        let main = self.main();
        let name = match name {
            EntityName::Named(named) if named.repository == main => {
                let local = NamedTarget::new(Str::default(), named.module.clone(), named.name.clone());
                EntityName::Named(local.with_reference(named.reference))
            }
            name => name.clone(),
        };
        taut_value::configured_as_typed(&name, configuration)
    }

    /// The targets of a request: all of a few, else the first ones and how many more there are; their configuration
    /// behind them.
    pub(crate) fn request(&self, request: &Request) -> String {
        let typed = |target: &NamedTarget| self.typed(&target.clone().into(), &Map::default());
        let targets = &request.targets;
        let more = targets.iter().len().saturating_sub(MAX_TARGETS);
        // One more takes no more space than the words about it.
        let shown = if more > 1 { MAX_TARGETS } else { MAX_TARGETS + 1 };
        let mut names = taut_driver::joined(targets.iter().take(shown).map(typed));
        if more > 1 {
            names += &format!(" and {more} more targets");
        }
        taut_value::configuration_as_typed(&request.configuration, &mut names);
        names
    }

    /// The same, without the configuration if that is a part of `known`.
    pub(crate) fn origin_within(&self, origin: &Origin, known: &Map) -> String {
        let is_known = |(name, value): (&Str, &Value)| {
            matches!(value, Value::Null) || known.get(name).is_some_and(|known| known == value)
        };
        if origin.config.iter().all(is_known) {
            return self.origin(&Origin { config: Map::default(), ..origin.clone() });
        }
        self.origin(origin)
    }

    /// A target that defines an action.
    pub(crate) fn origin(&self, origin: &Origin) -> String {
        match &origin.target {
            Value::Name(name) => self.typed(name, &origin.config),
            other => match named(other) {
                Some(named) => self.typed(&named.into(), &origin.config),
                None => self.in_text(&other.to_json()).into_owned(),
            },
        }
    }
}

/// A name as graph files have it: `["@", repository, module, name]`.
fn named(json: &Value) -> Option<NamedTarget> {
    let Value::List(items) = json else { return None };
    let items: Option<Vec<&Str>> = items.as_slice().iter().map(Value::as_str).collect();
    match items?[..] {
        [at, repository, module, name] if at.as_str() == "@" => {
            Some(NamedTarget::new(repository.clone(), module.clone(), name.clone()))
        }
        _ => None,
    }
}
