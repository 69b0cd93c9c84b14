//! The answer of a leaf's rule about an earlier result ([`crate::Rule::agrees`]): is it still valid?

/// Whether a leaf would still come to an earlier result, judged by its witness.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Agreement {
    /// It would; the witness stays as it is.
    Yes,
    /// It would, and this witness replaces the old one, since it is cheaper to compare (a file that was touched).
    YesBy(Vec<u8>),
    /// It would not, or that is not known.
    No,
}
