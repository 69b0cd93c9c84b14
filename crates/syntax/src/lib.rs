//! JSON with source spans, and the diagnostics that point into it.
//!
//! What this crate does not know: the meaning of the JSON, the origin of files, and the terminal (it renders
//! diagnostics into strings and prints nothing).

pub mod diagnostic;
pub mod json;
mod quote;
mod seen_from;

pub use diagnostic::{
    Diagnostic, Diagnostics, Frame, Location, LocationPart, NEXT_MESSAGE, Note, Severity, Sources,
    containing, did_you_mean,
};
pub use json::{Dialect, Document, Duplicate, JsonPath, Kind, Node, PathStep, Span, SyntaxError};
pub use quote::{Quoted, enumeration, named, quoted, quoted_list, with_and};
pub use seen_from::seen_from;
