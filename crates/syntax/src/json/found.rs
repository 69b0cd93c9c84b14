//! Characters in messages: those of which nothing is seen, or that look like others, are named.

/// A character as it is shown, and what can be done about it, where it is not what it looks like.
pub(super) fn odd(c: char) -> Option<(String, String)> {
    let (name, help) = match c {
        '\u{a0}' => ("a no-break space", SPACE),
        '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            ("a special space", SPACE)
        }
        '\u{85}' | '\u{2028}' | '\u{2029}' => {
            ("a special line break", "replace it by an ordinary line break")
        }
        '\u{200b}' => ("a zero-width space", REMOVE),
        '\u{200c}' | '\u{200d}' => ("a zero-width joiner", REMOVE),
        '\u{2060}' => ("a word joiner", REMOVE),
        '\u{ad}' => ("a soft hyphen", REMOVE),
        '\u{feff}' => ("a byte order mark", "it can only stand at the beginning of the file; remove it"),
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}' => {
            ("a mark for the direction of writing", REMOVE)
        }
        '\u{180e}' | '\u{2061}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' => ("an invisible character", REMOVE),
        '“' | '”' | '„' | '‟' | '″' | '＂' | '«' | '»' | '〝' | '〞' => {
            ("typographic quotation mark", QUOTES)
        }
        '‘' | '’' | '‚' | '‛' | '′' | '＇' | '‹' | '›' | '`' | '´' => {
            ("typographic quotation mark", QUOTES)
        }
        '，' | '、' | '،' => ("comma of another script", "write it as ,"),
        '：' | '꞉' | '∶' | '︓' => ("colon of another script", "write it as :"),
        '｛' | '｝' | '［' | '］' | '【' | '】' => {
            ("bracket of another script", "write it as { } or [ ]")
        }
        '−' | '–' | '—' | '‐' | '‑' => ("dash", "a minus sign is written as -"),
        c if c.is_control() => ("a control character", REMOVE),
        _ => return None,
    };
    let code = u32::from(c);
    // What can be seen is shown.
    let shown = match name.starts_with("a ") || name.starts_with("an ") {
        true => format!("{name} (U+{code:04X})"),
        false => format!("the {name} {c} (U+{code:04X})"),
    };
    Some((shown, help.to_owned()))
}

const SPACE: &str = "it looks like an ordinary space; replace it by one";
const REMOVE: &str = "it is invisible; remove it";
const QUOTES: &str = "strings are written in straight double quotes: \"";

/// The conflict mark at the beginning of a text, as version control leaves them at the beginning of lines.
pub(super) fn conflict_mark(line: &str) -> Option<&str> {
    const LENGTH: usize = 7;
    let mark = line.get(..LENGTH)?;
    let first = mark.chars().next()?;
    let ends = line[LENGTH..].chars().next().is_none_or(char::is_whitespace);
    ("<=>|".contains(first) && mark.chars().all(|c| c == first) && ends).then_some(mark)
}
