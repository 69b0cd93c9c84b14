//! Standard output for requested data, and standard error while there is no log.

use std::{io::Write as _, path::Path};

use taut_sys::{fault, in_words};

use crate::{
    exit::Exit,
    log::{Level, layout},
    tool_name::Name,
};

/// Writes requested data to standard output. That a reader closed it is not a failure. Any
/// other error is one, since the data is what the call was for.
pub(crate) fn print(bytes: &[u8]) -> Exit {
    let mut out = std::io::stdout().lock();
    let may_write = fault::point("write", Path::new("standard output"));
    // Standard output is buffered, and the process ends by `exit`, which flushes nothing.
    match may_write.and_then(|()| out.write_all(bytes)).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprint_error(&format!("cannot write to standard output: {}", in_words(&error)));
            Exit::Environment
        }
        _ => Exit::Success,
    }
}

/// How many columns a line on standard output has; `None` if that is not a terminal, or does not know.
pub(crate) fn columns_of_output() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Writes an error that no log takes to standard error.
pub(crate) fn eprint_error(text: &str) {
    let layout = layout::of(Name::current());
    eprint_text(&layout.layout(Level::Error, None, &layout.own_text(Level::Error, text), false));
}

/// Writes a text that no log takes to standard error.
pub(crate) fn eprint_text(text: &str) {
    // If standard error is closed, there is no place for an error message.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
