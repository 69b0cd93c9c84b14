//! Which argument of which construct an error is about.

use taut_syntax::quoted;

use crate::construct::Construct;

/// An argument: its construct, its name in messages, and its node.
#[derive(Clone, Copy)]
pub(super) struct Argument<'a> {
    pub(super) construct: &'a str,
    pub(super) name: &'a str,
    pub(super) node: u32,
}

impl<'a> Argument<'a> {
    pub(super) fn new(construct: &'a str, name: &'a str, node: u32) -> Argument<'a> {
        Argument { construct, name, node }
    }

    /// The argument at a position of the construct's table.
    pub(super) fn of(construct: Construct, args: &[u32], position: usize) -> Argument<'static> {
        let name = construct.arguments()[position];
        Argument { construct: construct.name(), name, node: args[position] }
    }
}

impl std::fmt::Display for Argument<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", quoted(&self.name), quoted(&self.construct))
    }
}
