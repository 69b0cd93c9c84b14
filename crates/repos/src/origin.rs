//! Where a configuration that was generated comes from: places in it are shown as places of what people wrote.
//!
//! Places are translated here, when they are recorded, and not when messages are printed. A warning is kept with the
//! run that gave it, but the generated file gets another path with each change of its content.

use std::{fmt, sync::Arc};

use taut_syntax::{Diagnostic, JsonPath, Location, LocationPart};

/// The description that a configuration was generated from.
#[derive(Clone)]
pub struct Origin(Arc<Written>);

/// Where a value of the configuration is written.
type Written = dyn Fn(&JsonPath) -> Location + Send + Sync;

impl Origin {
    /// `written`: the place in the description that determines a value of the configuration, by the value's path.
    pub fn new(written: impl Fn(&JsonPath) -> Location + Send + Sync + 'static) -> Origin {
        Origin(Arc::new(written))
    }

    /// The place in the description for one in the configuration.
    pub(crate) fn place(&self, generated: &Location) -> Location {
        match &generated.place {
            LocationPart::Value(path) | LocationPart::Key(path) => (self.0)(path),
            // The text of a file that no person has seen.
            LocationPart::File | LocationPart::Text(_) => (self.0)(&JsonPath::root()),
        }
    }

    /// A problem of the configuration, as one of the description.
    pub(crate) fn problem(&self, mut problem: Diagnostic) -> Diagnostic {
        let of_notes = problem.notes.iter_mut().filter_map(|note| note.location.as_mut());
        for location in problem.location.iter_mut().chain(of_notes) {
            *location = self.place(location);
        }
        problem
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", (self.0)(&JsonPath::root()))
    }
}
