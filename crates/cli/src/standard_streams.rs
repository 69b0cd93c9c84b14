//! Standard output for data that was asked for, and standard error while there is no log.

use std::io::Write as _;

use crate::exit::Exit;

/// Writes requested data to standard output. A reader that closed it wants no more: that is no failure. Any
/// other error is one, since the data is what the call was for.
pub(crate) fn print(bytes: &[u8]) -> Exit {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprint_text(&format!("ERROR: cannot write to standard output: {error}\n"));
            Exit::Environment
        }
        _ => Exit::Success,
    }
}

/// Writes a message that no log takes to standard error.
pub(crate) fn eprint_text(text: &str) {
    // Nowhere to complain if standard error is gone.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
