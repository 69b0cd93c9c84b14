//! Action graphs: what actions, trees and contents are defined as.
//!
//! While taut runs, a definition is a content of the engine ([`Definition`]): the task that defines it mentions it, and
//! every task that has to know it asks for it by name. In files, a graph is JSON ([`NamedGraph`], [`ActionGraph`]).

mod definition;
mod given;
mod graph;
mod read;
mod write;

pub use definition::{Definition, DefinitionKey, Kind};
pub use given::{GivenGraph, GivenGraphRule};
pub use graph::{ActionGraph, GraphAction, NamedGraph, Origin};
pub use read::GraphError;
