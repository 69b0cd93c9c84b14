//! `--filter`: which tests run, by name.

/// Patterns, one of which has to match; without patterns everything does.
pub(super) struct Filter<'f>(&'f [String]);

impl<'f> Filter<'f> {
    pub(super) fn new(patterns: &'f [String]) -> Filter<'f> {
        Filter(patterns)
    }

    /// Whether a test with this name runs.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| matches(pattern, name))
    }
}

/// A pattern with `*` (any text) or `?` (any character) has to match the whole name, any other one a part of it.
fn matches(pattern: &str, name: &str) -> bool {
    if !pattern.contains(['*', '?']) {
        return name.contains(pattern);
    }
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
        for (pattern, name, expected) in [
            ("add", "src:add", true),
            ("add", "src:sub", false),
            ("src:*", "src:add", true),
            ("src:", "lib/src:add", true),
            ("src:*", "lib/src:add", false),
            ("*:a?d", "lib/src:add", true),
            ("*:a?d", "lib/src:ad", false),
            ("*a*b", "xaxbxab", true),
            ("*a*b", "xaxbxa", false),
            ("**", "", true),
            ("?", "", false),
            ("*é?", "src:ééx", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        assert!(Filter::new(&[]).matches("anything"));
        assert!(Filter::new(&["no".to_owned(), "any".to_owned()]).matches("anything"));
    }
}
