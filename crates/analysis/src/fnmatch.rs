//! Shell patterns with the semantics of `fnmatch(3)` without flags in the C locale: `*`, `?`, `[…]`, `\`; on bytes, and
//! without special treatment of leading dots (the caller passes single entry names, so there is no `/`).

/// Whether `name` matches `pattern`.
pub(crate) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // Where to go back to: behind the last `*`, which then covers one more byte. Going back to an earlier `*` is never
    // needed, since the last one can cover the same bytes; so time is at most the product of the lengths.
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, n));
            continue;
        }
        if p == pattern.len() && n == name.len() {
            return true;
        }
        if let Some(&byte) = name.get(n)
            && let Some(width) = match_one(&pattern[p..], byte)
        {
            (p, n) = (p + width, n + 1);
            continue;
        }
        match retry {
            Some((after_star, from)) if from < name.len() => {
                retry = Some((after_star, from + 1));
                (p, n) = (after_star, from + 1);
            }
            _ => return false,
        }
    }
}

/// How many bytes of the pattern (which does not begin with `*`) match this one byte.
fn match_one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => match bracket(pattern, byte) {
            Some((width, true)) => Some(width),
            Some((_, false)) => None,
            // Without a closing bracket it is an ordinary character.
            None => (byte == b'[').then_some(1),
        },
        // A backslash at the end matches nothing, as in glibc.
        b'\\' => (*pattern.get(1)? == byte).then_some(2),
        plain => (plain == byte).then_some(1),
    }
}

/// The width of the bracket expression at the start of `pattern` and whether `byte` is in it.
fn bracket(pattern: &[u8], byte: u8) -> Option<(usize, bool)> {
    let mut at = 1;
    // POSIX has `!` only; glibc takes `^` as well.
    let negated = matches!(pattern.get(at), Some(b'!' | b'^'));
    at += usize::from(negated);
    // A `]` in the first position is a member, not the end.
    let (first, mut found) = (at, false);
    loop {
        let (low, width) = match *pattern.get(at)? {
            b']' if at > first => return Some((at + 1, found != negated)),
            b'[' if pattern.get(at + 1) == Some(&b':') => {
                // Equivalence classes and collating symbols (`[=a=]`, `[.a.]`) have no use in the C locale, and are
                // not read.
                let end = pattern[at + 2..].windows(2).position(|w| w == b":]")?;
                found |= in_class(&pattern[at + 2..at + 2 + end], byte)?;
                at += end + 4;
                continue;
            }
            b'\\' => (*pattern.get(at + 1)?, 2),
            low => (low, 1),
        };
        at += width;
        let range_end = (pattern.get(at) == Some(&b'-')).then(|| pattern.get(at + 1)).flatten();
        match range_end {
            Some(&high) if high != b']' => {
                let (high, width) = if high == b'\\' { (*pattern.get(at + 2)?, 3) } else { (high, 2) };
                // By the values of bytes: in the C locale that is the order of collation.
                found |= (low..=high).contains(&byte);
                at += width;
            }
            _ => found |= low == byte,
        }
    }
}

fn in_class(class: &[u8], byte: u8) -> Option<bool> {
    Some(match class {
        b"alpha" => byte.is_ascii_alphabetic(),
        b"digit" => byte.is_ascii_digit(),
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"upper" => byte.is_ascii_uppercase(),
        b"lower" => byte.is_ascii_lowercase(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0b,
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"punct" => byte.is_ascii_punctuation(),
        b"print" => (0x20..0x7f).contains(&byte),
        b"graph" => byte.is_ascii_graphic(),
        b"cntrl" => byte.is_ascii_control(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_the_c_library() {
        let yes = [
            ("*", ""),
            ("*", ".hidden"),
            ("*.c", "a.c"),
            ("*.c", ".c"),
            ("a?c", "abc"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("[^a]", "b"),
            ("[]]", "]"),
            ("[]a]", "a"),
            ("\\*", "*"),
            ("[[:digit:]]", "7"),
            ("a*b*c", "aXbYbZc"),
            ("[", "["),
            ("[a", "[a"),
            ("[a-]", "-"),
            ("*a*a*a", "aaaa"),
            ("é", "é"),
            ("[\\]]", "]"),
            ("**", "x"),
        ];
        for (pattern, name) in yes {
            assert!(matches(pattern.as_bytes(), name.as_bytes()), "{pattern} should match {name}");
        }
        let no = [
            ("", "a"),
            ("a", ""),
            ("*.c", "a.h"),
            ("a?c", "ac"),
            ("[a-c]x", "dx"),
            ("[!a]", "a"),
            ("\\*", "x"),
            ("[[:digit:]]", "x"),
            ("\\", "\\"),
            ("a*b", "a"),
            ("[[:nope:]]", "n"),
        ];
        for (pattern, name) in no {
            assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{pattern} should not match {name}");
        }
    }

    #[test]
    fn many_stars_are_not_exponential() {
        let pattern = "*a".repeat(50) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(5000).as_bytes()));
    }
}
