//! Why tasks were executed: as events of the build, and as explanations that a later process gives.
//!
//! The engine logs each executed task with the first read that differed. `report.rs` turns that into events, and the
//! event log records these. A later process reads them ([`record`]), and follows them from an action down to the
//! changed file ([`mod@explain`]).

mod explain;
mod record;
mod report;
mod subject;

pub use explain::{Explanation, Presentation, Question, Records, explain};
pub use record::RecordedReason;
pub(crate) use record::{ActionEnd, BuildEnd, EarlierRun, Logged, Record, RecordedTask};
pub(crate) use report::{ActionEnds, report};
pub use subject::Subject;
pub(crate) use subject::{below_roots, source_file};
