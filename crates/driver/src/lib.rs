//! One request from start to finish; emits events, prints nothing.
