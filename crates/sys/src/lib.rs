//! Files, directories, locks, clocks and the process helper: every system call, with faults to inject.
