//! A terminal: what calls show on it, in which colours, and pictures of that.

mod first_steps;
mod picture;
mod screen;
mod theme;

use std::{fs::File, io};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

pub use first_steps::{FirstSteps, first_steps};
pub use screen::Screen;
pub use theme::{THEMES, Theme, assert_readable};

/// A pseudo-terminal of a size. Of its two ends, what is written to the second is read from the first; that ends when
/// all copies of the second are closed.
///
/// # Errors
///
/// The system has none to give.
pub fn open(columns: u16, rows: u16) -> io::Result<(File, File)> {
    // It must not become the controlling terminal of the test, whose signals the test would get.
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&terminal)?;
    unlockpt(&terminal)?;
    // Before a program can be on it: most ask for the size when they start.
    resize(&terminal, columns, rows)?;
    let name = ptsname(&terminal, Vec::new())?;
    let name = name.to_str().map_err(io::Error::other)?;
    let end = File::options().read(true).write(true).open(name)?;
    Ok((File::from(terminal), end))
}

/// Gives a pseudo-terminal another size.
///
/// # Errors
///
/// It is not a terminal.
pub fn resize(terminal: impl rustix::fd::AsFd, columns: u16, rows: u16) -> io::Result<()> {
    Ok(tcsetwinsize(terminal, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?)
}
