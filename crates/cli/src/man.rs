//! `man`: manual pages, made from the definition of the command line.
//!
//! One page of the tool and one of each command, in the language of `man(7)`: every system that has a `man` reads it.

use std::path::Path;

use taut_sys::Dir;

use crate::{
    exit::{self, Exit},
    options::{
        Man, definition,
        page::{self, Extent, Page},
    },
    standard_streams::eprint_error,
};

/// Runs `man`.
pub(crate) fn run(o: &Man) -> Exit {
    match write(&o.directory) {
        Ok(()) => Exit::Success,
        Err(error) => {
            eprint_error(&format!("cannot write manual pages to {}: {error}", o.directory.display()));
            Exit::Environment
        }
    }
}

fn write(directory: &Path) -> taut_sys::Result<()> {
    let section = Dir::made_of_user(directory)?.make_all("man1")?;
    for (name, text) in pages() {
        // Replaced at once, so that a reader of an older page never sees half of a new one.
        section.at(&name).replace(text.as_bytes())?;
    }
    Ok(())
}

/// All pages, each with the name of its file.
fn pages() -> Vec<(String, String)> {
    let tool = definition("taut");
    let subcommands = tool.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
    let of_commands = subcommands.filter_map(|subcommand| {
        let page = page::of_subcommand(&tool, subcommand.get_name(), Extent::All)?;
        Some((format!("taut-{}.1", subcommand.get_name()), of_command(&page)))
    });
    let main = ("taut.1".to_owned(), of_tool(&page::of_tool(&tool)));
    [main].into_iter().chain(of_commands).collect()
}

fn of_tool(page: &Page) -> String {
    let mut text = beginning(page);
    text += ".SH COMMANDS\nEach has a page of its own, \\fBtaut\\-\\fICOMMAND\\fR(1).\n";
    text += &sections(page);
    text += ".SH EXIT STATUS\n";
    for (exit, meaning) in exit::MEANINGS {
        text += &format!(".TP\n\\fB{}\\fR\n{}\n", exit.code(), escaped(meaning));
    }
    text += ".SH FILES\n";
    for (path, meaning) in FILES {
        text += &format!(".TP\n\\fI{}\\fR\n{}\n", escaped(path), escaped(meaning));
    }
    text
}

/// Files that a user of every project meets.
const FILES: [(&str, &str); 4] = [
    ("ROOT", "Marks the root of a workspace; WORKSPACE and .git do so, too."),
    ("TARGETS", "Defines the targets of the directory that it is in."),
    ("repos.json", "In the root of a workspace: describes the other repositories that it uses."),
    ("~/.cache/taut", "Results and all that is known of earlier builds. taut gc removes what is old."),
];

fn of_command(page: &Page) -> String {
    format!("{}.SH OPTIONS\n{}.SH SEE ALSO\n.BR taut (1)\n", beginning(page), sections(page))
}

/// Title, name and form of a command.
fn beginning(page: &Page) -> String {
    // Pages of subcommands are named like those of git: `man taut-build`.
    let name = page.name.replace(' ', "-");
    let form = page.usage.strip_prefix(&page.name).unwrap_or_default();
    format!(
        // Without a date: the page is the same whenever it is made. The form of the NAME section is
        // what `mandb` indexes.
        ".TH {} 1 \"\" \"taut {}\" \"taut\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n\\fB{}\\fR{}\n",
        escaped(&name.to_uppercase()),
        env!("CARGO_PKG_VERSION"),
        escaped(&name),
        escaped(&page.about),
        escaped(&page.name),
        escaped(form),
    )
}

fn sections(page: &Page) -> String {
    let mut text = String::new();
    for section in &page.sections {
        text += &format!(".SS {}\n", escaped(&section.heading));
        for entry in &section.entries {
            let words = entry.words.trim_start();
            // Options and value are typeset apart: the former are typed as they are, the latter is replaced.
            let (options, value) = words.split_once(" <").unwrap_or((words, ""));
            let options: Vec<String> =
                options.split(", ").map(|option| format!("\\fB{}\\fR", escaped(option))).collect();
            let value = match value {
                "" => String::new(),
                value => format!(" \\fI{}\\fR", escaped(value.trim_end_matches('>'))),
            };
            text += &format!(".TP\n{}{value}\n{}\n", options.join(", "), escaped(&entry.help));
        }
    }
    text
}

/// A text whose characters all mean themselves: a page could otherwise begin a request with a dot, and show other
/// dashes and quotes than those that are to be typed.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        // The names are those of groff_char(7), which other formatters have, too.
        match c {
            '\\' => escaped += "\\e",
            '-' => escaped += "\\-",
            '\'' => escaped += "\\(aq",
            '`' => escaped += "\\(ga",
            '^' => escaped += "\\(ha",
            '~' => escaped += "\\(ti",
            '"' => escaped += "\\(dq",
            // In one line, which begins a request only if the text does.
            '\n' => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    if escaped.starts_with('.') { format!("\\&{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_mean_themselves() {
        for (text, expected) in
            [("-a", "\\-a"), (".x", "\\&.x"), ("it's \\", "it\\(aqs \\e"), ("... (all)", "\\&... (all)")]
        {
            assert_eq!(escaped(text), expected);
        }
    }
}
