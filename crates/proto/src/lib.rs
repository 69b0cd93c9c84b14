//! The messages of the Remote Execution API that taut stores and hashes.
