//! Tasks with a value and, apart from it, a hash: demand-driven, parallel, and run only where no derivation says that the result is known.
