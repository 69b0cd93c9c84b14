//! Where the user wrote what a configuration of repositories says that a set-up has made.

use std::sync::Arc;

use taut_syntax::{JsonPath, Location, Place, Step};

/// A configuration and the description that it was made from, by their names in messages.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    pub(crate) configuration: Arc<str>,
    pub(crate) description: Arc<str>,
}

impl Described {
    /// The place in the description that a place of the configuration was made from; any other place as it is.
    pub(super) fn place(&self, place: Location) -> Location {
        if place.file != self.configuration {
            return place;
        }
        let path = match &place.place {
            Place::Value(path) | Place::Key(path) => path.steps(),
            Place::File | Place::Text(_) => &[],
        };
        // The entry of a repository; a root is made from what the description says of the repository's source.
        let mut steps: Vec<Step> = path.iter().take(3).cloned().collect();
        if let Some(Step::Key(key)) = steps.get_mut(2)
            && &**key == "workspace_root"
        {
            *key = "repository".into();
        }
        Location::value(self.description.clone(), JsonPath::from_steps(steps))
    }
}
