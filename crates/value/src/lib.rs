//! The values of the description language and the identities they carry.
//!
//! Values are immutable and shared. Two values are equal if and only if they are *defined* in the same way (intensional
//! equality); every value has an [`Id`], a SHA-256 Merkle hash, and values are compared by their ids. The recipes of
//! all ids are those of the reference (see the functions that compute them).
//!
//! What this crate does not know: how values are computed (`expr`), files, stores, and execution.
//!
//! Logical paths are text with rules of their own ([`path`]), shared by all code that stages artifacts.
//!
//! Depth is data: lists, maps, nodes and results can be nested arbitrarily deep, so hashing, printing and dropping
//! continue on a stack segment on the heap instead of overflowing the stack.

mod action;
mod artifact;
mod codec;
mod deep;
mod grisu;
mod id;
mod json;
mod json_order;
mod json_size;
mod list;
mod map;
mod name;
mod node;
mod number;
pub mod path;
mod string;
mod target_result;
mod tree;
mod typed_name;
mod value;

pub use action::ActionDescription;
pub use artifact::{Artifact, SharedArtifact};
pub use codec::{Decoder, Encoder};
pub use deep::deep;
pub use id::Id;
pub use json::{JsonMode, JsonWriter, escape_into, quoted};
pub use json_order::json_order;
pub use json_size::JsonSize;
pub use list::List;
pub use map::{Map, MapBuilder};
pub use name::{AnonymousTarget, EntityName, NamedData, NamedTarget, ReferenceType, normal_module_name};
pub use node::{AbstractNode, Node};
pub use number::format_number;
pub use string::Str;
pub use target_result::TargetResult;
pub use tree::{Tree, TreeOverlay};
pub use typed_name::{
    ID_PREFIX_DIGITS, as_typed, configuration_as_typed, configured_as_typed, configured_with_json,
    json_as_typed, named_as_typed, names_as_typed,
};
pub use value::Value;
