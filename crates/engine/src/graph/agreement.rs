//! What the evidence that a leaf left says of the present ([`crate::Rule::agrees`]).

/// Whether a leaf would still come to a result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Agreement {
    /// It would, and the witness is as good as before.
    Yes,
    /// It would, and this is the better witness from now on.
    YesBy(Vec<u8>),
    /// It would not, or nobody knows.
    No,
}
