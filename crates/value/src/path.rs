//! Paths as text, with the lexical normalisation of the language definition.
//!
//! A path is a sequence of elements between slashes; repeated slashes count as one, and a slash at the end adds an
//! empty last element. No file system is accessed.

use crate::Str;

/// The elements of a path: a leading slash is an element of its own, a trailing one ends in "".
fn elements(path: &str) -> impl Iterator<Item = &str> + Clone {
    let root = path.starts_with('/').then_some("/");
    let rest = path.trim_start_matches('/');
    // As paths of C++ have it (`std::filesystem::path`), which the reference uses.
    let last = (rest.ends_with('/')).then_some("");
    root.into_iter().chain(rest.split('/').filter(|e| !e.is_empty())).chain(last)
}

/// The path without `.`, `x/..`, repeated and trailing slashes; "." if nothing is left. Leading `..` stay.
pub fn normal_path(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let absolute = path.starts_with('/');
    for element in path.split('/') {
        match element {
            "" | "." => {}
            ".." => match kept.last() {
                Some(&"..") => kept.push(".."),
                Some(_) => {
                    kept.pop();
                }
                // As in a file system, `/..` is `/`.
                None if absolute => {}
                None => kept.push(".."),
            },
            element => kept.push(element),
        }
    }
    match (absolute, kept.is_empty()) {
        (true, _) => format!("/{}", kept.join("/")),
        (false, true) => ".".into(),
        (false, false) => kept.join("/"),
    }
}

/// The same as the reference has it in messages, whose paths are those of C++: a path that ends with a slash or dots
/// keeps a slash.
pub fn reference_normal_path(path: &str) -> String {
    let normal = normal_path(path);
    let is_of_directory = matches!(path.rsplit('/').next(), Some("" | "." | ".."));
    match normal.as_str() {
        "." | "/" => normal,
        path if !is_of_directory || basename(path) == ".." => normal,
        path => format!("{path}/"),
    }
}

/// The path in normal form; the same text if it is normal already.
pub fn normal(path: &Str) -> Str {
    if is_normal(path) { path.clone() } else { normal_path(path).into() }
}

/// Whether the path is relative, does not lead upwards, and is in normal form.
pub fn is_normal(path: &str) -> bool {
    // Elements of two dots at most and nothing else are the ones that are not normal: "", "." and "..".
    // One pass over the bytes, since every path of every stage is checked.
    let (mut length, mut dots) = (0_usize, 0_usize);
    for byte in path.bytes() {
        if byte == b'/' {
            if length == dots && dots <= 2 {
                return false;
            }
            (length, dots) = (0, 0);
        } else {
            length += 1;
            dots += usize::from(byte == b'.');
        }
    }
    length != dots || dots > 2
}

/// What is wrong with a path, if nothing in a directory can have it; or no file, if it is that of a file.
pub fn unusable(path: &str, is_file: bool) -> Option<&'static str> {
    if path.contains('\0') {
        Some("has a NUL character")
    } else if !is_non_upwards(path) {
        Some("leads out of the directory")
    } else if is_file && normal_path(path) == "." {
        Some("is the directory itself and no file")
    } else {
        None
    }
}

/// Whether a path is relative and does not lead above its start.
pub fn is_non_upwards(path: &str) -> bool {
    if path.starts_with('/') {
        return false;
    }
    let mut depth = 0_i64;
    path.split('/').all(|element| {
        match element {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        depth >= 0
    })
}

/// `base/path`, but an absolute `path` stays as it is.
pub fn join(base: &str, path: &str) -> String {
    if path.starts_with('/') || base.is_empty() {
        path.into()
    } else if base.ends_with('/') {
        format!("{base}{path}")
    } else {
        format!("{base}/{path}")
    }
}

/// What follows the last slash.
pub fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The path with the ending of its last element, if it has one, replaced. A dot at the beginning of an element does not
/// begin an ending.
pub fn change_ending(path: &str, ending: &str) -> String {
    let name = basename(path);
    let directory = &path[..path.len() - name.len()];
    let stem = match name.rfind('.') {
        // As `stem` of a C++ path: `.profile` has no ending, and `..` is not a name.
        Some(dot) if dot > 0 && name != ".." => &name[..dot],
        _ => name,
    };
    let parent = directory.trim_end_matches('/');
    match (directory, parent) {
        ("", _) => format!("{stem}{ending}"),
        (_, "") => format!("/{stem}{ending}"),
        _ => format!("{parent}/{stem}{ending}"),
    }
}

/// The relative path from `base` to `path`, element by element, without normalising them first; `None` if there is
/// none.
pub fn relative(path: &str, base: &str) -> Option<String> {
    if path.starts_with('/') != base.starts_with('/') {
        return None;
    }
    let (mut to, mut from) = (elements(path).peekable(), elements(base).peekable());
    while let (Some(a), Some(b)) = (to.peek(), from.peek())
        && a == b
    {
        to.next();
        from.next();
    }
    if to.peek().is_none() && from.peek().is_none() {
        return Some(".".into());
    }
    let up: i64 = from
        .map(|element| match element {
            ".." => -1,
            "" | "." => 0,
            _ => 1,
        })
        .sum();
    // More steps up than down are left of `base`: the names that lead back are not in the text.
    if up < 0 {
        return None;
    }
    if up == 0 && to.peek().is_none_or(|element| element.is_empty()) {
        return Some(".".into());
    }
    let steps: Vec<&str> = std::iter::repeat_n("..", up as usize).chain(to).collect();
    Some(steps.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalisation_is_lexical() {
        for (path, normal) in [
            ("", "."),
            ("a//b/", "a/b"),
            ("./a/./b", "a/b"),
            ("a/..", "."),
            ("a/../..", ".."),
            ("../a", "../a"),
            ("/..//a/", "/a"),
            ("/", "/"),
        ] {
            assert_eq!(normal_path(path), normal, "{path}");
        }
    }

    #[test]
    fn paths_that_nothing_can_have_are_detected() {
        for path in ["a", "a/b", "./a", "a/../b", "a/"] {
            assert_eq!(unusable(path, true), None, "{path}");
        }
        for path in ["", ".", "a/..", "./"] {
            assert_eq!(unusable(path, false), None, "{path}");
            assert_eq!(unusable(path, true), Some("is the directory itself and no file"), "{path}");
        }
        for (path, why) in [
            ("/a", "leads out of the directory"),
            ("../a", "leads out of the directory"),
            ("a\0", "has a NUL character"),
            ("../\0", "has a NUL character"),
        ] {
            assert_eq!((unusable(path, true), unusable(path, false)), (Some(why), Some(why)), "{path:?}");
        }
    }

    #[test]
    fn upward_paths_are_detected() {
        for path in ["", "a/..", "a/../b", "..a", "a/b/../../c"] {
            assert!(is_non_upwards(path), "{path}");
        }
        for path in ["..", "a/../..", "/", "/a", "./../a"] {
            assert!(!is_non_upwards(path), "{path}");
        }
    }

    #[test]
    fn endings_are_those_of_the_last_element() {
        for (path, changed) in [
            ("foo/bar.tar.gz", "foo/bar.tar.o"),
            ("foo/.bashrc", "foo/.bashrc.o"),
            ("a//b.c", "a/b.o"),
            ("/b.c", "/b.o"),
            ("b", "b.o"),
            ("a.b/", "a.b/.o"),
        ] {
            assert_eq!(change_ending(path, ".o"), changed, "{path}");
        }
    }

    #[test]
    fn relative_paths_compare_elements_as_written() {
        let check =
            |path, base, way: Option<&str>| assert_eq!(relative(path, base).as_deref(), way, "{path}");
        check("x/a", "x", Some("a"));
        check("x", "x", Some("."));
        check("y", "x", Some("../y"));
        check("./x/b", "x", Some(".././x/b"));
        check("a", ".", Some("a"));
        check("a", "/x", None);
        check("a", "..", None);
    }
}
