//! The licences that dependencies may have.
//!
//! This is the part of a licence and advisory check that works without a network: cargo's own metadata against a list.
//! Advisories need a database from elsewhere and are left out.

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Licences that require no more than attribution.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    // Of the bzip2 library; its terms are those of BSD-3-Clause in other words.
    "bzip2-1.0.6",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// A line for each package in `metadata` whose licence is not allowed.
pub(crate) fn violations(metadata: &Value) -> Result<Vec<String>> {
    let packages = metadata["packages"].as_array().context("no packages")?;
    Ok(packages
        .iter()
        .filter_map(|package| {
            let licence = package["license"].as_str().unwrap_or("");
            (!allowed(licence)).then(|| {
                let name = package["name"].as_str().unwrap_or("?");
                format!("{name}: the licence {licence:?} is not in the list of xtask/src/licences.rs")
            })
        })
        .collect())
}

/// Whether an SPDX expression can be satisfied by allowed licences only.
fn allowed(expression: &str) -> bool {
    // The old notation for "or", which still occurs.
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut rest = words.as_slice();
    // What is left over is not an SPDX expression, and not allowed.
    any(&mut rest).unwrap_or(false) && rest.is_empty()
}

fn any(rest: &mut &[&str]) -> Option<bool> {
    // `AND` binds more tightly than `OR` (SPDX 2.3, annex D.4.5).
    let mut good = all(rest)?;
    while let ["OR", tail @ ..] = rest {
        *rest = tail;
        good |= all(rest)?;
    }
    Some(good)
}

fn all(rest: &mut &[&str]) -> Option<bool> {
    let mut good = one(rest)?;
    while let ["AND", tail @ ..] = rest {
        *rest = tail;
        good &= one(rest)?;
    }
    Some(good)
}

fn one(rest: &mut &[&str]) -> Option<bool> {
    match rest {
        ["(", tail @ ..] => {
            *rest = tail;
            let good = any(rest)?;
            let [")", tail @ ..] = rest else { return None };
            *rest = tail;
            Some(good)
        }
        [licence, "WITH", exception, tail @ ..] => {
            let whole = format!("{licence} WITH {exception}");
            *rest = tail;
            Some(ALLOWED.contains(&whole.as_str()))
        }
        [licence, tail @ ..] => {
            let good = ALLOWED.contains(licence);
            *rest = tail;
            Some(good)
        }
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn a_choice_needs_one_allowed_licence_and_a_combination_all() {
        assert!(allowed("MIT"));
        assert!(allowed("GPL-3.0-only OR MIT"));
        assert!(allowed("MIT/Apache-2.0"));
        assert!(allowed("(MIT OR GPL-3.0-only) AND Unicode-3.0"));
        assert!(allowed("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only"));
        assert!(!allowed("MIT AND GPL-3.0-only"));
        assert!(!allowed("GPL-3.0-only"));
    }

    #[test]
    fn missing_and_malformed_licences_are_not_allowed() {
        for text in ["", "(MIT", "MIT OR", "MIT MIT", ")"] {
            assert!(!allowed(text), "{text}");
        }
    }
}
