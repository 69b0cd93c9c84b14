//! `--filter`: which tests run, by name.

/// Patterns, one of which has to match; without patterns everything does.
pub(super) struct Filter<'f>(&'f [String]);

impl<'f> Filter<'f> {
    pub(super) fn new(patterns: &'f [String]) -> Filter<'f> {
        Filter(patterns)
    }

    /// Whether a test runs, by how it is shown and by the name of its target, if that has one.
    pub(super) fn matches(&self, shown: &str, target: Option<&str>) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| matches(pattern, shown, target.unwrap_or(shown)))
    }
}

/// A pattern with `*` (any text) or `?` (any character) has to match all of the name of the target, or, if it says
/// something about the module (has `:` or `/`), all that is shown. Any other one has to be a part of what is shown.
fn matches(pattern: &str, shown: &str, target: &str) -> bool {
    if !pattern.contains(['*', '?']) {
        return shown.contains(pattern);
    }
    is_match(pattern, if pattern.contains([':', '/']) { shown } else { target })
}

// Linear in memory and at worst quadratic in time: going back to the last `*` suffices, since an earlier one could
// only match more of what this one already may. Recursion would be exponential for `*a*a*a`.
/// Whether a pattern matches all of a name.
fn is_match(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut in_name) = (0, 0);
    // The last `*`, and the end of what it has matched so far: where matching goes on if the rest does not fit.
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(c) if *c == '?' || *c == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => match &mut star {
                Some((place, end)) => {
                    *end += 1;
                    (at, in_name) = (*place + 1, *end);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_part_of_the_name_or_with_wildcards_all_of_it() {
        for (pattern, shown, expected) in [
            ("add", "src:add", true),
            ("add", "src:sub", false),
            ("src", "src:sub", true),
            ("src:*", "src:add", true),
            ("src:", "lib/src:add", true),
            ("src:*", "lib/src:add", false),
            ("*:a?d", "lib/src:add", true),
            ("*:a?d", "lib/src:ad", false),
            ("*/src:*", "lib/src:add", true),
            // Without a module, of any module.
            ("a*", ":add", true),
            ("a*", "lib/src:add", true),
            ("a?d", "src:add", true),
            ("s*", "src:add", false),
            ("*src*", "src:add", false),
            ("*a*b", "src:xaxbxab", true),
            ("*a*b", "src:xaxbxa", false),
            ("**", "src:", true),
            ("?", "src:", false),
            ("*é?", "src:ééx", true),
        ] {
            let (_, target) = shown.split_once(':').unwrap();
            assert_eq!(matches(pattern, shown, target), expected, "{pattern} {shown}");
        }
        assert!(Filter::new(&[]).matches("anything", None));
        assert!(Filter::new(&["no".to_owned(), "any".to_owned()]).matches("anything", None));
        assert!(Filter::new(&["any*".to_owned()]).matches("anything", None));
    }

    #[test]
    fn a_pattern_without_a_module_is_not_about_the_configuration() {
        let shown = r#"src:ok {"OS":"linux"}"#;
        for (pattern, expected) in
            [("ok", true), ("o*", true), ("*k", true), ("src:*k", false), ("src:*}", true)]
        {
            assert_eq!(matches(pattern, shown, "ok"), expected, "{pattern}");
        }
    }
}
