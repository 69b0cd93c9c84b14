//! Names for characters in messages that are invisible or look like others.

/// The name of a character that is not what it looks like, and what can be done about it.
pub(super) fn unusual(c: char) -> Option<(String, String)> {
    let (name, help) = match c {
        '\u{a0}' => ("a no-break space", SPACE_HELP),
        '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            ("a special space", SPACE_HELP)
        }
        '\u{85}' | '\u{2028}' | '\u{2029}' => {
            ("a special line break", "replace it by an ordinary line break")
        }
        '\u{200b}' => ("a zero-width space", REMOVE_HELP),
        '\u{200c}' | '\u{200d}' => ("a zero-width joiner", REMOVE_HELP),
        '\u{2060}' => ("a word joiner", REMOVE_HELP),
        '\u{ad}' => ("a soft hyphen", REMOVE_HELP),
        '\u{feff}' => ("a byte order mark", "it can only stand at the beginning of the file; remove it"),
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}' => {
            ("a mark for the direction of writing", REMOVE_HELP)
        }
        '\u{180e}' | '\u{2061}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' => {
            ("an invisible character", REMOVE_HELP)
        }
        '“' | '”' | '„' | '‟' | '″' | '＂' | '«' | '»' | '〝' | '〞' => {
            ("typographic quotation mark", QUOTES_HELP)
        }
        '‘' | '’' | '‚' | '‛' | '′' | '＇' | '‹' | '›' | '`' | '´' => {
            ("typographic quotation mark", QUOTES_HELP)
        }
        '，' | '、' | '،' => ("comma of another script", "write it as ,"),
        '：' | '꞉' | '∶' | '︓' => ("colon of another script", "write it as :"),
        '｛' | '｝' | '［' | '］' | '【' | '】' => {
            ("bracket of another script", "write it as { } or [ ]")
        }
        '−' | '–' | '—' | '‐' | '‑' => ("dash", "a minus sign is written as -"),
        c if c.is_control() => ("a control character", REMOVE_HELP),
        _ => return None,
    };
    let code = u32::from(c);
    // Visible characters are shown as well.
    let shown = match name.starts_with("a ") || name.starts_with("an ") {
        true => format!("{name} (U+{code:04X})"),
        false => format!("the {name} {c} (U+{code:04X})"),
    };
    Some((shown, help.to_owned()))
}

const SPACE_HELP: &str = "it looks like an ordinary space; replace it by one";
const REMOVE_HELP: &str = "it is invisible; remove it";
const QUOTES_HELP: &str = "strings are written in straight double quotes: \"";

/// The conflict marker at the beginning of a text, as version control leaves them at the beginning of lines.
pub(super) fn conflict_mark(line: &str) -> Option<&str> {
    // As git and others write them, unless they are configured otherwise.
    const LENGTH: usize = 7;
    let mark = line.get(..LENGTH)?;
    let first = mark.chars().next()?;
    let ends = line[LENGTH..].chars().next().is_none_or(char::is_whitespace);
    ("<=>|".contains(first) && mark.chars().all(|c| c == first) && ends).then_some(mark)
}
