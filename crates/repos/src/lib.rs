//! Repository names to roots, roots to directory listings and file contents.
