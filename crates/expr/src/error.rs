//! Errors of evaluation: the message, the location, and the calls that led there.

use taut_syntax::{Diagnostic, Frame, Location, Note};
use taut_value::Value;

use crate::{compile::missing, user_message::UserMessage};

/// The origin of an error message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// The language: an expression is malformed or misused.
    Language,
    /// The author of a rule, through `fail`, `assert`, `msg` or `context`: the message is for the rule's users;
    /// the expressions that led there are left out.
    User,
}

/// Why an expression has no value. The same for each evaluation.
// Boxed, so that the result of each step of an evaluation is small where nothing fails.
#[derive(Clone, PartialEq, Debug)]
pub struct EvalError(Box<ErrorData>);

/// The parts of an [`EvalError`].
#[derive(Clone, PartialEq, Debug)]
pub struct ErrorData {
    /// The origin of the message.
    pub kind: ErrorKind,
    /// What is wrong.
    pub message: String,
    /// The location of the innermost construct that failed.
    pub location: Option<Location>,
    /// What was probably meant.
    pub suggestion: Option<String>,
    /// What can be done about it.
    pub help: Vec<String>,
    /// The values of the variables at that place, if they could help: one line each.
    pub variables: Option<Vec<String>>,
    /// The loops and calls around it, innermost first, up to a maximum.
    pub frames: Vec<Frame>,
    /// Conflicting values, with their names in messages: a caller that knows their origin adds it.
    pub involved: Vec<(String, Value)>,
    /// The message of the reference with its kind, if it has another one.
    pub reference: Option<String>,
    /// The steps of evaluation that the reference shows, innermost first.
    pub(crate) steps: Vec<String>,
    /// How many bytes of source were read again to show them.
    pub(crate) read: usize,
    /// Whether the reference adds where the conflicting values come from.
    pub annotated: bool,
    /// Whether the construct lacks a part. A key of it that is not one of its parts may be that part under a wrong
    /// name.
    pub(crate) is_incomplete: bool,
    /// Whether frames are still recorded.
    pub(crate) traced: bool,
    /// How many loops and calls were left out.
    pub(crate) left_out: usize,
}

/// How many frames are recorded. Those further out are covered by the frames of rule, field and target, and describing
/// them would cost more with every level.
const MAX_FRAMES: usize = 12;

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
            reference: None,
            steps: Vec::new(),
            read: 0,
            annotated: false,
            is_incomplete: false,
            // A message for the users of a rule should not lead into the rule's expressions, so
            // none of their frames is recorded.
            traced: kind == ErrorKind::Language,
            left_out: 0,
        }))
    }

    /// An error of the language.
    pub(crate) fn plain(message: impl Into<String>) -> EvalError {
        EvalError::new(ErrorKind::Language, message)
    }

    /// The error of a construct that lacks a part.
    pub(crate) fn lacks(key: &str, construct: &str) -> EvalError {
        let mut error = EvalError::plain(missing(key, construct));
        error.0.is_incomplete = true;
        error
    }

    /// An error for the user of a rule.
    pub(crate) fn user(message: &UserMessage) -> EvalError {
        EvalError::user_with(message, "", "")
    }

    /// An error for the user of a rule, whose message is followed by what is wrong: here, and in the reference.
    pub(crate) fn user_with(message: &UserMessage, details: &str, of_reference: &str) -> EvalError {
        EvalError::new(ErrorKind::User, format!("{}{details}", message.plain))
            .reference_as(format!("UserError: {}{of_reference}", message.quoted))
    }

    /// The error with the reference's message.
    pub(crate) fn reference(self, message: impl AsRef<str>) -> EvalError {
        self.reference_as(format!("EvaluationError: {}", message.as_ref()))
    }

    /// The error with the reference's message and its kind.
    pub(crate) fn reference_as(mut self, message: impl Into<String>) -> EvalError {
        self.0.reference = Some(message.into());
        self
    }

    /// The error with one more step that the reference shows, if it is not for the user of a rule.
    pub(crate) fn step(mut self, step: impl FnOnce() -> String) -> EvalError {
        if self.0.kind == ErrorKind::Language {
            self.0.steps.push(step());
        }
        self
    }

    /// The text of the reference: the steps, outermost first, and the message.
    pub(crate) fn in_reference(&self) -> String {
        let data = &*self.0;
        let mut text = String::new();
        for step in data.steps.iter().rev() {
            text += step;
            text.push('\n');
        }
        match (&data.reference, data.kind) {
            (Some(message), _) => text += message,
            (None, ErrorKind::Language) => {
                text += "EvaluationError: ";
                text += &data.message;
            }
            (None, ErrorKind::User) => text += &data.message,
        }
        text
    }

    /// As [`EvalError::in_reference`], with the line above it.
    pub(crate) fn traceback(&self) -> String {
        match self.0.steps.is_empty() {
            // The reference writes the heading only if there are steps below it.
            true => self.in_reference(),
            false => {
                format!("Expression evaluation traceback (most recent call last):\n{}", self.in_reference())
            }
        }
    }

    /// The error with a more exact location than that of the construct that failed.
    pub(crate) fn at(mut self, location: Option<Location>) -> EvalError {
        self.0.location = location;
        self
    }

    /// The error with advice.
    pub(crate) fn help(mut self, help: impl Into<String>) -> EvalError {
        self.0.help.push(help.into());
        self
    }

    /// The error with one more of the conflicting values.
    pub(crate) fn involving(mut self, name: impl Into<String>, value: &Value) -> EvalError {
        self.0.involved.push((name.into(), value.clone()));
        self
    }

    pub(crate) fn data(&mut self) -> &mut ErrorData {
        &mut self.0
    }

    pub(crate) fn push_frame(&mut self, frame: impl FnOnce() -> Frame) {
        let data = &mut self.0;
        // The frame is a function so that frames beyond the maximum are not even described.
        if data.frames.len() == MAX_FRAMES {
            data.left_out += 1;
        } else {
            data.frames.push(frame());
        }
    }

    /// The error as a diagnostic; the chain starts with the frames of the expression.
    pub fn into_diagnostic(self) -> Diagnostic {
        let reference = self.traceback();
        let data = *self.0;
        let mut diagnostic = Diagnostic::error(data.message).reference(reference).suggest(data.suggestion);
        diagnostic.is_of_user = data.kind == ErrorKind::User;
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

// Other crates only read the parts; changes go through methods, which keep steps and kind consistent.
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
