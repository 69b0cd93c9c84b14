//! Action graphs: the definitions of actions, trees and contents.
//!
//! While taut runs, a definition is an interned content of the engine ([`Definition`]): the task that makes it mentions
//! it, and tasks that need it ask for it by name. Beside it is what is not part of it ([`Depfile`]). In files, a graph
//! is JSON ([`NamedGraph`], [`ActionGraph`]).

mod definition;
mod depfile;
mod graph;
mod loaded;
mod read;
mod write;

pub use definition::{Definition, DefinitionKey, Kind};
pub use depfile::Depfile;
pub use graph::{ActionGraph, GraphAction, NamedGraph, Origin};
pub use loaded::{LoadedGraph, LoadedGraphRule};
pub use read::GraphError;

/// Adds what tasks mention of a graph to an engine.
pub fn register(builder: taut_engine::Builder) -> taut_engine::Builder {
    builder.interned::<Definition>().interned::<Depfile>()
}
