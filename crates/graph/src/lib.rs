//! Action graphs: the definitions of actions, trees and contents.
//!
//! While taut runs, a definition is an interned content of the engine ([`Definition`]): the task that makes it mentions
//! it, and tasks that need it ask for it by name. In files, a graph is JSON ([`NamedGraph`], [`ActionGraph`]).

mod definition;
mod graph;
mod loaded;
mod read;
mod write;

pub use definition::{Definition, DefinitionKey, Kind};
pub use graph::{ActionGraph, GraphAction, NamedGraph, Origin};
pub use loaded::{LoadedGraph, LoadedGraphRule};
pub use read::GraphError;
