//! Hash functions, object identifiers, git blobs and trees.
