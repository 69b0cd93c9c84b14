//! The command line as people look it up: headings, and below them words with what they mean.
//!
//! Help in a terminal ([`super::help`]) and manual pages (`crate::man`) are two forms of this. Both come from the
//! definition that words are parsed by, so they cannot differ from what is accepted.

use clap::{Arg, Command};

/// How much of a command is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What the command is for, and the few options that are of use every day.
    Own,
    /// Also the options that most commands share.
    All,
}

/// One command, or the tool itself.
pub(crate) struct Page {
    /// The words that it is called with: `taut build`.
    pub(crate) name: String,
    pub(crate) about: String,
    /// Its form, behind `Usage: `.
    pub(crate) usage: String,
    pub(crate) sections: Vec<Section>,
}

/// A heading, and what is below it.
pub(crate) struct Section {
    pub(crate) heading: String,
    pub(crate) entries: Vec<Entry>,
}

/// Words of a command line, and what they mean.
pub(crate) struct Entry {
    pub(crate) words: String,
    pub(crate) help: String,
}

/// What is accepted, as the reference does, and does nothing yet but cause an error: it is on no page.
const NOT_SUPPORTED: [&str; 4] = ["execute", "serve", "remote_serve_address", "serve_errors_log"];

/// Headings of options that belong to a command itself, beside those without a heading.
const OWN_HEADINGS: [&str; 3] = ["Tests", "Dumps (- is standard output)", "Results"];

/// Options of all commands that are used often.
const FREQUENT_OPTIONS: [&str; 7] = ["defines", "config", "jobs", "verbose", "quiet", "help", "help_all"];

/// The heading of these, where they are shown alone.
pub(super) const COMMON: &str = "Common options";

/// The subcommands by what they are for.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Begin", &["init"]),
    ("Build and test", &["build", "install", "test", "watch", "compile-commands"]),
    ("Understand", &["explain", "what-if", "describe", "analyse", "rebuild"]),
    ("Repositories", &["repos", "setup", "setup-env", "fetch", "update", "gc-repo", "do"]),
    ("Stored results", &["gc", "install-cas", "add-to-cas", "traverse"]),
    ("taut itself", &["completions", "man", "version"]),
];

/// Whether a subcommand or an option, by its name in the definition, does nothing yet.
pub(super) fn is_supported(id: &str) -> bool {
    !NOT_SUPPORTED.contains(&id)
}

/// The page of the tool: its subcommands, by what they are for.
pub(crate) fn of_tool(tool: &Command) -> Page {
    let entry = |name: &&str| {
        let subcommand = tool.find_subcommand(name).filter(|subcommand| !subcommand.is_hide_set())?;
        Some(Entry { words: (*name).to_owned(), help: about(subcommand) })
    };
    // Subcommands that are hidden or in no group are not listed; a test compares the groups with
    // the definition.
    let groups = GROUPS.iter().map(|(heading, names)| Section {
        heading: (*heading).to_owned(),
        entries: names.iter().filter_map(entry).collect(),
    });
    let options = Section {
        heading: "Options".to_owned(),
        entries: [
            ("COMMAND --help", "Print what a command takes"),
            ("--version", "Print the version in one line"),
        ]
        .map(|(words, help)| Entry { words: words.to_owned(), help: help.to_owned() })
        .into(),
    };
    Page {
        name: tool.get_name().to_owned(),
        about: about(tool),
        usage: format!("{} COMMAND [OPTIONS] [ARGUMENTS]", tool.get_name()),
        sections: groups.chain([options]).filter(|section| !section.entries.is_empty()).collect(),
    }
}

/// The page of a subcommand of a tool; `None` if there is no such subcommand.
pub(crate) fn of_subcommand(tool: &Command, name: &str, extent: Extent) -> Option<Page> {
    let subcommand = tool.find_subcommand(name)?;
    let called = format!("{} {name}", tool.get_name());
    let usage = subcommand.clone().bin_name(&called).render_usage().to_string();
    let mut page = Page {
        about: about(subcommand),
        usage: usage.trim_start_matches("Usage:").trim().to_owned(),
        name: called,
        sections: Vec::new(),
    };
    // Of the options that are shown alone, those that all commands have come last.
    let mut common = Section { heading: COMMON.to_owned(), entries: Vec::new() };
    let mut has_more = false;
    for arg in subcommand.get_arguments().filter(|arg| !arg.is_hide_set()) {
        let (id, heading) = (arg.get_id().as_str(), arg.get_help_heading());
        let is_frequent = FREQUENT_OPTIONS.contains(&id);
        let is_own = arg.is_positional()
            || heading.is_none_or(|heading| {
                OWN_HEADINGS.contains(&heading) || (heading == "Action graph" && name == "analyse")
            });
        // On the page with all options, a daily one is listed where it belongs, not twice.
        if heading == Some(COMMON) || (is_frequent && extent == Extent::Own) {
            common.entries.push(entry(arg, extent));
        } else if is_own || extent == Extent::All {
            let usual = if arg.is_positional() { "Arguments" } else { "Options" };
            page.add(heading.unwrap_or(usual), entry(arg, extent));
        } else {
            has_more = true;
        }
    }
    // There is nothing that `--help-all` would add, so it is not offered.
    if !has_more && extent == Extent::Own {
        common.entries.retain(|entry| !entry.words.ends_with("--help-all"));
    }
    // Arguments first, then the options of the command itself.
    let rank = |section: &Section| match section.heading.as_str() {
        "Arguments" => 0,
        "Options" => 1,
        own if OWN_HEADINGS.contains(&own) => 2,
        _ => 3,
    };
    // Stable: within a rank the order is that of the definition.
    page.sections.sort_by_key(rank);
    page.sections.push(common);
    Some(page)
}

impl Page {
    fn add(&mut self, heading: &str, entry: Entry) {
        match self.sections.iter_mut().find(|section| section.heading == heading) {
            Some(section) => section.entries.push(entry),
            None => {
                self.sections.push(Section { heading: heading.to_owned(), entries: vec![entry] });
            }
        }
    }
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn entry(arg: &Arg, extent: Extent) -> Entry {
    let words = match arg.get_short() {
        _ if arg.is_positional() => arg.to_string(),
        Some(letter) => format!("-{letter}, {arg}"),
        // Indented by the width of `-x, `, so that long names are below each other.
        None => format!("    {arg}"),
    };
    let long = arg.get_long_help().filter(|_| extent == Extent::All);
    let mut help = long.or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let values: Vec<_> = match arg.get_action().takes_values() {
        true => arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect(),
        false => Vec::new(),
    };
    if !values.is_empty() {
        let default = match arg.get_default_values() {
            [default] => format!("; default {}", default.to_string_lossy()),
            _ => String::new(),
        };
        help += &format!(" ({}{default})", values.join(", "));
    }
    Entry { words, help }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::definition;

    #[test]
    fn every_subcommand_is_in_one_group_unless_it_is_not_supported() {
        for subcommand in definition("taut").get_subcommands() {
            let name = subcommand.get_name();
            let groups = GROUPS.iter().filter(|(_, names)| names.contains(&name)).count();
            assert_eq!(groups, usize::from(!subcommand.is_hide_set()), "{name}");
            assert_eq!(subcommand.is_hide_set(), !is_supported(name), "{name}");
        }
    }

    #[test]
    fn all_that_is_accepted_and_supported_is_on_some_page() {
        let definition = definition("taut");
        for subcommand in definition.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
            let page = of_subcommand(&definition, subcommand.get_name(), Extent::All).expect("a page");
            let entries: Vec<&Entry> = page.sections.iter().flat_map(|section| &section.entries).collect();
            let shown = subcommand.get_arguments().filter(|arg| !arg.is_hide_set()).count();
            assert_eq!(entries.len(), shown, "{}", page.name);
            for entry in entries {
                assert!(!entry.help.is_empty(), "{}: {}", page.name, entry.words);
                assert!(!entry.help.contains("not supported"), "{}: {}", page.name, entry.help);
            }
        }
    }
}
