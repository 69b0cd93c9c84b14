//! Why things ran: kept beyond the process, told in words.
//!
//! The engine logs each task it executed with the first thing that was different. A build that executed
//! something leaves that log, in words ([`record`]), so that a later process can follow it from an action down
//! to the file that somebody changed ([`mod@explain`]).

mod explain;
mod note;
mod record;
mod subject;

pub use explain::{Explanation, Question, explain};
pub(crate) use note::{Ends, note};
pub(crate) use record::{Done, How, Record, Why};
pub use record::{Ended, History};
pub(crate) use subject::{Fingerprint, Subject, below_roots, source_file};
