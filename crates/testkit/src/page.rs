//! Commands on a page of the documentation, so that tests run what readers copy.

/// A part of a page: its heading, and the commands of a program in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageSection {
    /// The heading.
    pub heading: String,
    /// The words of each command, without the program.
    pub commands: Vec<Vec<String>>,
}

/// The sections below a heading of the second level that have commands of a program: indented lines that begin with its
/// name. Words are separated by blanks; nothing is quoted.
///
/// # Panics
/// There is no such heading.
pub fn commands_of_page(page: &str, below: &str, program: &str) -> Vec<PageSection> {
    let heading = format!("\n## {below}\n");
    let at = page.find(&heading).unwrap_or_else(|| panic!("the page has no heading {below:?}"));
    let text = &page[at + heading.len()..];
    let text = text.find("\n## ").map_or(text, |end| &text[..end]);
    let mut sections: Vec<PageSection> = Vec::new();
    // Four blanks begin a block of code in Markdown.
    let begin = format!("    {program} ");
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            sections.push(PageSection { heading: heading.to_owned(), commands: Vec::new() });
        } else if let (Some(command), Some(section)) = (line.strip_prefix(&begin), sections.last_mut()) {
            section.commands.push(command.split_whitespace().map(str::to_owned).collect());
        }
    }
    sections.retain(|section| !section.commands.is_empty());
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_below_their_headings() {
        let page = "# A\n\n    x no\n\n## B\n\n### one\n\n    x a  b\n    y c\n\n### none\n\n### two\n\n    x d\n\n## C\n### e\n    x f\n";
        let found = commands_of_page(page, "B", "x");
        let found: Vec<(&str, usize)> =
            found.iter().map(|section| (section.heading.as_str(), section.commands.len())).collect();
        assert_eq!(found, [("one", 1), ("two", 1)]);
        assert_eq!(commands_of_page(page, "B", "x")[0].commands[0], ["a", "b"]);
    }
}
