//! The list of repositories that `repos` prints.

use taut_setup::{BranchState, Status};
use taut_syntax::quoted;
use taut_value::JsonWriter;

/// How many digits of an id are shown to people.
const MAX_SHOWN_DIGITS: usize = 10;

/// A list of repositories.
pub(crate) struct List<'l> {
    pub(crate) status: &'l [Status],
    /// Whether servers were asked for newer commits.
    pub(crate) has_asked: bool,
}

impl List<'_> {
    /// As JSON: a map from names to what there is of each repository (docs/repositories.md).
    pub(crate) fn to_json(&self) -> String {
        let mut json = JsonWriter::pretty(2);
        // Keys sorted, by hand: the writer writes in the order of the calls.
        json.object(|json| {
            for status in self.status {
                json.key(&status.name).object(|json| {
                    json.key("from").string(&status.from);
                    match &status.newest {
                        Some(BranchState::Other(commit)) => drop(json.key("newest").string(commit)),
                        Some(BranchState::Unknown(cause)) => drop(json.key("newest error").string(cause)),
                        _ => {}
                    }
                    if self.has_asked {
                        let is_outdated = matches!(status.newest, Some(BranchState::Other(_)));
                        json.key("outdated").bool(is_outdated);
                    }
                    if let Some(pinned) = &status.pinned {
                        json.key("pinned").string(pinned);
                    }
                    json.key("state").string(status.presence.word());
                    json.key("type").string(status.type_name);
                    json.key("used by");
                    json.strings(&status.used_by);
                });
            }
        });
        json.finish() + "\n"
    }

    /// As a table for people; on a terminal, lines are cut at its width.
    pub(crate) fn to_text(&self, width: Option<usize>) -> String {
        let header = ["REPOSITORY", "TYPE", "PINNED", "STATE", "USED BY", "FROM"].map(str::to_owned);
        let rows: Vec<[String; 6]> = std::iter::once(header).chain(self.status.iter().map(row)).collect();
        let widths: Vec<usize> = (0..5)
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default())
            .collect();
        let mut text = String::new();
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            line.push_str(&row[5]);
            let width = width.map_or(usize::MAX, |width| width.max(40));
            let line: String = line.trim_end().chars().take(width).collect();
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn row(status: &Status) -> [String; 6] {
    let name = match status.name.as_str() {
        "" => quoted("").to_string(),
        name => name.to_owned(),
    };
    let pinned = status.pinned.as_deref().map_or("-", |id| &id[..MAX_SHOWN_DIGITS.min(id.len())]);
    let state = match &status.newest {
        Some(BranchState::Other(commit)) => {
            format!(
                "{}, outdated ({})",
                status.presence.word(),
                &commit[..MAX_SHOWN_DIGITS.min(commit.len())]
            )
        }
        Some(BranchState::Unknown(_)) => format!("{}, newest unknown", status.presence.word()),
        _ => status.presence.word().to_owned(),
    };
    let users: Vec<&str> = status.used_by.iter().map(String::as_str).collect();
    let users = if users.is_empty() { "-".to_owned() } else { users.join(",") };
    [name, status.type_name.to_owned(), pinned.to_owned(), state, users, status.from.clone()]
}
