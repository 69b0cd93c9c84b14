//! Paths as messages show them: from the working directory.

/// An absolute path as seen from a directory, with `..` where that is shorter than the whole path.
pub fn seen_from(path: &str, directory: &str) -> String {
    let elements = |path: &'_ str| -> Vec<String> {
        path.split('/').filter(|element| !element.is_empty()).map(str::to_owned).collect()
    };
    let (to, from) = (elements(path), elements(directory));
    let common = to.iter().zip(&from).take_while(|(a, b)| a == b).count();
    // With nothing in common, `..` up to the root would only make the path longer. What is not absolute, as an option
    // in place of a file, is shown as it is.
    if !path.starts_with('/') || common == 0 {
        return path.to_owned();
    }
    let up = std::iter::repeat_n("..", from.len() - common);
    let steps: Vec<&str> = up.chain(to[common..].iter().map(String::as_str)).collect();
    match steps.join("/") {
        here if here.is_empty() => ".".to_owned(),
        relative if relative.len() < path.len() => relative,
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::seen_from;

    #[test]
    fn paths_are_shown_from_the_working_directory() {
        for (path, directory, shown) in [
            ("/project/m/a.c", "/project", "m/a.c"),
            ("/project/m/a.c", "/project/m/", "a.c"),
            ("/project/TARGETS", "/project/m", "../TARGETS"),
            ("/project/n/a.c", "/project/m/sub", "../../n/a.c"),
            ("/usr/lib/a.c", "/home/me", "/usr/lib/a.c"),
            ("/project/a", "/project/b/c/d/e", "/project/a"),
            ("/project", "/project", "."),
            ("/a", "/", "/a"),
            ("-D", "/project", "-D"),
        ] {
            assert_eq!(seen_from(path, directory), shown, "{path} from {directory}");
        }
    }
}
