//! The check of `cargo xtask tidy` for the Markdown pages: each says in its first sentence which readers it is for, has
//! one heading of the first level, and links only to what is there.
//!
//! Links to other sites are not followed: the checks give the same answer offline.

use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Pages at the root of the repository; those in `docs` are added.
const AT_ROOT: &[&str] = &["README.md", "CONTRIBUTING.md", "CHANGELOG.md"];

/// The page that introduces the project, and so begins in its own way.
const INTRODUCTION: &str = "README.md";

/// Checks all pages.
///
/// # Errors
/// A page cannot be read.
pub(crate) fn violations(root: &Path) -> Result<Vec<String>> {
    let mut names: BTreeSet<String> = AT_ROOT.iter().map(|name| (*name).to_owned()).collect();
    for entry in fs::read_dir(root.join("docs"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.ends_with(".md").then(|| format!("docs/{name}")));
    }
    let mut pages = BTreeMap::new();
    for name in names {
        let text = fs::read_to_string(root.join(&name))?;
        // All are read before any is checked, since links lead from each to each.
        pages.insert(name, text);
    }
    let anchors: BTreeMap<&str, BTreeSet<String>> =
        pages.iter().map(|(name, text)| (name.as_str(), anchors(text))).collect();
    let mut found = Vec::new();
    for (name, text) in &pages {
        found.extend(form(name, text));
        let directory = Path::new(name).parent().unwrap_or(Path::new(""));
        for link in links(text) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let leads_to = if path.is_empty() { name.clone() } else { normal(&directory.join(path)) };
            // A link to a directory is right, too.
            if !root.join(&leads_to).exists() {
                found.push(format!("{name}: there is nothing at the link {link}"));
            } else if !anchor.is_empty()
                && anchors.get(leads_to.as_str()).is_some_and(|anchors| !anchors.contains(anchor))
            {
                found.push(format!("{name}: {leads_to} has no heading for the link {link}"));
            }
        }
    }
    Ok(found)
}

/// What is wrong with the headings and the beginning of a page.
fn form(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let top = headings(text).filter(|(level, _)| *level == 1).count();
    if top != 1 {
        found.push(format!("{name}: {top} headings of the first level; a page has one"));
    }
    let first = prose(text).find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or("");
    if name != INTRODUCTION && !first.starts_with("For ") {
        found.push(format!("{name}: its first sentence does not begin with \"For\" and name the readers"));
    }
    found
}

/// The lines of a page outside of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        // Blocks of code are left out: shell comments look like headings, and calls like links.
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The headings of a page, with their levels.
fn headings(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).filter_map(|line| {
        let level = line.chars().take_while(|c| *c == '#').count();
        let rest = line[level..].strip_prefix(' ')?;
        (level > 0).then_some((level, rest))
    })
}

/// The names by which headings are linked, as code hosts make them: small letters, digits, hyphens for blanks; of equal
/// ones the later have a number.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for (_, heading) in headings(text) {
        let kept = heading.to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let name: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let number = count.entry(name.clone()).or_default();
        found.insert(if *number == 0 { name } else { format!("{name}-{number}") });
        *number += 1;
    }
    found
}

/// The links of a page that lead to files.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let in_line = |line| {
        let mut rest: &str = line;
        std::iter::from_fn(move || {
            // Links in the form `[text](place)` only: pages use no other.
            let (_, behind) = rest.split_once("](")?;
            let (link, behind) = behind.split_once(')')?;
            rest = behind;
            Some(link)
        })
    };
    prose(text).flat_map(in_line).filter(|link| !link.contains("://") && !link.is_empty())
}

/// A path without `..` and `.`.
fn normal(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.to_str().unwrap_or_default().split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::{anchors, form, links, normal};
    use std::path::Path;

    const PAGE: &str = "# A page\n\nFor readers.\n\n```sh\n# no heading\n[no link](x)\n```\n\n## C and C++: `this`\n\
        See [a](b.md), [c](https://d) and\n[e](#c-and-c-this).\n## Twice\n## Twice\n";

    #[test]
    fn a_page_has_one_title_and_names_its_readers() {
        assert_eq!(form("docs/a.md", PAGE), [] as [&str; 0]);
        assert_eq!(form("docs/a.md", "# A\n\nFor b.\n\n# C\n").len(), 1);
        assert_eq!(form("docs/a.md", "# A\n\nThis page is about b.\n").len(), 1);
        assert_eq!(form("README.md", "# A\n\nA is a tool.\n"), [] as [&str; 0]);
    }

    #[test]
    fn headings_are_linked_by_their_words() {
        let found: Vec<String> = anchors(PAGE).into_iter().collect();
        assert_eq!(found, ["a-page", "c-and-c-this", "twice", "twice-1"]);
    }

    #[test]
    fn links_to_files_and_headings_are_found_outside_of_code() {
        assert_eq!(links(PAGE).collect::<Vec<_>>(), ["b.md", "#c-and-c-this"]);
        assert_eq!(normal(Path::new("docs/../crates/./a")), "crates/a");
    }
}
