//! CAS, action cache, target cache, generations; checkout of trees.
