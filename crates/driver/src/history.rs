//! Why things ran: told in words, also by a later process.
//!
//! The engine logs each task it executed with the first thing that was different. That is told as events (`note.rs`),
//! which the event log keeps; from there a later process has it again ([`record`]), and follows it from an action down
//! to the file that was changed ([`mod@explain`]).

mod explain;
mod record;
mod report;
mod subject;

pub use explain::{Explanation, Question, explain};
pub use record::Why;
pub(crate) use record::{Done, Ended, How, Logged, Record};
pub(crate) use report::{ActionEnds, report};
pub use subject::Subject;
pub(crate) use subject::{below_roots, source_file};
