//! The expression language: a pure function from expression and environment to value.
