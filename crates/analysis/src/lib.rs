//! Names to modules, targets, configured targets, action graph.
