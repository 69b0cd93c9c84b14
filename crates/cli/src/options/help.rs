//! A page of the command line as text for a terminal.
//!
//! Under the name `just` help is what the parser makes of the definition.

use super::page::{Entry, Page};

/// The last column at which explanations may begin.
const MAX_INDENT: usize = 34;

/// The text of a page, as wide as standard output is.
pub(super) fn text(page: &Page) -> String {
    in_columns(page, columns())
}

/// How many columns a line on standard output may have, to be read with ease.
fn columns() -> usize {
    /// The width without a terminal, and the largest width.
    const WIDTH: usize = 110;
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col).clamp(40, WIDTH),
        _ => WIDTH,
    }
}

/// The text of a page; no line is longer than `columns`, if words allow it.
fn in_columns(page: &Page, columns: usize) -> String {
    let mut text = format!("{}\n\nUsage: {}\n", wrapped(&page.about, 0, columns), page.usage);
    let entries = || page.sections.iter().flat_map(|section| &section.entries);
    let fits = |length: &usize| length + 4 <= MAX_INDENT;
    // As wide as the longest words that fit, so that a page of short options is narrow.
    let longest = entries().map(|entry| entry.words.chars().count()).filter(fits).max();
    let indent = longest.map_or(MAX_INDENT, |longest| longest + 4);
    for section in &page.sections {
        text += &format!("\n{}:\n", section.heading);
        section.entries.iter().for_each(|entry| line(&mut text, entry, indent, columns));
    }
    text
}

fn line(text: &mut String, entry: &Entry, indent: usize, columns: usize) {
    let help = wrapped(&entry.help, indent, columns);
    let length = entry.words.chars().count();
    *text += &match length + 4 <= indent {
        true => format!("  {}{}{help}\n", entry.words, " ".repeat(indent - 2 - length)),
        false => format!("  {}\n{}{help}\n", entry.words, " ".repeat(indent)),
    };
}

/// A text in lines. All lines after the first begin with `indent` blanks.
fn wrapped(text: &str, indent: usize, columns: usize) -> String {
    let mut lines = String::new();
    let mut column = indent;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > indent && column + 1 + length > columns {
            lines += &format!("\n{}", " ".repeat(indent));
            column = indent;
        } else if column > indent {
            lines.push(' ');
            column += 1;
        }
        lines += word;
        column += length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn a_text_is_cut_between_words() {
        assert_eq!(wrapped("one two three", 2, 9), "one two\n  three");
        assert_eq!(wrapped("one two three", 0, 7), "one two\nthree");
        assert_eq!(wrapped("immeasurable", 2, 6), "immeasurable");
        assert_eq!(wrapped("", 2, 6), "");
    }
}
