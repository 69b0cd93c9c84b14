//! Comments and trailing commas, compared with a naive model: blank them out, and what is left is strict JSON.
//!
//! The model knows strings and nothing else of JSON. It keeps the length of the text, so values have the same spans,
//! too.

use taut_syntax::{Dialect, Document, Kind, Node, Span};

use crate::text::{shown, visit};

/// JSON as people write it: it means the same as the text without comments and trailing commas, which is strict JSON;
/// what is strict JSON means the same in both dialects.
pub(crate) fn dialect(bytes: &[u8]) {
    let extended = Document::parse_as(Dialect::Extended, "file", bytes);
    let strict = Document::parse("file", bytes);
    // A byte order mark is skipped before anything is parsed.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let blanked = blanked(bytes);
    match &extended {
        Ok(extended) => {
            // A mark behind the first one is not white space.
            let plain = Document::parse("file", blanked.clone());
            let plain = plain.unwrap_or_else(|error| panic!("{}: {error}", extended.text()));
            assert_same(extended, &plain);
            match &strict {
                Ok(strict) => assert_same(extended, strict),
                Err(_) => assert_ne!(blanked, bytes, "only comments and commas are accepted besides"),
            }
        }
        Err(error) => {
            assert!(strict.is_err(), "refused: {error}");
            // Comments have to be text like everything else.
            let is_text = std::str::from_utf8(bytes).is_ok();
            // A mark in front of what is left would be skipped.
            let is_marked = blanked.starts_with(b"\xef\xbb\xbf");
            assert!(is_marked || !is_text || Document::parse("file", blanked).is_err(), "refused: {error}");
            shown(&error.clone().into(), bytes);
        }
    }
}

/// The kinds, places and texts of all values, and the hash of the whole, are the same.
fn assert_same(one: &Document, other: &Document) {
    let values = |document: &Document| {
        let mut all: Vec<(Kind, Span, Option<String>)> = Vec::new();
        visit(document.root(), |node: Node<'_>| {
            // The text of a container has its comments.
            let is_atom = !matches!(node.kind(), Kind::List | Kind::Object);
            all.push((node.kind(), node.span(), is_atom.then(|| node.source().to_owned())));
        });
        all
    };
    assert_eq!(values(one), values(other));
    assert_eq!(one.duplicates(), other.duplicates());
    assert_eq!(one.root().canonical_hash(), other.root().canonical_hash());
}

/// The text with blanks in place of comments, and of each comma that is between the end of a value and a closing
/// bracket.
fn blanked(text: &[u8]) -> Vec<u8> {
    let mut out = text.to_vec();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let length = match rest {
            [b'"', ..] => {
                let mut end = 1;
                // Only whether a quote is escaped matters here; which escapes are allowed, both parsers decide.
                while end < rest.len() && rest[end] != b'"' {
                    end += if rest[end] == b'\\' { 2 } else { 1 };
                }
                at += end + 1;
                continue;
            }
            [b'/', b'/', ..] => {
                rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len())
            }
            [b'/', b'*', inner @ ..] => match inner.windows(2).position(|window| window == b"*/") {
                Some(inside) => inside + 4,
                // It does not end, and what follows is never read.
                None => return out,
            },
            _ => {
                at += 1;
                continue;
            }
        };
        for byte in &mut out[at..at + length] {
            // Line ends stay, so that places have the same lines.
            *byte = if *byte == b'\n' { b'\n' } else { b' ' };
        }
        at += length;
    }
    let without_comments = out.clone();
    let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let mut is_in_string = false;
    let mut at = 0;
    while at < without_comments.len() {
        match without_comments[at] {
            b'"' => is_in_string = !is_in_string,
            b'\\' if is_in_string => at += 1,
            b',' if !is_in_string => {
                let before = without_comments[..at].iter().rev().find(|byte| !is_blank(byte));
                let after = without_comments[at + 1..].iter().find(|byte| !is_blank(byte));
                let ends_value = before.is_some_and(|byte| !b",:[{".contains(byte));
                if ends_value && matches!(after, Some(b']' | b'}')) {
                    out[at] = b' ';
                }
            }
            _ => {}
        }
        at += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_blanks_comments_and_trailing_commas_outside_of_strings() {
        let blanked = |text: &str| String::from_utf8(blanked(text.as_bytes())).unwrap();
        assert_eq!(blanked("[1, // a\n2]"), "[1,     \n2]");
        assert_eq!(blanked(r#"[/*"*/"//\"",/*,*/]"#), r#"[     "//\""      ]"#);
        assert_eq!(blanked("[,] {,} [1,,] [1,}"), "[,] {,} [1,,] [1 }");
        assert_eq!(blanked("[1]/*/"), "[1]/*/");
    }

    /// Every text of up to five of these pieces.
    #[test]
    fn all_short_texts_are_accepted_and_refused_as_by_the_model() {
        const PIECES: [&str; 13] =
            ["[", "]", "{", "}", ",", "\"a\":", "\"//\"", "1", "//", "/*", "*/", "\n", "/"];
        let mut texts = vec![String::new()];
        let mut accepted = 0;
        for _ in 0..5 {
            texts = texts.iter().flat_map(|text| PIECES.map(|piece| text.clone() + piece)).collect();
            for text in &texts {
                dialect(text.as_bytes());
                accepted += usize::from(Document::parse_as(Dialect::Extended, "", text.as_bytes()).is_ok());
            }
        }
        assert!(accepted > 1000, "{accepted} of {}", texts.len());
    }
}
