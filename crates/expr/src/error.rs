//! Errors of evaluation: values that say what, where, and by which way.

use taut_syntax::{Diagnostic, Frame, Location, Note};
use taut_value::Value;

/// Who speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// The language: an expression is wrong.
    Language,
    /// The author of a rule, through `fail`, `assert`, `msg` or `context`, to the rule's users, who do
    /// not care for the expressions that led there.
    User,
}

/// Why an expression has no value. Deterministic.
#[derive(Clone, PartialEq, Debug)]
pub struct EvalError(Box<ErrorData>);

/// The parts of an [`EvalError`].
#[derive(Clone, PartialEq, Debug)]
pub struct ErrorData {
    /// Who speaks.
    pub kind: ErrorKind,
    /// What is wrong.
    pub message: String,
    /// Where: the innermost construct that failed.
    pub location: Option<Location>,
    /// What was probably meant.
    pub suggestion: Option<String>,
    /// What can be done about it.
    pub help: Vec<String>,
    /// The values of the variables there, if they could help: one line each.
    pub variables: Option<Vec<String>>,
    /// The loops and calls around it, innermost first; only so many of them.
    pub frames: Vec<Frame>,
    /// Values that clash, by what messages call them: whoever knows can say where they come from.
    pub involved: Vec<(String, Value)>,
    /// Whether frames are still added.
    pub(crate) traced: bool,
    /// How many loops and calls were left out.
    pub(crate) left_out: usize,
}

/// Frames that are kept. What is further out is told by the frames of rule, field and target, and
/// describing it would cost more with every level.
const INNERMOST: usize = 12;

impl EvalError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> EvalError {
        EvalError(Box::new(ErrorData {
            kind,
            message: message.into(),
            location: None,
            suggestion: None,
            help: Vec::new(),
            variables: None,
            frames: Vec::new(),
            involved: Vec::new(),
            traced: kind == ErrorKind::Language,
            left_out: 0,
        }))
    }

    /// An error of the language.
    pub(crate) fn plain(message: impl Into<String>) -> EvalError {
        EvalError::new(ErrorKind::Language, message)
    }

    /// An error for the user of a rule.
    pub(crate) fn user(message: impl AsRef<str>) -> EvalError {
        EvalError::new(ErrorKind::User, format!("UserError: {}", message.as_ref()))
    }

    /// The error at a place that is known better than by the construct that failed.
    pub(crate) fn at(mut self, location: Option<Location>) -> EvalError {
        self.0.location = location;
        self
    }

    /// The error with advice.
    pub(crate) fn help(mut self, help: impl Into<String>) -> EvalError {
        self.0.help.push(help.into());
        self
    }

    /// The error with one more of the values that clash.
    pub(crate) fn involving(mut self, name: impl Into<String>, value: &Value) -> EvalError {
        self.0.involved.push((name.into(), value.clone()));
        self
    }

    pub(crate) fn data(&mut self) -> &mut ErrorData {
        &mut self.0
    }

    pub(crate) fn push_frame(&mut self, frame: impl FnOnce() -> Frame) {
        let data = &mut self.0;
        if data.frames.len() == INNERMOST {
            data.left_out += 1;
        } else {
            data.frames.push(frame());
        }
    }

    /// The error as a diagnostic; the chain starts with the frames of the expression.
    pub fn into_diagnostic(self) -> Diagnostic {
        let data = *self.0;
        let mut diagnostic = Diagnostic::error(data.message).suggest(data.suggestion);
        diagnostic.location = data.location;
        diagnostic.help = data.help;
        diagnostic.notes = data.variables.into_iter().flatten().map(Note::from).collect();
        diagnostic.chain = data.frames;
        if data.left_out > 0 {
            let message = format!("… {} more steps …", data.left_out);
            diagnostic.chain.push(Frame::new(message));
        }
        diagnostic
    }
}

impl std::ops::Deref for EvalError {
    type Target = ErrorData;
    fn deref(&self) -> &ErrorData {
        &self.0
    }
}

impl std::fmt::Display for EvalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EvalError {}
