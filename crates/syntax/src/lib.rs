//! JSON with source spans, and diagnostics that point into it.
