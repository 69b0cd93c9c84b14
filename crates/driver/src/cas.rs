//! Requests about single objects of the store: put one in, take one out.
//!
//! Depth is data here too: directories and trees are walked with a stack of our own.

mod add;
mod archive;
mod lookup;

pub use add::{AddError, SpecialEntries, add};
pub use archive::write_archive;
pub use lookup::{PathEnd, PathLookup, below, listing, parse_object_id, size_in_object_id};
