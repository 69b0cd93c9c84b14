//! The explanation of "permission denied": the directory or file that refuses, its owner, and what helps.
//!
//! Looked up only when the error is shown, so it costs nothing where errors are expected.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, AtFlags, CWD, accessat},
    process::geteuid,
};

use crate::{Named, Stat, fault};

/// The words for a directory or file of another user, by which tests find the message.
pub const BELONGS_TO: &str = "belongs to user";

/// The reason for the system's answer to operation `op` at `path`, if it is about permissions.
pub(crate) fn reason(op: &str, path: &Path, answer: &io::Error) -> Option<String> {
    if answer.kind() == io::ErrorKind::ReadOnlyFilesystem {
        return Some("it lies on a file system that can only be read".to_owned());
    }
    if answer.kind() != io::ErrorKind::PermissionDenied {
        return None;
    }
    let refusing = refusing(op, path)?;
    let stat = lstat_of(&refusing)?;
    let kind = if stat.is_dir() { "directory" } else { "file" };
    let mode = stat.mode();
    // The message that this is added to has the path already.
    let what =
        if refusing == path { format!("the {kind}") } else { format!("the {kind} {}", refusing.display()) };
    if rustix::io::Errno::from_io_error(answer) == Some(rustix::io::Errno::PERM) && stat.mode() & 0o200 != 0 {
        return Some(format!("{what} cannot be changed; it may be immutable (lsattr shows that)"));
    }
    if stat.is_own() && fault::point("own", &refusing).is_ok() {
        return Some(format!("{what} has mode {mode:04o}, which does not allow it; chmod changes that"));
    }
    let (owner, user) = (name_of(stat.owner), name_of(geteuid().as_raw()));
    // No advice to change the owner: the file may be a part of the system.
    Some(format!("{what} {BELONGS_TO} {owner} (mode {mode:04o}), and this is user {user}"))
}

// `EACCESS`: by the effective user, with whose rights the call was refused.
fn may(path: &Path, access: Access) -> bool {
    fault::point("access", path).is_ok() && accessat(CWD, path, access, AtFlags::EACCESS).is_ok()
}

fn lstat_of(path: &Path) -> Option<Stat> {
    Named::lstat(path).ok()
}

/// What refuses: a directory on the way that may not be searched, the directory whose entries may not be changed, or
/// the file itself.
fn refusing(op: &str, path: &Path) -> Option<PathBuf> {
    let mut above: Vec<&Path> =
        path.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
    above.reverse();
    // From the root down: the first closed directory is the one that the kernel refused at.
    if let Some(closed) = above.iter().find(|path| !may(path, Access::EXEC_OK)) {
        return Some((*closed).to_owned());
    }
    let changes_entries = ["create", "rename", "remove", "link", "stage", "install"];
    let parent = *above.last()?;
    if changes_entries.iter().any(|word| op.starts_with(word)) && !may(parent, Access::WRITE_OK) {
        return Some(parent.to_owned());
    }
    let stat = lstat_of(path);
    let is_mine = stat.is_some_and(|stat| stat.is_own());
    let is_refusing = !may(path, Access::READ_OK) || !may(path, Access::WRITE_OK) || !is_mine;
    (stat.is_some() && is_refusing).then(|| path.to_owned())
}

/// The name of a user, or the number if the user has no name.
fn name_of(user: u32) -> String {
    // Not by `getpwuid(3)`, which loads plugins of the C library and needs `unsafe`: users of a directory service are
    // shown by number.
    let users = Named::read(Path::new("/etc/passwd")).unwrap_or_default();
    let users = String::from_utf8_lossy(&users);
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(user)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| user.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_shown_by_name_or_else_by_number() {
        assert_eq!(name_of(0), "root");
        assert_eq!(name_of(3_999_999_999), "3999999999");
    }

    #[test]
    fn only_permission_errors_have_a_reason() {
        let path = Path::new("/nosuch/file");
        assert_eq!(reason("open", path, &io::Error::from_raw_os_error(2)), None);
        let explained = reason("create", path, &io::Error::from_raw_os_error(30));
        assert_eq!(explained.as_deref(), Some("it lies on a file system that can only be read"));
    }
}
