//! The texts of messages: what is a sentence, what a format string inserts, and whether an answer has a text.

/// How far apart two pieces of a message may be in a document: what is inserted between them may be long.
const MAX_INSERTED: usize = 3000;

/// A format string with `{}` for all that it inserts, whatever its name and form.
pub(super) fn placeholders(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let inserted = &rest[at..];
        // A doubled brace is a brace (`std::fmt`).
        if let Some(after) = inserted.strip_prefix("{{").or_else(|| inserted.strip_prefix("}}")) {
            out.push(if inserted.starts_with('{') { '{' } else { '}' });
            rest = after;
            continue;
        }
        let is_of_a_name = |c: char| c.is_alphanumeric() || "_:#?.<>$*+-^0 ".contains(c);
        match inserted[1..].split_once('}') {
            Some((name, after)) if inserted.starts_with('{') && name.chars().all(is_of_a_name) => {
                out.push_str("{}");
                rest = after;
            }
            _ => {
                out.push_str(&inserted[..1]);
                rest = &inserted[1..];
            }
        }
    }
    out + rest
}

/// A text with one blank for white space and for control characters, which separate the messages of the reference.
pub(super) fn normal(text: &str) -> String {
    let parts = text.split(|c: char| c.is_whitespace() || c.is_control());
    let mut out = String::new();
    let mut is_apart = text.starts_with(char::is_whitespace);
    for part in parts.filter(|part| !part.is_empty()) {
        if is_apart {
            out.push(' ');
        }
        out.push_str(part);
        is_apart = true;
    }
    if text.ends_with(char::is_whitespace) && !out.is_empty() {
        out.push(' ');
    }
    out
}

/// Whether a text is meant for people: it has two words, one after the other.
pub(super) fn is_sentence(text: &str) -> bool {
    text.split("{}").any(|piece| {
        let is_word = |word: &str| {
            let letters = word.trim_matches(|c: char| ",.:;()\"'".contains(c));
            letters.chars().any(char::is_alphabetic)
                && letters.chars().all(|c| c.is_alphanumeric() || "-'_".contains(c))
        };
        let words: Vec<bool> = piece.split(' ').map(is_word).collect();
        // Names, keys and words of other programs are mostly single words; two words in a row are a sentence, or shown
        // like one.
        words.windows(2).any(|pair| pair == [true, true])
    })
}

/// Whether a text is a list of many names, such as those of the headers of a standard library, which is searched.
pub(super) fn is_list_of_names(text: &str) -> bool {
    const MIN_NAMES: usize = 40;
    let is_name = |word: &str| word.chars().all(|c| c.is_alphanumeric() || "-_".contains(c));
    text.split(' ').count() >= MIN_NAMES && text.split(' ').all(is_name)
}

/// Whether one of these answers has the pieces of a message, one after the other.
pub(super) fn is_covered(text: &str, answers: &[String]) -> bool {
    // A last full stop is not shown under the name `taut`.
    let text = text.strip_suffix('.').unwrap_or(text);
    let mut pieces: Vec<&str> = text.split("{}").filter(|piece| !piece.trim().is_empty()).collect();
    let is_there = |pieces: &[&str]| answers.iter().any(|answer| has_pieces(answer, pieces, answer.len()));
    if is_there(&pieces) {
        return true;
    }
    // Texts of both voices begin with a capital letter only under the name `just`.
    let Some(first) =
        pieces.first_mut().filter(|first| text.starts_with(**first) && first.is_char_boundary(1))
    else {
        return false;
    };
    let small = first[..1].to_ascii_lowercase() + &first[1..];
    *first = &small;
    is_there(&pieces)
}

/// Whether one of these answers has a text that is not a format string.
pub(super) fn is_whole_in(text: &str, answers: &[String]) -> bool {
    answers.iter().any(|answer| answer.contains(text))
}

/// Whether a document has these pieces; the first of them within so many bytes.
fn has_pieces(document: &str, pieces: &[&str], within: usize) -> bool {
    let Some((first, rest)) = pieces.split_first() else { return true };
    let mut end = within.saturating_add(first.len()).min(document.len());
    while !document.is_char_boundary(end) {
        end += 1;
    }
    // Any occurrence may be the right one; the rest decides.
    let mut ends = document[..end].match_indices(first).map(|(at, piece)| at + piece.len());
    ends.any(|end| has_pieces(&document[end..], rest, MAX_INSERTED))
}
