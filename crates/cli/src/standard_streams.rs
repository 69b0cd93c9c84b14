//! Standard output for data that was asked for, and standard error while there is no log.

use std::io::Write as _;

use crate::{exit::Exit, log::Level};

/// Writes requested data to standard output. A reader that closed it wants no more: that is no failure. Any
/// other error is one, since the data is what the call was for.
pub(crate) fn print(bytes: &[u8]) -> Exit {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprint_error(&format!("cannot write to standard output: {error}"));
            Exit::Environment
        }
        _ => Exit::Success,
    }
}

/// Writes an error that no log takes to standard error.
pub(crate) fn eprint_error(text: &str) {
    eprint_text(&crate::voice::current().layout(Level::Error, None, text, false));
}

/// Writes a text that no log takes to standard error.
pub(crate) fn eprint_text(text: &str) {
    // Nowhere to complain if standard error is gone.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
