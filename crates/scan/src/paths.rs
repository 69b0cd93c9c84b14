//! Paths in a tree, as text: relative, with `/` between components, without `.` and `..`.

/// The directory of a path; "" for the top.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The last component.
pub(crate) fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// The last component without its ending.
pub(crate) fn stem(path: &str) -> &str {
    let name = name(path);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

/// What is behind the last dot of the last component, or "".
pub(crate) fn ending(path: &str) -> &str {
    match name(path).rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => ending,
        _ => "",
    }
}

/// The path that `relative` is from a directory; nothing if it leads out of the tree, or names no file.
pub(crate) fn join(directory: &str, relative: &str) -> Option<String> {
    if relative.starts_with('/') || relative.ends_with('/') {
        return None;
    }
    let mut all: Vec<&str> = directory.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            // By the text: a link to a directory is not followed, as `..` of a compiler would.
            ".." => drop(all.pop()?),
            _ => all.push(part),
        }
    }
    (!all.is_empty()).then(|| all.join("/"))
}

/// Whether a path is the directory or below it.
// By components: `ab` is not within `a`.
pub(crate) fn is_within(path: &str, directory: &str) -> bool {
    directory.is_empty()
        || path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The directory so that `directory/relative` is the path.
pub(crate) fn without_suffix<'p>(path: &'p str, relative: &str) -> Option<&'p str> {
    let above = path.strip_suffix(relative)?;
    if above.is_empty() { Some(above) } else { above.strip_suffix('/') }
}

/// How many first components are the same.
pub(crate) fn in_common(a: &str, b: &str) -> usize {
    let parts = |path: &'_ str| {
        path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    parts(a).iter().zip(&parts(b)).take_while(|(a, b)| a == b).count()
}

/// All directories above a path, from the nearest to the top.
pub(crate) fn above(path: &str) -> impl Iterator<Item = &str> {
    let mut next = (!path.is_empty()).then(|| parent(path));
    std::iter::from_fn(move || {
        let now = next?;
        next = (!now.is_empty()).then(|| parent(now));
        Some(now)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_is_joined_unless_it_leads_out() {
        for (directory, relative, joined) in [
            ("", "a.h", Some("a.h")),
            ("src", "../include/./a.h", Some("include/a.h")),
            (".", "a.h", Some("a.h")),
            ("src", "../../a.h", None),
            ("src", "/usr/include/a.h", None),
            ("src", "..", None),
        ] {
            assert_eq!(join(directory, relative).as_deref(), joined, "{directory} {relative}");
        }
    }

    #[test]
    fn parts_of_paths_are_found() {
        assert_eq!((parent("a/b.c"), name("a/b.c"), stem("a/b.c"), ending("a/b.c")), ("a", "b.c", "b", "c"));
        assert_eq!((parent("b"), stem(".c"), ending(".c")), ("", ".c", ""));
        assert_eq!(without_suffix("a/b/c.h", "b/c.h"), Some("a"));
        assert_eq!(without_suffix("ab/c.h", "b/c.h"), None);
        assert_eq!(above("a/b/c").collect::<Vec<_>>(), ["a/b", "a", ""]);
        assert!(is_within("a/b", "a") && is_within("a", "a") && !is_within("ab", "a"));
        assert_eq!(in_common("a/b/c", "a/b/d"), 2);
    }
}
