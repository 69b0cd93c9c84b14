//! Sources that alone in their directory need a library of the system. They become a library of their own, so the rest
//! builds without the system's library, and is not linked with it.
//!
//! Such a library has the headers that only these sources include. All users of the sources have to include one of
//! those headers. If one does not (the functions are declared elsewhere, say), the sources stay where they are.

use std::collections::BTreeSet;

use super::{Kind, condition::Truth, facts::FileFacts, includes::Includes, kind, system::Origin};
use crate::{paths, tree::Tree};

/// A library of the system that a file surely includes a header of.
fn package(includes: &Includes) -> Option<&'static str> {
    includes.system.iter().find_map(|(origin, is_compiled)| match origin {
        Origin::Package(package) if *is_compiled == Truth::Yes => Some(*package),
        _ => None,
    })
}

/// Sources, and the headers that only they include.
pub(super) struct Part {
    /// What pkg-config calls the library of the system.
    pub(super) package: &'static str,
    pub(super) sources: BTreeSet<usize>,
    pub(super) headers: BTreeSet<usize>,
}

/// The first such part of a library with these sources and headers.
pub(super) fn part_of(
    tree: &Tree,
    facts: &[FileFacts],
    includes: &[Includes],
    sources: &[usize],
    headers: &[usize],
) -> Option<Part> {
    let packages: BTreeSet<&'static str> =
        sources.iter().filter_map(|file| package(&includes[*file])).collect();
    // The first part that can be split off; the caller asks again until there is none (`split_by_package`).
    packages.into_iter().find_map(|name| {
        let (separate, others): (BTreeSet<usize>, BTreeSet<usize>) =
            sources.iter().partition(|file| package(&includes[**file]) == Some(name));
        let own = own_headers(tree, includes, headers, &separate, &others)?;
        is_used_by_headers(tree, facts, includes, &separate, &own).then_some(Part {
            package: name,
            sources: separate,
            headers: own,
        })
    })
}

/// The headers of a library that, within it, only these sources include, directly or through such headers. `None` if
/// there are no others, or some of these may need the sources.
// Conservative: a part that is split off wrongly does not link; without the split, a program only links one more
// library.
fn own_headers(
    tree: &Tree,
    includes: &[Includes],
    headers: &[usize],
    separate: &BTreeSet<usize>,
    others: &BTreeSet<usize>,
) -> Option<BTreeSet<usize>> {
    if others.is_empty() {
        return None;
    }
    let includes_it =
        |from: &usize, header: usize| includes[*from].files.iter().any(|link| link.file == header);
    let has_stem_of =
        |source: &usize, header: usize| paths::stem(tree.path(*source)) == paths::stem(tree.path(header));
    let is_candidate = |header: &usize| {
        !others.iter().any(|source| includes_it(source, *header) || has_stem_of(source, *header))
    };
    let mut own: BTreeSet<usize> = headers.iter().copied().filter(is_candidate).collect();
    // Without those that other headers include, until that is true of none.
    loop {
        let shared = own
            .iter()
            .copied()
            .find(|header| headers.iter().any(|from| !own.contains(from) && includes_it(from, *header)));
        match shared {
            Some(header) => own.remove(&header),
            None => break,
        };
    }
    // Without those that these sources do not include at all.
    let (mut left, mut reached) = (Vec::from_iter(separate.iter().copied()), BTreeSet::new());
    while let Some(file) = left.pop() {
        let included = includes[file].files.iter().map(|link| link.file);
        left.extend(included.filter(|header| own.contains(header) && reached.insert(*header)));
    }
    let own = reached;
    // What another header declares may be defined here. In C the names of functions tell; in C++ only the names of
    // files.
    let is_clear = |source: &usize| {
        kind(tree.path(*source)) == Some(Kind::C)
            || includes[*source].files.iter().map(|link| link.file).all(|header| {
                own.contains(&header)
                    || !headers.contains(&header)
                    || others.iter().any(|source| has_stem_of(source, header))
            })
    };
    separate.iter().all(is_clear).then_some(own)
}

/// Whether each source that has the name of a function of these sources includes one of the headers.
fn is_used_by_headers(
    tree: &Tree,
    facts: &[FileFacts],
    includes: &[Includes],
    separate: &BTreeSet<usize>,
    headers: &BTreeSet<usize>,
) -> bool {
    // By names, without a linker: a source that has the name of such a function may call it without any header.
    let functions: BTreeSet<&String> = separate.iter().flat_map(|file| &facts[*file].functions).collect();
    let is_source = |file: &usize| !matches!(kind(tree.path(*file)), None | Some(Kind::Header));
    let is_user = |file: &usize| {
        is_source(file)
            && !separate.contains(file)
            && facts[*file].mentioned.iter().any(|name| functions.contains(name))
    };
    (0..tree.len()).filter(is_user).all(|user| {
        let (mut left, mut seen) = (vec![user], BTreeSet::from([user]));
        while let Some(file) = left.pop() {
            if headers.contains(&file) {
                return true;
            }
            left.extend(includes[file].files.iter().map(|link| link.file).filter(|file| seen.insert(*file)));
        }
        false
    })
}
