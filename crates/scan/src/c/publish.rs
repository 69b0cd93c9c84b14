//! Which headers of a library are public, and by which names they are included.
//!
//! Public is what files outside of the library include, with all that these headers include of the library; and
//! whatever lies in a directory for headers. The names follow from how the headers are included most often. All public
//! headers that a target uses are in one directory, so if headers of two libraries had one name, both libraries get the
//! whole paths as names, and their users other ways to the headers (`staging.rs`).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Kind,
    includes::Includes,
    kind,
    libraries::{Libraries, Library, is_of_headers},
};
use crate::{paths, tree::Tree};

impl Library {
    /// The name by which a public header is included.
    pub(crate) fn public_name<'t>(&self, tree: &'t Tree, header: usize) -> &'t str {
        let path = tree.path(header);
        if self.base.is_empty() || !paths::is_within(path, &self.base) {
            return path;
        }
        path[self.base.len()..].trim_start_matches('/')
    }
}

/// Sets the public headers of all libraries, and the directories to which their names are relative.
pub(crate) fn publish(tree: &Tree, includes: &[Includes], all: &mut Libraries) {
    let mut votes: Vec<BTreeMap<String, (usize, usize)>> = vec![BTreeMap::new(); all.libraries.len()];
    for (file, of_file) in includes.iter().enumerate() {
        for link in &of_file.files {
            let Some(library) = all.owner[link.file] else { continue };
            let is_outside = all.owner[file] != Some(library);
            if is_outside && kind(tree.path(link.file)) == Some(Kind::Header) {
                // Includes from outside show what is public; whether the author meant that is not known.
                all.libraries[library].public.insert(link.file);
            }
            if let Some(base) = link.base(tree) {
                let count = votes[library].entry(base).or_default();
                // Compared as a pair: any include from outside outweighs all from inside.
                if is_outside { count.0 += 1 } else { count.1 += 1 }
            }
        }
    }
    let owner = &all.owner;
    for (number, library) in all.libraries.iter_mut().enumerate() {
        let is_for_users = |file: &usize| paths::parent(tree.path(*file)).split('/').any(is_of_headers);
        let in_place: Vec<usize> = library.headers.iter().copied().filter(is_for_users).collect();
        library.public.extend(in_place);
        if library.public.is_empty() {
            // Nothing uses it here: it is made for others.
            let headers = library.headers.iter().copied();
            library.public.extend(headers.filter(|file| kind(tree.path(*file)) == Some(Kind::Header)));
        }
        // A public header that includes one which users cannot find does not compile.
        add_included(&mut library.public, number, owner, includes);
        library.base = base(tree, library, &votes[number]);
    }
    separate(tree, all);
}

/// Adds what public headers include of their library.
fn add_included(
    public: &mut BTreeSet<usize>,
    library: usize,
    owner: &[Option<usize>],
    includes: &[Includes],
) {
    let mut left: Vec<usize> = public.iter().copied().collect();
    while let Some(file) = left.pop() {
        for link in &includes[file].files {
            if owner[link.file] == Some(library) && public.insert(link.file) {
                left.push(link.file);
            }
        }
    }
}

/// The directory that most includes begin at, those from outside first; without includes, the one for headers.
fn base(tree: &Tree, library: &Library, votes: &BTreeMap<String, (usize, usize)>) -> String {
    // Of equal votes the shorter directory: its names say more.
    let most = votes.iter().max_by_key(|(base, count)| (**count, std::cmp::Reverse(base.len())));
    if let Some((base, _)) = most {
        return base.clone();
    }
    let first = library.public.first().map_or("", |file| paths::parent(tree.path(*file)));
    let for_headers =
        std::iter::once(first).chain(paths::above(first)).find(|above| is_of_headers(paths::name(above)));
    for_headers.unwrap_or(&library.directory).to_owned()
}

/// Libraries with several public headers of one name get whole paths as names.
fn separate(tree: &Tree, all: &mut Libraries) {
    loop {
        let mut owners: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (number, library) in all.libraries.iter().enumerate() {
            for header in &library.public {
                owners.entry(library.public_name(tree, *header)).or_default().push(number);
            }
        }
        let equal: BTreeSet<usize> = owners.into_values().filter(|of| of.len() > 1).flatten().collect();
        let changed: Vec<usize> =
            equal.into_iter().filter(|number| !all.libraries[*number].base.is_empty()).collect();
        if changed.is_empty() {
            return;
        }
        // Whole paths are unique, so each round takes at least one library out of conflict: at most as many rounds as
        // libraries.
        changed.into_iter().for_each(|number| all.libraries[number].base.clear());
    }
}
