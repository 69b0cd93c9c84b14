//! One action to its result: staging, running, collecting.
