//! Texts in quotes, as messages show them.

use std::fmt::{self, Write as _};

/// A text as messages show it: a JSON string, so that it can be copied into a file. What a terminal would not show, or
/// would act upon, is escaped.
pub fn quoted<T: AsRef<str> + ?Sized>(text: &T) -> Quoted<'_> {
    Quoted(text.as_ref())
}

/// Several texts as messages show them: a JSON list.
pub fn quoted_list<T: AsRef<str>>(texts: &[T]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text).to_string()).collect();
    format!("[{}]", texts.join(", "))
}

/// Several names as messages list them: `a, b and c`. A name that is not a plain word is in quotes.
pub fn enumeration<T: AsRef<str>>(names: &[T]) -> String {
    with_and(&names.iter().map(|name| bare(name.as_ref())).collect::<Vec<_>>())
}

/// Texts as a sentence lists them: `a, b and c`.
pub fn with_and(texts: &[String]) -> String {
    match texts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Names of one kind with the word for it: `field a`, `fields a and b`.
pub fn named<T: AsRef<str>>(kind: &str, names: &[T]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{kind}{plural} {}", enumeration(names))
}

/// A name as it is if its end is clear in a sentence, else in quotes.
fn bare(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-+=./:@%$*?#~".contains(c);
    let ends_clearly = !name.ends_with(['.', ':', '?']);
    match !name.is_empty() && name.chars().all(is_plain) && ends_clearly {
        true => name.to_owned(),
        false => quoted(name).to_string(),
    }
}

/// See [`quoted`].
#[derive(Clone, Copy)]
pub struct Quoted<'t>(&'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                // What Rust's debug output escapes is what cannot be seen, or changes the direction or shape of what
                // follows.
                c if c != '\'' && c.escape_debug().len() > 1 => {
                    // In UTF-16, as JSON escapes characters above U+FFFF by two units.
                    let mut units = [0; 2];
                    c.encode_utf16(&mut units).iter().try_for_each(|unit| write!(f, "\\u{unit:04x}"))?;
                }
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::{enumeration, named, quoted, quoted_list};

    #[test]
    fn texts_are_shown_as_json() {
        for (text, shown) in [
            ("a b", r#""a b""#),
            ("it's \"ü\" \\", r#""it's \"ü\" \\""#),
            ("\n\t\r\0\u{1b}\u{9b}", r#""\n\t\r\u0000\u001b\u009b""#),
            ("\u{202e}\u{e0001}", r#""\u202e\udb40\udc01""#),
        ] {
            assert_eq!(quoted(text).to_string(), shown);
        }
        assert_eq!(quoted_list(&["a", "b\""]), r#"["a", "b\""]"#);
        assert_eq!(quoted_list::<&str>(&[]), "[]");
    }

    #[test]
    fn names_are_listed_as_in_a_sentence() {
        assert_eq!(enumeration(&["a"]), "a");
        assert_eq!(enumeration(&["a", "b/c.o"]), "a and b/c.o");
        assert_eq!(
            enumeration(&["", "it's", "a b", "x, y", "end.", "ü"]),
            r#""", "it's", "a b", "x, y", "end." and ü"#
        );
        assert_eq!(named("field", &["a"]), "field a");
        assert_eq!(named("field", &["a", "b", "c"]), "fields a, b and c");
    }
}
