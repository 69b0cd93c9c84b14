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
use taut_sys::{Evidence, FileKind, Reading, fs};
use taut_value::{Id, Str};

/// A directory that files are taken from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Root {
    /// Where it is.
    pub path: Str,
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

/// Where the roots of a configuration are, each path once, in the order in which the repositories name them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Roots(Vec<Str>);

impl Roots {
    /// The number of a path, which is added if it is new.
    pub(crate) fn add(&mut self, path: &Str) -> u16 {
        let number = self.0.iter().position(|known| known == path).unwrap_or_else(|| {
            self.0.push(path.clone());
            self.0.len() - 1
        });
        u16::try_from(number).expect("a configuration has fewer roots")
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
        let root = roots.0.get(usize::from(self.root.number)).map_or("", |path| path.as_str());
        let root = PathBuf::from(root);
        if self.path.is_empty() { root } else { root.join(self.path.as_str()) }
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

    fn facets(&self) -> Vec<Hash> {
        let mut facets = vec![String::new(); Facets::MOST];
        match self {
            Listing::Absent => {}
            Listing::Unreadable(why) => facets[0] = format!("unreadable: {why}"),
            Listing::Entries(entries) => {
                facets[0] = "readable".to_owned();
                for (name, entry) in entries {
                    facets[Facets::shared(1, name)].push_str(&format!("{name:?} {entry:?},"));
                }
            }
        }
        let hash = |facet: &String| if facet.is_empty() { Hash::from(0) } else { Hash(Id::of(facet).0) };
        facets.iter().map(hash).collect()
    }

    fn read(place: &Place, roots: &Roots) -> taut_sys::Result<Listing> {
        let directory = place.full(roots);
        // A link to a directory is a link; only on the way to a directory are links followed.
        let is_link = |meta: std::fs::Metadata| meta.file_type().is_symlink();
        if !place.path.is_empty() && fs::if_exists(fs::lstat(&directory))?.is_some_and(is_link) {
            return Ok(Listing::Absent);
        }
        let Some(found) = fs::if_exists(fs::list(&directory))? else { return Ok(Listing::Absent) };
        let mut entries = Vec::with_capacity(found.len());
        for (name, kind) in found {
            let shown = || directory.join(&name).display().to_string();
            let Some(text) = name.to_str() else {
                if place.root.ignore_special {
                    continue;
                }
                return Ok(Listing::Unreadable(format!("the name of {} is not UTF-8", shown())));
            };
            let entry = match kind {
                FileKind::File => Entry::File,
                FileKind::Directory => Entry::Directory,
                _ if place.root.ignore_special => continue,
                FileKind::Symlink => {
                    let target = fs::read_link(&directory.join(&name))?;
                    if !stays_inside(target.as_os_str().as_bytes()) {
                        return Ok(Listing::Unreadable(format!(
                            "{} is a symbolic link that leads outwards (to {})",
                            shown(),
                            target.display()
                        )));
                    }
                    Entry::Symlink
                }
                FileKind::Special => {
                    return Ok(Listing::Unreadable(format!("{} is no file, link or directory", shown())));
                }
            };
            entries.push((text.into(), entry));
        }
        Ok(Listing::Entries(entries))
    }
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

/// Whether a leaf that reads a path would come to the same hash again.
fn agrees(path: &Path, witness: &[u8], read: impl FnOnce() -> Option<bool>) -> Agreement {
    let Some(then) = Evidence::decode(witness) else { return Agreement::No };
    if then.still_holds(path, true) {
        return Agreement::Yes;
    }
    let Ok(now) = Evidence::gather(path, true) else { return Agreement::No };
    match read() {
        Some(true) if then == now => Agreement::Yes,
        Some(true) => Agreement::YesBy(now.encode()),
        _ => Agreement::No,
    }
}

/// Reads a path and leaves the evidence of it. Without any, nobody will believe later that it is unchanged; that is
/// all. Tells whether the path held still.
fn read<T>(path: &Path, cx: &Cx, read: impl Fn() -> T) -> (T, bool) {
    let Reading { content, evidence, is_steady } = Evidence::of_reading(path, true, read);
    if let Some(evidence) = evidence {
        cx.witness(evidence.encode());
    }
    (content, is_steady)
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
        let (listing, _) = read(&place.full(&self.0), &cx, || Listing::read(place, &self.0));
        listing.map(Arc::new).map_err(|error| Fail::transient(error.to_string()))
    }

    fn content_hash(&self, _: &Place, listing: &Arc<Listing>) -> Option<Hash> {
        Some(Hash(Id::of(format!("{listing:?}")).0))
    }

    fn facets(&self, _: &Place, listing: &Arc<Listing>) -> Vec<Hash> {
        listing.facets()
    }

    fn agrees(&self, place: &Place, witness: &[u8], hash: Hash) -> Agreement {
        let read =
            || Some(self.content_hash(place, &Arc::new(Listing::read(place, &self.0).ok()?)) == Some(hash));
        agrees(&place.full(&self.0), witness, read)
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
        let path = place.full(&self.0);
        match read(&path, &cx, || fs::read_regular(&path)) {
            (Ok(content), true) => Ok(content.map(Arc::from)),
            (Ok(_), false) => {
                Err(Fail::transient(format!("{} keeps changing while it is read", path.display())))
            }
            (Err(error), _) => Err(Fail::transient(error.to_string())),
        }
    }

    fn content_hash(&self, _: &Place, content: &Option<Arc<[u8]>>) -> Option<Hash> {
        match content {
            None => Some(Hash::from(0)),
            Some(content) => Hash::from_slice(HashFunction::Sha256.blob(content).as_bytes()),
        }
    }

    fn agrees(&self, place: &Place, witness: &[u8], hash: Hash) -> Agreement {
        let path = place.full(&self.0);
        agrees(&path, witness, || {
            let content = fs::read_regular(&path).ok()?.map(Arc::from);
            Some(self.content_hash(place, &content) == Some(hash))
        })
    }
}
