//! The binary: command line, reports, progress, exit codes.
