//! The leaves of every build: what lies in a directory, what is in a file.
//!
//! Keys name the root by its place among all roots, not by the repository that uses it, so that repositories that
//! share a root share its tasks; and not by where it lies, so that checkouts share what is known of their contents.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use taut_digest::HashFunction;
use taut_engine::{Agreement, Cx, Facets, Fail, Hash, Key, Policy, Rule};
use taut_sys::{At, Dir, Evidence, FileKind, Reading, if_exists};
use taut_value::{Encoder, Id, Str};

use crate::open_dirs::OpenDirs;

/// A directory that files are taken from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Root {
    /// Where it is: any bytes.
    pub path: Arc<Path>,
    /// What keys have of it.
    pub name: RootName,
}

/// A root among those of a configuration. What it stands for is the same wherever the roots lie, so that what is
/// recorded of one checkout serves another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct RootName {
    /// Its place in [`Roots`].
    pub number: u16,
    /// Whether special entries (links, fifos, …) count as not there.
    pub ignore_special: bool,
}

/// Where the roots of a configuration are, each path once, in the order in which the repositories name them; and their
/// directories, as far as they are open.
#[derive(Default)]
pub struct Roots(Vec<(Arc<Path>, OpenDirs)>);

impl std::fmt::Debug for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(path, _)| path)).finish()
    }
}

impl Roots {
    /// The number of a path, which is added if it is new.
    pub(crate) fn add(&mut self, path: &Arc<Path>) -> u16 {
        let number = self.0.iter().position(|(known, _)| known == path).unwrap_or_else(|| {
            self.0.push((path.clone(), OpenDirs::default()));
            self.0.len() - 1
        });
        u16::try_from(number).expect("a configuration has fewer roots")
    }

    /// Appends the number of roots and of each the bytes of its path.
    pub(crate) fn encode(&self, e: &mut Encoder) {
        e.number(self.0.len() as u64);
        self.0.iter().for_each(|(path, _)| e.bytes(path.as_os_str().as_bytes()));
    }

    /// The directory at a path below a root, open; `None` if there is none.
    ///
    /// # Errors
    /// The system does not let it be opened.
    pub fn directory(&self, root: RootName, path: &str) -> taut_sys::Result<Option<Arc<Dir>>> {
        match self.0.get(usize::from(root.number)) {
            Some((at, open)) => open.get(at, path),
            None => Ok(None),
        }
    }

    /// The content of a regular file, or of what a link there leads to; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_file(&self, place: &Place) -> taut_sys::Result<Option<Vec<u8>>> {
        let (directory, name) = place.locate(self)?;
        content_at(directory.as_ref().map(|directory| directory.at(name)))
    }

    /// Another build begins: what was open is looked up again, since names may lead elsewhere.
    pub fn forget(&self) {
        self.0.iter().for_each(|(_, open)| open.forget());
    }
}

/// Something below a root.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// The root.
    pub root: RootName,
    /// Normalised path below it; "" for the root itself.
    pub path: Str,
}

impl Place {
    /// The path in the file system.
    pub fn full(&self, roots: &Roots) -> PathBuf {
        let root = roots.0.get(usize::from(self.root.number)).map_or(Path::new(""), |(path, _)| path);
        if self.path.is_empty() { root.to_owned() } else { root.join(self.path.as_str()) }
    }

    /// The directory that it lies in, if it is there, and its name in it; of a root "" in the root itself.
    fn locate(&self, roots: &Roots) -> taut_sys::Result<(Option<Arc<Dir>>, &str)> {
        let (above, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        Ok((roots.directory(self.root, above)?, name))
    }

    /// The path as messages name it.
    pub fn label(&self, roots: &Roots) -> Arc<str> {
        self.full(roots).to_string_lossy().into()
    }
}

impl Key for Place {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.root.ignore_special));
        out.extend(self.root.number.to_be_bytes());
        out.extend(self.path.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Place> {
        let (special, rest) = bytes.split_first()?;
        let (number, path) = rest.split_first_chunk::<2>()?;
        let root = RootName { number: u16::from_be_bytes(*number), ignore_special: *special == 1 };
        Some(Place { root, path: std::str::from_utf8(path).ok()?.into() })
    }
}

/// What a directory entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A regular file.
    File,
    /// A link that stays inside (non-upwards).
    Symlink,
    /// A directory.
    Directory,
    /// Something under a name that is not UTF-8; here the name is written with replacement characters. It cannot be
    /// used, and does not disturb what can.
    NotUtf8 {
        /// Whether it is a directory.
        is_directory: bool,
    },
}

/// What a directory holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Listing {
    /// There is no such directory.
    Absent,
    /// It cannot be used as a source of files; why.
    Unreadable(String),
    /// Its entries, sorted by name.
    Entries(Vec<(Str, Entry)>),
}

impl Listing {
    /// What the entry of a name is.
    pub fn get(&self, name: &str) -> Option<Entry> {
        let Listing::Entries(entries) = self else { return None };
        let at = entries.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        Some(entries[at].1)
    }

    /// Whether there is a listing at all, and if not, why.
    pub const READABLE: Facets = Facets::of(0);

    /// What the entry of a name is. Other names share the facet: who looks at one entry of a large directory is
    /// seldom disturbed by changes of others.
    pub fn facet_of(name: &str) -> Facets {
        Listing::READABLE.and(Facets::of(Facets::shared(1, name)))
    }

    /// The bytes that stand for it where it is hashed: 0 if there is none; 1 and why it cannot be used; 2, the number of
    /// entries and these. A text is the number of its bytes and these, an entry its name and what it is (0 file,
    /// 1 link, 2 directory, 3 and 4 something that is no UTF-8: no directory, a directory); numbers as [`Encoder`]
    /// writes them.
    fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        match self {
            Listing::Absent => e.number(0),
            Listing::Unreadable(why) => {
                e.number(1);
                e.bytes(why.as_bytes());
            }
            Listing::Entries(entries) => {
                e.number(2);
                e.number(entries.len() as u64);
                entries.iter().for_each(|(name, entry)| encode_entry(&mut e, name, *entry));
            }
        }
        e.finish()
    }

    fn hash(&self) -> Hash {
        Hash(Id::of(self.encode()).0)
    }

    /// Of whether it can be read: as [`Listing::encode`] writes it, without entries. Of some entries: these. 0 of
    /// nothing.
    fn facets(&self) -> Vec<Hash> {
        let mut facets: Vec<Encoder> = (0..Facets::MOST).map(|_| Encoder::limited(0, 0)).collect();
        match self {
            Listing::Absent => {}
            Listing::Unreadable(why) => {
                facets[0].number(1);
                facets[0].bytes(why.as_bytes());
            }
            Listing::Entries(entries) => {
                facets[0].number(2);
                for (name, entry) in entries {
                    encode_entry(&mut facets[Facets::shared(1, name)], name, *entry);
                }
            }
        }
        let bytes = facets.into_iter().map(Encoder::finish);
        bytes.map(|facet| if facet.is_empty() { Hash::from(0) } else { Hash(Id::of(facet).0) }).collect()
    }

    fn read(place: &Place, roots: &Roots) -> taut_sys::Result<Listing> {
        // A link to a directory is a link; only on the way to a directory are links followed.
        let (above, name) = place.locate(roots)?;
        let Some(above) = above else { return Ok(Listing::Absent) };
        if !name.is_empty() && if_exists(above.at(name).lstat())?.is_none_or(|stat| !stat.is_dir()) {
            return Ok(Listing::Absent);
        }
        let directory =
            if name.is_empty() { Some(above) } else { roots.directory(place.root, &place.path)? };
        let Some(directory) = directory else { return Ok(Listing::Absent) };
        let Some(found) = if_exists(directory.list())? else { return Ok(Listing::Absent) };
        let mut entries = Vec::with_capacity(found.len());
        for (name, kind) in found {
            let at = directory.at(&name);
            let Some(text) = name.to_str() else {
                if !place.root.ignore_special {
                    let is_directory = kind == FileKind::Directory;
                    entries.push((name.to_string_lossy().as_ref().into(), Entry::NotUtf8 { is_directory }));
                }
                continue;
            };
            let entry = match kind {
                FileKind::File => Entry::File,
                FileKind::Directory => Entry::Directory,
                _ if place.root.ignore_special => continue,
                FileKind::Symlink => {
                    let target = at.read_link()?;
                    if !stays_inside(target.as_os_str().as_bytes()) {
                        return Ok(Listing::Unreadable(format!(
                            "{} is a symbolic link that leads outwards (to {})",
                            at.path().display(),
                            target.display()
                        )));
                    }
                    Entry::Symlink
                }
                FileKind::Special => {
                    let shown = at.path();
                    return Ok(Listing::Unreadable(format!(
                        "{} is no file, link or directory",
                        shown.display()
                    )));
                }
            };
            entries.push((text.into(), entry));
        }
        // Names with replacement characters may stand elsewhere than the bytes did.
        entries.sort_by(|(a, _), (b, _): &(Str, Entry)| a.as_str().cmp(b.as_str()));
        Ok(Listing::Entries(entries))
    }
}

fn encode_entry(e: &mut Encoder, name: &str, entry: Entry) {
    e.bytes(name.as_bytes());
    e.number(match entry {
        Entry::File => 0,
        Entry::Symlink => 1,
        Entry::Directory => 2,
        Entry::NotUtf8 { is_directory } => 3 + u64::from(is_directory),
    });
}

/// Whether a link's target is relative and never leads above the directory of the link.
fn stays_inside(target: &[u8]) -> bool {
    let mut depth = 0i64;
    !target.starts_with(b"/")
        && target.split(|byte| *byte == b'/').all(|part| {
            match part {
                b"" | b"." => {}
                b".." => depth -= 1,
                _ => depth += 1,
            }
            depth >= 0
        })
}

/// Whether a leaf that reads a place would come to the same hash again.
fn agrees(place: &Place, roots: &Roots, witness: &[u8], read: impl FnOnce() -> Option<bool>) -> Agreement {
    let Some(then) = Evidence::decode(witness) else { return Agreement::No };
    let Ok((directory, name)) = place.locate(roots) else { return Agreement::No };
    let at = directory.as_ref().map(|directory| directory.at(name));
    if then.still_holds(at, true) {
        return Agreement::Yes;
    }
    let Ok(now) = Evidence::gather(at, true) else { return Agreement::No };
    match read() {
        Some(true) if then == now => Agreement::Yes,
        Some(true) => Agreement::YesBy(now.encode()),
        _ => Agreement::No,
    }
}

/// Reads a place and leaves the evidence of it. Without any, it will be read again in the next build; that is all.
/// Tells whether the place held still.
fn read<T>(
    place: &Place,
    roots: &Roots,
    cx: &Cx,
    read: impl Fn(Option<At<'_>>) -> T,
) -> taut_sys::Result<(T, bool)> {
    let (directory, name) = place.locate(roots)?;
    let at = directory.as_ref().map(|directory| directory.at(name));
    let Reading { content, evidence, is_steady } = Evidence::of_reading(at, true, || read(at));
    if let Some(evidence) = evidence {
        cx.witness(evidence.encode());
    }
    Ok((content, is_steady))
}

fn content_at(at: Option<At<'_>>) -> taut_sys::Result<Option<Vec<u8>>> {
    match at {
        Some(at) => at.read_followed(),
        None => Ok(None),
    }
}

fn refused(error: taut_sys::Error) -> Fail {
    Fail::transient(error.to_string())
}

/// The listing of a directory.
pub struct DirRule(pub Arc<Roots>);

impl Rule for DirRule {
    type Key = Place;
    type Value = Arc<Listing>;
    const NAME: &'static str = "dir";

    fn policy(&self, _: &Place) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, place: &Place, cx: Cx) -> Result<Arc<Listing>, Fail> {
        // Each name was there or not, even if the directory never held still.
        let (listing, _) = read(place, &self.0, &cx, |_| Listing::read(place, &self.0)).map_err(refused)?;
        listing.map(Arc::new).map_err(refused)
    }

    fn content_hash(&self, _: &Place, listing: &Arc<Listing>) -> Option<Hash> {
        Some(listing.hash())
    }

    fn facets(&self, _: &Place, listing: &Arc<Listing>) -> Vec<Hash> {
        listing.facets()
    }

    fn agrees(&self, place: &Place, witness: &[u8], hash: Hash) -> Agreement {
        agrees(place, &self.0, witness, || {
            Some(self.content_hash(place, &Arc::new(Listing::read(place, &self.0).ok()?)) == Some(hash))
        })
    }
}

/// The content of a file; `None` if there is none.
pub struct FileRule(pub Arc<Roots>);

impl Rule for FileRule {
    type Key = Place;
    type Value = Option<Arc<[u8]>>;
    const NAME: &'static str = "file";

    fn policy(&self, _: &Place) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, place: &Place, cx: Cx) -> Result<Option<Arc<[u8]>>, Fail> {
        match read(place, &self.0, &cx, content_at).map_err(refused)? {
            (Ok(content), true) => Ok(content.map(Arc::from)),
            (Ok(_), false) => {
                let path = place.full(&self.0);
                Err(Fail::transient(format!("{} keeps changing while it is read", path.display())))
            }
            (Err(error), _) => Err(refused(error)),
        }
    }

    fn content_hash(&self, _: &Place, content: &Option<Arc<[u8]>>) -> Option<Hash> {
        match content {
            None => Some(Hash::from(0)),
            Some(content) => Hash::from_slice(HashFunction::Sha256.blob(content).as_bytes()),
        }
    }

    fn agrees(&self, place: &Place, witness: &[u8], hash: Hash) -> Agreement {
        agrees(place, &self.0, witness, || {
            let (directory, name) = place.locate(&self.0).ok()?;
            let content = content_at(directory.as_ref().map(|directory| directory.at(name))).ok()?;
            Some(self.content_hash(place, &content.map(Arc::from)) == Some(hash))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_listings_stay_what_they_are() {
        let hex = |hash: Hash| Id(hash.0).to_hex();
        let entries = vec![
            ("a".into(), Entry::File),
            ("b".into(), Entry::Symlink),
            ("c".into(), Entry::Directory),
            ("d\u{fffd}".into(), Entry::NotUtf8 { is_directory: false }),
            ("e\u{fffd}".into(), Entry::NotUtf8 { is_directory: true }),
        ];
        let all = [Listing::Absent, Listing::Unreadable("why".to_owned()), Listing::Entries(entries)];
        let hashes: Vec<String> = all.iter().map(|listing| hex(listing.hash())).collect();
        assert_eq!(
            hashes,
            [
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "02cdaaace2cc6002248178384398f860500234356bf5eb58356f8010e1f8017a",
                "5adb2a7d4465afea491dfc8c8abe8c9724832e6175ab86d077abdcf521006fb6"
            ]
        );
        // All facets of the last one.
        let facets: Vec<u8> = all[2].facets().iter().flat_map(|facet| facet.0).collect();
        assert_eq!(
            Id::of(facets).to_hex(),
            "a2c35ea9bc0e93f77bf72edb5d2b989901420b33a06a385931173c2326358722"
        );
    }

    #[test]
    fn keys_of_places_stay_what_they_are() {
        let root = RootName { number: 258, ignore_special: true };
        let mut key = Vec::new();
        Place { root, path: "a/b".into() }.encode(&mut key);
        assert_eq!(key, b"\x01\x01\x02a/b");
    }
}
